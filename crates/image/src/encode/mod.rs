//! encode/mod.
