//! A network of a step: described before anything runs, built when it is needed first.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fonds_core::{Code, Error, Raster, Result};
use fonds_nn::compute::OnLanes;
use fonds_restore::tasks::Task;
use fonds_restore::zoo::{Description, Recognized};

use crate::networks::{Networks, Turn, told};
use crate::step::{ModelInfo, RunsOn, StepContext};

/// Multiplications and additions a second that the slowest machine in use does.
const SLOWEST: f64 = 2e9;

/// What so many multiplications and additions may take beyond `timeout_per_file`.
pub(crate) fn allowance(operations: f64) -> Duration {
    Duration::from_secs_f64((operations / SLOWEST).min(1e7))
}

/// A network from a file of weights.
#[derive(Debug)]
pub(crate) struct Model {
    networks: Arc<Networks>,
    description: Arc<Description>,
    info: ModelInfo,
    /// The weights, until they are built.
    recognized: Mutex<Option<Recognized>>,
    /// The network, built on each device.
    built: OnceLock<OnLanes>,
}

impl Model {
    /// The network that was recognised in a file.
    pub(crate) fn new(
        networks: &Arc<Networks>,
        file: &str,
        recognized: Recognized,
        description: Description,
    ) -> Self {
        Self {
            networks: Arc::clone(networks),
            info: info(file, &description),
            description: Arc::new(description),
            recognized: Mutex::new(Some(recognized)),
            built: OnceLock::new(),
        }
    }

    pub(crate) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    pub(crate) fn info(&self) -> &ModelInfo {
        &self.info
    }

    pub(crate) fn runs_on(&self) -> Option<RunsOn> {
        self.networks.runs_on()
    }

    /// The network, on all devices.
    ///
    /// # Errors
    /// Those of [`Networks::load`].
    pub(crate) fn network(&self) -> Result<&OnLanes> {
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

    /// Bytes that are taken once: weights, packed and plain, and the activations of a tile of a
    /// picture that is enlarged so many times.
    pub(crate) fn memory(&self, scale: usize) -> u64 {
        // Weights are kept packed for blocks of pixels, too: four times as many values.
        let weights = self.description.parameters as u64 * 4 * 5;
        weights.saturating_add(Task::memory_bound_of(&self.description, scale))
    }

    /// Allows the time that the picture takes, and waits until it may be in the network.
    pub(crate) fn turn(&self, raster: &Raster, context: &StepContext<'_>) -> Turn<'_> {
        let each = self.description.geometry.operations_per_pixel;
        context.allow(allowance(each * raster.pixels() as f64));
        self.networks.turn(context)
    }
}

fn info(file: &str, description: &Description) -> ModelInfo {
    let stem = Path::new(file).file_stem();
    let stem = stem.map_or_else(
        || file.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    );
    let unknown = || "unknown".to_owned();
    ModelInfo {
        name: description.title.clone().unwrap_or(stem),
        version: version(description),
        sha256: description.sha256.to_string(),
        licence: description.licence.clone().unwrap_or_else(unknown),
        training_data: description.training_data.clone().unwrap_or_else(unknown),
    }
}

/// The architecture with its factor: `SRVGGNetCompact ×4`.
fn version(description: &Description) -> String {
    let name = description.architecture;
    match description.scale {
        (1, 1) => name.to_owned(),
        (up, 1) => format!("{name} ×{up}"),
        (up, down) => format!("{name} ×{up}/{down}"),
    }
}
