//! `fonds inspect`: everything that ingest knows of a picture.
