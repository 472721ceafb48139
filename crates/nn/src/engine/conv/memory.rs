//! Where kernels read and write: inputs one after the other, one output, scratch of each thread.
#![expect(unsafe_code, reason = "threads write disjoint pixels of one buffer")]

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use fonds_core::{Code, Error, Result};

use super::super::buffer::LANES;
use super::super::{Buffer, BufferMut, Shape};

/// One of the inputs whose channels follow each other.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a [f32],
    pub(super) shape: Shape,
}

impl Source<'_> {
    /// The address of a pixel, which may lie up to one before and some after the picture.
    pub(super) fn at(&self, picture: usize, y: isize, x: isize) -> *const f32 {
        let shape = self.shape;
        let first = shape.offset(picture, 0, 0) as isize;
        let offset = first + y * shape.row_stride() as isize + x * shape.pixel_stride() as isize;
        self.data.as_ptr().wrapping_offset(offset)
    }
}

/// Checks the inputs: one size, `channels` in all, whole vectors in all but the last.
pub(super) fn sources<'a>(inputs: &[&'a Buffer], channels: usize) -> Result<Vec<Source<'a>>> {
    let Some(first) = inputs.first() else {
        return Err(mismatch("a convolution has no input".to_owned()));
    };
    let size = |shape: Shape| (shape.batch, shape.height, shape.width);
    let mut found = 0;
    for (index, input) in inputs.iter().enumerate() {
        let shape = input.shape();
        if size(shape) != size(first.shape()) {
            let first = first.shape();
            return Err(mismatch(format!(
                "input {index} of a convolution is {shape}, the first is {first}"
            )));
        }
        if index + 1 < inputs.len() && shape.channels % LANES != 0 {
            let channels = shape.channels;
            return Err(mismatch(format!(
                "input {index} of a convolution has {channels} channels and is not the last \
                 (expected a multiple of {LANES})"
            )));
        }
        found += shape.channels;
    }
    if found != channels {
        return Err(mismatch(format!(
            "a convolution of {channels} channels is given {found}"
        )));
    }
    let source = |input: &&'a Buffer| Source {
        data: input.as_slice(),
        shape: input.shape(),
    };
    Ok(inputs.iter().map(source).collect())
}

fn mismatch(message: String) -> Error {
    Error::new(Code::ModelError, message)
}

/// The output, written by several threads at different pixels.
pub(super) struct Output {
    start: *mut f32,
    pub(super) shape: Shape,
}

// SAFETY: kernels write through it, each task its own pixels.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Output {
    /// The memory of a buffer, which must outlive this.
    pub(super) fn new(buffer: &mut BufferMut) -> Self {
        let shape = buffer.shape();
        Self {
            start: buffer.as_mut_slice().as_mut_ptr(),
            shape,
        }
    }

    /// The first float.
    pub(super) fn start(&self) -> *mut f32 {
        self.start
    }
}

/// A cache line, so that scratch begins at one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([f32; 16]);

/// Floats that begin at a cache line.
pub(super) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

/// Memory of packed weights that nobody uses: in training they are packed anew for each use, and
/// fresh memory costs more than packing.
static SPARE: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// Pieces of memory that are kept at most.
const SPARE_PIECES: usize = 8;

/// Lines of the largest piece that is kept: 32 MiB.
const SPARE_LINES: usize = 1 << 19;

impl Aligned {
    pub(super) fn zeros(len: usize) -> Self {
        let lines = vec![Line([0.0; 16]); len.div_ceil(16)];
        Self { lines, len }
    }

    /// With whatever was last written there: to be written from the first to the last.
    pub(super) fn unwritten(len: usize) -> Self {
        let needed = len.div_ceil(16);
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = spare.iter().enumerate().filter(|(_, lines)| {
            // A far larger piece would be missed elsewhere.
            (needed..=2 * needed).contains(&lines.len())
        });
        match fitting.min_by_key(|(_, lines)| lines.len()) {
            Some((index, _)) => {
                let lines = spare.swap_remove(index);
                Self { lines, len }
            }
            None => Self::zeros(len),
        }
    }

    pub(super) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: the lines are floats one after the other, and there are enough.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if !(64..=SPARE_LINES).contains(&lines.len()) {
            return;
        }
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(lines);
        if spare.len() > SPARE_PIECES {
            let oldest = spare.remove(0);
            drop(spare);
            drop(oldest);
        }
    }
}

/// Frees the memory of packed weights that nobody uses.
pub(in super::super) fn forget_spare() {
    let spare = std::mem::take(&mut *SPARE.lock().unwrap_or_else(PoisonError::into_inner));
    drop(spare);
}

/// Packed weights, written by several threads at different places.
#[derive(Clone, Copy)]
pub(super) struct Packed(*mut f32);

// SAFETY: see `Packed::write`.
unsafe impl Send for Packed {}
// SAFETY: as above.
unsafe impl Sync for Packed {}

impl Packed {
    /// The memory of the weights, which must outlive this.
    pub(super) fn new(weights: &mut Aligned) -> Self {
        Self(weights.as_mut_slice().as_mut_ptr())
    }

    /// # Safety
    /// The place must be within the weights, and no other thread may write there.
    pub(super) unsafe fn write(self, place: usize, values: &[f32]) {
        // SAFETY: as promised.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.0.add(place), values.len()) };
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Runs `work` with memory of this thread: `floats` of them, from a cache line on, with whatever
/// was last written there.
pub(super) fn with_scratch<R>(floats: usize, work: impl FnOnce(*mut f32) -> R) -> R {
    SCRATCH.with(|scratch| {
        let mut lines = scratch.take();
        let needed = floats.div_ceil(16);
        if lines.len() < needed {
            lines = vec![Line([0.0; 16]); needed];
        }
        let result = work(lines.as_mut_ptr().cast());
        scratch.set(lines);
        result
    })
}
