//! Maxima and means of windows.

use std::ops::Range;

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::rows::{blocks, blocks_mut, clear_padding, with_lanes};

/// Windows over a picture, as PyTorch's pooling layers have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Rows and columns added on each side; at most half the kernel.
    pub padding: [usize; 2],
    /// Whether windows that reach beyond the end count; none begins there.
    pub ceil_mode: bool,
}

impl Window {
    /// Windows side by side without padding.
    pub fn square(kernel: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: [0; 2],
            ceil_mode: false,
        }
    }

    /// Rows and columns of the result for pictures of this height and width.
    ///
    /// # Errors
    /// `model_error` when a window has no size or step, the padding is more than half of it, or
    /// the picture is smaller than a window.
    pub fn output(&self, height: usize, width: usize) -> Result<[usize; 2]> {
        let mut output = [0; 2];
        for (axis, side) in [height, width].into_iter().enumerate() {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let padding = self.padding[axis];
            if kernel == 0 || stride == 0 || padding > kernel / 2 {
                let message = format!(
                    "there are no windows of {kernel} pixels every {stride} with a padding of \
                     {padding}"
                );
                return Err(Error::new(Code::ModelError, message));
            }
            let Some(free) = (side + 2 * padding).checked_sub(kernel) else {
                let message = format!("a window of {kernel} pixels is larger than {side}");
                return Err(Error::new(Code::ModelError, message));
            };
            output[axis] = if self.ceil_mode {
                let count = free.div_ceil(stride) + 1;
                // A window that would begin in the padding after the picture is left out.
                count - usize::from((count - 1) * stride >= side + padding)
            } else {
                free / stride + 1
            };
        }
        Ok(output)
    }

    /// The windows along one axis: what of them lies in the picture, and how many pixels they have
    /// with the padding.
    fn spans(&self, axis: usize, side: usize, count: usize) -> Vec<(Range<usize>, usize)> {
        let padding = self.padding[axis];
        let span = |index: usize| {
            let start = index * self.stride[axis];
            let end = (start + self.kernel[axis]).min(side + 2 * padding);
            let inside = |position: usize| position.saturating_sub(padding).min(side);
            (inside(start)..inside(end), end - start)
        };
        (0..count).map(span).collect()
    }
}

impl Engine {
    /// The maximum of each window; padding counts as minus infinity.
    pub fn max_pool(&self, input: &Buffer, window: &Window) -> Result<Buffer> {
        let shape = input.shape();
        let [height, width] = window.output(shape.height, shape.width)?;
        let rows = ranges(window.spans(0, shape.height, height));
        let columns = ranges(window.spans(1, shape.width, width));
        let larger = |greatest: f32, value: f32| {
            // NaN wins, as in PyTorch.
            if value > greatest || value.is_nan() {
                value
            } else {
                greatest
            }
        };
        self.pool(
            input,
            &rows,
            &columns,
            f32::NEG_INFINITY,
            larger,
            |_, _, greatest| greatest,
        )
    }

    /// The mean of each window. With `count_padding` the padding counts as zeros, else it does not
    /// count (PyTorch's `count_include_pad`; what reaches beyond the padding never counts).
    pub fn average_pool(
        &self,
        input: &Buffer,
        window: &Window,
        count_padding: bool,
    ) -> Result<Buffer> {
        let shape = input.shape();
        let [height, width] = window.output(shape.height, shape.width)?;
        let rows = window.spans(0, shape.height, height);
        let columns = window.spans(1, shape.width, width);
        let share = |(inside, with_padding): &(Range<usize>, usize)| {
            let count = if count_padding {
                *with_padding
            } else {
                inside.len()
            };
            1.0 / count as f32
        };
        let of_rows: Vec<f32> = rows.iter().map(share).collect();
        let of_columns: Vec<f32> = columns.iter().map(share).collect();
        let (rows, columns) = (ranges(rows), ranges(columns));
        let add = |sum: f32, value: f32| sum + value;
        self.pool(input, &rows, &columns, 0.0, add, |y, x, sum| {
            sum * (of_rows[y] * of_columns[x])
        })
    }

    /// The mean of the part of the picture that belongs to each pixel of a result of
    /// `height × width`: PyTorch's `adaptive_avg_pool2d` and `interpolate(mode="area")`.
    ///
    /// # Errors
    /// `model_error` when one of the sizes is zero.
    pub fn adaptive_average_pool(
        &self,
        input: &Buffer,
        height: usize,
        width: usize,
    ) -> Result<Buffer> {
        let shape = input.shape();
        if [height, width, shape.height, shape.width].contains(&0) {
            let message = format!("{shape} has no means of {height} × {width} parts");
            return Err(Error::new(Code::ModelError, message));
        }
        let parts = |side: usize, count: usize| -> Vec<Range<usize>> {
            let part = |i: usize| i * side / count..((i + 1) * side).div_ceil(count);
            (0..count).map(part).collect()
        };
        let (rows, columns) = (parts(shape.height, height), parts(shape.width, width));
        // Parts may be as large as the picture, for which `f32` would not do.
        let add = |sum: f64, value: f32| sum + f64::from(value);
        self.pool(input, &rows, &columns, 0.0_f64, add, |y, x, sum| {
            (sum / (rows[y].len() * columns[x].len()) as f64) as f32
        })
    }

    /// The mean of each channel, as pictures of one pixel.
    pub fn global_average(&self, input: &Buffer) -> Result<Buffer> {
        let shape = Shape {
            height: 1,
            width: 1,
            ..input.shape()
        };
        let sums = self.channel_sums(input);
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, _, row| {
            for (to, mean) in row.iter_mut().zip(sums[picture].means()) {
                *to = mean as f32;
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// Folds windows: from `start` on, `step` takes in the values row by row, `finish` makes the
    /// result of pixel `(y, x)`.
    fn pool<A: Copy + Send + Sync>(
        &self,
        input: &Buffer,
        rows: &[Range<usize>],
        columns: &[Range<usize>],
        start: A,
        step: impl Fn(A, f32) -> A + Sync,
        finish: impl Fn(usize, usize, A) -> f32 + Sync,
    ) -> Result<Buffer> {
        let shape = Shape {
            height: rows.len(),
            width: columns.len(),
            ..input.shape()
        };
        let mut out = self.buffer(shape)?;
        with_lanes!(shape, L => {
            let of_pixel = shape.pixel_stride() / L;
            out.fill_rows(|picture, y, row| {
                let from: Vec<&[[f32; L]]> = rows[y]
                    .clone()
                    .map(|y| blocks::<L>(input.row(picture, y)))
                    .collect();
                let to = blocks_mut::<L>(row).chunks_exact_mut(of_pixel);
                for (x, (to, columns)) in to.zip(columns).enumerate() {
                    for (block, to) in to.iter_mut().enumerate() {
                        let mut folded = [start; L];
                        for from in &from {
                            let from = from[columns.start * of_pixel..columns.end * of_pixel]
                                .chunks_exact(of_pixel);
                            for pixel in from {
                                for (folded, value) in folded.iter_mut().zip(&pixel[block]) {
                                    *folded = step(*folded, *value);
                                }
                            }
                        }
                        *to = folded.map(|folded| finish(y, x, folded));
                    }
                }
                clear_padding(shape, row);
            });
        });
        Ok(out.freeze())
    }
}

fn ranges(spans: Vec<(Range<usize>, usize)>) -> Vec<Range<usize>> {
    spans.into_iter().map(|(range, _)| range).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, filled, shapes, value};
    use super::*;

    fn windows() -> Vec<Window> {
        let mut windows = vec![Window::square(2), Window::square(1)];
        for ceil_mode in [false, true] {
            windows.push(Window {
                kernel: [3, 3],
                stride: [2, 2],
                padding: [1, 1],
                ceil_mode,
            });
            windows.push(Window {
                kernel: [3, 2],
                stride: [2, 3],
                padding: [0, 1],
                ceil_mode,
            });
            windows.push(Window {
                kernel: [5, 3],
                stride: [1, 4],
                padding: [2, 0],
                ceil_mode,
            });
        }
        windows
    }

    /// The pixels of a window, and how many it has with the padding (none beyond it).
    fn members(window: &Window, shape: Shape, y: usize, x: usize) -> (Vec<(usize, usize)>, usize) {
        let (mut inside, mut all) = (Vec::new(), 0);
        let sides = [shape.height as isize, shape.width as isize];
        let padding = window.padding.map(|padding| padding as isize);
        for dy in 0..window.kernel[0] {
            for dx in 0..window.kernel[1] {
                let y = (y * window.stride[0] + dy) as isize - padding[0];
                let x = (x * window.stride[1] + dx) as isize - padding[1];
                if y < sides[0] + padding[0] && x < sides[1] + padding[1] {
                    all += 1;
                }
                if (0..sides[0]).contains(&y) && (0..sides[1]).contains(&x) {
                    inside.push((y as usize, x as usize));
                }
            }
        }
        (inside, all)
    }

    #[test]
    fn windows_have_their_maxima_and_means() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 9);
            for window in windows() {
                let Ok([height, width]) = window.output(shape.height, shape.width) else {
                    assert!(engine.max_pool(&input, &window).is_err());
                    continue;
                };
                let size = Shape {
                    height,
                    width,
                    ..shape
                };
                let result = engine.max_pool(&input, &window).unwrap();
                expect("max_pool", &result, size, |n, y, x, c| {
                    let (inside, _) = members(&window, shape, y, x);
                    let values = inside.iter().map(|(y, x)| value(&input, n, *y, *x, c));
                    values.fold(f64::NEG_INFINITY, f64::max)
                });
                for count_padding in [false, true] {
                    let result = engine.average_pool(&input, &window, count_padding).unwrap();
                    expect("average_pool", &result, size, |n, y, x, c| {
                        let (inside, all) = members(&window, shape, y, x);
                        let values = inside.iter().map(|(y, x)| value(&input, n, *y, *x, c));
                        let count = if count_padding { all } else { inside.len() };
                        values.sum::<f64>() / count as f64
                    });
                }
            }
        }
    }

    #[test]
    fn parts_and_whole_pictures_have_their_means() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 10);
            for (height, width) in [(1, 1), (2, 3), (7, 7), (20, 5)] {
                let result = engine.adaptive_average_pool(&input, height, width).unwrap();
                let size = Shape {
                    height,
                    width,
                    ..shape
                };
                expect("adaptive", &result, size, |n, y, x, c| {
                    let part = |i: usize, side: usize, count: usize| {
                        let start = (i as f64 * side as f64 / count as f64).floor() as usize;
                        let end = ((i + 1) as f64 * side as f64 / count as f64).ceil() as usize;
                        start..end
                    };
                    let (mut sum, mut count) = (0.0, 0.0);
                    for y in part(y, shape.height, height) {
                        for x in part(x, shape.width, width) {
                            sum += value(&input, n, y, x, c);
                            count += 1.0;
                        }
                    }
                    sum / count
                });
            }
            let one = engine.adaptive_average_pool(&input, 1, 1).unwrap();
            let global = engine.global_average(&input).unwrap();
            expect("global", &global, one.shape(), |n, y, x, c| {
                value(&one, n, y, x, c)
            });
            assert!(engine.adaptive_average_pool(&input, 0, 1).is_err());
        }
    }

    #[test]
    fn nan_is_a_maximum() {
        let engine = engine();
        let shape = Shape {
            batch: 1,
            height: 2,
            width: 2,
            channels: 1,
        };
        for place in 0..4 {
            let mut values = [1.0, 2.0, 3.0, 4.0];
            values[place] = f32::NAN;
            let input = engine.import(shape, &values).unwrap();
            let result = engine.max_pool(&input, &Window::square(2)).unwrap();
            assert!(result.pixel(0, 0, 0)[0].is_nan());
        }
    }

    #[test]
    fn windows_that_cannot_be_are_errors() {
        let good = Window::square(2);
        let cases = [
            Window {
                kernel: [0, 2],
                ..good
            },
            Window {
                stride: [2, 0],
                ..good
            },
            Window {
                padding: [2, 0],
                ..good
            },
            Window {
                kernel: [5, 5],
                ..good
            },
        ];
        for window in cases {
            assert!(window.output(4, 4).is_err(), "{window:?}");
        }
    }
}
