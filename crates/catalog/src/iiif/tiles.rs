//! The geometry of a picture's tiles: IIIF Image API 3, level 0, where every file that can be asked
//! for is there.

/// The sizes and tiles of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pyramid {
    width: u32,
    height: u32,
    tile: u32,
}

/// The picture at one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// By how much it is smaller: 1, 2, 4, …
    pub factor: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// A tile of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Its path below the picture's folder.
    pub path: String,
    /// Where it lies in the level: left, top, width and height in pixels of the level.
    pub area: [u32; 4],
}

impl Pyramid {
    /// The pyramid of a picture with tiles of so many pixels; all three are at least 1.
    pub fn new(width: u32, height: u32, tile: u32) -> Self {
        Self {
            width: width.max(1),
            height: height.max(1),
            tile: tile.max(1),
        }
    }

    /// The levels from the whole size down to the first that fits into one tile.
    pub fn levels(self) -> impl Iterator<Item = Level> {
        let largest = self.width.max(self.height);
        let mut next = Some(1_u32);
        std::iter::from_fn(move || {
            let factor = next?;
            let more = largest.div_ceil(factor) > self.tile;
            next = factor.checked_mul(2).filter(|_| more);
            Some(Level {
                factor,
                width: self.width.div_ceil(factor),
                height: self.height.div_ceil(factor),
            })
        })
    }

    /// The level that fits into one tile.
    pub fn smallest(self) -> Level {
        let whole = Level {
            factor: 1,
            width: self.width,
            height: self.height,
        };
        self.levels().last().unwrap_or(whole)
    }

    /// The tiles of a level, row by row. The region in their names is in pixels of the whole size.
    pub fn tiles(self, level: Level) -> impl Iterator<Item = Tile> {
        let step = self.tile as usize;
        let rows = (0..level.height).step_by(step);
        rows.flat_map(move |top| {
            let columns = (0..level.width).step_by(step);
            columns.map(move |left| self.tile(level, left, top))
        })
    }

    fn tile(self, level: Level, left: u32, top: u32) -> Tile {
        let width = self.tile.min(level.width - left);
        let height = self.tile.min(level.height - top);
        let (x, y) = (left * level.factor, top * level.factor);
        let region_width = (width * level.factor).min(self.width - x);
        let region_height = (height * level.factor).min(self.height - y);
        Tile {
            path: format!("{x},{y},{region_width},{region_height}/{width},{height}/0/default.jpg"),
            area: [left, top, width, height],
        }
    }
}

impl Level {
    /// The path of the whole picture at this size.
    pub fn full_path(self) -> String {
        format!("full/{},{}/0/default.jpg", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_picture_of_two_levels() {
        let pyramid = Pyramid::new(300, 200, 256);
        let levels: Vec<_> = pyramid.levels().collect();
        assert_eq!(levels.len(), 2);
        assert_eq!(
            (levels[1].factor, levels[1].width, levels[1].height),
            (2, 150, 100)
        );
        let paths: Vec<_> = pyramid.tiles(levels[0]).map(|tile| tile.path).collect();
        assert_eq!(
            paths,
            [
                "0,0,256,200/256,200/0/default.jpg",
                "256,0,44,200/44,200/0/default.jpg",
            ]
        );
        let paths: Vec<_> = pyramid.tiles(levels[1]).map(|tile| tile.path).collect();
        assert_eq!(paths, ["0,0,300,200/150,100/0/default.jpg"]);
        assert_eq!(pyramid.smallest().full_path(), "full/150,100/0/default.jpg");
    }

    proptest! {
        /// The regions of a level cover the picture once, and the size in each name is the one that
        /// Image API 3 (implementation notes, section 3) computes.
        #[test]
        fn tiles_cover_the_picture(width in 1_u32..3000, height in 1_u32..3000, tile in 1_u32..600) {
            prop_assume!(u64::from(width) * u64::from(height) / u64::from(tile * tile) < 20_000);
            let pyramid = Pyramid::new(width, height, tile);
            for level in pyramid.levels() {
                let (mut area, mut pixels) = (0_u64, 0_u64);
                for found in pyramid.tiles(level) {
                    let (region, rest) = found.path.split_once('/').unwrap();
                    let region: Vec<u32> = region.split(',').map(|n| n.parse().unwrap()).collect();
                    let size = rest.split_once('/').unwrap().0;
                    let size: Vec<u32> = size.split(',').map(|n| n.parse().unwrap()).collect();
                    let [x, y, w, h] = region[..] else { unreachable!() };
                    let s = level.factor;
                    // From the client's side: tile column n starts at n * tile * s.
                    prop_assert_eq!(w, (tile * s).min(width - x));
                    prop_assert_eq!(h, (tile * s).min(height - y));
                    prop_assert_eq!(size, vec![w.div_ceil(s), h.div_ceil(s)]);
                    area += u64::from(w) * u64::from(h);
                    pixels += u64::from(found.area[2]) * u64::from(found.area[3]);
                }
                prop_assert_eq!(area, u64::from(width) * u64::from(height));
                prop_assert_eq!(pixels, u64::from(level.width) * u64::from(level.height));
            }
            let smallest = pyramid.smallest();
            prop_assert!(smallest.width <= tile && smallest.height <= tile);
        }
    }
}
