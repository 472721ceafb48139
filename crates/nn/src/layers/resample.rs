//! Other sizes: shuffling between channels and pixels, and enlargement.

use fonds_core::{Code, Error, Result};

use crate::act::{Act, Dims};
use crate::gradient;
use crate::trace::Reads;

impl Act {
    /// `factor²` channels become one of `factor` times the size, in PyTorch's order: channel
    /// `c·factor² + dy·factor + dx` goes to pixel `(dy, dx)` of channel `c`.
    ///
    /// # Errors
    /// `internal` when the channels are not a multiple of `factor²`.
    pub fn pixel_shuffle(&self, factor: usize) -> Result<Self> {
        let dims = self.dims();
        if !dims.channels.is_multiple_of(factor * factor) {
            let message = format!("{dims} cannot be shuffled to {factor} times the size");
            return Err(Error::new(Code::Internal, message));
        }
        if factor == 1 {
            return Ok(self.clone());
        }
        let made = Dims {
            channels: dims.channels / (factor * factor),
            height: dims.height * factor,
            width: dims.width * factor,
            ..dims
        };
        self.apply(
            made,
            [Reads::Expand(factor); 2],
            |tensor| gradient::pixel_shuffle(tensor, factor),
            |engine, buffer| engine.pixel_shuffle(buffer, factor),
        )
    }

    /// The converse of [`Act::pixel_shuffle`].
    ///
    /// # Errors
    /// `internal` when the sides are not multiples of `factor`.
    pub fn pixel_unshuffle(&self, factor: usize) -> Result<Self> {
        let dims = self.dims();
        if !dims.height.is_multiple_of(factor) || !dims.width.is_multiple_of(factor) {
            let message = format!("{dims} cannot be shuffled to 1/{factor} of the size");
            return Err(Error::new(Code::Internal, message));
        }
        if factor == 1 {
            return Ok(self.clone());
        }
        let made = Dims {
            channels: dims.channels * factor * factor,
            height: dims.height / factor,
            width: dims.width / factor,
            ..dims
        };
        self.apply(
            made,
            [Reads::Shrink(factor); 2],
            |tensor| gradient::pixel_unshuffle(tensor, factor),
            |engine, buffer| engine.pixel_unshuffle(buffer, factor),
        )
    }

    /// `factor` times the size, each pixel repeated.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn upsample_nearest(&self, factor: usize) -> Result<Self> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let dims = self.dims();
        let made = Dims {
            height: dims.height * factor,
            width: dims.width * factor,
            ..dims
        };
        self.apply(
            made,
            [Reads::Expand(factor); 2],
            |tensor| gradient::upsample_nearest(tensor, factor),
            |engine, buffer| engine.upsample_nearest(buffer, factor),
        )
    }

    /// `factor` times the size, interpolated between neighbours. With `align_corners` the outermost
    /// pixels keep their places, so that every value depends on the size of the whole picture.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn upsample_bilinear(&self, factor: usize, align_corners: bool) -> Result<Self> {
        let dims = self.dims();
        let made = Dims {
            height: dims.height * factor,
            width: dims.width * factor,
            ..dims
        };
        let reads = Reads::Interpolate { factor, taps: 1 };
        let apply = |x: &Self| {
            x.apply(
                made,
                [reads; 2],
                |tensor| gradient::resize_bilinear(tensor, made.height, made.width, align_corners),
                |engine, buffer| {
                    engine.resize_bilinear(buffer, made.height, made.width, align_corners)
                },
            )
        };
        match self.as_trace() {
            Some(traced) if align_corners => {
                apply(&self.with_data(crate::act::Data::Traced(traced.whole())))
            }
            _ => apply(self),
        }
    }
}
