//! A step of one's own beside the built-in ones: `run.invert` makes positives of negatives.
//!
//! `cargo run -p fonds-pipeline --example own_step [FOLDER OUT]`; without arguments a negative is
//! drawn into a temporary folder and processed there.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fonds_core::{Change, Code, Error, Outcome, PixelFormat, Raster, Result, Sample, with_samples};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_pipeline::{
    Act, Args, Cost, Event, Param, Registry, RunOptions, Step, StepContext, StepKind, compile, run,
};
use serde_json::{Value, json};

const PIPELINE: &str = r#"
name = "positives"

[[step]]
id = "positive"
run.invert = { darker_than = 0.5 }

[[output]]
format = "png"
"#;

fn main() -> Result<()> {
    let mut registry = Registry::builtin();
    registry.add(kind());
    let plan = compile(PIPELINE, &registry).map_err(|mut errors| errors.remove(0))?;
    let plan = Arc::new(plan);

    let folder = tempfile::tempdir()
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "no temporary folder"))?;
    let mut arguments = std::env::args_os().skip(1);
    let (input, output) = match (arguments.next(), arguments.next()) {
        (Some(input), Some(output)) => (input.into(), output.into()),
        _ => (folder.path().join("scans"), folder.path().join("out")),
    };
    if input.starts_with(folder.path()) {
        draw_negative(&input)?;
    }
    let options = RunOptions::new(input, output);
    let report = run(&plan, &options, &AtomicBool::new(false), &|event| {
        if let Event::Finished { path, end, .. } = event {
            println!("{path}: {end:?}");
        }
    })?;
    println!("{} ok, {} failed", report.counts.ok, report.counts.failed);
    Ok(())
}

/// What `run.invert` is called, what it does, and how it is made from its keys.
fn kind() -> StepKind {
    let params = vec![Param {
        name: "darker_than",
        default: "0.5".to_owned(),
        doc: "Pictures whose mean is above this share of the range are taken for positives.",
    }];
    StepKind::new("invert", "Make positives of negatives", params, build)
}

fn build(args: &mut Args<'_, '_>) -> Result<Box<dyn Step>> {
    let darker_than = args.value("darker_than").unwrap_or(0.5);
    if (0.0..=1.0).contains(&darker_than) {
        return Ok(Box::new(Invert { darker_than }));
    }
    let message = format!("`darker_than` is {darker_than}, allowed is 0 to 1");
    Err(Error::new(Code::InvalidRequest, message))
}

/// The step itself.
#[derive(Debug)]
struct Invert {
    darker_than: f64,
}

impl Step for Invert {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        Act::Enhancement
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        if input.alpha {
            let message = "a negative has no alpha channel";
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(input)
    }

    fn cost(&self) -> Cost {
        Cost::IN_PLACE
    }

    fn parameters(&self) -> Value {
        json!({ "darker_than": self.darker_than })
    }

    fn apply(&self, raster: Raster, _: &StepContext<'_>) -> Result<Outcome> {
        let format = self.output(raster.format())?;
        let mean = with_samples!(raster.samples(), samples => mean(samples));
        if mean > self.darker_than {
            return Ok(Outcome::unchanged(raster));
        }
        let samples = with_samples!(raster.samples(), samples => Sample::wrap(inverted(samples)));
        let (width, height) = (raster.width(), raster.height());
        let positive = Raster::from_samples(width, height, format.model, format.alpha, samples)?
            .with_icc(raster.icc().cloned())
            .with_ppi(raster.ppi());
        let change = Change::new("negative turned into a positive").value("mean", mean);
        Ok(Outcome::changed(positive, change))
    }
}

fn mean<T: Sample>(samples: &[T]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(s.to_unit())).sum();
    sum / samples.len() as f64
}

fn inverted<T: Sample>(samples: &[T]) -> Vec<T> {
    let invert = |sample: &T| T::from_f32(T::WHITE - sample.to_f32());
    samples.iter().map(invert).collect()
}

fn draw_negative(folder: &Path) -> Result<()> {
    let mut raster = Raster::new(64, 48, PixelFormat::GRAY8);
    if let Some(samples) = raster.as_mut_slice::<u8>() {
        for (i, sample) in samples.iter_mut().enumerate() {
            *sample = (i % 64) as u8;
        }
    }
    let path = folder.join("negative.png");
    let made = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
    let mut file = made
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "cannot be written"))
        .map_err(|error| error.at_path(&path))?;
    encode(&raster, &Encoding::PNG, &Embedded::default(), &mut file)
}
