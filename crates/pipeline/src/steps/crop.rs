//! `run.crop`: the scanner bed and the rebate of film cut away.

use fonds_image::ops::Crop;

use super::classical::{Classical, step_args};
use crate::registry::StepKind;
use crate::step::{Act, Cost};

step_args! {
    CropArgs {
        /// Pixels of the border to keep around the picture; negative ones cut into it. -500 to 500.
        margin: i32 = Crop::default().margin,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Cut away scanner bed and film rebate, where they are found with certainty";
    StepKind::new("crop", summary, CropArgs::params(), |args| {
        let keys = CropArgs::read(args);
        let crop = Crop {
            margin: keys.margin,
        };
        crop.validate()?;
        let step = Classical::enhancement(keys.json(), move |raster| crop.apply(raster));
        Ok(Classical {
            act: Act::Geometry,
            cost: Cost::IN_PLACE,
            ..step
        }
        .boxed())
    })
}
