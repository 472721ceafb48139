//! A whole picture aged, with its depth, its alpha and its profile kept.

use fonds_core::{PixelFormat, Raster, Result, Sample, Samples, Seed, with_samples};
use fonds_image::color;

use super::{Applied, Recipe};
use crate::planes::Planes;
use crate::resample::{Area, Kernel, resample};

/// An aged picture.
#[derive(Debug, Clone)]
pub struct Aged {
    /// The picture, in the pixel format, profile and resolution it had.
    pub raster: Raster,
    /// Where local damage lies: 8-bit gray, white where it hides all, of the same size.
    pub mask: Raster,
    /// What was done, in this order.
    pub applied: Vec<Applied>,
}

/// The longer side, in pixels, up to which a unit of the effects is a pixel.
const UNITS: f32 = 1000.0;

/// Ages a picture; the same seed gives the same damage.
///
/// A unit of the effects is a thousandth of the longer side, and at least a pixel. Damage is made
/// in sRGB and brought back to the picture's profile; samples that no effect changed stay as they
/// are. Gray stays gray, alpha is left alone (and resized with the picture where the recipe makes it
/// smaller). Fails as [`Recipe::apply`] does, and with `corrupt` when the profile cannot be used.
pub fn age(raster: &Raster, recipe: &Recipe, seed: Seed) -> Result<Aged> {
    let format = raster.format();
    let icc = raster.icc().cloned();
    let standard = color::to_srgb(raster.clone())?;
    let whole = (raster.width() as usize, raster.height() as usize);
    let before = Planes::of_plain(&standard, (0, 0), whole, format.color_channels());
    let long = whole.0.max(whole.1) as f32;
    let unit = (long / UNITS).max(1.0);
    let made = recipe.damage(before.clone(), seed, unit)?;
    let same_size = (made.planes.width, made.planes.height) == whole;
    let alpha = format
        .alpha
        .then(|| alpha(&standard, (made.planes.width, made.planes.height)));
    let aged = interleaved(&made.planes, alpha.as_ref(), format)?.with_icc(standard.icc().cloned());
    let aged = match icc {
        Some(icc) if standard.icc() != Some(&icc) => color::to_profile(aged, icc)?,
        _ => aged,
    };
    let aged = if same_size {
        with_untouched(aged, raster, &before, &made.planes)
    } else {
        aged
    };
    let ppi = raster.ppi().map(|mut ppi| {
        ppi.x *= made.planes.width as f64 / whole.0 as f64;
        ppi.y *= made.planes.height as f64 / whole.1 as f64;
        ppi
    });
    Ok(Aged {
        raster: aged.with_ppi(ppi),
        mask: made.mask.to_raster::<u8>()?,
        applied: made.applied,
    })
}

fn alpha(raster: &Raster, size: (usize, usize)) -> Planes {
    let channels = raster.format().channels();
    let values = with_samples!(raster.samples(), samples => {
        let alpha = samples.iter().skip(channels - 1).step_by(channels);
        alpha.map(|&sample| sample.to_unit()).collect::<Vec<f32>>()
    });
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let alpha = Planes {
        channels: 1,
        height,
        width,
        values,
    };
    if size == (width, height) {
        return alpha;
    }
    resample(&alpha, Area::whole(&alpha), size, Kernel::Bilinear, true)
}

/// Planes as samples of a format, with alpha behind them.
fn interleaved(planes: &Planes, alpha: Option<&Planes>, format: PixelFormat) -> Result<Raster> {
    fn samples<T: Sample>(planes: &Planes, alpha: Option<&Planes>) -> Samples {
        let all: Vec<&[f32]> = (0..planes.channels)
            .map(|c| planes.plane(c))
            .chain(alpha.map(|alpha| alpha.plane(0)))
            .collect();
        let pixels = 0..planes.pixels();
        T::wrap(
            pixels
                .flat_map(|i| all.iter().map(move |plane| T::from_unit(plane[i])))
                .collect(),
        )
    }
    let samples = match format.depth {
        fonds_core::Depth::U8 => samples::<u8>(planes, alpha),
        fonds_core::Depth::U16 => samples::<u16>(planes, alpha),
        fonds_core::Depth::F32 => samples::<f32>(planes, alpha),
    };
    Raster::from_samples(
        planes.width as u32,
        planes.height as u32,
        format.model,
        format.alpha,
        samples,
    )
}

/// Puts back the samples of pixels that no effect changed: the way to sRGB and back is not exact.
fn with_untouched(mut aged: Raster, raster: &Raster, before: &Planes, after: &Planes) -> Raster {
    let channels = raster.format().channels();
    let same: Vec<bool> = (0..before.pixels())
        .map(|i| (0..before.channels).all(|c| before.plane(c)[i] == after.plane(c)[i]))
        .collect();
    put_back::<u8>(&mut aged, raster, &same, channels);
    put_back::<u16>(&mut aged, raster, &same, channels);
    put_back::<f32>(&mut aged, raster, &same, channels);
    aged
}

fn put_back<T: Sample>(aged: &mut Raster, raster: &Raster, same: &[bool], channels: usize) {
    if let (Some(to), Some(from)) = (aged.as_mut_slice::<T>(), raster.as_slice::<T>()) {
        let pixels = to
            .chunks_exact_mut(channels)
            .zip(from.chunks_exact(channels));
        for ((to, from), _) in pixels.zip(same).filter(|(_, same)| **same) {
            to.copy_from_slice(from);
        }
    }
}
