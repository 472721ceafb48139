//! Networks.

pub mod engine;
pub mod gradient;
pub mod metrics;
#[doc(hidden)]
pub mod testing;
pub mod weights;
