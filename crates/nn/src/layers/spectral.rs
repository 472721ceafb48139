//! Convolution with spectral normalisation: weights divided by their largest singular value.
//!
//! Miyato et al., *Spectral Normalization for Generative Adversarial Networks* (2018),
//! arXiv:1802.05957. Keys and formula of `torch.nn.utils.spectral_norm`.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use candle_nn::VarBuilder;
use fonds_core::Result;

use super::{Activation, Conv2d, ConvConfig};
use crate::act::{Act, Data};
use crate::engine::ConvShape;
use crate::error::TensorResult;

/// A convolution with weights `W / σ`, where `σ = uᵀ W v` with the stored singular vectors and `W`
/// as a matrix `[out, in · k · k]`. Keys: `weight_orig` `[out, in, k, k]`, `weight_u` `[out]`,
/// `weight_v` `[in · k · k]`, and `bias` `[out]`.
///
/// On tensors the division is part of the forward, so that gradients reach `weight_orig` through
/// `σ`; `u` and `v` are constants to them, as in PyTorch. On the CPU engine it is done once.
#[derive(Debug)]
pub struct SpectralConv2d {
    weight_orig: Tensor,
    weight_u: Tensor,
    weight_v: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
    shape: ConvShape,
    divided: Mutex<Option<Arc<Conv2d>>>,
}

impl SpectralConv2d {
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
        let inner = in_channels / groups * kernel * kernel;
        let dims = (out_channels, in_channels / groups, kernel, kernel);
        let get = |shape: &[usize], name: &str, hint| {
            vb.get_with_hints(shape, name, hint).in_network()
        };
        let kaiming = candle_nn::init::DEFAULT_KAIMING_NORMAL;
        let weight_orig = vb.get_with_hints(dims, "weight_orig", kaiming).in_network()?;
        let unit = |len: usize| candle_nn::Init::Const(1.0 / (len as f64).sqrt());
        let weight_u = get(&[out_channels], "weight_u", unit(out_channels))?;
        let weight_v = get(&[inner], "weight_v", unit(inner))?;
        let bias = if bias {
            let bound = 1.0 / (inner as f64).sqrt();
            let hint = candle_nn::Init::Uniform {
                lo: -bound,
                up: bound,
            };
            Some(get(&[out_channels], "bias", hint)?)
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
        Ok(Self {
            weight_orig,
            weight_u,
            weight_v,
            bias,
            activation: Activation::None,
            shape,
            divided: Mutex::new(None),
        })
    }

    /// The same, followed by this activation.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// `σ`, a single number.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn sigma(&self) -> Result<Tensor> {
        let sigma = || {
            let matrix = self.weight_orig.flatten_from(1)?;
            let column = self.weight_v.detach().unsqueeze(1)?;
            let product = matrix.matmul(&column)?.squeeze(1)?;
            (product * self.weight_u.detach())?.sum_all()
        };
        sigma().in_network()
    }

    /// The weights that are used, `[out, in, k, k]`.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn weight(&self) -> Result<Tensor> {
        let sigma = self.sigma()?;
        self.weight_orig.broadcast_div(&sigma).in_network()
    }

    /// The convolution and its activation; shapes as in [`Conv2d::forward`].
    ///
    /// # Errors
    /// As [`Conv2d::forward`].
    pub fn forward(&self, x: &Act) -> Result<Act> {
        self.conv(x)?.forward(x)
    }

    /// `activation(conv(x)) · scale + residual`.
    ///
    /// # Errors
    /// As [`Conv2d::forward_add`].
    pub fn forward_add(&self, x: &Act, scale: f32, residual: &Act) -> Result<Act> {
        self.conv(x)?.forward_add(x, scale, residual)
    }

    /// The convolution for an activation of this kind.
    fn conv(&self, x: &Act) -> Result<Arc<Conv2d>> {
        let make = || {
            let conv = Conv2d::from_parts(self.weight()?, self.bias.clone(), self.shape);
            Ok(Arc::new(conv.with_activation(self.activation.clone())))
        };
        let Data::Engine(..) = &x.data else {
            return make();
        };
        let mut divided = self.divided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(conv) = divided.as_ref() {
            return Ok(Arc::clone(conv));
        }
        let conv = make()?;
        *divided = Some(Arc::clone(&conv));
        Ok(conv)
    }
}
