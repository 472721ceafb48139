//! A part of a picture around damage, as floats, and how a picture of any size is gone through in
//! such parts.

use fonds_core::{Result, Sample};
use rayon::prelude::*;

use super::mask::Mask;

/// Side of the cells whose holes are filled together.
const CELL: usize = 192;

/// The least share of a window that is known before its holes are filled, where others can be
/// filled first.
const KNOWN: f64 = 0.2;

/// Colour channels of a rectangle as planes that lie together, and what of it is unknown.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Pixels across.
    pub(super) width: usize,
    /// Pixels down.
    pub(super) height: usize,
    /// Samples of a pixel, 1 or 3.
    pub(super) channels: usize,
    /// Interleaved samples, 0 to 1.
    pub(super) values: Vec<f32>,
    /// Whether a pixel is to be filled.
    pub(super) hole: Vec<bool>,
}

impl Window {
    /// How far each pixel of the holes is from what is known, about, in pixels; 0 for what is
    /// known. Beyond the window nothing is known.
    pub(super) fn depths(&self) -> Vec<f32> {
        // The chamfer distance of Borgefors (CVGIP 34, 1986) with steps of 3 and 4.
        const FAR: u32 = 1 << 28;
        let (width, height) = (self.width, self.height);
        let far = |hole: &bool| if *hole { FAR } else { 0 };
        let mut steps: Vec<u32> = self.hole.iter().map(far).collect();
        let mut relax = |at: usize, x: usize, y: usize, back: bool| {
            if steps[at] == 0 {
                return;
            }
            let mut best = steps[at];
            let sides = [(-1, 0, 3), (-1, -1, 4), (0, -1, 3), (1, -1, 4)];
            for (dx, dy, cost) in sides {
                let (dx, dy): (isize, isize) = if back { (-dx, -dy) } else { (dx, dy) };
                let (Some(nx), Some(ny)) = (x.checked_add_signed(dx), y.checked_add_signed(dy))
                else {
                    continue;
                };
                if nx < width && ny < height {
                    best = best.min(steps[ny * width + nx] + cost);
                }
            }
            steps[at] = best;
        };
        for at in 0..width * height {
            relax(at, at % width, at / width, false);
        }
        for at in (0..width * height).rev() {
            relax(at, at % width, at / width, true);
        }
        steps.iter().map(|steps| *steps as f32 / 3.0).collect()
    }
}

/// Where a cell and its window lie.
#[derive(Debug, Clone, Copy)]
struct Cell {
    column: usize,
    row: usize,
    /// First column and row, and those behind the last ones.
    core: [usize; 4],
    window: [usize; 4],
}

/// How samples lie in a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Pixels across.
    pub(super) width: usize,
    /// Pixels down.
    pub(super) height: usize,
    /// Samples of a pixel, alpha included.
    pub(super) stride: usize,
    /// Samples of a pixel without alpha.
    pub(super) colors: usize,
}

/// Fills all pixels of a mask, window by window, each of which reaches `margin` pixels (at most
/// [`CELL`]) beyond its cell. `fill` changes the holes of a window; it gets a number of its own
/// for each cell.
///
/// Cells of one pass share no pixel that one of them writes, and passes have a fixed order: the
/// result is the same whatever the threads. Cells with next to nothing known around them wait
/// until their neighbours are filled, so holes of any size are filled from their rims, and memory
/// stays that of a window for each thread.
///
/// # Errors
/// Those of `fill`.
pub(super) fn for_each_window<T: Sample>(
    samples: &mut [T],
    form: Form,
    mask: &Mask,
    margin: usize,
    fill: impl Fn(&mut Window, u64) -> Result<()> + Sync,
) -> Result<()> {
    let mut left = mask.data().to_vec();
    let mut cells = cells(form, &left, margin);
    let mut least = KNOWN;
    while !cells.is_empty() {
        let before = cells.len();
        for pass in 0..4 {
            let of_pass = |cell: &Cell| cell.column % 2 + 2 * (cell.row % 2) == pass;
            let known = |cell: &Cell| known_share(form, &left, cell) > least;
            let (now, later): (Vec<Cell>, Vec<Cell>) =
                cells.iter().partition(|cell| of_pass(cell) && known(cell));
            cells = later;
            let made = now.par_iter().map(|cell| {
                let mut window = cut(samples, form, &left, cell);
                let number = (cell.row << 32 | cell.column) as u64;
                fill(&mut window, number)?;
                Ok(taken(&window, cell))
            });
            let made: Vec<Vec<(usize, Vec<f32>)>> = made.collect::<Result<_>>()?;
            for (cell, rows) in now.iter().zip(made) {
                for (y, row) in rows {
                    write(samples, form, &mut left, cell, y, &row);
                }
            }
        }
        if cells.len() == before {
            if least == 0.0 {
                // Nothing at all is known; there is nothing to fill from.
                break;
            }
            least = 0.0;
        } else {
            least = KNOWN;
        }
    }
    Ok(())
}

/// The cells that have something to fill.
fn cells(form: Form, left: &[u8], margin: usize) -> Vec<Cell> {
    let (columns, rows) = (form.width.div_ceil(CELL), form.height.div_ceil(CELL));
    let margin = margin.min(CELL);
    let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
    let all = all.map(|(column, row)| {
        let core = [
            column * CELL,
            row * CELL,
            form.width.min((column + 1) * CELL),
            form.height.min((row + 1) * CELL),
        ];
        let window = [
            core[0].saturating_sub(margin),
            core[1].saturating_sub(margin),
            form.width.min(core[2] + margin),
            form.height.min(core[3] + margin),
        ];
        Cell {
            column,
            row,
            core,
            window,
        }
    });
    let damaged = |cell: &Cell| {
        let [x0, y0, x1, y1] = cell.core;
        let rows = (y0..y1).map(|y| &left[y * form.width + x0..y * form.width + x1]);
        rows.flatten().any(|value| *value != 0)
    };
    all.filter(damaged).collect()
}

fn known_share(form: Form, left: &[u8], cell: &Cell) -> f64 {
    let [x0, y0, x1, y1] = cell.window;
    let rows = (y0..y1).map(|y| &left[y * form.width + x0..y * form.width + x1]);
    let known = rows.flatten().filter(|value| **value == 0).count();
    known as f64 / ((x1 - x0) * (y1 - y0)) as f64
}

fn cut<T: Sample>(samples: &[T], form: Form, left: &[u8], cell: &Cell) -> Window {
    let [x0, y0, x1, y1] = cell.window;
    let (width, height) = (x1 - x0, y1 - y0);
    let mut values = Vec::with_capacity(width * height * form.colors);
    let mut hole = Vec::with_capacity(width * height);
    for y in y0..y1 {
        let row = y * form.width;
        hole.extend(left[row + x0..row + x1].iter().map(|value| *value != 0));
        let pixels =
            samples[(row + x0) * form.stride..(row + x1) * form.stride].chunks(form.stride);
        for pixel in pixels {
            // A NaN would spread; it counts as black.
            let unit = |sample: &T| Some(sample.to_unit()).filter(|v| v.is_finite());
            values.extend(pixel[..form.colors].iter().map(|s| unit(s).unwrap_or(0.0)));
        }
    }
    Window {
        width,
        height,
        channels: form.colors,
        values,
        hole,
    }
}

/// The rows of a cell's core after the filling.
fn taken(window: &Window, cell: &Cell) -> Vec<(usize, Vec<f32>)> {
    let [x0, y0, x1, y1] = cell.core;
    let (left, top) = (cell.window[0], cell.window[1]);
    let rows = (y0..y1).filter_map(|y| {
        let row = (y - top) * window.width;
        let pixels = row + x0 - left..row + x1 - left;
        let holed = window.hole[pixels.clone()].iter().any(|hole| *hole);
        let samples = pixels.start * window.channels..pixels.end * window.channels;
        holed.then(|| (y, window.values[samples].to_vec()))
    });
    rows.collect()
}

/// Writes the holes of one row, which are holes no more.
fn write<T: Sample>(
    samples: &mut [T],
    form: Form,
    left: &mut [u8],
    cell: &Cell,
    y: usize,
    row: &[f32],
) {
    for (x, values) in (cell.core[0]..cell.core[2]).zip(row.chunks(form.colors)) {
        let at = y * form.width + x;
        if left[at] == 0 {
            continue;
        }
        left[at] = 0;
        let pixel = &mut samples[at * form.stride..][..form.colors];
        for (sample, value) in pixel.iter_mut().zip(values) {
            *sample = T::from_unit(value.clamp(0.0, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_are_about_distances() {
        let (width, height) = (31, 31);
        let far = |at: &usize| {
            let (x, y) = (*at as f32 % 31.0 - 15.0, (*at / 31) as f32 - 15.0);
            (x.trunc() * x.trunc() + y * y).sqrt()
        };
        let window = Window {
            width,
            height,
            channels: 1,
            values: vec![0.0; width * height],
            hole: (0..width * height).map(|at| far(&at) < 10.0).collect(),
        };
        let depths = window.depths();
        for (at, depth) in depths.iter().enumerate() {
            let expected = (10.0 - far(&at)).max(0.0);
            assert!((depth - expected).abs() < 1.3, "{at}: {depth}, {expected}");
        }
    }

    #[test]
    fn every_hole_is_filled_once_from_what_is_known() {
        // A picture nearly all of which is a hole: filled from the rim inwards.
        let form = Form {
            width: 900,
            height: 700,
            stride: 2,
            colors: 1,
        };
        let mut mask = Mask::new(900, 700);
        for y in 0..700 {
            for x in 0..900 {
                if x >= 20 {
                    mask.add(x, y);
                }
            }
        }
        let mut samples = vec![7_u16; 900 * 700 * 2];
        let before = samples.clone();
        for_each_window(&mut samples, form, &mask, 64, |window, _| {
            assert!(window.hole.iter().any(|hole| !hole), "a rim to fill from");
            for (value, hole) in window.values.iter_mut().zip(&window.hole) {
                if *hole {
                    *value += 1.0;
                }
            }
            Ok(())
        })
        .unwrap();
        for (at, (new, old)) in samples.iter().zip(&before).enumerate() {
            let hole = at % 2 == 0 && mask.data()[at / 2] != 0;
            assert_eq!(*new, if hole { u16::MAX } else { *old }, "{at}");
        }
    }
}
