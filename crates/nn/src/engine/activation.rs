//! Activations of single values and of blocks of lanes, the same on every processor.
//!
//! The functions of the system's mathematical library differ from machine to machine in their last
//! bits. Those here consist of additions, multiplications and divisions alone, so that equal input
//! gives equal bytes, and they are written without branches, so that vectors of them can be taken.

use std::borrow::Cow;

use super::conv::Activation;

impl Activation {
    /// The function of one value of a channel. NaN stays NaN.
    ///
    /// # Panics
    /// When there are several slopes and none for this channel.
    pub fn apply(&self, value: f32, channel: usize) -> f32 {
        match self {
            Self::None => value,
            Self::Relu => leaky(value, 0.0),
            Self::LeakyRelu(slope) => leaky(value, *slope),
            Self::PRelu(slopes) => match slopes.as_slice() {
                [slope] => leaky(value, *slope),
                slopes => leaky(value, slopes[channel]),
            },
            Self::Tanh => tanh(value),
            Self::Sigmoid => sigmoid(value),
        }
    }

    /// Whether there is a slope for each of so many channels.
    pub fn fits(&self, channels: usize) -> bool {
        match self {
            Self::PRelu(slopes) => slopes.len() == 1 || slopes.len() == channels,
            _ => true,
        }
    }

    /// The same with a slope for every lane of a pixel, zero beyond the last channel, so that all
    /// blocks of lanes are whole.
    pub(super) fn padded(&self, lanes: usize) -> Cow<'_, Self> {
        match self {
            Self::PRelu(slopes) if slopes.len() > 1 => {
                let mut slopes = slopes.clone();
                slopes.resize(lanes, 0.0);
                Cow::Owned(Self::PRelu(slopes))
            }
            other => Cow::Borrowed(other),
        }
    }

    /// The function of the values of channel `first` and those after it. What lies beyond the last
    /// slope becomes zero.
    pub(super) fn apply_lanes<const L: usize>(&self, first: usize, values: &mut [f32; L]) {
        match self {
            Self::None => {}
            Self::Relu => each(values, |value| leaky(value, 0.0)),
            Self::LeakyRelu(slope) => each(values, |value| leaky(value, *slope)),
            Self::PRelu(slopes) => prelu(slopes, first, values),
            Self::Tanh => each(values, tanh),
            Self::Sigmoid => each(values, sigmoid),
        }
    }
}

#[inline]
fn each<const L: usize>(values: &mut [f32; L], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

#[inline]
fn prelu<const L: usize>(slopes: &[f32], first: usize, values: &mut [f32; L]) {
    if let [slope] = slopes {
        return each(values, |value| leaky(value, *slope));
    }
    let slopes = slopes.get(first..).unwrap_or_default();
    if let Some(slopes) = slopes.first_chunk::<L>() {
        for (value, slope) in values.iter_mut().zip(slopes) {
            *value = leaky(*value, *slope);
        }
        return;
    }
    for (lane, value) in values.iter_mut().enumerate() {
        *value = slopes.get(lane).map_or(0.0, |slope| leaky(*value, *slope));
    }
}

/// `value`, or `slope · value` when it is negative.
#[inline]
fn leaky(value: f32, slope: f32) -> f32 {
    if value < 0.0 { value * slope } else { value }
}

/// e^x, relative error below 2e-7, for x between -87 and 88; beyond it as at these ends.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has few enough bits for an exact product.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    // The Taylor series; |rest| is at most 0.35, so the first term left out is below 6e-9.
    let mut sum = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * rest + term;
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    sum * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// 1 / (1 + e^-x).
#[inline]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[inline]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    // Near zero 1 - e^-2x would lose its digits; there the Taylor series of tanh x / x is used, as
    // far as terms count for |x| below 0.5.
    let square = x * x;
    let mut series = TANH_SERIES[0];
    for term in &TANH_SERIES[1..] {
        series = series * square + term;
    }
    let power = exp(-2.0 * size);
    let far = ((1.0 - power) / (1.0 + power)).copysign(x);
    if size < 0.5 { x * series } else { far }
}

/// Coefficients of tanh x / x in x², the highest first.
const TANH_SERIES: [f32; 9] = [
    5.900_274e-4,
    -1.455_834_4e-3,
    3.592_128e-3,
    -1_382.0 / 155_925.0,
    62.0 / 2_835.0,
    -17.0 / 315.0,
    2.0 / 15.0,
    -1.0 / 3.0,
    1.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(
        from: f64,
        to: f64,
        approximate: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) -> f64 {
        let steps = 200_000;
        let error = |step: i32| {
            let x = (from + (to - from) * f64::from(step) / f64::from(steps)) as f32;
            let exact = exact(f64::from(x));
            (f64::from(approximate(x)) - exact).abs() / exact.abs().max(1e-30)
        };
        (0..=steps).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_close_to_the_exact_ones() {
        let error = worst(-86.0, 87.0, exp, f64::exp);
        assert!(error < 2e-7, "exp: {error:e}");
        let error = worst(-12.0, 12.0, tanh, f64::tanh);
        assert!(error < 3e-7, "tanh: {error:e}");
        let error = worst(-1e-3, 1e-3, tanh, f64::tanh);
        assert!(error < 2e-7, "tanh near zero: {error:e}");
        let error = worst(-80.0, 40.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        assert!(error < 4e-7, "sigmoid: {error:e}");
    }

    #[test]
    fn far_values_saturate_and_nan_stays() {
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(-1e30), -1.0);
        assert_eq!(tanh(0.0), 0.0);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert!(sigmoid(-1e30) < 1e-37);
        let slopes = Activation::PRelu(vec![0.5]);
        for activation in [
            Activation::Relu,
            Activation::Tanh,
            Activation::Sigmoid,
            slopes,
        ] {
            assert!(activation.apply(f32::NAN, 0).is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn lanes_are_as_single_values() {
        let slopes: Vec<f32> = (0..21).map(|i| i as f32 * 0.1 - 0.5).collect();
        let cases = [
            Activation::None,
            Activation::Relu,
            Activation::LeakyRelu(0.2),
            Activation::PRelu(vec![0.3]),
            Activation::PRelu(slopes),
            Activation::Tanh,
            Activation::Sigmoid,
        ];
        for activation in cases {
            let values: [f32; 16] = std::array::from_fn(|lane| lane as f32 * 0.7 - 5.0);
            for first in [0, 16] {
                let mut lanes = values;
                activation.apply_lanes(first, &mut lanes);
                for lane in (0..16).filter(|lane| first + lane < 21) {
                    let expected = activation.apply(values[lane], first + lane);
                    assert_eq!(
                        lanes[lane], expected,
                        "{activation:?} channel {first} + {lane}"
                    );
                }
            }
        }
    }
}
