//! What a run tells while it goes on: a closed set of events that reporters subscribe to.

use std::path::PathBuf;
use std::time::Duration;

use fonds_core::Code;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The folder has been walked and the work is known.
    Started {
        /// The run's id.
        run_id: String,
        /// Every file found.
        found: u64,
        /// Files that this run looks at: selected, in this shard, within `--only` and `--limit`.
        selected: u64,
        /// Bytes of the selected files.
        bytes: u64,
    },
    /// Something that the user should know and that belongs to no single picture.
    Warning {
        /// One line.
        message: String,
    },
    /// A file is done.
    Finished {
        /// Its path in the archive.
        path: String,
        /// How it ended.
        end: ItemEnd,
        /// Pixels of all its pages.
        pixels: u64,
        /// Bytes of the source.
        bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// No further file is begun; what is in flight is finished.
    Stopping {
        /// Why.
        reason: Stop,
    },
    /// The catalog is being written.
    Cataloguing,
    /// What people decided in `review.csv` was followed; not told when nothing had to be moved.
    Reviewed {
        /// Rejected derivatives that were set aside now.
        set_aside: u64,
        /// Derivatives that were brought back.
        brought_back: u64,
    },
    /// The run is over.
    Ended {
        /// What became of all files.
        counts: Counts,
        /// The output folder.
        output: PathBuf,
    },
}

/// How one file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemEnd {
    /// Processed without a remark.
    Ok,
    /// Processed, with something that a person should look at.
    Warning,
    /// No step had to act, nothing was written.
    Unchanged,
    /// Results of an earlier run are still good.
    UpToDate,
    /// Failed; recorded in `failed.csv`.
    Failed {
        /// The code.
        code: Code,
        /// One line.
        message: String,
    },
}

/// Why a run stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The user asked for it.
    Interrupted,
    /// A file failed and `on_error` is `abort`.
    FirstError,
    /// More files failed than `max_failure_rate` allows.
    FailureRate,
    /// The output cannot be written.
    OutputFailed,
    /// Something was in the way of a derivative and `on_existing` is `abort`.
    Existing,
}

/// How many files ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Every file found.
    pub found: u64,
    /// Files that were processed in this run.
    pub processed: u64,
    /// Files whose earlier results were still good.
    pub up_to_date: u64,
    /// Rows with status `ok`.
    pub ok: u64,
    /// Rows with status `unchanged`.
    pub unchanged: u64,
    /// Rows with status `warning`.
    pub warning: u64,
    /// Rows with status `skipped`.
    pub skipped: u64,
    /// Rows with status `failed`.
    pub failed: u64,
    /// Rows with status `cancelled`.
    pub cancelled: u64,
    /// Files that were written and are not there any more.
    pub missing: u64,
}
