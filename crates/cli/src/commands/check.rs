//! `fonds check`: every mistake in pipeline files, with its place.

use crate::exit::Exit;
use crate::{report, shipped};

pub(crate) fn check(pipelines: &[String]) -> Exit {
    let mut exit = Exit::Done;
    for pipeline in pipelines {
        match shipped::plan(pipeline, None) {
            Ok(plan) => {
                let (steps, outputs) = (plan.steps.len(), plan.outputs.len());
                report::line(&format!(
                    "{pipeline}: ok ({steps} steps, {outputs} outputs)"
                ));
            }
            Err(errors) => {
                report::errors(&errors);
                let found = Exit::of_mistakes(&errors);
                exit = if exit == Exit::Usage { exit } else { found };
            }
        }
    }
    exit
}
