//! Which inputs an output pixel is made from, and which taps fall outside the picture.

use std::ops::Range;

use super::super::buffer::BORDER;
use super::shape::ConvShape;

/// Where the taps of each output pixel lie; pairs are `[height, width]`.
///
/// Tap `t` of output `o` lies at input `origin + o · stride + t · step`; output `o` is stored at
/// `out_origin + o · out_step`. A convolution stores all its pixels; a transposed convolution is
/// several of these, one for each phase of its stride.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// Taps.
    pub(super) taps: [usize; 2],
    pub(super) origin: [isize; 2],
    pub(super) stride: [usize; 2],
    pub(super) step: [usize; 2],
    /// Outputs.
    pub(super) size: [usize; 2],
    pub(super) out_origin: [usize; 2],
    pub(super) out_step: [usize; 2],
}

/// Outputs of one axis that use the same taps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) outputs: Range<usize>,
    pub(super) taps: Range<usize>,
}

impl Geometry {
    /// That of a convolution with an output of this size.
    pub(super) fn of_convolution(shape: &ConvShape, size: [usize; 2]) -> Self {
        Self {
            taps: shape.kernel,
            origin: shape.padding.map(|padding| -(padding as isize)),
            stride: shape.stride,
            step: shape.dilation,
            size,
            out_origin: [0; 2],
            out_step: [1; 2],
        }
    }

    /// The outputs of an axis by the taps that reach the picture or its stored border; taps beyond
    /// would meet zeros only.
    pub(super) fn segments(&self, axis: usize, input: usize) -> Vec<Segment> {
        let first = -(BORDER as isize);
        let last = (input.next_multiple_of(4) + 1) as isize;
        let step = self.step[axis] as isize;
        let mut segments: Vec<Segment> = vec![];
        for output in 0..self.size[axis] {
            let start = self.origin[axis] + (output * self.stride[axis]) as isize;
            // The first tap at `first` or after it, and the first after `last`.
            let from = (first - start + step - 1).div_euclid(step).max(0) as usize;
            let to = ((last - start).div_euclid(step) + 1).max(0) as usize;
            let to = to.min(self.taps[axis]);
            let taps = if from < to { from..to } else { 0..0 };
            match segments.last_mut() {
                Some(segment) if segment.taps == taps => segment.outputs.end = output + 1,
                _ => segments.push(Segment {
                    outputs: output..output + 1,
                    taps,
                }),
            }
        }
        segments
    }
}
