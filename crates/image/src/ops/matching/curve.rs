//! Distributions of tones, and the curve from one to another.

/// Bins of a histogram; 8-bit samples have one each.
const BINS: usize = 4096;

/// How often tones occur.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// How many pixels, and the sum of their tones on the 16-bit scale.
    bins: Vec<[u64; 2]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            bins: vec![[0; 2]; BINS],
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, word: u16) {
        let bin = &mut self.bins[usize::from(word) * BINS / 65_536];
        bin[0] += 1;
        bin[1] += u64::from(word);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (to, from) in self.bins.iter_mut().zip(&other.bins) {
            to[0] += from[0];
            to[1] += from[1];
        }
    }

    /// The tones that occur, each with the share of pixels below it and half of those at it.
    fn ranks(&self) -> Vec<Knot> {
        let total: u64 = self.bins.iter().map(|[count, _]| count).sum();
        let mut below = 0;
        let occurring = self.bins.iter().filter(|[count, _]| *count > 0);
        let knots = occurring.map(|[count, sum]| {
            let rank = (below as f64 + *count as f64 / 2.0) / total as f64;
            below += count;
            Knot {
                at: *sum as f64 / *count as f64,
                value: rank,
            }
        });
        knots.collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Knot {
    at: f64,
    value: f64,
}

/// A curve that never falls, over tones from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Values at 0, 1/65,535, …, 1.
    table: Vec<f32>,
}

impl Curve {
    /// The curve that gives tones of one distribution the ranks that they have in another.
    pub(super) fn between(from: &Histogram, to: &Histogram) -> Self {
        let inverse: Vec<Knot> = to
            .ranks()
            .iter()
            .map(|knot| Knot {
                at: knot.value,
                value: knot.at,
            })
            .collect();
        let mut cursor = Walk::new(&inverse);
        let knots: Vec<Knot> = from
            .ranks()
            .iter()
            .map(|knot| Knot {
                at: knot.at,
                value: cursor.at(knot.value),
            })
            .collect();
        let mut walk = Walk::new(&knots);
        let value = |word: u32| (walk.at(f64::from(word)) / 65_535.0) as f32;
        Self {
            table: (0..=65_535).map(value).collect(),
        }
    }

    /// The value at a tone; a NaN counts as black.
    pub(super) fn at(&self, tone: f32) -> f32 {
        let place = tone.clamp(0.0, 1.0) * 65_535.0;
        let index = (place as usize).min(65_534);
        let (low, high) = (self.table[index], self.table[index + 1]);
        let part = place - index as f32;
        if part.is_nan() {
            return self.table[0];
        }
        low + part * (high - low)
    }
}

/// Values between knots, asked for from left to right.
struct Walk<'a> {
    knots: &'a [Knot],
    next: usize,
}

impl<'a> Walk<'a> {
    fn new(knots: &'a [Knot]) -> Self {
        Self { knots, next: 0 }
    }

    fn at(&mut self, place: f64) -> f64 {
        while self.next < self.knots.len() && self.knots[self.next].at < place {
            self.next += 1;
        }
        let after = self.knots.get(self.next);
        let before = self.next.checked_sub(1).map(|index| self.knots[index]);
        match (before, after) {
            (Some(a), Some(b)) => a.value + (b.value - a.value) * (place - a.at) / (b.at - a.at),
            (Some(end), None) => end.value,
            (None, Some(end)) => end.value,
            (None, None) => place,
        }
    }
}
