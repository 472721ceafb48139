//! `run.upscale`: more pixels, by a network.

use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use fonds_restore::tasks::TaskSettings;
use fonds_restore::zoo::Options;
use fonds_weights_restore::{SHIPPED, Shipped};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::classical::step_args;
use super::network::{Asked, tiles};
use super::twice::Twice;
use crate::networks::Networks;
use crate::reader::Args;
use crate::registry::StepKind;
use crate::shipped;
use crate::step::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Faithful,
    Vivid,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Faithful => "faithful",
            Self::Vivid => "vivid",
        }
    }
}

step_args! {
    UpscaleArgs {
        /// The weights: a file, its path relative to the pipeline's folder, or the name of a shipped
        /// network; `fonds model list` and `fonds model list FOLDER` say which there are. When
        /// absent `kind` and `scale` choose a shipped one.
        model: Option<String> = None,
        /// Which of the shipped networks: "faithful" (the default) stays with what is there,
        /// "vivid" makes detail up, and the label says so.
        kind: Option<Kind> = None,
        /// Which network of a file that holds several, such as `netG_A`.
        entry: Option<String> = None,
        /// How many times larger, along each side: the network's own factor when absent, or one
        /// that divides it (its picture is then averaged down). Without `model` 2 (the default)
        /// or 4.
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
        let kind_place = args.place("kind");
        let keys = UpscaleArgs::read(args);
        match (&keys.model, keys.kind) {
            (Some(_), Some(_)) => {
                if let Some(place) = kind_place {
                    args.blame(place);
                }
                let message = "`kind` chooses a shipped network, and `model` names one already";
                Err(Error::new(Code::InvalidRequest, message).hint("leave one of them out"))
            }
            (Some(_), None) => build(&networks, &keys, args, place),
            (None, _) => by_kind(&networks, keys, args, kind_place),
        }
    })
}

fn build(
    networks: &Arc<Networks>,
    keys: &UpscaleArgs,
    args: &mut Args<'_, '_>,
    place: Option<usize>,
) -> Result<Box<dyn Step>> {
    let mut parameters = keys.json();
    if let Some(parameters) = parameters.as_object_mut()
        && keys.kind.is_none()
    {
        parameters.shift_remove("kind");
    }
    let asked = Asked {
        operation: "upscale",
        model: keys.model.clone(),
        entry: keys.entry.clone(),
        blend: blend(keys)?,
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
        parameters,
        ..Asked::default()
    };
    asked.build(networks, args, place)
}

/// By a shipped network of this kind; ×4 by one for ×4, or by one for ×2 that runs twice.
fn by_kind(
    networks: &Arc<Networks>,
    mut keys: UpscaleArgs,
    args: &mut Args<'_, '_>,
    place: Option<usize>,
) -> Result<Box<dyn Step>> {
    if keys.denoise.is_some() || keys.weak_model.is_some() {
        let message = "`denoise` and `weak_model` are for a pair of files, and there is no `model`";
        let error = Error::new(Code::InvalidRequest, message);
        return Err(error.hint("name the file that takes noise out: model = \"…\""));
    }
    let kind = keys.kind.unwrap_or(Kind::Faithful);
    let scale = keys.scale.unwrap_or(2);
    if !matches!(scale, 2 | 4) {
        let message = format!("`scale` is {scale}, and the shipped networks enlarge ×2 and ×4");
        let hint = "give 2 or 4, or a `model` for another scale";
        return Err(Error::new(Code::InvalidRequest, message).hint(hint));
    }
    let (model, passes) = choose(kind, scale)?;
    keys.model = Some(model.name.to_owned());
    keys.kind = Some(kind);
    keys.scale = Some(model.scale);
    let once = build(networks, &keys, args, place)?;
    if passes == 1 {
        return Ok(once);
    }
    let mut parameters = once.parameters();
    parameters["scale"] = json!(scale);
    parameters["passes"] = json!(passes);
    Ok(Box::new(Twice { once, parameters }))
}

/// The shipped network, and how often it runs.
fn choose(kind: Kind, scale: u32) -> Result<(&'static Shipped, u32)> {
    let word = kind.word();
    if let Some(model) = shipped::of_kind(word, scale) {
        return Ok((model, 1));
    }
    if let Some(model) = shipped::of_kind(word, 2).filter(|_| scale == 4) {
        return Ok((model, 2));
    }
    if SHIPPED.is_empty() {
        let message = "`upscale` names no `model`, and this build has no shipped networks";
        let error = Error::new(Code::NotBuiltIn, message);
        return Err(error.hint("give a file of weights: model = \"weights/FILE.safetensors\""));
    }
    let message = format!("fonds ships no {word} network that enlarges ×{scale}");
    let error = Error::new(Code::ModelError, message);
    Err(error.hint("`fonds model list` shows those that there are"))
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
