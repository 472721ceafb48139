//! Stains of water, tea and glue: tinted patches with a dark rim where the liquid dried.

use super::canvas::{Canvas, number};
use super::field::{clouds, smoothstep};
use super::layer::Layer;
use super::{Damage, Problems, stronger};
use crate::draw::Draw;

/// Patches with tide lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Stain {
    /// How many.
    pub count: (f32, f32),
    /// Radii as shares of the shorter side: 0.005 to 1.
    pub size: (f32, f32),
    /// How dark: 0 to 1.
    pub strength: (f32, f32),
}

impl Default for Stain {
    fn default() -> Self {
        Self {
            count: (1.0, 3.0),
            size: (0.04, 0.28),
            strength: (0.2, 0.65),
        }
    }
}

impl Damage for Stain {
    const NAME: &'static str = "stain";

    fn check(&self, problems: &mut Problems) {
        problems.range("count", self.count, 0.0, 100.0);
        problems.range("size", self.size, 0.005, 1.0);
        problems.range("strength", self.strength, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.strength = stronger(self.strength, by, 1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = draw.count(self.count);
        for _ in 0..count {
            self.one(canvas, draw);
        }
        canvas.note(Self::NAME, vec![("count", number(count as f32))]);
        Ok(())
    }
}

impl Stain {
    fn one(&self, canvas: &mut Canvas, draw: &mut Draw) {
        let (w, h) = canvas.size();
        let radius = (draw.range(self.size) * w.min(h) as f32).max(2.0);
        let strength = draw.range(self.strength);
        let (x0, y0) = (draw.unit() * w as f32, draw.unit() * h as f32);
        let flat = draw.between(0.6, 1.0);
        let (sin, cos) = draw.angle().sin_cos();
        let shape = clouds((w, h), radius * 0.8, 4, draw);
        let inside = clouds((w, h), radius * 0.5, 4, draw);
        let line = (draw.between(0.03, 0.09) * radius).max(1.2 * canvas.unit) / radius;
        let fill = draw.between(0.15, 0.6);
        let mut layer = Layer::new((w, h));
        for (i, cover) in layer.cover.values.iter_mut().enumerate() {
            let (x, y) = ((i % w) as f32 - x0, (i / w) as f32 - y0);
            let (u, v) = (x * cos + y * sin, (y * cos - x * sin) / flat);
            let distance = u.hypot(v) / radius;
            if distance > 2.0 {
                continue;
            }
            // Negative inside, 0 on the edge.
            let off = distance - 1.0 + 0.22 * shape.values[i];
            let edge = if off > 0.0 {
                off / (0.35 * line)
            } else {
                off / line
            };
            let tide = (-0.5 * edge * edge).exp();
            let body = fill * smoothstep(0.02, -0.06, off) * (1.0 + 0.25 * inside.values[i]);
            *cover = (strength * (body + (1.0 - fill) * tide)).clamp(0.0, 1.0);
        }
        let brown = [
            draw.between(0.55, 0.75),
            draw.between(0.40, 0.58),
            draw.between(0.18, 0.36),
        ];
        layer.tint(canvas, brown);
        layer.mark(canvas);
    }
}
