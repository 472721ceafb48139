//! The generator of `CycleGAN`: a picture at a quarter of its size through residual blocks, and back.
//!
//! Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*
//! (2017), arXiv:1703.10593; the architecture is Johnson et al. (2016), arXiv:1603.08155. RGB from
//! −1 to 1 in, `[n, 3, h, w]`; RGB from −1 to 1 out, `[n, 3, h', w']`, `h' = 4·⌈⌈h / 2⌉ / 2⌉`. Keys are
//! those of `ResnetGenerator` in junyanz/pytorch-CycleGAN-and-pix2pix, with either normalisation,
//! trained with or without dropout; running statistics of instance normalisations, which files of
//! PyTorch before 0.4 have, are not used.

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{
    Activation, Conv2d, ConvConfig, ConvNorm, ConvTranspose2d, ConvTransposeConfig,
    ConvTransposeNorm, PadMode, Padding,
};
use fonds_nn::network::{Colors, Interface, Network, Range};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::normalization::{Normalization, count, is_counter, kernel};

/// What distinguishes one generator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels that go in: 3, or 1 for gray.
    pub in_channels: usize,
    /// Channels that come out.
    pub out_channels: usize,
    /// Channels at full size; the blocks have four times as many.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// What follows convolutions.
    pub norm: Normalization,
    /// Whether blocks were trained with dropout, which moves a key.
    pub dropout: bool,
}

impl Config {
    /// The generator of the paper for pictures of 256 × 256: nine blocks, instance normalisation.
    pub fn nine_blocks() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            features: 64,
            blocks: 9,
            norm: Normalization::Instance,
            dropout: false,
        }
    }

    /// The generator of the paper for smaller pictures.
    pub fn six_blocks() -> Self {
        Self {
            blocks: 6,
            ..Self::nine_blocks()
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
                "a CycleGAN generator from {} to {} channels is not known",
                self.in_channels, self.out_channels
            );
            return Err(Error::new(Code::ModelError, message));
        }
        if self.features == 0 {
            let message = "a CycleGAN generator without channels is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 7] = kernel(tensors, "model.1.weight")? else {
            return None;
        };
        kernel(tensors, "model.10.conv_block.1.weight")?;
        let blocks = count(tensors, |n| format!("model.{}.conv_block.1.weight", n + 10));
        let last = format!("model.{}.weight", blocks + 17);
        let [out_channels, _, 7] = kernel(tensors, &last)? else {
            return None;
        };
        // A normalisation at 6 has one dimension, a convolution four.
        let dropout = kernel(tensors, "model.10.conv_block.6.weight").is_some();
        Some(Self {
            in_channels,
            out_channels,
            features,
            blocks,
            norm: Normalization::after("model.1", tensors),
            dropout,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key) || key.ends_with(".running_mean") || key.ends_with(".running_var")
}

/// The network.
#[derive(Debug)]
pub struct CycleGanResNet {
    config: Config,
    /// `model.1`, `model.4`, `model.7`.
    down: [ConvNorm; 3],
    /// `model.10` and on.
    blocks: Vec<Block>,
    up: [ConvTransposeNorm; 2],
    last: Conv2d,
}

impl CycleGanResNet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("model");
        let (features, norm) = (config.features, config.norm);
        let part = |inner, outer, kernel, conv: ConvConfig, index: usize| {
            let conv = Conv2d::new(
                inner,
                outer,
                kernel,
                conv.bias(norm.conv_bias()),
                vb.pp(index),
            )?;
            let norm = norm.build(outer, vb.pp(index + 1))?;
            Ok::<_, Error>(ConvNorm::new(conv, norm, Activation::Relu))
        };
        let halve = ConvConfig::same(3).stride(2);
        let down = [
            part(config.in_channels, features, 7, ConvConfig::valid(), 1)?,
            part(features, 2 * features, 3, halve, 4)?,
            part(2 * features, 4 * features, 3, halve, 7)?,
        ];
        let blocks = (0..config.blocks)
            .map(|block| Block::new(config, &vb.pp(10 + block).pp("conv_block")))
            .collect::<Result<_>>()?;
        let double = ConvTransposeConfig {
            stride: 2,
            padding: 1,
            output_padding: 1,
            bias: norm.conv_bias(),
        };
        let enlarge = |inner, index: usize| {
            let conv = ConvTranspose2d::new(inner, inner / 2, 3, double, vb.pp(index))?;
            let norm = norm.build(inner / 2, vb.pp(index + 1))?;
            Ok::<_, Error>(ConvTransposeNorm::new(conv, norm, Activation::Relu))
        };
        let after = 10 + config.blocks;
        let up = [
            enlarge(4 * features, after)?,
            enlarge(2 * features, after + 3)?,
        ];
        let last = vb.pp(after + 7);
        let last = Conv2d::new(features, config.out_channels, 7, ConvConfig::valid(), last)?;
        Ok(Self {
            config: config.clone(),
            down,
            blocks,
            up,
            last: last.with_activation(Activation::Tanh),
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let what = "the CycleGAN generator";
        load::load(what, tensors, backend, ignore, |vb| Self::new(config, vb))
    }
}

impl Network for CycleGanResNet {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.in_channels {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            input: Range::Signed,
            output: Range::Signed,
            // A quarter of the side has to be mirrored at its edges by one pixel.
            min_side: 5,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, out_channels, h', w']` with `h' = 4·⌈⌈h / 2⌉ / 2⌉`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let [first, second, third] = &self.down;
        let mut y = first.forward(&mirrored(x, 3)?)?;
        y = third.forward(&second.forward(&y)?)?;
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        for up in &self.up {
            y = up.forward(&y)?;
        }
        self.last.forward(&mirrored(&y, 3)?)
    }
}

/// Two convolutions with normalisation, and the input again.
#[derive(Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
}

impl Block {
    fn new(config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let width = 4 * config.features;
        let part = |index: usize, activation| {
            let conv = ConvConfig::valid().bias(config.norm.conv_bias());
            let conv = Conv2d::new(width, width, 3, conv, vb.pp(index))?;
            let norm = config.norm.build(width, vb.pp(index + 1))?;
            Ok::<_, Error>(ConvNorm::new(conv, norm, activation))
        };
        Ok(Self {
            first: part(1, Activation::Relu)?,
            second: part(if config.dropout { 6 } else { 5 }, Activation::None)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.first.forward(&mirrored(x, 1)?)?;
        self.second.forward_add(&mirrored(&y, 1)?, x)
    }
}

fn mirrored(x: &Act, pixels: usize) -> Result<Act> {
    x.pad(Padding::all(pixels), PadMode::Reflection)
}
