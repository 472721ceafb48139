//! Checks of parameters that name the valid range in the error.

use std::fmt::Display;
use std::ops::RangeInclusive;

use fonds_core::{Code, Error, Result};

/// Refuses a value outside its range (and NaN) with an error that names the range.
pub(crate) fn in_range<T>(name: &str, value: T, range: &RangeInclusive<T>) -> Result<()>
where
    T: PartialOrd + Display + Copy,
{
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    Err(invalid(format!(
        "`{name}` is {value}, but must lie between {low} and {high}"
    )))
}

/// An error about a parameter.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_range() {
        assert!(in_range("clip", 1.0, &(0.0..=5.0)).is_ok());
        let error = in_range("clip", f64::NAN, &(0.0..=5.0)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert_eq!(
            error.message(),
            "`clip` is NaN, but must lie between 0 and 5"
        );
    }
}
