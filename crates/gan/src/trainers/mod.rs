//! Trainers: who plays which game with which networks, step by step.
//!
//! Each takes a setup, makes its learners up (or is given weights), and is a
//! [`Trainer`](fonds_nn::train::Trainer) for any loop. Pictures come in from 0 to 1; what a network
//! wants instead is the trainer's business.

mod cyclegan;
mod judge;
mod noise;
#[cfg(test)]
mod parity;
mod pix2pix;
mod pool;
mod super_resolution;
mod translator;

pub use cyclegan::{CycleGan, CycleGanSetup};
pub use judge::Judge;
pub use noise::{Noise, NoiseSetup, NoiseSource, Penalty, sample};
pub use pix2pix::{Pix2Pix, Pix2PixSetup};
pub use pool::Pool;
pub use super_resolution::{Adversarial, SuperResolution, SuperResolutionSetup, Supervision};
pub use translator::Translator;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use fonds_core::Result;
use fonds_nn::backend::Backend;
use fonds_nn::error::TensorResult;
use fonds_nn::network::Range;
use fonds_nn::train::{Export, Learner, State};

/// Where a finished network is used during training: the engine on the CPU, else the device.
fn for_use(device: &Device) -> Backend {
    if device.is_cpu() {
        return Backend::Engine(Arc::clone(fonds_nn::gradient::engine()));
    }
    Backend::Tensors {
        device: device.clone(),
        dtype: candle_core::DType::F32,
    }
}

/// Pictures from 0 to 1 in a network's range.
fn into_range(pictures: &Tensor, range: Range) -> Result<Tensor> {
    scaled(pictures, range.from_unit())
}

/// Pictures in a network's range as 0 to 1.
fn from_range(pictures: &Tensor, range: Range) -> Result<Tensor> {
    scaled(pictures, range.to_unit())
}

fn scaled(pictures: &Tensor, (scale, shift): (f32, f32)) -> Result<Tensor> {
    if (scale, shift) == (1.0, 0.0) {
        return Ok(pictures.clone());
    }
    let (scale, shift) = (f64::from(scale), f64::from(shift));
    pictures.affine(scale, shift).in_network()
}

/// One picture of a batch, `[channels, height, width]`, within 0 to 1.
fn shown(pictures: &Tensor, index: usize) -> Result<Tensor> {
    let picture = pictures.get(index).and_then(|picture| {
        let picture = picture.detach().to_dtype(candle_core::DType::F32)?;
        picture.clamp(0.0, 1.0)?.to_device(&Device::Cpu)
    });
    picture.in_network()
}

/// Rows of one picture from each of several batches.
fn rows(columns: &[&Tensor]) -> Result<Vec<Vec<Tensor>>> {
    let count = columns.first().map_or(0, |column| column.dims()[0]);
    (0..count)
        .map(|index| columns.iter().map(|column| shown(column, index)).collect())
        .collect()
}

/// What a generator and its discriminator have to remember.
fn pair_state<G: ?Sized, D: ?Sized>(
    generator: &Learner<G>,
    discriminator: &Learner<D>,
) -> Result<State> {
    let mut state = State::default();
    state.nest("generator", generator.state()?);
    state.nest("discriminator", discriminator.state()?);
    Ok(state)
}

/// Takes back what [`pair_state`] gave.
fn restore_pair<G: ?Sized, D: ?Sized>(
    generator: &mut Learner<G>,
    discriminator: &mut Learner<D>,
    mut state: State,
) -> Result<()> {
    generator.restore(state.take("generator"))?;
    discriminator.restore(state.take("discriminator"))
}

/// A learner's network, to be kept.
fn export<N: ?Sized>(
    name: &'static str,
    what: &'static str,
    learner: &Learner<N>,
) -> Result<Export> {
    Ok(Export {
        name,
        what,
        tensors: learner.best()?,
        about: BTreeMap::new(),
    })
}

/// A boxed constructor of weights to a network.
fn maker<N: ?Sized>(
    make: impl Fn(fonds_nn::VarBuilder<'static>) -> Result<Box<N>> + Send + Sync + 'static,
) -> fonds_nn::train::Make<N> {
    Arc::new(make)
}
