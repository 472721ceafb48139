//! The examples run, and say what their documentation says.
