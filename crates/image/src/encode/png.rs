//! PNG: 8 and 16 bits, gray and RGB, with alpha, profile, resolution and texts.

use std::borrow::Cow;
use std::io::Write;

use fonds_core::{ColorModel, Depth, PixelFormat, Raster, Result};
use png::text_metadata::{ITXtChunk, TEXtChunk};
use png::{
    BitDepth, ColorType, DeflateCompression, Encoder, EncodingError, Filter, Info, PixelDimensions,
    Unit,
};

use super::{Embedded, Encoding, PngLevel, Rows, profile, refused, resolution, write_failed};

/// The keyword under which readers look for XMP.
const XMP_KEYWORD: &str = "XML:com.adobe.xmp";
/// Metres in an inch.
const INCH: f64 = 0.0254;
/// Bytes of pixels that are handed over together.
const BAND: usize = 1 << 16;

pub(super) fn write(
    raster: &Raster,
    level: PngLevel,
    embedded: &Embedded,
    out: &mut impl Write,
) -> Result<()> {
    let format = Encoding::PNG.fit(raster.format());
    let mut encoder = Encoder::with_info(out, info(raster, format, embedded)).map_err(failed)?;
    let (filter, deflate) = match level {
        PngLevel::Fast => (Filter::Paeth, 1),
        PngLevel::Default => (Filter::Adaptive, 3),
        PngLevel::Best => (Filter::Adaptive, 9),
    };
    encoder.set_filter(filter);
    encoder.set_deflate_compression(DeflateCompression::Level(deflate));
    let mut writer = encoder.write_header().map_err(failed)?;
    {
        let mut pixels = writer.stream_writer_with_size(BAND).map_err(failed)?;
        write_rows(raster, format, &mut pixels).map_err(|error| write_failed(error, "PNG"))?;
        pixels.finish().map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

fn info<'a>(raster: &'a Raster, format: PixelFormat, embedded: &Embedded) -> Info<'a> {
    let mut info = Info::with_size(raster.width(), raster.height());
    info.color_type = match (format.model, format.alpha) {
        (ColorModel::Gray, false) => ColorType::Grayscale,
        (ColorModel::Gray, true) => ColorType::GrayscaleAlpha,
        (ColorModel::Rgb, false) => ColorType::Rgb,
        (ColorModel::Rgb, true) => ColorType::Rgba,
    };
    info.bit_depth = match format.depth {
        Depth::U8 => BitDepth::Eight,
        Depth::U16 | Depth::F32 => BitDepth::Sixteen,
    };
    info.icc_profile = profile(raster).map(Cow::Borrowed);
    info.pixel_dims = resolution(raster).map(|ppi| PixelDimensions {
        xppu: (ppi.x / INCH).round() as u32,
        yppu: (ppi.y / INCH).round() as u32,
        unit: Unit::Meter,
    });
    if let Some(xmp) = embedded.xmp {
        info.utf8_text.push(ITXtChunk::new(XMP_KEYWORD, xmp));
    }
    add_texts(&mut info, embedded);
    info
}

/// The keywords of the PNG specification; Latin-1 where it suffices, because every reader knows
/// that kind of chunk.
fn add_texts(info: &mut Info, embedded: &Embedded) {
    let texts = [
        ("Author", embedded.artist),
        ("Copyright", embedded.copyright),
        ("Software", embedded.software),
    ];
    for (keyword, text) in texts {
        let Some(text) = text else { continue };
        let text = text.replace('\0', "");
        if text.chars().all(|letter| u32::from(letter) < 256) {
            info.uncompressed_latin1_text
                .push(TEXtChunk::new(keyword, text));
        } else {
            info.utf8_text.push(ITXtChunk::new(keyword, text));
        }
    }
}

fn write_rows(raster: &Raster, format: PixelFormat, out: &mut impl Write) -> std::io::Result<()> {
    let rows = Rows::new(raster, format);
    if let Some(samples) = raster.as_slice::<u8>() {
        return out.write_all(samples);
    }
    let mut row = vec![0_u16; rows.row_len()];
    let mut bytes = vec![0_u8; rows.row_len() * 2];
    for y in 0..raster.height() as usize {
        rows.fill(y, &mut row);
        for (bytes, sample) in bytes.chunks_exact_mut(2).zip(&row) {
            bytes.copy_from_slice(&sample.to_be_bytes());
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn failed(error: EncodingError) -> fonds_core::Error {
    match error {
        EncodingError::IoError(error) => write_failed(error, "PNG"),
        other => refused(other, "PNG"),
    }
}
