//! Networks with weights by hand that find and fill, on whole pictures.

use std::sync::Arc;

use fonds_core::{Code, ColorModel, Digest, PixelFormat, Raster, Result, Sample, Samples};
use fonds_image::ops::repair::Mask;
use fonds_nn::Act;
use fonds_nn::backend::Backend;
use fonds_nn::compute::{Lanes, OnLanes};
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::layers::{Conv2d, ConvConfig};
use fonds_nn::network::{Extra, Interface, Network};
use fonds_nn::testing::formula;
use fonds_nn::tile::TileOptions;
use fonds_nn::trace::trace;
use fonds_nn::weights::{Container, Tensor, Tensors};
use fonds_nn::{VarBuilder, load};

use super::{Detector, Filler};
use crate::zoo::Description;

/// One convolution of 5 × 5.
#[derive(Debug)]
struct Small {
    conv: Conv2d,
    fills: bool,
}

impl Small {
    fn new(fills: bool, vb: &VarBuilder<'_>) -> Result<Self> {
        let [inner, outer] = if fills { [4, 3] } else { [3, 1] };
        let conv = Conv2d::new(inner, outer, 5, ConvConfig::same(5), vb.pp("conv"))?;
        Ok(Self { conv, fills })
    }
}

impl Network for Small {
    fn interface(&self) -> Interface {
        Interface {
            extra: if self.fills { Extra::Mask } else { Extra::None },
            ..Interface::RGB
        }
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        self.conv.forward(x)
    }
}

/// The network with these weights, and its description.
fn made(fills: bool, weights: impl Fn(usize) -> Vec<f32>, bias: f32) -> (OnLanes, Description) {
    let backend = Backend::Engine(Engine::new(Kernel::detect()));
    let keys = load::expected_keys(|vb| Small::new(fills, &vb)).unwrap();
    let tensors: Tensors = keys
        .into_iter()
        .map(|(key, shape)| {
            let count = shape.iter().product();
            let values = if shape.len() == 1 {
                vec![bias; count]
            } else {
                weights(count)
            };
            (key, Tensor::from_f32(&shape, &values).unwrap())
        })
        .collect();
    let network = load::load(
        "small",
        &tensors,
        &backend,
        |_| false,
        |vb| Small::new(fills, &vb),
    );
    let network = network.unwrap();
    let interface = network.interface();
    let geometry = trace(interface.in_channels(), |x| network.forward(x)).unwrap();
    let description = Description {
        architecture: "small network",
        details: Vec::new(),
        scale: geometry.scale,
        interface,
        geometry,
        parameters: 0,
        container: Container::Safetensors,
        sha256: Digest::of(b""),
        licence: None,
        author: None,
        title: None,
        training_data: None,
        generative: None,
        path_taken: Vec::new(),
    };
    let network: Arc<dyn Network> = Arc::new(network);
    (
        OnLanes::new(&Lanes::new(vec![backend]), vec![network]),
        description,
    )
}

fn tiles(core: usize) -> TileOptions {
    TileOptions {
        core: Some(core),
        ..TileOptions::default()
    }
}

/// A picture of formula values of 0.2 to 0.6.
fn picture<T: Sample>(model: ColorModel, alpha: bool) -> Raster {
    let channels = PixelFormat::new(T::DEPTH, model, alpha).channels();
    let values = formula("picture", 75 * 61 * channels, 0.2, 0.6);
    let samples: Vec<T> = values.iter().map(|value| T::from_unit(*value)).collect();
    Raster::from_samples(75, 61, model, alpha, T::wrap(samples)).unwrap()
}

/// Damage that is white; the network adds up the middles of the channels.
#[test]
fn what_is_bright_is_found_with_any_tiles() {
    let middle = |count: usize| {
        (0..count)
            .map(|i| if i % 25 == 12 { 4.0 } else { 0.0 })
            .collect()
    };
    // 4 × (r + g + b) − 10 is above 0 where the mean is above 0.83.
    let mut raster = picture::<u8>(ColorModel::Rgb, false);
    let mut expected = Mask::new(75, 61);
    for (x, y) in [(0, 0), (40, 20), (41, 20), (74, 60), (32, 33)] {
        expected.add(x, y);
        raster.as_mut_slice::<u8>().unwrap()[(y * 75 + x) * 3..][..3].fill(250);
    }
    for core in [16, 32, 100] {
        let (network, description) = made(false, middle, -10.0);
        let detector = Detector::new(network, &description, tiles(core)).unwrap();
        assert_eq!(detector.find(&raster, 0.5).unwrap(), expected, "{core}");
        assert!(detector.find(&raster, 0.0).unwrap().is_empty());
        assert_eq!(detector.find(&raster, 1.0).unwrap().share(), 1.0);
        let error = detector.find(&raster, 1.5).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }
}

/// The network's picture is 0.25 + what the mask's channel says in the middle, and ½ of red.
#[test]
fn holes_hold_what_the_network_makes_and_all_else_stays() {
    // Kernels [out, in, 5, 5]: the middle of the mask's channel counts 0.25, that of red a half.
    let weights = |count: usize| {
        let weight = |i: usize| match (i / 25 % 4, i % 25) {
            (0, 12) => 0.5,
            (3, 12) => 0.25,
            _ => 0.0,
        };
        (0..count).map(weight).collect()
    };
    let mut mask = Mask::new(75, 61);
    for y in 10..30 {
        (20..24).for_each(|x| mask.add(x, y));
    }
    mask.add(74, 60);
    for core in [16, 100] {
        let (network, description) = made(true, weights, 0.25);
        let filler = Filler::new(network, &description, tiles(core)).unwrap();
        check::<u8>(&filler, &mask, ColorModel::Rgb, true);
        check::<u16>(&filler, &mask, ColorModel::Rgb, false);
        check::<u16>(&filler, &mask, ColorModel::Gray, true);
        check::<f32>(&filler, &mask, ColorModel::Gray, false);
    }
}

fn check<T: Sample>(filler: &Filler, mask: &Mask, model: ColorModel, alpha: bool) {
    let raster = picture::<T>(model, alpha);
    let outcome = filler.apply(raster.clone(), mask, 0.5).unwrap();
    let change = outcome.change.unwrap();
    assert_eq!(change.values[0], ("regions", 2.0));
    assert_eq!(Mask::from_raster(&change.mask.unwrap()), *mask);
    let format = raster.format();
    let (old, new) = (
        raster.as_slice::<T>().unwrap(),
        outcome.raster.as_slice::<T>().unwrap(),
    );
    for (i, (old, new)) in old.iter().zip(new).enumerate() {
        let (pixel, channel) = (i / format.channels(), i % format.channels());
        if mask.data()[pixel] != 0 && channel < format.color_channels() {
            // Gray before the network, so ½ · ½ + ¼ + ¼.
            assert!((new.to_unit() - 0.75).abs() < 0.01, "{i}: {new:?}");
        } else {
            assert_eq!(new, old, "{i}");
        }
    }
}

#[test]
fn profiles_masks_and_other_networks() {
    let weights = |count: usize| vec![0.01; count];
    let (network, description) = made(true, weights, 0.3);
    assert_eq!(
        Detector::check(&description).unwrap_err().code(),
        Code::InvalidRequest
    );
    let filler = Filler::new(network, &description, tiles(32)).unwrap();
    let raster = picture::<u8>(ColorModel::Rgb, false);
    let empty = Mask::new(75, 61);
    assert!(
        filler
            .apply(raster.clone(), &empty, 0.5)
            .unwrap()
            .change
            .is_none()
    );
    assert!(filler.apply(raster.clone(), &Mask::new(5, 5), 0.5).is_err());
    let mut most = Mask::new(75, 61);
    for y in 0..61 {
        (0..60).for_each(|x| most.add(x, y));
    }
    let error = filler.apply(raster, &most, 0.5).unwrap_err();
    assert_eq!(error.code(), Code::LimitsExceeded);
    let (_, finder) = made(false, weights, 0.0);
    assert_eq!(
        Filler::check(&finder).unwrap_err().code(),
        Code::InvalidRequest
    );
    // One pixel, smaller than any tile.
    let one = Samples::U8(vec![3, 200, 7]);
    let one = Raster::from_samples(1, 1, ColorModel::Rgb, false, one).unwrap();
    let (network, finder) = made(false, weights, 0.0);
    let detector = Detector::new(network, &finder, TileOptions::default()).unwrap();
    assert_eq!(detector.find(&one, 0.5).unwrap().count(), 1);
}
