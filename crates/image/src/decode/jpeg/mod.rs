//! JPEG: baseline and progressive, gray, `YCbCr`, RGB, CMYK and YCCK.
//!
//! What is missing is an error and is never filled in; `stream` says how.

pub(crate) mod segments;
mod stream;

use fonds_core::{Code, Error, Flag, PixelFormat, Result, Samples};
use rayon::prelude::*;

use super::color_in::CmykToRgb;
use super::exif;
use super::guard::zeroed;
use super::page::{Container, Header, Pixels, ppi};
use crate::facts::PpiSource;
use segments::{Frame, Segments};
pub(super) use stream::Raw;

/// An opened JPEG file.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    segments: Segments<'a>,
    frame: Frame,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let segments = segments::read(bytes);
        let frame = checked(segments.frame)?;
        Ok(Self {
            bytes,
            segments,
            frame,
        })
    }

    fn color_space(&self) -> &'static str {
        match self.frame.components {
            1 => "BlackIsZero",
            4 => "CMYK",
            _ if self.frame.named_rgb || self.segments.adobe_transform == Some(0) => "RGB",
            _ => "YCbCr",
        }
    }

    fn resolution(&self, exif: &exif::ExifFacts) -> Option<(fonds_core::Ppi, PpiSource)> {
        let jfif = self.segments.jfif.and_then(|jfif| {
            let per_inch = match jfif.unit {
                1 => 1.0,
                2 => 2.54,
                _ => return None,
            };
            ppi(jfif.x.into(), jfif.y.into(), per_inch)
        });
        let jfif = jfif.map(|ppi| (ppi, PpiSource::Jfif));
        // Exif wins: cameras leave 72 or 1 in the JFIF header.
        exif.ppi.map(|ppi| (ppi, PpiSource::Exif)).or(jfif)
    }
}

impl Container for Jpeg<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let output = match self.frame.components {
            1 => PixelFormat::GRAY8,
            _ => PixelFormat::RGB8,
        };
        let exif = exif::read(self.segments.exif.unwrap_or(&[]));
        let mut header = Header::new(self.frame.width, self.frame.height, output);
        header.samples_per_pixel = self.frame.components.into();
        header.color_space = self.color_space();
        header.compression_scheme = "JPEG".into();
        header.icc.clone_from(&self.segments.icc);
        header.resolution = self.resolution(&exif);
        header.orientation = exif.orientation;
        if self.frame.components == 4 {
            header.flags.insert(Flag::ColorConverted);
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        let (mut raw, end) = stream::decode(self.bytes, &self.segments, true)?;
        let mut pixels = if raw.channels == 4 {
            // All writers follow Adobe, whose inks are stored inverted.
            raw.samples
                .par_iter_mut()
                .for_each(|sample| *sample = 255 - *sample);
            let inks = CmykToRgb::new(header.icc.as_deref());
            let mut pixels = Pixels::of(Samples::U8(from_inks(&raw, &inks)?), header);
            pixels.profile_spent = true;
            pixels.notes.push(inks.note().into());
            pixels
        } else {
            Pixels::of(Samples::U8(raw.samples), header)
        };
        // Padding with zeros is harmless; anything else is data that only the original keeps.
        if self.bytes[end..].iter().any(|byte| *byte != 0) {
            pixels.flags.insert(Flag::TrailingData);
        }
        Ok(pixels)
    }
}

/// The frame header of a stream, when it is one that is decoded.
pub(super) fn frame_of(stream: &[u8]) -> Result<Frame> {
    checked(segments::read(stream).frame)
}

/// Whether a stream goes on to a scan.
pub(super) fn has_scan(stream: &[u8]) -> bool {
    segments::read(stream).scan.is_some()
}

/// Decodes a stream inside a TIFF. `YCbCr` becomes RGB when asked; CMYK stays as stored.
pub(super) fn decode_raw(stream: &[u8], to_rgb: bool) -> Result<Raw> {
    let segments = segments::read(stream);
    checked(segments.frame)?;
    stream::decode(stream, &segments, to_rgb).map(|(raw, _)| raw)
}

fn checked(frame: Option<Frame>) -> Result<Frame> {
    let frame = frame.ok_or_else(|| {
        Error::new(
            Code::Truncated,
            "the JPEG stream ends before its frame header",
        )
    })?;
    let what = match frame.marker {
        0xc3 | 0xc7 | 0xcb | 0xcf => "lossless JPEG",
        0xc5 | 0xc6 | 0xcd | 0xce => "hierarchical JPEG",
        0xc9 | 0xca => "JPEG with arithmetic coding",
        _ if frame.precision != 8 => "JPEG of more than 8 bits",
        _ if frame.height == 0 => "JPEG whose height comes after the picture",
        _ if !matches!(frame.components, 1 | 3 | 4) => "JPEG of 2 or more than 4 components",
        _ if frame.width == 0 => return Err(Error::new(Code::Corrupt, "the JPEG has no width")),
        _ => return Ok(frame),
    };
    Err(variant(what))
}

fn variant(what: &str) -> Error {
    Error::new(Code::UnsupportedVariant, format!("{what} is not decoded"))
        .hint("convert it to TIFF or PNG first, for example with `djpeg` or ImageMagick")
}

fn from_inks(raw: &Raw, inks: &CmykToRgb) -> Result<Vec<u8>> {
    const PIXELS: usize = 1 << 16;
    let mut rgb = zeroed(raw.samples.len() / 4 * 3)?;
    let bands = rgb
        .par_chunks_mut(PIXELS * 3)
        .zip(raw.samples.par_chunks(PIXELS * 4));
    bands.for_each(|(rgb, cmyk)| inks.convert(cmyk, rgb));
    Ok(rgb)
}
