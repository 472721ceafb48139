//! `SRVGGNetCompact`: enlargement by a plain chain of convolutions, the fastest of its quality.
//!
//! Wang et al., *Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data*
//! (2021), arXiv:2107.10833, and the compact models that followed it. RGB from 0 to 1 in,
//! `[n, 3, h, w]`; RGB from 0 to 1 out, not clamped, `[n, 3, s·h, s·w]`. Keys are those of
//! xinntao/Real-ESRGAN: `body.{i}`, convolutions at even indices and slopes at odd ones.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::network::{Colors, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel, root, shape};

/// What distinguishes one `SRVGGNetCompact` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels of a picture: 3, or 1 for gray.
    pub colors: usize,
    /// Channels between convolutions.
    pub features: usize,
    /// Convolutions between the first and the last.
    pub convolutions: usize,
    /// Output pixels for one input pixel, along each side.
    pub scale: usize,
}

impl Config {
    /// `realesr-general-x4v3`: photographs, ×4.
    pub fn general_x4() -> Self {
        Self {
            colors: 3,
            features: 64,
            convolutions: 32,
            scale: 4,
        }
    }

    /// `realesr-animevideov3`: drawings and video, ×4.
    pub fn video_x4() -> Self {
        Self {
            convolutions: 16,
            ..Self::general_x4()
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
            convolutions,
            scale,
        } = self;
        if !matches!(colors, 1 | 3) || *features == 0 || *convolutions == 0 || *scale == 0 {
            let message = format!(
                "an SRVGGNetCompact of {convolutions} convolutions of {features} channels that \
                 enlarges pictures of {colors} channels {scale} times is not known"
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, colors, 3] = kernel(tensors, "body.0.weight")? else {
            return None;
        };
        let [_] = shape(tensors, "body.1.weight")?;
        let layers = count(tensors, |n| format!("body.{n}.weight"));
        // A convolution and a slope each, and the last convolution alone.
        let convolutions = (layers.checked_sub(3)?)
            .is_multiple_of(2)
            .then(|| (layers - 3) / 2)?;
        let [out, _, 3] = kernel(tensors, &format!("body.{}.weight", layers - 1))? else {
            return None;
        };
        let scale = root(out / colors).filter(|scale| out == colors * scale * scale)?;
        Some(Self {
            colors,
            features,
            convolutions,
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
pub struct Srvgg {
    config: Config,
    /// With their activations.
    body: Vec<Conv2d>,
}

impl Srvgg {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("body");
        let Config {
            colors,
            features,
            convolutions,
            scale,
        } = *config;
        let conv = |inner, outer, index: usize| {
            Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb.pp(index))
        };
        let mut body = Vec::with_capacity(convolutions + 2);
        for index in 0..=convolutions {
            let inner = if index == 0 { colors } else { features };
            let slopes = Activation::prelu(features, &vb.pp(2 * index + 1))?;
            body.push(conv(inner, features, 2 * index)?.with_activation(slopes));
        }
        body.push(conv(
            features,
            colors * scale * scale,
            2 * convolutions + 2,
        )?);
        Ok(Self {
            config: config.clone(),
            body,
        })
    }
}

impl Network for Srvgg {
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
    /// `[n, colors, h, w]` → `[n, colors, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for conv in &self.body {
            y = conv.forward(&y)?;
        }
        let scale = self.config.scale;
        y.pixel_shuffle(scale)?.add(&x.upsample_nearest(scale)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    fn small(scale: usize) -> Config {
        Config {
            features: 8,
            convolutions: 2,
            scale,
            ..Config::general_x4()
        }
    }

    #[test]
    fn shapes_and_batches() {
        for scale in [1, 2, 3, 4] {
            let trial = Trial::new(|vb| Srvgg::new(&small(scale), vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(small(scale)));
            assert_eq!(trial.output([2, 3, 9, 7]), [2, 3, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 3, 9, 14]);
        }
    }

    #[test]
    fn receptive_fields_are_those_of_its_layers() {
        // One pixel for each convolution of 3 × 3: 34 and 18.
        let large = geometry(|vb| Srvgg::new(&Config::general_x4(), vb));
        assert_eq!((large.halo, large.scale), (Some(34), (4, 1)));
        let small = geometry(|vb| Srvgg::new(&Config::video_x4(), vb));
        assert_eq!((small.halo, small.multiple_of), (Some(18), 1));
    }

    #[test]
    fn a_network_without_layers_is_refused() {
        let config = Config {
            convolutions: 0,
            ..Config::general_x4()
        };
        assert_eq!(config.validate().unwrap_err().code(), Code::ModelError);
    }
}
