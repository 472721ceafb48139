//! How far a picture that was made in tiles is from the one that was made whole:
//! `seam_error FILE PICTURE [--tile PIXELS] [--overlap PIXELS]… [--exact]`.
//!
//! FILE is a checkpoint that `fonds_restore::zoo` knows, PICTURE is cut to `--tile` pixels a tile
//! (128) with each `--overlap` in turn, or as the network's receptive field wants it when none is
//! given. Prints the largest and the root mean square difference in steps of 8 bits, computed
//! from 16-bit pictures, and the time.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fonds_core::{Code, Depth, Error, Limits, PixelFormat, Raster, Result};
use fonds_image::decode::Document;
use fonds_image::encode;
use fonds_nn::backend::Backend;
use fonds_nn::compute::{Lanes, OnLanes};
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::tile::TileOptions;
use fonds_restore::tasks::{Task, TaskSettings};
use fonds_restore::zoo::{self, Options};

/// What a tile of this side holds any picture of.
const WHOLE: usize = 1 << 20;

struct Asked {
    file: String,
    picture: String,
    tile: usize,
    overlaps: Vec<usize>,
    exact: bool,
}

fn asked() -> Result<Asked> {
    let mut asked = Asked {
        file: String::new(),
        picture: String::new(),
        tile: 128,
        overlaps: Vec::new(),
        exact: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|text| text.parse().ok());
            number.ok_or_else(|| request(&format!("{argument} wants a number")))
        };
        match argument.as_str() {
            "--tile" => asked.tile = number()?,
            "--overlap" => asked.overlaps.push(number()?),
            "--exact" => asked.exact = true,
            _ if asked.file.is_empty() => asked.file = argument,
            _ if asked.picture.is_empty() => asked.picture = argument,
            other => return Err(request(&format!("{other} is no option"))),
        }
    }
    if asked.picture.is_empty() {
        return Err(request("give FILE PICTURE"));
    }
    Ok(asked)
}

fn main() -> Result<()> {
    let asked = asked()?;
    let picture = read(asked.picture.as_ref())?;
    let backend = Backend::Engine(Engine::new(Kernel::detect()));
    let model = zoo::open(asked.file.as_ref(), &Options::default(), &backend)?;
    println!(
        "{} on {} × {} pixels; a pixel depends on {:?} around it",
        model.description.architecture,
        picture.width(),
        picture.height(),
        model.description.geometry.halo,
    );
    let lanes = Lanes::new(vec![backend]);
    let make = |tiles: TileOptions| -> Result<(Raster, f64)> {
        let network = OnLanes::new(&lanes, vec![model.shared()]);
        let settings = TaskSettings {
            tiles,
            ..TaskSettings::default()
        };
        let task = Task::new(network, Arc::clone(&model.description), settings)?;
        let begun = Instant::now();
        let made = task.apply(&picture)?.raster;
        Ok((made, begun.elapsed().as_secs_f64()))
    };
    let (whole, time) = make(TileOptions {
        core: Some(WHOLE),
        ..TileOptions::default()
    })?;
    println!("whole: {time:.1} s");
    let overlaps = match &asked.overlaps[..] {
        [] => vec![None],
        some => some.iter().map(|&overlap| Some(overlap)).collect(),
    };
    for overlap in overlaps {
        let (tiled, time) = make(TileOptions {
            core: Some(asked.tile),
            overlap,
            exact: asked.exact,
        })?;
        let (largest, mean_square) = differences(&whole, &tiled)?;
        println!(
            "tiles of {}, overlap {overlap:?}: largest {largest:.3}, rms {mean_square:.4}, {time:.1} s",
            asked.tile
        );
    }
    Ok(())
}

/// The largest and the root mean square difference of samples, in steps of 8 bits.
fn differences(whole: &Raster, tiled: &Raster) -> Result<(f64, f64)> {
    let (Some(a), Some(b)) = (whole.as_slice::<u16>(), tiled.as_slice::<u16>()) else {
        return Err(request("the network's picture has not 16 bits"));
    };
    let difference = |(a, b): (&u16, &u16)| f64::from(a.abs_diff(*b)) / 257.0;
    let (mut largest, mut squares) = (0.0_f64, 0.0);
    for difference in a.iter().zip(b).map(difference) {
        largest = largest.max(difference);
        squares += difference * difference;
    }
    Ok((largest, (squares / a.len() as f64).sqrt()))
}

fn read(path: &Path) -> Result<Raster> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path))?;
    let mut document = Document::open(&bytes, &Limits::DEFAULT)?;
    let raster = document.decode(0)?.raster;
    let format = PixelFormat::new(Depth::U16, raster.format().model, false);
    Ok(encode::convert(raster, format).with_icc(None))
}

fn request(message: &str) -> Error {
    Error::new(Code::InvalidRequest, message.to_owned())
}
