//! Which networks play which game, and the trainer for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_core::{Code, Error, Result, Seed};
use fonds_gan::models::{rrdb, srresnet};
use fonds_gan::trainers::{
    Adversarial, CycleGan, CycleGanSetup, Judge, Noise, NoiseSetup, NoiseSource, Pix2Pix,
    Pix2PixSetup, SuperResolution, SuperResolutionSetup, Supervision, Translator,
};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::loss::{Perceptual, PerceptualLayer, PixelLoss};
use fonds_nn::network::Network;
use fonds_nn::train::{DType, Device, Lesson, Make, Trainer};
use fonds_nn::weights::Checkpoint;
use fonds_nn::{Act, Backend, VarBuilder};
use fonds_restore::networks::{mend, srvgg};
use fonds_restore::style::extractor::{Extractor, ExtractorKind};
use fonds_restore::training::{Mending, MendingSetup};

use super::data::DataPlan;

/// Who trains what, and how.
#[derive(Debug, Clone)]
pub enum Game {
    /// A generator from noise.
    Noise {
        /// The setup, without conditions.
        setup: NoiseSetup,
        /// Values that a DCGAN generator's condition becomes beside the noise; nothing where classes
        /// and attributes are not used.
        embedding: Option<usize>,
    },
    /// A generator from pairs.
    Pix2Pix(Pix2PixSetup),
    /// Two generators between two kinds of pictures.
    CycleGan(CycleGanSetup),
    /// A generator held to a target.
    SuperResolution(Box<SuperGame>),
    /// A network that finds damage or fills holes.
    Mending {
        /// The network and what it is held to.
        setup: MendingSetup,
        /// Weights to begin with.
        begin_with: Option<PathBuf>,
    },
}

/// The parts of a [`SuperResolutionSetup`], before files are opened.
#[derive(Debug, Clone)]
pub struct SuperGame {
    /// The generator.
    pub generator: SuperGenerator,
    /// How it learns.
    pub lesson: Lesson,
    /// How differences of pixels count.
    pub pixels: PixelLoss,
    /// What they count in the second phase.
    pub pixel_weight: f64,
    /// The network whose features are compared, its layers with their weights, and what the sum
    /// counts.
    pub perceptual: Option<(PathBuf, Vec<PerceptualLayer>, f64)>,
    /// What unsteadiness counts.
    pub variation_weight: f64,
    /// The second phase.
    pub adversarial: Option<Adversarial>,
    /// Weights to begin with.
    pub begin_with: Option<PathBuf>,
}

/// A generator that keeps or enlarges a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperGenerator {
    /// `SRVGGNetCompact`.
    Srvgg(srvgg::Config),
    /// `RRDBNet`.
    Rrdb(rrdb::Config),
    /// `SRResNet`.
    SrResNet(srresnet::Config),
    /// `MendNet`, which clears pictures.
    Mend(mend::Config),
}

impl SuperGenerator {
    fn name(&self) -> &'static str {
        match self {
            Self::Srvgg(_) => "SRVGGNetCompact",
            Self::Rrdb(_) => "RRDBNet",
            Self::SrResNet(_) => "SRResNet",
            Self::Mend(_) => "MendNet",
        }
    }

    /// Output pixels for one input pixel, along each side.
    fn scale(&self) -> (usize, usize) {
        match self {
            Self::Srvgg(config) => (config.scale, 1),
            Self::Rrdb(config) => (1 << config.doublings, config.unshuffle),
            Self::SrResNet(config) => (config.scale(), 1),
            Self::Mend(_) => (1, 1),
        }
    }

    fn make(&self, mode: BatchNormMode) -> Make<dyn Network> {
        let generator = self.clone();
        Arc::new(move |vb: VarBuilder<'static>| -> Result<Box<dyn Network>> {
            Ok(match &generator {
                Self::Srvgg(config) => Box::new(srvgg::Srvgg::new(config, vb)?),
                Self::Rrdb(config) => Box::new(rrdb::Rrdb::new(config, vb)?),
                Self::SrResNet(config) => {
                    Box::new(srresnet::SrResNet::with_statistics(config, mode, vb)?)
                }
                Self::Mend(config) => Box::new(mend::Mend::new(config, vb)?),
            })
        })
    }
}

impl Game {
    /// What the trainer is called in a training file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Noise { .. } => "noise",
            Self::Pix2Pix(_) => "pix2pix",
            Self::CycleGan(_) => "cyclegan",
            Self::SuperResolution(_) => "super_resolution",
            Self::Mending { .. } => "mending",
        }
    }

    /// Whether the binary must switch second-order gradients on.
    pub fn needs_second_order(&self) -> bool {
        matches!(self, Self::Noise { setup, .. } if setup.needs_second_order())
    }

    /// Whether samples need the mask of their damage.
    pub fn needs_mask(&self) -> bool {
        matches!(self, Self::Mending { .. })
    }

    /// Whether what comes out says where damage is.
    pub(super) fn finds_damage(&self) -> bool {
        let role = match self {
            Self::Mending { setup, .. } => Some(setup.network.role),
            _ => None,
        };
        role == Some(mend::Role::Detect)
    }

    /// Whether classes or attributes of the data are used.
    pub fn is_conditional(&self) -> bool {
        matches!(
            self,
            Self::Noise {
                embedding: Some(_),
                ..
            }
        )
    }

    /// The factor on the generator's learning rate at a step.
    pub fn rate_factor(&self, step: u64) -> f64 {
        let lesson = match self {
            Self::Noise { setup, .. } => &setup.generator_lesson,
            Self::Pix2Pix(setup) => &setup.generator_lesson,
            Self::CycleGan(setup) => &setup.generator_lesson,
            Self::SuperResolution(game) => &game.lesson,
            Self::Mending { setup, .. } => &setup.lesson,
        };
        lesson.schedule.factor(step)
    }

    /// The trainer, with made-up weights. `conditions` classes or attributes; relative paths of
    /// weights begin at `folder`; `numbers` are those that networks compute in on a GPU.
    ///
    /// # Errors
    /// `invalid_request` when networks do not fit each other, `model_error` for weights.
    pub fn trainer(
        &self,
        conditions: usize,
        seed: Seed,
        folder: &Path,
        place: &Place,
    ) -> Result<Box<dyn Trainer>> {
        let at = (DType::F32, &place.device);
        let with = |lesson: &Lesson| Lesson {
            numbers: place.numbers,
            ..lesson.clone()
        };
        Ok(match self {
            Self::Noise { setup, embedding } => {
                let mut setup = setup.clone();
                setup.generator_lesson = with(&setup.generator_lesson);
                setup.discriminator_lesson = with(&setup.discriminator_lesson);
                if let Some(embedding) = embedding {
                    condition(&mut setup, conditions, *embedding);
                }
                Box::new(Noise::new(setup, seed, at)?)
            }
            Self::Pix2Pix(setup) => {
                let mut setup = setup.clone();
                setup.generator_lesson = with(&setup.generator_lesson);
                setup.discriminator_lesson = with(&setup.discriminator_lesson);
                Box::new(Pix2Pix::new(setup, seed, at)?)
            }
            Self::CycleGan(setup) => {
                let mut setup = setup.clone();
                setup.generator_lesson = with(&setup.generator_lesson);
                setup.discriminator_lesson = with(&setup.discriminator_lesson);
                Box::new(CycleGan::new(setup, seed, at)?)
            }
            Self::SuperResolution(game) => {
                let mut trainer = SuperResolution::new(game.setup(folder, place)?, seed, at)?;
                if let Some(path) = &game.begin_with {
                    let weights = Checkpoint::read(&folder.join(path))?;
                    trainer.begin_with(&weights.tensors)?;
                }
                Box::new(trainer)
            }
            Self::Mending { setup, begin_with } => {
                let mut setup = setup.clone();
                setup.lesson = with(&setup.lesson);
                let mut trainer = Mending::new(setup, seed, at)?;
                if let Some(path) = begin_with {
                    let weights = Checkpoint::read(&folder.join(path))?;
                    trainer.begin_with(&weights.tensors)?;
                }
                Box::new(trainer)
            }
        })
    }
}

/// Where training takes place.
#[derive(Debug, Clone)]
pub struct Place {
    /// The device that weights are on.
    pub device: Device,
    /// The numbers that networks compute in, when not those of their weights.
    pub numbers: Option<DType>,
}

impl Place {
    /// The CPU.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            numbers: None,
        }
    }
}

/// Gives both networks conditions.
fn condition(setup: &mut NoiseSetup, conditions: usize, embedding: usize) {
    match &mut setup.generator {
        NoiseSource::Dcgan(config) => {
            config.conditions = conditions;
            config.embedding = if conditions > 0 { embedding } else { 0 };
        }
        NoiseSource::ResNet(config) => config.conditions = conditions,
    }
    match &mut setup.discriminator {
        Judge::Dcgan(config) => config.conditions = conditions,
        Judge::ResNet(config) => config.conditions = conditions,
        Judge::Patch(_) | Judge::Pixel(_) | Judge::Unet(_) => {}
    }
}

impl SuperGame {
    fn setup(&self, folder: &Path, place: &Place) -> Result<SuperResolutionSetup> {
        let numbers = |lesson: &Lesson| Lesson {
            numbers: place.numbers,
            ..lesson.clone()
        };
        let perceptual = match &self.perceptual {
            None => None,
            Some((path, layers, weight)) => {
                let path = folder.join(path);
                let features = seer(&path, &place.device)?;
                let layers = layers.clone();
                // It prepares pictures itself.
                let as_they_are = |pictures: &Act| Ok(pictures.clone());
                let loss =
                    Perceptual::new(Arc::new(features), as_they_are, layers, PixelLoss::Absolute);
                Some((loss, *weight))
            }
        };
        Ok(SuperResolutionSetup {
            name: self.generator.name(),
            generator: self.generator.make(BatchNormMode::Train),
            for_use: self.generator.make(BatchNormMode::Running),
            lesson: numbers(&self.lesson),
            supervision: Supervision {
                pixels: self.pixels,
                pixel_weight: self.pixel_weight,
                perceptual,
                variation_weight: self.variation_weight,
            },
            adversarial: self.adversarial.clone().map(|game| Adversarial {
                lesson: numbers(&game.lesson),
                ..game
            }),
        })
    }
}

/// A network for features, of which gradients reach the picture.
fn seer(path: &Path, device: &Device) -> Result<Extractor> {
    let weights = Checkpoint::read(path)?;
    let backend = Backend::Tensors {
        device: device.clone(),
        dtype: DType::F32,
    };
    let kind = ExtractorKind::recognize(&weights.tensors).map_err(|error| error.at_path(path))?;
    kind.build(&weights.tensors, &backend)
}

/// That networks fit each other and the data.
pub(super) fn validate(game: &Game, data: &DataPlan) -> Result<()> {
    match game {
        Game::Noise { setup, embedding } => {
            let mut setup = setup.clone();
            if let Some(embedding) = embedding {
                if !data.has_labels() {
                    let message =
                        "`conditional` needs classes or attributes, and the data has none";
                    let error = Error::new(Code::InvalidRequest, message);
                    return Err(error.hint("give it from.class_folders or from.celeba"));
                }
                condition(&mut setup, 2, *embedding);
            }
            match &setup.generator {
                NoiseSource::Dcgan(config) => config.validate()?,
                NoiseSource::ResNet(config) => config.validate()?,
            }
            setup.validate()
        }
        Game::Pix2Pix(setup) => {
            validate_translator(&setup.generator)?;
            setup.validate()
        }
        Game::CycleGan(setup) => {
            validate_translator(&setup.generator)?;
            setup.validate()
        }
        Game::Mending { setup, .. } => setup.validate(),
        Game::SuperResolution(game) => {
            if let SuperGenerator::Mend(config) = &game.generator {
                config.validate()?;
            }
            let scale = data
                .options
                .degrade
                .as_ref()
                .map_or(1, |recipe| recipe.scale);
            let scale = scale.max(data.options.pair_scale);
            let (up, down) = game.generator.scale();
            if up != scale * down {
                let message = format!(
                    "the generator enlarges {up}/{down} times, and targets are {scale} times as \
                     large as their sources"
                );
                let error = Error::new(Code::InvalidRequest, message);
                return Err(error.hint("give both the same scale"));
            }
            Ok(())
        }
    }
}

fn validate_translator(translator: &Translator) -> Result<()> {
    match translator {
        Translator::Unet(config) => config.validate(),
        Translator::ResNet(config) => config.validate(),
        // Its sizes were looked at when the file was read.
        Translator::Full(_) => Ok(()),
    }
}
