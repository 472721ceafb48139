//! Decoding a JPEG stream completely or not at all.
//!
//! Both decoders at hand go on when data is missing, with gray or with zeros. So a stream must
//! have its end mark, and ones are put behind the coded data ([`with_stops`]): whoever reads too
//! far reads a code that does not exist. zune-jpeg is the fast one; jpeg-decoder takes the streams
//! that zune-jpeg mixes up (separate scans of subsampled components) and gives a second opinion
//! where zune-jpeg finds damage (fill bytes, unusual segments).

use fonds_core::{Code, Error, Result, Sample};
use jpeg_decoder::{ColorTransform, PixelFormat};
use rayon::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::segments::{Segments, scans, with_stops};
use super::variant;
use crate::decode::guard::zeroed;

/// Samples as a stream has them, interleaved.
pub(in crate::decode) struct Raw {
    pub(in crate::decode) samples: Vec<u8>,
    pub(in crate::decode) width: usize,
    pub(in crate::decode) height: usize,
    pub(in crate::decode) channels: usize,
}

/// Decodes a stream; gives the offset behind its end mark too. `YCbCr` becomes RGB when asked,
/// inks stay as they are stored.
pub(super) fn decode(bytes: &[u8], segments: &Segments, to_rgb: bool) -> Result<(Raw, usize)> {
    let scans = segments
        .scan
        .and_then(|first| scans(bytes, first))
        .ok_or_else(|| Error::new(Code::Truncated, "the JPEG stream ends before its end mark"))?;
    // zune-jpeg wants the marker right behind each scan but the last of a progressive picture; a
    // stream that was cut inside a scan has it as its last.
    let ends = match scans.ends.len().checked_sub(1) {
        Some(last) if is_progressive(segments) => &scans.ends[last..],
        _ => &scans.ends[..],
    };
    let stream = with_stops(bytes, ends, scans.end);
    let raw = if is_split(segments) {
        second(&stream, segments, to_rgb)?
    } else {
        match first(&stream, to_rgb) {
            Err(error) if error.code() != Code::UnsupportedVariant => {
                second(&stream, segments, to_rgb).map_err(|_| error)?
            }
            result => result?,
        }
    };
    Ok((raw, scans.end))
}

fn is_progressive(segments: &Segments) -> bool {
    segments.frame.is_some_and(|frame| frame.marker == 0xc2)
}

/// Whether a sequential picture has its components in separate scans.
fn is_split(segments: &Segments) -> bool {
    !is_progressive(segments)
        && segments
            .frame
            .is_some_and(|frame| segments.scan_components < frame.components)
}

fn first(stream: &[u8], to_rgb: bool) -> Result<Raw> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(stream), options);
    decoder.decode_headers().map_err(|error| failed(&error))?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let wanted = match stored {
        ColorSpace::YCbCr if to_rgb => ColorSpace::RGB,
        ColorSpace::Luma
        | ColorSpace::YCbCr
        | ColorSpace::RGB
        | ColorSpace::CMYK
        | ColorSpace::YCCK => stored,
        other => return Err(variant(&format!("JPEG with {other:?} colours"))),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let channels = wanted.num_components();
    let mut samples = zeroed(width * height * channels)?;
    decoder
        .decode_into(&mut samples)
        .map_err(|error| failed(&error))?;
    if stored == ColorSpace::YCCK {
        samples.par_chunks_exact_mut(4).for_each(ycck_to_cmyk);
    }
    Ok(Raw {
        samples,
        width,
        height,
        channels,
    })
}

fn second(stream: &[u8], segments: &Segments, to_rgb: bool) -> Result<Raw> {
    let damaged = |error: jpeg_decoder::Error| {
        Error::new(Code::Corrupt, "the JPEG stream is damaged").caused_by(error)
    };
    let mut decoder = jpeg_decoder::Decoder::new(stream);
    let components = segments.frame.map_or(0, |frame| frame.components);
    let is_rgb =
        segments.adobe_transform == Some(0) || segments.frame.is_some_and(|frame| frame.named_rgb);
    decoder.set_color_transform(match components {
        1 => ColorTransform::Grayscale,
        3 if to_rgb && !is_rgb => ColorTransform::YCbCr,
        _ => ColorTransform::None,
    });
    let mut samples = decoder.decode().map_err(damaged)?;
    let info = decoder.info();
    let info = info.ok_or_else(|| Error::new(Code::Corrupt, "the JPEG stream has no frame"))?;
    let channels = match info.pixel_format {
        PixelFormat::L8 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => 4,
        PixelFormat::L16 => return Err(variant("JPEG of more than 8 bits")),
    };
    if channels == 4 && segments.adobe_transform == Some(2) {
        samples.chunks_exact_mut(4).for_each(ycck_to_cmyk);
    }
    Ok(Raw {
        samples,
        width: info.width.into(),
        height: info.height.into(),
        channels,
    })
}

fn failed(error: &DecodeErrors) -> Error {
    let text = error.to_string();
    // The decoder names the code that it could not read; only ones are ours.
    let stopped = text.contains("0xFFFF") || text.contains("Premature");
    let code = match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => Code::Truncated,
        DecodeErrors::Unsupported(_) => Code::UnsupportedVariant,
        _ if stopped => Code::Truncated,
        _ => Code::Corrupt,
    };
    let what = match code {
        Code::Truncated => "the JPEG stream ends before its pixels do",
        _ => "the JPEG stream is damaged",
    };
    Error::new(code, format!("{what}: {}", text.trim_matches('"')))
}

/// Undoes the colour transform of Adobe's YCCK (BT.601, full range); K is left alone. Like the
/// transform itself this leaves inks in the file's polarity.
fn ycck_to_cmyk(pixel: &mut [u8]) {
    let [y, cb, cr] = [0, 1, 2].map(|place| f32::from(pixel[place]));
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let rgb = [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ];
    for (ink, light) in pixel.iter_mut().zip(rgb) {
        *ink = 255 - u8::from_f32(light);
    }
}
