//! Pooling: the largest or the mean of neighbouring pixels.

use fonds_core::Result;

use crate::act::{Act, Dims};
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

    /// The number of windows along a side of `len` pixels, as PyTorch counts them.
    pub fn output(&self, len: usize) -> usize {
        let span = len + 2 * self.padding;
        if span < self.kernel {
            return usize::from(self.ceil && span > 0);
        }
        let steps = (span - self.kernel) as f64 / self.stride as f64;
        let mut windows = if self.ceil { steps.ceil() } else { steps.floor() } as usize + 1;
        // The last window has to begin inside the picture or its left padding.
        if self.ceil && (windows - 1) * self.stride >= len + self.padding {
            windows -= 1;
        }
        windows
    }
}

impl Act {
    /// The largest value of each window.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn max_pool(&self, pool: Pool) -> Result<Self> {
        let dims = self.dims();
        let made = Dims {
            height: pool.output(dims.height),
            width: pool.output(dims.width),
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
            |tensor| gradient::max_pool2d(tensor, pool),
            |engine, buffer| engine.max_pool(buffer, pool),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_pytorch_does() {
        // From torch.nn.functional.max_pool2d on rows of these lengths.
        let pool = |kernel, stride, padding, ceil| Pool {
            kernel,
            stride,
            padding,
            ceil,
        };
        let cases = [
            (pool(2, 2, 0, false), 7, 3),
            (pool(2, 2, 0, true), 7, 4),
            (pool(3, 2, 0, true), 8, 4),
            (pool(3, 2, 0, false), 8, 3),
            (pool(3, 2, 1, false), 8, 4),
            (pool(2, 2, 1, true), 3, 2),
            (pool(2, 2, 0, true), 1, 1),
        ];
        for (pool, len, expected) in cases {
            assert_eq!(pool.output(len), expected, "{pool:?} over {len}");
        }
    }
}
