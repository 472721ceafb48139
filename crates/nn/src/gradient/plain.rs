//! The products of convolutions on the CPU, as products of matrices: columns of pixels (im2col)
//! times weights, in `f32` and `f64`.
//!
//! Parallel over the pictures of a batch (and parts of them where the batch is small); the order of all sums is fixed, so that results do not
//! depend on the number of threads.

use candle_core::{Result, bail};
use rayon::prelude::*;

use crate::engine::ConvShape;

/// Values of a matrix of columns at a time, so that it stays in the second cache; more rows of the
/// picture are taken one after the other.
const COLUMN_VALUES: usize = 1 << 17;

/// Parts that the weight gradient of a small batch is made in, so that several threads have work.
const PARTS: usize = 4;

/// A floating-point number that matrices are made of.
pub(super) trait Real: Copy + Default + Send + Sync + std::ops::AddAssign + 'static {
    const ONE: Self;
}

impl Real for f32 {
    const ONE: Self = 1.0;
}

impl Real for f64 {
    const ONE: Self = 1.0;
}

/// A convolution of pictures of a certain size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) shape: ConvShape,
    pub(super) batch: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
}

impl Geometry {
    pub(super) fn new(shape: ConvShape, batch: usize, input: [usize; 2]) -> Result<Self> {
        let positive = [
            shape.in_channels,
            shape.out_channels,
            shape.kernel[0],
            shape.kernel[1],
            shape.stride[0],
            shape.stride[1],
            shape.dilation[0],
            shape.dilation[1],
            shape.groups,
        ];
        let divides = |channels: usize| channels.is_multiple_of(shape.groups);
        if positive.contains(&0) || !divides(shape.in_channels) || !divides(shape.out_channels) {
            bail!("there is no convolution of {shape:?}");
        }
        let mut output = [0; 2];
        for axis in 0..2 {
            let reach = (shape.kernel[axis] - 1) * shape.dilation[axis] + 1;
            let Some(free) = (input[axis] + 2 * shape.padding[axis]).checked_sub(reach) else {
                bail!("pictures of {input:?} are smaller than the kernel of {shape:?}");
            };
            output[axis] = free / shape.stride[axis] + 1;
        }
        Ok(Self {
            shape,
            batch,
            input,
            output,
        })
    }

    pub(super) fn input_dims(&self) -> [usize; 4] {
        let [height, width] = self.input;
        [self.batch, self.shape.in_channels, height, width]
    }

    pub(super) fn output_dims(&self) -> [usize; 4] {
        let [height, width] = self.output;
        [self.batch, self.shape.out_channels, height, width]
    }

    pub(super) fn weight_dims(&self) -> [usize; 4] {
        let [height, width] = self.shape.kernel;
        let inputs = self.shape.in_channels / self.shape.groups;
        [self.shape.out_channels, inputs, height, width]
    }

    /// Input and output channels of a group.
    fn of_group(&self) -> (usize, usize) {
        let groups = self.shape.groups;
        (
            self.shape.in_channels / groups,
            self.shape.out_channels / groups,
        )
    }

    /// Rows of the matrix of columns: taps of a group.
    fn taps(&self) -> usize {
        let [height, width] = self.shape.kernel;
        self.of_group().0 * height * width
    }

    /// Rows of the output, some at a time.
    fn bands(&self, rows: std::ops::Range<usize>) -> impl Iterator<Item = std::ops::Range<usize>> {
        let len = (COLUMN_VALUES / (self.taps() * self.output[1]).max(1)).max(1);
        let end = rows.end;
        rows.step_by(len)
            .map(move |start| start..(start + len).min(end))
    }

    /// Calls `visit(where in the columns, where in the picture's group, how many)` for each run of
    /// pixels that meet within some rows of the output; they are neighbours in the columns and
    /// `stride` apart in the picture.
    fn meet(&self, rows: &std::ops::Range<usize>, mut visit: impl FnMut(usize, usize, usize)) {
        let ConvShape {
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = self.shape;
        let [height, width] = self.input;
        let columns = rows.len() * self.output[1];
        for tap in 0..self.taps() {
            let channel = tap / (kernel[0] * kernel[1]);
            let (ky, kx) = (tap / kernel[1] % kernel[0], tap % kernel[1]);
            // The output columns for which this tap lies in the picture.
            let reach = kx * dilation[1];
            let first = padding[1].saturating_sub(reach).div_ceil(stride[1]);
            let end = (width + padding[1])
                .saturating_sub(reach)
                .div_ceil(stride[1]);
            let end = end.min(self.output[1]);
            if first >= end {
                continue;
            }
            let x = first * stride[1] + reach - padding[1];
            for (row, oy) in rows.clone().enumerate() {
                let y = (oy * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
                if y < height {
                    let to = tap * columns + row * self.output[1] + first;
                    visit(to, (channel * height + y) * width + x, end - first);
                }
            }
        }
    }

    fn columns<T: Real>(&self, picture: &[T], rows: &std::ops::Range<usize>) -> Vec<T> {
        let mut columns = vec![T::default(); self.taps() * rows.len() * self.output[1]];
        let stride = self.shape.stride[1];
        self.meet(rows, |to, from, len| {
            let to = &mut columns[to..to + len];
            if stride == 1 {
                to.copy_from_slice(&picture[from..from + len]);
            } else {
                for (to, from) in to.iter_mut().zip(picture[from..].iter().step_by(stride)) {
                    *to = *from;
                }
            }
        });
        columns
    }

    /// Adds the columns to the pixels that they came from.
    fn add_columns<T: Real>(
        &self,
        columns: &[T],
        rows: &std::ops::Range<usize>,
        picture: &mut [T],
    ) {
        let stride = self.shape.stride[1];
        self.meet(rows, |from, to, len| {
            let from = &columns[from..from + len];
            for (to, from) in picture[to..].iter_mut().step_by(stride).zip(from) {
                *to += *from;
            }
        });
    }
}

/// The output.
pub(super) fn forward<T: Real>(geometry: &Geometry, input: &[T], weight: &[T]) -> Vec<T> {
    let (inputs, outputs) = geometry.of_group();
    let pixels = geometry.output[0] * geometry.output[1];
    let mut output = vec![T::default(); geometry.output_dims().iter().product()];
    if output.is_empty() {
        return output;
    }
    output
        .par_chunks_mut(geometry.shape.out_channels * pixels)
        .zip(input.par_chunks(input.len() / geometry.batch))
        .for_each(|(output, input)| {
            for group in 0..geometry.shape.groups {
                let input = part(input, group, inputs, geometry.input);
                let weight = &weight[group * outputs * geometry.taps()..];
                for rows in geometry.bands(0..geometry.output[0]) {
                    let columns = geometry.columns(input, &rows);
                    let len = rows.len() * geometry.output[1];
                    let start = group * outputs * pixels + rows.start * geometry.output[1];
                    multiply(
                        [outputs, geometry.taps(), len],
                        Matrix::rows(weight, geometry.taps()),
                        Matrix::rows(&columns, len),
                        &mut output[start..],
                        pixels,
                        false,
                    );
                }
            }
        });
    output
}

/// The gradient of the input from that of the output.
pub(super) fn input_gradient<T: Real>(geometry: &Geometry, output: &[T], weight: &[T]) -> Vec<T> {
    let (inputs, outputs) = geometry.of_group();
    let pixels = geometry.output[0] * geometry.output[1];
    let mut input = vec![T::default(); geometry.input_dims().iter().product()];
    if input.is_empty() {
        return input;
    }
    let of_picture = input.len() / geometry.batch;
    input
        .par_chunks_mut(of_picture)
        .zip(output.par_chunks(geometry.shape.out_channels * pixels))
        .for_each(|(input, output)| {
            for group in 0..geometry.shape.groups {
                let plane = geometry.input[0] * geometry.input[1];
                let input = &mut input[group * inputs * plane..][..inputs * plane];
                let weight = &weight[group * outputs * geometry.taps()..];
                for rows in geometry.bands(0..geometry.output[0]) {
                    let len = rows.len() * geometry.output[1];
                    let start = group * outputs * pixels + rows.start * geometry.output[1];
                    let mut columns = vec![T::default(); geometry.taps() * len];
                    multiply(
                        [geometry.taps(), outputs, len],
                        Matrix::rows(weight, geometry.taps()).transposed(),
                        Matrix::rows(&output[start..], pixels),
                        &mut columns,
                        len,
                        false,
                    );
                    geometry.add_columns(&columns, &rows, input);
                }
            }
        });
    input
}

/// The gradient of the weights from the input and the gradient of the output.
pub(super) fn weight_gradient<T: Real>(geometry: &Geometry, input: &[T], output: &[T]) -> Vec<T> {
    let (inputs, outputs) = geometry.of_group();
    let pixels = geometry.output[0] * geometry.output[1];
    let mut weight = vec![T::default(); geometry.weight_dims().iter().product()];
    if input.is_empty() || output.is_empty() {
        return weight;
    }
    // How many parts is decided by the batch alone, never by the number of threads.
    let parts = PARTS.div_ceil(geometry.batch);
    let rows = geometry.output[0].div_ceil(parts);
    let of_parts: Vec<Vec<T>> = (0..geometry.batch * parts)
        .into_par_iter()
        .map(|index| {
            let (picture, start) = (index / parts, index % parts * rows);
            let rows = start..(start + rows).min(geometry.output[0]);
            let len = input.len() / geometry.batch;
            let input = &input[picture * len..][..len];
            let output = &output[picture * geometry.shape.out_channels * pixels..];
            let mut weight = vec![T::default(); weight.len()];
            for group in 0..geometry.shape.groups {
                let input = part(input, group, inputs, geometry.input);
                let weight = &mut weight[group * outputs * geometry.taps()..];
                for rows in geometry.bands(rows.clone()) {
                    let columns = geometry.columns(input, &rows);
                    let len = rows.len() * geometry.output[1];
                    let start = group * outputs * pixels + rows.start * geometry.output[1];
                    multiply(
                        [outputs, len, geometry.taps()],
                        Matrix::rows(&output[start..], pixels),
                        Matrix::rows(&columns, len).transposed(),
                        weight,
                        geometry.taps(),
                        true,
                    );
                }
            }
            weight
        })
        .collect();
    for of_part in of_parts {
        for (sum, value) in weight.iter_mut().zip(of_part) {
            *sum += value;
        }
    }
    weight
}

/// The channels of a group of one picture.
fn part<T>(picture: &[T], group: usize, channels: usize, [height, width]: [usize; 2]) -> &[T] {
    &picture[group * channels * height * width..][..channels * height * width]
}

/// A matrix in memory: how far it is from row to row and from column to column.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    values: &'a [T],
    steps: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    fn rows(values: &'a [T], stride: usize) -> Self {
        Self {
            values,
            steps: [stride, 1],
        }
    }

    fn transposed(self) -> Self {
        let [row, column] = self.steps;
        Self {
            steps: [column, row],
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.steps[0] + (columns - 1) * self.steps[1] < self.values.len()
    }
}

/// `left · right`, `[m, k] · [k, n]`, written or added to rows of `to` that are `stride` apart.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
fn multiply<T: Real>(
    [m, k, n]: [usize; 3],
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    to: &mut [T],
    stride: usize,
    add: bool,
) {
    if [m, k, n].contains(&0) {
        return;
    }
    let written = Matrix::rows(to, stride);
    assert!(
        left.holds(m, k) && right.holds(k, n) && written.holds(m, n) && n <= stride,
        "matrices lie within their memory"
    );
    // SAFETY: the assertion above; all elements that gemm touches have indices below those checked,
    // and `to` is borrowed for writing.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to.as_mut_ptr(),
            1,
            stride as isize,
            add,
            left.values.as_ptr(),
            left.steps[1] as isize,
            left.steps[0] as isize,
            right.values.as_ptr(),
            right.steps[1] as isize,
            right.steps[0] as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
