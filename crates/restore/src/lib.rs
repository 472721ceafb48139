//! Networks that restore pictures: enlargement, denoising, style; and which network a file holds.
//!
//! [`networks`] and [`style`] have one architecture in each file, written once for the CPU engine and
//! for candle. [`zoo`] recognises which of them a checkpoint is for, theirs and those of `fonds-gan`,
//! and builds it; [`tasks`] run it on whole pictures; [`repair`] runs those that find damage and fill
//! it. [`training`] teaches the networks of our own that are taught by no game.
//!
//! This crate knows no path of the archive, no catalog and no pipeline.

mod keys;
pub mod networks;
pub mod repair;
pub mod style;
pub mod tasks;
pub mod training;
pub mod workload;
pub mod zoo;

#[cfg(test)]
mod trial;
