//! Vectors of 64-bit ARM.
#![expect(clippy::inline_always, reason = "see the parent module")]
#![expect(unsafe_op_in_unsafe_fn, reason = "the contract is that of the trait")]

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvtnq_s32_f32, vdivq_f32,
    vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vfmsq_f32, vgetq_lane_f32, vld1q_f32, vmulq_f32,
    vreinterpretq_f32_s32, vshlq_n_s32, vst1q_f32, vsubq_f32,
};

use super::{Kernel, Micro, Simd};

/// Four floats; 32 registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Neon;

impl Simd for Neon {
    type V = float32x4_t;
    const KERNEL: Kernel = Kernel::Neon;
    const LANES: usize = 4;
    const MAX_VECTORS: usize = 4;

    #[inline(always)]
    fn rows(vectors: usize) -> usize {
        match vectors {
            4 => 6,
            3 => 8,
            _ => 12,
        }
    }

    #[inline(always)]
    unsafe fn with_tile<M: Micro>(rows: usize, vectors: usize, micro: M) {
        match (rows, vectors) {
            (6, 4) => micro.run::<Self, 6, 4>(),
            (6, _) => micro.run::<Self, 6, 3>(),
            (8, 3) => micro.run::<Self, 8, 3>(),
            (8, _) => micro.run::<Self, 8, 2>(),
            (_, 2) => micro.run::<Self, 12, 2>(),
            _ => micro.run::<Self, 12, 1>(),
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        vdupq_n_f32(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: float32x4_t) {
        vst1q_f32(to, value);
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            *value = *from.add(lane);
        }
        vld1q_f32(lanes.as_ptr())
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, value: float32x4_t, count: usize) {
        let mut lanes = [0.0; 4];
        vst1q_f32(lanes.as_mut_ptr(), value);
        for (lane, value) in lanes.iter().enumerate().take(count) {
            *to.add(lane) = *value;
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }

    #[inline(always)]
    unsafe fn neg_mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmsq_f32(c, a, b)
    }

    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgtq_f32(a, b), a, b)
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcltq_f32(a, b), a, b)
    }

    #[inline(always)]
    unsafe fn pow2(n: float32x4_t) -> float32x4_t {
        let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
    }

    #[inline(always)]
    unsafe fn sum(value: float32x4_t) -> f32 {
        let even = vgetq_lane_f32::<0>(value) + vgetq_lane_f32::<2>(value);
        even + (vgetq_lane_f32::<1>(value) + vgetq_lane_f32::<3>(value))
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
}
