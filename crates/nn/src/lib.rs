//! Networks.

pub mod engine;
pub mod gradient;
pub mod metrics;
pub mod weights;
