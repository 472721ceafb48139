//! `run.match`: a series brought to the tones and colours of a reference print.

use std::sync::OnceLock;

use fonds_core::{Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_image::ops::{Match, MatchMethod, Reference};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Context;
use super::classical::step_args;
use crate::picture::Named;
use crate::registry::StepKind;
use crate::step::{Act, Cost, Step, StepContext};

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
        let named = Named::open(&folder, "reference", file)?;
        let mut parameters = keys.json();
        parameters["reference_sha256"] = json!(named.digest.to_string());
        Ok(Box::new(MatchStep {
            matching,
            named,
            reference: OnceLock::new(),
            parameters,
        }))
    })
}

#[derive(Debug)]
struct MatchStep {
    matching: Match,
    named: Named,
    /// What is to be known of the reference, once it was decoded.
    reference: OnceLock<Reference>,
    parameters: Value,
}

impl MatchStep {
    fn reference(&self) -> Result<&Reference> {
        if let Some(reference) = self.reference.get() {
            return Ok(reference);
        }
        let reference = Reference::of(&self.named.decode()?)?;
        Ok(self.reference.get_or_init(|| reference))
    }
}

impl Step for MatchStep {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        Act::Enhancement
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok(input)
    }

    fn cost(&self) -> Cost {
        Cost {
            // A picture with a profile of its own is converted, and back.
            scratch_per_pixel: 8.0,
            ..Cost::IN_PLACE
        }
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn prepare(&self) -> Result<()> {
        self.reference().map(drop)
    }

    fn apply(&self, raster: Raster, _: &StepContext<'_>) -> Result<Outcome> {
        self.matching.apply(raster, self.reference()?)
    }
}
