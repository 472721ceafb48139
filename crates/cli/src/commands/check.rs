//! `fonds check`: every mistake in pipeline files and training files, with its place.

use fonds_core::Error;
use fonds_pipeline::is_training;
use indicatif::{HumanBytes, HumanCount};

use crate::exit::Exit;
use crate::{report, shipped};

pub(crate) fn check(pipelines: &[String]) -> Exit {
    let mut exit = Exit::Done;
    for pipeline in pipelines {
        match found(pipeline) {
            Ok(what) => report::line(&format!("{pipeline}: ok ({what})")),
            Err(errors) => {
                report::errors(&errors);
                let found = Exit::of_mistakes(&errors);
                exit = if exit == Exit::Usage { exit } else { found };
            }
        }
    }
    exit
}

/// What is in a file, in a few words.
fn found(pipeline: &str) -> Result<String, Vec<Error>> {
    let one = |error: Error| vec![error];
    let text = shipped::text(pipeline).map_err(one)?;
    if is_training(&text) {
        let plan = shipped::training(pipeline, &text)?;
        if plan.game.needs_second_order() {
            super::train::switch_second_order_on();
        }
        let needs = plan.needs(&shipped::folder(pipeline)).map_err(one)?;
        let networks = needs.networks.iter().map(|(name, parameters)| {
            format!("{name} of {} parameters", HumanCount(*parameters as u64))
        });
        let networks = networks.collect::<Vec<_>>().join(", ");
        return Ok(format!(
            "{}: {networks}; {} steps of {}; {} for weights and their moments, activations apart",
            plan.game.kind(),
            plan.steps,
            plan.batch,
            HumanBytes(needs.bytes),
        ));
    }
    let plan = shipped::plan(pipeline, None)?;
    let (steps, outputs) = (plan.steps.len(), plan.outputs.len());
    Ok(format!("{steps} steps, {outputs} outputs"))
}
