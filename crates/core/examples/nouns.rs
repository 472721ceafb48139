//! The shared nouns alone: a raster, its id in an archive, its digest, a seed, an error.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use fonds_core::{Code, Digest, Error, ObjectIds, PixelFormat, Ppi, Raster, RelPath, Result, Seed};

fn main() -> Result<()> {
    let mut raster = Raster::new(4, 3, PixelFormat::GRAY16).with_ppi(Some(Ppi::square(300.0)));
    if let Some(samples) = raster.as_mut_slice::<u16>() {
        samples[5] = 40_000;
    }
    println!("{} picture of {} bytes", raster.format(), raster.byte_len());

    let paths = ["letters/Brief 1.tif", "letters/brief-1.jpg", "map.png"]
        .map(|path| RelPath::new(Path::new(path)));
    let paths = paths.into_iter().collect::<Result<Vec<_>>>()?;
    let ids = ObjectIds::resolve(&paths);
    for path in &paths {
        println!("{path} -> {}", ids.id(path));
    }

    println!("digest {}", Digest::of(b"abc").prefix(12));
    println!("seed {}", Seed::new(42).derive("map.png").value());
    let error = Error::new(Code::Truncated, "strip 14 is truncated")
        .at_path("map.tif")
        .at_page(2);
    println!("{error} [{}]", error.code());
    Ok(())
}
