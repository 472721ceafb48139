//! One channel of a picture, and the luma of a picture as such a plane.

use fonds_core::{Raster, with_samples};

use super::rows;
use super::work::{Work, luma_byte, luma_word, with_channels};

/// One value for each pixel, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane<T> {
    width: usize,
    height: usize,
    data: Vec<T>,
}

impl<T: Copy + Default> Plane<T> {
    /// A plane of zeros.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self::from_vec(width, height, vec![T::default(); width * height])
    }

    /// A plane from its values.
    pub(crate) fn from_vec(width: usize, height: usize, data: Vec<T>) -> Self {
        assert_eq!(data.len(), width * height, "a plane has a value a pixel");
        Self {
            width,
            height,
            data,
        }
    }

    /// Pixels across.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// All values.
    pub(crate) fn data(&self) -> &[T] {
        &self.data
    }

    /// All values, to change.
    pub(crate) fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// One row.
    pub(crate) fn row(&self, y: usize) -> &[T] {
        &self.data[y * self.width..][..self.width]
    }

    /// The row nearest to a number that may lie outside.
    pub(crate) fn row_near(&self, y: isize) -> &[T] {
        self.row(y.clamp(0, self.height as isize - 1) as usize)
    }

    /// One value.
    pub(crate) fn at(&self, x: usize, y: usize) -> T {
        self.data[y * self.width + x]
    }
}

/// The luma of one row of `CH` channels on the 16-bit scale.
pub(crate) fn luma_row<T: Work, const CH: usize>(row: &[T], luma: &mut [u16]) {
    for (pixel, luma) in row.chunks_exact(CH).zip(luma) {
        *luma = if CH < 3 {
            pixel[0].word()
        } else {
            luma_word(pixel[0].word(), pixel[1].word(), pixel[2].word())
        };
    }
}

/// The luma of one row of `CH` channels on the 8-bit scale.
pub(crate) fn luma_row8<T: Work, const CH: usize>(row: &[T], luma: &mut [u8]) {
    for (pixel, luma) in row.chunks_exact(CH).zip(luma) {
        *luma = if CH < 3 {
            pixel[0].byte()
        } else {
            luma_byte(pixel[0].byte(), pixel[1].byte(), pixel[2].byte())
        };
    }
}

/// The luma of a picture on the 16-bit scale (two bytes a pixel).
pub(crate) fn luma16(raster: &Raster) -> Plane<u16> {
    let (width, row_len) = (raster.width() as usize, raster.row_len());
    let mut plane = Plane::new(width, raster.height() as usize);
    with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            rows::for_each_row(plane.data_mut(), width, |y, luma| {
                luma_row::<_, CH>(&samples[y * row_len..][..row_len], luma);
            });
        });
    });
    plane
}

/// The luma of a picture on the 8-bit scale (one byte a pixel): for detection.
pub(crate) fn luma8(raster: &Raster) -> Plane<u8> {
    let (width, row_len) = (raster.width() as usize, raster.row_len());
    let mut plane = Plane::new(width, raster.height() as usize);
    with_samples!(raster.samples(), samples => {
        with_channels!(raster.format().channels(), CH => {
            rows::for_each_row(plane.data_mut(), width, |y, luma| {
                luma_row8::<_, CH>(&samples[y * row_len..][..row_len], luma);
            });
        });
    });
    plane
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::{ColorModel, Samples};

    #[test]
    fn luma_of_each_format() {
        let rgb = Samples::U8(vec![255, 0, 0, 10, 10, 10]);
        let raster = Raster::from_samples(2, 1, ColorModel::Rgb, false, rgb).unwrap();
        assert_eq!(luma8(&raster).data(), [54, 10]);
        assert_eq!(luma16(&raster).data(), [13_933, 2570]);
        let gray = Samples::U16(vec![40_000, 7, 300, 9]);
        let raster = Raster::from_samples(1, 2, ColorModel::Gray, true, gray).unwrap();
        assert_eq!(luma16(&raster).data(), [40_000, 300]);
        assert_eq!(luma16(&raster).height(), 2);
    }
}
