//! Box reduction by a whole factor: the small copy that measures and detectors look at.

use fast_image_resize as fir;
use fonds_core::{Raster, with_samples};

use super::plane::Plane;
use super::rows;
use super::work::{Work, with_channels};

/// Pixels that a reduced copy has at most.
pub(crate) const MAX_PIXELS: usize = 250_000;

/// A picture reduced by averaging squares of `factor` × `factor` pixels, in 8-bit code values as
/// floats; alpha is left out.
#[derive(Debug, Clone)]
pub(crate) struct Reduced {
    /// How many pixels of the picture one pixel spans, both ways.
    pub(crate) factor: usize,
    /// Pixels across.
    pub(crate) width: usize,
    /// Pixels down.
    pub(crate) height: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
    /// Interleaved.
    pub(crate) data: Vec<f32>,
}

impl Reduced {
    /// Reduces by the least factor that leaves at most [`MAX_PIXELS`].
    pub(crate) fn of(raster: &Raster) -> Self {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let mut factor = 1;
        while width.div_ceil(factor) * height.div_ceil(factor) > MAX_PIXELS {
            factor += 1;
        }
        Self::by(raster, factor)
    }

    /// Reduces by this factor (at least 1). Pictures of bytes lose the rest of less than a factor
    /// at the right and the bottom; others average what is there.
    pub(crate) fn by(raster: &Raster, factor: usize) -> Self {
        Self::of_bytes(raster, factor).unwrap_or_else(|| Self::of_samples(raster, factor))
    }

    /// The fast way, for bytes without alpha, by the vector code of the resizer; `None` for others.
    fn of_bytes(raster: &Raster, factor: usize) -> Option<Self> {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let samples = raster.as_slice::<u8>()?;
        let channels = raster.format().channels();
        let pixels = match channels {
            1 => fir::PixelType::U8,
            3 => fir::PixelType::U8x3,
            _ => return None,
        };
        let size = (width / factor, height / factor);
        if factor == 1 || size.0 == 0 || size.1 == 0 {
            return None;
        }
        let (w, h) = (raster.width(), raster.height());
        let source = fir::images::ImageRef::new(w, h, samples, pixels).ok()?;
        let mut small = fir::images::Image::new(size.0 as u32, size.1 as u32, pixels);
        let whole = (size.0 * factor, size.1 * factor);
        let options = fir::ResizeOptions::new()
            .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Box))
            .crop(0.0, 0.0, whole.0 as f64, whole.1 as f64);
        fir::Resizer::new()
            .resize(&source, &mut small, &options)
            .ok()?;
        Some(Self {
            factor,
            width: size.0,
            height: size.1,
            channels,
            data: small.buffer().iter().map(|v| f32::from(*v)).collect(),
        })
    }

    fn of_samples(raster: &Raster, factor: usize) -> Self {
        let channels = raster.format().color_channels();
        let width = (raster.width() as usize).div_ceil(factor);
        let height = (raster.height() as usize).div_ceil(factor);
        let mut data = vec![0.0; width * height * channels];
        with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                reduce_samples::<_, CH>(samples, raster, factor, &mut data);
            });
        });
        Self {
            factor,
            width,
            height,
            channels,
            data,
        }
    }

    /// Rec. 709 luma of the reduced pixels.
    pub(crate) fn luma(&self) -> Plane<f32> {
        let luma = match self.channels {
            1 => self.data.clone(),
            _ => self.data.chunks_exact(3).map(luma_of).collect(),
        };
        Plane::from_vec(self.width, self.height, luma)
    }

    /// One pixel as red, green, blue.
    pub(crate) fn rgb(&self, x: usize, y: usize) -> [f32; 3] {
        let i = (y * self.width + x) * self.channels;
        match self.channels {
            1 => [self.data[i]; 3],
            _ => [self.data[i], self.data[i + 1], self.data[i + 2]],
        }
    }
}

/// Rec. 709 luma of a pixel of floats.
pub(crate) fn luma_of(rgb: &[f32]) -> f32 {
    0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
}

fn reduce_samples<T: Work, const CH: usize>(
    samples: &[T],
    raster: &Raster,
    factor: usize,
    out: &mut [f32],
) {
    let row_len = raster.row_len();
    let color = raster.format().color_channels();
    let out_len = (raster.width() as usize).div_ceil(factor) * color;
    let height = raster.height() as usize;
    rows::for_each_row(out, out_len, |y, out| {
        if factor == 1 {
            let row = samples[y * row_len..][..row_len].chunks_exact(CH);
            for (pixel, out) in row.zip(out.chunks_exact_mut(color)) {
                for (out, sample) in out.iter_mut().zip(pixel) {
                    *out = sample.code();
                }
            }
            return;
        }
        let rows = y * factor..height.min((y + 1) * factor);
        let count = rows.len();
        out.fill(0.0);
        let mut sums = vec![T::Sum::default(); row_len];
        for first in rows.clone().step_by(257) {
            sums.fill(T::Sum::default());
            for row in first..rows.end.min(first + 257) {
                let row = &samples[row * row_len..][..row_len];
                for (sum, sample) in sums.iter_mut().zip(row) {
                    T::add(sum, *sample);
                }
            }
            add_sums::<T, CH>(&sums, factor, color, out);
        }
        divide(out, raster.width() as usize, factor, count, color);
    });
}

fn add_sums<T: Work, const CH: usize>(
    sums: &[T::Sum],
    factor: usize,
    color: usize,
    out: &mut [f32],
) {
    for (square, out) in sums.chunks(factor * CH).zip(out.chunks_exact_mut(color)) {
        for pixel in square.chunks_exact(CH) {
            for (out, sum) in out.iter_mut().zip(pixel) {
                *out += T::sum_to_codes(*sum);
            }
        }
    }
}

fn divide(out: &mut [f32], width: usize, factor: usize, rows: usize, color: usize) {
    let whole = 1.0 / (factor * rows) as f32;
    for (x, pixel) in out.chunks_exact_mut(color).enumerate() {
        let columns = factor.min(width - x * factor);
        let scale = if columns == factor {
            whole
        } else {
            1.0 / (columns * rows) as f32
        };
        for value in pixel {
            *value *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    #[test]
    fn means_of_squares_with_rests() {
        let (width, height) = (11_usize, 7_usize);
        let samples: Vec<u16> = (0..width * height * 4)
            .map(|i| (i * 7919 % 65_521) as u16)
            .collect();
        let raster = Raster::from_samples(
            width as u32,
            height as u32,
            ColorModel::Rgb,
            true,
            Samples::U16(samples.clone()),
        )
        .unwrap();
        for factor in [1, 2, 3, 20] {
            let reduced = Reduced::by(&raster, factor);
            for y in 0..reduced.height {
                for x in 0..reduced.width {
                    for c in 0..3 {
                        let mut values = Vec::new();
                        for yy in y * factor..height.min((y + 1) * factor) {
                            for xx in x * factor..width.min((x + 1) * factor) {
                                values.push(f64::from(samples[(yy * width + xx) * 4 + c]));
                            }
                        }
                        let mean = values.iter().sum::<f64>() / values.len() as f64 / 257.0;
                        let found = f64::from(reduced.rgb(x, y)[c]);
                        assert!((mean - found).abs() < 1e-3, "{factor}: {mean} {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn tall_squares_do_not_overflow() {
        let samples = Samples::U8(vec![255; 1000 * 3]);
        let raster = Raster::from_samples(3, 1000, ColorModel::Gray, false, samples).unwrap();
        let reduced = Reduced::by(&raster, 1000);
        assert_eq!((reduced.width, reduced.height), (1, 1));
        assert!((reduced.data[0] - 255.0).abs() < 1e-3);
    }

    #[test]
    fn the_way_of_bytes_is_the_same_to_a_half() {
        let samples = (0..61 * 47 * 3).map(|i| (i * 7919 % 251) as u8).collect();
        let raster = Raster::from_samples(61, 47, ColorModel::Rgb, false, Samples::U8(samples));
        let raster = raster.unwrap();
        for factor in [2, 5, 11] {
            let fast = Reduced::by(&raster, factor);
            let slow = Reduced::of_samples(&raster, factor);
            assert_eq!((fast.width, fast.height), (61 / factor, 47 / factor));
            for y in 0..fast.height {
                for x in 0..fast.width {
                    for (a, b) in fast.rgb(x, y).into_iter().zip(slow.rgb(x, y)) {
                        assert!((a - b).abs() <= 0.75, "{factor}: {a} {b}");
                    }
                }
            }
        }
    }
}
