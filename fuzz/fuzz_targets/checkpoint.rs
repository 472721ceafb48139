//! The libFuzzer target of `checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fonds_fuzz::checkpoint(bytes));
