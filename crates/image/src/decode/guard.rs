//! Keeping what a decoder may do to the process inside one file: panics and huge allocations.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fonds_core::{Code, Error, Result};

/// Runs a decoder; a panic in it becomes an error with the panic's message.
pub(super) fn catch<T>(decoder: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Whatever the closure left half-done is dropped with it: all state is made inside.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        let error = Error::new(
            Code::Panic,
            format!("the {decoder} decoder panicked: {message}"),
        );
        Err(error.hint("the file is probably damaged; please report it with the file"))
    })
}

/// `len` zero samples, or `Oom` when the machine does not have the memory.
pub(super) fn zeroed<T: Copy + Default>(len: usize) -> Result<Vec<T>> {
    let mut samples = reserved(len)?;
    samples.resize(len, T::default());
    Ok(samples)
}

/// An empty vector with room for `len` samples, or `Oom`.
pub(super) fn reserved<T>(len: usize) -> Result<Vec<T>> {
    let mut samples = Vec::new();
    samples.try_reserve_exact(len).map_err(|error| {
        let bytes = len.saturating_mul(size_of::<T>());
        Error::new(Code::Oom, format!("no memory for {bytes} bytes of pixels")).caused_by(error)
    })?;
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let error = catch::<()>("test", || panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error.code(), Code::Panic);
        assert!(error.message().contains("index 7 out of range"), "{error}");
    }

    #[test]
    fn absurd_sizes_do_not_abort() {
        assert_eq!(zeroed::<u16>(usize::MAX / 2).unwrap_err().code(), Code::Oom);
        assert_eq!(zeroed::<u8>(3).unwrap(), [0; 3]);
    }
}
