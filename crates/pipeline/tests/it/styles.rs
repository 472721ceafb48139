//! Steps that bring pictures to others: styles by a tiny extractor, tones and colours by a reference.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fonds_catalog::provenance::Sidecar;
use fonds_core::{Code, Digest, Limits, PixelFormat, Raster};
use fonds_image::decode::Document;
use fonds_nn::weights::{Tensor, Tensors, write_safetensors};
use fonds_pipeline::{
    DeviceChoice, Kernel, NetworkOptions, Networks, Plan, Registry, StepContext, compile,
};
use tempfile::TempDir;

use crate::networks::tiny;
use crate::support::{Bench, assert_sound, picture};

/// A VGG of three blocks of one convolution.
fn extractor() -> Tensors {
    let mut state = 7_u32;
    let mut tensor = |shape: &[usize], strength: f32| {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * strength
            })
            .collect();
        Tensor::from_f32(shape, &values).unwrap()
    };
    let mut tensors = Tensors::new();
    for (index, inner, outer) in [(0, 3, 6), (3, 6, 8), (6, 8, 8)] {
        let (weight, bias) = (
            format!("features.{index}.weight"),
            format!("features.{index}.bias"),
        );
        tensors.insert(weight.as_str(), tensor(&[outer, inner, 3, 3], 0.8));
        tensors.insert(bias.as_str(), tensor(&[outer], 0.1));
    }
    tensors
}

/// A folder with an extractor, a network of another kind, and pictures.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let metadata = BTreeMap::from([("licence".to_owned(), "CC0-1.0".to_owned())]);
    write_safetensors(
        &folder.path().join("vgg.safetensors"),
        &extractor(),
        &metadata,
    )
    .unwrap();
    write_safetensors(
        &folder.path().join("two.safetensors"),
        &tiny(2, 0.1),
        &metadata,
    )
    .unwrap();
    fs::write(
        folder.path().join("style.ppm"),
        picture("style.ppm", 40, 30, 5),
    )
    .unwrap();
    fs::write(
        folder.path().join("mask.pgm"),
        picture("mask.pgm", 20, 20, 5),
    )
    .unwrap();
    fs::write(folder.path().join("broken.jpg"), b"no picture").unwrap();
    folder
}

fn registry(folder: &Path) -> Registry {
    Registry::with_networks(&Networks::new(NetworkOptions {
        folder: folder.to_owned(),
        device: DeviceChoice::Cpu,
        kernel: Some(Kernel::detect()),
        ..NetworkOptions::default()
    }))
}

fn pipeline(step: &str) -> String {
    format!("name = \"styles\"\n[[step]]\nid = \"made\"\n{step}\n[[output]]\nformat = \"png\"\n")
}

fn plan(folder: &Path, step: &str) -> Arc<Plan> {
    let plan = compile(&pipeline(step), &registry(folder));
    Arc::new(plan.unwrap_or_else(|errors| panic!("{errors:#?}")))
}

fn decode(path: &Path) -> Raster {
    let bytes = fs::read(path).unwrap();
    let mut document = Document::open(&bytes, &Limits::DEFAULT).unwrap();
    document.decode(0).unwrap().raster
}

#[test]
fn a_stylised_picture_and_its_records() {
    let folder = folder();
    let step = "run.stylize = { styles = [\"style.ppm:0.7\"], model = \"vgg.safetensors\", \
                iterations = 5, size = 32, beta = 10 }";
    let plan = plan(folder.path(), step);
    let bench = Bench::empty();
    bench.write("a.ppm", &picture("a.ppm", 48, 36, 1));
    bench.write("b.pgm", &picture("b.pgm", 30, 36, 2));
    let report = bench.run(&plan);
    assert_eq!(
        (report.counts.ok, report.counts.failed),
        (2, 0),
        "{report:?}"
    );
    assert_sound(&bench.output);
    let made = decode(&bench.derivative_of("a.ppm"));
    assert_eq!(
        (made.width(), made.height(), made.format()),
        (48, 36, PixelFormat::RGB8)
    );
    assert_ne!(made.samples(), decode(&bench.input.join("a.ppm")).samples());
    let gray = decode(&bench.derivative_of("b.pgm"));
    assert_eq!(gray.format(), PixelFormat::GRAY8, "gray stays gray");

    let sidecar = format!("{}.prov.json", bench.derivative_of("a.ppm").display());
    let text = fs::read_to_string(sidecar).unwrap();
    let sidecar = Sidecar::from_json(&text).unwrap();
    let event = sidecar
        .events
        .iter()
        .find(|event| event.model.is_some())
        .unwrap();
    let style = Digest::of(&fs::read(folder.path().join("style.ppm")).unwrap());
    assert_eq!(event.parameters["style_sha256"][0], style.to_string());
    assert_eq!(event.parameters["beta"], 10.0);
    assert!(
        event.parameters.get("strength").is_none(),
        "that is of other methods"
    );
    assert_eq!(event.model.as_ref().unwrap().version, "VGG");
    assert!(text.contains("\"first_loss\""), "{text}");
    let term = sidecar.derivative.digital_source_type.unwrap();
    assert!(
        term.ends_with("/compositeWithTrainedAlgorithmicMedia"),
        "{term}"
    );
}

#[test]
fn what_cannot_be_stylised_is_refused_with_its_place() {
    let folder = folder();
    let registry = registry(folder.path());
    let cases = [
        (
            "styles = [\"style.ppm\"]",
            Code::InvalidRequest,
            "`stylize` names no `model`: the network that looks at pictures",
        ),
        (
            "model = \"vgg.safetensors\"",
            Code::InvalidRequest,
            "`stylize` names no style",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"nothing.jpg\"]",
            Code::InvalidRequest,
            "there is no style `nothing.jpg`",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"broken.jpg\"]",
            Code::InvalidRequest,
            "the style `broken.jpg`: ",
        ),
        (
            "model = \"two.safetensors\", styles = [\"style.ppm\"]",
            Code::ModelError,
            "the weights `two.safetensors`: the weights are those of no network whose features are known",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"style.ppm\"], alpha = 0, beta = 0",
            Code::InvalidRequest,
            "`alpha` and `beta` are both 0: there is neither content nor style",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"style.ppm:0\"]",
            Code::InvalidRequest,
            "the style `style.ppm` has the weight 0",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"style.ppm\"], style_layers = [\"relu7_1\"]",
            Code::InvalidRequest,
            "VGG has no layer `relu7_1`",
        ),
        (
            "model = \"vgg.safetensors\", styles = [\"style.ppm\"], strength = 0.5",
            Code::InvalidRequest,
            "`strength` is for method `feedforward` and `adain`",
        ),
        (
            "method = \"feedforward\", model = \"two.safetensors\"",
            Code::ModelError,
            "the weights are those of no network that knows a style",
        ),
        (
            "method = \"adain\", model = \"vgg.safetensors\", decoder = \"two.safetensors\", styles = [\"style.ppm\"]",
            Code::ModelError,
            "the weights `vgg.safetensors` are no encoder of AdaIN",
        ),
    ];
    for (keys, code, message) in cases {
        let text = pipeline(&format!("run.stylize = {{ {keys} }}"));
        let errors = compile(&text, &registry).unwrap_err();
        assert_eq!(errors.len(), 1, "{keys}: {errors:?}");
        assert_eq!(errors[0].code(), code, "{keys}: {}", errors[0]);
        assert!(
            errors[0].message().starts_with(message),
            "{keys}: {}",
            errors[0]
        );
        assert_eq!(errors[0].place().line, Some(4), "{keys}");
    }
    // A mask's size is known when there is a picture.
    let keys =
        "model = \"vgg.safetensors\", styles = [\"style.ppm\"], masks = [\"mask.pgm\"], size = 32";
    let plan = plan(folder.path(), &format!("run.stylize = {{ {keys} }}"));
    let raster = Raster::new(24, 20, PixelFormat::RGB8);
    let context = StepContext::new("made", fonds_core::Seed::new(0));
    let error = plan.steps[0].step.apply(raster, &context).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a mask of 20 × 20 pixels for a picture of 24 × 20"
    );
}

#[test]
fn a_series_is_matched_to_a_reference() {
    let folder = folder();
    let bench = Bench::empty();
    bench.write("a.ppm", &picture("a.ppm", 48, 36, 1));
    for method in ["reinhard", "transport", "histogram"] {
        let step = format!("run.match = {{ reference = \"style.ppm\", method = \"{method}\" }}");
        let plan = plan(folder.path(), &step);
        let step = &plan.steps[0].step;
        let style = Digest::of(&fs::read(folder.path().join("style.ppm")).unwrap());
        assert_eq!(step.parameters()["reference_sha256"], style.to_string());
        let source = decode(&bench.input.join("a.ppm"));
        let context = StepContext::new("made", fonds_core::Seed::new(0));
        let made = step.apply(source.clone(), &context).unwrap().raster;
        let mean = |raster: &Raster| {
            let samples = raster.as_slice::<u8>().unwrap();
            samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len() as f64
        };
        let (before, after) = (mean(&source), mean(&made));
        let wanted = mean(&decode(&folder.path().join("style.ppm")));
        assert!(
            (before - wanted).abs() > 3.0,
            "{method}: {before} and {wanted}"
        );
        assert!(
            (after - wanted).abs() < 1.5,
            "{method}: {after} and {wanted}"
        );
    }
    let errors = compile(&pipeline("run.match = {}"), &registry(folder.path())).unwrap_err();
    assert_eq!(errors[0].message(), "`match` names no `reference`");
}
