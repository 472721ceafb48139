//! Shows what fonds makes of one file: what it is, its pages, and what decoding did to them.
//!
//! `cargo run -p fonds-image --example inspect_file -- scan.tif`; without a file, a small picture
//! is made and inspected.

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use fonds_core::Limits;
use fonds_image::decode::Document;
use fonds_image::sniff::{extension_matches, identify};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1);
    let bytes = match &path {
        Some(path) => std::fs::read(path)?,
        None => b"P6 2 2 255\n\xff\0\0\0\xff\0\0\0\xff\xff\xff\xff".to_vec(),
    };
    let name = path.unwrap_or_else(|| "example.ppm".into());
    let identity = identify(&bytes);
    println!(
        "{name}: {} {} ({})",
        identity.name, identity.version, identity.mime
    );
    println!(
        "  PRONOM id: {}",
        if identity.puid.is_empty() {
            "none"
        } else {
            identity.puid
        }
    );
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if !extension_matches(&identity, extension) {
        println!("  the name promises something else: .{extension}");
    }
    let mut document = Document::open(&bytes, &Limits::DEFAULT)?;
    for page in 0..document.page_count() {
        let facts = document.probe(page)?;
        println!("  page {}: {facts:#?}", page + 1);
        let decoded = document.decode(page)?;
        println!(
            "  decoded as {} of {} × {}",
            decoded.raster.format(),
            facts.width,
            facts.height
        );
        for flag in &decoded.flags {
            println!("  flag: {flag}");
        }
        for note in &decoded.notes {
            println!("  note: {note}");
        }
    }
    Ok(())
}
