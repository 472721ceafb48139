//! Prints PSNR and SSIM, in RGB and luminance, of two binary PPM files.
//!
//! `cargo run -p fonds-nn --example metrics -- A.ppm B.ppm BORDER`

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::path::Path;

use fonds_core::{Code, Error, Result};
use fonds_nn::metrics::{Picture, clipped_share, mean_shift, psnr, ssim};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [a, b, border] = &arguments[..] else {
        return Err(Error::new(
            Code::InvalidRequest,
            "two files and a border are needed",
        ));
    };
    let border = border
        .parse()
        .map_err(|_| Error::new(Code::InvalidRequest, format!("`{border}` is no number")))?;
    let a = read(Path::new(a))?.cropped(border)?;
    let b = read(Path::new(b))?.cropped(border)?;
    println!("RGB {:.6} dB {:.6}", psnr(&a, &b)?, ssim(&a, &b)?);
    println!("shift {:.3?}, {:?}", mean_shift(&a, &b)?, clipped_share(&b));
    let (a, b) = (a.luminance(), b.luminance());
    println!("Y   {:.6} dB {:.6}", psnr(&a, &b)?, ssim(&a, &b)?);
    Ok(())
}

/// A PPM of 8 bits without comments: `P6 width height 255`, one white space, the samples.
fn read(path: &Path) -> Result<Picture> {
    let bad = || Error::new(Code::UnsupportedFormat, "the file is no plain PPM").at_path(path);
    let bytes = std::fs::read(path).map_err(|e| {
        Error::from_io(e, Code::Unreadable, "the file cannot be read").at_path(path)
    })?;
    let mut words = bytes.splitn(5, u8::is_ascii_whitespace);
    let mut number = || -> Option<usize> { std::str::from_utf8(words.next()?).ok()?.parse().ok() };
    let magic = bytes.starts_with(b"P6\n");
    number();
    match (magic, number(), number(), number()) {
        (true, Some(width), Some(height), Some(255)) => {
            Picture::from_u8(words.next().unwrap_or_default(), width, height, 3)
        }
        _ => Err(bad()),
    }
}
