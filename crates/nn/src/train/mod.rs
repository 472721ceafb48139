//! Training: optimisers whose state can be saved, learning rates over time, averaged weights.
//!
//! candle's own optimisers keep their moments to themselves, so that a training run cannot be
//! resumed exactly; these hand them out by name and take them back.

mod average;
mod optimizer;
mod schedule;
mod update;

pub use average::Average;
pub use optimizer::{Optimizer, OptimizerConfig, Rule, clip_by_norm};
pub use schedule::Schedule;
