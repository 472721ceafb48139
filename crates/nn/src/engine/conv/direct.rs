//! Convolution product by product: any kernel, stride, dilation, padding and number of channels.
//!
//! Outputs go through in strips of pixels that use the same taps. The sums of a micro-tile (some
//! pixels, some vectors of output channels) stay in registers while the taps and input channels
//! pass; each pixel's sum is made in one order (tap rows, tap columns, channels), wherever it is.
//! Three kernels share this: input channels broadcast to vectors of output channels; vectors of
//! input channels where there are hardly any outputs; vectors of both for depthwise convolutions.
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

use rayon::prelude::*;

use super::super::{Kernel, Shape};
use super::epilogue::Finish;
use super::geometry::{Geometry, Segment};
use super::memory::{Aligned, Output, Source, with_scratch};
use super::simd::{self, Micro, Simd, on_kernel};
use super::winograd::split;

/// Outputs that a strip has at most.
const STRIP: usize = 192;

/// Bytes of weights that pass along a strip together: they stay in the first-level cache.
const WEIGHT_BYTES: usize = 20 << 10;

/// Outputs that the last micro-tile of a strip may reach beyond it.
const BEYOND: usize = 24;

/// Outputs of the smallest pixels.
const FEW: usize = 4;

/// How vectors are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With output channels; input channels are broadcast.
    Outputs,
    /// With input channels; their sums are added up at the end. For up to four outputs.
    Inputs,
    /// With channels that have each their own taps.
    Depthwise,
}

/// Weights in the order in which one kernel path reads them.
pub(super) struct Direct {
    kernel: Kernel,
    kind: Kind,
    taps: [usize; 2],
    /// Input channels that an output is made from.
    depth: usize,
    panels: Vec<Panel>,
    weights: Aligned,
}

/// Output channels that a micro-tile is wide.
struct Panel {
    /// The first of its input channels.
    input: usize,
    /// The first of its output channels.
    output: usize,
    /// Floats to store from there on.
    lanes: usize,
    /// Vectors, or outputs where vectors are filled with inputs.
    vectors: usize,
    /// Where its weights begin.
    weights: usize,
}

/// Channels and taps of weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) groups: usize,
    pub(super) taps: [usize; 2],
}

impl Direct {
    /// Packs weights; `weight(output, input of its group, tap row, tap column)` is one of them.
    pub(super) fn new(
        kernel: Kernel,
        sizes: Sizes,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let Sizes {
            inputs,
            outputs,
            groups,
            taps,
        } = sizes;
        let lanes = simd::lanes(kernel);
        let stride = Shape {
            batch: 1,
            height: 1,
            width: 1,
            channels: outputs,
        }
        .pixel_stride();
        let depth = inputs / groups;
        let kind = if groups == inputs && groups == outputs && groups > 4 {
            Kind::Depthwise
        } else if outputs <= FEW && groups == 1 {
            Kind::Inputs
        } else {
            Kind::Outputs
        };
        let mut direct = Self {
            kernel,
            kind,
            taps,
            depth,
            panels: vec![],
            weights: Aligned::zeros(0),
        };
        match kind {
            Kind::Depthwise => direct.pack_depthwise(lanes, stride, outputs, weight),
            Kind::Inputs => direct.pack_inputs(lanes, outputs, weight),
            Kind::Outputs => direct.pack_outputs(lanes, stride, sizes, weight),
        }
        direct
    }

    /// `[panel][tap][input][output]`
    fn pack_outputs(
        &mut self,
        lanes: usize,
        stride: usize,
        sizes: Sizes,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) {
        let [rows, columns] = self.taps;
        let per_group = sizes.outputs / sizes.groups;
        let mut total = 0;
        for group in 0..sizes.groups {
            let first = group * per_group;
            // The last group writes the padding lanes of the pixel too.
            let last = if group + 1 == sizes.groups {
                stride
            } else {
                first + per_group
            };
            let vectors = (last - first).div_ceil(lanes);
            for part in split(vectors, simd::max_vectors(self.kernel)) {
                let output = first + part.start * lanes;
                self.panels.push(Panel {
                    input: group * self.depth,
                    output,
                    lanes: (last - output).min(part.len() * lanes),
                    vectors: part.len(),
                    weights: total,
                });
                total += rows * columns * self.depth * part.len() * lanes;
            }
        }
        self.weights = Aligned::zeros(total);
        let packed = self.weights.as_mut_slice();
        for panel in &self.panels {
            let group = panel.input / self.depth;
            let end = (group + 1) * per_group;
            let width = panel.vectors * lanes;
            for (tap, to) in packed[panel.weights..]
                .chunks_exact_mut(self.depth * width)
                .take(rows * columns)
                .enumerate()
            {
                for (input, to) in to.chunks_exact_mut(width).enumerate() {
                    for (output, to) in (panel.output..end).zip(to) {
                        *to = weight(output, input, tap / columns, tap % columns);
                    }
                }
            }
        }
    }

    /// `[panel][tap][vector of inputs][output][lane]`
    fn pack_inputs(
        &mut self,
        lanes: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) {
        let [rows, columns] = self.taps;
        let vectors = self.depth.div_ceil(lanes);
        let mut packed = vec![];
        for part in split(outputs, simd::max_vectors(self.kernel)) {
            self.panels.push(Panel {
                input: 0,
                output: part.start,
                lanes: part.len(),
                vectors: part.len(),
                weights: packed.len(),
            });
            for tap in 0..rows * columns {
                for input in (0..vectors * lanes).step_by(lanes) {
                    for output in part.clone() {
                        packed.extend((input..input + lanes).map(|input| {
                            if input < self.depth {
                                weight(output, input, tap / columns, tap % columns)
                            } else {
                                0.0
                            }
                        }));
                    }
                }
            }
        }
        self.weights = Aligned::zeros(packed.len());
        self.weights.as_mut_slice().copy_from_slice(&packed);
    }

    /// `[tap][channel]`
    fn pack_depthwise(
        &mut self,
        lanes: usize,
        stride: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) {
        let [rows, columns] = self.taps;
        self.weights = Aligned::zeros(rows * columns * stride);
        let packed = self.weights.as_mut_slice();
        for (tap, to) in packed.chunks_exact_mut(stride).enumerate() {
            for (channel, to) in to.iter_mut().enumerate().take(outputs) {
                *to = weight(channel, 0, tap / columns, tap % columns);
            }
        }
        for channel in (0..stride).step_by(lanes) {
            self.panels.push(Panel {
                input: channel,
                output: channel,
                lanes,
                vectors: 1,
                weights: channel,
            });
        }
    }

    /// Runs it: all pixels that the geometry names are written.
    pub(super) fn forward(
        &self,
        geometry: &Geometry,
        sources: &[Source<'_>],
        output: &Output,
        finish: &Finish<'_>,
    ) {
        let Some(input) = sources.first().map(|source| source.shape) else {
            return;
        };
        let rows = geometry.segments(0, input.height);
        let columns = geometry.segments(1, input.width);
        let [height, width] = geometry.size;
        if height == 0 || width == 0 {
            return;
        }
        let band = if columns.len() > 1 { 8 } else { 1 };
        let band = STRIP.div_ceil(width).max(band).min(height);
        let bands = height.div_ceil(band);
        let tasks = output.shape.batch * bands;
        let shared = if tasks < 8 && self.kind == Kind::Outputs {
            self.panels.len()
        } else {
            1
        };
        let job = Job {
            plan: self,
            geometry,
            sources,
            output,
            finish,
        };
        (0..tasks * shared).into_par_iter().for_each(|task| {
            let (part, task) = (task % shared, task / shared);
            let panels = if shared == 1 {
                &self.panels[..]
            } else {
                &self.panels[part..=part]
            };
            let (picture, first) = (task / bands, task % bands * band);
            let band = first..(first + band).min(height);
            job.band(picture, band, [&rows, &columns], panels);
        });
    }
}

/// One convolution, or one phase of a transposed one.
struct Job<'a> {
    plan: &'a Direct,
    geometry: &'a Geometry,
    sources: &'a [Source<'a>],
    output: &'a Output,
    finish: &'a Finish<'a>,
}

/// Inputs that follow each other in memory, as their weights do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    source: usize,
    /// Floats from the first tap of a pixel.
    offset: isize,
    len: usize,
    /// The place of its first weight among those of an output; taps where they are depthwise.
    place: usize,
}

/// Outputs of a rectangle, row by row, that use the same taps.
#[derive(Debug, Clone, Copy)]
struct Strip {
    picture: usize,
    /// The rectangle's first row and column, and its columns.
    y: usize,
    x: usize,
    width: usize,
    /// Outputs of the rectangle before the strip's first.
    first: usize,
    count: usize,
}

impl Strip {
    /// Row and column of all outputs; then those of the last again, as often as micro-tiles may
    /// reach beyond it.
    fn pixels(self) -> impl Iterator<Item = (usize, usize)> {
        let mut y = self.y + self.first / self.width;
        let mut x = self.x + self.first % self.width;
        (0..self.count + BEYOND).map(move |index| {
            let pixel = (y, x);
            if index + 1 < self.count {
                x += 1;
                if x == self.x + self.width {
                    x = self.x;
                    y += 1;
                }
            }
            pixel
        })
    }
}

impl Job<'_> {
    /// The outputs of some rows.
    fn band(
        &self,
        picture: usize,
        band: Range<usize>,
        [rows, columns]: [&[Segment]; 2],
        panels: &[Panel],
    ) {
        let panels = match self.plan.kind {
            // All panels of a strip go together.
            Kind::Inputs => &panels[..1],
            _ => panels,
        };
        for panel in panels {
            for row in rows {
                let y = row.outputs.start.max(band.start)..row.outputs.end.min(band.end);
                if y.is_empty() {
                    continue;
                }
                for column in columns {
                    let x = column.outputs.clone();
                    let runs = self.runs(panel, &row.taps, &column.taps);
                    let count = y.len() * x.len();
                    for first in (0..count).step_by(STRIP) {
                        let strip = Strip {
                            picture,
                            y: y.start,
                            x: x.start,
                            width: x.len(),
                            first,
                            count: STRIP.min(count - first),
                        };
                        self.strip(panel, strip, &runs);
                    }
                }
            }
        }
    }

    fn strip(&self, panel: &Panel, strip: Strip, runs: &[Run]) {
        let sums = (STRIP + BEYOND) * panel.vectors.max(FEW) * simd::lanes(self.plan.kernel);
        let addresses = (self.sources.len() + 1) * (STRIP + BEYOND);
        with_scratch(sums + 2 * addresses, |scratch| {
            // SAFETY: the engine's kernel is available; scratch is large enough for the sums and,
            // behind them, an address of 64 bits for each pixel in each buffer; runs lie in the
            // sources and their borders; the outputs are this task's.
            unsafe {
                let work = Work {
                    job: self,
                    panel,
                    count: strip.count,
                    runs,
                    sums: scratch,
                    targets: scratch.add(sums).cast(),
                };
                work.find_pixels(strip);
                run(&work);
            }
        });
    }

    /// The inputs of a panel at these taps, in the order in which they are summed.
    fn runs(&self, panel: &Panel, rows: &Range<usize>, columns: &Range<usize>) -> Vec<Run> {
        let plan = self.plan;
        let lanes = simd::lanes(plan.kernel);
        let places = match plan.kind {
            Kind::Inputs => plan.depth.next_multiple_of(lanes),
            _ => plan.depth,
        };
        let mut runs: Vec<Run> = vec![];
        for row in rows.clone() {
            for column in columns.clone() {
                let tap = row * plan.taps[1] + column;
                let mut first = 0;
                for (source, Source { shape, .. }) in self.sources.iter().enumerate() {
                    let start = panel.input.max(first);
                    let end = (panel.input + plan.depth).min(first + shape.channels);
                    if start < end {
                        let y = row * self.geometry.step[0] * shape.row_stride();
                        let x = column * self.geometry.step[1] * shape.pixel_stride();
                        let run = Run {
                            source,
                            offset: (y + x + start - first) as isize,
                            len: end - start,
                            place: tap * places + start - panel.input,
                        };
                        match runs.last_mut() {
                            Some(last) if last.continues_in(&run) => last.len += run.len,
                            _ => runs.push(run),
                        }
                    }
                    first += shape.channels;
                }
            }
        }
        match plan.kind {
            Kind::Outputs => cut(&runs, WEIGHT_BYTES / 4 / (panel.vectors * lanes)),
            _ => runs,
        }
    }
}

impl Run {
    /// Whether the other goes on where this one ends, and may be part of it.
    fn continues_in(&self, other: &Self) -> bool {
        self.source == other.source
            && self.offset + self.len as isize == other.offset
            && self.place + self.len == other.place
    }
}

/// The same with no run longer than `most`.
fn cut(runs: &[Run], most: usize) -> Vec<Run> {
    let mut pieces = vec![];
    for run in runs {
        for start in (0..run.len).step_by(most) {
            pieces.push(Run {
                offset: run.offset + start as isize,
                len: most.min(run.len - start),
                place: run.place + start,
                ..*run
            });
        }
    }
    pieces
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

/// One strip and one panel.
struct Work<'a> {
    job: &'a Job<'a>,
    panel: &'a Panel,
    count: usize,
    runs: &'a [Run],
    sums: *mut f32,
    /// Where each pixel is in the output, then where its first taps are in each source.
    targets: *mut usize,
}

/// # Safety
/// The plan's kernel must be available, `scratch` must hold the sums of the strip, the runs must
/// lie in the sources, and nobody else may write the strip's outputs of the panel.
unsafe fn run(work: &Work<'_>) {
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
    unsafe fn find_pixels(&self, strip: Strip) {
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
