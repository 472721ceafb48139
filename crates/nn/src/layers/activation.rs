//! What a neuron does to its sum.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use fonds_core::Result;

use crate::act::Act;
use crate::engine;
use crate::error::TensorResult;
use crate::gradient;

/// A function of each value.
#[derive(Debug, Clone, Default)]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// max(x, 0).
    Relu,
    /// x where positive, else x times this slope.
    LeakyRelu(f32),
    /// x where positive, else x times a learned slope: one for each channel, or one for all.
    PRelu(Tensor),
    /// The hyperbolic tangent.
    Tanh,
    /// The logistic function.
    Sigmoid,
}

impl Activation {
    /// A learned slope for negative values, at `weight`: `slopes` is the number of channels or 1.
    ///
    /// # Errors
    /// `model_error` when the key is missing or has another shape.
    pub fn prelu(slopes: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let hint = candle_nn::Init::Const(0.25);
        let weight = vb.get_with_hints(slopes, "weight", hint).in_network()?;
        Ok(Self::PRelu(weight))
    }

    /// The function on a tensor `[batch, channels, height, width]`.
    pub(crate) fn on_tensor(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Relu => gradient::leaky_relu(x, 0.0),
            Self::LeakyRelu(slope) => gradient::leaky_relu(x, as_written(*slope)),
            Self::PRelu(slopes) => gradient::prelu(x, slopes),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => candle_nn::ops::sigmoid(x),
        }
    }

    /// The function as the engine fuses it.
    pub(crate) fn for_engine(&self) -> Result<engine::Activation> {
        Ok(match self {
            Self::None => engine::Activation::None,
            Self::Relu => engine::Activation::Relu,
            Self::LeakyRelu(slope) => engine::Activation::LeakyRelu(*slope),
            Self::PRelu(slopes) => engine::Activation::PRelu(slopes.to_vec1().in_network()?),
            Self::Tanh => engine::Activation::Tanh,
            Self::Sigmoid => engine::Activation::Sigmoid,
        })
    }
}

/// The number that a slope was written as: 0.2, where its 32 bits alone say 0.200000003. What is
/// computed in 64 bits shall not depend on them.
fn as_written(slope: f32) -> f64 {
    slope.to_string().parse().unwrap_or(f64::from(slope))
}

impl Act {
    /// A function of each value.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn activate(&self, activation: &Activation) -> Result<Self> {
        if let Activation::None = activation {
            return Ok(self.clone());
        }
        self.pointwise(
            |tensor| activation.on_tensor(tensor),
            |engine, buffer| engine.activate(buffer, &activation.for_engine()?),
        )
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn relu(&self) -> Result<Self> {
        self.activate(&Activation::Relu)
    }
}
