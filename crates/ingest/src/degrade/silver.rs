//! Silver mirroring: silver that has come to the surface and shines bluish in the dark parts, from
//! the edges inwards.

use super::canvas::{Canvas, number};
use super::field::{clouds, smoothstep};
use super::layer::Layer;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// A metallic sheen.
#[derive(Debug, Clone, PartialEq)]
pub struct Silver {
    /// How much of the dark it hides: 0 to 1.
    pub strength: (f32, f32),
    /// How far it has come from the edges, as a share of the shorter side: 0.01 to 1.
    pub reach: (f32, f32),
}

impl Default for Silver {
    fn default() -> Self {
        Self {
            strength: (0.3, 0.8),
            reach: (0.06, 0.3),
        }
    }
}

/// The sheen under a scanner's lamp.
const SHEEN: [f32; 3] = [0.60, 0.64, 0.70];

impl Damage for Silver {
    const NAME: &'static str = "silver";

    fn check(&self, problems: &mut Problems) {
        problems.range("strength", self.strength, 0.0, 1.0);
        problems.range("reach", self.reach, 0.01, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let strength = draw.range(self.strength);
        let reach = draw.range(self.reach);
        let (width, height) = canvas.size();
        let short = width.min(height) as f32;
        let surface = clouds((width, height), short / 6.0, 4, draw);
        let fine = clouds((width, height), 2.5 * canvas.unit, 1, draw);
        let luma = canvas.planes.luma();
        let mut layer = Layer::new((width, height));
        for (i, cover) in layer.cover.values.iter_mut().enumerate() {
            let (x, y) = ((i % width) as f32, (i / width) as f32);
            let edge = x.min(y).min(width as f32 - x).min(height as f32 - y) / short;
            let front = (reach * (1.0 + 0.45 * surface.values[i])).max(0.002);
            let near = 1.0 - smoothstep(0.1 * front, front, edge);
            let dark = (1.0 - 1.4 * luma.values[i]).clamp(0.0, 1.0);
            *cover = (strength * near * dark * (0.85 + 0.15 * fine.values[i])).clamp(0.0, 1.0);
        }
        layer.over(canvas, SHEEN);
        canvas.note(
            Self::NAME,
            vec![("strength", number(strength)), ("reach", number(reach))],
        );
        Ok(())
    }
}
