//! `[train]` of a training file: the networks, the game and its weights as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fonds_core::{Code, Error};
use fonds_gan::models::normalization::Normalization;
use fonds_gan::models::{
    cyclegan_resnet, dcgan, patchgan, pix2pix_unet, pixel_discriminator, resnet_gan, rrdb,
    srresnet, unet_discriminator,
};
use fonds_gan::objectives::Objective;
use fonds_gan::trainers::{
    Adversarial, CycleGanSetup, FullSize, Judge, NoiseSetup, NoiseSource, Penalty, Pix2PixSetup,
    Translator,
};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::loss::{PerceptualLayer, PixelLoss};
use fonds_nn::network::Range;
use fonds_nn::train::{Initialization, Lesson};
use fonds_restore::networks::{mend, srvgg};
use fonds_restore::training::MendingSetup;
use serde::Deserialize;

use super::data::DataPlan;
use super::game::{Game, SuperGame, SuperGenerator, validate};
use super::learning::both;
use super::spec::{MOST_STEPS, tagged, within};
use crate::reader::{Args, At};

/// Kinds of trainers.
pub(super) const TRAINERS: [&str; 5] = [
    "noise",
    "pix2pix",
    "cyclegan",
    "super_resolution",
    "mending",
];

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ObjectiveSpec {
    Minimax,
    NonSaturating,
    LeastSquares,
    Hinge,
    Wasserstein,
    RelativisticAverage,
}

impl From<ObjectiveSpec> for Objective {
    fn from(spec: ObjectiveSpec) -> Self {
        match spec {
            ObjectiveSpec::Minimax => Self::Minimax,
            ObjectiveSpec::NonSaturating => Self::NonSaturating,
            ObjectiveSpec::LeastSquares => Self::LeastSquares,
            ObjectiveSpec::Hinge => Self::Hinge,
            ObjectiveSpec::Wasserstein => Self::Wasserstein,
            ObjectiveSpec::RelativisticAverage => Self::RelativisticAverage,
        }
    }
}

fn objective(args: &mut Args<'_, '_>, default: Objective) -> Objective {
    let found: Option<ObjectiveSpec> = args.value("objective");
    found.map_or(default, Objective::from)
}

/// Sizes that networks take from the data.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    size: usize,
    channels: usize,
}

/// Reads the table of a trainer; nothing when it cannot be one, which is reported.
pub(super) fn read(
    kind: &At<String>,
    mut args: Args<'_, '_>,
    data: &DataPlan,
    data_offset: usize,
) -> Option<Game> {
    let sizes = Sizes {
        size: data.options.size.0,
        channels: data.options.channels,
    };
    let noise = kind.value == "noise";
    let game = match kind.value.as_str() {
        "noise" => Some(read_noise(&mut args, sizes)),
        "pix2pix" => Some(read_pix2pix(&mut args, sizes)),
        "cyclegan" => Some(read_cyclegan(&mut args, sizes)),
        "mending" => read_mending(&mut args),
        _ => read_super(&mut args, sizes),
    };
    let complain = |offset, error: Error| args.report(offset, error);
    let wanted = if noise { 1 } else { 2 };
    if data.pictures() != wanted {
        let message = format!(
            "`{}` needs {wanted} pictures in a sample and the data set gives {}",
            kind.value,
            data.pictures()
        );
        let hint = if noise {
            "give it from.folder, from.class_folders, from.celeba or from.manifest, and no `degrade`"
        } else {
            "give it from.paired, from.unpaired, from.side_by_side, or a `degrade` that makes pairs"
        };
        complain(
            data_offset,
            Error::new(Code::InvalidRequest, message).hint(hint),
        );
    }
    if let Some(game) = &game {
        let valid = validate(game, data);
        if let Err(error) = valid {
            complain(kind.offset, asked(&error));
        }
    }
    args.finish();
    game
}

/// What is wrong with a network that somebody asks for is wrong with the request.
fn asked(error: &Error) -> Error {
    let mut found = Error::new(Code::InvalidRequest, error.detail());
    for hint in error.hints() {
        found = found.hint(hint);
    }
    found
}

const ANY: std::ops::RangeInclusive<usize> = 1..=4096;

fn read_noise(args: &mut Args<'_, '_>, sizes: Sizes) -> Game {
    let Sizes { size, channels } = sizes;
    let source = tagged(args, "generator", &["dcgan", "resnet"]);
    let generator = source.map_or_else(
        || {
            NoiseSource::Dcgan(dcgan::GeneratorConfig {
                size,
                channels,
                ..dcgan::GeneratorConfig::size_64()
            })
        },
        |(kind, mut args)| {
            let generator = if kind.value == "dcgan" {
                NoiseSource::Dcgan(dcgan::GeneratorConfig {
                    latent: within(&mut args, "latent", ANY, 100),
                    features: within(&mut args, "features", ANY, 64),
                    channels,
                    size,
                    conditions: 0,
                    embedding: 0,
                })
            } else {
                NoiseSource::ResNet(resnet_gan::Config {
                    latent: within(&mut args, "latent", ANY, 128),
                    features: within(&mut args, "features", ANY, 64),
                    channels,
                    size,
                    conditions: 0,
                })
            };
            args.finish();
            generator
        },
    );
    let objective = objective(args, Objective::NonSaturating);
    let critic = objective == Objective::Wasserstein;
    let default = match (&generator, critic) {
        (NoiseSource::ResNet(_), _) => JudgeKind::ResNet,
        (_, true) => JudgeKind::Dcgan(dcgan::CriticNorm::Instance),
        (_, false) => JudgeKind::Dcgan(dcgan::CriticNorm::Batch),
    };
    let discriminator = read_judge(args, sizes, channels, default);
    let penalty = match tagged(args, "penalty", &["none", "gradient", "r1", "clip"]) {
        Some((kind, args)) => read_penalty(&kind.value, args),
        None if critic && !matches!(discriminator, Judge::ResNet(_)) => {
            Penalty::Gradient { weight: 10.0 }
        }
        None => Penalty::None,
    };
    let steps = if critic { 5 } else { 1 };
    let critic_steps = within(args, "critic_steps", 1..=100, steps);
    let embedding = args
        .value("conditional")
        .unwrap_or(false)
        .then(|| within(args, "embedding", ANY, 64));
    let [generator_learning, discriminator_learning] = both(args);
    let lesson = match (&generator, critic) {
        (NoiseSource::ResNet(_), _) => Lesson {
            initialization: Initialization::Xavier,
            ..Lesson::adam(2e-4, (0.0, 0.9))
        },
        // Gulrajani et al. 2017.
        (_, true) => Lesson {
            initialization: Initialization::Normal { deviation: 0.02 },
            ..Lesson::adam(1e-4, (0.0, 0.9))
        },
        // Radford et al. 2016.
        (_, false) => Lesson {
            initialization: Initialization::Normal { deviation: 0.02 },
            ..Lesson::adam(2e-4, (0.5, 0.999))
        },
    };
    Game::Noise {
        setup: NoiseSetup {
            generator,
            discriminator,
            objective,
            critic_steps,
            penalty,
            generator_lesson: generator_learning.lesson(lesson.clone()),
            discriminator_lesson: discriminator_learning.lesson(lesson),
        },
        embedding,
    }
}

fn read_penalty(kind: &str, mut args: Args<'_, '_>) -> Penalty {
    let penalty = match kind {
        "gradient" => Penalty::Gradient {
            weight: within(&mut args, "weight", 1e-9..=1e9, 10.0),
        },
        "r1" => Penalty::R1 {
            gamma: within(&mut args, "gamma", 1e-9..=1e9, 10.0),
            every: within(&mut args, "every", 1..=1000, 16),
        },
        "clip" => Penalty::Clip {
            limit: within(&mut args, "limit", 1e-9..=1e9, 0.01),
        },
        _ => Penalty::None,
    };
    args.finish();
    penalty
}

/// Which discriminator there is when the file names none.
#[derive(Debug, Clone, Copy)]
enum JudgeKind {
    Dcgan(dcgan::CriticNorm),
    ResNet,
    Patch(Normalization),
    Unet,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CriticNormSpec {
    Batch,
    Instance,
    Spectral,
    None,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NormSpec {
    Batch,
    Instance,
}

fn norm(args: &mut Args<'_, '_>, default: Normalization) -> Normalization {
    match args.value("norm") {
        Some(NormSpec::Batch) => Normalization::Batch(BatchNormMode::Running),
        Some(NormSpec::Instance) => Normalization::Instance,
        None => default,
    }
}

/// The discriminator of pictures with so many channels.
fn read_judge(
    args: &mut Args<'_, '_>,
    sizes: Sizes,
    in_channels: usize,
    default: JudgeKind,
) -> Judge {
    let kinds = ["dcgan", "resnet", "patch", "pixel", "unet"];
    let found = tagged(args, "discriminator", &kinds);
    let (kind, mut args) = match found {
        Some((kind, args)) => (kind.value, Some(args)),
        None => (
            match default {
                JudgeKind::Dcgan(_) => "dcgan",
                JudgeKind::ResNet => "resnet",
                JudgeKind::Patch(_) => "patch",
                JudgeKind::Unet => "unet",
            }
            .to_owned(),
            None,
        ),
    };
    let features = args
        .as_mut()
        .map_or(64, |args| within(args, "features", ANY, 64));
    let of_patch = match default {
        JudgeKind::Patch(norm) => norm,
        _ => Normalization::Instance,
    };
    let judge = match kind.as_str() {
        "dcgan" => {
            let default = match default {
                JudgeKind::Dcgan(norm) => norm,
                _ => dcgan::CriticNorm::Batch,
            };
            let found = args.as_mut().and_then(|args| args.value("norm"));
            let norm = match found {
                Some(CriticNormSpec::Batch) => dcgan::CriticNorm::Batch,
                Some(CriticNormSpec::Instance) => dcgan::CriticNorm::Instance,
                Some(CriticNormSpec::Spectral) => dcgan::CriticNorm::Spectral,
                Some(CriticNormSpec::None) => dcgan::CriticNorm::None,
                None => default,
            };
            Judge::Dcgan(dcgan::DiscriminatorConfig {
                features,
                channels: in_channels,
                size: sizes.size,
                conditions: 0,
                norm,
            })
        }
        "resnet" => Judge::ResNet(resnet_gan::Config {
            latent: 0,
            features,
            channels: in_channels,
            size: sizes.size,
            conditions: 0,
        }),
        "pixel" => Judge::Pixel(pixel_discriminator::Config {
            in_channels,
            features,
            norm: args.as_mut().map_or(of_patch, |args| norm(args, of_patch)),
        }),
        "unet" => Judge::Unet(unet_discriminator::Config {
            in_channels,
            features,
        }),
        _ => Judge::Patch(patchgan::Config {
            in_channels,
            features,
            layers: args
                .as_mut()
                .map_or(3, |args| within(args, "layers", 1..=8, 3)),
            norm: args.as_mut().map_or(of_patch, |args| norm(args, of_patch)),
        }),
    };
    if let Some(args) = args {
        args.finish();
    }
    judge
}

/// The generator from picture to picture.
fn read_translator(args: &mut Args<'_, '_>, sizes: Sizes, unet: bool) -> Translator {
    let Sizes { size, channels } = sizes;
    // The paper's goes down to one pixel.
    let deepest = (size.max(2).ilog2() as usize).clamp(1, 8);
    let batch = Normalization::Batch(BatchNormMode::Running);
    let found = tagged(args, "generator", &["unet", "resnet", "srvgg"]);
    let (kind, mut args) = match found {
        Some((kind, args)) => (kind.value, Some(args)),
        None => ((if unet { "unet" } else { "resnet" }).to_owned(), None),
    };
    let features = args
        .as_mut()
        .map_or(64, |args| within(args, "features", ANY, 64));
    let translator = if kind == "srvgg" {
        let config = srvgg::Config {
            colors: channels,
            features,
            convolutions: args
                .as_mut()
                .map_or(16, |args| within(args, "convolutions", 1..=256, 16)),
            scale: 1,
        };
        Translator::Full(FullSize {
            name: "SRVGGNetCompact",
            channels,
            range: Range::Unit,
            make: Arc::new(move |vb| Ok(Box::new(srvgg::Srvgg::new(&config, vb)?))),
        })
    } else if kind == "unet" {
        Translator::Unet(pix2pix_unet::Config {
            in_channels: channels,
            out_channels: channels,
            features,
            levels: args
                .as_mut()
                .map_or(deepest, |args| within(args, "levels", 1..=12, deepest)),
            norm: args.as_mut().map_or(batch, |args| norm(args, batch)),
        })
    } else {
        let blocks = if size < 256 { 6 } else { 9 };
        Translator::ResNet(cyclegan_resnet::Config {
            in_channels: channels,
            out_channels: channels,
            features,
            blocks: args
                .as_mut()
                .map_or(blocks, |args| within(args, "blocks", 1..=64, blocks)),
            norm: args.as_mut().map_or(Normalization::Instance, |args| {
                norm(args, Normalization::Instance)
            }),
            dropout: false,
        })
    };
    if let Some(args) = args {
        args.finish();
    }
    translator
}

/// Radford et al. 2016, as Isola et al. and Zhu et al. took it over; networks that restoration uses
/// begin as theirs do.
fn translation_lesson(generator: Option<&Translator>) -> Lesson {
    Lesson {
        initialization: match generator {
            Some(Translator::Full(_)) => Initialization::PyTorch,
            _ => Initialization::Normal { deviation: 0.02 },
        },
        ..Lesson::adam(2e-4, (0.5, 0.999))
    }
}

fn read_pix2pix(args: &mut Args<'_, '_>, sizes: Sizes) -> Game {
    let generator = read_translator(args, sizes, true);
    let batch = Normalization::Batch(BatchNormMode::Running);
    let discriminator = read_judge(args, sizes, 2 * sizes.channels, JudgeKind::Patch(batch));
    let [generator_learning, discriminator_learning] = both(args);
    let generator_lesson = generator_learning.lesson(translation_lesson(Some(&generator)));
    Game::Pix2Pix(Pix2PixSetup {
        generator,
        discriminator,
        objective: objective(args, Objective::NonSaturating),
        pixel_weight: within(args, "pixel_weight", 0.0..=1e9, 100.0),
        dropout: args.value("dropout").unwrap_or(true),
        generator_lesson,
        discriminator_lesson: discriminator_learning.lesson(translation_lesson(None)),
    })
}

fn read_cyclegan(args: &mut Args<'_, '_>, sizes: Sizes) -> Game {
    let generator = read_translator(args, sizes, false);
    let kind = JudgeKind::Patch(Normalization::Instance);
    let discriminator = read_judge(args, sizes, sizes.channels, kind);
    let [generator_learning, discriminator_learning] = both(args);
    let generator_lesson = generator_learning.lesson(translation_lesson(Some(&generator)));
    Game::CycleGan(CycleGanSetup {
        generator,
        discriminator,
        objective: objective(args, Objective::LeastSquares),
        cycle_weight: within(args, "cycle_weight", 0.0..=1e9, 10.0),
        identity_weight: within(args, "identity_weight", 0.0..=1e9, 0.5),
        pool: within(args, "pool", 0..=10_000, 50),
        generator_lesson,
        discriminator_lesson: discriminator_learning.lesson(translation_lesson(None)),
    })
}

fn read_super(args: &mut Args<'_, '_>, sizes: Sizes) -> Option<Game> {
    let generator = read_enlarger(args, sizes)?;
    let (lesson, adversarial_lesson) = {
        let [learner, judge] = both(args);
        // Wang et al. 2018. A plain chain whose weights begin a tenth as large passes nothing on.
        let initialization = match &generator {
            SuperGenerator::Rrdb(_) => Initialization::DenseBlocks { scale: 0.1 },
            SuperGenerator::Srvgg(_) | SuperGenerator::SrResNet(_) | SuperGenerator::Mend(_) => {
                Initialization::PyTorch
            }
        };
        let default = Lesson {
            initialization,
            ..Lesson::adam(2e-4, (0.9, 0.99))
        };
        (
            learner.lesson(default),
            judge.lesson(Lesson::adam(1e-4, (0.9, 0.99))),
        )
    };
    let pixels = match tagged(args, "pixels", &["absolute", "squared", "charbonnier"]) {
        None => PixelLoss::Absolute,
        Some((kind, mut args)) => {
            let loss = match kind.value.as_str() {
                "squared" => PixelLoss::Squared,
                "charbonnier" => PixelLoss::Charbonnier {
                    epsilon: within(&mut args, "epsilon", 1e-9..=1.0, 1e-3),
                },
                _ => PixelLoss::Absolute,
            };
            args.finish();
            loss
        }
    };
    let perceptual = args.optional_table("perceptual").and_then(read_perceptual);
    let adversarial = args.optional_table("adversarial").map(|mut args| {
        let game = Adversarial {
            discriminator: read_judge(&mut args, sizes, sizes.channels, JudgeKind::Unet),
            objective: objective(&mut args, Objective::NonSaturating),
            weight: within(&mut args, "weight", 0.0..=1e9, 0.1),
            lesson: adversarial_lesson,
            begins: within(&mut args, "begins", 0..=MOST_STEPS, 0),
        };
        args.finish();
        game
    });
    Some(Game::SuperResolution(Box::new(SuperGame {
        generator,
        lesson,
        pixels,
        pixel_weight: within(args, "pixel_weight", 0.0..=1e9, 1.0),
        perceptual,
        variation_weight: within(args, "variation_weight", 0.0..=1e9, 0.0),
        adversarial,
        begin_with: args.value("begin_with"),
    })))
}

fn read_enlarger(args: &mut Args<'_, '_>, sizes: Sizes) -> Option<SuperGenerator> {
    if !args.has("generator") {
        let error = Error::new(
            Code::InvalidRequest,
            "`super_resolution` names no `generator`",
        );
        let offset = args.offset();
        args.report(
            offset,
            error.hint(
                "give it generator.srvgg, generator.rrdb, generator.srresnet or generator.mend",
            ),
        );
    }
    let (kind, mut args) = tagged(args, "generator", &["srvgg", "rrdb", "srresnet", "mend"])?;
    let colors = sizes.channels;
    let generator = match kind.value.as_str() {
        "srvgg" => SuperGenerator::Srvgg(srvgg::Config {
            colors,
            features: within(&mut args, "features", ANY, 64),
            convolutions: within(&mut args, "convolutions", 1..=256, 16),
            scale: within(&mut args, "scale", 1..=16, 4),
        }),
        "rrdb" => {
            let scale: usize = within(&mut args, "scale", 1..=8, 4);
            if !scale.is_power_of_two() {
                let message = format!("`scale` is {scale}, and RRDBNet doubles: 1, 2, 4 or 8");
                args.report(kind.offset, Error::new(Code::InvalidRequest, message));
            }
            SuperGenerator::Rrdb(rrdb::Config {
                blocks: within(&mut args, "blocks", 1..=64, 23),
                features: within(&mut args, "features", ANY, 64),
                growth: within(&mut args, "growth", ANY, 32),
                colors,
                unshuffle: 1,
                doublings: scale.max(1).ilog2() as usize,
            })
        }
        "mend" => SuperGenerator::Mend(read_mend(&mut args, mend::Role::Clear)),
        _ => SuperGenerator::SrResNet(srresnet::Config {
            features: within(&mut args, "features", ANY, 64),
            doublings: within(&mut args, "doublings", 1..=3, 2),
            tail: srresnet::Tail::PRelu,
        }),
    };
    args.finish();
    Some(generator)
}

/// The sizes of a `MendNet`.
fn read_mend(args: &mut Args<'_, '_>, role: mend::Role) -> mend::Config {
    mend::Config {
        role,
        widths: args.value("widths").unwrap_or_else(|| vec![32, 64, 96]),
        blocks: within(args, "blocks", 1..=64, 1),
        middle: within(args, "middle", 1..=64, 2),
    }
}

fn read_mending(args: &mut Args<'_, '_>) -> Option<Game> {
    if !args.has("network") {
        let error = Error::new(Code::InvalidRequest, "`mending` names no `network`");
        let offset = args.offset();
        args.report(offset, error.hint("give it network.detect or network.fill"));
    }
    let (kind, mut network) = tagged(args, "network", &["detect", "fill"])?;
    let detect = kind.value == "detect";
    let role = if detect {
        mend::Role::Detect
    } else {
        mend::Role::Fill
    };
    let config = read_mend(&mut network, role);
    network.finish();
    let [learning, _] = both(args);
    Some(Game::Mending {
        setup: MendingSetup {
            network: config,
            lesson: learning.lesson(Lesson {
                initialization: Initialization::PyTorch,
                ..Lesson::adam(1e-3, (0.9, 0.99))
            }),
            threshold: within(args, "threshold", 0.001..=0.999, 0.2),
            damaged_weight: within(
                args,
                "damaged_weight",
                0.0..=1e6,
                if detect { 2.0 } else { 6.0 },
            ),
            dice_weight: within(args, "dice_weight", 0.0..=1e6, 1.0),
        },
        begin_with: args.value("begin_with"),
    })
}

fn read_perceptual(mut args: Args<'_, '_>) -> Option<(PathBuf, Vec<PerceptualLayer>, f64)> {
    let place = args.offset();
    let network = args.value::<PathBuf>("network");
    let weight = within(&mut args, "weight", 0.0..=1e9, 1.0);
    let layers: Option<BTreeMap<String, f64>> = args.value("layers");
    if network.is_none() || layers.is_none() {
        let message = "`perceptual` names no `network` or no `layers`";
        let hint =
            "write: perceptual = { network = \"squeezenet1_1.pth\", layers = { fire5 = 1.0 } }";
        args.report(place, Error::new(Code::InvalidRequest, message).hint(hint));
    }
    args.finish();
    let layers = layers?
        .into_iter()
        .map(|(name, weight)| PerceptualLayer { name, weight });
    Some((network?, layers.collect(), weight))
}
