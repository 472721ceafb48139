//! `PatchGAN`: a discriminator that judges overlapping patches of a picture, 70 × 70 pixels each
//! with three layers.
//!
//! Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks* (2017),
//! arXiv:1611.07004. Channels from −1 to 1 in, `[n, c, h, w]` (6 channels for a pair of pictures);
//! one unbounded value for each patch out, `[n, 1, h', w']`. Keys are those of
//! `NLayerDiscriminator` in junyanz/pytorch-CycleGAN-and-pix2pix.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, ConvNorm};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::noise::{Discriminator, expect_condition};
use super::normalization::{Normalization, count, kernel};

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
    /// Convolutions that halve the size.
    pub layers: usize,
    /// What follows convolutions.
    pub norm: Normalization,
}

impl Config {
    /// Patches of 70 × 70 pixels of one picture, with instance normalisation, as in `CycleGAN`.
    pub fn picture() -> Self {
        Self {
            in_channels: 3,
            features: 64,
            layers: 3,
            norm: Normalization::Instance,
        }
    }

    /// Patches of 70 × 70 pixels of a pair of pictures, with this normalisation, as in pix2pix.
    pub fn pair(norm: Normalization) -> Self {
        Self {
            in_channels: 6,
            norm,
            ..Self::picture()
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.in_channels == 0 || self.features == 0 || !(1..=8).contains(&self.layers) {
            let message = format!(
                "a PatchGAN of {} layers from {} to {} channels is not known",
                self.layers, self.in_channels, self.features
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 4] = kernel(tensors, "model.0.weight")? else {
            return None;
        };
        let layers = count(tensors, |n| format!("model.{}.weight", 3 * n + 2));
        let layers = layers.checked_sub(1)?;
        let [1, _, 4] = kernel(tensors, &format!("model.{}.weight", 3 * layers + 2))? else {
            return None;
        };
        Some(Self {
            in_channels,
            features,
            layers,
            norm: Normalization::after("model.2", tensors),
        })
    }
}

/// The network.
#[derive(Debug)]
pub struct PatchGan {
    first: Conv2d,
    middle: Vec<ConvNorm>,
    last: Conv2d,
}

impl PatchGan {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("model");
        let keep = ConvConfig::valid().padding(1);
        let halve = keep.stride(2);
        let width = |layer: usize| config.features * (1 << layer.min(3));
        let first = Conv2d::new(config.in_channels, width(0), 4, halve, vb.pp(0))?;
        let middle = (1..=config.layers)
            .map(|layer| {
                let stride = if layer == config.layers { keep } else { halve };
                let stride = stride.bias(config.norm.conv_bias());
                let index = 3 * layer - 1;
                let conv = Conv2d::new(width(layer - 1), width(layer), 4, stride, vb.pp(index))?;
                let norm = config.norm.build(width(layer), vb.pp(index + 1))?;
                Ok(ConvNorm::new(conv, norm, Activation::LeakyRelu(SLOPE)))
            })
            .collect::<Result<_>>()?;
        let last = vb.pp(3 * config.layers + 2);
        Ok(Self {
            first: first.with_activation(Activation::LeakyRelu(SLOPE)),
            middle,
            last: Conv2d::new(width(config.layers), 1, 4, keep, last)?,
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        load::load("PatchGAN", tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }

    /// How real each patch looks; there is no sigmoid at the end.
    ///
    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, 1, h', w']`; with three layers `h' = ⌊h / 8⌋ − 2`.
    ///
    /// # Errors
    /// `oom` when there is no memory, `internal` when a picture is too small.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = self.first.forward(x)?;
        for layer in &self.middle {
            y = layer.forward(&y)?;
        }
        self.last.forward(&y)
    }
}

impl Discriminator for PatchGan {
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        expect_condition(0, condition.map(|tensor| tensor.dims()[1]))?;
        self.forward(&Act::from_tensor(pictures.clone())?)?
            .to_tensor()
    }
}
