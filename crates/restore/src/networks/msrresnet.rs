//! `MSRResNet`: `SRResNet` without normalisation, which adds detail to a bilinear enlargement.
//!
//! Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
//! Network* (2017), arXiv:1609.04802, as modified in Wang et al., *ESRGAN* (2018),
//! arXiv:1809.00219. RGB from 0 to 1 in, `[n, 3, h, w]`; RGB from 0 to 1 out, not clamped,
//! `[n, 3, s·h, s·w]`. Keys are those of `BasicSR`: `conv_first`, `body.{i}.conv1`, `upconv1`,
//! `conv_hr`, `conv_last`.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d};
use fonds_nn::network::{Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use super::residual::{Block, conv};
use crate::keys::{count, kernel, root};

/// What distinguishes one `MSRResNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels between convolutions.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Output pixels for one input pixel, along each side: 2, 3 or 4.
    pub scale: usize,
}

/// Slope of all leaky activations.
const SLOPE: f32 = 0.1;

impl Config {
    /// The published networks.
    pub fn published(scale: usize) -> Self {
        Self {
            features: 64,
            blocks: 16,
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
            blocks,
            scale,
        } = self;
        if *features == 0 || *blocks == 0 || !matches!(scale, 2..=4) {
            let message = format!(
                "an MSRResNet of {blocks} blocks of {features} channels that enlarges {scale} \
                 times is not known"
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

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, 3] = kernel(tensors, "conv_first.weight")? else {
            return None;
        };
        kernel(tensors, "body.0.conv1.weight")?;
        kernel(tensors, "conv_hr.weight")?;
        let [out, _, _] = kernel(tensors, "upconv1.weight")?;
        let scale = if tensors.contains("upconv2.weight") {
            4
        } else {
            root(out / features)?
        };
        Some(Self {
            features,
            blocks: count(tensors, |n| format!("body.{n}.conv1.weight")),
            scale,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct MsrResNet {
    scale: usize,
    conv_first: Conv2d,
    body: Vec<Block>,
    /// `upconv1` and `upconv2`, with the factor of the pixel shuffle after each.
    upconvs: Vec<(Conv2d, usize)>,
    conv_hr: Conv2d,
    conv_last: Conv2d,
}

impl MsrResNet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let leaky = |inner, outer, name: &str| {
            let conv = conv(inner, outer, vb.pp(name))?;
            Ok::<_, Error>(conv.with_activation(Activation::LeakyRelu(SLOPE)))
        };
        let body = (0..config.blocks)
            .map(|block| Block::new(features, 1.0, &vb.pp("body").pp(block)))
            .collect::<Result<_>>()?;
        let upconvs = (config.steps().iter().enumerate())
            .map(|(index, &step)| {
                // Its activation comes after the shuffle, which moves values and changes none.
                let name = format!("upconv{}", index + 1);
                Ok((leaky(features, features * step * step, &name)?, step))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            scale: config.scale,
            conv_first: leaky(3, features, "conv_first")?,
            body,
            upconvs,
            conv_hr: leaky(features, features, "conv_hr")?,
            conv_last: conv(features, 3, vb.pp("conv_last"))?,
        })
    }
}

impl Network for MsrResNet {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = self.conv_first.forward(x)?;
        for block in &self.body {
            y = block.forward(&y)?;
        }
        for (conv, step) in &self.upconvs {
            y = conv.forward(&y)?.pixel_shuffle(*step)?;
        }
        let enlarged = x.upsample_bilinear(self.scale, false)?;
        self.conv_last
            .forward_add(&self.conv_hr.forward(&y)?, 1.0, &enlarged)
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
                features: 8,
                blocks: 2,
                scale,
            };
            let trial = Trial::new(|vb| MsrResNet::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            assert_eq!(trial.output([2, 3, 9, 7]), [2, 3, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 3, 6, 10]);
        }
    }

    #[test]
    fn its_receptive_field_is_that_of_its_layers() {
        // 33 pixels for the first convolution and the blocks, 2 for the rest at up to four times the size.
        let geometry = geometry(|vb| MsrResNet::new(&Config::published(4), vb));
        assert_eq!((geometry.halo, geometry.scale), (Some(35), (4, 1)));
    }

    #[test]
    fn a_scale_of_five_is_refused() {
        let error = Config::published(5).validate().unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
    }
}
