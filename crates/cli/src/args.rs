//! What can be typed: commands, arguments and the help that teaches them.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Restore, clean and catalogue folders of scanned photographs and pages.
///
/// A pipeline (a short TOML file, or the name of a shipped one) says what is to be done. `fonds`
/// walks a folder, processes every picture in parallel, and writes derivatives beside a catalog in
/// which every file found has a row. Originals are only ever read.
///
/// First steps:
///   fonds init my.toml                          write a commented pipeline
///   fonds plan my.toml scans/ --out out/        what would be done, and how long it takes
///   fonds run my.toml scans/ --out out/         do it; run again to resume
///   fonds inspect scans/bridge.tif              all that is known of one picture
#[derive(Debug, Parser)]
#[command(name = "fonds", version, verbatim_doc_comment, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Process an archive folder; run again to resume
    Run(RunArgs),
    /// Show what a run would do: steps, counts, megapixels, disk and time
    Plan(PlanArgs),
    /// Check pipeline files; every mistake is shown with its place
    Check {
        /// Pipeline files, or names of shipped pipelines
        #[arg(required = true)]
        pipelines: Vec<String>,
    },
    /// List the steps that a pipeline can use, or explain one
    Steps {
        /// The step to explain
        name: Option<String>,
    },
    /// List the shipped pipelines, or print one
    Pipelines {
        /// The pipeline to print
        name: Option<String>,
    },
    /// Show all that is known of picture files
    Inspect {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON, one object for each file
        #[arg(long)]
        json: bool,
    },
    /// Work with catalogs that runs have written
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// List, or remove, derivatives whose sources are gone or whose settings no longer apply
    Clean {
        /// The output folder of earlier runs
        output: PathBuf,
        /// Remove them; without this they are only listed
        #[arg(long)]
        remove: bool,
    },
    /// Write a commented pipeline file to start from
    Init {
        /// Where to write it
        #[arg(default_value = "pipeline.toml")]
        path: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

/// `fonds run`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// How many files are worked on at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Do only a part of the archive, for several machines: 1/3, 2/3 and 3/3, each with an --out
    /// of its own; `fonds catalog merge` joins them
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<String>,
    /// Do no more than this many files
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Do only files whose path matches this glob; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Try files again that failed before, all of them or those with these error codes
    #[arg(long, value_name = "CODE,…", num_args = 0..=1, require_equals = true,
          value_delimiter = ',', default_missing_value = "all")]
    pub(crate) retry_failed: Option<Vec<String>>,
    /// Read sources and derivatives again instead of trusting their size and time
    #[arg(long)]
    pub(crate) verify: bool,
    /// End with 3 when a file has a warning, too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object for each event instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only errors and the last line
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Do not supervise the run from a second process (a crash in a decoder then ends it)
    #[arg(long, hide_short_help = true)]
    pub(crate) unsupervised: bool,
    /// This process is supervised: do these files first and alone
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) suspect: Vec<String>,
    /// This process is supervised: these files have killed one before it
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) crashed: Vec<String>,
    /// This process is supervised
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

/// What `run` and `plan` share.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct JobArgs {
    /// A pipeline file, or the name of a shipped pipeline (see `fonds pipelines`)
    pub(crate) pipeline: String,
    /// The folder with the originals; only ever read
    pub(crate) input: PathBuf,
    /// Where derivatives and catalog go; must not lie in the input folder
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

/// `fonds plan`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Process this many pictures on trial to estimate time and disk (0: do not)
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) sample: u32,
    /// How many files would be worked on at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// `fonds catalog …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Check a catalog: ids, dates, URIs, digests, rows against files
    Validate {
        /// The output folder of a run
        output: PathBuf,
        /// Read every derivative and compare its digest
        #[arg(long)]
        deep: bool,
        /// How to print what is found
        #[arg(long, value_enum, default_value_t = Style::Text)]
        format: Style,
    },
    /// Join the outputs of sharded runs into what one run would have written
    Merge {
        /// The output folders of all shards
        #[arg(required = true)]
        parts: Vec<PathBuf>,
        /// Where the joined output goes
        #[arg(long, short, value_name = "FOLDER")]
        out: PathBuf,
    },
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
