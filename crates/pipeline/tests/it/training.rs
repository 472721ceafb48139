//! Training runs: begun, stopped, damaged, resumed; and what is refused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fonds_core::{Code, Error, Result};
use fonds_pipeline::{
    Alarm, NetworkOptions, Networks, TrainEvent, TrainOptions, TrainReport, TrainStop,
    TrainingPlan, compile_training, train,
};
use tempfile::TempDir;

use crate::support::{fixtures, repository};

/// A DCGAN that takes a step in some milliseconds.
const SMALL: &str = r#"
name = "small"
seed = 3
steps = 12
batch = 4
[data]
from.folder = { path = "archive" }
size = 16
fit = "crop"
patches = 8
flip = true
[train.noise]
generator.dcgan = { features = 4, latent = 8 }
discriminator.dcgan = { features = 4 }
learning = { average = 0.9 }
[output]
checkpoint_every = 3
keep = 2
sample_every = 4
samples = 4
measure_every = 5
measured = 12
[watch]
window = 4
"#;

/// A folder for a run, and what the run tells.
struct Workshop {
    folder: TempDir,
    told: RefCell<Vec<TrainEvent>>,
    cancelled: AtomicBool,
    /// Set when this step was taken.
    cancel_at: Option<u64>,
}

impl Workshop {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            told: RefCell::default(),
            cancelled: AtomicBool::new(false),
            cancel_at: None,
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn options(&self) -> TrainOptions {
        TrainOptions {
            folder: fixtures(""),
            data: None,
            output: self.output(),
            resume: false,
            steps: None,
            workers: 1,
        }
    }

    fn train_with(&self, plan: &TrainingPlan, options: &TrainOptions) -> Result<TrainReport> {
        let networks = Networks::new(NetworkOptions {
            device: "cpu".parse().unwrap(),
            ..NetworkOptions::default()
        });
        self.told.borrow_mut().clear();
        self.cancelled.store(false, Ordering::SeqCst);
        train(plan, &networks, options, &self.cancelled, &|event| {
            if let TrainEvent::Step { step, .. } = &event
                && Some(*step) == self.cancel_at
            {
                self.cancelled.store(true, Ordering::SeqCst);
            }
            self.told.borrow_mut().push(event);
        })
    }

    fn train(&self, text: &str) -> Result<TrainReport> {
        self.train_with(&plan(text), &self.options())
    }

    fn resume(&self, text: &str) -> Result<TrainReport> {
        let options = TrainOptions {
            resume: true,
            ..self.options()
        };
        self.train_with(&plan(text), &options)
    }

    fn until(&self, text: &str, steps: u64, resume: bool) -> TrainReport {
        let options = TrainOptions {
            steps: Some(steps),
            resume,
            ..self.options()
        };
        self.train_with(&plan(text), &options).unwrap()
    }

    fn alarms(&self) -> Vec<(u64, Alarm)> {
        let told = self.told.borrow();
        let alarms = told.iter().filter_map(|event| match event {
            TrainEvent::Warning { step, kind, .. } => Some((*step, *kind)),
            _ => None,
        });
        alarms.collect()
    }

    /// All that is content: everything but event files and the lock.
    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.output(), "", &mut files);
        files.retain(|name, _| !name.contains("tfevents") && !name.starts_with(".fonds"));
        files
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

fn plan(text: &str) -> TrainingPlan {
    compile_training(text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn same(one: &Workshop, other: &Workshop) {
    let (one, other) = (one.content(), other.content());
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    let different = one.iter().filter(|(name, bytes)| other[*name] != **bytes);
    let different: Vec<&String> = different.map(|(name, _)| name).collect();
    assert!(different.is_empty(), "{different:?}");
}

#[test]
fn every_shipped_training_file_compiles() {
    let mut paths: Vec<PathBuf> = fs::read_dir(repository().join("pipelines/train"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 6);
    let mut kinds = Vec::new();
    for path in paths {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let plan = plan(&fs::read_to_string(&path).unwrap());
        assert_eq!(plan.name, stem);
        assert!(!plan.description.is_empty(), "{stem}");
        kinds.push(plan.game.kind());
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "cyclegan",
            "mending",
            "noise",
            "pix2pix",
            "super_resolution"
        ]
    );
}

#[test]
fn stopped_and_resumed_is_the_run_that_never_stopped() {
    let (straight, stopped) = (Workshop::new(), Workshop::new());
    let report = straight.train(SMALL).unwrap();
    assert_eq!((report.step, report.stop), (12, None));
    // Beside checkpoints, in the midst of windows and between samples.
    for (steps, resume) in [(4, false), (7, true)] {
        let report = stopped.until(SMALL, steps, resume);
        assert_eq!((report.step, report.stop), (steps, Some(TrainStop::Limit)));
    }
    stopped.resume(SMALL).unwrap();
    let names: Vec<String> = straight.content().into_keys().collect();
    let expected = [
        "checkpoints/step-00000009.safetensors",
        "checkpoints/step-00000012.safetensors",
        "losses.png",
        "measures.csv",
        "models/generator.md",
        "models/generator.safetensors",
        "run.json",
        "samples/step-00000004.png",
        "samples/step-00000008.png",
        "samples/step-00000012.png",
        "skipped.csv",
        "train.csv",
        "train.toml",
        "warnings.csv",
    ];
    assert_eq!(names, expected);
    same(&straight, &stopped);
    let table = String::from_utf8(straight.content()["train.csv"].clone()).unwrap();
    assert!(table.starts_with("step,rate_factor,d,g,verdict_real,verdict_fake\n1,1.0,"));
    assert_eq!(table.lines().count(), 13);
}

#[test]
fn what_a_dead_run_wrote_after_its_checkpoint_is_written_again() {
    let (straight, died) = (Workshop::new(), Workshop::new());
    straight.train(SMALL).unwrap();
    died.until(SMALL, 8, false);
    // As if it had been killed after step 8, whose last checkpoint would have been that of step 6.
    let checkpoint = |step: u64| {
        let name = format!("checkpoints/step-{step:08}.safetensors");
        died.output().join(name)
    };
    fs::remove_file(checkpoint(8)).unwrap();
    fs::write(
        died.output()
            .join("checkpoints/.step-00000009.safetensors.part-1"),
        b"x",
    )
    .unwrap();
    let mut table = fs::read(died.output().join("train.csv")).unwrap();
    table.extend(b"9,1.0,0.1");
    fs::write(died.output().join("train.csv"), table).unwrap();
    died.resume(SMALL).unwrap();
    same(&straight, &died);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let (straight, damaged) = (Workshop::new(), Workshop::new());
    straight.train(SMALL).unwrap();
    damaged.until(SMALL, 6, false);
    let newest = damaged
        .output()
        .join("checkpoints/step-00000006.safetensors");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    damaged.resume(SMALL).unwrap();
    let passed = damaged
        .told
        .borrow()
        .iter()
        .any(|event| matches!(event, TrainEvent::PassedOver { path, .. } if *path == newest));
    assert!(passed);
    same(&straight, &damaged);

    for (_, path) in [3, 6].map(|step| (step, format!("checkpoints/step-{step:08}.safetensors"))) {
        let _ = fs::remove_file(damaged.output().join(path));
    }
    for step in [9, 12] {
        let name = format!("checkpoints/step-{step:08}.safetensors");
        fs::write(damaged.output().join(name), b"nothing").unwrap();
    }
    let error = damaged.resume(SMALL).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
}

#[test]
fn interrupted_saves_the_step_that_was_reached() {
    let mut interrupted = Workshop::new();
    interrupted.cancel_at = Some(5);
    let report = interrupted.train(SMALL).unwrap();
    assert_eq!(
        (report.step, report.stop),
        (5, Some(TrainStop::Interrupted))
    );
    let newest = interrupted
        .output()
        .join("checkpoints/step-00000005.safetensors");
    assert!(newest.is_file());
    interrupted.cancel_at = None;
    interrupted.resume(SMALL).unwrap();
    let straight = Workshop::new();
    straight.train(SMALL).unwrap();
    same(&straight, &interrupted);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let workshop = Workshop::new();
    workshop.until(SMALL, 3, false);
    let refused = |error: Error, what: &str| {
        assert_eq!(error.code(), Code::InvalidRequest, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    refused(
        workshop.train(SMALL).unwrap_err(),
        "there is a training run",
    );
    let other = SMALL
        .replace("seed = 3", "seed = 4")
        .replace("batch = 4", "batch = 6");
    let error = workshop.resume(&other).unwrap_err();
    refused(error, "`batch` was 4 and is 6, `seed` was 3 and is 4");
    let options = TrainOptions {
        data: Some(fixtures("archive/photographs")),
        resume: true,
        ..workshop.options()
    };
    let error = workshop.train_with(&plan(SMALL), &options).unwrap_err();
    refused(error, "made with other pictures");
    // What is written, and how long, may change.
    let longer = SMALL
        .replace("steps = 12", "steps = 4")
        .replace("keep = 2", "keep = 5");
    assert_eq!(workshop.resume(&longer).unwrap().step, 4);
    let again = workshop.resume(&longer).unwrap();
    assert_eq!((again.step, again.stop), (4, None));
    let finished = workshop.told.borrow().iter().any(
        |event| matches!(event, TrainEvent::Note { message } if message.contains("is finished")),
    );
    assert!(finished);
}

#[test]
fn bad_data_is_refused_before_anything_is_trained() {
    let workshop = Workshop::new();
    let many = SMALL.replace("batch = 4", "batch = 400");
    let error = workshop.train(&many).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(
        error
            .to_string()
            .contains("are fewer than the 400 of a batch"),
        "{error}"
    );

    let pairs = Workshop::new();
    let folder = |name: &str| pairs.folder.path().join(name);
    for name in ["a", "b"] {
        fs::create_dir(folder(name)).unwrap();
    }
    let picture = fixtures("archive/postcards/boat.jpg");
    fs::copy(&picture, folder("a/one.jpg")).unwrap();
    fs::copy(&picture, folder("b/one.jpg")).unwrap();
    fs::copy(&picture, folder("b/two.jpg")).unwrap();
    let text = PIX2PIX.replace(
        "from.folder = { path = \"archive\" }",
        &format!(
            "from.paired = {{ a = {:?}, b = {:?} }}",
            folder("a"),
            folder("b")
        ),
    );
    let text = text.replace("degrade = { recipe = \"old_photograph\" }\n", "");
    let error = pairs.train(&text).unwrap_err();
    assert!(error.to_string().contains("two.jpg"), "{error}");
    assert!(
        !pairs.output().exists(),
        "nothing is left of a run that did not begin"
    );
}

#[test]
fn what_is_no_number_stops_the_run_with_its_place() {
    let workshop = Workshop::new();
    // Steps this large leave the range of 32-bit floats.
    let wild = SMALL
        .replace("learning = { average = 0.9 }", "learning = { rate = 1e30 }")
        .replace("checkpoint_every = 3", "checkpoint_every = 1");
    let report = workshop.train(&wild).unwrap();
    assert_eq!(report.stop, Some(TrainStop::NotFinite));
    let error = report.error.unwrap();
    assert_eq!(error.code(), Code::ModelError);
    assert!(error.to_string().starts_with("step "), "{error}");
    assert!(error.hints()[0].contains("checkpoint"), "{error:?}");
}

#[test]
fn a_learning_rate_far_too_large_is_noticed() {
    let workshop = Workshop::new();
    let wild = SMALL
        .replace("learning = { average = 0.9 }", "learning = { rate = 0.5 }")
        .replace("[watch]", "[watch]\non_warning = \"stop\"")
        .replace("steps = 12", "steps = 60");
    let report = workshop.train(&wild).unwrap();
    assert_eq!(report.stop, Some(TrainStop::Warned), "{:?}", report.error);
    assert!(!workshop.alarms().is_empty());
    let table = fs::read_to_string(workshop.output().join("warnings.csv")).unwrap();
    assert!(
        table.starts_with("step,warning,value,bound,message\n"),
        "{table}"
    );
    // What was reached is saved.
    let name = format!("checkpoints/step-{:08}.safetensors", report.step);
    assert!(workshop.output().join(name).is_file());
}

#[test]
fn a_critic_that_is_far_too_strong_is_noticed() {
    let workshop = Workshop::new();
    let strong = SMALL
        .replace(
            "learning = { average = 0.9 }",
            "critic_steps = 4\ngenerator_learning = { rate = 1e-6 }\n\
             discriminator_learning = { rate = 5e-3 }",
        )
        .replace("features = 4 }\nc", "features = 16 }\nc")
        .replace("steps = 12", "steps = 60")
        .replace("window = 4", "window = 10");
    workshop.train(&strong).unwrap();
    let alarms = workshop.alarms();
    let saturated = alarms.iter().any(|(_, kind)| *kind == Alarm::Saturated);
    assert!(saturated, "{alarms:?}");
}

const PIX2PIX: &str = r#"
name = "pairs"
steps = 2
batch = 2
[data]
from.folder = { path = "archive" }
size = 16
fit = "crop"
patches = 8
degrade = { recipe = "old_photograph" }
[train.pix2pix]
generator.unet = { features = 4 }
discriminator.patch = { features = 4, layers = 1 }
[output]
checkpoint_every = 1
sample_every = 1
samples = 2
measure_every = 1
measured = 8
"#;

#[test]
fn all_trainers_run_and_resume() {
    let cyclegan = PIX2PIX
        .replace("degrade = { recipe = \"old_photograph\" }\n", "")
        .replace(
            "from.folder = { path = \"archive\" }",
            "from.unpaired = { a = \"archive/photographs\", b = \"archive/postcards\" }",
        )
        .replace("train.pix2pix", "train.cyclegan")
        .replace(
            "generator.unet = { features = 4 }",
            "generator.resnet = { features = 4, blocks = 1 }",
        );
    let at_full_size = cyclegan.replace(
        "generator.resnet = { features = 4, blocks = 1 }",
        "generator.srvgg = { features = 4, convolutions = 1 }",
    );
    let srgan = PIX2PIX
        .replace("\"old_photograph\"", "\"bicubic\", scale = 2")
        .replace("train.pix2pix", "train.super_resolution")
        .replace(
            "generator.unet = { features = 4 }",
            "generator.srvgg = { features = 4, convolutions = 2, scale = 2 }",
        )
        .replace(
            "discriminator.patch = { features = 4, layers = 1 }",
            "adversarial = { begins = 1, discriminator.unet = { features = 4 } }",
        );
    let conditional = PIX2PIX
        .replace("degrade = { recipe = \"old_photograph\" }\n", "")
        .replace("from.folder", "from.class_folders")
        .replace("train.pix2pix", "train.noise")
        .replace(
            "generator.unet = { features = 4 }",
            "conditional = true\nobjective = \"hinge\"\ngenerator.resnet = { features = 4, latent = 8 }",
        )
        .replace("discriminator.patch = { features = 4, layers = 1 }", "discriminator.resnet = { features = 4 }");
    let mending = |role: &str| {
        PIX2PIX
            .replace("\"old_photograph\"", "\"scratches\"")
            .replace("train.pix2pix", "train.mending")
            .replace("discriminator.patch = { features = 4, layers = 1 }", "")
            .replace(
                "generator.unet = { features = 4 }",
                &format!("network.{role} = {{ widths = [4, 8] }}"),
            )
    };
    let (detect, fill) = (mending("detect"), mending("fill"));
    for (text, models) in [
        (PIX2PIX, vec!["generator"]),
        (&detect, vec!["detector"]),
        (&fill, vec!["filler"]),
        (&cyclegan, vec!["a_to_b", "b_to_a"]),
        (&at_full_size, vec!["a_to_b", "b_to_a"]),
        (&srgan, vec!["generator"]),
        (&conditional, vec!["generator"]),
    ] {
        let (straight, stopped) = (Workshop::new(), Workshop::new());
        let report = straight
            .train(text)
            .unwrap_or_else(|error| panic!("{text}{error}"));
        assert_eq!((report.step, report.stop), (2, None), "{text}");
        stopped.until(text, 1, false);
        stopped.resume(text).unwrap();
        same(&straight, &stopped);
        for model in models {
            let card = format!("models/{model}.md");
            assert!(straight.content().contains_key(&card), "{text}");
        }
    }
}
