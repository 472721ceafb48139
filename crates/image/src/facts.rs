//! What is known about a file and its pages besides the pixels: plain records, filled by
//! [`crate::decode`] and [`crate::metadata`].

use fonds_core::Ppi;

/// Where a resolution was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PpiSource {
    /// TIFF resolution tags or Exif.
    Exif,
    /// The JFIF header.
    Jfif,
    /// PNG `pHYs`.
    Phys,
    /// The JPEG 2000 `resc`/`resd` boxes, or a BMP header.
    Header,
    /// Nothing in the file says it.
    None,
}

impl PpiSource {
    /// The word for the catalog's `ppi_source` column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exif => "exif",
            Self::Jfif => "jfif",
            Self::Phys => "phys",
            Self::Header => "header",
            Self::None => "none",
        }
    }
}

/// Facts of one page, as the file has them before any conversion.
#[derive(Debug, Clone, PartialEq)]
pub struct PageFacts {
    /// Pixels across, after the orientation was applied.
    pub width: u32,
    /// Pixels down, after the orientation was applied.
    pub height: u32,
    /// Bits of one sample: 1, 2, 4, 8, 12, 16, 32.
    pub bits_per_sample: u16,
    /// Samples of one pixel, extra samples included.
    pub samples_per_pixel: u16,
    /// MIX (NISO Z39.87) wording: `WhiteIsZero`, `BlackIsZero`, `RGB`, `PaletteColor`, `CMYK`,
    /// `YCbCr`, `CIELab`.
    pub color_space: &'static str,
    /// MIX wording: `Uncompressed`, `LZW`, `Deflate`, `PackBits`, `CCITT T.6`, `JPEG`,
    /// `JPEG 2000 Lossless` ….
    pub compression_scheme: String,
    /// The description in the embedded ICC profile.
    pub icc_profile: Option<String>,
    /// Pixels per inch as found (across and down after the orientation was applied).
    pub ppi: Option<Ppi>,
    /// Where they were found.
    pub ppi_source: PpiSource,
    /// The Exif orientation as found, 1 to 8; 1 when the file says nothing.
    pub orientation: u8,
}

/// What people and machines wrote into a file, with the first source that has it: XMP, then IPTC,
/// then Exif. Strings are trimmed and never empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// XMP `dc:title`, IPTC object name.
    pub title: Option<String>,
    /// XMP `dc:creator`, IPTC by-line, Exif artist.
    pub creator: Option<String>,
    /// XMP `dc:description`, IPTC caption, Exif image description.
    pub description: Option<String>,
    /// XMP `dc:subject`, IPTC keywords, in file order.
    pub subjects: Vec<String>,
    /// IPTC or XMP location: sublocation, city, state, country, joined by `, `.
    pub location: Option<String>,
    /// XMP `dc:rights`, IPTC copyright notice, Exif copyright.
    pub rights: Option<String>,
    /// XMP `xmpRights:WebStatement` or another rights URI.
    pub rights_uri: Option<String>,
    /// XMP `photoshop:Credit`, IPTC credit: the line to print beside the picture.
    pub credit: Option<String>,
    /// XMP `xmpRights:UsageTerms`.
    pub usage_terms: Option<String>,
    /// XMP `dc:source`, IPTC source.
    pub source: Option<String>,
    /// XMP `dc:identifier`, IPTC original transmission reference.
    pub identifier: Option<String>,
    /// XMP `dc:language`.
    pub language: Option<String>,
    /// XMP `Iptc4xmpCore:AltTextAccessibility`.
    pub alt_text: Option<String>,
    /// XMP `Iptc4xmpExt:DigitalSourceType`, a URI.
    pub digital_source_type: Option<String>,
    /// Exif make and model of the camera or scanner, joined by a space, the make not repeated.
    pub scanner: Option<String>,
    /// Exif or XMP software that wrote the file.
    pub software: Option<String>,
    /// When the scan was made (never the date of the original): ISO 8601 local time, with the
    /// offset where the file has one: `2011-05-03T14:20:11`.
    pub date_digitized: Option<String>,
    /// Decimal degrees, north positive.
    pub latitude: Option<f64>,
    /// Decimal degrees, east positive.
    pub longitude: Option<f64>,
}
