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

mod kernels;
mod weights;

use std::ops::Range;

use rayon::prelude::*;

use super::super::{Kernel, Shape};
use super::epilogue::Finish;
use super::geometry::{Geometry, Segment};
use super::memory::{Aligned, Output, Source, with_scratch};
use super::simd;
use super::winograd::split;
use kernels::{Work, run};
pub(super) use weights::Weights;

/// Outputs that a strip has at most.
const STRIP: usize = 192;

/// Bytes of weights that pass along a strip together: they stay in the first-level cache.
const WEIGHT_BYTES: usize = 32 << 10;

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
    /// Packs weights.
    pub(super) fn new(kernel: Kernel, sizes: Sizes, weights: &Weights<'_>) -> Self {
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
            Kind::Depthwise => direct.pack_depthwise(lanes, stride, outputs, weights),
            Kind::Inputs => direct.pack_inputs(lanes, outputs, weights),
            Kind::Outputs => direct.pack_outputs(lanes, stride, sizes, weights),
        }
        direct
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
        // Small pictures go through one after the other, so that the weights pass less often.
        let parts = match bands {
            1 => output
                .shape
                .batch
                .div_ceil((STRIP / (height * width)).max(1)),
            _ => output.shape.batch,
        };
        let pictures = split(output.shape.batch, output.shape.batch.div_ceil(parts));
        let tasks = pictures.len() * bands;
        // Few bands: the panels are shared out too.
        let few = tasks < 4 * rayon::current_num_threads();
        let shared = match self.kind {
            Kind::Outputs if few => self.panels.len(),
            _ => 1,
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
            let first = task % bands * band;
            let band = first..(first + band).min(height);
            job.band(&pictures[task / bands], &band, [&rows, &columns], panels);
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

/// Outputs of a rectangle, row by row, picture by picture, that use the same taps.
#[derive(Debug, Clone, Copy)]
struct Strip {
    picture: usize,
    /// The rectangle's first row and column, and how many it has of them.
    y: usize,
    x: usize,
    height: usize,
    width: usize,
    /// Outputs before the strip's first, in the rectangle of the first picture and those after it.
    first: usize,
    count: usize,
}

impl Strip {
    /// Picture, row and column of all outputs; then those of the last again, as often as micro-tiles
    /// may reach beyond it.
    fn pixels(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let area = self.height * self.width;
        let mut picture = self.picture + self.first / area;
        let mut y = self.y + self.first % area / self.width;
        let mut x = self.x + self.first % self.width;
        (0..self.count + BEYOND).map(move |index| {
            let pixel = (picture, y, x);
            if index + 1 < self.count {
                x += 1;
                if x == self.x + self.width {
                    x = self.x;
                    y += 1;
                }
                if y == self.y + self.height {
                    y = self.y;
                    picture += 1;
                }
            }
            pixel
        })
    }
}

impl Job<'_> {
    /// The outputs of some rows of some pictures.
    fn band(
        &self,
        pictures: &Range<usize>,
        band: &Range<usize>,
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
                    let count = pictures.len() * y.len() * x.len();
                    for first in (0..count).step_by(STRIP) {
                        let strip = Strip {
                            picture: pictures.start,
                            y: y.start,
                            x: x.start,
                            height: y.len(),
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
