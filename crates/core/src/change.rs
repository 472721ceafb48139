//! What an operation did to a picture.

use crate::raster::Raster;

/// What an operation returns: the picture, and what it did, if it did anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The picture; the one that came in, sample for sample, when `change` is `None`.
    pub raster: Raster,
    /// What was done; `None` when nothing needed doing.
    pub change: Option<Change>,
}

impl Outcome {
    /// Nothing needed doing.
    pub fn unchanged(raster: Raster) -> Self {
        Self {
            raster,
            change: None,
        }
    }

    /// The picture was changed.
    pub fn changed(raster: Raster, change: Change) -> Self {
        Self {
            raster,
            change: Some(change),
        }
    }
}

/// A record of what was done, in figures that a sidecar can list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// A short phrase, past tense, lower case: `rotated by 1.25°`.
    pub summary: String,
    /// What was measured or chosen on the way, by name: `angle_degrees`, `black_point`.
    pub values: Vec<(&'static str, f64)>,
    /// The share of pixels that differ, 0 to 1, for operations that keep the geometry.
    pub changed_share: Option<f64>,
    /// Which pixels an operation took for damaged, where it looks for such: an 8-bit gray picture
    /// of the same size, white where it did.
    pub mask: Option<Raster>,
}

impl Change {
    /// A change with this summary and nothing measured.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    /// Adds a figure.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: f64) -> Self {
        self.values.push((name, value));
        self
    }

    /// Adds what was taken for damaged.
    #[must_use]
    pub fn masked(mut self, mask: Raster) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Adds the share of pixels that differ.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.changed_share = Some(share);
        self
    }
}
