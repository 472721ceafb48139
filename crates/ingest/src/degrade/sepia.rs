//! Sepia: the brown of toned and of old silver prints.

use super::canvas::{Canvas, number};
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// The picture in browns of its own luma; a gray picture stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Sepia {
    /// How far colour gives way: 0 to 1.
    pub strength: (f32, f32),
    /// From purple brown (−1) over sepia (0) to olive (1).
    pub hue: (f32, f32),
}

impl Default for Sepia {
    fn default() -> Self {
        Self {
            strength: (0.9, 1.0),
            hue: (-0.6, 0.6),
        }
    }
}

/// Colours of black, middle and white at hues −1, 0 and 1, measured by eye on prints of 1860 to
/// 1930.
const TONES: [[[f32; 3]; 3]; 3] = [
    [[0.14, 0.09, 0.10], [0.55, 0.47, 0.46], [0.95, 0.91, 0.87]],
    [[0.15, 0.09, 0.05], [0.58, 0.48, 0.36], [0.97, 0.92, 0.80]],
    [[0.11, 0.08, 0.02], [0.52, 0.46, 0.27], [0.94, 0.91, 0.74]],
];

impl Damage for Sepia {
    const NAME: &'static str = "sepia";

    fn check(&self, problems: &mut Problems) {
        problems.range("strength", self.strength, 0.0, 1.0);
        problems.range("hue", self.hue, -1.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let strength = draw.range(self.strength);
        let hue = draw.range(self.hue);
        if canvas.planes.channels == 3 {
            let luma = canvas.planes.luma();
            for c in 0..3 {
                for (value, luma) in canvas.planes.plane_mut(c).iter_mut().zip(&luma.values) {
                    *value += strength * (tone(luma.clamp(0.0, 1.0), hue, c) - *value);
                }
            }
        }
        canvas.note(
            Self::NAME,
            vec![("strength", number(strength)), ("hue", number(hue))],
        );
        Ok(())
    }
}

fn tone(luma: f32, hue: f32, c: usize) -> f32 {
    let between = |low: f32, high: f32, t: f32| low + (high - low) * t;
    let at = |hue: usize| {
        let [black, middle, white] = TONES[hue].map(|color| color[c]);
        if luma < 0.5 {
            between(black, middle, 2.0 * luma)
        } else {
            between(middle, white, 2.0 * luma - 1.0)
        }
    };
    if hue < 0.0 {
        between(at(1), at(0), -hue)
    } else {
        between(at(1), at(2), hue)
    }
}
