//! decode/mod.
