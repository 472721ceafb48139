//! Convolutions on activations: Winograd where it pays, direct otherwise, and their transposes.

mod direct;
mod epilogue;
mod geometry;
mod gradient;
mod memory;
mod shape;
mod simd;
mod tail;
mod transpose;
mod winograd;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_backward;

use std::fmt;
use std::sync::OnceLock;

use fonds_core::{Code, Error, Result};

pub use epilogue::{Activation, AddOrder, Epilogue, Residual};
pub use gradient::conv2d_weight_gradient;
pub(super) use memory::forget_spare;
pub use shape::{ConvShape, TransposeShape};
pub(crate) use tail::{Centring, Tail, TailCurve};
pub(crate) use transpose::conv2d_input_gradient_with;
pub use transpose::{ConvTranspose2d, conv2d_input_gradient};

use super::{Buffer, Engine, Kernel, Shape};
use direct::{Direct, Sizes, Weights};
use epilogue::{Finish, padded};
use geometry::Geometry;
use memory::{Output, Source, sources};
use winograd::Winograd;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Winograd's F(4 × 4, 3 × 3) where it applies and pays, else direct.
    #[default]
    Auto,
    /// Every product as it stands: results do not depend, not even in their last bits, on where in
    /// a picture a pixel is.
    Direct,
    /// Winograd's F(4 × 4, 3 × 3): 3 × 3 taps, stride 1, dilation 1, padding 0 or 1, more than four
    /// channels on both sides of each group.
    Winograd,
}

/// What products are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Transformed inputs and weights of Winograd rounded to bf16, sums in 32 bits; all else as
    /// [`Precision::F32`]. For processors with AVX-512 BF16: slower than 32 bits where a
    /// product of bf16 takes two cycles. The error of one convolution is up to 2 % of
    /// the largest output.
    Bf16,
}

/// A convolution with its weights, packed for one kernel path.
///
/// ```
/// use fonds_nn::engine::{
///     Activation, Algorithm, Conv2d, ConvShape, Engine, Epilogue, Kernel, Precision, Shape,
/// };
///
/// # fn main() -> fonds_core::Result<()> {
/// let kernel = Kernel::detect();
/// let engine = Engine::new(kernel);
/// let shape = ConvShape::same(3, 8, 3);
/// let weight = vec![0.1; shape.weights()];
/// let conv = Conv2d::new(kernel, shape, &weight, None, Algorithm::Auto, Precision::F32)?;
///
/// let picture = Shape { batch: 1, height: 4, width: 4, channels: 3 };
/// let input = engine.import(picture, &[1.0; 48])?;
/// let output = conv.forward(&engine, &[&input], &Epilogue::activation(&Activation::Relu))?;
/// assert!((output.pixel(0, 1, 1)[0] - 2.7).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub struct Conv2d {
    kernel: Kernel,
    shape: ConvShape,
    algorithm: Algorithm,
    precision: Precision,
    bias: Vec<f32>,
    /// As given; the ways to compute pack it when they are first needed.
    weight: Vec<f32>,
    winograd: OnceLock<Winograd>,
    direct: OnceLock<Direct>,
}

impl fmt::Debug for Conv2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conv2d")
            .field("kernel", &self.kernel)
            .field("shape", &self.shape)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Tiles of a picture below which Winograd's weights, four times the plain ones, take longer to
/// read than its products save.
const FEWEST_TILES: usize = 9;

/// Channels below which Winograd's transforms take longer than its products save.
const FEWEST_CHANNELS: usize = 8;

impl Conv2d {
    /// Takes weights `[out][in / groups][kernel height][kernel width]` and a bias for each output
    /// channel.
    ///
    /// # Errors
    /// `model_error` when the shape, the number of weights or of biases cannot be, or when Winograd
    /// is asked for and does not apply; `not_built_in` when the processor lacks the kernel's
    /// instructions or bf16 products.
    pub fn new(
        kernel: Kernel,
        shape: ConvShape,
        weight: &[f32],
        bias: Option<&[f32]>,
        algorithm: Algorithm,
        precision: Precision,
    ) -> Result<Self> {
        shape.validate()?;
        shape::check_lengths(weight, shape.weights(), bias, shape.out_channels)?;
        check_available(kernel, precision)?;
        if algorithm == Algorithm::Winograd && !winograd_applies(&shape) {
            let message = "winograd is for 3 × 3 taps, stride and dilation 1, padding 0 or 1, more \
                           than 4 channels and one group";
            return Err(Error::new(Code::ModelError, message));
        }
        let zeros = vec![0.0; shape.out_channels];
        Ok(Self {
            kernel,
            shape,
            algorithm,
            precision,
            bias: padded(bias.unwrap_or(&zeros)),
            weight: weight.to_vec(),
            winograd: OnceLock::new(),
            direct: OnceLock::new(),
        })
    }

    /// The size.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Convolves. The channels of the inputs follow each other, as if they were concatenated; all
    /// but the last input must have a multiple of 16.
    ///
    /// # Shapes
    /// Inputs `n × h × w × cᵢ` with `Σ cᵢ = in_channels`; output `n × h' × w' × out_channels` with
    /// [`ConvShape::output`].
    ///
    /// # Errors
    /// `model_error` when the sizes do not fit each other or the kernel is not the engine's; `oom`
    /// when there is no memory.
    pub fn forward(
        &self,
        engine: &Engine,
        inputs: &[&Buffer],
        epilogue: &Epilogue<'_>,
    ) -> Result<Buffer> {
        check_engine(self.kernel, engine)?;
        convolve(engine, &self.shape, inputs, &self.bias, epilogue, |work| {
            let [height, width] = work.geometry.size;
            if by_winograd(self.algorithm, &self.shape, height, width) {
                work.by_winograd(self.winograd());
            } else {
                work.by_direct(self.direct());
            }
        })
    }

    fn winograd(&self) -> &Winograd {
        self.winograd.get_or_init(|| {
            let ConvShape {
                in_channels,
                out_channels,
                padding,
                ..
            } = self.shape;
            let sides = [in_channels, out_channels];
            Winograd::new(self.kernel, sides, padding, &self.weight, self.precision)
        })
    }

    fn direct(&self) -> &Direct {
        self.direct.get_or_init(|| {
            Direct::new(
                self.kernel,
                Sizes::of(&self.shape),
                &in_order(&self.shape, &self.weight),
            )
        })
    }
}

/// A convolution on its way.
struct Working<'a> {
    geometry: Geometry,
    sources: &'a [Source<'a>],
    output: &'a Output,
    finish: &'a Finish<'a>,
}

impl Working<'_> {
    fn by_winograd(&self, weights: &Winograd) {
        weights.forward(self.sources, self.output, self.finish);
    }

    fn by_direct(&self, weights: &Direct) {
        weights.forward(&self.geometry, self.sources, self.output, self.finish);
    }
}

/// Checks the sizes, makes the output, and has it filled.
fn convolve(
    engine: &Engine,
    convolution: &ConvShape,
    inputs: &[&Buffer],
    bias: &[f32],
    epilogue: &Epilogue<'_>,
    run: impl FnOnce(&Working<'_>),
) -> Result<Buffer> {
    let sources = sources(inputs, convolution.in_channels)?;
    let input = sources[0].shape;
    let (height, width) = convolution.output(input.height, input.width)?;
    let shape = Shape {
        batch: input.batch,
        height,
        width,
        channels: convolution.out_channels,
    };
    let finish = Finish::new(bias, shape, epilogue)?;
    let mut buffer = engine.buffer(shape)?;
    let output = Output::new(&mut buffer);
    run(&Working {
        geometry: Geometry::of_convolution(convolution, [height, width]),
        sources: &sources,
        output: &output,
        finish: &finish,
    });
    Ok(buffer.freeze())
}

fn by_winograd(algorithm: Algorithm, shape: &ConvShape, height: usize, width: usize) -> bool {
    match algorithm {
        Algorithm::Direct => false,
        Algorithm::Winograd => true,
        Algorithm::Auto => {
            winograd_applies(shape)
                && shape.in_channels.min(shape.out_channels) >= FEWEST_CHANNELS
                && height.div_ceil(4) * width.div_ceil(4) >= FEWEST_TILES
        }
    }
}

impl Sizes {
    fn of(shape: &ConvShape) -> Self {
        Self {
            inputs: shape.in_channels,
            outputs: shape.out_channels,
            groups: shape.groups,
            taps: shape.kernel,
        }
    }
}

/// Weights `[out][in / groups][kernel height][kernel width]`.
fn in_order<'a>(shape: &ConvShape, values: &'a [f32]) -> Weights<'a> {
    let taps = shape.kernel[0] * shape.kernel[1];
    let inputs = shape.in_channels / shape.groups;
    Weights {
        values,
        group: shape.out_channels / shape.groups * inputs * taps,
        output: inputs * taps,
        input: taps,
        taps: (0..taps).collect(),
    }
}

/// A convolution with weights that are used once; see [`Conv2d`].
///
/// # Errors
/// Those of [`Conv2d::new`] and [`Conv2d::forward`].
pub(crate) fn conv2d_once(
    engine: &Engine,
    shape: &ConvShape,
    input: &Buffer,
    weight: &[f32],
    bias: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Result<Buffer> {
    shape.validate()?;
    shape::check_lengths(weight, shape.weights(), bias, shape.out_channels)?;
    once(
        engine,
        shape,
        input,
        &in_order(shape, weight),
        bias,
        epilogue,
    )
}

/// As [`conv2d_once`], with weights in any order.
fn once(
    engine: &Engine,
    shape: &ConvShape,
    input: &Buffer,
    weights: &Weights<'_>,
    bias: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Result<Buffer> {
    let kernel = engine.kernel();
    let zeros = vec![0.0; shape.out_channels];
    let bias = padded(bias.unwrap_or(&zeros));
    convolve(engine, shape, &[input], &bias, epilogue, |work| {
        let [height, width] = work.geometry.size;
        if by_winograd(Algorithm::Auto, shape, height, width) {
            let sides = [shape.in_channels, shape.out_channels];
            work.by_winograd(&Winograd::new(
                kernel,
                sides,
                shape.padding,
                &weights.sorted(sides),
                Precision::F32,
            ));
        } else {
            work.by_direct(&Direct::new(kernel, Sizes::of(shape), weights));
        }
    })
}

impl ConvShape {
    /// Whether [`Algorithm::Auto`] may compute it in blocks of 4 × 4 pixels that share their input.
    pub fn runs_in_blocks(&self) -> bool {
        winograd_applies(self)
    }
}

fn winograd_applies(shape: &ConvShape) -> bool {
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.dilation == [1, 1]
        && shape.padding.iter().all(|&padding| padding <= 1)
        && shape.groups == 1
        && shape.in_channels > 4
        && shape.out_channels > 4
}

pub(super) fn check_available(kernel: Kernel, precision: Precision) -> Result<()> {
    if !kernel.is_available() {
        let message = format!("this processor has no {kernel} instructions");
        return Err(Error::new(Code::NotBuiltIn, message));
    }
    if precision == Precision::Bf16 && !simd::has_bf16(kernel) {
        let message = format!("{kernel} on this processor has no products of bf16");
        return Err(Error::new(Code::NotBuiltIn, message).hint("compute in f32"));
    }
    Ok(())
}

fn check_engine(kernel: Kernel, engine: &Engine) -> Result<()> {
    if engine.kernel() == kernel {
        return Ok(());
    }
    let message = format!(
        "weights are packed for {kernel}, the engine uses {}",
        engine.kernel()
    );
    Err(Error::new(Code::ModelError, message))
}
