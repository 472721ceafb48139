//! Steps that run networks: tiny ones, whose weights are made on the spot.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fonds_catalog::provenance::Sidecar;
use fonds_core::{Code, ColorModel, Depth, Digest, Error, Limits, PixelFormat, Ppi, Raster};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_nn::weights::{Tensor, Tensors, write_safetensors};
use fonds_pipeline::{
    Act, DeviceChoice, EvalOptions, Kernel, NetworkOptions, Networks, Plan, Registry, compile,
    evaluate, run,
};
use tempfile::TempDir;

use crate::support::{Bench, assert_same_content, assert_sound, picture};

/// An SRVGG of four features and one convolution; with `strength` 0 it repeats each pixel.
pub(crate) fn tiny(scale: usize, strength: f32) -> Tensors {
    let mut state = 1_u32;
    let mut tensor = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * strength
            })
            .collect();
        Tensor::from_f32(shape, &values).unwrap()
    };
    let made = 3 * scale * scale;
    [
        ("body.0.weight", tensor(&[4, 3, 3, 3])),
        ("body.0.bias", tensor(&[4])),
        ("body.1.weight", tensor(&[4])),
        ("body.2.weight", tensor(&[4, 4, 3, 3])),
        ("body.2.bias", tensor(&[4])),
        ("body.3.weight", tensor(&[4])),
        ("body.4.weight", tensor(&[made, 4, 3, 3])),
        ("body.4.bias", tensor(&[made])),
    ]
    .into_iter()
    .collect()
}

/// A folder with weights, gone with the test.
struct Weights(TempDir);

impl Weights {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, tensors: &Tensors) -> Self {
        let metadata = BTreeMap::from([
            ("title".to_owned(), format!("The {name}")),
            ("licence".to_owned(), "CC0-1.0".to_owned()),
        ]);
        write_safetensors(&self.path(name), tensors, &metadata).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn registry_on(&self, device: DeviceChoice) -> Registry {
        let options = NetworkOptions {
            folder: self.0.path().to_owned(),
            device,
            kernel: Some(Kernel::Portable),
            ..NetworkOptions::default()
        };
        Registry::with_networks(&Networks::new(options))
    }

    fn plan(&self, step: &str) -> Arc<Plan> {
        let plan = compile(&pipeline(step), &self.registry_on(DeviceChoice::Cpu));
        Arc::new(plan.unwrap_or_else(|errors| panic!("{errors:#?}")))
    }

    fn errors(&self, text: &str) -> Vec<Error> {
        compile(text, &self.registry_on(DeviceChoice::Cpu)).unwrap_err()
    }
}

fn pipeline(step: &str) -> String {
    format!("name = \"large\"\n[[step]]\nid = \"made\"\n{step}\n[[output]]\nformat = \"tiff\"\n")
}

fn decode(path: &Path) -> Raster {
    let bytes = fs::read(path).unwrap();
    let mut document = Document::open(&bytes, &Limits::DEFAULT).unwrap();
    document.decode(0).unwrap().raster
}

/// A PNG of a format: ramps that differ from channel to channel.
fn png(width: u32, height: u32, format: PixelFormat) -> (Raster, Vec<u8>) {
    let mut raster = Raster::new(width, height, format).with_ppi(Some(Ppi::square(300.0)));
    let value = |index: usize| (index * 7919) % 50_000;
    if let Some(samples) = raster.as_mut_slice::<u16>() {
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample = value(index) as u16;
        }
    }
    if let Some(samples) = raster.as_mut_slice::<u8>() {
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample = (value(index) >> 8) as u8;
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    let encoding = Encoding::Png {
        level: fonds_image::encode::PngLevel::Fast,
    };
    encode(&raster, &encoding, &Embedded::default(), &mut bytes).unwrap();
    (raster, bytes.into_inner())
}

#[test]
fn an_enlarged_picture_and_its_records() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.0));
    let plan = weights.plan("run.upscale = { model = \"two.safetensors\" }");
    let bench = Bench::empty();
    bench.write("a.ppm", &picture("a.ppm", 21, 13, 1));
    let report = bench.run(&plan);
    assert_eq!((report.counts.ok, report.counts.failed), (1, 0));
    assert_sound(&bench.output);

    let path = bench.derivative_of("a.ppm");
    let (small, large) = (decode(&bench.input.join("a.ppm")), decode(&path));
    assert_eq!((large.width(), large.height()), (42, 26));
    let (from, to) = (
        small.as_slice::<u8>().unwrap(),
        large.as_slice::<u8>().unwrap(),
    );
    for y in 0..26 {
        for x in 0..42 {
            let (from, to) = (&from[(y / 2 * 21 + x / 2) * 3..], &to[(y * 42 + x) * 3..]);
            assert_eq!(from[..3], to[..3], "{x}, {y}");
        }
    }

    let sha256 = Digest::of(&fs::read(weights.path("two.safetensors")).unwrap()).to_string();
    let sidecar = fs::read_to_string(format!("{}.prov.json", path.display())).unwrap();
    let sidecar = Sidecar::from_json(&sidecar).unwrap();
    let event = sidecar
        .events
        .iter()
        .find(|event| event.model.is_some())
        .unwrap();
    let model = event.model.as_ref().unwrap();
    assert_eq!(model.name, "The two.safetensors");
    assert!(model.version.contains("SRVGG"), "{}", model.version);
    assert_eq!(model.licence, "CC0-1.0");
    assert_eq!(model.sha256.0.to_string(), sha256);
    assert_eq!(event.parameters["model"], "two.safetensors");
    assert_eq!(event.parameters["scale"], 2);
    assert_eq!(sidecar.environment.device, "cpu");
    let kernel = &sidecar.environment.kernel;
    assert!(kernel.starts_with("portable (networks), "), "{kernel}");
    let term = sidecar.derivative.digital_source_type.unwrap();
    assert!(
        term.ends_with("/compositeWithTrainedAlgorithmicMedia"),
        "{term}"
    );

    let row = bench.row("a.ppm");
    assert_eq!(row.ai_system, "The two.safetensors");
    assert!(
        row.ai_system_version.ends_with(&sha256[..12]),
        "{}",
        row.ai_system_version
    );
    let bytes = fs::read(&path).unwrap();
    let label = String::from_utf8_lossy(&bytes);
    assert!(label.contains("AISystemUsed") && label.contains("The two.safetensors"));
    let run = fs::read_to_string(bench.output.join("run.json")).unwrap();
    assert!(run.contains(&sha256), "{run}");
}

#[test]
fn depth_alpha_gray_and_resolution_are_kept() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.0));
    let plan = weights.plan("run.upscale = { model = \"two.safetensors\" }");
    let bench = Bench::empty();
    let mut sources = Vec::new();
    for depth in [Depth::U8, Depth::U16] {
        for model in [ColorModel::Gray, ColorModel::Rgb] {
            for alpha in [false, true] {
                let format = PixelFormat::new(depth, model, alpha);
                let (raster, bytes) = png(18, 11, format);
                let name = format!("{}.png", sources.len());
                bench.write(&name, &bytes);
                sources.push((name, raster));
            }
        }
    }
    let report = bench.run(&plan);
    assert_eq!(report.counts.ok, 8, "{report:?}");
    for (name, source) in sources {
        let made = decode(&bench.derivative_of(&name));
        let format = source.format();
        assert_eq!(made.format(), format, "{name}");
        assert_eq!((made.width(), made.height()), (36, 22), "{name}");
        let ppi = made.ppi().unwrap();
        assert!(
            (ppi.x - 600.0).abs() < 0.01 && (ppi.y - 600.0).abs() < 0.01,
            "{name}: {ppi:?}"
        );
        // The network repeats pixels; what it was fed with comes back to the last bit.
        let channels = format.channels();
        let first = |raster: &Raster| -> Vec<u32> {
            let colors = format.color_channels();
            match raster.as_slice::<u16>() {
                Some(samples) => samples[..colors].iter().map(|&s| u32::from(s)).collect(),
                None => raster.as_slice::<u8>().unwrap()[..colors]
                    .iter()
                    .map(|&s| u32::from(s))
                    .collect(),
            }
        };
        assert!(channels >= 1);
        assert_eq!(first(&made), first(&source), "{name}: {format}");
    }
}

#[test]
fn what_networks_make_up_is_told_from_what_they_correct() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.1));
    let act = |more: &str| {
        let step = format!("run.upscale = {{ model = \"two.safetensors\"{more} }}");
        weights.plan(&step).steps[0].step.act()
    };
    assert_eq!(act(""), Act::Generative);
    assert_eq!(act(", generative = false"), Act::Enhancement);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn all_that_is_wrong_with_weights_is_told_at_once() {
    let mut broken = tiny(2, 0.1);
    let mut values = vec![0.0; 4];
    values[2] = f32::NAN;
    broken.insert("body.0.bias", Tensor::from_f32(&[4], &values).unwrap());
    let mut more = tiny(2, 0.1);
    more.insert("body.9.extra", Tensor::from_f32(&[1], &[0.0]).unwrap());
    let other = [("whatever", Tensor::from_f32(&[2, 2], &[0.0; 4]).unwrap())]
        .into_iter()
        .collect();
    let weights = Weights::new()
        .with("nan.safetensors", &broken)
        .with("more.safetensors", &more)
        .with("other.safetensors", &other)
        .with("two.safetensors", &tiny(2, 0.1))
        .with("one.safetensors", &tiny(1, 0.1));
    fs::write(weights.path("text.pth"), b"hello").unwrap();
    fs::write(weights.path("hostile.pth"), hostile()).unwrap();
    let steps = [
        (
            "upscale = { model = \"nowhere.pth\" }",
            Code::ModelError,
            "there are no weights `nowhere.pth`",
        ),
        (
            "upscale = { model = \"text.pth\" }",
            Code::ModelError,
            "no checkpoint",
        ),
        (
            "upscale = { model = \"hostile.pth\" }",
            Code::ModelError,
            "system",
        ),
        (
            "network = { model = \"other.safetensors\" }",
            Code::ModelError,
            "other.safetensors",
        ),
        (
            "upscale = { model = \"more.safetensors\" }",
            Code::ModelError,
            "body.9.extra",
        ),
        (
            "upscale = { model = \"nan.safetensors\" }",
            Code::ModelError,
            "body.0.bias",
        ),
        (
            "upscale = { model = \"two.safetensors\", scale = 3 }",
            Code::InvalidRequest,
            "×3",
        ),
        (
            "upscale = { model = \"one.safetensors\" }",
            Code::InvalidRequest,
            "does not enlarge",
        ),
        (
            "denoise = { method = \"network\", model = \"two.safetensors\" }",
            Code::InvalidRequest,
            "enlarges ×2",
        ),
        ("upscale = { scale = 3 }", Code::InvalidRequest, "×2 and ×4"),
        (
            "upscale = { model = \"two.safetensors\", kind = \"vivid\" }",
            Code::InvalidRequest,
            "`kind` chooses",
        ),
        (
            "network = { strength = 0.5 }",
            Code::InvalidRequest,
            "names no `model`",
        ),
        (
            "upscale = { model = \"two.safetensors\", strength = 2 }",
            Code::InvalidRequest,
            "strength",
        ),
        (
            "upscale = { model = \"two.safetensors\", sigma = 2 }",
            Code::InvalidRequest,
            "unknown key",
        ),
        (
            "network = { model = \"one.safetensors\", sigma = 2 }",
            Code::InvalidRequest,
            "no noise",
        ),
        (
            "upscale = { model = \"two.safetensors\", denoise = 0.5 }",
            Code::InvalidRequest,
            "weak_model",
        ),
        (
            "denoise = { model = \"one.safetensors\" }",
            Code::InvalidRequest,
            "for networks",
        ),
    ];
    let mut text = "name = \"wrong\"\n".to_owned();
    for (number, (run, _, _)) in steps.iter().enumerate() {
        text.push_str(&format!("[[step]]\nid = \"s{number}\"\nrun.{run}\n"));
    }
    let errors = weights.errors(&text);
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), steps.len(), "{told:#?}");
    for (number, ((run, code, part), error)) in steps.iter().zip(&errors).enumerate() {
        assert_eq!(error.code(), *code, "{run}: {error}");
        assert!(error.to_string().contains(part), "{run}: {error}");
        assert_eq!(
            error.place().line,
            Some(number as u32 * 3 + 4),
            "{run}: {error}"
        );
    }
    // A file is blamed where it is named.
    let column = "run.upscale = { model = ".len() as u32 + 1;
    assert_eq!(errors[0].place().column, Some(column));
}

/// A file of old `torch.save` that calls `os.system`.
fn hostile() -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    bytes.extend(b"\x80\x02M\xe9\x03.");
    bytes.extend(b"\x80\x02}q\x00.");
    bytes.extend(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.");
    bytes
}

#[test]
fn other_weights_under_the_same_name_make_everything_anew() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.1));
    let step = "run.upscale = { model = \"two.safetensors\" }";
    let bench = Bench::empty();
    for name in ["a.ppm", "b.ppm"] {
        bench.write(name, &picture(name, 20, 14, 3));
    }
    assert_eq!(bench.run(&weights.plan(step)).counts.processed, 2);
    assert_eq!(bench.run(&weights.plan(step)).counts.processed, 0);
    let weights = weights.with("two.safetensors", &tiny(2, 0.2));
    let plan = weights.plan(step);
    assert_eq!(bench.run(&plan).counts.processed, 2);
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "other weights");
}

#[test]
fn workers_and_tiles_change_nothing() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.2));
    let plan = |more: &str| {
        weights.plan(&format!(
            "run.upscale = {{ model = \"two.safetensors\"{more} }}"
        ))
    };
    let bench = Bench::empty();
    for number in 0..5 {
        let name = format!("{number}.ppm");
        bench.write(&name, &picture(&name, 70 + number, 50, number));
    }
    let whole = plan("");
    bench.run_with(&whole, |options| options.workers = 1);
    let other = bench.beside("other");
    other.run_with(&whole, |options| options.workers = 4);
    assert_same_content(&bench.output, &other.output, "workers");
    let tiled = bench.beside("tiled");
    tiled.run(&plan(", tile = 16, exact = true"));
    for number in 0..5 {
        let name = format!("{number}.ppm");
        let (one, other) = (bench.derivative_of(&name), tiled.derivative_of(&name));
        assert_eq!(decode(&one).samples(), decode(&other).samples(), "{name}");
    }
}

#[test]
fn a_pair_is_blended() {
    let weights = Weights::new()
        .with("strong.safetensors", &tiny(2, 0.3))
        .with("weak.safetensors", &tiny(2, 0.0));
    let bench = Bench::empty();
    bench.write("a.ppm", &picture("a.ppm", 20, 14, 3));
    let made = |name: &str, keys: &str| {
        let plan = weights.plan(&format!("run.upscale = {{ {keys} }}"));
        let bench = bench.beside(name);
        bench.run(&plan);
        decode(&bench.derivative_of("a.ppm"))
    };
    let pair = "model = \"strong.safetensors\", weak_model = \"weak.safetensors\"";
    let strong = made("strong", "model = \"strong.safetensors\"");
    let weak = made("weak", "model = \"weak.safetensors\"");
    assert_ne!(strong.samples(), weak.samples());
    assert_eq!(
        made("all", &format!("{pair}, denoise = 1.0")).samples(),
        strong.samples()
    );
    assert_eq!(
        made("none", &format!("{pair}, denoise = 0.0")).samples(),
        weak.samples()
    );
    let half = made("half", &format!("{pair}, denoise = 0.5"));
    assert_ne!(half.samples(), strong.samples());
    assert_ne!(half.samples(), weak.samples());
}

#[test]
fn a_clean_picture_needs_no_network() {
    let weights = Weights::new().with("one.safetensors", &tiny(1, 0.3));
    let run = |min_sigma: f64| {
        let step = format!(
            "run.denoise = {{ method = \"network\", model = \"one.safetensors\", \
             min_sigma = {min_sigma:?} }}"
        );
        let bench = Bench::empty();
        bench.write("a.ppm", &picture("a.ppm", 40, 40, 3));
        bench.run(&weights.plan(&step)).counts
    };
    assert_eq!(run(60.0).unchanged, 1);
    assert_eq!(run(0.0).ok, 1);
}

#[test]
fn a_device_that_is_not_there_ends_the_run_before_it_begins() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.1));
    let registry = weights.registry_on(DeviceChoice::Cuda(vec![97]));
    let text = pipeline("run.upscale = { model = \"two.safetensors\" }");
    let plan = Arc::new(compile(&text, &registry).unwrap());
    let bench = Bench::small();
    let error = run(&plan, &bench.options(), &AtomicBool::new(false), &|_| {}).unwrap_err();
    let expected = if cfg!(feature = "cuda") {
        Code::InvalidRequest
    } else {
        Code::NotBuiltIn
    };
    assert_eq!(error.code(), expected, "{error}");
    assert_eq!(error.place().step.as_deref(), Some("made"));
    assert!(!bench.output.exists());
}

#[test]
fn memory_that_a_network_takes_is_declared() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.1));
    let plan = weights.plan("run.upscale = { model = \"two.safetensors\" }");
    assert!(plan.memory_shared() > 64 << 20, "{}", plan.memory_shared());
    // Four times the pixels come out, and are encoded.
    assert!(plan.memory_per_page(1_000_000, 3) > 2 * 12_000_000);
}

#[test]
fn a_network_is_measured_on_pairs() {
    let weights = Weights::new().with("two.safetensors", &tiny(2, 0.0));
    let data = tempfile::tempdir().unwrap();
    let (small, bytes) = png(24, 20, PixelFormat::RGB8);
    fs::write(data.path().join("x_LR.png"), &bytes).unwrap();
    // An original that repeats the small picture's pixels, but for one.
    let samples = small.as_slice::<u8>().unwrap();
    let mut large = Raster::new(48, 40, PixelFormat::RGB8);
    for (index, sample) in large.as_mut_slice::<u8>().unwrap().iter_mut().enumerate() {
        let (pixel, channel) = (index / 3, index % 3);
        *sample = samples[(pixel / 48 / 2 * 24 + pixel % 48 / 2) * 3 + channel];
    }
    large.as_mut_slice::<u8>().unwrap()[(20 * 48 + 20) * 3] ^= 16;
    let mut bytes = Cursor::new(Vec::new());
    let encoding = Encoding::Png {
        level: fonds_image::encode::PngLevel::Fast,
    };
    encode(&large, &encoding, &Embedded::default(), &mut bytes).unwrap();
    fs::write(data.path().join("x_HR.png"), bytes.into_inner()).unwrap();
    let options = EvalOptions {
        model: "two.safetensors".into(),
        data: data.path().to_owned(),
        bicubic: true,
        ..EvalOptions::default()
    };
    let networks = Networks::new(NetworkOptions {
        folder: weights.0.path().to_owned(),
        device: DeviceChoice::Cpu,
        ..NetworkOptions::default()
    });
    let mut told = 0;
    let found = evaluate(&networks, &options, |_| told += 1).unwrap();
    assert_eq!(
        (told, found.rows.len(), found.scale, found.border),
        (1, 1, 2, 2)
    );
    let row = &found.rows[0];
    assert_eq!((row.picture.as_str(), row.size), ("x", (48, 40)));
    // One channel of one pixel of 44 × 36 is off by 16.
    let expected = 10.0 * (255.0_f64.powi(2) * (44.0 * 36.0 * 3.0) / 256.0).log10();
    assert!((row.made.psnr - expected).abs() < 1e-6, "{row:?}");
    assert!(row.made.ssim > 0.99 && row.made.ssim < 1.0);
    assert!(row.bicubic.unwrap().psnr < row.made.psnr);
    let wrong = EvalOptions {
        scale: Some(3),
        ..options
    };
    assert_eq!(
        evaluate(&networks, &wrong, |_| {}).unwrap_err().code(),
        Code::InvalidRequest
    );
}

/// Shipped networks by name and by kind; ×4 by ×2 twice gives what two steps of ×2 give.
#[cfg(feature = "weights")]
#[test]
fn shipped_networks_need_no_file() {
    let step = |keys: &str| format!("[[step]]\nrun.upscale = {{ {keys} }}\n");
    let made = |steps: &str| {
        let text = format!("name = \"x\"\n{steps}[[output]]\nformat = \"png\"\n");
        let plan = Arc::new(compile(&text, &Registry::builtin()).unwrap());
        let bench = Bench::empty();
        bench.write("a.ppm", &picture("a.ppm", 31, 22, 3));
        assert_eq!(bench.run(&plan).counts.ok, 1);
        let path = bench.derivative_of("a.ppm");
        let sidecar = fs::read_to_string(path.with_extension("png.prov.json")).unwrap();
        (decode(&path), Sidecar::from_json(&sidecar).unwrap())
    };
    let (named, sidecar) = made(&step("model = \"fonds-x2-faithful\""));
    assert_eq!((named.width(), named.height()), (62, 44));
    let event = sidecar.events.iter().find(|event| event.step.is_some());
    let model = event.unwrap().model.as_ref().unwrap();
    assert_eq!(model.name, "fonds-x2-faithful");
    assert_eq!(model.licence, "MIT OR Apache-2.0");
    assert_ne!(model.training_data, "unknown");
    let term = sidecar.derivative.digital_source_type.unwrap();
    assert!(term.ends_with("algorithmicallyEnhanced"), "{term}");
    let (chosen, _) = made(&step(""));
    assert_eq!(chosen.samples(), named.samples());
    let (four, sidecar) = made(&step("scale = 4"));
    assert_eq!((four.width(), four.height()), (124, 88));
    let event = sidecar.events.iter().find(|event| event.step.is_some());
    if event.unwrap().parameters.contains_key("passes") {
        let (twice, _) = made(&step("").repeat(2));
        assert_eq!(four.samples(), twice.samples());
    }
}
