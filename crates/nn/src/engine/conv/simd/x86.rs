//! Vectors of AVX-512 and of AVX2 with FMA.
#![expect(clippy::inline_always, reason = "see the parent module")]
#![expect(unsafe_op_in_unsafe_fn, reason = "the contract is that of the trait")]

use std::arch::x86_64::{
    __m256, __m256bh, __m256i, __m512, __m512bh, __mmask16, _MM_HINT_T0, _mm_add_ps, _mm_add_ss,
    _mm_cvtss_f32, _mm_movehl_ps, _mm_prefetch, _mm_shuffle_ps, _mm256_add_epi32, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_castps512_ps256, _mm512_castsi512_ps,
    _mm512_cvtneps_pbh, _mm512_cvtps_epi32, _mm512_div_ps, _mm512_dpbf16_ps,
    _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Kernel, Micro, Simd};

/// Sixteen floats; 32 registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512;

#[inline(always)]
unsafe fn first_lanes(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

impl Simd for Avx512 {
    type V = __m512;
    const KERNEL: Kernel = Kernel::Avx512;
    const LANES: usize = 16;
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
    unsafe fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m512) {
        _mm512_storeu_ps(to, value);
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> __m512 {
        _mm512_maskz_loadu_ps(first_lanes(count), from)
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, value: __m512, count: usize) {
        _mm512_mask_storeu_ps(to, first_lanes(count), value);
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }

    #[inline(always)]
    unsafe fn pow2(n: __m512) -> __m512 {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
    }

    #[inline(always)]
    unsafe fn sum(value: __m512) -> f32 {
        Avx2::sum(_mm256_add_ps(
            _mm512_castps512_ps256(value),
            _mm512_extractf32x8_ps::<1>(value),
        ))
    }

    #[inline(always)]
    unsafe fn store_bf16(to: *mut f32, value: __m512) {
        let rounded = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value));
        _mm256_storeu_si256(to.cast(), rounded);
    }

    #[inline(always)]
    unsafe fn dot_bf16(a: __m512, b: __m512, c: __m512) -> __m512 {
        let a = std::mem::transmute::<__m512, __m512bh>(a);
        let b = std::mem::transmute::<__m512, __m512bh>(b);
        _mm512_dpbf16_ps(c, a, b)
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}

/// Eight floats; 16 registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2;

/// A window of this at `8 − count` has `count` lanes set.
static LANE_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
unsafe fn lane_mask(count: usize) -> __m256i {
    _mm256_loadu_si256(LANE_MASKS.as_ptr().add(8 - count).cast())
}

impl Simd for Avx2 {
    type V = __m256;
    const KERNEL: Kernel = Kernel::Avx2;
    const LANES: usize = 8;
    const MAX_VECTORS: usize = 2;

    #[inline(always)]
    fn rows(vectors: usize) -> usize {
        match vectors {
            2 => 6,
            _ => 12,
        }
    }

    #[inline(always)]
    unsafe fn with_tile<M: Micro>(rows: usize, vectors: usize, micro: M) {
        match (rows, vectors) {
            (_, 2) => micro.run::<Self, 6, 2>(),
            (6, _) => micro.run::<Self, 6, 1>(),
            _ => micro.run::<Self, 12, 1>(),
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        _mm256_set1_ps(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        _mm256_loadu_ps(from)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m256) {
        _mm256_storeu_ps(to, value);
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> __m256 {
        _mm256_maskload_ps(from, lane_mask(count))
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, value: __m256, count: usize) {
        _mm256_maskstore_ps(to, lane_mask(count), value);
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        _mm256_div_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn neg_mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        _mm256_max_ps(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        _mm256_min_ps(a, b)
    }

    #[inline(always)]
    unsafe fn pow2(n: __m256) -> __m256 {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
    }

    #[inline(always)]
    unsafe fn sum(value: __m256) -> f32 {
        let four = _mm_add_ps(
            _mm256_castps256_ps128(value),
            _mm256_extractf128_ps::<1>(value),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}
