//! Training: networks that learn, and what a loop has to know of those who teach them.
//!
//! A [`Learner`] is a network with its [`Parameters`], its [`Optimizer`], a [`Schedule`] and perhaps
//! an [`Average`] of its weights. A [`Trainer`] takes steps on one or more learners; all that it
//! remembers is a [`State`], and all chance comes from a seed, a purpose and a step ([`Chance`]), so
//! that a run that is stopped and resumed is the run that was never stopped, to the byte.
//!
//! candle's own optimisers keep their moments to themselves, which rules that out; these hand them
//! out by name and take them back.

mod average;
mod chance;
mod exchange;
#[cfg(test)]
mod gradients;
mod learner;
mod optimizer;
mod parameters;
mod pictures;
mod schedule;
mod second_order;
mod state;
mod trainer;
mod update;

pub use average::Average;
pub use candle_core::{DType, Device};
pub use chance::Chance;
pub use exchange::{Pixels, Stack};
pub use learner::{Learner, Lesson, Make};
pub use optimizer::{Optimizer, OptimizerConfig, Rule, clip_by_norm};
pub use parameters::{Initialization, Parameters};
pub use pictures::{export, for_use, forward, from_range, into_range, rows, shown, translate};
pub use schedule::Schedule;
pub use second_order::{SECOND_ORDER, check_second_order};
pub use state::{State, to_candle, to_weights};
pub use trainer::{Batch, Export, Terms, Trainer, Verdict};
