//! A picture on its way through the effects.

use super::{Applied, Degraded, Value};
use crate::draw::Draw;
use crate::planes::Planes;
use crate::resample::{Area, Kernel, resample};

/// The picture, where it is damaged, and what was done to it.
pub(crate) struct Canvas {
    pub(crate) planes: Planes,
    /// One plane as large as the picture.
    pub(crate) mask: Planes,
    applied: Vec<Applied>,
    /// Width and height at the beginning.
    pub(crate) original: (usize, usize),
    /// Width and height at the end.
    pub(crate) target: (usize, usize),
    /// Pixels of the picture as it was at the beginning that make a unit.
    unit_at_first: f32,
    /// Pixels that make a unit now.
    pub(crate) unit: f32,
}

impl Canvas {
    pub(super) fn new(planes: Planes, scale: usize, unit: f32) -> Self {
        let original = (planes.width, planes.height);
        Self {
            mask: Planes::filled(1, planes.height, planes.width, 0.0),
            planes,
            applied: Vec::new(),
            original,
            target: (original.0.div_ceil(scale), original.1.div_ceil(scale)),
            unit_at_first: unit,
            unit,
        }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.planes.width, self.planes.height)
    }

    /// How many of something there are, of a density in a million square units: at least one.
    pub(super) fn count(&self, density: (f32, f32), draw: &mut Draw) -> usize {
        let area = self.planes.pixels() as f32 / (self.unit * self.unit) / 1e6;
        let mean = draw.range(density) * area;
        (draw.poisson(mean) as usize).max(1)
    }

    /// Writes down what was done.
    pub(super) fn note(&mut self, effect: &'static str, parameters: Vec<(&'static str, Value)>) {
        self.applied.push(Applied { effect, parameters });
    }

    /// Brings picture and mask to another size.
    pub(super) fn resize(&mut self, size: (usize, usize), kernel: Kernel, antialias: bool) {
        if size != self.size() {
            let area = Area::whole(&self.planes);
            self.replace(resample(&self.planes, area, size, kernel, antialias));
        }
    }

    /// Puts the same picture in another size in the place of this one.
    pub(super) fn replace(&mut self, planes: Planes) {
        let size = (planes.width, planes.height);
        self.unit = self.unit_at_first * size.0 as f32 / self.original.0 as f32;
        self.planes = planes;
        if self.mask.values.iter().any(|&value| value > 0.0) {
            let area = Area::whole(&self.mask);
            self.mask = resample(&self.mask, area, size, Kernel::Bilinear, true);
        } else {
            self.mask = Planes::filled(1, size.1, size.0, 0.0);
        }
    }

    /// The picture in its final size and range.
    pub(super) fn finish(mut self) -> Degraded {
        let kernel = Kernel::Bicubic { a: -0.5 };
        self.resize(self.target, kernel, true);
        self.planes.clamp();
        self.mask.clamp();
        Degraded {
            planes: self.planes,
            mask: self.mask,
            applied: self.applied,
        }
    }
}

/// A number for the list of what was done, without the noise of the conversion to 64 bits.
pub(super) fn number(value: f32) -> Value {
    Value::Number((f64::from(value) * 1e4).round() / 1e4)
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}
