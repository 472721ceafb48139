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
    clippy::needless_range_loop,
    reason = "loops over registers, written by row and vector"
)]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use half::bf16;
use rayon::prelude::*;

use super::super::Kernel;
use super::Precision;
use super::epilogue::{Finish, mode};
use super::memory::{Aligned, Output, Source, with_scratch};
use super::simd::{self, Micro, Simd, on_kernel};

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
/// second-level cache.
const BLOCK: usize = 48;

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
        let rows = match kernel {
            Kernel::Portable => BLOCK,
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
            rows,
            channels,
            groups,
            weights: Aligned::zeros(total),
        };
        winograd.pack(lanes, sides, weight);
        winograd
    }

    fn pack(&mut self, lanes: usize, [inputs, outputs]: [usize; 2], weight: &[f32]) {
        let depth = self.depth;
        let packed = self.weights.as_mut_slice();
        for group in &self.groups {
            for panel in &group.panels {
                let width = panel.vectors * lanes;
                for lane in 0..width {
                    let output = group.start + panel.start + lane;
                    if output >= outputs {
                        break;
                    }
                    for input in 0..inputs {
                        let taps = &weight[(output * inputs + input) * 9..][..9];
                        let points = transform_weights(taps);
                        for (point, value) in points.iter().enumerate() {
                            let start =
                                group.weights + point * depth * group.width + panel.start * depth;
                            let place = |float: usize| start + float * width + lane;
                            if self.bf16 {
                                let packed = &mut packed[place(input / 2)];
                                let bits = u32::from(bf16::from_f64(*value).to_bits());
                                let pair = packed.to_bits() | bits << (input % 2 * 16);
                                *packed = f32::from_bits(pair);
                            } else {
                                packed[place(input)] = *value as f32;
                            }
                        }
                    }
                }
            }
        }
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
        // Few blocks: the groups of output channels are shared out too.
        let shared = if blocks.len() < 8 {
            self.groups.len()
        } else {
            1
        };
        let scratch = self.scratch().iter().sum();
        (0..blocks.len() * shared).into_par_iter().for_each(|task| {
            let (first, count) = blocks[task / shared];
            let part = task % shared;
            let groups = if shared == 1 {
                0..self.groups.len()
            } else {
                part..part + 1
            };
            let work = Block {
                first,
                count,
                groups: &self.groups[groups],
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
        let packs = BLOCK / self.rows * POINTS;
        let [inputs, products] = self.steps();
        let products = if self.in_place() { 0 } else { packs * products };
        [packs * self.packs() * inputs, products]
    }
}

/// `G g Gᵀ` in 64 bits.
fn transform_weights(taps: &[f32]) -> [f64; POINTS] {
    let rows = [0, 1, 2]
        .map(|row| transform_taps([0, 1, 2].map(|column| f64::from(taps[row * 3 + column]))));
    let mut points = [0.0; POINTS];
    for x in 0..6 {
        let column = transform_taps([rows[0][x], rows[1][x], rows[2][x]]);
        for y in 0..6 {
            points[y * 6 + x] = column[y];
        }
    }
    points
}

/// The polynomial of three taps at the six points, each over the product of its distances to the
/// others.
fn transform_taps([a, b, c]: [f64; 3]) -> [f64; 6] {
    let at = |point: f64| a + point * b + point * point * c;
    [
        a,
        at(FRAC_1_SQRT_2) / -1.5,
        at(-FRAC_1_SQRT_2) / -1.5,
        at(SQRT_2) / 6.0,
        at(-SQRT_2) / 6.0,
        c,
    ]
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
            for first in (0..span).step_by(BLOCK) {
                blocks.push((start + first, BLOCK.min(span - first)));
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
                };
                if S::KERNEL == Kernel::Portable {
                    product.by_gemm(panel.vectors * S::LANES);
                } else {
                    S::with_tile(plan.rows, panel.vectors, product);
                }
            }
        }
        match job.finish.mode() {
            mode::PLAIN => outputs::<S, { mode::PLAIN }>(job, work, group, products),
            mode::RELU => outputs::<S, { mode::RELU }>(job, work, group, products),
            mode::SLOPE => outputs::<S, { mode::SLOPE }>(job, work, group, products),
            _ => outputs::<S, { mode::ANY }>(job, work, group, products),
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

/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn transform_inputs<S: Simd, const BF16: bool>(
    job: &Job<'_>,
    work: &Block<'_>,
    scratch: *mut f32,
    step: usize,
) {
    let plan = job.plan;
    let part = POINTS * step;
    let [above, before] = job.plan.padding;
    let mut place = Place::of(work.first, job.tiles);
    for tile in 0..work.count {
        let pack = scratch.add(tile / plan.rows * plan.packs() * part);
        let row_of_pack = pack.add(tile % plan.rows * plan.channels);
        let mut depth = 0;
        let y = (place.row * SIDE) as isize - above as isize;
        let x = (place.column * SIDE) as isize - before as isize;
        for source in job.sources {
            let from = source.at(place.picture, y, x);
            let row = source.shape.row_stride();
            let pixel = source.shape.pixel_stride();
            for channel in (0..source.shape.channels).step_by(S::LANES) {
                let to = row_of_pack.add(depth / plan.channels * part + depth % plan.channels);
                if pixel < S::LANES {
                    transform_input::<S, true, BF16>(from, row, pixel, to, step);
                } else {
                    transform_input::<S, false, BF16>(from.add(channel), row, pixel, to, step);
                }
                depth += if BF16 { S::LANES / 2 } else { S::LANES };
            }
        }
        place.advance(job.tiles);
    }
}

/// `Bᵀ d B` of one tile and one vector of channels; `PART` for pixels smaller than a vector.
///
/// # Safety
/// 6 × 6 pixels must be readable and 36 planes writable.
#[inline(always)]
unsafe fn transform_input<S: Simd, const PART: bool, const BF16: bool>(
    from: *const f32,
    row: usize,
    pixel: usize,
    to: *mut f32,
    step: usize,
) {
    let mut columns = [[S::splat(0.0); 6]; 6];
    for x in 0..6 {
        let mut values = [S::splat(0.0); 6];
        for y in 0..6 {
            let at = from.add(y * row + x * pixel);
            values[y] = if PART {
                S::load_part(at, pixel)
            } else {
                S::load(at)
            };
            // The columns that the next tile adds to those it shares with this one.
            if x >= 2 {
                S::prefetch(at.wrapping_add(SIDE * pixel));
            }
        }
        columns[x] = input_line::<S>(values);
    }
    for y in 0..6 {
        let line = input_line::<S>([
            columns[0][y],
            columns[1][y],
            columns[2][y],
            columns[3][y],
            columns[4][y],
            columns[5][y],
        ]);
        for x in 0..6 {
            let to = to.add((y * 6 + x) * step);
            if BF16 {
                S::store_bf16(to, line[x]);
            } else {
                S::store(to, line[x]);
            }
        }
    }
}

/// `Bᵀ d`: the coefficients of `x (x² − ½) (x² − 2)` without one of its factors.
#[inline(always)]
unsafe fn input_line<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
    let half = S::splat(0.5);
    let two = S::splat(2.0);
    let five_halves = S::splat(2.5);
    let inner = S::splat(std::f32::consts::FRAC_1_SQRT_2);
    let outer = S::splat(std::f32::consts::SQRT_2);
    let even_inner = S::neg_mul_add(two, d[2], d[4]);
    let odd_inner = S::neg_mul_add(two, d[1], d[3]);
    let even_outer = S::neg_mul_add(half, d[2], d[4]);
    let odd_outer = S::neg_mul_add(half, d[1], d[3]);
    [
        S::neg_mul_add(five_halves, d[2], S::add(d[0], d[4])),
        S::mul_add(inner, odd_inner, even_inner),
        S::neg_mul_add(inner, odd_inner, even_inner),
        S::mul_add(outer, odd_outer, even_outer),
        S::neg_mul_add(outer, odd_outer, even_outer),
        S::neg_mul_add(five_halves, d[3], S::add(d[1], d[5])),
    ]
}

/// `c = a b` for one point and panel: `a` is packs of transformed inputs, `b` is
/// `[depth][width of the micro-tile]`.
struct Product<'a, const BF16: bool> {
    plan: &'a Winograd,
    tiles: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    c: *mut f32,
    c_row: usize,
    c_pack: usize,
}

impl<const BF16: bool> Micro for Product<'_, BF16> {
    /// Tiles are rounded up to whole packs. `c` may be `a`.
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let channels = PACK / ROWS;
        let packs = self.plan.packs();
        let mut a = self.a;
        let mut c = self.c;
        for _ in 0..self.tiles.div_ceil(ROWS) {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            let mut b = self.b;
            let mut left = self.plan.depth;
            for _ in 0..packs {
                for k in 0..channels.min(left) {
                    let mut weights = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = S::load(b.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let value = S::splat(*a.add(r * channels + k));
                        for v in 0..VECTORS {
                            sums[r][v] = if BF16 {
                                S::dot_bf16(value, weights[v], sums[r][v])
                            } else {
                                S::mul_add(value, weights[v], sums[r][v])
                            };
                        }
                    }
                    b = b.add(VECTORS * S::LANES);
                }
                left = left.saturating_sub(channels);
                a = a.add(POINTS * self.a_step);
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    S::store(c.add(r * self.c_row + v * S::LANES), sums[r][v]);
                }
            }
            c = c.add(self.c_pack);
        }
    }
}

impl<const BF16: bool> Product<'_, BF16> {
    /// The same by the `gemm` crate, on this thread; all tiles are one pack.
    unsafe fn by_gemm(self, width: usize) {
        let depth = self.plan.depth;
        gemm::gemm(
            self.tiles,
            width,
            depth,
            self.c,
            1,
            self.c_row as isize,
            false,
            self.a,
            1,
            depth as isize,
            self.b,
            1,
            width as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The products of a block.
#[derive(Clone, Copy)]
struct Products {
    start: *mut f32,
    /// Floats from a tile of a pack to the next.
    row: usize,
    /// Floats from point to point.
    step: usize,
    /// Floats from pack to pack.
    pack: usize,
}

/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn outputs<S: Simd, const MODE: u8>(
    job: &Job<'_>,
    work: &Block<'_>,
    group: &Group,
    products: Products,
) {
    let shape = job.output.shape;
    let [_, step] = steps::<S>(job.plan);
    let rows_of_pack = job.plan.rows;
    let mut place = Place::of(work.first, job.tiles);
    for tile in 0..work.count {
        let (y, x) = (place.row * SIDE, place.column * SIDE);
        let rows = SIDE.min(shape.height - y);
        let columns = SIDE.min(shape.width - x);
        let at = shape.offset(place.picture, y, x) + group.start;
        for channel in (0..group.width).step_by(S::LANES) {
            let from = products.start.add(
                tile / rows_of_pack * products.pack + tile % rows_of_pack * products.row + channel,
            );
            let target = Target {
                at: at + channel,
                channel: group.start + channel,
                rows,
                columns,
            };
            if rows == SIDE && columns == SIDE {
                output::<S, MODE, true>(job, from, step, target);
            } else {
                output::<S, MODE, false>(job, from, step, target);
            }
        }
        place.advance(job.tiles);
    }
}

/// Where a tile goes.
#[derive(Clone, Copy)]
struct Target {
    at: usize,
    channel: usize,
    rows: usize,
    columns: usize,
}

/// `Aᵀ m A` of one tile and one vector of channels, and the epilogue.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn output<S: Simd, const MODE: u8, const WHOLE: bool>(
    job: &Job<'_>,
    from: *const f32,
    step: usize,
    target: Target,
) {
    let shape = job.output.shape;
    let finish = job.finish;
    let (row, pixel) = (shape.row_stride(), shape.pixel_stride());
    let mut columns = [[S::splat(0.0); SIDE]; 6];
    for x in 0..6 {
        let mut values = [S::splat(0.0); 6];
        for y in 0..6 {
            values[y] = S::load(from.add((y * 6 + x) * step));
        }
        columns[x] = output_line::<S>(values);
    }
    let bias = S::load(finish.bias.as_ptr().add(target.channel));
    let slope = S::load(finish.slope.as_ptr().add(target.channel));
    for y in 0..SIDE {
        let line = output_line::<S>([
            columns[0][y],
            columns[1][y],
            columns[2][y],
            columns[3][y],
            columns[4][y],
            columns[5][y],
        ]);
        for x in 0..SIDE {
            if WHOLE || (y < target.rows && x < target.columns) {
                let at = target.at + y * row + x * pixel;
                let value = S::add(line[x], bias);
                let value = finish.apply::<S, MODE>(value, slope, at, S::LANES);
                S::store(job.output.start().add(at), value);
            }
        }
    }
}

/// `Aᵀ m`: sums of the powers of the points.
#[inline(always)]
unsafe fn output_line<S: Simd>(m: [S::V; 6]) -> [S::V; SIDE] {
    const INNER: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const OUTER: f32 = std::f32::consts::SQRT_2;
    let inner_sum = S::add(m[1], m[2]);
    let inner_difference = S::sub(m[1], m[2]);
    let outer_sum = S::add(m[3], m[4]);
    let outer_difference = S::sub(m[3], m[4]);
    [
        S::add(S::add(m[0], inner_sum), outer_sum),
        S::mul_add(
            S::splat(OUTER),
            outer_difference,
            S::mul(S::splat(INNER), inner_difference),
        ),
        S::mul_add(S::splat(2.0), outer_sum, S::mul(S::splat(0.5), inner_sum)),
        S::mul_add(
            S::splat(2.0 * OUTER),
            outer_difference,
            S::mul_add(S::splat(0.5 * INNER), inner_difference, m[5]),
        ),
    ]
}
