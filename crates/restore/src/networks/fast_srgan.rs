//! Fast-SRGAN: enlargement by residual blocks with instance normalisation.
//!
//! HasnainRaz/Fast-SRGAN (2020, weights of 2024), after Ledig et al. (2017), arXiv:1609.04802. RGB
//! from −1 to 1 in, `[n, 3, h, w]`; RGB from −1 to 1 out, `[n, 3, 4·h, 4·w]`. Keys are those of the
//! repository, without the `_orig_mod.` that a compiled module puts before them. The normalisations
//! have no keys.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, ConvNorm, InstanceNorm2d, Norm};
use fonds_nn::network::{Interface, Network, Range};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel};

/// What distinguishes one Fast-SRGAN from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels between convolutions.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Enlargements to twice the size.
    pub doublings: usize,
}

/// PyTorch's.
const EPS: f64 = 1e-5;

impl Config {
    /// The published network, ×4.
    pub fn published() -> Self {
        Self {
            features: 64,
            blocks: 8,
            doublings: 2,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.features == 0 || !(1..=3).contains(&self.doublings) {
            let message = format!(
                "a Fast-SRGAN of {} channels that doubles {} times is not known",
                self.features, self.doublings
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, 3] = kernel(tensors, "neck.0.weight")? else {
            return None;
        };
        kernel(tensors, "stem.0.conv1.weight")?;
        kernel(tensors, "bottleneck.0.weight")?;
        Some(Self {
            features,
            blocks: count(tensors, |n| format!("stem.{n}.conv1.weight")),
            doublings: count(tensors, |n| format!("upsampling.{n}.conv.weight")),
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct FastSrgan {
    neck: Conv2d,
    stem: Vec<Block>,
    bottleneck: ConvNorm,
    /// With their activations, before the pixels are shuffled.
    upsampling: Vec<Conv2d>,
    head: Conv2d,
}

impl FastSrgan {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let conv = |inner, outer, vb| Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb);
        let stem = (0..config.blocks)
            .map(|block| Block::new(features, &vb.pp("stem").pp(block)))
            .collect::<Result<_>>()?;
        let upsampling = (0..config.doublings)
            .map(|index| {
                let vb = vb.pp("upsampling").pp(index);
                // One slope for all channels: the order of activation and shuffle does not matter.
                let slope = Activation::prelu(1, &vb.pp("relu"))?;
                Ok(conv(features, 4 * features, vb.pp("conv"))?.with_activation(slope))
            })
            .collect::<Result<_>>()?;
        let neck = conv(3, features, vb.pp("neck").pp(0))?;
        let head = conv(features, 3, vb.pp("head").pp(0))?;
        let bottleneck = vb.pp("bottleneck").pp(0);
        Ok(Self {
            neck: neck.with_activation(Activation::prelu(1, &vb.pp("neck").pp(1))?),
            stem,
            bottleneck: normed(features, Activation::None, bottleneck)?,
            upsampling,
            head: head.with_activation(Activation::Tanh),
        })
    }
}

impl Network for FastSrgan {
    fn interface(&self) -> Interface {
        Interface {
            input: Range::Signed,
            output: Range::Signed,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let first = self.neck.forward(x)?;
        let mut y = first.clone();
        for block in &self.stem {
            y = block.forward(&y)?;
        }
        y = self.bottleneck.forward_add(&y, &first)?;
        for conv in &self.upsampling {
            y = conv.forward(&y)?.pixel_shuffle(2)?;
        }
        self.head.forward(&y)
    }
}

/// Convolution, normalisation, activation; convolution, normalisation; and the input again.
#[derive(Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
}

impl Block {
    fn new(features: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let slope = Activation::prelu(1, &vb.pp("relu1"))?;
        Ok(Self {
            first: normed(features, slope, vb.pp("conv1"))?,
            second: normed(features, Activation::None, vb.pp("conv2"))?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.second.forward_add(&self.first.forward(x)?, x)
    }
}

/// A convolution without bias and an instance normalisation without weights.
fn normed(features: usize, activation: Activation, vb: VarBuilder<'_>) -> Result<ConvNorm> {
    let conv = Conv2d::new(features, features, 3, ConvConfig::same(3).bias(false), vb)?;
    let norm = Norm::Instance(InstanceNorm2d::plain(EPS));
    Ok(ConvNorm::new(conv, norm, activation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        for doublings in [1, 2] {
            let config = Config {
                features: 8,
                blocks: 2,
                doublings,
            };
            let trial = Trial::new(|vb| FastSrgan::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            let scale = 1 << doublings;
            assert_eq!(trial.output([2, 3, 9, 7]), [2, 3, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 3, 6, 10]);
        }
    }

    #[test]
    fn every_pixel_depends_on_the_whole_picture() {
        let geometry = geometry(|vb| FastSrgan::new(&Config::published(), vb));
        assert_eq!((geometry.halo, geometry.scale), (None, (4, 1)));
    }
}
