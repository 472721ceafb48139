//! Crop: cuts scanner bed and film rebate away.

use fonds_core::{Change, Outcome, Raster, Result, Sample, with_samples};

use super::support::params::in_range;
use super::support::plane::{Plane, luma8};
use super::support::reduce::Reduced;
use crate::measure::border::{self, Frame, Side};

/// The most lines that the last trim takes from a side of the picture.
const MOST_TRIMMED: usize = 8;

/// The share of the bed in the pixels along a line that may stay, by their median.
const MIXED: f32 = 0.06;

/// How many pixels further inside the picture is taken for itself, and outside the bed.
const INSIDE: usize = 4;
const AWAY: usize = 4;

/// The least difference between picture and bed that tells them apart.
const DISTINCT: f32 = 28.0;

/// Cuts the even black or white border that a scanner bed or a film rebate leaves.
///
/// Only a border that ends in the straight edge of the picture and shows on at least two sides is
/// cut, and only as far as the picture does not begin anywhere, plus the few lines at its edge that
/// still show the border or mix with it; a picture that lies askew keeps its corners
/// ([`super::Deskew`] first). Paper margins, white skies and cream print borders stay.
/// Acts on all depths; the change records `left`, `top`, `width` and `height` of the box.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Crop {
    /// Pixels of the border to keep around the picture; negative ones cut into it. −500 to 500.
    pub margin: i32,
}

impl Crop {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("margin", self.margin, &(-500..=500))
    }

    /// Crops, or leaves the picture alone when no border is certain.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let reduced = Reduced::of(&raster);
        let Some(frame) = border::find(&reduced, &reduced.luma()) else {
            return Ok(Outcome::unchanged(raster));
        };
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let frame = trimmed(&raster, frame.scaled(&reduced, &raster));
        let frame = self.widened(frame, width, height);
        let Some(frame) = frame.filter(|frame| *frame != Frame::whole(width, height)) else {
            return Ok(Outcome::unchanged(raster));
        };
        let (new_width, new_height) = (frame.right - frame.left, frame.bottom - frame.top);
        let change = Change::new(format!("cropped to {new_width} × {new_height} pixels"))
            .value("left", frame.left as f64)
            .value("top", frame.top as f64)
            .value("width", new_width as f64)
            .value("height", new_height as f64);
        let cut = with_samples!(raster.samples(), samples => cut(&raster, samples, frame));
        Ok(Outcome::changed(cut, change))
    }

    /// The box with its margin, `None` when nothing would remain.
    fn widened(&self, frame: Frame, width: usize, height: usize) -> Option<Frame> {
        let margin = self.margin as isize;
        let low = |place: usize| (place as isize - margin).max(0) as usize;
        let high = |place: usize, end: usize| (place as isize + margin).clamp(0, end as isize);
        // A side without a border stays where it is.
        let near = |place: usize| if place == 0 { 0 } else { low(place) };
        let far = |place: usize, end: usize| {
            if place == end {
                end
            } else {
                high(place, end) as usize
            }
        };
        let frame = Frame {
            left: near(frame.left),
            top: near(frame.top),
            right: far(frame.right, width),
            bottom: far(frame.bottom, height),
        };
        (frame.left < frame.right && frame.top < frame.bottom).then_some(frame)
    }
}

/// The box without the lines along its cut sides that still show the bed, because the reduced copy
/// was coarse, the edge of the picture is a little uneven or its pixels are mixed with the bed.
fn trimmed(raster: &Raster, frame: Frame) -> Frame {
    let luma = luma8(raster);
    let whole = Frame::whole(luma.width(), luma.height());
    let mut trimmed = frame;
    for side in Side::ALL {
        if let Some(bed) = bed_level(&luma, whole, frame, side) {
            let depth = rest(&luma, trimmed, side, bed);
            trimmed = trimmed.cut(side, depth);
        }
    }
    trimmed
}

/// The median of the bed along a cut side, a few pixels outside the box.
fn bed_level(luma: &Plane<u8>, whole: Frame, frame: Frame, side: Side) -> Option<u8> {
    let border = match side {
        Side::Top => frame.top,
        Side::Left => frame.left,
        Side::Bottom => whole.bottom - frame.bottom,
        Side::Right => whole.right - frame.right,
    };
    let depth = border.checked_sub(1)?;
    let (_, length) = side.extent(&whole);
    let at = |along: usize| {
        let (x, y) = side.pixel(&whole, depth.saturating_sub(AWAY), along);
        luma.at(x, y)
    };
    let mut line: Vec<u8> = (0..length).map(at).collect();
    line.sort_unstable();
    Some(line[length / 2])
}

/// The number of lines along a side of the box to the first that is free of the bed, or 0 when there is
/// none within what may be taken from the picture.
fn rest(luma: &Plane<u8>, frame: Frame, side: Side, bed: u8) -> usize {
    let (extent, _) = side.extent(&frame);
    let most = (extent / 100).min(MOST_TRIMMED);
    if extent <= 2 * most + 1 + INSIDE {
        return 0;
    }
    let mixed = |depth: usize| mixed(luma, frame, side, depth, bed);
    // Texture changes from line to line, too.
    let mut usual: Vec<f32> = (most + 1..=2 * most + 1).map(|d| mixed(d)[1]).collect();
    usual.sort_by(f32::total_cmp);
    let much_at_most = (1.25 * usual[most / 2]).max(2.0 * MIXED);
    let free = |depth: &usize| {
        let [median, much] = mixed(*depth);
        median <= MIXED && much <= much_at_most
    };
    (0..=most).find(free).unwrap_or(0)
}

/// The share of the bed in the pixels along a line, measured by those a little further inside: the
/// median, and what 15 % exceed.
fn mixed(luma: &Plane<u8>, frame: Frame, side: Side, depth: usize, bed: u8) -> [f32; 2] {
    let (_, length) = side.extent(&frame);
    let bed = f32::from(bed);
    let share = |along: usize| {
        let value = |depth: usize| {
            let (x, y) = side.pixel(&frame, depth, along);
            f32::from(luma.at(x, y))
        };
        let (own, inside) = (value(depth), value(depth + INSIDE));
        let distinct = (inside - bed).abs() > DISTINCT;
        distinct.then(|| (inside - own) / (inside - bed))
    };
    let mut shares: Vec<f32> = (0..length).filter_map(share).collect();
    shares.sort_by(f32::total_cmp);
    [10, 17].map(|part| shares.get(shares.len() * part / 20).copied().unwrap_or(0.0))
}

fn cut<T: Sample>(raster: &Raster, samples: &[T], frame: Frame) -> Raster {
    let channels = raster.format().channels();
    let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
    let mut out = Vec::with_capacity(width * height * channels);
    for y in frame.top..frame.bottom {
        let start = y * raster.row_len() + frame.left * channels;
        out.extend_from_slice(&samples[start..start + width * channels]);
    }
    raster.with_samples(width as u32, height as u32, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;
    use fonds_core::{ColorModel, Samples};

    fn on_bed() -> Raster {
        let samples = (0..300 * 200_usize).map(|i| {
            let (x, y) = (i % 300, i / 300);
            if (30..260).contains(&x) && (12..180).contains(&y) {
                u16::from(synthetic::texture(x, y)) * 257 + 3
            } else {
                900
            }
        });
        let samples = Samples::U16(samples.collect());
        Raster::from_samples(300, 200, ColorModel::Gray, false, samples).unwrap()
    }

    #[test]
    fn cuts_the_box_and_records_it() {
        let raster = on_bed();
        let outcome = Crop::default().apply(raster.clone()).unwrap();
        let change = outcome.change.unwrap();
        let expected = [
            ("left", 30.0),
            ("top", 12.0),
            ("width", 230.0),
            ("height", 168.0),
        ];
        assert_eq!(change.values, expected);
        let (all, cut) = (
            raster.as_slice::<u16>().unwrap(),
            outcome.raster.as_slice::<u16>().unwrap(),
        );
        assert_eq!(cut[..230], all[12 * 300 + 30..][..230]);
        assert_eq!(cut[167 * 230..], all[179 * 300 + 30..][..230]);
    }

    #[test]
    fn uneven_and_mixed_edges_are_trimmed() {
        // A cream print whose edge wanders by two pixels and mixes with the bed on one.
        let samples = (0..900 * 650_usize).map(|i| {
            let (x, y) = (i % 900, i / 900);
            let wander = |along: usize| usize::from(along % 60 < 30) * 2;
            let (left, top) = (71 + wander(y), 53 + wander(x));
            let (right, bottom) = (840 - wander(y), 610 - wander(x));
            let inside =
                |a: usize| x >= left + a && x < right - a && y >= top + a && y < bottom - a;
            match (inside(0), inside(1), inside(14)) {
                (_, _, true) => synthetic::texture(x, y),
                (_, true, _) => 230 + (i * i % 4) as u8,
                (true, ..) => 190,
                _ => 24 + (i % 3) as u8,
            }
        });
        let samples = Samples::U8(samples.collect());
        let raster = Raster::from_samples(900, 650, ColorModel::Gray, false, samples).unwrap();
        let cut = Crop::default().apply(raster).unwrap();
        let values = cut.change.unwrap().values;
        assert!(values[0].1 >= 74.0 && values[0].1 <= 77.0, "{values:?}");
        let (width, samples) = (
            cut.raster.width() as usize,
            cut.raster.as_slice::<u8>().unwrap(),
        );
        let columns = [0, width - 1].map(|x| samples.iter().skip(x).step_by(width));
        let rows = [&samples[..width], &samples[samples.len() - width..]];
        for column in columns {
            let bed = column.filter(|v| **v < 228).count();
            assert!(bed * 20 < samples.len() / width, "{bed} {values:?}");
        }
        for row in rows {
            let bed = row.iter().filter(|v| **v < 228).count();
            assert!(bed * 20 < width, "{bed} {values:?}");
        }
    }

    #[test]
    fn margins() {
        for (margin, width) in [(5, 240), (-10, 210), (500, 300)] {
            let outcome = Crop { margin }.apply(on_bed()).unwrap();
            assert_eq!(outcome.raster.width(), width, "{margin}");
        }
        assert!(Crop { margin: 501 }.validate().is_err());
    }
}
