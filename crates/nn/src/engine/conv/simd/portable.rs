//! Vectors as arrays, for processors without a path of their own.
#![expect(clippy::inline_always, reason = "see the parent module")]
#![expect(unsafe_op_in_unsafe_fn, reason = "the contract is that of the trait")]

use super::{Kernel, Micro, Simd};

/// Four floats in an array; multiplications and additions are rounded one by one, as on any
/// processor.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable;

type V = [f32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    type V = V;
    const KERNEL: Kernel = Kernel::Portable;
    const LANES: usize = 4;
    const MAX_VECTORS: usize = 2;

    #[inline(always)]
    fn rows(_vectors: usize) -> usize {
        4
    }

    #[inline(always)]
    unsafe fn with_tile<M: Micro>(rows: usize, vectors: usize, micro: M) {
        let _ = rows;
        match vectors {
            2 => micro.run::<Self, 4, 2>(),
            _ => micro.run::<Self, 4, 1>(),
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> V {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> V {
        from.cast::<V>().read_unaligned()
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: V) {
        to.cast::<V>().write_unaligned(value);
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> V {
        let mut value = [0.0; 4];
        for (lane, value) in value.iter_mut().enumerate().take(count) {
            *value = *from.add(lane);
        }
        value
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, value: V, count: usize) {
        for (lane, value) in value.iter().enumerate().take(count) {
            *to.add(lane) = *value;
        }
    }

    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: V, b: V, c: V) -> V {
        Self::add(Self::mul(a, b), c)
    }

    #[inline(always)]
    unsafe fn neg_mul_add(a: V, b: V, c: V) -> V {
        Self::sub(c, Self::mul(a, b))
    }

    #[inline(always)]
    unsafe fn max(a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn min(a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn pow2(n: V) -> V {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    unsafe fn sum(value: V) -> f32 {
        (value[0] + value[2]) + (value[1] + value[3])
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
}
