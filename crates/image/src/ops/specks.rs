//! Finds specks: small, compact, alone, and much darker or lighter than an even surrounding.

use super::support::extremes::{Pick, close_or_open};
use super::support::plane::Plane;
use super::support::rows;

/// Rows that one task of the morphology takes.
const BAND: usize = 128;

/// What counts as a speck, on the scale of 8-bit luma.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The largest extent, in pixels.
    pub(super) max_size: usize,
    /// The least contrast of a speck's core.
    pub(super) contrast: u8,
    /// The most that the surroundings may vary, as a share of the speck's contrast.
    pub(super) evenness: f32,
}

/// One speck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speck {
    /// Its pixels with their soft rim, as indices into the plane, ascending.
    pub(super) pixels: Vec<usize>,
    /// First column and row, and last ones.
    pub(super) bounds: [usize; 4],
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
    let residual = residual(luma, rules.max_size.div_ceil(2) + 1);
    let mut search = Search {
        luma,
        residual: &residual,
        rules,
        seen: Mask::new(residual.len()),
        large: Mask::new(residual.len()),
    };
    let candidates = search.candidates();
    candidates
        .into_iter()
        .filter(|speck| search.accepts(speck))
        .map(|speck| search.with_rim(speck))
        .collect()
}

/// How much darker each pixel is than the closing by a square of 2 × `radius` + 1.
fn residual(luma: &Plane<u8>, radius: usize) -> Vec<u8> {
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
            *out = closed - value;
        }
    });
    out
}

struct Search<'a> {
    luma: &'a Plane<u8>,
    residual: &'a [u8],
    rules: Rules,
    seen: Mask,
    /// Pixels of dark details that are too large for a speck.
    large: Mask,
}

impl Search<'_> {
    /// Connected details with a dark enough core that are small enough.
    fn candidates(&mut self) -> Vec<Speck> {
        let mut candidates = Vec::new();
        for start in 0..self.residual.len() {
            if self.residual[start] >= self.rules.contrast && !self.seen.has(start) {
                candidates.extend(self.grow(start));
            }
        }
        candidates
    }

    /// The detail around a core; `None` and marked as large when it is no speck by its size.
    fn grow(&mut self, start: usize) -> Option<Speck> {
        let (width, height) = (self.luma.width(), self.luma.height());
        let level = self.rules.contrast / 2;
        let mut pixels = vec![start];
        let mut bounds = [start % width, start / width, start % width, start / width];
        self.seen.add(start);
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
                    if self.residual[i] >= level && self.seen.add(i) {
                        pixels.push(i);
                    }
                }
            }
        }
        let (w, h) = (bounds[2] - bounds[0] + 1, bounds[3] - bounds[1] + 1);
        if w.max(h) > self.rules.max_size {
            for i in pixels {
                self.large.add(i);
            }
            return None;
        }
        // A hair's end or a stroke is long and thin or fills little of its box.
        let compact = w.max(h) <= 3 * w.min(h) + 1 && pixels.len() * 5 >= w * h * 2;
        pixels.sort_unstable();
        compact.then_some(Speck { pixels, bounds })
    }

    fn accepts(&self, speck: &Speck) -> bool {
        let core = self.core(speck);
        let contrast = self.ring_contrast(speck);
        contrast >= f32::from(self.rules.contrast)
            && self.is_alone(speck, core)
            && self.is_far_from_edges(speck, contrast)
    }

    /// Whether the light stays nearly the same in the wider surroundings: catch-lights, beads and
    /// buttons lie on things that end nearby.
    fn is_far_from_edges(&self, speck: &Speck, contrast: f32) -> bool {
        let [left, top, right, bottom] = self.window(speck, 4 * self.rules.max_size);
        let mut bins = [0_usize; 256];
        for y in top..=bottom {
            for value in &self.luma.row(y)[left..=right] {
                bins[usize::from(*value)] += 1;
            }
        }
        let area = (right - left + 1) * (bottom - top + 1);
        let quantile = |wanted: usize| {
            let mut below = 0;
            let reached = |bin: &usize| {
                below += bin;
                below > wanted
            };
            bins.iter().position(reached).unwrap_or(255) as f32
        };
        quantile(area * 19 / 20) - quantile(area / 20) <= 1.5 * self.rules.evenness * contrast
    }

    fn core(&self, speck: &Speck) -> u8 {
        let residuals = speck.pixels.iter().map(|i| self.residual[*i]);
        residuals.max().unwrap_or(0)
    }

    /// How much darker the speck's core is than the even ring around it; 0 when the ring varies
    /// too much for what the speck stands out.
    fn ring_contrast(&self, speck: &Speck) -> f32 {
        let size = (speck.bounds[2] - speck.bounds[0]).max(speck.bounds[3] - speck.bounds[1]) + 1;
        let [left, top, right, bottom] = self.window(speck, 3 + size / 2);
        let inner = self.window(speck, 1);
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
        let darkest = speck.pixels.iter().map(|i| self.luma.data()[*i]).min();
        let contrast = share(10) - f32::from(darkest.unwrap_or(0));
        if share(19) - share(1) > self.rules.evenness * contrast {
            0.0
        } else {
            contrast
        }
    }

    /// Whether the wider surroundings hold next to nothing else that is dark: texture and text
    /// do, skies and walls do not.
    fn is_alone(&self, speck: &Speck, core: u8) -> bool {
        let [left, top, right, bottom] = self.window(speck, 2 * self.rules.max_size);
        let level = (core / 3).max(self.rules.contrast / 2);
        let (mut others, mut area) = (0, 0);
        for y in top..=bottom {
            for x in left..=right {
                let i = y * self.luma.width() + x;
                area += 1;
                if self.residual[i] >= level {
                    if self.large.has(i) {
                        return false;
                    }
                    others += 1;
                }
            }
        }
        (others - speck.pixels.len().min(others)) * 50 <= area
    }

    fn window(&self, speck: &Speck, reach: usize) -> [usize; 4] {
        let [left, top, right, bottom] = speck.bounds;
        [
            left.saturating_sub(reach),
            top.saturating_sub(reach),
            (right + reach).min(self.luma.width() - 1),
            (bottom + reach).min(self.luma.height() - 1),
        ]
    }

    /// The speck with the pixels next to it, where its soft edge ends.
    fn with_rim(&self, speck: Speck) -> Speck {
        let (width, height) = (self.luma.width(), self.luma.height());
        let mut pixels = Vec::new();
        for i in &speck.pixels {
            let (x, y) = (i % width, i / width);
            for yy in y.saturating_sub(1)..height.min(y + 2) {
                for xx in x.saturating_sub(1)..width.min(x + 2) {
                    pixels.push(yy * width + xx);
                }
            }
        }
        pixels.sort_unstable();
        pixels.dedup();
        let bounds = self.window(&speck, 1);
        Speck { pixels, bounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        max_size: 6,
        contrast: 40,
        evenness: 0.4,
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

    #[test]
    fn bands_do_not_show() {
        let width = 40;
        let data = (0..width * 600).map(|i: usize| (i * i * 31 % 253) as u8);
        let plane = Plane::from_vec(width, 600, data.collect());
        let whole = close_or_open(plane.data(), width, 4, Pick::Max);
        let expected: Vec<u8> = whole.iter().zip(plane.data()).map(|(a, b)| a - b).collect();
        assert_eq!(residual(&plane, 4), expected);
    }
}
