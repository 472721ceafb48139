//! A step of one's own: registered beside the built-in ones, named in a pipeline like them.
//!
//! `cargo run -p fonds-pipeline --example own_step`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fonds_core::{Change, Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_core::{Sample, Samples};
use fonds_pipeline::{
    Act, Args, Cost, Param, Registry, RunOptions, RunReport, Step, StepContext, StepKind, compile,
    run,
};

const PIPELINE: &str = r#"
    name = "positives"

    [[step]]
    id = "positive"
    run.invert = { amount = 1.0 }

    [[output]]
    format = "png"
"#;

/// Turns negatives into positives, wholly or in part.
#[derive(Debug)]
struct Invert {
    amount: f64,
}

impl Step for Invert {
    fn version(&self) -> u32 {
        1
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
        serde_json::json!({ "amount": self.amount })
    }

    fn apply(&self, raster: Raster, _: &StepContext<'_>) -> Result<Outcome> {
        if self.amount == 0.0 {
            return Ok(Outcome::unchanged(raster));
        }
        let (width, height) = (raster.width(), raster.height());
        let inverted = match raster.samples() {
            Samples::U8(samples) => raster.with_samples(width, height, self.inverted(samples)),
            Samples::U16(samples) => raster.with_samples(width, height, self.inverted(samples)),
            Samples::F32(samples) => raster.with_samples(width, height, self.inverted(samples)),
        };
        let change = Change::new("inverted").value("amount", self.amount);
        Ok(Outcome::changed(inverted, change))
    }
}

impl Invert {
    fn inverted<T: Sample>(&self, samples: &[T]) -> Vec<T> {
        let one = |sample: &T| {
            let value = f64::from(sample.to_unit());
            T::from_unit((value + self.amount * (1.0 - 2.0 * value)) as f32)
        };
        samples.iter().map(one).collect()
    }
}

/// The step as a pipeline file names it, with its key read and checked.
fn kind() -> StepKind {
    let params = vec![Param {
        name: "amount",
        default: "1.0".to_owned(),
        doc: "How far tones go towards their opposites, 0 to 1.",
    }];
    let build = |args: &mut Args<'_, '_>| -> Result<Box<dyn Step>> {
        let amount = args.value("amount").unwrap_or(1.0);
        if !(0.0..=1.0).contains(&amount) {
            let message = format!("`amount` is {amount}, allowed is 0 to 1");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(Box::new(Invert { amount }))
    };
    StepKind::new("invert", "Turn negatives into positives", params, build)
}

/// Runs a pipeline that names the step over a folder.
///
/// # Errors
/// When the folder cannot be read or `output` cannot be written.
pub fn run_with_own_step(input: &Path, output: &Path) -> Result<RunReport> {
    let mut registry = Registry::builtin();
    registry.add(kind());
    let plan = compile(PIPELINE, &registry).map_err(|mut errors| errors.remove(0))?;
    let options = RunOptions::new(input, output);
    run(&Arc::new(plan), &options, &AtomicBool::new(false), &|_| {})
}

fn main() -> Result<()> {
    let negatives = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/archive/postcards");
    let output = std::env::temp_dir().join(format!("fonds-example-{}", std::process::id()));
    let report = run_with_own_step(&negatives, &output)?;
    assert_eq!(report.counts.failed, 0);
    std::fs::remove_dir_all(&output).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be removed").at_path(&output)
    })
}
