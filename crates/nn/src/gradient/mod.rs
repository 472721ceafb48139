//! Operations on candle tensors whose gradients are right and fast, also those of the gradients.
//!
//! candle 0.11 gets some gradients wrong (maxima of windows, nearest enlargement of a tensor that is
//! used twice), has none for others (bilinear enlargement, reflected borders) and computes those of
//! convolutions on GPUs by a slow kernel. What is here replaces these; all takes and gives NCHW.
//!
//! A convolution, the gradient of its input and the gradient of its weights are three products that
//! are linear in both factors, and the gradients of each are the other two: the three are closed
//! under differentiation, so that gradients can be taken to any order. candle detaches gradients
//! unless the environment variable `CANDLE_GRAD_DO_NOT_DETACH` is set before a thread's first
//! backward pass; without it a second one gives wrong numbers in silence.
//!
//! Layer normalisation is not here, but beware: `candle_nn::ops::layer_norm`, and
//! `candle_nn::LayerNorm` with a bias, have no gradient and do not say so. `layer_norm_slow` has.

mod block;
mod border;
mod composed;
mod fast;
mod kept;
mod normalize;
mod plain;
mod pointwise;
mod pooling;
mod product;
mod resample;
mod shuffle;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_block;

pub use block::{Offset, Seen, block, block_seen};
pub use border::pad;
pub use fast::{engine, use_kernel};
pub use normalize::batch_norm;
pub use pointwise::{add_bias, channel_products, channel_sums, leaky_relu, prelu, scale_channels};
pub use pooling::max_pool2d;
pub use product::{Convolution, conv_transpose2d, conv2d};
pub use resample::{resize_bilinear, upsample_nearest};
pub use shuffle::{pixel_shuffle, pixel_unshuffle};

/// Whether candle keeps the graph of gradients, so that gradients of gradients can be taken: decided
/// for each thread by the environment when it first asks, as candle decides it.
pub fn second_order() -> bool {
    thread_local! {
        static KEPT: bool = match std::env::var("CANDLE_GRAD_DO_NOT_DETACH") {
            Ok(value) => !value.is_empty() && value != "0",
            Err(_) => false,
        };
    }
    KEPT.with(|kept| *kept)
}
