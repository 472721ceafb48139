//! What the crate promises, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dataset;
mod describe;
mod examples;
mod fixtures;
mod walk;
