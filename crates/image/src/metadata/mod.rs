//! metadata/mod.
