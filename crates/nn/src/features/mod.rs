//! What networks trained to name things see in a picture: features for perceptual and style losses,
//! for metrics, and for comparing pictures.
//!
//! Layers have the names that papers use (`relu3_1`, `fire5`). A network computes up to the deepest
//! layer that is asked for.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

mod resnet;
mod squeezenet;
mod vgg;

#[cfg(test)]
mod parity;

use std::fmt::Debug;

use fonds_core::{Code, Error, Result};

pub use resnet::{ResNet, ResNetConfig};
pub use squeezenet::{FireWidths, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, Training};
pub use vgg::{Vgg, VggConfig};

use crate::act::Act;

/// A network whose layers can be looked at.
pub trait Features: Debug + Send + Sync {
    /// Names of the layers, from the picture on.
    fn layers(&self) -> Vec<String>;

    /// What these layers say, in the order in which they are named.
    ///
    /// # Errors
    /// `invalid_request` when there is no layer of a name, `oom` when there is no memory.
    fn features(&self, x: &Act, layers: &[&str]) -> Result<Vec<Act>>;
}

/// A picture as networks trained on `ImageNet` by torchvision want it: RGB from 0 to 1 comes in, each
/// channel with the mean 0 and the deviation 1 of that data set goes out.
///
/// # Errors
/// `internal` when there are not three channels.
pub fn imagenet(x: &Act) -> Result<Act> {
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
    standardised(x, MEAN, DEVIATION)
}

/// `(x − mean) / deviation`.
pub(crate) fn standardised(x: &Act, mean: [f32; 3], deviation: [f32; 3]) -> Result<Act> {
    let scale = deviation.map(|deviation| 1.0 / deviation);
    let shift = [0, 1, 2].map(|channel| -mean[channel] / deviation[channel]);
    x.channel_affine(&scale, &shift)
}

/// Layers that were asked for, and what they said.
struct Wanted<'a> {
    layers: Vec<(&'a str, Option<Act>)>,
}

impl<'a> Wanted<'a> {
    fn new(layers: &[&'a str], known: &[String]) -> Result<Self> {
        for layer in layers {
            if known.iter().all(|name| name != layer) {
                return Err(unknown(layer, known));
            }
        }
        let layers = layers.iter().map(|&layer| (layer, None)).collect();
        Ok(Self { layers })
    }

    fn has(&self, layer: &str) -> bool {
        self.layers.iter().any(|(name, _)| *name == layer)
    }

    fn give(&mut self, layer: &str, said: &Act) {
        for (_, place) in self.layers.iter_mut().filter(|(name, _)| *name == layer) {
            *place = Some(said.clone());
        }
    }

    fn is_complete(&self) -> bool {
        self.layers.iter().all(|(_, said)| said.is_some())
    }

    fn into_features(self) -> Vec<Act> {
        let said = self.layers.into_iter().map(|(_, said)| said);
        said.map(|said| said.expect("every known layer was passed"))
            .collect()
    }
}

fn unknown(layer: &str, known: &[String]) -> Error {
    let message = format!("the network has no layer `{layer}`");
    let error = Error::new(Code::InvalidRequest, message);
    error.hint(format!("its layers are {}", known.join(", ")))
}
