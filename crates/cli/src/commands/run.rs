//! `fonds run`, the part that does the work.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use fonds_core::{Code, Error};
use fonds_pipeline::{Event, Retry, RunOptions, run as run_plan};

use crate::args::RunArgs;
use crate::exit::{Exit, Outcome};
use crate::report;
use crate::report::human::Human;
use crate::{commands, shipped};

/// Set when the user wants the run to end after what is in flight.
static CANCELLED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &RunArgs) -> Outcome {
    let options = options(args)?;
    // Before the pipeline is read: the pictures that its steps name are decoded by these threads.
    commands::threads(options.workers)?;
    let plan = match shipped::plan(&args.job.pipeline, Some(&args.job.networks)) {
        Ok(plan) => Arc::new(plan),
        Err(errors) => {
            report::errors(&errors);
            return Ok(Exit::of_mistakes(&errors));
        }
    };
    if args.supervised {
        listen_to_supervisor();
    } else {
        commands::supervise::on_signals(|_| CANCELLED.store(true, Ordering::SeqCst))?;
    }
    quiet_panics();
    let human = Human::new(args.quiet);
    let json = args.json;
    let events = |event: Event| {
        if json {
            report::line(&report::json::event(&event).to_string());
        } else {
            human.event(&event);
        }
    };
    let report = run_plan(&plan, &options, &CANCELLED, &events)?;
    let mut exit = Exit::of_run(&report, args.strict);
    if exit == Exit::Done && report.counts.found == report.counts.skipped {
        report::error_line("error: no file in the archive is selected by the pipeline");
        report::error_line(
            "  hint: look at `include` under [input], and at the names in the folder",
        );
        exit = Exit::NoInput;
    }
    if let Some(error) = &report.output_error {
        report::errors(std::slice::from_ref(error));
    }
    fonds_pipeline::record_exit(&options.output, i32::from(exit.number()))?;
    Ok(exit)
}

fn options(args: &RunArgs) -> Result<RunOptions> {
    let mut options = RunOptions::new(&args.job.input, &args.job.out);
    if let Some(threads) = args.threads {
        options.workers = usize::from(threads);
    }
    if let Some(shard) = &args.shard {
        options.shard = shard.parse()?;
    }
    options.limit = args.limit;
    options.only.clone_from(&args.only);
    options.retry = retry(args.retry_failed.as_deref())?;
    options.verify = args.verify;
    options.suspects.clone_from(&args.suspect);
    options.crashed.clone_from(&args.crashed);
    options.argv = commands::supervise::own_arguments();
    Ok(options)
}

fn retry(codes: Option<&[String]>) -> Result<Retry, Error> {
    let Some(codes) = codes else {
        return Ok(Retry::Retryable);
    };
    if codes.iter().any(|code| code == "all") {
        return Ok(Retry::All);
    }
    let parsed = codes.iter().map(|code| {
        Code::from_text(code).ok_or_else(|| {
            let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
            Error::new(
                Code::InvalidRequest,
                format!("`{code}` is not an error code"),
            )
            .hint(format!("codes are {}", known.join(", ")))
        })
    });
    Ok(Retry::Codes(parsed.collect::<Result<_, _>>()?))
}

/// The supervisor's end of the pipe: a byte asks for the end, its closing means that the
/// supervisor is dead, and then nobody would know that this process runs.
fn listen_to_supervisor() {
    std::thread::spawn(|| {
        let mut byte = [0];
        loop {
            match std::io::stdin().read(&mut byte) {
                Ok(1..) => CANCELLED.store(true, Ordering::SeqCst),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                _ => std::process::abort(),
            }
        }
    });
}

/// A panic on one of the threads that process files becomes that file's error, with its message;
/// the terminal is spared the rest. A panic anywhere else is reported as usual.
pub(crate) fn quiet_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        if !thread.name().is_some_and(|name| name.starts_with("fonds-")) {
            default(info);
        }
    }));
}
