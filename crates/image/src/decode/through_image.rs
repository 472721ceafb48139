//! Formats whose pixels come from the decoders of the `image` crate.

use fonds_core::{Code, ColorModel, Depth, Error, PixelFormat, Result, Samples};
use image::{ColorType, ImageDecoder, ImageError};

use super::guard::zeroed;
use super::page::{Header, Pixels};

/// What a decoder will give.
pub(super) fn output(decoder: &impl ImageDecoder) -> Result<PixelFormat> {
    let (depth, model, alpha) = match decoder.color_type() {
        ColorType::L8 => (Depth::U8, ColorModel::Gray, false),
        ColorType::La8 => (Depth::U8, ColorModel::Gray, true),
        ColorType::Rgb8 => (Depth::U8, ColorModel::Rgb, false),
        ColorType::Rgba8 => (Depth::U8, ColorModel::Rgb, true),
        ColorType::L16 => (Depth::U16, ColorModel::Gray, false),
        ColorType::La16 => (Depth::U16, ColorModel::Gray, true),
        ColorType::Rgb16 => (Depth::U16, ColorModel::Rgb, false),
        ColorType::Rgba16 => (Depth::U16, ColorModel::Rgb, true),
        ColorType::Rgb32F => (Depth::F32, ColorModel::Rgb, false),
        ColorType::Rgba32F => (Depth::F32, ColorModel::Rgb, true),
        other => {
            let message = format!("pixels of the kind {other:?} are not decoded");
            return Err(Error::new(Code::UnsupportedVariant, message));
        }
    };
    Ok(PixelFormat::new(depth, model, alpha))
}

/// Decodes all pixels of a picture that the header describes.
pub(super) fn pixels(decoder: impl ImageDecoder, header: &Header) -> Result<Pixels> {
    let bytes = header.output_len() * header.output.depth.bytes();
    if decoder.total_bytes() != bytes as u64 {
        return Err(Error::new(
            Code::Corrupt,
            "the picture has another size than its header",
        ));
    }
    let samples = match header.output.depth {
        Depth::U8 => {
            let mut samples: Vec<u8> = zeroed(header.output_len())?;
            decoder.read_image(&mut samples).map_err(failed)?;
            Samples::U8(samples)
        }
        Depth::U16 => {
            let mut samples: Vec<u16> = zeroed(header.output_len())?;
            let bytes = bytemuck::cast_slice_mut(&mut samples);
            decoder.read_image(bytes).map_err(failed)?;
            Samples::U16(samples)
        }
        Depth::F32 => {
            let mut samples: Vec<f32> = zeroed(header.output_len())?;
            let bytes = bytemuck::cast_slice_mut(&mut samples);
            decoder.read_image(bytes).map_err(failed)?;
            Samples::F32(samples)
        }
    };
    Ok(Pixels::of(samples, header))
}

/// The decoder's error by what it means for the file.
pub(super) fn failed(error: ImageError) -> Error {
    let code = match &error {
        ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Code::Truncated
        }
        ImageError::Limits(_) => Code::LimitsExceeded,
        ImageError::Unsupported(_) => Code::UnsupportedVariant,
        _ => Code::Corrupt,
    };
    Error::new(code, "the picture cannot be decoded").caused_by(error)
}
