//! The libFuzzer target of `unpickle`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fonds_fuzz::unpickle(bytes));
