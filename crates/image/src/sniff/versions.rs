//! Versions and PRONOM ids of the formats that are decoded.

use super::{Format, Identity, has_jpeg_end, jpeg, png as png_file};
use crate::decode::exif;
use crate::decode::tiff::ifd::{Ifd, Tree};

/// JPEG: by its Exif version, else by its JFIF version.
pub(super) fn jpeg(bytes: &[u8]) -> Identity {
    let segments = jpeg::segments::read(bytes);
    let mime = Format::Jpeg.mime();
    let complete = has_jpeg_end(bytes);
    let puid = |puid: &'static str| if complete { puid } else { "" };
    let exif = segments.exif.map(exif::read).and_then(|exif| exif.version);
    if let Some(version) = exif {
        let id = match version.as_str() {
            "0200" => "x-fmt/398",
            "0210" => "x-fmt/390",
            "0220" => "x-fmt/391",
            "0221" => "fmt/645",
            text if text >= "0230" => "fmt/1507",
            _ => "",
        };
        let identity = Identity::new(Some(Format::Jpeg), mime, "JPEG (Exif)");
        return identity.with(puid(id), dotted(&version));
    }
    if let Some(jfif) = segments.jfif {
        let (major, minor) = jfif.version;
        let id = match jfif.version {
            (1, 0) => "fmt/42",
            (1, 1) => "fmt/43",
            (1, 2) => "fmt/44",
            _ => "",
        };
        let identity = Identity::new(Some(Format::Jpeg), mime, "JPEG (JFIF)");
        return identity.with(puid(id), format!("{major}.{minor:02}"));
    }
    Identity::new(Some(Format::Jpeg), mime, "JPEG").with(puid("fmt/41"), "")
}

/// PNG: by the chunks it has.
pub(super) fn png(bytes: &[u8]) -> Identity {
    let names: Vec<[u8; 4]> = png_file::chunks(bytes).map(|chunk| chunk.name).collect();
    let has = |wanted: &[&[u8; 4]]| names.iter().any(|name| wanted.contains(&name));
    let complete = has(&[b"IEND"]);
    if has(&[b"acTL"]) {
        let identity = Identity::new(Some(Format::Png), "image/apng", "APNG");
        return identity.with(if complete { "fmt/935" } else { "" }, "");
    }
    let (version, id) = if has(&[b"iTXt"]) {
        ("1.2", "fmt/13")
    } else if has(&[b"iCCP", b"sPLT", b"sRGB"]) {
        ("1.1", "fmt/12")
    } else {
        ("1.0", "fmt/11")
    };
    let identity = Identity::new(Some(Format::Png), Format::Png.mime(), "PNG");
    identity.with(if complete { id } else { "" }, version)
}

/// The TIFF family; raw camera files look like TIFF and are not decoded.
pub(super) fn tiff(bytes: &[u8]) -> Identity {
    let tiff = |name| Identity::new(Some(Format::Tiff), Format::Tiff.mime(), name);
    let Ok((tree, first)) = Tree::open(bytes) else {
        return tiff("TIFF");
    };
    if bytes.get(8..10) == Some(b"CR") {
        return Identity::new(None, "image/x-canon-cr2", "Canon raw (CR2)").with("fmt/592", "");
    }
    if let Ok(ifd) = tree.ifd(first) {
        if let Some(version) = ifd.bytes(50706) {
            return dng(version);
        }
        if is_raw(&tree, &ifd) {
            return Identity::new(None, "image/x-dcraw", "raw camera picture");
        }
        if !tree.is_big() && ifd.has(34735) {
            return tiff("GeoTIFF").with("fmt/155", "");
        }
        if !tree.is_big() && ifd.has(37398) {
            return tiff("TIFF/EP").with("fmt/154", "");
        }
        let exif = exif::of_ifd(&ifd).version;
        let id = exif.as_deref().and_then(|version| match version {
            "0200" => Some("x-fmt/399"),
            "0210" => Some("x-fmt/388"),
            "0220" => Some("x-fmt/387"),
            _ => None,
        });
        if let (Some(id), Some(version)) = (id, exif) {
            return tiff("TIFF (Exif)").with(id, dotted(&version));
        }
    }
    if tree.is_big() {
        return tiff("BigTIFF").with("fmt/1917", "");
    }
    tiff("TIFF").with("fmt/353", "")
}

/// JPEG 2000: by the brand of the file.
pub(super) fn jpeg2000(bytes: &[u8]) -> Identity {
    let named = |mime, name, id| Identity::new(Some(Format::Jpeg2000), mime, name).with(id, "");
    if bytes.starts_with(&[0xff, 0x4f]) {
        return named("image/x-jp2-codestream", "JPEG 2000 codestream", "fmt/1794");
    }
    match bytes.get(20..24) {
        Some(b"jpx ") => named("image/jpx", "JPEG 2000 (JPX)", "fmt/151"),
        Some(b"jpm ") => named("image/jpm", "JPEG 2000 (JPM)", "fmt/463"),
        Some(b"jph ") => named("image/jph", "JPEG 2000 (JPH)", "fmt/1964"),
        _ => named("image/jp2", "JPEG 2000 (JP2)", "x-fmt/392"),
    }
}

/// `WebP`: by its first chunk.
pub(super) fn webp(bytes: &[u8]) -> Identity {
    let id = match bytes.get(12..16) {
        Some(b"VP8 ") => "fmt/566",
        Some(b"VP8L") => "fmt/567",
        Some(b"VP8X") => "fmt/568",
        _ => "",
    };
    Identity::new(Some(Format::WebP), Format::WebP.mime(), "WebP").with(id, "")
}

/// GIF: the year is in the signature.
pub(super) fn gif(digit: u8) -> Identity {
    let identity = Identity::new(Some(Format::Gif), Format::Gif.mime(), "GIF");
    match digit {
        b'7' => identity.with("fmt/3", "87a"),
        _ => identity.with("fmt/4", "89a"),
    }
}

/// BMP: by the size of its second header.
pub(super) fn bmp(bytes: &[u8]) -> Identity {
    let identity = Identity::new(Some(Format::Bmp), Format::Bmp.mime(), "BMP");
    let compressed = bytes.get(30).is_some_and(|kind| *kind == 3);
    match bytes.get(14) {
        Some(12) => identity.with("", "2.0"),
        Some(40) if compressed => identity.with("fmt/117", "3.0 NT"),
        Some(40) => identity.with("fmt/116", "3.0"),
        Some(108) => identity.with("fmt/118", "4.0"),
        Some(124) => identity.with("fmt/119", "5.0"),
        _ => identity,
    }
}

/// PNM: by the digit of its signature.
pub(super) fn pnm(kind: u8) -> Identity {
    // PRONOM's ids for these tell more variants apart than the signature does.
    let (mime, name) = match kind {
        b'1' => ("image/x-portable-bitmap", "PBM (plain)"),
        b'4' => ("image/x-portable-bitmap", "PBM"),
        b'2' => ("image/x-portable-graymap", "PGM (plain)"),
        b'5' => ("image/x-portable-graymap", "PGM"),
        b'3' => ("image/x-portable-pixmap", "PPM (plain)"),
        b'6' => ("image/x-portable-pixmap", "PPM"),
        _ => ("image/x-portable-arbitrarymap", "PAM"),
    };
    Identity::new(Some(Format::Pnm), mime, name)
}

fn dng(version: &[u8]) -> Identity {
    let (major, minor) = (version.first().copied(), version.get(1).copied());
    let (major, minor) = (major.unwrap_or(1), minor.unwrap_or(0));
    let id = match (major, minor) {
        (1, 0) => "fmt/436",
        (1, 1) => "fmt/152",
        (1, 2) => "fmt/437",
        (1, 3) => "fmt/438",
        (1, 4) => "fmt/730",
        (1, 5) => "fmt/1841",
        (1, 6) => "fmt/1842",
        (1, 7) => "fmt/1943",
        _ => "",
    };
    Identity::new(None, "image/x-adobe-dng", "DNG").with(id, format!("{major}.{minor}"))
}

/// Whether the picture proper is sensor data in a sub-directory, as in NEF and ARW.
fn is_raw(tree: &Tree, ifd: &Ifd) -> bool {
    let subs = ifd.uints(330).unwrap_or_default();
    let sensor = |ifd: &Ifd| matches!(ifd.uint(262), Some(32803 | 34892));
    let sub = |at: &u64| tree.ifd(*at).is_ok_and(|ifd| sensor(&ifd));
    sensor(ifd) || subs.iter().take(16).any(sub)
}

/// `0221` as `2.21`, `0230` as `2.3`.
fn dotted(version: &str) -> String {
    let (major, minor) = version.split_at(version.len().min(2));
    let minor = minor.trim_end_matches('0');
    let minor = if minor.is_empty() { "0" } else { minor };
    format!("{}.{minor}", major.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_people_do() {
        assert_eq!(dotted("0221"), "2.21");
        assert_eq!(dotted("0230"), "2.3");
        assert_eq!(dotted("0200"), "2.0");
    }

    #[test]
    fn a_jpeg_without_its_end_has_no_id() {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\x01\0\x48\0\x48\0\0".to_vec();
        assert_eq!(jpeg(&bytes).puid, "");
        assert_eq!(jpeg(&bytes).version, "1.01");
        bytes.extend([0xff, 0xd9]);
        assert_eq!(jpeg(&bytes).puid, "fmt/43");
    }

    #[test]
    fn dng_is_not_decoded_as_the_thumbnail_in_it() {
        let bytes = b"II\x2a\0\x08\0\0\0\x01\0\x12\xc6\x01\0\x04\0\0\0\x01\x04\0\0\0\0\0\0";
        let identity = tiff(bytes);
        assert_eq!(identity.format, None);
        assert_eq!(
            (identity.puid, identity.version.as_str()),
            ("fmt/730", "1.4")
        );
    }
}
