//! Foxing: the rust-brown spots that mould and iron leave in paper.

use super::canvas::{Canvas, number};
use super::layer::Layer;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// Soft brown spots, in clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Foxing {
    /// Spots in a million square units; at least one is drawn.
    pub density: (f32, f32),
    /// Radii in units.
    pub radius: (f32, f32),
    /// How dark: 0 to 1.
    pub strength: (f32, f32),
}

impl Default for Foxing {
    fn default() -> Self {
        Self {
            density: (30.0, 250.0),
            radius: (1.0, 9.0),
            strength: (0.2, 0.8),
        }
    }
}

impl Damage for Foxing {
    const NAME: &'static str = "foxing";

    fn check(&self, problems: &mut Problems) {
        problems.range("density", self.density, 0.0, 20_000.0);
        problems.range("radius", self.radius, 0.2, 100.0);
        problems.range("strength", self.strength, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.density = stronger(self.density, by, 20_000.0);
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = canvas.count(self.density, draw);
        let (w, h) = (canvas.size().0 as f32, canvas.size().1 as f32);
        let mut layer = Layer::new(canvas.size());
        let mut center = (draw.unit() * w, draw.unit() * h);
        let spread = w.min(h) * 0.08;
        for _ in 0..count {
            if draw.chance(0.12) {
                center = (draw.unit() * w, draw.unit() * h);
            }
            let place = (
                center.0 + spread * draw.normal(),
                center.1 + spread * draw.normal(),
            );
            let size = draw.unit().powi(2) * (self.radius.1 / self.radius.0).ln();
            let radius = self.radius.0 * size.exp() * canvas.unit;
            let strength = draw.range(self.strength);
            // A halo, and a darker core in it.
            layer.blot(place, radius, 0.35, 1.6 * radius, 0.55 * strength, draw);
            layer.blot(place, 0.45 * radius, 0.5, 0.8 * radius, strength, draw);
        }
        layer.tint(
            canvas,
            [draw.between(0.55, 0.72), draw.between(0.36, 0.48), 0.22],
        );
        layer.mark(canvas);
        canvas.note(Self::NAME, vec![("count", number(count as f32))]);
        Ok(())
    }
}
