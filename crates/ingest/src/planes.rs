//! A picture as networks see it: one plane of floats a channel.

use fonds_core::{
    Code, ColorModel, Error, PixelFormat, Raster, Result, Sample, Samples, with_samples,
};
use fonds_image::{color, encode};

use crate::resample::{Area, Kernel, resample};

/// Weights of red, green and blue in the luma of Rec. ITU-R BT.709.
pub(crate) const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// A picture of floats: planes one after the other, rows from the top, pixels from the left.
///
/// Values are 0 to 1 in the encoding of sRGB: red, green and blue for three channels, their
/// Rec. 709 luma for one. Nothing clamps them.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    /// Planes: 1 or 3.
    pub channels: usize,
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// `channels × height × width` values.
    pub values: Vec<f32>,
}

impl Planes {
    /// Planes of one value throughout.
    pub fn filled(channels: usize, height: usize, width: usize, value: f32) -> Self {
        Self {
            channels,
            height,
            width,
            values: vec![value; channels * height * width],
        }
    }

    /// The values of a raster with 1 or 3 channels, in sRGB.
    ///
    /// Colour comes from the raster's profile to sRGB. Alpha is laid on white. Colour becomes gray
    /// by Rec. 709 luma of the encoded values, gray becomes three equal planes. Fails with
    /// [`Code::Corrupt`] when the profile cannot be used.
    pub fn from_raster(raster: Raster, channels: usize) -> Result<Self> {
        let raster = plain(raster)?;
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        Ok(Self::of_plain(&raster, (0, 0), (width, height), channels))
    }

    /// A part of a raster that is in sRGB, without conversion of the rest; alpha is left out.
    pub(crate) fn of_plain(
        raster: &Raster,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        channels: usize,
    ) -> Self {
        let mut planes = Self::filled(channels, height, width, 0.0);
        with_samples!(raster.samples(), samples => {
            planes.take(samples, raster, (x, y));
        });
        planes
    }

    fn take<T: Sample>(&mut self, samples: &[T], raster: &Raster, (x, y): (usize, usize)) {
        let (stride, from) = (raster.format().channels(), raster.format().color_channels());
        let (row_len, pixels) = (raster.row_len(), self.width * self.height);
        for row in 0..self.height {
            let source = &samples[(y + row) * row_len + x * stride..][..self.width * stride];
            let at = row * self.width;
            match (from, self.channels) {
                (3, 1) => {
                    for (out, rgb) in self.values[at..]
                        .iter_mut()
                        .zip(source.chunks_exact(stride))
                    {
                        let part = |c: usize| LUMA[c] * rgb[c].to_unit();
                        *out = part(0) + part(1) + part(2);
                    }
                }
                _ => {
                    for c in 0..self.channels {
                        let out = &mut self.values[c * pixels + at..][..self.width];
                        let source = source[c.min(from - 1)..].iter().step_by(stride);
                        for (out, sample) in out.iter_mut().zip(source) {
                            *out = sample.to_unit();
                        }
                    }
                }
            }
        }
    }

    /// A raster with samples of type `T`, gray or RGB, without a profile (which means sRGB).
    ///
    /// Fails when there are neither 1 nor 3 planes, or values that do not fit them.
    pub fn to_raster<T: Sample>(&self) -> Result<Raster> {
        let model = match self.channels {
            1 => ColorModel::Gray,
            3 => ColorModel::Rgb,
            n => {
                let message = format!("a picture has 1 or 3 planes (found {n})");
                return Err(Error::new(Code::Internal, message));
            }
        };
        let pixels = self.pixels();
        let samples: Vec<T> = (0..self.values.len())
            .map(|i| (i / self.channels, i % self.channels))
            .map(|(pixel, c)| T::from_unit(self.values[c * pixels + pixel]))
            .collect();
        let samples: Samples = T::wrap(samples);
        Raster::from_samples(self.width as u32, self.height as u32, model, false, samples)
    }

    /// Pixels of one plane.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// One plane.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn plane(&self, channel: usize) -> &[f32] {
        let pixels = self.pixels();
        &self.values[channel * pixels..][..pixels]
    }

    /// One plane, to change.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn plane_mut(&mut self, channel: usize) -> &mut [f32] {
        let pixels = self.pixels();
        &mut self.values[channel * pixels..][..pixels]
    }

    /// A part of the picture.
    ///
    /// # Panics
    /// When it does not lie inside.
    #[must_use]
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        assert!(x + width <= self.width && y + height <= self.height);
        let mut values = Vec::with_capacity(self.channels * height * width);
        for c in 0..self.channels {
            for row in self.plane(c).chunks_exact(self.width).skip(y).take(height) {
                values.extend_from_slice(&row[x..x + width]);
            }
        }
        Self {
            channels: self.channels,
            height,
            width,
            values,
        }
    }

    /// Left becomes right.
    pub fn mirror(&mut self) {
        for row in self.values.chunks_exact_mut(self.width) {
            row.reverse();
        }
    }

    /// The luma of the picture: one plane.
    #[must_use]
    pub fn luma(&self) -> Self {
        let mut luma = Self::filled(1, self.height, self.width, 0.0);
        if self.channels == 3 {
            for (c, weight) in LUMA.into_iter().enumerate() {
                for (out, value) in luma.values.iter_mut().zip(self.plane(c)) {
                    *out += weight * value;
                }
            }
        } else {
            luma.values.copy_from_slice(self.plane(0));
        }
        luma
    }

    /// The picture at another size, by antialiased bicubic interpolation (Keys, a = −½), clamped to
    /// 0 to 1.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let whole = Area::whole(self);
        let kernel = Kernel::Bicubic { a: -0.5 };
        let mut made = resample(self, whole, (width, height), kernel, true);
        made.clamp();
        made
    }

    /// Brings every value to 0 to 1.
    pub fn clamp(&mut self) {
        for value in &mut self.values {
            *value = value.clamp(0.0, 1.0);
        }
    }
}

/// The raster in sRGB (or its gray), alpha laid on white, at its own depth.
pub(crate) fn plain(raster: Raster) -> Result<Raster> {
    let raster = color::to_srgb(raster)?;
    let opaque = PixelFormat {
        alpha: false,
        ..raster.format()
    };
    Ok(encode::convert(raster, opaque))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgba() -> Raster {
        let samples = Samples::U8(vec![
            255, 0, 0, 255, 0, 255, 0, 0, 0, 0, 255, 255, 9, 9, 9, 255,
        ]);
        Raster::from_samples(2, 2, ColorModel::Rgb, true, samples).unwrap()
    }

    #[test]
    fn planes_come_one_after_the_other_and_alpha_is_laid_on_white() {
        let planes = Planes::from_raster(rgba(), 3).unwrap();
        let nine = 9.0 / 255.0;
        assert_eq!(planes.plane(0), [1.0, 1.0, 0.0, nine]);
        assert_eq!(planes.plane(1), [0.0, 1.0, 0.0, nine]);
        assert_eq!(planes.plane(2), [0.0, 1.0, 1.0, nine]);
        let gray = Planes::from_raster(rgba(), 1).unwrap();
        for (found, expected) in gray.values.iter().zip([0.2126, 1.0, 0.0722, nine]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(gray, planes.luma());
    }

    #[test]
    fn sixteen_bits_survive_the_way_there_and_back() {
        let samples = Samples::U16((0..12).map(|i| i * 5461 + 3).collect());
        let raster = Raster::from_samples(2, 2, ColorModel::Rgb, false, samples).unwrap();
        let planes = Planes::from_raster(raster.clone(), 3).unwrap();
        assert_eq!(planes.to_raster::<u16>().unwrap(), raster);
    }

    #[test]
    fn crops_and_mirrors() {
        let mut planes = Planes::filled(1, 2, 3, 0.0);
        planes.values = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(planes.crop(1, 1, 2, 1).values, [4.0, 5.0]);
        planes.mirror();
        assert_eq!(planes.values, [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
    }
}
