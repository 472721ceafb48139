//! `ResNet` as a feature extractor, through candle's implementation.
//!
//! He et al., *Deep Residual Learning for Image Recognition* (2015), arXiv:1512.03385. RGB in,
//! `[n, 3, h, w]`, normalised by [`imagenet`](super::imagenet). Keys are torchvision's. It computes
//! on tensors; an activation of the CPU engine is converted.

use candle_core::Tensor;
use candle_nn::{Func, Linear, Module, VarBuilder};
use candle_transformers::models::resnet;
use fonds_core::{Code, Error, Result};

use super::{Features, Wanted};
use crate::act::Act;
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::load;
use crate::weights::Tensors;

/// Which `ResNet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Layers: 18, 34 or 50.
    pub depth: usize,
    /// Classes that it knows.
    pub classes: usize,
}

impl ResNetConfig {
    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` for another depth or no classes.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.depth, 18 | 34 | 50) || self.classes == 0 {
            let message = format!(
                "a ResNet of {} layers for {} classes is not known",
                self.depth, self.classes
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        tensors.get("layer4.0.conv1.weight")?;
        let &[classes, _] = tensors.get("fc.weight")?.shape() else {
            return None;
        };
        let blocks = (0..).take_while(|n| tensors.contains(&format!("layer3.{n}.conv1.weight")));
        let bottleneck = tensors.contains("layer1.0.conv3.weight");
        let depth = match (bottleneck, blocks.count()) {
            (false, 2) => 18,
            (false, 6) => 34,
            (true, 6) => 50,
            _ => return None,
        };
        Some(Self { depth, classes })
    }

    /// Features before the classifier.
    fn width(&self) -> usize {
        if self.depth < 50 { 512 } else { 2048 }
    }
}

/// The network.
#[derive(Debug)]
pub struct ResNet {
    body: Func<'static>,
    fc: Linear,
}

/// The one layer that can be looked at.
const POOL: &str = "pool";

impl ResNet {
    /// The network from weights under torchvision's keys.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &ResNetConfig, vb: VarBuilder<'static>) -> Result<Self> {
        config.validate()?;
        let fc = candle_nn::linear(config.width(), config.classes, vb.pp("fc")).in_network()?;
        let body = match config.depth {
            18 => resnet::resnet18_no_final_layer(vb),
            34 => resnet::resnet34_no_final_layer(vb),
            _ => resnet::resnet50_no_final_layer(vb),
        };
        let body = body.in_network()?;
        Ok(Self { body, fc })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &ResNetConfig, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let ignore = |key: &str| key.ends_with(".num_batches_tracked");
        load::load("ResNet", tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }

    /// The mean of the last layer over the picture: `[n, 512]`, or `[n, 2048]` from 50 layers on.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn pooled(&self, x: &Act) -> Result<Tensor> {
        self.body.forward(&x.to_tensor()?).in_network()
    }

    /// What it takes the picture for, before any softmax: `[n, classes]`.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn logits(&self, x: &Act) -> Result<Tensor> {
        self.fc.forward(&self.pooled(x)?).in_network()
    }
}

impl Features for ResNet {
    fn layers(&self) -> Vec<String> {
        vec![POOL.to_owned()]
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, c, 1, 1]`.
    fn features(&self, x: &Act, layers: &[&str]) -> Result<Vec<Act>> {
        let mut wanted = Wanted::new(layers, &self.layers())?;
        if !wanted.is_complete() {
            let pooled = self.pooled(x)?;
            let (batch, channels) = pooled.dims2().in_network()?;
            let pooled = pooled.reshape((batch, channels, 1, 1)).in_network()?;
            wanted.give(POOL, &Act::from_tensor(pooled)?);
        }
        Ok(wanted.into_features())
    }
}
