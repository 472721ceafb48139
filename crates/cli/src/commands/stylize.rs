//! `fonds stylize`.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Raster, Seed};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_pipeline::{Networks, Stylize, StylizeMethod};
use fonds_restore::style::optimize::{Method, Progress, Start};
use fonds_restore::style::palette::KeepColors;

use crate::args::{StylizeArgs, StylizeBy, StylizeColors, StylizeStart};
use crate::exit::{Exit, Outcome};
use crate::{commands, report};

pub(crate) fn stylize(args: &StylizeArgs) -> Outcome {
    let encoding = encoding(&args.out)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    commands::threads(threads)?;
    let networks = Networks::new(args.networks.options(PathBuf::new()));
    let stylist = asked(args).prepare(&networks)?;
    if let Some(folder) = &args.frames {
        let failed = |error| Error::from_io(error, Code::WriteFailed, "cannot be made");
        fs::create_dir_all(folder).map_err(|error| failed(error).at_path(folder))?;
    }
    let mut watch = |progress: &Progress<'_>| {
        if progress.iteration.is_multiple_of(args.every as usize) {
            let losses = progress.losses;
            report::error_line(&format!(
                "level {} of {}, iteration {}: loss {:.5} (content {:.5}, style {:.5}, variation {:.5})",
                progress.level + 1,
                progress.levels,
                progress.iteration,
                losses.total,
                losses.content,
                losses.style,
                losses.variation
            ));
            if let Some(folder) = &args.frames {
                let name = format!("level-{}-{:05}.png", progress.level + 1, progress.iteration);
                let path = folder.join(name);
                write(
                    &path,
                    &progress.picture(),
                    Encoding::PNG,
                    &Embedded::default(),
                )?;
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let made = stylist.apply_to_file(&args.content, Seed::new(args.seed), &mut watch)?;
    let software = format!("fonds {}", env!("CARGO_PKG_VERSION"));
    let embedded = Embedded {
        xmp: Some(&made.xmp),
        software: Some(&software),
        ..Embedded::default()
    };
    write(&args.out, &made.raster, encoding, &embedded)?;
    let summary = &made.change.summary;
    report::line(&format!("{summary} -> {}", args.out.display()));
    Ok(Exit::Done)
}

/// What was typed, for the library.
fn asked(args: &StylizeArgs) -> Stylize {
    let mut asked = Stylize {
        method: match args.method {
            StylizeBy::Gatys => StylizeMethod::Gatys,
            StylizeBy::Feedforward => StylizeMethod::Feedforward,
            StylizeBy::Adain => StylizeMethod::Adain,
        },
        styles: args.style.clone(),
        masks: args.mask.clone(),
        scales: args.scales.clone(),
        model: Some(args.model.clone()),
        decoder: args.decoder.clone(),
        strength: args.strength,
        ..Stylize::default()
    };
    let settings = &mut asked.settings;
    settings.keep_colors = match args.colors {
        StylizeColors::Style => KeepColors::No,
        StylizeColors::Luma => KeepColors::Luma,
        StylizeColors::Matched => KeepColors::Matched,
    };
    settings.start = match args.start {
        StylizeStart::Content => Start::Content,
        StylizeStart::Noise => Start::Noise,
        StylizeStart::Style => Start::Style,
    };
    settings.color_on_gray = args.color_on_gray;
    let weights = &mut settings.weights;
    weights.alpha = args.alpha.unwrap_or(weights.alpha);
    weights.beta = args.beta.unwrap_or(weights.beta);
    weights.variation = args.variation.unwrap_or(weights.variation);
    settings.iterations = args.iterations.unwrap_or(settings.iterations);
    if args.adam {
        settings.method = Method::Adam { rate: 0.02 };
    }
    if let Some(size) = args.size {
        settings.size = size;
        asked.style_size = size;
    }
    asked
}

/// The encoding that a file's name asks for.
fn encoding(path: &Path) -> Result<Encoding, Error> {
    let extension = path
        .extension()
        .and_then(|text| text.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "png" => Ok(Encoding::PNG),
        "jpg" | "jpeg" => Ok(Encoding::JPEG),
        "tif" | "tiff" => Ok(Encoding::TIFF),
        "webp" => Ok(Encoding::WEBP),
        _ => {
            let message = format!("`{}` names no format", path.display());
            let error = Error::new(Code::InvalidRequest, message);
            Err(error.hint("end the name in .png, .jpg, .tif or .webp"))
        }
    }
}

/// Writes beside the place and renames, so that there is never half a picture.
fn write(
    path: &Path,
    raster: &Raster,
    encoding: Encoding,
    embedded: &Embedded<'_>,
) -> Result<(), Error> {
    let failed =
        |error| Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path);
    let beside = path.with_extension("part");
    let file = File::create(&beside).map_err(failed)?;
    let mut file = std::io::BufWriter::new(file);
    encode(raster, &encoding, embedded, &mut file).map_err(|error| error.at_path(path))?;
    drop(file);
    fs::rename(&beside, path).map_err(failed)
}
