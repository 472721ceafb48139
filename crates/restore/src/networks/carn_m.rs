//! CARN-M: enlargement by blocks that share weights and pass everything on, with few operations.
//!
//! Ahn et al., *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*
//! (2018), arXiv:1803.08664. RGB from 0 to 1 in, `[n, 3, h, w]`; RGB from 0 to 1 out, not clamped,
//! `[n, 3, s·h, s·w]`. Keys are those of nmhkahn/CARN-pytorch. One file has a head for each of the
//! factors 2, 3 and 4; a network uses one of them.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::network::{Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::kernel;

/// What distinguishes one CARN-M from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels between convolutions.
    pub features: usize,
    /// Groups of channels that a block's convolutions keep apart.
    pub groups: usize,
    /// Output pixels for one input pixel, along each side: which head is used.
    pub scale: usize,
}

/// Factors that there may be a head for, the largest first.
const SCALES: [usize; 3] = [4, 3, 2];

impl Config {
    /// The published network.
    pub fn published(scale: usize) -> Self {
        Self {
            features: 64,
            groups: 4,
            scale,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self {
            features,
            groups,
            scale,
        } = self;
        if *groups == 0 || !features.is_multiple_of(*groups) || !SCALES.contains(scale) {
            let message = format!(
                "a CARN-M of {features} channels in {groups} groups that enlarges {scale} times \
                 is not known"
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// Factors of the pixel shuffles that enlarge.
    fn steps(&self) -> &'static [usize] {
        match self.scale {
            2 => &[2],
            3 => &[3],
            _ => &[2, 2],
        }
    }

    /// The configuration that a checkpoint's keys and shapes show, with its head for the largest
    /// factor.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, 3] = kernel(tensors, "entry.weight")? else {
            return None;
        };
        kernel(tensors, "sub_mean.shifter.weight")?;
        let [_, inner, 3] = kernel(tensors, "b1.b1.body.0.weight")? else {
            return None;
        };
        Some(Self {
            features,
            groups: features.checked_div(inner)?,
            scale: *heads(tensors).first()?,
        })
    }
}

/// The factors that a checkpoint has heads for, the largest first.
pub fn heads(tensors: &Tensors) -> Vec<usize> {
    let has = |scale: &usize| tensors.contains(&format!("upsample.up{scale}.body.0.weight"));
    SCALES.into_iter().filter(has).collect()
}

/// Whether a checkpoint may have this key although the network does not need it: those of the
/// other heads.
pub fn ignore(key: &str) -> bool {
    key.starts_with("upsample.")
}

/// The network.
#[derive(Debug)]
pub struct CarnM {
    sub_mean: Conv2d,
    entry: Conv2d,
    blocks: [Block; 3],
    merges: Merges,
    /// Convolutions of the head with the factor of the pixel shuffle after each.
    upsample: Vec<(Conv2d, usize)>,
    exit: Conv2d,
    add_mean: Conv2d,
}

impl CarnM {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let Config {
            features,
            groups,
            scale,
        } = *config;
        let shifter =
            |name: &str| Conv2d::new(3, 3, 1, ConvConfig::same(1), vb.pp(name).pp("shifter"));
        let head = vb.pp("upsample").pp(format!("up{scale}")).pp("body");
        let upsample = (config.steps().iter().enumerate())
            .map(|(index, &step)| {
                // Each convolution is followed by a ReLU and a shuffle in the list of the head.
                let conv = ConvConfig::same(3).groups(groups);
                let outer = features * step * step;
                let conv = Conv2d::new(features, outer, 3, conv, head.pp(3 * index))?;
                Ok((conv.with_activation(Activation::Relu), step))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            sub_mean: shifter("sub_mean")?,
            entry: Conv2d::new(3, features, 3, ConvConfig::same(3), vb.pp("entry"))?,
            blocks: [
                Block::new(config, &vb.pp("b1"))?,
                Block::new(config, &vb.pp("b2"))?,
                Block::new(config, &vb.pp("b3"))?,
            ],
            merges: Merges::new(features, &vb)?,
            upsample,
            exit: Conv2d::new(features, 3, 3, ConvConfig::same(3), vb.pp("exit"))?,
            add_mean: shifter("add_mean")?,
        })
    }
}

impl Network for CarnM {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let first = self.entry.forward(&self.sub_mean.forward(x)?)?;
        let mut y = self
            .merges
            .cascade(&first, |step, y| self.blocks[step].forward(y))?;
        for (conv, step) in &self.upsample {
            y = conv.forward(&y)?.pixel_shuffle(*step)?;
        }
        self.add_mean.forward(&self.exit.forward(&y)?)
    }
}

/// A cascade of one residual block that is used three times.
#[derive(Debug)]
struct Block {
    b1: Residual,
    merges: Merges,
}

impl Block {
    fn new(config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            b1: Residual::new(config, &vb.pp("b1").pp("body"))?,
            merges: Merges::new(config.features, vb)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.merges.cascade(x, |_, y| self.b1.forward(y))
    }
}

/// Two convolutions in groups, one across them; the input again, and `ReLU`.
#[derive(Debug)]
struct Residual {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
}

impl Residual {
    fn new(config: &Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let features = config.features;
        let part = |kernel: usize, groups: usize, index: usize| {
            let conv = ConvConfig::same(kernel).groups(groups);
            let conv = Conv2d::new(features, features, kernel, conv, vb.pp(index))?;
            Ok::<_, Error>(conv.with_activation(Activation::Relu))
        };
        Ok(Self {
            first: part(3, config.groups, 0)?,
            second: part(3, config.groups, 2)?,
            third: part(1, 1, 4)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.second.forward(&self.first.forward(x)?)?;
        self.third.forward_add_before(&y, x)
    }
}

/// `c1` to `c3`: what was seen so far, brought back to the width of one activation.
#[derive(Debug)]
struct Merges([Conv2d; 3]);

impl Merges {
    fn new(features: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let merge = |number: usize| {
            let vb = vb.pp(format!("c{number}")).pp("body").pp(0);
            let conv = Conv2d::new(
                (number + 1) * features,
                features,
                1,
                ConvConfig::same(1),
                vb,
            )?;
            Ok::<_, Error>(conv.with_activation(Activation::Relu))
        };
        Ok(Self([merge(1)?, merge(2)?, merge(3)?]))
    }

    /// Three blocks; after each, everything so far goes into the next.
    fn cascade(&self, x: &Act, block: impl Fn(usize, &Act) -> Result<Act>) -> Result<Act> {
        // [n, features, h, w], growing by as many channels with each block.
        let mut seen = x.clone();
        let mut y = x.clone();
        for (step, merge) in self.0.iter().enumerate() {
            seen = Act::cat(&[&seen, &block(step, &y)?])?;
            y = merge.forward(&seen)?;
        }
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        for scale in [2, 3, 4] {
            let config = Config {
                features: 16,
                groups: 2,
                scale,
            };
            let trial = Trial::new(|vb| CarnM::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            assert_eq!(trial.output([2, 3, 9, 7]), [2, 3, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 3, 6, 10]);
        }
    }

    #[test]
    fn its_receptive_field_is_that_of_its_layers() {
        // Nine residual blocks of two convolutions, `entry`, the head and `exit`.
        let geometry = geometry(|vb| CarnM::new(&Config::published(4), vb));
        assert_eq!((geometry.halo, geometry.scale), (Some(21), (4, 1)));
    }

    #[test]
    fn other_heads_may_be_in_the_file() {
        assert!(ignore("upsample.up3.body.0.weight"));
        assert!(!ignore("entry.weight"));
    }
}
