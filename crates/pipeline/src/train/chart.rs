//! Curves of losses: what is kept of them, and how they are drawn.

use fonds_core::{ColorModel, Raster, Result, Samples};

use super::letters::{ADVANCE, HEIGHT, letter};

/// Points that a curve keeps; steps are joined in twos when there are more.
const POINTS: usize = 512;

/// A number that changes from step to step, in as many points as can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    name: String,
    /// Values that a point stands for.
    width: u64,
    points: Vec<Point>,
}

/// Several values in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    count: u64,
    last_step: u64,
    sum: f64,
    least: f64,
    most: f64,
}

impl Point {
    fn join(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            last_step: other.last_step,
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    fn mean(self) -> f64 {
        self.sum / self.count as f64
    }
}

impl Curve {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            width: 1,
            points: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn add(&mut self, step: u64, value: f64) {
        let new = Point {
            count: 1,
            last_step: step,
            sum: value,
            least: value,
            most: value,
        };
        match self.points.last_mut() {
            Some(last) if last.count < self.width => *last = last.join(new),
            _ => self.points.push(new),
        }
        if self.points.len() > POINTS {
            self.width *= 2;
            let joined = self.points.chunks(2).map(|pair| match pair {
                [one, other] => one.join(*other),
                one => one[0],
            });
            self.points = joined.collect();
        }
    }
}

const WIDTH: usize = 800;
const PANEL: usize = 150;
const LEFT: usize = 76;
const RIGHT: usize = 12;
const TOP: usize = 20;
const BOTTOM: usize = 18;

const INK: [u8; 3] = [40, 40, 40];
const AXIS: [u8; 3] = [170, 170, 170];
const BAND: [u8; 3] = [190, 210, 235];
const LINE: [u8; 3] = [20, 80, 160];

/// All curves, each in a panel of its own: the mean of the values at a point as a line, their range
/// as a band.
pub(super) fn draw(curves: &[Curve]) -> Result<Raster> {
    let height = PANEL * curves.len().max(1);
    let mut canvas = Canvas {
        width: WIDTH,
        height,
        samples: vec![u8::MAX; WIDTH * height * 3],
    };
    for (index, curve) in curves.iter().enumerate() {
        canvas.panel(curve, index * PANEL);
    }
    let samples = Samples::U8(canvas.samples);
    Raster::from_samples(WIDTH as u32, height as u32, ColorModel::Rgb, false, samples)
}

struct Canvas {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Canvas {
    fn put(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.samples[at..at + 3].copy_from_slice(&color);
        }
    }

    fn vertical(&mut self, x: usize, (from, to): (usize, usize), color: [u8; 3]) {
        for y in from.min(to)..=from.max(to) {
            self.put(x, y, color);
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, color: [u8; 3]) {
        for (index, c) in text.chars().enumerate() {
            for (row, bits) in letter(c).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    self.put(x + index * ADVANCE + column, y + row, color);
                }
            }
        }
    }

    fn panel(&mut self, curve: &Curve, top: usize) {
        let (left, right) = (LEFT, self.width - RIGHT);
        let (upper, lower) = (top + TOP, top + PANEL - BOTTOM);
        self.text(left, top + 6, &curve.name, INK);
        self.vertical(left, (upper, lower), AXIS);
        for x in left..right {
            self.put(x, lower, AXIS);
        }
        let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) else {
            return;
        };
        let least = curve.points.iter().map(|point| point.least);
        let most = curve.points.iter().map(|point| point.most);
        let (low, high) = widened(
            least.fold(f64::INFINITY, f64::min),
            most.fold(f64::NEG_INFINITY, f64::max),
        );
        let y_of = |value: f64| {
            let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
            lower - ((lower - upper) as f64 * share).round() as usize
        };
        let (start, end) = (first.last_step, last.last_step);
        let x_of = |step: u64| {
            let share = (step - start) as f64 / (end - start).max(1) as f64;
            left + 1 + ((right - left - 2) as f64 * share).round() as usize
        };
        for (value, y) in [(high, upper), (low, lower - HEIGHT)] {
            let label = short(value);
            let x = left.saturating_sub(4 + label.len() * ADVANCE);
            self.text(x, y, &label, INK);
        }
        if low < 0.0 && high > 0.0 {
            for x in (left..right).step_by(4) {
                self.put(x, y_of(0.0), AXIS);
            }
        }
        let label = format!("{end} steps");
        let x = right.saturating_sub(label.len() * ADVANCE);
        self.text(x, lower + 6, &label, INK);
        for point in &curve.points {
            self.vertical(
                x_of(point.last_step),
                (y_of(point.least), y_of(point.most)),
                BAND,
            );
        }
        let mut before = (x_of(start), y_of(first.mean()));
        for point in &curve.points {
            let now = (x_of(point.last_step), y_of(point.mean()));
            self.segment(before, now);
            before = now;
        }
    }

    /// A line from left to right.
    fn segment(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
        let width = x1.saturating_sub(x0).max(1);
        let at = |x: usize| {
            let share = (x - x0) as f64 / width as f64;
            (y0 as f64 + (y1 as f64 - y0 as f64) * share).round() as usize
        };
        for x in x0..=x1 {
            self.vertical(x, (at(x), at((x + 1).min(x1))), LINE);
        }
    }
}

/// A range that has an inside.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high > low {
        return (low, high);
    }
    let margin = (low.abs() * 0.1).max(1e-6);
    (low - margin, high + margin)
}

/// A number of at most four digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_keep_sum_and_range() {
        let mut curve = Curve::new("d");
        let count = 10_000_u64;
        for step in 1..=count {
            curve.add(step, if step == 777 { 50.0 } else { 1.0 });
        }
        assert!(curve.points.len() <= POINTS);
        let sum: f64 = curve.points.iter().map(|point| point.sum).sum();
        let counted: u64 = curve.points.iter().map(|point| point.count).sum();
        assert_eq!((sum, counted), (10_049.0, count));
        assert!(curve.points.iter().any(|point| point.most == 50.0));
        assert_eq!(curve.points.last().unwrap().last_step, count);
    }

    #[test]
    fn a_rising_line_rises() {
        let mut curve = Curve::new("rising");
        for step in 1..=100 {
            curve.add(step, step as f64);
        }
        let raster = draw(&[curve, Curve::new("empty")]).unwrap();
        assert_eq!((raster.width(), raster.height()), (800, 300));
        let samples = raster.as_slice::<u8>().unwrap();
        let row_of = |x: usize| (0..PANEL).find(|y| samples[(y * WIDTH + x) * 3..][..3] == LINE);
        let rows: Vec<usize> = (100..780).step_by(85).map(|x| row_of(x).unwrap()).collect();
        assert!(rows.is_sorted_by(|one, other| one > other), "{rows:?}");
    }

    #[test]
    fn labels_are_short() {
        for (value, text) in [
            (0.0, "0.0000"),
            (0.1234, "0.1234"),
            (-12.34, "-12.3"),
            (1e-5, "1.00e-5"),
            (123_456.0, "1.23e5"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
