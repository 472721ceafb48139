//! Clahe: local contrast by limited histogram equalisation of tiles.

use fonds_core::{Change, Outcome, Raster, Result, with_samples};
use rayon::prelude::*;

use super::support::params::in_range;
use super::support::plane::luma_row8;
use super::support::rows;
use super::support::work::{Work, luma_word, with_channels};

/// Bins of a tile's histogram.
const BINS: usize = 256;

/// Raises local contrast: contrast limited adaptive histogram equalisation (Zuiderveld 1994).
///
/// Luma alone decides; each channel is moved by what the luma moves, so colours keep their
/// differences. Tables of neighbouring tiles are blended bilinearly and have as many steps as the
/// depth needs. An enhancement, not a correction: it acts whenever it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Clahe {
    /// The steepest that a tone curve may become, 1 (none) to 10.
    pub clip_limit: f64,
    /// Tiles across and down, 2 to 32.
    pub tiles: u32,
    /// How much of the result is blended in, 0 to 1.
    pub strength: f64,
}

impl Default for Clahe {
    fn default() -> Self {
        Self {
            clip_limit: 2.0,
            tiles: 6,
            strength: 0.5,
        }
    }
}

impl Clahe {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("clip_limit", self.clip_limit, &(1.0..=10.0))?;
        in_range("tiles", self.tiles, &(2..=32))?;
        in_range("strength", self.strength, &(0.0..=1.0))
    }

    /// Raises the contrast.
    pub fn apply(&self, mut raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let smallest = raster.width().min(raster.height());
        if self.strength == 0.0 || smallest < self.tiles * 4 {
            return Ok(Outcome::unchanged(raster));
        }
        let grid = Grid::of(&raster, self);
        let (row_len, channels) = (raster.row_len(), raster.format().channels());
        let strength = self.strength as f32;
        macro_rules! each {
            ($type:ty) => {
                if let Some(samples) = raster.as_mut_slice::<$type>() {
                    with_channels!(channels, CH => {
                        rows::for_each_row(samples, row_len, |y, row| {
                            grid.apply_row::<$type, CH>(y, row, strength);
                        });
                    });
                }
            };
        }
        each!(u8);
        each!(u16);
        each!(f32);
        let change = Change::new("local contrast raised")
            .value("clip_limit", self.clip_limit)
            .value("strength", self.strength);
        Ok(Outcome::changed(raster, change))
    }
}

/// The tone curve of each tile: luma 0..1 in 256 steps, plus the end.
struct Grid {
    tiles: usize,
    width: usize,
    height: usize,
    curves: Vec<[f32; BINS + 1]>,
}

impl Grid {
    fn of(raster: &Raster, op: &Clahe) -> Self {
        let tiles = op.tiles as usize;
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let curves = (0..tiles * tiles)
            .into_par_iter()
            .map(|tile| {
                let span = |i: usize, size: usize| i * size / tiles..(i + 1) * size / tiles;
                let (columns, rows) = (span(tile % tiles, width), span(tile / tiles, height));
                curve(&histogram(raster, columns, rows), op.clip_limit)
            })
            .collect();
        Self {
            tiles,
            width,
            height,
            curves,
        }
    }

    /// The two tiles whose centres enclose a place, and the share of the second.
    fn between(&self, place: usize, size: usize) -> (usize, usize, f32) {
        let at = (place as f32 + 0.5) * self.tiles as f32 / size as f32 - 0.5;
        let at = at.clamp(0.0, self.tiles as f32 - 1.0);
        let first = at as usize;
        (first, (first + 1).min(self.tiles - 1), at - first as f32)
    }

    fn apply_row<T: Work, const CH: usize>(&self, y: usize, row: &mut [T], strength: f32) {
        let (up, down, below) = self.between(y, self.height);
        for (x, pixel) in row.chunks_exact_mut(CH).enumerate() {
            let (left, right, after) = self.between(x, self.width);
            let luma = if CH < 3 {
                f32::from(pixel[0].word())
            } else {
                f32::from(luma_word(pixel[0].word(), pixel[1].word(), pixel[2].word()))
            } / 65_535.0;
            let place = luma * BINS as f32;
            let bin = (place as usize).min(BINS - 1);
            let part = place - bin as f32;
            let look = |row: usize, column: usize| {
                let curve = &self.curves[row * self.tiles + column];
                curve[bin] + part * (curve[bin + 1] - curve[bin])
            };
            let above = look(up, left) * (1.0 - after) + look(up, right) * after;
            let under = look(down, left) * (1.0 - after) + look(down, right) * after;
            let mapped = above * (1.0 - below) + under * below;
            let step = strength * (mapped - luma) * T::WHITE;
            for sample in &mut pixel[..CH - usize::from(CH.is_multiple_of(2))] {
                *sample = T::from_f32(sample.to_f32() + step);
            }
        }
    }
}

fn histogram(
    raster: &Raster,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> [u32; BINS] {
    let mut bins = [0; BINS];
    let mut luma = vec![0; columns.len()];
    with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            for y in rows {
                let start = y * raster.row_len() + columns.start * CH;
                luma_row8::<_, CH>(&samples[start..][..columns.len() * CH], &mut luma);
                for value in &luma {
                    bins[usize::from(*value)] += 1;
                }
            }
        });
    });
    bins
}

/// The cumulative curve of a histogram of which no bin exceeds `limit` times the mean; what is
/// cut off is spread evenly, until nothing exceeds it.
fn curve(bins: &[u32; BINS], limit: f64) -> [f32; BINS + 1] {
    let total: f64 = bins.iter().map(|bin| f64::from(*bin)).sum();
    let most = limit * total / BINS as f64;
    let mut heights = bins.map(f64::from);
    for _ in 0..8 {
        let excess: f64 = heights.iter().map(|h| (h - most).max(0.0)).sum();
        if excess < total * 1e-4 {
            break;
        }
        for height in &mut heights {
            *height = height.min(most) + excess / BINS as f64;
        }
    }
    let sum: f64 = heights.iter().sum();
    let mut curve = [0.0; BINS + 1];
    let mut below = 0.0;
    for (height, value) in heights.iter().zip(&mut curve[1..]) {
        below += height;
        *value = (below / sum.max(1e-9)) as f32;
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    #[test]
    fn curves_rise_within_the_limit() {
        let mut bins = [0; BINS];
        bins[100..120].fill(1000);
        for limit in [1.0, 2.0, 5.0] {
            let curve = curve(&bins, limit);
            assert!((curve[BINS] - 1.0).abs() < 1e-5);
            for pair in curve.windows(2) {
                let slope = f64::from(pair[1] - pair[0]) * BINS as f64;
                assert!(
                    (0.0..=limit * 1.1 + 0.01).contains(&slope),
                    "{limit}: {slope}"
                );
            }
        }
    }

    #[test]
    fn limit_one_changes_nothing_visible() {
        let samples: Vec<u8> = (0..80 * 80).map(|i| (i * 31 % 256) as u8).collect();
        let raster = Raster::from_samples(
            80,
            80,
            ColorModel::Gray,
            false,
            Samples::U8(samples.clone()),
        );
        let op = Clahe {
            clip_limit: 1.0,
            ..Clahe::default()
        };
        let outcome = op.apply(raster.unwrap()).unwrap();
        let found = outcome.raster.as_slice::<u8>().unwrap();
        assert!(found.iter().zip(&samples).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    #[test]
    fn low_contrast_rises() {
        let samples = (0..128 * 128).map(|i| 30_000 + (i * 7919 % 6000) as u16);
        let samples = Samples::U16(samples.collect());
        let raster = Raster::from_samples(128, 128, ColorModel::Gray, false, samples).unwrap();
        let outcome = Clahe::default().apply(raster).unwrap();
        let found = outcome.raster.as_slice::<u16>().unwrap();
        let spread = found.iter().max().unwrap() - found.iter().min().unwrap();
        assert!(spread > 8000, "{spread}");
    }
}
