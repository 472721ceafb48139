//! `TransformerNet`: one style, learned into a feed-forward network.
//!
//! Johnson et al., *Perceptual Losses for Real-Time Style Transfer and Super-Resolution* (2016),
//! arXiv:1603.08155, with the instance normalisation of Ulyanov et al. (2016), arXiv:1607.08022.
//! RGB from 0 to 255 in, `[n, 3, h, w]`; RGB from 0 to 255 out, not clamped, `[n, 3, h', w']`, `h' =
//! 4·⌈⌈h / 2⌉ / 2⌉`. Keys are those of `fast_neural_style` in pytorch/examples; running statistics,
//! which files of PyTorch before 0.4 have, are not used.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{
    Activation, Conv2d, ConvConfig, ConvNorm, InstanceNorm2d, Norm, PadMode, Padding,
};
use fonds_nn::network::{Interface, Network, Range};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel};

/// What distinguishes one `TransformerNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels at full size; the blocks have four times as many.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
}

/// PyTorch's.
const EPS: f64 = 1e-5;

/// Side of the kernels at full size.
const WIDE: usize = 9;

impl Config {
    /// The published networks.
    pub fn published() -> Self {
        Self {
            features: 32,
            blocks: 5,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.features == 0 {
            let message = "a TransformerNet without channels is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, WIDE] = kernel(tensors, "conv1.conv2d.weight")? else {
            return None;
        };
        let [3, _, WIDE] = kernel(tensors, "deconv3.conv2d.weight")? else {
            return None;
        };
        Some(Self {
            features,
            blocks: count(tensors, |n| format!("res{}.conv1.conv2d.weight", n + 1)),
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it: statistics of
/// instance normalisations, which are each picture's own.
pub fn ignore(key: &str) -> bool {
    [".running_mean", ".running_var", ".num_batches_tracked"]
        .iter()
        .any(|end| key.ends_with(end))
}

/// The network.
#[derive(Debug)]
pub struct TransformerNet {
    /// `conv1` to `conv3`.
    down: [Mirrored; 3],
    /// `res1` and on.
    blocks: Vec<Block>,
    /// `deconv1` and `deconv2`, each after an enlargement.
    up: [Mirrored; 2],
    deconv3: Conv2d,
}

impl TransformerNet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let n = config.features;
        let part = |[inner, outer, side, stride]: [usize; 4], conv: &str, norm: &str| {
            Mirrored::new(
                [inner, outer, side, stride],
                [conv, norm],
                Activation::Relu,
                &vb,
            )
        };
        let down = [
            part([3, n, WIDE, 1], "conv1", "in1")?,
            part([n, 2 * n, 3, 2], "conv2", "in2")?,
            part([2 * n, 4 * n, 3, 2], "conv3", "in3")?,
        ];
        let blocks = (1..=config.blocks)
            .map(|block| Block::new(4 * n, &vb.pp(format!("res{block}"))))
            .collect::<Result<_>>()?;
        let up = [
            part([4 * n, 2 * n, 3, 1], "deconv1", "in4")?,
            part([2 * n, n, 3, 1], "deconv2", "in5")?,
        ];
        let deconv3 = vb.pp("deconv3").pp("conv2d");
        Ok(Self {
            down,
            blocks,
            up,
            deconv3: Conv2d::new(n, 3, WIDE, ConvConfig::valid(), deconv3)?,
        })
    }
}

impl Network for TransformerNet {
    fn interface(&self) -> Interface {
        Interface {
            input: Range::Byte,
            output: Range::Byte,
            // Four pixels are mirrored around the picture, and one around a quarter of it.
            min_side: 5,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, h', w']` with `h' = 4·⌈⌈h / 2⌉ / 2⌉`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for conv in &self.down {
            y = conv.forward(&y)?;
        }
        // [n, 128, ⌈⌈h / 2⌉ / 2⌉, …]
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        for conv in &self.up {
            y = conv.forward(&y.upsample_nearest(2)?)?;
        }
        self.deconv3.forward(&mirrored(&y, WIDE)?)
    }
}

/// Two convolutions with normalisation, and the input again.
#[derive(Debug)]
struct Block {
    first: Mirrored,
    second: Mirrored,
}

impl Block {
    fn new(width: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let part = |names, activation| Mirrored::new([width, width, 3, 1], names, activation, vb);
        Ok(Self {
            first: part(["conv1", "in1"], Activation::Relu)?,
            second: part(["conv2", "in2"], Activation::None)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.first.forward(x)?;
        self.second
            .conv
            .forward_add(&mirrored(&y, self.second.side)?, x)
    }
}

/// A convolution over a picture that is mirrored at its edges, normalisation, activation.
#[derive(Debug)]
struct Mirrored {
    conv: ConvNorm,
    side: usize,
}

impl Mirrored {
    fn new(
        [inner, outer, side, stride]: [usize; 4],
        [conv, norm]: [&str; 2],
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let config = ConvConfig::valid().stride(stride);
        let conv = Conv2d::new(inner, outer, side, config, vb.pp(conv).pp("conv2d"))?;
        let norm = InstanceNorm2d::affine(outer, EPS, ["weight", "bias"], &vb.pp(norm))?;
        Ok(Self {
            conv: ConvNorm::new(conv, Norm::Instance(norm), activation),
            side,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.conv.forward(&mirrored(x, self.side)?)
    }
}

/// As many pixels around as a kernel of this side reaches.
fn mirrored(x: &Act, side: usize) -> Result<Act> {
    x.pad(Padding::all(side / 2), PadMode::Reflection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        let config = Config {
            features: 8,
            blocks: 2,
        };
        let trial = Trial::new(|vb| TransformerNet::new(&config, vb));
        assert_eq!(Config::recognize(&trial.tensors), Some(config));
        assert_eq!(trial.output([2, 3, 12, 8]), [2, 3, 12, 8]);
        assert_eq!(trial.output([1, 3, 13, 6]), [1, 3, 16, 8]);
        trial.a_batch_equals_its_pictures([3, 3, 9, 14]);
    }

    #[test]
    fn every_pixel_depends_on_the_whole_picture() {
        let geometry = geometry(|vb| TransformerNet::new(&Config::published(), vb));
        assert_eq!((geometry.halo, geometry.scale), (None, (1, 1)));
        assert_eq!(geometry.multiple_of, 4);
    }

    #[test]
    fn the_published_network_has_as_many_parameters_as_published() {
        let make = |vb: VarBuilder<'_>| TransformerNet::new(&Config::published(), vb);
        let keys = fonds_nn::load::expected_keys(make).unwrap();
        let count: usize = keys
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, 1_679_235);
    }
}
