//! The report that people look at: a folder of static pages made from a finished output, which opens
//! from the disk, without a server and without a network.
//!
//! [`ReportReader`] reads an output picture by picture; the caller makes the small pictures, because
//! this crate knows no pixels, and tells [`ReportWriter`] their names; the writer puts the pages and
//! their data into the folder. Memory grows by what the contact sheet has to know of a picture (some
//! 500 bytes); everything else is written in parts of [`PART`] pictures, which the page loads when
//! somebody looks at one of them.
//!
//! Data are classic scripts that assign, since pages that were opened from the disk may neither fetch
//! nor import. Names and metadata of strangers reach the page as text only: templates escape them, and
//! scripts make nodes of them and never markup.

mod align;
mod chart;
mod overview;
mod read;
mod script;
mod sheet;
mod write;

pub use align::Align;
pub use read::{Picture, ReportReader, Version};
pub use write::{PART, PICTURES, ReportFacts, ReportWriter, Shown, ShownVersion, check_target};

/// The folder of the report in the output root, where nothing else is asked for.
pub const REPORT_FOLDER: &str = "report";
