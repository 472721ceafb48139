//! EDSR: enlargement by residual blocks without normalisation.
//!
//! Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution* (2017),
//! arXiv:1707.02921. RGB from 0 to 1 in, `[n, 3, h, w]`; RGB from 0 to 1 out, not clamped,
//! `[n, 3, s·h, s·w]`. Keys are those of `BasicSR`: `conv_first`, `body.{i}.conv1`,
//! `conv_after_body`, `upsample.{i}`, `conv_last`. The mean colour and the factor 255 between which
//! the network works are not in the file, nor is the strength of its residuals.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::Conv2d;
use fonds_nn::network::{Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use super::residual::{Block, conv};
use crate::keys::{count, kernel, root};

/// What distinguishes one EDSR from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Channels between convolutions.
    pub features: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Output pixels for one input pixel, along each side: 2, 3, 4 or 8.
    pub scale: usize,
    /// Factor of what a block adds to its input.
    pub residual_scale: f32,
}

/// Mean colour of DIV2K, which the network subtracts.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// The range that the network works in.
const RANGE: f32 = 255.0;

impl Config {
    /// EDSR-M: the baseline of the paper.
    pub fn medium(scale: usize) -> Self {
        Self {
            features: 64,
            blocks: 16,
            scale,
            residual_scale: 1.0,
        }
    }

    /// EDSR-L: the network of the paper.
    pub fn large(scale: usize) -> Self {
        Self {
            features: 256,
            blocks: 32,
            scale,
            residual_scale: 0.1,
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
            ..
        } = self;
        if *features == 0 || *blocks == 0 || !matches!(scale, 2 | 3 | 4 | 8) {
            let message = format!(
                "an EDSR of {blocks} blocks of {features} channels that enlarges {scale} times is \
                 not known"
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// Factors of the pixel shuffles that enlarge.
    fn steps(&self) -> Vec<usize> {
        match self.scale {
            3 => vec![3],
            scale => vec![2; scale.ilog2() as usize],
        }
    }

    /// The configuration that a checkpoint's keys and shapes show.
    ///
    /// The strength of residuals is that of the published networks of this width.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 3, 3] = kernel(tensors, "conv_first.weight")? else {
            return None;
        };
        kernel(tensors, "conv_after_body.weight")?;
        kernel(tensors, "body.0.conv1.weight")?;
        let [out, _, _] = kernel(tensors, "upsample.0.weight")?;
        let scale = match root(out / features)? {
            2 => 1 << count(tensors, |n| format!("upsample.{}.weight", 2 * n)),
            scale => scale,
        };
        Some(Self {
            features,
            blocks: count(tensors, |n| format!("body.{n}.conv1.weight")),
            scale,
            residual_scale: if features == 256 { 0.1 } else { 1.0 },
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Edsr {
    conv_first: Conv2d,
    body: Vec<Block>,
    conv_after_body: Conv2d,
    /// Convolutions with the factor of the pixel shuffle after each.
    upsample: Vec<(Conv2d, usize)>,
    conv_last: Conv2d,
}

impl Edsr {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let body = (0..config.blocks)
            .map(|block| Block::new(features, config.residual_scale, &vb.pp("body").pp(block)))
            .collect::<Result<_>>()?;
        let upsample = (config.steps().into_iter().enumerate())
            .map(|(index, step)| {
                // A pixel shuffle stands between one convolution and the next.
                let vb = vb.pp("upsample").pp(2 * index);
                Ok((conv(features, features * step * step, vb)?, step))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            conv_first: conv(3, features, vb.pp("conv_first"))?,
            body,
            conv_after_body: conv(features, features, vb.pp("conv_after_body"))?,
            upsample,
            conv_last: conv(features, 3, vb.pp("conv_last"))?,
        })
    }
}

impl Network for Edsr {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 3, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        // Zeros around the picture stand for the mean, so it has to be subtracted first.
        let centred = x.channel_affine(&[RANGE; 3], &MEAN.map(|mean| -mean * RANGE))?;
        let first = self.conv_first.forward(&centred)?;
        let mut y = first.clone();
        for block in &self.body {
            y = block.forward(&y)?;
        }
        y = self.conv_after_body.forward_add(&y, 1.0, &first)?;
        for (conv, step) in &self.upsample {
            y = conv.forward(&y)?.pixel_shuffle(*step)?;
        }
        self.conv_last
            .forward(&y)?
            .channel_affine(&[1.0 / RANGE; 3], &MEAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        for scale in [2, 3, 4, 8] {
            let config = Config {
                features: 8,
                blocks: 2,
                ..Config::medium(scale)
            };
            let trial = Trial::new(|vb| Edsr::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            assert_eq!(trial.output([2, 3, 9, 7]), [2, 3, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 3, 6, 10]);
        }
    }

    #[test]
    fn receptive_fields_are_those_of_its_layers() {
        // Two pixels for each block, one for each other convolution, less what enlargement brings.
        let medium = geometry(|vb| Edsr::new(&Config::medium(4), vb));
        assert_eq!((medium.halo, medium.scale), (Some(36), (4, 1)));
        let large = geometry(|vb| Edsr::new(&Config::large(4), vb));
        assert_eq!(large.halo, Some(68));
    }

    #[test]
    fn published_networks_have_as_many_parameters_as_published() {
        let count = |config: &Config| {
            let keys = fonds_nn::load::expected_keys(|vb| Edsr::new(config, vb)).unwrap();
            keys.iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum::<usize>()
        };
        assert_eq!(count(&Config::medium(2)), 1_369_859);
        assert_eq!(count(&Config::medium(3)), 1_554_499);
        assert_eq!(count(&Config::medium(4)), 1_517_571);
        assert_eq!(count(&Config::large(4)), 43_089_923);
    }
}
