//! Damage: scratches, hairs, dust and specks, found at full resolution without a network.

use fonds_core::{Raster, Result, Sample, with_samples};

use super::mask::Mask;
use super::scratches::{self, Lines};
use crate::measure::noise;
use crate::ops::support::extremes::{Pick, close_or_open};
use crate::ops::support::params::in_range;
use crate::ops::support::plane::{Plane, luma8};
use crate::ops::support::rows;

/// Rows that one task of the morphology takes.
const BAND: usize = 128;

/// Side of the blocks for which it is known how strong details usually are, in pixels.
const BLOCK: usize = 48;

/// How far beyond a piece its surroundings reach, in radii of the search.
const AROUND: usize = 3;

/// Pieces that are this many times as long as wide are scratches and hairs.
const LONG: f32 = 4.0;

/// Finds thin and small damage: pieces that are locally lighter or darker than both of their
/// sides, thin or small, sharply set off, on ground that holds next to nothing like them and that
/// is alike on either side.
///
/// What belongs to a picture can look like that, too: catch-lights, ropes, wires. So damage is
/// believed in only where there are many pieces of it, and what stands among its like, as leaves,
/// letters, lace and fences do, is left alone. Dust on such ground is not found; nor are stains
/// and tears. For those there are masks of people's and of a network's making.
#[derive(Debug, Clone, PartialEq)]
pub struct Damage {
    /// How little a piece may stand out, 0 (only the most obvious) to 1.
    pub sensitivity: f64,
    /// Pictures with fewer pieces than this are left alone, 1 to 10,000.
    pub min_pieces: u32,
}

impl Default for Damage {
    fn default() -> Self {
        Self {
            sensitivity: 0.5,
            min_pieces: 60,
        }
    }
}

impl Damage {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("sensitivity", self.sensitivity, &(0.0..=1.0))?;
        in_range("min_pieces", self.min_pieces, &(1..=10_000))
    }

    /// The damaged pixels with their soft rims; the empty mask where there is no reason to believe
    /// in damage.
    ///
    /// # Errors
    /// `invalid_request` for parameters out of range.
    pub fn find(&self, raster: &Raster) -> Result<Mask> {
        self.validate()?;
        let luma = luma8(raster);
        let rules = self.rules(raster);
        let light = residual(&luma, rules.radius, Pick::Min);
        let dark = residual(&luma, rules.radius, Pick::Max);
        let mut mask = Mask::new(raster.width(), raster.height());
        let usual = Usual::of(&light, &dark, luma.width());
        let mut count = 0;
        for (own, other) in [(&light, &dark), (&dark, &light)] {
            let search = Search {
                raster,
                luma: &luma,
                own,
                other,
                rules,
                usual: &usual,
            };
            count += search.run(&mut mask);
        }
        if count < self.min_pieces as usize {
            return Ok(Mask::new(raster.width(), raster.height()));
        }
        mask.unite(&scratches(&luma, rules))?;
        Ok(mask)
    }

    fn rules(&self, raster: &Raster) -> Rules {
        let shorter = raster.width().min(raster.height());
        let noise = noise::sigma(raster);
        let core = (32.0 - 28.0 * self.sensitivity).max((5.0 - 2.0 * self.sensitivity) * noise);
        let core = core.min(120.0);
        Rules {
            radius: (shorter / 250).clamp(2, 12) as usize,
            core: core as u8,
            noise: noise as f32,
            times: (3.5 - 2.0 * self.sensitivity) as f32,
            crowd: (0.01 + 0.06 * self.sensitivity) as f32,
        }
    }
}

/// Long scratches: those of one direction and sign, of which there are most, as a film's way through
/// a machine makes them. What else is long, straight and thin are the edges of things.
fn scratches(luma: &Plane<u8>, rules: Rules) -> Mask {
    let kinds = [(true, true), (true, false), (false, true), (false, false)];
    let found = kinds.map(|(upright, light)| {
        let mut mask = Mask::new(luma.width() as u32, luma.height() as u32);
        let lines = Lines {
            side: (rules.radius - 1).max(2),
            least: (0.5 * rules.noise + 2.0) as i16,
            light,
        };
        scratches::find(luma, upright, lines, &mut mask);
        mask
    });
    let counts = found.each_ref().map(Mask::count);
    let best = (0..4).max_by_key(|kind| counts[*kind]).unwrap_or(0);
    let others = (0..4).filter(|kind| *kind != best);
    let second = others.map(|kind| counts[kind]).max().unwrap_or(0);
    let [one, two, three, four] = found;
    match best {
        // As many of another kind: a building, a fence, a page.
        _ if 2 * counts[best] < 3 * second => Mask::new(luma.width() as u32, luma.height() as u32),
        0 => one,
        1 => two,
        2 => three,
        _ => four,
    }
}

/// What counts as damage, in 8-bit code values and pixels.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Pieces are at most twice this wide.
    radius: usize,
    /// The least contrast of a piece's core.
    core: u8,
    /// The standard deviation of the noise.
    noise: f32,
    /// How many times stronger than what is usual around it a core is.
    times: f32,
    /// The largest share of the surroundings that may hold details like the piece itself.
    crowd: f32,
}

/// How much lighter (`Min`) or darker (`Max`) each pixel is than what is left of the picture when
/// details narrower than 2 × `radius` + 1 pixels are taken out.
fn residual(luma: &Plane<u8>, radius: usize, first: Pick) -> Vec<u8> {
    let (width, height) = (luma.width(), luma.height());
    let mut out = vec![0; width * height];
    rows::for_each_band(&mut out, width, BAND, |start, out| {
        let count = out.len() / width;
        let from = start.saturating_sub(2 * radius);
        let to = height.min(start + count + 2 * radius);
        let source = &luma.data()[from * width..to * width];
        let plain = close_or_open(source, width, radius, first);
        let skip = (start - from) * width;
        let pairs = plain[skip..].iter().zip(&source[skip..]);
        for (out, (plain, value)) in out.iter_mut().zip(pairs) {
            *out = plain.abs_diff(*value);
        }
    });
    out
}

/// What residuals are usual at each place: of nine in ten pixels around they are lower.
#[derive(Debug)]
struct Usual {
    columns: usize,
    levels: Vec<u8>,
}

impl Usual {
    fn of(light: &[u8], dark: &[u8], width: usize) -> Self {
        let height = light.len() / width;
        let (columns, count) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let mut bins = vec![[0_u32; 256]; columns * count];
        for (at, (light, dark)) in light.iter().zip(dark).enumerate() {
            let block = at / width / BLOCK * columns + at % width / BLOCK;
            bins[block][usize::from(*light.max(dark))] += 1;
        }
        let level = |block: usize| {
            let (x, y) = (block % columns, block / columns);
            let mut sum = [0_u32; 256];
            for row in y.saturating_sub(1)..count.min(y + 2) {
                for column in x.saturating_sub(1)..columns.min(x + 2) {
                    let bins = &bins[row * columns + column];
                    sum.iter_mut().zip(bins).for_each(|(sum, bin)| *sum += bin);
                }
            }
            let wanted = sum.iter().sum::<u32>() / 10 * 9;
            let mut below = 0;
            let reached = |bin: &u32| {
                below += bin;
                below > wanted
            };
            sum.iter().position(reached).unwrap_or(255) as u8
        };
        Self {
            columns,
            levels: (0..columns * count).map(level).collect(),
        }
    }

    fn at(&self, x: usize, y: usize) -> u8 {
        self.levels[y / BLOCK * self.columns + x / BLOCK]
    }
}

/// One connected detail.
struct Piece {
    pixels: Vec<usize>,
    /// First column and row, and last ones.
    bounds: [usize; 4],
    /// The greatest contrast.
    core: u8,
    /// The least contrast of its pixels.
    rim: u8,
}

impl Piece {
    fn length(&self) -> usize {
        let [left, top, right, bottom] = self.bounds;
        (right - left).max(bottom - top) + 1
    }

    /// Its mean width, where its length is that of its box's longer side.
    fn width(&self) -> f32 {
        self.pixels.len() as f32 / self.length() as f32
    }

    /// Whether it meets the frame of the picture head-on and does not run along it.
    fn crosses(&self, luma: &Plane<u8>) -> bool {
        let [left, top, right, bottom] = self.bounds;
        let upright = bottom - top > right - left;
        if upright {
            left > 1 && right + 2 < luma.width()
        } else {
            top > 1 && bottom + 2 < luma.height()
        }
    }

    fn is_long(&self) -> bool {
        self.length() as f32 >= LONG * self.width()
    }
}

struct Search<'a> {
    raster: &'a Raster,
    luma: &'a Plane<u8>,
    /// The contrast of pieces of the wanted sign, and of the other one.
    own: &'a [u8],
    other: &'a [u8],
    rules: Rules,
    usual: &'a Usual,
}

impl Search<'_> {
    /// Adds the damage to the mask; how many dots there are.
    fn run(&self, mask: &mut Mask) -> usize {
        let mut seen = vec![false; self.own.len()];
        let mut count = 0;
        for start in 0..self.own.len() {
            if self.own[start] < self.rules.core || seen[start] {
                continue;
            }
            let (x, y) = (start % self.luma.width(), start / self.luma.width());
            let usual = f32::from(self.usual.at(x, y));
            let least = self.rules.core.max((self.rules.times * usual + 4.0) as u8);
            if self.own[start] < least {
                continue;
            }
            let piece = self.grow(start, least / 2, &mut seen);
            if self.is_damage(&piece) {
                count += usize::from(!piece.is_long());
                self.mark(&piece, mask);
            }
        }
        count
    }

    /// The connected pixels around a core that stand out by half as much as it must.
    fn grow(&self, start: usize, rim: u8, seen: &mut [bool]) -> Piece {
        let (width, height) = (self.luma.width(), self.luma.height());
        let mut piece = Piece {
            pixels: vec![start],
            bounds: [start % width, start / width, start % width, start / width],
            core: 0,
            rim,
        };
        seen[start] = true;
        let mut next = 0;
        while next < piece.pixels.len() {
            let at = piece.pixels[next];
            let (x, y) = (at % width, at / width);
            next += 1;
            piece.core = piece.core.max(self.own[at]);
            let [left, top, right, bottom] = piece.bounds;
            piece.bounds = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
            for yy in y.saturating_sub(1)..height.min(y + 2) {
                for xx in x.saturating_sub(1)..width.min(x + 2) {
                    let i = yy * width + xx;
                    if self.own[i] >= rim && !seen[i] {
                        seen[i] = true;
                        piece.pixels.push(i);
                    }
                }
            }
        }
        piece
    }

    fn is_damage(&self, piece: &Piece) -> bool {
        let radius = self.rules.radius;
        let small = piece.length() <= 2 * radius + 1;
        let thin = piece.is_long() && piece.width() <= (0.8 * radius as f32).max(2.5);
        let [left, top, right, bottom] = piece.bounds;
        // At the frame of a picture there is no other side.
        let inside =
            left > 1 && top > 1 && right + 2 < self.luma.width() && bottom + 2 < self.luma.height();
        // A single pixel is noise.
        piece.pixels.len() >= 3
            && (small || thin)
            && (inside || !piece.is_long() || piece.crosses(self.luma))
            && self.is_alone(piece)
            && self.is_alike_on_both_sides(piece)
            && (piece.is_long() || self.has_color_of_dust(piece))
    }

    /// Whether the surroundings hold next to nothing that stands out nearly as much.
    fn is_alone(&self, piece: &Piece) -> bool {
        let ring = self.ring(piece);
        let level = (piece.core / 2).max(piece.rim);
        let like = |at: &&usize| self.own[**at].max(self.other[**at]) >= level;
        let crowd = ring.iter().filter(like).count();
        if crowd as f32 > self.rules.crowd * ring.len() as f32 || ring.len() < 12 {
            return false;
        }
        if piece.is_long() {
            return true;
        }
        // A dot's ground is even; a scratch may run across anything.
        let mut values: Vec<u8> = ring.iter().map(|at| self.luma.data()[*at]).collect();
        values.sort_unstable();
        let share = |part: usize| values[(values.len() - 1) * part / 20];
        f32::from(share(19) - share(1)) <= 0.7 * f32::from(piece.core)
    }

    /// Pixels around a piece, without those next to it, which are its own soft rim.
    fn ring(&self, piece: &Piece) -> Vec<usize> {
        let reach = AROUND * self.rules.radius;
        let [left, top, right, bottom] = piece.bounds;
        let (x0, y0) = (left.saturating_sub(reach), top.saturating_sub(reach));
        let x1 = (right + reach + 1).min(self.luma.width());
        let y1 = (bottom + reach + 1).min(self.luma.height());
        let (width, height) = (x1 - x0, y1 - y0);
        let mut near = vec![0_u8; width * height];
        for at in &piece.pixels {
            let (x, y) = (at % self.luma.width() - x0, at / self.luma.width() - y0);
            near[y * width + x] = 1;
        }
        let far = crate::ops::support::extremes::extreme(&near, width, reach, Pick::Max);
        let next = crate::ops::support::extremes::extreme(&near, width, 2, Pick::Max);
        let of_ring = (0..near.len()).filter(|i| far[*i] == 1 && next[*i] == 0);
        of_ring
            .map(|i| (i / width + y0) * self.luma.width() + i % width + x0)
            .collect()
    }

    /// Whether the ground on both sides of the piece is alike, where it is narrowest: the lit edge
    /// of a thing has another ground on either side.
    fn is_alike_on_both_sides(&self, piece: &Piece) -> bool {
        let long = piece.is_long();
        let reach = self.rules.radius as isize + isize::from(!long);
        let (mut apart, mut count) = (0.0_f32, 0);
        let step = piece.pixels.len().div_ceil(200);
        for at in piece.pixels.iter().step_by(step) {
            if self.own[*at] < self.rules.core {
                continue;
            }
            let sides = [(1, 0), (0, 1), (1, 1), (1, -1)];
            let pair = |(dx, dy): (isize, isize)| {
                let one = self.value(*at, dx * reach, dy * reach)?;
                let other = self.value(*at, -dx * reach, -dy * reach)?;
                let own = self.luma.data()[*at];
                let contrast = own.abs_diff(one).min(own.abs_diff(other));
                Some((contrast, one.abs_diff(other)))
            };
            let best = sides.into_iter().filter_map(pair).max_by_key(|pair| pair.0);
            if let Some((_, difference)) = best {
                apart += f32::from(difference);
                count += 1;
            }
        }
        let most = if long { 0.2 } else { 0.4 };
        count > 0 && apart / count as f32 <= most * f32::from(piece.core)
    }

    fn value(&self, at: usize, dx: isize, dy: isize) -> Option<u8> {
        let x = (at % self.luma.width()).checked_add_signed(dx)?;
        let y = (at / self.luma.width()).checked_add_signed(dy)?;
        let inside = x < self.luma.width() && y < self.luma.height();
        inside.then(|| self.luma.at(x, y))
    }

    /// Whether a dot is no more colourful than dust can be: lamps and petals are.
    fn has_color_of_dust(&self, piece: &Piece) -> bool {
        if self.raster.format().color_channels() < 3 {
            return true;
        }
        let (own, around) = (self.color(&piece.pixels), self.color(&self.ring(piece)));
        let chroma = |rgb: [f32; 3]| {
            let most = rgb.into_iter().fold(0.0, f32::max);
            most - rgb.into_iter().fold(most, f32::min)
        };
        let toned = 0.3 * own.into_iter().fold(0.0, f32::max) + 20.0;
        chroma(own) <= toned.max(1.2 * chroma(around))
    }

    /// The mean colour of some pixels in 8-bit code values.
    fn color(&self, pixels: &[usize]) -> [f32; 3] {
        let stride = self.raster.format().channels();
        let mut sums = [0.0_f32; 3];
        with_samples!(self.raster.samples(), samples => {
            for at in pixels {
                for (sum, sample) in sums.iter_mut().zip(&samples[at * stride..]) {
                    *sum += sample.to_unit();
                }
            }
        });
        sums.map(|sum| sum * 255.0 / pixels.len().max(1) as f32)
    }

    /// Adds a piece with the pixels next to it that belong to its flank.
    fn mark(&self, piece: &Piece, mask: &mut Mask) {
        let (width, height) = (self.luma.width(), self.luma.height());
        let flank = (piece.rim / 2).max(piece.core / 8).max(3);
        for at in &piece.pixels {
            let (x, y) = (at % width, at / width);
            for yy in y.saturating_sub(1)..height.min(y + 2) {
                for xx in x.saturating_sub(1)..width.min(x + 2) {
                    if self.own[yy * width + xx] >= flank {
                        mask.add(xx, yy);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic::Random;
    use fonds_core::{ColorModel, Samples};

    const SIDE: usize = 600;

    /// Grainy gray with a slope, with dots and a scratch where asked, and with stripes at the left.
    fn picture(dots: usize, scratch: bool) -> Raster {
        let mut random = Random(9);
        let mut values: Vec<f64> = (0..SIDE * SIDE)
            .map(|i| {
                let stripe = i % SIDE < 150 && i % SIDE % 9 < 3;
                let slope = 90.0 + 0.08 * (i % SIDE) as f64;
                slope + 1.5 * random.normal() + if stripe { 50.0 } else { 0.0 }
            })
            .collect();
        let mut lighten = |x: usize, y: usize| values[y * SIDE + x] += 70.0;
        for dot in 0..dots {
            let (x, y) = (180 + dot * 67 % 400, 20 + dot * 7 % 560);
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                lighten(x + dx, y + dy);
            }
        }
        if scratch {
            for y in 100..500 {
                lighten(590, y);
                lighten(591, y);
            }
        }
        let samples = values.iter().map(|value| value.clamp(0.0, 255.0) as u8);
        let samples = Samples::U8(samples.collect());
        Raster::from_samples(SIDE as u32, SIDE as u32, ColorModel::Gray, false, samples).unwrap()
    }

    #[test]
    fn dust_and_scratches_are_found_and_stripes_are_not() {
        let mask = Damage::default().find(&picture(80, true)).unwrap();
        let scratch = (100..500).filter(|y| mask.has(590, *y) && mask.has(591, *y));
        assert!(scratch.count() > 390);
        let in_stripes = (0..SIDE).map(|y| (0..150).filter(|x| mask.has(*x, y)).count());
        assert_eq!(in_stripes.sum::<usize>(), 0);
        assert!(mask.regions().len() > 70, "{}", mask.regions().len());
        let expected = 80 * 4 + 800;
        assert!(mask.count() < expected * 2, "{}", mask.count());
    }

    #[test]
    fn a_few_pieces_are_no_damage() {
        assert!(
            Damage::default()
                .find(&picture(20, true))
                .unwrap()
                .is_empty()
        );
        let certain = Damage {
            min_pieces: 1,
            ..Damage::default()
        };
        assert!(!certain.find(&picture(20, true)).unwrap().is_empty());
        assert!(certain.find(&picture(0, false)).unwrap().is_empty());
    }

    #[test]
    fn parameters_and_tiny_pictures() {
        for (sensitivity, min_pieces) in [(1.1, 1), (f64::NAN, 1), (0.5, 0)] {
            let damage = Damage {
                sensitivity,
                min_pieces,
            };
            assert!(damage.validate().is_err());
        }
        let one = Samples::U16(vec![9; 3]);
        let one = Raster::from_samples(1, 1, ColorModel::Rgb, false, one).unwrap();
        assert!(Damage::default().find(&one).unwrap().is_empty());
    }
}
