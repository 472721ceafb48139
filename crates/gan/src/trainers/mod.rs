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
pub use translator::{FullSize, Translator};

use std::sync::Arc;

use fonds_core::Result;
use fonds_nn::train::{Learner, State};

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

/// A boxed constructor of weights to a network.
fn maker<N: ?Sized>(
    make: impl Fn(fonds_nn::VarBuilder<'static>) -> Result<Box<N>> + Send + Sync + 'static,
) -> fonds_nn::train::Make<N> {
    Arc::new(make)
}
