//! How many details of about one strength lie around a place, and whether they are writing.

use super::super::support::plane::Plane;
use super::quantile;

/// Tiles across and down of the test for writing.
const TILES: usize = 8;

/// Strokes that a tile of a written page has at least.
const WRITTEN: u32 = 4;

/// How much the ground of a written tile varies at most, in code values.
const EVEN: f32 = 20.0;

/// Counts of details by cells of a grid.
pub(super) struct Crowd {
    side: usize,
    columns: usize,
    rows: usize,
    /// Details of each level for each cell; the strongest level is 0.
    counts: Vec<[u16; LEVELS]>,
    width: usize,
    height: usize,
    /// Strokes by tile and level.
    strokes: Vec<[u32; LEVELS]>,
}

/// More levels than there ever are.
pub(super) const LEVELS: usize = 8;

impl Crowd {
    /// No details yet, in cells of so many pixels.
    pub(super) fn new(width: usize, height: usize, side: usize) -> Self {
        let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
        Self {
            side,
            columns,
            rows,
            counts: vec![[0; LEVELS]; columns * rows],
            width,
            height,
            strokes: vec![[0; LEVELS]; TILES * TILES],
        }
    }

    /// Counts a detail.
    pub(super) fn add(&mut self, (x, y): (usize, usize), level: usize, stroke: bool) {
        let cell = y / self.side * self.columns + x / self.side;
        let count = &mut self.counts[cell][level];
        *count = count.saturating_add(1);
        if stroke {
            let tile = y * TILES / self.height * TILES + x * TILES / self.width;
            self.strokes[tile][level] += 1;
        }
    }

    /// Details in the cells at and around a place that are at least about as strong (itself
    /// included).
    pub(super) fn near(&self, (x, y): (usize, usize), level: usize) -> usize {
        let (column, row) = (x / self.side, y / self.side);
        let mut near = 0;
        for row in row.saturating_sub(1)..self.rows.min(row + 2) {
            for column in column.saturating_sub(1)..self.columns.min(column + 2) {
                let counts = &self.counts[row * self.columns + column];
                let similar = counts[..LEVELS.min(level + 2)].iter();
                near += similar.map(|count| usize::from(*count)).sum::<usize>();
            }
        }
        near
    }

    /// Whether many strokes lie on an even ground in a good part of the picture.
    pub(super) fn is_writing(&self, luma: &Plane<u8>) -> bool {
        let written = (0..TILES * TILES).filter(|tile| self.is_written(luma, *tile));
        written.count() * 6 >= TILES * TILES
    }

    fn is_written(&self, luma: &Plane<u8>, tile: usize) -> bool {
        let strokes: u32 = self.strokes[tile].iter().sum();
        if strokes < WRITTEN {
            return false;
        }
        let (column, row) = (tile % TILES, tile / TILES);
        let place = |part: usize, size: usize| part * size / TILES;
        let mut bins = [0_usize; 256];
        let mut area = 0;
        for y in (place(row, self.height)..place(row + 1, self.height)).step_by(3) {
            let from = place(column, self.width);
            for value in &luma.row(y)[from..place(column + 1, self.width)] {
                bins[usize::from(*value)] += 1;
                area += 1;
            }
        }
        quantile(&bins, area * 4 / 5) - quantile(&bins, area * 2 / 5) <= EVEN
    }
}
