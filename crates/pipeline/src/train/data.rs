//! `[data]` of a training file: where pictures come from and how samples are cut from them.

use std::path::{Path, PathBuf};

use fonds_core::{Code, Error};
use fonds_ingest::dataset::{Fit, Options, Source, Unequal};
use fonds_ingest::degrade::Recipe;
use fonds_ingest::degrade::wire::RecipeWire;
use serde::Deserialize;

use super::spec::{SOURCES, tagged};
use crate::reader::{Args, At};

/// A data set, and how it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct DataPlan {
    /// Where pictures come from, as the file says; paths may be relative.
    pub source: Source,
    /// How samples are cut.
    pub options: Options,
    /// Bytes of decoded pictures that are kept.
    pub cache_bytes: u64,
}

impl DataPlan {
    /// Pictures in a sample.
    pub fn pictures(&self) -> usize {
        let pairs = matches!(
            self.source,
            Source::Paired { .. } | Source::Unpaired { .. } | Source::SideBySide { .. }
        );
        1 + usize::from(pairs || self.options.degrade.is_some())
    }

    /// Whether samples are known to have classes or attributes.
    pub fn has_labels(&self) -> bool {
        match &self.source {
            Source::ClassFolders { .. } | Source::Celeba { .. } => true,
            Source::Manifest { label_column, .. } => label_column.is_some(),
            _ => false,
        }
    }

    /// The source with its paths: relative ones begin at `folder`; where `data` is given, it takes
    /// the place of the one path of a source, and the relative paths of others begin there.
    pub fn located(&self, folder: &Path, data: Option<&Path>) -> Source {
        let mut source = self.source.clone();
        let base = data.unwrap_or(folder);
        match &mut source {
            Source::Folder { path }
            | Source::ClassFolders { path }
            | Source::SideBySide { path, .. }
            | Source::Celeba { path, .. } => {
                *path = data.map_or_else(|| folder.join(&*path), Path::to_owned);
            }
            Source::Unpaired { a, b } | Source::Paired { a, b } => {
                *a = base.join(&*a);
                *b = base.join(&*b);
            }
            Source::Manifest { catalog, root, .. } => {
                *catalog = base.join(&*catalog);
                *root = root.as_ref().map(|root| base.join(root));
            }
        }
        source
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FitSpec {
    Resize,
    #[default]
    Cover,
    Crop,
    ResizeCrop,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnequalSpec {
    #[default]
    Refuse,
    Skip,
}

/// Reads `[data]`; what is wrong with it is reported.
pub(super) fn read(mut args: Args<'_, '_>) -> DataPlan {
    let defaults = Options::default();
    let place = args.offset();
    if place > 0 && !args.has("from") {
        let error = Error::new(
            Code::InvalidRequest,
            "`data` does not say where pictures are",
        );
        args.report(
            place,
            error.hint("add a line such as: from.folder = { path = \"pictures\" }"),
        );
    }
    let source = tagged(&mut args, "from", &SOURCES).and_then(|(kind, args)| source(&kind, args));
    let size = args.take::<usize>("size").map(|at| (at.value, at.value));
    let scale = args.value::<(f32, f32)>("crop_scale");
    let fit = match args.value::<FitSpec>("fit").unwrap_or_default() {
        FitSpec::Resize => Fit::Resize,
        FitSpec::Cover => Fit::Cover,
        FitSpec::Crop => Fit::Crop,
        FitSpec::ResizeCrop => Fit::ResizeCrop {
            scale: scale.unwrap_or((1.0, 1.117)),
        },
    };
    let degrade = degrade(&mut args);
    let options = Options {
        size: size.unwrap_or(defaults.size),
        channels: args.value("channels").unwrap_or(defaults.channels),
        fit,
        flip: args.value("flip").unwrap_or(defaults.flip),
        patches: args.value("patches"),
        min_detail: args.value("min_detail"),
        include: args.value("include").unwrap_or(defaults.include),
        exclude: args.value("exclude").unwrap_or(defaults.exclude),
        holdout: args.value("holdout").unwrap_or(defaults.holdout),
        limit: args.value("limit"),
        unequal: match args.value("unequal").unwrap_or_default() {
            UnequalSpec::Refuse => Unequal::Refuse,
            UnequalSpec::Skip => Unequal::Skip,
        },
        pair_scale: args.value("pair_scale").unwrap_or(defaults.pair_scale),
        degrade,
        // Decided by the trainer.
        mask: false,
        limits: defaults.limits,
    };
    let cache: Option<At<u64>> = args.take("cache_mib");
    // A source that is missing or wrong has been reported.
    let source = source.unwrap_or(Source::Folder {
        path: PathBuf::new(),
    });
    if let Err(error) = options.validate(&source) {
        args.report(place, error);
    }
    args.finish();
    DataPlan {
        source,
        options,
        cache_bytes: cache.map_or(512, |at| at.value).saturating_mul(1 << 20),
    }
}

fn source(kind: &At<String>, mut args: Args<'_, '_>) -> Option<Source> {
    let needed = |args: &mut Args<'_, '_>, key: &'static str| -> Option<PathBuf> {
        if !args.has(key) {
            let message = format!("`from.{}` names no `{key}`", kind.value);
            args.report(kind.offset, Error::new(Code::InvalidRequest, message));
        }
        args.value::<PathBuf>(key)
    };
    let source = match kind.value.as_str() {
        "folder" => needed(&mut args, "path").map(|path| Source::Folder { path }),
        "class_folders" => needed(&mut args, "path").map(|path| Source::ClassFolders { path }),
        "unpaired" => {
            let paths = (needed(&mut args, "a"), needed(&mut args, "b"));
            paths.0.zip(paths.1).map(|(a, b)| Source::Unpaired { a, b })
        }
        "paired" => {
            let paths = (needed(&mut args, "a"), needed(&mut args, "b"));
            paths.0.zip(paths.1).map(|(a, b)| Source::Paired { a, b })
        }
        "side_by_side" => {
            let source_first = args.value("source_first").unwrap_or(true);
            needed(&mut args, "path").map(|path| Source::SideBySide { path, source_first })
        }
        "celeba" => {
            let attributes = args.value("attributes").unwrap_or_default();
            needed(&mut args, "path").map(|path| Source::Celeba { path, attributes })
        }
        "manifest" => {
            let path_column = args.value("path_column");
            let label_column = args.value("label_column");
            let root = args.value("root");
            needed(&mut args, "catalog").map(|catalog| Source::Manifest {
                catalog,
                path_column: path_column.unwrap_or_else(|| "source_path".to_owned()),
                label_column,
                root,
            })
        }
        _ => None,
    };
    args.finish();
    source
}

/// The damage that makes pairs; every parameter out of range is reported.
fn degrade(args: &mut Args<'_, '_>) -> Option<Recipe> {
    let at: At<RecipeWire> = args.take("degrade")?;
    match at.value.recipe() {
        Ok(recipe) => Some(recipe),
        Err(problems) => {
            for problem in problems {
                let message = format!("`degrade`: {problem}");
                args.report(at.offset, Error::new(Code::InvalidRequest, message));
            }
            None
        }
    }
}
