//! `run.translate`: one kind of picture made of another, by a generator of pix2pix or `CycleGAN`.

use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use fonds_restore::tasks::TaskSettings;
use fonds_restore::zoo::{Architecture, Options};

use super::classical::step_args;
use super::network::{Asked, tiles};
use crate::networks::Networks;
use crate::registry::StepKind;

step_args! {
    TranslateArgs {
        /// The generator: a file of weights, or the folder `models` of a training run, of which
        /// `direction` chooses the file. Paths are relative to the pipeline's folder.
        model: Option<String> = None,
        /// For a folder: `a_to_b`, `b_to_a`, or `generator`, which pix2pix writes.
        direction: Option<String> = None,
        /// Which network of a file that holds several, such as `netG_A`.
        entry: Option<String> = None,
        /// Share of the network's picture in the result, 0 to 1; the rest is the input.
        strength: f64 = 1.0,
        /// Side of a tile in pixels, without its margin; chosen by what the network needs of memory
        /// when absent.
        tile: Option<u32> = None,
        /// Pixels that neighbouring tiles share, for networks that see further than tiles can.
        overlap: Option<u32> = None,
        /// Lets the network make gray pictures coloured; gray stays gray otherwise.
        color_on_gray: bool = false,
        /// Batch normalisation by the statistics of the picture at hand, as pix2pix was published.
        batch_statistics: bool = false,
    }
}

/// Files that training writes.
const DIRECTIONS: [&str; 3] = ["a_to_b", "b_to_a", "generator"];

pub(super) fn kind(networks: &Arc<Networks>) -> StepKind {
    let summary = "Make one kind of picture of another, by a generator of pix2pix or CycleGAN";
    let networks = Arc::clone(networks);
    StepKind::new("translate", summary, TranslateArgs::params(), move |args| {
        let place = args.place("model");
        let keys = TranslateArgs::read(args);
        let model = keys
            .model
            .as_deref()
            .map(|model| file(&networks, model, keys.direction.as_deref()))
            .transpose()?;
        let asked = Asked {
            operation: "translate",
            model,
            entry: keys.entry.clone(),
            options: Options {
                batch_statistics: keys.batch_statistics,
                ..Options::default()
            },
            settings: TaskSettings {
                strength: keys.strength as f32,
                color_on_gray: keys.color_on_gray,
                tiles: tiles(keys.tile, keys.overlap, false),
                ..TaskSettings::default()
            },
            accepts: Some(translates),
            parameters: keys.json(),
            ..Asked::default()
        };
        asked.build(&networks, args, place)
    })
}

/// The file of weights that is meant.
fn file(networks: &Networks, model: &str, direction: Option<&str>) -> Result<String> {
    let wrong = |message: String| Error::new(Code::InvalidRequest, message);
    let is_folder = networks.path(model).is_dir();
    match direction {
        Some(direction) if !DIRECTIONS.contains(&direction) => {
            let error = wrong(format!("`direction` is `{direction}`"));
            Err(error.hint(format!("give one of {}", DIRECTIONS.join(", "))))
        }
        Some(_) if !is_folder => {
            let error = wrong(format!("`direction` is given, and `{model}` is no folder"));
            Err(error.hint("leave it out, or give the folder `models` of a training run"))
        }
        None if is_folder => {
            let error = wrong(format!("`{model}` is a folder, and `direction` is missing"));
            Err(error.hint(format!("give one of {}", DIRECTIONS.join(", "))))
        }
        Some(direction) => {
            let path = Path::new(model).join(format!("{direction}.safetensors"));
            Ok(path.to_string_lossy().into_owned())
        }
        None => Ok(model.to_owned()),
    }
}

/// Whether a network makes one kind of picture of another.
fn translates(architecture: &Architecture) -> Result<()> {
    match architecture {
        Architecture::CycleGan(_) | Architecture::Pix2Pix(_) => Ok(()),
        Architecture::Srvgg(config) if config.scale == 1 => Ok(()),
        _ => {
            let message = "the weights are those of no generator of pix2pix or CycleGAN";
            let error = Error::new(Code::InvalidRequest, message);
            Err(error.hint("use run.network for it; `fonds model inspect FILE` says what it is"))
        }
    }
}
