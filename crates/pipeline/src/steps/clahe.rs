//! `run.clahe`: local contrast by limited adaptive histogram equalisation.

use fonds_image::ops::Clahe;

use super::classical::{Classical, step_args};
use crate::registry::StepKind;

step_args! {
    ClaheArgs {
        /// The steepest that a tone curve may become, 1 (none) to 10.
        clip_limit: f64 = Clahe::default().clip_limit,
        /// Tiles across and down, 2 to 32.
        tiles: u32 = Clahe::default().tiles,
        /// How much of the result is blended in, 0 to 1.
        strength: f64 = Clahe::default().strength,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Raise local contrast (CLAHE); always acts, so give it a `when`";
    StepKind::new("clahe", summary, ClaheArgs::params(), |args| {
        let keys = ClaheArgs::read(args);
        let clahe = Clahe {
            clip_limit: keys.clip_limit,
            tiles: keys.tiles,
            strength: keys.strength,
        };
        clahe.validate()?;
        Ok(Classical::enhancement(keys.json(), move |raster| clahe.apply(raster)).boxed())
    })
}
