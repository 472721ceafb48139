//! Sums over the pixels of a picture, channel by channel: means and variances, also of a picture
//! that is seen tile by tile.

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::super::Engine;
use super::super::buffer::Buffer;
use super::layout::Rectangle;
use super::rows::{blocks, with_lanes};

/// Rows that one thread adds up; part of the result's definition, so never dependent on threads.
pub(super) const BAND: usize = 16;

/// How many pixels, and for each channel the sum of the values and of their squares.
///
/// The sums of two parts of a picture added are the sums of both.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSums {
    count: u64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl ChannelSums {
    /// Of no pixels.
    pub fn new(channels: usize) -> Self {
        Self {
            count: 0,
            sums: vec![0.0; channels],
            squares: vec![0.0; channels],
        }
    }

    /// Pixels.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.sums.len()
    }

    /// Adds the pixels of another part. Sums are the same bit for bit when parts are added in the
    /// same order.
    ///
    /// # Errors
    /// `model_error` when the numbers of channels differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.channels() != other.channels() {
            let message = format!(
                "sums of {} and {} channels do not go together",
                self.channels(),
                other.channels()
            );
            return Err(Error::new(Code::ModelError, message));
        }
        self.add(other);
        Ok(())
    }

    /// The mean of each channel; NaN when there are no pixels.
    pub fn means(&self) -> impl Iterator<Item = f64> {
        let count = self.count as f64;
        self.sums.iter().map(move |sum| sum / count)
    }

    /// The mean squared distance from the mean, of each channel (the biased variance).
    pub fn variances(&self) -> impl Iterator<Item = f64> {
        self.variances_over(self.count as f64)
    }

    /// The variance with one degree of freedom less (unbiased); NaN for less than two pixels.
    pub fn unbiased_variances(&self) -> impl Iterator<Item = f64> {
        self.variances_over(self.count as f64 - 1.0)
    }

    fn variances_over(&self, degrees: f64) -> impl Iterator<Item = f64> {
        let count = self.count as f64;
        self.sums
            .iter()
            .zip(&self.squares)
            .map(move |(sum, squares)| not_negative(squares - sum * sum / count) / degrees)
    }

    /// Mean and biased variance of some channels taken together: of a group.
    pub(super) fn of_group(&self, channels: std::ops::Range<usize>) -> [f64; 2] {
        let count = self.count as f64 * channels.len() as f64;
        let sum: f64 = self.sums[channels.clone()].iter().sum();
        let squares: f64 = self.squares[channels].iter().sum();
        [
            sum / count,
            not_negative(squares - sum * sum / count) / count,
        ]
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
        for (sum, other) in self.squares.iter_mut().zip(&other.squares) {
            *sum += other;
        }
    }
}

/// What rounding made negative becomes zero; NaN stays.
fn not_negative(value: f64) -> f64 {
    if value < 0.0 { 0.0 } else { value }
}

impl Engine {
    /// The sums of each picture.
    pub fn channel_sums(&self, input: &Buffer) -> Vec<ChannelSums> {
        sums_within(input, Rectangle::whole(input.shape()))
    }

    /// The sums over all pictures together.
    pub fn batch_sums(&self, input: &Buffer) -> ChannelSums {
        let mut total = ChannelSums::new(input.shape().channels);
        for picture in self.channel_sums(input) {
            total.add(&picture);
        }
        total
    }

    /// The sums of a part of each picture: of the inner part of a tile, so that no pixel of the
    /// whole counts twice.
    ///
    /// # Errors
    /// `model_error` when the part does not lie within the pictures.
    pub fn channel_sums_within(&self, input: &Buffer, area: Rectangle) -> Result<Vec<ChannelSums>> {
        area.check(input.shape())?;
        Ok(sums_within(input, area))
    }
}

fn sums_within(input: &Buffer, area: Rectangle) -> Vec<ChannelSums> {
    let shape = input.shape();
    let bands = area.height.div_ceil(BAND);
    let of_bands: Vec<ChannelSums> = (0..shape.batch * bands)
        .into_par_iter()
        .map(|index| {
            let (picture, band) = (index / bands, index % bands);
            let top = area.top + band * BAND;
            let bottom = (top + BAND).min(area.top + area.height);
            with_lanes!(shape, L => band_sums::<L>(input, picture, top..bottom, area))
        })
        .collect();
    let total = |picture: usize| {
        let mut total = ChannelSums::new(shape.channels);
        for band in &of_bands[picture * bands..(picture + 1) * bands] {
            total.add(band);
        }
        total
    };
    (0..shape.batch).map(total).collect()
}

fn band_sums<const L: usize>(
    input: &Buffer,
    picture: usize,
    rows: std::ops::Range<usize>,
    area: Rectangle,
) -> ChannelSums {
    let shape = input.shape();
    let stride = shape.pixel_stride();
    let mut sums = vec![[0.0; L]; stride / L];
    let mut squares = sums.clone();
    let count = (rows.len() * area.width) as u64;
    for y in rows {
        let row = &input.row(picture, y)[area.left * stride..][..area.width * stride];
        let row = blocks::<L>(row);
        // A block of channels at a time: its sums stay in registers along the row.
        for (block, (sums, squares)) in sums.iter_mut().zip(&mut squares).enumerate() {
            let (mut sum, mut square) = (*sums, *squares);
            for pixel in row.chunks_exact(stride / L) {
                for lane in 0..L {
                    let value = f64::from(pixel[block][lane]);
                    sum[lane] += value;
                    square[lane] += value * value;
                }
            }
            (*sums, *squares) = (sum, square);
        }
    }
    let channels = |lanes: Vec<[f64; L]>| {
        let mut channels = lanes.into_flattened();
        channels.truncate(shape.channels);
        channels
    };
    ChannelSums {
        count,
        sums: channels(sums),
        squares: channels(squares),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, filled, shapes, value};
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0)
    }

    #[test]
    fn means_and_variances_are_those_of_the_values() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 13);
            for (n, sums) in engine.channel_sums(&input).iter().enumerate() {
                let means: Vec<f64> = sums.means().collect();
                let variances: Vec<f64> = sums.variances().collect();
                let unbiased: Vec<f64> = sums.unbiased_variances().collect();
                for c in 0..shape.channels {
                    let values: Vec<f64> = (0..shape.height * shape.width)
                        .map(|i| value(&input, n, i / shape.width, i % shape.width, c))
                        .collect();
                    let count = values.len() as f64;
                    let mean = values.iter().sum::<f64>() / count;
                    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
                    assert!(close(means[c], mean), "{shape}");
                    assert!(close(variances[c], squares / count), "{shape}");
                    if count > 1.0 {
                        assert!(close(unbiased[c], squares / (count - 1.0)), "{shape}");
                    } else {
                        assert!(unbiased[c].is_nan());
                    }
                }
            }
        }
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let engine = engine();
        for shape in shapes().into_iter().filter(|shape| shape.height > 2) {
            let input = filled(shape, 14);
            let whole = engine.channel_sums(&input);
            let mut merged = vec![ChannelSums::new(shape.channels); shape.batch];
            let (cut_y, cut_x) = (shape.height / 2, shape.width / 3);
            for (top, height) in [(0, cut_y), (cut_y, shape.height - cut_y)] {
                for (left, width) in [(0, cut_x), (cut_x, shape.width - cut_x)] {
                    let area = Rectangle {
                        top,
                        left,
                        height,
                        width,
                    };
                    let parts = engine.channel_sums_within(&input, area).unwrap();
                    for (merged, part) in merged.iter_mut().zip(&parts) {
                        merged.merge(part).unwrap();
                    }
                }
            }
            for (merged, whole) in merged.iter().zip(&whole) {
                assert_eq!(merged.count(), whole.count());
                let pairs = merged.means().zip(whole.means());
                let pairs = pairs.chain(merged.variances().zip(whole.variances()));
                for (merged, whole) in pairs {
                    assert!(close(merged, whole), "{shape}");
                }
            }
            let beyond = Rectangle {
                top: 1,
                ..Rectangle::whole(shape)
            };
            assert!(engine.channel_sums_within(&input, beyond).is_err());
        }
        assert!(ChannelSums::new(3).merge(&ChannelSums::new(4)).is_err());
    }
}
