//! Errors of candle in the words of fonds.

use fonds_core::{Code, Error, Result};

/// Turns results of candle into results of fonds.
pub trait TensorResult<T> {
    /// The value, or `oom` when memory ran out, else `model_error`, with candle's error as cause.
    ///
    /// # Errors
    /// When there is no value.
    fn in_network(self) -> Result<T>;
}

impl<T> TensorResult<T> for candle_core::Result<T> {
    fn in_network(self) -> Result<T> {
        self.map_err(|error| from_candle(&error))
    }
}

/// An error of candle as one of fonds.
pub fn from_candle(error: &candle_core::Error) -> Error {
    let text = error.to_string();
    // candle wraps the driver's errors as text.
    let first = text.lines().next().unwrap_or_default().to_owned();
    if text.contains("OUT_OF_MEMORY") || text.contains("out of memory") {
        let message = "the device has no memory left for this tile";
        return Error::new(Code::Oom, message).caused_by(first);
    }
    Error::new(Code::ModelError, "a tensor operation failed").caused_by(first)
}

/// An error of fonds as one of candle, for code that candle calls back.
pub fn to_candle(error: Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}
