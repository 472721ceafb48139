//! Exit codes: what a script learns from a run without reading its output.

use std::process::ExitCode;

use fonds_core::{Code, Error, Kind};
use fonds_pipeline::{RunReport, Stop, TrainReport, TrainStop};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every selected file is done or up to date.
    Done,
    /// A bug in fonds.
    Internal,
    /// A wrong argument or pipeline file; nothing was touched.
    Usage,
    /// Finished, but at least one file failed (or has a warning, with `--strict`).
    SomeFailed,
    /// Stopped early by `max_failure_rate`, `on_error` or `on_existing`; a training whose losses
    /// were no numbers any more, or of which a watchman warned with `on_warning` at `stop`.
    Stopped,
    /// The archive is missing, unreadable, or holds no matching file.
    NoInput,
    /// The output cannot be written.
    NoOutput,
    /// A check found problems.
    Problems,
    /// Weights are missing or not what they should be.
    Model,
    /// Interrupted from the keyboard; a later run resumes.
    Interrupted,
    /// Asked to terminate; a later run resumes.
    Terminated,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Stopped => 4,
            Self::NoInput => 5,
            Self::NoOutput => 6,
            Self::Problems => 7,
            Self::Model => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What a run's report means.
    pub(crate) fn of_run(report: &RunReport, strict: bool) -> Self {
        match report.stop {
            Some(Stop::Interrupted) => Self::Interrupted,
            Some(Stop::OutputFailed) => Self::NoOutput,
            Some(_) => Self::Stopped,
            None if report.counts.missing > 0 => Self::NoOutput,
            None if report.counts.failed > 0 => Self::SomeFailed,
            None if strict && report.counts.warning > 0 => Self::SomeFailed,
            None => Self::Done,
        }
    }

    /// What a training run's report means.
    pub(crate) fn of_training(report: &TrainReport) -> Self {
        match report.stop {
            Some(TrainStop::Interrupted) => Self::Interrupted,
            Some(TrainStop::NotFinite | TrainStop::Warned) => Self::Stopped,
            // It was asked for.
            Some(TrainStop::Limit) | None => Self::Done,
        }
    }

    /// What the mistakes of a pipeline mean: weights alone are another matter than the file itself.
    pub(crate) fn of_mistakes(errors: &[Error]) -> Self {
        let weights = |error: &Error| error.code() == Code::ModelError;
        if errors.iter().all(weights) {
            Self::Model
        } else {
            Self::Usage
        }
    }

    /// What an error that ends the program means.
    pub(crate) fn of_error(error: &Error) -> Self {
        match (error.code(), error.kind()) {
            (Code::ModelError, _) => Self::Model,
            (Code::WriteFailed | Code::DiskFull, _) => Self::NoOutput,
            (_, Kind::BadInput | Kind::TooLarge) => Self::NoInput,
            (_, Kind::BadRequest | Kind::NotBuiltIn) => Self::Usage,
            _ => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// What a command returns: an exit, or what went wrong.
pub(crate) type Outcome = anyhow::Result<Exit>;

/// A number that the supervised process ended with.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) u8);

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended.0)
    }
}

/// Says what went wrong, with its causes and what to do about it.
pub(crate) fn report(outcome: anyhow::Result<u8>) -> Ended {
    match outcome {
        Ok(number) => Ended(number),
        Err(error) => Ended(explain(&error).number()),
    }
}

/// Writes an error to the terminal; says which exit it means.
pub(crate) fn explain(error: &anyhow::Error) -> Exit {
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == std::io::ErrorKind::BrokenPipe
    {
        return Exit::Done;
    }
    crate::report::error_line(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        crate::report::error_line(&format!("  because: {cause}"));
    }
    let ours = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>());
    for hint in ours.map(Error::hints).unwrap_or_default() {
        crate::report::error_line(&format!("  hint: {hint}"));
    }
    ours.map_or(Exit::Internal, Exit::of_error)
}
