//! A reader of Python pickles that executes nothing.
//!
//! A pickle is a program for a small stack machine, and one of its instructions calls any Python
//! function by name. This machine (`machine.rs`) builds plain values (`value.rs`); what a call
//! means is decided in `calls.rs`, by a closed list of names: tensors and containers are built,
//! classes become inert records, and any other call is an error that names the function.
//!
//! The instruction set is that of protocols 0 to 5 as `pickletools` of the Python library
//! documents it, without persistent ids in text form, copyreg extensions and out-of-band buffers.

mod calls;
mod machine;
mod value;

pub(crate) use machine::load;
pub(crate) use value::{Id, NumberType, Pickle, Value};

use fonds_core::Result;

/// What the top level of a pickle holds, one line a value, for a person who wants to know what a
/// file is before anything opens it. Nothing is executed.
///
/// # Errors
/// As for any pickle here: broken streams, exceeded limits, and calls of functions.
pub fn describe_pickle(bytes: &[u8]) -> Result<Vec<String>> {
    let pickle = load(bytes)?;
    let Some(entries) = pickle.entries(pickle.root) else {
        return Ok(vec![pickle.describe(pickle.root)]);
    };
    Ok(entries
        .iter()
        .take(1000)
        .map(|&(key, value)| format!("{}: {}", pickle.describe(key), pickle.describe(value)))
        .collect())
}

#[cfg(test)]
mod tests;
