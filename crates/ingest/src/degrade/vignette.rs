//! Corners that are darker, as old lenses leave them, or lighter, as fading from the edges does.

use super::canvas::{Canvas, number};
use super::field::smoothstep;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// A change of brightness from the middle to the corners.
#[derive(Debug, Clone, PartialEq)]
pub struct Vignette {
    /// How much darker the corners are: 0 to 1.
    pub strength: (f32, f32),
    /// Where it begins, as a share of half the diagonal: 0 to 0.95.
    pub begin: (f32, f32),
    /// How often the corners are lighter instead: 0 to 1.
    pub light: f32,
}

impl Default for Vignette {
    fn default() -> Self {
        Self {
            strength: (0.15, 0.6),
            begin: (0.25, 0.65),
            light: 0.25,
        }
    }
}

impl Damage for Vignette {
    const NAME: &'static str = "vignette";

    fn check(&self, problems: &mut Problems) {
        problems.range("strength", self.strength, 0.0, 1.0);
        problems.range("begin", self.begin, 0.0, 0.95);
        problems.number("light", self.light, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let strength = draw.range(self.strength);
        let begin = draw.range(self.begin);
        let light = draw.chance(self.light);
        let (width, height) = canvas.size();
        let x0 = width as f32 * draw.between(0.42, 0.58);
        let y0 = height as f32 * draw.between(0.42, 0.58);
        let half = (width as f32 / 2.0).hypot(height as f32 / 2.0);
        for c in 0..canvas.planes.channels {
            for (i, value) in canvas.planes.plane_mut(c).iter_mut().enumerate() {
                let (x, y) = ((i % width) as f32 - x0, (i / width) as f32 - y0);
                let amount = strength * smoothstep(begin, 1.1, x.hypot(y) / half);
                let end = if light { 0.93 } else { 0.0 };
                *value += amount * (end - *value);
            }
        }
        canvas.note(
            Self::NAME,
            vec![
                ("strength", number(if light { -strength } else { strength })),
                ("begin", number(begin)),
            ],
        );
        Ok(())
    }
}
