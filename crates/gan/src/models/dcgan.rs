//! DCGAN: a generator of transposed convolutions from noise to a picture, and its mirror image as
//! discriminator.
//!
//! Radford et al., *Unsupervised Representation Learning with Deep Convolutional Generative
//! Adversarial Networks* (2016), arXiv:1511.06434. Keys are those of the DCGAN in pytorch/examples
//! (`main.{n}`), for sides of 32, 64, 128 and 256 pixels alike. Conditions (classes or attributes)
//! enter the generator beside the noise, through a learned embedding (Mirza and Osindero 2014,
//! arXiv:1411.1784; key `embed.weight`), and the discriminator by projection (Miyato and Koyama 2018,
//! arXiv:1802.05637; keys under `project`).

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{
    Activation, BatchNorm2d, BatchNormMode, Conv2d, ConvConfig, ConvNorm, ConvTranspose2d,
    ConvTransposeConfig, ConvTransposeNorm, InstanceNorm2d, Norm, SpectralConv2d,
};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::noise::{Discriminator, Embedding, NoiseGenerator, Projection, expect_condition};
use super::normalization::{count, is_counter, kernel};

/// Slope of the discriminator's activations.
const SLOPE: f32 = 0.2;
/// PyTorch's.
const EPS: f64 = 1e-5;
/// The side at which noise becomes a picture.
const SEED_SIDE: usize = 4;

/// What distinguishes one generator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Values of a noise vector.
    pub latent: usize,
    /// Channels at half of the final size; each step before has twice as many.
    pub features: usize,
    /// Channels of a picture.
    pub channels: usize,
    /// Sides of a picture: a power of two from 16 on.
    pub size: usize,
    /// Values of a condition; 0 for none.
    pub conditions: usize,
    /// Channels that the condition becomes beside the noise; 0 without conditions.
    pub embedding: usize,
}

impl GeneratorConfig {
    /// The paper's generator for pictures of 64 × 64.
    pub fn size_64() -> Self {
        Self {
            latent: 100,
            features: 64,
            channels: 3,
            size: 64,
            conditions: 0,
            embedding: 0,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        validate_size(self.size, self.features)?;
        let conditional = self.conditions > 0;
        let sizes = self.latent > 0 && self.channels > 0;
        if !sizes || conditional != (self.embedding > 0) {
            let message = format!(
                "a DCGAN generator from {} values and {} conditions (as {}) to {} channels is empty",
                self.latent, self.conditions, self.embedding, self.channels
            );
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [inner, _, 4] = kernel(tensors, "main.0.weight")? else {
            return None;
        };
        // A batch normalisation follows at once in a generator, never in a discriminator.
        tensors.get("main.1.running_mean")?;
        let steps = count(tensors, |n| format!("main.{}.weight", 3 * n)).checked_sub(1)?;
        let [features, channels, 4] = kernel(tensors, &format!("main.{}.weight", 3 * steps))?
        else {
            return None;
        };
        let [embedding, conditions, _] = kernel(tensors, "embed.weight").unwrap_or([0; 3]);
        Some(Self {
            latent: inner.checked_sub(embedding)?,
            features,
            channels,
            size: SEED_SIDE << steps,
            conditions,
            embedding,
        })
    }
}

/// How often `SEED_SIDE` is doubled to reach a side, when it is.
fn doublings(size: usize) -> usize {
    size.ilog2() as usize - SEED_SIDE.ilog2() as usize
}

fn validate_size(size: usize, features: usize) -> Result<()> {
    if !size.is_power_of_two() || !(16..=256).contains(&size) || features == 0 {
        let message = format!("a DCGAN of {features} features for sides of {size} is not known");
        let error = Error::new(Code::ModelError, message);
        return Err(error.hint("sides are 16, 32, 64, 128 or 256"));
    }
    Ok(())
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key)
}

/// The generator.
#[derive(Debug)]
pub struct Generator {
    config: GeneratorConfig,
    /// `embed`.
    embed: Embedding,
    /// `main.0`, `main.3`, …, each with its normalisation.
    steps: Vec<ConvTransposeNorm>,
    last: ConvTranspose2d,
}

impl Generator {
    /// The network; in training `mode` is [`BatchNormMode::Train`].
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &GeneratorConfig, mode: BatchNormMode, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let steps = doublings(config.size);
        let main = vb.pp("main");
        let double = ConvTransposeConfig {
            stride: 2,
            padding: 1,
            output_padding: 0,
            bias: false,
        };
        let seed = ConvTransposeConfig {
            stride: 1,
            padding: 0,
            ..double
        };
        let width = |step: usize| config.features << (steps - 1 - step);
        let layers = (0..steps).map(|step| {
            let (inner, how) = match step {
                0 => (config.latent + config.embedding, seed),
                _ => (width(step - 1), double),
            };
            let conv = ConvTranspose2d::new(inner, width(step), 4, how, main.pp(3 * step))?;
            let norm = BatchNorm2d::new(width(step), EPS, mode, main.pp(3 * step + 1))?;
            Ok(ConvTransposeNorm::new(
                conv,
                Norm::Batch(norm),
                Activation::Relu,
            ))
        });
        let layers = layers.collect::<Result<_>>()?;
        let last = main.pp(3 * steps);
        let last = ConvTranspose2d::new(config.features, config.channels, 4, double, last)?;
        let embed = Embedding::new(config.conditions, config.embedding, &vb)?;
        Ok(Self {
            config: config.clone(),
            embed,
            steps: layers,
            last: last.with_activation(Activation::Tanh),
        })
    }

    /// The network from a checkpoint's tensors, to be used.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(
        config: &GeneratorConfig,
        tensors: &Tensors,
        backend: &fonds_nn::Backend,
    ) -> Result<Self> {
        let what = "the DCGAN generator";
        load::load(what, tensors, backend, ignore, |vb| {
            Self::new(config, BatchNormMode::Running, vb)
        })
    }
}

impl NoiseGenerator for Generator {
    fn latent(&self) -> usize {
        self.config.latent
    }

    fn conditions(&self) -> usize {
        self.config.conditions
    }

    fn picture(&self) -> [usize; 3] {
        let GeneratorConfig { channels, size, .. } = self.config;
        [channels, size, size]
    }

    fn generate(&self, noise: &Act, condition: Option<&Act>) -> Result<Act> {
        let mut y = self.embed.beside(noise, condition)?;
        for step in &self.steps {
            y = step.forward(&y)?;
        }
        self.last.forward(&y)
    }
}

/// What keeps a discriminator's layers in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriticNorm {
    /// Batch normalisation after all convolutions but the first and the last, as in the paper.
    Batch,
    /// Instance normalisation in its place, for a gradient penalty, which must see one picture at a
    /// time (Gulrajani et al. 2017 take layer normalisation).
    Instance,
    /// Spectral normalisation of all weights.
    Spectral,
    /// Nothing.
    None,
}

/// What distinguishes one discriminator from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscriminatorConfig {
    /// Channels after the first convolution; each one after has twice as many.
    pub features: usize,
    /// Channels of a picture.
    pub channels: usize,
    /// Sides of a picture: a power of two from 16 on.
    pub size: usize,
    /// Values of a condition; 0 for none.
    pub conditions: usize,
    /// What keeps layers in bounds.
    pub norm: CriticNorm,
}

impl DiscriminatorConfig {
    /// The paper's discriminator for pictures of 64 × 64.
    pub fn size_64() -> Self {
        Self {
            features: 64,
            channels: 3,
            size: 64,
            conditions: 0,
            norm: CriticNorm::Batch,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        validate_size(self.size, self.features)?;
        if self.channels == 0 {
            let message = "a DCGAN discriminator without channels is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(())
    }
}

/// The discriminator; there is no sigmoid at the end.
#[derive(Debug)]
pub struct DcganDiscriminator {
    config: DiscriminatorConfig,
    /// `main.0` and on, each with what follows.
    layers: Vec<Layer>,
    last: Layer,
    /// `project`.
    project: Option<Projection>,
}

impl DcganDiscriminator {
    /// The network; in training `mode` is [`BatchNormMode::Train`].
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(
        config: &DiscriminatorConfig,
        mode: BatchNormMode,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        config.validate()?;
        let steps = doublings(config.size);
        let main = vb.pp("main");
        let keep = ConvConfig::valid().bias(config.norm != CriticNorm::Batch);
        let halve = keep.stride(2).padding(1);
        let width = |step: usize| config.features << step;
        let mut index = 0;
        let mut layers = Vec::new();
        for step in 0..steps {
            let (inner, norm) = match (step, config.norm) {
                (0, CriticNorm::Spectral) => (config.channels, CriticNorm::Spectral),
                (0, _) => (config.channels, CriticNorm::None),
                (_, norm) => (width(step - 1), norm),
            };
            let shape = (inner, width(step), halve);
            let leaky = Activation::LeakyRelu(SLOPE);
            layers.push(Layer::new(shape, norm, leaky, mode, (&main, index))?);
            // The convolution, its normalisation where that has a place, its activation.
            let placed = matches!(norm, CriticNorm::Batch | CriticNorm::Instance);
            index += 2 + usize::from(placed);
        }
        let norm = match config.norm {
            CriticNorm::Spectral => CriticNorm::Spectral,
            _ => CriticNorm::None,
        };
        let top = width(steps - 1);
        let last = Layer::new((top, 1, keep), norm, Activation::None, mode, (&main, index))?;
        let spectral = config.norm == CriticNorm::Spectral;
        let project = Projection::new(config.conditions, top, spectral, &vb)?;
        Ok(Self {
            config: config.clone(),
            layers,
            last,
            project,
        })
    }
}

impl Discriminator for DcganDiscriminator {
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        let given = condition.map(|tensor| tensor.dims()[1]);
        expect_condition(self.config.conditions, given)?;
        let mut y = Act::from_tensor(pictures.clone())?;
        for layer in &self.layers {
            y = layer.forward(&y)?;
        }
        let score = self.last.forward(&y)?.to_tensor()?;
        match (&self.project, condition) {
            (Some(project), Some(condition)) => project.add_to(&score, &y.to_tensor()?, condition),
            _ => Ok(score),
        }
    }
}

/// A convolution of the discriminator, with what keeps it in bounds.
#[derive(Debug)]
enum Layer {
    Spectral(SpectralConv2d),
    Plain(Conv2d),
    Normed(ConvNorm),
}

impl Layer {
    fn new(
        (inner, outer, how): (usize, usize, ConvConfig),
        norm: CriticNorm,
        activation: Activation,
        mode: BatchNormMode,
        (main, index): (&VarBuilder<'_>, usize),
    ) -> Result<Self> {
        let vb = main.pp(index);
        if norm == CriticNorm::Spectral {
            let conv = SpectralConv2d::new(inner, outer, 4, how, vb)?;
            return Ok(Self::Spectral(conv.with_activation(activation)));
        }
        let conv = Conv2d::new(inner, outer, 4, how, vb)?;
        let norm = match norm {
            CriticNorm::Batch => {
                Norm::Batch(BatchNorm2d::new(outer, EPS, mode, main.pp(index + 1))?)
            }
            CriticNorm::Instance => Norm::Instance(InstanceNorm2d::plain(EPS)),
            CriticNorm::Spectral | CriticNorm::None => {
                return Ok(Self::Plain(conv.with_activation(activation)));
            }
        };
        Ok(Self::Normed(ConvNorm::new(conv, norm, activation)))
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        match self {
            Self::Spectral(conv) => conv.forward(x),
            Self::Plain(conv) => conv.forward(x),
            Self::Normed(conv) => conv.forward(x),
        }
    }
}
