//! `fonds`: restore, clean and catalogue folders of scanned photographs and pages.

mod args;
mod commands;
mod exit;
mod report;
mod shipped;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let outcome = commands::dispatch(args.command);
    exit::report(outcome).into()
}
