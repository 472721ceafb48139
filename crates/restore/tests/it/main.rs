//! The networks of the zoo, from the outside.

mod parity;
mod recognition;
