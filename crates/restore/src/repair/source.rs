//! A picture's samples as networks for RGB want them: sRGB where there is a profile, gray in all
//! three channels.

use std::sync::Arc;

use fonds_core::{ColorModel, Raster, Result};
use fonds_image::color;
use fonds_nn::picture::planes;
use fonds_nn::tile::Rect;

/// The picture in sRGB; `None` when it is so already, or gray, whose curve is close to it.
pub(super) fn standard(raster: &Raster) -> Result<Option<Raster>> {
    let Some(profile) = raster.icc() else {
        return Ok(None);
    };
    let usable = color::check_profile(profile, ColorModel::Rgb).is_usable();
    if raster.format().model != ColorModel::Rgb || !usable {
        return Ok(None);
    }
    let standard = color::to_srgb(raster.clone())?;
    let differs = standard.icc().map(Arc::as_ref) != raster.icc().map(Arc::as_ref);
    Ok(differs.then_some(standard))
}

/// Planes `[3, rows, columns]` of a region, 0 to 1.
pub(super) fn rgb_planes(raster: &Raster, region: &Rect) -> Vec<f32> {
    let planes = planes(raster, region);
    match raster.format().model {
        ColorModel::Rgb => planes,
        ColorModel::Gray => planes.repeat(3),
    }
}
