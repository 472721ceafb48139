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
        let get =
            |shape: &[usize], name: &str, hint| vb.get_with_hints(shape, name, hint).in_network();
        let kaiming = candle_nn::init::DEFAULT_KAIMING_NORMAL;
        let weight_orig = vb
            .get_with_hints(dims, "weight_orig", kaiming)
            .in_network()?;
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
            // In the numbers of the vectors: they stay in 32 bits where weights have fewer.
            let matrix = self.weight_orig.to_dtype(self.weight_v.dtype())?;
            let matrix = matrix.flatten_from(1)?;
            // Copies: a step of power iteration between this forward and its backward changes the
            // vectors in place.
            let column = self.weight_v.detach().copy()?.unsqueeze(1)?;
            let product = matrix.matmul(&column)?.squeeze(1)?;
            (product * self.weight_u.detach().copy()?)?.sum_all()
        };
        sigma().in_network()
    }

    /// The weights that are used, `[out, in, k, k]`.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn weight(&self) -> Result<Tensor> {
        let sigma = self.sigma()?;
        let sigma = sigma.to_dtype(self.weight_orig.dtype()).in_network()?;
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{DType, Device, Var};

    use super::*;

    /// A convolution of 2 to 3 channels by these values, in 64 bits.
    fn conv(values: &[f64]) -> (SpectralConv2d, Var) {
        let device = Device::Cpu;
        let weight = Tensor::from_slice(values, (3, 2, 1, 2), &device).unwrap();
        // Two columns make a kernel of 2 × 2 with zeros below.
        let weight = weight.pad_with_zeros(2, 0, 1).unwrap();
        let weight = Var::from_tensor(&weight).unwrap();
        let u = Tensor::new(&[0.6, -0.5, 0.3], &device).unwrap();
        let v = Tensor::arange(1.0, 9.0, &device).unwrap();
        let v = v.affine(0.1, -0.3).unwrap();
        let tensors = HashMap::from([
            ("weight_orig".to_owned(), weight.as_tensor().clone()),
            ("weight_u".to_owned(), u),
            ("weight_v".to_owned(), v),
        ]);
        let vb = VarBuilder::from_tensors(tensors, DType::F64, &device);
        let config = ConvConfig::valid().bias(false);
        (SpectralConv2d::new(2, 3, 2, config, vb).unwrap(), weight)
    }

    /// The sum of the weights in use, each times another factor.
    fn sum(conv: &SpectralConv2d) -> Tensor {
        let factors = Tensor::arange(1.0, 25.0, &Device::Cpu).unwrap();
        let factors = factors.reshape((3, 2, 2, 2)).unwrap();
        (conv.weight().unwrap() * factors)
            .unwrap()
            .sum_all()
            .unwrap()
    }

    #[test]
    fn gradients_pass_through_the_division_by_sigma() {
        let values = [
            0.5, -0.2, 0.8, 0.1, -0.7, 0.4, 0.3, 0.9, -0.6, 0.2, -0.1, 0.35,
        ];
        let (layer, weight) = conv(&values);
        let gradients = sum(&layer).backward().unwrap();
        let gradient = gradients.get(&weight).unwrap();
        let value = |values: &[f64]| sum(&conv(values).0).to_scalar::<f64>().unwrap();
        for (place, _) in values.iter().enumerate() {
            let moved = |by: f64| {
                let mut values = values;
                values[place] += by;
                value(&values)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let (row, rest) = (place / 4, place % 4);
            let index = row * 8 + rest / 2 * 4 + rest % 2;
            let found = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap()[index];
            let error = (found - expected).abs();
            assert!(
                error <= 1e-6 * expected.abs().max(1.0),
                "{found} and {expected}"
            );
        }
    }

    #[test]
    fn sigma_is_the_product_with_the_stored_vectors() {
        let values = [1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0];
        let sigma = conv(&values).0.sigma().unwrap().to_scalar::<f64>().unwrap();
        // v = −0.2, −0.1, 0, 0.1, 0.2, …: u₀·v₀·1 + u₁·v₁·2 + u₂·v₅·4.
        assert!((sigma - (0.6 * -0.2 + -0.5 * -0.1 * 2.0 + 0.3 * 0.3 * 4.0)).abs() < 1e-12);
    }
}
