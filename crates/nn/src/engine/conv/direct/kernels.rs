//! The kernels of direct convolutions, for a strip of pixels.
#![expect(
    unsafe_code,
    reason = "vector instructions, and addresses that only the caller can vouch for"
)]
#![expect(clippy::inline_always, reason = "see the module `simd`")]
#![expect(
    clippy::needless_range_loop,
    reason = "loops over registers, written by row and vector"
)]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]

use std::ops::Range;

use super::super::epilogue::mode;
use super::super::simd::{Micro, Simd, on_kernel};
use super::{BEYOND, FEW, Job, Kind, Panel, Run, STRIP, Strip, WEIGHT_BYTES};

/// One strip and one panel.
pub(super) struct Work<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) panel: &'a Panel,
    pub(super) count: usize,
    pub(super) runs: &'a [Run],
    pub(super) sums: *mut f32,
    /// Where each pixel is in the output, then where its first taps are in each source.
    pub(super) targets: *mut usize,
}

/// # Safety
/// The plan's kernel must be available, `scratch` must hold the sums of the strip, the runs must
/// lie in the sources, and nobody else may write the strip's outputs of the panel.
pub(super) unsafe fn run(work: &Work<'_>) {
    on_kernel!(work.job.plan.kernel, strip(work: &Work<'_>));
}

/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn strip<S: Simd>(work: &Work<'_>) {
    let vectors = work.panel.vectors;
    match work.job.plan.kind {
        Kind::Outputs => S::with_tile(S::rows(vectors), vectors, ByOutputs(work)),
        Kind::Inputs => {
            for panel in &work.job.plan.panels {
                S::with_tile(S::rows(panel.vectors), panel.vectors, ByInputs(work, panel));
            }
            finish_few::<S>(work);
        }
        Kind::Depthwise => S::with_tile(S::rows(1), 1, ByChannels(work)),
    }
}

impl Work<'_> {
    /// Fills the table of addresses.
    ///
    /// # Safety
    /// There must be room for it.
    pub(super) unsafe fn find_pixels(&self, strip: Strip) {
        let Job {
            geometry,
            sources,
            output,
            ..
        } = self.job;
        for (index, (picture, y, x)) in strip.pixels().enumerate() {
            let out_y = geometry.out_origin[0] + y * geometry.out_step[0];
            let out_x = geometry.out_origin[1] + x * geometry.out_step[1];
            let target = output.shape.offset(picture, out_y, out_x);
            *self.targets.add(index) = target;
            let y = geometry.origin[0] + (y * geometry.stride[0]) as isize;
            let x = geometry.origin[1] + (x * geometry.stride[1]) as isize;
            for (number, source) in sources.iter().enumerate() {
                *self.pixels(number).add(index) = source.at(picture, y, x);
            }
        }
    }

    /// Where the first taps of the pixels are in a source.
    #[inline(always)]
    unsafe fn pixels(&self, source: usize) -> *mut *const f32 {
        self.targets.add((source + 1) * (STRIP + BEYOND)).cast()
    }

    /// Where the first taps of a micro-tile's pixels are in a source.
    #[inline(always)]
    unsafe fn pointers<const ROWS: usize>(&self, row: usize, source: usize) -> [*const f32; ROWS] {
        self.pixels(source)
            .add(row)
            .cast::<[*const f32; ROWS]>()
            .read()
    }

    /// The place of a pixel in the output.
    #[inline(always)]
    unsafe fn target(&self, index: usize) -> usize {
        *self.targets.add(index)
    }

    /// Bias, activation and the rest, and storing: the sums of some pixels, `stride` floats from one
    /// to the next, `lanes` of each from `channel` on.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, pixels: Range<usize>, sums: *const f32, to: Lanes) {
        match self.job.finish.mode() {
            mode::PLAIN => self.store_as::<S, { mode::PLAIN }>(pixels, sums, to),
            mode::RELU => self.store_as::<S, { mode::RELU }>(pixels, sums, to),
            mode::SLOPE => self.store_as::<S, { mode::SLOPE }>(pixels, sums, to),
            _ => self.store_as::<S, { mode::ANY }>(pixels, sums, to),
        }
    }

    #[inline(always)]
    unsafe fn store_as<S: Simd, const MODE: u8>(
        &self,
        pixels: Range<usize>,
        sums: *const f32,
        to: Lanes,
    ) {
        let finish = self.job.finish;
        let output = self.job.output.start();
        for lane in (0..to.count).step_by(S::LANES) {
            let channel = to.channel + lane;
            let bias = S::load(finish.bias.as_ptr().add(channel));
            let slope = S::load(finish.slope.as_ptr().add(channel));
            let count = (to.count - lane).min(S::LANES);
            let mut sum = sums.add(lane);
            for pixel in pixels.clone() {
                let at = self.target(pixel) + channel;
                let value = S::add(S::load(sum), bias);
                let value = finish.apply::<S, MODE>(value, slope, at, count);
                if count < S::LANES {
                    S::store_part(output.add(at), value, count);
                } else {
                    S::store(output.add(at), value);
                }
                sum = sum.add(to.stride);
            }
        }
    }
}

/// Which lanes of pixels are stored.
#[derive(Clone, Copy)]
struct Lanes {
    /// The first channel.
    channel: usize,
    count: usize,
    /// Floats from a pixel's sums to the next one's.
    stride: usize,
}

/// Micro-tiles of pixels and vectors of outputs.
struct ByOutputs<'a>(&'a Work<'a>);

impl Micro for ByOutputs<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let work = self.0;
        let width = VECTORS * S::LANES;
        let mut runs = work.runs;
        let mut first = true;
        // A part of the weights passes along the whole strip, then the next.
        loop {
            let (now, later) = runs.split_at(few(runs, WEIGHT_BYTES / 4 / width).min(runs.len()));
            for row in (0..work.count).step_by(ROWS) {
                let saved = work.sums.add(row * width);
                let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        if !first {
                            sums[r][v] = S::load(saved.add(r * width + v * S::LANES));
                        }
                    }
                }
                self.add::<S, ROWS, VECTORS>(row, now, &mut sums);
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        S::store(saved.add(r * width + v * S::LANES), sums[r][v]);
                    }
                }
                if later.is_empty() {
                    let lanes = Lanes {
                        channel: work.panel.output,
                        count: work.panel.lanes,
                        stride: width,
                    };
                    work.store::<S>(row..work.count.min(row + ROWS), saved, lanes);
                }
            }
            if later.is_empty() {
                break;
            }
            runs = later;
            first = false;
        }
    }
}

impl ByOutputs<'_> {
    #[inline(always)]
    unsafe fn add<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        row: usize,
        runs: &[Run],
        sums: &mut [[S::V; VECTORS]; ROWS],
    ) {
        let work = self.0;
        let width = VECTORS * S::LANES;
        let weights = work.job.plan.weights.as_ptr().add(work.panel.weights);
        let mut source = usize::MAX;
        let mut pixels = [std::ptr::null(); ROWS];
        for run in runs {
            if run.source != source {
                source = run.source;
                pixels = work.pointers::<ROWS>(row, source);
            }
            let mut a = [std::ptr::null::<f32>(); ROWS];
            for r in 0..ROWS {
                a[r] = pixels[r].wrapping_offset(run.offset);
            }
            let mut b = weights.add(run.place * width);
            for k in 0..run.len {
                let mut taps = [S::splat(0.0); VECTORS];
                for v in 0..VECTORS {
                    taps[v] = S::load(b.add(v * S::LANES));
                }
                for r in 0..ROWS {
                    let value = S::splat(*a[r].add(k));
                    for v in 0..VECTORS {
                        sums[r][v] = S::mul_add(value, taps[v], sums[r][v]);
                    }
                }
                b = b.add(width);
            }
        }
    }
}

/// Micro-tiles of pixels and outputs, of vectors of inputs. Leaves the sums of each pixel's
/// outputs in scratch.
struct ByInputs<'a>(&'a Work<'a>, &'a Panel);

impl Micro for ByInputs<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let Self(work, panel) = self;
        let weights = work.job.plan.weights.as_ptr().add(panel.weights);
        for row in (0..work.count).step_by(ROWS) {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            let mut source = usize::MAX;
            let mut pixels = [std::ptr::null(); ROWS];
            for run in work.runs {
                if run.source != source {
                    source = run.source;
                    pixels = work.pointers::<ROWS>(row, source);
                }
                let mut a = [std::ptr::null::<f32>(); ROWS];
                for r in 0..ROWS {
                    a[r] = pixels[r].wrapping_offset(run.offset);
                }
                let mut b = weights.add(run.place * VECTORS);
                for k in (0..run.len).step_by(S::LANES) {
                    let left = run.len - k;
                    let mut taps = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        taps[v] = S::load(b.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let value = if left < S::LANES {
                            S::load_part(a[r].add(k), left)
                        } else {
                            S::load(a[r].add(k))
                        };
                        for v in 0..VECTORS {
                            sums[r][v] = S::mul_add(value, taps[v], sums[r][v]);
                        }
                    }
                    b = b.add(VECTORS * S::LANES);
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    let to = work.sums.add((row + r) * FEW + panel.output + v);
                    *to = S::sum(sums[r][v]);
                }
            }
        }
    }
}

/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn finish_few<S: Simd>(work: &Work<'_>) {
    let outputs = work.job.output.shape.channels;
    for index in 0..work.count {
        for lane in outputs..FEW {
            *work.sums.add(index * FEW + lane) = 0.0;
        }
    }
    let lanes = Lanes {
        channel: 0,
        count: FEW,
        stride: FEW,
    };
    work.store::<S>(0..work.count, work.sums, lanes);
}

/// Micro-tiles of pixels, of one vector of channels.
struct ByChannels<'a>(&'a Work<'a>);

impl Micro for ByChannels<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let work = self.0;
        let stride = work.job.plan.panels.len() * S::LANES;
        let weights = work.job.plan.weights.as_ptr().add(work.panel.weights);
        for row in (0..work.count).step_by(ROWS) {
            let mut sums = [S::splat(0.0); ROWS];
            let mut source = usize::MAX;
            let mut pixels = [std::ptr::null(); ROWS];
            for run in work.runs {
                if run.source != source {
                    source = run.source;
                    pixels = work.pointers::<ROWS>(row, source);
                }
                let taps = S::load(weights.add(run.place * stride));
                for r in 0..ROWS {
                    let value = S::load(pixels[r].wrapping_offset(run.offset));
                    sums[r] = S::mul_add(value, taps, sums[r]);
                }
            }
            let saved = work.sums.add(row * S::LANES);
            for r in 0..ROWS {
                S::store(saved.add(r * S::LANES), sums[r]);
            }
            let lanes = Lanes {
                channel: work.panel.output,
                count: S::LANES,
                stride: S::LANES,
            };
            work.store::<S>(row..work.count.min(row + ROWS), saved, lanes);
        }
    }
}

/// How many runs from the first on have at most `most` inputs together, at least one.
fn few(runs: &[Run], most: usize) -> usize {
    let mut inputs = 0;
    let fits = runs.iter().take_while(|run| {
        inputs += run.len;
        inputs <= most
    });
    fits.count().max(1)
}
