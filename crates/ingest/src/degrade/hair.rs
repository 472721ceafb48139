//! Hairs and fibres.

use super::canvas::{Canvas, number};
use super::field::Waver;
use super::layer::{Layer, Point};
use super::{Damage, Problems, shade, stronger};
use crate::draw::Draw;

/// Thin curved lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Hair {
    /// How many.
    pub count: (f32, f32),
    /// Lengths in units.
    pub length: (f32, f32),
    /// Widths in units.
    pub width: (f32, f32),
    /// How often they are light: 0 to 1.
    pub light: f32,
    /// How much they hide: 0 to 1.
    pub cover: (f32, f32),
}

impl Default for Hair {
    fn default() -> Self {
        Self {
            count: (1.0, 5.0),
            length: (15.0, 180.0),
            width: (0.7, 1.8),
            light: 0.6,
            cover: (0.5, 0.95),
        }
    }
}

impl Damage for Hair {
    const NAME: &'static str = "hair";

    fn check(&self, problems: &mut Problems) {
        problems.range("count", self.count, 0.0, 1000.0);
        problems.range("length", self.length, 1.0, 5000.0);
        problems.range("width", self.width, 0.1, 50.0);
        problems.number("light", self.light, 0.0, 1.0);
        problems.range("cover", self.cover, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.count = stronger(self.count, by, 1000.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = draw.count(self.count);
        let light = draw.chance(self.light);
        let mut layer = Layer::new(canvas.size());
        for _ in 0..count {
            let points = self.points(canvas, draw);
            layer.stroke(&points);
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

impl Hair {
    fn points(&self, canvas: &Canvas, draw: &mut Draw) -> Vec<Point> {
        let unit = canvas.unit;
        let length = draw.range(self.length) * unit;
        let width = draw.range(self.width) * unit;
        let cover = draw.range(self.cover);
        let step = (1.5 * unit).max(1.0);
        let steps = (length / step).ceil() as usize;
        // A fibre bends one way for a while, then another: the heading's change wavers. The whole
        // turn is up to three quarters of a circle.
        let bend = Waver::new(length * draw.between(0.6, 2.0), 3, 0.5, draw);
        let lean = draw.between(-2.5, 2.5) / length;
        let turn = draw.between(1.0, 5.0) / length;
        let (w, h) = canvas.size();
        let (mut x, mut y) = (draw.unit() * w as f32, draw.unit() * h as f32);
        let mut heading = draw.angle();
        let mut points = Vec::with_capacity(steps + 1);
        for i in 0..=steps {
            let along = i as f32 * step;
            let end = (along.min(length - along) / (3.0 * width)).clamp(0.3, 1.0);
            points.push(Point {
                x,
                y,
                width: width * end,
                cover,
            });
            heading += step * (lean + turn * bend.at(along));
            x += step * heading.cos();
            y += step * heading.sin();
        }
        points
    }
}
