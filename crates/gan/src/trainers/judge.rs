//! Which discriminator a trainer plays with.

use std::sync::Arc;

use candle_core::Tensor;
use fonds_core::Result;
use fonds_nn::VarBuilder;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::BatchNormMode;
use fonds_nn::train::Learner;

use crate::models::noise::Discriminator;
use crate::models::normalization::Normalization;
use crate::models::{dcgan, patchgan, pixel_discriminator, resnet_gan, unet_discriminator};

/// A discriminator of single pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judge {
    /// One value a picture.
    Dcgan(dcgan::DiscriminatorConfig),
    /// One value a picture, residual, with spectral normalisation.
    ResNet(resnet_gan::Config),
    /// One value for each of overlapping patches.
    Patch(patchgan::Config),
    /// One value a pixel, each judged by itself.
    Pixel(pixel_discriminator::Config),
    /// One value a pixel, each judged in its surroundings.
    Unet(unet_discriminator::Config),
}

impl Judge {
    /// The network from weights, for training.
    ///
    /// # Errors
    /// `model_error` when the configuration is none.
    pub fn build(&self, vb: VarBuilder<'static>) -> Result<Box<dyn Discriminator>> {
        Ok(match self {
            // Nobody uses a discriminator afterwards, so its running statistics need not follow.
            Self::Dcgan(config) => Box::new(dcgan::DcganDiscriminator::new(
                config,
                BatchNormMode::Batch,
                vb,
            )?),
            Self::ResNet(config) => Box::new(resnet_gan::ResNetDiscriminator::new(config, vb)?),
            Self::Patch(config) => {
                let norm = of_batch(config.norm);
                let config = patchgan::Config {
                    norm,
                    ..config.clone()
                };
                Box::new(patchgan::PatchGan::new(&config, vb)?)
            }
            Self::Pixel(config) => {
                let norm = of_batch(config.norm);
                let config = pixel_discriminator::Config {
                    norm,
                    ..config.clone()
                };
                Box::new(pixel_discriminator::PixelDiscriminator::new(&config, vb)?)
            }
            Self::Unet(config) => Box::new(unet_discriminator::UnetDiscriminator::new(config, vb)?),
        })
    }

    /// Channels that it judges.
    pub fn channels(&self) -> usize {
        match self {
            Self::Dcgan(config) => config.channels,
            Self::ResNet(config) => config.channels,
            Self::Patch(config) => config.in_channels,
            Self::Pixel(config) => config.in_channels,
            Self::Unet(config) => config.in_channels,
        }
    }

    /// Whether one picture's judgement depends on the others of its batch, which no gradient
    /// penalty survives.
    pub fn mixes_pictures(&self) -> bool {
        let batch = |norm: Normalization| matches!(norm, Normalization::Batch(_));
        match self {
            Self::Dcgan(config) => config.norm == dcgan::CriticNorm::Batch,
            Self::Patch(config) => batch(config.norm),
            Self::Pixel(config) => batch(config.norm),
            Self::ResNet(_) | Self::Unet(_) => false,
        }
    }
}

/// The same normalisation by the batch's statistics alone.
fn of_batch(norm: Normalization) -> Normalization {
    match norm {
        Normalization::Batch(_) => Normalization::Batch(BatchNormMode::Batch),
        Normalization::Instance => Normalization::Instance,
    }
}

/// The same normalisation with the statistics of training.
pub(super) fn in_training(norm: Normalization) -> Normalization {
    match norm {
        Normalization::Batch(_) => Normalization::Batch(BatchNormMode::Train),
        Normalization::Instance => Normalization::Instance,
    }
}

/// What a learning discriminator makes of pictures: before each look, one step of the power iteration
/// of spectral normalisation.
pub(super) fn look(
    judge: &Learner<dyn Discriminator>,
    network: &dyn Discriminator,
    pictures: &Tensor,
    condition: Option<&Tensor>,
) -> Result<Tensor> {
    judge.parameters().iterate_spectral()?;
    let numbers = judge.numbers();
    let pictures = pictures.to_dtype(numbers).in_network()?;
    let condition = condition.map(|tensor| tensor.to_dtype(numbers).in_network());
    let seen = network.judge(&pictures, condition.transpose()?.as_ref())?;
    // Losses are sums, which few bits cannot hold.
    seen.to_dtype(judge.parameters().dtype()).in_network()
}

/// A learner's constructor for a discriminator.
pub(super) fn make(judge: &Judge) -> fonds_nn::train::Make<dyn Discriminator> {
    let judge = judge.clone();
    Arc::new(move |vb| judge.build(vb))
}
