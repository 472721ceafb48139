//! Convolution with 3 × 3 kernels by Winograd's F(4 × 4, 3 × 3).
//!
//! A tile of 4 × 4 outputs is made from 6 × 6 inputs with 36 products for each pair of channels
//! instead of 144 (Winograd 1980; Lavin and Gray, <https://arxiv.org/abs/1509.09308>). The points
//! of interpolation are 0, ±1/√2, ±√2 and ∞, whose error is half that of the usual 0, ±1, ±2, ∞.
//!
//! Tiles go through in blocks that stay in the second-level cache: input transform, 36 products of
//! matrices, output transform with the epilogue. All the tile's values depend on all of its 6 × 6
//! inputs, in their last bits; so does a value that is no number spread over its tile.
#![expect(
    unsafe_code,
    reason = "vector instructions, and addresses that only the caller can vouch for"
)]
#![expect(clippy::inline_always, reason = "see the module `simd`")]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]

mod products;
mod transforms;
mod weights;

use rayon::prelude::*;

use super::super::Kernel;
use super::Precision;
use super::epilogue::{Finish, mode};
use super::memory::{Aligned, Output, Source, with_scratch};
use super::simd::{self, Simd, on_kernel};
use products::{Product, Products};
use transforms::{transform_inputs, transform_outputs};

/// Outputs of a tile in each direction.
const SIDE: usize = 4;

/// Products for each tile and pair of channels.
const POINTS: usize = 36;

/// Floats of a pack: rows of a micro-tile times channels.
const PACK: usize = 384;

/// Floats from a pack of one point to that of the next. The sixteen beyond a pack spread the 36
/// stores of a tile over the sets of the first-level cache; being a constant, it needs no
/// registers.
const STEP: usize = PACK + 16;

/// Tiles that go through together: a multiple of the rows of all micro-tiles, few enough for the
/// second-level cache. With many channels it is the weights that do not fit there: the more tiles,
/// the less often they are read.
fn block_tiles(depth: usize) -> usize {
    if depth <= 256 { 24 } else { 48 }
}

/// Output channels whose products are made before they are transformed.
const GROUP_CHANNELS: usize = 64;

/// Weights, transformed and in the order in which one kernel path reads them.
pub(super) struct Winograd {
    kernel: Kernel,
    /// Whether products are of bf16.
    bf16: bool,
    /// Floats of a tile's transformed input channels, rounded up to whole vectors; a float may be
    /// two bf16.
    depth: usize,
    padding: [usize; 2],
    /// Tiles of a block.
    block: usize,
    /// Tiles of a pack: the rows of all micro-tiles.
    rows: usize,
    /// Channels of a pack.
    channels: usize,
    groups: Vec<Group>,
    weights: Aligned,
}

/// Output channels that go through a block together.
struct Group {
    /// Where its first output channel is, in floats of a pixel.
    start: usize,
    /// Its floats of a pixel.
    width: usize,
    panels: Vec<Panel>,
    /// Where its weights begin: `[36][panel][depth][width of the panel]`.
    weights: usize,
}

/// Output channels that a micro-tile is wide.
struct Panel {
    start: usize,
    vectors: usize,
}

/// Splits `count` into as few parts as possible, none above `most`, as even as possible.
pub(super) fn split(count: usize, most: usize) -> Vec<std::ops::Range<usize>> {
    let parts = count.div_ceil(most);
    (0..parts)
        .map(|part| count * part / parts..count * (part + 1) / parts)
        .collect()
}

impl Winograd {
    /// Transforms and packs weights `[out][in][3][3]`.
    pub(super) fn new(
        kernel: Kernel,
        channels: [usize; 2],
        padding: [usize; 2],
        weight: &[f32],
        precision: Precision,
    ) -> Self {
        let sides = channels;
        let [inputs, outputs] = sides;
        let lanes = simd::lanes(kernel);
        let bf16 = precision == Precision::Bf16;
        let depth = inputs.next_multiple_of(lanes) / if bf16 { 2 } else { 1 };
        // The products of `gemm` are as wide as there are channels.
        let widest = match kernel {
            Kernel::Portable => GROUP_CHANNELS / lanes,
            _ => simd::max_vectors(kernel),
        };
        let vectors = outputs.next_multiple_of(16) / lanes;
        let mut groups = vec![];
        let mut total = 0;
        let mut widest_panel = 1;
        for group in split(vectors, GROUP_CHANNELS / lanes) {
            let panels = split(group.len(), widest)
                .into_iter()
                .map(|panel| Panel {
                    start: panel.start * lanes,
                    vectors: panel.len(),
                })
                .collect::<Vec<_>>();
            widest_panel = panels
                .iter()
                .fold(widest_panel, |most, panel: &Panel| most.max(panel.vectors));
            let width = group.len() * lanes;
            groups.push(Group {
                start: group.start * lanes,
                width,
                panels,
                weights: total,
            });
            total += POINTS * depth * width;
        }
        let block = block_tiles(depth);
        let rows = match kernel {
            Kernel::Portable => block,
            _ => simd::rows(kernel, widest_panel),
        };
        let channels = match kernel {
            Kernel::Portable => depth,
            _ => PACK / rows,
        };
        let mut winograd = Self {
            kernel,
            bf16,
            depth,
            padding,
            block,
            rows,
            channels,
            groups,
            weights: Aligned::unwritten(total),
        };
        winograd.pack(lanes, sides, weight);
        winograd
    }

    /// Runs it: all pixels of `output` are written.
    pub(super) fn forward(&self, sources: &[Source<'_>], output: &Output, finish: &Finish<'_>) {
        let shape = output.shape;
        let tiles = [shape.height.div_ceil(SIDE), shape.width.div_ceil(SIDE)];
        let job = Job {
            plan: self,
            sources,
            output,
            finish,
            tiles,
        };
        let blocks = job.blocks();
        // Few blocks: the groups of output channels are shared out too, at the price of transforming
        // the inputs for each part. No output depends on who computes it.
        let wanted = match rayon::current_num_threads() {
            1 => 1,
            threads => 2 * threads,
        };
        let parts = wanted.div_ceil(blocks.len().max(1)).min(self.groups.len());
        let parts = split(self.groups.len(), self.groups.len().div_ceil(parts));
        let scratch = self.scratch().iter().sum();
        (0..blocks.len() * parts.len())
            .into_par_iter()
            .for_each(|task| {
                let (first, count) = blocks[task / parts.len()];
                let work = Block {
                    first,
                    count,
                    groups: &self.groups[parts[task % parts.len()].clone()],
                };
                // SAFETY: the engine's kernel is available; scratch is as large as a block needs; every
                // tile and group of channels is written by one task.
                with_scratch(scratch, |scratch| unsafe {
                    run(&job, &work, scratch);
                });
            });
    }

    /// Whether products may be written over what they are made from.
    fn in_place(&self) -> bool {
        self.kernel != Kernel::Portable
            && self.groups.len() == 1
            && self.groups[0].panels.len() == 1
            && self.groups[0].width <= self.channels
    }

    /// Packs side by side.
    fn packs(&self) -> usize {
        self.depth.div_ceil(self.channels)
    }

    /// Floats from one point to the next, of transformed inputs and of products.
    fn steps(&self) -> [usize; 2] {
        match self.kernel {
            Kernel::Portable => {
                [self.rows * self.depth, self.rows * GROUP_CHANNELS].map(|pack| pack + 16)
            }
            _ => [STEP; 2],
        }
    }

    /// Floats that a block needs: its transformed inputs and, behind them, its products.
    fn scratch(&self) -> [usize; 2] {
        let packs = self.block / self.rows * POINTS;
        let [inputs, products] = self.steps();
        let products = if self.in_place() { 0 } else { packs * products };
        [packs * self.packs() * inputs, products]
    }
}

/// One convolution.
struct Job<'a> {
    plan: &'a Winograd,
    sources: &'a [Source<'a>],
    output: &'a Output,
    finish: &'a Finish<'a>,
    /// Rows and columns of tiles of a picture.
    tiles: [usize; 2],
}

/// Some tiles of it, one after the other, and some of its output channels.
struct Block<'a> {
    first: usize,
    count: usize,
    groups: &'a [Group],
}

impl Job<'_> {
    /// The first tile and the number of tiles of all blocks.
    fn blocks(&self) -> Vec<(usize, usize)> {
        let picture = self.tiles[0] * self.tiles[1];
        let batch = self.output.shape.batch;
        // `gemm` may sum in another order when a matrix has another number of rows, so its blocks
        // are those of a picture alone; a tile's sums in our own kernels know nothing of others.
        let (spans, span) = match self.plan.kernel {
            Kernel::Portable => (batch, picture),
            _ => (1, batch * picture),
        };
        let mut blocks = vec![];
        for start in (0..spans).map(|index| index * span) {
            for first in (0..span).step_by(self.plan.block) {
                blocks.push((start + first, self.plan.block.min(span - first)));
            }
        }
        blocks
    }
}

/// # Safety
/// See [`block`].
unsafe fn run(job: &Job<'_>, work: &Block<'_>, scratch: *mut f32) {
    #[cfg(target_arch = "x86_64")]
    if job.plan.bf16 {
        return run_bf16(job, work, scratch);
    }
    on_kernel!(
        job.plan.kernel,
        block_f32(job: &Job<'_>, work: &Block<'_>, scratch: *mut f32)
    );
}

/// # Safety
/// See [`block`]; the processor must also have the products of bf16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
unsafe fn run_bf16(job: &Job<'_>, work: &Block<'_>, scratch: *mut f32) {
    block::<simd::Avx512, true>(job, work, scratch);
}

/// # Safety
/// See [`block`].
#[inline(always)]
unsafe fn block_f32<S: Simd>(job: &Job<'_>, work: &Block<'_>, scratch: *mut f32) {
    block::<S, false>(job, work, scratch);
}

/// Floats from one point to the next: of inputs and of products, known to the compiler except where
/// `gemm` multiplies.
#[inline(always)]
fn steps<S: Simd>(plan: &Winograd) -> [usize; 2] {
    if S::KERNEL == Kernel::Portable {
        plan.steps()
    } else {
        [STEP; 2]
    }
}

/// A block of tiles from input to output.
///
/// Scratch holds packs `[rows of a micro-tile][channels]`, for each point and, around that, for
/// each part of the channels and each micro-tile.
///
/// # Safety
/// The instructions must be there; `scratch` must hold what [`Winograd::scratch`] says; nobody else
/// may write the block's output.
#[inline(always)]
unsafe fn block<S: Simd, const BF16: bool>(job: &Job<'_>, work: &Block<'_>, scratch: *mut f32) {
    let plan = job.plan;
    let [input_step, product_step] = steps::<S>(plan);
    transform_inputs::<S, BF16>(job, work, scratch, input_step);
    let mut ahead = job.ahead(work);
    for group in work.groups {
        let products = if plan.in_place() {
            Products {
                start: scratch,
                row: plan.channels,
                step: input_step,
                pack: POINTS * plan.packs() * input_step,
            }
        } else {
            Products {
                start: scratch.add(plan.scratch()[0]),
                row: group.width,
                step: product_step,
                pack: POINTS * product_step,
            }
        };
        for point in 0..POINTS {
            for panel in &group.panels {
                let weights =
                    group.weights + point * plan.depth * group.width + panel.start * plan.depth;
                let product = Product::<BF16> {
                    plan,
                    tiles: work.count,
                    a: scratch.add(point * input_step),
                    a_step: input_step,
                    b: plan.weights.as_ptr().add(weights),
                    c: products.start.add(point * products.step + panel.start),
                    c_row: products.row,
                    c_pack: products.pack,
                    ahead: &mut ahead,
                };
                if S::KERNEL == Kernel::Portable {
                    product.by_gemm(panel.vectors * S::LANES);
                } else {
                    S::with_tile(plan.rows, panel.vectors, product);
                }
            }
        }
        match job.finish.mode() {
            mode::PLAIN => transform_outputs::<S, { mode::PLAIN }>(job, work, group, products),
            mode::RELU => transform_outputs::<S, { mode::RELU }>(job, work, group, products),
            mode::SLOPE => transform_outputs::<S, { mode::SLOPE }>(job, work, group, products),
            _ => transform_outputs::<S, { mode::ANY }>(job, work, group, products),
        }
    }
}

/// A tile's place.
#[derive(Clone, Copy)]
struct Place {
    picture: usize,
    row: usize,
    column: usize,
}

impl Place {
    fn of(tile: usize, [rows, columns]: [usize; 2]) -> Self {
        Self {
            picture: tile / (rows * columns),
            row: tile / columns % rows,
            column: tile % columns,
        }
    }

    #[inline(always)]
    fn advance(&mut self, [rows, columns]: [usize; 2]) {
        self.column += 1;
        if self.column == columns {
            self.column = 0;
            self.row += 1;
            if self.row == rows {
                self.row = 0;
                self.picture += 1;
            }
        }
    }
}
