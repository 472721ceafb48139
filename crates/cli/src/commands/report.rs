//! `fonds report`: the report of an output, as a folder of static pages.

use std::io::IsTerminal;

use fonds_catalog::report::REPORT_FOLDER;
use fonds_core::Limits;
use fonds_pipeline::{ReportEvent, ReportOptions, write_report};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::ReportArgs;
use crate::commands;
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn report(args: &ReportArgs) -> Outcome {
    let workers = args.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    commands::threads(workers)?;
    let target = args.to.clone();
    let target = target.unwrap_or_else(|| args.output.join(REPORT_FOLDER));
    let options = ReportOptions {
        target: target.clone(),
        input: args.input.clone(),
        workers,
        limits: Limits::DEFAULT,
    };
    let bar = if args.json || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    let events = |event: ReportEvent| {
        if args.json {
            report::line(&object(&event).to_string());
        } else {
            bar.suspend(|| tell(&event));
        }
        match event {
            ReportEvent::Started { files: Some(files) } => bar.set_length(files),
            ReportEvent::Finished { .. } => bar.inc(1),
            _ => {}
        }
    };
    let made = write_report(&args.output, &options, &events);
    bar.finish_and_clear();
    let made = made?;
    let page = target.join("index.html");
    if args.json {
        report::line(
            &json!({
                "event": "ended", "page": page.display().to_string(), "pictures": made.pictures,
                "made": made.made, "reused": made.reused, "removed": made.removed,
                "failures": made.failures,
            })
            .to_string(),
        );
    } else {
        report::line(&format!(
            "{} pictures, {} views made, {} kept, {} failed -> {}",
            made.pictures,
            made.made,
            made.reused,
            made.failures,
            page.display()
        ));
    }
    Ok(if made.failures == 0 {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

fn tell(event: &ReportEvent) {
    match event {
        ReportEvent::Failed { error } => report::errors(std::slice::from_ref(error)),
        ReportEvent::Warning { message } => report::error_line(&format!("warning: {message}")),
        ReportEvent::Started { .. } | ReportEvent::Finished { .. } => {}
    }
}

fn object(event: &ReportEvent) -> Value {
    match event {
        ReportEvent::Started { files } => json!({ "event": "started", "files": files }),
        ReportEvent::Finished { path } => json!({ "event": "finished", "path": path }),
        ReportEvent::Failed { error } => json!({
            "event": "failed", "error_code": error.code().as_str(),
            "error_message": error.to_string(), "hints": error.hints(),
        }),
        ReportEvent::Warning { message } => json!({ "event": "warning", "message": message }),
    }
}
