//! `run.match`: a series brought to the tones and colours of a reference print.

use fonds_core::{Code, Error};
use fonds_image::ops::{Match, MatchMethod, Reference};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Context;
use super::classical::{Classical, step_args};
use crate::picture;
use crate::registry::StepKind;
use crate::step::Cost;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Reinhard,
    Transport,
    Histogram,
}

step_args! {
    MatchArgs {
        /// The picture whose tones and colours the others are to have; its path is relative to the
        /// pipeline's folder.
        reference: Option<String> = None,
        /// `reinhard`: mean and deviation of lightness and of two opponent colours; `transport`: mean
        /// and covariance of red, green and blue; `histogram`: the whole distribution of each, so that
        /// tints that change with the tone come over too.
        method: Method = Method::Transport,
        /// How much of it, 0 to 1.
        strength: f64 = Match::default().strength,
    }
}

pub(super) fn kind(context: &Context) -> StepKind {
    let summary = "Bring tones and colours to those of a reference; structure and gray stay";
    let folder = context.folder.clone();
    StepKind::new("match", summary, MatchArgs::params(), move |args| {
        let place = args.place("reference");
        let keys = MatchArgs::read(args);
        let matching = Match {
            method: match keys.method {
                Method::Reinhard => MatchMethod::Reinhard,
                Method::Transport => MatchMethod::Transport,
                Method::Histogram => MatchMethod::Histogram,
            },
            strength: keys.strength,
        };
        matching.validate()?;
        let Some(file) = &keys.reference else {
            let error = Error::new(Code::InvalidRequest, "`match` names no `reference`");
            return Err(error.hint("give a picture: reference = \"print.jpg\""));
        };
        if let Some(place) = place {
            args.blame(place);
        }
        let (raster, digest) = picture::read(&folder, "reference", file)?;
        let reference = Reference::of(&raster)?;
        let mut parameters = keys.json();
        parameters["reference_sha256"] = json!(digest.to_string());
        let step =
            Classical::enhancement(parameters, move |raster| matching.apply(raster, &reference));
        // A picture with a profile of its own is converted, and back.
        let cost = Cost {
            scratch_per_pixel: 8.0,
            ..Cost::IN_PLACE
        };
        Ok(Classical { cost, ..step }.boxed())
    })
}
