//! Networks.

pub mod engine;
pub mod metrics;
pub mod weights;
