//! From a data set's samples to the batches that trainers take.

use std::sync::Arc;

use fonds_core::{Code, Error, Result, Seed};
use fonds_ingest::dataset::{Dataset, Label, Sample};
use fonds_nn::train::{Batch, Stack};

/// Samples as a batch, with the condition of each where there are so many.
pub(super) fn batch(samples: &[Sample], conditions: usize) -> Result<Batch> {
    let Some(first) = samples.first() else {
        return Err(Error::new(Code::Internal, "a batch without samples"));
    };
    let stacks = (0..first.pictures.len()).map(|kind| {
        let one = &first.pictures[kind];
        let mut values = Vec::with_capacity(samples.len() * one.values.len());
        for sample in samples {
            values.extend_from_slice(&sample.pictures[kind].values);
        }
        Stack {
            dims: [samples.len(), one.channels, one.height, one.width],
            values,
        }
    });
    let condition = (conditions > 0).then(|| {
        let rows = samples.iter().map(|sample| row(sample, conditions));
        rows.collect::<Result<Vec<_>>>()
    });
    Batch::from_stacks(stacks.collect(), condition.transpose()?)
}

fn row(sample: &Sample, conditions: usize) -> Result<Vec<f32>> {
    let mut row = vec![0.0; conditions];
    match &sample.label {
        Some(Label::Class(class)) if *class < conditions => row[*class] = 1.0,
        Some(Label::Attributes(has)) if has.len() == conditions => {
            for (value, &has) in row.iter_mut().zip(has) {
                *value = f32::from(u8::from(has));
            }
        }
        _ => {
            let message = format!("the sample has no label among {conditions} conditions");
            return Err(Error::new(Code::InvalidRequest, message).at_path(&sample.name));
        }
    }
    Ok(row)
}

/// Up to `count` samples, evenly from the whole data set, always the same; pictures that cannot be
/// used are passed over. Where pictures give several samples in an epoch, so they do here, cut at
/// other places.
pub(super) fn fixed(dataset: &Arc<Dataset>, count: usize, seed: u64) -> Vec<Sample> {
    let len = dataset.len();
    let count = count.min(dataset.epoch_len());
    let seed = Seed::new(seed);
    let samples = (0..count).filter_map(|number| {
        let index = if count <= len {
            number * len / count
        } else {
            number % len
        };
        // Each has chance of its own: one scratch on all of them would be one sample.
        let draw = seed.derive(&format!("fixed {number}"));
        dataset.sample(index, draw.value()).ok()
    });
    samples.collect()
}
