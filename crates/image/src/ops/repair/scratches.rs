//! Long scratches along the way of a film or a scanner: upright or level, straight, and too faint
//! to be seen in any one pixel.

use super::mask::Mask;
use crate::ops::support::plane::Plane;

/// Pixels of a scratch that are looked at together.
const LENGTH: usize = 61;

/// How many of them must stand out, of all.
const OUT: f32 = 0.72;

/// How many pixels of a line beside a scratch may stand out, of all: there is no second one.
const BESIDE: f32 = 0.5;

/// How far beside.
const REACH: usize = 9;

/// What stands out by more, in code values, is found by itself, or is a stroke of a letter.
const STROKE: i16 = 60;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// How far to the sides the ground is compared with, in pixels.
    pub(super) side: usize,
    /// What a pixel of a scratch stands out by from both sides, in code values.
    pub(super) least: i16,
    /// Lighter than the ground, or darker.
    pub(super) light: bool,
}

/// Adds the pixels of scratches that run down (`upright`) or across.
pub(super) fn find(luma: &Plane<u8>, upright: bool, lines: Lines, mask: &mut Mask) {
    let turned;
    let plane = if upright {
        luma
    } else {
        turned = transposed(luma);
        &turned
    };
    let (width, height) = (plane.width(), plane.height());
    if height < LENGTH || width < 2 * REACH + 2 {
        return;
    }
    let mut window = Window::new(width, lines);
    for y in 0..LENGTH {
        window.step(plane, y, true);
    }
    for first in 0..=height - LENGTH {
        if first > 0 {
            window.step(plane, first - 1, false);
            window.step(plane, first + LENGTH - 1, true);
        }
        for x in window.scratches() {
            for y in first..first + LENGTH {
                if stands_out(plane, x, y, lines).is_some() {
                    let (x, y) = if upright { (x, y) } else { (y, x) };
                    mask.add(x, y);
                }
            }
        }
    }
}

/// What stands out in the rows at hand, column by column.
struct Window {
    lines: Lines,
    /// Pixels that stand out.
    count: Vec<u16>,
    /// The sum of what they stand out by, and of how much one side is lighter than the other.
    contrast: Vec<i32>,
    slant: Vec<i32>,
}

impl Window {
    fn new(width: usize, lines: Lines) -> Self {
        Self {
            lines,
            count: vec![0; width],
            contrast: vec![0; width],
            slant: vec![0; width],
        }
    }

    /// Takes a row in, or out again.
    fn step(&mut self, plane: &Plane<u8>, y: usize, add: bool) {
        let sign = if add { 1 } else { -1 };
        for x in 0..self.count.len() {
            if let Some((contrast, slant)) = stands_out(plane, x, y, self.lines) {
                self.count[x] = self.count[x].wrapping_add_signed(sign as i16);
                self.contrast[x] += sign * i32::from(contrast);
                self.slant[x] += sign * i32::from(slant);
            }
        }
    }

    /// The columns that hold a scratch.
    fn scratches(&self) -> impl Iterator<Item = usize> + '_ {
        let most = |ratio: f32| (ratio * LENGTH as f32) as u16;
        let (out, beside) = (most(OUT), most(BESIDE));
        let near = 2 + self.lines.side;
        let inner = REACH..self.count.len().saturating_sub(REACH);
        inner.filter(move |&x| {
            let lone = || {
                let around = (near..=REACH).flat_map(|d| [x - d, x + d]);
                around.into_iter().all(|x| self.count[x] < beside)
            };
            self.count[x] >= out && 3 * self.slant[x].abs() < self.contrast[x] && lone()
        })
    }
}

/// By how much a pixel stands out from both sides, and how much they differ.
fn stands_out(plane: &Plane<u8>, x: usize, y: usize, lines: Lines) -> Option<(i16, i16)> {
    if x < lines.side || x + lines.side >= plane.width() {
        return None;
    }
    let row = plane.row(y);
    let [left, own, right] = [x - lines.side, x, x + lines.side].map(|x| i16::from(row[x]));
    let sign = if lines.light { 1 } else { -1 };
    let contrast = (sign * (own - left)).min(sign * (own - right));
    // The lit edge of a thing has another ground on either side.
    let away = lines.side + 2;
    let [left, right] = [x.saturating_sub(away), (x + away).min(plane.width() - 1)];
    let slant = i16::from(row[left]) - i16::from(row[right]);
    (lines.least..=STROKE)
        .contains(&contrast)
        .then_some((contrast, slant))
}

fn transposed(plane: &Plane<u8>) -> Plane<u8> {
    let (width, height) = (plane.width(), plane.height());
    let mut data = vec![0; width * height];
    for (y, row) in plane.data().chunks(width).enumerate() {
        for (x, value) in row.iter().enumerate() {
            data[x * height + y] = *value;
        }
    }
    Plane::from_vec(height, width, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::support::synthetic::Random;

    /// Grain with a line of a contrast below its own, broad lines, and pairs of lines.
    fn grainy(upright: bool) -> Plane<u8> {
        let mut random = Random(4);
        let mut data = Vec::new();
        for y in 0..300 {
            for x in 0..300 {
                let (across, along) = if upright { (x, y) } else { (y, x) };
                let line = match across {
                    80 if (50..250).contains(&along) => 8.0,
                    150..158 | 220 | 226 | 232 => 30.0,
                    _ => 0.0,
                };
                data.push((120.0 + line + 3.0 * random.normal()).clamp(0.0, 255.0) as u8);
            }
        }
        Plane::from_vec(300, 300, data)
    }

    #[test]
    fn faint_lines_are_found_and_broad_ones_and_rows_of_them_are_not() {
        for upright in [true, false] {
            let mut mask = Mask::new(300, 300);
            let lines = Lines {
                side: 2,
                least: 2,
                light: true,
            };
            find(&grainy(upright), upright, lines, &mut mask);
            let at = |across: usize, along: usize| {
                if upright {
                    mask.has(across, along)
                } else {
                    mask.has(along, across)
                }
            };
            let found = (50..250).filter(|along| at(80, *along)).count();
            assert!(found > 150, "{found}");
            assert!(mask.count() < found + 25, "{} {found}", mask.count());
            let mut none = Mask::new(300, 300);
            find(&grainy(upright), !upright, lines, &mut none);
            assert!(none.is_empty());
        }
    }
}
