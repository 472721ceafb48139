//! Networks at work on whole pictures: tiles, depth, gray, alpha, profiles, scale, strength.

use std::collections::BTreeMap;
use std::sync::Arc;

use fonds_core::{Code, ColorModel, Depth, PixelFormat, Ppi, Raster, Result, Sample, Samples};
use fonds_nn::compute::{Lanes, OnLanes};
use fonds_nn::engine::{Algorithm, Engine, Kernel, Precision, Settings};
use fonds_nn::network::{Interface, Network};
use fonds_nn::testing::Reference;
use fonds_nn::tile::TileOptions;
use fonds_nn::trace::trace;
use fonds_nn::weights::{Checkpoint, safetensors_bytes};
use fonds_nn::{Act, Backend};
use fonds_restore::tasks::{Task, TaskSettings};
use fonds_restore::zoo::{self, Description, Options};

/// A picture with edges, gradients and grain, of every kind of samples.
fn picture(width: u32, height: u32, format: PixelFormat) -> Raster {
    let channels = format.channels();
    let value = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        let (x, y) = (pixel % width as usize, pixel / width as usize);
        let wave = ((x * 7 + y * 3 + channel * 40) as f32 * 0.05).sin() * 0.3;
        let edge = if (x / 9 + y / 7).is_multiple_of(2) {
            0.15
        } else {
            -0.15
        };
        let grain = ((x * 1973 + y * 9277 + channel * 131) % 97) as f32 / 970.0;
        (0.5 + wave + edge + grain).clamp(0.0, 1.0)
    };
    let len = (width * height) as usize * channels;
    let samples = match format.depth {
        Depth::U8 => Samples::U8((0..len).map(|i| u8::from_unit(value(i))).collect()),
        Depth::U16 => Samples::U16((0..len).map(|i| u16::from_unit(value(i))).collect()),
        Depth::F32 => Samples::F32((0..len).map(value).collect()),
    };
    Raster::from_samples(width, height, format.model, format.alpha, samples).unwrap()
}

fn backend(algorithm: Algorithm) -> Backend {
    Backend::Engine(Engine::with(Settings {
        kernel: Kernel::detect(),
        algorithm,
        precision: Precision::F32,
    }))
}

/// The network of a reference, on a backend.
fn task(name: &str, algorithm: Algorithm, settings: TaskSettings) -> Result<Task> {
    let reference = Reference::open(name);
    let bytes = safetensors_bytes(&reference.tensors, &BTreeMap::new()).unwrap();
    let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
    let backend = backend(algorithm);
    let found = zoo::recognize(&checkpoint, &Options::default()).unwrap();
    let model = found.build(&backend).unwrap();
    let lanes = Lanes::new(vec![backend]);
    let on = OnLanes::new(&lanes, vec![model.shared()]);
    Task::new(on, Arc::clone(&model.description), settings)
}

/// A network of our own, described by its trace.
fn own(network: impl Network + 'static, settings: TaskSettings) -> Task {
    let interface = network.interface();
    let geometry = trace(interface.in_channels(), |x| network.forward(x)).unwrap();
    let reference = Reference::open("srvgg_16_x2");
    let bytes = safetensors_bytes(&reference.tensors, &BTreeMap::new()).unwrap();
    let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
    let found = zoo::recognize(&checkpoint, &Options::default()).unwrap();
    let description = Description {
        architecture: "a test",
        interface,
        geometry,
        scale: geometry.scale,
        ..found.description().unwrap()
    };
    let lanes = Lanes::new(vec![backend(Algorithm::Auto)]);
    let on = OnLanes::new(&lanes, vec![Arc::new(network)]);
    Task::new(on, Arc::new(description), settings).unwrap()
}

fn tiles(core: usize, exact: bool) -> TaskSettings {
    TaskSettings {
        tiles: TileOptions {
            core: Some(core),
            overlap: None,
            exact,
        },
        ..TaskSettings::default()
    }
}

fn floats(raster: &Raster) -> Vec<f32> {
    raster.as_slice::<f32>().unwrap().to_vec()
}

const RGBF: PixelFormat = PixelFormat::new(Depth::F32, ColorModel::Rgb, false);

#[test]
fn direct_tiles_equal_the_whole_to_the_bit() {
    let source = picture(90, 70, RGBF);
    let run = |settings| {
        let task = task("srvgg_16_x2", Algorithm::Direct, settings).unwrap();
        floats(&task.apply(&source).unwrap().raster)
    };
    assert!(run(tiles(32, false)) == run(TaskSettings::default()));
}

#[test]
fn winograd_tiles_equal_the_whole_within_the_bound_and_exact_ones_to_the_bit() {
    let source = picture(90, 70, RGBF);
    let run = |settings| {
        let task = task("srvgg_16_x2", Algorithm::Auto, settings).unwrap();
        floats(&task.apply(&source).unwrap().raster)
    };
    let whole = run(TaskSettings::default());
    let bounded = run(tiles(32, false));
    let farthest = whole
        .iter()
        .zip(&bounded)
        .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(farthest <= 1e-5, "{farthest}");
    assert!(run(tiles(16, true)) == whole);
}

#[test]
fn every_kind_of_samples_keeps_its_kind_and_its_resolution() {
    let task = task("srvgg_16_x2", Algorithm::Auto, TaskSettings::default()).unwrap();
    let floats = floats(&task.apply(&picture(24, 20, RGBF)).unwrap().raster);
    for depth in [Depth::U8, Depth::U16, Depth::F32] {
        for model in [ColorModel::Gray, ColorModel::Rgb] {
            for alpha in [false, true] {
                let format = PixelFormat::new(depth, model, alpha);
                let source = picture(24, 20, format).with_ppi(Some(Ppi::square(300.0)));
                let made = task.apply(&source).unwrap().raster;
                assert_eq!(made.format(), format);
                assert_eq!((made.width(), made.height()), (48, 40));
                assert_eq!(made.ppi(), Some(Ppi::square(600.0)));
                // The same picture, whatever its depth, within what 8 bits of input cost.
                if format.model == ColorModel::Rgb && !alpha && depth == Depth::U16 {
                    let samples = made.as_slice::<u16>().unwrap();
                    for (sample, float) in samples.iter().zip(&floats) {
                        let expected = float.clamp(0.0, 1.0);
                        assert!((sample.to_unit() - expected).abs() < 2e-3);
                    }
                }
            }
        }
    }
}

#[test]
fn gray_stays_gray_and_equals_the_luma_of_its_rgb() {
    let gray = picture(
        20,
        20,
        PixelFormat::new(Depth::F32, ColorModel::Gray, false),
    );
    let three: Vec<f32> = floats(&gray)
        .iter()
        .flat_map(|&sample| [sample; 3])
        .collect();
    let rgb = Raster::from_samples(20, 20, ColorModel::Rgb, false, Samples::F32(three)).unwrap();
    let task = task("srvgg_16_x2", Algorithm::Auto, TaskSettings::default()).unwrap();
    let gray = floats(&task.apply(&gray).unwrap().raster);
    let rgb = floats(&task.apply(&rgb).unwrap().raster);
    assert_eq!(rgb.len(), 3 * gray.len());
    for (found, pixel) in gray.iter().zip(rgb.chunks_exact(3)) {
        let expected = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
        assert!((found - expected).abs() < 1e-5);
    }
}

#[test]
fn gray_becomes_coloured_only_when_asked() {
    let settings = TaskSettings {
        color_on_gray: true,
        ..TaskSettings::default()
    };
    let task = task("srvgg_16_x2", Algorithm::Auto, settings).unwrap();
    assert_eq!(task.output(PixelFormat::GRAY8).model, ColorModel::Rgb);
    let made = task.apply(&picture(16, 16, PixelFormat::GRAY8)).unwrap();
    assert_eq!(made.raster.format(), PixelFormat::RGB8);
    assert!(made.raster.icc().is_some());
}

/// Gives back what it gets.
#[derive(Debug)]
struct Same;

impl Network for Same {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        x.affine(1.0, 0.0)
    }
}

#[test]
fn a_network_that_changes_nothing_changes_nothing() {
    for format in [
        PixelFormat::RGB8,
        PixelFormat::RGBA8,
        PixelFormat::RGB16,
        RGBF,
    ] {
        let source = picture(40, 30, format);
        let made = own(Same, tiles(16, false)).apply(&source).unwrap().raster;
        assert_eq!(made, source);
    }
}

#[test]
fn colours_outside_of_srgb_come_back() {
    // A profile with the primaries of a large space: pure green in it is far outside of sRGB.
    let icc = moxcms::ColorProfile::new_pro_photo_rgb().encode().unwrap();
    let samples: Vec<u16> = (0..16 * 16)
        .flat_map(|i| [i * 20, 65535 - i * 10, i * 15])
        .collect();
    let source = Raster::from_samples(16, 16, ColorModel::Rgb, false, Samples::U16(samples))
        .unwrap()
        .with_icc(Some(Arc::from(icc)));
    let made = own(Same, TaskSettings::default())
        .apply(&source)
        .unwrap()
        .raster;
    assert_eq!(made.icc(), source.icc());
    let pairs = made
        .as_slice::<u16>()
        .unwrap()
        .iter()
        .zip(source.as_slice::<u16>().unwrap());
    for (found, expected) in pairs {
        let off = (i32::from(*found) - i32::from(*expected)).abs();
        // What is below two steps of 8 bits counts as rounding.
        assert!(off <= 600, "{found}, not {expected}");
    }
}

#[test]
fn without_strength_the_picture_is_only_enlarged() {
    let with = |strength| {
        let settings = TaskSettings {
            strength,
            ..TaskSettings::default()
        };
        let task = task("srvgg_16_x2", Algorithm::Auto, settings).unwrap();
        floats(&task.apply(&picture(20, 20, RGBF)).unwrap().raster)
    };
    let (none, half, full) = (with(0.0), with(0.5), with(1.0));
    for ((none, half), full) in none.iter().zip(&half).zip(&full) {
        assert!((half - (none + full) / 2.0).abs() < 1e-5);
    }
    // The enlarged picture has the mean of the picture.
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert!((mean(&none) - mean(&floats(&picture(20, 20, RGBF)))).abs() < 1e-3);
}

#[test]
fn a_smaller_scale_is_averaged_down_and_others_are_refused() {
    let at = |scale| {
        let settings = TaskSettings {
            scale: Some(scale),
            ..TaskSettings::default()
        };
        task("srvgg_16_x4", Algorithm::Auto, settings)
    };
    let made = at(2)
        .unwrap()
        .apply(&picture(17, 11, PixelFormat::RGB8))
        .unwrap()
        .raster;
    assert_eq!((made.width(), made.height()), (34, 22));
    let error = at(3).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(
        error.message().contains("×4") && error.message().contains("×3"),
        "{error}"
    );
}

/// Runs away on the right half of a picture.
#[derive(Debug)]
struct Runaway;

impl Network for Runaway {
    fn interface(&self) -> Interface {
        Interface::RGB
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        x.affine(f32::MAX, 0.0)?.affine(f32::MAX, 0.0)
    }
}

#[test]
fn a_network_that_runs_away_is_an_error_with_its_tile() {
    let error = own(Runaway, tiles(16, false))
        .apply(&picture(40, 30, PixelFormat::RGB8))
        .unwrap_err();
    assert_eq!(error.code(), Code::OutputInvalid);
    assert!(error.message().contains("columns 0 to 16"), "{error}");
}

#[test]
fn a_network_that_normalises_by_the_picture_has_no_visible_tiles() {
    let source = picture(200, 160, RGBF);
    let run = |settings| {
        let task = task("cyclegan_resnet_9_instance", Algorithm::Auto, settings).unwrap();
        floats(&task.apply(&source).unwrap().raster)
    };
    let whole = run(TaskSettings::default());
    let tiled = run(tiles(96, false));
    let mean = |values: &mut dyn Iterator<Item = f32>| {
        let all: Vec<f32> = values.collect();
        all.iter().sum::<f32>() / all.len() as f32
    };
    let off = mean(&mut whole.iter().zip(&tiled).map(|(a, b)| (a - b).abs()));
    let range = mean(&mut whole.iter().map(|v| (v - 0.5).abs()));
    assert!(off < 0.1 * range, "{off} of {range}");
}

#[test]
fn what_a_network_cannot_do_is_refused() {
    let sigma = TaskSettings {
        noise: Some(10.0),
        ..TaskSettings::default()
    };
    let strong = TaskSettings {
        strength: 1.5,
        ..TaskSettings::default()
    };
    let cases = [
        ("srvgg_16_x2", sigma),
        ("srvgg_16_x2", strong),
        ("fdncnn_color", TaskSettings::default()),
        ("vdsr", TaskSettings::default()),
        ("cyclegan_resnet_9_instance", tiles(64, true)),
    ];
    for (name, settings) in cases {
        let error = task(name, Algorithm::Auto, settings).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{name}");
        assert!(!error.hints().is_empty(), "{name}");
    }
}
