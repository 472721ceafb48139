//! What generators are to come close to: pictures, features of pictures, statistics of features.
//!
//! All losses take tensors `[n, channels, height, width]` and give a single number, the mean over the
//! batch; their gradients can be taken to any order. The classic combination of two of them is
//! `L = α·L_content + β·L_style` (Gatys et al. 2016): [`weighted`].

mod content;
mod odds;
mod perceptual;
mod style;

pub use content::{PixelLoss, total_variation};
pub use odds::{cross_entropy, dice_loss, softplus};
pub use perceptual::{Perceptual, PerceptualLayer};
pub use style::{gram, gram_loss, statistics_loss};

use candle_core::Tensor;
use fonds_core::Result;

use crate::error::TensorResult;

/// `Σ weight · loss`, without those whose weight is 0; none when nothing is left.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn weighted(parts: &[(f64, Tensor)]) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for (weight, loss) in parts {
        if *weight == 0.0 {
            continue;
        }
        let part = (loss * *weight).in_network()?;
        sum = Some(match sum {
            Some(sum) => (sum + part).in_network()?,
            None => part,
        });
    }
    Ok(sum)
}
