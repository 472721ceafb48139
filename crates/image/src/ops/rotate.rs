//! Rotation by any angle with a bicubic filter.

use fonds_core::{Raster, Sample, with_samples};

use super::deskew::Fill;
use super::support::rows;
use super::support::work::{Work, with_channels};

/// Steps between two pixels for which filter weights are kept.
const PHASES: usize = 1024;

/// The picture rotated clockwise around its middle, on a canvas that holds all of it.
pub(super) fn rotated(raster: &Raster, degrees: f64, fill: Fill) -> Raster {
    let turn = Turn::new(raster, degrees, fill);
    let (width, height) = (turn.out_width as u32, turn.out_height as u32);
    with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            raster.with_samples(width, height, turn.sample::<_, CH>(samples))
        })
    })
}

struct Turn {
    width: isize,
    height: isize,
    out_width: usize,
    out_height: usize,
    sin: f64,
    cos: f64,
    fill: Fill,
    weights: Vec<[f32; 4]>,
}

impl Turn {
    fn new(raster: &Raster, degrees: f64, fill: Fill) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (width, height) = (f64::from(raster.width()), f64::from(raster.height()));
        // A thousandth of slack, so that rounding in the sines adds no row.
        let size = |a: f64, b: f64| ((a * cos.abs() + b * sin.abs()) - 1e-3).ceil() as usize;
        Self {
            width: raster.width() as isize,
            height: raster.height() as isize,
            out_width: size(width, height),
            out_height: size(height, width),
            sin,
            cos,
            fill,
            weights: (0..PHASES).map(catmull_rom).collect(),
        }
    }

    fn sample<T: Work, const CH: usize>(&self, samples: &[T]) -> Vec<T> {
        let row_len = self.out_width * CH;
        let mut out = vec![T::default(); row_len * self.out_height];
        rows::for_each_row(&mut out, row_len, |y, row| {
            for (x, pixel) in row.chunks_exact_mut(CH).enumerate() {
                let (u, v) = self.source(x, y);
                pixel.copy_from_slice(&self.pixel::<T, CH>(samples, u, v));
            }
        });
        out
    }

    /// Where the centre of an output pixel lies in the picture, in its pixels.
    fn source(&self, x: usize, y: usize) -> (f64, f64) {
        let right = x as f64 + 0.5 - self.out_width as f64 * 0.5;
        let down = y as f64 + 0.5 - self.out_height as f64 * 0.5;
        (
            right * self.cos + down * self.sin + self.width as f64 * 0.5 - 0.5,
            down * self.cos - right * self.sin + self.height as f64 * 0.5 - 0.5,
        )
    }

    fn pixel<T: Work, const CH: usize>(&self, samples: &[T], u: f64, v: f64) -> [T; CH] {
        let (column, row) = (u.floor(), v.floor());
        let (x, y) = (column as isize, row as isize);
        let near = |place: isize, size: isize| place.clamp(0, size - 1) as usize;
        if x < -1 || y < -1 || x >= self.width || y >= self.height {
            if self.fill == Fill::White {
                return [T::from_f32(T::WHITE); CH];
            }
            let at = near(y, self.height) * self.width as usize + near(x, self.width);
            return std::array::from_fn(|c| samples[at * CH + c]);
        }
        let across = self.weights[((u - column) * PHASES as f64) as usize];
        let down = self.weights[((v - row) * PHASES as f64) as usize];
        let inside = x >= 1 && x + 3 <= self.width;
        let mut sum = [0.0_f32; CH];
        for (dy, weight) in (-1..=2).zip(down) {
            let start = near(y + dy, self.height) * self.width as usize;
            if inside {
                let taps = &samples[(start + x as usize - 1) * CH..][..4 * CH];
                add_taps(&mut sum, taps.chunks_exact(CH), across, weight);
            } else {
                let taps = (-1..=2).map(|dx| {
                    let at = (start + near(x + dx, self.width)) * CH;
                    &samples[at..at + CH]
                });
                add_taps(&mut sum, taps, across, weight);
            }
        }
        finish(sum)
    }
}

/// Adds one row of four taps; colours are weighted by their alpha.
fn add_taps<'a, T: Work, const CH: usize>(
    sum: &mut [f32; CH],
    taps: impl Iterator<Item = &'a [T]>,
    across: [f32; 4],
    down: f32,
) {
    for (tap, weight) in taps.zip(across) {
        let weight = weight * down;
        if CH.is_multiple_of(2) {
            let alpha = weight * tap[CH - 1].to_f32();
            for c in 0..CH - 1 {
                sum[c] += alpha * tap[c].to_f32();
            }
            sum[CH - 1] += alpha;
        } else {
            for c in 0..CH {
                sum[c] += weight * tap[c].to_f32();
            }
        }
    }
}

fn finish<T: Sample, const CH: usize>(sum: [f32; CH]) -> [T; CH] {
    if !CH.is_multiple_of(2) {
        return sum.map(T::from_f32);
    }
    let alpha = sum[CH - 1];
    let scale = if alpha > T::WHITE * 1e-4 {
        1.0 / alpha
    } else {
        0.0
    };
    std::array::from_fn(|c| {
        let value = if c == CH - 1 { alpha } else { sum[c] * scale };
        T::from_f32(value)
    })
}

/// The four weights of the Catmull-Rom spline in the middle of a phase.
fn catmull_rom(phase: usize) -> [f32; 4] {
    let t = (phase as f64 + 0.5) / PHASES as f64;
    let (t2, t3) = (t * t, t * t * t);
    let weights = [
        0.5 * (-t3 + 2.0 * t2 - t),
        0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
        0.5 * (-3.0 * t3 + 4.0 * t2 + t),
        0.5 * (t3 - t2),
    ];
    weights.map(|weight| weight as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    #[test]
    fn a_quarter_turn_moves_pixels() {
        let samples = Samples::U8((0..12).map(|i| i * 20).collect());
        let raster = Raster::from_samples(4, 3, ColorModel::Gray, false, samples).unwrap();
        let turned = rotated(&raster, 90.0, Fill::Nearest);
        assert_eq!((turned.width(), turned.height()), (3, 4));
        let expected = [160, 80, 0, 180, 100, 20, 200, 120, 40, 220, 140, 60];
        let off = turned.as_slice::<u8>().unwrap().iter().zip(expected);
        assert!(off.clone().all(|(a, b)| a.abs_diff(b) <= 1), "{turned:?}");
    }

    #[test]
    fn a_plane_stays_a_plane() {
        let value = |x: f64, y: f64| 8000.0 + 60.0 * x + 35.0 * y;
        let samples = (0..100 * 80).map(|i| value(f64::from(i % 100), f64::from(i / 100)) as u16);
        let samples = Samples::U16(samples.collect());
        let raster = Raster::from_samples(100, 80, ColorModel::Gray, false, samples).unwrap();
        let turn = Turn::new(&raster, 3.0, Fill::Nearest);
        let turned = rotated(&raster, 3.0, Fill::Nearest);
        for y in 20..60 {
            for x in 20..80 {
                let (u, v) = turn.source(x, y);
                let found = turned.as_slice::<u16>().unwrap()[y * turn.out_width + x];
                assert!((f64::from(found) - value(u, v)).abs() < 2.0, "{x} {y}");
            }
        }
    }

    #[test]
    fn transparent_colours_do_not_bleed() {
        let pixel = |i: u32| {
            if i % 40 < 20 {
                [255, 0, 0, 0]
            } else {
                [10, 20, 30, 255]
            }
        };
        let samples = Samples::U8((0..1600).flat_map(pixel).collect());
        let raster = Raster::from_samples(40, 40, ColorModel::Rgb, true, samples).unwrap();
        let turned = rotated(&raster, 2.0, Fill::White);
        for pixel in turned.as_slice::<u8>().unwrap().chunks_exact(4) {
            let white = *pixel == [255; 4];
            assert!(white || pixel[3] < 3 || pixel[0] <= 11, "{pixel:?}");
        }
    }
}
