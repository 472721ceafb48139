//! `run.upscale`: more pixels, by a network.

use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use fonds_restore::tasks::TaskSettings;
use fonds_restore::zoo::Options;

use super::classical::step_args;
use super::network::{Asked, tiles};
use crate::networks::Networks;
use crate::registry::StepKind;

step_args! {
    UpscaleArgs {
        /// The weights: a file, its path relative to the pipeline's folder. `fonds model list
        /// FOLDER` says which files in a folder are known.
        model: Option<String> = None,
        /// Which network of a file that holds several, such as `netG_A`.
        entry: Option<String> = None,
        /// How many times larger, along each side: the network's own factor when absent, or one
        /// that divides it (its picture is then averaged down).
        scale: Option<u32> = None,
        /// Share of the network's picture in the result, 0 to 1; the rest is the input, enlarged.
        strength: f64 = 1.0,
        /// How strongly noise is taken out, 0 to 1, by a pair of networks whose weights are blended
        /// (Real-ESRGAN's general and general-wdn): 1 is `model` alone, 0 is `weak_model` alone.
        denoise: Option<f64> = None,
        /// The weights of the pair that leave noise alone.
        weak_model: Option<String> = None,
        /// Side of a tile in pixels, without its margin; chosen by what the network needs of memory
        /// when absent.
        tile: Option<u32> = None,
        /// Pixels that neighbouring tiles share, for networks that see further than tiles can.
        overlap: Option<u32> = None,
        /// Tiles give the same picture, to the bit, as the whole; costs time.
        exact: bool = false,
        /// Whether the network makes content up, for labels; by its architecture when absent.
        generative: Option<bool> = None,
    }
}

pub(super) fn kind(networks: &Arc<Networks>) -> StepKind {
    let summary = "Enlarge by a network from a weights file; the resolution follows";
    let networks = Arc::clone(networks);
    StepKind::new("upscale", summary, UpscaleArgs::params(), move |args| {
        let place = args.place("model");
        let keys = UpscaleArgs::read(args);
        let asked = Asked {
            operation: "upscale",
            model: keys.model.clone(),
            entry: keys.entry.clone(),
            blend: blend(&keys)?,
            options: Options {
                scale: keys.scale.map(|scale| scale as usize),
                ..Options::default()
            },
            settings: TaskSettings {
                scale: keys.scale.map(|scale| scale as usize),
                strength: keys.strength as f32,
                tiles: tiles(keys.tile, keys.overlap, keys.exact),
                ..TaskSettings::default()
            },
            generative: keys.generative,
            enlarges: Some(true),
            parameters: keys.json(),
            ..Asked::default()
        };
        asked.build(&networks, args, place)
    })
}

/// The second file of a pair and the share of the first.
fn blend(keys: &UpscaleArgs) -> Result<Option<(String, f64)>> {
    let refused = |message: &str, hint: &str| {
        Err(Error::new(Code::InvalidRequest, message).hint(hint.to_owned()))
    };
    match (&keys.weak_model, keys.denoise) {
        (Some(weak), Some(share)) => Ok(Some((weak.clone(), share))),
        (None, None) => Ok(None),
        (None, Some(_)) => refused(
            "`denoise` needs a pair of networks, and there is no `weak_model`",
            "name the file of the pair that leaves noise alone: weak_model = \"…wdn…\"",
        ),
        (Some(_), None) => refused(
            "`weak_model` is of no use without `denoise`",
            "say how strongly noise is taken out: denoise = 0.5",
        ),
    }
}
