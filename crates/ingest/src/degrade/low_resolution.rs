//! A picture that once was smaller.

use super::canvas::{Canvas, number, text};
use super::resize::{Interpolation, resize};
use super::{Damage, Problems};
use crate::draw::Draw;

/// Smaller, and back to the size that it had: what is lost does not come back.
#[derive(Debug, Clone, PartialEq)]
pub struct LowResolution {
    /// The size in between, as a share: 0.05 to 1.
    pub factor: (f32, f32),
    /// The kernels on the way down, of which one is drawn.
    pub down: Vec<Interpolation>,
    /// The kernels on the way up.
    pub up: Vec<Interpolation>,
}

impl Default for LowResolution {
    fn default() -> Self {
        Self {
            factor: (0.3, 0.8),
            down: vec![
                Interpolation::Area,
                Interpolation::Bilinear,
                Interpolation::Matlab,
            ],
            up: vec![Interpolation::Bilinear, Interpolation::Bicubic],
        }
    }
}

impl Damage for LowResolution {
    const NAME: &'static str = "low_resolution";

    fn check(&self, problems: &mut Problems) {
        problems.range("factor", self.factor, 0.05, 1.0);
        problems.some("down", &self.down);
        problems.some("up", &self.up);
    }

    fn strengthen(&mut self, by: f32) {
        let least = (self.factor.0 / by.max(0.05)).clamp(0.05, 1.0);
        self.factor = (least, (self.factor.1 / by.max(0.05)).clamp(least, 1.0));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let factor = draw.range(self.factor);
        let down = self.down[draw.below(self.down.len())];
        let up = self.up[draw.below(self.up.len())];
        let size = canvas.size();
        let scaled = |length: usize| ((length as f32 * factor).round() as usize).max(1);
        // The mask is not to lose its edge on the way.
        let mask = canvas.mask.clone();
        resize(canvas, (scaled(size.0), scaled(size.1)), down);
        resize(canvas, size, up);
        canvas.mask = mask;
        canvas.planes.clamp();
        canvas.note(
            Self::NAME,
            vec![
                ("factor", number(factor)),
                ("down", text(down.as_str())),
                ("up", text(up.as_str())),
            ],
        );
        Ok(())
    }
}
