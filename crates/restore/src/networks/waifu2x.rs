//! `upconv_7`, the network of waifu2x that doubles pictures.
//!
//! nagadomi/waifu2x (2016); the idea is that of Dong et al. (2015), arXiv:1501.00092. RGB from 0 to
//! 1 in, `[n, 3, h, w]`; RGB from 0 to 1 out, not clamped, `[n, 3, 2·h, 2·w]`. Keys are `conv1` to
//! `conv7`, as in safetensors files made of waifu2x's own; the kernel of the transposed convolution
//! `conv7` lies there as `[out, in, 4, 4]`, not in PyTorch's order `[in, out, 4, 4]`.

use fonds_core::{Code, Error, Result};
use fonds_nn::engine::TransposeShape;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, ConvTranspose2d, PadMode, Padding};
use fonds_nn::network::{Colors, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::kernel;

/// What distinguishes one `upconv_7` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels of a picture: 3, or 1 for gray.
    pub colors: usize,
}

/// Channels that come out of `conv1` to `conv6`.
const WIDTHS: [usize; 6] = [16, 32, 64, 128, 128, 256];

/// Slope of all activations.
const SLOPE: f32 = 0.1;

/// Pixels on each side that the convolutions use up.
const MARGIN: usize = 7;

impl Config {
    /// The published networks for RGB.
    pub fn rgb() -> Self {
        Self { colors: 3 }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.colors, 1 | 3) {
            let message = format!(
                "an upconv_7 for pictures of {} channels is not known",
                self.colors
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [width, colors, 3] = kernel(tensors, "conv1.weight")? else {
            return None;
        };
        let last = kernel(tensors, "conv7.weight")?;
        (width == WIDTHS[0] && last == [colors, WIDTHS[5], 4]).then_some(Self { colors })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Upconv7 {
    config: Config,
    /// `conv1` to `conv6`, with their activations.
    convs: Vec<Conv2d>,
    conv7: ConvTranspose2d,
}

impl Upconv7 {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let colors = config.colors;
        let mut inner = colors;
        let mut convs = Vec::with_capacity(WIDTHS.len());
        for (index, outer) in WIDTHS.into_iter().enumerate() {
            let vb = vb.pp(format!("conv{}", index + 1));
            let conv = Conv2d::new(inner, outer, 3, ConvConfig::valid(), vb)?;
            convs.push(conv.with_activation(Activation::LeakyRelu(SLOPE)));
            inner = outer;
        }
        Ok(Self {
            config: config.clone(),
            convs,
            conv7: last(colors, &vb.pp("conv7"))?,
        })
    }
}

/// `conv7`, its kernel in PyTorch's order.
fn last(colors: usize, vb: &VarBuilder<'_>) -> Result<ConvTranspose2d> {
    let inner = WIDTHS[5];
    let weight = vb.get((colors, inner, 4, 4), "weight").in_network()?;
    let weight = weight
        .transpose(0, 1)
        .and_then(|weight| weight.contiguous())
        .in_network()?;
    let bias = vb.get(colors, "bias").in_network()?;
    let shape = TransposeShape {
        in_channels: inner,
        out_channels: colors,
        kernel: [4; 2],
        stride: [2; 2],
        padding: [3; 2],
        output_padding: [0; 2],
        groups: 1,
    };
    Ok(ConvTranspose2d::from_parts(weight, Some(bias), shape))
}

impl Network for Upconv7 {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.colors {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, colors, h, w]` → `[n, colors, 2·h, 2·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.pad(Padding::all(MARGIN), PadMode::Replication)?;
        for conv in &self.convs {
            y = conv.forward(&y)?;
        }
        // [n, 256, h + 2, w + 2]
        self.conv7.forward(&y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        for colors in [1, 3] {
            let config = Config { colors };
            let trial = Trial::new(|vb| Upconv7::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            assert_eq!(trial.output([2, colors, 5, 3]), [2, colors, 10, 6]);
            trial.a_batch_equals_its_pictures([2, colors, 6, 1]);
        }
    }

    #[test]
    fn its_receptive_field_is_what_it_pads() {
        let geometry = geometry(|vb| Upconv7::new(&Config::rgb(), vb));
        assert_eq!((geometry.halo, geometry.scale), (Some(MARGIN), (2, 1)));
        assert_eq!(geometry.multiple_of, 1);
    }
}
