//! Transposed convolution, which is also the gradient of a convolution with respect to its input.
//!
//! With a stride `s`, the output pixels of one phase (their index modulo `s`) are made from every
//! `s`-th tap: each phase is a direct convolution of its own, with stride 1, that stores every
//! `s`-th pixel. With stride 1 it is one convolution with the kernel turned round, through Winograd
//! where that applies.

use fonds_core::{Code, Error, Result};

use super::super::{Buffer, Engine, Kernel, Shape};
use super::direct::{Direct, Sizes, Weights};
use super::epilogue::{Epilogue, Finish, padded};
use super::geometry::Geometry;
use super::memory::{Output, sources};
use super::shape::{ConvShape, TransposeShape, check_lengths};
use super::{Algorithm, Conv2d, Precision, check_available, check_engine, once};

/// A transposed convolution with its weights, packed for one kernel path.
#[derive(Debug)]
pub struct ConvTranspose2d {
    kernel: Kernel,
    shape: TransposeShape,
    bias: Vec<f32>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// One convolution with the kernel turned round.
    Turned(Box<Conv2d>),
    Phases(Phases),
}

impl ConvTranspose2d {
    /// Takes weights `[in][out / groups][kernel height][kernel width]` and a bias for each output
    /// channel.
    ///
    /// # Errors
    /// `model_error` when the shape, the number of weights or of biases cannot be, or when Winograd
    /// is asked for and does not apply; `not_built_in` when the processor lacks the kernel's
    /// instructions or bf16 products.
    pub fn new(
        kernel: Kernel,
        shape: TransposeShape,
        weight: &[f32],
        bias: Option<&[f32]>,
        algorithm: Algorithm,
        precision: Precision,
    ) -> Result<Self> {
        shape.validate()?;
        check_lengths(weight, shape.weights(), bias, shape.out_channels)?;
        check_available(kernel, precision)?;
        let zeros = vec![0.0; shape.out_channels];
        let way = if let Some(turned) = turned_shape(&shape) {
            let weight = turned_weights(&shape, weight);
            let conv = Conv2d::new(kernel, turned, &weight, bias, algorithm, precision)?;
            Way::Turned(Box::new(conv))
        } else if algorithm == Algorithm::Winograd {
            let message = "winograd is for transposed convolutions of stride 1";
            return Err(Error::new(Code::ModelError, message));
        } else {
            Way::Phases(Phases::new(kernel, &shape, [1, 1], weight))
        };
        Ok(Self {
            kernel,
            shape,
            bias: padded(bias.unwrap_or(&zeros)),
            way,
        })
    }

    /// The size.
    pub fn shape(&self) -> &TransposeShape {
        &self.shape
    }

    /// Convolves; inputs, epilogue and errors are those of [`Conv2d::forward`].
    ///
    /// # Shapes
    /// Inputs `n × h × w × cᵢ` with `Σ cᵢ = in_channels`; output `n × h' × w' × out_channels` with
    /// [`TransposeShape::output`].
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
        let phases = match &self.way {
            Way::Turned(conv) => return conv.forward(engine, inputs, epilogue),
            Way::Phases(phases) => phases,
        };
        check_engine(self.kernel, engine)?;
        let input = inputs.first().map_or((0, 0), |input| {
            let shape = input.shape();
            (shape.height, shape.width)
        });
        let (height, width) = self.shape.output(input.0, input.1)?;
        phases.forward(engine, inputs, [height, width], &self.bias, epilogue)
    }
}

/// The convolution that a transposed one of stride 1 is.
fn turned_shape(shape: &TransposeShape) -> Option<ConvShape> {
    let [rows, columns] = shape.kernel;
    let fits = shape.stride == [1, 1]
        && shape.output_padding == [0, 0]
        && shape.padding[0] < rows
        && shape.padding[1] < columns;
    fits.then(|| ConvShape {
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        kernel: shape.kernel,
        stride: [1; 2],
        padding: [rows - 1 - shape.padding[0], columns - 1 - shape.padding[1]],
        dilation: [1; 2],
        groups: shape.groups,
    })
}

/// `[in][out / groups][…]` becomes `[out][in / groups][…]`, taps in reverse.
fn turned_weights(shape: &TransposeShape, weight: &[f32]) -> Vec<f32> {
    let taps = shape.kernel[0] * shape.kernel[1];
    let inputs = shape.in_channels / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let mut turned = Vec::with_capacity(weight.len());
    for output in 0..shape.out_channels {
        let group = output / outputs;
        for input in group * inputs..(group + 1) * inputs {
            let start = (input * outputs + output % outputs) * taps;
            turned.extend(weight[start..start + taps].iter().rev());
        }
    }
    turned
}

/// The same without moving them.
fn turned_order<'a>(shape: &TransposeShape, values: &'a [f32]) -> Weights<'a> {
    let taps = shape.kernel[0] * shape.kernel[1];
    let outputs = shape.out_channels / shape.groups;
    Weights {
        values,
        group: shape.in_channels / shape.groups * outputs * taps,
        output: taps,
        input: outputs * taps,
        taps: (0..taps).rev().collect(),
    }
}

/// Some outputs of an axis: every `stride`-th, and the taps that reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Phase {
    /// The first output.
    first: usize,
    /// Taps, by the input that they reach for.
    taps: Vec<usize>,
    /// The input that the first tap reaches for at the first output.
    origin: isize,
    /// Inputs from tap to tap.
    step: usize,
}

/// Input `i` reaches output `i · stride − padding + tap · dilation`.
fn phases(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Vec<Phase> {
    let phase = |first: usize| {
        let place = first + padding;
        let taps: Vec<usize> = (0..kernel)
            .rev()
            .filter(|tap| (tap * dilation) % stride == place % stride)
            .collect();
        let input = |tap: usize| (place as isize - (tap * dilation) as isize) / stride as isize;
        Phase {
            first,
            origin: taps.first().map_or(0, |&tap| input(tap)),
            step: match taps.as_slice() {
                [one, two, ..] => (input(*two) - input(*one)) as usize,
                _ => 1,
            },
            taps,
        }
    };
    (0..stride).map(phase).collect()
}

/// A transposed convolution by the phases of its stride.
#[derive(Debug)]
struct Phases {
    in_channels: usize,
    out_channels: usize,
    stride: [usize; 2],
    parts: Vec<Part>,
}

struct Part {
    rows: Phase,
    columns: Phase,
    direct: Direct,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Phases {
    fn new(kernel: Kernel, shape: &TransposeShape, dilation: [usize; 2], weight: &[f32]) -> Self {
        let axis = |axis: usize| {
            phases(
                shape.kernel[axis],
                shape.stride[axis],
                shape.padding[axis],
                dilation[axis],
            )
        };
        let inputs = shape.in_channels / shape.groups;
        let outputs = shape.out_channels / shape.groups;
        let [height, width] = shape.kernel;
        let mut parts = vec![];
        for rows in axis(0) {
            for columns in axis(1) {
                let sizes = Sizes {
                    inputs: shape.in_channels,
                    outputs: shape.out_channels,
                    groups: shape.groups,
                    taps: [rows.taps.len(), columns.taps.len()],
                };
                let taps = rows
                    .taps
                    .iter()
                    .flat_map(|row| columns.taps.iter().map(move |column| row * width + column));
                let weights = Weights {
                    values: weight,
                    group: inputs * outputs * height * width,
                    output: height * width,
                    input: outputs * height * width,
                    taps: taps.collect(),
                };
                let direct = Direct::new(kernel, sizes, &weights);
                parts.push(Part {
                    rows: rows.clone(),
                    columns,
                    direct,
                });
            }
        }
        Self {
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            stride: shape.stride,
            parts,
        }
    }

    fn forward(
        &self,
        engine: &Engine,
        inputs: &[&Buffer],
        [height, width]: [usize; 2],
        bias: &[f32],
        epilogue: &Epilogue<'_>,
    ) -> Result<Buffer> {
        let sources = sources(inputs, self.in_channels)?;
        let shape = Shape {
            batch: sources[0].shape.batch,
            height,
            width,
            channels: self.out_channels,
        };
        let finish = Finish::new(bias, shape, epilogue)?;
        let mut buffer = engine.buffer(shape)?;
        let output = Output::new(&mut buffer);
        for part in &self.parts {
            let count = |side: usize, axis: usize, phase: &Phase| {
                side.saturating_sub(phase.first).div_ceil(self.stride[axis])
            };
            let geometry = Geometry {
                taps: [part.rows.taps.len(), part.columns.taps.len()],
                origin: [part.rows.origin, part.columns.origin],
                stride: [1; 2],
                step: [part.rows.step, part.columns.step],
                size: [count(height, 0, &part.rows), count(width, 1, &part.columns)],
                out_origin: [part.rows.first, part.columns.first],
                out_step: self.stride,
            };
            part.direct.forward(&geometry, &sources, &output, &finish);
        }
        Ok(buffer.freeze())
    }
}

/// The gradient of a convolution with respect to its input, which had this height and width:
/// `gradient` is that of the output, `weight` is `[out][in / groups][kernel height][kernel width]`.
///
/// # Shapes
/// `n × h' × w' × out_channels` → `n × h × w × in_channels`
///
/// # Errors
/// `model_error` when the sizes do not fit each other; `oom` when there is no memory.
pub fn conv2d_input_gradient(
    engine: &Engine,
    shape: &ConvShape,
    input: (usize, usize),
    gradient: &Buffer,
    weight: &[f32],
) -> Result<Buffer> {
    let plain = Epilogue::default();
    conv2d_input_gradient_with(engine, shape, input, gradient, weight, None, &plain)
}

/// As [`conv2d_input_gradient`], with a bias and an epilogue: a transposed convolution whose weights
/// are used once.
pub(crate) fn conv2d_input_gradient_with(
    engine: &Engine,
    shape: &ConvShape,
    input: (usize, usize),
    gradient: &Buffer,
    weight: &[f32],
    bias: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Result<Buffer> {
    shape.validate()?;
    check_lengths(weight, shape.weights(), bias, shape.in_channels)?;
    check_gradient(shape, input, gradient.shape())?;
    // Output padding is what the stride did not reach of the input.
    let transposed = TransposeShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        kernel: shape.kernel,
        stride: shape.stride,
        padding: shape.padding,
        output_padding: [0; 2],
        groups: shape.groups,
    };
    if shape.dilation == [1, 1]
        && let Some(turned) = turned_shape(&transposed)
    {
        let weights = turned_order(&transposed, weight);
        return once(engine, &turned, gradient, &weights, bias, epilogue);
    }
    let kernel = engine.kernel();
    let phases = Phases::new(kernel, &transposed, shape.dilation, weight);
    let zeros = vec![0.0; shape.in_channels];
    let bias = padded(bias.unwrap_or(&zeros));
    let size = [input.0, input.1];
    phases.forward(engine, &[gradient], size, &bias, epilogue)
}

/// Whether a gradient has the size of the output.
pub(super) fn check_gradient(shape: &ConvShape, input: (usize, usize), found: Shape) -> Result<()> {
    let (height, width) = shape.output(input.0, input.1)?;
    if (found.height, found.width, found.channels) == (height, width, shape.out_channels) {
        return Ok(());
    }
    let channels = shape.out_channels;
    let message = format!("the gradient is {found}, the output {height} × {width} × {channels}");
    Err(Error::new(Code::ModelError, message))
}
