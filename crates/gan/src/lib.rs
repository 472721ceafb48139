//! Generators and discriminators: adversarial networks from picture to picture, with the keys of the
//! checkpoints that people have.
//!
//! Each file in [`models`] is one architecture: a `Config`, which [`recognize`] reads off a
//! checkpoint's keys and shapes, and a network with `new(&config, vb)` and `load(&config, tensors,
//! backend)`. Forwards are written once, on [`Act`], for the CPU engine and for candle.
//!
//! The crate knows no files, no rasters and no pipeline.
//!
//! [`Act`]: fonds_nn::Act
//! [`recognize`]: models::rrdb::Config::recognize

pub mod models;
pub mod objectives;
pub mod trainers;
