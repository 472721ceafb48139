//! `SqueezeNet`: features in 5 MB of weights.
//!
//! Iandola et al., *`SqueezeNet`: AlexNet-level accuracy with 50x fewer parameters* (2016),
//! arXiv:1602.07360. RGB in, `[n, 3, h, w]`, as [`SqueezeNet::prepare`] makes it. Keys are
//! torchvision's (1.0 and 1.1); [`SqueezeNetConfig::canonical`] brings those of the Caffe model into
//! them.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use fonds_core::{Code, Error, Result};

use super::{Features, Wanted, imagenet};
use crate::act::Act;
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::layers::{Activation, Conv2d, ConvConfig, Pool};
use crate::load;
use crate::weights::{self, Tensors};

/// Which of the two published forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqueezeNetVersion {
    /// As in the paper: begins with 7 × 7 pixels.
    V1_0,
    /// With less work: begins with 3 × 3 pixels.
    V1_1,
}

impl SqueezeNetVersion {
    /// The numbers after `features.` of the modules fire2 to fire9.
    fn indices(self) -> [usize; 8] {
        match self {
            Self::V1_0 => [3, 4, 5, 7, 8, 9, 10, 12],
            Self::V1_1 => [3, 4, 6, 7, 9, 10, 11, 12],
        }
    }

    /// The side of the first kernel.
    fn kernel(self) -> usize {
        match self {
            Self::V1_0 => 7,
            Self::V1_1 => 3,
        }
    }

    /// After which fire modules the size is halved.
    fn pools(self) -> [usize; 2] {
        match self {
            Self::V1_0 => [4, 8],
            Self::V1_1 => [3, 5],
        }
    }
}

/// What pictures a network was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    /// Torchvision's: mean 0 and deviation 1 over `ImageNet`.
    Torchvision,
    /// Caffe's: 0 to 255, less the mean of `ImageNet`. (Its BGR is put right in the weights.)
    Caffe,
}

/// The widths of a fire module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FireWidths {
    /// Channels of the bottleneck.
    pub squeeze: usize,
    /// Channels that see one pixel of it.
    pub expand1x1: usize,
    /// Channels that see 3 × 3 pixels of it.
    pub expand3x3: usize,
}

/// What distinguishes one `SqueezeNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqueezeNetConfig {
    /// Which form.
    pub version: SqueezeNetVersion,
    /// Channels after the first convolution.
    pub features: usize,
    /// The modules fire2 to fire9.
    pub fires: [FireWidths; 8],
    /// Classes that the classifier knows, where there is one.
    pub classes: Option<usize>,
    /// What pictures it wants.
    pub training: Training,
}

impl SqueezeNetConfig {
    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` when a layer has no channels.
    pub fn validate(&self) -> Result<()> {
        let empty = |fire: &FireWidths| fire.squeeze * fire.expand1x1 * fire.expand3x3 == 0;
        if self.features == 0 || self.classes == Some(0) || self.fires.iter().any(empty) {
            return Err(Error::new(
                Code::ModelError,
                "a SqueezeNet has an empty layer",
            ));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show, in either dialect.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let training = if tensors.contains("fire2/conv1x1_1.weight") {
            Training::Caffe
        } else {
            Training::Torchvision
        };
        let tensors = &Self::canonical(tensors);
        let outer = |key: &str| match *tensors.get(key)?.shape() {
            [outer, _, rows, columns] if rows == columns => Some((outer, rows)),
            _ => None,
        };
        let (features, kernel) = outer("features.0.weight")?;
        let version = match kernel {
            7 => SqueezeNetVersion::V1_0,
            3 => SqueezeNetVersion::V1_1,
            _ => return None,
        };
        let mut fires = Vec::new();
        for index in version.indices() {
            let width = |name: &str| Some(outer(&format!("features.{index}.{name}.weight"))?.0);
            fires.push(FireWidths {
                squeeze: width("squeeze")?,
                expand1x1: width("expand1x1")?,
                expand3x3: width("expand3x3")?,
            });
        }
        Some(Self {
            version,
            features,
            fires: fires.try_into().ok()?,
            // The Caffe model's classifier pads, which torchvision's does not; it is left out.
            classes: match training {
                Training::Torchvision => outer("classifier.1.weight").map(|(classes, _)| classes),
                Training::Caffe => None,
            },
            training,
        })
    }

    /// The tensors under torchvision's keys, for RGB. Those of another network stay as they are.
    pub fn canonical(tensors: &Tensors) -> Tensors {
        if !tensors.contains("fire2/conv1x1_1.weight") {
            return tensors.clone();
        }
        let seven = |tensor: &weights::Tensor| tensor.shape().last() == Some(&7);
        let version = match tensors.get("conv1.weight") {
            Some(tensor) if seven(tensor) => SqueezeNetVersion::V1_0,
            _ => SqueezeNetVersion::V1_1,
        };
        tensors
            .iter()
            .map(|(key, tensor)| {
                let tensor = if key == "conv1.weight" {
                    reversed(tensor)
                } else {
                    tensor.clone()
                };
                (
                    from_caffe(key, version).unwrap_or_else(|| key.to_owned()),
                    tensor,
                )
            })
            .collect()
    }
}

/// Torchvision's key for one of Caffe's.
fn from_caffe(key: &str, version: SqueezeNetVersion) -> Option<String> {
    let (layer, name) = key.rsplit_once('.')?;
    let layer = match layer {
        "conv1" => "features.0".to_owned(),
        "conv_final" | "conv10" => "classifier.1".to_owned(),
        _ => {
            let (fire, part) = layer.strip_prefix("fire")?.split_once('/')?;
            let fire: usize = fire.parse().ok()?;
            let index = *version.indices().get(fire.checked_sub(2)?)?;
            let part = match part {
                "conv1x1_1" | "squeeze1x1" => "squeeze",
                "conv1x1_2" | "expand1x1" => "expand1x1",
                "conv3x3_2" | "expand3x3" => "expand3x3",
                _ => return None,
            };
            format!("features.{index}.{part}")
        }
    };
    Some(format!("{layer}.{name}"))
}

/// A kernel `[out, in, k, k]` with its input channels in reverse order.
fn reversed(tensor: &weights::Tensor) -> weights::Tensor {
    let &[outer, inner, rows, columns] = tensor.shape() else {
        return tensor.clone();
    };
    let (size, values) = (rows * columns, tensor.to_f32());
    let mut turned = Vec::with_capacity(values.len());
    for row in 0..outer {
        for channel in (0..inner).rev() {
            let start = (row * inner + channel) * size;
            turned.extend_from_slice(&values[start..start + size]);
        }
    }
    weights::Tensor::from_f32(tensor.shape(), &turned).expect("as many values as before")
}

/// The network.
#[derive(Debug)]
pub struct SqueezeNet {
    config: SqueezeNetConfig,
    /// With its activation.
    first: Conv2d,
    fires: Vec<Fire>,
    /// With its activation.
    classifier: Option<Conv2d>,
}

/// Windows of 3 × 3 that overlap; those that are partly outside count.
const POOL: Pool = Pool {
    kernel: 3,
    stride: 2,
    padding: 0,
    ceil: true,
};

impl SqueezeNet {
    /// The network from weights under torchvision's keys.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &SqueezeNetConfig, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let features = vb.pp("features");
        let kernel = config.version.kernel();
        let halve = ConvConfig::valid().stride(2);
        let first = Conv2d::new(3, config.features, kernel, halve, features.pp(0))?;
        let mut inner = config.features;
        let mut fires = Vec::new();
        for (widths, index) in config.fires.iter().zip(config.version.indices()) {
            fires.push(Fire::new(inner, widths, &features.pp(index))?);
            inner = widths.expand1x1 + widths.expand3x3;
        }
        let classifier = config.classes.map(|classes| {
            let conv = ConvConfig::valid();
            let conv = Conv2d::new(inner, classes, 1, conv, vb.pp("classifier.1"))?;
            Ok::<_, Error>(conv.with_activation(Activation::Relu))
        });
        Ok(Self {
            config: config.clone(),
            first: first.with_activation(Activation::Relu),
            fires,
            classifier: classifier.transpose()?,
        })
    }

    /// The network from a checkpoint's tensors, in either dialect.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &SqueezeNetConfig, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let tensors = SqueezeNetConfig::canonical(tensors);
        let headless = config.classes.is_none();
        let ignore = |key: &str| headless && key.starts_with("classifier.");
        load::load("SqueezeNet", &tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }

    /// A picture as the network was trained on; RGB from 0 to 1 comes in.
    ///
    /// # Errors
    /// `internal` when there are not three channels.
    pub fn prepare(&self, x: &Act) -> Result<Act> {
        match self.config.training {
            Training::Torchvision => imagenet(x),
            Training::Caffe => x.channel_affine(&[255.0; 3], &[-123.0, -117.0, -104.0]),
        }
    }

    /// What it takes the picture for, before any softmax: `[n, classes]`.
    ///
    /// # Errors
    /// `invalid_request` when it has no classifier, `oom` when there is no memory.
    pub fn logits(&self, x: &Act) -> Result<Tensor> {
        let Some(classifier) = &self.classifier else {
            let message = "this SqueezeNet has no classifier";
            return Err(Error::new(Code::InvalidRequest, message));
        };
        let features = self.features(x, &["fire9"])?;
        let y = classifier.forward(&features[0])?.to_tensor()?;
        y.mean((2, 3)).in_network()
    }
}

impl Features for SqueezeNet {
    fn layers(&self) -> Vec<String> {
        let mut names = vec!["relu1".to_owned(), "pool1".to_owned()];
        for fire in 2..10 {
            names.push(format!("fire{fire}"));
            if self.config.version.pools().contains(&fire) {
                names.push(format!("pool{fire}"));
            }
        }
        names
    }

    /// # Shapes
    /// `[n, 3, h, w]` → `[n, c, ~h / 2ᵇ, ~w / 2ᵇ]`, `b` being 1 and one more for each pooling.
    fn features(&self, x: &Act, layers: &[&str]) -> Result<Vec<Act>> {
        let mut wanted = Wanted::new(layers, &self.layers())?;
        let mut y = self.first.forward(x)?;
        wanted.give("relu1", &y);
        if wanted.is_complete() {
            return Ok(wanted.into_features());
        }
        y = y.max_pool(POOL)?;
        wanted.give("pool1", &y);
        for (number, fire) in (2..).zip(&self.fires) {
            if wanted.is_complete() {
                break;
            }
            y = fire.forward(&y)?;
            wanted.give(&format!("fire{number}"), &y);
            if self.config.version.pools().contains(&number) && !wanted.is_complete() {
                y = y.max_pool(POOL)?;
                wanted.give(&format!("pool{number}"), &y);
            }
        }
        Ok(wanted.into_features())
    }
}

/// A bottleneck, and two kinds of convolutions out of it side by side.
#[derive(Debug)]
struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn new(inner: usize, widths: &FireWidths, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |inner, outer, kernel, name: &str| {
            let conv = Conv2d::new(inner, outer, kernel, ConvConfig::same(kernel), vb.pp(name))?;
            Ok::<_, Error>(conv.with_activation(Activation::Relu))
        };
        Ok(Self {
            squeeze: conv(inner, widths.squeeze, 1, "squeeze")?,
            expand1x1: conv(widths.squeeze, widths.expand1x1, 1, "expand1x1")?,
            expand3x3: conv(widths.squeeze, widths.expand3x3, 3, "expand3x3")?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.squeeze.forward(x)?;
        Act::cat(&[&self.expand1x1.forward(&y)?, &self.expand3x3.forward(&y)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caffe_keys_become_torchvision_keys() {
        let version = SqueezeNetVersion::V1_0;
        let cases = [
            ("conv1.weight", Some("features.0.weight")),
            ("fire2/conv1x1_1.weight", Some("features.3.squeeze.weight")),
            ("fire5/conv1x1_2.bias", Some("features.7.expand1x1.bias")),
            (
                "fire9/conv3x3_2.weight",
                Some("features.12.expand3x3.weight"),
            ),
            ("conv_final.bias", Some("classifier.1.bias")),
            ("fire1/conv1x1_1.weight", None),
            ("fire10/conv1x1_1.weight", None),
            ("relu.weight", None),
        ];
        for (key, expected) in cases {
            assert_eq!(from_caffe(key, version).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn blue_and_red_change_places_in_the_first_kernel() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let kernel = weights::Tensor::from_f32(&[2, 3, 1, 2], &values).unwrap();
        let expected = [4.0, 5.0, 2.0, 3.0, 0.0, 1.0, 10.0, 11.0, 8.0, 9.0, 6.0, 7.0];
        assert_eq!(reversed(&kernel).to_f32(), expected);
    }
}
