//! Networks of the sizes that people run, with made-up weights: work that can be timed.
//!
//! The same work is timed in other programs by `tools/bench_networks.py` and, steps of training, by
//! `tools/bench_training.py`.

use std::fmt;

use candle_core::{DType, Tensor};
use candle_nn::{VarBuilder, VarMap};
use fonds_core::{Code, Error, Result, Seed};
use fonds_gan::models::cyclegan_resnet::{self, CycleGanResNet};
use fonds_gan::models::dcgan::{self, DcganDiscriminator};
use fonds_gan::models::rrdb::{self, Rrdb};
use fonds_gan::models::unet::{self, Unet};
use fonds_gan::objectives::Objective;
use fonds_gan::trainers::{Judge, Noise, NoiseSetup, NoiseSource, Penalty};
use fonds_nn::Act;
use fonds_nn::act::Dims;
use fonds_nn::backend::Backend;
use fonds_nn::error::TensorResult;
use fonds_nn::layers::{Activation, BatchNormMode, Conv2d, ConvConfig};
use fonds_nn::load::{expected_keys, load};
use fonds_nn::network::{Interface, Network};
use fonds_nn::trace::trace;
use fonds_nn::train::{Batch, Initialization, Lesson, Trainer};
use fonds_nn::weights::{self, Tensors};

use crate::networks::srvgg::{self, Srvgg};

/// What can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workload {
    /// One convolution of 3 × 3 from 64 to 64 channels with bias and `ReLU`, on 256 × 256.
    Conv,
    /// `SRVGGNetCompact` with 64 features and 32 convolutions, ×4, on 256 × 256.
    Srvgg,
    /// `RRDBNet` with 23 blocks, ×4, on 64 × 64.
    Rrdb,
    /// The `CycleGAN` generator with nine blocks, on 256 × 256.
    CycleGan,
    /// U-Net with 64 features at the top and transposed convolutions, on 256 × 256.
    Unet,
    /// Forward, L1 and backward of an `SRVGGNetCompact` with 32 features and 16 convolutions, ×4,
    /// on 16 pictures of 32 × 32.
    SrvggStep,
    /// A whole step of DCGAN on 16 pictures: the discriminator's on real and made ones, the
    /// generator's, both with Adam; 64 features, noise of 100 values, 64 × 64.
    DcganStep,
}

impl Workload {
    /// Side of the pictures in pixels when nobody says otherwise.
    pub fn side(self) -> usize {
        match self {
            Self::Rrdb | Self::DcganStep => 64,
            Self::SrvggStep => 32,
            _ => 256,
        }
    }

    /// Gets ready to do it on a backend, with pictures of this side. The step needs candle's tensors,
    /// and takes those of the CPU where the backend is the engine.
    ///
    /// # Errors
    /// `oom` when there is no memory, `invalid_request` for a side that the network does not take.
    pub fn prepare(self, backend: &Backend, side: usize) -> Result<Prepared> {
        match self {
            Self::Conv => forward(64, backend, side, One::new),
            Self::Srvgg => {
                let config = srvgg::Config::general_x4();
                forward(3, backend, side, |vb| Srvgg::new(&config, vb))
            }
            Self::Rrdb => {
                let config = rrdb::Config::x4();
                forward(3, backend, side, |vb| Rrdb::new(&config, vb))
            }
            Self::CycleGan => {
                let config = cyclegan_resnet::Config::nine_blocks();
                forward(3, backend, side, |vb| CycleGanResNet::new(&config, vb))
            }
            Self::Unet => {
                let config = unet::Config::rgb(3);
                forward(3, backend, side, |vb| Unet::new(&config, vb))
            }
            Self::SrvggStep => srvgg_step(backend, side),
            Self::DcganStep => dcgan_step(backend, side),
        }
    }
}

/// Work that is ready to be done.
pub struct Prepared {
    once: Box<dyn FnMut() -> Result<()>>,
    operations: f64,
}

impl Prepared {
    /// Does it once.
    ///
    /// # Errors
    /// Those of the forward.
    pub fn run(&mut self) -> Result<()> {
        (self.once)()
    }

    /// Multiplications and additions of all convolutions, whatever the algorithm makes of them; a
    /// training step counts as three forwards.
    pub fn operations(&self) -> f64 {
        self.operations
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} operations)", self.operations)
    }
}

/// Weights of a sensible size: uniform with the deviation that keeps activations as large as they
/// are; scales of normalisations are one and variances positive.
fn made_up(keys: &[(String, Vec<usize>)]) -> Result<Tensors> {
    let mut numbers = Numbers(0x9e37_79b9);
    let mut tensors = Tensors::new();
    for (key, shape) in keys {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = if shape.len() == 4 {
            let inputs: usize = shape[1..].iter().product();
            let reach = (3.0 / inputs as f32).sqrt();
            (0..count).map(|_| numbers.next() * reach).collect()
        } else if key.ends_with("running_var") || key.ends_with("weight") {
            (0..count)
                .map(|_| 0.6 + 0.4 * numbers.next().abs())
                .collect()
        } else {
            (0..count).map(|_| numbers.next() * 0.1).collect()
        };
        tensors.insert(key.as_str(), weights::Tensor::from_f32(shape, &values)?);
    }
    Ok(tensors)
}

/// Numbers from −1 to 1, the same in every run (xorshift).
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The forward of a network on one picture.
fn forward<N: Network + 'static>(
    channels: usize,
    backend: &Backend,
    side: usize,
    make: impl Fn(VarBuilder<'_>) -> Result<N>,
) -> Result<Prepared> {
    let tensors = made_up(&expected_keys(&make)?)?;
    let network = load("the network", &tensors, backend, |_| false, make)?;
    let geometry = trace(channels, |x| network.forward(x))?;
    if !side.is_multiple_of(geometry.multiple_of) {
        let message = format!(
            "a side of {side} is no multiple of {}",
            geometry.multiple_of
        );
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let dims = Dims {
        batch: 1,
        channels,
        height: side,
        width: side,
    };
    let mut numbers = Numbers(7);
    let values: Vec<f32> = (0..channels * side * side)
        .map(|_| numbers.next().abs())
        .collect();
    let x = backend.import(dims, &values)?;
    let device = backend.device().clone();
    Ok(Prepared {
        once: Box::new(move || {
            let made = network.forward(&x)?;
            // A GPU is only asked to begin; the CPU is done.
            device.synchronize().in_network()?;
            drop(made);
            Ok(())
        }),
        operations: geometry.operations_per_pixel * (side * side) as f64,
    })
}

/// One convolution.
#[derive(Debug)]
struct One(Conv2d);

impl One {
    fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let conv = Conv2d::new(64, 64, 3, ConvConfig::same(3), vb)?;
        Ok(Self(conv.with_activation(Activation::Relu)))
    }
}

impl Network for One {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.0.forward(x)
    }
}

/// A training step without an optimiser.
fn srvgg_step(backend: &Backend, side: usize) -> Result<Prepared> {
    const PICTURES: usize = 16;
    let tensors = Backend::cpu_tensors();
    let backend = match backend {
        Backend::Engine(_) => &tensors,
        Backend::Tensors { .. } => backend,
    };
    let device = backend.device().clone();
    let config = srvgg::Config {
        features: 32,
        convolutions: 16,
        ..srvgg::Config::general_x4()
    };
    let variables = VarMap::new();
    let network = Srvgg::new(
        &config,
        VarBuilder::from_varmap(&variables, DType::F32, &device),
    )?;
    let geometry = trace(3, |x| network.forward(x))?;
    let random = |side| Tensor::rand(0_f32, 1.0, (PICTURES, 3, side, side), &device).in_network();
    let (low, high) = (random(side)?, random(4 * side)?);
    Ok(Prepared {
        once: Box::new(move || {
            let made = network
                .forward(&Act::from_tensor(low.clone())?)?
                .to_tensor()?;
            let loss = made
                .sub(&high)
                .and_then(|difference| difference.abs())
                .and_then(|difference| difference.mean_all())
                .in_network()?;
            let gradients = loss.backward().in_network()?;
            // The variables live as long as the step, so that their gradients are really made.
            let missing = variables
                .all_vars()
                .iter()
                .filter(|variable| gradients.get(variable).is_none())
                .count();
            if missing > 0 {
                let message = format!("{missing} weights got no gradient");
                return Err(Error::new(Code::Internal, message));
            }
            Ok(())
        }),
        operations: 3.0 * geometry.operations_per_pixel * (PICTURES * side * side) as f64,
    })
}

/// A training step of two networks that compete.
fn dcgan_step(backend: &Backend, side: usize) -> Result<Prepared> {
    const PICTURES: usize = 16;
    let generator = dcgan::GeneratorConfig {
        size: side,
        ..dcgan::GeneratorConfig::size_64()
    };
    let discriminator = dcgan::DiscriminatorConfig {
        size: side,
        ..dcgan::DiscriminatorConfig::size_64()
    };
    // The convolutions of a generator are those of its discriminator the other way round.
    let keys =
        expected_keys(|vb| DcganDiscriminator::new(&discriminator, BatchNormMode::Train, vb))?;
    let kernels = keys.iter().filter(|(_, shape)| shape.len() == 4);
    let operations = kernels.enumerate().map(|(layer, (_, shape))| {
        let outputs = (side >> (layer + 1)).pow(2) / if shape[0] == 1 { 4 } else { 1 };
        2.0 * shape.iter().product::<usize>() as f64 * outputs.max(1) as f64
    });
    let forward: f64 = operations.sum();
    let lesson = Lesson {
        initialization: Initialization::Normal { deviation: 0.02 },
        ..Lesson::adam(2e-4, (0.5, 0.999))
    };
    let setup = NoiseSetup {
        generator: NoiseSource::Dcgan(generator),
        discriminator: Judge::Dcgan(discriminator),
        objective: Objective::NonSaturating,
        critic_steps: 1,
        penalty: Penalty::None,
        generator_lesson: lesson.clone(),
        discriminator_lesson: lesson,
    };
    let device = backend.device().clone();
    let mut trainer = Noise::new(setup, Seed::new(1), (DType::F32, &device))?;
    let real = Tensor::rand(0_f32, 1.0, (PICTURES, 3, side, side), &device).in_network()?;
    let batch = Batch::of(real);
    let mut step = 0;
    Ok(Prepared {
        once: Box::new(move || {
            trainer.step(&batch, step)?;
            step += 1;
            Ok(())
        }),
        // The discriminator goes forward and back over real and made pictures (6), forward and back
        // to the picture for the generator (2), which goes forward and back itself (3).
        operations: 11.0 * forward * PICTURES as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::engine::{Engine, Kernel};

    #[test]
    fn each_can_be_done() {
        let engine = Backend::Engine(Engine::new(Kernel::detect()));
        for (workload, side) in [
            (Workload::Conv, 20),
            (Workload::Srvgg, 12),
            (Workload::Rrdb, 8),
            (Workload::CycleGan, 16),
            (Workload::Unet, 16),
            (Workload::SrvggStep, 4),
            (Workload::DcganStep, 16),
        ] {
            let mut prepared = workload.prepare(&engine, side).unwrap();
            prepared.run().unwrap();
            assert!(prepared.operations() > 1e6, "{workload:?}");
        }
    }

    #[test]
    fn work_is_counted_as_papers_do() {
        let engine = Backend::Engine(Engine::new(Kernel::Portable));
        let conv = Workload::Conv.prepare(&engine, 32).unwrap();
        assert_eq!(conv.operations(), 2.0 * 9.0 * 64.0 * 64.0 * 32.0 * 32.0);
    }
}
