//! The products of convolutions on the CPU engine, in `f32`.

use std::sync::{Arc, OnceLock};

use fonds_core::{Code, Error, Result};

use super::plain::Geometry;
use crate::engine::{
    Algorithm, Buffer, Conv2d, Engine, Epilogue, Kernel, Precision, Shape, conv2d_input_gradient,
    conv2d_weight_gradient,
};

/// The output.
pub(super) fn forward(geometry: &Geometry, input: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
    let engine = engine();
    let (kernel, shape) = (engine.kernel(), geometry.shape);
    let convolution = Conv2d::new(kernel, shape, weight, None, Algorithm::Auto, Precision::F32)?;
    let input = import(geometry.input_dims(), input)?;
    let output = convolution.forward(engine, &[&input], &Epilogue::default())?;
    Ok(engine.export(&output))
}

/// The gradient of the input from that of the output.
pub(super) fn input_gradient(
    geometry: &Geometry,
    output: &[f32],
    weight: &[f32],
) -> Result<Vec<f32>> {
    let engine = engine();
    let [_, _, height, width] = geometry.input_dims();
    let output = import(geometry.output_dims(), output)?;
    let size = (height, width);
    let input = conv2d_input_gradient(engine, &geometry.shape, size, &output, weight)?;
    Ok(engine.export(&input))
}

/// The gradient of the weights from the input and the gradient of the output.
pub(super) fn weight_gradient(
    geometry: &Geometry,
    input: &[f32],
    output: &[f32],
) -> Result<Vec<f32>> {
    let input = import(geometry.input_dims(), input)?;
    let output = import(geometry.output_dims(), output)?;
    conv2d_weight_gradient(engine(), &geometry.shape, &input, &output)
}

/// Planes as activations.
pub(super) fn import(
    [batch, channels, height, width]: [usize; 4],
    values: &[f32],
) -> Result<Buffer> {
    let shape = Shape {
        batch,
        height,
        width,
        channels,
    };
    engine().import(shape, values)
}

static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();

/// The one engine that all training on the CPU computes on.
pub fn engine() -> &'static Arc<Engine> {
    match ENGINE.get() {
        Some(engine) => engine,
        None => engine_on(Kernel::detect()),
    }
}

fn engine_on(kernel: Kernel) -> &'static Arc<Engine> {
    ENGINE.get_or_init(|| {
        keep_memory();
        Engine::new(kernel)
    })
}

/// Teaches an allocator that adapts to what is freed (as glibc's does, up to 32 MiB) that tensors of
/// megabytes come and go: otherwise it gives their memory back to the system after each step, and
/// a fifth of the next one's time goes into getting it again.
fn keep_memory() {
    const LARGE: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Sets the instructions that convolutions on CPU tensors are computed with, in this process, from
/// now on. It is a choice for the start of a program: once made, or once a convolution has been
/// computed (on the fastest instructions that there are), only the same can be asked for.
///
/// # Errors
/// `not_built_in` when this processor lacks them, `invalid_request` when others are in use.
pub fn use_kernel(kernel: Kernel) -> Result<()> {
    if !kernel.is_available() {
        let message = format!("this processor has no {kernel} instructions");
        return Err(Error::new(Code::NotBuiltIn, message));
    }
    let used = engine_on(kernel).kernel();
    if used == kernel {
        return Ok(());
    }
    let message = format!("training already runs on {used}, {kernel} comes too late");
    Err(Error::new(Code::InvalidRequest, message))
}
