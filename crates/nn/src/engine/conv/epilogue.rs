//! What happens to a convolution's sums before they are stored: bias, activation, scale, residual.
#![expect(
    unsafe_code,
    reason = "vector instructions, and addresses that only the caller can vouch for"
)]
#![expect(clippy::inline_always, reason = "see the module `simd`")]
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "the contract is stated at each function"
)]

use fonds_core::{Code, Error, Result};

use super::super::{Buffer, Shape};
use super::simd::Simd;

/// A function of each value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Activation {
    /// `x`
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope · x`
    LeakyRelu(f32),
    /// As [`Activation::LeakyRelu`], with a slope for each output channel, or one for all.
    PRelu(Vec<f32>),
    /// `tanh x`, within 3 units in the last place
    Tanh,
    /// `1 / (1 + e⁻ˣ)`, within 3 units in the last place
    Sigmoid,
}

/// When a residual is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOrder {
    /// `scale · activation(convolution + bias) + residual`
    AfterActivation,
    /// `activation(scale · (convolution + bias) + residual)`
    BeforeActivation,
}

/// Activations of the output's size that are added to it.
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a> {
    /// What is added.
    pub buffer: &'a Buffer,
    /// Before or after the activation.
    pub order: AddOrder,
}

/// What happens to the sums of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// The function of each value.
    pub activation: &'a Activation,
    /// A factor, 1 for none.
    pub scale: f32,
    /// What is added, if anything.
    pub residual: Option<Residual<'a>>,
}

impl Default for Epilogue<'_> {
    fn default() -> Self {
        Self {
            activation: &Activation::None,
            scale: 1.0,
            residual: None,
        }
    }
}

impl<'a> Epilogue<'a> {
    /// An activation, and nothing else.
    pub fn activation(activation: &'a Activation) -> Self {
        Self {
            activation,
            ..Self::default()
        }
    }
}

/// Lanes that padded vectors of bias and slopes have beyond the last channel, so that the last
/// micro-tile may be loaded whole.
const SPARE: usize = 64;

/// Values for each channel, with zeros behind them as far as any micro-tile reaches.
pub(super) fn padded(values: &[f32]) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(values.len() + SPARE, 0.0);
    padded
}

/// The ways through [`Finish::apply`], as constants of the compiled kernels: three fast ones
/// (neither scale nor residual) and one for everything.
pub(super) mod mode {
    pub(in super::super) const PLAIN: u8 = 0;
    pub(in super::super) const RELU: u8 = 1;
    pub(in super::super) const SLOPE: u8 = 2;
    pub(in super::super) const ANY: u8 = 3;
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    Plain,
    Relu,
    Slope,
    Tanh,
    Sigmoid,
}

/// An [`Epilogue`] as the kernels want it.
pub(super) struct Finish<'a> {
    /// Padded; one value for each output channel.
    pub(super) bias: &'a [f32],
    /// Padded likewise.
    pub(super) slope: Vec<f32>,
    curve: Curve,
    scale: f32,
    residual: Option<(&'a [f32], AddOrder)>,
}

impl<'a> Finish<'a> {
    /// Checks and prepares; `bias` is [`padded`].
    pub(super) fn new(bias: &'a [f32], output: Shape, epilogue: &Epilogue<'a>) -> Result<Self> {
        let channels = output.channels;
        let (curve, slope) = match epilogue.activation {
            Activation::None => (Curve::Plain, vec![]),
            Activation::Relu => (Curve::Relu, vec![]),
            Activation::LeakyRelu(slope) => (Curve::Slope, vec![*slope; channels]),
            Activation::PRelu(slopes) if slopes.len() == 1 => {
                (Curve::Slope, vec![slopes[0]; channels])
            }
            Activation::PRelu(slopes) => (Curve::Slope, slopes.clone()),
            Activation::Tanh => (Curve::Tanh, vec![]),
            Activation::Sigmoid => (Curve::Sigmoid, vec![]),
        };
        if curve == Curve::Slope && slope.len() != channels {
            let found = slope.len();
            let message = format!("PReLU has {found} slopes for {channels} channels");
            return Err(Error::new(Code::ModelError, message));
        }
        if let Some(residual) = epilogue.residual
            && residual.buffer.shape() != output
        {
            let found = residual.buffer.shape();
            let message = format!("the residual is {found}, the convolution's output {output}");
            return Err(Error::new(Code::ModelError, message));
        }
        let mut slope = slope;
        slope.resize(channels + SPARE, 0.0);
        Ok(Self {
            bias,
            slope,
            curve,
            scale: epilogue.scale,
            residual: epilogue
                .residual
                .map(|residual| (residual.buffer.as_slice(), residual.order)),
        })
    }

    /// Which constant the kernels are to be called with.
    pub(super) fn mode(&self) -> u8 {
        match self.curve {
            _ if self.residual.is_some() || self.scale != 1.0 => mode::ANY,
            Curve::Plain => mode::PLAIN,
            Curve::Relu => mode::RELU,
            Curve::Slope => mode::SLOPE,
            Curve::Tanh | Curve::Sigmoid => mode::ANY,
        }
    }

    /// The value to store for `value`, which has its bias. `at` is its place in the output's
    /// memory, and `count` how many lanes are stored.
    ///
    /// # Safety
    /// The instructions must be there, and `at + count` within the output.
    #[inline(always)]
    pub(super) unsafe fn apply<S: Simd, const MODE: u8>(
        &self,
        value: S::V,
        slope: S::V,
        at: usize,
        count: usize,
    ) -> S::V {
        // A value that is no number stays one: it is the second argument of min and max.
        let zero = S::splat(0.0);
        match MODE {
            mode::PLAIN => value,
            mode::RELU => S::max(zero, value),
            mode::SLOPE => S::mul_add(S::min(zero, value), slope, S::max(zero, value)),
            _ => self.apply_any::<S>(value, slope, at, count),
        }
    }

    #[inline(always)]
    unsafe fn apply_any<S: Simd>(&self, value: S::V, slope: S::V, at: usize, count: usize) -> S::V {
        let scale = S::splat(self.scale);
        let Some((residual, order)) = self.residual else {
            return S::mul(scale, self.curve::<S>(value, slope));
        };
        let residual = residual.as_ptr().add(at);
        let residual = if count < S::LANES {
            S::load_part(residual, count)
        } else {
            S::load(residual)
        };
        match order {
            AddOrder::AfterActivation => S::mul_add(scale, self.curve::<S>(value, slope), residual),
            AddOrder::BeforeActivation => {
                self.curve::<S>(S::mul_add(scale, value, residual), slope)
            }
        }
    }

    #[inline(always)]
    unsafe fn curve<S: Simd>(&self, value: S::V, slope: S::V) -> S::V {
        let zero = S::splat(0.0);
        match self.curve {
            Curve::Plain => value,
            Curve::Relu => S::max(zero, value),
            Curve::Slope => S::mul_add(S::min(zero, value), slope, S::max(zero, value)),
            Curve::Tanh => tanh::<S>(value),
            Curve::Sigmoid => sigmoid::<S>(value),
        }
    }
}

/// `2ⁿ` and `e^r − 1` with `x = n ln 2 + r`, for `x` within ±87.
#[inline(always)]
unsafe fn exp_parts<S: Simd>(x: S::V) -> (S::V, S::V) {
    // Adding 1.5 · 2²³ rounds to a whole number.
    let magic = S::splat(12_582_912.0);
    let shifted = S::mul_add(x, S::splat(std::f32::consts::LOG2_E), magic);
    let n = S::sub(shifted, magic);
    // ln 2 in two parts, the first of which has few bits.
    let r = S::neg_mul_add(n, S::splat(0.693_359_4), x);
    let r = S::neg_mul_add(n, S::splat(-2.121_944_4e-4), r);
    // The series of e^r − 1 up to r⁷ / 7!: within 2⁻²⁷ of it for |r| ≤ ln 2 / 2.
    let mut series = S::splat(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        series = S::mul_add(series, r, S::splat(coefficient));
    }
    let series = S::mul_add(S::mul(series, r), r, r);
    (S::pow2(n), series)
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    let one = S::splat(1.0);
    let x = S::max(S::splat(-87.0), S::min(S::splat(87.0), x));
    let (power, series) = exp_parts::<S>(S::sub(S::splat(0.0), x));
    S::div(one, S::add(one, S::mul_add(power, series, power)))
}

/// `tanh x = e / (e + 2)` with `e = e²ˣ − 1`: exact near zero too.
#[inline(always)]
unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // Beyond ±10 it is ±1 in 32 bits.
    let x = S::max(S::splat(-10.0), S::min(S::splat(10.0), x));
    // For negative x the quotient would lose what the subtraction of 1 cancels.
    let size = S::max(x, S::sub(S::splat(0.0), x));
    let (power, series) = exp_parts::<S>(S::add(size, size));
    let e = S::mul_add(power, series, S::sub(power, S::splat(1.0)));
    let quotient = S::div(e, S::add(e, S::splat(2.0)));
    // The sign of x: +1, −1, or 0 for 0; a huge factor first, so that clamping gives it.
    let huge = S::mul(x, S::splat(1e38));
    let sign = S::max(S::splat(-1.0), S::min(S::splat(1.0), huge));
    S::mul(sign, quotient)
}
