//! The networks of the zoo, from the outside.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test does with what it cannot do without; a table of figures"
)]

mod parity;
mod recognition;
mod tasks;
