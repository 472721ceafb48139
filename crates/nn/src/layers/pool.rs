//! Pooling: the largest or the mean of neighbouring pixels.

use fonds_core::Result;

use crate::act::{Act, Dims};
use crate::engine::Window;
use crate::gradient;
use crate::trace::Reads;

/// How a pooling goes over its input; rows and columns alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels outside on each side, which never win.
    pub padding: usize,
    /// Whether a window that is only partly inside counts (PyTorch's `ceil_mode`).
    pub ceil: bool,
}

impl Pool {
    /// Windows of 2 × 2 that do not overlap; what does not fill one is left out.
    pub const HALVE: Self = Self {
        kernel: 2,
        stride: 2,
        padding: 0,
        ceil: false,
    };

    /// The same in the words of the engine.
    pub(crate) fn window(self) -> Window {
        Window {
            kernel: [self.kernel; 2],
            stride: [self.stride; 2],
            padding: [self.padding; 2],
            ceil_mode: self.ceil,
        }
    }
}

impl Act {
    /// The largest value of each window.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn max_pool(&self, pool: Pool) -> Result<Self> {
        let dims = self.dims();
        let window = pool.window();
        let [height, width] = window.output(dims.height, dims.width)?;
        let made = Dims {
            height,
            width,
            ..dims
        };
        let reads = Reads::Window {
            kernel: pool.kernel,
            stride: pool.stride,
            before: pool.padding,
            dilation: 1,
            blocked: false,
        };
        self.apply(
            made,
            [reads; 2],
            |tensor| gradient::max_pool2d(tensor, &window),
            |engine, buffer| engine.max_pool(buffer, &window),
        )
    }
}
