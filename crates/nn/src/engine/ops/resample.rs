//! Pictures made larger and smaller: nearest, bilinear, bicubic.
//!
//! The coordinates are PyTorch's (`torch.nn.functional.interpolate`). Means of areas are
//! [`Engine::adaptive_average_pool`].

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::rows::{blocks, blocks_mut, clear_padding, with_lanes};

/// Keys' cubic convolution parameter, as PyTorch has it.
const CUBIC: f64 = -0.75;

impl Engine {
    /// Each pixel becomes a block of `factor × factor` equal ones.
    ///
    /// # Errors
    /// `model_error` for a factor of zero.
    pub fn upsample_nearest(&self, input: &Buffer, factor: usize) -> Result<Buffer> {
        let shape = input.shape();
        self.resize_nearest(input, shape.height * factor, shape.width * factor)
    }

    /// The nearest pixel before each position: `interpolate(size, mode="nearest")`.
    ///
    /// # Errors
    /// `model_error` when a size is zero.
    pub fn resize_nearest(&self, input: &Buffer, height: usize, width: usize) -> Result<Buffer> {
        let of_input = input.shape();
        let shape = resized(of_input, height, width)?;
        let nearest = |side: usize, count: usize| -> Vec<usize> {
            // In single precision, because PyTorch decides ties so.
            let scale = side as f32 / count as f32;
            let at = |i: usize| ((i as f32 * scale) as usize).min(side - 1);
            (0..count).map(at).collect()
        };
        let rows = nearest(of_input.height, height);
        let columns = nearest(of_input.width, width);
        let mut out = self.buffer(shape)?;
        with_lanes!(shape, L => {
            let of_pixel = shape.pixel_stride() / L;
            out.fill_rows(|picture, y, row| {
                let from = blocks::<L>(input.row(picture, rows[y]));
                let to = blocks_mut::<L>(row).chunks_exact_mut(of_pixel);
                for (to, x) in to.zip(&columns) {
                    for (to, from) in to.iter_mut().zip(&from[x * of_pixel..]) {
                        *to = *from;
                    }
                }
                clear_padding(shape, row);
            });
        });
        Ok(out.freeze())
    }

    /// Linear interpolation between four pixels: `interpolate(size, mode="bilinear")`. With
    /// `align_corners` the centres of the corner pixels stay where they are, else the corners of
    /// the picture.
    ///
    /// # Errors
    /// `model_error` when a size is zero.
    pub fn resize_bilinear(
        &self,
        input: &Buffer,
        height: usize,
        width: usize,
        align_corners: bool,
    ) -> Result<Buffer> {
        let taps = |side, count| -> Vec<Taps<2>> {
            let at = |i| Taps::linear(source(i, side, count, align_corners), side);
            (0..count).map(at).collect()
        };
        self.resample(input, height, width, taps)
    }

    /// Cubic convolution over sixteen pixels: `interpolate(size, mode="bicubic",
    /// align_corners=False)`.
    ///
    /// # Errors
    /// `model_error` when a size is zero.
    pub fn resize_bicubic(&self, input: &Buffer, height: usize, width: usize) -> Result<Buffer> {
        let taps = |side, count| -> Vec<Taps<4>> {
            let at = |i| Taps::cubic(source(i, side, count, false), side);
            (0..count).map(at).collect()
        };
        self.resample(input, height, width, taps)
    }

    /// First the rows of the input are mixed, then the pixels of the mixture.
    fn resample<const T: usize>(
        &self,
        input: &Buffer,
        height: usize,
        width: usize,
        taps: impl Fn(usize, usize) -> Vec<Taps<T>>,
    ) -> Result<Buffer> {
        let of_input = input.shape();
        let shape = resized(of_input, height, width)?;
        let rows = taps(of_input.height, height);
        let columns = taps(of_input.width, width);
        let mut out = self.buffer(shape)?;
        with_lanes!(shape, L => {
            let of_pixel = shape.pixel_stride() / L;
            out.fill_rows(|picture, y, row| {
                let mixed = rows[y].mix(|y| input.row(picture, y));
                let from = blocks::<L>(&mixed);
                let to = blocks_mut::<L>(row).chunks_exact_mut(of_pixel);
                for (to, taps) in to.zip(&columns) {
                    for (block, to) in to.iter_mut().enumerate() {
                        let mut sum = [0.0; L];
                        for (x, weight) in taps.at.iter().zip(taps.weights) {
                            let from = &from[x * of_pixel + block];
                            for (sum, value) in sum.iter_mut().zip(from) {
                                *sum += weight * value;
                            }
                        }
                        *to = sum;
                    }
                }
                clear_padding(shape, row);
            });
        });
        Ok(out.freeze())
    }
}

/// Which rows or columns take part in one of the result, and how much.
#[derive(Debug, Clone, Copy)]
struct Taps<const T: usize> {
    at: [usize; T],
    weights: [f32; T],
}

impl Taps<2> {
    fn linear(position: f64, side: usize) -> Self {
        let position = position.max(0.0);
        let first = (position as usize).min(side - 1);
        let rest = position - first as f64;
        Self {
            at: [first, (first + 1).min(side - 1)],
            weights: [(1.0 - rest) as f32, rest as f32],
        }
    }
}

impl Taps<4> {
    fn cubic(position: f64, side: usize) -> Self {
        let first = position.floor();
        let rest = position - first;
        let near = |x: f64| ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0;
        let far = |x: f64| ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC;
        let weights = [
            far(1.0 + rest),
            near(rest),
            near(1.0 - rest),
            far(2.0 - rest),
        ];
        let at = |tap: usize| (first + tap as f64 - 1.0).clamp(0.0, (side - 1) as f64) as usize;
        Self {
            at: std::array::from_fn(at),
            weights: weights.map(|weight| weight as f32),
        }
    }
}

impl<const T: usize> Taps<T> {
    /// The weighted sum of rows.
    fn mix<'a>(&self, row: impl Fn(usize) -> &'a [f32]) -> Vec<f32> {
        let weight = self.weights[0];
        let mut mixed: Vec<f32> = row(self.at[0]).iter().map(|value| weight * value).collect();
        for (y, weight) in self.at.iter().zip(self.weights).skip(1) {
            for (sum, value) in mixed.iter_mut().zip(row(*y)) {
                *sum += weight * value;
            }
        }
        mixed
    }
}

/// Where pixel `i` of `count` lies among `side` pixels.
fn source(i: usize, side: usize, count: usize, align_corners: bool) -> f64 {
    if align_corners {
        let steps = count.saturating_sub(1).max(1);
        return if count > 1 {
            i as f64 * ((side - 1) as f64 / steps as f64)
        } else {
            0.0
        };
    }
    (i as f64 + 0.5) * (side as f64 / count as f64) - 0.5
}

fn resized(shape: Shape, height: usize, width: usize) -> Result<Shape> {
    if [shape.height, shape.width, height, width].contains(&0) {
        let message = format!("{shape} cannot be made {height} × {width} pixels");
        return Err(Error::new(Code::ModelError, message));
    }
    Ok(Shape {
        height,
        width,
        ..shape
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, filled, shapes, value};
    use super::*;

    const SIZES: [(usize, usize); 5] = [(1, 1), (2, 9), (14, 10), (26, 36), (5, 40)];

    #[test]
    fn nearest_pixels_are_repeated_or_left_out() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 11);
            for factor in [1, 2, 3, 4] {
                let result = engine.upsample_nearest(&input, factor).unwrap();
                let size = Shape {
                    height: shape.height * factor,
                    width: shape.width * factor,
                    ..shape
                };
                expect("upsample_nearest", &result, size, |n, y, x, c| {
                    value(&input, n, y / factor, x / factor, c)
                });
            }
            for (height, width) in SIZES {
                let result = engine.resize_nearest(&input, height, width).unwrap();
                let size = Shape {
                    height,
                    width,
                    ..shape
                };
                expect("resize_nearest", &result, size, |n, y, x, c| {
                    let (y, x) = (y * shape.height / height, x * shape.width / width);
                    value(&input, n, y, x, c)
                });
            }
            assert!(engine.upsample_nearest(&input, 0).is_err());
            assert!(engine.resize_bicubic(&input, 3, 0).is_err());
        }
    }

    /// A kernel put at every pixel, the picture continued by its outermost pixels.
    fn convolved(
        input: &Buffer,
        [n, c]: [usize; 2],
        [y, x]: [f64; 2],
        kernel: impl Fn(f64) -> f64,
    ) -> f64 {
        let shape = input.shape();
        let mut sum = 0.0;
        for dy in -3..=3_i32 {
            for dx in -3..=3_i32 {
                let (at_y, at_x) = (y.floor() + f64::from(dy), x.floor() + f64::from(dx));
                let weight = kernel(y - at_y) * kernel(x - at_x);
                let inside = |at: f64, side: usize| at.clamp(0.0, side as f64 - 1.0) as usize;
                let (at_y, at_x) = (inside(at_y, shape.height), inside(at_x, shape.width));
                sum += weight * value(input, n, at_y, at_x, c);
            }
        }
        sum
    }

    #[test]
    fn interpolation_is_a_convolution_with_its_kernel() {
        let tent = |t: f64| (1.0 - t.abs()).max(0.0);
        let cubic = |t: f64| {
            let (t, a) = (t.abs(), -0.75);
            if t <= 1.0 {
                (a + 2.0) * t.powi(3) - (a + 3.0) * t.powi(2) + 1.0
            } else if t < 2.0 {
                a * t.powi(3) - 5.0 * a * t.powi(2) + 8.0 * a * t - 4.0 * a
            } else {
                0.0
            }
        };
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 12);
            for (height, width) in SIZES {
                let size = Shape {
                    height,
                    width,
                    ..shape
                };
                let half = |i: usize, side: usize, count: usize| {
                    (i as f64 + 0.5) * side as f64 / count as f64 - 0.5
                };
                let corner = |i: usize, side: usize, count: usize| {
                    i as f64 * (side as f64 - 1.0) / (count as f64 - 1.0).max(1.0)
                };
                let result = engine
                    .resize_bilinear(&input, height, width, false)
                    .unwrap();
                expect("bilinear", &result, size, |n, y, x, c| {
                    let at = [half(y, shape.height, height), half(x, shape.width, width)];
                    convolved(&input, [n, c], at, tent)
                });
                let result = engine.resize_bilinear(&input, height, width, true).unwrap();
                expect("bilinear, corners", &result, size, |n, y, x, c| {
                    let at = [
                        corner(y, shape.height, height),
                        corner(x, shape.width, width),
                    ];
                    convolved(&input, [n, c], at, tent)
                });
                let result = engine.resize_bicubic(&input, height, width).unwrap();
                expect("bicubic", &result, size, |n, y, x, c| {
                    let at = [half(y, shape.height, height), half(x, shape.width, width)];
                    convolved(&input, [n, c], at, cubic)
                });
            }
        }
    }
}
