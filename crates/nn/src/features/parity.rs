//! Feature extractors and LPIPS against PyTorch, on everything that they can run on.
//!
//! The values are those of `fixtures/tensors`, made by `tools/reference_tensors.py`; the bounds are
//! 1e-4 of an output's range and four times PyTorch's own error in 32 bits. After two convolutions
//! (`relu1_2` of VGG) that error is so small that Winograd's transforms show: there, by Winograd,
//! five times are allowed, and by direct convolutions four.

use std::fmt::Write as _;

use super::{
    Features, ResNet, ResNetConfig, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, Training, Vgg,
    VggConfig,
};
use crate::act::{Act, Dims};
use crate::backend::Backend;
use crate::engine::{Algorithm, Engine, Kernel, Settings};
use crate::metrics::Lpips;
use crate::testing::{Deviation, Reference, Values};
use crate::weights::{Tensor, Tensors};

fn backends() -> Vec<Backend> {
    let mut direct = Settings::new(Kernel::detect());
    direct.algorithm = Algorithm::Direct;
    let kernels = Kernel::ALL
        .into_iter()
        .filter(|kernel| kernel.is_available());
    let mut backends: Vec<Backend> = kernels
        .map(|kernel| Backend::Engine(Engine::new(kernel)))
        .collect();
    backends.push(Backend::Engine(Engine::with(direct)));
    backends.push(Backend::cpu_tensors());
    backends
}

fn import(backend: &Backend, input: &Values) -> Act {
    let [batch, channels, height, width] = input.shape[..] else {
        panic!("an input of {:?}", input.shape);
    };
    let dims = Dims {
        batch,
        channels,
        height,
        width,
    };
    backend.import(dims, &input.values).unwrap()
}

fn is_direct(backend: &Backend) -> bool {
    match backend {
        Backend::Engine(engine) => engine.settings().algorithm == Algorithm::Direct,
        Backend::Tensors { .. } => false,
    }
}

fn name(backend: &Backend) -> String {
    if is_direct(backend) {
        format!("{backend} by direct convolutions")
    } else {
        backend.to_string()
    }
}

/// What is too far away, all of it.
#[derive(Default)]
struct Report(String);

impl Report {
    fn add(&mut self, what: &str, deviation: Deviation) {
        let close = deviation.over_range <= 1e-4 && deviation.over_torch <= 4.0;
        self.note(close, &format!("{what}: {deviation}"));
    }

    fn note(&mut self, close: bool, line: &str) {
        if !close {
            writeln!(self.0, "{line}").unwrap();
        }
    }

    fn finish(self) {
        assert!(self.0.is_empty(), "too far away:\n{}", self.0);
    }
}

/// Compares the layers of a network with the outputs of the same names.
fn check(
    report: &mut Report,
    reference: &Reference,
    backend: &Backend,
    network: &dyn Features,
    layers: &[(&str, &str)],
) {
    // Backwards, so that the order of what is asked for is seen to be kept.
    let names: Vec<&str> = layers.iter().rev().map(|(layer, _)| *layer).collect();
    let x = import(backend, reference.input());
    let found = network.features(&x, &names).unwrap();
    for ((_, output), said) in layers.iter().rev().zip(&found) {
        let output = format!("output.{output}");
        let deviation = reference.compare(&output, &said.to_vec().unwrap());
        let what = format!("{} {output} on {}", reference.name, name(backend));
        report.add(&what, deviation);
    }
}

/// The published file: with layers that the reference's output does not need.
fn published(reference: &Reference) -> Tensors {
    let mut tensors = reference.tensors.clone();
    for (key, shape) in &reference.unused {
        let values = vec![0.0; shape.iter().product()];
        tensors.insert(key.clone(), Tensor::from_f32(shape, &values).unwrap());
    }
    tensors
}

#[test]
fn vgg_says_what_torchvision_says() {
    let mut report = Report::default();
    for (name, whole, layers) in [
        (
            "vgg16",
            VggConfig::vgg16(),
            &["relu1_2", "relu2_2", "relu3_3", "relu4_3"][..],
        ),
        (
            "vgg19",
            VggConfig::vgg19(),
            &["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
        ),
    ] {
        let reference = Reference::open(name);
        let tensors = published(&reference);
        let config = VggConfig::recognize(&tensors).unwrap();
        assert_eq!(config, whole);
        let cut = config.up_to(layers.last().unwrap()).unwrap();
        let pairs: Vec<(&str, &str)> = layers.iter().map(|&layer| (layer, layer)).collect();
        for backend in backends() {
            let network = Vgg::load(&cut, &tensors, &backend).unwrap();
            check(&mut report, &reference, &backend, &network, &pairs);
        }
    }
    report.finish();
}

#[test]
fn a_convolution_without_its_activation_can_be_looked_at() {
    let reference = Reference::open("vgg16");
    let cut = VggConfig::vgg16().up_to("relu3_3").unwrap();
    for backend in backends() {
        let network = Vgg::load(&cut, &published(&reference), &backend).unwrap();
        let x = import(&backend, reference.input());
        let both = network
            .features(&x, &["conv2_2", "relu2_2", "relu3_3"])
            .unwrap();
        let [conv, relu, deep] = [0, 1, 2].map(|place: usize| both[place].to_vec().unwrap());
        assert!(conv.iter().any(|&value| value < 0.0));
        let expected: Vec<f32> = conv.iter().map(|value| value.max(0.0)).collect();
        assert_eq!(relu, expected, "{backend}");
        let alone = network.features(&x, &["relu3_3"]).unwrap()[0]
            .to_vec()
            .unwrap();
        for (a, b) in deep.iter().zip(&alone) {
            assert!((a - b).abs() < 1e-5, "{backend}: {a} and {b}");
        }
        let error = network.features(&x, &["relu4_1"]).unwrap_err();
        assert_eq!(error.message(), "the network has no layer `relu4_1`");
    }
}

#[test]
fn squeezenet_says_what_torchvision_says() {
    let mut report = Report::default();
    let slices = [
        ("relu1", "slice1"),
        ("fire3", "slice2"),
        ("fire5", "slice3"),
        ("fire6", "slice4"),
        ("fire7", "slice5"),
        ("fire8", "slice6"),
        ("fire9", "slice7"),
    ];
    let fires = [
        ("relu1", "relu1"),
        ("fire4", "fire4"),
        ("fire5", "fire5"),
        ("fire6", "fire6"),
        ("fire7", "fire7"),
        ("fire8", "fire8"),
        ("fire9", "fire9"),
    ];
    for (name, version, layers) in [
        ("squeezenet1_0", SqueezeNetVersion::V1_0, fires),
        ("squeezenet1_1", SqueezeNetVersion::V1_1, slices),
    ] {
        let reference = Reference::open(name);
        let config = SqueezeNetConfig::recognize(&reference.tensors).unwrap();
        assert_eq!((config.version, config.classes), (version, Some(1000)));
        for backend in backends() {
            let network = SqueezeNet::load(&config, &reference.tensors, &backend).unwrap();
            check(&mut report, &reference, &backend, &network, &layers);
            let logits = network
                .logits(&import(&backend, reference.input()))
                .unwrap();
            let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
            let deviation = reference.compare("output.logits", &logits);
            report.add(&format!("{name} logits on {backend}"), deviation);
        }
    }
    report.finish();
}

#[test]
fn caffe_weights_say_the_same_of_the_same_picture() {
    // The reference's weights as Caffe would have them: other names, blue first.
    let reference = Reference::open("squeezenet1_0");
    let indices = [3, 4, 5, 7, 8, 9, 10, 12];
    let names = [
        ("squeeze", "conv1x1_1"),
        ("expand1x1", "conv1x1_2"),
        ("expand3x3", "conv3x3_2"),
    ];
    let caffe: Tensors = reference
        .tensors
        .iter()
        .map(|(key, tensor)| {
            let mut key = key
                .replace("features.0.", "conv1.")
                .replace("classifier.1", "conv_final");
            for (fire, index) in (2..).zip(indices) {
                for (ours, theirs) in names {
                    let from = format!("features.{index}.{ours}.");
                    key = key.replace(&from, &format!("fire{fire}/{theirs}."));
                }
            }
            let mut tensor = tensor.clone();
            if key == "conv1.weight" {
                let values = tensor.to_f32();
                let turned: Vec<f32> = values
                    .chunks_exact(3 * 49)
                    .flat_map(|row| row.chunks_exact(49).rev().flatten().copied())
                    .collect();
                tensor = Tensor::from_f32(tensor.shape(), &turned).unwrap();
            }
            (key, tensor)
        })
        .collect();
    let config = SqueezeNetConfig::recognize(&caffe).unwrap();
    assert_eq!(config.version, SqueezeNetVersion::V1_0);
    assert_eq!((config.training, config.classes), (Training::Caffe, None));
    let backend = Backend::cpu_tensors();
    let network = SqueezeNet::load(&config, &caffe, &backend).unwrap();
    let mut report = Report::default();
    check(
        &mut report,
        &reference,
        &backend,
        &network,
        &[("fire9", "fire9")],
    );
    report.finish();
    // Mid-gray, and the mean that is taken off: red 123, blue 104.
    let gray = Values {
        shape: vec![1, 3, 1, 1],
        values: vec![0.5; 3],
    };
    let prepared = network.prepare(&import(&backend, &gray)).unwrap();
    assert_eq!(prepared.to_vec().unwrap(), [4.5, 10.5, 23.5]);
}

#[test]
fn resnet_says_what_torchvision_says() {
    let mut report = Report::default();
    for (name, depth) in [("resnet18", 18), ("resnet34", 34), ("resnet50", 50)] {
        let reference = Reference::open(name);
        let config = ResNetConfig::recognize(&reference.tensors).unwrap();
        assert_eq!((config.depth, config.classes), (depth, 1000));
        let backend = Backend::cpu_tensors();
        let network = ResNet::load(&config, &reference.tensors, &backend).unwrap();
        let x = import(&backend, reference.input());
        let logits: Vec<f32> = network
            .logits(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        report.add(name, reference.compare("output.logits", &logits));
        // The pooled features are the means of the last layer, of which the reference has a part.
        let last = reference.output("output.layer4");
        let pooled = network.features(&x, &["pool"]).unwrap()[0]
            .to_vec()
            .unwrap();
        let pixels = last.shape[2] * last.shape[3];
        assert_eq!(last.step[2..], [1, 1]);
        for (place, values) in last.values.chunks_exact(pixels).enumerate() {
            let mean = values.iter().sum::<f64>() / pixels as f64;
            let found = f64::from(pooled[place * last.step[1]]);
            assert!(
                (found - mean).abs() <= 1e-5 * last.range,
                "{name}: {found} and {mean}"
            );
        }
        // An activation of the engine is converted.
        let engine = Backend::Engine(Engine::new(Kernel::detect()));
        let again = network.logits(&import(&engine, reference.input())).unwrap();
        let again: Vec<f32> = again.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(again, logits);
    }
    report.finish();
}

#[test]
fn lpips_is_that_of_its_authors() {
    let reference = Reference::open("lpips_squeeze");
    let tensors = published(&reference);
    let mut report = Report::default();
    for backend in backends() {
        let metric = Lpips::load(&tensors, &tensors, &backend).unwrap();
        let [one, other] =
            ["input", "input.other"].map(|name| import(&backend, reference.input_named(name)));
        let distances = metric.distance(&one, &other).unwrap();
        // PyTorch's own error is that of its last rounding, which here happened to be small: of
        // numbers near 1 it may be 2^-24, and four times that is allowed.
        let expected = reference.output("output");
        for (distance, expected) in distances.iter().zip(&expected.values) {
            let error = (distance - expected).abs();
            let bound = 4.0 * f64::from(f32::EPSILON) / 2.0 * expected.abs().max(1.0);
            let line = format!("lpips on {}: {error:.2e} of {expected:.3}", name(&backend));
            report.note(error <= bound, &line);
        }
        let values: Vec<f32> = distances.iter().map(|&distance| distance as f32).collect();
        let deviation = reference.compare("output", &values);
        assert!(deviation.over_range <= 1e-4, "{deviation}");
        assert_eq!(metric.distance(&one, &one).unwrap(), [0.0; 2]);
        let back = metric.distance(&other, &one).unwrap();
        for (there, back) in distances.iter().zip(back) {
            assert!((there - back).abs() < 1e-12);
        }
    }
    report.finish();
}

#[test]
fn lpips_by_another_network_is_refused() {
    let heads = Reference::open("lpips_squeeze").tensors;
    let backend = Backend::cpu_tensors();
    for name in ["squeezenet1_0", "vgg16"] {
        let network = Reference::open(name).tensors;
        let error = Lpips::load(&network, &heads, &backend).unwrap_err();
        assert_eq!(error.code(), fonds_core::Code::ModelError);
    }
    let network = Reference::open("squeezenet1_1").tensors;
    let error = Lpips::load(&network, &network, &backend).unwrap_err();
    assert!(error.message().contains("`lin0.model.1.weight`"), "{error}");
}
