//! color.
