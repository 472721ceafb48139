//! Despeckle: dust and specks out, everything else untouched.

use fonds_core::{Change, Outcome, Raster, Result, Sample, with_samples};
use rayon::prelude::*;

use super::specks::{Mask, Rules, Speck, dark_specks};
use super::support::params::in_range;
use super::support::plane::{Plane, luma8};
use crate::measure::noise;

/// Small specks that a picture has at least where large ones are taken for dust.
const FEW: usize = 4;

/// Which specks are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpeckSign {
    /// Darker than the surroundings.
    Dark,
    /// Lighter than the surroundings.
    Light,
    /// Both.
    #[default]
    Both,
}

/// Repairs dust and specks: finds them, then changes their pixels only.
///
/// A speck is small and compact, stands out clearly from an even surrounding, and has next to
/// nothing like it nearby. One that is whiter or blacker than all that belongs to the picture may
/// be larger, stand out by less and lie on less even ground. What stands in a line with others, as
/// letters and dots do, or on a written page, stays, and so do texture, leaves, lace, colourful
/// lamps and catch-lights in eyes, as well as dust that lies on such places; hairs and scratches
/// are for other tools. The hole is filled with the best-fitting piece of the surroundings, grain included, adjusted to
/// the hole's rim. Acts on all depths; the change records the number of `specks` and the share of
/// pixels changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Despeckle {
    /// The largest extent of a speck in pixels, 2 to 64; by default a 180th of the picture's
    /// shorter side, at least 4 and at most 24, and a 60th, at most 32, for those beyond doubt.
    pub max_size: Option<u32>,
    /// How little a speck may stand out, 0 (only the most obvious) to 1.
    pub sensitivity: f64,
    /// Which specks are looked for.
    pub sign: SpeckSign,
    /// Pictures with fewer specks than this are left alone, 1 to 10,000: dust comes in numbers,
    /// and a lone dot may be a bird.
    pub min_specks: u32,
}

impl Default for Despeckle {
    fn default() -> Self {
        Self {
            max_size: None,
            sensitivity: 0.5,
            sign: SpeckSign::Both,
            min_specks: 8,
        }
    }
}

impl Despeckle {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        if let Some(size) = self.max_size {
            in_range("max_size", size, &(2..=64))?;
        }
        in_range("sensitivity", self.sensitivity, &(0.0..=1.0))?;
        in_range("min_specks", self.min_specks, &(1..=10_000))
    }

    /// Repairs specks, or leaves the picture alone when there are none.
    pub fn apply(&self, mut raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let (luma, specks) = self.find(&raster);
        if specks.is_empty() {
            return Ok(Outcome::unchanged(raster));
        }
        let touched = touched(&luma, &specks);
        let count = specks.iter().map(|speck| speck.pixels.len()).sum::<usize>();
        let share = count as f64 / raster.pixels() as f64;
        macro_rules! each {
            ($type:ty) => {
                if let Some(samples) = raster.as_slice::<$type>() {
                    let format = raster.format();
                    let layout = (format.channels(), format.color_channels());
                    let fills = fills(samples, layout, &luma, &touched, &specks);
                    let samples = raster.as_mut_slice::<$type>().expect("the type was seen");
                    for (at, sample) in fills {
                        samples[at] = sample;
                    }
                }
            };
        }
        each!(u8);
        each!(u16);
        each!(f32);
        let found = specks.len();
        let change = Change::new(format!("specks repaired: {found}"))
            .value("specks", found as f64)
            .share(share);
        Ok(Outcome::changed(raster, change))
    }

    /// The share of pixels that would be changed, 0 to 1.
    pub(crate) fn damaged_share(&self, raster: &Raster) -> f64 {
        let (_, specks) = self.find(raster);
        let pixels: usize = specks.iter().map(|speck| speck.pixels.len()).sum();
        pixels as f64 / raster.pixels() as f64
    }

    /// The luma and the specks on it; no pixel is in two of them.
    fn find(&self, raster: &Raster) -> (Plane<u8>, Vec<Speck>) {
        let mut luma = luma8(raster);
        let rules = self.rules(raster);
        let mut specks = Vec::new();
        if self.sign != SpeckSign::Light {
            specks = dark_specks(&luma, rules);
        }
        if self.sign != SpeckSign::Dark {
            invert(&mut luma);
            specks.extend(dark_specks(&luma, rules));
            invert(&mut luma);
        }
        specks.retain(|speck| has_color_of_dust(raster, &luma, speck));
        // Dust of all sizes comes together; large specks alone are buttons, rivets or lamps.
        let small = specks.iter().filter(|speck| !speck.large).count();
        if small < FEW || 2 * small < specks.len() {
            specks.retain(|speck| !speck.large);
        }
        // A dark and a light one can share rims; the earlier one keeps them.
        let mut taken = Mask::new(luma.data().len());
        for speck in &mut specks {
            speck.pixels.retain(|i| taken.add(*i));
        }
        specks.retain(|speck| !speck.pixels.is_empty());
        if specks.len() < self.min_specks as usize {
            specks.clear();
        }
        (luma, specks)
    }

    fn rules(&self, raster: &Raster) -> Rules {
        let shorter = raster.width().min(raster.height());
        let small = self.max_size.unwrap_or((shorter / 180).clamp(4, 24));
        let large = self.max_size.unwrap_or((shorter / 60).clamp(small, 32));
        let noise = noise::sigma(raster);
        // What noise makes of a minimum over a window lies some four sigmas below the mean.
        let contrast = (80.0 - 60.0 * self.sensitivity).max(7.0 * noise);
        Rules {
            small: small as usize,
            large: large as usize,
            contrast: contrast.min(200.0) as u8,
            evenness: 0.2 + 0.3 * self.sensitivity as f32,
            noise: noise as f32,
        }
    }
}

/// Whether a speck is no more colourful than dust on this place can be: lamps, petals and
/// leaves are.
fn has_color_of_dust(raster: &Raster, luma: &Plane<u8>, speck: &Speck) -> bool {
    if raster.format().color_channels() < 3 {
        return true;
    }
    let ring = ring(luma, speck);
    let (own, around) = (mean_color(raster, &speck.core), mean_color(raster, &ring));
    // Toned paper is a third less blue than red.
    let toned = 0.3 * own.into_iter().fold(0.0, f32::max) + 20.0;
    chroma(own) <= toned.max(1.2 * chroma(around))
}

/// The frame around a speck.
fn ring(luma: &Plane<u8>, speck: &Speck) -> Vec<usize> {
    let [left, top, right, bottom] = speck.bounds;
    let mut ring = Vec::new();
    for y in top.saturating_sub(3)..luma.height().min(bottom + 4) {
        for x in left.saturating_sub(3)..luma.width().min(right + 4) {
            if !((left..=right).contains(&x) && (top..=bottom).contains(&y)) {
                ring.push(y * luma.width() + x);
            }
        }
    }
    ring
}

/// The mean red, green and blue of some pixels, in 8-bit code values.
fn mean_color(raster: &Raster, pixels: &[usize]) -> [f32; 3] {
    let channels = raster.format().channels();
    let mut sums = [0.0_f32; 3];
    with_samples!(raster.samples(), samples => {
        for i in pixels {
            for (sum, sample) in sums.iter_mut().zip(&samples[i * channels..]) {
                *sum += sample.to_unit();
            }
        }
    });
    sums.map(|sum| sum * 255.0 / pixels.len().max(1) as f32)
}

fn chroma(rgb: [f32; 3]) -> f32 {
    let most = rgb.into_iter().fold(f32::MIN, f32::max);
    let least = rgb.into_iter().fold(f32::MAX, f32::min);
    most - least
}

fn invert(plane: &mut Plane<u8>) {
    plane
        .data_mut()
        .par_iter_mut()
        .for_each(|value| *value = 255 - *value);
}

fn touched(luma: &Plane<u8>, specks: &[Speck]) -> Mask {
    let mut mask = Mask::new(luma.data().len());
    for i in specks.iter().flat_map(|speck| &speck.pixels) {
        mask.add(*i);
    }
    mask
}

/// The new samples of all specks, by their index in the picture.
fn fills<T: Sample>(
    samples: &[T],
    (channels, color): (usize, usize),
    luma: &Plane<u8>,
    touched: &Mask,
    specks: &[Speck],
) -> Vec<(usize, T)> {
    specks
        .par_iter()
        .flat_map_iter(|speck| {
            let rim = rim(luma, touched, speck);
            let offset = best_offset(luma, touched, speck, &rim);
            let patch = Patch {
                samples,
                channels,
                rim,
                offset,
                width: luma.width(),
            };
            let at = speck
                .pixels
                .iter()
                .flat_map(move |i| (0..color).map(move |c| (*i, c)));
            at.map(move |(i, c)| (i * channels + c, patch.sample(i, c)))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Pixels around a speck that are not in any speck.
fn rim(luma: &Plane<u8>, touched: &Mask, speck: &Speck) -> Vec<usize> {
    let [left, top, right, bottom] = speck.bounds;
    let (width, height) = (luma.width(), luma.height());
    let mut rim = Vec::new();
    for y in top.saturating_sub(2)..height.min(bottom + 3) {
        for x in left.saturating_sub(2)..width.min(right + 3) {
            let i = y * width + x;
            if !touched.has(i) {
                rim.push(i);
            }
        }
    }
    rim
}

/// The displacement to the place whose rim looks most like the speck's own; `None` when every
/// place is damaged or outside.
fn best_offset(luma: &Plane<u8>, touched: &Mask, speck: &Speck, rim: &[usize]) -> Option<isize> {
    let size = (speck.bounds[2] - speck.bounds[0]).max(speck.bounds[3] - speck.bounds[1]) + 1;
    let mut best = (u64::MAX, None);
    for distance in [size + 3, 2 * size + 3] {
        for (dx, dy) in directions(distance as isize) {
            let Some(offset) = offset_inside(luma, speck, dx, dy) else {
                continue;
            };
            let there = |i: &usize| i.wrapping_add_signed(offset);
            if speck.pixels.iter().any(|i| touched.has(there(i))) {
                continue;
            }
            let differences = rim.iter().map(|i| {
                let (a, b) = (luma.data()[*i], luma.data()[there(i)]);
                u64::from(a.abs_diff(b)).pow(2)
            });
            let difference = differences.sum();
            if difference < best.0 {
                best = (difference, Some(offset));
            }
        }
    }
    best.1
}

fn directions(distance: isize) -> [(isize, isize); 12] {
    let (full, half, most) = (distance, distance / 2, distance * 7 / 8);
    [
        (full, 0),
        (-full, 0),
        (0, full),
        (0, -full),
        (most, half),
        (-most, half),
        (most, -half),
        (-most, -half),
        (half, most),
        (-half, most),
        (half, -most),
        (-half, -most),
    ]
}

/// The displacement as an index difference when speck and rim stay inside the picture.
fn offset_inside(luma: &Plane<u8>, speck: &Speck, dx: isize, dy: isize) -> Option<isize> {
    let [left, top, right, bottom] = speck.bounds.map(|place| place as isize);
    let inside = left + dx >= 2
        && top + dy >= 2
        && right + dx + 2 < luma.width() as isize
        && bottom + dy + 2 < luma.height() as isize;
    inside.then_some(dy * luma.width() as isize + dx)
}

struct Patch<'a, T> {
    samples: &'a [T],
    channels: usize,
    rim: Vec<usize>,
    offset: Option<isize>,
    width: usize,
}

impl<T: Sample> Patch<'_, T> {
    /// The new value of a pixel's channel: the piece from elsewhere, plus what separates the two
    /// rims, by inverse squares of the distance; without a piece, the rim itself.
    fn sample(&self, i: usize, c: usize) -> T {
        let (x, y) = ((i % self.width) as f32, (i / self.width) as f32);
        let value = |i: usize| self.samples[i * self.channels + c].to_f32();
        let there = |i: usize| self.offset.map_or(0.0, |o| value(i.wrapping_add_signed(o)));
        let (mut sum, mut total) = (0.0, 0.0);
        for at in &self.rim {
            let (dx, dy) = ((at % self.width) as f32 - x, (at / self.width) as f32 - y);
            let weight = 1.0 / (dx * dx + dy * dy).max(0.5);
            sum += weight * (value(*at) - there(*at));
            total += weight;
        }
        if total == 0.0 {
            return self.samples[i * self.channels + c];
        }
        T::from_f32((there(i) + sum / total).clamp(0.0, T::WHITE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic::Random;
    use fonds_core::{ColorModel, Samples};

    /// The default, for pictures with few specks.
    fn despeckle() -> Despeckle {
        Despeckle {
            min_specks: 4,
            ..Despeckle::default()
        }
    }

    const SPECKS: [(usize, usize, u16); 5] = [
        (60, 40, 0),
        (140, 90, 65_535),
        (100, 130, 2000),
        (20, 100, 500),
        (180, 20, 60_000),
    ];

    /// An even slope with a little grain, in 16-bit RGB with alpha, and specks.
    fn dusty(specks: &[(usize, usize, u16)]) -> Raster {
        let mut random = Random(3);
        let samples = (0..200 * 160_usize).flat_map(|i| {
            let (x, y) = (i % 200, i / 200);
            let grain = 300.0 * random.normal();
            let base = 30_000.0 + 40.0 * x as f64 + grain;
            let speck = specks
                .iter()
                .find(|(sx, sy, _)| x.abs_diff(*sx) <= 1 && y.abs_diff(*sy) <= 1);
            let v = speck.map_or(base as u16, |speck| speck.2);
            [v, v, v, (i % 65_521) as u16]
        });
        let samples = Samples::U16(samples.collect());
        Raster::from_samples(200, 160, ColorModel::Rgb, true, samples).unwrap()
    }

    #[test]
    fn specks_go_and_nothing_else_changes() {
        let (with, without) = (dusty(&SPECKS), dusty(&[]));
        let outcome = despeckle().apply(with.clone()).unwrap();
        let change = outcome.change.unwrap();
        assert_eq!(change.values, [("specks", 5.0)]);
        let found = outcome.raster.as_slice::<u16>().unwrap().chunks_exact(4);
        let before = with.as_slice::<u16>().unwrap().chunks_exact(4);
        let clean = without.as_slice::<u16>().unwrap().chunks_exact(4);
        let mut changed = 0;
        for (i, ((found, before), clean)) in found.zip(before).zip(clean).enumerate() {
            assert_eq!(found[3], before[3]);
            let near = SPECKS
                .iter()
                .any(|(x, y, _)| x.abs_diff(i % 200) <= 2 && y.abs_diff(i / 200) <= 2);
            assert!(near || found == before, "{i}");
            assert!(found[0].abs_diff(clean[0]) < 3000, "{i}");
            changed += usize::from(found != before);
        }
        let share = change.changed_share.unwrap() * 32_000.0;
        assert!(changed as f64 <= share + 1e-6 && share < 160.0);
    }

    #[test]
    fn signs_are_told_apart() {
        for (sign, count) in [(SpeckSign::Dark, 3.0), (SpeckSign::Light, 2.0)] {
            let op = Despeckle {
                sign,
                min_specks: 1,
                ..Despeckle::default()
            };
            let change = op.apply(dusty(&SPECKS)).unwrap().change.unwrap();
            assert_eq!(change.values, [("specks", count)]);
        }
    }

    #[test]
    fn lone_dots_stay() {
        let outcome = despeckle().apply(dusty(&SPECKS[..3])).unwrap();
        assert_eq!(outcome, Outcome::unchanged(dusty(&SPECKS[..3])));
    }

    /// Squares of a color on dark, slightly grainy cloth: two of each size.
    fn cloth(sizes: [usize; 6], color: [u8; 3]) -> Raster {
        let mut random = Random(5);
        let samples = (0..360 * 360_usize).flat_map(|i| {
            let (x, y) = (i % 360, i / 360);
            let value = 45.0 + 2.0 * random.normal();
            let size = sizes[x / 60];
            let dot = x % 60 >= 30 && x % 60 < 30 + size;
            // Shifted from column to column, so that they stand in no line.
            let down = (y + 360 - 37 * (x / 60) % 60) % 180;
            if dot && down >= 60 && down < 60 + size {
                color
            } else {
                [value as u8; 3]
            }
        });
        let samples = Samples::U8(samples.collect());
        Raster::from_samples(360, 360, ColorModel::Rgb, false, samples).unwrap()
    }

    fn count(raster: Raster) -> f64 {
        let change = despeckle().apply(raster).unwrap().change;
        change.map_or(0.0, |change| change.values[0].1)
    }

    #[test]
    fn large_specks_go_in_the_company_of_small_ones() {
        assert_eq!(count(cloth([3, 3, 6, 3, 3, 6], [245; 3])), 12.0);
        assert_eq!(count(cloth([6; 6], [245; 3])), 0.0);
        assert_eq!(count(cloth([3, 3, 9, 3, 3, 9], [245; 3])), 8.0);
    }

    #[test]
    fn colorful_lights_stay() {
        assert_eq!(count(cloth([3; 6], [250, 235, 205])), 12.0);
        assert_eq!(count(cloth([3; 6], [250, 180, 60])), 0.0);
    }

    #[test]
    fn clean_pictures_stay() {
        let outcome = Despeckle::default().apply(dusty(&[])).unwrap();
        assert!(outcome.change.is_none());
        assert_eq!(Despeckle::default().damaged_share(&outcome.raster), 0.0);
    }
}
