//! Normalisation by the statistics of the batch.

use candle_core::{Result, Tensor};

use super::pointwise::{add_bias, channel_products, channel_sums, scale_channels};

/// Each channel of `x` `[n, c, …]` to mean 0 and variance 1 over batch and pixels, then times
/// `weight` `[c]`, plus `bias` `[c]`. `epsilon` is added to the variance.
///
/// # Errors
/// When there is not one weight and bias for each channel.
pub fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let share = x.dim(1)? as f64 / x.elem_count() as f64;
    let mean = (channel_sums(x)? * share)?;
    let centred = add_bias(x, &mean.neg()?)?;
    let variance = (channel_products(&centred, &centred)? * share)?;
    let scale = (weight / (variance + epsilon)?.sqrt()?)?;
    add_bias(&scale_channels(&centred, &scale)?, bias)
}
