//! WebP: lossy and lossless pixels from libwebp, in a container with profile, Exif and XMP.

use std::borrow::Cow;
use std::io::Write;

use fonds_core::{Code, Error, PixelFormat, Raster, Result};
use webp::{Encoder, PixelLayout, WebPConfig};

use super::{Embedded, Encoding, converted, exif, profile, resolution, write_failed};

/// Flags of the `VP8X` chunk.
const HAS_ICC: u8 = 1 << 5;
const HAS_ALPHA: u8 = 1 << 4;
const HAS_EXIF: u8 = 1 << 3;
const HAS_XMP: u8 = 1 << 2;
/// Effort of libwebp, 0 to 6; its default.
const METHOD: i32 = 4;

pub(super) fn write(
    raster: &Raster,
    quality: Option<u8>,
    embedded: &Embedded,
    out: &mut impl Write,
) -> Result<()> {
    let format = Encoding::WEBP.fit(raster.format());
    let raster = if raster.format() == format {
        Cow::Borrowed(raster)
    } else {
        Cow::Owned(converted(raster, format))
    };
    let file = encode_pixels(&raster, format, quality)?;
    let chunks = Chunks::of(&file)?;
    let container = container(&raster, &chunks, embedded)?;
    container
        .iter()
        .try_for_each(|part| out.write_all(part))
        .map_err(|error| write_failed(error, "WebP"))
}

fn encode_pixels(
    raster: &Raster,
    format: PixelFormat,
    quality: Option<u8>,
) -> Result<webp::WebPMemory> {
    let samples = raster
        .as_slice::<u8>()
        .expect("WebP is written from 8 bits");
    let layout = if format.alpha {
        PixelLayout::Rgba
    } else {
        PixelLayout::Rgb
    };
    let encoder = Encoder::new(samples, layout, raster.width(), raster.height());
    let mut config = WebPConfig::new().map_err(|()| {
        Error::new(
            Code::Internal,
            "libwebp has another version than was compiled for",
        )
    })?;
    config.method = METHOD;
    config.quality = f32::from(quality.unwrap_or(75));
    config.lossless = i32::from(quality.is_none());
    // Colour under transparent pixels is part of the picture.
    config.exact = i32::from(quality.is_none());
    encoder.encode_advanced(&config).map_err(|error| {
        Error::new(
            Code::WriteFailed,
            format!("the WebP encoder refused the picture ({error:?})"),
        )
    })
}

/// The chunks with pixels in what libwebp wrote.
struct Chunks<'a> {
    pixels: Vec<(&'a [u8; 4], &'a [u8])>,
    alpha: bool,
}

impl<'a> Chunks<'a> {
    fn of(file: &'a [u8]) -> Result<Self> {
        let broken = || Error::new(Code::Internal, "the WebP encoder wrote no WebP file");
        let mut rest = file.get(12..).ok_or_else(broken)?;
        let mut chunks = Self {
            pixels: Vec::new(),
            alpha: false,
        };
        while let Some((head, tail)) = rest.split_first_chunk::<8>() {
            let (name, size) = head.split_first_chunk::<4>().expect("eight bytes");
            let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
            let data = tail.get(..size).ok_or_else(broken)?;
            chunks.alpha |= name == b"ALPH" || (name == b"VP8L" && lossless_alpha(data));
            if matches!(name, b"ALPH" | b"VP8 " | b"VP8L") {
                chunks.pixels.push((name, data));
            }
            rest = tail.get(size + size % 2..).unwrap_or_default();
        }
        if chunks.pixels.is_empty() {
            return Err(broken());
        }
        Ok(chunks)
    }
}

/// The bit after signature, width and height of a lossless stream.
fn lossless_alpha(data: &[u8]) -> bool {
    data.get(4).is_some_and(|byte| byte & 0x10 != 0)
}

/// The parts of the file in order: `VP8X`, profile, pixels, Exif, XMP.
fn container<'a>(
    raster: &'a Raster,
    chunks: &Chunks<'a>,
    embedded: &Embedded<'a>,
) -> Result<Vec<Cow<'a, [u8]>>> {
    let icc = profile(raster);
    let exif = exif::block(embedded, resolution(raster));
    let mut flags = 0;
    flags |= if icc.is_some() { HAS_ICC } else { 0 };
    flags |= if chunks.alpha { HAS_ALPHA } else { 0 };
    flags |= if exif.is_some() { HAS_EXIF } else { 0 };
    flags |= if embedded.xmp.is_some() { HAS_XMP } else { 0 };
    let mut parts = Vec::new();
    push(&mut parts, *b"VP8X", extended(raster, flags).into());
    if let Some(icc) = icc {
        push(&mut parts, *b"ICCP", icc.into());
    }
    for (name, data) in &chunks.pixels {
        push(&mut parts, **name, (*data).into());
    }
    if let Some(exif) = exif {
        push(&mut parts, *b"EXIF", exif.into());
    }
    if let Some(xmp) = embedded.xmp {
        push(&mut parts, *b"XMP ", xmp.as_bytes().into());
    }
    let size = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    let size = u32::try_from(size)
        .map_err(|_| Error::new(Code::InvalidRequest, "the WebP file would pass 4 GB"))?;
    let head = [&b"RIFF"[..], &size.to_le_bytes(), b"WEBP"].concat();
    parts.insert(0, head.into());
    Ok(parts)
}

fn extended(raster: &Raster, flags: u8) -> Vec<u8> {
    let mut chunk = vec![flags, 0, 0, 0];
    chunk.extend_from_slice(&(raster.width() - 1).to_le_bytes()[..3]);
    chunk.extend_from_slice(&(raster.height() - 1).to_le_bytes()[..3]);
    chunk
}

/// A chunk is its name, its length, its data, and a zero where the length is odd.
fn push<'a>(parts: &mut Vec<Cow<'a, [u8]>>, name: [u8; 4], data: Cow<'a, [u8]>) {
    let mut head = name.to_vec();
    head.extend_from_slice(&(data.len() as u32).to_le_bytes());
    let odd = data.len() % 2 == 1;
    parts.push(head.into());
    parts.push(data);
    if odd {
        parts.push(Cow::Borrowed(&[0]));
    }
}
