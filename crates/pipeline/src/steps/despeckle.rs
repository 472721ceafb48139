//! `run.despeckle`: dust and specks filled from their surroundings.

use fonds_image::ops::{Despeckle, SpeckSign};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::registry::StepKind;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sign {
    Dark,
    Light,
    Both,
}

step_args! {
    DespeckleArgs {
        /// The largest extent of a speck in pixels, 2 to 64; when absent a 180th of the picture's
        /// shorter side, at least 4 and at most 24, and a 60th, at most 32, for those beyond doubt.
        max_size: Option<u32> = Despeckle::default().max_size,
        /// How little a speck may stand out, 0 (only the most obvious) to 1.
        sensitivity: f64 = Despeckle::default().sensitivity,
        /// Fewer specks than this are left alone, 1 to 10000: dust comes in numbers, and
        /// a lone dot may be a bird.
        min_specks: u32 = Despeckle::default().min_specks,
        /// Which specks are looked for: "dark", "light" or "both".
        sign: Sign = Sign::Both,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Find dust and specks and fill them; nothing else changes, to the bit";
    StepKind::new("despeckle", summary, DespeckleArgs::params(), |args| {
        let keys = DespeckleArgs::read(args);
        let despeckle = Despeckle {
            max_size: keys.max_size,
            sensitivity: keys.sensitivity,
            min_specks: keys.min_specks,
            sign: match keys.sign {
                Sign::Dark => SpeckSign::Dark,
                Sign::Light => SpeckSign::Light,
                Sign::Both => SpeckSign::Both,
            },
        };
        despeckle.validate()?;
        Ok(Classical::enhancement(keys.json(), move |raster| despeckle.apply(raster)).boxed())
    })
}
