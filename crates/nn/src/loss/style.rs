//! Differences of what features have in common over a picture, wherever they are: its style.

use candle_core::Tensor;
use fonds_core::Result;

use crate::error::TensorResult;

/// Products of channels with each other, `[n, c, h, w]` → `[n, c, c]`, divided by `c·h·w`
/// (Gatys et al. 2016; the divisor is that of Johnson et al. 2016).
///
/// # Errors
/// `model_error` when the tensor has not four dimensions.
pub fn gram(features: &Tensor) -> Result<Tensor> {
    let gram = || {
        let (batch, channels, height, width) = features.dims4()?;
        let flat = features.reshape((batch, channels, height * width))?;
        let product = flat.matmul(&flat.t()?)?;
        product / (channels * height * width) as f64
    };
    gram().in_network()
}

/// The mean squared difference of Gram matrices. One style stands for a whole batch when it has one
/// picture.
///
/// # Errors
/// `model_error` when the numbers of channels differ.
pub fn gram_loss(made: &Tensor, style: &Tensor) -> Result<Tensor> {
    let (made, style) = (gram(made)?, gram(style)?);
    let difference = made.broadcast_sub(&style).in_network()?;
    difference.sqr().in_network()?.mean_all().in_network()
}

/// The mean squared difference of the channels' means plus that of their deviations
/// (Huang and Belongie 2017, `AdaIN`).
///
/// # Errors
/// `model_error` when the numbers of channels differ.
pub fn statistics_loss(made: &Tensor, style: &Tensor) -> Result<Tensor> {
    /// Added to variances, so that the root has a gradient; `AdaIN`'s.
    const EPSILON: f64 = 1e-5;
    let statistics = |x: &Tensor| {
        let flat = x.flatten_from(2)?;
        let pixels = flat.dims()[2] as f64;
        let mean = flat.mean_keepdim(2)?;
        let squares = flat.broadcast_sub(&mean)?.sqr()?.sum_keepdim(2)?;
        // The unbiased variance, as in the authors' code.
        let variance = (squares / (pixels - 1.0).max(1.0))?;
        Ok::<_, candle_core::Error>((mean, (variance + EPSILON)?.sqrt()?))
    };
    let loss = || {
        let (mean, deviation) = statistics(made)?;
        let (style_mean, style_deviation) = statistics(style)?;
        let means = mean.broadcast_sub(&style_mean)?.sqr()?.mean_all()?;
        let deviations = deviation.broadcast_sub(&style_deviation)?;
        means + deviations.sqr()?.mean_all()?
    };
    loss().in_network()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn features(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (1, 2, 1, 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn gram_matrices_by_hand() {
        let made = gram(&features(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        let expected = [[5.0 / 4.0, 11.0 / 4.0], [11.0 / 4.0, 25.0 / 4.0]];
        assert_eq!(made.squeeze(0).unwrap().to_vec2::<f64>().unwrap(), expected);
    }

    #[test]
    fn style_does_not_depend_on_places() {
        let (a, b) = (
            features(&[1.0, 2.0, 3.0, 4.0]),
            features(&[2.0, 1.0, 4.0, 3.0]),
        );
        let other = features(&[2.0, 1.0, 3.0, 4.0]);
        for loss in [gram_loss, statistics_loss] {
            let number = |x: &Tensor| loss(&a, x).unwrap().to_scalar::<f64>().unwrap();
            assert!(number(&b) < 1e-12);
        }
        let number = gram_loss(&a, &other).unwrap().to_scalar::<f64>().unwrap();
        assert!(number > 0.01, "{number}");
    }

    #[test]
    fn statistics_by_hand() {
        let (a, b) = (
            features(&[1.0, 3.0, 0.0, 0.0]),
            features(&[2.0, 2.0, 1.0, 1.0]),
        );
        let found = statistics_loss(&a, &b).unwrap().to_scalar::<f64>().unwrap();
        let (wide, flat) = (2.00001_f64.sqrt(), 1e-5_f64.sqrt());
        let expected = 0.5 + (wide - flat).powi(2) / 2.0;
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
    }
}
