//! The grain of a picture put back after a cleaning that took it out with the noise.

use fonds_core::{Code, Error, Raster, Result};
use rayon::prelude::*;

use super::support::plane::{Plane, luma16};
use super::support::rows;
use super::support::work::{Work, with_channels};
use crate::measure::blockiness::Grid;

/// Side of the blocks that the picture is looked at in: JPEG's.
const SIDE: usize = 8;
const AREA: usize = SIDE * SIDE;

/// Standard deviation in pixels of the blur that grain is the difference to.
const SIGMA: f32 = 1.8;
/// Pixels on each side that the blur reads.
const RADIUS: usize = 4;
const WINDOW: usize = SIDE + 2 * RADIUS;

/// The frequencies (across, down) of a block's cosine transform that are blocking, not grain.
const LOW: [(usize, usize); 6] = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)];

/// Puts the fine structure of the luma back that a picture had before it was cleaned; colours,
/// tones and everything coarse stay those of the cleaned one.
///
/// What was taken out is grain where it made the picture finer: there the fine structure before
/// has more energy than after. Where the cleaning made structure that was not there before
/// (compression had wiped it out), the difference of both is no grain and is not put back. The
/// share is found in neighbourhoods of three blocks of 8 × 8 pixels and runs evenly between them.
///
/// With a JPEG's grid, fine is all but the lowest six frequencies of each of its blocks, so that
/// the steps between blocks do not come back; without one, the difference to a blur of 1.8 pixels.
///
/// Returns the picture and the mean share, 0 to 1.
///
/// # Errors
/// `internal` when both pictures are not of one size and format.
pub fn keep_grain(cleaned: Raster, before: &Raster, grid: Option<Grid>) -> Result<(Raster, f64)> {
    let size = |raster: &Raster| (raster.width(), raster.height(), raster.format());
    if size(&cleaned) != size(before) {
        let message = "grain is put back into a picture of another size or format";
        return Err(Error::new(Code::Internal, message));
    }
    let grain = Grain {
        before: luma16(before),
        after: luma16(&cleaned),
        filter: Filter::new(),
        grid,
    };
    let shares = grain.shares();
    let mean = shares
        .data()
        .iter()
        .map(|share| f64::from(*share))
        .sum::<f64>()
        / shares.data().len().max(1) as f64;
    let mut cleaned = cleaned;
    let channels = cleaned.format().channels();
    macro_rules! each {
        ($sample:ty) => {
            if let Some(samples) = cleaned.as_mut_slice::<$sample>() {
                with_channels!(channels, CH => grain.put::<$sample, CH>(&shares, samples));
            }
        };
    }
    each!(u8);
    each!(u16);
    each!(f32);
    Ok((cleaned, mean))
}

struct Grain {
    before: Plane<u16>,
    after: Plane<u16>,
    filter: Filter,
    grid: Option<Grid>,
}

/// Sums of squares of the fine structure of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Energy {
    before: f32,
    after: f32,
    difference: f32,
}

impl Grain {
    /// How far the first block reaches beyond the picture's upper left corner.
    fn origin(&self) -> (usize, usize) {
        let outside = |first: usize| (SIDE - first) % SIDE;
        self.grid
            .map_or((0, 0), |grid| (outside(grid.left), outside(grid.top)))
    }

    /// Blocks across and down.
    fn blocks(&self) -> (usize, usize) {
        let (left, top) = self.origin();
        let (width, height) = (self.before.width(), self.before.height());
        ((width + left).div_ceil(SIDE), (height + top).div_ceil(SIDE))
    }

    /// The share of the difference that is put back, for each block.
    fn shares(&self) -> Plane<f32> {
        let (across, down) = self.blocks();
        let energies: Vec<Energy> = (0..across * down)
            .into_par_iter()
            .map(|block| self.energy(block % across, block / across))
            .collect();
        let mut shares = Plane::new(across, down);
        for y in 0..down {
            for x in 0..across {
                let mut sum = Energy::default();
                for y in y.saturating_sub(1)..(y + 2).min(down) {
                    for energy in &energies[y * across..][x.saturating_sub(1)..(x + 2).min(across)]
                    {
                        sum.before += energy.before;
                        sum.after += energy.after;
                        sum.difference += energy.difference;
                    }
                }
                let share = (sum.before - sum.after) / sum.difference.max(1e-6);
                shares.data_mut()[y * across + x] = share.clamp(0.0, 1.0);
            }
        }
        shares
    }

    fn energy(&self, x: usize, y: usize) -> Energy {
        let before = self.fine(&self.before, x, y);
        let after = self.fine(&self.after, x, y);
        let mut energy = Energy::default();
        for (before, after) in before.iter().zip(after) {
            energy.before += before * before;
            energy.after += after * after;
            energy.difference += (before - after) * (before - after);
        }
        energy
    }

    /// The fine structure of a block in 8-bit code values.
    fn fine(&self, plane: &Plane<u16>, x: usize, y: usize) -> [f32; AREA] {
        let (left, top) = self.origin();
        let corner = (
            (x * SIDE) as isize - left as isize,
            (y * SIDE) as isize - top as isize,
        );
        if self.grid.is_some() {
            self.filter.without_low(plane, corner)
        } else {
            self.filter.without_blur(plane, corner)
        }
    }

    fn put<T: Work, const CH: usize>(&self, shares: &Plane<f32>, samples: &mut [T]) {
        let (across, _) = self.blocks();
        let (left, top) = self.origin();
        let width = self.before.width();
        let scale = T::WHITE / 255.0;
        // Bands are the rows of one row of blocks; the first one may be cut.
        let first_rows = SIDE - top;
        let (head, tail) = samples.split_at_mut((first_rows * width * CH).min(samples.len()));
        let band = |y: usize, skip: usize, rows: &mut [T]| {
            for x in 0..across {
                let (before, after) = (self.fine(&self.before, x, y), self.fine(&self.after, x, y));
                for (i, row) in rows.chunks_exact_mut(width * CH).enumerate() {
                    let row_in_block = i + skip;
                    for column in 0..SIDE {
                        let Some(at) = (x * SIDE + column).checked_sub(left) else {
                            continue;
                        };
                        if at >= width {
                            break;
                        }
                        let index = row_in_block * SIDE + column;
                        let share = between(shares, (x, column), (y, row_in_block));
                        let added = share * (before[index] - after[index]) * scale;
                        let colors = CH - usize::from(CH.is_multiple_of(2));
                        for sample in &mut row[at * CH..][..colors] {
                            *sample = T::from_f32(sample.to_f32() + added);
                        }
                    }
                }
            }
        };
        band(0, top, head);
        rows::for_each_band(tail, width * CH, SIDE, |first, rows| {
            band(first / SIDE + 1, 0, rows);
        });
    }
}

/// A share at a pixel of a block, between those of the blocks' middles.
fn between(shares: &Plane<f32>, (x, column): (usize, usize), (y, row): (usize, usize)) -> f32 {
    let place = |block: usize, pixel: usize, last: usize| {
        let at = (block as f32 + (pixel as f32 + 0.5) / SIDE as f32 - 0.5).clamp(0.0, last as f32);
        let low = at.floor();
        (low as usize, (low as usize + 1).min(last), at - low)
    };
    let (left, right, u) = place(x, column, shares.width() - 1);
    let (above, below, v) = place(y, row, shares.height() - 1);
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    mix(
        mix(shares.at(left, above), shares.at(right, above), u),
        mix(shares.at(left, below), shares.at(right, below), u),
        v,
    )
}

/// The weights of both ways to take what is fine.
struct Filter {
    gaussian: [f32; 2 * RADIUS + 1],
    low: [[f32; AREA]; LOW.len()],
}

impl Filter {
    fn new() -> Self {
        let mut gaussian: [f32; 2 * RADIUS + 1] = std::array::from_fn(|i| {
            let distance = i as f32 - RADIUS as f32;
            (-0.5 * (distance / SIGMA).powi(2)).exp()
        });
        let sum: f32 = gaussian.iter().sum();
        for weight in &mut gaussian {
            *weight /= sum;
        }
        // The functions of the cosine transform (ITU-T T.81, A.3.3) have the length 1.
        let wave = |frequency: usize, at: usize| {
            let norm: f32 = if frequency == 0 { 0.125 } else { 0.25 };
            let angle = (2 * at + 1) as f32 * frequency as f32 * std::f32::consts::PI / 16.0;
            norm.sqrt() * angle.cos()
        };
        let low = LOW.map(|(across, down)| {
            std::array::from_fn(|i| wave(across, i % SIDE) * wave(down, i / SIDE))
        });
        Self { gaussian, low }
    }

    fn without_low(&self, plane: &Plane<u16>, corner: (isize, isize)) -> [f32; AREA] {
        let mut block: [f32; AREA] = window::<SIDE, AREA>(plane, corner);
        for wave in &self.low {
            let part: f32 = block
                .iter()
                .zip(wave)
                .map(|(value, wave)| value * wave)
                .sum();
            for (value, wave) in block.iter_mut().zip(wave) {
                *value -= part * wave;
            }
        }
        block
    }

    fn without_blur(&self, plane: &Plane<u16>, corner: (isize, isize)) -> [f32; AREA] {
        let radius = RADIUS as isize;
        let corner = (corner.0 - radius, corner.1 - radius);
        let around = window::<WINDOW, { WINDOW * WINDOW }>(plane, corner);
        let mut across = [0.0; SIDE * WINDOW];
        for (row, out) in around
            .chunks_exact(WINDOW)
            .zip(across.chunks_exact_mut(SIDE))
        {
            for (weight, shifted) in self.gaussian.iter().zip(row.windows(SIDE)) {
                for (out, value) in out.iter_mut().zip(shifted) {
                    *out += weight * value;
                }
            }
        }
        let mut block = [0.0; AREA];
        for (y, out) in block.chunks_exact_mut(SIDE).enumerate() {
            out.copy_from_slice(&around[(y + RADIUS) * WINDOW + RADIUS..][..SIDE]);
            for (i, weight) in self.gaussian.iter().enumerate() {
                for (out, blurred) in out.iter_mut().zip(&across[(y + i) * SIDE..][..SIDE]) {
                    *out -= weight * blurred;
                }
            }
        }
        block
    }
}

/// A square of a plane in 8-bit code values; edges are continued by their last value.
fn window<const WIDE: usize, const ALL: usize>(
    plane: &Plane<u16>,
    (x, y): (isize, isize),
) -> [f32; ALL] {
    let mut values = [0.0; ALL];
    let last = plane.width() as isize - 1;
    for (i, out) in values.chunks_exact_mut(WIDE).enumerate() {
        let row = plane.row_near(y + i as isize);
        if x >= 0 && x + WIDE as isize <= plane.width() as isize {
            for (out, value) in out.iter_mut().zip(&row[x as usize..]) {
                *out = f32::from(*value) / 257.0;
            }
        } else {
            for (j, out) in out.iter_mut().enumerate() {
                *out = f32::from(row[(x + j as isize).clamp(0, last) as usize]) / 257.0;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::support::synthetic::{Random, texture};
    use super::*;
    use fonds_core::{ColorModel, Samples};

    fn raster(width: usize, height: usize, value: impl FnMut(usize, usize) -> f64) -> Raster {
        let mut value = value;
        let mut samples = Vec::new();
        for y in 0..height {
            for x in 0..width {
                samples.push(value(x, y).round().clamp(0.0, 255.0) as u8);
            }
        }
        let samples = Samples::U8(samples);
        Raster::from_samples(
            width as u32,
            height as u32,
            ColorModel::Gray,
            false,
            samples,
        )
        .unwrap()
    }

    fn difference(a: &Raster, b: &Raster) -> f64 {
        let (a, b) = (a.as_slice::<u8>().unwrap(), b.as_slice::<u8>().unwrap());
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        (squares.sum::<f64>() / a.len() as f64).sqrt()
    }

    /// Grain comes back; a wrong tone and colour do not.
    #[test]
    fn grain_comes_back_and_tones_do_not() {
        for (width, height) in [(203, 150), (64, 64)] {
            let mut random = Random(5);
            let grained = raster(width, height, |x, y| {
                f64::from(texture(x, y)) + 6.0 * random.normal()
            });
            let smooth = raster(width, height, |x, y| f64::from(texture(x, y)));
            let brighter = raster(width, height, |x, y| f64::from(texture(x, y)) + 20.0);
            let (kept, share) = keep_grain(smooth, &grained, None).unwrap();
            assert!(share > 0.9, "{share}");
            let off = difference(&kept, &grained);
            assert!(off < 2.0, "of a grain of 6 is missing {off}");
            let (kept, _) = keep_grain(brighter.clone(), &grained, None).unwrap();
            assert!(difference(&kept, &brighter) > 4.5);
            assert!(
                difference(&kept, &grained) > 15.0,
                "the tone is the cleaned one's"
            );
        }
    }

    /// What the cleaning sharpened stays sharp.
    #[test]
    fn structure_that_was_not_there_is_not_taken_back() {
        let flat = raster(96, 96, |_, _| 120.0);
        let made = raster(96, 96, |x, y| 120.0 + f64::from(((x + y) % 2) as u8) * 20.0);
        let (kept, share) = keep_grain(made.clone(), &flat, None).unwrap();
        assert_eq!(share, 0.0);
        assert_eq!(kept, made);
    }

    /// Steps between blocks stay away, wherever the grid lies; grain inside them comes back.
    #[test]
    fn blocks_do_not_come_back() {
        for (left, top) in [(0, 0), (3, 6)] {
            let mut random = Random(9);
            let block = |x: usize, y: usize| {
                let (x, y) = ((x + 8 - left) / 8, (y + 8 - top) / 8);
                f64::from(((x * 7 + y * 13) % 5) as u8) * 3.0
            };
            let smooth = raster(120, 88, |x, _| 80.0 + x as f64 * 0.5);
            let blocked = raster(120, 88, |x, y| {
                80.0 + x as f64 * 0.5 + block(x, y) + 3.0 * random.normal()
            });
            let grid = crate::measure::blockiness::grid(&blocked);
            assert_eq!((grid.left, grid.top), (left, top));
            let (kept, share) = keep_grain(smooth.clone(), &blocked, Some(grid)).unwrap();
            assert!(share > 0.8, "{share}");
            let off = difference(&kept, &smooth);
            assert!((2.0..3.3).contains(&off), "grain of 3 alone: {off}");
            let after = crate::measure::blockiness::grid(&kept).strength;
            assert!(after < 0.25 * grid.strength, "{after} of {}", grid.strength);
        }
    }

    #[test]
    fn colours_stay_those_of_the_cleaned_picture_and_alpha_too() {
        let mut random = Random(1);
        let samples = |shift: f32, random: Option<&mut Random>| {
            let mut random = random;
            let pixels = (0..40 * 24).flat_map(|_| {
                let grain = random
                    .as_mut()
                    .map_or(0.0, |random| random.normal() as f32 * 0.02);
                [0.4 + shift + grain, 0.5 + grain, 0.6 + grain, 0.7]
            });
            let samples = Samples::F32(pixels.collect());
            Raster::from_samples(40, 24, ColorModel::Rgb, true, samples).unwrap()
        };
        let before = samples(0.1, Some(&mut random));
        let cleaned = samples(0.0, None);
        let (kept, _) = keep_grain(cleaned, &before, None).unwrap();
        for pixel in kept.as_slice::<f32>().unwrap().chunks_exact(4) {
            assert!((pixel[1] - pixel[0] - 0.1).abs() < 1e-5, "{pixel:?}");
            assert_eq!(pixel[3], 0.7);
        }
    }

    #[test]
    fn tiny_pictures_and_others_of_other_sizes() {
        for (width, height) in [(1, 1), (3, 9), (8, 1)] {
            let one = raster(width, height, |x, y| (x * 30 + y) as f64);
            let grid = Grid {
                strength: 1.0,
                left: 5,
                top: 2,
            };
            for grid in [None, Some(grid)] {
                let (kept, _) = keep_grain(one.clone(), &one, grid).unwrap();
                assert_eq!(kept, one);
            }
        }
        let (a, b) = (raster(8, 8, |_, _| 0.0), raster(8, 9, |_, _| 0.0));
        assert!(keep_grain(a, &b, None).is_err());
    }
}
