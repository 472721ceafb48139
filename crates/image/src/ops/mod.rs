//! Classical restoration: one operation a file, none of which invents anything.
//!
//! Every operation is a plain struct of documented parameters with a `Default`, a `validate()`
//! that names the valid ranges, and an `apply(raster)` that returns the picture and, when it acted,
//! what it did. The corrective ones measure first and leave a picture alone that needs nothing:
//! then the samples that come out are the ones that went in.
//!
//! | operation | when it acts |
//! | --- | --- |
//! | [`Crop`] | a scanner bed or film rebate is found with certainty |
//! | [`Deskew`] | lines of text, or the edges of a print on its bed, show a rotation |
//! | [`Tone`] | the picture leaves much of the range unused |
//! | [`Denoise`] | the measured noise is above a threshold |
//! | [`Despeckle`] | specks are found; samples outside them stay as they are |
//! | [`Clahe`], [`Match`], [`Sharpen`], [`Resize`], [`Binarize`], [`Gray`], [`Thumbnail`] | when asked |
//!
//! Samples keep their depth (8 and 16 bits, float), their profile and their resolution; alpha is
//! carried along, moved by the operations that move pixels. Results do not depend on the number
//! of threads. Beside the picture that comes in and the one that goes out, operations use at most
//! three bytes a pixel.
//!
//! ```
//! use fonds_core::{PixelFormat, Raster};
//! use fonds_image::ops::Tone;
//!
//! # fn main() -> fonds_core::Result<()> {
//! let outcome = Tone::default().apply(Raster::new(32, 32, PixelFormat::RGB8))?;
//! assert!(outcome.change.is_none(), "an empty picture has no tones to stretch");
//! # Ok(())
//! # }
//! ```

mod binarize;
mod clahe;
mod crop;
mod denoise;
mod deskew;
mod despeckle;
mod grain;
mod gray;
mod matching;
pub mod repair;
mod resize;
mod sharpen;
mod thumbnail;
mod tone;

mod median;
mod nlm;
mod rotate;
mod specks;
pub(crate) mod support;

pub use binarize::Binarize;
pub use clahe::Clahe;
pub use crop::Crop;
pub use denoise::{Denoise, DenoiseMethod};
pub use deskew::{Deskew, Fill};
pub use despeckle::{Despeckle, SpeckSign};
pub use grain::keep_grain;
pub use gray::Gray;
pub use matching::{Match, MatchMethod, Reference};
pub use resize::{Filter, Resize, Target};
pub use sharpen::Sharpen;
pub use thumbnail::Thumbnail;
pub use tone::{Tone, ToneMode};
