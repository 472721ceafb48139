//! `SRResNet`: enlargement by residual blocks with batch normalisation, the generator of SRGAN.
//!
//! Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
//! Network* (2017), arXiv:1609.04802. RGB from 0 to 1 in, `[n, 3, h, w]`; RGB from 0 to 1 out,
//! `[n, 3, s·h, s·w]`. Keys are those of leftthomas/SRGAN, in both of its forms: the checkpoint it
//! publishes has an activation at `block7.1`, its later code a normalisation.

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Activation, BatchNormMode, Conv2d, ConvConfig, ConvNorm, Norm};
use fonds_nn::network::{Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::normalization::{Normalization, count, is_counter, kernel};

/// What distinguishes one `SRResNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels between blocks.
    pub features: usize,
    /// Enlargements to twice the size.
    pub doublings: usize,
    /// What stands at `block7.1`.
    pub tail: Tail,
}

/// What follows the convolution after the residual blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// An activation with a learned slope, as in the published checkpoint.
    PRelu,
    /// A batch normalisation, as in the paper.
    BatchNorm,
}

/// Residual blocks, `block2` to `block6`.
const BLOCKS: usize = 5;

impl Config {
    /// The published checkpoint, ×4.
    pub fn x4() -> Self {
        Self {
            features: 64,
            doublings: 2,
            tail: Tail::PRelu,
        }
    }

    /// Output pixels for one input pixel, along each side.
    pub fn scale(&self) -> usize {
        1 << self.doublings
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.features == 0 || !(1..=3).contains(&self.doublings) {
            let message = format!(
                "an SRResNet of {} channels that doubles {} times is not known",
                self.features, self.doublings
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, 9] = kernel(tensors, "block1.0.weight")? else {
            return None;
        };
        kernel(tensors, "block2.conv1.weight")?;
        let tail = if tensors.contains("block7.1.running_mean") {
            Tail::BatchNorm
        } else {
            Tail::PRelu
        };
        Some(Self {
            features,
            doublings: count(tensors, |n| format!("block8.{n}.conv.weight")),
            tail,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key)
}

/// The network.
#[derive(Debug)]
pub struct SrResNet {
    /// With its activation, `block1.1`.
    block1: Conv2d,
    /// `block2` to `block6`.
    blocks: Vec<Residual>,
    block7: ConvNorm,
    /// `block8.0` and on, with their activations, before the pixels are shuffled.
    doublings: Vec<Conv2d>,
    last: Conv2d,
}

impl SrResNet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        Self::with_statistics(config, BatchNormMode::Running, vb)
    }

    /// The network with these statistics in its normalisations; in training they are
    /// [`BatchNormMode::Train`].
    ///
    /// # Errors
    /// As [`SrResNet::new`].
    pub fn with_statistics(
        config: &Config,
        mode: BatchNormMode,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let head = Conv2d::new(3, features, 9, ConvConfig::same(9), vb.pp("block1.0"))?;
        let blocks = (2..2 + BLOCKS)
            .map(|block| Residual::new(features, mode, &vb.pp(format!("block{block}"))))
            .collect::<Result<_>>()?;
        let block7 = conv(features, features, vb.pp("block7.0"))?;
        let block7 = match config.tail {
            Tail::PRelu => {
                let activation = Activation::prelu(1, &vb.pp("block7.1"))?;
                ConvNorm::new(block7, Norm::None, activation)
            }
            Tail::BatchNorm => {
                let norm = norm(features, mode, vb.pp("block7.1"))?;
                ConvNorm::new(block7, norm, Activation::None)
            }
        };
        let block8 = vb.pp("block8");
        let doublings = (0..config.doublings)
            .map(|n| {
                let vb = block8.pp(n);
                let conv = conv(features, 4 * features, vb.pp("conv"))?;
                // One slope for all channels: the order of activation and shuffle does not matter.
                Ok(conv.with_activation(Activation::prelu(1, &vb.pp("prelu"))?))
            })
            .collect::<Result<_>>()?;
        let last = block8.pp(config.doublings);
        let last = Conv2d::new(features, 3, 9, ConvConfig::same(9), last)?;
        Ok(Self {
            block1: head.with_activation(Activation::prelu(1, &vb.pp("block1.1"))?),
            blocks,
            block7,
            doublings,
            last: last.with_activation(Activation::Tanh),
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        load::load("SRResNet", tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }
}

impl Network for SrResNet {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let first = self.block1.forward(x)?;
        let mut y = first.clone();
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        y = self.block7.forward_add(&y, &first)?;
        for conv in &self.doublings {
            y = conv.forward(&y)?.pixel_shuffle(2)?;
        }
        self.last.forward(&y)?.affine(0.5, 0.5)
    }
}

/// Convolution, normalisation, activation; convolution, normalisation; and the input again.
#[derive(Debug)]
struct Residual {
    first: ConvNorm,
    second: ConvNorm,
}

impl Residual {
    fn new(features: usize, mode: BatchNormMode, vb: &VarBuilder<'_>) -> Result<Self> {
        let part = |n: usize, activation| {
            let conv = conv(features, features, vb.pp(format!("conv{n}")))?;
            let norm = norm(features, mode, vb.pp(format!("bn{n}")))?;
            Ok::<_, Error>(ConvNorm::new(conv, norm, activation))
        };
        Ok(Self {
            first: part(1, Activation::prelu(1, &vb.pp("prelu"))?)?,
            second: part(2, Activation::None)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.second.forward_add(&self.first.forward(x)?, x)
    }
}

fn conv(inner: usize, outer: usize, vb: VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb)
}

fn norm(channels: usize, mode: BatchNormMode, vb: VarBuilder<'_>) -> Result<Norm> {
    Normalization::Batch(mode).build(channels, vb)
}
