//! The shared nouns of fonds: what every other crate passes along and none of them owns.
//!
//! A scanned picture is a [`Raster`]: interleaved samples of 8, 16 or 32 bits, gray or RGB, with
//! or without alpha, together with the ICC profile and the resolution that came with them. It is
//! found under a [`RelPath`], catalogued under an [`ObjectId`], recognised by a [`Digest`], and
//! whatever goes wrong with it is an [`Error`] that carries a [`Code`], the place, and what the
//! user can do about it. What an operation did to it is a [`Change`].
//!
//! ```
//! use fonds_core::{PixelFormat, Raster};
//!
//! let gray = Raster::new(640, 480, PixelFormat::GRAY8);
//! assert_eq!(gray.byte_len(), 640 * 480);
//! assert_eq!(gray.format().channels(), 1);
//! ```
//!
//! This crate opens no file, reads no clock and draws no random number; it knows no codec and no
//! tensor.

mod change;
mod digest;
mod error;
mod flags;
mod ids;
mod limits;
mod paths;
mod raster;
mod seed;

pub use change::{Change, Outcome};
pub use digest::{Digest, Hasher};
pub use error::{Code, Error, Kind, Place, Result};
pub use flags::{Flag, Flags};
pub use ids::{ObjectId, ObjectIds, slug};
pub use limits::Limits;
pub use paths::RelPath;
pub use raster::{ColorModel, Depth, PixelFormat, Ppi, Raster, Sample, Samples};
pub use seed::Seed;
