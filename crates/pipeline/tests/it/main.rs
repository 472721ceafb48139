//! What the crate promises, seen from outside: whole runs over the fixtures and over small archives
//! made on the spot.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod bad_files;
mod content;
mod examples;
mod interrupted;
mod names;
#[cfg(feature = "restore")]
mod networks;
mod originals;
mod own_steps;
mod pipelines;
mod policies;
mod repair;
mod resume;
#[cfg(feature = "restore")]
mod styles;
mod support;
#[cfg(feature = "restore")]
mod training;
