//! Whether gradients of gradients are right in this thread.

use candle_core::{Device, Var};
use fonds_core::{Code, Error, Result};

use crate::error::TensorResult;

/// The environment variable that switches them on, which a binary sets to `1` before its first
/// thread: candle reads it at the first backward pass of each thread.
pub const SECOND_ORDER: &str = "CANDLE_GRAD_DO_NOT_DETACH";

/// That gradients of gradients are right in this thread: of `x³` at 2 the second is 12.
///
/// Without the variable [`SECOND_ORDER`] candle gives another number and no error, and a gradient
/// penalty would teach nonsense.
///
/// # Errors
/// `invalid_request` with the remedy when they are not.
pub fn check_second_order() -> Result<()> {
    if second_derivative().in_network()? == 12.0 {
        return Ok(());
    }
    let message = "gradients of gradients are switched off, and a gradient penalty needs them";
    let error = Error::new(Code::InvalidRequest, message);
    Err(error.hint(format!(
        "set the environment variable {SECOND_ORDER}=1 before the program starts its threads"
    )))
}

fn second_derivative() -> candle_core::Result<f64> {
    let x = Var::new(2.0_f64, &Device::Cpu)?;
    let cube = ((x.as_tensor() * x.as_tensor())? * x.as_tensor())?;
    let first = cube.backward()?;
    let Some(first) = first.get(x.as_tensor()) else {
        return Ok(0.0);
    };
    let second = first.backward()?;
    match second.get(x.as_tensor()) {
        Some(second) => second.to_scalar(),
        None => Ok(0.0),
    }
}
