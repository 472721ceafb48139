//! The CPU engine: convolutions and what stands between them, on NHWC activations.
//!
//! A [`Buffer`] holds the activations of `n` pictures as 32-bit floats, channels innermost, with a
//! border of zeros around each picture, so that no kernel has an edge case. An [`Engine`] knows
//! which instructions to use ([`Kernel`]) and keeps buffers for reuse. Results are the same, bit for
//! bit, whatever the number of threads; they may differ between kernels in their last bits, which
//! is why the kernel is recorded and can be forced.
//!
//! ```
//! use fonds_nn::engine::{Engine, Kernel, Shape};
//!
//! let engine = Engine::new(Kernel::detect());
//! let shape = Shape { batch: 1, height: 2, width: 3, channels: 3 };
//! let nchw: Vec<f32> = (0..18).map(|value| value as f32).collect();
//! let buffer = engine.import(shape, &nchw).unwrap();
//! assert_eq!(buffer.pixel(0, 1, 2), &[5.0, 11.0, 17.0]);
//! assert_eq!(engine.export(&buffer), nchw);
//! ```
//!
//! The engine knows no tensor framework, no weights file and no network.

mod activation;
mod buffer;
mod conv;
mod kernel;
mod ops;
mod planes;
mod pool;

use std::sync::Arc;

pub use buffer::{Buffer, BufferMut, Shape};
pub use conv::{
    Activation, AddOrder, Algorithm, Conv2d, ConvShape, ConvTranspose2d, Epilogue, Precision,
    Residual, TransposeShape, conv2d_input_gradient, conv2d_weight_gradient,
};
pub(crate) use conv::{Centring, Tail, TailCurve, conv2d_input_gradient_with, conv2d_once};
pub use kernel::Kernel;
pub use ops::{
    ChannelSums, Levels, Normalization, PadMode, Padding, Pixels, PixelsMut, Rectangle, Window,
};

use pool::Pool;

/// What decides how the engine computes; weights are packed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which instructions.
    pub kernel: Kernel,
    /// How convolutions are computed.
    pub algorithm: Algorithm,
    /// In what products are made.
    pub precision: Precision,
}

impl Settings {
    /// The fastest algorithms in 32 bits on these instructions.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            algorithm: Algorithm::Auto,
            precision: Precision::F32,
        }
    }
}

impl Settings {
    /// That this processor can compute so.
    ///
    /// # Errors
    /// `not_built_in` when it lacks the instructions, or products of bf16.
    pub fn check(&self) -> fonds_core::Result<()> {
        conv::check_available(self.kernel, self.precision)
    }
}

impl std::fmt::Display for Settings {
    /// The instructions, and what differs from the fastest way in 32 bits: `avx512`,
    /// `avx512 direct`, `avx512 bf16`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kernel.as_str())?;
        match self.algorithm {
            Algorithm::Auto => {}
            Algorithm::Direct => f.write_str(" direct")?,
            Algorithm::Winograd => f.write_str(" winograd")?,
        }
        match self.precision {
            Precision::F32 => Ok(()),
            Precision::Bf16 => f.write_str(" bf16"),
        }
    }
}

/// Instructions and memory of the CPU engine; cheap to share.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    pool: Arc<Pool>,
}

impl Engine {
    /// An engine on these instructions, with the fastest algorithms in 32 bits.
    ///
    /// # Panics
    /// When this processor does not have them: use [`Kernel::detect`] or [`Kernel::is_available`].
    pub fn new(kernel: Kernel) -> Arc<Self> {
        Self::with(Settings::new(kernel))
    }

    /// An engine with these settings.
    ///
    /// # Panics
    /// When this processor does not have the instructions.
    pub fn with(settings: Settings) -> Arc<Self> {
        let kernel = settings.kernel;
        assert!(kernel.is_available(), "this processor has no {kernel}");
        let pool = Arc::new(Pool::default());
        Arc::new(Self { settings, pool })
    }

    /// Which instructions it uses.
    pub fn kernel(&self) -> Kernel {
        self.settings.kernel
    }

    /// What decides how it computes.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Gives the memory kept for reuse back to the system.
    pub fn release_memory(&self) {
        self.pool.clear();
        conv::forget_spare();
    }
}
