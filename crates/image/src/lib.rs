//! Scanned pictures in and out.
//!
//! [`sniff`] says what a file is by its content, [`decode`] turns it into [`fonds_core::Raster`]s
//! with all that is known about them ([`facts`]), [`metadata`] reads what people and machines
//! wrote into it, [`measure`] says how good it looks, [`ops`] improve it by classical means,
//! [`color`] converts between ICC profiles, and [`encode`] writes a derivative with profile,
//! resolution and an XMP label.
//!
//! This crate knows no paths of an archive, no catalog, no pipeline and no tensor: bytes come in,
//! bytes go out.

pub mod color;
pub mod decode;
pub mod encode;
pub mod facts;
pub mod measure;
pub mod metadata;
pub mod ops;
pub mod sniff;
