//! Generators from picture to picture, as pix2pix and `CycleGAN` train them.

use std::fmt;
use std::sync::{Arc, Mutex};

use fonds_core::{Result, Seed};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::network::{Network, Range};
use fonds_nn::train::{Chance, Make};
use fonds_nn::weights::Tensors;
use fonds_nn::{Backend, VarBuilder, load};

use super::judge::in_training;
use super::maker;
use crate::models::normalization::Normalization;
use crate::models::pix2pix_unet::Dropout;
use crate::models::{cyclegan_resnet, pix2pix_unet};

/// A generator that keeps the size of pictures.
#[derive(Debug, Clone)]
pub enum Translator {
    /// A U-Net down to a few pixels.
    Unet(pix2pix_unet::Config),
    /// Residual blocks at a quarter of the size.
    ResNet(cyclegan_resnet::Config),
    /// A network that works at full size, such as one that restoration uses.
    Full(FullSize),
}

/// A network from picture to picture that is the same in training and in use.
#[derive(Clone)]
pub struct FullSize {
    /// What it is called.
    pub name: &'static str,
    /// Channels that go in and come out.
    pub channels: usize,
    /// The values of its pictures.
    pub range: Range,
    /// Builds it.
    pub make: Make<dyn Network>,
}

impl fmt::Debug for FullSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullSize")
            .field("name", &self.name)
            .field("channels", &self.channels)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Translator {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unet(_) => "pix2pix U-Net",
            Self::ResNet(_) => "CycleGAN generator",
            Self::Full(network) => network.name,
        }
    }

    /// Channels that go in and come out.
    pub fn channels(&self) -> [usize; 2] {
        match self {
            Self::Unet(config) => [config.in_channels, config.out_channels],
            Self::ResNet(config) => [config.in_channels, config.out_channels],
            Self::Full(network) => [network.channels; 2],
        }
    }

    /// The values of the pictures that it takes and makes.
    pub fn range(&self) -> Range {
        match self {
            Self::Unet(_) | Self::ResNet(_) => Range::Signed,
            Self::Full(network) => network.range,
        }
    }

    /// The network from weights, for training.
    fn build(
        &self,
        dropout: Option<&Dropout>,
        vb: VarBuilder<'static>,
    ) -> Result<Box<dyn Network>> {
        Ok(match self {
            Self::Unet(config) => {
                let norm = in_training(config.norm);
                let config = pix2pix_unet::Config {
                    norm,
                    ..config.clone()
                };
                let network = pix2pix_unet::Pix2PixUnet::new(&config, vb)?;
                match dropout {
                    Some(chance) => Box::new(network.with_dropout(chance)),
                    None => Box::new(network),
                }
            }
            Self::ResNet(config) => {
                let norm = in_training(config.norm);
                let config = cyclegan_resnet::Config {
                    norm,
                    ..config.clone()
                };
                Box::new(cyclegan_resnet::CycleGanResNet::new(&config, vb)?)
            }
            Self::Full(network) => (network.make)(vb)?,
        })
    }

    /// A learner's constructor.
    pub(super) fn make(&self, dropout: Option<&Dropout>) -> Make<dyn Network> {
        let (translator, dropout) = (self.clone(), dropout.cloned());
        maker(move |vb| translator.build(dropout.as_ref(), vb))
    }

    /// The network from trained weights, to be used.
    ///
    /// # Errors
    /// As [`fonds_nn::load::load`].
    pub fn load(&self, tensors: &Tensors, backend: &Backend) -> Result<Box<dyn Network>> {
        let running = |norm| match norm {
            Normalization::Batch(_) => Normalization::Batch(BatchNormMode::Running),
            Normalization::Instance => Normalization::Instance,
        };
        Ok(match self {
            Self::Unet(config) => {
                let config = pix2pix_unet::Config {
                    norm: running(config.norm),
                    ..config.clone()
                };
                Box::new(pix2pix_unet::Pix2PixUnet::load(&config, tensors, backend)?)
            }
            Self::ResNet(config) => {
                let config = cyclegan_resnet::Config {
                    norm: running(config.norm),
                    ..config.clone()
                };
                Box::new(cyclegan_resnet::CycleGanResNet::load(
                    &config, tensors, backend,
                )?)
            }
            Self::Full(network) => load::load(
                network.name,
                tensors,
                backend,
                |_| false,
                |vb| (network.make)(vb),
            )?,
        })
    }
}

/// Chance for dropout, to be set at each step.
pub(super) fn dropout(seed: Seed) -> Dropout {
    Arc::new(Mutex::new(Chance::new(seed, "dropout")))
}
