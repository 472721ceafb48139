//! `fonds train`.

use std::sync::atomic::{AtomicBool, Ordering};

use fonds_nn::gradient::use_kernel;
use fonds_nn::train::SECOND_ORDER;
use fonds_pipeline::{
    Networks, TrainEvent, TrainOptions, TrainingPlan, default_output, train as train_plan,
};

use crate::args::TrainArgs;
use crate::exit::{Exit, Outcome};
use crate::report::training::{Progress, json};
use crate::{commands, report, shipped};

/// Set when the user wants the run to end after the step in flight.
static CANCELLED: AtomicBool = AtomicBool::new(false);

pub(crate) fn train(args: &TrainArgs) -> Outcome {
    // Before the file is read: the pictures of its stamps are decoded by these threads.
    let threads = args.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        usize::from,
    );
    commands::threads(threads)?;
    let text = shipped::text(&args.file)?;
    let plan = match shipped::training(&args.file, &text) {
        Ok(plan) => plan,
        Err(errors) => {
            report::errors(&errors);
            return Ok(Exit::of_mistakes(&errors));
        }
    };
    keep_candle_to_one_thread();
    if plan.game.needs_second_order() {
        switch_second_order_on();
    }
    if let Some(kernel) = args.networks.kernel {
        use_kernel(kernel)?;
    }
    let folder = shipped::folder(&args.file);
    let networks = Networks::new(args.networks.options(folder.clone()));
    let options = TrainOptions {
        folder,
        data: args.data.clone(),
        output: args.out.clone().unwrap_or_else(|| default_output(&plan)),
        resume: args.resume,
        steps: args.steps,
        workers: threads,
    };
    run(args, &plan, &networks, &options)
}

fn run(
    args: &TrainArgs,
    plan: &TrainingPlan,
    networks: &Networks,
    options: &TrainOptions,
) -> Outcome {
    let mut terminated = false;
    commands::supervise::on_signals(move |signal| {
        // The first asks, the second insists.
        if CANCELLED.swap(true, Ordering::SeqCst) || terminated {
            std::process::abort();
        }
        terminated = signal == signal_hook::consts::SIGTERM;
    })?;
    let progress = Progress::new(args.quiet);
    let events = |event: TrainEvent| {
        if args.json {
            report::line(&json(&event).to_string());
        } else {
            progress.event(&event);
        }
    };
    let found = train_plan(plan, networks, options, &CANCELLED, &events)?;
    if let Some(error) = &found.error {
        report::errors(std::slice::from_ref(error));
    }
    Ok(Exit::of_training(&found))
}

/// candle looks at the variable when a thread takes its first gradient.
pub(crate) fn switch_second_order_on() {
    set(SECOND_ORDER, "1");
}

/// One thread for candle's own operations, unless the user says otherwise: they are small beside the
/// engine's, and the threads of its pool burn a processor each while they wait for the next one.
pub(crate) fn keep_candle_to_one_thread() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        set(VARIABLE, "1");
    }
}

#[expect(
    unsafe_code,
    reason = "the environment is the only way to tell candle, and only the binary may set it"
)]
fn set(variable: &str, value: &str) {
    // SAFETY: this is the first thread of the process and no other one has been started yet, so
    // nobody reads the environment meanwhile.
    unsafe { std::env::set_var(variable, value) };
}
