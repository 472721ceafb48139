//! JPEG: 8 bits, gray and RGB, baseline or progressive, with JFIF density, profile, Exif and XMP.

use std::io::Write;

use fonds_core::{Code, ColorModel, Error, PixelFormat, Raster, Result};
use jpeg_encoder::{
    ChromaSubsamplingMethod, ColorType, Encoder, EncodingError, ImageBuffer, JfifWrite,
    JpegColorType, PixelDensity, PixelDensityUnit, SamplingFactor, rgb_to_ycbcr,
};

use super::{
    Embedded, Encoding, Rows, Subsampling, exif, profile, refused, resolution, write_failed,
};

/// What a segment of XMP begins with.
const XMP_HEADER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// What a segment can hold.
const MAX_SEGMENT: usize = 65_533;

/// The settings of [`Encoding::Jpeg`].
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) quality: u8,
    pub(super) subsampling: Subsampling,
    pub(super) progressive: bool,
}

pub(super) fn write(
    raster: &Raster,
    settings: Settings,
    embedded: &Embedded,
    out: &mut impl Write,
) -> Result<()> {
    let mut encoder = Encoder::new(out, settings.quality);
    encoder.set_sampling_factor(match settings.subsampling {
        Subsampling::Full => SamplingFactor::R_4_4_4,
        Subsampling::Half => SamplingFactor::R_4_2_2,
        Subsampling::Quarter => SamplingFactor::R_4_2_0,
    });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.set_progressive(settings.progressive);
    // A baseline file with fitted codes would be written as one scan for each channel, which
    // readers can show only after holding the whole picture.
    encoder.set_optimized_huffman_tables(settings.progressive);
    add_segments(&mut encoder, raster, embedded)?;
    write_pixels(encoder, raster).map_err(failed)
}

fn add_segments<W: JfifWrite>(
    encoder: &mut Encoder<W>,
    raster: &Raster,
    embedded: &Embedded,
) -> Result<()> {
    if let Some(ppi) = resolution(raster) {
        let whole = |ppi: f64| ppi.round().clamp(1.0, 65_535.0) as u16;
        encoder.set_density(PixelDensity {
            density: (whole(ppi.x), whole(ppi.y)),
            unit: PixelDensityUnit::Inches,
        });
    }
    if let Some(block) = exif::block(embedded, resolution(raster)) {
        encoder.add_exif_metadata(&block).map_err(failed)?;
    }
    if let Some(xmp) = embedded.xmp {
        encoder
            .add_app_segment(1, xmp_segment(xmp)?)
            .map_err(failed)?;
    }
    if let Some(icc) = profile(raster) {
        encoder.add_icc_profile(icc).map_err(failed)?;
    }
    Ok(())
}

fn xmp_segment(xmp: &str) -> Result<Vec<u8>> {
    let segment = [XMP_HEADER, xmp.as_bytes()].concat();
    if segment.len() > MAX_SEGMENT {
        let message = format!(
            "an XMP packet of {} bytes does not fit into a JPEG",
            xmp.len()
        );
        return Err(
            Error::new(Code::InvalidRequest, message).hint("shorten the texts of the label")
        );
    }
    Ok(segment)
}

fn write_pixels<W: JfifWrite>(encoder: Encoder<W>, raster: &Raster) -> Result<(), EncodingError> {
    let (width, height) = (raster.width() as u16, raster.height() as u16);
    match (raster.as_slice::<u8>(), raster.format()) {
        (Some(samples), PixelFormat::GRAY8) => {
            encoder.encode(samples, width, height, ColorType::Luma)
        }
        (Some(samples), PixelFormat::RGB8) => {
            encoder.encode(samples, width, height, ColorType::Rgb)
        }
        _ => encoder.encode_image(Converted {
            rows: Rows::new(raster, Encoding::JPEG.fit(raster.format())),
            model: raster.format().model,
            width,
            height,
        }),
    }
}

/// A raster whose rows become 8-bit and opaque as the encoder asks for them.
struct Converted<'a> {
    rows: Rows<'a>,
    model: ColorModel,
    width: u16,
    height: u16,
}

impl ImageBuffer for Converted<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        match self.model {
            ColorModel::Gray => JpegColorType::Luma,
            ColorModel::Rgb => JpegColorType::Ycbcr,
        }
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let mut row = vec![0_u8; self.rows.row_len()];
        self.rows.fill(usize::from(y), &mut row);
        if self.model == ColorModel::Gray {
            buffers[0].extend_from_slice(&row);
            return;
        }
        for pixel in row.chunks_exact(3) {
            let (luma, blue, red) = rgb_to_ycbcr(pixel[0], pixel[1], pixel[2]);
            buffers[0].push(luma);
            buffers[1].push(blue);
            buffers[2].push(red);
        }
    }
}

fn failed(error: EncodingError) -> Error {
    match error {
        EncodingError::IoError(error) => write_failed(error, "JPEG"),
        other => refused(other, "JPEG"),
    }
}
