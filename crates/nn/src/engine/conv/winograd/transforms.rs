//! Winograd's transforms of inputs and outputs, the latter with the epilogue.
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

use super::super::simd::Simd;
use super::products::Products;
use super::{Block, Group, Job, POINTS, Place, SIDE, steps};

/// # Safety
/// As [`super::block`].
#[inline(always)]
pub(super) unsafe fn transform_inputs<S: Simd, const BF16: bool>(
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

/// # Safety
/// As [`super::block`].
#[inline(always)]
pub(super) unsafe fn transform_outputs<S: Simd, const MODE: u8>(
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
/// As [`super::block`].
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
