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
        for (index, (y, x)) in strip.pixels().enumerate() {
            let out_y = geometry.out_origin[0] + y * geometry.out_step[0];
            let out_x = geometry.out_origin[1] + x * geometry.out_step[1];
            let target = output.shape.offset(strip.picture, out_y, out_x);
            *self.targets.add(index) = target;
            let y = geometry.origin[0] + (y * geometry.stride[0]) as isize;
            let x = geometry.origin[1] + (x * geometry.stride[1]) as isize;
            for (number, source) in sources.iter().enumerate() {
                *self.pixels(number).add(index) = source.at(strip.picture, y, x);
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

    /// Bias, activation and the rest, and storing: lanes from `channel` on at a pixel.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, pixel: usize, channel: usize, lanes: usize, sum: S::V) {
        let finish = self.job.finish;
        let at = pixel + channel;
        let bias = S::load(finish.bias.as_ptr().add(channel));
        let slope = S::load(finish.slope.as_ptr().add(channel));
        let value = finish.apply_any_mode::<S>(S::add(sum, bias), slope, at, lanes);
        let to = self.job.output.start().add(at);
        if lanes < S::LANES {
            S::store_part(to, value, lanes);
        } else {
            S::store(to, value);
        }
    }
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
                    for r in 0..ROWS.min(work.count - row) {
                        self.store::<S>(work.target(row + r), saved.add(r * width));
                    }
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

    /// Stores a pixel's sums.
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, pixel: usize, sums: *const f32) {
        let panel = self.0.panel;
        for v in 0..panel.vectors {
            let lanes = (panel.lanes - v * S::LANES).min(S::LANES);
            let sum = S::load(sums.add(v * S::LANES));
            self.0
                .store::<S>(pixel, panel.output + v * S::LANES, lanes, sum);
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
        let sums = work.sums.add(index * FEW);
        for lane in outputs..FEW {
            *sums.add(lane) = 0.0;
        }
        let sum = if FEW < S::LANES {
            S::load_part(sums, FEW)
        } else {
            S::load(sums)
        };
        work.store::<S>(work.target(index), 0, FEW, sum);
    }
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
            for r in 0..ROWS {
                let pixel = work.target(row + r);
                work.store::<S>(pixel, work.panel.output, S::LANES, sums[r]);
            }
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
