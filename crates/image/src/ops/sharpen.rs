//! Sharpen: an unsharp mask on luma, with a threshold.

use fonds_core::{Change, Outcome, Raster, Result};

use super::support::params::in_range;
use super::support::plane::{Plane, luma16};
use super::support::rows;
use super::support::work::{Work, with_channels};

/// Raises the contrast of edges: adds to each channel the difference between the luma and its
/// Gaussian blur, less a threshold that keeps grain from being sharpened.
///
/// An enhancement for access copies, not a correction: it acts whenever it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharpen {
    /// Standard deviation of the Gaussian in pixels, 0.3 to 20.
    pub radius: f64,
    /// How much of the difference is added, 0 to 5.
    pub amount: f64,
    /// Differences up to this stay, larger ones lose this much; 8-bit code values, 0 to 50.
    pub threshold: f64,
}

impl Default for Sharpen {
    fn default() -> Self {
        Self {
            radius: 1.0,
            amount: 0.5,
            threshold: 2.0,
        }
    }
}

impl Sharpen {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("radius", self.radius, &(0.3..=20.0))?;
        in_range("amount", self.amount, &(0.0..=5.0))?;
        in_range("threshold", self.threshold, &(0.0..=50.0))
    }

    /// Sharpens.
    pub fn apply(&self, mut raster: Raster) -> Result<Outcome> {
        self.validate()?;
        if self.amount == 0.0 {
            return Ok(Outcome::unchanged(raster));
        }
        let luma = luma16(&raster);
        let kernel = gaussian(self.radius);
        let (row_len, channels) = (raster.row_len(), raster.format().channels());
        macro_rules! each {
            ($type:ty) => {
                if let Some(samples) = raster.as_mut_slice::<$type>() {
                    with_channels!(channels, CH => {
                        rows::for_each_band(samples, row_len, rows::BAND, |first, band| {
                            self.sharpen_band::<$type, CH>(&luma, &kernel, first, band);
                        });
                    });
                }
            };
        }
        each!(u8);
        each!(u16);
        each!(f32);
        let change = Change::new("sharpened")
            .value("radius", self.radius)
            .value("amount", self.amount);
        Ok(Outcome::changed(raster, change))
    }

    fn sharpen_band<T: Work, const CH: usize>(
        &self,
        luma: &Plane<u16>,
        kernel: &[f32],
        first: usize,
        band: &mut [T],
    ) {
        let width = luma.width();
        let mut column = vec![0.0; width + kernel.len() - 1];
        let mut blurred = vec![0.0; width];
        let scale = self.amount as f32 * T::WHITE / 65_535.0;
        let threshold = (self.threshold * 257.0) as f32;
        for (i, row) in band.chunks_exact_mut(width * CH).enumerate() {
            blur_row(luma, kernel, first + i, &mut column, &mut blurred);
            let values = luma.row(first + i).iter().zip(&blurred);
            for (pixel, (value, blurred)) in row.chunks_exact_mut(CH).zip(values) {
                let difference = f32::from(*value) - blurred;
                let kept = (difference.abs() - threshold).max(0.0).copysign(difference);
                if kept != 0.0 {
                    for sample in &mut pixel[..CH - usize::from(CH.is_multiple_of(2))] {
                        *sample = T::from_f32(sample.to_f32() + kept * scale);
                    }
                }
            }
        }
    }
}

/// Weights of a Gaussian out to three standard deviations; they sum to 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil().max(1.0) as i32;
    let weights = (-radius..=radius).map(|i| (-0.5 * (f64::from(i) / sigma).powi(2)).exp());
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// One row of the blurred luma; edges are continued by their last value.
fn blur_row(luma: &Plane<u16>, kernel: &[f32], y: usize, column: &mut [f32], out: &mut [f32]) {
    let (width, radius) = (luma.width(), kernel.len() / 2);
    let inner = &mut column[radius..radius + width];
    inner.fill(0.0);
    for (i, weight) in kernel.iter().enumerate() {
        let row = luma.row_near(y as isize + i as isize - radius as isize);
        for (sum, value) in inner.iter_mut().zip(row) {
            *sum += weight * f32::from(*value);
        }
    }
    let (first, last) = (inner[0], inner[width - 1]);
    column[..radius].fill(first);
    column[radius + width..].fill(last);
    out.fill(0.0);
    for (i, weight) in kernel.iter().enumerate() {
        for (sum, value) in out.iter_mut().zip(&column[i..]) {
            *sum += weight * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, PixelFormat, Samples};

    fn slow(values: &[u8], width: usize, height: usize, op: &Sharpen) -> Vec<u8> {
        let radius = (3.0 * op.radius).ceil() as isize;
        let weight = |i: isize| (-0.5 * (i as f64 / op.radius).powi(2)).exp();
        let norm: f64 = (-radius..=radius).map(weight).sum();
        let at = |x: isize, y: isize| {
            let x = x.clamp(0, width as isize - 1) as usize;
            let y = y.clamp(0, height as isize - 1) as usize;
            f64::from(values[y * width + x])
        };
        let mut out = Vec::new();
        for y in 0..height as isize {
            for x in 0..width as isize {
                let mut blurred = 0.0;
                for dy in -radius..=radius {
                    for dx in -radius..=radius {
                        blurred += at(x + dx, y + dy) * weight(dx) * weight(dy) / norm / norm;
                    }
                }
                let difference = at(x, y) - blurred;
                let kept = (difference.abs() - op.threshold).max(0.0) * difference.signum();
                out.push((at(x, y) + op.amount * kept).round().clamp(0.0, 255.0) as u8);
            }
        }
        out
    }

    #[test]
    fn equals_the_slow_version() {
        for (width, height) in [(1, 1), (1, 7), (23, 70)] {
            let values: Vec<u8> = (0..width * height).map(|i| (i * i * 3) as u8).collect();
            let op = Sharpen {
                radius: 1.3,
                amount: 0.8,
                threshold: 3.0,
            };
            let samples = Samples::U8(values.clone());
            let (w, h) = (width as u32, height as u32);
            let raster = Raster::from_samples(w, h, ColorModel::Gray, false, samples).unwrap();
            let found = op.apply(raster).unwrap().raster;
            let expected = slow(&values, width, height, &op);
            let pairs = found.as_slice::<u8>().unwrap().iter().zip(expected);
            assert!(pairs.clone().all(|(a, b)| a.abs_diff(b) <= 1));
        }
    }

    #[test]
    fn even_areas_stay() {
        let raster = Raster::new(40, 40, PixelFormat::RGBA8);
        let outcome = Sharpen::default().apply(raster.clone()).unwrap();
        assert_eq!(outcome.raster, raster);
    }
}
