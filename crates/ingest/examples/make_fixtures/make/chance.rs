//! Seeded chance: a stream of numbers, and noise over the plane that looks like nature's.

/// A stream of numbers that look random (`SplitMix64`).
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A byte.
    pub(crate) fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }

    /// A number between `low` and `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.next())
    }

    /// Roughly normal, mean 0, standard deviation 1: four dice.
    pub(crate) fn normal(&mut self) -> f32 {
        let bits = self.next();
        let die = |i: u64| ((bits >> (16 * i)) & 0xffff) as f32 / 65536.0 - 0.5;
        (die(0) + die(1) + die(2) + die(3)) * 1.732
    }
}

/// Smooth noise over the plane, 0 to 1, with features about one unit wide.
pub(crate) fn noise(seed: u64, x: f32, y: f32) -> f32 {
    let (left, top) = (floor(x), floor(y));
    let (fx, fy) = (fade(x - left as f32), fade(y - top as f32));
    let at = |dx: i64, dy: i64| lattice(seed, left + dx, top + dy);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    upper + (lower - upper) * fy
}

/// Fractal noise, 0 to 1: `octaves` layers, each half as wide and half as strong as the one before.
pub(crate) fn fractal(seed: u64, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut total, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        let seed = seed.wrapping_add(u64::from(octave) * 7919);
        sum += strength * noise(seed, x * scale, y * scale);
        total += strength;
        strength *= 0.5;
        scale *= 2.0;
    }
    sum / total
}

/// A number between 0 and 1 that belongs to a point of the integer lattice.
pub(crate) fn lattice(seed: u64, x: i64, y: i64) -> f32 {
    let place = (x as u64).wrapping_mul(0x8cb9_2ba7_2f3d_8dd7) ^ (y as u64).rotate_left(32);
    unit(mix(seed ^ mix(place)))
}

/// Much faster than `f32::floor`, which is a call on the oldest processors that are supported.
fn floor(x: f32) -> i64 {
    let cut = x as i64;
    cut - i64::from(cut as f32 > x)
}

fn fade(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / 16_777_216.0
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
