//! Networks from the command line: files of weights, devices, exit codes.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_nn::weights::{Tensor, Tensors, write_safetensors};

use crate::support::{Bench, Ended, picture};

/// An SRVGG of four features and one convolution that doubles each side; it repeats each pixel.
fn tiny(last_bias: f32) -> Tensors {
    let zeros =
        |shape: &[usize]| Tensor::from_f32(shape, &vec![0.0; shape.iter().product()]).unwrap();
    [
        ("body.0.weight", zeros(&[4, 3, 3, 3])),
        ("body.0.bias", zeros(&[4])),
        ("body.1.weight", zeros(&[4])),
        ("body.2.weight", zeros(&[4, 4, 3, 3])),
        ("body.2.bias", zeros(&[4])),
        ("body.3.weight", zeros(&[4])),
        ("body.4.weight", zeros(&[12, 4, 3, 3])),
        (
            "body.4.bias",
            Tensor::from_f32(&[12], &[last_bias; 12]).unwrap(),
        ),
    ]
    .into_iter()
    .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let metadata = BTreeMap::from([("licence".to_owned(), "CC0-1.0".to_owned())]);
    write_safetensors(path, tensors, &metadata).unwrap();
}

const LARGE: &str = "name = \"large\"\n[[step]]\nid = \"large\"\n\
    run.upscale = { model = \"two.safetensors\" }\n[[output]]\nformat = \"png\"\n";

/// A bench with weights and a pipeline in a folder of their own.
fn bench() -> Bench {
    let bench = Bench::good();
    bench.write("p/large.toml", LARGE.as_bytes());
    write(&bench.path("p/two.safetensors"), &tiny(0.0));
    bench
}

fn run(bench: &Bench, more: &[&str]) -> Ended {
    let mut arguments = vec!["run", "p/large.toml", "in", "--out", "out"];
    arguments.extend(more);
    bench.fonds(&arguments)
}

#[test]
fn weights_lie_beside_the_pipeline() {
    let bench = bench();
    let ended = run(&bench, &["--kernel", "portable", "--device", "cpu"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let sidecar = bench.path("out/derivatives/four.ppm.large.png.prov.json");
    let sidecar = std::fs::read_to_string(sidecar).unwrap();
    assert!(sidecar.contains("\"licence\": \"CC0-1.0\""), "{sidecar}");
    assert!(sidecar.contains("portable (networks), "), "{sidecar}");
    assert!(run(&bench, &[]).stderr.contains("nothing to do"));
}

#[test]
fn weights_that_are_missing_or_wrong_are_8() {
    let bench = bench();
    let missing = LARGE.replace("two", "nowhere");
    bench.write("p/missing.toml", missing.as_bytes());
    bench.write("p/page.pth", b"<!DOCTYPE html><html>404</html>");
    bench.write(
        "p/page.toml",
        LARGE.replace("two.safetensors", "page.pth").as_bytes(),
    );
    write(&bench.path("p/nan.safetensors"), &tiny(f32::NAN));
    bench.write("p/nan.toml", LARGE.replace("two", "nan").as_bytes());
    for (name, part) in [
        ("missing", "there are no weights `nowhere.safetensors`"),
        ("page", "web page"),
        ("nan", "not a number"),
    ] {
        let pipeline = format!("p/{name}.toml");
        for arguments in [
            vec!["check", &pipeline],
            vec!["run", &pipeline, "in", "--out", "out"],
            vec!["plan", &pipeline, "in", "--out", "out"],
        ] {
            let ended = bench.fonds(&arguments);
            assert_eq!(ended.code, 8, "{arguments:?}: {}", ended.all());
            let place = format!("{pipeline}: line 4, column 25: ");
            assert!(
                ended.stderr.starts_with(&place),
                "{arguments:?}: {}",
                ended.stderr
            );
            assert!(
                ended.stderr.contains(part),
                "{arguments:?}: {}",
                ended.stderr
            );
        }
    }
    assert!(!bench.path("out").exists());
    // A mistake in the file itself comes first.
    let both = format!("{missing}nonsense = 1\n");
    bench.write("p/both.toml", both.as_bytes());
    let ended = bench.fonds(&["check", "p/missing.toml", "p/both.toml"]);
    assert_eq!(ended.code, 2, "{}", ended.all());
}

#[test]
fn devices_and_kernels_that_are_not_there_are_2() {
    let bench = bench();
    for more in [
        &["--device", "gpu"][..],
        &["--device", "cuda:0,0"],
        &["--device", "cuda:97"],
        &["--kernel", "mmx"],
        &["--numbers", "f8"],
        #[cfg(not(target_arch = "aarch64"))]
        &["--kernel", "neon"],
    ] {
        let ended = run(&bench, more);
        assert_eq!(ended.code, 2, "{more:?}: {}", ended.all());
        assert!(!ended.stderr.is_empty());
        assert!(!bench.path("out").exists(), "{more:?}");
    }
}

#[test]
fn model_inspect() {
    let bench = bench();
    let ended = bench.fonds(&["model", "inspect", "p/two.safetensors"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    insta::assert_snapshot!("model-inspect", ended.stdout);
    let ended = bench.fonds(&[
        "model",
        "inspect",
        "--json",
        "p/two.safetensors",
        "copies.toml",
    ]);
    assert_eq!(ended.code, 8, "{}", ended.all());
    let objects: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["scale"], 2);
    assert_eq!(objects[0]["parameters"], 712);
    assert_eq!(objects[1]["error"], "model_error");
    let message = objects[1]["message"].as_str().unwrap();
    assert!(
        message.contains("no checkpoint that fonds knows"),
        "{message}"
    );
}

#[test]
fn model_list() {
    let bench = bench();
    bench.write("p/page.pth", b"<!DOCTYPE html><html>404</html>");
    let ended = bench.fonds(&["model", "list", "p"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    insta::assert_snapshot!("model-list", ended.stdout);
    assert_eq!(bench.fonds(&["model", "list", "nowhere"]).code, 5);
}

/// A PPM picture with each pixel repeated.
fn doubled(small: &[u8], width: usize, height: usize) -> Vec<u8> {
    let pixels = &small[small.len() - width * height * 3..];
    let mut bytes = format!("P6\n{} {}\n255\n", 2 * width, 2 * height).into_bytes();
    for y in 0..2 * height {
        for x in 0..2 * width {
            let at = (y / 2 * width + x / 2) * 3;
            bytes.extend(&pixels[at..at + 3]);
        }
    }
    bytes
}

#[test]
fn eval() {
    let bench = bench();
    write(&bench.path("p/off.safetensors"), &tiny(4.0 / 255.0));
    for seed in 0..2 {
        let mut small = picture(30, 24, seed);
        // No sample may be clipped when the network lifts it by four.
        let start = small.len() - 30 * 24 * 3;
        small[start..].iter_mut().for_each(|sample| *sample /= 2);
        bench.write(&format!("set/{seed}_LR.ppm"), &small);
        bench.write(&format!("set/{seed}_HR.ppm"), &doubled(&small, 30, 24));
    }
    let ended = bench.fonds(&[
        "eval",
        "--model",
        "p/off.safetensors",
        "--data",
        "set",
        "--csv",
        "set.csv",
        "--metric",
        "psnr",
        "--metric",
        "psnr-y",
        "--compare",
        "bicubic",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let csv = std::fs::read_to_string(bench.path("set.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "picture,size,by,psnr,psnr_y");
    // All samples are off by 4; of the luma 219/255 of that.
    assert_eq!(lines[1], "0,60x48,network,36.09,37.41");
    assert_eq!(lines[5], "mean,,network,36.09,37.41");
    assert_eq!(lines.len(), 7, "{csv}");
    for cells in lines.iter().map(|line| line.split(',')) {
        for cell in cells {
            assert!(ended.stdout.contains(cell), "{cell}: {}", ended.stdout);
        }
    }
    let wrong = bench.fonds(&["eval", "--model", "p/nothing.pth", "--data", "set"]);
    assert_eq!(wrong.code, 8, "{}", wrong.all());
    let wrong = bench.fonds(&["eval", "--model", "p/off.safetensors", "--data", "in"]);
    assert_eq!(wrong.code, 2, "{}", wrong.all());
}

#[test]
fn bench_prints_a_line_of_json() {
    let bench = bench();
    let arguments = [
        "bench",
        "conv",
        "1",
        "--size",
        "32",
        "--seconds",
        "0",
        "--json",
    ];
    let ended = bench.fonds(&arguments);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let line: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(line["case"], "conv");
    assert!(line["wall"].as_f64().unwrap() > 0.0);
    assert!(line["gflops"].as_f64().unwrap() > 0.0);
}

/// A VGG of three blocks of one convolution, for what it sees in pictures.
fn extractor() -> Tensors {
    let tensor = |shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count)
            .map(|at| ((at * 37 % 17) as f32 - 8.0) / 30.0)
            .collect();
        Tensor::from_f32(shape, &values).unwrap()
    };
    [
        ("features.0.weight", tensor(&[4, 3, 3, 3])),
        ("features.0.bias", tensor(&[4])),
        ("features.3.weight", tensor(&[6, 4, 3, 3])),
        ("features.3.bias", tensor(&[6])),
        ("features.6.weight", tensor(&[6, 6, 3, 3])),
        ("features.6.bias", tensor(&[6])),
    ]
    .into_iter()
    .collect()
}

#[test]
fn one_picture_in_the_style_of_another() {
    let bench = bench();
    write(&bench.path("p/vgg.safetensors"), &extractor());
    bench.write("p/style.ppm", &picture(40, 32, 9));
    let stylize = |more: &[&str]| {
        let mut arguments = vec!["stylize", "in/four.ppm", "--model", "p/vgg.safetensors"];
        arguments.extend(more);
        bench.fonds(&arguments)
    };
    let small = ["--iterations", "3", "--size", "32", "--frames", "frames"];
    let mut arguments = vec!["--style", "p/style.ppm:0.5", "--out", "made.png"];
    arguments.extend(small);
    let ended = stylize(&arguments);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(
        ended.stderr.contains("iteration 0: loss "),
        "{}",
        ended.stderr
    );
    let made = std::fs::read(bench.path("made.png")).unwrap();
    let label = String::from_utf8_lossy(&made);
    assert!(
        label.contains("compositeWithTrainedAlgorithmicMedia"),
        "{label}"
    );
    assert!(bench.path("frames/level-1-00000.png").is_file());
    for (arguments, part) in [
        (
            vec!["--style", "p/none.jpg", "--out", "b.png"],
            "there is no style `p/none.jpg`",
        ),
        (vec!["--out", "b.png"], "`stylize` names no style"),
        (
            vec!["--style", "p/style.ppm", "--out", "b.xyz"],
            "names no format",
        ),
        (
            vec![
                "--style",
                "p/style.ppm",
                "--alpha",
                "0",
                "--beta",
                "0",
                "--out",
                "b.png",
            ],
            "neither content nor style",
        ),
    ] {
        let ended = stylize(&arguments);
        assert_ne!(ended.code, 0, "{arguments:?}");
        assert!(
            ended.stderr.contains(part),
            "{arguments:?}: {}",
            ended.all()
        );
        assert!(!bench.path("b.png").exists());
    }
}
