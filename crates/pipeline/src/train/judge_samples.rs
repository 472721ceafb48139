//! A folder of samples measured against a folder of data: `fonds eval --samples`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_core::Result;
use fonds_ingest::dataset::{Dataset, Fit, Options, Source};
use fonds_nn::train::Pixels;

use super::feed;
use super::measure::{Closeness, SetDistance, closeness, compare};
use super::seer::Seer;
use crate::perception::Perception;

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOptions {
    /// The folder of samples.
    pub samples: PathBuf,
    /// The folder of data.
    pub data: PathBuf,
    /// The network whose features are compared; pooled pixels without one.
    pub features: Option<PathBuf>,
    /// The weights of the layers of LPIPS, which then is the measure of variety; needs `SqueezeNet`
    /// 1.1 as features.
    pub heads: Option<PathBuf>,
    /// The side to which all pictures are brought, in pixels.
    pub size: usize,
    /// The most pictures of each folder that are taken.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SetScores {
    /// By what pictures were compared.
    pub features: String,
    /// How many samples, and how many pictures of the data.
    pub counts: (usize, usize),
    /// The distances of the sets.
    pub distance: SetDistance,
    /// How close samples come to the data; none when its pictures are few or equal.
    pub closeness: Option<Closeness>,
    /// The mean LPIPS of samples to each other, and that of the data.
    pub diversity: Option<(f64, f64)>,
}

/// Measures samples against data.
///
/// # Errors
/// `invalid_request` for folders with fewer than two pictures, `model_error` for weights.
pub fn compare_sets(options: &SetOptions) -> Result<SetScores> {
    let seer = match &options.features {
        Some(path) => Seer::open(path)?,
        None => Seer::pixels(),
    };
    let metric = Perception::open(options.features.as_deref(), options.heads.as_deref())?;
    let samples = pictures(&options.samples, options)?;
    let data = pictures(&options.data, options)?;
    let (of_samples, of_data) = (seer.see(&samples)?, seer.see(&data)?);
    let diversity = match &metric {
        Some(metric) => Some((variety(metric, &samples)?, variety(metric, &data)?)),
        None => None,
    };
    Ok(SetScores {
        features: seer.name().to_owned(),
        counts: (samples.len(), data.len()),
        distance: compare(&of_samples, &of_data)?,
        closeness: closeness(&of_samples, &of_data),
        diversity,
    })
}

fn pictures(folder: &Path, options: &SetOptions) -> Result<Vec<Pixels>> {
    let source = Source::Folder {
        path: folder.to_owned(),
    };
    let cut = Options {
        size: (options.size, options.size),
        fit: Fit::Cover,
        ..Options::default()
    };
    let dataset = Arc::new(Dataset::open(&source, &cut)?);
    let samples = feed::fixed(&dataset, options.limit, 0);
    let mut pictures = Vec::with_capacity(samples.len());
    for part in samples.chunks(64) {
        pictures.extend(Pixels::all(feed::batch(part, 0)?.kind(0)?)?);
    }
    Ok(pictures)
}

/// The mean LPIPS of each picture to the next one; of many pictures this is the mean of all pairs at
/// a small part of the work.
fn variety(metric: &Perception, pictures: &[Pixels]) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for pair in pictures.windows(2) {
        let size = (pair[0].width, pair[0].height);
        sum += metric.distance(size, &pair[0].values, &pair[1].values)?;
        count += 1.0;
    }
    Ok(sum / f64::max(count, 1.0))
}
