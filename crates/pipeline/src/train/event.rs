//! What a training run tells while it goes on: a closed set of events.

use std::path::PathBuf;
use std::time::Duration;

/// Something that happened in a training run.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent {
    /// Data and networks are there; training begins.
    Started {
        /// The name in the training file.
        name: String,
        /// Steps that were taken in earlier runs.
        done: u64,
        /// Steps that this run goes to.
        steps: u64,
        /// Networks and their parameters.
        networks: Vec<(String, usize)>,
        /// Pictures of the data set.
        pictures: usize,
        /// Files that were left out when the data set was opened.
        skipped: usize,
        /// What networks run on.
        device: String,
    },
    /// Something that the user should know.
    Note {
        /// One line.
        message: String,
    },
    /// A checkpoint could not be used and an older one is tried.
    PassedOver {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A step was taken.
    Step {
        /// Its number, counted from 1: how many have been taken.
        step: u64,
        /// Losses by name.
        terms: Vec<(&'static str, f64)>,
        /// How long it took, with reading the batch.
        took: Duration,
    },
    /// A grid of samples was written.
    Sampled {
        /// Steps taken.
        step: u64,
        /// The file.
        path: PathBuf,
    },
    /// Samples were measured against the data.
    Measured {
        /// Steps taken.
        step: u64,
        /// Figures by name, as in `measures.csv`.
        figures: Vec<(&'static str, f64)>,
    },
    /// A watchman warns.
    Warning {
        /// Steps taken.
        step: u64,
        /// Which one.
        kind: Alarm,
        /// One line.
        message: String,
    },
    /// A checkpoint is on the disk.
    Saved {
        /// Steps taken.
        step: u64,
        /// The file.
        path: PathBuf,
    },
    /// A network and its card were written.
    Exported {
        /// The weights.
        path: PathBuf,
    },
    /// No further step is taken.
    Ended {
        /// Steps taken in all.
        step: u64,
        /// Why, when not all steps of the file were taken.
        stop: Option<TrainStop>,
        /// The run folder.
        output: PathBuf,
    },
}

/// What a watchman warns of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// The discriminator recognises nearly everything: the generator learns nothing from it.
    Saturated,
    /// The discriminator recognises no made picture any more.
    Fooled,
    /// A loss has left its usual size.
    LossDiverged,
    /// The weights have grown out of all proportion.
    WeightsDiverged,
    /// The weights have grown by leaps: the learning rate is far too large.
    WeightsLeapt,
    /// Samples are more alike than the data.
    Collapsed,
    /// Samples are closer to training pictures than these are to each other.
    Copied,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Saturated,
        Self::Fooled,
        Self::LossDiverged,
        Self::WeightsDiverged,
        Self::WeightsLeapt,
        Self::Collapsed,
        Self::Copied,
    ];

    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Saturated => "discriminator_saturated",
            Self::Fooled => "discriminator_fooled",
            Self::LossDiverged => "loss_diverged",
            Self::WeightsDiverged => "weights_diverged",
            Self::WeightsLeapt => "weights_leapt",
            Self::Collapsed => "mode_collapse",
            Self::Copied => "memorisation",
        }
    }
}

/// Why a training run stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainStop {
    /// The user asked for it; what was reached is saved.
    Interrupted,
    /// It was to take no more steps than these (`--steps`); what was reached is saved.
    Limit,
    /// A loss or a weight was no finite number.
    NotFinite,
    /// A watchman warned and `on_warning` is `stop`; what was reached is saved.
    Warned,
}

impl TrainStop {
    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Limit => "limit",
            Self::NotFinite => "not_finite",
            Self::Warned => "warned",
        }
    }
}
