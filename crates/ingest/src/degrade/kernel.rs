//! Convolution of a picture with a small kernel, and smoothing with a Gaussian of any size.

use crate::planes::Planes;
use crate::resample::{Area, Kernel as Interpolation, for_rows, resample};

/// A square kernel of odd size; weights from the left upper corner, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    pub(super) size: usize,
    pub(super) weights: Vec<f32>,
}

impl Kernel {
    /// A kernel from a function of the offsets from the centre, scaled to sum 1.
    pub(super) fn normalized(size: usize, weight: impl Fn(f32, f32) -> f32) -> Self {
        let radius = (size / 2) as i32;
        let offsets =
            (0..size * size).map(|i| ((i % size) as i32 - radius, (i / size) as i32 - radius));
        let mut weights: Vec<f32> = offsets.map(|(x, y)| weight(x as f32, y as f32)).collect();
        let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        if sum.abs() > 1e-12 {
            for weight in &mut weights {
                *weight = (f64::from(*weight) / sum) as f32;
            }
        }
        Self { size, weights }
    }
}

/// The picture convolved with the kernel, mirrored at its edges without repeating the last sample.
pub(super) fn convolve(planes: &Planes, kernel: &Kernel) -> Planes {
    let radius = kernel.size / 2;
    let taps = kernel
        .weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight != 0.0);
    let taps: Vec<(usize, usize, f32)> = taps
        .map(|(i, &weight)| (i % kernel.size, i / kernel.size, weight))
        .collect();
    let (width, height) = (planes.width, planes.height);
    let padded_width = width + 2 * radius;
    let mut made = Planes::filled(planes.channels, height, width, 0.0);
    for c in 0..planes.channels {
        let source = planes.plane(c);
        let mut padded = vec![0.0; padded_width * (height + 2 * radius)];
        for (y, row) in padded.chunks_exact_mut(padded_width).enumerate() {
            let from = &source[mirrored(y as i64 - radius as i64, height) * width..][..width];
            for (x, out) in row.iter_mut().enumerate() {
                *out = from[mirrored(x as i64 - radius as i64, width)];
            }
        }
        for_rows(made.plane_mut(c), width, |y, out| {
            let row = |(dx, dy, weight): (usize, usize, f32)| {
                (weight, &padded[(y + dy) * padded_width + dx..][..width])
            };
            // Four at a time: the sums are loaded and stored a quarter as often.
            let mut fours = taps.chunks_exact(4);
            for four in &mut fours {
                let [(a, ra), (b, rb), (c, rc), (d, rd)] = [0, 1, 2, 3].map(|i| row(four[i]));
                for (x, out) in out.iter_mut().enumerate() {
                    *out += a * ra[x] + b * rb[x] + c * rc[x] + d * rd[x];
                }
            }
            for &tap in fours.remainder() {
                let (weight, row) = row(tap);
                for (out, value) in out.iter_mut().zip(row) {
                    *out += weight * value;
                }
            }
        });
    }
    made
}

/// An index brought inside by mirroring at the first and the last sample.
fn mirrored(at: i64, len: usize) -> usize {
    if len == 1 {
        return 0;
    }
    let period = 2 * (len as i64 - 1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// Smooths with a Gaussian of this deviation, in pixels. Wide ones are made on a smaller copy.
pub(super) fn smooth(planes: &Planes, sigma: f32) -> Planes {
    if sigma < 0.1 {
        return planes.clone();
    }
    let shrink = (sigma / 4.0).floor().max(1.0) as usize;
    if shrink > 1 && planes.width.min(planes.height) > 2 * shrink {
        let size = (
            planes.width.div_ceil(shrink),
            planes.height.div_ceil(shrink),
        );
        let whole = Area::whole(planes);
        let small = resample(planes, whole, size, Interpolation::Bilinear, true);
        let small = separable(&small, sigma / shrink as f32);
        let back = (planes.width, planes.height);
        let area = Area::whole(&small);
        let cubic = Interpolation::Bicubic { a: -0.5 };
        return resample(&small, area, back, cubic, false);
    }
    separable(planes, sigma)
}

fn separable(planes: &Planes, sigma: f32) -> Planes {
    let radius = (3.0 * sigma).ceil() as usize;
    by_lines(planes, &gaussian(2 * radius + 1, sigma))
}

/// A Gaussian along a line, scaled to sum 1. Its product with itself is the square kernel of the
/// same size.
pub(super) fn gaussian(size: usize, sigma: f32) -> Vec<f32> {
    let radius = (size / 2) as f32;
    let weights = (0..size).map(|i| (-0.5 * ((i as f32 - radius) / sigma).powi(2)).exp());
    let weights: Vec<f32> = weights.collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The picture convolved with a line of weights across, and with the same line down.
pub(super) fn by_lines(planes: &Planes, weights: &[f32]) -> Planes {
    let radius = weights.len() / 2;
    let (width, height) = (planes.width, planes.height);
    let mut across = planes.clone();
    for c in 0..planes.channels {
        let source = planes.plane(c);
        for_rows(across.plane_mut(c), width, |y, out| {
            let row = &source[y * width..][..width];
            let padded: Vec<f32> = (0..width + 2 * radius)
                .map(|x| row[mirrored(x as i64 - radius as i64, width)])
                .collect();
            out.fill(0.0);
            for (i, weight) in weights.iter().enumerate() {
                for (out, value) in out.iter_mut().zip(&padded[i..]) {
                    *out += weight * value;
                }
            }
        });
    }
    let mut made = planes.clone();
    for c in 0..planes.channels {
        let source = across.plane(c);
        for_rows(made.plane_mut(c), width, |y, out| {
            out.fill(0.0);
            for (i, weight) in weights.iter().enumerate() {
                let from = mirrored((y + i) as i64 - radius as i64, height);
                for (out, value) in out.iter_mut().zip(&source[from * width..]) {
                    *out += weight * value;
                }
            }
        });
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use fonds_core::Seed;

    fn noise(width: usize, height: usize) -> Planes {
        let mut draw = Draw::new(Seed::new(5));
        let mut planes = Planes::filled(1, height, width, 0.0);
        planes
            .values
            .iter_mut()
            .for_each(|value| *value = draw.unit());
        planes
    }

    #[test]
    fn convolution_is_the_sum_of_its_definition() {
        let planes = noise(9, 7);
        let kernel = Kernel::normalized(5, |x, y| 1.0 + x + 0.3 * y * y);
        let made = convolve(&planes, &kernel);
        let at = |x: i64, y: i64| {
            let inside = |at: i64, len: i64| {
                if at < 0 {
                    -at
                } else if at >= len {
                    2 * len - 2 - at
                } else {
                    at
                }
            };
            planes.values[(inside(y, 7) * 9 + inside(x, 9)) as usize]
        };
        for (i, found) in made.values.iter().enumerate() {
            let (x, y) = ((i % 9) as i64, (i / 9) as i64);
            let sum: f32 = (0..25)
                .map(|k| kernel.weights[k as usize] * at(x + k % 5 - 2, y + k / 5 - 2))
                .sum();
            assert!((found - sum).abs() < 1e-5);
        }
    }

    #[test]
    fn lines_make_the_square() {
        let planes = noise(40, 30);
        let square = Kernel::normalized(9, |x, y| (-0.5 * (x * x + y * y) / 2.25).exp());
        let (slow, fast) = (
            convolve(&planes, &square),
            by_lines(&planes, &gaussian(9, 1.5)),
        );
        assert!(
            slow.values
                .iter()
                .zip(&fast.values)
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
    }

    #[test]
    fn the_two_ways_to_smooth_agree() {
        let planes = noise(200, 150);
        let (fast, slow) = (smooth(&planes, 9.0), separable(&planes, 9.0));
        let worst = fast
            .values
            .iter()
            .zip(&slow.values)
            .map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 0.02);
    }
}
