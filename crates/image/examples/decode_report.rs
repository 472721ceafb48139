//! Decodes every file under a folder and prints one line of tab-separated facts for each page.
//!
//! `cargo run -p fonds-image --example decode_report -- FOLDER [PIXELS_FOLDER]`
//!
//! With a second folder, pixels are written there as PAM files of 8 bit named by the line's
//! digest, for a comparison with another decoder (`tools/torture_compare.py`).

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fonds_core::{Digest, Limits, Raster, Sample, with_samples};
use fonds_image::decode::Document;
use fonds_image::sniff::identify;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments
        .next()
        .ok_or("usage: decode_report FOLDER [PIXELS_FOLDER]")?;
    let pixels = arguments.next();
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    println!(
        "file\tformat\tpuid\tpage\tpages\twidth\theight\tkind\tppi\torientation\tcolor_space\tcompression\ticc\tflags\tnotes\tstatus\tdigest\tms"
    );
    for file in files {
        let name = file.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let bytes = fs::read(&file)?;
        for line in report(&bytes, pixels.as_deref())? {
            println!("{name}\t{line}");
        }
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn report(bytes: &[u8], pixels: Option<&Path>) -> std::io::Result<Vec<String>> {
    let identity = identify(bytes);
    let name = identity
        .format
        .map_or(identity.name, |format| format.name());
    let what = format!("{name}\t{}", identity.puid);
    let failed = |page: u32, pages: u32, error: &fonds_core::Error| {
        format!(
            "{what}\t{page}\t{pages}\t\t\t\t\t\t\t\t\t\t\t{} {}\t\t",
            error.code(),
            error.detail()
        )
    };
    let mut document = match Document::open(bytes, &Limits::DEFAULT) {
        Ok(document) => document,
        Err(error) => return Ok(vec![failed(1, 1, &error)]),
    };
    let pages = document.page_count();
    let mut lines = Vec::new();
    for page in 0..pages {
        let start = Instant::now();
        let probed = document.probe(page);
        let decoded = match document.decode(page) {
            Ok(decoded) => decoded,
            Err(error) => {
                lines.push(failed(page + 1, pages, &error));
                continue;
            }
        };
        let ms = start.elapsed().as_millis();
        let facts = &decoded.facts;
        assert_eq!(
            probed.as_ref().ok(),
            Some(facts),
            "probing and decoding agree"
        );
        let picture = as_pam(&decoded.raster);
        let digest = Digest::of(&picture).prefix(32);
        if let Some(folder) = pixels {
            fs::write(folder.join(format!("{digest}.pam")), picture)?;
        }
        let flags: Vec<&str> = decoded.flags.iter().map(|flag| flag.as_str()).collect();
        let ppi = facts
            .ppi
            .map_or(String::new(), |ppi| format!("{}×{}", ppi.x, ppi.y));
        lines.push(format!(
            "{what}\t{}\t{pages}\t{}\t{}\t{}\t{ppi}\t{}\t{}\t{}\t{}\t{}\t{}\tok\t{digest}\t{ms}",
            page + 1,
            facts.width,
            facts.height,
            decoded.raster.format(),
            facts.orientation,
            facts.color_space,
            facts.compression_scheme,
            facts.icc_profile.as_deref().unwrap_or_default(),
            flags.join(";"),
            decoded.notes.join(";"),
        ));
    }
    Ok(lines)
}

/// The picture as a PAM file of 8 bit.
fn as_pam(raster: &Raster) -> Vec<u8> {
    let (width, height) = (raster.width(), raster.height());
    let depth = raster.format().channels();
    let head = format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL 255\nENDHDR\n");
    let mut picture = head.into_bytes();
    with_samples!(raster.samples(), samples => {
        picture.extend(samples.iter().map(|sample| u8::from_unit(sample.to_unit())));
    });
    picture
}
