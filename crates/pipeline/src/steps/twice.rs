//! A step that is done twice in a row: ×4 by a network for ×2.

use fonds_core::{Change, Outcome, PixelFormat, Raster, Result};
use serde_json::Value;

use crate::step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};

/// The same step, twice.
#[derive(Debug)]
pub(super) struct Twice {
    pub(super) once: Box<dyn Step>,
    /// Those of the step, with what both passes together do.
    pub(super) parameters: Value,
}

impl Step for Twice {
    fn version(&self) -> u32 {
        self.once.version()
    }

    fn act(&self) -> Act {
        self.once.act()
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        self.once.output(self.once.output(input)?)
    }

    fn cost(&self) -> Cost {
        let once = self.once.cost();
        Cost {
            // The second pass is the larger one; what it is given lies beside it, at 8 bytes a
            // pixel at most.
            scratch_per_pixel: once.growth * (once.scratch_per_pixel + 8.0),
            shared: once.shared,
            growth: once.growth * once.growth,
        }
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn model(&self) -> Option<ModelInfo> {
        self.once.model()
    }

    fn prepare(&self) -> Result<()> {
        self.once.prepare()
    }

    fn runs_on(&self) -> Option<RunsOn> {
        self.once.runs_on()
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let first = self.once.apply(raster, context)?;
        let second = self.once.apply(first.raster, context)?;
        Ok(Outcome {
            raster: second.raster,
            change: match (first.change, second.change) {
                (Some(first), Some(second)) => Some(both(&first, second)),
                (first, second) => first.or(second),
            },
        })
    }
}

/// Scales multiply, all other figures are those of the second pass.
fn both(first: &Change, mut second: Change) -> Change {
    second.summary = format!("{}, twice", first.summary);
    for (name, value) in &mut second.values {
        if *name == "scale" {
            *value *= *value;
        }
    }
    second
}
