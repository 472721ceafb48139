//! What stands between convolutions, on the engine's activations.
//!
//! All operations take whole batches, read nothing beyond the border, leave the border zero and
//! write zero into the lanes beyond the last channel. They are parallel over rows; sums are taken
//! in `f64` over bands of rows that do not depend on the number of threads, and the bands are added
//! in their order. NaN goes through every one of them, so that a runaway network is noticed at its
//! end.

mod arithmetic;
mod compare;
mod layout;
mod normalize;
mod pixels;
mod pooling;
#[cfg(test)]
mod reference;
mod resample;
mod rows;
mod shuffle;
mod statistics;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod threads;

pub use layout::{PadMode, Padding, Rectangle};
pub use normalize::Normalization;
pub use pixels::{Levels, Pixels, PixelsMut};
pub use pooling::Window;
pub use statistics::ChannelSums;
