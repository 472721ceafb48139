//! The libFuzzer target of `safetensors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fonds_fuzz::safetensors(bytes));
