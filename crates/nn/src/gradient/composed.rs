//! The products of convolutions from candle's own operations: for GPUs.
//!
//! candle's gradient of a convolution's input runs a kernel with a thread for each value that loops
//! over all taps. Here it is a forward convolution with the kernel turned round and zeros between
//! the pixels, which is a product of matrices on every device.

use candle_core::{Result, Tensor, bail};

use super::plain::Geometry;

/// The output.
pub(super) fn forward(geometry: &Geometry, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let shape = &geometry.shape;
    let input = frame(input, geometry)?;
    let (stride, dilation) = (both(shape.stride)?, both(shape.dilation)?);
    input.conv2d(&weight.contiguous()?, 0, stride, dilation, shape.groups)
}

/// The gradient of the input from that of the output.
pub(super) fn input_gradient(
    geometry: &Geometry,
    output: &Tensor,
    weight: &Tensor,
) -> Result<Tensor> {
    let shape = &geometry.shape;
    let (outputs, inputs, kernel_height, kernel_width) = weight.dims4()?;
    let groups = shape.groups;
    let turned = weight
        .reshape((
            groups,
            outputs / groups,
            inputs,
            kernel_height,
            kernel_width,
        ))?
        .transpose(1, 2)?
        .reshape((
            groups * inputs,
            outputs / groups,
            kernel_height,
            kernel_width,
        ))?
        .contiguous()?
        .flip(&[2, 3])?
        .contiguous()?;
    let mut spread = output.clone();
    for axis in 0..2 {
        let dim = 2 + axis;
        spread = interleave_zeros(&spread, dim, shape.stride[axis])?;
        let reach = (shape.kernel[axis] - 1) * shape.dilation[axis];
        // What stands before: `reach - padding` zeros, or that much less of the picture.
        let needed = geometry.input[axis] + reach;
        let before = reach as isize - shape.padding[axis] as isize;
        if before < 0 {
            let cut = before.unsigned_abs().min(spread.dim(dim)?);
            spread = spread.narrow(dim, cut, spread.dim(dim)? - cut)?;
        } else {
            spread = spread.pad_with_zeros(dim, before as usize, 0)?;
        }
        let len = spread.dim(dim)?;
        spread = if len < needed {
            spread.pad_with_zeros(dim, 0, needed - len)?
        } else {
            spread.narrow(dim, 0, needed)?
        };
    }
    spread
        .contiguous()?
        .conv2d(&turned, 0, 1, both(shape.dilation)?, groups)
}

/// The gradient of the weights from the input and the gradient of the output: a convolution of the
/// input with it, in which pictures are channels, stride is dilation and dilation is stride.
pub(super) fn weight_gradient(
    geometry: &Geometry,
    input: &Tensor,
    output: &Tensor,
) -> Result<Tensor> {
    let shape = &geometry.shape;
    let (stride, dilation) = (both(shape.stride)?, both(shape.dilation)?);
    let input = frame(input, geometry)?;
    let inputs = shape.in_channels / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let mut of_groups = Vec::with_capacity(shape.groups);
    for group in 0..shape.groups {
        let input = input.narrow(1, group * inputs, inputs)?;
        let input = input.transpose(0, 1)?.contiguous()?;
        let output = output.narrow(1, group * outputs, outputs)?;
        // candle takes a slow way for kernels that are not contiguous.
        let output = output.transpose(0, 1)?.contiguous()?;
        let weight = input.conv2d(&output, 0, dilation, stride, 1)?;
        let [height, width] = shape.kernel;
        let weight = weight.narrow(2, 0, height)?.narrow(3, 0, width)?;
        of_groups.push(weight.transpose(0, 1)?.contiguous()?);
    }
    Tensor::cat(&of_groups, 0)
}

/// The input with its zeros around it.
fn frame(input: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    let [vertical, horizontal] = geometry.shape.padding;
    input
        .pad_with_zeros(2, vertical, vertical)?
        .pad_with_zeros(3, horizontal, horizontal)?
        .contiguous()
}

/// `stride - 1` zeros between neighbours along one dimension.
fn interleave_zeros(tensor: &Tensor, dim: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(tensor.clone());
    }
    let len = tensor.dim(dim)?;
    tensor
        .unsqueeze(dim + 1)?
        .pad_with_zeros(dim + 1, 0, stride - 1)?
        .flatten(dim, dim + 1)?
        .narrow(dim, 0, (len - 1) * stride + 1)
}

/// candle has one number for both directions.
fn both([vertical, horizontal]: [usize; 2]) -> Result<usize> {
    if vertical != horizontal {
        bail!("strides or dilations of {vertical} and {horizontal} are only possible on the CPU");
    }
    Ok(vertical)
}
