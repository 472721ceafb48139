//! Rows of a raster in another pixel format: depth, channels, alpha, without a second picture.

use std::borrow::Cow;

use fonds_core::{ColorModel, Depth, PixelFormat, Raster, Sample, with_samples};
use rayon::prelude::*;

use crate::color::{self, ProfileFit};

/// Weights of red, green and blue in the luma of Rec. ITU-R BT.709.
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// How many rows one task converts.
const BAND_ROWS: usize = 64;

/// The picture in another pixel format.
///
/// Depth changes round to the nearest sample. Alpha is dropped by laying the picture on white, in
/// code values as every viewer does, and added as opaque. RGB becomes gray by the Rec. 709 luma
/// of its code values. Where the colour channels change, the samples are brought to sRGB first,
/// because a profile for gray says nothing about RGB.
pub fn convert(raster: Raster, format: PixelFormat) -> Raster {
    if raster.format() == format {
        return raster;
    }
    converted(&raster, format)
}

/// The same from a borrowed picture, which is copied even when nothing is to be converted.
pub(crate) fn converted(raster: &Raster, format: PixelFormat) -> Raster {
    let raster = in_common_space(raster, format);
    let icc = if raster.format().model == format.model {
        raster.icc().cloned()
    } else {
        raster.icc().map(|_| color::standard_profile(format.model))
    };
    let samples = match format.depth {
        Depth::U8 => u8::wrap(all_rows(&raster, format)),
        Depth::U16 => u16::wrap(all_rows(&raster, format)),
        Depth::F32 => f32::wrap(all_rows(&raster, format)),
    };
    let (width, height) = (raster.width(), raster.height());
    let made = Raster::from_samples(width, height, format.model, format.alpha, samples);
    made.unwrap_or_else(|_| unreachable!("the rows were made for this size and format"))
        .with_icc(icc)
        .with_ppi(raster.ppi())
}

/// The raster in sRGB (or its gray) when the colour channels are about to change; a profile that
/// cannot be used is left out.
fn in_common_space(raster: &Raster, format: PixelFormat) -> Cow<'_, Raster> {
    let model = raster.format().model;
    let Some(icc) = raster.icc().filter(|_| model != format.model) else {
        return Cow::Borrowed(raster);
    };
    let own = raster.clone();
    let made = match color::check_profile(icc, model) {
        ProfileFit::Fits => color::to_srgb(own).ok(),
        _ => None,
    };
    Cow::Owned(made.unwrap_or_else(|| raster.clone().with_icc(None)))
}

/// Rows of one raster, each converted to another format when it is asked for.
pub(crate) struct Rows<'a> {
    raster: &'a Raster,
    format: PixelFormat,
}

impl<'a> Rows<'a> {
    /// The rows of `raster` in `format`, whose depth must be the one asked of [`Rows::fill`].
    pub(crate) fn new(raster: &'a Raster, format: PixelFormat) -> Self {
        Self { raster, format }
    }

    /// Samples of one row in the new format.
    pub(crate) fn row_len(&self) -> usize {
        self.raster.width() as usize * self.format.channels()
    }

    /// Writes the rows from `first` on into `out`, as many as it holds.
    pub(crate) fn fill<T: Sample>(&self, first: usize, out: &mut [T]) {
        debug_assert_eq!(T::DEPTH, self.format.depth);
        let from_len = self.raster.row_len();
        with_samples!(self.raster.samples(), samples => {
            let rows = samples[first * from_len..].chunks_exact(from_len);
            for (row, out) in rows.zip(out.chunks_exact_mut(self.row_len())) {
                convert_row(row, self.raster.format(), out, self.format);
            }
        });
    }
}

fn all_rows<T: Sample>(raster: &Raster, format: PixelFormat) -> Vec<T> {
    let rows = Rows::new(raster, format);
    let mut out = vec![T::default(); rows.row_len() * raster.height() as usize];
    out.par_chunks_mut(rows.row_len() * BAND_ROWS)
        .enumerate()
        .for_each(|(band, out)| rows.fill(band * BAND_ROWS, out));
    out
}

fn convert_row<S: Sample, T: Sample>(row: &[S], from: PixelFormat, out: &mut [T], to: PixelFormat) {
    let same_channels = from.model == to.model && from.alpha == to.alpha;
    if same_channels {
        for (out, sample) in out.iter_mut().zip(row) {
            *out = T::from_unit(sample.to_unit());
        }
        return;
    }
    let pixels = row.chunks_exact(from.channels());
    for (pixel, out) in pixels.zip(out.chunks_exact_mut(to.channels())) {
        convert_pixel(pixel, from, out, to);
    }
}

#[inline]
fn convert_pixel<S: Sample, T: Sample>(
    pixel: &[S],
    from: PixelFormat,
    out: &mut [T],
    to: PixelFormat,
) {
    let mut color = [pixel[0].to_unit(); 3];
    if from.model == ColorModel::Rgb {
        color = [0, 1, 2].map(|channel| pixel[channel].to_unit());
    }
    let mut alpha = 1.0;
    if from.alpha {
        alpha = finite(pixel[from.color_channels()].to_unit()).clamp(0.0, 1.0);
    }
    if from.alpha && !to.alpha {
        color = color.map(|value| finite(value) * alpha + (1.0 - alpha));
    }
    match to.model {
        ColorModel::Gray => out[0] = T::from_unit(gray(color, from.model)),
        ColorModel::Rgb => {
            for (out, value) in out.iter_mut().zip(color) {
                *out = T::from_unit(value);
            }
        }
    }
    if to.alpha {
        out[to.color_channels()] = T::from_unit(alpha);
    }
}

fn gray(color: [f32; 3], model: ColorModel) -> f32 {
    match model {
        ColorModel::Gray => color[0],
        ColorModel::Rgb => color
            .iter()
            .zip(LUMA)
            .map(|(value, share)| value * share)
            .sum(),
    }
}

/// Nothing of an undefined sample can be shown: it counts as 0.
fn finite(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fonds_core::{Ppi, Samples};

    use super::*;

    fn raster(model: ColorModel, alpha: bool, samples: Samples) -> Raster {
        let channels = PixelFormat::new(samples.depth(), model, alpha).channels();
        let width = (samples.len() / channels) as u32;
        Raster::from_samples(width, 1, model, alpha, samples).unwrap()
    }

    #[test]
    fn sixteen_bits_round_to_the_nearest_eight() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let made = convert(
            raster(ColorModel::Gray, false, Samples::U16(all)),
            PixelFormat::GRAY8,
        );
        for (value, made) in made.as_slice::<u8>().unwrap().iter().enumerate() {
            // 65535 = 257 × 255, so v / 257 rounded is exact.
            assert_eq!(u32::from(*made), (value as u32 + 128) / 257, "{value}");
        }
    }

    #[test]
    fn alpha_falls_onto_white() {
        let samples = vec![0, 0, 0, 255, 0, 0, 0, 0, 200, 100, 50, 128];
        let made = convert(
            raster(ColorModel::Rgb, true, Samples::U8(samples)),
            PixelFormat::RGB8,
        );
        let half = |v: u32| ((v * 128 + 255 * 127) as f64 / 255.0).round() as u8;
        let expected = [0, 0, 0, 255, 255, 255, half(200), half(100), half(50)];
        assert_eq!(made.as_slice::<u8>().unwrap(), expected);
    }

    #[test]
    fn undefined_floats_become_black_and_infinite_ones_saturate() {
        let samples = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5];
        let made = convert(
            raster(ColorModel::Gray, false, Samples::F32(samples)),
            PixelFormat::GRAY16,
        );
        assert_eq!(made.as_slice::<u16>().unwrap(), [0, 65535, 0, 32768]);
        let samples = vec![f32::NAN, 1.0, 0.25, f32::NAN];
        let made = convert(
            raster(ColorModel::Gray, true, Samples::F32(samples)),
            PixelFormat::GRAY8,
        );
        assert_eq!(made.as_slice::<u8>().unwrap(), [0, 255]);
    }

    #[test]
    fn gray_and_rgb_go_both_ways() {
        let gray = raster(ColorModel::Gray, false, Samples::U8(vec![0, 7, 255]));
        let rgb = convert(gray.clone(), PixelFormat::RGBA8);
        assert_eq!(
            rgb.as_slice::<u8>().unwrap(),
            [0, 0, 0, 255, 7, 7, 7, 255, 255, 255, 255, 255]
        );
        assert_eq!(convert(rgb, PixelFormat::GRAY8), gray);
        let red = raster(ColorModel::Rgb, false, Samples::U8(vec![255, 0, 0]));
        assert_eq!(
            convert(red, PixelFormat::GRAY8).as_slice::<u8>().unwrap(),
            [54]
        );
    }

    #[test]
    fn profile_and_resolution_stay_where_they_fit() {
        let icc: Arc<[u8]> = color::gray_profile().into();
        let gray = Raster::new(4, 300, PixelFormat::GRAY16)
            .with_icc(Some(icc.clone()))
            .with_ppi(Some(Ppi::square(300.0)));
        let eight = convert(gray.clone(), PixelFormat::GRAY8);
        assert_eq!(eight.icc(), Some(&icc));
        assert_eq!(eight.ppi(), gray.ppi());
        let rgb = convert(gray, PixelFormat::RGB8);
        assert_eq!(rgb.icc().unwrap()[..], *color::srgb_profile());
        let nonsense: Arc<[u8]> = Arc::from(&b"no profile"[..]);
        let rgb = Raster::new(1, 1, PixelFormat::RGB8).with_icc(Some(nonsense));
        assert_eq!(convert(rgb, PixelFormat::GRAY8).icc(), None);
    }
}
