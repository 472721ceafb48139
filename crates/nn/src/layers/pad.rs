//! More pixels around a picture, or fewer.

use fonds_core::{Code, Error, Result};

use crate::act::{Act, Dims};
use crate::engine::Rectangle;
use crate::gradient;
use crate::trace::Reads;

pub use crate::engine::{PadMode, Padding};

impl Act {
    /// More pixels around.
    ///
    /// # Errors
    /// `model_error` when a reflection is wider than the picture allows.
    pub fn pad(&self, padding: Padding, mode: PadMode) -> Result<Self> {
        let dims = self.dims();
        let Padding {
            top,
            bottom,
            left,
            right,
        } = padding;
        if mode == PadMode::Reflection
            && (top.max(bottom) >= dims.height || left.max(right) >= dims.width)
        {
            let message = format!("{dims} is too small to be mirrored at its edges");
            let error = Error::new(Code::ModelError, message);
            return Err(error.hint("the network needs a larger picture"));
        }
        let made = Dims {
            height: dims.height + top + bottom,
            width: dims.width + left + right,
            ..dims
        };
        let reads = [top, left].map(|before| Reads::Shift {
            before: before as isize,
        });
        self.apply(
            made,
            reads,
            |tensor| gradient::pad(tensor, padding, mode),
            |engine, buffer| engine.pad(buffer, padding, mode),
        )
    }

    /// The part of `height × width` pixels from `(y, x)` on.
    ///
    /// # Errors
    /// `internal` when it is not inside.
    pub fn crop(&self, y: usize, x: usize, height: usize, width: usize) -> Result<Self> {
        let dims = self.dims();
        if y + height > dims.height || x + width > dims.width || height == 0 || width == 0 {
            let message = format!("{dims} has no part of {height} × {width} at {y}, {x}");
            return Err(Error::new(Code::Internal, message));
        }
        if (height, width) == (dims.height, dims.width) {
            return Ok(self.clone());
        }
        let made = Dims {
            height,
            width,
            ..dims
        };
        let area = Rectangle {
            top: y,
            left: x,
            height,
            width,
        };
        let reads = [y, x].map(|after| Reads::Shift {
            before: -(after as isize),
        });
        self.apply(
            made,
            reads,
            |tensor| {
                tensor
                    .narrow(2, y, height)?
                    .narrow(3, x, width)?
                    .contiguous()
            },
            |engine, buffer| engine.crop(buffer, area),
        )
    }
}
