//! Interleaved samples become activations and activations become interleaved samples: the only
//! place of the engine where rasters and activations meet.

use fonds_core::{Code, Error, Result, Sample};
use rayon::prelude::*;

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::layout::Rectangle;
use super::rows::{clear_padding, per_lane};

/// Interleaved samples of a picture or of a part of one.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a, T> {
    /// From the first sample of the part on.
    pub samples: &'a [T],
    /// Samples from one row to the next.
    pub pitch: usize,
    /// Samples from one pixel to the next.
    pub channels: usize,
}

/// Interleaved samples to be written, of a picture or of a part of one.
#[derive(Debug)]
pub struct PixelsMut<'a, T> {
    /// From the first sample of the part on.
    pub samples: &'a mut [T],
    /// Samples from one row to the next.
    pub pitch: usize,
    /// Samples from one pixel to the next.
    pub channels: usize,
}

/// What values are multiplied by and what is added then; for each channel, or one for all.
#[derive(Debug, Clone, Copy)]
pub struct Levels<'a> {
    /// The factors.
    pub scale: &'a [f32],
    /// The summands.
    pub offset: &'a [f32],
}

impl Engine {
    /// Activations from samples: `sample · scale + offset`, the sample in its type's own units
    /// (255 is white for `u8`).
    ///
    /// The first channels of each pixel are taken, so that what follows (alpha) is left out; a
    /// picture of one channel fills all channels of the activation.
    ///
    /// # Errors
    /// `model_error` when a picture has fewer channels (and not one) or is smaller than the shape.
    pub fn import_pixels<T: Sample>(
        &self,
        shape: Shape,
        pictures: &[Pixels<'_, T>],
        levels: Levels<'_>,
    ) -> Result<Buffer> {
        if pictures.len() != shape.batch {
            let message = format!("{} pictures do not make {shape}", pictures.len());
            return Err(Error::new(Code::ModelError, message));
        }
        for picture in pictures {
            if picture.channels != 1 {
                check_channels(picture.channels, shape)?;
            }
            check_extent(
                shape,
                picture.samples.len(),
                picture.pitch,
                picture.channels,
            )?;
        }
        let scale = per_lane("scale", levels.scale, shape)?;
        let offset = per_lane("offset", levels.offset, shape)?;
        let stride = shape.pixel_stride();
        let factors = &scale[..shape.channels];
        let summands = &offset[..shape.channels];
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let Pixels {
                samples,
                pitch,
                channels,
            } = pictures[picture];
            let pixels = samples[y * pitch..].chunks(channels);
            for (to, pixel) in row.chunks_exact_mut(stride).zip(pixels) {
                let lanes = to.iter_mut().zip(factors.iter().zip(summands));
                if channels == 1 {
                    let value = pixel[0].to_f32();
                    for (to, (scale, offset)) in lanes {
                        *to = value * scale + offset;
                    }
                } else {
                    for ((to, (scale, offset)), sample) in lanes.zip(pixel) {
                        *to = sample.to_f32() * scale + offset;
                    }
                }
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// Samples from a part of one picture of the activations: `round(value · scale + offset)`,
    /// where `round` is [`Sample::from_f32`] or what the caller puts in its place. Only the first
    /// channels of each pixel are written when the pixels have more than the activations.
    ///
    /// # Errors
    /// `model_error` when there is no such picture, the part lies outside it, or the samples are
    /// too few.
    pub fn export_pixels<T: Sample>(
        &self,
        input: &Buffer,
        picture: usize,
        area: Rectangle,
        to: PixelsMut<'_, T>,
        levels: Levels<'_>,
        round: impl Fn(f32) -> T + Sync,
    ) -> Result<()> {
        let shape = input.shape();
        area.check(shape)?;
        if picture >= shape.batch {
            let message = format!("there is no picture {picture} in {shape}");
            return Err(Error::new(Code::ModelError, message));
        }
        let PixelsMut {
            samples,
            pitch,
            channels,
        } = to;
        check_channels(channels, shape)?;
        let part = Shape {
            height: area.height,
            width: area.width,
            ..shape
        };
        check_extent(part, samples.len(), pitch, channels)?;
        if part.elements() == 0 {
            return Ok(());
        }
        let scale = per_lane("scale", levels.scale, shape)?;
        let offset = per_lane("offset", levels.offset, shape)?;
        let stride = shape.pixel_stride();
        let factors = &scale[..shape.channels];
        let summands = &offset[..shape.channels];
        let rows = samples.par_chunks_mut(pitch).take(area.height);
        rows.enumerate().for_each(|(y, row)| {
            let from = &input.row(picture, area.top + y)[area.left * stride..];
            let from = from.chunks_exact(stride).take(area.width);
            for (to, pixel) in row.chunks_mut(channels).zip(from) {
                let values = pixel.iter().zip(factors.iter().zip(summands));
                for (to, (value, (scale, offset))) in to.iter_mut().zip(values) {
                    *to = round(value * scale + offset);
                }
            }
        });
        Ok(())
    }
}

fn check_channels(of_pixels: usize, shape: Shape) -> Result<()> {
    if of_pixels >= shape.channels {
        return Ok(());
    }
    let message = format!(
        "pixels of {of_pixels} channels do not go with activations of {}",
        shape.channels
    );
    Err(Error::new(Code::ModelError, message))
}

/// An error unless so many samples hold the rows of this shape.
fn check_extent(shape: Shape, samples: usize, pitch: usize, channels: usize) -> Result<()> {
    let row = shape.width.checked_mul(channels);
    let last = shape.height.saturating_sub(1).checked_mul(pitch);
    let needed = row.zip(last).and_then(|(row, last)| row.checked_add(last));
    let fits = row.is_some_and(|row| row <= pitch) && needed.is_some_and(|len| len <= samples);
    if fits && channels > 0 {
        return Ok(());
    }
    let message = format!(
        "{samples} samples, {pitch} a row, {channels} a pixel, do not hold {} × {} pixels",
        shape.height, shape.width
    );
    Err(Error::new(Code::ModelError, message))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, shapes};
    use super::*;

    fn levels<'a>(scale: &'a [f32], offset: &'a [f32]) -> Levels<'a> {
        Levels { scale, offset }
    }

    /// Samples that look random.
    fn samples<T: Sample>(len: usize) -> Vec<T> {
        let sample = |i: usize| {
            let hash = (i as u32).wrapping_mul(2_654_435_761) >> 8;
            T::from_unit(hash as f32 / (1 << 24) as f32)
        };
        (0..len).map(sample).collect()
    }

    fn comes_in_and_goes_out<T: Sample>() {
        let engine = engine();
        for shape in shapes() {
            for channels in [1, shape.channels, shape.channels + 1] {
                let pitch = (shape.width + 3) * channels;
                let all: Vec<T> = samples(shape.batch * shape.height * pitch);
                let start = |n: usize| n * shape.height * pitch + 2 * channels;
                let pictures: Vec<Pixels<'_, T>> = (0..shape.batch)
                    .map(|n| Pixels {
                        samples: &all[start(n)..],
                        pitch,
                        channels,
                    })
                    .collect();
                let of = |c: usize| (1.0 / T::WHITE, c as f32 / 8.0);
                let scale: Vec<f32> = (0..shape.channels).map(|c| of(c).0).collect();
                let offset: Vec<f32> = (0..shape.channels).map(|c| of(c).1).collect();
                let input = engine
                    .import_pixels(shape, &pictures, levels(&scale, &offset))
                    .unwrap();
                expect("import_pixels", &input, shape, |n, y, x, c| {
                    let channel = if channels == 1 { 0 } else { c };
                    let sample = all[start(n) + y * pitch + x * channels + channel];
                    f64::from(sample.to_f32()) * f64::from(of(c).0) + f64::from(of(c).1)
                });
                if channels < shape.channels {
                    continue;
                }
                // Out again, the inner part only; what is not written stays.
                let area = Rectangle {
                    top: shape.height / 4,
                    left: shape.width / 4,
                    height: shape.height.div_ceil(2),
                    width: shape.width.div_ceil(2),
                };
                let mut out = vec![T::from_unit(0.5); shape.height * pitch];
                let (scale, offset): (Vec<f32>, Vec<f32>) = (0..shape.channels)
                    .map(|c| (T::WHITE, -of(c).1 * T::WHITE))
                    .unzip();
                let to = PixelsMut {
                    samples: &mut out[channels..],
                    pitch,
                    channels,
                };
                engine
                    .export_pixels(&input, 1, area, to, levels(&scale, &offset), T::from_f32)
                    .unwrap();
                for (i, found) in out.iter().enumerate() {
                    let (y, x, c) = (i / pitch, i % pitch / channels, i % channels);
                    let written = y < area.height && x > 0 && x <= area.width && c < shape.channels;
                    let expected = if written {
                        let (y, x) = (y + area.top, x - 1 + area.left);
                        all[start(1) + y * pitch + x * channels + c].to_f32()
                    } else {
                        T::from_unit(0.5).to_f32()
                    };
                    let error = (found.to_f32() - expected).abs() / T::WHITE;
                    assert!(
                        error < 2e-5,
                        "{shape}, {channels}: {i}, {found:?}, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn samples_of_8_and_16_bits_and_floats_come_in_and_go_out() {
        comes_in_and_goes_out::<u8>();
        comes_in_and_goes_out::<u16>();
        comes_in_and_goes_out::<f32>();
    }

    #[test]
    fn pixels_that_do_not_fit_are_errors() {
        let engine = engine();
        let shape = Shape {
            batch: 1,
            height: 4,
            width: 5,
            channels: 3,
        };
        let all = vec![0_u8; 4 * 15];
        let good = Pixels {
            samples: &all,
            pitch: 15,
            channels: 3,
        };
        let import = |picture| engine.import_pixels(shape, &[picture], levels(&[1.0], &[0.0]));
        assert!(import(good).is_ok());
        let short = Pixels {
            samples: &all[1..],
            ..good
        };
        let narrow = Pixels { pitch: 14, ..good };
        let two = Pixels {
            channels: 2,
            ..good
        };
        let none = Pixels {
            channels: 0,
            ..good
        };
        for picture in [short, narrow, two, none] {
            assert_eq!(import(picture).unwrap_err().code(), Code::ModelError);
        }
    }
}
