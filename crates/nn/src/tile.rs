//! A picture cut into tiles, so that a network of any size runs on a scan of any size.
//!
//! Where the cuts are depends on the size of the picture, on the network and on the options, never
//! on free memory. A tile is read with a margin (halo) around its core. Three cases:
//!
//! - The halo covers the network's whole receptive field ([`Seams::Bounded`]): the cores are put side
//!   by side, and equal the picture computed whole but for the last bits, which on the CPU engine
//!   depend on neighbours in the same block of 4 × 4 pixels.
//! - The halo is counted in those blocks ([`Seams::Identical`]): equal to the bit, with more to compute.
//! - The receptive field is too large, or is the whole picture ([`Seams::Blended`]): margins of a fixed
//!   width; neighbours are blended along half a period of a cosine, and what remains is a measured seam
//!   error.

use std::f32::consts::PI;
use std::ops::Range;

use fonds_core::{Code, Error, Result};

use crate::trace::Geometry;

/// Bytes of activations that a tile may take when nothing else is asked for. A constant: the
/// layout must not depend on the machine.
pub const TILE_BYTES: usize = 512 << 20;

/// Receptive fields up to this many pixels are covered in full; beyond it, tiles are blended.
pub const FULL_HALO: usize = 96;

/// Pixels that blended tiles are read beyond their core on each side.
pub const OVERLAP: usize = 64;

/// The least side of a tile that must equal the whole picture to the bit.
const SMALL: usize = 36;

/// The engine computes in blocks of so many pixels.
const BLOCK: usize = 4;

/// What a user may ask of the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TileOptions {
    /// Side of a tile's core in input pixels, rounded up to what the network takes; chosen by the
    /// memory that the network needs for a pixel when absent.
    pub core: Option<usize>,
    /// Input pixels beyond the core for networks whose tiles are blended; [`OVERLAP`] when absent.
    pub overlap: Option<usize>,
    /// Tiles must equal the whole picture to the bit.
    pub exact: bool,
}

/// What becomes of the places where tiles meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seams {
    /// There are none: the picture is one tile.
    None,
    /// Equal to the whole picture but for the last bits.
    Bounded,
    /// Equal to the whole picture to the bit.
    Identical,
    /// Blended over this many input pixels.
    Blended(usize),
}

/// A rectangle of pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rect {
    /// Columns.
    pub x: Range<usize>,
    /// Rows.
    pub y: Range<usize>,
}

impl Rect {
    /// Columns.
    pub fn width(&self) -> usize {
        self.x.len()
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.y.len()
    }

    fn scaled(&self, factor: usize) -> Self {
        Self {
            x: self.x.start * factor..self.x.end * factor,
            y: self.y.start * factor..self.y.end * factor,
        }
    }
}

/// One tile, in pixels of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What it contributes to the output (blended tiles: up to the middle of the seams).
    pub core: Rect,
    /// What it reads. May end beyond the picture, where its outermost pixels are repeated.
    pub input: Rect,
}

/// How a picture is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    width: usize,
    height: usize,
    columns: Cuts,
    rows: Cuts,
    seams: Seams,
}

/// The cuts along one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cuts {
    len: usize,
    /// Where the input ends, once it is padded to what the network takes.
    padded: usize,
    core: usize,
    margin: usize,
    count: usize,
}

impl Cuts {
    fn core(&self, index: usize) -> Range<usize> {
        index * self.core..((index + 1) * self.core).min(self.len)
    }

    fn input(&self, index: usize) -> Range<usize> {
        let core = self.core(index);
        let end = core.end + self.margin;
        let end = if end >= self.len { self.padded } else { end };
        core.start.saturating_sub(self.margin)..end
    }
}

impl Layout {
    /// The layout for a picture and a network.
    ///
    /// # Errors
    /// `invalid_request` when `exact` is asked of a network that looks at the whole picture.
    pub fn new(
        (width, height): (usize, usize),
        geometry: &Geometry,
        min_side: usize,
        options: &TileOptions,
    ) -> Result<Self> {
        let step = geometry.multiple_of;
        let padded = |len: usize| len.max(min_side).next_multiple_of(step);
        let per_pixel = geometry.bytes_per_pixel.max(1.0);
        let whole = padded(width) as f64 * padded(height) as f64 * per_pixel;
        let fits = options.core.is_none() && whole <= TILE_BYTES as f64;
        let covered = geometry.halo.filter(|&halo| halo <= FULL_HALO);
        let (margin, seams, align) = match (options.exact, geometry.block_halo, covered) {
            _ if fits => (0, Seams::None, step),
            (true, Some(halo), _) => (halo, Seams::Identical, step * BLOCK),
            (true, None, _) => return Err(never_exact()),
            (false, _, Some(halo)) => (halo, Seams::Bounded, step * BLOCK),
            (false, _, None) => {
                let overlap = options.overlap.unwrap_or(OVERLAP);
                let overlap = overlap.next_multiple_of(step);
                (overlap, Seams::Blended(overlap), step)
            }
        };
        let margin = margin.next_multiple_of(align);
        let core = match options.core {
            _ if fits => usize::MAX,
            // Shorter cores would have seams on both sides that run into each other.
            Some(core) => match seams {
                Seams::Blended(overlap) => core.max(overlap + overlap / 2),
                // The engine computes very small pictures in another way.
                Seams::Identical => core.max(SMALL * step),
                _ => core.max(1),
            },
            None => core_for(TILE_BYTES as f64 / per_pixel, margin),
        };
        let cuts = |len: usize| {
            let count = len.div_ceil(core.min(len).next_multiple_of(align));
            let core = len.div_ceil(count).next_multiple_of(align);
            let count = len.div_ceil(core);
            Cuts {
                len,
                padded: padded(len),
                core,
                margin,
                count,
            }
        };
        let (columns, rows) = (cuts(width), cuts(height));
        let seams = if columns.count * rows.count == 1 {
            Seams::None
        } else {
            seams
        };
        Ok(Self {
            width,
            height,
            columns,
            rows,
            seams,
        })
    }

    /// What becomes of the places where tiles meet.
    pub fn seams(&self) -> Seams {
        self.seams
    }

    /// How many tiles there are.
    pub fn len(&self) -> usize {
        self.columns.count * self.rows.count
    }

    /// Whether there are no tiles; never, a picture has at least one pixel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        (0..self.rows.count)
            .flat_map(move |row| (0..self.columns.count).map(move |column| self.tile(column, row)))
    }

    /// Pixels of the largest tile, its margins included.
    pub fn largest(&self) -> usize {
        let side = |cuts: &Cuts| (0..cuts.count).map(|index| cuts.input(index).len()).max();
        side(&self.columns).unwrap_or(0) * side(&self.rows).unwrap_or(0)
    }

    /// Pixels of all tiles with their margins, for each pixel of the picture: what tiling costs.
    pub fn overhead(&self) -> f64 {
        let side = |cuts: &Cuts| -> usize { (0..cuts.count).map(|i| cuts.input(i).len()).sum() };
        (side(&self.columns) * side(&self.rows)) as f64 / (self.width * self.height) as f64
    }

    fn tile(&self, column: usize, row: usize) -> Tile {
        Tile {
            core: Rect {
                x: self.columns.core(column),
                y: self.rows.core(row),
            },
            input: Rect {
                x: self.columns.input(column),
                y: self.rows.input(row),
            },
        }
    }

    /// Runs all tiles in groups and puts their results together.
    ///
    /// `forward` makes of tiles the planes `[channels, rows·scale, columns·scale]` of their whole
    /// input rectangles; `write` takes finished rectangles of the output, each pixel once, planes
    /// `[channels, rows, columns]`.
    ///
    /// # Errors
    /// Those of `forward` and `write`; the first one ends it.
    pub fn run(
        &self,
        channels: usize,
        scale: usize,
        group: usize,
        mut forward: impl FnMut(&[Tile]) -> Result<Vec<Vec<f32>>>,
        mut write: impl FnMut(&Rect, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let tiles: Vec<Tile> = self.tiles().collect();
        let mut blender = match self.seams {
            Seams::Blended(overlap) => Some(Blender::new(self, overlap, channels, scale)),
            _ => None,
        };
        for group in tiles.chunks(group.max(1)) {
            let made = forward(group)?;
            for (tile, planes) in group.iter().zip(made) {
                check(&planes, channels, scale, tile)?;
                if let Some(blender) = &mut blender {
                    blender.add(tile, &planes, &mut write)?;
                } else {
                    let (rect, core) = cut(tile, &planes, channels, scale);
                    write(&rect, &core)?;
                }
            }
        }
        Ok(())
    }
}

/// The side of a core so that the tile with its margins has so many pixels, or at least as much
/// core as margin.
fn core_for(pixels: f64, margin: usize) -> usize {
    let side = pixels.sqrt() as usize;
    side.saturating_sub(2 * margin).max(2 * margin).max(64)
}

fn never_exact() -> Error {
    let message = "this network looks at the whole picture, so its tiles cannot be exact";
    Error::new(Code::InvalidRequest, message).hint("leave `exact` out")
}

/// That a tile's values are numbers of a sensible size.
fn check(planes: &[f32], channels: usize, scale: usize, tile: &Tile) -> Result<()> {
    let expected = channels * scale * scale * tile.input.width() * tile.input.height();
    let Rect { x, y } = &tile.core;
    let place = format!(
        "in the tile at columns {} to {}, rows {} to {}",
        x.start, x.end, y.start, y.end
    );
    if planes.len() != expected {
        let message = format!(
            "the network made {} values instead of {expected} {place}",
            planes.len()
        );
        return Err(Error::new(Code::OutputInvalid, message));
    }
    // A picture has values from 0 to 1; networks overshoot by tenths.
    let wild = planes
        .iter()
        .find(|value| value.is_nan() || value.abs() > 64.0);
    match wild {
        None => Ok(()),
        Some(value) => {
            let message = format!("the network ran away (to {value}) {place}");
            let error = Error::new(Code::OutputInvalid, message);
            Err(error.hint("in 16-bit floats, try `--numbers f32` or `bf16`"))
        }
    }
}

/// The core of a tile's output, and where it goes.
fn cut(tile: &Tile, planes: &[f32], channels: usize, scale: usize) -> (Rect, Vec<f32>) {
    let rect = tile.core.scaled(scale);
    let input = tile.input.scaled(scale);
    let mut core = Vec::with_capacity(channels * rect.width() * rect.height());
    for channel in 0..channels {
        for y in rect.y.clone() {
            let row = (channel * input.height() + y - input.y.start) * input.width();
            let start = row + rect.x.start - input.x.start;
            core.extend_from_slice(&planes[start..start + rect.width()]);
        }
    }
    (rect, core)
}

/// Sums up weighted tiles; the weights of a pixel add up to one.
struct Blender {
    channels: usize,
    scale: usize,
    /// Half of a seam's width, in output pixels.
    reach: usize,
    columns: Cuts,
    rows: Cuts,
    /// Output rows that are not finished: `[channels, rows, width]`, from row `start` on.
    sums: Vec<f32>,
    start: usize,
    height: usize,
}

impl Blender {
    fn new(layout: &Layout, overlap: usize, channels: usize, scale: usize) -> Self {
        // The outer half of the overlap is what the missing neighbourhood spoils most.
        let reach = (overlap / 2) * scale;
        let (columns, rows) = (layout.columns.clone(), layout.rows.clone());
        let height = (rows.core.min(rows.len)) * scale + 2 * reach;
        let width = columns.len * scale;
        Self {
            channels,
            scale,
            reach,
            columns,
            rows,
            sums: vec![0.0; channels * height * width],
            start: 0,
            height,
        }
    }

    fn add(
        &mut self,
        tile: &Tile,
        planes: &[f32],
        write: &mut impl FnMut(&Rect, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let scale = self.scale;
        let width = self.columns.len * scale;
        let across = weights(&self.columns, &tile.core.x, self.reach, scale);
        let down = weights(&self.rows, &tile.core.y, self.reach, scale);
        let input = tile.input.scaled(scale);
        for channel in 0..self.channels {
            for (y, weight) in down.clone() {
                let from = (channel * input.height() + y - input.y.start) * input.width();
                let to = (channel * self.height + y - self.start) * width;
                for (x, part) in across.clone() {
                    self.sums[to + x] += weight * part * planes[from + x - input.x.start];
                }
            }
        }
        let last_of_row = tile.core.x.end == self.columns.len;
        if last_of_row {
            let end = tile.core.y.end * scale;
            let finished = if tile.core.y.end == self.rows.len {
                end
            } else {
                end - self.reach
            };
            self.emit(finished, write)?;
        }
        Ok(())
    }

    /// Hands out the rows up to `end` and moves the rest up.
    fn emit(
        &mut self,
        end: usize,
        write: &mut impl FnMut(&Rect, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let width = self.columns.len * self.scale;
        let rows = end - self.start;
        let rect = Rect {
            x: 0..width,
            y: self.start..end,
        };
        let mut done = Vec::with_capacity(self.channels * rows * width);
        for plane in self.sums.chunks_mut(self.height * width) {
            done.extend_from_slice(&plane[..rows * width]);
            plane.copy_within(rows * width.., 0);
            let kept = (self.height - rows) * width;
            plane[kept..].fill(0.0);
        }
        self.start = end;
        write(&rect, &done)
    }
}

/// The output pixels along one axis that a tile contributes to, with its weight in each.
fn weights(
    cuts: &Cuts,
    core: &Range<usize>,
    reach: usize,
    scale: usize,
) -> impl Iterator<Item = (usize, f32)> + Clone + use<> {
    let (start, end) = (core.start * scale, core.end * scale);
    let first = core.start == 0;
    let last = core.end == cuts.len;
    let from = if first { start } else { start - reach };
    // A short last tile ends before its neighbour's seam does.
    let to = if last {
        end
    } else {
        (end + reach).min(cuts.len * scale)
    };
    // From 0 at one end of a seam to 1 at the other.
    let ramp = move |along: usize| {
        let t = (along as f32 + 0.5) / (2 * reach) as f32;
        0.5 - 0.5 * (PI * t).cos()
    };
    (from..to).map(move |at| {
        let rise = if !first && at < start + reach {
            ramp(at + reach - start)
        } else {
            1.0
        };
        let fall = if !last && at + reach >= end {
            1.0 - ramp(at + reach - end)
        } else {
            1.0
        };
        (at, rise * fall)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(halo: Option<usize>, multiple_of: usize) -> Geometry {
        Geometry {
            scale: (2, 1),
            halo,
            block_halo: halo.map(|halo| halo * 4),
            multiple_of,
            out_channels: 1,
            operations_per_pixel: 1.0,
            bytes_per_pixel: 1024.0,
        }
    }

    fn options(core: usize) -> TileOptions {
        TileOptions {
            core: Some(core),
            overlap: Some(8),
            exact: false,
        }
    }

    /// A "network" that looks nowhere: it doubles the size by repeating pixels.
    fn doubled(picture: &dyn Fn(usize, usize) -> f32, rect: &Rect) -> Vec<f32> {
        let mut planes = Vec::new();
        for y in rect.y.start * 2..rect.y.end * 2 {
            for x in rect.x.start * 2..rect.x.end * 2 {
                planes.push(picture(x / 2, y / 2));
            }
        }
        planes
    }

    #[test]
    fn every_pixel_is_written_once_and_is_right() {
        let picture = |x: usize, y: usize| (x * 31 + y * 17) as f32 % 7.0;
        let sizes = [(1, 1), (5, 3), (40, 40), (41, 67), (100, 9), (64, 128)];
        let kinds = [
            geometry(Some(3), 1),
            geometry(Some(5), 4),
            geometry(None, 1),
            geometry(None, 8),
            geometry(Some(400), 2),
        ];
        for size in sizes {
            for kind in &kinds {
                let layout = Layout::new(size, kind, 1, &options(16)).unwrap();
                let (width, height) = (size.0 * 2, size.1 * 2);
                let mut seen = vec![None; width * height];
                layout
                    .run(
                        1,
                        2,
                        3,
                        |tiles| {
                            Ok(tiles
                                .iter()
                                .map(|tile| doubled(&picture, &tile.input))
                                .collect())
                        },
                        |rect, planes| {
                            let mut values = planes.iter();
                            for y in rect.y.clone() {
                                for x in rect.x.clone() {
                                    let place = &mut seen[y * width + x];
                                    assert!(place.is_none(), "{x}, {y} twice");
                                    *place = values.next().copied();
                                }
                            }
                            Ok(())
                        },
                    )
                    .unwrap();
                for (index, value) in seen.iter().enumerate() {
                    let (x, y) = (index % width, index / width);
                    let expected = picture(x / 2, y / 2);
                    let value = value.unwrap_or(f32::NAN);
                    assert!(
                        (value - expected).abs() < 1e-5,
                        "{size:?} {kind:?} at {x}, {y}: {value}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn tiles_begin_at_blocks_and_cover_their_halo() {
        let layout = Layout::new((1000, 700), &geometry(Some(34), 1), 1, &options(256)).unwrap();
        assert_eq!(layout.seams(), Seams::Bounded);
        for tile in layout.tiles() {
            for (core, input, len) in [
                (&tile.core.x, &tile.input.x, 1000),
                (&tile.core.y, &tile.input.y, 700),
            ] {
                assert_eq!(core.start % 4, 0);
                assert_eq!(input.start % 4, 0);
                assert!(input.start == 0 || core.start - input.start >= 34);
                assert!(input.end == len || input.end - core.end >= 34);
            }
        }
    }

    #[test]
    fn tiles_are_of_equal_size() {
        let layout = Layout::new((1025, 1025), &geometry(Some(8), 1), 1, &options(512)).unwrap();
        let sides: Vec<usize> = layout.tiles().map(|tile| tile.core.width()).collect();
        // Three columns: no tile is a sliver of one pixel.
        assert!(sides.iter().all(|&side| side >= 336), "{sides:?}");
    }

    #[test]
    fn a_small_picture_is_one_tile_and_padded_to_what_the_network_takes() {
        let layout = Layout::new((30, 5), &geometry(None, 8), 16, &TileOptions::default()).unwrap();
        assert_eq!(layout.seams(), Seams::None);
        let tile = layout.tiles().next().unwrap();
        assert_eq!((tile.input.x, tile.input.y), (0..32, 0..16));
        assert_eq!((tile.core.x, tile.core.y), (0..30, 0..5));
    }

    #[test]
    fn exact_tiles_of_a_network_that_sees_everything_are_refused() {
        let options = TileOptions {
            exact: true,
            ..options(64)
        };
        let error = Layout::new((500, 500), &geometry(None, 1), 1, &options).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }

    #[test]
    fn a_tile_that_is_no_picture_is_an_error_with_its_place() {
        let layout = Layout::new((40, 40), &geometry(Some(4), 1), 1, &options(16)).unwrap();
        let mut count = 0;
        let error = layout
            .run(
                1,
                2,
                1,
                |tiles| {
                    count += 1;
                    let value = if count == 3 { f32::NAN } else { 0.5 };
                    let len = tiles[0].input.width() * tiles[0].input.height() * 4;
                    Ok(vec![vec![value; len]])
                },
                |_, _| Ok(()),
            )
            .unwrap_err();
        assert_eq!(error.code(), Code::OutputInvalid);
        assert!(
            error.message().contains("columns 32 to 40, rows 0 to 16"),
            "{error}"
        );
    }
}
