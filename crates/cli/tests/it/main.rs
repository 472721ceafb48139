//! What the program promises: every command, every exit code, and runs that are killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod exchange;
mod exit_codes;
mod help;
mod killed;
mod networks;
mod output;
mod report;
mod support;
