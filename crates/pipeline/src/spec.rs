//! The pipeline file as it was written: wire types with their places, nothing resolved.

use fonds_core::{Code, Error};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use crate::reader::{Args, At, Sink, parse};

/// What to do about a file that is in the way of a derivative and that no earlier run of this
/// pipeline wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Leave it, and report the source as failed (`name_collision`).
    #[default]
    Skip,
    /// Replace it, and make everything anew.
    Overwrite,
    /// Stop the run.
    Abort,
}

/// What to do when a file fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Record it and go on.
    #[default]
    Skip,
    /// Stop the run.
    Abort,
}

/// What to do with a picture on which no step acted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unchanged {
    /// Write nothing; the row says `unchanged`.
    #[default]
    Skip,
    /// Write it all the same.
    Write,
}

/// How to make sure that a source did not change while it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifySources {
    /// Read and digest it a second time.
    Always,
    /// Compare size, time and inode.
    #[default]
    Stat,
}

/// The profile that a derivative is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The file's own.
    #[default]
    Keep,
    /// sRGB, or gray with the sRGB curve.
    Srgb,
}

/// The file format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// TIFF.
    Tiff,
    /// WebP.
    Webp,
    /// A PNG of the mask of damage that a step found.
    Mask,
}

/// What a derivative is for, in the terms of the Portland Common Data Model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// A copy for access.
    #[default]
    ServiceFile,
    /// A copy from which others are made.
    IntermediateFile,
    /// A preservation copy.
    PreservationMasterFile,
    /// A thumbnail.
    ThumbnailImage,
}

impl Use {
    /// The term's URI.
    pub fn uri(self) -> &'static str {
        match self {
            Self::ServiceFile => "http://pcdm.org/use#ServiceFile",
            Self::IntermediateFile => "http://pcdm.org/use#IntermediateFile",
            Self::PreservationMasterFile => "http://pcdm.org/use#PreservationMasterFile",
            Self::ThumbnailImage => "http://pcdm.org/use#ThumbnailImage",
        }
    }
}

/// `[input]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputSpec {
    pub(crate) include: Vec<At<String>>,
    pub(crate) exclude: Vec<At<String>>,
    pub(crate) follow_links: bool,
}

/// `[limits]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LimitsSpec {
    pub(crate) max_megapixels: Option<At<u64>>,
    pub(crate) max_decode_mib: Option<At<u64>>,
    pub(crate) max_file_mib: Option<At<u64>>,
    pub(crate) max_pages: Option<At<u32>>,
    pub(crate) timeout_per_file: Option<At<f64>>,
}

/// `[run]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunSpec {
    pub(crate) seed: u64,
    pub(crate) on_existing: OnExisting,
    pub(crate) on_error: OnError,
    pub(crate) max_failure_rate: Option<At<f64>>,
    pub(crate) unchanged: Unchanged,
    pub(crate) verify_sources: VerifySources,
    pub(crate) memory_mib: Option<At<u64>>,
}

/// `[catalog]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogSpec {
    pub(crate) metadata: Option<String>,
    pub(crate) filename_patterns: Vec<At<String>>,
    pub(crate) measures: Option<bool>,
    pub(crate) source: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) rights: Option<String>,
    pub(crate) rightsstatement: Option<At<String>>,
    pub(crate) source_type: Option<At<String>>,
}

/// `[thumbnails]`.
#[derive(Debug, Clone)]
pub(crate) struct ThumbnailsSpec {
    pub(crate) small: At<u32>,
    pub(crate) thumb: At<u32>,
    pub(crate) quality: At<u8>,
    pub(crate) from: Option<At<String>>,
}

/// One condition under `when`.
#[derive(Debug, Clone)]
pub(crate) struct GateSpec {
    pub(crate) measure: At<String>,
    pub(crate) above: Option<At<f64>>,
    pub(crate) below: Option<At<f64>>,
}

/// One `[[step]]`; `run` keeps its parameters unread, they are the step's own business.
#[derive(Debug)]
pub(crate) struct StepSpec<'i> {
    pub(crate) offset: usize,
    pub(crate) id: Option<At<String>>,
    pub(crate) run: Option<(At<String>, Spanned<DeValue<'i>>)>,
    pub(crate) from: Option<At<String>>,
    pub(crate) when: Vec<GateSpec>,
    pub(crate) max_change: Option<At<f64>>,
    pub(crate) min_psnr: Option<At<f64>>,
    pub(crate) min_ssim: Option<At<f64>>,
}

/// One `[[output]]`.
#[derive(Debug, Clone)]
pub(crate) struct OutputSpec {
    pub(crate) offset: usize,
    pub(crate) id: Option<At<String>>,
    pub(crate) from: Option<At<String>>,
    pub(crate) format: Option<At<Format>>,
    /// Whether there is a `format`, readable or not.
    pub(crate) has_format: bool,
    pub(crate) profile: Profile,
    pub(crate) bit_depth: Option<At<u8>>,
    pub(crate) quality: Option<At<u8>>,
    pub(crate) subsampling: Option<At<String>>,
    pub(crate) progressive: Option<At<bool>>,
    pub(crate) compression: Option<At<String>>,
    pub(crate) level: Option<At<String>>,
    pub(crate) lossless: Option<At<bool>>,
    pub(crate) name: Option<At<String>>,
    pub(crate) purpose: Use,
}

/// The whole file.
#[derive(Debug)]
pub(crate) struct Spec<'i> {
    pub(crate) name: Option<At<String>>,
    pub(crate) description: String,
    pub(crate) input: InputSpec,
    pub(crate) limits: LimitsSpec,
    pub(crate) run: RunSpec,
    pub(crate) catalog: CatalogSpec,
    pub(crate) thumbnails: Option<ThumbnailsSpec>,
    pub(crate) steps: Vec<StepSpec<'i>>,
    pub(crate) outputs: Vec<OutputSpec>,
}

impl<'i> Spec<'i> {
    /// Reads a file; what is wrong with it is in the sink, what is right is returned.
    pub(crate) fn read(sink: &Sink<'i>, text: &'i str) -> Self {
        let mut file = Args::new(sink, "a pipeline file", parse(sink, text));
        let has_name = file.has("name");
        let spec = Self {
            name: file.take("name"),
            description: file.value("description").unwrap_or_default(),
            input: read_input(file.table("input")),
            limits: read_limits(file.table("limits")),
            run: read_run(file.table("run")),
            catalog: read_catalog(file.table("catalog")),
            thumbnails: file.optional_table("thumbnails").map(read_thumbnails),
            steps: file.tables("step").into_iter().map(read_step).collect(),
            outputs: file.tables("output").into_iter().map(read_output).collect(),
        };
        if !has_name {
            let error = Error::new(Code::InvalidRequest, "the pipeline has no `name`");
            sink.report(0, error.hint("begin the file with: name = \"my-pipeline\""));
        }
        file.finish();
        spec
    }
}

fn read_input(mut args: Args<'_, '_>) -> InputSpec {
    let offset = args.offset();
    let mut globs = |key| -> Vec<At<String>> {
        let list: Option<At<Vec<String>>> = args.take(key);
        let list = list.unwrap_or(At::new(Vec::new(), offset));
        list.value
            .into_iter()
            .map(|glob| At::new(glob, list.offset))
            .collect()
    };
    let include = globs("include");
    let exclude = globs("exclude");
    let follow_links = args.value("follow_links").unwrap_or_default();
    args.finish();
    InputSpec {
        include,
        exclude,
        follow_links,
    }
}

fn read_limits(mut args: Args<'_, '_>) -> LimitsSpec {
    let spec = LimitsSpec {
        max_megapixels: args.take("max_megapixels"),
        max_decode_mib: args.take("max_decode_mib"),
        max_file_mib: args.take("max_file_mib"),
        max_pages: args.take("max_pages"),
        timeout_per_file: args.take("timeout_per_file"),
    };
    args.finish();
    spec
}

fn read_run(mut args: Args<'_, '_>) -> RunSpec {
    let spec = RunSpec {
        seed: args.value("seed").unwrap_or_default(),
        on_existing: args.value("on_existing").unwrap_or_default(),
        on_error: args.value("on_error").unwrap_or_default(),
        max_failure_rate: args.take("max_failure_rate"),
        unchanged: args.value("unchanged").unwrap_or_default(),
        verify_sources: args.value("verify_sources").unwrap_or_default(),
        memory_mib: args.take("memory_mib"),
    };
    args.finish();
    spec
}

fn read_catalog(mut args: Args<'_, '_>) -> CatalogSpec {
    let spec = CatalogSpec {
        metadata: args.value("metadata"),
        filename_patterns: {
            let patterns: Option<At<Vec<String>>> = args.take("filename_patterns");
            let patterns = patterns.map(|at| (at.offset, at.value)).unwrap_or_default();
            let texts = patterns.1.into_iter();
            texts.map(|text| At::new(text, patterns.0)).collect()
        },
        measures: args.value("measures"),
        source: args.value("source"),
        language: args.value("language"),
        rights: args.value("rights"),
        rightsstatement: args.take("rightsstatement"),
        source_type: args.take("source_type"),
    };
    args.finish();
    spec
}

fn read_thumbnails(mut args: Args<'_, '_>) -> ThumbnailsSpec {
    let offset = args.offset();
    let spec = ThumbnailsSpec {
        small: args.take("small").unwrap_or(At::new(800, offset)),
        thumb: args.take("thumb").unwrap_or(At::new(450, offset)),
        quality: args.take("quality").unwrap_or(At::new(80, offset)),
        from: args.take("from"),
    };
    args.finish();
    spec
}

fn read_step<'i>(mut args: Args<'i, '_>) -> StepSpec<'i> {
    let run = args.optional_table("run").and_then(|mut run| {
        let offset = run.offset();
        let mut entries = run.drain();
        if entries.len() != 1 {
            let message = format!("`run` names one operation, found {}", entries.len());
            let error = Error::new(Code::InvalidRequest, message);
            run.report(
                offset,
                error.hint("write: run.tone = { } and one [[step]] for each"),
            );
        }
        (!entries.is_empty()).then(|| entries.remove(0))
    });
    let spec = StepSpec {
        offset: args.offset(),
        id: args.take("id"),
        run,
        from: args.take("from"),
        when: args
            .optional_table("when")
            .map(read_gates)
            .unwrap_or_default(),
        max_change: args.take("max_change"),
        min_psnr: args.take("min_psnr"),
        min_ssim: args.take("min_ssim"),
    };
    args.finish();
    spec
}

fn read_gates(mut args: Args<'_, '_>) -> Vec<GateSpec> {
    let entries = args.drain();
    let mut gates = Vec::new();
    for (measure, value) in entries {
        let Some(mut bounds) = args.as_table(&measure.value, value) else {
            continue;
        };
        let gate = GateSpec {
            above: bounds.take("above"),
            below: bounds.take("below"),
            measure,
        };
        if gate.above.is_none() && gate.below.is_none() {
            let message = format!("`{}` says neither `above` nor `below`", gate.measure.value);
            bounds.report(
                gate.measure.offset,
                Error::new(Code::InvalidRequest, message),
            );
        }
        bounds.finish();
        gates.push(gate);
    }
    gates
}

fn read_output(mut args: Args<'_, '_>) -> OutputSpec {
    let spec = OutputSpec {
        offset: args.offset(),
        id: args.take("id"),
        from: args.take("from"),
        has_format: args.has("format"),
        format: args.take("format"),
        profile: args.value("profile").unwrap_or_default(),
        bit_depth: args.take("bit_depth"),
        quality: args.take("quality"),
        subsampling: args.take("subsampling"),
        progressive: args.take("progressive"),
        compression: args.take("compression"),
        level: args.take("level"),
        lossless: args.take("lossless"),
        name: args.take("name"),
        purpose: args.value("use").unwrap_or_default(),
    };
    args.finish();
    spec
}
