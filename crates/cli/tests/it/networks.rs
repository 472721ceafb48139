//! Networks from the command line: files of weights, devices, exit codes.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_nn::weights::{Tensor, Tensors, write_safetensors};
use serde_json::Value;

use crate::support::{Bench, Ended, picture};

/// An SRVGG of four features and one convolution that doubles each side; it repeats each pixel.
fn tiny(last_bias: f32) -> Tensors {
    tiny_with(12, last_bias)
}

/// The same with so many channels at its end: 3 leave the size as it is.
fn tiny_with(last: usize, last_bias: f32) -> Tensors {
    let zeros =
        |shape: &[usize]| Tensor::from_f32(shape, &vec![0.0; shape.iter().product()]).unwrap();
    [
        ("body.0.weight", zeros(&[4, 3, 3, 3])),
        ("body.0.bias", zeros(&[4])),
        ("body.1.weight", zeros(&[4])),
        ("body.2.weight", zeros(&[4, 4, 3, 3])),
        ("body.2.bias", zeros(&[4])),
        ("body.3.weight", zeros(&[4])),
        ("body.4.weight", zeros(&[last, 4, 3, 3])),
        (
            "body.4.bias",
            Tensor::from_f32(&[last], &vec![last_bias; last]).unwrap(),
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
fn the_way_of_computing_is_in_the_sidecar() {
    let bench = bench();
    // No processor has products of bf16 on this path.
    let refused = run(
        &bench,
        &[
            "--kernel",
            "portable",
            "--device",
            "cpu",
            "--numbers",
            "bf16",
        ],
    );
    assert_eq!(refused.code, 2, "{}", refused.all());
    assert!(
        refused.stderr.contains("has no products of bf16"),
        "{}",
        refused.stderr
    );
    let ended = run(
        &bench,
        &["--kernel", "portable", "--device", "cpu", "--direct"],
    );
    assert_eq!(ended.code, 0, "{}", ended.all());
    let sidecar = bench.path("out/derivatives/four.ppm.large.png.prov.json");
    let sidecar = std::fs::read_to_string(sidecar).unwrap();
    assert!(
        sidecar.contains("portable direct (networks), "),
        "{sidecar}"
    );
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

/// A bench with a speckled picture and a pipeline of gates that are open, shut, and not there.
fn bench_with_gates() -> Bench {
    let bench = bench();
    write(&bench.path("p/one.safetensors"), &tiny_with(3, 0.05));
    let text = "name = \"gates\"\n\
        [[step]]\nid = \"shut\"\nrun.tone = {}\n\
        when = { blur = { above = -1.0 }, noise = { above = 500.0, below = 600.0 } }\n\
        [[step]]\nid = \"quiet\"\n\
        run.clear = { model = \"one.safetensors\", min_noise = 60.0, min_blockiness = 60.0 }\n\
        [[step]]\nid = \"eager\"\nwhen = { blockiness = { below = 60.0 } }\n\
        run.clear = { model = \"one.safetensors\", min_noise = 0.0, min_blockiness = 60.0 }\n\
        [[step]]\nid = \"free\"\nrun.resize = { longest = 100 }\n\
        [[output]]\nformat = \"png\"\n";
    bench.write("p/gates.toml", text.as_bytes());
    bench.write("noisy/a.ppm", &picture(200, 160, 3));
    bench
}

const INSPECT: [&str; 4] = ["inspect", "noisy/a.ppm", "--pipeline", "p/gates.toml"];

/// Why a picture would be touched or not: each gate with its bound and what was measured, those
/// of `when` and those that a step has by itself; a run then finds the same.
#[test]
fn inspect_judges_the_gates_of_a_pipeline() {
    let bench = bench_with_gates();
    let ended = bench.fonds(&[&INSPECT[..], &["--json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.all());
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(object["pipeline"].as_str().unwrap().starts_with("gates @ "));
    let page = &object["pages"][0];
    let steps = page["steps"].as_array().unwrap();
    let states = steps.iter().map(|step| {
        let open_of = |key: &str| -> Vec<(String, bool)> {
            let gates = step[key].as_array().unwrap().iter();
            let named = |gate: &Value| gate["gate"].as_str().unwrap().to_owned();
            gates
                .map(|gate| (named(gate), gate["open"].as_bool().unwrap()))
                .collect()
        };
        let id = step["id"].as_str().unwrap();
        (
            id,
            step["open"] == true,
            open_of("when"),
            open_of("acts_when_any"),
        )
    });
    let gates = |gates: &[(&str, bool)]| -> Vec<(String, bool)> {
        let owned = gates.iter().map(|(gate, open)| ((*gate).to_owned(), *open));
        owned.collect()
    };
    let expected = [
        (
            "shut",
            false,
            gates(&[("blur > -1", true), ("500 < noise < 600", false)]),
            vec![],
        ),
        (
            "quiet",
            false,
            vec![],
            gates(&[("blockiness > 60", false), ("chroma_noise > 60", false)]),
        ),
        (
            "eager",
            true,
            gates(&[("blockiness < 60", true)]),
            gates(&[("blockiness > 60", false), ("chroma_noise > 0", true)]),
        ),
        ("free", true, vec![], vec![]),
    ];
    assert_eq!(states.collect::<Vec<_>>(), expected, "{}", ended.stdout);

    // The figures are those of the picture, and those that a run goes by.
    let noise = steps[0]["when"][1]["measured"].as_f64().unwrap();
    let chroma = steps[1]["acts_when_any"][1]["measured"].as_f64().unwrap();
    assert!(noise > 1.0 && chroma > 1.0, "{noise} {chroma}");
    for (name, figure) in [("noise", noise), ("chroma_noise", chroma)] {
        let shown = page["measures"][name].as_f64().unwrap();
        assert!((shown - figure).abs() < 1e-4, "{name}: {shown} {figure}");
    }
    let run = bench.fonds(&["run", "p/gates.toml", "noisy", "--out", "gated"]);
    assert_eq!(run.code, 0, "{}", run.all());
    let sidecar = bench.path("gated/derivatives/a.ppm.free.png.prov.json");
    let sidecar: Value = serde_json::from_slice(&std::fs::read(sidecar).unwrap()).unwrap();
    let skipped = sidecar["skippedSteps"].as_array().unwrap();
    let ids: Vec<&str> = skipped
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["shut", "quiet"], "{sidecar}");
    let found = skipped[0]["measured"]["noise"].as_f64().unwrap();
    assert!((found - noise).abs() < 1e-4, "{found} {noise}");
    let found = skipped[1]["measured"]["chroma_noise"].as_f64().unwrap();
    assert!((found - chroma).abs() < 1e-4, "{found} {chroma}");
}

/// The same as lines for people.
#[test]
fn inspect_shows_gates_as_text() {
    let bench = bench_with_gates();
    let ended = bench.fonds(&INSPECT);
    assert_eq!(ended.code, 0, "{}", ended.all());
    for line in [
        "gates judged on      the picture as it is read, also for later steps",
        "  steps",
        "    shut (tone)                closed",
        "    eager (clear)              open",
        "    free (resize)              no gates",
    ] {
        let there = ended.stdout.lines().any(|found| found == line);
        assert!(there, "{line}: {}", ended.stdout);
    }
    for part in [
        "      when 500 < noise < 600: ",
        "      acts when any chroma_noise > 0: ",
    ] {
        let found = ended.stdout.lines().find(|line| line.starts_with(part));
        let found = found.unwrap_or_else(|| panic!("{part}: {}", ended.stdout));
        let state = if part.contains("when 500") {
            ", closed"
        } else {
            ", open"
        };
        assert!(found.ends_with(state), "{found}");
    }
    let wrong = bench.fonds(&["inspect", "noisy/a.ppm", "--pipeline", "nonsense"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(
        wrong.stderr.contains("shipped are access-copies"),
        "{}",
        wrong.stderr
    );
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
    let rounded = [
        "eval",
        "--model",
        "p/off.safetensors",
        "--data",
        "set",
        "--rounded",
    ];
    let wrong = bench.fonds(&rounded);
    assert_eq!(wrong.code, 2, "{}", wrong.all());
    assert!(wrong.stderr.contains("the network enlarges itself"));
    let wrong = bench.fonds(&[
        "eval",
        "--model",
        "p/off.safetensors",
        "--data",
        "set",
        "--metric",
        "lpips",
    ]);
    assert_eq!(wrong.code, 2, "{}", wrong.all());
    assert!(wrong.stderr.contains("--heads"), "{}", wrong.stderr);
    let wrong = bench.fonds(&["eval", "--model", "p/nothing.pth", "--data", "set"]);
    assert_eq!(wrong.code, 8, "{}", wrong.all());
    let wrong = bench.fonds(&["eval", "--model", "p/off.safetensors", "--data", "in"]);
    assert_eq!(wrong.code, 2, "{}", wrong.all());
}

#[test]
fn pictures_that_were_made_are_measured_and_untouched_ones_count_as_they_were() {
    let bench = bench();
    let shifted = |picture: &[u8], by: u8| {
        let mut picture = picture.to_vec();
        let start = picture.len() - 30 * 24 * 3;
        picture[start..]
            .iter_mut()
            .for_each(|sample| *sample = *sample / 2 + by);
        picture
    };
    for (name, made) in [("a", Some(2)), ("b", Some(8)), ("c", None)] {
        let picture = picture(30, 24, 5);
        bench.write(&format!("originals/{name}.ppm"), &shifted(&picture, 0));
        bench.write(&format!("damaged/{name}.ppm"), &shifted(&picture, 4));
        if let Some(by) = made {
            bench.write(&format!("out/{name}.ppm.clear.ppm"), &shifted(&picture, by));
        }
    }
    let ended = bench.fonds(&[
        "eval",
        "--pictures",
        "out",
        "--data",
        "originals",
        "--input",
        "damaged",
        "--compare",
        "input",
        "--metric",
        "psnr",
        "--csv",
        "made.csv",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let csv = std::fs::read_to_string(bench.path("made.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    // All samples are off by 2, by 8, and by 4.
    let expected = [
        "a,30x24,made,42.11",
        "b,30x24,made,30.07",
        "c,30x24,made,36.09",
        "a,30x24,input,36.09",
        "b,30x24,input,36.09",
        "c,30x24,input,36.09",
        "mean,,made,36.09",
        "mean,,input,36.09",
    ];
    assert_eq!(lines[1..], expected, "{csv}");
    assert!(
        ended
            .stdout
            .contains("1 of 3 pictures have a lower psnr than their input"),
        "{}",
        ended.stdout
    );
    let wrong = bench.fonds(&["eval", "--pictures", "p", "--data", "originals"]);
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
