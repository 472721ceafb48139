//! Networks.

pub mod engine;
pub mod metrics;
#[doc(hidden)]
pub mod testing;
pub mod weights;
