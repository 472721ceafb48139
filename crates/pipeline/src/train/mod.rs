//! Training: a file that says which networks learn what from which pictures, checked like a pipeline,
//! and the loop that does it.
//!
//! [`compile_training`] makes a [`TrainingPlan`] of a file, or all of its mistakes; [`train`] takes
//! it to a run folder. A run that is stopped, killed or interrupted goes on from its newest
//! checkpoint, and what comes out is the same to the byte on the same kernel path.

mod chart;
mod data;
mod event;
mod export;
mod feed;
mod folder;
mod game;
mod game_spec;
mod gauge;
mod grid;
mod judge_samples;
mod learning;
mod letters;
mod measure;
mod plan;
mod run;
mod sampler;
mod seer;
mod spec;
mod table;
mod tensorboard;
mod watch;

pub use data::DataPlan;
pub use event::{Alarm, TrainEvent, TrainStop};
pub use game::{Game, Place, SuperGame, SuperGenerator};
pub use judge_samples::{SetOptions, SetScores, compare_sets};
pub use measure::{Closeness, SetDistance};
pub use plan::{Needs, TrainingPlan, compile_training, is_training};
pub use run::{TrainOptions, TrainReport, default_output, train};
pub use sampler::{SampleOptions, Samples, generate};
pub use spec::{OnWarning, OutputPlan, WatchPlan};
