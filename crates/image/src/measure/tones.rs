//! How much of the range a picture uses: percentiles, fading, clipping.

use fonds_core::{Raster, with_samples};

use super::border::Frame;
use crate::ops::support::plane::Plane;
use crate::ops::support::rows;
use crate::ops::support::work::Work;

/// Pixels that are looked at for clipping, at most (whole rows, evenly spread).
const MAX_SAMPLED: usize = 250_000;

/// A picture with more of its pixels than this at the ends is black and white on purpose.
const BITONAL_PERCENT: f64 = 98.0;

/// A histogram of the reduced luma in steps of a quarter code value.
#[derive(Debug, Clone)]
pub(crate) struct Tones {
    bins: Vec<u32>,
    count: u32,
}

impl Tones {
    /// Counts the luma inside the frame.
    pub(crate) fn of(luma: &Plane<f32>, frame: Option<&Frame>) -> Self {
        let whole = Frame::whole(luma.width(), luma.height());
        let frame = frame.unwrap_or(&whole);
        let mut bins = vec![0; 1021];
        for y in frame.top..frame.bottom {
            for value in &luma.row(y)[frame.left..frame.right] {
                bins[(value.clamp(0.0, 255.0) * 4.0 + 0.5) as usize] += 1;
            }
        }
        let count = bins.iter().sum();
        Self { bins, count }
    }

    /// The value below which this share (0 to 1) of the pixels lies, in 8-bit code values.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let wanted = share * f64::from(self.count);
        let mut below = 0.0;
        for (i, bin) in self.bins.iter().enumerate() {
            below += f64::from(*bin);
            if below >= wanted && *bin > 0 {
                return i as f64 / 4.0;
            }
        }
        255.0
    }

    /// The luma that half a per cent of the pixels lies below, and that above which half a per cent
    /// lies, 0 to 1.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.quantile(0.005) / 255.0, self.quantile(0.995) / 255.0)
    }

    /// The part of the range between 0 and 1 that lies beyond the ends.
    pub(crate) fn fading(&self) -> f64 {
        let (black, white) = self.ends();
        1.0 - (white - black)
    }
}

/// Per cent of the pixels inside the frame that have a colour channel at either end.
pub(super) fn clipped_percent(raster: &Raster, frame: Frame) -> f64 {
    let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
    let step = (width * height).div_ceil(MAX_SAMPLED);
    let sampled = height.div_ceil(step);
    let (channels, color) = (raster.format().channels(), raster.format().color_channels());
    let clipped = with_samples!(raster.samples(), samples => {
        rows::count_rows(sampled, |i| {
            let start = (frame.top + i * step) * raster.row_len() + frame.left * channels;
            clipped_in_row(&samples[start..][..width * channels], channels, color)
        })
    });
    let percent = 100.0 * clipped as f64 / (sampled * width) as f64;
    if percent > BITONAL_PERCENT {
        0.0
    } else {
        percent
    }
}

fn clipped_in_row<T: Work>(row: &[T], channels: usize, color: usize) -> usize {
    let any = |pixel: &&[T]| pixel[..color].iter().any(|sample| sample.at_end());
    match (channels, color) {
        (1, 1) => row.iter().filter(|sample| sample.at_end()).count(),
        // Written out, because a fixed length makes it vectorise.
        (3, 3) => row
            .chunks_exact(3)
            .map(|p| usize::from(p[0].at_end() | p[1].at_end() | p[2].at_end()))
            .sum(),
        _ => row.chunks_exact(channels).filter(any).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, PixelFormat, Samples};

    #[test]
    fn fading_is_the_unused_range() {
        let data = (0..10_000).map(|i| 50.0 + (i % 101) as f32).collect();
        let tones = Tones::of(&Plane::from_vec(100, 100, data), None);
        assert_eq!(tones.quantile(0.5), 100.0);
        assert!((tones.fading() - (1.0 - 100.0 / 255.0)).abs() < 0.01);
    }

    #[test]
    fn clipping_counts_any_channel() {
        let mut samples = vec![100_u8; 3 * 100];
        samples[4] = 255;
        samples[31] = 0;
        samples[32] = 255;
        let raster =
            Raster::from_samples(10, 10, ColorModel::Rgb, false, Samples::U8(samples)).unwrap();
        assert_eq!(clipped_percent(&raster, Frame::whole(10, 10)), 2.0);
        let inner = Frame {
            left: 2,
            ..Frame::whole(10, 10)
        };
        assert_eq!(clipped_percent(&raster, inner), 0.0);
        let black = Raster::new(9, 9, PixelFormat::GRAY16);
        assert_eq!(clipped_percent(&black, Frame::whole(9, 9)), 0.0);
    }
}
