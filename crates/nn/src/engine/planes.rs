//! Planes become activations and activations become planes: the layout of tensors beside the
//! engine's own.
#![expect(
    unsafe_code,
    reason = "vector loads and stores, and threads that write disjoint parts of the planes"
)]

use fonds_core::Result;
use rayon::prelude::*;

use super::Engine;
use super::buffer::{Buffer, LANES, Shape};

/// Rows that one thread takes to planes at a time.
pub(super) const BAND: usize = 8;

/// Channels whose lines are asked for before they are read: no prefetcher of the processor's foresees
/// them.
const AHEAD: usize = 12;

impl Engine {
    /// Activations from planes: `[batch, channels, height, width]`, row major.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    ///
    /// # Panics
    /// When the number of values is not that of the shape.
    pub fn import(&self, shape: Shape, nchw: &[f32]) -> Result<Buffer> {
        let planes = Planes::new(shape, nchw);
        let mut buffer = self.buffer(shape)?;
        buffer.fill_rows(|picture, y, row| planes.gather(picture, y, row));
        Ok(buffer.freeze())
    }

    /// The values as planes: `[batch, channels, height, width]`, row major.
    pub fn export(&self, buffer: &Buffer) -> Vec<f32> {
        let shape = buffer.shape();
        write_planes(shape, |picture, y, planes| {
            // SAFETY: each row is written by one task.
            unsafe { planes.scatter(picture, y, buffer.row(picture, y)) };
        })
    }

    /// As [`Engine::export`], into memory that is there.
    ///
    /// # Panics
    /// When the number of values is not that of the shape.
    pub fn export_into(&self, buffer: &Buffer, nchw: &mut [f32]) {
        let shape = buffer.shape();
        assert_eq!(nchw.len(), shape.elements(), "values for {shape}");
        let planes = PlanesMut {
            shape,
            start: nchw.as_mut_ptr(),
        };
        // SAFETY: the planes are as large as the shape says and borrowed for writing; each row is
        // written by one task.
        for_rows(shape, |picture, y| unsafe {
            planes.scatter(picture, y, buffer.row(picture, y));
        });
    }
}

/// Planes of new memory: `write(picture, y, planes)` must write that row of all planes of the
/// picture.
pub(super) fn write_planes(
    shape: Shape,
    write: impl Fn(usize, usize, &PlanesMut) + Sync,
) -> Vec<f32> {
    let mut nchw = Vec::with_capacity(shape.elements());
    let planes = PlanesMut {
        shape,
        start: nchw.as_mut_ptr(),
    };
    for_rows(shape, |picture, y| write(picture, y, &planes));
    // SAFETY: the memory is large enough, and all rows of all planes are written.
    unsafe { nchw.set_len(shape.elements()) };
    nchw
}

/// Runs `work(picture, y)` for all rows of all pictures, in parallel.
fn for_rows(shape: Shape, work: impl Fn(usize, usize) + Sync) {
    let bands = shape.height.div_ceil(BAND);
    (0..shape.batch * bands).into_par_iter().for_each(|task| {
        let (picture, first) = (task / bands, task % bands * BAND);
        for y in first..(first + BAND).min(shape.height) {
            work(picture, y);
        }
    });
}

/// Planes to be read.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    shape: Shape,
    values: &'a [f32],
}

impl<'a> Planes<'a> {
    /// # Panics
    /// When the number of values is not that of the shape.
    pub(super) fn new(shape: Shape, values: &'a [f32]) -> Self {
        assert_eq!(values.len(), shape.elements(), "values for {shape}");
        Self { shape, values }
    }

    /// One row of all planes of a picture as pixels; lanes beyond the last channel become zero.
    ///
    /// # Panics
    /// When the row is not of the shape's width, or there is no such row.
    pub(super) fn gather(&self, picture: usize, y: usize, row: &mut [f32]) {
        let shape = self.shape;
        let (stride, width, plane) = (
            shape.pixel_stride(),
            shape.width,
            shape.height * shape.width,
        );
        assert!(row.len() == width * stride && picture < shape.batch && y < shape.height);
        let first = picture * shape.channels * plane + y * width;
        let (fours, whole) = (shape.channels / 4 * 4, width / 4 * 4);
        for channel in (0..fours).step_by(4) {
            for ahead in channel + AHEAD..(channel + AHEAD + 4).min(shape.channels) {
                for x in (0..width).step_by(LANES) {
                    prefetch(&self.values[first + ahead * plane + x]);
                }
            }
            for x in (0..whole).step_by(4) {
                // SAFETY: four pixels of four lines lie within the planes, as the number of values
                // says; four lanes of four pixels lie within the row.
                unsafe {
                    let from = self.values.as_ptr().add(first + channel * plane + x);
                    let to = row.as_mut_ptr().add(x * stride + channel);
                    transpose(from, plane, to, stride);
                }
            }
        }
        for x in 0..width {
            let pixel = &mut row[x * stride..][..stride];
            let done = if x < whole { fours } else { 0 };
            for (channel, lane) in pixel.iter_mut().enumerate().skip(done) {
                *lane = if channel < shape.channels {
                    self.values[first + channel * plane + x]
                } else {
                    0.0
                };
            }
        }
    }
}

/// Planes to be written by several threads.
pub(super) struct PlanesMut {
    shape: Shape,
    start: *mut f32,
}

// SAFETY: see `PlanesMut::scatter`.
unsafe impl Send for PlanesMut {}
// SAFETY: as above.
unsafe impl Sync for PlanesMut {}

impl PlanesMut {
    /// Writes a row of pixels to that row of all planes of a picture.
    ///
    /// # Safety
    /// The memory must be as large as the shape says, and no other thread may write this row.
    ///
    /// # Panics
    /// When the row is not of the shape's width, or there is no such row.
    pub(super) unsafe fn scatter(&self, picture: usize, y: usize, row: &[f32]) {
        let shape = self.shape;
        let (stride, width, plane) = (
            shape.pixel_stride(),
            shape.width,
            shape.height * shape.width,
        );
        assert!(row.len() == width * stride && picture < shape.batch && y < shape.height);
        let first = picture * shape.channels * plane + y * width;
        let (fours, whole) = (shape.channels / 4 * 4, width / 4 * 4);
        // Eight channels at a time: half a cache line of each pixel, and few enough lines of the
        // planes, which often lie a power of two apart.
        for block in (0..fours).step_by(8) {
            for x in (0..whole).step_by(4) {
                for channel in (block..fours.min(block + 8)).step_by(4) {
                    // SAFETY: four lanes of four pixels lie within the row, four pixels of four
                    // lines within the planes.
                    unsafe {
                        let from = row.as_ptr().add(x * stride + channel);
                        let to = self.start.add(first + channel * plane + x);
                        transpose(from, stride, to, plane);
                    }
                }
            }
        }
        for (x, pixel) in row.chunks_exact(stride).enumerate() {
            let done = if x < whole { fours } else { 0 };
            for (channel, value) in pixel[..shape.channels].iter().enumerate().skip(done) {
                // SAFETY: the place lies within the planes.
                unsafe { self.start.add(first + channel * plane + x).write(*value) };
            }
        }
    }
}

/// Asks for the cache line of a value.
#[inline]
fn prefetch(value: &f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has it, and it reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Transposes a matrix of 4 × 4 whose rows are so many floats apart.
///
/// # Safety
/// Both must be there, and nobody else may write `to`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn transpose(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };
    // SAFETY: every x86-64 processor has these; the addresses are good, as promised.
    unsafe {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| _mm_loadu_ps(from.add(row * from_step)));
        let (ab, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(to, _mm_movelh_ps(ab, cd));
        _mm_storeu_ps(to.add(to_step), _mm_movehl_ps(cd, ab));
        _mm_storeu_ps(to.add(2 * to_step), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(to.add(3 * to_step), _mm_movehl_ps(cd_high, ab_high));
    }
}

/// Transposes a matrix of 4 × 4 whose rows are so many floats apart.
///
/// # Safety
/// Both must be there, and nobody else may write `to`.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) unsafe fn transpose(from: *const f32, from_step: usize, to: *mut f32, to_step: usize) {
    // SAFETY: the addresses are good, as promised; arrays of floats need no more alignment than
    // floats.
    unsafe {
        let rows = [0, 1, 2, 3].map(|row| from.add(row * from_step).cast::<[f32; 4]>().read());
        for column in 0..4 {
            let line = rows.map(|row| row[column]);
            to.add(column * to_step).cast::<[f32; 4]>().write(line);
        }
    }
}
