//! What generators from noise and discriminators of pictures have in common, for those who train and
//! sample them.

use std::fmt::Debug;

use candle_core::Tensor;
use fonds_core::{Code, Error, Result};
use fonds_nn::Act;

/// A generator from noise, and perhaps from a condition, to a picture.
pub trait NoiseGenerator: Debug + Send + Sync {
    /// Values of a noise vector, normal with mean 0 and deviation 1.
    fn latent(&self) -> usize;

    /// Values of a condition (classes, or attributes); 0 for none.
    fn conditions(&self) -> usize;

    /// Sides and channels of the pictures: channels, height, width.
    fn picture(&self) -> [usize; 3];

    /// Pictures from −1 to 1.
    ///
    /// # Shapes
    /// `[n, latent, 1, 1]` and, where there are conditions, `[n, conditions, 1, 1]` →
    /// `[n, channels, height, width]`.
    ///
    /// # Errors
    /// `internal` when a condition is missing or has other values, `oom` when there is no memory.
    fn generate(&self, noise: &Act, condition: Option<&Act>) -> Result<Act>;
}

/// A judge of pictures, in training.
pub trait Discriminator: Debug + Send + Sync {
    /// How real pictures look; unbounded values, one or more for each picture.
    ///
    /// # Shapes
    /// `[n, channels, height, width]` and, where there are conditions, `[n, conditions]` →
    /// `[n, …]`.
    ///
    /// # Errors
    /// `internal` when a condition is missing or has other values, `oom` when there is no memory.
    fn judge(&self, pictures: &Tensor, condition: Option<&Tensor>) -> Result<Tensor>;
}

/// That a condition is there exactly when it is wanted.
pub(crate) fn expect_condition(wanted: usize, given: Option<usize>) -> Result<()> {
    if given.unwrap_or(0) == wanted {
        return Ok(());
    }
    let message = format!(
        "a network of {wanted} conditions was given {}",
        given.unwrap_or(0)
    );
    Err(Error::new(Code::InvalidRequest, message)
        .hint("give the data set classes or attributes, as many as the network has conditions"))
}
