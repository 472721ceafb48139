//! `run.deskew`: pages and prints set straight.

use fonds_image::ops::{Deskew, Fill};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::registry::StepKind;
use crate::step::{Act, Cost};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Corners {
    Nearest,
    White,
}

step_args! {
    DeskewArgs {
        /// Rotations of more degrees than this are not trusted: nothing happens. 0 to 10.
        max_angle: f64 = Deskew::default().max_angle,
        /// Rotations of fewer degrees than this are not worth a resampling. 0 to 10.
        min_angle: f64 = Deskew::default().min_angle,
        /// What the opened corners show: "nearest" pixel of the picture, or "white".
        fill: Corners = Corners::Nearest,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Set lines of text, or a print on its bed, straight";
    StepKind::new("deskew", summary, DeskewArgs::params(), |args| {
        let keys = DeskewArgs::read(args);
        let deskew = Deskew {
            max_angle: keys.max_angle,
            min_angle: keys.min_angle,
            fill: match keys.fill {
                Corners::Nearest => Fill::Nearest,
                Corners::White => Fill::White,
            },
        };
        deskew.validate()?;
        let step = Classical::enhancement(keys.json(), move |raster| deskew.apply(raster));
        let cost = Cost {
            scratch_per_pixel: 3.0,
            growth: 1.5,
            ..Cost::IN_PLACE
        };
        Ok(Classical {
            act: Act::Geometry,
            cost,
            ..step
        }
        .boxed())
    })
}
