//! Lists an archive: every file with its size, its digest and what a run would do with it.
//!
//! `cargo run -p fonds-ingest --example list_archive -- [FOLDER]`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fonds_core::Limits;
use fonds_ingest::{Fate, Found, Selection, WalkOptions, read_source, walk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let root = folder.unwrap_or_else(|| here.join("../../fixtures/archive"));
    let mut out = io::BufWriter::new(io::stdout().lock());
    list(&root, &mut out)?;
    out.flush()?;
    Ok(())
}

/// Writes one line for each file under `root`.
pub(crate) fn list(root: &Path, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let selection = Selection::new(&WalkOptions::default())?;
    let archive = walk(root, &selection)?;
    writeln!(
        out,
        "{:>10}  {:<12}  {:<14}  path",
        "bytes", "sha256", "fate"
    )?;
    for found in &archive.files {
        let (digest, fate) = look_at(root, found);
        let size = found.stamp.size;
        writeln!(out, "{size:>10}  {digest:<12}  {fate:<14}  {}", found.path)?;
    }
    writeln!(out, "{} files", archive.files.len())?;
    Ok(())
}

/// The beginning of the digest, and what a run would do.
fn look_at(root: &Path, found: &Found) -> (String, String) {
    match &found.fate {
        Fate::Skipped(reason) => (String::new(), reason.as_str().to_owned()),
        Fate::Failed(error) => (String::new(), error.code().to_string()),
        _ => match read_source(&found.on_disk(root), &Limits::DEFAULT) {
            Ok(source) => (source.fingerprint.digest.prefix(12), "selected".to_owned()),
            Err(error) => (String::new(), error.code().to_string()),
        },
    }
}
