//! Inpaint: what is under a mask is filled from its surroundings; all else stays to the bit.

use fonds_core::{Change, Code, Error, Outcome, Raster, Result, Sample};

use super::mask::Mask;
use super::window::{Form, for_each_window};
use super::{diffusion, patch};
use crate::ops::support::params::in_range;

/// Pixels around a cell that patches may come from.
const AROUND_PATCHES: usize = 96;

/// Pixels around a cell that diffusion looks at.
const AROUND_DIFFUSION: usize = 24;

/// How holes are filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FillMethod {
    /// With pieces from around the hole, grain and texture included (`PatchMatch`): for all holes.
    #[default]
    Patch,
    /// By carrying the rim inwards along the picture's lines: fast and smooth, for thin damage.
    Diffusion,
}

/// Fills what is under a mask.
///
/// The holes are gone through in windows, so memory stays bounded for scans of any size. Samples
/// outside of the mask and alpha stay as they are, to the bit; the result depends on the picture,
/// the mask and the seed alone. Acts on all depths; the change records the number of `regions`,
/// the `pixels_filled` and the share of pixels changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inpaint {
    /// How.
    pub method: FillMethod,
    /// The largest share of the picture that may be filled, 0 to 0.9; more is no repair.
    pub max_share: f64,
    /// What the search for pieces draws its places with.
    pub seed: u64,
}

impl Default for Inpaint {
    fn default() -> Self {
        Self {
            method: FillMethod::Patch,
            max_share: 0.2,
            seed: 0,
        }
    }
}

impl Inpaint {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("max_share", self.max_share, &(0.0..=0.9))
    }

    /// Fills the holes, or leaves the picture alone when there are none.
    ///
    /// # Errors
    /// `invalid_request` for a mask of another size, `limits_exceeded` when the mask covers more
    /// than `max_share`.
    pub fn apply(&self, mut raster: Raster, mask: &Mask) -> Result<Outcome> {
        self.validate()?;
        mask.check_size(raster.width() as usize, raster.height() as usize)?;
        let pixels = mask.count();
        if pixels == 0 {
            return Ok(Outcome::unchanged(raster));
        }
        check_share(mask, self.max_share)?;
        let format = raster.format();
        let form = Form {
            width: mask.width(),
            height: mask.height(),
            stride: format.channels(),
            colors: format.color_channels(),
        };
        macro_rules! each {
            ($type:ty) => {
                if let Some(samples) = raster.as_mut_slice::<$type>() {
                    self.run(samples, form, mask)?;
                }
            };
        }
        each!(u8);
        each!(u16);
        each!(f32);
        Ok(Outcome::changed(raster, change_of(mask)))
    }

    fn run<T: Sample>(&self, samples: &mut [T], form: Form, mask: &Mask) -> Result<()> {
        let (method, seed) = (self.method, self.seed);
        let margin = match method {
            FillMethod::Patch => AROUND_PATCHES,
            FillMethod::Diffusion => AROUND_DIFFUSION,
        };
        for_each_window(samples, form, mask, margin, |window, number| {
            match method {
                FillMethod::Patch => patch::fill(window, seed ^ number.wrapping_mul(0x9e37_79b9)),
                FillMethod::Diffusion => diffusion::fill(window),
            }
            Ok(())
        })
    }
}

/// Refuses a mask that covers more than a share of the picture.
///
/// # Errors
/// `limits_exceeded`.
pub fn check_share(mask: &Mask, max_share: f64) -> Result<()> {
    let share = mask.share();
    if share <= max_share {
        return Ok(());
    }
    let message = format!(
        "{:.1} % of the picture counts as damaged, at most {:.1} % are filled",
        share * 100.0,
        max_share * 100.0
    );
    let error = Error::new(Code::LimitsExceeded, message);
    Err(error.hint("raise `max_share` if the mask is right, or lower `sensitivity`"))
}

/// What is said of a filled mask; the mask goes with it.
pub fn change_of(mask: &Mask) -> Change {
    let (regions, pixels) = (mask.regions().len(), mask.count());
    let places = if regions == 1 { "place" } else { "places" };
    Change::new(format!("damage filled in {regions} {places}"))
        .value("regions", regions as f64)
        .value("pixels_filled", pixels as f64)
        .value("damaged_share", mask.share())
        .share(mask.share())
        .masked(mask.to_raster())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic::Random;
    use fonds_core::{ColorModel, PixelFormat, Samples};

    const WIDTH: usize = 460;
    const HEIGHT: usize = 420;

    /// A grainy slope with an edge, and a scratch, a blotch and a fleck at the corner.
    fn scratched<T: Sample>(model: ColorModel, alpha: bool) -> (Raster, Raster, Mask) {
        let mut random = Random(11);
        let mut mask = Mask::new(WIDTH as u32, HEIGHT as u32);
        let (mut clean, mut bad) = (Vec::new(), Vec::new());
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let scratch = x == 190 + y / 40 || x == 191 + y / 40;
                let blotch = x.abs_diff(300).pow(2) + y.abs_diff(200).pow(2) < 200;
                let hole = scratch || blotch || (x < 4 && y < 5);
                if hole {
                    mask.add(x, y);
                }
                let edge = if x + 2 * y > 600 { 0.25 } else { 0.0 };
                let value = 0.2 + 0.0006 * x as f64 + edge + 0.004 * random.normal();
                let colors = [value, value * 0.8, value * 0.6 + 0.1];
                let count = PixelFormat::new(T::DEPTH, model, false).channels();
                for color in &colors[..count] {
                    let sample = T::from_unit(*color as f32);
                    clean.push(sample);
                    bad.push(if hole { T::from_unit(1.0) } else { sample });
                }
                if alpha {
                    let sample = T::from_unit((x % 7) as f32 / 7.0);
                    clean.push(sample);
                    bad.push(sample);
                }
            }
        }
        let make = |samples: Vec<T>| {
            let (width, height) = (WIDTH as u32, HEIGHT as u32);
            Raster::from_samples(width, height, model, alpha, T::wrap(samples)).unwrap()
        };
        (make(clean), make(bad), mask)
    }

    fn check<T: Sample>(model: ColorModel, alpha: bool) {
        let (clean, bad, mask) = scratched::<T>(model, alpha);
        for method in [FillMethod::Patch, FillMethod::Diffusion] {
            let inpaint = Inpaint {
                method,
                ..Inpaint::default()
            };
            let outcome = inpaint.apply(bad.clone(), &mask).unwrap();
            let change = outcome.change.unwrap();
            assert_eq!(change.values[0], ("regions", 3.0));
            let format = bad.format();
            let (channels, colors) = (format.channels(), format.color_channels());
            let (new, old) = (outcome.raster.as_slice::<T>(), bad.as_slice::<T>());
            let (new, old, clean) = (new.unwrap(), old.unwrap(), clean.as_slice::<T>().unwrap());
            let (mut off, mut count) = (0.0, 0);
            for (i, sample) in new.iter().enumerate() {
                let hole = mask.data()[i / channels] != 0 && i % channels < colors;
                if hole {
                    off += f64::from((sample.to_unit() - clean[i].to_unit()).abs());
                    count += 1;
                } else {
                    assert_eq!(*sample, old[i], "{method:?} {i}");
                }
            }
            let off = off / f64::from(count);
            assert!(off < 0.012, "{method:?} {format}: {off}");
        }
    }

    #[test]
    fn holes_are_filled_and_nothing_else_changes() {
        check::<u8>(ColorModel::Rgb, false);
        check::<u8>(ColorModel::Gray, true);
        check::<u16>(ColorModel::Rgb, true);
        check::<f32>(ColorModel::Gray, false);
    }

    #[test]
    fn threads_change_nothing_and_seeds_do_not_matter_much() {
        let (_, bad, mask) = scratched::<u8>(ColorModel::Rgb, false);
        let inpaint = Inpaint::default();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| inpaint.apply(bad.clone(), &mask).unwrap().raster)
        };
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn empty_full_and_foreign_masks() {
        let raster = Raster::new(20, 20, PixelFormat::RGB8);
        let inpaint = Inpaint::default();
        let outcome = inpaint.apply(raster.clone(), &Mask::new(20, 20)).unwrap();
        assert_eq!(outcome, Outcome::unchanged(raster.clone()));
        let error = inpaint
            .apply(raster.clone(), &Mask::new(20, 21))
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        let mut most = Mask::new(20, 20);
        for x in 0..20 {
            (0..5).for_each(|y| most.add(x, y));
        }
        let error = inpaint.apply(raster, &most).unwrap_err();
        assert_eq!(error.code(), Code::LimitsExceeded);
        assert_eq!(
            error.message(),
            "25.0 % of the picture counts as damaged, at most 20.0 % are filled"
        );
        // A picture of one pixel has no surroundings.
        let one = Raster::from_samples(1, 1, ColorModel::Gray, false, Samples::U8(vec![9]));
        let mut mask = Mask::new(1, 1);
        mask.add(0, 0);
        assert!(inpaint.apply(one.unwrap(), &mask).is_err());
    }
}
