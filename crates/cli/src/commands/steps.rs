//! `fonds steps`: what a pipeline can use, from the same declarations that read the file.

use fonds_core::{Code, Error};
use fonds_image::measure::Measure;
use fonds_pipeline::{Registry, StepKind};

use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn steps(name: Option<&str>) -> Outcome {
    let registry = Registry::builtin();
    match name {
        Some(name) => explain(registry.get(name).ok_or_else(|| unknown(name, &registry))?),
        None => list(&registry),
    }
    Ok(Exit::Done)
}

fn list(registry: &Registry) {
    report::line("Steps, written as  run.NAME = { KEY = VALUE, … }  under a [[step]]:\n");
    for kind in registry.iter() {
        report::line(&format!("  {:<12} {}", kind.name(), kind.summary()));
    }
    report::line("\nMeasures for  when = { MEASURE = { above = X, below = Y } }:\n");
    for measure in Measure::ALL {
        report::line(&format!("  {:<12} {}", measure.as_str(), measure.doc()));
    }
    report::line("\n`fonds steps NAME` explains a step's keys.");
}

fn explain(kind: &StepKind) {
    report::line(&format!("run.{}: {}\n", kind.name(), kind.summary()));
    for param in kind.params() {
        let default = if param.default.is_empty() {
            "decided by the step"
        } else {
            &param.default
        };
        report::line(&format!("  {} (default: {default})", param.name));
        for line in param.doc.lines() {
            report::line(&format!("      {}", line.trim()));
        }
    }
    if kind.params().is_empty() {
        report::line("  It takes no keys: write  run.NAME = { }");
    }
}

fn unknown(name: &str, registry: &Registry) -> Error {
    let names: Vec<&str> = registry.iter().map(StepKind::name).collect();
    Error::new(Code::InvalidRequest, format!("there is no step `{name}`"))
        .hint(format!("steps are {}", names.join(", ")))
}
