//! The networks of a repair: one that finds damage, one that fills it.

use fonds_core::{Outcome, Raster, Result};
use fonds_image::ops::repair::Mask;
use fonds_restore::repair::{Detector, Filler};
use fonds_restore::zoo::{Description, Options};

use crate::model::Model;
use crate::networks::told;
use crate::step::StepContext;
use crate::steps::Context;
use crate::steps::network::tiles;

/// A network of one of both kinds, and the tiles that it works in.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) model: Model,
    tile: Option<u32>,
}

impl Net {
    /// A network that finds damage.
    pub(super) fn detector(
        context: &Context,
        file: Option<&str>,
        tile: Option<u32>,
    ) -> Result<Self> {
        Self::open(context, file.unwrap_or_default(), tile, Detector::check)
    }

    /// A network that fills.
    pub(super) fn filler(context: &Context, file: Option<&str>, tile: Option<u32>) -> Result<Self> {
        Self::open(context, file.unwrap_or_default(), tile, Filler::check)
    }

    fn open(
        context: &Context,
        file: &str,
        tile: Option<u32>,
        check: fn(&Description) -> Result<()>,
    ) -> Result<Self> {
        let networks = &context.networks;
        let recognized = networks.recognize(file, None, &Options::default())?;
        let description = recognized.description();
        let description = description.map_err(|error| told(error, file))?;
        check(&description)?;
        Ok(Self {
            model: Model::new(networks, file, recognized, description),
            tile,
        })
    }

    pub(super) fn find(
        &self,
        raster: &Raster,
        sensitivity: f64,
        context: &StepContext<'_>,
    ) -> Result<Mask> {
        let network = self.model.network()?.clone();
        let tiles = tiles(self.tile, None, false);
        let detector = Detector::new(network, self.model.description(), tiles)?;
        let _turn = self.model.turn(raster, context);
        detector.find(raster, sensitivity)
    }

    pub(super) fn fill(
        &self,
        raster: Raster,
        mask: &Mask,
        max_share: f64,
        context: &StepContext<'_>,
    ) -> Result<Outcome> {
        let network = self.model.network()?.clone();
        let tiles = tiles(self.tile, None, false);
        let filler = Filler::new(network, self.model.description(), tiles)?;
        let _turn = self.model.turn(&raster, context);
        filler.apply(raster, mask, max_share)
    }
}
