//! The samples that measures compare: planes from 0 to 255.

use fonds_core::{Code, Error, Result};

/// A picture for measuring: one plane a channel, samples from 0 to 255 as 32-bit floats. Values
/// outside are kept as they are; measures of a network's output usually clamp and round first
/// (see [`quantized`](Self::quantized)).
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    planes: Vec<Vec<f32>>,
}

impl Picture {
    /// From interleaved 8-bit samples.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if the number of samples is not `width × height × channels`, or
    /// there are none.
    pub fn from_u8(samples: &[u8], width: usize, height: usize, channels: usize) -> Result<Self> {
        Self::from_samples(samples, width, height, channels, f32::from)
    }

    /// From interleaved samples between 0 and 255.
    ///
    /// # Errors
    /// As [`from_u8`](Self::from_u8).
    pub fn from_f32(samples: &[f32], width: usize, height: usize, channels: usize) -> Result<Self> {
        Self::from_samples(samples, width, height, channels, |v| v)
    }

    /// From planes of samples between 0 and 255, one a channel.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if there is no plane or one has not `width × height` samples.
    pub fn from_planes(planes: Vec<Vec<f32>>, width: usize, height: usize) -> Result<Self> {
        let wanted = width.checked_mul(height).filter(|&n| n > 0);
        if planes.is_empty() || planes.iter().any(|plane| Some(plane.len()) != wanted) {
            return Err(Error::new(
                Code::InvalidRequest,
                format!("the planes do not have {width} × {height} samples"),
            ));
        }
        Ok(Self {
            width,
            height,
            planes,
        })
    }

    fn from_samples<T: Copy>(
        samples: &[T],
        width: usize,
        height: usize,
        channels: usize,
        convert: impl Fn(T) -> f32,
    ) -> Result<Self> {
        let wanted = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(channels))
            .filter(|&n| n > 0);
        if wanted != Some(samples.len()) {
            return Err(Error::new(
                Code::InvalidRequest,
                format!(
                    "{} samples are no picture of {width} × {height} pixels with {channels} channels",
                    samples.len()
                ),
            ));
        }
        let planes = (0..channels)
            .map(|channel| {
                let plane = samples.iter().skip(channel).step_by(channels);
                plane.map(|&v| convert(v)).collect()
            })
            .collect();
        Ok(Self {
            width,
            height,
            planes,
        })
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The planes, one a channel, row by row.
    pub fn planes(&self) -> &[Vec<f32>] {
        &self.planes
    }

    /// Without this many pixels on each side.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if nothing would be left.
    pub fn cropped(&self, border: usize) -> Result<Self> {
        let both = border.saturating_mul(2);
        if both >= self.width || both >= self.height {
            return Err(Error::new(
                Code::InvalidRequest,
                format!(
                    "a picture of {} × {} pixels has no border of {border}",
                    self.width, self.height
                ),
            ));
        }
        let width = self.width - both;
        let planes = self
            .planes
            .iter()
            .map(|plane| {
                plane[border * self.width..(self.height - border) * self.width]
                    .chunks_exact(self.width)
                    .flat_map(|row| &row[border..border + width])
                    .copied()
                    .collect()
            })
            .collect();
        Ok(Self {
            width,
            height: self.height - both,
            planes,
        })
    }

    /// Clamped to 0 … 255 and rounded to whole numbers (halves to even), as if it had been saved.
    #[must_use]
    pub fn quantized(&self) -> Self {
        let mut picture = self.clone();
        for plane in &mut picture.planes {
            for value in plane {
                *value = value.clamp(0.0, 255.0).round_ties_even();
            }
        }
        picture
    }

    /// The luminance of an RGB picture, 16 … 235 (ITU-R BT.601, studio range, as MATLAB's
    /// `rgb2ycbcr`, not rounded): `16 + (65.481 R + 128.553 G + 24.966 B) / 255`. A picture with
    /// another number of channels than three is given back as it is, as BasicSR does.
    #[must_use]
    pub fn luminance(&self) -> Self {
        let [red, green, blue] = &self.planes[..] else {
            return self.clone();
        };
        let plane = red
            .iter()
            .zip(green.iter().zip(blue))
            .map(|(&r, (&g, &b))| {
                let sum = 65.481 * f64::from(r) + 128.553 * f64::from(g) + 24.966 * f64::from(b);
                (16.0 + sum / 255.0) as f32
            })
            .collect();
        Self {
            width: self.width,
            height: self.height,
            planes: vec![plane],
        }
    }

    /// Half as wide and high, each pixel the mean of four; an odd last row or column is dropped.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let planes = self
            .planes
            .iter()
            .map(|plane| {
                let mut half = Vec::with_capacity(width * height);
                for rows in plane.chunks_exact(2 * self.width).take(height) {
                    let (above, below) = rows.split_at(self.width);
                    for x in 0..width {
                        let sum = f64::from(above[2 * x])
                            + f64::from(above[2 * x + 1])
                            + f64::from(below[2 * x])
                            + f64::from(below[2 * x + 1]);
                        half.push((sum / 4.0) as f32);
                    }
                }
                half
            })
            .collect();
        Self {
            width,
            height,
            planes,
        }
    }

    /// That two pictures can be compared.
    pub(super) fn expect_like(&self, other: &Self) -> Result<()> {
        let size = |p: &Self| (p.width, p.height, p.planes.len());
        if size(self) == size(other) {
            return Ok(());
        }
        let text = |p: &Self| format!("{} × {} × {}", p.width, p.height, p.planes.len());
        Err(Error::new(
            Code::InvalidRequest,
            format!(
                "pictures of different sizes are not compared ({} and {})",
                text(self),
                text(other)
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_planes() {
        let picture = Picture::from_u8(&[1, 2, 3, 4, 5, 6], 2, 1, 3).unwrap();
        assert_eq!(picture.planes(), [[1., 4.], [2., 5.], [3., 6.]]);
        assert!(Picture::from_u8(&[1, 2, 3], 2, 1, 3).is_err());
        assert!(Picture::from_u8(&[], 0, 0, 3).is_err());
        assert!(Picture::from_f32(&[], usize::MAX, 2, 3).is_err());
        assert!(Picture::from_planes(vec![vec![0.0; 3]], 2, 2).is_err());
        assert!(Picture::from_planes(vec![], 2, 2).is_err());
    }

    #[test]
    fn borders_are_cropped() {
        let samples: Vec<f32> = (0_u8..20).map(f32::from).collect();
        let picture = Picture::from_f32(&samples, 5, 4, 1).unwrap();
        let inner = picture.cropped(1).unwrap();
        assert_eq!((inner.width(), inner.height()), (3, 2));
        assert_eq!(inner.planes()[0], [6., 7., 8., 11., 12., 13.]);
        assert_eq!(picture.cropped(0).unwrap(), picture);
        assert!(picture.cropped(2).is_err());
        assert!(picture.cropped(usize::MAX).is_err());
    }

    #[test]
    fn luminance_has_studio_range() {
        // Black, white and the primaries: 16, 235, and 16 plus each coefficient (BT.601).
        let samples = [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255];
        let y = Picture::from_u8(&samples, 5, 1, 3).unwrap().luminance();
        for (&found, expected) in y.planes()[0]
            .iter()
            .zip([16.0, 235.0, 81.481, 144.553, 40.966])
        {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        let gray = Picture::from_u8(&[7], 1, 1, 1).unwrap();
        assert_eq!(gray.luminance(), gray);
    }

    #[test]
    fn quantizing_clamps_and_rounds() {
        let picture = Picture::from_f32(&[-3.0, 0.5, 1.5, 254.6, 300.0], 5, 1, 1).unwrap();
        assert_eq!(picture.quantized().planes()[0], [0., 0., 2., 255., 255.]);
    }

    #[test]
    fn halving_averages_and_drops_the_odd() {
        let samples: Vec<f32> = (0_u8..15).map(f32::from).collect();
        let half = Picture::from_f32(&samples, 5, 3, 1).unwrap().halved();
        assert_eq!((half.width(), half.height()), (2, 1));
        assert_eq!(half.planes()[0], [3., 5.]);
    }
}
