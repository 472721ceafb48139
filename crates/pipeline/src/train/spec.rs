//! The training file as it was written, read table by table so that one pass finds every mistake.

use fonds_core::{Code, Error};
use serde::Deserialize;

use super::data::{self, DataPlan};
use crate::reader::{Args, At, Sink, near_miss, parse};

/// Kinds of sources under `from`.
pub(super) const SOURCES: [&str; 7] = [
    "folder",
    "class_folders",
    "unpaired",
    "paired",
    "side_by_side",
    "celeba",
    "manifest",
];

/// What becomes of a run whose watchmen warn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnWarning {
    /// It goes on.
    #[default]
    Continue,
    /// It saves a checkpoint and stops.
    Stop,
}

/// `[output]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPlan {
    /// Steps from one checkpoint to the next.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept.
    pub keep: usize,
    /// Steps from one grid of samples to the next; 0 for none.
    pub sample_every: u64,
    /// How many samples a grid shows.
    pub samples: usize,
    /// Steps from one line of `train.csv` to the next.
    pub log_every: u64,
    /// Steps from one measurement to the next; 0 for none.
    pub measure_every: u64,
    /// How many pictures a measurement takes of each kind.
    pub measured: usize,
}

/// `[watch]`: when the watchmen warn.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchPlan {
    /// What becomes of the run then.
    pub on_warning: OnWarning,
    /// Steps that means are taken over.
    pub window: u64,
    /// The discriminator is saturated when it recognises more than this share of real and of made
    /// pictures alike, 0 to 1.
    pub saturated: f64,
    /// The generator has won when the discriminator recognises less than this share of made
    /// pictures, 0 to 1.
    pub fooled: f64,
    /// A loss diverges when its mean over the window is more than so many times as far from 0 as it
    /// has been over the steps before.
    pub diverged: f64,
    /// Weights diverge when their norm is more than so many times that at the beginning.
    pub grown: f64,
    /// Weights leap when their norm is more than so many times that of a window before: a learning
    /// rate that is far too large shows here first. With usual ones they grow by some per cent.
    pub leapt: f64,
    /// Samples have collapsed when their mean distance from each other is below this share of that
    /// of the data, 0 to 1.
    pub collapsed: f64,
    /// A sample is taken for a copy of a training picture when it is closer to it than this share of
    /// the distance at which the data's own pictures have their nearest neighbours.
    pub copied: f64,
    /// The network whose features measurements compare, a file; without one pooled pixels.
    pub features: Option<String>,
}

/// The whole file.
#[derive(Debug)]
pub(super) struct Spec<'i, 's> {
    pub(super) name: Option<At<String>>,
    pub(super) description: String,
    pub(super) seed: u64,
    pub(super) steps: Option<At<u64>>,
    pub(super) batch: Option<At<usize>>,
    pub(super) data: DataPlan,
    pub(super) data_offset: usize,
    pub(super) train: Option<(At<String>, Args<'i, 's>)>,
    pub(super) output: OutputPlan,
    pub(super) watch: WatchPlan,
}

impl<'i, 's> Spec<'i, 's> {
    /// Reads a file; what is wrong with it is in the sink, what is right is returned.
    pub(super) fn read(sink: &'s Sink<'i>, text: &'i str) -> Self {
        let mut file = Args::new(sink, "a training file", parse(sink, text));
        for key in ["name", "steps", "batch", "data", "train"] {
            if !file.has(key) {
                let message = format!("the training file has no `{key}`");
                let error = Error::new(Code::InvalidRequest, message);
                sink.report(0, error.hint(example(key)));
            }
        }
        let data = file.optional_table("data");
        let data_offset = data.as_ref().map_or(0, Args::offset);
        let spec = Self {
            name: file.take("name"),
            description: file.value("description").unwrap_or_default(),
            seed: file.value("seed").unwrap_or_default(),
            steps: file.take("steps"),
            batch: file.take("batch"),
            data: data::read(data.unwrap_or_else(|| Args::absent(sink, "data"))),
            data_offset,
            train: tagged(&mut file, "train", &super::game_spec::TRAINERS),
            output: read_output(file.table("output")),
            watch: read_watch(file.table("watch")),
        };
        file.finish();
        spec
    }
}

fn example(key: &str) -> &'static str {
    match key {
        "name" => "begin the file with: name = \"my-training\"",
        "steps" => "say how long to train: steps = 20000",
        "batch" => "say how many samples a step takes: batch = 16",
        "data" => "add: [data] and below it from.folder = { path = \"pictures\" }",
        _ => "add one of train.noise, train.pix2pix, train.cyclegan, train.super_resolution",
    }
}

/// The one entry of the table under `key`, its name checked against those that there are; nothing
/// when the key is left out or, after a report, when it is wrong.
pub(super) fn tagged<'i, 's>(
    args: &mut Args<'i, 's>,
    key: &'static str,
    names: &[&str],
) -> Option<(At<String>, Args<'i, 's>)> {
    let mut table = args.optional_table(key)?;
    let offset = table.offset();
    let mut entries = table.drain();
    if entries.len() != 1 {
        let message = format!("`{key}` names one of its kinds, found {}", entries.len());
        let error = Error::new(Code::InvalidRequest, message);
        table.report(
            offset,
            error.hint(format!("kinds are {}", names.join(", "))),
        );
        return None;
    }
    let (name, value) = entries.remove(0);
    if !names.contains(&name.value.as_str()) {
        let message = format!("unknown kind `{}` of `{key}`", name.value);
        let error = Error::new(Code::InvalidRequest, message);
        let hint = near_miss(&name.value, names.iter().copied());
        table.report(name.offset, error.hint(hint));
        return None;
    }
    let inner = table.as_table(&format!("{key}.{}", name.value), value)?;
    Some((name, inner))
}

/// A value that must be in a range; outside of it, it is reported and the default is taken.
pub(super) fn within<T>(
    args: &mut Args<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<T>,
    default: T,
) -> T
where
    T: serde::de::DeserializeOwned + PartialOrd + std::fmt::Display,
{
    let Some(at) = args.take::<T>(key) else {
        return default;
    };
    if range.contains(&at.value) {
        return at.value;
    }
    let (low, high) = (range.start(), range.end());
    let message = format!("`{key}` is {}, allowed is {low} to {high}", at.value);
    args.report(at.offset, Error::new(Code::InvalidRequest, message));
    default
}

/// More steps than any training takes.
pub(super) const MOST_STEPS: u64 = 1_000_000_000;

fn read_output(mut args: Args<'_, '_>) -> OutputPlan {
    let plan = OutputPlan {
        checkpoint_every: within(&mut args, "checkpoint_every", 1..=MOST_STEPS, 1000),
        keep: within(&mut args, "keep", 1..=1000, 3),
        sample_every: within(&mut args, "sample_every", 0..=MOST_STEPS, 500),
        samples: within(&mut args, "samples", 1..=256, 16),
        log_every: within(&mut args, "log_every", 1..=MOST_STEPS, 1),
        measure_every: within(&mut args, "measure_every", 0..=MOST_STEPS, 1000),
        measured: within(&mut args, "measured", 8..=50_000, 128),
    };
    args.finish();
    plan
}

fn read_watch(mut args: Args<'_, '_>) -> WatchPlan {
    let plan = WatchPlan {
        on_warning: args.value("on_warning").unwrap_or_default(),
        window: within(&mut args, "window", 2..=100_000, 200),
        saturated: within(&mut args, "saturated", 0.0..=1.0, 0.98),
        fooled: within(&mut args, "fooled", 0.0..=1.0, 0.02),
        diverged: within(&mut args, "diverged", 1.0..=1e9, 10.0),
        grown: within(&mut args, "grown", 1.0..=1e9, 20.0),
        leapt: within(&mut args, "leapt", 1.0..=1e9, 1.5),
        collapsed: within(&mut args, "collapsed", 0.0..=1.0, 0.3),
        copied: within(&mut args, "copied", 0.0..=1.0, 0.5),
        features: args.value("features"),
    };
    args.finish();
    plan
}
