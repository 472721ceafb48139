//! `run.binarize`: pages in black and white.

use fonds_core::{ColorModel, Depth, PixelFormat};
use fonds_image::ops::Binarize;

use super::classical::{Classical, step_args};
use crate::registry::StepKind;
use crate::step::Cost;

step_args! {
    BinarizeArgs {
        /// Side of the window in pixels, odd, about twice the height of a letter; 3 to 501.
        window: u32 = Binarize::default().window,
        /// How far below the mean ink lies: more means less ink. 0 to 1.
        k: f64 = Binarize::default().k,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Turn a page into black ink on white (Sauvola); the result is 8-bit gray";
    StepKind::new("binarize", summary, BinarizeArgs::params(), |args| {
        let keys = BinarizeArgs::read(args);
        let binarize = Binarize {
            window: keys.window,
            k: keys.k,
        };
        binarize.validate()?;
        let step = Classical::enhancement(keys.json(), move |raster| binarize.apply(raster));
        Ok(Classical {
            cost: Cost {
                scratch_per_pixel: 4.0,
                ..Cost::IN_PLACE
            },
            output: |format| PixelFormat::new(Depth::U8, ColorModel::Gray, format.alpha),
            ..step
        }
        .boxed())
    })
}
