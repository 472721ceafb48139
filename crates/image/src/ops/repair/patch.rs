//! Filling of holes with what is elsewhere in the picture: the best-fitting patches vote.

use super::diffusion;
use super::window::Window;

/// A patch reaches so many pixels from its middle: 7 × 7 pixels.
const REACH: usize = 3;

/// Pixels across a patch.
const SIDE: usize = 2 * REACH + 1;

/// Times that patches are looked for and vote, on the coarsest level, on those between, and on
/// the finest.
const ROUNDS: [usize; 3] = [8, 4, 3];

/// Sweeps of the search in each round.
const SWEEPS: usize = 2;

/// What a pixel counts for, for each pixel that it is farther from the rim.
const TRUST: f32 = 0.77;

/// Holes this deep on the coarsest level are seen across by one patch.
const SHALLOW: f32 = 2.0;

/// Levels at most: holes up to 2 × 2⁵ × [`SHALLOW`] pixels wide are seen as a whole.
const LEVELS: usize = 6;

/// No place.
const NOWHERE: u32 = u32::MAX;

/// Fills the holes of a window with votes of patches.
///
/// Of each patch that overlaps a hole the most similar one of the known part is searched for
/// (`PatchMatch`: Barnes, Shechtman, Finkelstein and Goldman, ACM Transactions on Graphics 28,
/// 2009), and each pixel of the hole becomes the mean of what the patches around it propose,
/// weighted by their likeness and by how near they are to what is known; over and over, from
/// coarse to fine (Wexler, Shechtman and Irani, Space-Time Completion of Video, PAMI 29, 2007).
///
/// Equal windows and seeds give equal values. Where nothing known is as large as a patch, the
/// hole is filled by diffusion.
pub(super) fn fill(window: &mut Window, seed: u64) {
    diffusion::fill(window);
    let mut levels = vec![Level::of(window)];
    while levels.len() < LEVELS {
        let next = {
            let last = &levels[levels.len() - 1];
            let deepest = last.depths.iter().fold(0.0_f32, |a, b| a.max(*b));
            if deepest <= SHALLOW || last.width.min(last.height) < 8 * SIDE {
                break;
            }
            last.halved()
        };
        if next.targets.is_empty() || next.sources.is_empty() {
            break;
        }
        levels.push(next);
    }
    if levels[0].sources.is_empty() {
        return;
    }
    let mut random = Random(seed);
    let mut field: Option<Field> = None;
    let coarsest = levels.len() - 1;
    for number in (0..levels.len()).rev() {
        let coarse = field
            .take()
            .map(|field| (field, levels[number + 1].clone()));
        let level = &mut levels[number];
        let mut own = match coarse {
            Some((field, coarse)) => level.refined(&field, &coarse, &mut random),
            None => level.guessed(&mut random),
        };
        let rounds = match number {
            _ if number == coarsest => ROUNDS[0],
            0 => ROUNDS[2],
            _ => ROUNDS[1],
        };
        for _ in 0..rounds {
            level.search(&mut own, &mut random);
            level.vote(&own);
        }
        field = Some(own);
    }
    levels[0].give_back(window);
}

/// A window at one size, with a border that patches may reach into.
#[derive(Debug, Clone)]
struct Level {
    /// Pixels across and down, border included.
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<f32>,
    /// What each sample counts for when patches are compared: 0 in the border.
    weights: Vec<f32>,
    hole: Vec<bool>,
    depths: Vec<f32>,
    /// Middles of patches that overlap a hole, row by row.
    targets: Vec<u32>,
    /// Whether a pixel is the middle of one.
    is_target: Vec<bool>,
    /// Middles of patches that are known as a whole.
    sources: Vec<u32>,
    is_source: Vec<bool>,
}

/// Where the patch around each target comes from, and how much it differs.
#[derive(Debug)]
struct Field {
    from: Vec<u32>,
    cost: Vec<f32>,
}

impl Level {
    fn of(window: &Window) -> Self {
        Self::new(window, &window.depths())
    }

    fn new(window: &Window, inner_depths: &[f32]) -> Self {
        let channels = window.channels;
        let (width, height) = (window.width + 2 * REACH, window.height + 2 * REACH);
        let mut level = Self {
            width,
            height,
            channels,
            values: vec![0.0; width * height * channels],
            weights: vec![0.0; width * height * channels],
            hole: vec![false; width * height],
            depths: vec![0.0; width * height],
            targets: Vec::new(),
            is_target: vec![false; width * height],
            sources: Vec::new(),
            is_source: vec![false; width * height],
        };
        for y in 0..window.height {
            for x in 0..window.width {
                let (from, to) = (y * window.width + x, (y + REACH) * width + x + REACH);
                level.hole[to] = window.hole[from];
                level.depths[to] = inner_depths[from];
                let trust = TRUST.powf(inner_depths[from]);
                for channel in 0..channels {
                    level.values[to * channels + channel] =
                        window.values[from * channels + channel];
                    level.weights[to * channels + channel] = trust;
                }
            }
        }
        level.find_patches();
        level
    }

    /// Which patches overlap a hole, and which are known as a whole.
    fn find_patches(&mut self) {
        // Holes counted along rows, then down.
        let (width, height) = (self.width, self.height);
        let mut rows = vec![0_u16; width * height];
        for y in 0..height {
            for x in REACH..width - REACH {
                let run = &self.hole[y * width + x - REACH..=y * width + x + REACH];
                rows[y * width + x] = run.iter().filter(|hole| **hole).count() as u16;
            }
        }
        for y in REACH..height - REACH {
            for x in REACH..width - REACH {
                let down = (y - REACH..=y + REACH).map(|y| rows[y * width + x]);
                let holes: u16 = down.sum();
                let at = y * width + x;
                if holes > 0 {
                    self.is_target[at] = true;
                    self.targets.push(at as u32);
                } else if (2 * REACH..width - 2 * REACH).contains(&x)
                    && (2 * REACH..height - 2 * REACH).contains(&y)
                {
                    self.is_source[at] = true;
                    self.sources.push(at as u32);
                }
            }
        }
    }

    /// The level at half the size: means of what is known; what is known nowhere is a hole.
    fn halved(&self) -> Self {
        let (inner_width, inner_height) = (self.width - 2 * REACH, self.height - 2 * REACH);
        let (width, height) = (inner_width.div_ceil(2), inner_height.div_ceil(2));
        let mut window = Window {
            width,
            height,
            channels: self.channels,
            values: Vec::with_capacity(width * height * self.channels),
            hole: Vec::with_capacity(width * height),
        };
        for y in 0..height {
            for x in 0..width {
                let below = [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .into_iter()
                    .filter_map(|(dx, dy)| {
                        let (x, y) = (2 * x + dx, 2 * y + dy);
                        let inside = x < inner_width && y < inner_height;
                        inside.then_some((y + REACH) * self.width + x + REACH)
                    });
                let below: Vec<usize> = below.collect();
                let known: Vec<usize> =
                    below.iter().copied().filter(|at| !self.hole[*at]).collect();
                window.hole.push(known.is_empty());
                let of = if known.is_empty() { &below } else { &known };
                for channel in 0..self.channels {
                    let sum: f32 = of
                        .iter()
                        .map(|at| self.values[at * self.channels + channel])
                        .sum();
                    window.values.push(sum / of.len() as f32);
                }
            }
        }
        let depths = window.depths();
        Self::new(&window, &depths)
    }

    /// Random places for a first search.
    fn guessed(&self, random: &mut Random) -> Field {
        let mut field = self.nowhere();
        for at in &self.targets {
            field.from[*at as usize] = self.sources[random.below(self.sources.len())];
        }
        self.measure(&mut field);
        field
    }

    fn nowhere(&self) -> Field {
        Field {
            from: vec![NOWHERE; self.hole.len()],
            cost: vec![f32::INFINITY; self.hole.len()],
        }
    }

    /// The coarser level's places at this size, and its picture in the holes.
    fn refined(&mut self, coarse: &Field, below: &Self, random: &mut Random) -> Field {
        let mut field = self.nowhere();
        let inner = |at: usize| (at % self.width - REACH, at / self.width - REACH);
        for at in &self.targets {
            let (x, y) = inner(*at as usize);
            let parent = (y / 2 + REACH) * below.width + x / 2 + REACH;
            let from = coarse.from[parent];
            let found = (from != NOWHERE).then(|| {
                let from = from as usize;
                let (sx, sy) = (from % below.width - REACH, from / below.width - REACH);
                (2 * sy + y % 2 + REACH) * self.width + 2 * sx + x % 2 + REACH
            });
            let found = found.filter(|found| self.is_source.get(*found) == Some(&true));
            let random = || self.sources[random.below(self.sources.len())];
            field.from[*at as usize] = found.map_or_else(random, |found| found as u32);
        }
        // What the places say is put into the holes before anything is compared.
        for cost in &mut field.cost {
            *cost = 0.0;
        }
        self.vote(&field);
        self.measure(&mut field);
        field
    }

    fn measure(&self, field: &mut Field) {
        for at in &self.targets {
            let at = *at as usize;
            field.cost[at] = self.difference(at, field.from[at] as usize);
        }
    }

    /// How much the patch around a place differs from the target's own, per sample.
    fn difference(&self, target: usize, source: usize) -> f32 {
        if self.channels == 1 {
            self.difference_of::<SIDE>(target, source)
        } else {
            self.difference_of::<{ 3 * SIDE }>(target, source)
        }
    }

    /// `RUN` is the samples in a row of a patch.
    fn difference_of<const RUN: usize>(&self, target: usize, source: usize) -> f32 {
        let start = |middle: usize, row: usize| {
            (middle + row * self.width - REACH * self.width - REACH) * self.channels
        };
        let (mut sums, mut totals) = ([0.0_f32; RUN], [0.0_f32; RUN]);
        for row in 0..SIDE {
            let (t, s) = (start(target, row), start(source, row));
            let own = &self.values[t..t + RUN];
            let weights = &self.weights[t..t + RUN];
            let other = &self.values[s..s + RUN];
            for i in 0..RUN {
                let off = own[i] - other[i];
                sums[i] += weights[i] * off * off;
                totals[i] += weights[i];
            }
        }
        sums.iter().sum::<f32>() / totals.iter().sum::<f32>().max(1e-6)
    }

    /// Looks for better places: those of the neighbours, shifted, and random ones around.
    fn search(&self, field: &mut Field, random: &mut Random) {
        // The holes have changed since the costs were measured.
        self.measure(field);
        for sweep in 0..SWEEPS {
            let back = sweep % 2 == 1;
            for index in 0..self.targets.len() {
                let index = if back {
                    self.targets.len() - 1 - index
                } else {
                    index
                };
                self.improve(field, self.targets[index] as usize, back, random);
            }
        }
    }

    fn improve(&self, field: &mut Field, at: usize, back: bool, random: &mut Random) {
        let mut best = (field.cost[at], field.from[at] as usize);
        let mut try_place = |place: usize| {
            if place != best.1 && self.is_source.get(place) == Some(&true) {
                let cost = self.difference(at, place);
                if cost < best.0 {
                    best = (cost, place);
                }
            }
        };
        for step in [1, self.width] {
            let (neighbour, sign) = if back {
                (at + step, -1)
            } else {
                (at - step, 1)
            };
            if self.is_target.get(neighbour) == Some(&true) {
                let from = field.from[neighbour] as usize;
                if let Some(place) = from.checked_add_signed(sign * step as isize) {
                    try_place(place);
                }
            }
        }
        let (x, y) = (best.1 % self.width, best.1 / self.width);
        let mut reach = self.width.max(self.height);
        let mut places = [NOWHERE as usize; 16];
        let mut count = 0;
        while reach >= 1 && count < places.len() {
            let along = |middle: usize, len: usize, random: &mut Random| {
                let low = middle.saturating_sub(reach);
                let high = (middle + reach).min(len - 1);
                low + random.below(high - low + 1)
            };
            let (x, y) = (along(x, self.width, random), along(y, self.height, random));
            places[count] = y * self.width + x;
            count += 1;
            reach /= 2;
        }
        for place in &places[..count] {
            if *place != best.1 && self.is_source.get(*place) == Some(&true) {
                let cost = self.difference(at, *place);
                if cost < best.0 {
                    best = (cost, *place);
                }
            }
        }
        field.cost[at] = best.0;
        field.from[at] = best.1 as u32;
    }

    /// Every pixel of the holes becomes what the patches over it propose.
    fn vote(&mut self, field: &Field) {
        let scale = self.scale(field);
        let weight_of = |at: &u32| {
            let at = *at as usize;
            TRUST.powf(self.depths[at]) * (-field.cost[at] * scale).exp().max(1e-8)
        };
        let weights: Vec<f32> = self.targets.iter().map(weight_of).collect();
        let mut of_pixel = vec![0.0_f32; self.hole.len()];
        for (at, weight) in self.targets.iter().zip(weights) {
            of_pixel[*at as usize] = weight;
        }
        let holes = (0..self.hole.len()).filter(|at| self.hole[*at]);
        let made: Vec<(usize, [f32; 3])> = holes
            .map(|at| (at, self.proposed(at, field, &of_pixel)))
            .collect();
        for (at, values) in made {
            self.values[at * self.channels..][..self.channels]
                .copy_from_slice(&values[..self.channels]);
        }
    }

    fn proposed(&self, at: usize, field: &Field, weights: &[f32]) -> [f32; 3] {
        let (mut sums, mut total) = ([0.0_f32; 3], 0.0);
        for row in 0..SIDE {
            for column in 0..SIDE {
                let patch = at + row * self.width + column - REACH * self.width - REACH;
                if !self.is_target[patch] {
                    continue;
                }
                let place = field.from[patch] as usize + at - patch;
                let weight = weights[patch];
                let pixel = &self.values[place * self.channels..][..self.channels];
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
                total += weight;
            }
        }
        sums.map(|sum| sum / total.max(1e-20))
    }

    /// One over the cost that still counts well: of three in four patches it is lower.
    fn scale(&self, field: &Field) -> f32 {
        let mut costs: Vec<f32> = self
            .targets
            .iter()
            .map(|at| field.cost[*at as usize])
            .collect();
        if costs.is_empty() {
            return 0.0;
        }
        let place = costs.len() * 3 / 4;
        let place = place.min(costs.len() - 1);
        let (_, cost, _) = costs.select_nth_unstable_by(place, f32::total_cmp);
        0.5 / cost.max(1e-6)
    }

    fn give_back(&self, window: &mut Window) {
        for y in 0..window.height {
            for x in 0..window.width {
                let (to, from) = (y * window.width + x, (y + REACH) * self.width + x + REACH);
                if window.hole[to] {
                    window.values[to * self.channels..][..self.channels]
                        .copy_from_slice(&self.values[from * self.channels..][..self.channels]);
                }
            }
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below another one, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A weave of stripes with a period of 12 pixels.
    fn weave(x: usize, y: usize) -> f32 {
        let (u, v) = (x % 12, y % 12);
        0.2 + 0.05 * u as f32 + if v < 4 { 0.15 } else { 0.0 }
    }

    fn damaged(hole: impl Fn(usize, usize) -> bool) -> Window {
        let (width, height) = (120, 100);
        let place = |i: usize| (i % width, i / width);
        let mut values = Vec::new();
        let mut holes = Vec::new();
        for i in 0..width * height {
            let (x, y) = place(i);
            holes.push(hole(x, y));
            let value = if hole(x, y) { 1.0 } else { weave(x, y) };
            values.extend([value, value * 0.5, 1.0 - value]);
        }
        Window {
            width,
            height,
            channels: 3,
            values,
            hole: holes,
        }
    }

    fn mean_off(window: &Window) -> f32 {
        let mut off = (0.0, 0);
        for (i, pixel) in window.values.chunks(3).enumerate() {
            if window.hole[i] {
                off.0 += (pixel[0] - weave(i % 120, i / 120)).abs();
                off.1 += 1;
            }
        }
        off.0 / off.1 as f32
    }

    #[test]
    fn patterns_go_on_in_holes() {
        let mut window = damaged(|x, y| (50..72).contains(&x) && (40..60).contains(&y));
        fill(&mut window, 1);
        assert!(mean_off(&window) < 0.02, "{}", mean_off(&window));
    }

    #[test]
    fn equal_seeds_equal_values_and_the_edge_is_no_obstacle() {
        let make = |seed| {
            let mut window = damaged(|x, y| x < 9 && y < 14);
            fill(&mut window, seed);
            window
        };
        let (a, b) = (make(5), make(5));
        assert_eq!(a.values, b.values);
        assert!(mean_off(&a) < 0.03, "{}", mean_off(&a));
    }

    #[test]
    fn known_samples_stay() {
        let hole = |x: usize, y: usize| (30..34).contains(&x) && y > 10;
        let (before, mut window) = (damaged(hole), damaged(hole));
        fill(&mut window, 2);
        let pairs = window.values.chunks(3).zip(before.values.chunks(3));
        for ((new, old), hole) in pairs.zip(&window.hole) {
            assert!(*hole || new == old);
        }
    }

    #[test]
    fn without_a_whole_patch_there_is_diffusion() {
        let mut window = damaged(|x, y| x % 5 == 0 || y % 5 == 0);
        fill(&mut window, 3);
        assert!(
            window
                .values
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
        assert!(mean_off(&window) < 0.2);
    }
}
