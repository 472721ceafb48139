//! Rounding to 8 bits.

use super::canvas::Canvas;
use super::{Damage, Problems};
use crate::draw::Draw;

/// Every value becomes the nearest of 256: the picture was a file in between.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Round {}

impl Damage for Round {
    const NAME: &'static str = "round";

    fn check(&self, _: &mut Problems) {}

    fn strengthen(&mut self, _: f32) {}

    fn apply(&self, canvas: &mut Canvas, _: &mut Draw) -> fonds_core::Result<()> {
        for value in &mut canvas.planes.values {
            *value = (value.clamp(0.0, 1.0) * 255.0).round() / 255.0;
        }
        canvas.note(Self::NAME, Vec::new());
        Ok(())
    }
}
