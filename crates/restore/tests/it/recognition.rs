//! Each published file is recognised as what it is, and as nothing else.

use fonds_nn::testing::{Reference, formula};
use fonds_nn::weights::Tensor;
use fonds_restore::zoo::{self, Architecture, Options};

/// References of networks that make no pictures, and the names of their architectures.
const OTHERS: &[(&str, &str)] = &[
    ("patchgan_batch", "PatchGAN"),
    ("patchgan_instance", "PatchGAN"),
    ("pixel_discriminator", "pixel discriminator"),
    ("pixel_discriminator_instance", "pixel discriminator"),
    ("unet_discriminator_sn", "U-Net discriminator"),
    ("adain_encoder", "AdaIN encoder"),
    ("adain_decoder", "AdaIN decoder"),
    ("vgg16", "VGG"),
    ("vgg19", "VGG"),
    ("squeezenet1_0", "SqueezeNet"),
    ("squeezenet1_1", "SqueezeNet"),
    ("resnet18", "ResNet"),
    ("resnet34", "ResNet"),
    ("resnet50", "ResNet"),
];

#[test]
fn networks_that_make_no_pictures_are_named_and_not_built() {
    for &(name, architecture) in OTHERS {
        let mut reference = Reference::open(name);
        // What the published file has besides; a classifier of VGG would be half a gigabyte.
        for (key, shape) in &reference.unused {
            let count: usize = shape.iter().product();
            if count <= 4 << 20 {
                let values = formula(key, count, -0.1, 0.1);
                reference
                    .tensors
                    .insert(key.clone(), Tensor::from_f32(shape, &values).unwrap());
            }
        }
        let checkpoint = reference.checkpoint().unwrap();
        let found = zoo::recognize(&checkpoint, &Options::default()).unwrap();
        assert_eq!(found.summary().architecture, architecture, "{name}");
        found
            .check()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.description().is_err(), "{name}");
    }
}

#[test]
fn settings_are_read_from_the_file() {
    let found = |name: &str| {
        let checkpoint = Reference::open(name).checkpoint().unwrap();
        zoo::recognize(&checkpoint, &Options::default()).unwrap()
    };
    let Architecture::Edsr(config) = found("edsr_l_x4").architecture().clone() else {
        panic!("no EDSR");
    };
    assert_eq!((config.features, config.blocks, config.scale), (256, 8, 4));
    assert_eq!(config.residual_scale, 0.1);
    let rrdb = found("rrdb_esrgan").description().unwrap();
    let details: Vec<(&str, &str)> = rrdb
        .details
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        details,
        [("features", "64"), ("blocks", "6"), ("growth", "32")]
    );
    let fast = found("fast_srgan").description().unwrap();
    assert_eq!(fast.path_taken, ["prefix `_orig_mod.` stripped"]);
    assert_eq!((fast.scale, fast.geometry.halo), ((4, 1), None));
    let carn = found("carn_m").description().unwrap();
    assert_eq!(carn.scale, (4, 1), "the largest head");
    assert_eq!(carn.parameters, 414_811, "all heads");
}
