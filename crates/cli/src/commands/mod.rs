//! One function for each command.

mod bench;
mod catalog;
mod catalog_exchange;
mod catalog_query;
mod check;
mod clean;
mod eval;
mod generate;
mod init;
mod inspect;
mod model;
mod package;
mod pipelines;
mod plan;
mod report;
mod run;
mod sample;
mod steps;
mod stylize;
mod supervise;
mod train;
mod verify;

use anyhow::Result;

use crate::args::Command;

/// Runs a command; says which number the process ends with.
pub(crate) fn dispatch(command: Command) -> Result<u8> {
    let exit = match command {
        Command::Run(args) if args.supervised || args.unsupervised => run::run(&args),
        Command::Run(args) => return supervise::supervise(&args),
        Command::Train(args) => train::train(&args),
        Command::Sample(args) => sample::sample(&args),
        Command::Stylize(args) => stylize::stylize(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Check { pipelines } => Ok(check::check(&pipelines)),
        Command::Steps { name } => steps::steps(name.as_deref()),
        Command::Pipelines { name } => pipelines::pipelines(name.as_deref()),
        Command::Inspect {
            files,
            pipeline,
            json,
        } => inspect::inspect(&files, pipeline.as_deref(), json),
        Command::Model(command) => model::model(&command),
        Command::Eval(args) => eval::eval(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Catalog(command) => catalog::catalog(&command),
        Command::Verify {
            path,
            archive,
            format,
        } => verify::verify(&path, archive, format),
        Command::Report(args) => report::report(&args),
        Command::Package(command) => package::package(&command),
        Command::Clean { output, remove } => clean::clean(&output, remove),
        Command::Init { path } => init::init(&path),
        Command::Completions { shell } => Ok(generate::completions(shell)),
        Command::Man => generate::man(),
    };
    exit.map(crate::exit::Exit::number)
}

/// Gives operations inside a picture this many threads.
pub(crate) fn threads(count: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|number| format!("fonds-pixels-{number}"))
        .build_global()?;
    Ok(())
}
