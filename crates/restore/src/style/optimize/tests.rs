//! Descents against PyTorch, and what becomes of pictures.

use std::path::Path;
use std::sync::Arc;

use fonds_core::Samples;
use fonds_nn::features::{Vgg, VggConfig, imagenet};
use fonds_nn::testing::formula;
use fonds_nn::weights::{self, Checkpoint, Tensors};
use fonds_nn::{Backend, load};

use super::*;
use crate::style::extractor::Layer;

fn layer(name: &str) -> Layer {
    Layer {
        name: name.to_owned(),
        weight: 1.0,
    }
}

/// The network of `tools/reference_style.py fixture`.
fn extractor() -> Extractor {
    let config = VggConfig {
        in_channels: 3,
        blocks: vec![vec![8], vec![16], vec![24]],
    };
    let keys = load::expected_keys(|vb| Vgg::new(&config, vb)).unwrap();
    let tensors: Tensors = keys
        .into_iter()
        .map(|(key, shape)| {
            let count: usize = shape.iter().product();
            let bound = (6.0 / (count / shape[0]) as f64).sqrt();
            let (lo, hi) = if shape.len() == 1 {
                (0.0, 0.1)
            } else {
                (-bound, bound)
            };
            let values = formula(&key, count, lo, hi);
            (key, weights::Tensor::from_f32(&shape, &values).unwrap())
        })
        .collect();
    let network = Vgg::load(&config, &tensors, &Backend::cpu_tensors()).unwrap();
    let style = ["relu1_1", "relu2_1", "relu3_1"].map(layer).to_vec();
    Extractor::new(Arc::new(network), imagenet, vec![layer("relu2_1")], style)
}

fn tensor(key: &str, (height, width): (usize, usize), change: fn(f32) -> f32) -> Tensor {
    let values = formula(key, 3 * height * width, 0.0, 1.0);
    let values: Vec<f32> = values.into_iter().map(change).collect();
    Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).unwrap()
}

fn style(picture: Tensor, weight: f64) -> StyleTensors {
    StyleTensors {
        pictures: vec![picture],
        weight,
        mask: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a watch may fail")]
fn watch_nothing(_: usize, _: &Losses, _: &[f32]) -> Result<ControlFlow<()>> {
    Ok(ControlFlow::Continue(()))
}

#[test]
fn losses_are_those_of_torch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/tensors/style_optimize.safetensors");
    let expected = Checkpoint::read(&path).unwrap().tensors;
    let content = tensor("content", (36, 44), |v| v);
    let styles = [
        style(tensor("style", (40, 32), |v| v * v * v), 0.7),
        style(tensor("style2", (24, 28), |v| v * 0.5), 0.3),
    ];
    let weights = Weights {
        variation: 0.1,
        range: 0.0,
        ..Weights::default()
    };
    let objective = Objective::new(&extractor(), &content, &styles, weights).unwrap();
    let lbfgs = |search| {
        Method::Lbfgs(Lbfgs {
            search,
            ..Lbfgs::default()
        })
    };
    for (name, method) in [
        ("adam", Method::Adam { rate: 0.02 }),
        ("fixed", lbfgs(Search::Fixed)),
        ("wolfe", lbfgs(Search::StrongWolfe)),
    ] {
        let expected = expected.get(name).unwrap().to_f32();
        let found = minimize(&objective, &content, method, 20, &mut watch_nothing).unwrap();
        assert_eq!(found.history.len(), 21, "{name}");
        let rows = found.history.iter().zip(expected.chunks_exact(4));
        for (iteration, (found, expected)) in rows.enumerate() {
            let parts = [found.total, found.content, found.style, found.variation];
            for (found, expected) in parts.into_iter().zip(expected) {
                let expected = f64::from(*expected);
                let apart = (found - expected).abs() / expected.abs().max(1e-3);
                // Roundings add up over the iterations.
                let bound = if iteration <= 10 { 1e-3 } else { 1e-2 };
                assert!(apart < bound, "{name} {iteration}: {found} and {expected}");
            }
        }
        assert_eq!(found.returns, 0, "{name}");
    }
}

#[test]
fn a_descent_that_runs_away_is_taken_back() {
    let content = tensor("content", (20, 24), |v| v);
    let styles = [style(tensor("style", (24, 20), |v| v * v), 1.0)];
    let objective = Objective::new(&extractor(), &content, &styles, Weights::default()).unwrap();
    let method = Method::Lbfgs(Lbfgs {
        rate: 10.0,
        search: Search::Fixed,
        ..Lbfgs::default()
    });
    let found = minimize(&objective, &content, method, 40, &mut watch_nothing).unwrap();
    assert!(found.returns > 0, "ten times Newton's step goes away");
    let first = found.history[0].total;
    assert!(
        found.losses.total <= first,
        "{} and {first}",
        found.losses.total
    );
    let best = found
        .history
        .iter()
        .map(|losses| losses.total)
        .fold(first, f64::min);
    assert!((found.losses.total - best).abs() < 1e-12);
    // The picture that is returned is the one with that loss.
    let picture = Tensor::from_vec(found.picture, (1, 3, 20, 24), &Device::Cpu).unwrap();
    let (_, losses) = objective.of(&picture).unwrap();
    assert!(
        (losses.total - best).abs() <= 1e-5 * best,
        "{} and {best}",
        losses.total
    );
}

#[test]
fn masked_statistics_are_those_of_the_region() {
    let style_picture = tensor("style", (16, 24), |v| v * v);
    let content = tensor("content", (16, 24), |v| v);
    // A network that sees one pixel at a time would not look beyond the edge: layer relu1_1 sees
    // one pixel beyond, so the statistics of the left half are near those of the half alone.
    let mask: Vec<f32> = (0..16 * 24)
        .map(|at| if at % 24 < 12 { 1.0 } else { 0.0 })
        .collect();
    let mask = Tensor::from_vec(mask, (1, 1, 16, 24), &Device::Cpu).unwrap();
    let half = content.narrow(3, 0, 12).unwrap().contiguous().unwrap();
    for statistics in [Statistics::Gram, Statistics::Moments] {
        let weights = Weights {
            alpha: 0.0,
            variation: 0.0,
            range: 0.0,
            statistics,
            style_layers: vec![layer("relu1_1")],
            ..Weights::default()
        };
        let loss = |content: &Tensor, mask: Option<Tensor>| {
            let styles = [StyleTensors {
                mask,
                ..style(style_picture.clone(), 1.0)
            }];
            let objective =
                Objective::new(&extractor(), content, &styles, weights.clone()).unwrap();
            objective.of(content).unwrap().1.style
        };
        let (masked, alone) = (loss(&content, Some(mask.clone())), loss(&half, None));
        assert!((masked - alone).abs() < 0.1 * alone, "{masked} and {alone}");
        let white = mask.ones_like().unwrap();
        let (white, none) = (loss(&content, Some(white)), loss(&content, None));
        assert!((white - none).abs() < 1e-5 * none, "{white} and {none}");
    }
}

#[test]
fn what_cannot_be_minimised_is_refused() {
    let content = tensor("content", (16, 16), |v| v);
    let styles = [style(tensor("style", (16, 16), |v| v), 1.0)];
    let message = |weights: Weights, styles: &[StyleTensors]| {
        Objective::new(&extractor(), &content, styles, weights)
            .unwrap_err()
            .to_string()
    };
    let nothing = Weights {
        alpha: 0.0,
        beta: 0.0,
        ..Weights::default()
    };
    assert_eq!(
        message(nothing, &styles),
        "`alpha` and `beta` are both 0: there is neither content nor style"
    );
    assert_eq!(
        message(Weights::default(), &[]),
        "there is no style picture"
    );
    let unknown = Weights {
        style_layers: vec![layer("relu9_1")],
        ..Weights::default()
    };
    assert_eq!(
        message(unknown, &styles),
        "the network has no layer `relu9_1`"
    );
    let black = StyleTensors {
        mask: Some(Tensor::zeros((1, 1, 16, 16), candle_core::DType::F32, &Device::Cpu).unwrap()),
        ..styles[0].clone()
    };
    assert_eq!(
        message(Weights::default(), &[black]),
        "a mask is black everywhere: its style holds nowhere"
    );
    let small = StyleTensors {
        mask: Some(Tensor::zeros((1, 1, 8, 16), candle_core::DType::F32, &Device::Cpu).unwrap()),
        ..styles[0].clone()
    };
    assert_eq!(
        message(Weights::default(), &[small]),
        "a mask of 16 × 8 pixels for a picture of 16 × 16"
    );
}

/// A picture with colours, 8 bits.
fn raster(key: &str, width: u32, height: u32, model: ColorModel, alpha: bool) -> Raster {
    let channels = match model {
        ColorModel::Gray => 1,
        ColorModel::Rgb => 3,
    } + usize::from(alpha);
    let smooth = |at: usize| {
        let (x, y) = (
            at / channels % width as usize,
            at / channels / width as usize,
        );
        ((x * 5 + y * 3 + at % channels * 40) % 200) as f32
    };
    let noise = formula(key, width as usize * height as usize * channels, 0.0, 50.0);
    let samples = noise
        .iter()
        .enumerate()
        .map(|(at, noise)| (smooth(at) + noise) as u8);
    Raster::from_samples(width, height, model, alpha, Samples::U8(samples.collect())).unwrap()
}

fn small_settings() -> Settings {
    Settings {
        iterations: 4,
        size: 48,
        levels: Some(2),
        ..Settings::default()
    }
}

fn apply(content: &Raster, styles: &[Style], settings: &Settings) -> Outcome {
    let go = &mut |_: &Progress<'_>| Ok(ControlFlow::Continue(()));
    optimize(&extractor(), &Device::Cpu, content, styles, settings, go).unwrap()
}

#[test]
fn size_format_and_alpha_are_the_contents() {
    let styles = [Style::new(raster(
        "a style",
        50,
        40,
        ColorModel::Rgb,
        false,
    ))];
    for (model, alpha) in [
        (ColorModel::Gray, false),
        (ColorModel::Gray, true),
        (ColorModel::Rgb, false),
        (ColorModel::Rgb, true),
    ] {
        let content = raster("a content", 90, 70, model, alpha);
        let made = apply(&content, &styles, &small_settings());
        assert_eq!(made.raster.format(), content.format());
        assert_eq!((made.raster.width(), made.raster.height()), (90, 70));
        assert_ne!(made.raster, content);
        if alpha {
            let channels = content.format().channels();
            let (a, b) = (
                made.raster.as_slice::<u8>().unwrap(),
                content.as_slice::<u8>().unwrap(),
            );
            let last = channels - 1;
            let pairs = a.chunks_exact(channels).zip(b.chunks_exact(channels));
            assert!(pairs.into_iter().all(|(a, b)| a[last] == b[last]));
        }
        let change = made.change.unwrap();
        let value = |name: &str| change.values.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(value("iterations"), 8.0);
        assert!(value("loss") < value("first_loss"), "{change:?}");
    }
}

#[test]
fn kept_luma_keeps_differences_of_colours() {
    let content = raster("a content", 44, 40, ColorModel::Rgb, false);
    let styles = [Style::new(raster(
        "a style",
        50,
        40,
        ColorModel::Gray,
        false,
    ))];
    let settings = Settings {
        keep_colors: KeepColors::Luma,
        ..small_settings()
    };
    let made = apply(&content, &styles, &settings).raster;
    let pairs = made.as_slice::<u8>().unwrap().chunks_exact(3);
    for (made, own) in pairs.zip(content.as_slice::<u8>().unwrap().chunks_exact(3)) {
        if made.iter().all(|value| (1..255).contains(value)) {
            let difference = |p: &[u8]| i32::from(p[0]) - i32::from(p[1]);
            assert!((difference(made) - difference(own)).abs() <= 1);
        }
    }
}

#[test]
fn equal_seeds_give_equal_pictures_and_a_watch_can_stop() {
    let content = raster("a content", 40, 36, ColorModel::Rgb, false);
    let styles = [Style::new(raster(
        "a style",
        30,
        40,
        ColorModel::Rgb,
        false,
    ))];
    let noise = |seed| Settings {
        start: Start::Noise,
        levels: Some(1),
        seed: Seed::new(seed),
        ..small_settings()
    };
    let first = apply(&content, &styles, &noise(1)).raster;
    assert_eq!(first, apply(&content, &styles, &noise(1)).raster);
    assert_ne!(first, apply(&content, &styles, &noise(2)).raster);
    let mut seen = Vec::new();
    let stop = &mut |progress: &Progress<'_>| {
        seen.push((
            progress.level,
            progress.iteration,
            progress.picture().width(),
        ));
        Ok(if progress.iteration == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    let made = optimize(
        &extractor(),
        &Device::Cpu,
        &content,
        &styles,
        &small_settings(),
        stop,
    );
    assert_eq!(made.unwrap().raster.width(), 40);
    assert_eq!(seen, [(0, 0, 20), (0, 1, 20), (0, 2, 20)]);
}
