//! Differences of what a network sees in two pictures.

use std::sync::Arc;

use candle_core::Tensor;
use fonds_core::Result;

use super::{PixelLoss, weighted};
use crate::act::Act;
use crate::features::Features;

/// A layer and what its differences count.
#[derive(Debug, Clone, PartialEq)]
pub struct PerceptualLayer {
    /// The layer's name, such as `conv5_4`.
    pub name: String,
    /// A factor.
    pub weight: f64,
}

/// The perceptual loss: the weighted sum of differences of features (Johnson et al. 2016).
#[derive(Debug, Clone)]
pub struct Perceptual {
    features: Arc<dyn Features>,
    prepare: fn(&Act) -> Result<Act>,
    layers: Vec<PerceptualLayer>,
    how: PixelLoss,
}

impl Perceptual {
    /// Differences of these layers. `prepare` brings pictures from 0 to 1 to what the network was
    /// trained on, such as [`imagenet`](crate::features::imagenet).
    pub fn new(
        features: Arc<dyn Features>,
        prepare: fn(&Act) -> Result<Act>,
        layers: Vec<PerceptualLayer>,
        how: PixelLoss,
    ) -> Self {
        Self {
            features,
            prepare,
            layers,
            how,
        }
    }

    /// The loss between pictures `[n, 3, h, w]` from 0 to 1; no gradient reaches the target.
    ///
    /// # Errors
    /// `invalid_request` when there is no layer of a name or none counts, `oom` when there is no
    /// memory.
    pub fn between(&self, made: &Tensor, target: &Tensor) -> Result<Tensor> {
        let names: Vec<&str> = self.layers.iter().map(|layer| &layer.name[..]).collect();
        let see = |picture: Tensor| {
            let picture = (self.prepare)(&Act::from_tensor(picture)?)?;
            self.features.features(&picture, &names)
        };
        let (made, target) = (see(made.clone())?, see(target.detach())?);
        let pairs = self.layers.iter().zip(made.iter().zip(&target));
        let parts = pairs.map(|(layer, (made, target))| {
            let loss = self.how.between(&made.to_tensor()?, &target.to_tensor()?)?;
            Ok((layer.weight, loss))
        });
        let sum = weighted(&parts.collect::<Result<Vec<_>>>()?)?;
        sum.ok_or_else(|| {
            let message = "a perceptual loss without layers that count";
            fonds_core::Error::new(fonds_core::Code::InvalidRequest, message)
        })
    }
}
