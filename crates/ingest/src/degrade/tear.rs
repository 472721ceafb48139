//! Tears from the edge, and corners that are gone.

use std::f32::consts::{FRAC_PI_2, PI};

use super::canvas::{Canvas, number};
use super::field::Waver;
use super::layer::{Layer, Point};
use super::{Damage, Problems, paper, stronger};
use crate::draw::Draw;

/// Jagged gaps that begin at an edge, lined by bare paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Tear {
    /// How many.
    pub count: (f32, f32),
    /// Lengths as shares of the shorter side: 0.01 to 1.
    pub length: (f32, f32),
    /// Widths at the edge in units.
    pub width: (f32, f32),
    /// How often each corner is gone: 0 to 1.
    pub corner: f32,
    /// Sizes of corners that are gone, as shares of the shorter side: 0.005 to 0.5.
    pub corner_size: (f32, f32),
}

impl Default for Tear {
    fn default() -> Self {
        Self {
            count: (1.0, 3.0),
            length: (0.05, 0.35),
            width: (2.0, 9.0),
            corner: 0.2,
            corner_size: (0.02, 0.14),
        }
    }
}

impl Damage for Tear {
    const NAME: &'static str = "tear";

    fn check(&self, problems: &mut Problems) {
        problems.range("count", self.count, 0.0, 100.0);
        problems.range("length", self.length, 0.01, 1.0);
        problems.range("width", self.width, 0.5, 100.0);
        problems.number("corner", self.corner, 0.0, 1.0);
        problems.range("corner_size", self.corner_size, 0.005, 0.5);
    }

    fn strengthen(&mut self, by: f32) {
        self.count = stronger(self.count, by, 100.0);
        self.corner = (self.corner * by).min(1.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = draw.count(self.count);
        let color = paper(draw);
        // What lies behind the print: the bed of a scanner, or its dark lid.
        let behind = if draw.chance(0.5) {
            [0.97; 3]
        } else {
            [0.06, 0.06, 0.07]
        };
        for _ in 0..count {
            self.gap(canvas, color, behind, draw);
        }
        let mut corners = 0;
        for corner in 0..4 {
            if draw.chance(self.corner) {
                corners += 1;
                self.lose(canvas, corner, color, behind, draw);
            }
        }
        canvas.note(
            Self::NAME,
            vec![
                ("count", number(count as f32)),
                ("corners", number(corners as f32)),
            ],
        );
        Ok(())
    }
}

impl Tear {
    fn gap(&self, canvas: &mut Canvas, color: [f32; 3], behind: [f32; 3], draw: &mut Draw) {
        let (w, h) = (canvas.size().0 as f32, canvas.size().1 as f32);
        let unit = canvas.unit;
        let length = draw.range(self.length) * w.min(h);
        let width = draw.range(self.width) * unit;
        let (mut x, mut y, inwards) = match draw.below(4) {
            0 => (draw.unit() * w, 0.0, FRAC_PI_2),
            1 => (draw.unit() * w, h, -FRAC_PI_2),
            2 => (0.0, draw.unit() * h, 0.0),
            _ => (w, draw.unit() * h, PI),
        };
        let heading = inwards + draw.between(-0.7, 0.7);
        let course = Waver::new(length * 1.3, 4, 0.7, draw);
        let jags = Waver::new(9.0 * unit, 3, 0.8, draw);
        let step = (0.8 * unit).max(0.8);
        let steps = (length / step).ceil().max(2.0) as usize;
        let mut lining = Vec::with_capacity(steps + 1);
        let mut open = Vec::with_capacity(steps + 1);
        for i in 0..=steps {
            let along = i as f32 / steps as f32;
            let taper = (1.0 - along).powf(0.8);
            let jag = 1.0 + 0.8 * jags.at(i as f32 * step);
            let lined = (width * taper * jag + 1.2 * unit).max(0.6 * unit);
            // Only the mouth gapes; further in the edges touch.
            let gapes = (width * (0.75 - 1.3 * along) * jag).max(0.0);
            lining.push(Point {
                x,
                y,
                width: lined,
                cover: 0.95,
            });
            open.push(Point {
                x,
                y,
                width: gapes,
                cover: if gapes > 0.5 { 1.0 } else { 0.0 },
            });
            let turn = heading + 1.3 * course.at(along * length) + 0.25 * draw.normal();
            x += step * turn.cos();
            y += step * turn.sin();
        }
        let mut layer = Layer::new(canvas.size());
        layer.stroke(&lining);
        layer.paint(canvas, color);
        let mut layer = Layer::new(canvas.size());
        layer.stroke(&open);
        layer.paint(canvas, behind);
    }

    fn lose(
        &self,
        canvas: &mut Canvas,
        corner: usize,
        color: [f32; 3],
        behind: [f32; 3],
        draw: &mut Draw,
    ) {
        let (w, h) = (canvas.size().0 as f32, canvas.size().1 as f32);
        let unit = canvas.unit;
        let size = draw.range(self.corner_size) * w.min(h);
        let slope = draw.between(0.6, 1.7);
        let edge = Waver::new(size.max(4.0) * 1.5, 5, 0.6, draw);
        let rough = 0.12 * size + unit;
        let rim = draw.between(1.0, 4.0) * unit;
        let mut gone = Layer::new(canvas.size());
        let mut lining = Layer::new(canvas.size());
        let width = canvas.planes.width;
        for (i, out) in gone.cover.values.iter_mut().enumerate() {
            let (x, y) = ((i % width) as f32, (i / width) as f32);
            let x = if corner.is_multiple_of(2) {
                x
            } else {
                w - 1.0 - x
            };
            let y = if corner / 2 == 0 { y } else { h - 1.0 - y };
            if x > 4.0 * size || y > 4.0 * size {
                continue;
            }
            // The distance beyond a slanted, uneven line.
            let inside = size - (x * slope.sqrt() + y / slope.sqrt()) + rough * edge.at(x - y);
            *out = (inside + 0.5).clamp(0.0, 1.0);
            let torn = rim * (1.0 + 0.8 * edge.at(2.3 * (x - y) + 17.0));
            lining.cover.values[i] = (inside + torn + 0.5).clamp(0.0, 1.0);
        }
        lining.paint(canvas, color);
        gone.paint(canvas, behind);
    }
}
