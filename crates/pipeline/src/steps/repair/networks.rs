//! The networks of a repair: one that finds damage, one that fills it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fonds_core::{Code, Error, Outcome, Raster, Result};
use fonds_image::ops::repair::Mask;
use fonds_nn::compute::OnLanes;
use fonds_restore::repair::{Detector, Filler};
use fonds_restore::tasks::Task;
use fonds_restore::zoo::{Description, Options, Recognized};

use crate::networks::{Networks, told};
use crate::step::{ModelInfo, RunsOn, StepContext};
use crate::steps::Context;
use crate::steps::network::{SLOWEST, info, tiles};

/// A network from a file of weights, built when it is needed first.
#[derive(Debug)]
pub(super) struct Net {
    networks: Arc<Networks>,
    description: Description,
    info: ModelInfo,
    tile: Option<u32>,
    /// The weights, until they are built.
    recognized: Mutex<Option<Recognized>>,
    built: OnceLock<OnLanes>,
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
        let networks = Arc::clone(&context.networks);
        let recognized = networks.recognize(file, None, &Options::default())?;
        let description = recognized.description();
        let description = description.map_err(|error| told(error, file))?;
        check(&description)?;
        Ok(Self {
            networks,
            info: info(file, &description),
            description,
            tile,
            recognized: Mutex::new(Some(recognized)),
            built: OnceLock::new(),
        })
    }

    pub(super) fn info(&self) -> &ModelInfo {
        &self.info
    }

    pub(super) fn runs_on(&self) -> Option<RunsOn> {
        self.networks.runs_on()
    }

    /// Bytes that are taken once: weights, packed and plain, and the activations of a tile.
    pub(super) fn memory(&self) -> u64 {
        let weights = self.description.parameters as u64 * 4 * 5;
        weights.saturating_add(Task::memory_bound_of(&self.description, 1))
    }

    pub(super) fn prepare(&self) -> Result<()> {
        self.network().map(drop)
    }

    fn network(&self) -> Result<&OnLanes> {
        if let Some(network) = self.built.get() {
            return Ok(network);
        }
        let mut weights = self
            .recognized
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have built it meanwhile; then the weights are gone.
        if let Some(recognized) = &*weights {
            let network = self.networks.load(recognized);
            let network = network.map_err(|error| told(error, &self.info.name))?;
            *weights = None;
            return Ok(self.built.get_or_init(|| network));
        }
        let lost = || Error::new(Code::Internal, "a network was lost while it was built");
        self.built.get().ok_or_else(lost)
    }

    pub(super) fn find(
        &self,
        raster: &Raster,
        sensitivity: f64,
        context: &StepContext<'_>,
    ) -> Result<Mask> {
        let tiles = tiles(self.tile, None, false);
        let detector = Detector::new(self.network()?.clone(), &self.description, tiles)?;
        self.allow(raster, context);
        let _turn = self.networks.turn(context);
        detector.find(raster, sensitivity)
    }

    pub(super) fn fill(
        &self,
        raster: Raster,
        mask: &Mask,
        max_share: f64,
        context: &StepContext<'_>,
    ) -> Result<Outcome> {
        let tiles = tiles(self.tile, None, false);
        let filler = Filler::new(self.network()?.clone(), &self.description, tiles)?;
        self.allow(&raster, context);
        let _turn = self.networks.turn(context);
        filler.apply(raster, mask, max_share)
    }

    fn allow(&self, raster: &Raster, context: &StepContext<'_>) {
        let work = self.description.geometry.operations_per_pixel * raster.pixels() as f64;
        context.allow(Duration::from_secs_f64((work / SLOWEST).min(1e7)));
    }
}
