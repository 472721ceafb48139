//! The networks whose features say what a picture shows and in which style, for optimisation.
//!
//! Gatys et al. (2016) take VGG-19; VGG-16 and `SqueezeNet` do as well, the latter in 5 MB. A file is
//! recognised by its keys, and each network has layers that are taken when none are named.

use std::fmt;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use fonds_nn::features::{
    Features, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, Vgg, VggConfig, imagenet,
};
use fonds_nn::loss::PerceptualLayer;
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, Backend, load};

/// A layer and what it counts.
pub type Layer = PerceptualLayer;

/// Which network a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractorKind {
    /// VGG-16, VGG-19, or another one of 3 × 3 convolutions.
    Vgg(VggConfig),
    /// `SqueezeNet` 1.0 or 1.1, of torchvision or of Caffe.
    SqueezeNet(SqueezeNetConfig),
}

impl ExtractorKind {
    /// The network that a file's keys and shapes show.
    ///
    /// # Errors
    /// `model_error` when it is none whose features are known.
    pub fn recognize(tensors: &Tensors) -> Result<Self> {
        if let Some(config) = SqueezeNetConfig::recognize(tensors) {
            return Ok(Self::SqueezeNet(config));
        }
        if let Some(config) = VggConfig::recognize(tensors).filter(|config| config.in_channels == 3)
        {
            return Ok(Self::Vgg(config));
        }
        let message = "the weights are those of no network whose features are known";
        let error = Error::new(Code::ModelError, message);
        Err(error.hint("give VGG-19, VGG-16 or SqueezeNet, as torchvision publishes them"))
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vgg(config) if *config == VggConfig::vgg19() => "VGG-19",
            Self::Vgg(config) if *config == VggConfig::vgg16() => "VGG-16",
            Self::Vgg(_) => "VGG",
            Self::SqueezeNet(config) => match config.version {
                SqueezeNetVersion::V1_0 => "SqueezeNet 1.0",
                SqueezeNetVersion::V1_1 => "SqueezeNet 1.1",
            },
        }
    }

    /// Names of its layers, from the picture on.
    ///
    /// # Errors
    /// `model_error` when its settings are none.
    pub fn layers(&self) -> Result<Vec<String>> {
        match self {
            Self::Vgg(config) => Ok(config.layers()),
            Self::SqueezeNet(config) => {
                let mut names = Vec::new();
                load::expected_keys(|vb| {
                    names = SqueezeNet::new(config, vb)?.layers();
                    Ok(())
                })?;
                Ok(names)
            }
        }
    }

    /// The layers that say what is shown, when none are named.
    pub fn content_layers(&self) -> Vec<Layer> {
        match self {
            Self::Vgg(config) => known(&config.layers(), &["relu4_2", "relu3_2", "relu2_1"], 1),
            Self::SqueezeNet(_) => layers(&["fire5"]),
        }
    }

    /// The layers whose statistics are the style, when none are named.
    pub fn style_layers(&self) -> Vec<Layer> {
        const VGG: [&str; 5] = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"];
        match self {
            Self::Vgg(config) => known(&config.layers(), &VGG, VGG.len()),
            Self::SqueezeNet(_) => layers(&["relu1", "fire2", "fire3", "fire5", "fire7"]),
        }
    }

    /// The network itself.
    ///
    /// # Errors
    /// `model_error` when a tensor is missing or has another shape, `oom` when there is no memory.
    pub fn build(&self, tensors: &Tensors, backend: &Backend) -> Result<Extractor> {
        let (features, prepare): (Arc<dyn Features>, Prepare) = match self {
            Self::Vgg(config) => {
                let network = Vgg::load(config, tensors, backend)?;
                (Arc::new(network), Arc::new(imagenet))
            }
            Self::SqueezeNet(config) => {
                let network = Arc::new(SqueezeNet::load(config, tensors, backend)?);
                let same = Arc::clone(&network);
                (network, Arc::new(move |x: &Act| same.prepare(x)))
            }
        };
        Ok(Extractor {
            features,
            prepare,
            content: self.content_layers(),
            style: self.style_layers(),
        })
    }
}

type Prepare = Arc<dyn Fn(&Act) -> Result<Act> + Send + Sync>;

/// A network that looks at pictures.
#[derive(Clone)]
pub struct Extractor {
    features: Arc<dyn Features>,
    prepare: Prepare,
    content: Vec<Layer>,
    style: Vec<Layer>,
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extractor({:?})", self.features)
    }
}

impl Extractor {
    /// Any network. `prepare` brings pictures from 0 to 1 to what it was trained on; the layers are
    /// those that are taken when none are named.
    pub fn new(
        features: Arc<dyn Features>,
        prepare: impl Fn(&Act) -> Result<Act> + Send + Sync + 'static,
        content: Vec<Layer>,
        style: Vec<Layer>,
    ) -> Self {
        Self {
            features,
            prepare: Arc::new(prepare),
            content,
            style,
        }
    }

    /// The layers that say what is shown, when none are named.
    pub fn content_layers(&self) -> &[Layer] {
        &self.content
    }

    /// The layers whose statistics are the style, when none are named.
    pub fn style_layers(&self) -> &[Layer] {
        &self.style
    }
}

/// Pictures go in as they are, `[n, 3, h, w]` from 0 to 1.
impl Features for Extractor {
    fn layers(&self) -> Vec<String> {
        self.features.layers()
    }

    fn features(&self, pictures: &Act, layers: &[&str]) -> Result<Vec<Act>> {
        self.features.features(&(self.prepare)(pictures)?, layers)
    }
}

fn layers(names: &[&str]) -> Vec<Layer> {
    let layer = |name: &&str| Layer {
        name: (*name).to_owned(),
        weight: 1.0,
    };
    names.iter().map(layer).collect()
}

/// The first of these layers that there are, as many as are wanted.
fn known(there: &[String], names: &[&str], count: usize) -> Vec<Layer> {
    let found: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| there.iter().any(|layer| layer == name))
        .take(count)
        .collect();
    layers(&found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_are_taken_are_there() {
        for kind in [
            ExtractorKind::Vgg(VggConfig::vgg16()),
            ExtractorKind::Vgg(VggConfig::vgg19()),
        ] {
            let ExtractorKind::Vgg(config) = &kind else {
                continue;
            };
            assert_eq!(kind.style_layers().len(), 5);
            assert_eq!(kind.content_layers()[0].name, "relu4_2");
            let short = ExtractorKind::Vgg(config.up_to("relu3_1").unwrap());
            assert_eq!(short.style_layers().len(), 3);
            assert_eq!(short.content_layers()[0].name, "relu2_1");
        }
    }

    #[test]
    fn weights_of_another_kind_are_refused() {
        let error = ExtractorKind::recognize(&Tensors::new()).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert!(error.hints()[0].contains("VGG-19"));
    }
}
