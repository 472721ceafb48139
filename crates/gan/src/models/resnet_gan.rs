//! Residual generator and discriminator for pictures from noise, the latter with spectral
//! normalisation and projection of conditions.
//!
//! Gulrajani et al., *Improved Training of Wasserstein GANs* (2017), arXiv:1704.00028 (the residual
//! networks); Miyato et al., *Spectral Normalization for Generative Adversarial Networks* (2018),
//! arXiv:1802.05957; Miyato and Koyama, *cGANs with Projection Discriminator* (2018),
//! arXiv:1802.05637. Pictures from −1 to 1. Keys are our own: `linear`, `blocks.{i}.{conv1, conv2,
//! norm1, norm2, shortcut}`, `norm`, `last`, `embed`, `project`.

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{
    Activation, BatchNorm2d, BatchNormMode, Conv2d, ConvConfig, SpectralConv2d,
};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::noise::{Discriminator, Embedding, NoiseGenerator, Projection, expect_condition};
use super::normalization::{count, is_counter, kernel};

/// PyTorch's.
const EPS: f64 = 1e-5;
/// The side at which noise becomes a picture.
const SEED_SIDE: usize = 4;
/// Features are doubled at most this often.
const WIDEST: usize = 3;

/// What distinguishes one network from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Values of a noise vector; a discriminator has none.
    pub latent: usize,
    /// Channels at full size.
    pub features: usize,
    /// Channels of a picture.
    pub channels: usize,
    /// Sides of a picture: a power of two from 16 on.
    pub size: usize,
    /// Values of a condition; 0 for none.
    pub conditions: usize,
}

impl Config {
    /// Pictures of 64 × 64, noise of 128 values.
    pub fn size_64() -> Self {
        Self {
            latent: 128,
            features: 64,
            channels: 3,
            size: 64,
            conditions: 0,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let sizes = self.size.is_power_of_two() && (16..=256).contains(&self.size);
        if !sizes || self.features == 0 || self.channels == 0 {
            let message = format!(
                "a residual GAN of {} features for {} channels and sides of {} is not known",
                self.features, self.channels, self.size
            );
            let error = Error::new(Code::ModelError, message);
            return Err(error.hint("sides are 16, 32, 64, 128 or 256"));
        }
        Ok(())
    }

    /// The configuration that a generator's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [_, inner, 1] = kernel(tensors, "linear.weight")? else {
            return None;
        };
        let steps = count(tensors, |n| format!("blocks.{n}.conv1.weight"));
        let [channels, features, 3] = kernel(tensors, "last.weight")? else {
            return None;
        };
        let [embedding, conditions, _] = kernel(tensors, "embed.weight").unwrap_or([0; 3]);
        Some(Self {
            latent: inner.checked_sub(embedding)?,
            features,
            channels,
            size: SEED_SIDE << steps,
            conditions,
        })
    }

    /// How often the size doubles.
    fn steps(&self) -> usize {
        self.size.ilog2() as usize - SEED_SIDE.ilog2() as usize
    }

    /// Channels when the side is the final one divided by `2^halvings`.
    fn width(&self, halvings: usize) -> usize {
        self.features << halvings.min(WIDEST)
    }

    /// Channels that a condition becomes beside the noise.
    fn embedding(&self) -> usize {
        if self.conditions == 0 { 0 } else { self.latent }
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key)
}

/// The generator.
#[derive(Debug)]
pub struct ResNetGenerator {
    config: Config,
    embed: Embedding,
    linear: Conv2d,
    blocks: Vec<Enlarging>,
    norm: BatchNorm2d,
    last: Conv2d,
}

impl ResNetGenerator {
    /// The network; in training `mode` is [`BatchNormMode::Train`].
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, mode: BatchNormMode, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        if config.latent == 0 {
            let message = "a residual generator without noise is empty";
            return Err(Error::new(Code::ModelError, message));
        }
        let steps = config.steps();
        let point = ConvConfig::valid();
        let embed = Embedding::new(config.conditions, config.embedding(), &vb)?;
        let top = config.width(steps);
        let linear = Conv2d::new(
            config.latent + config.embedding(),
            top * SEED_SIDE * SEED_SIDE,
            1,
            point,
            vb.pp("linear"),
        )?;
        let blocks = (0..steps).map(|step| {
            let (inner, outer) = (config.width(steps - step), config.width(steps - step - 1));
            Enlarging::new(inner, outer, mode, &vb.pp("blocks").pp(step))
        });
        let blocks = blocks.collect::<Result<_>>()?;
        let norm = BatchNorm2d::new(config.features, EPS, mode, vb.pp("norm"))?;
        let same = ConvConfig::same(3);
        let last = Conv2d::new(config.features, config.channels, 3, same, vb.pp("last"))?;
        Ok(Self {
            config: config.clone(),
            embed,
            linear,
            blocks,
            norm,
            last: last.with_activation(Activation::Tanh),
        })
    }

    /// The network from a checkpoint's tensors, to be used.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let what = "the residual generator";
        load::load(what, tensors, backend, ignore, |vb| {
            Self::new(config, BatchNormMode::Running, vb)
        })
    }
}

impl NoiseGenerator for ResNetGenerator {
    fn latent(&self) -> usize {
        self.config.latent
    }

    fn conditions(&self) -> usize {
        self.config.conditions
    }

    fn picture(&self) -> [usize; 3] {
        let Config { channels, size, .. } = self.config;
        [channels, size, size]
    }

    fn generate(&self, noise: &Act, condition: Option<&Act>) -> Result<Act> {
        let noise = self.embed.beside(noise, condition)?;
        // [n, c · 16, 1, 1] → [n, c, 4, 4].
        let mut y = self.linear.forward(&noise)?.pixel_shuffle(SEED_SIDE)?;
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        self.last.forward(&self.norm.forward(&y)?.relu()?)
    }
}

/// A residual block that doubles the size.
#[derive(Debug)]
struct Enlarging {
    norm1: BatchNorm2d,
    conv1: Conv2d,
    norm2: BatchNorm2d,
    conv2: Conv2d,
    shortcut: Conv2d,
}

impl Enlarging {
    fn new(inner: usize, outer: usize, mode: BatchNormMode, vb: &VarBuilder<'_>) -> Result<Self> {
        let same = ConvConfig::same(3);
        Ok(Self {
            norm1: BatchNorm2d::new(inner, EPS, mode, vb.pp("norm1"))?,
            conv1: Conv2d::new(inner, outer, 3, same, vb.pp("conv1"))?,
            norm2: BatchNorm2d::new(outer, EPS, mode, vb.pp("norm2"))?,
            conv2: Conv2d::new(outer, outer, 3, same, vb.pp("conv2"))?,
            shortcut: Conv2d::new(inner, outer, 1, ConvConfig::valid(), vb.pp("shortcut"))?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let y = self.norm1.forward(x)?.relu()?.upsample_nearest(2)?;
        let y = self.norm2.forward(&self.conv1.forward(&y)?)?.relu()?;
        // A convolution of single pixels and an enlargement by repetition can change places, and
        // the smaller picture is the cheaper one.
        let short = self.shortcut.forward(x)?.upsample_nearest(2)?;
        self.conv2.forward_add(&y, 1.0, &short)
    }
}

/// The discriminator; there is no sigmoid at the end.
#[derive(Debug)]
pub struct ResNetDiscriminator {
    config: Config,
    blocks: Vec<Reducing>,
    last: SpectralConv2d,
    project: Option<Projection>,
}

impl ResNetDiscriminator {
    /// The network.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let steps = config.steps();
        // One more block at the smallest size.
        let blocks = (0..=steps).map(|step| {
            let inner = match step {
                0 => config.channels,
                _ => config.width(step - 1),
            };
            let outer = config.width(step.min(steps - 1));
            let place = if step == 0 {
                Place::First
            } else if step == steps {
                Place::Last
            } else {
                Place::Middle
            };
            Reducing::new(inner, outer, place, &vb.pp("blocks").pp(step))
        });
        let blocks = blocks.collect::<Result<_>>()?;
        let top = config.width(steps - 1);
        let last = SpectralConv2d::new(top, 1, 1, ConvConfig::valid(), vb.pp("last"))?;
        let project = Projection::new(config.conditions, top, true, &vb)?;
        Ok(Self {
            config: config.clone(),
            blocks,
            last,
            project,
        })
    }
}

impl Discriminator for ResNetDiscriminator {
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        let given = condition.map(|tensor| tensor.dims()[1]);
        expect_condition(self.config.conditions, given)?;
        let mut y = Act::from_tensor(pictures.clone())?;
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        let features = y.relu()?.to_tensor()?;
        let (batch, channels, _, _) = features.dims4().in_network()?;
        let sum = features.flatten_from(2).and_then(|flat| flat.sum(2));
        let sum = sum.in_network()?;
        let point = sum.reshape((batch, channels, 1, 1)).in_network()?;
        let score = self.last.forward(&Act::from_tensor(point)?)?.to_tensor()?;
        match (&self.project, condition) {
            (Some(project), Some(condition)) => project.add_to(&score, &features, condition),
            _ => Ok(score),
        }
    }
}

/// Where a block of the discriminator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It reads the picture, which no activation comes before, and halves it.
    First,
    /// It halves.
    Middle,
    /// It keeps the size.
    Last,
}

/// A residual block of the discriminator.
#[derive(Debug)]
struct Reducing {
    conv1: SpectralConv2d,
    conv2: SpectralConv2d,
    shortcut: Option<SpectralConv2d>,
    place: Place,
}

impl Reducing {
    fn new(inner: usize, outer: usize, place: Place, vb: &VarBuilder<'_>) -> Result<Self> {
        let same = ConvConfig::same(3);
        let conv1 = SpectralConv2d::new(inner, outer, 3, same, vb.pp("conv1"))?;
        let shortcut = if place == Place::Last {
            None
        } else {
            let point = ConvConfig::valid();
            Some(SpectralConv2d::new(
                inner,
                outer,
                1,
                point,
                vb.pp("shortcut"),
            )?)
        };
        Ok(Self {
            conv1: conv1.with_activation(Activation::Relu),
            conv2: SpectralConv2d::new(outer, outer, 3, same, vb.pp("conv2"))?,
            shortcut,
            place,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let first = if self.place == Place::First {
            x.clone()
        } else {
            x.relu()?
        };
        let y = self.conv2.forward(&self.conv1.forward(&first)?)?;
        let Some(shortcut) = &self.shortcut else {
            return y.add(x);
        };
        // A mean and a convolution of single pixels can change places.
        halved(&y)?.add(&shortcut.forward(&halved(x)?)?)
    }
}

/// Half the size, by the means of 2 × 2 pixels, of operations whose gradients candle gets right to
/// any order.
fn halved(x: &Act) -> Result<Act> {
    let half = || {
        let tensor = x.to_tensor().map_err(fonds_nn::error::to_candle)?;
        let (batch, channels, height, width) = tensor.dims4()?;
        let quads = tensor.reshape((batch * channels, height / 2, 2, width / 2, 2))?;
        let half = quads.mean(4)?.mean(2)?;
        half.reshape((batch, channels, height / 2, width / 2))
    };
    Act::from_tensor(half().in_network()?)
}
