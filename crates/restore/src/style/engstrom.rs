//! The feed-forward style network of lengstrom/fast-style-transfer, as it came from TensorFlow.
//!
//! Johnson et al., *Perceptual Losses for Real-Time Style Transfer and Super-Resolution* (2016),
//! arXiv:1603.08155, with the instance normalisation of Ulyanov et al. (2016), arXiv:1607.08022.
//! RGB from 0 to 255 in, `[n, 3, h, w]`; RGB out, from −22.5 to 277.5, not clamped, `[n, 3, h', w']`,
//! `h' = 4·⌈⌈h / 2⌉ / 2⌉`. Keys are `conv1` to `conv3`, `res1.conv1` …, `deconv1`, `deconv2`,
//! `conv_out`, each with `weight`, `in_scale` and `in_shift`. Zeros lie around a picture as
//! TensorFlow's `SAME` puts them: an odd one below and on the right.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{
    Activation, Conv2d, ConvConfig, ConvTranspose2d, ConvTransposeConfig, InstanceNorm2d, PadMode,
    Padding,
};
use fonds_nn::network::{Interface, Network, Range};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel, shape};

/// What distinguishes one of these networks from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels at full size; the blocks have four times as many.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
}

const EPS: f64 = 1e-3;

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
            let message = "a style network without channels is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, WIDE] = kernel(tensors, "conv1.weight")? else {
            return None;
        };
        let [3, _, WIDE] = kernel(tensors, "conv_out.weight")? else {
            return None;
        };
        let [_] = shape(tensors, "conv1.in_scale")?;
        Some(Self {
            features,
            blocks: count(tensors, |n| format!("res{}.conv1.weight", n + 1)),
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Engstrom {
    /// `conv1` to `conv3`.
    down: [Same; 3],
    /// `res1` and on: two convolutions each.
    blocks: Vec<[Same; 2]>,
    /// `deconv1` and `deconv2`.
    up: [Double; 2],
    conv_out: Same,
}

impl Engstrom {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let n = config.features;
        let relu = |sizes, name: &str| Same::new(sizes, Activation::Relu, &vb.pp(name));
        let blocks = (1..=config.blocks)
            .map(|block| {
                let vb = vb.pp(format!("res{block}"));
                let sizes = [4 * n, 4 * n, 3, 1];
                Ok([
                    Same::new(sizes, Activation::Relu, &vb.pp("conv1"))?,
                    Same::new(sizes, Activation::None, &vb.pp("conv2"))?,
                ])
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            down: [
                relu([3, n, WIDE, 1], "conv1")?,
                relu([n, 2 * n, 3, 2], "conv2")?,
                relu([2 * n, 4 * n, 3, 2], "conv3")?,
            ],
            blocks,
            up: [
                Double::new(4 * n, 2 * n, &vb.pp("deconv1"))?,
                Double::new(2 * n, n, &vb.pp("deconv2"))?,
            ],
            conv_out: Same::new([n, 3, WIDE, 1], Activation::Tanh, &vb.pp("conv_out"))?,
        })
    }
}

impl Network for Engstrom {
    fn interface(&self) -> Interface {
        Interface {
            input: Range::Byte,
            output: Range::Byte,
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
        for [first, second] in &self.blocks {
            y = second.forward(&first.forward(&y)?)?.add(&y)?;
        }
        for conv in &self.up {
            y = conv.forward(&y)?;
        }
        self.conv_out.forward(&y)?.affine(150.0, 127.5)
    }
}

/// A convolution with TensorFlow's zeros around, normalisation, activation.
#[derive(Debug)]
struct Same {
    conv: Conv2d,
    norm: InstanceNorm2d,
    activation: Activation,
    side: usize,
    stride: usize,
}

impl Same {
    fn new(
        [inner, outer, side, stride]: [usize; 4],
        activation: Activation,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let config = ConvConfig::valid().stride(stride).bias(false);
        Ok(Self {
            conv: Conv2d::new(inner, outer, side, config, vb.clone())?,
            norm: norm(outer, vb)?,
            activation,
            side,
            stride,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let dims = x.dims();
        let [top, bottom] = self.zeros(dims.height);
        let [left, right] = self.zeros(dims.width);
        let padding = Padding {
            top,
            bottom,
            left,
            right,
        };
        let y = self.conv.forward(&x.pad(padding, PadMode::Zero)?)?;
        self.norm.forward(&y, &self.activation)
    }

    /// Zeros before and after a side of this length.
    fn zeros(&self, len: usize) -> [usize; 2] {
        let windows = len.div_ceil(self.stride);
        let total = ((windows - 1) * self.stride + self.side).saturating_sub(len);
        [total / 2, total - total / 2]
    }
}

/// A transposed convolution that doubles the size, normalisation, `ReLU`.
#[derive(Debug)]
struct Double {
    conv: ConvTranspose2d,
    norm: InstanceNorm2d,
}

impl Double {
    fn new(inner: usize, outer: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let config = ConvTransposeConfig {
            stride: 2,
            padding: 0,
            output_padding: 0,
            bias: false,
        };
        Ok(Self {
            conv: ConvTranspose2d::new(inner, outer, 3, config, vb.clone())?,
            norm: norm(outer, vb)?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let dims = x.dims();
        // The gradient of a convolution whose zeros are below and on the right has one row and one
        // column too many there.
        let y = self
            .conv
            .forward(x)?
            .crop(0, 0, 2 * dims.height, 2 * dims.width)?;
        self.norm.forward(&y, &Activation::Relu)
    }
}

fn norm(channels: usize, vb: &VarBuilder<'_>) -> Result<InstanceNorm2d> {
    InstanceNorm2d::affine(channels, EPS, ["in_scale", "in_shift"], vb)
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
        let trial = Trial::new(|vb| Engstrom::new(&config, vb));
        assert_eq!(Config::recognize(&trial.tensors), Some(config));
        assert_eq!(trial.output([2, 3, 12, 8]), [2, 3, 12, 8]);
        assert_eq!(trial.output([1, 3, 13, 2]), [1, 3, 16, 4]);
        trial.a_batch_equals_its_pictures([3, 3, 9, 14]);
    }

    #[test]
    fn every_pixel_depends_on_the_whole_picture() {
        let geometry = geometry(|vb| Engstrom::new(&Config::published(), vb));
        assert_eq!((geometry.halo, geometry.scale), (None, (1, 1)));
        assert_eq!(geometry.multiple_of, 4);
    }
}
