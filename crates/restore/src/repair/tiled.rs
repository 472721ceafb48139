//! A network for RGB of one size, and the tiles that it works in.

use fonds_core::Result;
use fonds_nn::compute::OnLanes;
use fonds_nn::network::{Colors, Extra, Interface};
use fonds_nn::tile::{Layout, TileOptions};
use fonds_nn::trace::Geometry;

use crate::zoo::Description;

/// A network at work on whole pictures.
#[derive(Debug)]
pub(super) struct Tiled {
    pub(super) network: OnLanes,
    pub(super) interface: Interface,
    geometry: Geometry,
    tiles: TileOptions,
}

impl Tiled {
    pub(super) fn new(network: OnLanes, description: &Description, tiles: TileOptions) -> Self {
        Self {
            network,
            interface: description.interface,
            geometry: description.geometry,
            tiles,
        }
    }

    /// The tiles of a picture of this width and height.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub(super) fn layout(&self, size: (usize, usize)) -> Result<Layout> {
        Layout::new(size, &self.geometry, self.interface.min_side, &self.tiles)
    }
}

/// Whether a network makes so many channels, at the same size, of RGB and this beside it.
pub(super) fn makes(description: &Description, extra: Extra, channels: usize) -> bool {
    let Description {
        interface,
        geometry,
        ..
    } = description;
    interface.colors == Colors::Rgb
        && interface.extra == extra
        && (geometry.out_channels, geometry.scale) == (channels, (1, 1))
}
