//! Differences of pictures, pixel by pixel.

use candle_core::Tensor;
use fonds_core::Result;

use crate::error::TensorResult;

/// How differences of pixels count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PixelLoss {
    /// The mean absolute difference, L1.
    Absolute,
    /// The mean squared difference, L2.
    Squared,
    /// The mean of `√(d² + ε²)`, L1 without its corner (Charbonnier et al. 1994).
    Charbonnier {
        /// `ε`; 1e-3 for values from 0 to 1 (Lai et al. 2017).
        epsilon: f64,
    },
}

impl PixelLoss {
    /// The loss between two tensors of the same size.
    ///
    /// # Errors
    /// `model_error` when their sizes differ.
    pub fn between(self, made: &Tensor, target: &Tensor) -> Result<Tensor> {
        let loss = || {
            let difference = (made - target)?;
            match self {
                Self::Absolute => difference.abs()?.mean_all(),
                Self::Squared => difference.sqr()?.mean_all(),
                Self::Charbonnier { epsilon } => {
                    (difference.sqr()? + epsilon * epsilon)?.sqrt()?.mean_all()
                }
            }
        };
        loss().in_network()
    }
}

/// The sum of the mean absolute differences between neighbours below and beside each other: less
/// noise, less of everything fine (Rudin, Osher and Fatemi 1992, in its anisotropic form).
///
/// # Errors
/// `model_error` when a side is below 2 pixels.
pub fn total_variation(x: &Tensor) -> Result<Tensor> {
    let loss = || {
        let (_, _, height, width) = x.dims4()?;
        let rows = (x.narrow(2, 1, height - 1)? - x.narrow(2, 0, height - 1)?)?;
        let columns = (x.narrow(3, 1, width - 1)? - x.narrow(3, 0, width - 1)?)?;
        rows.abs()?.mean_all()? + columns.abs()?.mean_all()?
    };
    loss().in_network()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn picture(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (1, 1, 2, 2), &Device::Cpu).unwrap()
    }

    fn number(loss: &Tensor) -> f64 {
        loss.to_scalar().unwrap()
    }

    #[test]
    fn losses_by_hand() {
        let (a, b) = (
            picture(&[0.0, 1.0, 2.0, 3.0]),
            picture(&[0.0, 0.0, 0.0, 1.0]),
        );
        let loss = |how: PixelLoss| number(&how.between(&a, &b).unwrap());
        assert_eq!(loss(PixelLoss::Absolute), 5.0 / 4.0);
        assert_eq!(loss(PixelLoss::Squared), 9.0 / 4.0);
        let expected = (0.5 + 1.25_f64.sqrt() + 2.0 * 4.25_f64.sqrt()) / 4.0;
        let found = loss(PixelLoss::Charbonnier { epsilon: 0.5 });
        assert!((found - expected).abs() < 1e-12);
        assert_eq!(number(&total_variation(&a).unwrap()), 2.0 + 1.0);
    }
}
