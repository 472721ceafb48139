//! Styles transferred by a small encoder and decoder with made-up weights.

use fonds_core::{ColorModel, Samples};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, PadMode, Padding, Pool};
use fonds_nn::testing::formula;
use fonds_nn::weights::{Tensor, Tensors};
use fonds_nn::{VarBuilder, load};

use super::*;
use crate::trial::backends;

/// Two convolutions with a halving between them, and back.
#[derive(Debug)]
struct Small {
    encoder: [Conv2d; 2],
    decoder: [Conv2d; 2],
}

impl Small {
    fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let conv = |inner, outer, activation, name: &str| {
            let conv = Conv2d::new(inner, outer, 3, ConvConfig::valid(), vb.pp(name))?;
            Ok::<_, Error>(conv.with_activation(activation))
        };
        Ok(Self {
            encoder: [
                conv(3, 8, Activation::Relu, "first")?,
                conv(8, 16, Activation::Relu, "second")?,
            ],
            decoder: [
                conv(16, 8, Activation::Relu, "third")?,
                conv(8, 3, Activation::None, "last")?,
            ],
        })
    }

    fn on(backend: &Backend) -> Arc<dyn Coder> {
        let tensors: Tensors = load::expected_keys(Self::new)
            .unwrap()
            .into_iter()
            .map(|(key, shape)| {
                let count: usize = shape.iter().product();
                let bound = (3.0 / (count / shape[0]) as f64).sqrt();
                let (lo, hi) = if shape.len() == 1 {
                    (0.0, 0.1)
                } else {
                    (-bound, bound)
                };
                let values = formula(&key, count, lo, hi);
                (key, Tensor::from_f32(&shape, &values).unwrap())
            })
            .collect();
        Arc::new(load::load("small", &tensors, backend, |_| false, Self::new).unwrap())
    }
}

fn through(conv: &Conv2d, x: &Act) -> Result<Act> {
    conv.forward(&x.pad(Padding::all(1), PadMode::Reflection)?)
}

impl Coder for Small {
    fn encode(&self, picture: &Act) -> Result<Act> {
        let y = through(&self.encoder[0], picture)?.max_pool(Pool::HALVE)?;
        through(&self.encoder[1], &y)
    }

    fn decode(&self, features: &Act) -> Result<Act> {
        let y = through(&self.decoder[0], features)?.upsample_nearest(2)?;
        through(&self.decoder[1], &y)
    }

    fn min_side(&self) -> usize {
        8
    }
}

/// A picture of floats.
fn raster(key: &str, width: u32, height: u32) -> Raster {
    let area = width as usize * height as usize;
    let noise = formula(key, area * 3, 0.0, 0.3);
    let samples = noise.iter().enumerate().map(|(at, noise)| {
        let (x, y) = (at / 3 % width as usize, at / 3 / width as usize);
        noise + ((x + 2 * y + 17 * (at % 3)) % 60) as f32 / 90.0
    });
    let samples = Samples::F32(samples.collect());
    Raster::from_samples(width, height, ColorModel::Rgb, false, samples).unwrap()
}

fn styles() -> Vec<Style> {
    let mut other = raster("another style", 61, 40);
    for sample in other.as_mut_slice::<f32>().unwrap() {
        *sample *= 0.3;
    }
    let mut other = Style::new(other);
    other.weight = 0.5;
    vec![Style::new(raster("a style", 50, 70)), other]
}

fn transfer(backend: &Backend, styles: Vec<Style>, settings: TransferSettings) -> Transfer {
    Transfer::new(Small::on(backend), backend.clone(), styles, settings).unwrap()
}

fn apart(a: &Raster, b: &Raster) -> f32 {
    let (a, b) = (a.as_slice::<f32>().unwrap(), b.as_slice::<f32>().unwrap());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn in_tiles(core: usize) -> TransferSettings {
    TransferSettings {
        tiles: TileOptions {
            core: Some(core),
            ..TileOptions::default()
        },
        ..TransferSettings::default()
    }
}

/// White on the left, black on the right.
fn half(width: u32, height: u32) -> Raster {
    let samples = (0..width * height).map(|at| if at % width < width / 3 { 255 } else { 0 });
    let samples = Samples::U8(samples.collect());
    Raster::from_samples(width, height, ColorModel::Gray, false, samples).unwrap()
}

#[test]
fn tiled_equals_whole() {
    let content = raster("a content", 151, 98);
    for backend in backends() {
        for masked in [false, true] {
            let mut styles = styles();
            styles[0].mask = masked.then(|| half(151, 98));
            let whole = transfer(&backend, styles.clone(), TransferSettings::default());
            let tiled = transfer(&backend, styles, in_tiles(32));
            let (whole, tiled) = (
                whole.apply(&content).unwrap(),
                tiled.apply(&content).unwrap(),
            );
            let tiles = &tiled.change.unwrap().values[1];
            assert!(tiles.1 >= 12.0, "{tiles:?}");
            let apart = apart(&whole.raster, &tiled.raster);
            assert!(apart <= 1e-5, "{backend}: {apart}");
        }
    }
}

#[test]
fn alpha_0_is_the_content_as_the_decoder_knows_it() {
    let backend = Backend::cpu_tensors();
    let content = raster("a content", 64, 48);
    let settings = TransferSettings {
        alpha: 0.0,
        ..TransferSettings::default()
    };
    let made = transfer(&backend, styles(), settings)
        .apply(&content)
        .unwrap()
        .raster;
    let dims = Dims {
        batch: 1,
        channels: 3,
        height: 48,
        width: 64,
    };
    let region = palette::whole(&content);
    let x = backend.import(dims, &planes(&content, &region)).unwrap();
    let coder = Small::on(&backend);
    let known = coder
        .decode(&coder.encode(&x).unwrap())
        .unwrap()
        .to_vec()
        .unwrap();
    let pairs = planes(&made, &region).into_iter().zip(known);
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn alpha_1_has_the_styles_statistics_before_decoding() {
    let backend = Backend::cpu_tensors();
    let content = raster("a content", 64, 48);
    let one = transfer(
        &backend,
        styles()[..1].to_vec(),
        TransferSettings::default(),
    );
    let manner = Manner::Colors(KeepColors::No);
    let looks = one.looks(&content, manner).unwrap();
    let features = one
        .encode(&content, manner, &palette::whole(&content))
        .unwrap();
    let own = Look::of(&Moments::of(&features).unwrap());
    let (scale, shift) = own.towards(&looks[0], 1.0);
    let adapted = features.channel_affine(&scale, &shift).unwrap();
    let found = Look::of(&Moments::of(&adapted).unwrap());
    for (found, wanted) in found.channels().iter().zip(looks[0].channels()) {
        let (mean, deviation) = (found.0 - wanted.0, found.1 - wanted.1);
        assert!(
            mean.abs() < 1e-3 && deviation.abs() < 1e-3,
            "{mean} {deviation}"
        );
    }
}

#[test]
fn a_mixture_is_between_its_styles() {
    let (a, b) = (
        Look::of(&Moments::weighted(&[0.0, 2.0, 4.0, 4.0], &[1.0, 1.0])),
        Look::of(&Moments::weighted(&[1.0, 1.0, 0.0, 8.0], &[1.0, 1.0])),
    );
    let mixed = Look::mixed(&[(3.0, &a), (1.0, &b)]);
    let (scale, shift) = mixed.towards(&mixed, 1.0);
    assert_eq!((scale, shift), (vec![1.0; 2], vec![0.0; 2]));
    // Towards a mixture is the mixture of the ways.
    let own = Look::of(&Moments::weighted(&[0.0, 1.0, 0.0, 3.0], &[1.0, 1.0]));
    let ways = [
        own.towards(&a, 0.8),
        own.towards(&b, 0.8),
        own.towards(&mixed, 0.8),
    ];
    for channel in 0..2 {
        let mixture = 0.75 * ways[0].0[channel] + 0.25 * ways[1].0[channel];
        assert!((ways[2].0[channel] - mixture).abs() < 1e-5);
        let mixture = 0.75 * ways[0].1[channel] + 0.25 * ways[1].1[channel];
        assert!((ways[2].1[channel] - mixture).abs() < 1e-5);
    }
}

#[test]
fn masks_say_where() {
    let backend = Backend::cpu_tensors();
    let content = raster("a content", 72, 48);
    let apply = |masks: [Option<Raster>; 2]| {
        let mut styles = styles();
        for (style, mask) in styles.iter_mut().zip(masks) {
            style.mask = mask;
        }
        transfer(&backend, styles, TransferSettings::default()).apply(&content)
    };
    let white = Raster::from_samples(
        72,
        48,
        ColorModel::Gray,
        false,
        Samples::U8(vec![255; 72 * 48]),
    );
    let only = transfer(
        &backend,
        styles()[..1].to_vec(),
        TransferSettings::default(),
    );
    let only = only.apply(&content).unwrap().raster;
    // A mask that is white everywhere leaves nothing to the style without one.
    let all = apply([Some(white.unwrap()), None]).unwrap().raster;
    assert!(apart(&only, &all) <= 1e-5);
    let left = apply([Some(half(72, 48)), None]).unwrap().raster;
    assert!(apart(&only, &left) > 1e-2);
    let black = Raster::new(72, 48, PixelFormat::GRAY8);
    let error = apply([Some(black), None]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a mask is black everywhere: its style holds nowhere"
    );
    let error = apply([Some(half(70, 48)), None]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
}

#[test]
fn gray_stays_gray_and_luma_keeps_colours() {
    let backend = Backend::cpu_tensors();
    let content = raster("a content", 40, 40);
    let gray = palette::gray(content.clone()).unwrap();
    let one = transfer(&backend, styles(), TransferSettings::default());
    let made = one.apply(&gray).unwrap().raster;
    assert_eq!(made.format(), gray.format());
    let settings = TransferSettings {
        color_on_gray: true,
        ..TransferSettings::default()
    };
    let colored = transfer(&backend, styles(), settings);
    let format = colored.output(gray.format());
    assert_eq!(format.model, ColorModel::Rgb);
    assert_eq!(colored.apply(&gray).unwrap().raster.format(), format);
    for keep_colors in [KeepColors::Luma, KeepColors::Matched] {
        let settings = TransferSettings {
            keep_colors,
            ..TransferSettings::default()
        };
        let made = transfer(&backend, styles(), settings)
            .apply(&content)
            .unwrap()
            .raster;
        assert!(apart(&made, &content) > 1e-2);
        if keep_colors == KeepColors::Luma {
            let pairs = made.as_slice::<f32>().unwrap().chunks_exact(3);
            for (a, b) in pairs.zip(content.as_slice::<f32>().unwrap().chunks_exact(3)) {
                assert!(((a[0] - a[2]) - (b[0] - b[2])).abs() < 1e-5);
            }
        }
    }
}
