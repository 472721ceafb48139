//! The few vector operations that the convolutions are written in, and how a path is chosen.
//!
//! A kernel is one generic function over [`Simd`], marked `#[inline(always)]` down to the last
//! operation, and compiled once for each instruction set inside a function that enables it
//! ([`on_kernel`]). Nothing between the two may stay a call of its own: it would be compiled
//! without the instructions.
#![expect(
    unsafe_code,
    reason = "vector instructions, and addresses that only the caller can vouch for"
)]

mod portable;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;
pub(super) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

use super::super::Kernel;

/// One instruction set.
///
/// # Safety
/// All functions need a processor that has the instructions; those with addresses need memory
/// there, for as many floats as they touch.
pub(super) trait Simd: Copy + 'static {
    /// A vector of floats.
    type V: Copy;

    /// Which path this is.
    const KERNEL: Kernel;

    /// Floats in a vector.
    const LANES: usize;

    /// Vectors side by side in the widest micro-tile.
    const MAX_VECTORS: usize;

    /// Rows of the micro-tile that is `vectors` wide. Divides 24.
    fn rows(vectors: usize) -> usize;

    /// Runs a kernel with a micro-tile of [`Simd::rows`] of `vectors` or of one vector more, so that
    /// panels whose widths differ by one may share their rows.
    unsafe fn with_tile<M: Micro>(rows: usize, vectors: usize, micro: M);

    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    /// The first `count < LANES` floats, then zeros.
    unsafe fn load_part(from: *const f32, count: usize) -> Self::V;
    /// The first `count < LANES` floats.
    unsafe fn store_part(to: *mut f32, value: Self::V, count: usize);

    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c − a · b`
    unsafe fn neg_mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; `b` when one of them is no number.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` when one of them is no number.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `2ⁿ` for whole numbers −126 to 127.
    unsafe fn pow2(n: Self::V) -> Self::V;
    /// The sum of the lanes, always in the same order.
    unsafe fn sum(value: Self::V) -> f32;

    /// Rounds to bf16, two to the space of a float. Only for paths with [`Simd::dot_bf16`].
    unsafe fn store_bf16(to: *mut f32, value: Self::V) {
        let _ = (to, value);
        unreachable!("a path without bf16 products is refused when weights are packed")
    }

    /// `a₀ b₀ + a₁ b₁ + c` of pairs of bf16 in each lane.
    unsafe fn dot_bf16(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let _ = (a, b, c);
        unreachable!("a path without bf16 products is refused when weights are packed")
    }

    /// Asks for the cache line, to be read.
    unsafe fn prefetch(at: *const f32);
}

/// A kernel whose innermost loop keeps `ROWS × VECTORS` vectors in registers.
pub(super) trait Micro {
    /// Runs it.
    ///
    /// # Safety
    /// The processor must have the instructions of `S`, and all addresses must be good.
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self);
}

/// Runs a generic function on the instructions of a kernel.
///
/// `on_kernel!(kernel, function(argument: Type, …))` calls `function::<S>(argument, …)`, compiled
/// for `S`; the function must be `#[inline(always)]`. Unsafe: the function's own contract holds.
macro_rules! on_kernel {
    ($kernel:expr, $function:ident($($argument:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        unsafe fn on_avx512($($argument: $type),*) {
            unsafe { $function::<$crate::engine::conv::simd::Avx512>($($argument),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn on_avx2($($argument: $type),*) {
            unsafe { $function::<$crate::engine::conv::simd::Avx2>($($argument),*) }
        }
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "neon")]
        unsafe fn on_neon($($argument: $type),*) {
            unsafe { $function::<$crate::engine::conv::simd::Neon>($($argument),*) }
        }
        match $kernel {
            #[cfg(target_arch = "x86_64")]
            $crate::engine::Kernel::Avx512 => unsafe { on_avx512($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            $crate::engine::Kernel::Avx2 => unsafe { on_avx2($($argument),*) },
            #[cfg(target_arch = "aarch64")]
            $crate::engine::Kernel::Neon => unsafe { on_neon($($argument),*) },
            _ => unsafe { $function::<$crate::engine::conv::simd::Portable>($($argument),*) },
        }
    }};
}
pub(super) use on_kernel;

/// A constant of the instruction set.
macro_rules! with_simd {
    ($kernel:expr, $s:ident => $value:expr) => {
        match $kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => {
                type $s = Avx512;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => {
                type $s = Avx2;
                $value
            }
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => {
                type $s = Neon;
                $value
            }
            _ => {
                type $s = Portable;
                $value
            }
        }
    };
}

/// Whether this processor has products of bf16 for this kernel.
pub(super) fn has_bf16(kernel: Kernel) -> bool {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => kernel.is_available() && is_x86_feature_detected!("avx512bf16"),
        _ => false,
    }
}

/// Floats in a vector of this kernel.
pub(super) fn lanes(kernel: Kernel) -> usize {
    with_simd!(kernel, S => S::LANES)
}

/// Vectors side by side in the widest micro-tile of this kernel.
pub(super) fn max_vectors(kernel: Kernel) -> usize {
    with_simd!(kernel, S => S::MAX_VECTORS)
}

/// Rows of the micro-tile of this kernel that is `vectors` wide.
pub(super) fn rows(kernel: Kernel, vectors: usize) -> usize {
    with_simd!(kernel, S => S::rows(vectors))
}
