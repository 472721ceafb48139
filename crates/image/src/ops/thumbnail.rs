//! Thumbnail: a small 8-bit copy, fast.

use fonds_core::{Change, Outcome, Ppi, Raster, Result, Sample, with_samples};

use super::resize::{Filter, resampled};
use super::support::params::in_range;
use super::support::reduce::Reduced;
use super::support::rows;
use super::support::work::{Work, with_channels};

/// Makes a small 8-bit copy that fits into a square.
///
/// Bytes are reduced by Lanczos; deeper samples, and those with alpha, are first reduced by means
/// of squares, by a whole factor that leaves at least twice the size. The profile goes along and the resolution is scaled; the
/// picture is never enlarged.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    /// Side of the square in pixels, 8 to 4096.
    pub size: u32,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self { size: 512 }
    }
}

impl Thumbnail {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("size", self.size, &(8..=4096))
    }

    /// Makes the small copy; an 8-bit picture that fits is left alone.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let small = self.of(&raster)?;
        Ok(match small {
            None => Outcome::unchanged(raster),
            Some(small) => {
                let (width, height) = (small.width(), small.height());
                let change = Change::new(format!("reduced to {width} × {height} pixels"))
                    .value("width", f64::from(width))
                    .value("height", f64::from(height));
                Outcome::changed(small, change)
            }
        })
    }

    /// The small copy of a picture that stays; `None` when it is small and of 8 bits already.
    pub fn of(&self, raster: &Raster) -> Result<Option<Raster>> {
        let (width, height) = self.target(raster);
        let same = (width, height) == (raster.width(), raster.height());
        if same && raster.as_slice::<u8>().is_some() {
            return Ok(None);
        }
        let small = if raster.as_slice::<u8>().is_some() && !raster.format().alpha {
            // Of bytes, Lanczos is as fast as the means are.
            resampled(raster, width, height, Filter::Lanczos3)?
        } else {
            let factor = (raster.width() / (2 * width)).min(raster.height() / (2 * height));
            let small = reduced8(raster, (factor as usize).max(1));
            resampled(&small, width, height, Filter::Lanczos3)?
        };
        let ppi = raster.ppi().map(|ppi| Ppi {
            x: ppi.x * f64::from(width) / f64::from(raster.width()),
            y: ppi.y * f64::from(height) / f64::from(raster.height()),
        });
        Ok(Some(small.with_ppi(ppi)))
    }

    fn target(&self, raster: &Raster) -> (u32, u32) {
        let longer = raster.width().max(raster.height());
        let factor = (f64::from(self.size) / f64::from(longer)).min(1.0);
        let side = |size: u32| (f64::from(size) * factor).round().max(1.0) as u32;
        (side(raster.width()), side(raster.height()))
    }
}

/// The picture in 8 bits, reduced by means of squares, with its profile.
fn reduced8(raster: &Raster, factor: usize) -> Raster {
    let size = |side: u32| side.div_ceil(factor as u32);
    let (width, height) = (size(raster.width()), size(raster.height()));
    let samples: Vec<u8> = if raster.format().alpha || factor == 1 {
        with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                weighted::<_, CH>(samples, raster, factor)
            })
        })
    } else {
        let reduced = Reduced::by(raster, factor);
        reduced.data.iter().map(|v| u8::from_f32(*v)).collect()
    };
    raster.with_samples(width, height, samples)
}

/// Means of squares in which each pixel counts by its alpha.
fn weighted<T: Work, const CH: usize>(samples: &[T], raster: &Raster, factor: usize) -> Vec<u8> {
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let out_len = width.div_ceil(factor) * CH;
    let mut out = vec![0; out_len * height.div_ceil(factor)];
    rows::for_each_row(&mut out, out_len, |y, out| {
        let rows = y * factor..height.min((y + 1) * factor);
        for (x, out) in out.chunks_exact_mut(CH).enumerate() {
            let columns = x * factor..width.min((x + 1) * factor);
            if factor == 1 {
                let pixel = &samples[(y * width + x) * CH..][..CH];
                out.iter_mut().zip(pixel).for_each(|(o, v)| *o = v.byte());
                continue;
            }
            let mut sum = [0.0_f32; CH];
            for row in rows.clone() {
                let from = (row * width + columns.start) * CH;
                for pixel in samples[from..][..columns.len() * CH].chunks_exact(CH) {
                    let alpha = f32::from(pixel[CH - 1].byte());
                    for c in 0..CH - 1 {
                        sum[c] += alpha * f32::from(pixel[c].byte());
                    }
                    sum[CH - 1] += alpha;
                }
            }
            let alpha = sum[CH - 1];
            for c in 0..CH - 1 {
                out[c] = u8::from_f32(sum[c] / alpha.max(1.0));
            }
            out[CH - 1] = u8::from_f32(alpha / (rows.len() * columns.len()) as f32);
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;
    use fonds_core::{ColorModel, Samples};

    fn made(width: usize, height: usize) -> Raster {
        let samples = (0..width * height).flat_map(|i| {
            let v = u16::from(synthetic::texture(i % width / 9, i / width / 9)) * 257;
            [v, v / 2, 65_535 - v]
        });
        let samples = Samples::U16(samples.collect());
        let (w, h) = (width as u32, height as u32);
        Raster::from_samples(w, h, ColorModel::Rgb, false, samples).unwrap()
    }

    #[test]
    fn two_steps_look_like_one() {
        let raster = made(900, 620).with_ppi(Some(Ppi::square(600.0)));
        let fast = Thumbnail { size: 100 }.of(&raster).unwrap().unwrap();
        let slow = resampled(&raster, 100, 69, Filter::Lanczos3).unwrap();
        assert_eq!((fast.width(), fast.height()), (100, 69));
        assert!((fast.ppi().unwrap().x - 600.0 / 9.0).abs() < 1e-9);
        let pairs = fast.as_slice::<u8>().unwrap().iter();
        let off: u32 = pairs
            .zip(slow.as_slice::<u16>().unwrap())
            .map(|(a, b)| u32::from(a.abs_diff(b.byte())))
            .sum();
        assert!(f64::from(off) / (100.0 * 69.0 * 3.0) < 1.5, "{off}");
    }

    #[test]
    fn small_pictures_only_change_their_depth() {
        let raster = made(40, 30);
        let small = Thumbnail::default().of(&raster).unwrap().unwrap();
        let expected: Vec<u8> = raster
            .as_slice::<u16>()
            .unwrap()
            .iter()
            .map(|v| v.byte())
            .collect();
        assert_eq!(small.as_slice::<u8>().unwrap(), expected);
        assert_eq!(Thumbnail::default().of(&small).unwrap(), None);
    }

    #[test]
    fn transparent_pixels_do_not_count() {
        let pixel = |i: u32| {
            if i.is_multiple_of(2) {
                [200, 0, 0, 0]
            } else {
                [10, 90, 30, 255]
            }
        };
        let samples = Samples::U8((0..400 * 400).flat_map(pixel).collect());
        let raster = Raster::from_samples(400, 400, ColorModel::Rgb, true, samples).unwrap();
        let small = Thumbnail { size: 20 }.of(&raster).unwrap().unwrap();
        let pixels = small.as_slice::<u8>().unwrap().chunks_exact(4);
        for pixel in pixels {
            assert!(pixel[0] <= 11 && pixel[1].abs_diff(90) <= 2, "{pixel:?}");
            assert!(pixel[3].abs_diff(128) <= 2);
        }
    }
}
