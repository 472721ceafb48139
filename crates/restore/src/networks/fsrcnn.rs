//! FSRCNN: enlarges luma, with most of its work at the size of the input and in few channels.
//!
//! Dong et al., *Accelerating the Super-Resolution Convolutional Neural Network* (2016),
//! arXiv:1608.00367, with a sub-pixel convolution in the place of the transposed one. Luma (BT.601
//! of full range) from 0 to 1 in, `[n, 1, h, w]`; the same out, not clamped, `[n, 1, s·h, s·w]`.
//! Keys are those of `Saafke/FSRCNN_Tensorflow`: kernels `f1` to `f8`, biases `b1` to `b8`, slopes
//! `alpha1` to `alpha7`, without dots.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::engine::ConvShape;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{Activation, Conv2d};
use fonds_nn::network::{Colors, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::{count, kernel, root, shape};

/// What distinguishes one FSRCNN from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels of the first and the last convolutions (`d` in the paper).
    pub wide: usize,
    /// Channels of those between (`s` in the paper).
    pub narrow: usize,
    /// Convolutions of 3 × 3 (`m` in the paper).
    pub convolutions: usize,
    /// Output pixels for one input pixel, along each side.
    pub scale: usize,
}

impl Config {
    /// FSRCNN(56, 12, 4), the network of the paper.
    pub fn published(scale: usize) -> Self {
        Self {
            wide: 56,
            narrow: 12,
            convolutions: 4,
            scale,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self {
            wide,
            narrow,
            convolutions,
            scale,
        } = self;
        if [wide, narrow, convolutions, scale].contains(&&0) {
            let message = format!(
                "an FSRCNN({wide}, {narrow}, {convolutions}) that enlarges {scale} times is empty"
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [wide, 1, 5] = kernel(tensors, "f1")? else {
            return None;
        };
        let [narrow, _, 1] = kernel(tensors, "f2")? else {
            return None;
        };
        let [_] = shape(tensors, "alpha1")?;
        // Two before those of 3 × 3, two after.
        let last = count(tensors, |n| format!("f{}", n + 1));
        let [out, _, 1] = kernel(tensors, &format!("f{last}"))? else {
            return None;
        };
        Some(Self {
            wide,
            narrow,
            convolutions: last.checked_sub(4)?,
            scale: root(out)?,
        })
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Fsrcnn {
    scale: usize,
    /// `f1` and on, with their activations; the last one without.
    layers: Vec<Conv2d>,
}

impl Fsrcnn {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let Config {
            wide,
            narrow,
            convolutions,
            scale,
        } = *config;
        let mut sizes = vec![(1, wide, 5), (wide, narrow, 1)];
        sizes.extend(vec![(narrow, narrow, 3); convolutions]);
        sizes.push((narrow, wide, 1));
        let mut layers = Vec::with_capacity(sizes.len() + 1);
        for (index, (inner, outer, side)) in sizes.into_iter().enumerate() {
            let number = index + 1;
            let bias = get(&vb, outer, &format!("b{number}"))?;
            let slopes = get(&vb, outer, &format!("alpha{number}"))?;
            let weight = get(&vb, (outer, inner, side, side), &format!("f{number}"))?;
            let conv = Conv2d::from_parts(weight, Some(bias), same(inner, outer, side));
            layers.push(conv.with_activation(Activation::PRelu(slopes)));
        }
        let number = layers.len() + 1;
        let outer = scale * scale;
        let weight = get(&vb, (outer, wide, 1, 1), &format!("f{number}"))?;
        // One number for all pixels that the shuffle makes of the channels.
        let bias = get(&vb, 1, &format!("b{number}"))?
            .broadcast_as(outer)
            .in_network()?;
        layers.push(Conv2d::from_parts(weight, Some(bias), same(wide, outer, 1)));
        Ok(Self { scale, layers })
    }
}

impl Network for Fsrcnn {
    fn interface(&self) -> Interface {
        Interface {
            colors: Colors::Luma,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, 1, h, w]` → `[n, 1, scale·h, scale·w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for conv in &self.layers {
            y = conv.forward(&y)?;
        }
        y.pixel_shuffle(self.scale)
    }
}

fn get(vb: &VarBuilder<'_>, shape: impl Into<candle_core::Shape>, key: &str) -> Result<Tensor> {
    vb.get_with_hints(shape.into(), key, candle_nn::init::DEFAULT_KAIMING_NORMAL)
        .in_network()
}

/// A convolution that keeps the size.
fn same(in_channels: usize, out_channels: usize, side: usize) -> ConvShape {
    ConvShape {
        in_channels,
        out_channels,
        kernel: [side; 2],
        stride: [1; 2],
        padding: [side / 2; 2],
        dilation: [1; 2],
        groups: 1,
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
                wide: 20,
                narrow: 5,
                convolutions: 2,
                scale,
            };
            let trial = Trial::new(|vb| Fsrcnn::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            assert_eq!(trial.output([2, 1, 9, 7]), [2, 1, 9 * scale, 7 * scale]);
            trial.a_batch_equals_its_pictures([3, 1, 11, 10]);
        }
    }

    #[test]
    fn its_receptive_field_is_that_of_its_layers() {
        // 5 × 5 and four of 3 × 3.
        let geometry = geometry(|vb| Fsrcnn::new(&Config::published(4), vb));
        assert_eq!((geometry.halo, geometry.scale), (Some(6), (4, 1)));
    }
}
