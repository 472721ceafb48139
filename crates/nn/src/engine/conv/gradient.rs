//! The gradient of a convolution with respect to its weights.
//!
//! For each tap it is a product of matrices over the pixels: input channels by output channels.
//! Micro-tiles of both stay in registers while some tens of pixels pass. The rows of the pictures
//! are shared out in chunks whose number depends on the sizes alone, and the sums of the chunks
//! are added in their order, so that the result does not depend on the number of threads.
#![expect(
    unsafe_code,
    reason = "vector instructions, and addresses that only the caller can vouch for"
)]
#![expect(clippy::inline_always, reason = "see the module `simd`")]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "loops over registers, written by row and vector"
)]

use std::ops::Range;

use fonds_core::{Code, Error, Result};
use rayon::prelude::*;

use super::super::planes::transpose;
use super::super::{Buffer, Engine, Kernel};
use super::memory::{Source, sources, with_scratch};
use super::shape::ConvShape;
use super::simd::{self, Micro, Simd, on_kernel};
use super::transpose::check_gradient;
use super::winograd::split;

/// Pixels that pass along a micro-tile.
const PIXELS: usize = 128;

/// Floats of the sums of all chunks.
const SUMS: usize = 2 << 20;

/// Most chunks.
const CHUNKS: usize = 16;

/// Floats of the sums that a thread adds up at once.
const PIECE: usize = 4096;

/// The gradient of a convolution with respect to its weights, `[out][in / groups][kernel
/// height][kernel width]`: `gradient` is that of the output.
///
/// # Shapes
/// `n × h × w × in_channels`, `n × h' × w' × out_channels`
///
/// # Errors
/// `model_error` when the sizes do not fit each other.
pub fn conv2d_weight_gradient(
    engine: &Engine,
    shape: &ConvShape,
    input: &Buffer,
    gradient: &Buffer,
) -> Result<Vec<f32>> {
    shape.validate()?;
    let [input, gradient] = [
        sources(&[input], shape.in_channels)?[0],
        sources(&[gradient], shape.out_channels)?[0],
    ];
    let size = (input.shape.height, input.shape.width);
    check_gradient(shape, size, gradient.shape)?;
    if input.shape.batch != gradient.shape.batch {
        let (input, gradient) = (input.shape, gradient.shape);
        let message = format!("the gradient is {gradient}, the input {input}");
        return Err(Error::new(Code::ModelError, message));
    }
    Ok(Job::new(engine.kernel(), shape, input, gradient).run())
}

struct Job<'a> {
    kernel: Kernel,
    shape: &'a ConvShape,
    /// Whose channels are broadcast: those of the input, or of the gradient where it has few.
    rows: Side<'a>,
    /// Whose channels fill vectors.
    lanes: Side<'a>,
    /// Whether `rows` is the gradient.
    swapped: bool,
    /// Channels of a group, each on its own: every vector is a group.
    depthwise: bool,
    /// Vectors of a group's sums.
    vectors: usize,
    /// Floats of the sums of a tap: `[group][row][vectors]`.
    tap: usize,
    chunks: usize,
}

/// One of the two factors.
#[derive(Clone, Copy)]
struct Side<'a> {
    source: Source<'a>,
    /// Channels of a group.
    channels: usize,
    /// Pixels from one output to the next, and where tap 0 of output 0 is.
    stride: [usize; 2],
    origin: [isize; 2],
    /// Pixels from one tap to the next.
    step: [usize; 2],
}

impl<'a> Job<'a> {
    fn new(kernel: Kernel, shape: &'a ConvShape, input: Source<'a>, gradient: Source<'a>) -> Self {
        let input = Side {
            source: input,
            channels: shape.in_channels / shape.groups,
            stride: shape.stride,
            origin: shape.padding.map(|padding| -(padding as isize)),
            step: shape.dilation,
        };
        let gradient = Side {
            source: gradient,
            channels: shape.out_channels / shape.groups,
            stride: [1; 2],
            origin: [0; 2],
            step: [0; 2],
        };
        let lanes = simd::lanes(kernel);
        let depthwise = input.channels == 1 && gradient.channels == 1 && shape.groups > 4;
        let swapped = gradient.channels < lanes && input.channels > gradient.channels;
        let (rows, side) = if swapped {
            (gradient, input)
        } else {
            (input, gradient)
        };
        let (vectors, tap) = if depthwise {
            (1, shape.groups.next_multiple_of(lanes))
        } else {
            let vectors = side.channels.div_ceil(lanes);
            (vectors, shape.groups * rows.channels * vectors * lanes)
        };
        let taps = shape.kernel[0] * shape.kernel[1];
        let out = gradient.source.shape;
        let chunks = (SUMS / (taps * tap)).clamp(1, CHUNKS);
        Self {
            kernel,
            shape,
            rows,
            lanes: side,
            swapped,
            depthwise,
            vectors,
            tap,
            chunks: chunks.min((out.batch * out.height).max(1)),
        }
    }

    fn taps(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1]
    }

    fn run(&self) -> Vec<f32> {
        let taps = self.taps();
        let floats = self.chunks * taps * self.tap;
        with_scratch(floats, |scratch| {
            // SAFETY: scratch has that many floats, and nobody else has it.
            let sums = unsafe { std::slice::from_raw_parts_mut(scratch, floats) };
            // Taps of one chunk read the same pixels, so they stay together as far as there is then
            // work for all threads.
            let wanted = (4 * rayon::current_num_threads()).div_ceil(self.chunks);
            let parts = split(taps, taps.div_ceil(wanted.min(taps)));
            let mut tasks = Vec::with_capacity(self.chunks * parts.len());
            for (chunk, mut sums) in sums.chunks_mut(taps * self.tap).enumerate() {
                for part in &parts {
                    let (of_part, others) = sums.split_at_mut(part.len() * self.tap);
                    sums = others;
                    tasks.push((chunk, part.clone(), of_part));
                }
            }
            tasks
                .into_par_iter()
                .for_each(|(chunk, taps, sums)| self.sum(chunk, &taps, sums));
            let (first, others) = sums.split_at_mut(taps * self.tap);
            first
                .par_chunks_mut(PIECE)
                .enumerate()
                .for_each(|(piece, first)| {
                    for chunk in others.chunks_exact(taps * self.tap) {
                        let other = &chunk[piece * PIECE..][..first.len()];
                        first
                            .iter_mut()
                            .zip(other)
                            .for_each(|(sum, other)| *sum += other);
                    }
                });
            self.collect(first)
        })
    }

    /// The sums `[tap][group][row][lane]` as `[out][in / groups][tap]`.
    fn collect(&self, sums: &[f32]) -> Vec<f32> {
        let taps = self.taps();
        let inputs = self.shape.in_channels / self.shape.groups;
        let mut weights = vec![0.0; self.shape.weights()];
        // Some outputs at a time: their sums lie side by side.
        weights
            .par_chunks_mut(16 * inputs * taps)
            .enumerate()
            .for_each(|(part, weights)| {
                let outputs = weights.len() / (inputs * taps);
                if self.swapped {
                    for output in 0..outputs {
                        let weights = &mut weights[output * inputs * taps..][..inputs * taps];
                        let from = self.place(part * 16 + output, 0);
                        self.collect_lanes(&sums[from..], inputs, weights, taps);
                    }
                    return;
                }
                // Outputs of the same group.
                let mut output = 0;
                while output < outputs {
                    let end = self.end_of_group(part * 16 + output) - part * 16;
                    let end = end.min(outputs);
                    for input in 0..inputs {
                        let from = self.place(part * 16 + output, input);
                        let weights = &mut weights[(output * inputs + input) * taps..];
                        self.collect_lanes(&sums[from..], end - output, weights, inputs * taps);
                    }
                    output = end;
                }
            });
        weights
    }

    /// Where the sums of an output and an input are among those of a tap.
    fn place(&self, output: usize, input: usize) -> usize {
        let per_group = self.shape.out_channels / self.shape.groups;
        let (group, output) = (output / per_group, output % per_group);
        if self.depthwise {
            return group;
        }
        let (row, lane) = if self.swapped {
            (output, input)
        } else {
            (input, output)
        };
        let width = self.vectors * simd::lanes(self.kernel);
        (group * self.rows.channels + row) * width + lane
    }

    /// The first output after the group of this one.
    fn end_of_group(&self, output: usize) -> usize {
        let per_group = self.shape.out_channels / self.shape.groups;
        (output / per_group + 1) * per_group
    }

    /// Writes the taps of some lanes, `step` floats from one lane's to the next one's.
    fn collect_lanes(&self, sums: &[f32], lanes: usize, weights: &mut [f32], step: usize) {
        let taps = self.taps();
        let [fours, whole] = [lanes, taps].map(|count| count / 4 * 4);
        assert!(
            lanes > 0
                && (lanes - 1) * step + taps <= weights.len()
                && (taps - 1) * self.tap + lanes <= sums.len(),
            "sums and weights lie within their memory"
        );
        for lane in (0..fours).step_by(4) {
            for tap in (0..whole).step_by(4) {
                // SAFETY: four taps of four lanes, none beyond the last of either.
                unsafe {
                    let from = sums.as_ptr().add(tap * self.tap + lane);
                    transpose(
                        from,
                        self.tap,
                        weights.as_mut_ptr().add(lane * step + tap),
                        step,
                    );
                }
            }
        }
        for lane in 0..lanes {
            let done = if lane < fours { whole } else { 0 };
            for tap in done..taps {
                weights[lane * step + tap] = sums[tap * self.tap + lane];
            }
        }
    }

    /// The sums of some taps over the rows of a chunk.
    fn sum(&self, chunk: usize, taps: &Range<usize>, sums: &mut [f32]) {
        let out = self.gradient().shape;
        let input = self.input().shape;
        let row_of_all = |chunk: usize| out.batch * out.height * chunk / self.chunks;
        let mut walks: Vec<_> = taps
            .clone()
            .map(|tap| {
                let tap = [tap / self.shape.kernel[1], tap % self.shape.kernel[1]];
                let x = self.inside(1, tap[1], input.width, out.width);
                let y = self.inside(0, tap[0], input.height, out.height);
                (tap, y, x, false)
            })
            .collect();
        let band = PIXELS.div_ceil(out.width);
        // Small pictures pass one after the other.
        let several = (PIXELS / (out.height * out.width)).max(1);
        let mut row = row_of_all(chunk);
        let end = row_of_all(chunk + 1);
        while row < end {
            let (picture, first) = (row / out.height, row % out.height);
            let last = (first + band).min(out.height).min(first + end - row);
            let pictures = if last - first == out.height {
                several.min((end - row) / out.height)
            } else {
                1
            };
            for ((tap, y, x, begun), sums) in walks.iter_mut().zip(sums.chunks_mut(self.tap)) {
                let rows = first.max(y.start)..last.min(y.end);
                for start in x.clone().step_by(PIXELS) {
                    let columns = start..x.end.min(start + PIXELS);
                    if !rows.is_empty() {
                        let block = Block {
                            pictures: picture..picture + pictures,
                            rows: rows.clone(),
                            columns,
                            tap: *tap,
                            begun: *begun,
                        };
                        // SAFETY: the engine's kernel is available, and the taps of these outputs
                        // lie in the input.
                        unsafe { add(self, &block, sums) };
                        *begun = true;
                    }
                }
            }
            row += (last - first) * pictures;
        }
        for ((.., begun), sums) in walks.iter().zip(sums.chunks_mut(self.tap)) {
            if !begun {
                sums.fill(0.0);
            }
        }
    }

    fn input(&self) -> Source<'_> {
        let side = if self.swapped { self.lanes } else { self.rows };
        side.source
    }

    fn gradient(&self) -> Source<'_> {
        let side = if self.swapped { self.rows } else { self.lanes };
        side.source
    }

    /// The outputs of an axis whose tap lies in the picture.
    fn inside(&self, axis: usize, tap: usize, input: usize, outputs: usize) -> Range<usize> {
        let stride = self.shape.stride[axis];
        let reach = tap * self.shape.dilation[axis];
        let padding = self.shape.padding[axis];
        let start = padding.saturating_sub(reach).div_ceil(stride);
        let end = (input + padding).saturating_sub(reach).div_ceil(stride);
        start.min(outputs)..end.min(outputs)
    }
}

/// Some outputs.
struct Block {
    pictures: Range<usize>,
    rows: Range<usize>,
    columns: Range<usize>,
    tap: [usize; 2],
    /// Whether there are sums of blocks before.
    begun: bool,
}

/// # Safety
/// The kernel must be available, and the taps of the block in the input.
unsafe fn add(job: &Job<'_>, block: &Block, sums: &mut [f32]) {
    on_kernel!(
        job.kernel,
        add_block(job: &Job<'_>, block: &Block, sums: &mut [f32])
    );
}

/// # Safety
/// As [`add`].
#[inline(always)]
unsafe fn add_block<S: Simd>(job: &Job<'_>, block: &Block, sums: &mut [f32]) {
    let [a, b] = [job.rows, job.lanes].map(|side| side.walk(block));
    let sums = sums.as_mut_ptr();
    let count = [block.pictures.len(), block.rows.len(), block.columns.len()];
    if job.depthwise {
        for channel in (0..job.tap).step_by(S::LANES) {
            let sums = sums.add(channel);
            add_products::<S>(a.at(channel), b.at(channel), count, sums, block.begun);
        }
        return;
    }
    let width = job.vectors * S::LANES;
    let group_sums = job.rows.channels * width;
    for group in 0..job.shape.groups {
        for part in split(job.vectors, S::MAX_VECTORS) {
            let product = Product {
                a: a.at(group * job.rows.channels),
                b: b.at(group * job.lanes.channels + part.start * S::LANES),
                count,
                channels: job.rows.channels,
                sums: sums.add(group * group_sums + part.start * S::LANES),
                width,
                begun: block.begun,
            };
            S::with_tile(S::rows(part.len()), part.len(), product);
        }
    }
}

/// A walk over pixels.
#[derive(Clone, Copy)]
struct Walk {
    start: *const f32,
    picture: usize,
    row: usize,
    pixel: usize,
}

impl Walk {
    /// The first pixel of a row.
    #[inline(always)]
    unsafe fn line(&self, picture: usize, row: usize) -> *const f32 {
        self.start.add(picture * self.picture + row * self.row)
    }

    fn at(self, channel: usize) -> Self {
        Self {
            start: self.start.wrapping_add(channel),
            ..self
        }
    }
}

impl Side<'_> {
    fn walk(&self, block: &Block) -> Walk {
        let place = |axis: usize, first: usize| {
            let reach = first * self.stride[axis] + block.tap[axis] * self.step[axis];
            self.origin[axis] + reach as isize
        };
        let shape = self.source.shape;
        Walk {
            start: self.source.at(
                block.pictures.start,
                place(0, block.rows.start),
                place(1, block.columns.start),
            ),
            picture: shape.picture_stride(),
            row: self.stride[0] * shape.row_stride(),
            pixel: self.stride[1] * shape.pixel_stride(),
        }
    }
}

/// Adds products of channels of `a` and vectors of `b` to sums.
struct Product {
    a: Walk,
    b: Walk,
    count: [usize; 3],
    /// Channels of `a`.
    channels: usize,
    sums: *mut f32,
    /// Floats from one channel's sums to the next.
    width: usize,
    /// Whether there are sums already.
    begun: bool,
}

impl Micro for Product {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let mut done = 0;
        while done < self.channels {
            // The last micro-tile takes channels of the one before again, or others' beyond the
            // last, and forgets them.
            let first = done.min(self.channels.saturating_sub(ROWS));
            let rows = done - first..(self.channels - first).min(ROWS);
            let to = self.sums.add(first * self.width);
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            for r in 0..ROWS {
                if self.begun && rows.contains(&r) {
                    for v in 0..VECTORS {
                        sums[r][v] = S::load(to.add(r * self.width + v * S::LANES));
                    }
                }
            }
            let [pictures, lines, pixels] = self.count;
            for line in 0..pictures * lines {
                let (n, y) = (line / lines, line % lines);
                let mut a = self.a.line(n, y).add(first);
                let mut b = self.b.line(n, y);
                for _ in 0..pixels {
                    let mut factors = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        factors[v] = S::load(b.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let value = S::splat(*a.add(r));
                        for v in 0..VECTORS {
                            sums[r][v] = S::mul_add(value, factors[v], sums[r][v]);
                        }
                    }
                    a = a.add(self.a.pixel);
                    b = b.add(self.b.pixel);
                }
            }
            for r in 0..ROWS {
                if rows.contains(&r) {
                    for v in 0..VECTORS {
                        S::store(to.add(r * self.width + v * S::LANES), sums[r][v]);
                    }
                }
            }
            done = first + ROWS;
        }
    }
}

/// Adds the products of vectors of `a` and `b`.
///
/// # Safety
/// As [`add`].
#[inline(always)]
unsafe fn add_products<S: Simd>(a: Walk, b: Walk, count: [usize; 3], to: *mut f32, begun: bool) {
    let mut sum = if begun { S::load(to) } else { S::splat(0.0) };
    let [pictures, lines, pixels] = count;
    for line in 0..pictures * lines {
        let (n, y) = (line / lines, line % lines);
        for x in 0..pixels {
            let value = S::load(a.line(n, y).add(x * a.pixel));
            let factor = S::load(b.line(n, y).add(x * b.pixel));
            sum = S::mul_add(value, factor, sum);
        }
    }
    S::store(to, sum);
}
