//! `DnCNN`: finds the noise in a picture and takes it away. `FDnCNN`: is told how strong it is.
//!
//! Zhang et al., *Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising*
//! (2017), arXiv:1608.03981. Gray or RGB from 0 to 1 in, `[n, c, h, w]`, for `FDnCNN` with the
//! standard deviation of the noise in a last channel; gray or RGB from 0 to 1 out. Keys are those
//! of cszn/KAIR: `model.{i}`, an entry for each convolution, normalisation and `ReLU`; in published
//! files normalisations are part of the convolutions.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{
    Activation, BatchNorm2d, BatchNormMode, Conv2d, ConvConfig, ConvNorm, Norm,
};
use fonds_nn::network::{Colors, Extra, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel, shape};

/// What distinguishes one `DnCNN` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels of a picture: 3, or 1 for gray.
    pub colors: usize,
    /// Channels between convolutions.
    pub features: usize,
    /// Convolutions.
    pub layers: usize,
    /// Whether normalisations stand between them.
    pub norm: bool,
    /// Whether it is an `FDnCNN`: the strength of the noise is a further channel, and what comes out
    /// is the picture, not the noise.
    pub noise_level: bool,
}

/// KAIR's, not PyTorch's.
const EPS: f64 = 1e-4;

impl Config {
    /// `dncnn_15`, `dncnn_25`, `dncnn_50`: gray, noise of one strength.
    pub fn gray() -> Self {
        Self {
            colors: 1,
            features: 64,
            layers: 17,
            norm: false,
            noise_level: false,
        }
    }

    /// `dncnn_color_blind`: RGB, noise of any strength.
    pub fn color_blind() -> Self {
        Self {
            colors: 3,
            layers: 20,
            ..Self::gray()
        }
    }

    /// `fdncnn_color`: RGB, noise of a given strength.
    pub fn color_noise_level() -> Self {
        Self {
            noise_level: true,
            ..Self::color_blind()
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self {
            colors,
            features,
            layers,
            ..
        } = self;
        if !matches!(colors, 1 | 3) || *features == 0 || *layers < 2 {
            let message = format!(
                "a DnCNN of {layers} convolutions of {features} channels for pictures of {colors} \
                 channels is not known"
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// Channels that go in.
    fn in_channels(&self) -> usize {
        self.colors + usize::from(self.noise_level)
    }

    /// Entries of `model` from one convolution to the next, after the first.
    fn entries(norm: bool) -> usize {
        if norm { 3 } else { 2 }
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, inner, 3] = kernel(tensors, "model.0.weight")? else {
            return None;
        };
        let [second, _, 3] = kernel(tensors, "model.2.weight")? else {
            return None;
        };
        if second != features {
            return None;
        }
        let norm = matches!(shape(tensors, "model.3.running_mean"), Some([_]));
        let entries = Self::entries(norm);
        let layers = 1 + count(tensors, |n| format!("model.{}.weight", 2 + n * entries));
        let last = format!("model.{}.weight", 2 + (layers - 2) * entries);
        let [colors, _, 3] = kernel(tensors, &last)? else {
            return None;
        };
        let noise_level = match inner.checked_sub(colors)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self {
            colors,
            features,
            layers,
            norm,
            noise_level,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    key.ends_with(".num_batches_tracked")
}

/// The network.
#[derive(Debug)]
pub struct DnCnn {
    config: Config,
    /// All but the last.
    layers: Vec<ConvNorm>,
    last: Conv2d,
}

impl DnCnn {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("model");
        let features = config.features;
        let conv = |inner, outer, index: usize| {
            Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb.pp(index))
        };
        let first = conv(config.in_channels(), features, 0)?;
        let mut layers = vec![ConvNorm::new(first, Norm::None, Activation::Relu)];
        let entries = Config::entries(config.norm);
        let index = |layer: usize| 2 + (layer - 1) * entries;
        for layer in 1..config.layers - 1 {
            let norm = if config.norm {
                let vb = vb.pp(index(layer) + 1);
                Norm::Batch(BatchNorm2d::new(features, EPS, BatchNormMode::Running, vb)?)
            } else {
                Norm::None
            };
            let conv = conv(features, features, index(layer))?;
            layers.push(ConvNorm::new(conv, norm, Activation::Relu));
        }
        Ok(Self {
            config: config.clone(),
            layers,
            last: conv(features, config.colors, index(config.layers - 1))?,
        })
    }
}

impl Network for DnCnn {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.colors {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            extra: if self.config.noise_level {
                Extra::NoiseLevel
            } else {
                Extra::None
            },
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, colors, h, w]`, or `[n, colors + 1, h, w]` with the noise level → `[n, colors, h, w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for layer in &self.layers {
            y = layer.forward(&y)?;
        }
        if self.config.noise_level {
            self.last.forward(&y)
        } else {
            // What the chain finds is the noise.
            self.last.forward_add(&y, -1.0, x)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        for colors in [1, 3] {
            for (norm, noise_level) in [(false, false), (true, false), (false, true)] {
                let config = Config {
                    colors,
                    features: 8,
                    layers: 4,
                    norm,
                    noise_level,
                };
                let channels = config.in_channels();
                let trial = Trial::new(|vb| DnCnn::new(&config, vb));
                assert_eq!(Config::recognize(&trial.tensors), Some(config));
                assert_eq!(trial.output([2, channels, 9, 7]), [2, colors, 9, 7]);
                trial.a_batch_equals_its_pictures([3, channels, 11, 10]);
            }
        }
    }

    #[test]
    fn receptive_fields_are_those_of_the_paper() {
        // 35 × 35 pixels for 17 layers, section III-A of the paper, and 41 × 41 for 20.
        let gray = geometry(|vb| DnCnn::new(&Config::gray(), vb));
        assert_eq!(gray.halo, Some(17));
        let told = geometry(|vb| DnCnn::new(&Config::color_noise_level(), vb));
        assert_eq!((told.halo, told.out_channels), (Some(20), 3));
    }
}
