//! What can be typed: commands, arguments and the help that teaches them.

mod measure;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use fonds_core::Error;
use fonds_pipeline::{DeviceChoice, Kernel, NetworkOptions, NumberType};
pub(crate) use measure::{BenchArgs, Case, EvalArgs, Metric, Other};

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
    /// Train networks on pictures, as a training file says
    Train(TrainArgs),
    /// Make pictures by a trained generator
    Sample(SampleArgs),
    /// Give one picture the style of others
    Stylize(StylizeArgs),
    /// Show what a run would do: steps, counts, megapixels, disk and time
    Plan(PlanArgs),
    /// Check pipeline files and training files; every mistake is shown with its place
    Check {
        /// Pipeline files, training files, or names of shipped ones
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
        /// Show for each step of this pipeline whether its gates would open for the picture: a
        /// file, or the name of a shipped one
        #[arg(long, value_name = "PIPELINE")]
        pipeline: Option<String>,
        /// Print JSON, one object for each file
        #[arg(long)]
        json: bool,
    },
    /// Look at files of networks' weights
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure a network on pictures whose originals are known (PSNR and SSIM, as a table), or a
    /// folder of samples against data (Fréchet and kernel distance)
    Eval(EvalArgs),
    /// Time networks with random weights on this machine
    Bench(BenchArgs),
    /// Work with catalogs that runs have written
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Read an output, or a bag, again and prove it: digests, rows, sidecars, originals
    Verify {
        /// The output folder of a run, or a bag
        path: PathBuf,
        /// The folder with the originals [default: the one that the run was given]
        #[arg(long, value_name = "FOLDER")]
        archive: Option<PathBuf>,
        /// How to print what is found
        #[arg(long, value_enum, default_value_t = Style::Text)]
        format: Style,
    },
    /// Make a report that people look at: charts, contact sheet, before and after, review
    Report(ReportArgs),
    /// Pack an output for others: a bag, PREMIS, RO-Crate, IIIF
    #[command(subcommand)]
    Package(PackageCommand),
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

/// `fonds train`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TrainArgs {
    /// A training file, or the name of a shipped one
    pub(crate) file: String,
    /// The run folder: checkpoints, samples, losses, and in the end the networks [default:
    /// runs/NAME]
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Pictures in the place of the folder that the file names; where it names two, they are looked
    /// for in here
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Go on from the newest checkpoint in the run folder
    #[arg(long)]
    pub(crate) resume: bool,
    /// Take no more than so many steps in all, those of earlier runs among them, then save and stop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: Option<u64>,
    /// How many threads compute and decode [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object for each event instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only warnings, errors and the last line
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// `fonds sample`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SampleArgs {
    /// The generator's weights, such as runs/NAME/models/generator.safetensors
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// How many pictures
    #[arg(long, short, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) n: u32,
    /// What the noise follows from; equal seeds give equal pictures
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The class, by name or by number from 0 [default: all classes take turns]
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// The way from the first picture of one seed to that of another, in N pictures
    #[arg(long, num_args = 2, value_names = ["SEED", "SEED"], conflicts_with = "seed")]
    pub(crate) interpolate: Option<Vec<u64>>,
    /// A grid (NAME.png), or a folder for single pictures
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// `fonds stylize`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StylizeArgs {
    /// The picture
    pub(crate) content: PathBuf,
    /// A style picture, with its weight among several; can be repeated
    #[arg(long, short, value_name = "FILE[:WEIGHT]")]
    pub(crate) style: Vec<String>,
    /// For each style in turn where it holds: a picture as large as the content, white is where;
    /// "" for a style without one
    #[arg(long, value_name = "FILE")]
    pub(crate) mask: Vec<String>,
    /// How: by optimisation (the best and the slowest), by a network that has learned one style, or
    /// any style in one pass
    #[arg(long, short, value_enum, default_value_t = StylizeBy::Gatys)]
    pub(crate) method: StylizeBy,
    /// The weights: VGG-19, VGG-16 or `SqueezeNet` (gatys), a style network (feedforward), or the
    /// encoder (adain)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: String,
    /// The decoder that belongs to the encoder (adain)
    #[arg(long, value_name = "FILE")]
    pub(crate) decoder: Option<String>,
    /// What becomes of the picture's colours
    #[arg(long, value_enum, default_value_t = StylizeColors::Style)]
    pub(crate) colors: StylizeColors,
    /// Let gray pictures take the style's colours
    #[arg(long)]
    pub(crate) color_on_gray: bool,
    /// Weight of what the picture shows (gatys)
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) alpha: Option<f64>,
    /// Weight of the style (gatys)
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) beta: Option<f64>,
    /// Weight of total variation, against speckles (gatys)
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) variation: Option<f64>,
    /// Iterations at each level (gatys)
    #[arg(long, value_name = "N")]
    pub(crate) iterations: Option<usize>,
    /// The longest side in pixels at which the picture is optimised (gatys), or styles are looked at
    /// (adain)
    #[arg(long, value_name = "PIXELS")]
    pub(crate) size: Option<u32>,
    /// Use Adam instead of L-BFGS: less memory, more iterations (gatys)
    #[arg(long)]
    pub(crate) adam: bool,
    /// What the descent starts from (gatys)
    #[arg(long, value_enum, default_value_t = StylizeStart::Content)]
    pub(crate) start: StylizeStart,
    /// Longest sides at which styles are looked at, in longest sides of the picture
    #[arg(
        long,
        value_name = "SHARE,…",
        value_delimiter = ',',
        default_value = "1"
    )]
    pub(crate) scales: Vec<f64>,
    /// Share of the style, 0 to 1 (feedforward, adain)
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub(crate) strength: f64,
    /// What the noise follows from (gatys)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print the losses of each N-th iteration (gatys)
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) every: u32,
    /// Write the picture of these iterations, too, into this folder (gatys)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) frames: Option<PathBuf>,
    /// The new picture (.png, .jpg, .tif or .webp)
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// How a style is given to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StylizeBy {
    /// By optimisation
    Gatys,
    /// By a network that has learned one style
    Feedforward,
    /// Any style in one pass
    Adain,
}

/// What becomes of a picture's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StylizeColors {
    /// They become those of the style
    Style,
    /// Each place keeps its colour
    Luma,
    /// The style is brought to the picture's colours first
    Matched,
}

/// What a descent starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StylizeStart {
    /// The picture
    Content,
    /// Noise
    Noise,
    /// The first style
    Style,
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
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// What networks run on.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NetworkArgs {
    /// What networks run on: `auto` (GPUs where there are some, else the CPU), `cpu`, `cuda`, or
    /// GPUs by number, as in `cuda:0,1`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// The instructions that networks use on the CPU: avx512, avx2, neon or portable; equal ones
    /// give equal pictures [default: the fastest that the processor has]
    #[arg(long, value_name = "PATH", value_parser = kernel)]
    pub(crate) kernel: Option<Kernel>,
    /// The numbers in which GPUs compute. The CPU has f32, and with bf16 products of bf16 summed in
    /// 32 bits, where the processor has them (AVX-512 BF16)
    #[arg(long, value_enum, default_value_t = Numbers::F32)]
    pub(crate) numbers: Numbers,
    /// Compute convolutions on the CPU term by term, without Winograd's shortcut: takes about two and
    /// a half times as long, and rounds less
    #[arg(long)]
    pub(crate) direct: bool,
}

impl NetworkArgs {
    /// The same for the library; relative paths of weights start at `folder`.
    pub(crate) fn options(&self, folder: PathBuf) -> NetworkOptions {
        NetworkOptions {
            folder,
            device: self.device.clone(),
            kernel: self.kernel,
            numbers: match self.numbers {
                Numbers::F32 => NumberType::F32,
                Numbers::F16 => NumberType::F16,
                Numbers::Bf16 => NumberType::Bf16,
            },
            direct: self.direct,
        }
    }
}

/// Reads the name of a kernel path; its hint belongs to the message.
fn kernel(name: &str) -> Result<Kernel, String> {
    let explain = |error: Error| format!("{error}; {}", error.hints().join("; "));
    Kernel::from_name(name).map_err(explain)
}

/// In what numbers networks compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Numbers {
    /// 32-bit floats
    F32,
    /// 16-bit floats of 11 bits' precision, up to 65,504
    F16,
    /// 16-bit floats of 8 bits' precision with the range of 32-bit ones
    Bf16,
}

/// `fonds model …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Say which network a file holds, and what it needs
    Inspect {
        /// Weights: .safetensors, .pth, .pt, or .param and .bin of ncnn; or the name of a shipped
        /// network, such as fonds-x2-faithful
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Which network of a file that holds several, such as `netG_A`
        #[arg(long, value_name = "KEY")]
        entry: Option<String>,
        /// Print JSON, one object for each file
        #[arg(long)]
        json: bool,
    },
    /// List the networks that are compiled in, or the files of a folder that hold networks which
    /// fonds can run
    List {
        /// The folder [default: the networks that are compiled in]
        folder: Option<PathBuf>,
    },
    /// Make a file that can be passed on from trained weights: 16-bit floats, and what it is written
    /// into it
    Pack(PackArgs),
}

/// `fonds model pack`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PackArgs {
    /// The weights, such as models/generator.safetensors of a training
    pub(crate) file: PathBuf,
    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What the network is called, in sidecars and labels [default: the name of --out]
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Its version
    #[arg(long, value_name = "TEXT")]
    pub(crate) version: Option<String>,
    /// Who made it
    #[arg(long, value_name = "TEXT")]
    pub(crate) author: Option<String>,
    /// The licence of the weights, as an SPDX expression: "MIT OR Apache-2.0"
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: String,
    /// What it was trained on, with the licences of the pictures
    #[arg(long, value_name = "TEXT")]
    pub(crate) training_data: String,
    /// Whether its pictures have content that was made up, as adversarial training does; decides
    /// their label
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    pub(crate) generative: bool,
    /// Which network of a file that holds several, such as `netG_A`
    #[arg(long, value_name = "KEY")]
    pub(crate) entry: Option<String>,
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
    /// Pick rows of a catalog: `quality_flags has blurred and date < 1920`
    Query(QueryArgs),
    /// Group pictures that look alike, as CSV
    Similar {
        /// The output folder of a run with `measures` on
        output: PathBuf,
        /// In how many of 64 bits their perceptual hashes may differ: 0 finds what is equal but
        /// for its encoding, 4 to 8 other scans and sizes of the same picture; at most 15
        #[arg(long, value_name = "BITS", default_value_t = 6,
              value_parser = clap::value_parser!(u32).range(0..=15))]
        distance: u32,
    },
    /// Write a catalog in the form that another program of archives imports
    Export(ExportArgs),
    /// Merge edits back: an export, or the catalog itself, after a spreadsheet program had it
    Import(ImportArgs),
}

/// `fonds catalog query`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct QueryArgs {
    /// The output folder of a run
    pub(crate) output: PathBuf,
    /// What to pick: columns compared by =, !=, <, <=, >, >=, `~` (contains, whatever the case),
    /// `has` (one of several values), `in (a, b)`, `is empty`, joined by and, or, not and brackets.
    /// Dates are EDTF; a date that may lie on either side is on neither
    pub(crate) expression: String,
    /// The columns to print
    #[arg(
        long,
        value_name = "COLUMN,…",
        value_delimiter = ',',
        default_value = "filename,objectid,title,date,status"
    )]
    pub(crate) columns: Vec<String>,
    /// Sort by this column; `-` in front reverses (the rows are then held in memory)
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// Print no more than this many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print JSON, one object for each row, instead of CSV
    #[arg(long, conflicts_with = "count")]
    pub(crate) json: bool,
    /// Print only how many rows there are
    #[arg(long)]
    pub(crate) count: bool,
}

/// `fonds catalog export`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExportArgs {
    /// The output folder of a run
    pub(crate) output: PathBuf,
    /// collectionbuilder, omeka-s, islandora-workbench, archivematica, archivesspace, wax, tropy
    /// or dublin-core
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: String,
    /// A new folder for the table, the files that its importer needs, and a README that tells the
    /// steps
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// The folder with the originals, for profiles that bring them along (copied, with their
    /// digests compared) or name them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: Option<PathBuf>,
    /// The address under which a web site will have the pictures
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Do not put a quote before what a spreadsheet program would run as a formula
    #[arg(long)]
    pub(crate) keep_formulas: bool,
}

/// `fonds catalog import`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArgs {
    /// The edited file: CSV in UTF-8, with `,`, `;` or tab between the cells
    pub(crate) file: PathBuf,
    /// The output folder of the run whose catalog was exported
    pub(crate) output: PathBuf,
    /// The profile of the export [default: found out from the header]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Show the changes and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `fonds package …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Copy an output, and the originals if wished, into a bag (RFC 8493) with SHA-256 and SHA-512
    Bagit {
        /// The output folder of a run
        output: PathBuf,
        /// A new folder for the bag
        bag: PathBuf,
        /// The folder with the originals: pack them, too
        #[arg(long, value_name = "FOLDER")]
        archive: Option<PathBuf>,
        /// A line of bag-info.txt, such as `Source-Organization: Town Archive`; can be repeated
        #[arg(long, value_name = "LABEL: VALUE")]
        info: Vec<String>,
    },
    /// Write what happened to each picture as PREMIS 3 events
    Premis {
        /// The output folder of a run
        output: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE", default_value = "premis.xml")]
        to: PathBuf,
    },
    /// Describe an output as an RO-Crate: writes ro-crate-metadata.json into it
    RoCrate {
        /// The output folder of a run
        output: PathBuf,
    },
    /// Write IIIF manifests and tiles, for any web server: original and derivatives to choose from
    Iiif(IiifArgs),
}

/// `fonds package iiif`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IiifArgs {
    /// The output folder of a run
    pub(crate) output: PathBuf,
    /// A new folder for manifests and tiles
    pub(crate) to: PathBuf,
    /// The URL under which that folder will be served
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: String,
    /// The folder with the originals [default: the one that the run was given]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: Option<PathBuf>,
    /// Side of a tile in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub(crate) tile: u32,
    /// JPEG quality of the tiles
    #[arg(long, value_name = "1-100", default_value_t = 85,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: u8,
}

/// `fonds report`.
///
/// Open index.html of the folder in any browser; nothing is sent anywhere. What people decide there
/// they save as review.csv; put into the output, the next `fonds run` follows it: rejected
/// derivatives are set aside below rejected/, and nothing is deleted.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportArgs {
    /// The output folder of a run
    pub(crate) output: PathBuf,
    /// The folder of the report; one that is there is brought up to date [default: report in the
    /// output folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// The folder with the originals; only ever read [default: the one that the run was given]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) input: Option<PathBuf>,
    /// How many files are worked on at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object for each event instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
