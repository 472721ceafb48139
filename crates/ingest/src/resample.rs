//! Planes at another size: the kernels of the programs that made the training data of the field.

use rayon::prelude::*;

use crate::planes::Planes;

/// Values from which work is shared between threads; a sample for training has fewer, and is made
/// beside others.
const PARALLEL: usize = 1 << 18;

/// How samples between samples are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kernel {
    /// The nearest sample.
    Nearest,
    /// The mean of the samples that the new one touches; PyTorch's `area`.
    Area,
    /// Straight lines.
    Bilinear,
    /// Keys's cubic (IEEE ASSP 29, 1981): `a` is −½ in MATLAB and Pillow, −¾ in `OpenCV` and PyTorch.
    Bicubic {
        /// The slope at 1.
        a: f64,
    },
}

/// A part of a picture, in pixels from its left upper corner; whole pixels begin at whole numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    pub(crate) fn whole(planes: &Planes) -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            width: planes.width as f64,
            height: planes.height as f64,
        }
    }
}

/// Resamples the area of a picture to `width × height`. With `antialias` the kernel is stretched
/// where the picture becomes smaller, as MATLAB and Pillow do and PyTorch and `OpenCV` do not.
pub(crate) fn resample(
    planes: &Planes,
    area: Area,
    (width, height): (usize, usize),
    kernel: Kernel,
    antialias: bool,
) -> Planes {
    let taps = |start, length, size, count| taps(start, length, size, count, kernel, antialias);
    let across = narrowed(taps(area.x, area.width, planes.width, width));
    let down = narrowed(taps(area.y, area.height, planes.height, height));
    // Only the rows that are read again are made.
    let first = down
        .iter()
        .flat_map(|taps| taps.iter().map(|tap| tap.0))
        .min()
        .unwrap_or(0);
    let last = down
        .iter()
        .flat_map(|taps| taps.iter().map(|tap| tap.0))
        .max()
        .unwrap_or(0);
    let rows = last + 1 - first;
    let mut narrow = Planes::filled(planes.channels, rows, width, 0.0);
    for c in 0..planes.channels {
        let source = planes.plane(c);
        let out = narrow.plane_mut(c);
        for_rows(out, width, |row, out| {
            let source = &source[(first + row) * planes.width..][..planes.width];
            for (out, taps) in out.iter_mut().zip(&across) {
                *out = taps.iter().map(|&(at, weight)| weight * source[at]).sum();
            }
        });
    }
    let mut made = Planes::filled(planes.channels, height, width, 0.0);
    for c in 0..planes.channels {
        let source = narrow.plane(c);
        let out = made.plane_mut(c);
        for_rows(out, width, |row, out| {
            for &(at, weight) in &down[row] {
                let source = &source[(at - first) * width..][..width];
                for (out, value) in out.iter_mut().zip(source) {
                    *out += weight * value;
                }
            }
        });
    }
    made
}

/// The weights as the planes are.
fn narrowed(taps: Vec<Taps>) -> Vec<Vec<(usize, f32)>> {
    let narrow = |taps: Taps| {
        taps.into_iter()
            .map(|(at, weight)| (at, weight as f32))
            .collect()
    };
    taps.into_iter().map(narrow).collect()
}

/// What MATLAB's `imresize` made of an 8-bit picture when the low resolutions of Set5 and its like
/// were made: bicubic (a = −½), antialiased, columns first, rounded to 8 bits after each way.
pub(crate) fn imresize(planes: &Planes, (width, height): (usize, usize)) -> Planes {
    let kernel = Kernel::Bicubic { a: -0.5 };
    let down = taps(
        0.0,
        planes.height as f64,
        planes.height,
        height,
        kernel,
        true,
    );
    let across = taps(0.0, planes.width as f64, planes.width, width, kernel, true);
    // Halves are common, and have to be halves: no sum may be off by a hair.
    let rounded = |sum: f64| (sum + 0.5).floor().clamp(0.0, 255.0);
    let mut made = Planes::filled(planes.channels, height, width, 0.0);
    for c in 0..planes.channels {
        let bytes: Vec<f64> = planes
            .plane(c)
            .iter()
            .map(|&value| rounded(f64::from(value * 255.0)))
            .collect();
        let mut low = vec![0.0; height * planes.width];
        for (row, taps) in low.chunks_exact_mut(planes.width).zip(&down) {
            for &(at, weight) in taps {
                let source = &bytes[at * planes.width..][..planes.width];
                row.iter_mut()
                    .zip(source)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            for sum in row.iter_mut() {
                *sum = rounded(*sum);
            }
        }
        for (out, row) in made
            .plane_mut(c)
            .chunks_exact_mut(width)
            .zip(low.chunks_exact(planes.width))
        {
            for (out, taps) in out.iter_mut().zip(&across) {
                let sum = taps.iter().map(|&(at, weight)| weight * row[at]).sum();
                *out = (rounded(sum) / 255.0) as f32;
            }
        }
    }
    made
}

/// Does something for every row, on several threads where it is worth it.
pub(crate) fn for_rows(values: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if values.len() < PARALLEL {
        values
            .chunks_exact_mut(width)
            .enumerate()
            .for_each(|(row, out)| work(row, out));
    } else {
        values
            .par_chunks_exact_mut(width)
            .enumerate()
            .for_each(|(row, out)| work(row, out));
    }
}

/// For each new sample, the samples that make it and their weights, which sum to 1.
type Taps = Vec<(usize, f64)>;

fn taps(
    start: f64,
    length: f64,
    size: usize,
    count: usize,
    kernel: Kernel,
    antialias: bool,
) -> Vec<Taps> {
    let step = length / count as f64;
    (0..count)
        .map(|i| match kernel {
            Kernel::Nearest => {
                let at = (start + (i as f64 + 0.5) * step).floor();
                vec![(inside(at as i64, size), 1.0)]
            }
            Kernel::Area => {
                let from = (start + i as f64 * step).floor() as i64;
                // Rounding must not make a sample of a pixel that is touched by 1e-12 only.
                let to = (start + (i + 1) as f64 * step - 1e-9).ceil() as i64;
                let n = (to - from).max(1);
                let weight = 1.0 / n as f64;
                (from..from + n)
                    .map(|at| (inside(at, size), weight))
                    .collect()
            }
            Kernel::Bilinear | Kernel::Bicubic { .. } => {
                let center = start + (i as f64 + 0.5) * step - 0.5;
                let stretch = if antialias { step.max(1.0) } else { 1.0 };
                smooth(center, stretch, size, kernel)
            }
        })
        .collect()
}

fn smooth(center: f64, stretch: f64, size: usize, kernel: Kernel) -> Taps {
    let (radius, a) = match kernel {
        Kernel::Bicubic { a } => (2.0, Some(a)),
        _ => (1.0, None),
    };
    let from = (center - radius * stretch).ceil() as i64;
    let to = (center + radius * stretch).floor() as i64;
    let value = |at: i64| {
        let x = ((at as f64 - center) / stretch).abs();
        a.map_or_else(|| (1.0 - x).max(0.0), |a| cubic(x, a))
    };
    let sum: f64 = (from..=to).map(value).sum();
    (from..=to)
        .map(|at| (inside(at, size), value(at) / sum))
        .filter(|tap| tap.1 != 0.0)
        .collect()
}

fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// Outside of the picture stands its last sample.
fn inside(at: i64, size: usize) -> usize {
    at.clamp(0, size as i64 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Planes {
        let mut planes = Planes::filled(1, height, width, 0.0);
        for (i, value) in planes.values.iter_mut().enumerate() {
            *value = (i % width) as f32 + 10.0 * (i / width) as f32;
        }
        planes
    }

    fn whole(planes: &Planes, size: (usize, usize), kernel: Kernel, antialias: bool) -> Planes {
        resample(planes, Area::whole(planes), size, kernel, antialias)
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let planes = ramp(7, 5);
        for kernel in [
            Kernel::Nearest,
            Kernel::Area,
            Kernel::Bilinear,
            Kernel::Bicubic { a: -0.5 },
            Kernel::Bicubic { a: -0.75 },
        ] {
            assert_eq!(whole(&planes, (7, 5), kernel, true), planes, "{kernel:?}");
        }
    }

    #[test]
    fn ramps_stay_ramps_away_from_the_edge() {
        let planes = ramp(32, 32);
        for kernel in [Kernel::Bilinear, Kernel::Bicubic { a: -0.5 }] {
            for (size, step) in [((16, 16), 2.0), ((64, 64), 0.5)] {
                let made = whole(&planes, size, kernel, true);
                let at = size.0 / 2;
                let found = made.values[at * size.0 + at];
                let center = (at as f32 + 0.5) * step - 0.5;
                assert!((found - 11.0 * center).abs() < 1e-3, "{kernel:?} {found}");
            }
        }
    }

    #[test]
    fn area_is_the_mean_of_the_touched_samples() {
        let made = whole(&ramp(6, 2), (3, 1), Kernel::Area, false);
        assert_eq!(made.values, [5.5, 7.5, 9.5]);
        // Three samples in two: each new one touches two, as in adaptive average pooling.
        let made = whole(&ramp(3, 1), (2, 1), Kernel::Area, false);
        assert_eq!(made.values, [0.5, 1.5]);
    }

    /// `imresize` of MATLAB (and of its ports) halves with these eight weights.
    #[test]
    fn halving_has_the_known_weights() {
        let taps = taps(0.0, 16.0, 16, 8, Kernel::Bicubic { a: -0.5 }, true);
        let weights: Vec<f64> = taps[4].iter().map(|tap| tap.1).collect();
        let expected = [-3.0, -9.0, 29.0, 111.0, 111.0, 29.0, -9.0, -3.0].map(|w| w / 256.0);
        assert_eq!(weights, expected);
        assert_eq!(taps[4][0].0, 5);
        let first: Vec<usize> = taps[0].iter().map(|tap| tap.0).collect();
        assert_eq!(first, [0, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn imresize_rounds_between_the_ways() {
        let mut planes = ramp(12, 10);
        planes
            .values
            .iter_mut()
            .for_each(|value| *value = (*value * 37.0 % 256.0).floor() / 255.0);
        let made = imresize(&planes, (6, 5));
        let kernel = Kernel::Bicubic { a: -0.5 };
        let tall = Area {
            x: 0.0,
            y: 0.0,
            width: 12.0,
            height: 10.0,
        };
        let mut low = resample(&planes, tall, (12, 5), kernel, true);
        let round = |planes: &mut Planes| {
            planes
                .values
                .iter_mut()
                .for_each(|v| *v = (v.clamp(0.0, 1.0) * 255.0).round() / 255.0);
        };
        round(&mut low);
        let mut expected = resample(&low, Area::whole(&low), (6, 5), kernel, true);
        round(&mut expected);
        assert_eq!(made, expected);
    }

    #[test]
    fn a_part_is_cut_out_of_the_whole() {
        let planes = ramp(16, 12);
        let area = Area {
            x: 3.0,
            y: 2.0,
            width: 5.0,
            height: 4.0,
        };
        let kernel = Kernel::Bicubic { a: -0.5 };
        let made = resample(&planes, area, (5, 4), kernel, true);
        assert_eq!(made, planes.crop(3, 2, 5, 4));
    }
}
