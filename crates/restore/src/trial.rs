//! Networks with made-up weights on every backend of the CPU, for the tests of each file.

use fonds_core::Result;
use fonds_nn::act::Dims;
use fonds_nn::backend::Backend;
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::network::Network;
use fonds_nn::testing::formula;
use fonds_nn::trace::{Geometry, trace};
use fonds_nn::weights::{Tensor, Tensors};
use fonds_nn::{VarBuilder, load};

/// A network on each backend, all with the same weights.
pub(crate) struct Trial {
    /// The weights.
    pub(crate) tensors: Tensors,
    networks: Vec<(Backend, Box<dyn Network>)>,
}

impl Trial {
    /// A network with weights by formula, on each backend.
    pub(crate) fn new<N: Network + 'static>(
        make: impl Fn(VarBuilder<'static>) -> Result<N>,
    ) -> Self {
        let tensors: Tensors = load::expected_keys(&make)
            .unwrap()
            .into_iter()
            .map(|(key, shape)| {
                let count = shape.iter().product();
                // A variance or a slope is positive; a kernel keeps the size of what it is given.
                let (lo, hi) = if shape.len() == 1 {
                    (0.1, 0.6)
                } else {
                    let fan = count / shape[0];
                    let bound = (4.0 / fan as f64).sqrt();
                    (-bound, bound)
                };
                let values = formula(&key, count, lo, hi);
                (key, Tensor::from_f32(&shape, &values).unwrap())
            })
            .collect();
        let networks = backends()
            .into_iter()
            .map(|backend| {
                let network = load::load("the trial", &tensors, &backend, |_| false, &make);
                let network: Box<dyn Network> = Box::new(network.unwrap());
                (backend, network)
            })
            .collect();
        Self { tensors, networks }
    }

    /// The size of the output for an input of this size, the same on all backends.
    pub(crate) fn output(&self, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        let dims = Dims {
            batch,
            channels,
            height,
            width,
        };
        let sizes: Vec<[usize; 4]> = self
            .networks
            .iter()
            .map(|(backend, network)| run(backend, &**network, dims, 0).1)
            .collect();
        assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
        sizes[0]
    }

    /// That each picture of a batch comes out as it does alone, and the same on all backends.
    pub(crate) fn a_batch_equals_its_pictures(&self, [batch, channels, height, width]: [usize; 4]) {
        let dims = Dims {
            batch,
            channels,
            height,
            width,
        };
        let mut first: Option<Vec<f32>> = None;
        for (backend, network) in &self.networks {
            let (all, _) = run(backend, &**network, dims, 0);
            let one = Dims { batch: 1, ..dims };
            let alone: Vec<f32> = (0..batch)
                .flat_map(|n| run(backend, &**network, one, n).0)
                .collect();
            assert_eq!(all.len(), alone.len(), "{backend}");
            assert!(all.iter().all(|value| value.is_finite()), "{backend}");
            let range = spread(&all);
            assert!(range > 1e-3, "{backend}: the output is flat ({range})");
            // The engine promises equality; candle's multiplication may sum in another order.
            let bound = match backend {
                Backend::Engine(_) => 0.0,
                Backend::Tensors { .. } => 1e-5 * range,
            };
            let apart = farthest(&all, &alone);
            assert!(apart <= bound, "{backend}: {apart} of {range}");
            let expected = first.get_or_insert_with(|| all.clone());
            let apart = farthest(&all, expected);
            assert!(
                apart <= 1e-4 * range,
                "{backend} and the first: {apart} of {range}"
            );
        }
    }
}

/// What the trace of a network shows; its weights are never made.
pub(crate) fn geometry<N: Network>(make: impl Fn(VarBuilder<'static>) -> Result<N>) -> Geometry {
    let mut found = None;
    load::expected_keys(|vb| {
        let network = make(vb)?;
        let channels = network.interface().in_channels();
        found = Some(trace(channels, |x| network.forward(x))?);
        Ok(())
    })
    .unwrap();
    found.unwrap()
}

/// The engine on the slowest and on the fastest kernel that this machine has, and candle.
pub(crate) fn backends() -> Vec<Backend> {
    let mut chosen = vec![Kernel::Portable, Kernel::detect()];
    chosen.dedup();
    chosen
        .into_iter()
        .map(|kernel| Backend::Engine(Engine::new(kernel)))
        .chain([Backend::cpu_tensors()])
        .collect()
}

/// Pictures of a batch, from number `first` of the whole batch on, through a network.
fn run(
    backend: &Backend,
    network: &dyn Network,
    dims: Dims,
    first: usize,
) -> (Vec<f32>, [usize; 4]) {
    let one = dims.channels * dims.height * dims.width;
    let (lo, hi) = network.interface().input.from_unit();
    let pixels = formula(
        "input",
        (first + dims.batch) * one,
        f64::from(hi),
        f64::from(lo + hi),
    );
    let x = backend.import(dims, &pixels[first * one..]).unwrap();
    let y = network.forward(&x).unwrap();
    let made = y.dims();
    (
        y.to_vec().unwrap(),
        [made.batch, made.channels, made.height, made.width],
    )
}

fn spread(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::MIN, f32::max);
    largest - values.iter().copied().fold(f32::MAX, f32::min)
}

fn farthest(one: &[f32], other: &[f32]) -> f32 {
    one.iter()
        .zip(other)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}
