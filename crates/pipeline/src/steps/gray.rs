//! `run.gray`: colour left out.

use fonds_core::{ColorModel, PixelFormat};
use fonds_image::ops::Gray;

use super::classical::{Classical, step_args};
use crate::registry::StepKind;
use crate::step::Cost;

step_args! {
    GrayArgs {}
}

pub(super) fn kind() -> StepKind {
    let summary = "Turn colour into gray (Rec. 709 luma); gray pictures pass";
    StepKind::new("gray", summary, GrayArgs::params(), |args| {
        let keys = GrayArgs::read(args);
        let step = Classical::enhancement(keys.json(), |raster| Gray {}.apply(raster));
        Classical {
            cost: Cost::IN_PLACE,
            output: |format| PixelFormat { model: ColorModel::Gray, ..format },
            ..step
        }
        .boxed()
    })
}
