//! The pipelines that are compiled in, and finding the one that was asked for.

use std::path::{Path, PathBuf};

use fonds_core::{Code, Error};
use fonds_pipeline::{
    NetworkOptions, Networks, Plan, Registry, TrainingPlan, compile, compile_training,
};

use crate::args::NetworkArgs;

/// Name and text of each shipped pipeline.
pub(crate) const PIPELINES: [(&str, &str); 5] = [
    (
        "access-copies",
        include_str!("../../../pipelines/access-copies.toml"),
    ),
    (
        "catalog-only",
        include_str!("../../../pipelines/catalog-only.toml"),
    ),
    ("enlarge", include_str!("../../../pipelines/enlarge.toml")),
    ("pages", include_str!("../../../pipelines/pages.toml")),
    (
        "restore-photographs",
        include_str!("../../../pipelines/restore-photographs.toml"),
    ),
];

/// Name and text of each shipped training file.
pub(crate) const TRAININGS: [(&str, &str); 6] = [
    (
        "conditional",
        include_str!("../../../pipelines/train/conditional.toml"),
    ),
    (
        "cyclegan",
        include_str!("../../../pipelines/train/cyclegan.toml"),
    ),
    ("dcgan", include_str!("../../../pipelines/train/dcgan.toml")),
    (
        "pix2pix",
        include_str!("../../../pipelines/train/pix2pix.toml"),
    ),
    ("srgan", include_str!("../../../pipelines/train/srgan.toml")),
    (
        "wgan-gp",
        include_str!("../../../pipelines/train/wgan-gp.toml"),
    ),
];

/// Everything that is shipped.
pub(crate) fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    PIPELINES.iter().chain(&TRAININGS)
}

/// What a shipped file says that it is for. Nothing is compiled: a list needs no networks.
pub(crate) fn description(text: &'static str) -> &'static str {
    let mut lines = text.lines();
    let quoted = lines.find_map(|line| line.strip_prefix("description = \""));
    quoted
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default()
}

/// The text of a pipeline: a file where there is one, else the shipped one of that name.
pub(crate) fn text(pipeline: &str) -> Result<String, Error> {
    let path = Path::new(pipeline);
    if !path.is_file()
        && let Some((_, text)) = all().find(|(name, _)| *name == pipeline)
    {
        return Ok((*text).to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| {
        let names: Vec<&str> = all().map(|(name, _)| *name).collect();
        Error::new(
            Code::InvalidRequest,
            "is neither a readable pipeline file nor a shipped one",
        )
        .at_path(path)
        .caused_by(error)
        .hint(format!("shipped are {}", names.join(", ")))
    })
}

/// Where the relative paths of a file begin.
pub(crate) fn folder(file: &str) -> PathBuf {
    let parent = Path::new(file).parent();
    parent.map(Path::to_owned).unwrap_or_default()
}

/// A training file, checked; every mistake is returned.
pub(crate) fn training(file: &str, text: &str) -> Result<TrainingPlan, Vec<Error>> {
    compile_training(text).map_err(|errors| {
        let placed = errors.into_iter().map(|error| error.at_path(file));
        placed.collect()
    })
}

/// A pipeline, checked; every mistake is returned. Its weights are looked for beside it, and are to
/// run on what the arguments say.
pub(crate) fn plan(pipeline: &str, networks: Option<&NetworkArgs>) -> Result<Plan, Vec<Error>> {
    let text = text(pipeline).map_err(|error| vec![error])?;
    let folder = folder(pipeline);
    let options = match networks {
        Some(networks) => networks.options(folder),
        None => NetworkOptions {
            folder,
            ..NetworkOptions::default()
        },
    };
    let registry = Registry::with_networks(&Networks::new(options));
    compile(&text, &registry).map_err(|errors| {
        errors
            .into_iter()
            .map(|error| error.at_path(pipeline))
            .collect()
    })
}
