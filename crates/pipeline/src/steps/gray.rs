//! `run.gray`: colour left out.

use fonds_core::{ColorModel, PixelFormat};
use fonds_image::ops::Gray;

use serde_json::json;

use super::classical::Classical;
use crate::registry::StepKind;
use crate::step::Cost;

pub(super) fn kind() -> StepKind {
    let summary = "Turn colour into gray (Rec. 709 luma); gray pictures pass";
    StepKind::new("gray", summary, Vec::new(), |_| {
        let step = Classical::enhancement(json!({}), |raster| Gray {}.apply(raster));
        Ok(Classical {
            cost: Cost::IN_PLACE,
            output: |format| PixelFormat {
                model: ColorModel::Gray,
                ..format
            },
            ..step
        }
        .boxed())
    })
}
