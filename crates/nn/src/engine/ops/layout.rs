//! Activations put together, taken apart and framed: nothing here computes.

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::rows::{clear_padding, copy_channels};

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Rectangle {
    /// The whole of a picture.
    pub fn whole(shape: Shape) -> Self {
        Self {
            top: 0,
            left: 0,
            height: shape.height,
            width: shape.width,
        }
    }

    /// An error unless it lies within pictures of this size.
    pub(super) fn check(self, shape: Shape) -> Result<()> {
        let fits = |start: usize, len: usize, side: usize| {
            start.checked_add(len).is_some_and(|end| end <= side)
        };
        if fits(self.top, self.height, shape.height) && fits(self.left, self.width, shape.width) {
            return Ok(());
        }
        let Self {
            top,
            left,
            height,
            width,
        } = self;
        let message =
            format!("{height} × {width} pixels from ({top}, {left}) do not lie within {shape}");
        Err(Error::new(Code::ModelError, message))
    }
}

/// Rows and columns to be added around a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows before the first.
    pub top: usize,
    /// Rows after the last.
    pub bottom: usize,
    /// Columns before the first.
    pub left: usize,
    /// Columns after the last.
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub fn all(pixels: usize) -> Self {
        Self {
            top: pixels,
            bottom: pixels,
            left: pixels,
            right: pixels,
        }
    }
}

/// What added pixels hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// Zero.
    Zero,
    /// The picture mirrored at its outermost pixels, which are not repeated: `c b | a b c | b a`.
    /// Fewer pixels than the picture has on that side.
    Reflection,
    /// The outermost pixels repeated: `a a | a b c | c c`.
    Replication,
}

impl Engine {
    /// The channels of all of these, one activation's after the other's.
    ///
    /// # Errors
    /// `model_error` when there are none or they differ in more than their channels.
    pub fn concatenate(&self, inputs: &[&Buffer]) -> Result<Buffer> {
        let Some(first) = inputs.first().map(|input| input.shape()) else {
            return Err(Error::new(
                Code::ModelError,
                "there is nothing to concatenate",
            ));
        };
        let mut shape = Shape {
            channels: 0,
            ..first
        };
        for input in inputs {
            let of_input = input.shape();
            shape.channels += of_input.channels;
            let sides = |shape: Shape| (shape.batch, shape.height, shape.width);
            if sides(of_input) != sides(first) {
                let message = format!("channels of {first} and {of_input} do not go together");
                return Err(Error::new(Code::ModelError, message));
            }
        }
        let stride = shape.pixel_stride();
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let mut start = 0;
            for input in inputs {
                let channels = input.shape().channels;
                let from = input.row(picture, y);
                let from = from.chunks_exact(input.shape().pixel_stride());
                for (to, from) in row.chunks_exact_mut(stride).zip(from) {
                    copy_channels(&mut to[start..start + channels], &from[..channels]);
                }
                start += channels;
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// Some of the channels: `len` of them from `start` on.
    ///
    /// # Errors
    /// `model_error` when there are not so many.
    pub fn narrow(&self, input: &Buffer, start: usize, len: usize) -> Result<Buffer> {
        let of_input = input.shape();
        let end = start.checked_add(len);
        if len == 0 || end.is_none_or(|end| end > of_input.channels) {
            let message = format!(
                "there are no channels {start} to {} among {}",
                start.saturating_add(len),
                of_input.channels
            );
            return Err(Error::new(Code::ModelError, message));
        }
        let shape = Shape {
            channels: len,
            ..of_input
        };
        let (to_stride, from_stride) = (shape.pixel_stride(), of_input.pixel_stride());
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let from = input.row(picture, y).chunks_exact(from_stride);
            for (to, from) in row.chunks_exact_mut(to_stride).zip(from) {
                copy_channels(&mut to[..len], &from[start..start + len]);
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// A part of each picture.
    ///
    /// # Errors
    /// `model_error` when it does not lie within the pictures.
    pub fn crop(&self, input: &Buffer, area: Rectangle) -> Result<Buffer> {
        area.check(input.shape())?;
        let shape = Shape {
            height: area.height,
            width: area.width,
            ..input.shape()
        };
        let start = area.left * shape.pixel_stride();
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let from = &input.row(picture, area.top + y)[start..];
            row.copy_from_slice(&from[..row.len()]);
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// The pictures with rows and columns added.
    ///
    /// # Errors
    /// `model_error` when a reflection would need more pixels than there are.
    pub fn pad(&self, input: &Buffer, padding: Padding, mode: PadMode) -> Result<Buffer> {
        let of_input = input.shape();
        let Padding {
            top,
            bottom,
            left,
            right,
        } = padding;
        check_padding(top.max(bottom), of_input.height, mode)?;
        check_padding(left.max(right), of_input.width, mode)?;
        let shape = Shape {
            height: top + of_input.height + bottom,
            width: left + of_input.width + right,
            ..of_input
        };
        let stride = shape.pixel_stride();
        let middle = left * stride..(left + of_input.width) * stride;
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let Some(from_y) = source(y, top, of_input.height, mode) else {
                row.fill(0.0);
                return;
            };
            let from = input.row(picture, from_y);
            row[middle.clone()].copy_from_slice(from);
            for x in (0..left).chain(left + of_input.width..shape.width) {
                let to = &mut row[x * stride..][..stride];
                match source(x, left, of_input.width, mode) {
                    Some(from_x) => to.copy_from_slice(&from[from_x * stride..][..stride]),
                    None => to.fill(0.0),
                }
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// The pictures of all of these as one batch.
    ///
    /// # Errors
    /// `model_error` when there are none or they differ in size.
    pub fn stack(&self, inputs: &[&Buffer]) -> Result<Buffer> {
        let Some(first) = inputs.first().map(|input| input.shape()) else {
            return Err(Error::new(Code::ModelError, "there is nothing to stack"));
        };
        let mut sources = Vec::new();
        for input in inputs {
            let shape = input.shape();
            if (Shape {
                batch: first.batch,
                ..shape
            }) != first
            {
                let message = format!("pictures of {first} and {shape} make no batch");
                return Err(Error::new(Code::ModelError, message));
            }
            sources.extend((0..shape.batch).map(|picture| (*input, picture)));
        }
        let shape = Shape {
            batch: sources.len(),
            ..first
        };
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let (input, picture) = sources[picture];
            row.copy_from_slice(input.row(picture, y));
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// One picture of a batch.
    ///
    /// # Errors
    /// `model_error` when there is no such picture.
    pub fn select(&self, input: &Buffer, picture: usize) -> Result<Buffer> {
        if picture >= input.shape().batch {
            let message = format!("there is no picture {picture} in {}", input.shape());
            return Err(Error::new(Code::ModelError, message));
        }
        let shape = Shape {
            batch: 1,
            ..input.shape()
        };
        let mut out = self.buffer(shape)?;
        out.fill_rows(|_, y, row| {
            row.copy_from_slice(input.row(picture, y));
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }
}

/// Which row or column of a picture of `side` pixels stands at `position` when `before` are added.
fn source(position: usize, before: usize, side: usize, mode: PadMode) -> Option<usize> {
    let last = side as isize - 1;
    let at = position as isize - before as isize;
    match mode {
        _ if (0..=last).contains(&at) => Some(at as usize),
        PadMode::Zero => None,
        PadMode::Reflection if at < 0 => Some(-at as usize),
        PadMode::Reflection => Some((2 * last - at) as usize),
        PadMode::Replication => Some(at.clamp(0, last) as usize),
    }
}

fn check_padding(pixels: usize, side: usize, mode: PadMode) -> Result<()> {
    let enough = match mode {
        PadMode::Zero => true,
        PadMode::Reflection => pixels < side,
        PadMode::Replication => pixels == 0 || side > 0,
    };
    if enough {
        return Ok(());
    }
    let message = format!("a side of {side} pixels cannot be mirrored for {pixels} more");
    Err(Error::new(Code::ModelError, message).hint("use a larger picture or tile"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, filled, shapes, value};
    use super::*;

    #[test]
    fn channels_are_joined_and_taken_apart() {
        let engine = engine();
        for (a, b, c) in [(1, 3, 1), (3, 2, 16), (16, 16, 33), (5, 64, 4), (1, 1, 1)] {
            let shape = Shape {
                batch: 2,
                height: 5,
                width: 7,
                channels: a,
            };
            let with = |channels| Shape { channels, ..shape };
            let parts = [filled(with(a), 1), filled(with(b), 2), filled(with(c), 3)];
            let joined = engine
                .concatenate(&[&parts[0], &parts[1], &parts[2]])
                .unwrap();
            expect(
                "concatenate",
                &joined,
                with(a + b + c),
                |n, y, x, channel| {
                    let (part, channel) = match channel {
                        _ if channel < a => (&parts[0], channel),
                        _ if channel < a + b => (&parts[1], channel - a),
                        _ => (&parts[2], channel - a - b),
                    };
                    value(part, n, y, x, channel)
                },
            );
            let middle = engine.narrow(&joined, a, b).unwrap();
            expect("narrow", &middle, with(b), |n, y, x, channel| {
                value(&parts[1], n, y, x, channel)
            });
            assert!(engine.narrow(&joined, a, b + c + 1).is_err());
            assert!(engine.narrow(&joined, 1, usize::MAX).is_err());
        }
        assert!(engine.concatenate(&[]).is_err());
    }

    #[test]
    fn parts_are_cut_out() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 4);
            let area = Rectangle {
                top: shape.height / 3,
                left: shape.width / 2,
                height: shape.height - shape.height / 3,
                width: shape.width.div_ceil(3).min(shape.width - shape.width / 2),
            };
            let cut = engine.crop(&input, area).unwrap();
            let size = Shape {
                height: area.height,
                width: area.width,
                ..shape
            };
            expect("crop", &cut, size, |n, y, x, c| {
                value(&input, n, area.top + y, area.left + x, c)
            });
            let beyond = Rectangle {
                left: area.left + 1,
                width: shape.width,
                ..area
            };
            assert_eq!(
                engine.crop(&input, beyond).unwrap_err().code(),
                Code::ModelError
            );
        }
    }

    #[test]
    fn frames_are_zero_mirrored_or_repeated() {
        let engine = engine();
        let padding = Padding {
            top: 3,
            bottom: 1,
            left: 2,
            right: 4,
        };
        for shape in shapes() {
            let input = filled(shape, 5);
            for mode in [PadMode::Zero, PadMode::Reflection, PadMode::Replication] {
                let padded = engine.pad(&input, padding, mode);
                if mode == PadMode::Reflection && (shape.height <= 3 || shape.width <= 4) {
                    assert_eq!(padded.unwrap_err().code(), Code::ModelError);
                    continue;
                }
                let size = Shape {
                    height: shape.height + 4,
                    width: shape.width + 6,
                    ..shape
                };
                // Walks step by step, turning round at the ends.
                let walk = |position: usize, before: usize, side: usize| {
                    let (mut at, mut left) = (0_isize, position as isize - before as isize);
                    let mut step = left.signum();
                    while left != 0 {
                        if !(0..side as isize).contains(&(at + step)) {
                            match mode {
                                PadMode::Zero => return None,
                                PadMode::Reflection => step = -step,
                                PadMode::Replication => step = 0,
                            }
                        }
                        at += step;
                        left -= left.signum();
                    }
                    Some(at as usize)
                };
                expect("pad", &padded.unwrap(), size, |n, y, x, c| {
                    let y = walk(y, padding.top, shape.height);
                    let x = walk(x, padding.left, shape.width);
                    match (y, x) {
                        (Some(y), Some(x)) => value(&input, n, y, x, c),
                        _ => 0.0,
                    }
                });
            }
        }
    }

    #[test]
    fn batches_are_made_and_picked_from() {
        let engine = engine();
        for shape in shapes() {
            let (a, b) = (filled(shape, 6), filled(shape, 7));
            let stacked = engine.stack(&[&a, &b]).unwrap();
            let size = Shape { batch: 4, ..shape };
            expect("stack", &stacked, size, |n, y, x, c| {
                value([&a, &b][n / 2], n % 2, y, x, c)
            });
            let one = engine.select(&stacked, 2).unwrap();
            let size = Shape { batch: 1, ..shape };
            expect("select", &one, size, |_, y, x, c| value(&b, 0, y, x, c));
            assert!(engine.select(&a, 2).is_err());
        }
    }
}
