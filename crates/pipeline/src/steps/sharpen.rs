//! `run.sharpen`: unsharp masking with a threshold.

use fonds_image::ops::Sharpen;

use super::classical::{Classical, step_args};
use crate::registry::StepKind;

step_args! {
    SharpenArgs {
        /// Standard deviation of the Gaussian in pixels, 0.3 to 20.
        radius: f64 = Sharpen::default().radius,
        /// How much of the difference is added, 0 to 5.
        amount: f64 = Sharpen::default().amount,
        /// Differences up to this stay; 8-bit code values, 0 to 50.
        threshold: f64 = Sharpen::default().threshold,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Sharpen (unsharp mask on luminance); always acts, so give it a `when`";
    StepKind::new("sharpen", summary, SharpenArgs::params(), |args| {
        let keys = SharpenArgs::read(args);
        let sharpen = Sharpen {
            radius: keys.radius,
            amount: keys.amount,
            threshold: keys.threshold,
        };
        sharpen.validate()?;
        Ok(Classical::enhancement(keys.json(), move |raster| sharpen.apply(raster)).boxed())
    })
}
