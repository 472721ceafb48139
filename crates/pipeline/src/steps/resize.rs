//! `run.resize`: another size, by a good filter.

use fonds_core::{Code, Error, Result};
use fonds_image::ops::{Filter, Resize, Target};
use serde::{Deserialize, Serialize};

use super::classical::{Classical, step_args};
use crate::registry::StepKind;
use crate::step::{Act, Cost};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FilterName {
    Nearest,
    Box,
    Bilinear,
    CatmullRom,
    Mitchell,
    Lanczos3,
}

step_args! {
    ResizeArgs {
        /// The longer side in pixels; the shape stays.
        longest: Option<u32> = None,
        /// The box that the picture has to fit into, [width, height] in pixels; the shape stays.
        fit: Option<[u32; 2]> = None,
        /// Exactly this size, [width, height] in pixels, whatever becomes of the shape.
        exact: Option<[u32; 2]> = None,
        /// The size times this factor, 0.001 to 16.
        scale: Option<f64> = None,
        /// `lanczos3`, `mitchell`, `catmull_rom`, `bilinear`, `box` or `nearest`.
        filter: FilterName = FilterName::Lanczos3,
        /// Whether the picture may become larger; small ones pass otherwise.
        enlarge: bool = false,
    }
}

pub(super) fn kind() -> StepKind {
    let summary = "Resize by one of longest, fit, exact, scale; the resolution follows";
    StepKind::new("resize", summary, ResizeArgs::params(), |args| {
        let keys = ResizeArgs::read(args);
        let to = target(&keys)?;
        let resize = Resize {
            to,
            filter: filter(keys.filter),
            enlarge: keys.enlarge,
        };
        resize.validate()?;
        let growth = match to {
            Target::Scale(factor) => (factor * factor).max(1.0),
            _ if keys.enlarge => 4.0,
            _ => 1.0,
        };
        let step = Classical::enhancement(keys.json(), move |raster| resize.apply(raster));
        let cost = Cost {
            scratch_per_pixel: 4.0,
            growth,
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

fn target(keys: &ResizeArgs) -> Result<Target> {
    let pair = |[width, height]: [u32; 2]| (width, height);
    let targets: Vec<Target> = [
        keys.longest.map(|side| Target::Fit {
            width: side,
            height: side,
        }),
        keys.fit
            .map(pair)
            .map(|(width, height)| Target::Fit { width, height }),
        keys.exact
            .map(pair)
            .map(|(width, height)| Target::Exact { width, height }),
        keys.scale.map(Target::Scale),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [target] = targets[..] {
        return Ok(target);
    }
    let message = format!("`resize` needs one size, found {}", targets.len());
    let error = Error::new(Code::InvalidRequest, message);
    Err(error.hint("give one of `longest`, `fit`, `exact`, `scale`"))
}

fn filter(name: FilterName) -> Filter {
    match name {
        FilterName::Nearest => Filter::Nearest,
        FilterName::Box => Filter::Box,
        FilterName::Bilinear => Filter::Bilinear,
        FilterName::CatmullRom => Filter::CatmullRom,
        FilterName::Mitchell => Filter::Mitchell,
        FilterName::Lanczos3 => Filter::Lanczos3,
    }
}
