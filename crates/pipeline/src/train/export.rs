//! What training is for: networks as safetensors, each with a card that says what it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use fonds_catalog::write_file;
use fonds_core::{Code, Error, Result};
use fonds_nn::train::Export;
use fonds_nn::weights::safetensors_bytes;

use super::folder::Folder;
use super::measure::Closeness;
use super::plan::TrainingPlan;

/// The names of classes in a network's texts, one a line.
pub(super) const CLASSES: &str = "classes";

/// What a card tells beside the plan.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) plan: &'a TrainingPlan,
    /// Steps taken.
    pub(super) step: u64,
    pub(super) pictures: usize,
    /// Classes or attributes that the networks know, in order.
    pub(super) classes: &'a [String],
    pub(super) skipped: usize,
    pub(super) data_digest: &'a str,
    /// Losses of the last step.
    pub(super) losses: &'a [(String, f64)],
    /// The last measurement.
    pub(super) figures: &'a [(&'static str, f64)],
    /// By what pictures were compared.
    pub(super) seer: &'a str,
    /// How close samples come to training pictures; the number of samples and of pictures.
    pub(super) closeness: Option<(Closeness, usize, usize)>,
}

/// Writes each network and its card; the paths of the networks.
pub(super) fn write(folder: &Folder, exports: &[Export], told: &Told<'_>) -> Result<Vec<PathBuf>> {
    let models = folder.models();
    fs::create_dir_all(&models).map_err(|error| {
        let error = Error::from_io(error, Code::WriteFailed, "cannot be made");
        error.at_path(&models)
    })?;
    let mut paths = Vec::new();
    for export in exports {
        let path = models.join(format!("{}.safetensors", export.name));
        let bytes = safetensors_bytes(&export.tensors, &metadata(export, told))?;
        write_file(&path, &bytes)?;
        let text = card(export, told);
        write_file(&models.join(format!("{}.md", export.name)), text.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

fn metadata(export: &Export, told: &Told<'_>) -> BTreeMap<String, String> {
    let mut texts = export.about.clone();
    let mut put = |key: &str, text: String| texts.insert(key.to_owned(), text);
    put("title", format!("{} {}", told.plan.name, export.name));
    put("architecture", export.what.to_owned());
    put("trained_by", format!("fonds {}", env!("CARGO_PKG_VERSION")));
    put("trainer", told.plan.game.kind().to_owned());
    put("steps", told.step.to_string());
    put("config_sha256", told.plan.digest().to_string());
    put("data_sha256", told.data_digest.to_owned());
    if !told.classes.is_empty() {
        put(CLASSES, told.classes.join("\n"));
    }
    texts
}

/// The card, in Markdown; what only people know is left to be filled in.
fn card(export: &Export, told: &Told<'_>) -> String {
    let plan = told.plan;
    let parameters: usize = export
        .tensors
        .iter()
        .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
        .sum();
    let mut text = String::new();
    let mut line = |written: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{written}");
    };
    line(format_args!("# {} · {}\n", plan.name, export.name));
    if !plan.description.is_empty() {
        line(format_args!("{}\n", plan.description));
    }
    line(format_args!("| | |\n|---|---|"));
    line(format_args!(
        "| network | {}, {parameters} values |",
        export.what
    ));
    line(format_args!("| trainer | `{}` |", plan.game.kind()));
    line(format_args!(
        "| steps | {} of {}, {} samples each |",
        told.step, plan.steps, plan.batch
    ));
    line(format_args!("| seed | {} |", plan.seed.value()));
    line(format_args!(
        "| trained by | fonds {} |",
        env!("CARGO_PKG_VERSION")
    ));
    line(format_args!(
        "| configuration (SHA-256) | `{}` |",
        plan.digest()
    ));
    line(format_args!(
        "| pictures | {}, and {} left out; {} × {} pixels, {} channels |",
        told.pictures,
        told.skipped,
        plan.data.options.size.0,
        plan.data.options.size.1,
        plan.data.options.channels
    ));
    line(format_args!(
        "| pictures (SHA-256) | `{}` |",
        told.data_digest
    ));
    if !told.classes.is_empty() {
        line(format_args!("| classes | {} |", told.classes.join(", ")));
    }
    line(format_args!(
        "| licence of the weights | *to be filled in* |"
    ));
    line(format_args!(
        "| source and licence of the pictures | *to be filled in* |"
    ));
    line(format_args!(
        "| meant for, not meant for | *to be filled in* |"
    ));
    line(format_args!(
        "\n## Losses at the end\n\n| loss | value |\n|---|---:|"
    ));
    for (name, value) in told.losses {
        line(format_args!("| `{name}` | {value:.6} |"));
    }
    line(format_args!("\n## Measured\n"));
    if told.figures.is_empty() {
        line(format_args!("Nothing was measured."));
    } else {
        line(format_args!(
            "Samples against {} pictures by: {}. These are no FID and no KID, which are defined on \
             Inception.\n\n| figure | value |\n|---|---:|",
            told.plan.output.measured.min(told.pictures),
            told.seer
        ));
        for (name, value) in told.figures {
            line(format_args!("| `{name}` | {value:.6} |"));
        }
    }
    line(format_args!("\n## Memorisation\n"));
    line(format_args!("{}", memorisation(told)));
    line(format_args!(
        "\n## Configuration\n\n```toml\n{}\n```",
        plan.text.trim()
    ));
    text
}

fn memorisation(told: &Told<'_>) -> String {
    let Some((close, samples, pictures)) = &told.closeness else {
        return "Not measured: what the network makes follows the picture that it is given, or the \
                pictures are too few."
            .to_owned();
    };
    let mut text = format!(
        "Of {samples} samples the nearest of {pictures} training pictures is at {:.2} times (median; \
         the closest sample at {:.2} times) the median distance at which training pictures have \
         their own nearest neighbours, by: {}.",
        close.median, close.least, told.seer
    );
    let bound = told.plan.watch.copied;
    if close.median < bound {
        text.push_str(&format!(
            "\n\n**Warning:** this is closer than {bound}: the network may give its training \
             pictures away. Look at samples beside their neighbours before it is passed on."
        ));
    } else if close.median < 1.0 {
        text.push_str("\n\nSamples are closer to training pictures than these are to each other.");
    }
    text
}
