//! Tests of the pickle reader on streams written by hand; `P` is a small writer of opcodes.
