//! Decoding, from the outside: every file is made here, none is read from disk.

#![expect(
    clippy::unwrap_used,
    reason = "helpers outside test functions fail the test that calls them"
)]

#[path = "decode/build.rs"]
mod build;
#[path = "decode/hostile.rs"]
mod hostile;
#[path = "decode/jpeg.rs"]
mod jpeg;
#[path = "decode/others.rs"]
mod others;
#[path = "decode/tiff_color.rs"]
mod tiff_color;
#[path = "decode/tiff_storage.rs"]
mod tiff_storage;
