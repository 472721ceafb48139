//! Generators from noise and discriminators: shapes, recognition, and the engine against tensors.

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Result, Seed};
use fonds_nn::backend::Backend;
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::train::{Chance, Initialization, Parameters, to_weights};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use super::{dcgan, resnet_gan};
use crate::trainers::{Judge, NoiseSource, sample};

const CPU: (DType, &Device) = (DType::F32, &Device::Cpu);

fn generators() -> Vec<NoiseSource> {
    let mut all = Vec::new();
    for (size, channels, conditions) in [(16, 1, 0), (32, 3, 0), (64, 3, 4)] {
        all.push(NoiseSource::Dcgan(dcgan::GeneratorConfig {
            latent: 8,
            features: 4,
            channels,
            size,
            conditions,
            embedding: conditions,
        }));
        all.push(NoiseSource::ResNet(resnet_gan::Config {
            latent: 8,
            features: 4,
            channels,
            size,
            conditions,
        }));
    }
    all
}

fn judges() -> Vec<(Judge, [usize; 3], usize)> {
    let mut all = Vec::new();
    for (size, channels, conditions) in [(16, 1, 0), (32, 3, 3), (128, 3, 0)] {
        let picture = [channels, size, size];
        for norm in [
            dcgan::CriticNorm::Batch,
            dcgan::CriticNorm::Instance,
            dcgan::CriticNorm::Spectral,
            dcgan::CriticNorm::None,
        ] {
            let config = dcgan::DiscriminatorConfig {
                features: 2,
                channels,
                size,
                conditions,
                norm,
            };
            all.push((Judge::Dcgan(config), picture, conditions));
        }
        let config = resnet_gan::Config {
            latent: 0,
            features: 2,
            channels,
            size,
            conditions,
        };
        all.push((Judge::ResNet(config), picture, conditions));
    }
    all
}

fn tensors(parameters: &Parameters) -> Tensors {
    let mut tensors = Tensors::new();
    for (name, value) in parameters.state().unwrap() {
        tensors.insert(name, to_weights(&value).unwrap());
    }
    tensors
}

fn fresh<N>(make: impl FnOnce(VarBuilder<'static>) -> Result<N>) -> Parameters {
    let how = Initialization::Normal { deviation: 0.3 };
    Parameters::fresh(make, how, Seed::new(3), CPU).unwrap()
}

fn normal(dims: &[usize]) -> Tensor {
    let mut chance = Chance::new(Seed::new(4), "input");
    chance
        .normal_tensor(dims.to_vec(), (0.0, 1.0), CPU.0, CPU.1)
        .unwrap()
}

fn one_hot(count: usize, conditions: usize) -> Option<Tensor> {
    let rows = (0..count).flat_map(|row| {
        (0..conditions).map(move |column| f32::from(u8::from(row % conditions == column)))
    });
    let rows: Vec<f32> = rows.collect();
    (conditions > 0).then(|| Tensor::from_vec(rows, (count, conditions), &Device::Cpu).unwrap())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn generators_are_recognised_and_the_engine_makes_the_pictures_of_tensors() {
    for source in generators() {
        let parameters = fresh(|vb| source.build(BatchNormMode::Running, vb));
        let tensors = tensors(&parameters);
        assert_eq!(NoiseSource::recognize(&tensors).as_ref(), Some(&source));
        let on_tensors = source.load(&tensors, &Backend::cpu_tensors()).unwrap();
        let engine = Backend::Engine(Engine::new(Kernel::detect()));
        let on_engine = source.load(&tensors, &engine).unwrap();
        let noise = normal(&[3, on_tensors.latent(), 1, 1]);
        let condition = one_hot(3, on_tensors.conditions());
        let condition = condition.as_ref();
        let slow = sample(&*on_tensors, &Backend::cpu_tensors(), &noise, condition).unwrap();
        let fast = sample(&*on_engine, &engine, &noise, condition).unwrap();
        let [channels, height, width] = on_tensors.picture();
        assert_eq!(slow.dims(), [3, channels, height, width], "{source:?}");
        let pairs = numbers(&slow).into_iter().zip(numbers(&fast));
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{source:?}: {worst}");
        assert!(numbers(&slow).iter().all(|v| v.abs() <= 1.0));
        // Pictures differ where noise does.
        let (first, second) = (slow.get(0).unwrap(), slow.get(1).unwrap());
        assert_ne!(numbers(&first), numbers(&second), "{source:?}");
    }
}

#[test]
fn conditions_change_the_picture_and_must_be_there() {
    for source in generators() {
        let parameters = fresh(|vb| source.build(BatchNormMode::Running, vb));
        let backend = Backend::cpu_tensors();
        let network = source.load(&tensors(&parameters), &backend).unwrap();
        let noise = normal(&[2, network.latent(), 1, 1]);
        if network.conditions() == 0 {
            let condition = one_hot(2, 4);
            let error = sample(&*network, &backend, &noise, condition.as_ref()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest);
            continue;
        }
        let error = sample(&*network, &backend, &noise, None).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        let same = noise.get(0).unwrap();
        let same = Tensor::stack(&[same.clone(), same], 0);
        let condition = one_hot(2, network.conditions());
        let made = sample(&*network, &backend, &same.unwrap(), condition.as_ref()).unwrap();
        let (first, second) = (made.get(0).unwrap(), made.get(1).unwrap());
        assert_ne!(numbers(&first), numbers(&second), "{source:?}");
    }
}

#[test]
fn one_row_of_a_batch_is_judged_as_the_same_picture_alone() {
    for (judge, [channels, height, width], conditions) in judges() {
        let parameters = fresh(|vb| judge.build(vb));
        let network = judge.build(parameters.frozen(None).unwrap()).unwrap();
        let pictures = normal(&[3, channels, height, width]);
        let condition = one_hot(3, conditions);
        let together = network.judge(&pictures, condition.as_ref()).unwrap();
        assert_eq!(together.dims(), [3, 1, 1, 1], "{judge:?}");
        if judge.mixes_pictures() {
            continue;
        }
        let row = |tensor: &Tensor| tensor.narrow(0, 1, 1).unwrap();
        let condition = condition.as_ref().map(row);
        let alone = network.judge(&row(&pictures), condition.as_ref()).unwrap();
        let (alone, together) = (numbers(&alone)[0], numbers(&together)[1]);
        let error = (alone - together).abs();
        assert!(
            error <= 1e-4 * alone.abs().max(1.0),
            "{judge:?}: {alone} and {together}"
        );
    }
}

#[test]
fn projection_makes_the_judgement_depend_on_the_condition() {
    for (judge, [channels, height, width], conditions) in judges() {
        let parameters = fresh(|vb| judge.build(vb));
        let network = judge.build(parameters.frozen(None).unwrap()).unwrap();
        let picture = normal(&[1, channels, height, width]);
        let look = |condition: Option<&Tensor>| network.judge(&picture, condition);
        if conditions == 0 {
            assert!(look(one_hot(1, 2).as_ref()).is_err(), "{judge:?}");
            continue;
        }
        assert!(look(None).is_err(), "{judge:?}");
        let all = one_hot(conditions, conditions).unwrap();
        let score = |row| numbers(&look(Some(&all.narrow(0, row, 1).unwrap())).unwrap())[0];
        assert_ne!(score(0), score(1), "{judge:?}");
    }
}

#[test]
fn sizes_that_are_no_powers_of_two_are_refused() {
    let source = NoiseSource::Dcgan(dcgan::GeneratorConfig {
        size: 48,
        ..dcgan::GeneratorConfig::size_64()
    });
    let how = Initialization::PyTorch;
    let made = Parameters::fresh(
        |vb| source.build(BatchNormMode::Train, vb),
        how,
        Seed::new(1),
        CPU,
    );
    assert_eq!(made.unwrap_err().code(), Code::ModelError);
}

#[test]
fn running_statistics_follow_where_gradients_are_wanted_and_only_there() {
    let source = &generators()[0];
    let parameters = fresh(|vb| source.build(BatchNormMode::Train, vb));
    let noise = Act::from_tensor(normal(&[4, 8, 1, 1])).unwrap();
    let before = parameters.state().unwrap();
    let run = |vb| {
        let network = source.build(BatchNormMode::Train, vb).unwrap();
        network.generate(&noise, None).unwrap();
        parameters.state().unwrap()
    };
    let name = "main.1.running_mean";
    let frozen = run(parameters.frozen(None).unwrap());
    assert_eq!(numbers(&frozen[name]), numbers(&before[name]));
    let live = run(parameters.live(None).unwrap());
    assert_ne!(numbers(&live[name]), numbers(&before[name]));
}
