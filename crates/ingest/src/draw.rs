//! Random numbers from a seed.

use fonds_core::Seed;

/// A generator of random numbers: xoshiro256++ (Blackman and Vigna 2019), its state filled by
/// `SplitMix64` from the seed.
///
/// Integers are the same everywhere; what goes through logarithms and sines can differ in the last
/// bit between the mathematics libraries of two systems.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    state: [u64; 4],
    /// The second of the two normal numbers that are made at a time.
    spare: Option<f32>,
}

impl Draw {
    pub(crate) fn new(seed: Seed) -> Self {
        let mut mixed = seed.value();
        let state = std::array::from_fn(|_| {
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mixed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { state, spare: None }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// At least 0, less than 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Between two bounds.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Somewhere in a range.
    pub(crate) fn range(&mut self, (low, high): (f32, f32)) -> f32 {
        self.between(low, high)
    }

    /// A whole number in a range, both ends included.
    pub(crate) fn count(&mut self, (low, high): (f32, f32)) -> usize {
        let (low, high) = (low.round() as usize, high.round() as usize);
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A direction, in radians.
    pub(crate) fn angle(&mut self) -> f32 {
        self.between(-std::f32::consts::PI, std::f32::consts::PI)
    }

    /// One of several, as often as their weights say.
    pub(crate) fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        weights.len() - 1
    }

    /// A whole number below `n`, which is at least 1; the bias of at most n / 2⁶⁴ is of no account.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Normal, mean 0, deviation 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * self.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// How many of events that come `mean` times on average: exact up to 30, from there a rounded
    /// normal number, which differs by less than a picture shows.
    pub(crate) fn poisson(&mut self, mean: f32) -> f32 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let least = (-mean).exp();
        let mut product = self.unit();
        let mut count = 0.0;
        while product > least {
            product *= self.unit();
            count += 1.0;
        }
        count
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(numbers: impl Iterator<Item = f32>) -> (f64, f64) {
        let numbers: Vec<f64> = numbers.map(f64::from).collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, squares / numbers.len() as f64)
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut draw = Draw::new(Seed::new(7));
        let (mean, variance) = moments((0..100_000).map(|_| draw.unit()));
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1.0 / 12.0).abs() < 0.002);
        let (mean, variance) = moments((0..100_000).map(|_| draw.normal()));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02);
        for expected in [0.3, 4.0, 25.0, 90.0] {
            let (mean, variance) = moments((0..50_000).map(|_| draw.poisson(expected as f32)));
            assert!((mean / expected - 1.0).abs() < 0.02, "{mean}");
            assert!((variance / expected - 1.0).abs() < 0.04, "{variance}");
        }
    }

    // The first number of the reference implementation (xoshiro256plusplus.c) after its state was
    // set to 1, 2, 3, 4: rotl(1 + 4, 23) + 1.
    #[test]
    fn first_numbers_are_those_of_the_reference() {
        let mut draw = Draw {
            state: [1, 2, 3, 4],
            spare: None,
        };
        assert_eq!(draw.bits(), 41_943_041);
        assert_eq!(draw.bits(), 58_720_359);
    }

    #[test]
    fn a_shuffle_keeps_everything_and_moves_most() {
        let mut items: Vec<usize> = (0..100).collect();
        Draw::new(Seed::new(1)).shuffle(&mut items);
        let moved = items.iter().enumerate().filter(|(i, item)| i != *item);
        assert!(moved.count() > 80);
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
