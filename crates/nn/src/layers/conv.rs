//! Two-dimensional convolution, with what follows it.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result};

use super::Activation;
use crate::act::{Act, Data, Dims};
use crate::engine::{self, AddOrder, ConvShape, Engine, Epilogue, Residual};
use crate::error::TensorResult;
use crate::gradient::{self, Convolution, Offset};
use crate::trace::Reads;

/// How a convolution goes over its input; rows and columns alike, zeros outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvConfig {
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Pixels from one tap to the next.
    pub dilation: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl ConvConfig {
    /// Stride 1, no groups, a bias, and as many zeros that the size stays.
    pub fn same(kernel: usize) -> Self {
        Self {
            padding: kernel / 2,
            ..Self::valid()
        }
    }

    /// Stride 1, no groups, a bias, and no zeros: the output is smaller.
    pub fn valid() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
            bias: true,
        }
    }

    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with other zeros around.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The same in groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same with or without a bias.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }
}

/// A convolution with its activation. Keys: `weight` `[out, in / groups, k, k]` and `bias`
/// `[out]`.
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
    shape: ConvShape,
    packed: Mutex<Option<Packed>>,
}

/// Weights as one engine wants them.
#[derive(Debug, Clone)]
struct Packed {
    settings: engine::Settings,
    conv: Arc<engine::Conv2d>,
    activation: Arc<engine::Activation>,
}

impl Conv2d {
    /// A convolution with a square kernel.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: ConvConfig,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let ConvConfig {
            stride,
            padding,
            dilation,
            groups,
            bias,
        } = config;
        let dims = (out_channels, in_channels / groups, kernel, kernel);
        let hint = candle_nn::init::DEFAULT_KAIMING_NORMAL;
        let weight = vb.get_with_hints(dims, "weight", hint).in_network()?;
        let bias = if bias {
            let bound = 1.0 / ((in_channels / groups * kernel * kernel) as f64).sqrt();
            let hint = candle_nn::Init::Uniform {
                lo: -bound,
                up: bound,
            };
            Some(vb.get_with_hints(out_channels, "bias", hint).in_network()?)
        } else {
            None
        };
        let shape = ConvShape {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [dilation; 2],
            groups,
        };
        Ok(Self::from_parts(weight, bias, shape))
    }

    /// A convolution of given weights `[out, in / groups, rows, columns]`.
    pub fn from_parts(weight: Tensor, bias: Option<Tensor>, shape: ConvShape) -> Self {
        Self {
            weight,
            bias,
            activation: Activation::None,
            shape,
            packed: Mutex::new(None),
        }
    }

    /// The same, followed by this activation.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The weights `[out, in / groups, rows, columns]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The same convolution with each output channel multiplied and shifted: what a normalisation
    /// with fixed statistics does to it.
    ///
    /// # Errors
    /// `model_error` when there is not one value for each output channel.
    pub fn folded(&self, scale: &Tensor, shift: &Tensor) -> Result<Self> {
        let rows = scale
            .reshape((self.shape.out_channels, 1, 1, 1))
            .in_network()?;
        let weight = self.weight.broadcast_mul(&rows).in_network()?;
        let bias = match &self.bias {
            Some(bias) => ((bias * scale).in_network()? + shift).in_network()?,
            None => shift.clone(),
        };
        Ok(Self::from_parts(weight, Some(bias), self.shape))
    }

    /// The convolution and its activation.
    ///
    /// # Shapes
    /// `[n, in, h, w]` → `[n, out, h', w']` with `h' = (h + 2·padding − dilation·(k − 1) − 1) /
    /// stride + 1`.
    ///
    /// # Errors
    /// `internal` when the channels do not fit or the input is smaller than the kernel.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        self.run(x, None, 1.0, AddOrder::AfterActivation)
    }

    /// `activation(conv(x)) · scale + residual`.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], and when the residual has another size.
    pub fn forward_add(&self, x: &Act, scale: f32, residual: &Act) -> Result<Act> {
        self.run(x, Some(residual), scale, AddOrder::AfterActivation)
    }

    /// `activation(conv(x) + residual)`.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], and when the residual has another size.
    pub fn forward_add_before(&self, x: &Act, residual: &Act) -> Result<Act> {
        self.run(x, Some(residual), 1.0, AddOrder::BeforeActivation)
    }

    fn run(&self, x: &Act, residual: Option<&Act>, scale: f32, order: AddOrder) -> Result<Act> {
        let dims = x.dims();
        if dims.channels != self.shape.in_channels {
            let message = format!(
                "a convolution of {} channels met an activation of {dims}",
                self.shape.in_channels
            );
            return Err(Error::new(Code::Internal, message));
        }
        match &x.data {
            Data::Tensor(tensor) => {
                let residual = residual.map(Act::tensor).transpose()?;
                let made = self
                    .on_tensor(tensor, residual, scale, order)
                    .in_network()?;
                Ok(x.with_data(Data::Tensor(made)))
            }
            Data::Engine(engine, parts) => {
                let inputs: Vec<&engine::Buffer> = parts.iter().collect();
                let packed = self.packed(engine)?;
                let residual = residual.map(Act::to_buffer).transpose()?;
                let epilogue = Epilogue {
                    activation: &packed.activation,
                    scale,
                    residual: residual.as_ref().map(|buffer| Residual { buffer, order }),
                };
                let made = packed.conv.forward(engine, &inputs, &epilogue)?;
                Ok(x.with_buffer(engine, made))
            }
            Data::Traced(traced) => {
                let made = self.on_trace(traced, dims)?;
                let made = match residual.and_then(Act::as_trace) {
                    Some(residual) => made.join(&[residual], self.shape.out_channels),
                    None => made,
                };
                Ok(x.with_data(Data::Traced(made)))
            }
        }
    }

    fn on_tensor(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        scale: f32,
        order: AddOrder,
    ) -> candle_core::Result<Tensor> {
        let block = |activation: &Activation| {
            let offset = match &self.bias {
                Some(bias) => Offset::Bias(bias),
                None => Offset::None,
            };
            let convolution = Convolution::Plain(self.shape);
            gradient::block(x, &self.weight, convolution, offset, activation)
        };
        let scaled = |y: Tensor| {
            if scale == 1.0 {
                Ok(y)
            } else {
                y.affine(f64::from(scale), 0.0)
            }
        };
        match (residual, order) {
            (None, _) => scaled(block(&self.activation)?),
            (Some(residual), AddOrder::AfterActivation) => {
                scaled(block(&self.activation)?)? + residual
            }
            (Some(residual), AddOrder::BeforeActivation) => {
                let sum = (scaled(block(&Activation::None)?)? + residual)?;
                self.activation.on_tensor(&sum)
            }
        }
    }

    /// What a fused operation needs of a convolution that has neither bias nor activation.
    pub(super) fn bare(&self) -> Option<(&Tensor, Convolution)> {
        let bare = self.bias.is_none() && matches!(self.activation, Activation::None);
        bare.then_some((&self.weight, Convolution::Plain(self.shape)))
    }

    fn on_trace(&self, traced: &crate::trace::Traced, dims: Dims) -> Result<crate::trace::Traced> {
        let shape = &self.shape;
        let (height, width) = shape.output(dims.height, dims.width)?;
        let reads = |axis: usize| Reads::Window {
            kernel: shape.kernel[axis],
            stride: shape.stride[axis],
            before: shape.padding[axis],
            dilation: shape.dilation[axis],
            blocked: shape.runs_in_blocks(),
        };
        let made = Dims {
            channels: shape.out_channels,
            height,
            width,
            ..dims
        };
        let taps = shape.kernel[0] * shape.kernel[1] * shape.in_channels / shape.groups;
        let operations = 2 * (taps * shape.out_channels * height * width) as u64;
        Ok(traced.work(made, [reads(0), reads(1)], operations))
    }

    /// The weights as this engine wants them, packed when they are first asked for.
    fn packed(&self, engine: &Engine) -> Result<Packed> {
        let settings = engine.settings();
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(packed) = packed.as_ref()
            && packed.settings == settings
        {
            return Ok(packed.clone());
        }
        let weight = flat(&self.weight)?;
        let bias = self.bias.as_ref().map(flat).transpose()?;
        let conv = engine::Conv2d::new(
            settings.kernel,
            self.shape,
            &weight,
            bias.as_deref(),
            settings.algorithm,
            settings.precision,
        )?;
        let made = Packed {
            settings,
            conv: Arc::new(conv),
            activation: Arc::new(self.activation.for_engine()?),
        };
        *packed = Some(made.clone());
        Ok(made)
    }
}

/// All values of a tensor as 32-bit floats, row major.
pub(super) fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor.to_dtype(candle_core::DType::F32).in_network()?;
    tensor.flatten_all().in_network()?.to_vec1().in_network()
}
