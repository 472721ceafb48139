//! Colours that sRGB cannot hold: what the way to the network and back cut off is given back.
//!
//! A network is fed sRGB. A scan in a larger space (Adobe RGB, eciRGB) has colours outside, which the
//! conversion brings to the edge of sRGB. What was lost there, the difference between the scan and
//! its own way through sRGB, is enlarged beside the network and added to its result. Differences of
//! rounding are not: they are below the threshold.

use fonds_core::{Raster, Result};
use fonds_image::color;
use fonds_nn::picture::{planes, write_planes};
use fonds_nn::tile::Rect;

use super::enlarge::bicubic;

/// Two steps of 8 bits: what conversions there and back round away.
const ROUNDING: f32 = 2.0 / 255.0;

/// Input rows that are done at once.
const BAND: usize = 64;

/// Adds to `made` (in the profile of `source`, `scale` times its size) what `source` has outside of
/// sRGB; `standard` is `source` in sRGB.
///
/// # Errors
/// `corrupt` when the profile cannot be used.
pub(super) fn give_back(
    made: &mut Raster,
    source: &Raster,
    standard: &Raster,
    scale: usize,
) -> Result<()> {
    let Some(profile) = source.icc().cloned() else {
        return Ok(());
    };
    let through = color::to_profile(standard.clone(), profile)?;
    let (width, height) = (source.width() as usize, source.height() as usize);
    for start in (0..height).step_by(BAND) {
        let end = (start + BAND).min(height);
        // Two rows more on each side, which the enlargement reads.
        let read = Rect {
            x: 0..width,
            y: start.saturating_sub(2)..(end + 2).min(height),
        };
        let lost = lost(&planes(source, &read), &planes(&through, &read));
        let Some(lost) = lost else { continue };
        let large = bicubic(&lost, (read.height(), width), scale);
        let target = Rect {
            x: 0..width * scale,
            y: start * scale..end * scale,
        };
        let mut values = planes(made, &target);
        let plane = read.height() * width * scale * scale;
        let skipped = (start - read.y.start) * width * scale * scale;
        let len = target.width() * target.height();
        for (to, from) in values.chunks_exact_mut(len).zip(large.chunks_exact(plane)) {
            for (to, from) in to.iter_mut().zip(&from[skipped..]) {
                *to += from;
            }
        }
        write_planes(made, &target, &values);
    }
    Ok(())
}

/// What is lost beyond rounding; `None` when nothing is.
fn lost(source: &[f32], through: &[f32]) -> Option<Vec<f32>> {
    let mut any = false;
    let lost = source
        .iter()
        .zip(through)
        .map(|(source, through)| {
            let lost = source - through;
            let beyond = lost - lost.clamp(-ROUNDING, ROUNDING);
            any |= beyond != 0.0;
            beyond
        })
        .collect();
    any.then_some(lost)
}
