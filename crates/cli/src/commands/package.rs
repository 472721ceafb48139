//! `fonds package`: outputs packed and described for others.

use std::path::{Path, PathBuf};

use fonds_catalog::{BagOptions, RUN_FILE, RunFile, write_bag, write_premis, write_ro_crate};
use fonds_core::{Code, Error, Limits};
use fonds_pipeline::IiifOptions;

use super::catalog::show;
use crate::args::{IiifArgs, PackageCommand, Style};
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn package(command: &PackageCommand) -> Outcome {
    match command {
        PackageCommand::Bagit {
            output,
            bag,
            archive,
            info,
        } => bagit(output, bag, archive.clone(), info),
        PackageCommand::Premis { output, to } => premis(output, to),
        PackageCommand::RoCrate { output } => ro_crate(output),
        PackageCommand::Iiif(args) => iiif(args),
    }
}

fn bagit(output: &Path, bag: &Path, archive: Option<PathBuf>, info: &[String]) -> Outcome {
    let options = BagOptions {
        archive,
        date: jiff::Zoned::now().date().to_string(),
        agent: concat!("fonds ", env!("CARGO_PKG_VERSION")).to_owned(),
        info: info
            .iter()
            .map(|line| element(line))
            .collect::<Result<_, _>>()?,
    };
    let packed = write_bag(output, bag, &options)?;
    let exit = show(output, &packed.findings, Style::Text);
    report::line(&match exit {
        Exit::Done => format!(
            "{} files ({}) -> {}",
            packed.files,
            indicatif::HumanBytes(packed.bytes),
            bag.display()
        ),
        _ => "no bag was written".to_owned(),
    });
    Ok(exit)
}

/// A line of `bag-info.txt`.
fn element(line: &str) -> Result<(String, String), Error> {
    let parts = line.split_once(':');
    let parts = parts.map(|(label, value)| (label.trim().to_owned(), value.trim().to_owned()));
    parts.ok_or_else(|| {
        let message = format!("`{line}` is not a label, `:` and a value");
        Error::new(Code::InvalidRequest, message)
            .hint("write `--info \"Source-Organization: Town Archive\"`")
    })
}

fn premis(output: &Path, to: &Path) -> Outcome {
    let written = write_premis(output, to)?;
    report::line(&format!(
        "{} objects, {} events, {} agents -> {}",
        written.objects,
        written.events,
        written.agents,
        to.display()
    ));
    Ok(Exit::Done)
}

fn ro_crate(output: &Path) -> Outcome {
    let entities = write_ro_crate(output)?;
    let file = output.join(fonds_catalog::RO_CRATE_FILE);
    report::line(&format!("{entities} entities -> {}", file.display()));
    Ok(Exit::Done)
}

fn iiif(args: &IiifArgs) -> Outcome {
    let archive = match &args.archive {
        Some(archive) => archive.clone(),
        None => archive_of(&args.output)?,
    };
    let options = IiifOptions {
        archive,
        base: args.base_url.trim_end_matches('/').to_owned(),
        tile: args.tile,
        quality: args.quality,
        limits: Limits::DEFAULT,
    };
    let progress = indicatif::ProgressBar::new_spinner();
    let written = fonds_pipeline::write_iiif(&args.output, &args.to, &options, |path| {
        progress.set_message(path.to_owned());
        progress.tick();
    });
    progress.finish_and_clear();
    let written = written?;
    report::errors(&written.failures);
    report::line(&format!(
        "{} manifests, {} pictures, {} tiles, {} failed -> {}",
        written.manifests,
        written.pictures,
        written.tiles,
        written.failures.len(),
        args.to.display()
    ));
    Ok(if written.failures.is_empty() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

/// The archive that a run was given.
fn archive_of(output: &Path) -> anyhow::Result<PathBuf> {
    let path = output.join(RUN_FILE);
    let run = RunFile::from_json(&std::fs::read_to_string(&path)?)?;
    let archive = PathBuf::from(run.input);
    if archive.is_dir() {
        return Ok(archive);
    }
    let message = format!(
        "`{}`, which the run was given, is not there",
        archive.display()
    );
    Err(Error::new(Code::Unreadable, message)
        .hint("name the folder with the originals: --archive FOLDER")
        .into())
}
