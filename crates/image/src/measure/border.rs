//! Where the picture ends and the scanner bed or the film rebate begins.
//!
//! Conservative on purpose: a border is nearly black or nearly white, even, reaches the edge of
//! the scan, ends in a straight line along most of a side, and shows on at least two sides. White
//! skies, dark rooms, page margins and the cream borders of prints fail one of these.

use fonds_core::Raster;

use crate::ops::support::plane::Plane;
use crate::ops::support::reduce::Reduced;

/// How far from the border's own level its pixels may lie, in code values.
const TOLERANCE: f32 = 14.0;

/// Borders are at most this dark or at least this bright.
const BLACK_UP_TO: f32 = 34.0;
const WHITE_FROM: f32 = 236.0;

/// White borders are at most this colourful (difference of the channels' means).
const WHITE_CHROMA: f32 = 14.0;

/// The share of a line that must be border for the line to be cut.
const LINE_SHARE: f64 = 0.98;

/// The share of a line at which the picture must begin within [`EDGE_DEPTH`] after the cut.
const EDGE_SHARE: f64 = 0.65;

/// The depth of that beginning, as a share of the picture's extent.
const EDGE_DEPTH: f64 = 0.03;

/// The most that may be cut from one side, and the least area that must stay.
const MAX_CUT: f64 = 0.3;
const MIN_AREA: f64 = 0.4;

/// A box inside a picture; `right` and `bottom` are the first column and row outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) right: usize,
    pub(crate) bottom: usize,
}

impl Frame {
    /// All of a picture.
    pub(crate) fn whole(width: usize, height: usize) -> Self {
        Self {
            left: 0,
            top: 0,
            right: width,
            bottom: height,
        }
    }

    /// This box of a reduced copy in the pixels of the picture itself.
    pub(crate) fn scaled(self, reduced: &Reduced, raster: &Raster) -> Self {
        // A side without a border is the picture's own, whatever the reduction left out there.
        let far = |place: usize, end: usize, size: u32| {
            let size = size as usize;
            if place == end {
                size
            } else {
                (place * reduced.factor).min(size)
            }
        };
        Self {
            left: self.left * reduced.factor,
            top: self.top * reduced.factor,
            right: far(self.right, reduced.width, raster.width()),
            bottom: far(self.bottom, reduced.height, raster.height()),
        }
    }

    /// The share of the area of a reduced picture that lies outside.
    pub(super) fn removed_share(self, reduced: &Reduced) -> f64 {
        1.0 - self.area() as f64 / (reduced.width * reduced.height) as f64
    }

    fn area(self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// This box without so many lines of one side.
    pub(crate) fn cut(self, side: Side, depth: usize) -> Self {
        let mut frame = self;
        match side {
            Side::Top => frame.top += depth,
            Side::Bottom => frame.bottom -= depth,
            Side::Left => frame.left += depth,
            Side::Right => frame.right -= depth,
        }
        frame
    }
}

/// One side of a picture, seen from outside: lines run along it, depth goes inwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Top,
    Bottom,
    Left,
    Right,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [Self::Top, Self::Bottom, Self::Left, Self::Right];

    /// Depth and length of the lines of this side.
    pub(crate) fn extent(self, frame: &Frame) -> (usize, usize) {
        let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
        match self {
            Self::Top | Self::Bottom => (height, width),
            Self::Left | Self::Right => (width, height),
        }
    }

    /// The pixel at this place of the line at this depth.
    pub(crate) fn pixel(self, frame: &Frame, depth: usize, along: usize) -> (usize, usize) {
        match self {
            Self::Top => (frame.left + along, frame.top + depth),
            Self::Bottom => (frame.left + along, frame.bottom - 1 - depth),
            Self::Left => (frame.left + depth, frame.top + along),
            Self::Right => (frame.right - 1 - depth, frame.top + along),
        }
    }
}

/// The level of a border and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    value: f32,
    pub(super) white: bool,
}

impl Level {
    /// The level of a side's outermost line when it can be a border.
    pub(super) fn of(luma: &Plane<f32>, frame: &Frame, side: Side) -> Option<Self> {
        let (depth, length) = side.extent(frame);
        if depth < 16 || length < 16 {
            return None;
        }
        let mut line: Vec<f32> = (0..length).map(|j| at(luma, frame, side, 0, j)).collect();
        line.sort_by(f32::total_cmp);
        let value = line[length / 2];
        (value <= BLACK_UP_TO || value >= WHITE_FROM).then_some(Self {
            value,
            white: value >= WHITE_FROM,
        })
    }

    /// Whether a luma belongs to the border.
    pub(super) fn holds(self, value: f32) -> bool {
        (value - self.value).abs() <= TOLERANCE
    }
}

/// The luma at a depth and a place of a side's line.
pub(super) fn at(luma: &Plane<f32>, frame: &Frame, side: Side, depth: usize, along: usize) -> f32 {
    let (x, y) = side.pixel(frame, depth, along);
    luma.at(x, y)
}

/// The picture inside its border, in pixels of the reduced copy; `None` when there is no border
/// or no certainty.
pub(crate) fn find(reduced: &Reduced, luma: &Plane<f32>) -> Option<Frame> {
    let whole = Frame::whole(luma.width(), luma.height());
    let mut frame = whole;
    let (mut white, mut black) = (Vec::new(), Vec::new());
    // Twice, because one side's border can hide the end of another's.
    for side in Side::ALL.into_iter().chain(Side::ALL) {
        let Some((depth, level)) = edge(luma, &frame, side) else {
            continue;
        };
        if level.white && !neutral(reduced, &frame, side, depth) {
            continue;
        }
        let sides = if level.white { &mut white } else { &mut black };
        sides.push(side);
        sides.dedup();
        frame = frame.cut(side, depth);
    }
    let certain = distinct(&white).max(distinct(&black)) >= 2;
    let enough = frame.area() as f64 >= MIN_AREA * whole.area() as f64;
    let clean = Side::ALL.iter().all(|side| begins(luma, &frame, *side));
    (certain && enough && clean && frame != whole).then_some(frame)
}

/// Whether the picture has begun a little inside this side. Where it has not, a border is left
/// whose end was not certain, and cutting the other sides alone would look like a mistake.
fn begins(luma: &Plane<f32>, frame: &Frame, side: Side) -> bool {
    let Some(level) = Level::of(luma, frame, side) else {
        return true;
    };
    let (depth, length) = side.extent(frame);
    let inside = ((depth as f64 * EDGE_DEPTH) as usize).max(3).min(depth - 1);
    let held = (0..length).filter(|j| level.holds(at(luma, frame, side, inside, *j)));
    held.count() * 2 < length
}

fn distinct(sides: &[Side]) -> usize {
    Side::ALL.iter().filter(|side| sides.contains(side)).count()
}

/// How deep the border of one side is, when it ends in the picture's straight edge.
fn edge(luma: &Plane<f32>, frame: &Frame, side: Side) -> Option<(usize, Level)> {
    let level = Level::of(luma, frame, side)?;
    let (depth, length) = side.extent(frame);
    let border_share = |d: usize| {
        let held = (0..length).filter(|j| level.holds(at(luma, frame, side, d, *j)));
        held.count() as f64 / length as f64
    };
    let most = (depth as f64 * MAX_CUT) as usize;
    let cut = (0..=most).find(|d| border_share(*d) < LINE_SHARE)?;
    let window = ((depth as f64 * EDGE_DEPTH) as usize).max(3);
    if cut == 0 || cut + 2 * window > depth {
        return None;
    }
    let begins = |j: &usize| {
        let inside =
            (cut..cut + 2 * window).filter(|d| !level.holds(at(luma, frame, side, *d, *j)));
        inside.count() > window
    };
    let begun = (0..length).filter(begins).count() as f64 / length as f64;
    (begun >= EDGE_SHARE).then_some((cut, level))
}

fn neutral(reduced: &Reduced, frame: &Frame, side: Side, depth: usize) -> bool {
    let (_, length) = side.extent(frame);
    let mut sums = [0.0_f32; 3];
    for d in 0..depth {
        for j in 0..length {
            let (x, y) = side.pixel(frame, d, j);
            for (sum, value) in sums.iter_mut().zip(reduced.rgb(x, y)) {
                *sum += value;
            }
        }
    }
    let means = sums.map(|sum| sum / (depth * length) as f32);
    let most = means.iter().copied().fold(f32::MIN, f32::max);
    let least = means.iter().copied().fold(f32::MAX, f32::min);
    most - least <= WHITE_CHROMA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;
    use fonds_core::{ColorModel, Samples};

    fn framed(bed: u8, left: usize, top: usize, right: usize, bottom: usize) -> Raster {
        let (width, height) = (400, 300);
        let samples = (0..width * height).map(|i| {
            let (x, y) = (i % width, i / width);
            let inside = x >= left && x < width - right && y >= top && y < height - bottom;
            if inside {
                synthetic::texture(x, y)
            } else {
                bed + (i % 3) as u8
            }
        });
        let samples = Samples::U8(samples.collect());
        Raster::from_samples(400, 300, ColorModel::Gray, false, samples).unwrap()
    }

    fn found(raster: &Raster) -> Option<Frame> {
        let reduced = Reduced::of(raster);
        find(&reduced, &reduced.luma())
    }

    #[test]
    fn finds_black_and_white_beds_on_two_sides_or_more() {
        for bed in [4, 250] {
            for (l, t, r, b) in [(20, 10, 30, 40), (0, 0, 50, 60), (12, 0, 0, 9)] {
                let expected = Frame {
                    left: l,
                    top: t,
                    right: 400 - r,
                    bottom: 300 - b,
                };
                assert_eq!(found(&framed(bed, l, t, r, b)), Some(expected), "{bed}");
            }
        }
    }

    #[test]
    fn does_nothing_when_unsure() {
        // One side only (a sky), gray (paper), more than is plausible, no border at all.
        assert_eq!(found(&framed(250, 0, 40, 0, 0)), None);
        assert_eq!(found(&framed(190, 20, 20, 20, 20)), None);
        assert_eq!(found(&framed(4, 150, 0, 0, 140)), None);
        assert_eq!(found(&framed(4, 0, 0, 0, 0)), None);
    }
}
