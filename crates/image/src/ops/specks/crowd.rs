//! What lies around a place: how many details of about one strength, and whether they are writing.

use super::super::support::plane::Plane;
use super::{Bounds, quantile};

/// More levels of strength than there ever are.
pub(super) const LEVELS: usize = 8;

/// Tiles across and down of the test for a written page.
const TILES: usize = 8;

/// Strokes that a tile of a written page has at least.
const WRITTEN: u32 = 4;

/// How much the ground of a written tile varies at most, in code values.
const EVEN: f32 = 20.0;

/// Details that a cell remembers by their place: more are texture, not a line of signs.
const REMEMBERED: usize = 12;

/// How far the neighbours in a line of signs lie, in sizes of the sign.
const LINE_REACH: usize = 12;

/// One detail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// First column and row, and last ones.
    pub(super) bounds: Bounds,
    /// The strength of its core; 0 is the strongest.
    pub(super) level: usize,
    /// Whether it is too large or too thin for a speck.
    pub(super) stroke: bool,
}

impl Detail {
    /// The column and the row in its middle.
    fn middle(&self) -> (usize, usize) {
        let [left, top, right, bottom] = self.bounds;
        (left.midpoint(right), top.midpoint(bottom))
    }

    /// Its place on one axis, 0 across or 1 down.
    fn span(&self, axis: usize) -> (usize, usize) {
        (self.bounds[axis], self.bounds[axis + 2])
    }

    fn size(&self) -> usize {
        let [left, top, right, bottom] = self.bounds;
        (right - left).max(bottom - top) + 1
    }

    /// Whether another one may be a sign in the same line, where lines run along an axis: about as
    /// strong, neither too low nor too high, near, and not above or below it.
    fn is_in_line(&self, other: &Self, axis: usize, reach: usize) -> bool {
        let (low, high) = self.span(1 - axis);
        let (other_low, other_high) = other.span(1 - axis);
        let height = other_high - other_low + 1;
        let slack = self.size() / 2 + 1;
        let (from, to) = self.span(axis);
        let (other_from, other_to) = other.span(axis);
        let gap = from
            .saturating_sub(other_to)
            .max(other_from.saturating_sub(to));
        self.level.abs_diff(other.level) <= 2
            && 2 * height > high - low
            && height <= 8 * self.size()
            && other_low <= high + slack
            && low <= other_high + slack
            && (1..=reach).contains(&gap)
    }
}

/// All details of a picture, by the cells of a grid.
pub(super) struct Crowd {
    side: usize,
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    width: usize,
    height: usize,
    /// Strokes by tile.
    strokes: Vec<u32>,
}

#[derive(Debug, Clone, Default)]
struct Cell {
    /// Details of each level.
    counts: [u16; LEVELS],
    /// The first ones, which are the strongest.
    details: Vec<Detail>,
}

impl Crowd {
    /// No details yet, in cells of so many pixels.
    pub(super) fn new(width: usize, height: usize, side: usize) -> Self {
        let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
        Self {
            side,
            columns,
            rows,
            cells: vec![Cell::default(); columns * rows],
            width,
            height,
            strokes: vec![0; TILES * TILES],
        }
    }

    /// Adds a detail; stronger ones come first.
    pub(super) fn add(&mut self, detail: Detail) {
        let (x, y) = detail.middle();
        let cell = &mut self.cells[y / self.side * self.columns + x / self.side];
        let count = &mut cell.counts[detail.level];
        *count = count.saturating_add(1);
        if cell.details.len() < REMEMBERED {
            cell.details.push(detail);
        }
        if detail.stroke {
            let tile = y * TILES / self.height * TILES + x * TILES / self.width;
            self.strokes[tile] += 1;
        }
    }

    /// Details in the cells at and around a detail that are at least about as strong (itself
    /// included).
    pub(super) fn near(&self, detail: &Detail) -> usize {
        let similar = |cell: &Cell| {
            let counts = cell.counts[..LEVELS.min(detail.level + 2)].iter();
            counts.map(|count| usize::from(*count)).sum::<usize>()
        };
        self.around(detail, self.side).map(similar).sum()
    }

    /// Whether a detail stands in a line with two others, across or down: as a sign among letters
    /// or a dot among dots. `least` is the size that smaller ones are taken for.
    pub(super) fn is_sign(&self, detail: &Detail, least: usize) -> bool {
        let reach = LINE_REACH * detail.size().max(least);
        [0, 1].into_iter().any(|axis| {
            let details = self.around(detail, reach).flat_map(|cell| &cell.details);
            let in_line = details.filter(|other| detail.is_in_line(other, axis, reach));
            in_line.take(2).count() == 2
        })
    }

    /// The cells within a distance.
    fn around(&self, detail: &Detail, reach: usize) -> impl Iterator<Item = &Cell> {
        let (x, y) = detail.middle();
        let range = |place: usize, end: usize| {
            place.saturating_sub(reach) / self.side..end.min((place + reach) / self.side + 1)
        };
        let columns = range(x, self.columns);
        range(y, self.rows)
            .flat_map(move |row| self.cells[row * self.columns..][columns.clone()].iter())
    }

    /// Whether many strokes lie on an even ground in a good part of the picture: a written page.
    pub(super) fn is_page(&self, luma: &Plane<u8>) -> bool {
        let written = (0..TILES * TILES).filter(|tile| self.is_written(luma, *tile));
        written.count() * 6 >= TILES * TILES
    }

    fn is_written(&self, luma: &Plane<u8>, tile: usize) -> bool {
        if self.strokes[tile] < WRITTEN {
            return false;
        }
        let (column, row) = (tile % TILES, tile / TILES);
        let place = |part: usize, size: usize| part * size / TILES;
        let mut bins = [0_usize; 256];
        let mut area = 0;
        // Some of the rows show the ground as well as all.
        for y in (place(row, self.height)..place(row + 1, self.height)).step_by(3) {
            let columns = place(column, self.width)..place(column + 1, self.width);
            for value in &luma.row(y)[columns] {
                bins[usize::from(*value)] += 1;
                area += 1;
            }
        }
        quantile(&bins, area * 4 / 5) - quantile(&bins, area * 2 / 5) <= EVEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: usize, y: usize, size: usize) -> Detail {
        Detail {
            bounds: [x, y, x + size - 1, y + size - 1],
            level: 1,
            stroke: false,
        }
    }

    #[test]
    fn counts_what_is_near_and_about_as_strong() {
        let mut crowd = Crowd::new(400, 300, 24);
        for (i, x) in [10, 20, 40, 200].into_iter().enumerate() {
            crowd.add(Detail {
                level: i,
                ..dot(x, 100, 3)
            });
        }
        // The first cell's neighbours hold levels 0 to 1; the third is too weak for it.
        assert_eq!(crowd.near(&dot(10, 100, 3)), 3);
        assert_eq!(
            crowd.near(&Detail {
                level: 0,
                ..dot(10, 100, 3)
            }),
            2
        );
        assert_eq!(crowd.near(&dot(390, 290, 3)), 0);
    }

    #[test]
    fn signs_stand_in_lines() {
        let mut crowd = Crowd::new(400, 300, 24);
        let stop = dot(100, 112, 3);
        // Two letters to the left of a full stop, whose foot is on their line.
        for (x, y, w, h) in [(70, 103, 9, 12), (84, 103, 10, 12)] {
            assert!(!crowd.is_sign(&stop, 4));
            crowd.add(Detail {
                bounds: [x, y, x + w - 1, y + h - 1],
                stroke: true,
                level: 0,
            });
        }
        assert!(crowd.is_sign(&stop, 4));
        // Not what is above the line, weaker by far, or farther away.
        assert!(!crowd.is_sign(&dot(100, 90, 3), 4));
        assert!(!crowd.is_sign(&Detail { level: 4, ..stop }, 4));
        assert!(!crowd.is_sign(&dot(150, 112, 3), 4));
        // A scratch is no letter.
        let mut scratched = Crowd::new(400, 300, 24);
        for x in [80, 120] {
            scratched.add(Detail {
                bounds: [x, 60, x + 1, 160],
                stroke: true,
                level: 1,
            });
        }
        assert!(!scratched.is_sign(&stop, 4));
    }
}
