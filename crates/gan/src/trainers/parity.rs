//! Trainers against PyTorch: the first five steps from given weights and batches, and the penalties
//! with their gradients.
//!
//! `fixtures/tensors/training_*.safetensors` and `penalties.safetensors` are made by
//! `tools/reference_training.py`. In 64 bits losses agree within 1e-8 and weights within 1e-7; in 32
//! bits losses within 1e-3.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use fonds_core::{Result, Seed};
use fonds_nn::Act;
use fonds_nn::features::Features;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::loss::{Perceptual, PerceptualLayer, PixelLoss};
use fonds_nn::network::{Interface, Network};
use fonds_nn::testing::{references, with_second_order};
use fonds_nn::train::{Batch, Learner, Lesson, Parameters, State, Terms, Trainer, to_candle};
use fonds_nn::weights::read_safetensors;

use super::noise::Draws;
use super::{
    Adversarial, CycleGan, CycleGanSetup, Judge, Noise, NoiseSetup, NoiseSource, Penalty, Pix2Pix,
    Pix2PixSetup, SuperResolution, SuperResolutionSetup, Supervision, Translator, maker,
};
use crate::models::normalization::Normalization;
use crate::models::{cyclegan_resnet, dcgan, patchgan, pix2pix_unet, unet_discriminator};
use crate::objectives::{Objective, gradient_penalty, r1_penalty};

const STEPS: usize = 5;
const PRECISE: [DType; 2] = [DType::F64, DType::F32];

/// What PyTorch did.
struct Reference {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Reference {
    fn open(name: &str) -> Self {
        let path = references().join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (tensors, metadata) = read_safetensors(bytes).unwrap();
        let tensors = tensors.iter();
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), to_candle(tensor).unwrap()));
        Self {
            tensors: tensors.collect(),
            metadata,
        }
    }

    fn get(&self, name: &str) -> Tensor {
        let found = self.tensors.get(name);
        found.unwrap_or_else(|| panic!("no `{name}`")).clone()
    }

    fn step(&self, step: usize, name: &str) -> Tensor {
        self.get(&format!("step{step}.{name}"))
    }

    /// All tensors whose names begin so, without that.
    fn under(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let mut state = State {
            tensors: self.tensors.clone(),
            ..State::default()
        };
        state.take(prefix).tensors
    }

    fn losses(&self, dtype: DType) -> BTreeMap<String, Vec<f64>> {
        let key = match dtype {
            DType::F64 => "losses",
            _ => "losses_f32",
        };
        serde_json::from_str(&self.metadata[key]).unwrap()
    }

    fn begin(&self, parameters: &Parameters, network: &str) {
        let init = self.under(&format!("init.{network}"));
        parameters.restore(&init).unwrap();
    }

    /// Compares trained weights, in 64 bits; `ignore` is true for keys that take no part.
    fn expect(&self, parameters: &Parameters, network: &str, ignore: impl Fn(&str) -> bool) {
        let expected = self.under(&format!("final.{network}"));
        for (name, value) in parameters.state().unwrap() {
            if !ignore(&name) {
                close(&format!("{network}.{name}"), &value, &expected[&name], 1e-7);
            }
        }
    }

    /// Compares the losses of a step.
    fn expect_losses(&self, step: usize, terms: &Terms, dtype: DType) {
        let tolerance = if dtype == DType::F64 { 1e-8 } else { 1e-3 };
        for (name, values) in self.losses(dtype) {
            let found = terms.get(&name).unwrap_or_else(|| panic!("no `{name}`"));
            let error = (found - values[step]).abs() / values[step].abs().max(1.0);
            assert!(
                error < tolerance,
                "{dtype:?}, step {step}, `{name}`: {found} instead of {}",
                values[step]
            );
        }
    }
}

fn close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    let values = |tensor: &Tensor| {
        let tensor = tensor.to_dtype(DType::F64).unwrap();
        tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    for (a, b) in values(found).into_iter().zip(values(expected)) {
        assert!((a - b).abs() < tolerance, "{name}: {a} instead of {b}");
    }
}

fn lesson(rate: f64, betas: (f64, f64)) -> Lesson {
    Lesson::adam(rate, betas)
}

/// Pictures from −1 to 1 as a batch has them, from 0 to 1.
fn unit(signed: &Tensor, dtype: DType) -> Tensor {
    let unit = signed.affine(0.5, 0.5).unwrap();
    unit.to_dtype(dtype).unwrap()
}

/// Running statistics of discriminators: here they do not follow the generator's step, whose network
/// is frozen, and nothing depends on them.
fn running(name: &str) -> bool {
    name.contains("running_")
}

fn noise_setup(
    norm: dcgan::CriticNorm,
    objective: Objective,
    critic_steps: usize,
    penalty: Penalty,
    lesson: &Lesson,
) -> NoiseSetup {
    NoiseSetup {
        generator: NoiseSource::Dcgan(dcgan::GeneratorConfig {
            latent: 8,
            features: 2,
            channels: 3,
            size: 32,
            conditions: 0,
            embedding: 0,
        }),
        discriminator: Judge::Dcgan(dcgan::DiscriminatorConfig {
            features: 2,
            channels: 3,
            size: 32,
            conditions: 0,
            norm,
        }),
        objective,
        critic_steps,
        penalty,
        generator_lesson: lesson.clone(),
        discriminator_lesson: lesson.clone(),
    }
}

#[test]
fn dcgan_steps_are_those_of_pytorch() {
    let reference = Reference::open("training_dcgan");
    for dtype in PRECISE {
        let setup = noise_setup(
            dcgan::CriticNorm::Batch,
            Objective::NonSaturating,
            1,
            Penalty::None,
            &lesson(2e-3, (0.5, 0.999)),
        );
        let mut trainer = Noise::new(setup, Seed::new(1), (dtype, &Device::Cpu)).unwrap();
        let (generator, discriminator) = trainer.learners();
        reference.begin(generator.parameters(), "generator");
        reference.begin(discriminator.parameters(), "discriminator");
        for step in 0..STEPS {
            let batch = Batch::of(unit(&reference.step(step, "real"), dtype));
            let noise = reference.step(step, "noise").to_dtype(dtype).unwrap();
            let epsilon = Tensor::zeros((4, 1, 1, 1), dtype, &Device::Cpu).unwrap();
            let draws = Draws {
                critic: vec![(noise, epsilon)],
                generator: None,
            };
            let terms = trainer.step_with(&batch, &draws, step as u64).unwrap();
            reference.expect_losses(step, &terms, dtype);
        }
        if dtype == DType::F64 {
            let (generator, discriminator) = trainer.learners();
            reference.expect(generator.parameters(), "generator", |_| false);
            reference.expect(discriminator.parameters(), "discriminator", running);
        }
    }
}

#[test]
fn wgan_gp_steps_are_those_of_pytorch() {
    let name = "trainers::parity::wgan_gp_steps_are_those_of_pytorch";
    if !with_second_order(name) {
        return;
    }
    let reference = Reference::open("training_wgan_gp");
    for dtype in PRECISE {
        let setup = noise_setup(
            dcgan::CriticNorm::None,
            Objective::Wasserstein,
            2,
            Penalty::Gradient { weight: 10.0 },
            &lesson(1e-3, (0.0, 0.9)),
        );
        let mut trainer = Noise::new(setup, Seed::new(1), (dtype, &Device::Cpu)).unwrap();
        let (generator, critic) = trainer.learners();
        reference.begin(generator.parameters(), "generator");
        reference.begin(critic.parameters(), "discriminator");
        for step in 0..STEPS {
            let given = |name: &str| reference.step(step, name).to_dtype(dtype).unwrap();
            let real: Vec<Tensor> = (0..2)
                .map(|k| unit(&reference.step(step, &format!("real.{k}")), dtype))
                .collect();
            let batch = Batch::of(Tensor::cat(&real, 0).unwrap());
            let critic = (0..2).map(|k| {
                let noise = given(&format!("noise.{k}"));
                (noise, given(&format!("epsilon.{k}")))
            });
            let draws = Draws {
                critic: critic.collect(),
                generator: Some(given("noise.g")),
            };
            let terms = trainer.step_with(&batch, &draws, step as u64).unwrap();
            reference.expect_losses(step, &terms, dtype);
        }
        if dtype == DType::F64 {
            let (generator, critic) = trainer.learners();
            reference.expect(generator.parameters(), "generator", |_| false);
            reference.expect(critic.parameters(), "discriminator", |_| false);
        }
    }
}

#[test]
fn pix2pix_steps_are_those_of_pytorch() {
    let reference = Reference::open("training_pix2pix");
    let norm = Normalization::Batch(fonds_nn::layers::BatchNormMode::Train);
    for dtype in PRECISE {
        let setup = Pix2PixSetup {
            generator: Translator::Unet(pix2pix_unet::Config {
                in_channels: 3,
                out_channels: 3,
                features: 2,
                levels: 5,
                norm,
            }),
            discriminator: Judge::Patch(patchgan::Config {
                in_channels: 6,
                features: 2,
                layers: 2,
                norm,
            }),
            objective: Objective::NonSaturating,
            pixel_weight: 100.0,
            dropout: false,
            generator_lesson: lesson(2e-3, (0.5, 0.999)),
            discriminator_lesson: lesson(2e-3, (0.5, 0.999)),
        };
        let mut trainer = Pix2Pix::new(setup, Seed::new(1), (dtype, &Device::Cpu)).unwrap();
        let (generator, discriminator) = trainer.learners();
        reference.begin(generator.parameters(), "generator");
        reference.begin(discriminator.parameters(), "discriminator");
        for step in 0..STEPS {
            let picture = |name: &str| unit(&reference.step(step, name), dtype);
            let batch = Batch::pairs(picture("source"), picture("target"));
            let terms = trainer.step(&batch, step as u64).unwrap();
            reference.expect_losses(step, &terms, dtype);
        }
        if dtype == DType::F64 {
            let (generator, discriminator) = trainer.learners();
            reference.expect(generator.parameters(), "generator", |_| false);
            reference.expect(discriminator.parameters(), "discriminator", running);
        }
    }
}

#[test]
fn cyclegan_steps_are_those_of_pytorch() {
    let reference = Reference::open("training_cyclegan");
    for dtype in PRECISE {
        let setup = CycleGanSetup {
            generator: Translator::ResNet(cyclegan_resnet::Config {
                features: 2,
                blocks: 1,
                ..cyclegan_resnet::Config::six_blocks()
            }),
            discriminator: Judge::Patch(patchgan::Config {
                features: 2,
                layers: 2,
                ..patchgan::Config::picture()
            }),
            objective: Objective::LeastSquares,
            cycle_weight: 10.0,
            identity_weight: 0.5,
            pool: 0,
            generator_lesson: lesson(2e-3, (0.5, 0.999)),
            discriminator_lesson: lesson(2e-3, (0.5, 0.999)),
        };
        let mut trainer = CycleGan::new(setup, Seed::new(1), (dtype, &Device::Cpu)).unwrap();
        let networks = ["g_ab", "g_ba"];
        for (learner, name) in trainer.generators().into_iter().zip(networks) {
            reference.begin(learner.parameters(), name);
        }
        let judges = ["d_a", "d_b"];
        for (learner, name) in trainer.discriminators().into_iter().zip(judges) {
            reference.begin(learner.parameters(), name);
        }
        for step in 0..STEPS {
            let picture = |name: &str| unit(&reference.step(step, name), dtype);
            let batch = Batch::pairs(picture("a"), picture("b"));
            let terms = trainer.step(&batch, step as u64).unwrap();
            reference.expect_losses(step, &terms, dtype);
        }
        if dtype == DType::F64 {
            for (learner, name) in trainer.generators().into_iter().zip(networks) {
                reference.expect(learner.parameters(), name, |_| false);
            }
            for (learner, name) in trainer.discriminators().into_iter().zip(judges) {
                reference.expect(learner.parameters(), name, |_| false);
            }
        }
    }
}

/// `SRVGGNetCompact` with 4 features and two convolutions, ×2.
#[derive(Debug)]
struct Compact([Conv2d; 4]);

impl Compact {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("body");
        let conv = |inner, outer, index: usize| {
            let conv = Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb.pp(index))?;
            let activation = if index == 6 {
                Activation::None
            } else {
                Activation::prelu(outer, &vb.pp(index + 1))?
            };
            Ok::<_, fonds_core::Error>(conv.with_activation(activation))
        };
        Ok(Self([
            conv(3, 4, 0)?,
            conv(4, 4, 2)?,
            conv(4, 4, 4)?,
            conv(4, 12, 6)?,
        ]))
    }
}

impl Network for Compact {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for conv in &self.0 {
            y = conv.forward(&y)?;
        }
        y.pixel_shuffle(2)?.add(&x.upsample_nearest(2)?)
    }
}

/// Three convolutions whose first and last outputs count.
#[derive(Debug)]
struct Eye([Conv2d; 3]);

impl Eye {
    fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("features");
        let conv = |inner, outer, index: usize| {
            Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb.pp(index))
        };
        Ok(Self([conv(3, 4, 0)?, conv(4, 4, 2)?, conv(4, 6, 4)?]))
    }
}

impl Features for Eye {
    fn layers(&self) -> Vec<String> {
        vec!["first".to_owned(), "last".to_owned()]
    }

    fn features(&self, x: &Act, _: &[&str]) -> Result<Vec<Act>> {
        let [first, second, third] = &self.0;
        let seen = first.forward(x)?;
        let last = third.forward(&second.forward(&seen.relu()?)?.relu()?)?;
        Ok(vec![seen, last])
    }
}

fn perceptual(reference: &Reference, dtype: DType) -> Perceptual {
    let at = (dtype, &Device::Cpu);
    let how = fonds_nn::train::Initialization::PyTorch;
    let parameters = Parameters::fresh(|vb| Eye::new(&vb), how, Seed::new(1), at).unwrap();
    reference.begin(&parameters, "features");
    let eye = Eye::new(&parameters.frozen(None).unwrap()).unwrap();
    let layer = |name: &str, weight| PerceptualLayer {
        name: name.to_owned(),
        weight,
    };
    let layers = vec![layer("first", 0.1), layer("last", 1.0)];
    let absolute = PixelLoss::Absolute;
    Perceptual::new(
        std::sync::Arc::new(eye),
        |x| Ok(x.clone()),
        layers,
        absolute,
    )
}

#[test]
fn srgan_steps_are_those_of_pytorch() {
    let reference = Reference::open("training_srgan");
    for dtype in PRECISE {
        let generator = maker(|vb| Ok(Box::new(Compact::new(&vb)?) as Box<dyn Network>));
        let setup = SuperResolutionSetup {
            name: "a small generator",
            for_use: generator.clone(),
            generator,
            lesson: Lesson {
                average: Some(0.9),
                ..lesson(1e-3, (0.9, 0.99))
            },
            supervision: Supervision {
                pixels: PixelLoss::Absolute,
                pixel_weight: 1.0,
                perceptual: Some((perceptual(&reference, dtype), 1.0)),
                variation_weight: 0.0,
            },
            adversarial: Some(Adversarial {
                discriminator: Judge::Unet(unet_discriminator::Config {
                    in_channels: 3,
                    features: 2,
                }),
                objective: Objective::NonSaturating,
                weight: 0.1,
                lesson: lesson(1e-3, (0.9, 0.99)),
                begins: 0,
            }),
        };
        let mut trainer = SuperResolution::new(setup, Seed::new(1), (dtype, &Device::Cpu)).unwrap();
        trainer.begin_from(&reference.under("init.generator"));
        let judge = trainer.discriminator().unwrap();
        reference.begin(judge.parameters(), "discriminator");
        for step in 0..STEPS {
            let picture = |name: &str| reference.step(step, name).to_dtype(dtype).unwrap();
            let batch = Batch::pairs(picture("lq"), picture("gt"));
            let terms = trainer.step(&batch, step as u64).unwrap();
            reference.expect_losses(step, &terms, dtype);
        }
        if dtype == DType::F64 {
            reference.expect(trainer.generator().parameters(), "generator", |_| false);
            let judge = trainer.discriminator().unwrap();
            reference.expect(judge.parameters(), "discriminator", |_| false);
            let averages = trainer.state().unwrap().take("generator").take("average");
            for (name, value) in reference.under("final.average") {
                close(&name, &averages.tensors[&name], &value, 1e-7);
            }
        }
    }
}

impl SuperResolution {
    /// Begins with these weights, the average too.
    fn begin_from(&mut self, init: &BTreeMap<String, Tensor>) {
        let mut state = self.state().unwrap();
        for (name, value) in init {
            for part in ["weights", "average"] {
                let name = format!("generator.{part}.{name}");
                state.tensors.insert(name, value.clone());
            }
        }
        self.restore(state).unwrap();
    }
}

#[test]
fn penalties_and_their_gradients_are_those_of_pytorch() {
    let name = "trainers::parity::penalties_and_their_gradients_are_those_of_pytorch";
    if !with_second_order(name) {
        return;
    }
    let reference = Reference::open("penalties");
    let weights: BTreeMap<String, Var> = reference
        .under("weights")
        .into_iter()
        .map(|(name, value)| (name, Var::from_tensor(&value).unwrap()))
        .collect();
    let tensors = weights
        .iter()
        .map(|(n, v)| (n.clone(), v.as_tensor().clone()));
    let vb = VarBuilder::from_tensors(tensors.collect(), DType::F64, &Device::Cpu);
    let halve = ConvConfig::valid().stride(2).padding(1);
    let first = Conv2d::new(3, 4, 4, halve, vb.pp("0")).unwrap();
    let first = first.with_activation(Activation::LeakyRelu(0.2));
    let last = Conv2d::new(4, 1, 4, ConvConfig::valid(), vb.pp("2")).unwrap();
    let critic = |x: &Tensor| {
        let y = first.forward(&Act::from_tensor(x.clone())?)?;
        last.forward(&y)?.to_tensor()
    };
    let [real, fake, epsilon] =
        ["real", "fake", "epsilon"].map(|name| reference.get(&format!("input.{name}")));
    let penalties = [
        (
            "gp",
            gradient_penalty(critic, &real, &fake, &epsilon, 10.0).unwrap(),
        ),
        ("r1", r1_penalty(critic, &real, 10.0).unwrap()),
    ];
    for (name, penalty) in penalties {
        let value = reference.get(&format!("{name}.value"));
        // The slope of the activation is known in 32 bits.
        close(name, &penalty, &value.reshape(()).unwrap(), 1e-8);
        let gradients = penalty.backward().unwrap();
        for (key, expected) in reference.under(&format!("{name}.grad")) {
            match gradients.get(weights[&key].as_tensor()) {
                Some(found) => close(&format!("{name} {key}"), found, &expected, 1e-7),
                // The last bias is gone from gradients of the input.
                None => close(&key, &expected.zeros_like().unwrap(), &expected, 1e-12),
            }
        }
    }
}

#[test]
fn a_learner_that_was_saved_learns_on_the_same() {
    let make =
        maker(|vb: VarBuilder<'static>| Ok(Box::new(Compact::new(&vb)?) as Box<dyn Network>));
    let lesson = Lesson {
        average: Some(0.9),
        clip: Some(1.0),
        ..lesson(1e-3, (0.9, 0.99))
    };
    let at = (DType::F32, &Device::Cpu);
    let new = || Learner::new("generator", make.clone(), lesson.clone(), Seed::new(3), at).unwrap();
    let learn = |learner: &mut Learner<dyn Network>, step| {
        let network = learner.live().unwrap();
        let x = Tensor::arange(0_f32, 48.0, &Device::Cpu).unwrap();
        let x = x.reshape((1, 3, 4, 4)).unwrap().affine(0.02, 0.0).unwrap();
        let y = network.forward(&Act::from_tensor(x).unwrap()).unwrap();
        let loss = y.to_tensor().unwrap().sqr().unwrap().mean_all().unwrap();
        learner.learn(&mut loss.backward().unwrap(), step).unwrap();
    };
    let about = BTreeMap::new();
    let mut straight = new();
    (0..6).for_each(|step| learn(&mut straight, step));
    let mut first = new();
    (0..3).for_each(|step| learn(&mut first, step));
    let bytes = first.state().unwrap().to_bytes(&about).unwrap();
    let mut second = new();
    second.restore(State::from_bytes(bytes).unwrap().0).unwrap();
    (3..6).for_each(|step| learn(&mut second, step));
    let bytes = |learner: &Learner<dyn Network>| learner.state().unwrap().to_bytes(&about).unwrap();
    assert!(bytes(&straight) == bytes(&second), "the states differ");
}
