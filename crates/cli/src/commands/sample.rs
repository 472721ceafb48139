//! `fonds sample`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Raster};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_pipeline::{Networks, SampleOptions, generate};

use crate::args::SampleArgs;
use crate::exit::{Exit, Outcome};
use crate::{commands, report};

pub(crate) fn sample(args: &SampleArgs) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    commands::threads(threads)?;
    let networks = Networks::new(args.networks.options(PathBuf::new()));
    let between = match args.interpolate.as_deref() {
        Some([from, to]) => Some((*from, *to)),
        _ => None,
    };
    let found = generate(
        &networks,
        &SampleOptions {
            model: args.model.clone(),
            count: args.n as usize,
            seed: args.seed,
            class: args.class.clone(),
            between,
        },
    )?;
    let is_file = args
        .out
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("png"));
    if is_file {
        write(&args.out, &found.grid()?)?;
    } else {
        let failed = |error| Error::from_io(error, Code::WriteFailed, "cannot be made");
        fs::create_dir_all(&args.out).map_err(|error| failed(error).at_path(&args.out))?;
        for (number, picture) in found.each()?.iter().enumerate() {
            write(&args.out.join(format!("sample-{number:05}.png")), picture)?;
        }
    }
    report::line(&format!(
        "{} pictures by a {} -> {}",
        args.n,
        found.architecture,
        args.out.display()
    ));
    Ok(Exit::Done)
}

fn write(path: &Path, raster: &Raster) -> Result<(), Error> {
    let file = File::create(path).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
    })?;
    let mut file = std::io::BufWriter::new(file);
    encode(raster, &Encoding::PNG, &Embedded::default(), &mut file)
        .map_err(|error| error.at_path(path))
}
