//! The three Exif facts that decoding needs: orientation, resolution, version of the standard.

use fonds_core::Ppi;

use super::page::ppi;
use super::tiff::ifd::{Ifd, Tree};

/// What an Exif block says about the pixels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ExifFacts {
    /// 1 to 8; 1 when nothing sensible is said.
    pub(crate) orientation: u8,
    /// Pixels per inch as stored.
    pub(crate) ppi: Option<Ppi>,
    /// The four digits of `ExifVersion`, such as `0221`.
    pub(crate) version: Option<String>,
}

/// Reads an Exif block that starts with its TIFF header; a damaged one says nothing.
pub(crate) fn read(block: &[u8]) -> ExifFacts {
    // Some writers repeat the JPEG prefix in PNG and WebP.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    Tree::open(block)
        .and_then(|(tree, first)| tree.ifd(first))
        .map_or_else(|_| nothing(), |ifd| of_ifd(&ifd))
}

/// The same facts from the tags of a TIFF page.
pub(crate) fn of_ifd(ifd: &Ifd) -> ExifFacts {
    ExifFacts {
        orientation: orientation(ifd),
        ppi: resolution(ifd),
        version: version(ifd),
    }
}

fn nothing() -> ExifFacts {
    ExifFacts {
        orientation: 1,
        ..ExifFacts::default()
    }
}

fn orientation(ifd: &Ifd) -> u8 {
    match ifd.uint(274) {
        Some(value @ 1..=8) => value as u8,
        _ => 1,
    }
}

fn resolution(ifd: &Ifd) -> Option<Ppi> {
    let x = ifd.float(282)?;
    let y = ifd.float(283).unwrap_or(x);
    match ifd.uint(296).unwrap_or(2) {
        2 => ppi(x, y, 1.0),
        3 => ppi(x, y, 2.54),
        // Unit 1 gives a shape of pixels, not a size.
        _ => None,
    }
}

fn version(ifd: &Ifd) -> Option<String> {
    let sub = ifd.tree().ifd(ifd.uint(34665)?).ok()?;
    let digits = sub.bytes(36864)?.get(..4)?;
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    String::from_utf8(digits.to_vec()).ok()
}
