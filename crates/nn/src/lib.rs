//! Networks for fonds: activations and layers that run on a fast CPU engine, on a GPU, and in
//! training; weights as people have them; tiles for pictures of any size.
//!
//! An architecture is written once, as a forward on [`Act`]s. On the CPU these are buffers of the
//! [`engine`]; on a GPU and in training they are candle tensors; and a [`trace`] without values tells
//! a network's receptive field, scale and memory. A [`weights::Checkpoint`] is read without
//! executing anything, its keys are compared with the network's ([`load`]), and [`tile`]s and
//! [`compute`] lanes bring pictures of any size through it.
//!
//! ```
//! use fonds_nn::act::Dims;
//! use fonds_nn::backend::Backend;
//! use fonds_nn::engine::{Engine, Kernel};
//! use fonds_nn::load::load;
//! use fonds_nn::layers::{Conv2d, ConvConfig};
//! use fonds_nn::weights::{Tensor, Tensors};
//!
//! # fn main() -> fonds_core::Result<()> {
//! // A network of one layer: the mean of 3 × 3 pixels.
//! let mut weights = Tensors::new();
//! weights.insert("mean.weight", Tensor::from_f32(&[1, 1, 3, 3], &[1.0 / 9.0; 9])?);
//! let backend = Backend::Engine(Engine::new(Kernel::detect()));
//! let mean = load("a mean", &weights, &backend, |_| false, |vb| {
//!     Conv2d::new(1, 1, 3, ConvConfig::same(3).bias(false), vb.pp("mean"))
//! })?;
//!
//! let dims = Dims { batch: 1, channels: 1, height: 3, width: 3 };
//! let x = backend.import(dims, &[9.0; 9])?;
//! let y = mean.forward(&x)?.to_vec()?;
//! assert!((y[4] - 9.0).abs() < 1e-5);
//! assert!((y[0] - 4.0).abs() < 1e-5);
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows no path of an archive, no catalog and no pipeline.

pub mod act;
pub mod backend;
pub mod compute;
pub mod engine;
pub mod error;
pub mod features;
pub mod gradient;
pub mod layers;
pub mod load;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod picture;
pub mod statistics;
#[doc(hidden)]
pub mod testing;
pub mod tile;
pub mod trace;
pub mod train;
pub mod weights;

pub use act::{Act, Dims};
pub use backend::Backend;
pub use candle_nn::VarBuilder;
