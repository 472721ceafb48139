//! Winograd's products: 36 products of matrices for a block of tiles, and meanwhile what the next
//! block needs is fetched.
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

use super::super::simd::{Micro, Simd};
use super::{Block, Job, PACK, POINTS, Place, SIDE, Winograd};

/// `c = a b` for one point and panel: `a` is packs of transformed inputs, `b` is
/// `[depth][width of the micro-tile]`.
pub(super) struct Product<'a, const BF16: bool> {
    pub(super) plan: &'a Winograd,
    pub(super) tiles: usize,
    pub(super) a: *const f32,
    pub(super) a_step: usize,
    pub(super) b: *const f32,
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    pub(super) c_pack: usize,
    /// What to fetch meanwhile; the next weights are fetched besides.
    pub(super) ahead: &'a mut [Ahead; 2],
}

/// Floats of a cache line.
const LINE: usize = 16;

/// Most pieces of memory that are fetched while a block's products are made.
const PIECES: usize = 32;

/// Memory to fetch ahead of its use, a cache line with each step of the innermost loop: products
/// leave the memory idle, and the transforms would wait for it.
pub(super) struct Ahead {
    /// First and last addresses.
    pieces: [(usize, usize); PIECES],
    count: usize,
    next: usize,
    /// The line to fetch next, and where the piece that it is in ends.
    at: usize,
    end: usize,
}

impl Ahead {
    fn new() -> Self {
        Self {
            pieces: [(0, 0); PIECES],
            count: 0,
            next: 0,
            at: 0,
            end: 0,
        }
    }

    fn push(&mut self, start: *const f32, floats: usize) {
        if self.count < PIECES {
            let start = start as usize;
            self.pieces[self.count] = (start, start + floats * 4);
            self.count += 1;
        }
    }

    /// Where to go on, and where the piece ends.
    #[inline(always)]
    fn piece(&mut self) -> (usize, usize) {
        if self.at == self.end && self.next < self.count {
            (self.at, self.end) = self.pieces[self.next];
            self.next += 1;
        }
        (self.at, self.end)
    }
}

impl Job<'_> {
    /// What the next block will read, and what this one will write.
    pub(super) fn ahead(&self, work: &Block<'_>) -> [Ahead; 2] {
        let mut ahead = [Ahead::new(), Ahead::new()];
        let first = work.first + work.count;
        for (place, tiles) in self.rows_of(first..first + self.plan.block) {
            for (source, y) in self
                .sources
                .iter()
                .flat_map(|s| (0..6).map(move |y| (s, y)))
            {
                let y = (place.row * SIDE + y) as isize - self.plan.padding[0] as isize;
                let x = (place.column * SIDE) as isize - self.plan.padding[1] as isize;
                let from = source.at(place.picture, y, x);
                ahead[0].push(from, tiles * SIDE * source.shape.pixel_stride());
            }
        }
        let shape = self.output.shape;
        for (place, tiles) in self.rows_of(work.first..first) {
            for y in (place.row * SIDE..shape.height).take(SIDE) {
                let at = shape.offset(place.picture, y, place.column * SIDE);
                let to = self.output.start().wrapping_add(at);
                ahead[1].push(to, tiles * SIDE * shape.pixel_stride());
            }
        }
        ahead
    }

    /// Tiles by the row that they stand in: the first of each row, and how many.
    fn rows_of(&self, tiles: Range<usize>) -> impl Iterator<Item = (Place, usize)> {
        let [rows, columns] = self.tiles;
        let end = tiles.end.min(rows * columns * self.output.shape.batch);
        let mut first = tiles.start;
        std::iter::from_fn(move || {
            (first < end).then(|| {
                let place = Place::of(first, [rows, columns]);
                let count = (columns - place.column).min(end - first);
                first += count;
                (place, count)
            })
        })
    }
}

impl<const BF16: bool> Micro for Product<'_, BF16> {
    /// Tiles are rounded up to whole packs. `c` may be `a`.
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let channels = PACK / ROWS;
        let packs = self.plan.packs();
        let mut a = self.a;
        let mut c = self.c;
        let mut weights_ahead = self.b.wrapping_add(self.plan.depth * VECTORS * S::LANES);
        for _ in 0..self.tiles.div_ceil(ROWS) {
            let (mut input, input_end) = self.ahead[0].piece();
            let (mut output, output_end) = self.ahead[1].piece();
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
                    S::prefetch(weights_ahead);
                    weights_ahead = weights_ahead.wrapping_add(LINE);
                    S::prefetch(input as *const f32);
                    input = input_end.min(input + LINE * 4);
                    S::prefetch(output as *const f32);
                    output = output_end.min(output + LINE * 4);
                }
                left = left.saturating_sub(channels);
                a = a.add(POINTS * self.a_step);
            }
            self.ahead[0].at = input;
            self.ahead[1].at = output;
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
    ///
    /// # Safety
    /// All addresses must be good.
    pub(super) unsafe fn by_gemm(self, width: usize) {
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
pub(super) struct Products {
    pub(super) start: *mut f32,
    /// Floats from a tile of a pack to the next.
    pub(super) row: usize,
    /// Floats from point to point.
    pub(super) step: usize,
    /// Floats from pack to pack.
    pub(super) pack: usize,
}
