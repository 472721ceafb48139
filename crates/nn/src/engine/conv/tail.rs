//! What follows the sums of a convolution in training, forward and backward: an affine map and a
//! slope for negative values, by channel, on the way between activations and planes.
//!
//! Sums over pixels are made in bands of rows whose number depends on the sizes alone and added up
//! in order, so that they do not depend on the number of threads.
#![expect(
    unsafe_code,
    reason = "compiled for vector instructions; threads write disjoint rows of one buffer"
)]
#![expect(clippy::inline_always, reason = "see the module `simd`")]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]

use fonds_core::Result;
use rayon::prelude::*;

use super::super::buffer::{LANES, Shape};
use super::super::planes::{BAND, Planes, write_planes};
use super::super::{Buffer, BufferMut, Engine, Kernel};
use super::memory::Output;
use super::simd::{Simd, on_kernel};

/// `curve((sum − mean) · scale + shift)` with values for each channel.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    /// One value for each lane of a pixel, zero beyond the channels.
    mean: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    slope: Vec<f32>,
    curve: TailCurve,
}

/// The function at the end of a [`Tail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailCurve {
    /// The value where positive, else the value times the channel's slope.
    Slope,
    /// The hyperbolic tangent; only to go back from what it gave.
    Tanh,
    /// The logistic function; only to go back from what it gave.
    Sigmoid,
}

impl Tail {
    /// The curve alone; `slopes` is one value or one for each channel.
    pub(crate) fn new(shape: Shape, curve: TailCurve, slopes: &[f32]) -> Self {
        let lanes = shape.pixel_stride();
        let all = |value: f32| per_lane(shape, &[value]);
        Self {
            mean: vec![0.0; lanes],
            scale: all(1.0),
            shift: vec![0.0; lanes],
            slope: per_lane(shape, slopes),
            curve,
        }
    }

    /// The same after an affine map; one value for each channel.
    #[must_use]
    pub(crate) fn after(self, shape: Shape, mean: &[f32], scale: &[f32], shift: &[f32]) -> Self {
        let [mean, scale, shift] = [mean, scale, shift].map(|values| per_lane(shape, values));
        Self {
            mean,
            scale,
            shift,
            ..self
        }
    }
}

fn per_lane(shape: Shape, values: &[f32]) -> Vec<f32> {
    let mut lanes = vec![0.0; shape.pixel_stride()];
    for (channel, lane) in lanes[..shape.channels].iter_mut().enumerate() {
        *lane = if values.len() == 1 {
            values[0]
        } else {
            values[channel]
        };
    }
    lanes
}

/// Sums over all pixels of all pictures, for each channel: what the gradients of a [`Tail`]'s
/// values are made of. `h` is the gradient before the curve.
#[derive(Debug)]
pub(crate) struct TailSums {
    /// `Σ h`
    pub(crate) plain: Vec<f64>,
    /// `Σ h · (sum − mean)`
    pub(crate) centred: Vec<f64>,
    /// `Σ upstream · value` over the negative values before the curve.
    pub(crate) negative: Vec<f64>,
}

/// The gradient of a normalisation by its own statistics: `scale · (h − plain) − slope · (sum −
/// mean)`, one value for each channel.
pub(crate) struct Centring<'a> {
    pub(crate) scale: &'a [f32],
    pub(crate) plain: &'a [f32],
    pub(crate) slope: &'a [f32],
    pub(crate) mean: &'a [f32],
}

impl Engine {
    /// What a tail makes of sums: as activations and as planes.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub(crate) fn follow(&self, sums: &Buffer, tail: &Tail) -> Result<(Buffer, Vec<f32>)> {
        let shape = sums.shape();
        let mut made = self.buffer(shape)?;
        let output = Output::new(&mut made);
        let kernel = self.kernel();
        let planes = write_planes(shape, |picture, y, planes| {
            // SAFETY: the engine's kernel is available; each row is written by one task.
            unsafe {
                let row = row_of(&output, picture, y);
                follow_row(kernel, tail, sums.row(picture, y), row);
                planes.scatter(picture, y, row);
            }
        });
        Ok((made.freeze(), planes))
    }

    /// The gradient before the curve, from that behind it (in planes). `values` are the sums of the
    /// convolution; for a curve without an affine map before it, what the curve gave will do, and
    /// must be given where it is not a slope.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub(crate) fn gate(
        &self,
        upstream: &[f32],
        values: &Buffer,
        tail: &Tail,
    ) -> Result<(BufferMut, TailSums)> {
        let shape = values.shape();
        let planes = Planes::new(shape, upstream);
        let mut gated = self.buffer(shape)?;
        let output = Output::new(&mut gated);
        let bands = shape.height.div_ceil(BAND);
        let kernel = self.kernel();
        let lanes = shape.pixel_stride();
        let of_bands: Vec<Vec<[f64; 3]>> = (0..shape.batch * bands)
            .into_par_iter()
            .map(|task| {
                let (picture, first) = (task / bands, task % bands * BAND);
                let mut sums = vec![[0.0; 3]; lanes];
                for y in first..(first + BAND).min(shape.height) {
                    // SAFETY: the engine's kernel is available; each row is written by one task.
                    unsafe {
                        let row = row_of(&output, picture, y);
                        planes.gather(picture, y, row);
                        gate_row(kernel, tail, values.row(picture, y), row, &mut sums);
                    }
                }
                sums
            })
            .collect();
        let mut total = vec![[0.0; 3]; shape.channels];
        for band in of_bands {
            for (total, band) in total.iter_mut().zip(band) {
                for (total, band) in total.iter_mut().zip(band) {
                    *total += band;
                }
            }
        }
        let column = |index: usize| total.iter().map(|sums| sums[index]).collect();
        let sums = TailSums {
            plain: column(0),
            centred: column(1),
            negative: column(2),
        };
        Ok((gated, sums))
    }

    /// Takes a gradient back through a normalisation, in place. `sums` are what was normalised.
    pub(crate) fn centre(&self, gradient: &mut BufferMut, sums: &Buffer, by: &Centring<'_>) {
        let shape = gradient.shape();
        let [scale, plain, slope, mean] =
            [by.scale, by.plain, by.slope, by.mean].map(|values| per_lane(shape, values));
        let kernel = self.kernel();
        gradient.fill_rows(|picture, y, row| {
            let factors = [&scale[..], &plain, &slope, &mean];
            // SAFETY: the engine's kernel is available.
            unsafe { centre_row(kernel, factors, sums.row(picture, y), row) };
        });
    }
}

/// A row without its border, to be written.
///
/// # Safety
/// Nobody else may have it.
#[expect(clippy::mut_from_ref, reason = "each task has its own rows")]
unsafe fn row_of(output: &Output, picture: usize, y: usize) -> &mut [f32] {
    let shape = output.shape;
    let start = output.start().add(shape.offset(picture, y, 0));
    std::slice::from_raw_parts_mut(start, shape.width * shape.pixel_stride())
}

/// # Safety
/// The kernel must be available.
unsafe fn follow_row(kernel: Kernel, tail: &Tail, from: &[f32], to: &mut [f32]) {
    on_kernel!(kernel, follow_in(tail: &Tail, from: &[f32], to: &mut [f32]));
}

#[inline(always)]
unsafe fn follow_in<S: Simd>(tail: &Tail, from: &[f32], to: &mut [f32]) {
    if tail.mean.len() == 4 {
        follow_lanes::<4>(tail, from, to);
    } else {
        follow_lanes::<LANES>(tail, from, to);
    }
}

// Blocks are copied out and in as a whole: then the compiler knows that nothing overlaps and makes
// vectors of them.
#[inline(always)]
fn follow_lanes<const L: usize>(tail: &Tail, from: &[f32], to: &mut [f32]) {
    let blocks = tail.mean.len() / L;
    let (from, to) = (from.as_chunks::<L>().0, to.as_chunks_mut::<L>().0);
    let factors =
        [&tail.mean, &tail.scale, &tail.shift, &tail.slope].map(|values| values.as_chunks::<L>().0);
    for block in 0..blocks {
        let [mean, scale, shift, slope] = factors.map(|values| values[block]);
        for (from, to) in from.chunks_exact(blocks).zip(to.chunks_exact_mut(blocks)) {
            let mut value = from[block];
            for lane in 0..L {
                let before = (value[lane] - mean[lane]) * scale[lane] + shift[lane];
                let negative = before * slope[lane];
                value[lane] = if before > 0.0 { before } else { negative };
            }
            to[block] = value;
        }
    }
}

/// # Safety
/// The kernel must be available.
unsafe fn gate_row(
    kernel: Kernel,
    tail: &Tail,
    values: &[f32],
    row: &mut [f32],
    sums: &mut [[f64; 3]],
) {
    on_kernel!(
        kernel,
        gate_in(
            tail: &Tail,
            values: &[f32],
            row: &mut [f32],
            sums: &mut [[f64; 3]],
        )
    );
}

#[inline(always)]
unsafe fn gate_in<S: Simd>(tail: &Tail, values: &[f32], row: &mut [f32], sums: &mut [[f64; 3]]) {
    if tail.mean.len() == 4 {
        gate_lanes::<4>(tail, values, row, sums);
    } else {
        gate_lanes::<LANES>(tail, values, row, sums);
    }
}

#[inline(always)]
fn gate_lanes<const L: usize>(tail: &Tail, values: &[f32], row: &mut [f32], sums: &mut [[f64; 3]]) {
    match tail.curve {
        TailCurve::Slope => gate_slope::<L>(tail, values, row, sums),
        TailCurve::Tanh => gate_by::<L>(values, row, sums, |value| 1.0 - value * value),
        TailCurve::Sigmoid => gate_by::<L>(values, row, sums, |value| value * (1.0 - value)),
    }
}

#[inline(always)]
fn gate_slope<const L: usize>(tail: &Tail, values: &[f32], row: &mut [f32], sums: &mut [[f64; 3]]) {
    let blocks = tail.mean.len() / L;
    let (values, row) = (values.as_chunks::<L>().0, row.as_chunks_mut::<L>().0);
    let factors =
        [&tail.mean, &tail.scale, &tail.shift, &tail.slope].map(|values| values.as_chunks::<L>().0);
    let pixels = row.len() / blocks;
    for block in 0..blocks {
        let [mean, scale, shift, slope] = factors.map(|values| values[block]);
        // Along a row the sums are short enough for 32 bits.
        let (mut plain, mut weighted, mut negative) = ([0.0; L], [0.0; L], [0.0; L]);
        for pixel in 0..pixels {
            let value = values[pixel * blocks + block];
            let mut gradient = row[pixel * blocks + block];
            for lane in 0..L {
                let centred = value[lane] - mean[lane];
                let before = centred * scale[lane] + shift[lane];
                let upstream = gradient[lane];
                let (sloped, lost) = (upstream * slope[lane], upstream * before);
                let gated = if before > 0.0 { upstream } else { sloped };
                gradient[lane] = gated;
                plain[lane] += gated;
                weighted[lane] += gated * centred;
                negative[lane] += if before > 0.0 { 0.0 } else { lost };
            }
            row[pixel * blocks + block] = gradient;
        }
        for lane in 0..L {
            let sums = &mut sums[block * L + lane];
            sums[0] += f64::from(plain[lane]);
            sums[1] += f64::from(weighted[lane]);
            sums[2] += f64::from(negative[lane]);
        }
    }
}

#[inline(always)]
fn gate_by<const L: usize>(
    values: &[f32],
    row: &mut [f32],
    sums: &mut [[f64; 3]],
    slope: impl Fn(f32) -> f32,
) {
    let blocks = sums.len() / L;
    let (values, row) = (values.as_chunks::<L>().0, row.as_chunks_mut::<L>().0);
    for block in 0..blocks {
        let mut plain = [0.0; L];
        for (value, gradient) in values.iter().zip(&mut *row).skip(block).step_by(blocks) {
            for lane in 0..L {
                gradient[lane] *= slope(value[lane]);
                plain[lane] += gradient[lane];
            }
        }
        for lane in 0..L {
            sums[block * L + lane][0] += f64::from(plain[lane]);
        }
    }
}

/// # Safety
/// The kernel must be available.
unsafe fn centre_row(kernel: Kernel, by: [&[f32]; 4], sums: &[f32], row: &mut [f32]) {
    on_kernel!(kernel, centre_in(by: [&[f32]; 4], sums: &[f32], row: &mut [f32]));
}

#[inline(always)]
unsafe fn centre_in<S: Simd>(by: [&[f32]; 4], sums: &[f32], row: &mut [f32]) {
    if by[0].len() == 4 {
        centre_lanes::<4>(by, sums, row);
    } else {
        centre_lanes::<LANES>(by, sums, row);
    }
}

#[inline(always)]
fn centre_lanes<const L: usize>(by: [&[f32]; 4], sums: &[f32], row: &mut [f32]) {
    let blocks = by[0].len() / L;
    let by = by.map(|values| values.as_chunks::<L>().0);
    let (sums, row) = (sums.as_chunks::<L>().0, row.as_chunks_mut::<L>().0);
    for block in 0..blocks {
        let [scale, plain, slope, mean] = by.map(|values| values[block]);
        for (sums, row) in sums.chunks_exact(blocks).zip(row.chunks_exact_mut(blocks)) {
            let (sum, mut gradient) = (sums[block], row[block]);
            for lane in 0..L {
                let centred = sum[lane] - mean[lane];
                gradient[lane] =
                    scale[lane] * (gradient[lane] - plain[lane]) - slope[lane] * centred;
            }
            row[block] = gradient;
        }
    }
}
