//! `run.denoise`: noise of scanners and small files taken out.

use fonds_image::ops::{Denoise, DenoiseMethod};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::registry::StepKind;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Nlm,
    Median,
}

step_args! {
    DenoiseArgs {
        /// "nlm": non-local means, lines and texture stay; "median": for salt and pepper.
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
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Take out noise above a measured threshold (non-local means, or median)";
    StepKind::new("denoise", summary, DenoiseArgs::params(), |args| {
        let keys = DenoiseArgs::read(args);
        let denoise = Denoise {
            method: match keys.method {
                Method::Nlm => DenoiseMethod::Nlm,
                Method::Median => DenoiseMethod::Median,
            },
            sigma: keys.sigma,
            min_sigma: keys.min_sigma,
            strength: keys.strength,
            radius: keys.radius,
        };
        denoise.validate()?;
        Ok(Classical::enhancement(keys.json(), move |raster| denoise.apply(raster)).boxed())
    })
}
