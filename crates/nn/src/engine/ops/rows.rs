//! How the operations go over rows: in blocks of lanes of fixed length, so that they become
//! vector instructions, and with the lanes beyond the last channel set to zero.

use fonds_core::{Code, Error, Result};

use super::super::buffer::{Buffer, Shape};

/// Runs an expression with `$lanes` as the length of a block: 4 where a pixel has four lanes, else
/// 16. Both divide the pixel's stride.
macro_rules! with_lanes {
    ($shape:expr, $lanes:ident => $run:expr) => {
        if $shape.pixel_stride() == 4 {
            const $lanes: usize = 4;
            $run
        } else {
            const $lanes: usize = crate::engine::buffer::LANES;
            $run
        }
    };
}
pub(super) use with_lanes;

/// Sets the lanes beyond the last channel of every pixel of a row to zero.
pub(super) fn clear_padding(shape: Shape, row: &mut [f32]) {
    let stride = shape.pixel_stride();
    if shape.channels == stride {
        return;
    }
    for pixel in row.chunks_exact_mut(stride) {
        for lane in &mut pixel[shape.channels..] {
            *lane = 0.0;
        }
    }
}

/// A row as blocks of lanes.
pub(super) fn blocks<const L: usize>(row: &[f32]) -> &[[f32; L]] {
    row.as_chunks().0
}

/// A row as blocks of lanes, to be written.
pub(super) fn blocks_mut<const L: usize>(row: &mut [f32]) -> &mut [[f32; L]] {
    row.as_chunks_mut().0
}

/// Copies the channels of one pixel; short loops of four instead of a call to `memcpy`.
#[inline]
pub(super) fn copy_channels(to: &mut [f32], from: &[f32]) {
    let (to_blocks, to_rest) = to.as_chunks_mut::<4>();
    let (from_blocks, from_rest) = from.as_chunks::<4>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

/// One value for each lane: those of the channels (or one for all of them), then zeros.
pub(super) fn per_lane(what: &str, values: &[f32], shape: Shape) -> Result<Vec<f32>> {
    let mut lanes = vec![0.0; shape.pixel_stride()];
    let channels = &mut lanes[..shape.channels];
    match values {
        [value] => channels.fill(*value),
        values if values.len() == channels.len() => channels.copy_from_slice(values),
        values => {
            let message = format!(
                "there are {} values of the {what} for {} channels",
                values.len(),
                shape.channels
            );
            return Err(Error::new(Code::ModelError, message));
        }
    }
    Ok(lanes)
}

/// An error unless both have the same size.
pub(super) fn same_shape(a: &Buffer, b: &Buffer) -> Result<Shape> {
    if a.shape() == b.shape() {
        return Ok(a.shape());
    }
    let message = format!(
        "activations of {} and {} do not go together",
        a.shape(),
        b.shape()
    );
    Err(Error::new(Code::ModelError, message))
}
