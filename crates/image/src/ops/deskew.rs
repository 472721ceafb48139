//! Deskew: turns pages and prints upright.

use fonds_core::{Change, Outcome, Raster, Result};

use super::rotate::rotated;
use super::support::params::{in_range, invalid};
use super::support::reduce::Reduced;
use crate::measure::skew::{self, RANGE};

/// What the corners show that a rotation opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fill {
    /// The nearest pixel of the picture.
    #[default]
    Nearest,
    /// Opaque white.
    White,
}

/// Rotates a page by the angle of its lines of text, or a print by its edges on the scanner bed.
///
/// Without lines of text or at least two straight edges that agree nothing happens: the content
/// of a photograph never decides. The picture is sampled once, by a bicubic (Catmull-Rom) filter;
/// the canvas grows so that nothing is lost. Acts on all depths; the change records
/// `angle_degrees` (clockwise), by which the picture was rotated, and the `confidence`.
#[derive(Debug, Clone, PartialEq)]
pub struct Deskew {
    /// Rotations of more degrees than this are not trusted: nothing happens. 0 to 10.
    pub max_angle: f64,
    /// Rotations of fewer degrees than this are not worth a resampling. 0 to 10.
    pub min_angle: f64,
    /// What the opened corners show.
    pub fill: Fill,
}

impl Default for Deskew {
    fn default() -> Self {
        Self {
            max_angle: 5.0,
            min_angle: 0.3,
            fill: Fill::Nearest,
        }
    }
}

impl Deskew {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("max_angle", self.max_angle, &(0.0..=RANGE))?;
        in_range("min_angle", self.min_angle, &(0.0..=RANGE))?;
        if self.min_angle > self.max_angle {
            let (min, max) = (self.min_angle, self.max_angle);
            return Err(invalid(format!(
                "`min_angle` is {min}, but must not exceed `max_angle`, which is {max}"
            )));
        }
        Ok(())
    }

    /// Rotates, or leaves the picture alone when it is upright or shows no angle.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let Some(skew) = skew::find(&Reduced::of(&raster).luma()) else {
            return Ok(Outcome::unchanged(raster));
        };
        let size = skew.degrees.abs();
        if size < self.min_angle || size > self.max_angle || size == 0.0 {
            return Ok(Outcome::unchanged(raster));
        }
        let evidence = if skew.text {
            "its lines of text"
        } else {
            "its edges"
        };
        let change = Change::new(format!("rotated by {:.2}° after {evidence}", -skew.degrees))
            .value("angle_degrees", -skew.degrees)
            .value("confidence", skew.confidence);
        Ok(Outcome::changed(
            rotated(&raster, -skew.degrees, self.fill),
            change,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;
    use fonds_core::{ColorModel, Samples};

    fn page(degrees: f64) -> Raster {
        let plane = synthetic::text(420, 560, degrees);
        let samples = Samples::U8(plane.data().iter().map(|v| *v as u8).collect());
        Raster::from_samples(420, 560, ColorModel::Gray, false, samples).unwrap()
    }

    #[test]
    fn a_rotated_page_becomes_straight() {
        for degrees in [-3.0, 0.8, 4.5] {
            let outcome = Deskew::default().apply(page(degrees)).unwrap();
            let change = outcome.change.unwrap();
            assert!((change.values[0].1 + degrees).abs() < 0.12);
            let left = skew::find(&Reduced::of(&outcome.raster).luma()).unwrap();
            assert!(left.degrees.abs() < 0.12, "{degrees}: {}", left.degrees);
        }
    }

    #[test]
    fn limits_are_kept() {
        for degrees in [0.0, 0.1, 6.0] {
            let outcome = Deskew::default().apply(page(degrees)).unwrap();
            assert_eq!(outcome, Outcome::unchanged(page(degrees)), "{degrees}");
        }
        let contradiction = Deskew {
            min_angle: 6.0,
            ..Deskew::default()
        };
        assert!(contradiction.validate().is_err());
    }
}
