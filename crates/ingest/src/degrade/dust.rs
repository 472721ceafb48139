//! Dust: small specks, light where they lay on a negative, dark where they lie on a print.

use super::canvas::{Canvas, number};
use super::layer::Layer;
use super::{Damage, Problems, shade, stronger};
use crate::draw::Draw;

/// Uneven specks, many small and few large.
#[derive(Debug, Clone, PartialEq)]
pub struct Dust {
    /// Specks in a million square units; at least one is drawn.
    pub density: (f32, f32),
    /// Radii in units.
    pub radius: (f32, f32),
    /// How often they are light: 0 to 1.
    pub light: f32,
    /// How much they hide: 0 to 1.
    pub cover: (f32, f32),
}

impl Default for Dust {
    fn default() -> Self {
        Self {
            density: (40.0, 400.0),
            radius: (0.5, 4.0),
            light: 0.6,
            cover: (0.5, 1.0),
        }
    }
}

impl Damage for Dust {
    const NAME: &'static str = "dust";

    fn check(&self, problems: &mut Problems) {
        problems.range("density", self.density, 0.0, 20_000.0);
        problems.range("radius", self.radius, 0.1, 100.0);
        problems.number("light", self.light, 0.0, 1.0);
        problems.range("cover", self.cover, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.density = stronger(self.density, by, 20_000.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = canvas.count(self.density, draw);
        let light = draw.chance(self.light);
        let (width, height) = canvas.size();
        let mut layer = Layer::new((width, height));
        for _ in 0..count {
            let place = (draw.unit() * width as f32, draw.unit() * height as f32);
            // Evenly over the logarithm, squeezed towards the small ones.
            let size = draw.unit().powi(2) * (self.radius.1 / self.radius.0).ln();
            let radius = self.radius.0 * size.exp() * canvas.unit;
            let rough = draw.between(0.1, 0.7);
            let soft = draw.between(0.8, 1.4) * canvas.unit.sqrt();
            layer.blot(place, radius, rough, soft, draw.range(self.cover), draw);
        }
        layer.paint(canvas, shade(light, draw));
        canvas.note(
            Self::NAME,
            vec![
                ("count", number(count as f32)),
                ("light", number(f32::from(u8::from(light)))),
            ],
        );
        Ok(())
    }
}
