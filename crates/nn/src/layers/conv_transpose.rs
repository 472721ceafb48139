//! Transposed convolution: enlargement with learned weights.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result};

use super::Activation;
use super::conv::flat;
use crate::act::{Act, Data, Dims};
use crate::engine::{self, Engine, Epilogue, TransposeShape};
use crate::error::TensorResult;
use crate::gradient::{self, Convolution, Offset};
use crate::trace::Reads;

/// How a transposed convolution goes over its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTransposeConfig {
    /// Output pixels from one input pixel to the next.
    pub stride: usize,
    /// Output pixels cut off on each side.
    pub padding: usize,
    /// Output pixels added at the bottom and on the right.
    pub output_padding: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

/// A transposed convolution with its activation. Keys: `weight` `[in, out, k, k]` and `bias`
/// `[out]`.
#[derive(Debug)]
pub struct ConvTranspose2d {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
    shape: TransposeShape,
    packed: Mutex<Option<Packed>>,
}

#[derive(Debug, Clone)]
struct Packed {
    settings: engine::Settings,
    conv: Arc<engine::ConvTranspose2d>,
    activation: Arc<engine::Activation>,
}

impl ConvTranspose2d {
    /// A transposed convolution with a square kernel.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: ConvTransposeConfig,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let dims = (in_channels, out_channels, kernel, kernel);
        let hint = candle_nn::init::DEFAULT_KAIMING_NORMAL;
        let weight = vb.get_with_hints(dims, "weight", hint).in_network()?;
        let bias = if config.bias {
            let bound = 1.0 / ((out_channels * kernel * kernel) as f64).sqrt();
            let hint = candle_nn::Init::Uniform {
                lo: -bound,
                up: bound,
            };
            Some(vb.get_with_hints(out_channels, "bias", hint).in_network()?)
        } else {
            None
        };
        let shape = TransposeShape {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [config.stride; 2],
            padding: [config.padding; 2],
            output_padding: [config.output_padding; 2],
            groups: 1,
        };
        Ok(Self::from_parts(weight, bias, shape))
    }

    /// A transposed convolution of given weights `[in, out, rows, columns]`.
    pub fn from_parts(weight: Tensor, bias: Option<Tensor>, shape: TransposeShape) -> Self {
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

    /// The same with each output channel multiplied and shifted.
    ///
    /// # Errors
    /// `model_error` when there is not one value for each output channel.
    pub fn folded(&self, scale: &Tensor, shift: &Tensor) -> Result<Self> {
        let columns = scale
            .reshape((1, self.shape.out_channels, 1, 1))
            .in_network()?;
        let weight = self.weight.broadcast_mul(&columns).in_network()?;
        let bias = match &self.bias {
            Some(bias) => ((bias * scale).in_network()? + shift).in_network()?,
            None => shift.clone(),
        };
        Ok(Self::from_parts(weight, Some(bias), self.shape))
    }

    /// The transposed convolution and its activation.
    ///
    /// # Shapes
    /// `[n, in, h, w]` → `[n, out, h', w']` with `h' = (h − 1)·stride − 2·padding + k +
    /// output_padding`.
    ///
    /// # Errors
    /// `internal` when the channels do not fit.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        let dims = x.dims();
        if dims.channels != self.shape.in_channels {
            let message = format!(
                "a transposed convolution of {} channels met an activation of {dims}",
                self.shape.in_channels
            );
            return Err(Error::new(Code::Internal, message));
        }
        let shape = &self.shape;
        match &x.data {
            Data::Tensor(tensor) => {
                let made = self.on_tensor(tensor).in_network()?;
                Ok(x.with_data(Data::Tensor(made)))
            }
            Data::Engine(engine, parts) => {
                let inputs: Vec<&engine::Buffer> = parts.iter().collect();
                let packed = self.packed(engine)?;
                let epilogue = Epilogue {
                    activation: &packed.activation,
                    scale: 1.0,
                    residual: None,
                };
                let made = packed.conv.forward(engine, &inputs, &epilogue)?;
                Ok(x.with_buffer(engine, made))
            }
            Data::Traced(traced) => {
                let (height, width) = shape.output(dims.height, dims.width)?;
                let made = Dims {
                    channels: shape.out_channels,
                    height,
                    width,
                    ..dims
                };
                let reads = |axis: usize| Reads::Transposed {
                    kernel: shape.kernel[axis],
                    stride: shape.stride[axis],
                    before: shape.padding[axis],
                };
                let taps = shape.kernel[0] * shape.kernel[1] * shape.in_channels;
                let operations = 2 * (taps * shape.out_channels * dims.height * dims.width) as u64;
                let made = traced.work(made, [reads(0), reads(1)], operations);
                Ok(x.with_data(Data::Traced(made)))
            }
        }
    }

    fn on_tensor(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let offset = match &self.bias {
            Some(bias) => Offset::Bias(bias),
            None => Offset::None,
        };
        let convolution = Convolution::Transposed(self.shape);
        gradient::block(x, &self.weight, convolution, offset, &self.activation)
    }

    /// What a fused operation needs of a convolution that has neither bias nor activation.
    pub(super) fn bare(&self) -> Option<(&Tensor, Convolution)> {
        let bare = self.bias.is_none() && matches!(self.activation, Activation::None);
        bare.then_some((&self.weight, Convolution::Transposed(self.shape)))
    }

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
        let conv = engine::ConvTranspose2d::new(
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
