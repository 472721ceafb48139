//! The products of convolutions on the CPU engine, in `f32`.

use std::sync::{Arc, OnceLock};

use fonds_core::Result;

use super::plain::Geometry;
use crate::engine::{Algorithm, Conv2d, ConvShape, Engine, Epilogue, Kernel, Precision, Shape};

/// The output.
pub(super) fn forward(geometry: &Geometry, input: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
    convolve(geometry.shape, geometry.input_dims(), input, weight)
}

/// The gradient of the input from that of the output, as a convolution with the kernel turned
/// round; nothing where pixels would have to be spread (strides) or cut off (more padding than the
/// kernel reaches).
pub(super) fn input_gradient(
    geometry: &Geometry,
    output: &[f32],
    weight: &[f32],
) -> Option<Result<Vec<f32>>> {
    let shape = &geometry.shape;
    if shape.stride != [1, 1] {
        return None;
    }
    let mut padding = [0; 2];
    for (axis, padding) in padding.iter_mut().enumerate() {
        let reach = (shape.kernel[axis] - 1) * shape.dilation[axis];
        *padding = reach.checked_sub(shape.padding[axis])?;
    }
    let turned = ConvShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        padding,
        ..*shape
    };
    let weight = turn(geometry, weight);
    Some(convolve(turned, geometry.output_dims(), output, &weight))
}

/// Weights `[out, in / groups, kh, kw]` as `[in, out / groups, kh, kw]`, the taps in reverse.
fn turn(geometry: &Geometry, weight: &[f32]) -> Vec<f32> {
    let shape = &geometry.shape;
    let taps = shape.kernel[0] * shape.kernel[1];
    let inputs = shape.in_channels / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let mut turned = Vec::with_capacity(weight.len());
    for input in 0..shape.in_channels {
        for output in 0..outputs {
            let from = (input / inputs * outputs + output) * inputs + input % inputs;
            turned.extend(weight[from * taps..][..taps].iter().rev());
        }
    }
    turned
}

fn convolve(
    shape: ConvShape,
    [batch, channels, height, width]: [usize; 4],
    input: &[f32],
    weight: &[f32],
) -> Result<Vec<f32>> {
    let engine = engine();
    let size = Shape {
        batch,
        height,
        width,
        channels,
    };
    let (kernel, epilogue) = (engine.kernel(), Epilogue::default());
    let convolution = Conv2d::new(kernel, shape, weight, None, Algorithm::Auto, Precision::F32)?;
    let input = engine.import(size, input)?;
    let output = convolution.forward(engine, &[&input], &epilogue)?;
    Ok(engine.export(&output))
}

/// One engine for all training, on the fastest instructions that there are.
fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(Kernel::detect()))
}
