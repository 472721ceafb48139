//! How far a page or a print is rotated: text lines first, straight borders else.
//!
//! Lines of text: the ink (what is darker than its surroundings) is projected along many angles;
//! at the right one the profile alternates most strongly between lines and gaps (Postl 1986).
//! Prints: the straight edges between scanner bed and print, at least two of which must agree.
//! A photograph that fills its scan is never judged by its content.

use fonds_core::Sample;

use super::border::{Frame, Level, Side, at};
use crate::ops::support::extremes::{Pick, close_or_open};
use crate::ops::support::plane::Plane;

/// Angles looked at, degrees to both sides.
pub(crate) const RANGE: f64 = 10.0;

/// Steps of the search, degrees.
const COARSE: f64 = 0.5;
const FINE: f64 = 0.05;

/// Columns that share one sum.
const STRIP: usize = 4;

/// Text must be this much more alternating at its angle than at the median angle.
const MIN_PEAK: f64 = 2.0;

/// How much darker than paper ink is, and what is too dark for paper; code values.
const MIN_INK: f32 = 12.0;
const DARK: u8 = 90;

/// Lines of text that must be seen.
const MIN_LINES: usize = 10;

/// Angles of two edges that agree, degrees.
const AGREE: f64 = 0.3;

/// A rotation that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Skew {
    /// Degrees, positive clockwise.
    pub(crate) degrees: f64,
    /// 0 to 1.
    pub(crate) confidence: f64,
    /// Whether text gave it, not edges.
    pub(crate) text: bool,
}

/// The rotation of a reduced picture, when text or edges show it.
pub(crate) fn find(luma: &Plane<f32>) -> Option<Skew> {
    let (width, height) = (luma.width(), luma.height());
    if width < 64 || height < 64 {
        return None;
    }
    of_text(luma).or_else(|| of_edges(luma))
}

fn of_text(luma: &Plane<f32>) -> Option<Skew> {
    let strips = Strips::of(&ink(luma)?);
    let coarse = (2.0 * RANGE / COARSE) as usize + 1;
    let coarse = best(&strips, -RANGE, COARSE, coarse);
    let fine = (2.0 * COARSE / FINE) as usize + 1;
    let fine = best(&strips, coarse.angle - COARSE, FINE, fine);
    let peak = fine.score / coarse.median.max(1e-9);
    let edge = fine.angle.abs() > RANGE - COARSE;
    let lines = strips.lines(fine.angle);
    if peak < MIN_PEAK || edge || lines < MIN_LINES {
        return None;
    }
    Some(Skew {
        degrees: fine.refined,
        confidence: (1.0 - 1.0 / peak).clamp(0.0, 1.0),
        text: true,
    })
}

/// How much darker each pixel is than the paper that it is printed on; `None` when the picture
/// does not look like print on paper.
///
/// The paper is the closing by a square that covers strokes; the scanner bed is no stroke, so its
/// edges, which can have an angle of their own, do not count.
fn ink(luma: &Plane<f32>) -> Option<Plane<f32>> {
    if !looks_printed(luma) {
        return None;
    }
    let bytes: Vec<u8> = luma.data().iter().map(|v| u8::from_f32(*v)).collect();
    let radius = (luma.height().max(luma.width()) / 100).max(4);
    let paper = close_or_open(&bytes, luma.width(), radius, Pick::Max);
    let pairs = paper.iter().zip(&bytes);
    let ink = pairs.map(|(paper, value)| {
        let below = f32::from(paper - value) - MIN_INK;
        if *paper < DARK { 0.0 } else { below.max(0.0) }
    });
    Some(Plane::from_vec(luma.width(), luma.height(), ink.collect()))
}

/// Whether dark strokes cover a little of a bright ground: what lies below the local mean lies far
/// below it, what lies above lies close.
fn looks_printed(luma: &Plane<f32>) -> bool {
    let (width, height) = (luma.width(), luma.height());
    let mean = box_mean(luma, (height.max(width) / 50).max(4));
    let (mut dark, mut bright, mut inked, mut paper) = (0.0_f64, 0.0_f64, 0, 0);
    for (value, mean) in luma.data().iter().zip(mean.data()) {
        if *mean < f32::from(DARK) {
            continue;
        }
        paper += 1;
        let below = mean - value;
        inked += usize::from(below > MIN_INK);
        let square = f64::from(below * below);
        if below > 0.0 {
            dark += square;
        } else {
            bright += square;
        }
    }
    let share = inked as f64 / paper.max(1) as f64;
    paper * 3 > width * height && (0.01..0.4).contains(&share) && dark > 1.5 * bright
}

/// Means of the squares of 2 × `radius` + 1 around each pixel, clipped at the ends.
fn box_mean(luma: &Plane<f32>, radius: usize) -> Plane<f32> {
    let across = mean_rows(luma, radius);
    mean_columns(&across, radius)
}

fn mean_rows(plane: &Plane<f32>, radius: usize) -> Plane<f32> {
    let width = plane.width();
    let mut out = Plane::new(width, plane.height());
    let mut sums = vec![0.0_f32; width + 1];
    for (y, out) in out.data_mut().chunks_exact_mut(width).enumerate() {
        let row = plane.row(y);
        for x in 0..width {
            sums[x + 1] = sums[x] + row[x];
        }
        for (x, out) in out.iter_mut().enumerate() {
            let (from, to) = (x.saturating_sub(radius), width.min(x + radius + 1));
            *out = (sums[to] - sums[from]) / (to - from) as f32;
        }
    }
    out
}

fn mean_columns(plane: &Plane<f32>, radius: usize) -> Plane<f32> {
    let (width, height) = (plane.width(), plane.height());
    let mut out = Plane::new(width, height);
    let mut sums = vec![0.0_f32; width];
    for y in 0..radius.min(height) {
        add(&mut sums, plane.row(y), 1.0);
    }
    for (y, out) in out.data_mut().chunks_exact_mut(width).enumerate() {
        if y + radius < height {
            add(&mut sums, plane.row(y + radius), 1.0);
        }
        if y > radius {
            add(&mut sums, plane.row(y - radius - 1), -1.0);
        }
        let count = height.min(y + radius + 1) - y.saturating_sub(radius);
        let scale = 1.0 / count as f32;
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = sum * scale;
        }
    }
    out
}

fn add(sums: &mut [f32], row: &[f32], sign: f32) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += sign * value;
    }
}

/// Sums of ink over strips of columns, one column profile after the other.
struct Strips {
    height: usize,
    width: usize,
    sums: Vec<f32>,
}

struct Best {
    angle: f64,
    /// The angle with the parabola through the neighbouring scores taken into account.
    refined: f64,
    score: f64,
    median: f64,
}

impl Strips {
    fn of(ink: &Plane<f32>) -> Self {
        let (width, height) = (ink.width(), ink.height());
        let mut sums = vec![0.0; width.div_ceil(STRIP) * height];
        for y in 0..height {
            for (strip, pixels) in ink.row(y).chunks(STRIP).enumerate() {
                sums[strip * height + y] = pixels.iter().sum();
            }
        }
        Self {
            height,
            width,
            sums,
        }
    }

    /// The profile of ink along lines of this angle.
    ///
    /// Columns are shifted by quadratic B-splines, which soften all shifts alike; linear
    /// interpolation would leave whole shifts sharper and so draw angles towards 0.
    fn profile(&self, degrees: f64) -> Vec<f32> {
        let slope = degrees.to_radians().tan();
        let reach = (self.width as f64 * 0.5 * slope.abs()).ceil() as usize + 3;
        let mut profile = vec![0.0_f32; self.height + 2 * reach];
        for (strip, column) in self.sums.chunks_exact(self.height).enumerate() {
            let x = (strip * STRIP) as f64 + STRIP as f64 * 0.5 - self.width as f64 * 0.5;
            let place = reach as f64 - x * slope;
            let nearest = place.round();
            let part = (place - nearest) as f32;
            let weights = [
                0.5 * (0.5 - part).powi(2),
                0.75 - part * part,
                0.5 * (0.5 + part).powi(2),
            ];
            let out = &mut profile[nearest as usize - 1..][..self.height + 2];
            for (i, weight) in weights.into_iter().enumerate() {
                for (out, value) in out[i..].iter_mut().zip(column) {
                    *out += value * weight;
                }
            }
        }
        profile
    }

    /// How strongly the profile alternates.
    fn score(&self, degrees: f64) -> f64 {
        let profile = self.profile(degrees);
        profile
            .windows(3)
            .map(|w| f64::from((w[2] - w[0]).powi(2)))
            .sum()
    }

    /// How many lines of text the profile shows: rises through its mean and back.
    fn lines(&self, degrees: f64) -> usize {
        let profile = self.profile(degrees);
        let mean = profile.iter().sum::<f32>() / profile.len() as f32;
        let (mut lines, mut inside) = (0, false);
        for value in profile {
            if !inside && value > mean * 1.3 {
                inside = true;
            } else if inside && value < mean * 0.7 {
                inside = false;
                lines += 1;
            }
        }
        lines
    }
}

fn best(strips: &Strips, from: f64, step: f64, count: usize) -> Best {
    let angle = |i: usize| from + i as f64 * step;
    let scores: Vec<f64> = (0..count).map(|i| strips.score(angle(i))).collect();
    let top = (0..count)
        .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
        .unwrap_or(0);
    let mut sorted = scores.clone();
    sorted.sort_by(f64::total_cmp);
    Best {
        angle: angle(top),
        refined: angle(top) + step * vertex(&scores, top),
        score: scores[top],
        median: sorted[count / 2],
    }
}

/// The place of a parabola's vertex between the neighbours of its highest sample, −0.5 to 0.5.
fn vertex(scores: &[f64], top: usize) -> f64 {
    if top == 0 || top + 1 >= scores.len() {
        return 0.0;
    }
    let (a, b, c) = (scores[top - 1], scores[top], scores[top + 1]);
    let bend = a - 2.0 * b + c;
    if bend >= 0.0 {
        0.0
    } else {
        (0.5 * (a - c) / bend).clamp(-0.5, 0.5)
    }
}

fn of_edges(luma: &Plane<f32>) -> Option<Skew> {
    let frame = Frame::whole(luma.width(), luma.height());
    let mut angles: Vec<f64> = Side::ALL
        .into_iter()
        .filter_map(|side| edge_angle(luma, &frame, side))
        .collect();
    angles.sort_by(f64::total_cmp);
    let close = |angle: f64| -> Vec<f64> {
        let near = angles.iter().filter(|a| (**a - angle).abs() <= AGREE);
        near.copied().collect()
    };
    let group = angles.iter().map(|a| close(*a)).max_by_key(Vec::len)?;
    // Of four sides one may be frayed; of fewer none.
    if group.len() < 2 || group.len() < angles.len() - angles.len() / 4 {
        return None;
    }
    let degrees = group.iter().sum::<f64>() / group.len() as f64;
    (degrees.abs() <= RANGE).then_some(Skew {
        degrees,
        confidence: group.len() as f64 / 4.0,
        text: false,
    })
}

/// The angle of the straight line in which the scanner bed ends on one side, degrees clockwise.
fn edge_angle(luma: &Plane<f32>, frame: &Frame, side: Side) -> Option<f64> {
    let level = Level::of(luma, frame, side)?;
    let (depth, length) = side.extent(frame);
    let most = depth / 3;
    // The corners belong to the other sides.
    let (from, to) = (length / 8, length - length / 8);
    let place = |j: usize| {
        let outside = |d: usize| !level.holds(at(luma, frame, side, d, j));
        (1..most).find(|d| outside(*d) && outside(*d + 1))
    };
    let places: Vec<(f64, f64)> = (from..to)
        .filter_map(|j| place(j).map(|d| (j as f64, d as f64)))
        .collect();
    if (places.len() as f64) < 0.9 * (to - from) as f64 {
        return None;
    }
    let slope = straight(&places)?;
    let degrees = slope.atan().to_degrees();
    // Depth grows downwards from the top and to the right from the left, and backwards else.
    Some(match side {
        Side::Top | Side::Right => degrees,
        Side::Bottom | Side::Left => -degrees,
    })
}

/// The slope of a line through points that nearly all lie on it: the median slope over half the
/// length, then least squares over what lies within a pixel.
fn straight(points: &[(f64, f64)]) -> Option<f64> {
    let half = points.len() / 2;
    let mut slopes: Vec<f64> = (0..points.len() - half)
        .map(|i| (points[i + half].1 - points[i].1) / (points[i + half].0 - points[i].0))
        .collect();
    let slope = median(&mut slopes);
    let mut offsets: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let offset = median(&mut offsets);
    let on: Vec<_> = points
        .iter()
        .filter(|(x, y)| (y - slope * x - offset).abs() <= 1.5)
        .collect();
    if (on.len() as f64) < 0.85 * points.len() as f64 {
        return None;
    }
    let count = on.len() as f64;
    let mean_x = on.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = on.iter().map(|p| p.1).sum::<f64>() / count;
    let spread: f64 = on.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let both: f64 = on.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    Some(both / spread.max(1e-9))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic;

    #[test]
    fn angle_of_text() {
        for degrees in [-7.3, -2.0, -0.4, 0.0, 0.25, 1.7, 6.1] {
            let skew = find(&synthetic::text(420, 560, degrees)).expect("text is seen");
            assert!(skew.text);
            let off = (skew.degrees - degrees).abs();
            assert!(off < 0.12, "{degrees}: {}", skew.degrees);
        }
    }

    #[test]
    fn angle_of_a_print_on_the_bed() {
        for bed in [3.0, 252.0] {
            for degrees in [-4.0, -0.6, 0.0, 1.3] {
                let skew = find(&synthetic::print_on_bed(500, 400, degrees, bed));
                let skew = skew.expect("edges are seen");
                assert!(!skew.text);
                let off = (skew.degrees - degrees).abs();
                assert!(off < 0.15, "{bed} {degrees}: {}", skew.degrees);
            }
        }
    }

    #[test]
    fn a_texture_has_no_angle() {
        let data = (0..400 * 300).map(|i| f32::from(synthetic::texture(i % 400, i / 400)));
        assert_eq!(find(&Plane::from_vec(400, 300, data.collect())), None);
        assert_eq!(find(&Plane::new(20, 9)), None);
    }

    #[test]
    fn box_means_equal_the_slow_ones() {
        let plane = Plane::from_vec(9, 7, (0..63).map(|i| (i * i % 17) as f32).collect());
        let fast = box_mean(&plane, 2);
        for y in 0..7_usize {
            for x in 0..9_usize {
                let mut values = Vec::new();
                for yy in y.saturating_sub(2)..7.min(y + 3) {
                    for xx in x.saturating_sub(2)..9.min(x + 3) {
                        values.push(plane.at(xx, yy));
                    }
                }
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                assert!((fast.at(x, y) - mean).abs() < 1e-3);
            }
        }
    }
}
