//! What generators from noise and discriminators of pictures have in common, for those who train and
//! sample them.

use std::fmt::Debug;

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{Conv2d, ConvConfig, SpectralConv2d};
use fonds_nn::{Act, VarBuilder};

/// A generator from noise, and perhaps from a condition, to a picture.
pub trait NoiseGenerator: Debug + Send + Sync {
    /// Values of a noise vector, normal with mean 0 and deviation 1.
    fn latent(&self) -> usize;

    /// Values of a condition (classes, or attributes); 0 for none.
    fn conditions(&self) -> usize;

    /// Sides and channels of the pictures: channels, height, width.
    fn picture(&self) -> [usize; 3];

    /// Pictures from −1 to 1.
    ///
    /// # Shapes
    /// `[n, latent, 1, 1]` and, where there are conditions, `[n, conditions, 1, 1]` →
    /// `[n, channels, height, width]`.
    ///
    /// # Errors
    /// `internal` when a condition is missing or has other values, `oom` when there is no memory.
    fn generate(&self, noise: &Act, condition: Option<&Act>) -> Result<Act>;
}

/// A judge of pictures, in training.
pub trait Discriminator: Debug + Send + Sync {
    /// How real pictures look; unbounded values, one or more for each picture.
    ///
    /// # Shapes
    /// `[n, channels, height, width]` and, where there are conditions, `[n, conditions]` →
    /// `[n, …]`.
    ///
    /// # Errors
    /// `internal` when a condition is missing or has other values, `oom` when there is no memory.
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor>;
}

/// Noise, and beside it what a condition has been learned to mean; key `embed.weight`.
#[derive(Debug)]
pub(super) struct Embedding {
    conditions: usize,
    embed: Option<Conv2d>,
}

impl Embedding {
    /// A condition of so many values becomes `width` channels.
    pub(super) fn new(conditions: usize, width: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let point = ConvConfig::valid().bias(false);
        let embed = (conditions > 0)
            .then(|| Conv2d::new(conditions, width, 1, point, vb.pp("embed")))
            .transpose()?;
        Ok(Self { conditions, embed })
    }

    /// `[n, latent, 1, 1]` and `[n, conditions, 1, 1]` → `[n, latent + width, 1, 1]`.
    pub(super) fn beside(&self, noise: &Act, condition: Option<&Act>) -> Result<Act> {
        expect_condition(self.conditions, condition.map(|act| act.dims().channels))?;
        match (&self.embed, condition) {
            (Some(embed), Some(condition)) => Act::cat(&[noise, &embed.forward(condition)?]),
            _ => Ok(noise.clone()),
        }
    }
}

/// What a condition asks of a discriminator's features (Miyato and Koyama 2018); spectrally normalised
/// where the other layers are. Key: `project.weight` or `project.weight_orig`, `[features,
/// conditions, 1, 1]`.
#[derive(Debug)]
pub(super) enum Projection {
    Plain(Conv2d),
    Spectral(SpectralConv2d),
}

impl Projection {
    /// None without conditions.
    pub(super) fn new(
        conditions: usize,
        features: usize,
        spectral: bool,
        vb: &VarBuilder<'_>,
    ) -> Result<Option<Self>> {
        let how = ConvConfig::valid().bias(false);
        let vb = vb.pp("project");
        Ok(match (conditions, spectral) {
            (0, _) => None,
            (_, true) => Some(Self::Spectral(SpectralConv2d::new(
                conditions, features, 1, how, vb,
            )?)),
            (_, false) => Some(Self::Plain(Conv2d::new(conditions, features, 1, how, vb)?)),
        })
    }

    /// The score `[n, 1, 1, 1]` plus the product of the features `[n, c, h, w]`, summed over the
    /// picture, with those that the condition `[n, k]` asks for.
    pub(super) fn add_to(
        &self,
        score: &Tensor,
        features: &Tensor,
        condition: &Tensor,
    ) -> Result<Tensor> {
        let (count, values) = condition.dims2().in_network()?;
        let condition = condition.reshape((count, values, 1, 1)).in_network()?;
        let condition = Act::from_tensor(condition)?;
        let wanted = match self {
            Self::Plain(conv) => conv.forward(&condition)?,
            Self::Spectral(conv) => conv.forward(&condition)?,
        };
        let wanted = wanted.to_tensor()?;
        let sum = || {
            let seen = features.flatten_from(2)?.sum(2)?;
            let agreement = (wanted.flatten_from(1)? * seen)?.sum_keepdim(1)?;
            score + agreement.reshape(score.shape())?
        };
        sum().in_network()
    }
}

/// That a condition is there exactly when it is wanted.
pub(crate) fn expect_condition(wanted: usize, given: Option<usize>) -> Result<()> {
    if given.unwrap_or(0) == wanted {
        return Ok(());
    }
    let message = format!(
        "a network of {wanted} conditions was given {}",
        given.unwrap_or(0)
    );
    Err(Error::new(Code::InvalidRequest, message)
        .hint("give the data set classes or attributes, as many as the network has conditions"))
}
