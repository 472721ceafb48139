//! Derivatives: a raster written as PNG, JPEG, TIFF or WebP with profile, resolution and label.
//!
//! ```
//! use fonds_core::{PixelFormat, Ppi, Raster};
//! use fonds_image::encode::{Embedded, Encoding, encode};
//!
//! let page = Raster::new(64, 48, PixelFormat::GRAY16).with_ppi(Some(Ppi::square(300.0)));
//! let mut file = std::io::Cursor::new(Vec::new());
//! encode(&page, &Encoding::PNG, &Embedded::default(), &mut file)?;
//! assert!(file.into_inner().starts_with(b"\x89PNG"));
//! # Ok::<(), fonds_core::Error>(())
//! ```
//!
//! The same raster, encoding and embedded texts give the same bytes in every run. Rows are
//! converted on the way ([`Encoding::fit`] says to what), so that no second picture is held; only
//! WebP and progressive JPEG need one, because their encoders look at the whole picture.

use std::io::{BufWriter, Seek, Write};

use fonds_core::{Code, ColorModel, Depth, Error, PixelFormat, Ppi, Raster, Result};

use crate::color;

mod convert;
mod exif;
mod jpeg;
mod png;
mod tiff;
mod webp;

pub use convert::convert;
use convert::{Rows, converted};

/// How hard a PNG is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PngLevel {
    /// Deflate level 1: three times as fast as the default, files about a tenth larger.
    Fast,
    /// Deflate level 3: on scanned photographs and pages files are within 3 % of level 6, which
    /// takes three times as long.
    #[default]
    Default,
    /// Deflate level 9: eight times as long as the default, files 5 % smaller.
    Best,
}

/// How many colour-difference samples a JPEG keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subsampling {
    /// 4:4:4, all of them: coloured ink, stamps and hand colouring keep their edges.
    #[default]
    Full,
    /// 4:2:2, half of them across.
    Half,
    /// 4:2:0, half of them across and down.
    Quarter,
}

/// How the strips of a TIFF are compressed; all are lossless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TiffCompression {
    /// Not at all.
    None,
    /// LZW with horizontal differencing: read by everything, poor on 16-bit photographs.
    Lzw,
    /// Deflate (level 3, as for PNG) with horizontal differencing.
    #[default]
    Deflate,
    /// Run lengths: for pages of black and white.
    PackBits,
}

/// The format of a derivative and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PNG, 8 or 16 bits, lossless.
    Png {
        /// Speed against size.
        level: PngLevel,
    },
    /// JPEG, 8 bits, no alpha.
    Jpeg {
        /// 1 to 100, on the scale of the Independent JPEG Group.
        quality: u8,
        /// Colour resolution; without meaning for gray.
        subsampling: Subsampling,
        /// Coarse first: Huffman codes are fitted to the picture, encoding takes about half as
        /// long again and up to 9 bytes of memory for each pixel. A baseline file is written in
        /// one pass with the standard codes and holds a few rows.
        progressive: bool,
    },
    /// TIFF, 8 or 16 bits, lossless; `BigTIFF` where 4 GB could be passed.
    Tiff {
        /// The compression of its strips.
        compression: TiffCompression,
    },
    /// WebP, 8 bits, RGB; gray is written as RGB, which is all that the format knows.
    WebP {
        /// 1 to 100, or lossless without it.
        quality: Option<u8>,
    },
}

impl Encoding {
    /// PNG at the default level.
    pub const PNG: Self = Self::Png {
        level: PngLevel::Default,
    };
    /// JPEG for access copies: at quality 90 without colour subsampling neither paper texture nor
    /// coloured handwriting shows blocks or bleeding at 100 %.
    pub const JPEG: Self = Self::Jpeg {
        quality: 90,
        subsampling: Subsampling::Full,
        progressive: false,
    };
    /// JPEG for thumbnails: small and quick, looked at as a whole.
    pub const JPEG_THUMBNAIL: Self = Self::Jpeg {
        quality: 80,
        subsampling: Subsampling::Quarter,
        progressive: false,
    };
    /// TIFF with Deflate, which never makes a 16-bit photograph larger.
    pub const TIFF: Self = Self::Tiff {
        compression: TiffCompression::Deflate,
    };
    /// WebP at quality 85.
    pub const WEBP: Self = Self::WebP { quality: Some(85) };
    /// Lossless WebP.
    pub const WEBP_LOSSLESS: Self = Self::WebP { quality: None };

    /// The usual extension, without a dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Png { .. } => "png",
            Self::Jpeg { .. } => "jpg",
            Self::Tiff { .. } => "tif",
            Self::WebP { .. } => "webp",
        }
    }

    /// The media type.
    pub fn mime(&self) -> &'static str {
        match self {
            Self::Png { .. } => "image/png",
            Self::Jpeg { .. } => "image/jpeg",
            Self::Tiff { .. } => "image/tiff",
            Self::WebP { .. } => "image/webp",
        }
    }

    /// The PRONOM identifier of the files written: PNG 1.2 (with a label, which is international
    /// text), JFIF 1.02, TIFF (`BigTIFF`, fmt/1917, only near 4 GB), extended WebP.
    pub fn puid(&self) -> &'static str {
        match self {
            Self::Png { .. } => "fmt/13",
            Self::Jpeg { .. } => "fmt/44",
            Self::Tiff { .. } => "fmt/353",
            Self::WebP { .. } => "fmt/568",
        }
    }

    /// Whether pixels of this format are written as they are.
    pub fn supports(&self, format: PixelFormat) -> bool {
        self.fit(format) == format
    }

    /// What pixels of this format are written as.
    #[must_use]
    pub fn fit(&self, format: PixelFormat) -> PixelFormat {
        let integer = match format.depth {
            Depth::U8 => Depth::U8,
            Depth::U16 | Depth::F32 => Depth::U16,
        };
        match self {
            Self::Png { .. } | Self::Tiff { .. } => PixelFormat {
                depth: integer,
                ..format
            },
            Self::Jpeg { .. } => PixelFormat::new(Depth::U8, format.model, false),
            Self::WebP { .. } => PixelFormat::new(Depth::U8, ColorModel::Rgb, format.alpha),
        }
    }

    /// Refuses settings out of range.
    pub fn validate(&self) -> Result<()> {
        let quality = match self {
            Self::Jpeg { quality, .. } => *quality,
            Self::WebP { quality } => quality.unwrap_or(100),
            Self::Png { .. } | Self::Tiff { .. } => 100,
        };
        if (1..=100).contains(&quality) {
            return Ok(());
        }
        let message = format!("quality {quality} is not between 1 and 100");
        Err(Error::new(Code::InvalidRequest, message))
    }

    /// The most pixels that the format can hold along one side.
    pub fn max_side(&self) -> u32 {
        match self {
            Self::Png { .. } | Self::Tiff { .. } => i32::MAX as u32,
            Self::Jpeg { .. } => 65_535,
            Self::WebP { .. } => 16_383,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png { .. } => "PNG",
            Self::Jpeg { .. } => "JPEG",
            Self::Tiff { .. } => "TIFF",
            Self::WebP { .. } => "WebP",
        }
    }

    fn check_size(self, raster: &Raster) -> Result<()> {
        let (width, height) = (raster.width(), raster.height());
        let most = self.max_side();
        if width <= most && height <= most {
            return Ok(());
        }
        let name = self.name();
        let message =
            format!("{width} × {height} pixels are too many for {name} (at most {most} a side)");
        Err(Error::new(Code::InvalidRequest, message)
            .hint("use `tiff` or `png` for this output, or resize before it"))
    }
}

/// What is written into the file besides pixels, profile and resolution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Embedded<'a> {
    /// The XMP packet ([`crate::metadata::label::Label::to_packet`]).
    pub xmp: Option<&'a str>,
    /// The copyright notice, also for readers that know no XMP.
    pub copyright: Option<&'a str>,
    /// The creator of the picture.
    pub artist: Option<&'a str>,
    /// The program that wrote the file: `fonds 0.1.0`.
    pub software: Option<&'a str>,
}

/// Writes a picture; profile and resolution come from the raster, its pixels become
/// [`Encoding::fit`] of theirs.
///
/// Fails with [`Code::InvalidRequest`] when the settings are out of range or the picture is too
/// large for the format, [`Code::DiskFull`] or [`Code::WriteFailed`] when `out` does not take it.
pub fn encode(
    raster: &Raster,
    encoding: &Encoding,
    embedded: &Embedded,
    out: &mut (impl Write + Seek),
) -> Result<()> {
    encoding.validate()?;
    encoding.check_size(raster)?;
    let mut out = BufWriter::with_capacity(1 << 16, out);
    match *encoding {
        Encoding::Png { level } => png::write(raster, level, embedded, &mut out),
        Encoding::Jpeg {
            quality,
            subsampling,
            progressive,
        } => {
            let settings = jpeg::Settings {
                quality,
                subsampling,
                progressive,
            };
            jpeg::write(raster, settings, embedded, &mut out)
        }
        Encoding::Tiff { compression } => tiff::write(raster, compression, embedded, &mut out),
        Encoding::WebP { quality } => webp::write(raster, quality, embedded, &mut out),
    }?;
    out.flush()
        .map_err(|error| write_failed(error, encoding.name()))
}

/// The profile to embed: one for other channels would only mislead.
fn profile(raster: &Raster) -> Option<&[u8]> {
    let icc = raster.icc()?;
    color::is_declared_for(icc, raster.format().model).then_some(icc)
}

/// The resolution when both directions are numbers that a file can hold.
fn resolution(raster: &Raster) -> Option<Ppi> {
    let usable = |ppi: f64| ppi.is_finite() && (0.01..=1e6).contains(&ppi);
    raster.ppi().filter(|ppi| usable(ppi.x) && usable(ppi.y))
}

fn write_failed(error: std::io::Error, name: &str) -> Error {
    Error::from_io(
        error,
        Code::WriteFailed,
        format!("cannot write the {name} file"),
    )
}

/// An encoder refused something for a reason other than the disk.
fn refused(error: impl std::error::Error + Send + Sync + 'static, name: &str) -> Error {
    Error::new(
        Code::WriteFailed,
        format!("the {name} encoder refused the picture"),
    )
    .caused_by(error)
}
