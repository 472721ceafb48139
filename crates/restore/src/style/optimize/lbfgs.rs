//! L-BFGS: descent along directions that remember how gradients changed.
//!
//! The two-loop recursion of Nocedal and Wright, *Numerical Optimization* (2006), algorithm 7.4, with
//! either a fixed step or a search for a step that fulfils the strong Wolfe conditions (algorithms
//! 3.5 and 3.6). Both take the decisions that `torch.optim.LBFGS` takes, so that losses can be
//! compared iteration by iteration. Vectors are `f32`, their products are summed in `f64`.

use std::collections::VecDeque;

use fonds_core::{Code, Error, Result};

/// How far to go along a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// Always the same share of it: one evaluation an iteration, and it may run away.
    Fixed,
    /// Until the loss has fallen enough and the slope has flattened (strong Wolfe conditions): an
    /// evaluation an iteration, seldom more, and no iteration that rises.
    #[default]
    StrongWolfe,
}

/// What the method is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// Steps that are remembered, 1 to 100; two vectors as large as the picture for each.
    pub history: usize,
    /// The step along a direction (of the search: the first that is tried); 1 is Newton's.
    pub rate: f64,
    /// How far to go.
    pub search: Search,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self {
            history: 20,
            rate: 1.0,
            search: Search::default(),
        }
    }
}

/// Products of steps and changes of gradients below this say nothing about curvature.
const FLAT: f64 = 1e-10;

/// Slopes, steps and changes of loss below this are the end.
const TOLERANCE: f64 = 1e-9;

/// Decrease that a step must bring, as a share of what the slope promises.
const ENOUGH: f64 = 1e-4;

/// The share of the slope that may be left.
const FLATTENED: f64 = 0.9;

/// Evaluations of one search at most.
const TRIES: usize = 25;

impl Lbfgs {
    /// That values are in range.
    ///
    /// # Errors
    /// `invalid_request` that names the value.
    pub fn validate(&self) -> Result<()> {
        if !(1..=100).contains(&self.history) {
            let message = format!("a history of {} is not between 1 and 100", self.history);
            return Err(Error::new(Code::InvalidRequest, message));
        }
        if !(self.rate > 0.0 && self.rate <= 10.0) {
            let message = format!("a step of {} is not between 0 and 10", self.rate);
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(())
    }
}

/// A place with its loss and gradient.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The loss.
    pub(super) loss: f64,
    /// Its gradient.
    pub(super) gradient: Vec<f32>,
}

/// What is remembered between iterations.
#[derive(Debug)]
pub(super) struct Memory {
    config: Lbfgs,
    /// Steps, changes of the gradient, and one over their products; oldest first.
    pairs: VecDeque<Pair>,
    /// The last direction and how far it was followed, with the gradient before.
    last: Option<(Vec<f32>, f64, Vec<f32>)>,
    scale: f64,
}

#[derive(Debug)]
struct Pair {
    step: Vec<f32>,
    change: Vec<f32>,
    inverse: f64,
}

/// What an iteration came to.
#[derive(Debug)]
pub(super) enum Moved {
    /// To another place.
    To(Place),
    /// Nowhere: there is nothing lower.
    Nowhere,
}

impl Memory {
    pub(super) fn new(config: Lbfgs) -> Self {
        Self {
            config,
            pairs: VecDeque::new(),
            last: None,
            scale: 1.0,
        }
    }

    /// One iteration from `x`, whose place is `at`; `x` is moved.
    pub(super) fn step(
        &mut self,
        x: &mut [f32],
        at: Place,
        evaluate: &mut dyn FnMut(&[f32]) -> Result<Place>,
    ) -> Result<Moved> {
        let first = self.last.is_none();
        self.learn(&at.gradient);
        let direction = self.direction(&at.gradient);
        let slope = dot(&at.gradient, &direction);
        if slope > -TOLERANCE || !slope.is_finite() {
            return Ok(Moved::Nowhere);
        }
        let rate = if first {
            (1.0 / norm1(&at.gradient)).min(1.0) * self.config.rate
        } else {
            self.config.rate
        };
        let start = x.to_vec();
        let (length, place) = match self.config.search {
            Search::Fixed => {
                walk(x, &start, rate, &direction);
                (rate, evaluate(x)?)
            }
            Search::StrongWolfe => {
                let mut line = Line {
                    start: &start,
                    direction: &direction,
                    x,
                    evaluate,
                };
                let found = line.search(rate, &at, slope)?;
                walk(x, &start, found.length, &direction);
                (found.length, found.place)
            }
        };
        let farthest = length * largest(&direction);
        if farthest <= TOLERANCE {
            x.copy_from_slice(&start);
            return Ok(Moved::Nowhere);
        }
        self.last = Some((direction, length, at.gradient));
        Ok(Moved::To(place))
    }

    /// Remembers how the gradient changed over the last step.
    fn learn(&mut self, gradient: &[f32]) {
        let Some((direction, length, before)) = self.last.take() else {
            return;
        };
        let change: Vec<f32> = gradient.iter().zip(&before).map(|(a, b)| a - b).collect();
        let step: Vec<f32> = direction
            .iter()
            .map(|d| (f64::from(*d) * length) as f32)
            .collect();
        let product = dot(&change, &step);
        if product > FLAT {
            if self.pairs.len() == self.config.history {
                self.pairs.pop_front();
            }
            self.scale = product / dot(&change, &change);
            self.pairs.push_back(Pair {
                step,
                change,
                inverse: 1.0 / product,
            });
        }
    }

    /// The gradient through the inverse of what is known of the curvature, downwards.
    fn direction(&self, gradient: &[f32]) -> Vec<f32> {
        let mut q: Vec<f32> = gradient.iter().map(|value| -value).collect();
        let mut shares = vec![0.0; self.pairs.len()];
        for (share, pair) in shares.iter_mut().zip(&self.pairs).rev() {
            *share = dot(&pair.step, &q) * pair.inverse;
            add(&mut q, -*share, &pair.change);
        }
        for value in &mut q {
            *value = (f64::from(*value) * self.scale) as f32;
        }
        for (share, pair) in shares.iter().zip(&self.pairs) {
            let other = dot(&pair.change, &q) * pair.inverse;
            add(&mut q, share - other, &pair.step);
        }
        q
    }
}

/// A line that is searched along.
struct Line<'a> {
    start: &'a [f32],
    direction: &'a [f32],
    x: &'a mut [f32],
    evaluate: &'a mut dyn FnMut(&[f32]) -> Result<Place>,
}

/// A place on the line.
#[derive(Debug, Clone)]
struct Point {
    length: f64,
    place: Place,
    slope: f64,
}

impl Line<'_> {
    fn at(&mut self, length: f64) -> Result<Point> {
        walk(self.x, self.start, length, self.direction);
        let mut place = (self.evaluate)(self.x)?;
        if !place.loss.is_finite() {
            // Beyond what the network can compute is uphill.
            place.loss = f64::INFINITY;
        }
        let slope = dot(&place.gradient, self.direction);
        Ok(Point {
            length,
            place,
            slope,
        })
    }

    fn search(&mut self, first: f64, from: &Place, slope: f64) -> Result<Point> {
        let reach = largest(self.direction);
        let enough = |point: &Point| point.place.loss <= from.loss + ENOUGH * point.length * slope;
        let flat = |point: &Point| point.slope.abs() <= -FLATTENED * slope;
        let start = Point {
            length: 0.0,
            place: from.clone(),
            slope,
        };
        let (mut before, mut new) = (start.clone(), self.at(first)?);
        let mut tries = 0;
        let (mut low, mut high) = loop {
            if tries == TRIES {
                break ordered(start, new);
            }
            if !enough(&new) || (tries > 1 && new.place.loss >= before.place.loss) {
                break ordered(before, new);
            }
            if flat(&new) {
                return Ok(new);
            }
            if new.slope >= 0.0 {
                break ordered(before, new);
            }
            let least = new.length + 0.01 * (new.length - before.length);
            let next = cubic(&before, &new, (least, new.length * 10.0));
            let next = self.at(next)?;
            before = std::mem::replace(&mut new, next);
            tries += 1;
        };
        // Between the two ends there is a place that will do.
        let mut stuck = false;
        while tries < TRIES {
            let (left, right) = (low.length.min(high.length), low.length.max(high.length));
            if (right - left) * reach < TOLERANCE {
                break;
            }
            let mut length = cubic(&low, &high, (left, right));
            let margin = 0.1 * (right - left);
            if (right - length).min(length - left) < margin {
                if stuck || length >= right || length <= left {
                    let nearer_right = (length - right).abs() < (length - left).abs();
                    length = if nearer_right {
                        right - margin
                    } else {
                        left + margin
                    };
                    stuck = false;
                } else {
                    stuck = true;
                }
            } else {
                stuck = false;
            }
            let new = self.at(length)?;
            tries += 1;
            if !enough(&new) || new.place.loss >= low.place.loss {
                (low, high) = ordered(low, new);
                continue;
            }
            if flat(&new) {
                return Ok(new);
            }
            if new.slope * (high.length - low.length) >= 0.0 {
                high = low;
            }
            low = new;
        }
        Ok(low)
    }
}

/// The lower place first.
fn ordered(a: Point, b: Point) -> (Point, Point) {
    if a.place.loss <= b.place.loss {
        (a, b)
    } else {
        (b, a)
    }
}

/// Where a cubic through losses and slopes of two places is lowest; the middle where there is none.
fn cubic(a: &Point, b: &Point, (least, most): (f64, f64)) -> f64 {
    let (a, b) = if a.length <= b.length { (a, b) } else { (b, a) };
    let apart = b.length - a.length;
    let d = a.slope + b.slope - 3.0 * (a.place.loss - b.place.loss) / (a.length - b.length);
    let square = d * d - a.slope * b.slope;
    let middle = f64::midpoint(least, most);
    if square.is_nan() || square < 0.0 {
        return middle;
    }
    let root = square.sqrt();
    let lowest = b.length - apart * ((b.slope + root - d) / (b.slope - a.slope + 2.0 * root));
    if lowest.is_nan() {
        middle
    } else {
        lowest.clamp(least, most)
    }
}

/// `x = start + length · direction`.
fn walk(x: &mut [f32], start: &[f32], length: f64, direction: &[f32]) {
    for ((x, start), direction) in x.iter_mut().zip(start).zip(direction) {
        *x = (f64::from(*start) + length * f64::from(*direction)) as f32;
    }
}

fn add(to: &mut [f32], factor: f64, other: &[f32]) {
    for (to, other) in to.iter_mut().zip(other) {
        *to = (f64::from(*to) + factor * f64::from(*other)) as f32;
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn norm1(a: &[f32]) -> f64 {
    a.iter().map(|value| f64::from(value.abs())).sum()
}

fn largest(a: &[f32]) -> f64 {
    f64::from(a.iter().fold(0.0_f32, |most, value| most.max(value.abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley in four dimensions.
    fn valley(x: &[f32]) -> Place {
        let x: Vec<f64> = x.iter().map(|&value| f64::from(value)).collect();
        let mut loss = 0.0;
        let mut gradient = [0.0; 4];
        for i in 0..3 {
            let (bend, rest) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            loss += 100.0 * bend * bend + rest * rest;
            gradient[i] += -400.0 * x[i] * bend - 2.0 * rest;
            gradient[i + 1] += 200.0 * bend;
        }
        Place {
            loss,
            gradient: gradient.iter().map(|&value| value as f32).collect(),
        }
    }

    fn descend(config: Lbfgs, iterations: usize) -> (Vec<f32>, Vec<f64>) {
        let mut x = vec![-1.2_f32, 1.0, -1.2, 1.0];
        let mut place = valley(&x);
        let mut losses = vec![place.loss];
        let mut memory = Memory::new(config);
        for _ in 0..iterations {
            match memory
                .step(&mut x, place.clone(), &mut |x| Ok(valley(x)))
                .unwrap()
            {
                Moved::To(next) => place = next,
                Moved::Nowhere => break,
            }
            losses.push(place.loss);
        }
        (x, losses)
    }

    #[test]
    fn the_search_finds_the_bottom_of_a_valley() {
        let (x, losses) = descend(Lbfgs::default(), 200);
        assert!(x.iter().all(|value| (value - 1.0).abs() < 1e-2), "{x:?}");
        assert!(
            losses.windows(2).all(|pair| pair[1] <= pair[0]),
            "{losses:?}"
        );
        assert!(losses.len() < 120, "{}", losses.len());
    }

    /// The losses that `torch.optim.LBFGS(lr=1, max_iter=1, history_size=10)` comes to in `f64` on
    /// the same valley, step by step (`tools/reference_style.py valley` prints them).
    #[test]
    fn iterations_are_those_of_torch() {
        const FIXED: [f64; 13] = [
            532.400_000,
            185.591_798,
            118.584_145,
            65.077_431,
            14.189_785,
            26.668_262,
            5.237_143,
            3.680_459,
            3.388_924,
            3.375_736,
            3.366_553,
            3.337_397,
            3.249_976,
        ];
        const WOLFE: [f64; 13] = [
            532.400_000,
            185.591_798,
            118.584_145,
            65.077_431,
            14.189_785,
            3.501_883,
            3.406_347,
            3.393_062,
            3.383_498,
            3.352_777,
            3.001_889,
            2.991_409,
            2.828_268,
        ];
        for (search, expected) in [(Search::Fixed, FIXED), (Search::StrongWolfe, WOLFE)] {
            let config = Lbfgs {
                history: 10,
                rate: 1.0,
                search,
            };
            let (_, losses) = descend(config, expected.len() - 1);
            for (index, (found, expected)) in losses.iter().zip(expected).enumerate() {
                let apart = (found - expected).abs() / expected.abs().max(1e-3);
                assert!(apart < 2e-2, "{search:?} {index}: {found} and {expected}");
            }
            assert_eq!(losses.len(), expected.len());
        }
    }

    #[test]
    fn nothing_lower_is_nowhere() {
        let mut x = vec![1.0_f32; 4];
        let mut memory = Memory::new(Lbfgs::default());
        let place = valley(&x);
        let moved = memory.step(&mut x, place, &mut |x| Ok(valley(x))).unwrap();
        assert!(matches!(moved, Moved::Nowhere));
    }
}
