//! Black and white, as plates and films saw colours.

use super::canvas::{Canvas, number};
use super::{Damage, Problems};
use crate::draw::Draw;

/// Colour becomes gray: by a plate that is blind to red, by one that sees all, or between.
///
/// Silver halide alone sees blue; dyes taught it green (orthochromatic plates, from the 1880s) and
/// red (panchromatic ones, from the 1910s). A gray picture stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Monochrome {
    /// From orthochromatic (0) to panchromatic (1).
    pub red: (f32, f32),
}

impl Default for Monochrome {
    fn default() -> Self {
        Self { red: (0.1, 1.0) }
    }
}

/// Sensitivities to red, green and blue.
const ORTHOCHROMATIC: [f32; 3] = [0.04, 0.46, 0.50];
const PANCHROMATIC: [f32; 3] = [0.30, 0.42, 0.28];

impl Damage for Monochrome {
    const NAME: &'static str = "monochrome";

    fn check(&self, problems: &mut Problems) {
        problems.range("red", self.red, 0.0, 1.0);
    }

    fn strengthen(&mut self, _: f32) {}

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let red = draw.range(self.red);
        if canvas.planes.channels == 3 {
            let weights: [f32; 3] = std::array::from_fn(|c| {
                ORTHOCHROMATIC[c] + red * (PANCHROMATIC[c] - ORTHOCHROMATIC[c])
            });
            let gray: Vec<f32> = (0..canvas.planes.pixels())
                .map(|i| (0..3).map(|c| weights[c] * canvas.planes.plane(c)[i]).sum())
                .collect();
            for c in 0..3 {
                canvas.planes.plane_mut(c).copy_from_slice(&gray);
            }
        }
        canvas.note(Self::NAME, vec![("red", number(red))]);
        Ok(())
    }
}
