//! `run.network`, and what all steps have in common that run a network.

use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_image::measure::{self, Measure};
use fonds_nn::network::Extra;
use fonds_nn::tile::TileOptions;
use fonds_nn::weights::Checkpoint;
use fonds_restore::networks::mend;
use fonds_restore::tasks::{Task, TaskSettings};
use fonds_restore::zoo::{self, Architecture, Description, Options, Recognized};
use serde_json::{Value, json};

use super::classical::step_args;
use crate::model::Model;
use crate::networks::{Networks, of_weights, recognize, told};
use crate::reader::Args;
use crate::registry::StepKind;
use crate::step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};

step_args! {
    NetworkArgs {
        /// The weights: a file, its path relative to the pipeline's folder. `fonds model list
        /// FOLDER` says which files in a folder are known.
        model: Option<String> = None,
        /// Which network of a file that holds several, such as `netG_A`.
        entry: Option<String> = None,
        /// Share of the network's picture in the result, 0 to 1; the rest is the input.
        strength: f64 = 1.0,
        /// Standard deviation of the noise in 8-bit code values, for networks that want to be
        /// told; measured when absent.
        sigma: Option<f64> = None,
        /// Side of a tile in pixels, without its margin; chosen by what the network needs of memory
        /// when absent.
        tile: Option<u32> = None,
        /// Pixels that neighbouring tiles share, for networks that see further than tiles can.
        overlap: Option<u32> = None,
        /// Tiles give the same picture, to the bit, as the whole; costs time.
        exact: bool = false,
        /// Lets a network for colour pictures make gray ones coloured; gray stays gray otherwise.
        color_on_gray: bool = false,
        /// Batch normalisation by the statistics of the picture at hand, as pix2pix was published.
        batch_statistics: bool = false,
        /// Whether the network makes content up, for labels; by its architecture when absent.
        generative: Option<bool> = None,
    }
}

pub(super) fn kind(networks: &Arc<Networks>) -> StepKind {
    let summary = "Pass the picture through any network that fonds knows, from a weights file";
    let networks = Arc::clone(networks);
    StepKind::new("network", summary, NetworkArgs::params(), move |args| {
        let place = args.place("model");
        let keys = NetworkArgs::read(args);
        let asked = Asked {
            operation: "network",
            model: keys.model.clone(),
            entry: keys.entry.clone(),
            options: Options {
                batch_statistics: keys.batch_statistics,
                ..Options::default()
            },
            settings: TaskSettings {
                strength: keys.strength as f32,
                color_on_gray: keys.color_on_gray,
                tiles: tiles(keys.tile, keys.overlap, keys.exact),
                ..TaskSettings::default()
            },
            sigma: keys.sigma,
            generative: keys.generative,
            parameters: keys.json(),
            ..Asked::default()
        };
        asked.build(&networks, args, place)
    })
}

/// What a pipeline asks of a network.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The operation's name, for messages.
    pub(crate) operation: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) entry: Option<String>,
    /// A second file of the same network, and the share of the first in what is run.
    pub(crate) blend: Option<(String, f64)>,
    pub(crate) options: Options,
    pub(crate) settings: TaskSettings,
    /// The noise, for networks that want to be told.
    pub(crate) sigma: Option<f64>,
    /// Measured noise below this leaves the picture alone.
    pub(crate) min_sigma: Option<f64>,
    pub(crate) generative: Option<bool>,
    /// Which networks the operation is for; any when absent.
    pub(crate) accepts: Option<fn(&Architecture) -> Result<()>>,
    /// Whether the operation enlarges; `None` when it may do either.
    pub(crate) enlarges: Option<bool>,
    /// The keys as read; what is resolved is written into them.
    pub(crate) parameters: Value,
}

/// Keys that say how a picture is cut, as the tiles' options.
pub(super) fn tiles(core: Option<u32>, overlap: Option<u32>, exact: bool) -> TileOptions {
    TileOptions {
        core: core.map(|side| side as usize),
        overlap: overlap.map(|pixels| pixels as usize),
        exact,
    }
}

impl Asked {
    /// Reads and checks the weights; `place` is where the file is named.
    pub(super) fn build(
        self,
        networks: &Arc<Networks>,
        args: &mut Args<'_, '_>,
        place: Option<usize>,
    ) -> Result<Box<dyn Step>> {
        self.check()?;
        if let Some(place) = place {
            args.blame(place);
        }
        self.step(networks)
    }

    /// The same for who reads no pipeline.
    pub(crate) fn step(self, networks: &Arc<Networks>) -> Result<Box<dyn Step>> {
        self.check()?;
        let file = self.model.clone().unwrap_or_default();
        let (recognized, second) = self.recognize(networks, &file)?;
        if let Some(accepts) = self.accepts {
            accepts(recognized.architecture())?;
        }
        let description = recognized
            .description()
            .map_err(|error| told(error, &file))?;
        let noise_wanted = description.interface.extra == Extra::NoiseLevel;
        if self.sigma.is_some() && !noise_wanted {
            let message = format!("{} takes no noise level", description.architecture);
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("leave `sigma` out; `strength` blends with the input"));
        }
        let mut settings = self.settings;
        // What is measured stands in until there is a picture.
        settings.noise = noise_wanted.then(|| self.sigma.unwrap_or(15.0) as f32);
        let scale = Task::check(&description, &settings).map_err(|error| told(error, &file))?;
        self.check_direction(scale, &description)?;
        let mut parameters = self.parameters;
        parameters["model"] = json!(name_of(&file));
        if !parameters["scale"].is_null() || self.enlarges == Some(true) {
            parameters["scale"] = json!(scale);
        }
        if let Some((second, sha256)) = second {
            parameters["weak_model"] = json!(name_of(&second));
            parameters["weak_model_sha256"] = json!(sha256);
        }
        let generative = self.generative.unwrap_or_else(|| makes_up(&recognized));
        Ok(Box::new(NetworkStep {
            act: if generative {
                Act::Generative
            } else {
                Act::Enhancement
            },
            model: Model::new(networks, &file, recognized, description),
            noise: Noise {
                fed: noise_wanted,
                given: self.sigma,
                least: self.min_sigma,
            },
            settings,
            scale,
            parameters,
        }))
    }

    fn check(&self) -> Result<()> {
        if self.model.is_none() {
            let message = format!("`{}` names no `model`", self.operation);
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give a file of weights: model = \"weights/FILE.safetensors\""));
        }
        in_range(
            "strength",
            Some(f64::from(self.settings.strength)),
            0.0..=1.0,
        )?;
        in_range("sigma", self.sigma, 0.0..=75.0)?;
        in_range("min_sigma", self.min_sigma, 0.0..=60.0)?;
        in_range(
            "tile",
            self.settings.tiles.core.map(|side| side as f64),
            16.0..=16384.0,
        )?;
        in_range(
            "overlap",
            self.settings.tiles.overlap.map(|side| side as f64),
            8.0..=1024.0,
        )?;
        in_range(
            "denoise",
            self.blend.as_ref().map(|(_, share)| *share),
            0.0..=1.0,
        )
    }

    /// The network of the file, or the blend of both files; and the second one's digest.
    fn recognize(
        &self,
        networks: &Networks,
        file: &str,
    ) -> Result<(Recognized, Option<(String, String)>)> {
        let entry = self.entry.as_deref();
        let first = networks.read(file, entry)?;
        let (checkpoint, second) = match &self.blend {
            None => (first, None),
            Some((other, share)) => {
                let weak = networks.read(other, entry)?;
                let sha256 = weak.sha256.to_string();
                let blended = blend(&first, &weak, *share)
                    .map_err(|error| of_weights(&format!("{file}` and `{other}"), &error))?;
                (blended, Some((other.clone(), sha256)))
            }
        };
        let recognized = recognize(&checkpoint, &self.options);
        Ok((recognized.map_err(|error| told(error, file))?, second))
    }

    fn check_direction(&self, scale: usize, description: &Description) -> Result<()> {
        let name = &description.architecture;
        let refused = |message: String, hint: &str| {
            Err(Error::new(Code::InvalidRequest, message).hint(hint.to_owned()))
        };
        match self.enlarges {
            Some(true) if scale == 1 => refused(
                format!("{name} does not enlarge"),
                "use run.network or run.denoise for it",
            ),
            Some(false) if scale != 1 => refused(
                format!("{name} enlarges ×{scale}"),
                "use run.upscale for it",
            ),
            _ => Ok(()),
        }
    }
}

fn blend(strong: &Checkpoint, weak: &Checkpoint, share: f64) -> Result<Checkpoint> {
    let mut blended = zoo::interpolate(strong, weak, share as f32)?;
    // On record is the file that the pipeline names first; the other one is among the parameters.
    blended.sha256 = strong.sha256;
    Ok(blended)
}

pub(super) fn in_range(
    key: &str,
    value: Option<f64>,
    range: std::ops::RangeInclusive<f64>,
) -> Result<()> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (low, high) = (range.start(), range.end());
            let message = format!("`{key}` is {value}, allowed is {low} to {high}");
            Err(Error::new(Code::InvalidRequest, message))
        }
        _ => Ok(()),
    }
}

pub(crate) fn name_of(file: &str) -> String {
    let name = Path::new(file).file_name();
    name.map_or_else(
        || file.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Whether a network is taken to make content up: what its file says, else what its architecture is
/// mostly used for.
pub(crate) fn makes_up(recognized: &Recognized) -> bool {
    let stated = recognized.summary().generative;
    stated.unwrap_or_else(|| mostly_makes_up(recognized.architecture()))
}

/// Architectures that are mostly published as generators of a GAN, and style networks, are taken to
/// make content up.
fn mostly_makes_up(architecture: &Architecture) -> bool {
    match architecture {
        Architecture::Edsr(_)
        | Architecture::MsrResNet(_)
        | Architecture::CarnM(_)
        | Architecture::Vdsr(_)
        | Architecture::Fsrcnn(_)
        | Architecture::DnCnn(_)
        | Architecture::Waifu2x(_)
        | Architecture::Unet(_)
        | Architecture::Mend(mend::Config {
            role: mend::Role::Clear | mend::Role::Detect,
            ..
        }) => false,
        // Also what is added later, until somebody has thought about it.
        _ => true,
    }
}

/// A step that runs a network.
#[derive(Debug)]
struct NetworkStep {
    model: Model,
    settings: TaskSettings,
    scale: usize,
    noise: Noise,
    act: Act,
    parameters: Value,
}

/// What noise has to do with it.
#[derive(Debug, Clone, Copy)]
struct Noise {
    /// Whether the network is told how strong the noise is.
    fed: bool,
    /// What it is told; what is measured when absent.
    given: Option<f64>,
    /// Less measured noise than this is left alone.
    least: Option<f64>,
}

impl Step for NetworkStep {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        self.act
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok(Task::output_of(
            self.model.description(),
            &self.settings,
            input,
        ))
    }

    fn cost(&self) -> Cost {
        let growth = (self.scale * self.scale) as f64;
        Cost {
            // The picture in sRGB, and the result on its way to the picture's own profile.
            scratch_per_pixel: 4.0 + 4.0 * growth,
            shared: self.model.memory(self.scale),
            growth,
        }
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn model(&self) -> Option<ModelInfo> {
        Some(self.model.info().clone())
    }

    fn prepare(&self) -> Result<()> {
        self.model.network().map(drop)
    }

    fn runs_on(&self) -> Option<RunsOn> {
        self.model.runs_on()
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let network = self.model.network()?;
        let mut settings = self.settings;
        let Noise { fed, given, least } = self.noise;
        let measured = if least.is_some() || (fed && given.is_none()) {
            measure::value(&raster, Measure::Noise)
        } else {
            0.0
        };
        if least.is_some_and(|least| measured < least) {
            return Ok(Outcome::unchanged(raster));
        }
        if fed {
            settings.noise = Some(given.unwrap_or(measured.clamp(0.0, 75.0)) as f32);
        }
        let _turn = self.model.turn(&raster, context);
        let task = Task::new(
            network.clone(),
            Arc::clone(self.model.description()),
            settings,
        )?;
        let outcome = task.apply(&raster)?;
        let change = outcome.change.map(|change| match settings.noise {
            Some(noise) => change.value("sigma", f64::from(noise)),
            None => change,
        });
        Ok(Outcome {
            raster: outcome.raster,
            change,
        })
    }
}
