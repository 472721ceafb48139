//! From a raster to a raster by a network: colours, depth, alpha, tiles.
//!
//! A [`Task`] holds a network on what it runs on, and what the user asked for. It brings a picture
//! into what the network wants to be fed, runs it tile by tile, and brings the result back to the
//! picture's own samples and profile.

mod colors;
mod enlarge;
mod gamut;
mod task;

pub use task::{Task, TaskSettings};
