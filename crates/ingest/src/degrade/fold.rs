//! Folds: a print that was bent breaks its emulsion along a line, and paper shows.

use std::f32::consts::FRAC_PI_2;

use super::canvas::{Canvas, number};
use super::field::Waver;
use super::layer::{Layer, Point};
use super::{Damage, Problems, paper};
use crate::draw::Draw;

/// Creases from edge to edge, broken and flaked, with a shadow on one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// How many.
    pub count: (f32, f32),
    /// Widths of the break in units.
    pub width: (f32, f32),
    /// How much of the emulsion is gone along the line: 0 (a dent) to 1.
    pub broken: (f32, f32),
    /// How deep the shadow of the bent paper is: 0 to 0.5.
    pub shadow: (f32, f32),
    /// How often it is parallel to an edge, as folded by intent: 0 to 1.
    pub straight: f32,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            count: (1.0, 3.0),
            width: (1.2, 4.0),
            broken: (0.35, 0.95),
            shadow: (0.03, 0.18),
            straight: 0.5,
        }
    }
}

impl Damage for Fold {
    const NAME: &'static str = "fold";

    fn check(&self, problems: &mut Problems) {
        problems.range("count", self.count, 0.0, 100.0);
        problems.range("width", self.width, 0.1, 50.0);
        problems.range("broken", self.broken, 0.0, 1.0);
        problems.range("shadow", self.shadow, 0.0, 0.5);
        problems.number("straight", self.straight, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.count = (self.count.0 * by, (self.count.1 * by).min(100.0));
        self.broken = ((self.broken.0 * by).min(1.0), (self.broken.1 * by).min(1.0));
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let count = draw.count(self.count);
        let color = paper(draw);
        for _ in 0..count {
            self.one(canvas, color, draw);
        }
        canvas.note(Self::NAME, vec![("count", number(count as f32))]);
        Ok(())
    }
}

impl Fold {
    fn one(&self, canvas: &mut Canvas, color: [f32; 3], draw: &mut Draw) {
        let (w, h) = (canvas.size().0 as f32, canvas.size().1 as f32);
        let heading = if draw.chance(self.straight) {
            let quarter = if draw.chance(0.5) { FRAC_PI_2 } else { 0.0 };
            quarter + 0.04 * draw.normal()
        } else {
            draw.angle()
        };
        let middle = (w * draw.between(0.08, 0.92), h * draw.between(0.08, 0.92));
        let width = draw.range(self.width) * canvas.unit;
        let broken = draw.range(self.broken);
        let crease = Crease::new(middle, heading, (w, h), canvas.unit, draw);
        let shadow = draw.range(self.shadow);
        crease.shade(canvas, 5.0 * width.max(canvas.unit), shadow);
        let mut layer = Layer::new(canvas.size());
        crease.break_open(&mut layer, width, broken, canvas.unit, draw);
        layer.paint(canvas, color);
    }
}

/// The line of a fold.
struct Crease {
    middle: (f32, f32),
    heading: f32,
    /// From where to where it runs, from the middle.
    ends: (f32, f32),
    course: Waver,
    sway: f32,
    rough: Waver,
    unit: f32,
}

impl Crease {
    fn new(
        middle: (f32, f32),
        heading: f32,
        (w, h): (f32, f32),
        unit: f32,
        draw: &mut Draw,
    ) -> Self {
        let diagonal = w.hypot(h);
        // Most folds run from edge to edge; some end inside.
        let mut end = || {
            if draw.chance(0.75) {
                diagonal
            } else {
                draw.between(0.1, 0.6) * diagonal
            }
        };
        let ends = (-end(), end());
        Self {
            middle,
            heading,
            ends,
            course: Waver::new(diagonal, 5, 0.5, draw),
            sway: draw.between(0.002, 0.012) * diagonal,
            rough: Waver::new(14.0 * unit, 3, 0.8, draw),
            unit,
        }
    }

    /// How far beside the straight line it runs.
    fn across(&self, along: f32) -> f32 {
        self.sway * self.course.at(along) + 0.9 * self.unit * self.rough.at(along)
    }

    fn place(&self, along: f32) -> (f32, f32) {
        let (sin, cos) = self.heading.sin_cos();
        let across = self.across(along);
        (
            self.middle.0 + along * cos - across * sin,
            self.middle.1 + along * sin + across * cos,
        )
    }

    /// Light on one side, shadow on the other, fading over `reach` pixels.
    fn shade(&self, canvas: &mut Canvas, reach: f32, depth: f32) {
        let (sin, cos) = self.heading.sin_cos();
        let (width, channels) = (canvas.planes.width, canvas.planes.channels);
        let mut factors = vec![1.0_f32; canvas.planes.pixels()];
        for (i, factor) in factors.iter_mut().enumerate() {
            let (x, y) = (
                (i % width) as f32 - self.middle.0,
                (i / width) as f32 - self.middle.1,
            );
            let straight = y * cos - x * sin;
            if straight.abs() > 3.5 * reach + 2.0 * self.sway {
                continue;
            }
            let along = x * cos + y * sin;
            if along < self.ends.0 || along > self.ends.1 {
                continue;
            }
            let off = (straight - self.sway * self.course.at(along)) / reach;
            *factor = 1.0 + depth * 1.65 * off * (-0.5 * off * off).exp();
        }
        for c in 0..channels {
            let plane = canvas.planes.plane_mut(c);
            plane
                .iter_mut()
                .zip(&factors)
                .for_each(|(value, factor)| *value *= factor);
        }
    }

    fn break_open(&self, layer: &mut Layer, width: f32, broken: f32, unit: f32, draw: &mut Draw) {
        let step = unit.max(1.0);
        let (w, h) = (layer.cover.width as f32, layer.cover.height as f32);
        let depth = Waver::new(90.0 * unit, 5, 0.85, draw);
        let breadth = Waver::new(30.0 * unit, 4, 0.9, draw);
        let mut points = Vec::new();
        let mut along = self.ends.0;
        while along <= self.ends.1 {
            let (x, y) = self.place(along);
            let margin = 20.0 * unit;
            if x > -margin && y > -margin && x < w + margin && y < h + margin {
                let gone = depth.at(along) * 1.6 + 2.2 * broken - 0.9 + 0.25 * draw.normal();
                let wide = (0.55 + 0.9 * breadth.at(along) + 0.25 * draw.normal()).clamp(0.1, 2.0);
                points.push(Point {
                    x,
                    y,
                    width: width * wide,
                    cover: gone.clamp(0.0, 0.97),
                });
                // Flakes come off beside the line.
                if gone > 0.4 && draw.chance(0.09 * broken) {
                    let radius = width * draw.between(0.3, 1.5);
                    let aside = width * 0.8 * draw.normal();
                    let (sin, cos) = self.heading.sin_cos();
                    let place = (x - aside * sin, y + aside * cos);
                    layer.blot(place, radius, 0.6, unit, 0.95, draw);
                }
            } else if !points.is_empty() {
                break;
            }
            along += step;
        }
        layer.stroke(&points);
    }
}
