//! `fonds plan`: the resolved pipeline, and what it would cost on this archive.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use fonds_pipeline::{Estimate, Gate, Plan, PlannedStep, RunOptions, Trial, estimate};
use indicatif::{HumanBytes, HumanDuration};

use crate::args::PlanArgs;
use crate::exit::{Exit, Outcome};
use crate::{commands, report, shipped};

pub(crate) fn plan(args: &PlanArgs) -> Outcome {
    let mut options = RunOptions::new(&args.job.input, &args.job.out);
    if let Some(threads) = args.threads {
        options.workers = usize::from(threads);
    }
    // Before the pipeline is read: the pictures that its steps name are decoded by these threads.
    commands::threads(options.workers)?;
    let plan = match shipped::plan(&args.job.pipeline, Some(&args.job.networks)) {
        Ok(plan) => Arc::new(plan),
        Err(errors) => {
            report::errors(&errors);
            return Ok(Exit::of_mistakes(&errors));
        }
    };
    report::raw(&graph(&plan));
    let estimate = estimate(&plan, &options, args.sample)?;
    report::raw(&costs(&estimate, options.workers));
    Ok(if estimate.selected == 0 {
        Exit::NoInput
    } else {
        Exit::Done
    })
}

/// The steps and outputs, with everything resolved.
fn graph(plan: &Plan) -> String {
    let mut text = format!("{}\n", plan.label());
    for step in &plan.steps {
        let _ = writeln!(text, "  {}", step_line(plan, step));
    }
    for output in &plan.outputs {
        let from = plan.node_name(output.from);
        let _ = writeln!(
            text,
            "  {from} -> output `{}`: {:?}",
            output.id, output.encoding
        );
    }
    if let Some(thumbnails) = &plan.thumbnails {
        let (small, thumb) = (thumbnails.small, thumbnails.thumb);
        let from = plan.node_name(thumbnails.from);
        let _ = writeln!(text, "  {from} -> thumbnails of {small} and {thumb} pixels");
    }
    text
}

fn step_line(plan: &Plan, step: &PlannedStep) -> String {
    let from = plan.node_name(step.from);
    let mut line = format!(
        "{from} -> {} : {} {}",
        step.id,
        step.operation,
        step.step.parameters()
    );
    for gate in &step.gates {
        let _ = write!(line, "  when {}", gate_text(gate));
    }
    let any = step.step.acts_when_any();
    if !any.is_empty() {
        let any: Vec<String> = any.iter().map(gate_text).collect();
        let _ = write!(line, "  acts when {}", any.join(" or "));
    }
    if let Some(bound) = step.bounds.max_change {
        let _ = write!(line, "  at most {:.2} % changed", bound * 100.0);
    }
    if let Some(bound) = step.bounds.min_psnr {
        let _ = write!(line, "  at least {bound} dB like before");
    }
    if let Some(bound) = step.bounds.min_ssim {
        let _ = write!(line, "  at least {bound} similar to before");
    }
    line
}

pub(super) fn gate_text(gate: &Gate) -> String {
    let name = gate.measure.as_str();
    match (gate.above, gate.below) {
        (Some(above), Some(below)) => format!("{above} < {name} < {below}"),
        (Some(above), None) => format!("{name} > {above}"),
        (None, Some(below)) => format!("{name} < {below}"),
        (None, None) => name.to_owned(),
    }
}

fn costs(estimate: &Estimate, workers: usize) -> String {
    let (found, selected) = (estimate.found, estimate.selected);
    let size = HumanBytes(estimate.bytes);
    let mut text = format!("\n{found} files found, {selected} selected ({size})\n");
    let megapixels = estimate.pixels as f64 / 1e6;
    let from = if estimate.headers < selected {
        format!(" (estimated from {} headers)", estimate.headers)
    } else {
        String::new()
    };
    let _ = writeln!(text, "{megapixels:.1} megapixels{from}");
    if estimate.unreadable > 0 {
        let (unreadable, headers) = (estimate.unreadable, estimate.headers);
        let _ = writeln!(text, "{unreadable} of {headers} headers cannot be read");
    }
    if let Some(trial) = &estimate.trial {
        text.push_str(&trial_text(trial, workers));
    }
    text
}

fn trial_text(trial: &Trial, workers: usize) -> String {
    let mut text = format!(
        "trial: {} pictures in {:.1} s",
        trial.files,
        trial.took.as_secs_f64()
    );
    if trial.failed > 0 {
        let _ = write!(text, ", {} of them failed", trial.failed);
    }
    let time = HumanDuration(trial.all_time.max(Duration::from_secs(1)));
    let disk = HumanBytes(trial.all_written);
    let _ = writeln!(
        text,
        "\nall: about {time} with {workers} workers, {disk} of derivatives"
    );
    text
}
