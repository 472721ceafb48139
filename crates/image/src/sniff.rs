//! What a file is, by its content and never by its name: format, version, MIME type, PRONOM id.
//!
//! The ids are those of PRONOM's signature file 118. Like PRONOM, the identification of JPEG and
//! PNG wants to see the end of the file as well; without it the id stays empty, the format not.

mod others;
mod versions;

use crate::decode::{jpeg, png};

/// A format that [`crate::decode`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG, with or without JFIF and Exif.
    Jpeg,
    /// TIFF, `BigTIFF`, `GeoTIFF`.
    Tiff,
    /// PNG and APNG.
    Png,
    /// `WebP`.
    WebP,
    /// JPEG 2000: JP2, JPX and bare codestreams.
    Jpeg2000,
    /// GIF.
    Gif,
    /// Windows and OS/2 bitmaps.
    Bmp,
    /// PBM, PGM, PPM and PAM.
    Pnm,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 8] = [
        Self::Jpeg,
        Self::Tiff,
        Self::Png,
        Self::WebP,
        Self::Jpeg2000,
        Self::Gif,
        Self::Bmp,
        Self::Pnm,
    ];

    /// The registered media type of its most usual kind.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Tiff => "image/tiff",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Jpeg2000 => "image/jp2",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Pnm => "image/x-portable-anymap",
        }
    }

    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Jpeg2000 => "JPEG 2000",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Pnm => "PNM",
        }
    }

    /// The extensions that promise it, in lower case, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif", "jif", "mpo"],
            Self::Tiff => &["tif", "tiff", "tf8", "btf", "gtiff"],
            Self::Png => &["png", "apng"],
            Self::WebP => &["webp"],
            Self::Jpeg2000 => &[
                "jp2", "j2k", "j2c", "jpc", "jpx", "jpf", "jpm", "jph", "jhc",
            ],
            Self::Gif => &["gif"],
            Self::Bmp => &["bmp", "dib"],
            Self::Pnm => &["pnm", "pbm", "pgm", "ppm", "pam"],
        }
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The format when it is one that can be decoded.
    pub format: Option<Format>,
    /// The media type; `application/octet-stream` when nothing is known.
    pub mime: &'static str,
    /// The PRONOM id, empty when PRONOM has none or it is not known here.
    pub puid: &'static str,
    /// The version of the format, empty when it has none.
    pub version: String,
    /// What it is called: `JPEG (JFIF)`, `PDF`, `unknown data`.
    pub name: &'static str,
}

impl Identity {
    fn new(format: Option<Format>, mime: &'static str, name: &'static str) -> Self {
        Self {
            format,
            mime,
            puid: "",
            version: String::new(),
            name,
        }
    }

    fn with(mut self, puid: &'static str, version: impl Into<String>) -> Self {
        self.puid = puid;
        self.version = version.into();
        self
    }
}

/// Identifies a file by its whole content.
pub fn identify(bytes: &[u8]) -> Identity {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return versions::jpeg(bytes);
    }
    if bytes.starts_with(png::SIGNATURE) {
        return versions::png(bytes);
    }
    if matches!(
        bytes,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]
    ) {
        return versions::tiff(bytes);
    }
    if is_jpeg2000(bytes) {
        return versions::jpeg2000(bytes);
    }
    match bytes {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => versions::webp(bytes),
        [b'G', b'I', b'F', b'8', digit @ (b'7' | b'9'), b'a', ..] => versions::gif(*digit),
        [b'B', b'M', ..] if is_bmp(bytes) => versions::bmp(bytes),
        [b'P', kind @ b'1'..=b'7', space, ..] if is_pnm_space(*space) => versions::pnm(*kind),
        _ => others::identify(bytes),
    }
}

/// Whether a file name extension (without the dot, any case) promises what the file is. True for
/// an empty extension and for files that are not known here.
pub fn extension_matches(identity: &Identity, extension: &str) -> bool {
    let extension = extension.to_ascii_lowercase();
    let extension = extension.as_str();
    if extension.is_empty() {
        return true;
    }
    match identity.format {
        Some(format) => format.extensions().contains(&extension),
        None => others::extensions(identity.name).is_none_or(|list| list.contains(&extension)),
    }
}

fn is_jpeg2000(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || bytes.starts_with(&[0xff, 0x4f, 0xff, 0x51])
}

/// The two letters are too common: the header size behind them must be one of a bitmap.
fn is_bmp(bytes: &[u8]) -> bool {
    let size = bytes.get(14..18).and_then(|size| size.try_into().ok());
    let size = size.map(u32::from_le_bytes);
    size.is_some_and(|size| matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn is_pnm_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'#')
}

/// Whether the stream has its end mark in the last 64 KiB, as PRONOM asks.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(65_536)..];
    tail.windows(2).any(|pair| pair == [0xff, 0xd9])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_panics_on_prefixes_of_anything() {
        let starts: [&[u8]; 12] = [
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01",
            b"II\x2a\0\x08\0\0\0\x01\0\x00\x01\x03\0\x01\0\0\0",
            b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10",
            b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjpx ",
            b"RIFF\x10\0\0\0WEBPVP8X",
            b"GIF89a",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0",
            b"P6\n1 1\n255\n",
            b"%PDF-1.7\n",
            b"PK\x03\x04\x14\0\0\0",
            b"\0\0\0\x18ftypheic\0\0\0\0",
        ];
        for start in starts {
            for len in 0..=start.len() {
                identify(&start[..len]);
            }
            assert_ne!(identify(start).name, "unknown data", "{start:?}");
        }
    }

    #[test]
    fn extensions_are_compared_without_case() {
        let tiff = identify(b"II\x2a\0\x08\0\0\0\0\0\0\0\0\0");
        assert_eq!(tiff.format, Some(Format::Tiff));
        assert!(extension_matches(&tiff, "TIF"));
        assert!(extension_matches(&tiff, ""));
        assert!(!extension_matches(&tiff, "jpg"));
        let pdf = identify(b"%PDF-1.4\n");
        assert!(extension_matches(&pdf, "pdf"));
        assert!(!extension_matches(&pdf, "jpg"));
        assert_eq!((pdf.puid, pdf.version.as_str()), ("fmt/18", "1.4"));
    }

    #[test]
    fn extensions_are_lower_case_and_unique() {
        let all: Vec<&str> = Format::ALL
            .iter()
            .flat_map(|format| format.extensions())
            .copied()
            .collect();
        let unique: std::collections::BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len());
        assert!(
            all.iter()
                .all(|extension| extension.to_ascii_lowercase() == *extension)
        );
    }
}
