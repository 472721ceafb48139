//! A folder of samples measured against a folder of data: `fonds eval --samples`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use fonds_ingest::dataset::{Dataset, Fit, Options, Source};
use fonds_nn::Backend;
use fonds_nn::act::Dims;
use fonds_nn::engine::Engine;
use fonds_nn::gradient;
use fonds_nn::metrics::Lpips;
use fonds_nn::train::Pixels;
use fonds_nn::weights::Checkpoint;

use super::feed;
use super::measure::{Closeness, SetDistance, closeness, compare};
use super::seer::Seer;

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
    let samples = pictures(&options.samples, options)?;
    let data = pictures(&options.data, options)?;
    let (of_samples, of_data) = (seer.see(&samples)?, seer.see(&data)?);
    let diversity = match (&options.features, &options.heads) {
        (Some(network), Some(heads)) => {
            let lpips = Variety::open(network, heads)?;
            Some((lpips.mean(&samples)?, lpips.mean(&data)?))
        }
        (None, Some(_)) => {
            let message = "LPIPS was asked for without the network that it compares by";
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give SqueezeNet 1.1 by --features"));
        }
        _ => None,
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

/// LPIPS between the pictures of one set.
struct Variety {
    metric: Lpips,
    backend: Backend,
}

impl Variety {
    fn open(network: &Path, heads: &Path) -> Result<Self> {
        let backend = Backend::Engine(Engine::new(gradient::engine().kernel()));
        let network = Checkpoint::read(network)?;
        let heads = Checkpoint::read(heads)?;
        Ok(Self {
            metric: Lpips::load(&network.tensors, &heads.tensors, &backend)?,
            backend,
        })
    }

    /// The mean distance of each picture to the next one; of many pictures this is the mean of all
    /// pairs at a small part of the work.
    fn mean(&self, pictures: &[Pixels]) -> Result<f64> {
        let act = |picture: &Pixels| {
            let dims = Dims {
                batch: 1,
                channels: 3,
                height: picture.height,
                width: picture.width,
            };
            let signed: Vec<f32> = picture.values.iter().map(|v| v * 2.0 - 1.0).collect();
            self.backend.import(dims, &signed)
        };
        let (mut sum, mut count) = (0.0, 0.0);
        for pair in pictures.windows(2) {
            sum += self.metric.distance(&act(&pair[0])?, &act(&pair[1])?)?[0];
            count += 1.0;
        }
        Ok(sum / f64::max(count, 1.0))
    }
}
