//! Networks that find damage and fill it, at work on whole pictures.
//!
//! What is found is a [`Mask`](fonds_image::ops::repair::Mask), as that of the classical detector
//! of `fonds_image::ops::repair`; either can be filled by either. Which network is which follows
//! from its channels: a [`Detector`] makes one channel of three, a [`Filler`] three of four.

mod detect;
mod fill;
mod source;
mod tiled;

#[cfg(test)]
mod tests;

pub use detect::Detector;
pub use fill::Filler;
