//! What a run would cost, from the headers of the archive and a few pictures done on trial.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use fonds_core::{Code, Error, Limits, Result};
use fonds_image::decode::Document;
use fonds_ingest::{Fate, Found, in_shard};

use crate::plan::Plan;
use crate::run::{RunOptions, ready, run, survey};

/// At most this many headers are read; a larger archive is extrapolated from them.
const HEADERS: usize = 400;

/// What `fonds plan` tells about an archive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    /// Every file found.
    pub found: u64,
    /// Files that the pipeline selects.
    pub selected: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pixels of their first pages; extrapolated when not every header was read.
    pub pixels: u64,
    /// How many headers the pixels come from.
    pub headers: u64,
    /// How many of those could not be read.
    pub unreadable: u64,
    /// What the trial says, if there was one.
    pub trial: Option<Trial>,
}

/// Pictures that were really processed, into a folder that is gone again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// How many.
    pub files: u64,
    /// Of those, how many failed.
    pub failed: u64,
    /// How long they took.
    pub took: Duration,
    /// Bytes that they would leave in the output folder.
    pub written: u64,
    /// The time that all selected files would take.
    pub all_time: Duration,
    /// The bytes that they would leave.
    pub all_written: u64,
}

/// Looks at an archive and, when `sample` is above 0, does that many of its pictures on trial.
/// Nothing is written to the output folder.
///
/// # Errors
/// As [`run`], as far as archive and steps are concerned; when no folder for the trial can be made.
pub fn estimate(plan: &Arc<Plan>, options: &RunOptions, sample: u32) -> Result<Estimate> {
    let archive = survey(plan, options)?;
    ready(plan)?;
    let selected: Vec<&Found> = archive
        .files
        .iter()
        .filter(|found| {
            matches!(found.fate, Fate::Selected) && in_shard(&found.path, options.shard)
        })
        .collect();
    let mut estimate = Estimate {
        found: archive.files.len() as u64,
        selected: selected.len() as u64,
        bytes: selected.iter().map(|found| found.stamp.size).sum(),
        ..Estimate::default()
    };
    let looked = spread(&selected, HEADERS);
    let sizes: Vec<Option<u64>> = looked
        .iter()
        .map(|found| pixels(&found.on_disk(&options.input), &plan.limits))
        .collect();
    estimate.headers = sizes.len() as u64;
    estimate.unreadable = sizes.iter().filter(|size| size.is_none()).count() as u64;
    let seen: u64 = sizes.iter().flatten().sum();
    estimate.pixels = scaled(seen, estimate.selected, estimate.headers);
    if sample > 0 && !selected.is_empty() {
        let trial = trial(
            plan,
            options,
            &spread(&selected, sample as usize),
            &estimate,
        )?;
        estimate.trial = Some(trial);
    }
    Ok(estimate)
}

/// `count` of the files, evenly over the archive.
fn spread<'a>(files: &[&'a Found], count: usize) -> Vec<&'a Found> {
    let count = count.min(files.len());
    (0..count).map(|i| files[i * files.len() / count]).collect()
}

fn pixels(path: &Path, limits: &Limits) -> Option<u64> {
    let bytes = fs::read(path).ok()?;
    let facts = Document::open(&bytes, limits).ok()?.probe(0).ok()?;
    Some(u64::from(facts.width) * u64::from(facts.height))
}

fn scaled(part: u64, whole: u64, of: u64) -> u64 {
    (part as f64 * whole as f64 / of.max(1) as f64) as u64
}

fn trial(
    plan: &Arc<Plan>,
    options: &RunOptions,
    files: &[&Found],
    estimate: &Estimate,
) -> Result<Trial> {
    let folder = TrialFolder::create()?;
    let mut trial_options = options.clone();
    trial_options.output.clone_from(&folder.0);
    trial_options.paths = Some(
        files
            .iter()
            .map(|found| found.path.as_str().to_owned())
            .collect(),
    );
    let start = Instant::now();
    let report = run(plan, &trial_options, &AtomicBool::new(false), &|_| {})?;
    let took = start.elapsed();
    let written = ["derivatives", "objects"].map(|name| bytes_below(&folder.0.join(name)));
    let written = written.iter().sum();
    let tried: u64 = files.iter().map(|found| found.stamp.size).sum();
    // Time and output grow with the pictures' bytes rather than with their number.
    let factor = estimate.bytes as f64 / tried.max(1) as f64;
    Ok(Trial {
        files: files.len() as u64,
        failed: report.counts.failed,
        took,
        written,
        all_time: took.mul_f64(factor.max(0.0)),
        all_written: (written as f64 * factor) as u64,
    })
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        });
    sizes.sum()
}

/// A folder for the trial that goes when the trial is over.
struct TrialFolder(PathBuf);

impl TrialFolder {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("fonds-trial-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&path).map_err(|error| {
            Error::from_io(
                error,
                Code::WriteFailed,
                "no folder for the trial can be made",
            )
            .at_path(&path)
            .hint("set TMPDIR to a folder with room, or use --sample 0")
        })?;
        Ok(Self(path))
    }
}

impl Drop for TrialFolder {
    fn drop(&mut self) {
        // A folder in the system's temporary place that cannot be removed harms nobody.
        let removed = fs::remove_dir_all(&self.0);
        drop(removed);
    }
}
