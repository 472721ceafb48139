//! VDSR: sharpens the luma of a picture that was enlarged before.
//!
//! Kim et al., *Accurate Image Super-Resolution Using Very Deep Convolutional Networks* (2016),
//! arXiv:1511.04587. Luma in MATLAB's scale (black 16/255, white 235/255) in, `[n, 1, h, w]`; the
//! same out. Keys are those of twtygqyy/pytorch-vdsr: `input`, `residual_layer.{i}.conv`, `output`,
//! without biases.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::network::{Colors, Enlargement, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel};

/// What distinguishes one VDSR from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels between convolutions.
    pub features: usize,
    /// Convolutions between the first and the last.
    pub convolutions: usize,
}

impl Config {
    /// The network of the paper: twenty layers.
    pub fn published() -> Self {
        Self {
            features: 64,
            convolutions: 18,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.features == 0 {
            let message = "a VDSR without channels is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, 1, 3] = kernel(tensors, "input.weight")? else {
            return None;
        };
        let [1, _, 3] = kernel(tensors, "output.weight")? else {
            return None;
        };
        kernel(tensors, "residual_layer.0.conv.weight")?;
        Some(Self {
            features,
            convolutions: count(tensors, |n| format!("residual_layer.{n}.conv.weight")),
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Vdsr {
    /// All but the last, with their activations.
    layers: Vec<Conv2d>,
    output: Conv2d,
}

impl Vdsr {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = config.features;
        let conv =
            |inner, outer, vb| Conv2d::new(inner, outer, 3, ConvConfig::same(3).bias(false), vb);
        let mut layers = vec![conv(1, features, vb.pp("input"))?];
        for index in 0..config.convolutions {
            let vb = vb.pp("residual_layer").pp(index).pp("conv");
            layers.push(conv(features, features, vb)?);
        }
        let relu = |conv: Conv2d| conv.with_activation(Activation::Relu);
        Ok(Self {
            layers: layers.into_iter().map(relu).collect(),
            output: conv(features, 1, vb.pp("output"))?,
        })
    }
}

impl Network for Vdsr {
    fn interface(&self) -> Interface {
        Interface {
            colors: Colors::VideoLuma,
            enlargement: Enlargement::Before,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, 1, h, w]` → `[n, 1, h, w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for conv in &self.layers {
            y = conv.forward(&y)?;
        }
        self.output.forward_add(&y, 1.0, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    #[test]
    fn shapes_and_batches() {
        let config = Config {
            features: 8,
            convolutions: 3,
        };
        let trial = Trial::new(|vb| Vdsr::new(&config, vb));
        assert_eq!(Config::recognize(&trial.tensors), Some(config));
        assert_eq!(trial.output([2, 1, 9, 7]), [2, 1, 9, 7]);
        trial.a_batch_equals_its_pictures([3, 1, 11, 10]);
    }

    #[test]
    fn its_receptive_field_is_that_of_the_paper() {
        // 41 × 41 pixels, section 3.1 of the paper.
        let geometry = geometry(|vb| Vdsr::new(&Config::published(), vb));
        assert_eq!((geometry.halo, geometry.scale), (Some(20), (1, 1)));
    }
}
