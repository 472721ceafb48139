//! Binarize: ink black, paper white, by Sauvola's local threshold.

use fonds_core::{Change, ColorModel, Outcome, Raster, Result, Sample, Samples, with_samples};

use super::support::params::{in_range, invalid};
use super::support::plane::{Plane, luma8};
use super::support::rows;

/// The dynamic range of the standard deviation in Sauvola's formula, for 8-bit code values.
const RANGE: f64 = 128.0;

/// Makes a page black and white: a pixel is ink when it is darker than
/// `m · (1 + k · (s / 128 − 1))`, with the mean `m` and the standard deviation `s` of the window
/// around it (Sauvola and Pietikäinen, Pattern Recognition 33, 2000).
///
/// The result is 8-bit gray of 0 and 255, with alpha where there was some; a profile for RGB is
/// left out. The change records the share of `ink`.
#[derive(Debug, Clone, PartialEq)]
pub struct Binarize {
    /// Side of the window in pixels, odd, about twice the height of a letter; 3 to 501.
    pub window: u32,
    /// How far below the mean ink lies: more means less ink. 0 to 1.
    pub k: f64,
}

impl Default for Binarize {
    fn default() -> Self {
        Self { window: 51, k: 0.3 }
    }
}

impl Binarize {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("window", self.window, &(3..=501))?;
        if self.window.is_multiple_of(2) {
            let window = self.window;
            return Err(invalid(format!("`window` is {window}, but must be odd")));
        }
        in_range("k", self.k, &(0.0..=1.0))
    }

    /// Converts.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "all operations take the picture and return it"
    )]
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let luma = luma8(&raster);
        let mut ink = vec![0; luma.data().len()];
        // Each band sums up its first window anew, which a tall band makes cheap.
        let band = (self.window as usize * 2).max(64);
        rows::for_each_band(&mut ink, luma.width(), band, |first, out| {
            self.threshold(&luma, first, out);
        });
        let format = raster.format();
        let dark = rows::count_rows(luma.height(), |y| {
            let row = &ink[y * luma.width()..][..luma.width()];
            row.iter().map(|value| usize::from(*value == 0)).sum()
        });
        let share = dark as f64 / luma.data().len() as f64;
        if format.alpha {
            ink = with_alpha(&ink, &raster);
        }
        let (width, height) = (raster.width(), raster.height());
        let samples = Samples::U8(ink);
        let page = Raster::from_samples(width, height, ColorModel::Gray, format.alpha, samples)?;
        let icc = raster.icc().filter(|_| format.model == ColorModel::Gray);
        let page = page.with_icc(icc.cloned()).with_ppi(raster.ppi());
        let change = Change::new("made black and white").value("ink", share);
        Ok(Outcome::changed(page, change))
    }

    /// Thresholds a band of rows with running sums of the columns above and below each row.
    fn threshold(&self, luma: &Plane<u8>, first: usize, out: &mut [u8]) {
        let (width, height) = (luma.width(), luma.height());
        let radius = (self.window / 2) as usize;
        let mut columns = Columns::new(width);
        for y in first.saturating_sub(radius)..height.min(first + radius) {
            columns.add(luma.row(y));
        }
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let y = first + i;
            if y + radius < height {
                columns.add(luma.row(y + radius));
            }
            if i > 0 && y > radius {
                columns.remove(luma.row(y - radius - 1));
            }
            let rows = height.min(y + radius + 1) - y.saturating_sub(radius);
            columns.accumulate();
            for (x, (out, value)) in out.iter_mut().zip(luma.row(y)).enumerate() {
                let (from, to) = (x.saturating_sub(radius), width.min(x + radius + 1));
                let (sum, squares) = columns.between(from, to);
                let threshold = self.level(sum, squares, rows * (to - from));
                *out = if f64::from(*value) <= threshold {
                    0
                } else {
                    255
                };
            }
        }
    }

    fn level(&self, sum: u64, squares: u64, count: usize) -> f64 {
        let scale = 1.0 / count as f64;
        let mean = sum as f64 * scale;
        let deviation = (squares as f64 * scale - mean * mean).max(0.0).sqrt();
        mean * (1.0 + self.k * (deviation / RANGE - 1.0))
    }
}

/// Sums and sums of squares of columns, and the same from the left edge on.
struct Columns {
    sums: Vec<u32>,
    squares: Vec<u32>,
    running: Vec<(u64, u64)>,
}

impl Columns {
    fn new(width: usize) -> Self {
        Self {
            sums: vec![0; width],
            squares: vec![0; width],
            running: vec![(0, 0); width + 1],
        }
    }

    fn add(&mut self, row: &[u8]) {
        for ((sum, square), value) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
            let value = u32::from(*value);
            *sum += value;
            *square += value * value;
        }
    }

    fn remove(&mut self, row: &[u8]) {
        for ((sum, square), value) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
            let value = u32::from(*value);
            *sum -= value;
            *square -= value * value;
        }
    }

    fn accumulate(&mut self) {
        let mut total = (0, 0);
        for (i, (sum, square)) in self.sums.iter().zip(&self.squares).enumerate() {
            total = (total.0 + u64::from(*sum), total.1 + u64::from(*square));
            self.running[i + 1] = total;
        }
    }

    fn between(&self, from: usize, to: usize) -> (u64, u64) {
        let (low, high) = (self.running[from], self.running[to]);
        (high.0 - low.0, high.1 - low.1)
    }
}

fn with_alpha(ink: &[u8], raster: &Raster) -> Vec<u8> {
    let channels = raster.format().channels();
    with_samples!(raster.samples(), samples => {
        let alpha = samples.iter().skip(channels - 1).step_by(channels);
        ink.iter()
            .zip(alpha)
            .flat_map(|(ink, alpha)| [*ink, u8::from_unit(alpha.to_unit())])
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(luma: &Plane<u8>, op: &Binarize) -> Vec<u8> {
        let radius = (op.window / 2) as usize;
        let (width, height) = (luma.width(), luma.height());
        let mut out = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
                for yy in y.saturating_sub(radius)..height.min(y + radius + 1) {
                    for xx in x.saturating_sub(radius)..width.min(x + radius + 1) {
                        let value = f64::from(luma.at(xx, yy));
                        sum += value;
                        squares += value * value;
                        count += 1.0;
                    }
                }
                let mean: f64 = sum / count;
                let deviation = (squares / count - mean * mean).max(0.0).sqrt();
                let level = mean * (1.0 + op.k * (deviation / 128.0 - 1.0));
                let ink = f64::from(luma.at(x, y)) <= level;
                out.push(if ink { 0 } else { 255 });
            }
        }
        out
    }

    #[test]
    fn equals_the_formula() {
        for (width, height, window) in [(1, 1, 3), (1, 200, 5), (31, 150, 21), (90, 40, 101)] {
            let data = (0..width * height).map(|i| (i * i * 7 + i * 13) as u8);
            let plane = Plane::from_vec(width, height, data.collect());
            let op = Binarize { window, k: 0.2 };
            let samples = Samples::U8(plane.data().to_vec());
            let (w, h) = (width as u32, height as u32);
            let raster = Raster::from_samples(w, h, ColorModel::Gray, false, samples).unwrap();
            let outcome = op.apply(raster).unwrap();
            let found = outcome.raster.as_slice::<u8>().unwrap();
            assert_eq!(found, slow(&plane, &op), "{width} × {height}");
        }
    }

    #[test]
    fn windows_are_odd() {
        let even = Binarize { window: 50, k: 0.3 };
        assert!(even.validate().unwrap_err().message().contains("odd"));
    }
}
