//! A discriminator that judges every pixel by itself.
//!
//! Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks* (2017),
//! arXiv:1611.07004, there `PixelGAN`. Channels from −1 to 1 in, `[n, c, h, w]`; one unbounded value
//! for each pixel out, `[n, 1, h, w]`. Keys are those of `PixelDiscriminator` in
//! junyanz/pytorch-CycleGAN-and-pix2pix.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, ConvNorm};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::noise::{Discriminator, expect_condition};
use super::normalization::{Normalization, kernel};

pub use super::cyclegan_resnet::ignore;

/// Slope of all leaky activations.
const SLOPE: f32 = 0.2;

/// What distinguishes one discriminator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels that go in.
    pub in_channels: usize,
    /// Channels after the first convolution.
    pub features: usize,
    /// What follows the second convolution.
    pub norm: Normalization,
}

impl Config {
    /// For one picture, with this normalisation.
    pub fn picture(norm: Normalization) -> Self {
        Self {
            in_channels: 3,
            features: 64,
            norm,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.in_channels == 0 || self.features == 0 {
            let message = format!(
                "a pixel discriminator from {} to {} channels is empty",
                self.in_channels, self.features
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 1] = kernel(tensors, "net.0.weight")? else {
            return None;
        };
        kernel(tensors, "net.2.weight")?;
        let [1, _, 1] = kernel(tensors, "net.5.weight")? else {
            return None;
        };
        Some(Self {
            in_channels,
            features,
            norm: Normalization::after("net.2", tensors),
        })
    }
}

/// The network.
#[derive(Debug)]
pub struct PixelDiscriminator {
    first: Conv2d,
    second: ConvNorm,
    last: Conv2d,
}

impl PixelDiscriminator {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("net");
        let features = config.features;
        let leaky = Activation::LeakyRelu(SLOPE);
        let plain = ConvConfig::valid();
        let biased = plain.bias(config.norm.conv_bias());
        let first = Conv2d::new(config.in_channels, features, 1, plain, vb.pp(0))?;
        let second = Conv2d::new(features, 2 * features, 1, biased, vb.pp(2))?;
        let norm = config.norm.build(2 * features, vb.pp(3))?;
        Ok(Self {
            first: first.with_activation(leaky.clone()),
            second: ConvNorm::new(second, norm, leaky),
            last: Conv2d::new(2 * features, 1, 1, biased, vb.pp(5))?,
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let what = "the pixel discriminator";
        load::load(what, tensors, backend, ignore, |vb| Self::new(config, vb))
    }

    /// How real each pixel looks; there is no sigmoid at the end.
    ///
    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, 1, h, w]`.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.second.forward(&self.first.forward(x)?)?;
        self.last.forward(&y)
    }
}

impl Discriminator for PixelDiscriminator {
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        expect_condition(0, condition.map(|tensor| tensor.dims()[1]))?;
        self.forward(&Act::from_tensor(pictures.clone())?)?
            .to_tensor()
    }
}
