//! The gates of a pipeline before one picture: what each would measure, and whether it opens.

use std::collections::HashMap;

use fonds_core::Raster;
use fonds_image::measure::{self, Measure};

use crate::plan::{Gate, Plan};

/// A gate with what was measured for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The gate.
    pub gate: Gate,
    /// The figure, in the unit of the gate's measure.
    pub measured: f64,
}

impl Judged {
    /// Whether the gate lets the picture pass.
    pub fn is_open(&self) -> bool {
        self.gate.admits(self.measured)
    }
}

/// The gates of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedStep {
    /// The place of the step in [`Plan::steps`].
    pub index: usize,
    /// Those of its `when`: all must be open.
    pub when: Vec<Judged>,
    /// Those that it has by itself ([`crate::Step::acts_when_any`]): one must be open, if there
    /// are any.
    pub acts_when_any: Vec<Judged>,
}

impl JudgedStep {
    /// Whether the step has gates at all; without, it looks at every picture.
    pub fn has_gates(&self) -> bool {
        !(self.when.is_empty() && self.acts_when_any.is_empty())
    }

    /// Whether the gates leave the step to its work. It may still find nothing to do, or be undone.
    pub fn is_open(&self) -> bool {
        self.when.iter().all(Judged::is_open)
            && (self.acts_when_any.is_empty() || self.acts_when_any.iter().any(Judged::is_open))
    }
}

/// Judges the gates of all steps on one picture, each figure measured once; no step does anything.
///
/// In a run the gates of a step see what the steps before it have made. They are what they are here
/// as long as none of those acted.
pub fn judge(plan: &Plan, raster: &Raster) -> Vec<JudgedStep> {
    let mut figures: HashMap<Measure, f64> = HashMap::new();
    let mut judged = |gate: &Gate| Judged {
        gate: *gate,
        measured: *figures
            .entry(gate.measure)
            .or_insert_with(|| measure::value(raster, gate.measure)),
    };
    let steps = plan.steps.iter().enumerate();
    steps
        .map(|(index, planned)| JudgedStep {
            index,
            when: planned.gates.iter().map(&mut judged).collect(),
            acts_when_any: planned
                .step
                .acts_when_any()
                .iter()
                .map(&mut judged)
                .collect(),
        })
        .collect()
}
