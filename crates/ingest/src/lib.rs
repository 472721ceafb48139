//! Finding and describing the files of an archive.
//!
//! [`walk()`] lists every file under a root once, sorted, with its [`Fate`]: selected, skipped with
//! the reason, or failed. [`read_source`] takes one of them into memory with its digest, read-only,
//! and notices when the file changes meanwhile; [`verify_unchanged`] proves afterwards that it is
//! still the same. [`describe()`] says all that can be known about a picture from its bytes.
//!
//! ```
//! use fonds_ingest::{Fate, Selection, WalkOptions, walk};
//!
//! # fn main() -> fonds_core::Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # std::fs::write(folder.path().join("Portrait 1902.JPG"), b"...").expect("a file");
//! # std::fs::write(folder.path().join("notes.txt"), b"...").expect("a file");
//! let selection = Selection::new(&WalkOptions {
//!     include: vec!["**/*.{jpg,tif}".to_owned()],
//!     ..WalkOptions::default()
//! })?;
//! let archive = walk(folder.path(), &selection)?;
//! let selected = archive.files.iter().filter(|found| matches!(found.fate, Fate::Selected));
//! assert_eq!(selected.count(), 1);
//! assert_eq!(archive.files.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! [`dataset`] makes training data of folders of pictures, and [`degrade`] damages pictures on
//! purpose, with a list of what was done.
//!
//! This crate writes nothing, and knows neither catalog nor pipeline nor tensor.

pub mod dataset;
pub mod degrade;

mod describe;
mod draw;
mod planes;
mod resample;
mod roots;
mod select;
mod shard;
mod source;
mod walk;

pub use describe::{Description, PageContent, PageDescription, describe};
pub use planes::Planes;
pub use roots::roots_overlap;
pub use select::{Globs, PICTURES, Selection, SkipReason, WalkOptions};
pub use shard::{Shard, in_shard};
pub use source::{
    Fingerprint, Source, Stamp, VerifySources, digest_file, read_source, verify_unchanged,
};
pub use walk::{Fate, Found, Walk, walk};
