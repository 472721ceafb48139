//! `docs/formats.md` says what the code does.
