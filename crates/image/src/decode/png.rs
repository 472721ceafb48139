//! PNG: all colour types and depths; 16 bit is kept, palettes and `tRNS` become RGB and alpha.

use std::io::Cursor;

use fonds_core::{Code, ColorModel, Depth, Error, Flag, PixelFormat, Result, Samples};
use png::{BitDepth, ColorType, Decoder, DecodingError, Info, Reader, Transformations, Unit};

use super::exif;
use super::guard::zeroed;
use super::page::{Container, Header, Pixels, ppi};
use crate::facts::PpiSource;

/// The eight bytes that every PNG starts with.
pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// An opened PNG file.
pub(super) struct Png<'a> {
    bytes: &'a [u8],
    end: End,
}

/// How the chain of chunks ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With `IEND`, at this offset.
    At(usize),
    Missing,
}

impl<'a> Png<'a> {
    /// Walks over the chunks.
    pub(super) fn open(bytes: &'a [u8]) -> Self {
        let end = chunks(bytes).find(|chunk| &chunk.name == b"IEND");
        let end = end.map_or(End::Missing, |chunk| End::At(chunk.end));
        Self { bytes, end }
    }

    fn reader(&self) -> Result<Reader<Cursor<&'a [u8]>>> {
        let mut decoder = Decoder::new(Cursor::new(self.bytes));
        // Sizes were checked against the limits; this one is for text and profiles.
        decoder.set_limits(png::Limits { bytes: 256 << 20 });
        decoder.set_transformations(Transformations::EXPAND);
        decoder.read_info().map_err(failed)
    }
}

impl Container for Png<'_> {
    fn header(&self, _: u32) -> Result<Header> {
        let reader = self.reader()?;
        let info = reader.info();
        let mut header = Header::new(info.width, info.height, output(&reader)?);
        header.bits_per_sample = info.bit_depth as u16;
        header.samples_per_pixel = info.color_type.samples() as u16;
        if info.color_type == ColorType::Indexed {
            header.color_space = "PaletteColor";
        }
        header.compression_scheme = "Deflate".into();
        header.icc = info.icc_profile.as_deref().map(<[u8]>::to_vec);
        let raw = raw_profile(info);
        let exif = exif::read(
            info.exif_metadata
                .as_deref()
                .or(raw.as_deref())
                .unwrap_or(&[]),
        );
        header.orientation = exif.orientation;
        header.resolution = resolution(info)
            .map(|ppi| (ppi, PpiSource::Phys))
            .or(exif.ppi.map(|ppi| (ppi, PpiSource::Exif)));
        if info
            .animation_control
            .is_some_and(|animation| animation.num_frames > 1)
        {
            header.flags.insert(Flag::AnimationFirstFrame);
        }
        Ok(header)
    }

    fn pixels(&self, _: u32, header: &Header) -> Result<Pixels> {
        let End::At(end) = self.end else {
            return Err(Error::new(
                Code::Truncated,
                "the PNG ends before its IEND chunk",
            ));
        };
        let mut reader = self.reader()?;
        let samples = if header.output.depth == Depth::U8 {
            let mut samples = zeroed(header.output_len())?;
            reader.next_frame(&mut samples).map_err(failed)?;
            Samples::U8(samples)
        } else {
            let mut samples: Vec<u16> = zeroed(header.output_len())?;
            let bytes = bytemuck::cast_slice_mut(&mut samples);
            reader.next_frame(bytes).map_err(failed)?;
            for sample in &mut samples {
                *sample = u16::from_be(*sample);
            }
            Samples::U16(samples)
        };
        let mut pixels = Pixels::of(samples, header);
        if self.bytes[end..].iter().any(|byte| *byte != 0) {
            pixels.flags.insert(Flag::TrailingData);
        }
        Ok(pixels)
    }
}

/// A chunk of a PNG file.
pub(crate) struct Chunk {
    /// Its four letters.
    pub(crate) name: [u8; 4],
    /// Just behind its check sum.
    pub(crate) end: usize,
}

/// The chunks of a file, as long as they lie inside it.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk> {
    let mut at = SIGNATURE.len();
    std::iter::from_fn(move || {
        let head: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        let [a, b, c, d, name @ ..] = head;
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = at.checked_add(len)?.checked_add(12)?;
        at = end;
        (end <= bytes.len()).then_some(Chunk { name, end })
    })
}

fn output(reader: &Reader<Cursor<&[u8]>>) -> Result<PixelFormat> {
    let (color, depth) = reader.output_color_type();
    let depth = match depth {
        BitDepth::Eight => Depth::U8,
        BitDepth::Sixteen => Depth::U16,
        other => {
            let message = format!("PNG samples were not expanded from {other:?} bits");
            return Err(Error::new(Code::Internal, message));
        }
    };
    let (model, alpha) = match color {
        ColorType::Grayscale => (ColorModel::Gray, false),
        ColorType::GrayscaleAlpha => (ColorModel::Gray, true),
        ColorType::Rgb | ColorType::Indexed => (ColorModel::Rgb, false),
        ColorType::Rgba => (ColorModel::Rgb, true),
    };
    Ok(PixelFormat::new(depth, model, alpha))
}

/// The Exif block that `ImageMagick` wrote as text before PNG had a chunk for it: a name, a
/// length, and hexadecimal digits.
fn raw_profile(info: &Info) -> Option<Vec<u8>> {
    let wanted =
        |keyword: &str| matches!(keyword, "Raw profile type exif" | "Raw profile type APP1");
    let packed = info
        .compressed_latin1_text
        .iter()
        .find(|text| wanted(&text.keyword));
    let plain = info
        .uncompressed_latin1_text
        .iter()
        .find(|text| wanted(&text.keyword));
    let text = match (packed, plain) {
        (Some(packed), _) => packed.get_text().ok()?,
        (None, plain) => plain?.text.clone(),
    };
    let digits = text.trim_start().splitn(3, '\n').nth(2)?;
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let bytes = digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8);
    Some(bytes.collect())
}

fn resolution(info: &Info) -> Option<fonds_core::Ppi> {
    let found = info.pixel_dims.filter(|found| found.unit == Unit::Meter)?;
    ppi(found.xppu.into(), found.yppu.into(), 0.0254)
}

fn failed(error: DecodingError) -> Error {
    let code = match &error {
        DecodingError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Code::Truncated
        }
        DecodingError::LimitsExceeded => Code::LimitsExceeded,
        _ => Code::Corrupt,
    };
    Error::new(code, "the PNG cannot be decoded").caused_by(error)
}
