//! Folds: a print that was bent breaks its emulsion along a line, and paper shows.

use std::f32::consts::FRAC_PI_2;

use super::canvas::{Canvas, number};
use super::field::{Waver, clouds, smoothstep};
use super::layer::Layer;
use super::{Damage, Problems, paper, stronger};
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
            width: (1.5, 5.0),
            broken: (0.3, 0.9),
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
        self.count = stronger(self.count, by, 100.0);
        self.broken = stronger(self.broken, by, 1.0);
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
        crease.break_open(&mut layer, width, broken, draw);
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
            sway: draw.between(0.004, 0.03) * diagonal,
            rough: Waver::new(14.0 * unit, 3, 0.8, draw),
            unit,
        }
    }

    /// How far beside the straight line it runs.
    fn across(&self, along: f32) -> f32 {
        self.sway * self.course.at(along) + 0.9 * self.unit * self.rough.at(along)
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

    /// Bares the paper along the line: where it is broken, how wide, and how ragged are three
    /// different noises.
    fn break_open(&self, layer: &mut Layer, width: f32, broken: f32, draw: &mut Draw) {
        let unit = self.unit;
        let size = (layer.cover.width, layer.cover.height);
        let depth = Waver::new(260.0 * unit, 6, 0.62, draw);
        let breadth = Waver::new(80.0 * unit, 5, 0.7, draw);
        let grain = draw.between(1.5, 3.5) * unit.max(width / 2.0);
        let ragged = clouds(size, grain, 4, draw);
        let (sin, cos) = self.heading.sin_cos();
        let reach = 4.0 * width + self.sway + 2.0 * unit;
        for (i, out) in layer.cover.values.iter_mut().enumerate() {
            let x = (i % size.0) as f32 - self.middle.0;
            let y = (i / size.0) as f32 - self.middle.1;
            let straight = y * cos - x * sin;
            let along = x * cos + y * sin;
            if straight.abs() > reach || along < self.ends.0 || along > self.ends.1 {
                continue;
            }
            let noise = ragged.values[i];
            let off = (straight - self.across(along)).abs();
            let gone = 1.3 * depth.at(along) + 2.0 * broken - 0.75 + 0.35 * noise;
            let wide = width * (0.42 + 0.5 * breadth.at(along)).max(0.12);
            let edge = wide * (1.0 + 0.6 * noise) - off;
            // Beside the break the emulsion is worn thin.
            let worn = 0.4 * (1.0 - off / (2.2 * width)).clamp(0.0, 1.0) * gone.clamp(0.0, 1.0);
            let bare = (edge + 0.5).clamp(0.0, 1.0) * smoothstep(0.0, 0.35, gone);
            *out = (0.97 * bare).max(worn * (0.6 + 0.4 * noise).clamp(0.0, 1.0));
        }
    }
}
