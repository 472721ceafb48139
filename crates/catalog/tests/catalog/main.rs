//! The catalog as its users see it: written, read back, merged, checked, documented.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod documentation;
mod exporting;
mod importing;
mod merging;
mod packages;
mod report;
mod round_trip;
mod support;
mod validation;
