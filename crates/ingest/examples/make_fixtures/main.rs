//! Makes the pictures in `fixtures/`: an archive in small, and a folder of files that are wrong.
//!
//! `cargo run -p fonds-ingest --example make_fixtures -- fixtures`
//!
//! Everything is drawn by formulas and seeded chance; no picture of anybody else's is in it. Only
//! addition, multiplication, division and square roots are used on floats, because these give the
//! same bits on every machine.

mod make;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("say into which folder: `make_fixtures fixtures`")?;
    for (path, bytes) in make::all()? {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
