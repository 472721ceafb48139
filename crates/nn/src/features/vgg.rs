//! VGG: plain 3 × 3 convolutions, whose features are what perceptual and style losses compare.
//!
//! Simonyan, Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition* (2014),
//! arXiv:1409.1556. RGB in, `[n, 3, h, w]`, normalised by [`imagenet`](super::imagenet) for the
//! published weights. Keys are torchvision's (`features.N`); the classifier is not used.

use fonds_core::{Code, Error, Result};

use super::{Features, Wanted, unknown};
use crate::act::Act;
use crate::backend::Backend;
use crate::layers::{Activation, Conv2d, ConvConfig, Pool};
use crate::load;
use crate::weights::Tensors;
use candle_nn::VarBuilder;

/// The widths of a VGG network without batch normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VggConfig {
    /// Channels that go in.
    pub in_channels: usize,
    /// Channels after each convolution; between two blocks the size is halved.
    pub blocks: Vec<Vec<usize>>,
}

impl VggConfig {
    /// VGG16: two blocks of two convolutions, three of three.
    pub fn vgg16() -> Self {
        Self::published([2, 2, 3, 3, 3])
    }

    /// VGG19: two blocks of two convolutions, three of four.
    pub fn vgg19() -> Self {
        Self::published([2, 2, 4, 4, 4])
    }

    fn published(convolutions: [usize; 5]) -> Self {
        let widths = [64, 128, 256, 512, 512];
        let blocks = widths.iter().zip(convolutions);
        Self {
            in_channels: 3,
            blocks: blocks.map(|(&width, count)| vec![width; count]).collect(),
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` when it has no convolutions or one without channels.
    pub fn validate(&self) -> Result<()> {
        let empty = |block: &Vec<usize>| block.is_empty() || block.contains(&0);
        if self.in_channels == 0 || self.blocks.is_empty() || self.blocks.iter().any(empty) {
            return Err(Error::new(
                Code::ModelError,
                "a VGG network has an empty block",
            ));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show: all convolutions that are there.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let outer = |index: usize, inner: Option<usize>| {
            let tensor = tensors.get(&format!("features.{index}.weight"))?;
            match *tensor.shape() {
                [outer, found, 3, 3] if inner.is_none_or(|inner| inner == found) => {
                    Some((outer, found))
                }
                _ => None,
            }
        };
        let (mut width, in_channels) = outer(0, None)?;
        let mut blocks = Vec::new();
        let mut block = vec![width];
        let mut index = 2;
        loop {
            if let Some((next, _)) = outer(index, Some(width)) {
                block.push(next);
                width = next;
            } else if let Some((next, _)) = outer(index + 1, Some(width)) {
                // A pooling has taken one number.
                blocks.push(std::mem::replace(&mut block, vec![next]));
                width = next;
                index += 1;
            } else {
                break;
            }
            index += 2;
        }
        blocks.push(block);
        // The first convolutions of other networks are 3 × 3, too.
        let convolutions: usize = blocks.iter().map(Vec::len).sum();
        (convolutions > 2).then_some(Self {
            in_channels,
            blocks,
        })
    }

    /// The same without what comes after a layer.
    ///
    /// # Errors
    /// `invalid_request` when there is no such layer.
    pub fn up_to(&self, layer: &str) -> Result<Self> {
        let known = self.layers();
        let missing = || unknown(layer, &known);
        if known.iter().all(|name| name != layer) {
            return Err(missing());
        }
        let digits = layer.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let (block, conv) = match digits.split_once('_') {
            Some((block, conv)) => (block, Some(conv)),
            None => (digits, None),
        };
        let block: usize = block.parse().map_err(|_| missing())?;
        let mut blocks = self.blocks[..block].to_vec();
        if let Some(conv) = conv {
            let conv: usize = conv.parse().map_err(|_| missing())?;
            blocks[block - 1].truncate(conv);
        }
        Ok(Self {
            blocks,
            ..self.clone()
        })
    }

    /// Names of the layers, from the picture on: `conv1_1`, `relu1_1`, … `pool1`, …
    pub fn layers(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (block, widths) in (1..).zip(&self.blocks) {
            for conv in 1..=widths.len() {
                names.push(format!("conv{block}_{conv}"));
                names.push(format!("relu{block}_{conv}"));
            }
            names.push(format!("pool{block}"));
        }
        names
    }

    /// The number after `features.` that comes next after the last convolution.
    fn end(&self) -> usize {
        let convolutions: usize = self.blocks.iter().map(Vec::len).sum();
        2 * convolutions + self.blocks.len() - 1
    }
}

/// The network.
#[derive(Debug)]
pub struct Vgg {
    config: VggConfig,
    blocks: Vec<Vec<Layer>>,
}

/// A convolution with and without its activation; both share their weights.
#[derive(Debug)]
struct Layer {
    conv: Conv2d,
    relu: Conv2d,
}

impl Vgg {
    /// The network from weights under torchvision's keys.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &VggConfig, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let vb = vb.pp("features");
        let mut index = 0;
        let mut inner = config.in_channels;
        let mut blocks = Vec::new();
        for widths in &config.blocks {
            let mut block = Vec::new();
            for &outer in widths {
                let conv = || Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb.pp(index));
                block.push(Layer {
                    conv: conv()?,
                    relu: conv()?.with_activation(Activation::Relu),
                });
                inner = outer;
                index += 2;
            }
            blocks.push(block);
            index += 1;
        }
        Ok(Self {
            config: config.clone(),
            blocks,
        })
    }

    /// The network from a checkpoint's tensors; those of layers beyond the configuration's last and
    /// of the classifier are not used.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &VggConfig, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let end = config.end();
        let ignore = |key: &str| {
            let Some(rest) = key.strip_prefix("features.") else {
                return key.starts_with("classifier.");
            };
            let index = rest.split('.').next().and_then(|index| index.parse().ok());
            index.is_some_and(|index: usize| index >= end)
        };
        load::load("VGG", tensors, backend, ignore, |vb| Self::new(config, vb))
    }
}

impl Features for Vgg {
    fn layers(&self) -> Vec<String> {
        self.config.layers()
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, c, ⌊h / 2ᵇ⌋, ⌊w / 2ᵇ⌋]` for a layer after `b` poolings.
    fn features(&self, x: &Act, layers: &[&str]) -> Result<Vec<Act>> {
        let mut wanted = Wanted::new(layers, &self.layers())?;
        let mut y = x.clone();
        for (block, convolutions) in (1..).zip(&self.blocks) {
            for (number, layer) in (1..).zip(convolutions) {
                if wanted.is_complete() {
                    return Ok(wanted.into_features());
                }
                let conv = format!("conv{block}_{number}");
                y = if wanted.has(&conv) {
                    let said = layer.conv.forward(&y)?;
                    wanted.give(&conv, &said);
                    said.relu()?
                } else {
                    layer.relu.forward(&y)?
                };
                wanted.give(&format!("relu{block}_{number}"), &y);
            }
            if wanted.is_complete() {
                return Ok(wanted.into_features());
            }
            y = y.max_pool(Pool::HALVE)?;
            wanted.give(&format!("pool{block}"), &y);
        }
        Ok(wanted.into_features())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_names_of_the_papers() {
        let names = VggConfig::vgg19().layers();
        assert_eq!(
            names[..5],
            ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
        );
        assert_eq!(names.last().unwrap(), "pool5");
        assert!(names.contains(&"relu5_4".to_owned()));
        assert!(!VggConfig::vgg16().layers().contains(&"relu5_4".to_owned()));
    }

    #[test]
    fn what_comes_after_a_layer_is_left_out() {
        let config = VggConfig::vgg19();
        let cut = config.up_to("relu3_1").unwrap();
        assert_eq!(cut.blocks, [vec![64; 2], vec![128; 2], vec![256; 1]]);
        // `features.10` is conv3_1, `features.12` the next.
        assert_eq!(cut.end(), 12);
        assert_eq!(config.up_to("pool2").unwrap().blocks.len(), 2);
        assert_eq!(config.up_to("conv5_4").unwrap(), config);
        for name in ["relu3_5", "relu6_1", "relu0_1", "pool0", "relu", ""] {
            let error = config.up_to(name).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest, "{name}");
        }
    }
}
