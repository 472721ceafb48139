//! Every architecture of this crate against PyTorch, on everything that it can run on.
//!
//! The values are those of `fixtures/tensors`, made by `tools/reference_tensors.py`. A network may
//! be away from PyTorch in 64 bits by 1e-4 of its output's range, and by four times what PyTorch
//! in 32 bits is.

use std::fmt::Write as _;

use fonds_core::Result;
use fonds_nn::Act;
use fonds_nn::act::Dims;
use fonds_nn::backend::Backend;
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::network::Network;
use fonds_nn::testing::{Reference, Values};
use fonds_nn::weights::{Tensor, Tensors};

use super::normalization::Normalization;
use super::{
    cyclegan_resnet, patchgan, pix2pix_unet, pixel_discriminator, rrdb, srresnet, unet,
    unet_discriminator,
};

/// A network's forward, whatever it is.
type Forward = Box<dyn Fn(&Act) -> Result<Act>>;

/// An architecture, as far as these tests go.
struct Family {
    name: &'static str,
    /// Whether a checkpoint is of this architecture.
    recognizes: fn(&Tensors) -> bool,
    /// The network of a checkpoint, if it is of this architecture.
    load: fn(&Tensors, &Backend) -> Option<Result<Forward>>,
    references: &'static [&'static str],
}

/// The network of a checkpoint, if it is of the architecture in this module.
macro_rules! loader {
    ($module:ident :: $network:ident) => {
        |tensors, backend| {
            let config = $module::Config::recognize(tensors)?;
            let network = $module::$network::load(&config, tensors, backend);
            Some(network.map(|network| Box::new(move |x: &Act| network.forward(x)) as Forward))
        }
    };
}

const FAMILIES: [Family; 8] = [
    Family {
        name: "rrdb",
        recognizes: |tensors| rrdb::Config::recognize(tensors).is_some(),
        load: loader!(rrdb::Rrdb),
        references: &[
            "rrdb_x4",
            "rrdb_x2",
            "rrdb_x1",
            "rrdb_x8",
            "rrdb_bsrgan",
            "rrdb_esrgan",
        ],
    },
    Family {
        name: "srresnet",
        recognizes: |tensors| srresnet::Config::recognize(tensors).is_some(),
        load: loader!(srresnet::SrResNet),
        references: &["srgan"],
    },
    Family {
        name: "unet",
        recognizes: |tensors| unet::Config::recognize(tensors).is_some(),
        load: loader!(unet::Unet),
        references: &["unet_transposed", "unet_bilinear"],
    },
    Family {
        name: "cyclegan_resnet",
        recognizes: |tensors| cyclegan_resnet::Config::recognize(tensors).is_some(),
        load: loader!(cyclegan_resnet::CycleGanResNet),
        references: &[
            "cyclegan_resnet_9_instance",
            "cyclegan_resnet_9_old",
            "cyclegan_resnet_6_batch",
        ],
    },
    Family {
        name: "pix2pix_unet",
        recognizes: |tensors| pix2pix_unet::Config::recognize(tensors).is_some(),
        load: loader!(pix2pix_unet::Pix2PixUnet),
        references: &["pix2pix_unet_128"],
    },
    Family {
        name: "patchgan",
        recognizes: |tensors| patchgan::Config::recognize(tensors).is_some(),
        load: loader!(patchgan::PatchGan),
        references: &["patchgan_instance", "patchgan_batch"],
    },
    Family {
        name: "pixel_discriminator",
        recognizes: |tensors| pixel_discriminator::Config::recognize(tensors).is_some(),
        load: loader!(pixel_discriminator::PixelDiscriminator),
        references: &["pixel_discriminator", "pixel_discriminator_instance"],
    },
    Family {
        name: "unet_discriminator",
        recognizes: |tensors| unet_discriminator::Config::recognize(tensors).is_some(),
        load: loader!(unet_discriminator::UnetDiscriminator),
        references: &["unet_discriminator_sn"],
    },
];

fn backends() -> Vec<Backend> {
    let kernels = Kernel::ALL
        .into_iter()
        .filter(|kernel| kernel.is_available());
    let mut backends: Vec<Backend> = kernels
        .map(|kernel| Backend::Engine(Engine::new(kernel)))
        .collect();
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

/// Runs a network on all backends and adds what is too far away to the report.
fn check(report: &mut String, reference: &Reference, load: &dyn Fn(&Backend) -> Result<Forward>) {
    for backend in backends() {
        let network = load(&backend).unwrap_or_else(|error| panic!("{}: {error}", reference.name));
        let got = network(&import(&backend, reference.input())).unwrap();
        let deviation = reference.compare("output", &got.to_vec().unwrap());
        let close = deviation.over_range <= 1e-4 && deviation.over_torch <= 4.0;
        if !close {
            writeln!(report, "{} on {backend}: {deviation}", reference.name).unwrap();
        }
    }
}

fn check_family(name: &str) {
    let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
    let mut report = String::new();
    for name in family.references {
        let reference = Reference::open(name);
        check(&mut report, &reference, &|backend| {
            (family.load)(&reference.tensors, backend).expect("it is recognised")
        });
    }
    assert!(report.is_empty(), "too far away:\n{report}");
}

#[test]
fn rrdb_in_three_dialects_and_four_scales() {
    check_family("rrdb");
}

#[test]
fn srresnet_of_srgan() {
    check_family("srresnet");
}

#[test]
fn unet_with_either_enlargement() {
    check_family("unet");
}

#[test]
fn cyclegan_generators() {
    check_family("cyclegan_resnet");
}

#[test]
fn pix2pix_by_running_statistics() {
    check_family("pix2pix_unet");
}

#[test]
fn pix2pix_by_the_statistics_of_the_picture() {
    let reference = Reference::open("pix2pix_unet_256");
    let config = pix2pix_unet::Config::recognize(&reference.tensors).unwrap();
    assert_eq!(config, pix2pix_unet::Config::unet_256());
    let config = pix2pix_unet::Config {
        norm: Normalization::Batch(BatchNormMode::Batch),
        ..config
    };
    let mut report = String::new();
    check(&mut report, &reference, &|backend| {
        let network = pix2pix_unet::Pix2PixUnet::load(&config, &reference.tensors, backend)?;
        Ok(Box::new(move |x: &Act| network.forward(x)))
    });
    assert!(report.is_empty(), "too far away:\n{report}");
}

#[test]
fn discriminators() {
    for name in ["patchgan", "pixel_discriminator", "unet_discriminator"] {
        check_family(name);
    }
}

#[test]
fn each_file_is_recognized_by_its_own_architecture_alone() {
    let mut wrong = String::new();
    let mut check = |reference: &str, expected: Option<&str>| {
        let tensors = Reference::open(reference).tensors;
        for family in &FAMILIES {
            if (family.recognizes)(&tensors) != (expected == Some(family.name)) {
                writeln!(wrong, "{reference} as {}", family.name).unwrap();
            }
        }
    };
    for family in &FAMILIES {
        for reference in family.references {
            check(reference, Some(family.name));
        }
    }
    check("pix2pix_unet_256", Some("pix2pix_unet"));
    for other in [
        "srvgg_16_x2",
        "edsr_m_x2",
        "msrresnet_x4",
        "carn_m",
        "dncnn",
        "dncnn_norm",
        "vdsr",
        "fsrcnn_x2",
        "fast_srgan",
        "waifu2x_upconv7",
        "style_engstrom",
        "transformer_net",
        "adain_encoder",
        "adain_decoder",
        "vgg16",
        "squeezenet1_1",
        "resnet18",
    ] {
        check(other, None);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn configurations_are_read_off_the_keys() {
    let tensors = |name: &str| Reference::open(name).tensors;
    let read = |name| rrdb::Config::recognize(&tensors(name)).unwrap();
    let small = rrdb::Config::x4_small();
    assert_eq!(read("rrdb_x4"), rrdb::Config::x4());
    assert_eq!(read("rrdb_bsrgan"), small);
    assert_eq!(read("rrdb_esrgan"), small);
    let other = |unshuffle, doublings| rrdb::Config {
        unshuffle,
        doublings,
        ..small.clone()
    };
    for (name, config, scale) in [
        ("rrdb_x1", other(4, 2), 1),
        ("rrdb_x2", other(2, 2), 2),
        ("rrdb_x8", other(1, 3), 8),
    ] {
        assert_eq!(read(name), config);
        assert_eq!(config.scale(), scale);
    }
    let read = |name| cyclegan_resnet::Config::recognize(&tensors(name)).unwrap();
    assert_eq!(
        read("cyclegan_resnet_9_old"),
        cyclegan_resnet::Config::nine_blocks()
    );
    let batch = read("cyclegan_resnet_6_batch");
    assert_eq!(batch.norm, Normalization::Batch(BatchNormMode::Running));
    assert_eq!(batch.blocks, 6);
    let read = |name| unet::Config::recognize(&tensors(name)).unwrap();
    assert_eq!(read("unet_transposed"), unet::Config::rgb(2));
    assert_eq!(read("unet_bilinear").enlarge, unet::Enlarge::Bilinear);
    let pair = patchgan::Config::recognize(&tensors("patchgan_batch")).unwrap();
    let batch = Normalization::Batch(BatchNormMode::Running);
    assert_eq!(pair, patchgan::Config::pair(batch));
    let srgan = srresnet::Config::recognize(&tensors("srgan")).unwrap();
    assert_eq!(srgan, srresnet::Config::x4());
    let pix2pix = pix2pix_unet::Config::recognize(&tensors("pix2pix_unet_128")).unwrap();
    assert_eq!(pix2pix, pix2pix_unet::Config::unet_128());
    let pixels = pixel_discriminator::Config::recognize(&tensors("pixel_discriminator_instance"));
    let instance = pixel_discriminator::Config::picture(Normalization::Instance);
    assert_eq!(pixels.unwrap(), instance);
    let real_esrgan = unet_discriminator::Config::recognize(&tensors("unet_discriminator_sn"));
    assert_eq!(
        real_esrgan.unwrap(),
        unet_discriminator::Config::real_esrgan()
    );
}

#[test]
fn a_picture_comes_out_the_same_alone_and_in_a_batch() {
    let backends = [
        Backend::Engine(Engine::new(Kernel::detect())),
        Backend::cpu_tensors(),
    ];
    // By the statistics of the batch a picture would see its neighbour; that is not tested.
    for name in [
        "rrdb_x2",
        "srgan",
        "unet_transposed",
        "unet_bilinear",
        "cyclegan_resnet_9_instance",
        "cyclegan_resnet_6_batch",
        "patchgan_instance",
        "pixel_discriminator_instance",
        "unet_discriminator_sn",
    ] {
        let reference = Reference::open(name);
        let family = FAMILIES
            .iter()
            .find(|family| family.references.contains(&name));
        let family = family.unwrap();
        for backend in &backends {
            let network = (family.load)(&reference.tensors, backend).unwrap().unwrap();
            let both = network(&import(backend, reference.input()))
                .unwrap()
                .to_vec()
                .unwrap();
            let Values { mut shape, values } = reference.input().clone();
            assert_eq!(shape[0], 2, "{name}");
            shape[0] = 1;
            let values = values[values.len() / 2..].to_vec();
            let second = Values { shape, values };
            let alone = network(&import(backend, &second))
                .unwrap()
                .to_vec()
                .unwrap();
            let range = reference.output("output").range as f32;
            for (a, b) in both[both.len() / 2..].iter().zip(&alone) {
                assert!(
                    (a - b).abs() <= 1e-6 * range,
                    "{name} on {backend}: {a} and {b}"
                );
            }
        }
    }
}

#[test]
fn keys_of_a_generator_with_dropout_are_known() {
    // Dropout moves the second convolution of each block from 5 to 6, and does nothing else.
    let reference = Reference::open("cyclegan_resnet_9_instance");
    let moved: Tensors = reference
        .tensors
        .iter()
        .map(|(key, tensor)| (key.replace("conv_block.5", "conv_block.6"), tensor.clone()))
        .collect();
    let config = cyclegan_resnet::Config::recognize(&moved).unwrap();
    assert!(config.dropout);
    let backend = Backend::cpu_tensors();
    let network = cyclegan_resnet::CycleGanResNet::load(&config, &moved, &backend).unwrap();
    let got = network
        .forward(&import(&backend, reference.input()))
        .unwrap();
    let deviation = reference.compare("output", &got.to_vec().unwrap());
    assert!(deviation.over_range <= 1e-4, "{deviation}");
}

#[test]
fn both_forms_of_srresnet_agree_where_they_can() {
    // A normalisation that changes nothing, and an activation that changes nothing.
    let reference = Reference::open("srgan");
    let with = |parts: &[(&str, f32)]| {
        let mut tensors: Tensors = reference
            .tensors
            .iter()
            .filter(|(key, _)| *key != "block7.1.weight")
            .map(|(key, tensor)| (key, tensor.clone()))
            .collect();
        for &(name, value) in parts {
            let len = if parts.len() == 1 { 1 } else { 64 };
            let tensor = Tensor::from_f32(&[len], &vec![value; len]).unwrap();
            tensors.insert(format!("block7.1.{name}"), tensor);
        }
        tensors
    };
    let prelu = with(&[("weight", 1.0)]);
    let variance = 1.0 - 1e-5;
    let norm = with(&[
        ("weight", 1.0),
        ("bias", 0.0),
        ("running_mean", 0.0),
        ("running_var", variance),
    ]);
    let backend = Backend::cpu_tensors();
    let run = |tensors: &Tensors| {
        let config = srresnet::Config::recognize(tensors).unwrap();
        let network = srresnet::SrResNet::load(&config, tensors, &backend).unwrap();
        let got = network
            .forward(&import(&backend, reference.input()))
            .unwrap();
        (config.tail, got.to_vec().unwrap())
    };
    let (one, other) = (run(&prelu), run(&norm));
    assert_eq!(one.0, srresnet::Tail::PRelu);
    assert_eq!(other.0, srresnet::Tail::BatchNorm);
    for (a, b) in one.1.iter().zip(&other.1) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn all_that_does_not_fit_is_reported_together() {
    let reference = Reference::open("rrdb_bsrgan");
    let mut tensors: Tensors = reference
        .tensors
        .iter()
        .filter(|(key, _)| *key != "HRconv.bias" && *key != "trunk_conv.weight")
        .map(|(key, tensor)| (key, tensor.clone()))
        .collect();
    let one = Tensor::from_f32(&[1], &[0.0]).unwrap();
    tensors.insert("mean", one.clone());
    tensors.insert("conv_last.bias", one);
    let config = rrdb::Config::recognize(&tensors).unwrap();
    let error = rrdb::Rrdb::load(&config, &tensors, &Backend::cpu_tensors()).unwrap_err();
    assert_eq!(error.code(), fonds_core::Code::ModelError);
    for part in [
        "`conv_hr.bias`",
        "`conv_body.weight`",
        "`mean`",
        "`conv_last.bias`",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}
