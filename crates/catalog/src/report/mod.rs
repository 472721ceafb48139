//! The report that people look at.
