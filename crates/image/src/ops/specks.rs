//! Finds specks: small, compact, alone, and much darker or lighter than an even surrounding.

mod crowd;

use self::crowd::{Crowd, Detail, LEVELS};
use super::support::extremes::{Pick, close_or_open};
use super::support::plane::Plane;
use super::support::rows;

/// Rows that one task of the morphology takes.
const BAND: usize = 128;

/// Pixels that the search for cores looks at in one go.
const STRIDE: usize = 64;

/// One pixel in so many is enough for the range of a picture.
const SAMPLED: usize = 7;

/// Details of its strength near a speck, itself included, at most: more are texture.
const CROWD: usize = 6;

/// First column and row, and last ones.
type Bounds = [usize; 4];

/// What counts as a speck, on the scale of 8-bit luma.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The largest extent of any speck, in pixels.
    pub(super) small: usize,
    /// The largest extent of one that is beyond doubt, at least `small`.
    pub(super) large: usize,
    /// The least contrast of a speck's core.
    pub(super) contrast: u8,
    /// The most that the surroundings may vary, as a share of the speck's contrast.
    pub(super) evenness: f32,
    /// The standard deviation of the noise.
    pub(super) noise: f32,
}

/// One speck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speck {
    /// Its pixels with their soft rim, as indices into the plane, ascending.
    pub(super) pixels: Vec<usize>,
    /// The pixels that stand out most, without the rim.
    pub(super) core: Vec<usize>,
    /// First column and row, and last ones.
    pub(super) bounds: Bounds,
    /// Whether it is larger than any speck may be that leaves a doubt.
    pub(super) large: bool,
}

/// A set of pixels.
pub(super) struct Mask {
    words: Vec<u64>,
}

impl Mask {
    /// The empty set of so many pixels.
    pub(super) fn new(pixels: usize) -> Self {
        Self {
            words: vec![0; pixels.div_ceil(64)],
        }
    }

    /// Whether a pixel is in it.
    pub(super) fn has(&self, i: usize) -> bool {
        self.words[i / 64] >> (i % 64) & 1 == 1
    }

    /// Adds a pixel; whether it is new.
    pub(super) fn add(&mut self, i: usize) -> bool {
        let new = !self.has(i);
        self.words[i / 64] |= 1 << (i % 64);
        new
    }
}

/// The dark specks of a plane; for light ones, invert it.
pub(super) fn dark_specks(luma: &Plane<u8>, rules: Rules) -> Vec<Speck> {
    let beyond = beyond(luma, rules);
    let residual = residual(luma, rules.large.div_ceil(2) + 1, beyond);
    let mut search = Search {
        luma,
        residual: &residual,
        rules,
        beyond,
        levels: levels(rules.contrast),
        seen: Mask::new(residual.len()),
        done: Mask::new(residual.len()),
        strokes: Mask::new(residual.len()),
        crowd: Crowd::new(luma.width(), luma.height(), 6 * rules.small),
    };
    let candidates = search.candidates();
    if search.crowd.is_page(luma) {
        return Vec::new();
    }
    let mut specks: Vec<Speck> = candidates
        .iter()
        .filter_map(|candidate| search.judge(candidate))
        .collect();
    specks.sort_by_key(|speck| speck.pixels[0]);
    specks
}

/// Contrasts at which cores are looked for, the strongest first, each about 1.4 times the next.
fn levels(least: u8) -> Vec<u8> {
    let steps = (0..LEVELS).map(|step| f32::from(least) * 2_f32.powf(step as f32 / 2.0));
    let mut levels: Vec<u8> = steps
        .take_while(|level| *level <= 200.0)
        .map(|level| level as u8)
        .collect();
    levels.reverse();
    levels
}

/// Luma below this is darker than all that belongs to the picture.
///
/// Dust and damage are a small part of a picture, and its own shadows and lights a larger one.
fn beyond(luma: &Plane<u8>, rules: Rules) -> u8 {
    let mut bins = [0_usize; 256];
    for value in luma.data().iter().step_by(SAMPLED) {
        bins[usize::from(*value)] += 1;
    }
    let shadows = quantile(&bins, luma.data().len() / SAMPLED / 50);
    (shadows - 3.0 * rules.noise - 4.0).max(0.0) as u8
}

/// The least value that more than so many others do not exceed.
fn quantile(bins: &[usize; 256], wanted: usize) -> f32 {
    let mut below = 0;
    let reached = |bin: &usize| {
        below += bin;
        below > wanted
    };
    bins.iter().position(reached).unwrap_or(255) as f32
}

/// How much darker each pixel is than the closing by a square of 2 × `radius` + 1; more than that
/// for pixels that are darker than the picture itself, which stand out by less.
fn residual(luma: &Plane<u8>, radius: usize, beyond: u8) -> Vec<u8> {
    let (width, height) = (luma.width(), luma.height());
    let mut out = vec![0; width * height];
    rows::for_each_band(&mut out, width, BAND, |first, out| {
        let rows = out.len() / width;
        let from = first.saturating_sub(2 * radius);
        let to = height.min(first + rows + 2 * radius);
        let source = &luma.data()[from * width..to * width];
        let closed = close_or_open(source, width, radius, Pick::Max);
        let skip = (first - from) * width;
        let pairs = closed[skip..].iter().zip(&source[skip..]);
        for (out, (closed, value)) in out.iter_mut().zip(pairs) {
            let difference = closed - value;
            *out = if *value < beyond {
                difference.saturating_add(difference / 4 * 3)
            } else {
                difference
            };
        }
    });
    out
}

/// A connected dark detail that may be a speck by its size and shape.
struct Candidate {
    pixels: Vec<usize>,
    bounds: Bounds,
    level: usize,
}

impl Candidate {
    fn size(&self) -> usize {
        let [left, top, right, bottom] = self.bounds;
        (right - left).max(bottom - top) + 1
    }

    fn detail(&self) -> Detail {
        Detail {
            bounds: self.bounds,
            level: self.level,
            stroke: false,
        }
    }

    /// A hair's end or a stroke is long and thin or fills little of its box.
    fn is_compact(&self) -> bool {
        let [left, top, right, bottom] = self.bounds;
        let (w, h) = (right - left + 1, bottom - top + 1);
        w.max(h) <= 3 * w.min(h) + 1 && self.pixels.len() * 5 >= w * h * 2
    }
}

struct Search<'a> {
    luma: &'a Plane<u8>,
    residual: &'a [u8],
    rules: Rules,
    /// Luma below this is outside of the picture's own range.
    beyond: u8,
    levels: Vec<u8>,
    seen: Mask,
    /// Pixels of details that are complete.
    done: Mask,
    /// Pixels of dark details that are too large or too thin for a speck.
    strokes: Mask,
    crowd: Crowd,
}

impl Search<'_> {
    /// Connected details with a dark enough core that are small and compact enough.
    fn candidates(&mut self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for level in 0..self.levels.len() {
            let least = self.levels[level];
            for from in (0..self.residual.len()).step_by(STRIDE) {
                let to = self.residual.len().min(from + STRIDE);
                let most = self.residual[from..to].iter().fold(0, |a, b| a.max(*b));
                if most < least {
                    continue;
                }
                for start in from..to {
                    if self.residual[start] >= least && !self.seen.has(start) {
                        candidates.extend(self.grow(start, level));
                    }
                }
            }
        }
        candidates
    }

    /// The detail around a core, down to half of the level of the core; `None` when it is no
    /// speck by its size or shape, or the flank of a detail with a stronger core.
    fn grow(&mut self, start: usize, level: usize) -> Option<Candidate> {
        let (width, height) = (self.luma.width(), self.luma.height());
        let least = self.levels[level] / 2;
        let mut pixels = vec![start];
        let mut bounds = [start % width, start / width, start % width, start / width];
        self.seen.add(start);
        let (mut flank, mut stroke) = (false, false);
        let mut next = 0;
        while next < pixels.len() {
            let (x, y) = (pixels[next] % width, pixels[next] / width);
            next += 1;
            bounds = [
                bounds[0].min(x),
                bounds[1].min(y),
                bounds[2].max(x),
                bounds[3].max(y),
            ];
            for yy in y.saturating_sub(1)..height.min(y + 2) {
                for xx in x.saturating_sub(1)..width.min(x + 2) {
                    let i = yy * width + xx;
                    if self.residual[i] < least {
                        continue;
                    }
                    if self.seen.add(i) {
                        pixels.push(i);
                    } else if self.done.has(i) {
                        flank = true;
                        stroke |= self.strokes.has(i);
                    }
                }
            }
        }
        let candidate = Candidate {
            pixels,
            bounds,
            level,
        };
        // What is left of a speck after its core is a ring.
        stroke |= if flank {
            candidate.size() > 2 * self.rules.large
        } else {
            candidate.size() > self.rules.large || !candidate.is_compact()
        };
        for i in &candidate.pixels {
            self.done.add(*i);
            if stroke {
                self.strokes.add(*i);
            }
        }
        if !flank {
            self.crowd.add(Detail {
                stroke: stroke && candidate.pixels.len() > 8,
                ..candidate.detail()
            });
        }
        (!flank && !stroke).then_some(candidate)
    }

    /// The speck with its soft rim, when a candidate is one.
    fn judge(&self, candidate: &Candidate) -> Option<Speck> {
        let certain = self.is_beyond(candidate);
        let large = candidate.size() > self.rules.small;
        if large && !certain {
            return None;
        }
        let crowd = if certain { 2 * CROWD } else { CROWD };
        let detail = candidate.detail();
        if self.crowd.near(&detail) > crowd || self.crowd.is_sign(&detail, self.rules.small) {
            return None;
        }
        let contrast = self.ring_contrast(candidate, certain);
        let least = f32::from(self.rules.contrast) * if certain { 0.6 } else { 1.0 };
        let is_speck = contrast >= least
            && self.is_alone(candidate, self.core(candidate))
            && self.wide_spread(candidate, certain) <= self.most_spread(contrast, certain);
        is_speck.then(|| self.with_rim(candidate, large))
    }

    /// The most that the light may vary in the wider surroundings of a speck.
    fn most_spread(&self, contrast: f32, certain: bool) -> f32 {
        let evenness = self.rules.evenness;
        if certain {
            1.9 * evenness * contrast
        } else {
            (1.5 * evenness * contrast).min(170.0 * evenness)
        }
    }

    /// Whether most of a candidate is darker than all that belongs to the picture.
    fn is_beyond(&self, candidate: &Candidate) -> bool {
        let beyond = candidate
            .pixels
            .iter()
            .filter(|i| self.luma.data()[**i] < self.beyond);
        beyond.count() * 2 >= candidate.pixels.len()
    }

    /// How much the light varies in the wider surroundings: catch-lights, beads and buttons lie
    /// on things that end nearby.
    fn wide_spread(&self, candidate: &Candidate, certain: bool) -> f32 {
        let reach = if certain {
            (3 * candidate.size()).max(12)
        } else {
            4 * self.rules.small
        };
        let [left, top, right, bottom] = self.window(candidate.bounds, reach);
        let mut bins = [0_usize; 256];
        for y in top..=bottom {
            for value in &self.luma.row(y)[left..=right] {
                bins[usize::from(*value)] += 1;
            }
        }
        let area = (right - left + 1) * (bottom - top + 1);
        quantile(&bins, area * 19 / 20) - quantile(&bins, area / 20) - self.grain(certain)
    }

    /// The part of nine tenths of the values that noise alone spreads over; it does not speak
    /// against a speck that is certain.
    fn grain(&self, certain: bool) -> f32 {
        if certain { 3.3 * self.rules.noise } else { 0.0 }
    }

    fn core(&self, candidate: &Candidate) -> u8 {
        let residuals = candidate.pixels.iter().map(|i| self.residual[*i]);
        residuals.max().unwrap_or(0)
    }

    /// How much darker the speck's core is than the even ring around it; 0 when the ring varies
    /// too much for what the speck stands out.
    fn ring_contrast(&self, candidate: &Candidate, certain: bool) -> f32 {
        let [left, top, right, bottom] = self.window(candidate.bounds, 4 + candidate.size() / 2);
        let inner = self.window(candidate.bounds, 2);
        let mut ring: Vec<u8> = Vec::new();
        for y in top..=bottom {
            for x in left..=right {
                let within =
                    (inner[0]..=inner[2]).contains(&x) && (inner[1]..=inner[3]).contains(&y);
                if !within {
                    ring.push(self.luma.at(x, y));
                }
            }
        }
        if ring.len() < 12 {
            return 0.0;
        }
        ring.sort_unstable();
        let share = |part: usize| f32::from(ring[ring.len() * part / 20]);
        let darkest = candidate.pixels.iter().map(|i| self.luma.data()[*i]).min();
        let contrast = share(10) - f32::from(darkest.unwrap_or(0));
        let spread = share(19) - share(1) - self.grain(certain);
        if spread > self.rules.evenness * contrast {
            0.0
        } else {
            contrast
        }
    }

    /// Whether the wider surroundings hold next to nothing else that is dark: texture and text
    /// do, skies and walls do not.
    fn is_alone(&self, candidate: &Candidate, core: u8) -> bool {
        let least = self.rules.contrast / 2;
        let [left, top, right, bottom] = self.window(candidate.bounds, 4 * self.rules.small);
        let near = self.window(
            candidate.bounds,
            2 * self.rules.small.max(candidate.size() / 2),
        );
        let own = self.window(candidate.bounds, 2);
        let (mut others, mut area) = (0, 0);
        for y in top..=bottom {
            for x in left..=right {
                let within = |b: Bounds| (b[0]..=b[2]).contains(&x) && (b[1]..=b[3]).contains(&y);
                let i = y * self.luma.width() + x;
                let is_near = within(near);
                area += usize::from(is_near);
                // What is weaker counts nearby only.
                let level = if is_near { core / 3 } else { core / 5 * 3 };
                if self.residual[i] < level.max(least) {
                    continue;
                }
                if self.strokes.has(i) {
                    return false;
                }
                others += usize::from(is_near && !within(own));
            }
        }
        others * 50 <= area
    }

    fn window(&self, [left, top, right, bottom]: Bounds, reach: usize) -> Bounds {
        [
            left.saturating_sub(reach),
            top.saturating_sub(reach),
            (right + reach).min(self.luma.width() - 1),
            (bottom + reach).min(self.luma.height() - 1),
        ]
    }

    /// The speck with the pixels next to it, where its soft edge ends.
    fn with_rim(&self, candidate: &Candidate, large: bool) -> Speck {
        let mut pixels = self.widened(&candidate.pixels, 0);
        // Beyond that, as far as the flank falls.
        let least = (self.core(candidate) / 8).max(4);
        for _ in 0..=candidate.size() / 6 {
            pixels = self.widened(&pixels, least);
        }
        let width = self.luma.width();
        let mut bounds = candidate.bounds;
        for i in &pixels {
            let (x, y) = (i % width, i / width);
            bounds = [
                bounds[0].min(x),
                bounds[1].min(y),
                bounds[2].max(x),
                bounds[3].max(y),
            ];
        }
        let strong = |i: &&usize| self.residual[**i] >= self.levels[candidate.level];
        Speck {
            pixels,
            core: candidate.pixels.iter().filter(strong).copied().collect(),
            bounds,
            large,
        }
    }

    /// These pixels and those next to them that are dark at least by so much.
    fn widened(&self, pixels: &[usize], least: u8) -> Vec<usize> {
        let (width, height) = (self.luma.width(), self.luma.height());
        let mut wider = pixels.to_vec();
        for i in pixels {
            let (x, y) = (i % width, i / width);
            for yy in y.saturating_sub(1)..height.min(y + 2) {
                for xx in x.saturating_sub(1)..width.min(x + 2) {
                    let i = yy * width + xx;
                    if self.residual[i] >= least {
                        wider.push(i);
                    }
                }
            }
        }
        wider.sort_unstable();
        wider.dedup();
        wider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        small: 6,
        large: 6,
        contrast: 40,
        evenness: 0.4,
        noise: 0.0,
    };

    fn plane(spots: &[(usize, usize, usize, usize)]) -> Plane<u8> {
        let mut plane = Plane::from_vec(80, 60, vec![180_u8; 80 * 60]);
        for (x, y, w, h) in spots {
            for yy in *y..y + h {
                for xx in *x..x + w {
                    plane.data_mut()[yy * 80 + xx] = 60;
                }
            }
        }
        plane
    }

    #[test]
    fn finds_what_is_small_compact_and_alone() {
        let found = dark_specks(&plane(&[(40, 30, 3, 4)]), RULES);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bounds, [39, 29, 43, 34]);
        assert_eq!(found[0].pixels.len(), 5 * 6);
    }

    #[test]
    fn leaves_everything_else() {
        let cases: [&[(usize, usize, usize, usize)]; 4] = [
            // Too large, a line, beside something large, one of many.
            &[(30, 20, 8, 8)],
            &[(30, 20, 6, 1)],
            &[(40, 30, 2, 2), (44, 10, 3, 40)],
            &[
                (30, 20, 3, 3),
                (36, 20, 3, 3),
                (30, 26, 3, 3),
                (36, 26, 3, 3),
            ],
        ];
        for case in cases {
            assert_eq!(dark_specks(&plane(case), RULES), [], "{case:?}");
        }
    }

    /// A gray ground with something on it, a little grain, and shadows at the left that are a
    /// tenth of the picture.
    fn drawn(value: impl Fn(usize, usize) -> Option<u8>) -> Plane<u8> {
        let pixel = |i: usize| {
            let (x, y) = (i % 320, i / 320);
            let ground = if x < 32 { 70 } else { 160 };
            value(x, y).unwrap_or(ground) + (i * i % 5) as u8
        };
        Plane::from_vec(320, 240, (0..320 * 240).map(pixel).collect())
    }

    fn square(at: (usize, usize), size: usize) -> impl Fn(usize, usize) -> bool {
        move |x, y| (at.0..at.0 + size).contains(&x) && (at.1..at.1 + size).contains(&y)
    }

    const BOTH: Rules = Rules {
        small: 4,
        large: 10,
        ..RULES
    };

    #[test]
    fn large_ones_are_darker_than_the_picture() {
        let large = square((200, 120), 9);
        let found = |value: u8| dark_specks(&drawn(|x, y| large(x, y).then_some(value)), BOTH);
        assert_eq!(found(75), []);
        let certain = found(5);
        assert_eq!(certain.len(), 1);
        assert!(certain[0].large);
    }

    /// Boxes of 8 × 12 pixels at 12 from each other instead of letters, each fifth one a dot.
    fn written(x: usize, y: usize, dots_only: bool) -> Option<u8> {
        let (number, u, v) = (x / 12, x % 12, y % 40);
        let dot = number % 5 == 4 && (2..5).contains(&u) && (19..22).contains(&v);
        let outline = !(2..6).contains(&u) || !(12..20).contains(&v);
        let letter = number % 5 < 4 && u < 8 && (10..22).contains(&v) && outline;
        (x >= 60 && (dot || letter && !dots_only)).then_some(20)
    }

    #[test]
    fn dots_of_writing_stay() {
        let page = drawn(|x, y| written(x, y, false));
        assert_eq!(dark_specks(&page, BOTH), []);
        // A single line is no page.
        let line = |y: usize| (80..120).contains(&y);
        let found = |dots_only: bool| {
            let plane = drawn(|x, y| line(y).then(|| written(x, y, dots_only)).flatten());
            dark_specks(&plane, BOTH).len()
        };
        assert_eq!(found(false), 0);
        assert!(found(true) >= 3);
    }

    #[test]
    fn gaps_between_leaves_stay() {
        let spot = |x: usize, y: usize| {
            let (column, row) = (x / 13, y / 13);
            let shift = (column * 5 + row * 7) % 9;
            (x % 13).abs_diff(shift) <= 1 && (y % 13).abs_diff(8 - shift) <= 1
        };
        let wide = |x: usize, y: usize| (100..260).contains(&x) && (60..200).contains(&y);
        let plane = drawn(|x, y| (wide(x, y) && spot(x, y)).then_some(5));
        // At the edge of a tree one may go.
        let inner = |speck: &Speck| wide(speck.bounds[0] - 20, speck.bounds[1] - 20);
        let mut found = dark_specks(&plane, BOTH);
        assert!(found.len() <= 1);
        found.retain(inner);
        assert_eq!(found, []);
    }

    #[test]
    fn catch_lights_stay() {
        let light = square((200, 120), 3);
        let distance = |x: usize, y: usize| x.abs_diff(201).pow(2) + y.abs_diff(121).pow(2);
        // On the inverted face: the light in the iris in the white of the eye.
        let eye = |x: usize, y: usize| match distance(x, y) {
            _ if light(x, y) => Some(5),
            0..=49 => Some(220),
            50..=260 => Some(60),
            _ => None,
        };
        assert_eq!(dark_specks(&drawn(eye), BOTH), []);
        let alone = drawn(|x, y| light(x, y).then_some(5));
        assert_eq!(dark_specks(&alone, BOTH).len(), 1);
    }

    #[test]
    fn bands_do_not_show() {
        let width = 40;
        let data = (0..width * 600).map(|i: usize| (i * i * 31 % 253) as u8);
        let plane = Plane::from_vec(width, 600, data.collect());
        let whole = close_or_open(plane.data(), width, 4, Pick::Max);
        let expected: Vec<u8> = whole.iter().zip(plane.data()).map(|(a, b)| a - b).collect();
        assert_eq!(residual(&plane, 4, 0), expected);
    }
}
