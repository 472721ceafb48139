//! ops/mod.
