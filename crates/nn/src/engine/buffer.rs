//! Activations in the engine's layout: NHWC floats with a border of zeros.

use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::Engine;
use super::pool::Storage;

/// Rows and columns of zeros before each picture.
pub(super) const BORDER: usize = 1;

/// Lanes that channels are rounded up to: one AVX-512 vector.
pub(super) const LANES: usize = 16;

/// The size of activations: `batch` pictures of `height × width` pixels with `channels` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Pictures.
    pub batch: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values of each pixel.
    pub channels: usize,
}

impl Shape {
    /// Floats from one pixel to the next: up to four channels stay four, more are rounded up to
    /// whole vectors. The lanes beyond `channels` hold finite values that weights of zero meet.
    pub fn pixel_stride(&self) -> usize {
        if self.channels <= 4 {
            4
        } else {
            self.channels.next_multiple_of(LANES)
        }
    }

    /// Floats from one row to the next. Each row has a column of zeros before it and, so that
    /// tiles of 4 × 4 pixels with their neighbours can be read whole, two and more after it.
    pub fn row_stride(&self) -> usize {
        (BORDER + self.width.next_multiple_of(4) + 2) * self.pixel_stride()
    }

    /// Rows of one picture in memory, the border included.
    pub fn stored_rows(&self) -> usize {
        BORDER + self.height.next_multiple_of(4) + 2
    }

    /// Floats from one picture to the next.
    pub fn picture_stride(&self) -> usize {
        self.stored_rows() * self.row_stride()
    }

    /// Values without border and padding lanes.
    pub fn elements(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Where pixel `(y, x)` of a picture begins.
    pub fn offset(&self, picture: usize, y: usize, x: usize) -> usize {
        picture * self.picture_stride()
            + (y + BORDER) * self.row_stride()
            + (x + BORDER) * self.pixel_stride()
    }

    /// Floats of the whole buffer, or an error when memory cannot be addressed so far.
    pub(super) fn storage_len(&self) -> Result<usize> {
        let sides = [self.batch, self.height, self.width, self.channels];
        // All strides are below eight times the plain product plus borders; 2^48 is far beyond
        // any memory and far from overflow.
        let plain = sides
            .iter()
            .try_fold(1_usize, |product, side| product.checked_mul(side + 16));
        match plain {
            Some(plain) if plain < 1 << 48 => Ok(self.batch * self.picture_stride()),
            _ => {
                let message = format!("an activation of {self} cannot be held in memory");
                Err(Error::new(Code::Oom, message).hint("use smaller tiles"))
            }
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            batch,
            height,
            width,
            channels,
        } = self;
        write!(f, "{batch} × {height} × {width} × {channels}")
    }
}

/// Activations, to be read. Clones share the memory.
#[derive(Debug, Clone)]
pub struct Buffer {
    shape: Shape,
    storage: Arc<Storage>,
}

impl Buffer {
    /// The size.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All floats, border and padding lanes included; see [`Shape::offset`].
    #[expect(unsafe_code, reason = "the pool hands out memory as pointers")]
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: the storage holds `len` initialised floats, and nobody writes to a `Buffer`.
        unsafe { std::slice::from_raw_parts(self.storage.ptr(), self.storage.len()) }
    }

    /// The values of one pixel.
    pub fn pixel(&self, picture: usize, y: usize, x: usize) -> &[f32] {
        let start = self.shape.offset(picture, y, x);
        &self.as_slice()[start..start + self.shape.channels]
    }

    /// One row without its border: `width × pixel_stride` floats.
    pub fn row(&self, picture: usize, y: usize) -> &[f32] {
        let start = self.shape.offset(picture, y, 0);
        &self.as_slice()[start..start + self.shape.width * self.shape.pixel_stride()]
    }
}

/// Activations that are being made; [`BufferMut::freeze`] makes them a [`Buffer`].
///
/// The border is zero and must stay so. What is inside is undefined until written, yet finite or
/// not is up to earlier users of the memory: write every pixel, all lanes of it.
#[derive(Debug)]
pub struct BufferMut {
    shape: Shape,
    storage: Storage,
}

impl BufferMut {
    /// The size.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All floats, border and padding lanes included.
    #[expect(unsafe_code, reason = "the pool hands out memory as pointers")]
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: the storage holds `len` initialised floats and is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.storage.ptr(), self.storage.len()) }
    }

    /// Runs `write(picture, y, row)` for every row, in parallel; `row` has no border.
    pub fn fill_rows(&mut self, write: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let shape = self.shape;
        let row_stride = shape.row_stride();
        let start = BORDER * shape.pixel_stride();
        let len = shape.width * shape.pixel_stride();
        self.as_mut_slice()
            .par_chunks_mut(shape.picture_stride())
            .enumerate()
            .for_each(|(picture, rows)| {
                rows.par_chunks_mut(row_stride)
                    .skip(BORDER)
                    .take(shape.height)
                    .enumerate()
                    .for_each(|(y, row)| write(picture, y, &mut row[start..start + len]));
            });
    }

    /// Done: the activations, to be read.
    pub fn freeze(self) -> Buffer {
        Buffer {
            shape: self.shape,
            storage: Arc::new(self.storage),
        }
    }
}

impl Engine {
    /// Memory for activations of this size.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn buffer(&self, shape: Shape) -> Result<BufferMut> {
        let storage = self.pool.take(shape)?;
        Ok(BufferMut { shape, storage })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;

    #[test]
    fn planes_come_back_and_the_border_is_zero() {
        let engine = Engine::new(Kernel::Portable);
        for channels in [1, 3, 4, 5, 16, 17, 33] {
            for (height, width) in [(1, 1), (4, 4), (5, 7), (3, 8)] {
                let shape = Shape {
                    batch: 2,
                    height,
                    width,
                    channels,
                };
                let nchw: Vec<f32> = (0..shape.elements()).map(|i| i as f32 + 1.0).collect();
                let buffer = engine.import(shape, &nchw).unwrap();
                assert_eq!(engine.export(&buffer), nchw, "{shape}");
                let sum: f64 = buffer.as_slice().iter().map(|&v| f64::from(v)).sum();
                let expected: f64 = nchw.iter().map(|&v| f64::from(v)).sum();
                assert_eq!(
                    sum, expected,
                    "something stands outside the pixels of {shape}"
                );
            }
        }
    }

    #[test]
    fn memory_is_used_again_for_the_same_shape_only() {
        let engine = Engine::new(Kernel::Portable);
        let shape = Shape {
            batch: 1,
            height: 8,
            width: 8,
            channels: 16,
        };
        let first = engine.import(shape, &vec![1.0; shape.elements()]).unwrap();
        let address = first.as_slice().as_ptr();
        drop(first);
        let other = Shape {
            width: 4,
            height: 16,
            ..shape
        };
        assert_ne!(
            engine.buffer(other).unwrap().as_mut_slice().as_ptr(),
            address
        );
        assert_eq!(
            engine.buffer(shape).unwrap().as_mut_slice().as_ptr(),
            address
        );
    }

    #[test]
    fn a_shape_beyond_memory_is_an_error() {
        let engine = Engine::new(Kernel::Portable);
        let shape = Shape {
            batch: 1,
            height: 1 << 24,
            width: 1 << 24,
            channels: 64,
        };
        assert_eq!(engine.buffer(shape).unwrap_err().code(), Code::Oom);
    }
}
