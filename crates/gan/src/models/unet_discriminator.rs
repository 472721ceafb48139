//! The discriminator of Real-ESRGAN: a U-Net with spectral normalisation that judges every pixel.
//!
//! Wang et al., *Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data*
//! (2021), arXiv:2107.10833. RGB from 0 to 1 in, `[n, 3, h, w]`, sides multiples of 8; one unbounded
//! value for each pixel out, `[n, 1, h, w]`. Keys are those of `UNetDiscriminatorSN`.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, SpectralConv2d};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::noise::{Discriminator, expect_condition};
use super::normalization::kernel;

/// Slope of all leaky activations.
const SLOPE: f32 = 0.2;
/// Sides are halved three times.
const MULTIPLE: usize = 8;

/// What distinguishes one discriminator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels that go in.
    pub in_channels: usize,
    /// Channels at full size.
    pub features: usize,
}

impl Config {
    /// The discriminator of `RealESRGAN_x4plus`.
    pub fn real_esrgan() -> Self {
        Self {
            in_channels: 3,
            features: 64,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.in_channels == 0 || self.features == 0 {
            let message = format!(
                "a U-Net discriminator from {} to {} channels is empty",
                self.in_channels, self.features
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 3] = kernel(tensors, "conv0.weight")? else {
            return None;
        };
        kernel(tensors, "conv1.weight_orig")?;
        kernel(tensors, "conv9.weight")?;
        Some(Self {
            in_channels,
            features,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct UnetDiscriminator {
    conv0: Conv2d,
    /// `conv1` to `conv3`.
    down: Vec<SpectralConv2d>,
    /// `conv4` to `conv6`.
    up: Vec<SpectralConv2d>,
    conv7: SpectralConv2d,
    conv8: SpectralConv2d,
    conv9: Conv2d,
}

impl UnetDiscriminator {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let leaky = Activation::LeakyRelu(SLOPE);
        let spectral = |inner, outer, kernel, conv: ConvConfig, n: usize| {
            let vb = vb.pp(format!("conv{n}"));
            let conv = SpectralConv2d::new(inner, outer, kernel, conv.bias(false), vb)?;
            Ok::<_, Error>(conv.with_activation(leaky.clone()))
        };
        let halve = ConvConfig::valid().stride(2).padding(1);
        let same = ConvConfig::same(3);
        let conv0 = Conv2d::new(config.in_channels, features, 3, same, vb.pp("conv0"))?;
        let down = (1..=3)
            .map(|n| spectral(features << (n - 1), features << n, 4, halve, n))
            .collect::<Result<_>>()?;
        let up = (4..=6)
            .map(|n| spectral(features << (7 - n), features << (6 - n), 3, same, n))
            .collect::<Result<_>>()?;
        Ok(Self {
            conv0: conv0.with_activation(leaky.clone()),
            down,
            up,
            conv7: spectral(features, features, 3, same, 7)?,
            conv8: spectral(features, features, 3, same, 8)?,
            conv9: Conv2d::new(features, 1, 3, same, vb.pp("conv9"))?,
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let what = "the U-Net discriminator";
        load::load(what, tensors, backend, ignore, |vb| Self::new(config, vb))
    }

    /// How real each pixel looks; there is no sigmoid at the end.
    ///
    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, 1, h, w]`; `h` and `w` are multiples of 8.
    ///
    /// # Errors
    /// `oom` when there is no memory, `model_error` when a side is no multiple of 8.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        let dims = x.dims();
        if !dims.height.is_multiple_of(MULTIPLE) || !dims.width.is_multiple_of(MULTIPLE) {
            let message = format!("{dims} has sides that are no multiples of {MULTIPLE}");
            return Err(Error::new(Code::ModelError, message));
        }
        let mut y = self.conv0.forward(x)?;
        let mut skips = Vec::new();
        for conv in &self.down {
            let smaller = conv.forward(&y)?;
            skips.push(y);
            y = smaller;
        }
        for (conv, skip) in self.up.iter().zip(skips.iter().rev()) {
            y = conv.forward_add(&y.upsample_bilinear(2, false)?, 1.0, skip)?;
        }
        y = self.conv8.forward(&self.conv7.forward(&y)?)?;
        self.conv9.forward(&y)
    }
}

impl Discriminator for UnetDiscriminator {
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        expect_condition(0, condition.map(|tensor| tensor.dims()[1]))?;
        self.forward(&Act::from_tensor(pictures.clone())?)?
            .to_tensor()
    }
}
