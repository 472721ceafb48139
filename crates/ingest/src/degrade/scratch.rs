//! Scratches: long thin lines, steady on film that ran through a projector, astray on prints.

use std::f32::consts::FRAC_PI_2;

use super::canvas::{Canvas, number};
use super::field::Waver;
use super::layer::{Layer, Point};
use super::{Damage, Problems, shade, stronger};
use crate::draw::Draw;

/// Nearly straight lines, some in company of parallel ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Scratch {
    /// How many, companions not counted.
    pub count: (f32, f32),
    /// Lengths as shares of the diagonal: 0.01 to 1.5.
    pub length: (f32, f32),
    /// Widths in units.
    pub width: (f32, f32),
    /// How often they run down the picture, as on film: 0 to 1.
    pub vertical: f32,
    /// How often they are light: 0 to 1.
    pub light: f32,
    /// How much they hide: 0 to 1.
    pub cover: (f32, f32),
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            count: (1.0, 6.0),
            length: (0.05, 0.9),
            width: (0.5, 2.2),
            vertical: 0.4,
            light: 0.75,
            cover: (0.35, 1.0),
        }
    }
}

impl Damage for Scratch {
    const NAME: &'static str = "scratch";

    fn check(&self, problems: &mut Problems) {
        problems.range("count", self.count, 0.0, 1000.0);
        problems.range("length", self.length, 0.01, 1.5);
        problems.range("width", self.width, 0.1, 50.0);
        problems.number("vertical", self.vertical, 0.0, 1.0);
        problems.number("light", self.light, 0.0, 1.0);
        problems.range("cover", self.cover, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.count = stronger(self.count, by, 1000.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = draw.count(self.count);
        let vertical = draw.chance(self.vertical);
        let light = draw.chance(self.light);
        let mut layer = Layer::new(canvas.size());
        for _ in 0..count {
            self.draw(&mut layer, canvas, vertical, draw);
        }
        layer.paint(canvas, shade(light, draw));
        canvas.note(
            Self::NAME,
            vec![
                ("count", number(count as f32)),
                ("vertical", number(f32::from(u8::from(vertical)))),
                ("light", number(f32::from(u8::from(light)))),
            ],
        );
        Ok(())
    }
}

impl Scratch {
    fn draw(&self, layer: &mut Layer, canvas: &Canvas, vertical: bool, draw: &mut Draw) {
        let (w, h) = (canvas.size().0 as f32, canvas.size().1 as f32);
        let length = draw.range(self.length) * w.hypot(h);
        let heading = if vertical {
            FRAC_PI_2 + 0.02 * draw.normal()
        } else {
            draw.angle()
        };
        let middle = (draw.unit() * w, draw.unit() * h);
        let companions = if draw.chance(0.3) {
            1 + draw.below(4)
        } else {
            0
        };
        let width = draw.range(self.width);
        let cover = draw.range(self.cover);
        for n in 0..=companions {
            let aside = if n == 0 {
                0.0
            } else {
                6.0 * draw.normal() * canvas.unit
            };
            let fainter = if n == 0 { 1.0 } else { draw.between(0.3, 0.9) };
            let line = Line {
                middle,
                heading,
                length: length * fainter,
                aside,
            };
            let points = line.points(width * fainter, cover * fainter, canvas.unit, draw);
            layer.stroke(&points);
        }
    }
}

/// A nearly straight line.
struct Line {
    middle: (f32, f32),
    heading: f32,
    length: f32,
    /// How far beside the middle it runs, in pixels.
    aside: f32,
}

impl Line {
    fn points(&self, width: f32, cover: f32, unit: f32, draw: &mut Draw) -> Vec<Point> {
        let step = (3.0 * unit).max(2.0);
        let steps = (self.length / step).ceil().max(2.0) as usize;
        // Three wavers: where it runs, how deep it is (with places where it lifts off), how wide.
        let course = Waver::new(self.length, 4, 0.3, draw);
        let depth = Waver::new(draw.between(0.2, 1.5) * self.length, 6, 0.75, draw);
        let breadth = Waver::new(40.0 * unit, 3, 0.7, draw);
        let sway = draw.between(0.0, 0.012) * self.length;
        let gaps = draw.between(-0.7, 0.15);
        let (sin, cos) = self.heading.sin_cos();
        let point = |i: usize| {
            let along = i as f32 * step - self.length / 2.0;
            let across = self.aside + sway * course.at(along);
            let end = 1.0 - (2.0 * along / self.length).abs().min(1.0).powi(6);
            let deep = ((depth.at(along) - gaps) * 4.0 + 0.5).clamp(0.0, 1.0);
            Point {
                x: self.middle.0 + along * cos - across * sin,
                y: self.middle.1 + along * sin + across * cos,
                width: width * unit * (0.4 + 0.6 * end) * (1.0 + 0.4 * breadth.at(along)),
                cover: cover * end * deep,
            }
        };
        (0..=steps).map(point).collect()
    }
}
