//! LPIPS from the files of its network and its heads.

use std::path::Path;

use fonds_core::{Code, Error, Result};
use fonds_nn::act::Dims;
use fonds_nn::engine::Engine;
use fonds_nn::metrics::Lpips;
use fonds_nn::weights::Checkpoint;
use fonds_nn::{Act, Backend, gradient};

/// How different two pictures look.
#[derive(Debug)]
pub(crate) struct Perception {
    metric: Lpips,
    backend: Backend,
}

impl Perception {
    /// The metric, when its heads are given.
    ///
    /// # Errors
    /// `invalid_request` when the network is missing, `model_error` for weights, and what is wrong
    /// with the files.
    pub(crate) fn open(network: Option<&Path>, heads: Option<&Path>) -> Result<Option<Self>> {
        let Some(heads) = heads else {
            return Ok(None);
        };
        let Some(network) = network else {
            let message = "LPIPS was asked for without the network that it compares by";
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give SqueezeNet 1.1 by --features"));
        };
        let backend = Backend::Engine(Engine::new(gradient::engine().kernel()));
        let of_network = Checkpoint::read(network)?;
        let of_heads = Checkpoint::read(heads)?;
        let metric = Lpips::load(&of_network.tensors, &of_heads.tensors, &backend)
            .map_err(|error| error.at_path(network))?;
        Ok(Some(Self { metric, backend }))
    }

    /// The distance of two pictures of one size, planes of red, green and blue from 0 to 1.
    ///
    /// # Errors
    /// `internal` when sizes differ, `oom` when there is no memory.
    pub(crate) fn distance(
        &self,
        (width, height): (usize, usize),
        one: &[f32],
        other: &[f32],
    ) -> Result<f64> {
        let act = |values: &[f32]| -> Result<Act> {
            let dims = Dims {
                batch: 1,
                channels: 3,
                height,
                width,
            };
            let signed: Vec<f32> = values.iter().map(|value| value * 2.0 - 1.0).collect();
            self.backend.import(dims, &signed)
        };
        Ok(self.metric.distance(&act(one)?, &act(other)?)?[0])
    }
}
