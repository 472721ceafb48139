//! Non-local means: each pixel becomes the mean of those whose surroundings look like its own.

use fonds_core::{Raster, Sample, with_samples};

use super::support::rows;
use super::support::work::{Work, with_channels};

/// How far similar places are looked for, in pixels to each side.
const SEARCH: usize = 8;

/// Half the side of the surroundings that are compared, without the middle.
const PATCH: usize = 2;

/// Rim around a band that both need.
const RIM: usize = SEARCH + PATCH;

/// Rows that one task takes: enough that the rim costs little.
const BAND: usize = 64;

/// The filter's decay in standard deviations of the noise.
const DECAY: f32 = 0.55;

/// The picture with less noise (Buades, Coll, Morel, CVPR 2005).
///
/// Squares of 5 × 5 are compared over a search of 17 × 17 on luma, their expected difference
/// `2σ²` taken off, and all colour channels are averaged with the same weights. The square sums
/// are running sums, so that a pixel costs the same whatever the size of the square. The centre
/// counts as much as its best likeness. `sigma` is in 8-bit code values.
pub(super) fn denoised(raster: &Raster, sigma: f32, strength: f32) -> Raster {
    let (width, height) = (raster.width(), raster.height());
    with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            let out = filter::<_, CH>(samples, raster, sigma, strength);
            raster.with_samples(width, height, out)
        })
    })
}

fn filter<T: Work, const CH: usize>(
    samples: &[T],
    raster: &Raster,
    sigma: f32,
    strength: f32,
) -> Vec<T> {
    let row_len = raster.row_len();
    let mut out = samples.to_vec();
    rows::for_each_band(&mut out, row_len, BAND, |first, out| {
        let rows = out.len() / row_len;
        let band = Band::load::<T, CH>(samples, raster, first, rows);
        let means = band.means(sigma * T::WHITE / 255.0);
        let color = band.color.len();
        for (y, row) in out.chunks_exact_mut(row_len).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(CH).enumerate() {
                for (sample, mean) in pixel[..color].iter_mut().zip(&means) {
                    let was = sample.to_f32();
                    *sample = T::from_f32(was + strength * (mean[y * band.width + x] - was));
                }
            }
        }
    });
    out
}

/// A band of rows with a rim on all sides, as floats in the sample's own units.
struct Band {
    width: usize,
    rows: usize,
    stride: usize,
    /// One or three planes.
    color: Vec<Vec<f32>>,
    /// Luma, when there are three.
    luma: Option<Vec<f32>>,
}

/// Running sums while one displacement is looked at.
struct Scratch {
    ring: Vec<f32>,
    columns: Vec<f32>,
    weights: Vec<f32>,
    best: Vec<f32>,
    total: Vec<f32>,
    sums: Vec<Vec<f32>>,
}

impl Band {
    fn load<T: Sample, const CH: usize>(
        samples: &[T],
        raster: &Raster,
        first: usize,
        rows: usize,
    ) -> Self {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let stride = width + 2 * RIM;
        let length = stride * (rows + 2 * RIM);
        let mut color = vec![vec![0.0; length]; raster.format().color_channels()];
        for i in 0..rows + 2 * RIM {
            let y = mirrored(first as isize + i as isize - RIM as isize, height);
            let row = &samples[y * width * CH..][..width * CH];
            for (c, plane) in color.iter_mut().enumerate() {
                let out = &mut plane[i * stride..][..stride];
                for (out, pixel) in out[RIM..].iter_mut().zip(row.chunks_exact(CH)) {
                    *out = pixel[c].to_f32();
                }
                for x in (0..RIM).chain(RIM + width..stride) {
                    let source = mirrored(x as isize - RIM as isize, width);
                    out[x] = row[source * CH + c].to_f32();
                }
            }
        }
        let luma = (color.len() == 3).then(|| {
            let [r, g, b] = [&color[0], &color[1], &color[2]];
            let sum = |i: usize| 0.2126 * r[i] + 0.7152 * g[i] + 0.0722 * b[i];
            (0..length).map(sum).collect()
        });
        Self {
            width,
            rows,
            stride,
            color,
            luma,
        }
    }

    fn guide(&self) -> &[f32] {
        self.luma.as_deref().unwrap_or(&self.color[0])
    }

    /// The weighted means of each colour channel.
    fn means(&self, sigma: f32) -> Vec<Vec<f32>> {
        let area = self.width * self.rows;
        let mut scratch = Scratch {
            ring: vec![0.0; (2 * PATCH + 1) * self.stride],
            columns: vec![0.0; self.stride],
            weights: vec![0.0; self.width],
            best: vec![1e-6; area],
            total: vec![0.0; area],
            sums: vec![vec![0.0; area]; self.color.len()],
        };
        let search = SEARCH as isize;
        for dy in -search..=search {
            for dx in -search..=search {
                if (dx, dy) != (0, 0) {
                    self.add_displaced(dy * self.stride as isize + dx, sigma, &mut scratch);
                }
            }
        }
        self.add_centre(scratch)
    }

    /// Adds what the displacement by `offset` elements contributes to all rows.
    fn add_displaced(&self, offset: isize, sigma: f32, scratch: &mut Scratch) {
        const SIDE: usize = 2 * PATCH + 1;
        scratch.ring.fill(0.0);
        scratch.columns.fill(0.0);
        for i in 0..self.rows + 2 * PATCH {
            let slot = &mut scratch.ring[i % SIDE * self.stride..][..self.stride];
            self.add_row(i, offset, slot, &mut scratch.columns);
            if i >= 2 * PATCH {
                self.weigh(sigma, &scratch.columns, &mut scratch.weights);
                self.collect(i - 2 * PATCH, offset, scratch);
            }
        }
    }

    /// Takes the squared differences of one more row into the column sums, and the row that
    /// leaves the square out of them.
    fn add_row(&self, i: usize, offset: isize, slot: &mut [f32], columns: &mut [f32]) {
        // Columns from SEARCH on: those that a square can reach.
        let start = (SEARCH + i) * self.stride + SEARCH;
        let length = self.width + 2 * PATCH;
        let here = &self.guide()[start..][..length];
        let there = &self.guide()[start.wrapping_add_signed(offset)..][..length];
        let pairs = here.iter().zip(there);
        for ((old, sum), (a, b)) in slot.iter_mut().zip(columns).zip(pairs) {
            let square = (a - b) * (a - b);
            *sum += square - *old;
            *old = square;
        }
    }

    /// Turns the column sums into weights: `exp(−max(d² − 2σ², 0) / h²)`, whose exponential is
    /// taken as the eighth power that it is the limit of.
    fn weigh(&self, sigma: f32, columns: &[f32], weights: &mut [f32]) {
        let area = ((2 * PATCH + 1) * (2 * PATCH + 1)) as f32;
        let scale = 1.0 / (area * 8.0 * (DECAY * sigma).powi(2));
        let expected = 2.0 * sigma * sigma * area;
        let c = &columns[..self.width + 2 * PATCH];
        let n = self.width;
        let (c0, c1, c2, c3, c4) = (&c[..n], &c[1..][..n], &c[2..][..n], &c[3..][..n], &c[4..]);
        for x in 0..n {
            let distance = c0[x] + c1[x] + c2[x] + c3[x] + c4[x];
            let base = (1.0 - (distance - expected).max(0.0) * scale).max(0.0);
            let square = base * base;
            let fourth = square * square;
            weights[x] = fourth * fourth;
        }
    }

    fn collect(&self, y: usize, offset: isize, scratch: &mut Scratch) {
        let out = y * self.width..(y + 1) * self.width;
        let best = scratch.best[out.clone()].iter_mut();
        let total = scratch.total[out.clone()].iter_mut();
        for ((best, total), weight) in best.zip(total).zip(&scratch.weights) {
            *best = best.max(*weight);
            *total += weight;
        }
        let start = ((y + RIM) * self.stride + RIM).wrapping_add_signed(offset);
        for (sums, plane) in scratch.sums.iter_mut().zip(&self.color) {
            let there = &plane[start..][..self.width];
            let sums = sums[out.clone()].iter_mut();
            for ((sum, value), weight) in sums.zip(there).zip(&scratch.weights) {
                *sum += weight * value;
            }
        }
    }

    fn add_centre(&self, mut scratch: Scratch) -> Vec<Vec<f32>> {
        for (sums, plane) in scratch.sums.iter_mut().zip(&self.color) {
            for y in 0..self.rows {
                let here = &plane[(y + RIM) * self.stride + RIM..][..self.width];
                for (x, value) in here.iter().enumerate() {
                    let i = y * self.width + x;
                    let weight = scratch.best[i];
                    sums[i] = (sums[i] + weight * value) / (scratch.total[i] + weight);
                }
            }
        }
        scratch.sums
    }
}

/// The place of a row or column outside, reflected at the edge.
fn mirrored(place: isize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    let place = place.rem_euclid(period);
    place.min(period - place) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    fn slow(values: &[u8], width: usize, height: usize, sigma: f64) -> Vec<f64> {
        let at = |x: isize, y: isize| {
            f64::from(values[mirrored(y, height) * width + mirrored(x, width)])
        };
        let h2 = (f64::from(DECAY) * sigma).powi(2);
        let (search, patch) = (SEARCH as isize, PATCH as isize);
        let mut out = Vec::new();
        for y in 0..height as isize {
            for x in 0..width as isize {
                let (mut sum, mut total, mut best) = (0.0, 0.0, 1e-6_f64);
                for dy in -search..=search {
                    for dx in -search..=search {
                        if (dx, dy) == (0, 0) {
                            continue;
                        }
                        let mut distance = 0.0;
                        for py in -patch..=patch {
                            for px in -patch..=patch {
                                let a = at(x + px, y + py);
                                distance += (a - at(x + dx + px, y + dy + py)).powi(2);
                            }
                        }
                        let over = (distance / 25.0 - 2.0 * sigma * sigma).max(0.0);
                        let weight = (1.0 - over / (8.0 * h2)).max(0.0).powi(8);
                        sum += weight * at(x + dx, y + dy);
                        total += weight;
                        best = best.max(weight);
                    }
                }
                out.push((sum + best * at(x, y)) / (total + best));
            }
        }
        out
    }

    #[test]
    fn equals_the_slow_version() {
        for (width, height) in [(1, 1), (1, 5), (30, 9), (21, 70)] {
            let values: Vec<u8> = (0..width * height)
                .map(|i| 100 + (i * 7919 % 31) as u8 + if i % width > 9 { 60 } else { 0 })
                .collect();
            let samples = Samples::U8(values.clone());
            let (w, h) = (width as u32, height as u32);
            let raster = Raster::from_samples(w, h, ColorModel::Gray, false, samples).unwrap();
            let found = denoised(&raster, 9.0, 1.0);
            let expected = slow(&values, width, height, 9.0);
            for (a, b) in found.as_slice::<u8>().unwrap().iter().zip(expected) {
                assert!(
                    (f64::from(*a) - b).abs() < 0.6,
                    "{width} × {height}: {a} {b}"
                );
            }
        }
    }
}
