//! Losses of networks that say how likely something is, pixel by pixel, as the logarithm of its odds.

use candle_core::Tensor;
use fonds_core::Result;

use crate::error::TensorResult;

/// `log(1 + e^x)` without overflow.
///
/// # Errors
/// When the device has no memory.
pub fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    x.relu()? + tail
}

/// Binary cross entropy of odds with targets from 0 to 1, the mean over all values; what is there
/// counts `positive` times what is not, for what is rare.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn cross_entropy(odds: &Tensor, targets: &Tensor, positive: f64) -> Result<Tensor> {
    let loss = || {
        let there = (softplus(&odds.neg()?)? * targets)?;
        let not_there = (softplus(odds)? * targets.affine(-1.0, 1.0)?)?;
        ((there * positive)? + not_there)?.mean_all()
    };
    loss().in_network()
}

/// 1 − Dice's coefficient of what the odds say is there and what is, over the whole batch: unlike cross
/// entropy it does not care how much there is of what is not looked for. Milletari, Navab, Ahmadi,
/// *V-Net* (2016), arXiv:1606.04797, with 1 added on both sides of the fraction for empty targets.
///
/// # Errors
/// `oom` when the device has no memory.
pub fn dice_loss(odds: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let loss = || {
        // e^x / (1 + e^x), by what has a gradient and no overflow.
        let found = (odds - softplus(odds)?)?.exp()?;
        let common = (&found * targets)?.sum_all()?.affine(2.0, 1.0)?;
        let all = (found.sum_all()? + targets.sum_all()?)?.affine(1.0, 1.0)?;
        (common / all)?.affine(-1.0, 1.0)
    };
    loss().in_network()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (1, 1, 1, values.len()), &Device::Cpu).unwrap()
    }

    fn number(tensor: &Tensor) -> f64 {
        tensor.to_scalar::<f64>().unwrap()
    }

    const ODDS: [f64; 4] = [-2.0, 0.3, 5.0, -700.0];
    const TARGETS: [f64; 4] = [0.0, 1.0, 0.25, 0.0];

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn values_by_their_definitions() {
        let [odds, targets] = [tensor(&ODDS), tensor(&TARGETS)];
        let expected: f64 = ODDS.iter().zip(TARGETS).fold(0.0, |sum, (&x, t)| {
            let p = sigmoid(x);
            let not = (1.0 - t) * if p > 0.0 { -(1.0 - p).ln() } else { 0.0 };
            let there = if t > 0.0 { -t * p.ln() } else { 0.0 };
            sum + 3.0 * there + not
        });
        let found = number(&cross_entropy(&odds, &targets, 3.0).unwrap());
        assert!((found - expected / 4.0).abs() < 1e-12, "{found} {expected}");
        let common: f64 = ODDS.iter().zip(TARGETS).map(|(&x, t)| sigmoid(x) * t).sum();
        let all: f64 = ODDS.iter().map(|&x| sigmoid(x)).sum::<f64>() + TARGETS.iter().sum::<f64>();
        let expected = 1.0 - (2.0 * common + 1.0) / (all + 1.0);
        let found = number(&dice_loss(&odds, &targets).unwrap());
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let targets = tensor(&TARGETS);
        let losses: [fn(&Tensor, &Tensor) -> Result<Tensor>; 2] =
            [|x, t| cross_entropy(x, t, 3.0), dice_loss];
        for (index, loss) in losses.into_iter().enumerate() {
            let odds = Var::from_tensor(&tensor(&ODDS)).unwrap();
            let gradients = loss(&odds, &targets).unwrap().backward().unwrap();
            let found = gradients.get(&odds).unwrap().flatten_all().unwrap();
            let found = found.to_vec1::<f64>().unwrap();
            for at in 0..3 {
                let moved = |by: f64| {
                    let mut values = ODDS;
                    values[at] += by;
                    number(&loss(&tensor(&values), &targets).unwrap())
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (found[at] - expected).abs() < 1e-8,
                    "loss {index}: {found:?} {expected}"
                );
            }
            assert!(found.iter().all(|value| value.is_finite()));
        }
    }
}
