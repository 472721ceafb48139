//! A pipeline over a folder by the library alone: compile a text, run it, print what happens.
//!
//! `cargo run -p fonds-pipeline --example run_folder`

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use fonds_core::{Code, Error, Result};
use fonds_pipeline::{Event, ItemEnd, Registry, RunOptions, RunReport, compile, run};

const PIPELINE: &str = r#"
    name = "reading-room"

    [run]
    unchanged = "write"

    [[step]]
    id = "copy"
    run.resize = { longest = 400 }

    [[output]]
    format = "jpeg"
    quality = 80
    profile = "srgb"
"#;

/// Runs the pipeline over `input` and tells what happens, a line for each file.
///
/// # Errors
/// When the folder cannot be read or `output` cannot be written; a file that fails is only told.
pub fn run_folder(input: &Path, output: &Path, told: &mut (dyn Write + Send)) -> Result<RunReport> {
    let plan = compile(PIPELINE, &Registry::builtin()).map_err(|mut errors| errors.remove(0))?;
    let told = Mutex::new(told);
    let tell = |event: Event| {
        if let (Some(line), Ok(mut told)) = (line(&event), told.lock()) {
            let written = writeln!(told, "{line}");
            drop(written);
        }
    };
    // Whoever sets this ends the run after what is in flight; a later one goes on from there.
    let cancelled = AtomicBool::new(false);
    let options = RunOptions::new(input, output);
    run(&Arc::new(plan), &options, &cancelled, &tell)
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::Started {
            found, selected, ..
        } => Some(format!("{found} files found, {selected} to do")),
        Event::Warning { message } => Some(format!("warning: {message}")),
        Event::Finished { path, end, .. } => Some(match end {
            ItemEnd::Failed { code, message } => format!("{path}: {code}: {message}"),
            ItemEnd::UpToDate => format!("{path}: done before"),
            _ => format!("{path}: ok"),
        }),
        Event::Ended { counts, .. } => Some(format!(
            "{} done, {} failed",
            counts.processed, counts.failed
        )),
        Event::Stopping { .. } | Event::Cataloguing | Event::Reviewed { .. } => None,
    }
}

fn main() -> Result<()> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/archive");
    let output = std::env::temp_dir().join(format!("fonds-example-{}", std::process::id()));
    run_folder(&archive, &output, &mut std::io::stdout())?;
    std::fs::remove_dir_all(&output).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be removed").at_path(&output)
    })
}
