//! The generator of pix2pix: a U-Net down to a single pixel and back.
//!
//! Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks* (2017),
//! arXiv:1611.07004. RGB from −1 to 1 in and out, `[n, 3, h, w]`, sides multiples of `2^levels`. Keys
//! are those of `UnetGenerator` in junyanz/pytorch-CycleGAN-and-pix2pix. Its authors made their
//! results with the statistics of the picture itself instead of the running ones
//! ([`BatchNormMode::Batch`]), and with dropout, which makes them depend on chance; here there is
//! dropout in training alone.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::DType;
use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{
    Activation, BatchNormMode, Conv2d, ConvConfig, ConvNorm, ConvTranspose2d, ConvTransposeConfig,
    ConvTransposeNorm, Norm,
};
use fonds_nn::network::{Colors, Interface, Network, Range};
use fonds_nn::train::Chance;
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::normalization::{Normalization, is_counter, kernel};

/// Slope of all leaky activations.
const SLOPE: f32 = 0.2;

/// What distinguishes one generator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels that go in: 3, or 1 for gray.
    pub in_channels: usize,
    /// Channels that come out.
    pub out_channels: usize,
    /// Channels after the first convolution.
    pub features: usize,
    /// How often the size is halved: 8 in `unet_256`, 7 in `unet_128`.
    pub levels: usize,
    /// What follows convolutions.
    pub norm: Normalization,
}

impl Config {
    /// `unet_256`.
    pub fn unet_256() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            features: 64,
            levels: 8,
            norm: Normalization::Batch(BatchNormMode::Running),
        }
    }

    /// `unet_128`.
    pub fn unet_128() -> Self {
        Self {
            levels: 7,
            ..Self::unet_256()
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let known = |channels| matches!(channels, 1 | 3);
        if !known(self.in_channels) || !known(self.out_channels) {
            let message = format!(
                "a pix2pix generator from {} to {} channels is not known",
                self.in_channels, self.out_channels
            );
            return Err(Error::new(Code::ModelError, message));
        }
        if self.features == 0 || !(2..=10).contains(&self.levels) {
            let message = format!(
                "a pix2pix generator of {} channels and {} levels is not known",
                self.features, self.levels
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 4] = kernel(tensors, "model.model.0.weight")? else {
            return None;
        };
        // A transposed convolution, [in, out, k, k].
        let [_, out_channels, 4] = kernel(tensors, "model.model.3.weight")? else {
            return None;
        };
        let below = (1..).take_while(|&level| {
            let key = format!("{}.model.1.weight", prefix(level));
            kernel(tensors, &key).is_some()
        });
        let down = format!("{}.model.1", prefix(1));
        Some(Self {
            in_channels,
            out_channels,
            features,
            levels: 1 + below.count(),
            norm: Normalization::after(&down, tensors),
        })
    }

    /// Channels below a level.
    fn width(&self, level: usize) -> usize {
        self.features * (1 << level).min(8)
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key)
}

/// Where the layers of a level are; 0 is the outermost.
fn prefix(level: usize) -> String {
    match level {
        0 => "model".to_owned(),
        1 => "model.model.1".to_owned(),
        _ => format!("model.model.1{}", ".model.3".repeat(level - 1)),
    }
}

/// The network.
#[derive(Debug)]
pub struct Pix2PixUnet {
    config: Config,
    /// From the outermost level to the innermost.
    down: Vec<ConvNorm>,
    /// From the innermost level to the outermost.
    up: Vec<ConvTransposeNorm>,
    dropout: Option<Dropout>,
}

/// Chance of a training run, shared by the networks that it builds.
pub type Dropout = Arc<Mutex<Chance>>;

impl Pix2PixUnet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let down = (0..config.levels)
            .map(|level| down(config, level, &vb.pp(prefix(level)).pp("model")))
            .collect::<Result<_>>()?;
        let up = (0..config.levels)
            .rev()
            .map(|level| up(config, level, &vb.pp(prefix(level)).pp("model")))
            .collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            down,
            up,
            dropout: None,
        })
    }

    /// The same with half of the values set to zero by chance after the deep enlargements, as the
    /// authors train it; the others are doubled. Only for tensors.
    #[must_use]
    pub fn with_dropout(mut self, chance: &Dropout) -> Self {
        self.dropout = Some(Arc::clone(chance));
        self
    }

    /// What comes up to a level, with dropout where there is any.
    fn dropped(&self, y: Act, level: usize) -> Result<Act> {
        let Some(chance) = &self.dropout else {
            return Ok(y);
        };
        // The levels of full width, but for the innermost.
        if !(4..self.config.levels - 1).contains(&level) {
            return Ok(y);
        }
        let tensor = y.to_tensor()?;
        let mask = {
            let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
            let dims = tensor.dims().to_vec();
            chance.uniform_tensor(dims, (0.0, 1.0), DType::F32, tensor.device())?
        };
        let dropped = || {
            let mask = mask.ge(0.5)?.to_dtype(tensor.dtype())?;
            (&tensor * mask)? * 2.0
        };
        Act::from_tensor(dropped().in_network()?)
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let what = "the pix2pix generator";
        load::load(what, tensors, backend, ignore, |vb| Self::new(config, vb))
    }
}

impl Network for Pix2PixUnet {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.in_channels {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            input: Range::Signed,
            output: Range::Signed,
            min_side: 1 << self.config.levels,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, out_channels, h, w]`; `h` and `w` are multiples of `2^levels`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let multiple = 1 << self.config.levels;
        let dims = x.dims();
        if !dims.height.is_multiple_of(multiple) || !dims.width.is_multiple_of(multiple) {
            let message = format!("{dims} has sides that are no multiples of {multiple}");
            return Err(Error::new(Code::ModelError, message));
        }
        let mut skips = vec![self.down[0].forward(x)?];
        for down in &self.down[1..] {
            let y = down.forward(&skips[skips.len() - 1])?;
            skips.push(y);
        }
        let mut up = self.up.iter();
        let innermost = up.next().expect("there are at least two levels");
        let mut y = innermost.forward(&skips.pop().expect("one for each level"))?;
        let levels = (0..self.config.levels - 1).rev();
        for ((up, skip), level) in up.zip(skips.iter().rev()).zip(levels) {
            // What the level below was fed with had its own activation; a second one is as if
            // there had been only that, since relu(leaky(x)) = relu(x).
            y = up.forward(&Act::cat(&[&skip.relu()?, &y])?)?;
            y = self.dropped(y, level)?;
        }
        Ok(y)
    }
}

/// The convolution of a level, with the activation that the next one begins with.
fn down(config: &Config, level: usize, vb: &VarBuilder<'_>) -> Result<ConvNorm> {
    let (outermost, innermost) = (level == 0, level + 1 == config.levels);
    let inner = if outermost {
        config.in_channels
    } else {
        config.width(level - 1)
    };
    let outer = config.width(level);
    let bias = config.norm.conv_bias();
    let halve = ConvConfig::valid().stride(2).padding(1).bias(bias);
    let index = usize::from(!outermost);
    let conv = Conv2d::new(inner, outer, 4, halve, vb.pp(index))?;
    let norm = if outermost || innermost {
        Norm::None
    } else {
        config.norm.build(outer, vb.pp(2))?
    };
    let activation = if innermost {
        Activation::Relu
    } else {
        Activation::LeakyRelu(SLOPE)
    };
    Ok(ConvNorm::new(conv, norm, activation))
}

/// The transposed convolution of a level, with the activation that follows in the one above.
fn up(config: &Config, level: usize, vb: &VarBuilder<'_>) -> Result<ConvTransposeNorm> {
    let (outermost, innermost) = (level == 0, level + 1 == config.levels);
    let inner = if innermost {
        config.width(level)
    } else {
        2 * config.width(level)
    };
    let outer = if outermost {
        config.out_channels
    } else {
        config.width(level - 1)
    };
    let double = ConvTransposeConfig {
        stride: 2,
        padding: 1,
        output_padding: 0,
        bias: outermost || config.norm.conv_bias(),
    };
    let index = if outermost || innermost { 3 } else { 5 };
    let conv = ConvTranspose2d::new(inner, outer, 4, double, vb.pp(index))?;
    if outermost {
        return Ok(ConvTransposeNorm::new(conv, Norm::None, Activation::Tanh));
    }
    let norm = config.norm.build(outer, vb.pp(index + 1))?;
    Ok(ConvTransposeNorm::new(conv, norm, Activation::Relu))
}
