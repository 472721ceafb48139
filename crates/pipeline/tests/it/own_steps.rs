//! Steps of a library user: slow, panicking, failing, overdoing ones.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fonds_catalog::provenance::Sidecar;
use fonds_catalog::{DerivativeRecord, FailureRecord, Status};
use fonds_core::{Change, Code, Error, Flag, Outcome, PixelFormat, Raster, Result};
use fonds_pipeline::{Act, Cost, Plan, Registry, Step, StepContext, StepKind};

use crate::support::{Bench, assert_same_content, assert_sound, content, picture, plan_of, table};

type Apply = fn(Raster, &StepContext<'_>) -> Result<Outcome>;

#[derive(Debug)]
struct Own {
    version: u32,
    apply: Apply,
}

impl Step for Own {
    fn version(&self) -> u32 {
        self.version
    }

    fn act(&self) -> Act {
        Act::Enhancement
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok(input)
    }

    fn cost(&self) -> Cost {
        Cost::IN_PLACE
    }

    fn parameters(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        (self.apply)(raster, context)
    }
}

fn registry(version: u32, apply: Apply) -> Registry {
    let mut registry = Registry::builtin();
    let build = move |_: &mut fonds_pipeline::Args<'_, '_>| -> Result<Box<dyn Step>> {
        Ok(Box::new(Own { version, apply }))
    };
    registry.add(StepKind::new("own", "What a test wants", Vec::new(), build));
    registry
}

fn own(version: u32, apply: Apply, step: &str, run: &str) -> Arc<Plan> {
    let text = format!(
        "name = \"own\"\n{run}\n[[step]]\nid = \"mine\"\nrun.own = {{}}\n{step}\n\
         [[output]]\nformat = \"png\"\n"
    );
    plan_of(&text, &registry(version, apply))
}

/// The pictures of the bench that are 13 pixels wide are the step's bad ones.
fn bench() -> Bench {
    let bench = Bench::empty();
    for (number, width) in [20, 13, 21, 22].into_iter().enumerate() {
        let path = format!("{width}.ppm");
        bench.write(&path, &picture(&path, width, 10, number as u32));
    }
    bench
}

fn invert(mut raster: Raster) -> Outcome {
    for sample in raster.as_mut_slice::<u8>().unwrap() {
        *sample = 255 - *sample;
    }
    Outcome::changed(raster, Change::new("inverted"))
}

/// Of four pictures one fails with this code in this stage, the others are written.
fn assert_one_fails(bench: &Bench, plan: &Arc<Plan>, code: Code, stage: &str) {
    let report = bench.run(plan);
    let row = bench.row("13.ppm");
    assert_eq!(
        (row.status, row.error_code),
        (Status::Failed, Some(code.into()))
    );
    let failures: Vec<FailureRecord> = table(&bench.output);
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].error_code, failures[0].stage.as_str()),
        (Some(code), stage)
    );
    assert_eq!((report.counts.ok, report.counts.failed), (3, 1));
    assert_eq!(table::<DerivativeRecord>(&bench.output).len(), 3);
    assert_sound(&bench.output);
}

#[test]
fn a_step_that_fails_is_the_stage_of_the_failure() {
    let plan = own(
        1,
        |raster, _| {
            if raster.width() == 13 {
                return Err(Error::new(Code::OutputInvalid, "thirteen"));
            }
            Ok(invert(raster))
        },
        "",
        "",
    );
    let bench = bench();
    assert_one_fails(&bench, &plan, Code::OutputInvalid, "mine");
    let message = bench.row("13.ppm").error_message;
    assert!(message.starts_with("step `mine`: thirteen"), "{message}");
}

#[test]
fn a_step_that_panics_costs_its_file() {
    let plan = own(
        1,
        |raster, _| {
            assert!(raster.width() != 13, "thirteen");
            Ok(invert(raster))
        },
        "",
        "",
    );
    let bench = bench();
    assert_one_fails(&bench, &plan, Code::Panic, "process");
    let message = bench.row("13.ppm").error_message;
    assert!(message.contains("thirteen"), "{message}");
}

#[test]
fn a_step_that_hangs_is_given_up() {
    let plan = own(
        1,
        |raster, _| {
            if raster.width() == 13 {
                std::thread::sleep(Duration::from_mins(2));
            }
            Ok(invert(raster))
        },
        "",
        "[limits]\ntimeout_per_file = 2.0",
    );
    let bench = bench();
    let start = Instant::now();
    assert_one_fails(&bench, &plan, Code::Timeout, "process");
    assert!(start.elapsed() < Duration::from_mins(1));
    let failures: Vec<FailureRecord> = table(&bench.output);
    assert!(failures[0].retryable);
}

#[test]
fn a_step_that_overdoes_it_is_undone() {
    let run = "[run]\nunchanged = \"write\"";
    let plan = own(1, |raster, _| Ok(invert(raster)), "max_change = 0.5", run);
    let bench = bench();
    let report = bench.run(&plan);
    assert_eq!((report.counts.warning, report.counts.failed), (4, 0));
    let row = bench.row("20.ppm");
    assert_eq!(row.status, Status::Warning);
    assert!(row.quality_flags.contains(&Flag::MaxChangeRefused));
    let rows: Vec<DerivativeRecord> = table(&bench.output);
    assert!(rows.iter().all(|row| row.status == Status::Warning));
    let path = bench.derivative_of("20.ppm");
    let sidecar = fs::read_to_string(format!("{}.prov.json", path.display())).unwrap();
    let sidecar = Sidecar::from_json(&sidecar).unwrap();
    let refused: Vec<_> = sidecar
        .events
        .iter()
        .filter(|event| event.is_refused())
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].step.as_deref(), Some("mine"));
    assert_sound(&bench.output);

    // The picture is the one that came in, and its label does not call it restored.
    let bytes = fs::read(&path).unwrap();
    let label = fonds_image::metadata::read(&bytes, fonds_image::sniff::Format::Png).0;
    assert_eq!(label.title.as_deref(), Some("20"));
    let limits = fonds_core::Limits::DEFAULT;
    let decode = |bytes: &[u8]| {
        let mut document = fonds_image::decode::Document::open(bytes, &limits).unwrap();
        document.decode(0).unwrap().raster
    };
    let source = decode(&fs::read(bench.input.join("20.ppm")).unwrap());
    assert_eq!(decode(&bytes).samples(), source.samples());
}

/// Nothing acted and a step was refused: nothing is written, and the row says why.
#[test]
fn a_refused_step_alone_writes_nothing() {
    let plan = own(1, |raster, _| Ok(invert(raster)), "max_change = 0.5", "");
    let bench = bench();
    bench.run(&plan);
    assert_eq!(bench.row("20.ppm").status, Status::Warning);
    assert!(bench.derivatives_of("20.ppm").is_empty());
}

#[test]
fn a_new_version_of_a_step_makes_its_results_anew() {
    let bench = bench();
    let first = own(1, |raster, _| Ok(invert(raster)), "", "");
    assert_eq!(bench.run(&first).counts.processed, 4);
    assert_eq!(bench.run(&first).counts.processed, 0);
    let second = own(2, |raster, _| Ok(Outcome::unchanged(raster)), "", "");
    assert_eq!(bench.run(&second).counts.processed, 4);
    assert_eq!(bench.row("20.ppm").status, Status::Unchanged);
}

/// A step's chance depends on the picture, the step and the pipeline's seed, not on the run.
#[test]
fn seeds_are_the_same_in_every_run_and_differ_between_pictures() {
    let apply: Apply = |mut raster, context| {
        let text = format!("{:?}", context.seed);
        let digest = fonds_core::Digest::of(text.as_bytes());
        let samples = raster.as_mut_slice::<u8>().unwrap();
        samples[..32].copy_from_slice(digest.as_bytes());
        Ok(Outcome::changed(raster, Change::new("signed")))
    };
    let bench = Bench::empty();
    for path in ["a.ppm", "b.ppm"] {
        bench.write(path, &picture("same.ppm", 20, 10, 1));
    }
    let plan = own(1, apply, "", "");
    bench.run_with(&plan, |options| options.workers = 1);
    let again = bench.beside("again");
    again.run_with(&plan, |options| options.workers = 3);
    assert_same_content(&bench.output, &again.output, "seeded");
    let other = bench.beside("other");
    other.run(&own(1, apply, "", "[run]\nseed = 1"));
    let (first, other) = (content(&bench.output), content(&other.output));
    let key = "derivatives/a.ppm.mine.png";
    assert_ne!(first[key], other[key]);
    assert_ne!(first[key], first["derivatives/b.ppm.mine.png"]);
}

/// A step that takes no gray picture fails on those alone.
#[test]
fn formats_that_a_step_cannot_take_fail_one_by_one() {
    let plan = own(
        1,
        |raster, _| {
            if raster.format() == PixelFormat::GRAY8 {
                return Err(Error::new(Code::InvalidRequest, "colour only"));
            }
            Ok(invert(raster))
        },
        "",
        "",
    );
    let bench = bench();
    bench.write("gray.pgm", &picture("gray.pgm", 20, 10, 3));
    let report = bench.run(&plan);
    assert_eq!((report.counts.ok, report.counts.failed), (4, 1));
}
