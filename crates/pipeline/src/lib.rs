//! Declarative pipelines over archive folders.
//!
//! A pipeline file is [`compile`]d into a [`Plan`] against a [`Registry`] of steps, or into all of
//! its mistakes at once; [`run`] takes the plan over a folder: every file found is decoded, sent
//! through the steps, written as derivatives, and described in the catalog. Runs can be stopped,
//! killed, split into shards and continued; what they write is the same.
//!
//! ```
//! use fonds_pipeline::{Registry, compile};
//!
//! let text = r#"
//!     name = "small"
//!     [[step]]
//!     run.resize = { longest = 800 }
//!     [[output]]
//!     format = "jpeg"
//! "#;
//! let plan = compile(text, &Registry::builtin()).expect("the pipeline is right");
//! assert_eq!(plan.steps[0].id, "resize");
//!
//! let errors = compile("name = \"x\"\n[[step]]\nrun.tonne = {}", &Registry::builtin());
//! let error = &errors.unwrap_err()[0];
//! assert_eq!(error.to_string(), "line 3, column 5: unknown operation `tonne`");
//! assert_eq!(error.hints(), ["did you mean `tone`?"]);
//! ```
//!
//! This crate prints nothing: what happens is told in [`Event`]s. It knows pixels only as
//! [`fonds_core::Raster`]s, and without its optional features no network.

mod compile;
mod encoding;
mod estimate;
#[cfg(feature = "restore")]
mod evaluate;
mod event;
mod filename;
mod gates;
mod iiif;
#[cfg(feature = "restore")]
mod model;
#[cfg(feature = "restore")]
mod networks;
#[cfg(feature = "restore")]
mod pack;
#[cfg(feature = "restore")]
mod perception;
mod picture;
mod plan;
mod reader;
mod registry;
mod report;
mod run;
#[cfg(feature = "restore")]
mod shipped;
mod spec;
mod step;
mod steps;
#[cfg(feature = "restore")]
mod stylize;
#[cfg(feature = "restore")]
mod train;

pub use compile::compile;
pub use estimate::{Estimate, Trial, estimate};
#[cfg(feature = "restore")]
pub use evaluate::{EvalOptions, EvalRow, Evaluation, Scores, evaluate};
pub use event::{Counts, Event, ItemEnd, Stop};
pub use filename::FilenamePattern;
#[cfg(feature = "restore")]
pub use fonds_nn::{
    backend::{DeviceChoice, NumberType},
    engine::Kernel,
};
#[cfg(feature = "restore")]
pub use fonds_restore::workload::{Prepared, Workload};
#[cfg(feature = "restore")]
pub use fonds_weights_restore::Shipped as ShippedModel;
pub use gates::{Judged, JudgedStep, judge};
pub use iiif::{IiifOptions, IiifReport, write_iiif};
#[cfg(feature = "restore")]
pub use networks::{NetworkOptions, Networks};
#[cfg(feature = "restore")]
pub use pack::{PackOptions, Packed, pack};
pub use plan::{
    Bounds, CatalogDefaults, Gate, NameRule, Node, Plan, PlannedOutput, PlannedStep, Policy,
    Thumbnails,
};
pub use reader::{Args, At};
pub use registry::{Param, Registry, StepKind};
pub use report::{ReportEvent, ReportMade, ReportOptions, write_report};
pub use run::{
    CleanReport, Retry, RunOptions, RunReport, clean, interrupted, record_exit, run, survey,
};
pub use spec::{Format, OnError, OnExisting, Profile, Unchanged, Use, VerifySources};
pub use step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};
#[cfg(feature = "restore")]
pub use stylize::{Stylist, Stylize, StylizeMethod, Stylized};
#[cfg(feature = "restore")]
pub use train::{
    Alarm, Closeness, DataPlan, Game, Needs, OnWarning, OutputPlan, Place, SampleOptions, Samples,
    SetDistance, SetOptions, SetScores, SuperGame, SuperGenerator, TrainEvent, TrainOptions,
    TrainReport, TrainStop, TrainingPlan, WatchPlan, compare_sets, compile_training,
    default_output, generate, is_training, train,
};
