//! What a step is: one raster in, one raster out, and everything declared before anything runs.

use std::fmt::Debug;

use std::time::Duration;

use fonds_core::{Outcome, PixelFormat, Raster, Result, Seed};

use crate::plan::Gate;
use crate::run::Clock;

/// What kind of act a step is, for the label on what it altered (IPTC Digital Source Type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Resizing, cropping, rotating, converting: the picture keeps its source's term.
    Geometry,
    /// Correction by an algorithm that invents nothing: `algorithmicallyEnhanced`.
    Enhancement,
    /// Content made by a trained model: `compositeWithTrainedAlgorithmicMedia`.
    Generative,
}

/// How much memory a step takes, beside its input, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Scratch bytes for each pixel of the input.
    pub scratch_per_pixel: f64,
    /// Bytes that are taken once for all pictures, not for each: weights, and what the tiles of a
    /// network need on a device that does one picture at a time.
    pub shared: u64,
    /// Pixels of the output for each pixel of the input, an upper bound.
    pub growth: f64,
}

impl Cost {
    /// For an operation that works in place with small scratch memory.
    pub const IN_PLACE: Self = Self {
        scratch_per_pixel: 1.0,
        shared: 0,
        growth: 1.0,
    };
}

/// What a step may know beside its picture.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The step's id in the pipeline.
    pub id: &'a str,
    /// A seed for this picture and this step, the same in every run.
    pub seed: Seed,
    /// The path of the picture's file, relative to the archive's root; none outside of a run.
    pub source: Option<&'a str>,
    /// The picture's number in a file of several pages, counted from 1.
    pub page: Option<u32>,
    clock: Option<&'a Clock>,
}

impl<'a> StepContext<'a> {
    /// A context outside of a run.
    pub fn new(id: &'a str, seed: Seed) -> Self {
        Self {
            id,
            seed,
            source: None,
            page: None,
            clock: None,
        }
    }

    pub(crate) fn timed(id: &'a str, seed: Seed, clock: &'a Clock) -> Self {
        Self {
            clock: Some(clock),
            ..Self::new(id, seed)
        }
    }

    /// The same for a picture of the archive.
    #[must_use]
    pub fn of_page(self, source: &'a str, page: Option<u32>) -> Self {
        Self {
            source: Some(source),
            page,
            ..self
        }
    }

    #[cfg(feature = "restore")]
    pub(crate) fn clock(&self) -> Option<&Clock> {
        self.clock
    }

    /// Waits for something that other pictures use, such as a device; the time that it takes does
    /// not count towards `timeout_per_file`.
    pub fn wait<T>(&self, wait: impl FnOnce() -> T) -> T {
        match self.clock {
            Some(clock) => clock.wait(wait),
            None => wait(),
        }
    }

    /// Grants this picture time beyond `timeout_per_file`: what the step's work takes at the
    /// slowest, where that can be foreseen.
    pub fn allow(&self, time: Duration) {
        if let Some(clock) = self.clock {
            clock.allow(time);
        }
    }
}

/// What a step computes on, for the record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunsOn {
    /// The devices: `cpu`, `cuda:0 (f16)`.
    pub device: String,
    /// The code path where the same device has several: `avx512`.
    pub kernel: String,
}

/// The model behind a step, for its records.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// The licence of its weights.
    pub licence: String,
    /// What it was trained on.
    pub training_data: String,
}

/// One operation of a pipeline, ready to run.
///
/// A step knows one picture and no paths; it must give the same samples for the same input,
/// parameters and seed, whatever the number of threads.
pub trait Step: Debug + Send + Sync {
    /// Raised whenever the same input and parameters give other samples than before: results of
    /// earlier versions are then made anew.
    fn version(&self) -> u32;

    /// What kind of act this is.
    fn act(&self) -> Act;

    /// The format that comes out for a format that goes in; an error when the step cannot take it.
    fn output(&self, input: PixelFormat) -> Result<PixelFormat>;

    /// Memory beside the input.
    fn cost(&self) -> Cost;

    /// The resolved parameters, defaults included: part of the resume key and of the sidecar.
    fn parameters(&self) -> serde_json::Value;

    /// The model that does the work, where there is one.
    fn model(&self) -> Option<ModelInfo> {
        None
    }

    /// What the step looks at by itself before it acts: one of these must admit the picture, or the
    /// step finds nothing to do. Empty when it looks at nothing, or at what has no name in
    /// [`fonds_image::measure::Measure`].
    fn acts_when_any(&self) -> Vec<Gate> {
        Vec::new()
    }

    /// Whether its changes come with a mask of the damage that it found, which an output may show.
    fn makes_mask(&self) -> bool {
        false
    }

    /// Gets ready for the first picture: called once before a run looks at any, and by whoever
    /// applies the step alone. What cannot be had (a device, memory for weights) is an error here.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// What it computes on, once prepared; `None` for plain code on the processor.
    fn runs_on(&self) -> Option<RunsOn> {
        None
    }

    /// Does the work. `Outcome::change` is `None` when nothing needed doing.
    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome>;
}
