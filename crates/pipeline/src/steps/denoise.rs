//! `run.denoise`: noise of scanners and small files taken out.

use fonds_core::{Code, Error, Result};
use fonds_image::ops::{Denoise, DenoiseMethod};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::reader::Args;
use crate::registry::StepKind;
use crate::step::Step;
use crate::steps::Context;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Nlm,
    Median,
    Network,
}

step_args! {
    DenoiseArgs {
        /// "nlm": non-local means, lines and texture stay; "median": for salt and pepper;
        /// "network": by a network, such as `DnCNN`, whose file `model` names.
        method: Method = Method::Nlm,
        /// Standard deviation of the noise in 8-bit code values, 0.5 to 60; measured when absent.
        sigma: Option<f64> = Denoise::default().sigma,
        /// Measured noise below this is left alone; 8-bit code values, 0 to 60.
        min_sigma: f64 = Denoise::default().min_sigma,
        /// How much of the noise is taken out, 0 to 1. The grain of film is part of the original:
        /// keep this low for photographs.
        strength: f64 = Denoise::default().strength,
        /// Radius of the median's window in pixels, 1 to 3.
        radius: u32 = Denoise::default().radius,
        /// The network's weights: a file, its path relative to the pipeline's folder.
        model: Option<String> = None,
        /// Side of a network's tile in pixels, without its margin; chosen by what the network needs
        /// of memory when absent.
        tile: Option<u32> = None,
        /// A network's tiles give the same picture, to the bit, as the whole; costs time.
        exact: bool = false,
    }
}

/// The keys that only networks have.
const OF_NETWORKS: [&str; 3] = ["model", "tile", "exact"];

pub(super) fn kind(context: &Context) -> StepKind {
    let summary = "Take out noise above a measured threshold (non-local means, median, network)";
    let context = context.clone();
    StepKind::new("denoise", summary, DenoiseArgs::params(), move |args| {
        let place = args.place("model");
        let keys = DenoiseArgs::read(args);
        if keys.method == Method::Network {
            return network(&context, &keys, args, place);
        }
        if keys.model.is_some() || keys.tile.is_some() || keys.exact {
            let message = "`model`, `tile` and `exact` are for networks";
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("add method = \"network\", or leave them out"));
        }
        classical(&keys)
    })
}

fn classical(keys: &DenoiseArgs) -> Result<Box<dyn Step>> {
    let denoise = Denoise {
        method: match keys.method {
            Method::Median => DenoiseMethod::Median,
            _ => DenoiseMethod::Nlm,
        },
        sigma: keys.sigma,
        min_sigma: keys.min_sigma,
        strength: keys.strength,
        radius: keys.radius,
    };
    denoise.validate()?;
    let mut parameters = keys.json();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.retain(|key, _| !OF_NETWORKS.contains(&key.as_str()));
    }
    Ok(Classical::enhancement(parameters, move |raster| denoise.apply(raster)).boxed())
}

#[cfg(not(feature = "restore"))]
fn network(
    _: &Context,
    _: &DenoiseArgs,
    _: &mut Args<'_, '_>,
    _: Option<usize>,
) -> Result<Box<dyn Step>> {
    Err(super::no_networks())
}

#[cfg(feature = "restore")]
fn network(
    context: &Context,
    keys: &DenoiseArgs,
    args: &mut Args<'_, '_>,
    place: Option<usize>,
) -> Result<Box<dyn Step>> {
    use super::network::{Asked, tiles};
    use fonds_restore::tasks::TaskSettings;

    let mut parameters = keys.json();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.remove("radius");
    }
    let asked = Asked {
        operation: "denoise",
        model: keys.model.clone(),
        settings: TaskSettings {
            strength: keys.strength as f32,
            tiles: tiles(keys.tile, None, keys.exact),
            ..TaskSettings::default()
        },
        sigma: keys.sigma,
        min_sigma: Some(keys.min_sigma),
        enlarges: Some(false),
        parameters,
        ..Asked::default()
    };
    asked.build(&context.networks, args, place)
}
