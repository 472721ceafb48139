//! Pixels made from channels and channels made from pixels.

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::rows::clear_padding;

impl Engine {
    /// Channels become pixels: `[h, w, c·r²]` to `[h·r, w·r, c]`; channel `c·r² + dy·r + dx` goes to
    /// row `dy` and column `dx` of its pixel's block, as PyTorch's `pixel_shuffle`.
    ///
    /// # Errors
    /// `model_error` when the channels are no multiple of r².
    pub fn pixel_shuffle(&self, input: &Buffer, r: usize) -> Result<Buffer> {
        let of_input = input.shape();
        if r == 0 || !of_input.channels.is_multiple_of(r * r) || of_input.channels == 0 {
            let message = format!("{} channels make no blocks of {r} × {r}", of_input.channels);
            return Err(Error::new(Code::ModelError, message));
        }
        let shape = Shape {
            batch: of_input.batch,
            height: of_input.height * r,
            width: of_input.width * r,
            channels: of_input.channels / (r * r),
        };
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let from = input.row(picture, y / r);
            // A known factor turns the gathering of values into fixed loads.
            match r {
                2 => shuffle_row::<2>(2, y % r, shape, of_input, from, row),
                3 => shuffle_row::<3>(3, y % r, shape, of_input, from, row),
                4 => shuffle_row::<4>(4, y % r, shape, of_input, from, row),
                r => shuffle_row::<0>(r, y % r, shape, of_input, from, row),
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// Pixels become channels: `[h·r, w·r, c]` to `[h, w, c·r²]`, the opposite of
    /// [`Engine::pixel_shuffle`].
    ///
    /// # Errors
    /// `model_error` when height or width is no multiple of r.
    pub fn pixel_unshuffle(&self, input: &Buffer, r: usize) -> Result<Buffer> {
        let of_input = input.shape();
        let divides = |side: usize| r > 0 && side.is_multiple_of(r);
        if !divides(of_input.height) || !divides(of_input.width) {
            let message = format!("{of_input} is not made of blocks of {r} × {r}");
            return Err(Error::new(Code::ModelError, message));
        }
        let shape = Shape {
            batch: of_input.batch,
            height: of_input.height / r,
            width: of_input.width / r,
            channels: of_input.channels * r * r,
        };
        let (to_stride, from_stride) = (shape.pixel_stride(), of_input.pixel_stride());
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            for dy in 0..r {
                let from = input.row(picture, y * r + dy).chunks_exact(r * from_stride);
                for (to, block) in row.chunks_exact_mut(to_stride).zip(from) {
                    for (dx, pixel) in block.chunks_exact(from_stride).enumerate() {
                        let to = to[dy * r + dx..].iter_mut().step_by(r * r);
                        for (to, from) in to.zip(&pixel[..of_input.channels]) {
                            *to = *from;
                        }
                    }
                }
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }
}

/// Row `dy` of the blocks that a row becomes; `R` is the factor where it is known, else 0.
#[inline]
fn shuffle_row<const R: usize>(
    r: usize,
    dy: usize,
    shape: Shape,
    of_input: Shape,
    from: &[f32],
    to: &mut [f32],
) {
    let r = if R == 0 { r } else { R };
    let (to_stride, from_stride) = (shape.pixel_stride(), of_input.pixel_stride());
    let pixels = from.chunks_exact(from_stride);
    for (block, pixel) in to.chunks_exact_mut(r * to_stride).zip(pixels) {
        let pixel = &pixel[..of_input.channels];
        for (dx, to) in block.chunks_exact_mut(to_stride).enumerate() {
            let values = pixel.chunks_exact(r * r);
            for (to, from) in to[..shape.channels].iter_mut().zip(values) {
                *to = from[dy * r + dx];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, filled, shapes, value};
    use super::*;

    #[test]
    fn shuffling_moves_channels_to_pixels_and_back() {
        let engine = engine();
        for shape in shapes() {
            for r in [1, 2, 3, 4, 5] {
                if shape.channels > 17 && r > 3 {
                    continue;
                }
                let many = Shape {
                    channels: shape.channels * r * r,
                    ..shape
                };
                let input = filled(many, 8);
                let shuffled = engine.pixel_shuffle(&input, r).unwrap();
                let large = Shape {
                    height: shape.height * r,
                    width: shape.width * r,
                    ..shape
                };
                expect("pixel_shuffle", &shuffled, large, |n, y, x, c| {
                    value(&input, n, y / r, x / r, c * r * r + (y % r) * r + x % r)
                });
                let back = engine.pixel_unshuffle(&shuffled, r).unwrap();
                expect("pixel_unshuffle", &back, many, |n, y, x, c| {
                    value(&input, n, y, x, c)
                });
            }
        }
    }

    #[test]
    fn sizes_that_do_not_divide_are_errors() {
        let engine = engine();
        let shape = Shape {
            batch: 1,
            height: 4,
            width: 6,
            channels: 6,
        };
        let input = filled(shape, 1);
        for error in [
            engine.pixel_shuffle(&input, 2),
            engine.pixel_shuffle(&input, 0),
            engine.pixel_unshuffle(&input, 4),
            engine.pixel_unshuffle(&input, 0),
        ] {
            assert_eq!(error.unwrap_err().code(), Code::ModelError);
        }
    }
}
