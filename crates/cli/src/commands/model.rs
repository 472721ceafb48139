//! `fonds model`: which network a file of weights holds, and what it needs.

use std::path::{Path, PathBuf};

use fonds_catalog::write_file;
use fonds_core::Error;
use fonds_nn::network::{Colors, Enlargement, Extra, Interface, Range};
use fonds_pipeline::{NetworkOptions, Networks, PackOptions, pack};
use fonds_restore::zoo::{Description, Options, Recognized};
use indicatif::HumanBytes;
use serde_json::{Map, Value, json};

use crate::args::{ModelCommand, PackArgs};
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn model(command: &ModelCommand) -> Outcome {
    let networks = Networks::new(NetworkOptions::default());
    match command {
        ModelCommand::Inspect { files, entry, json } => {
            Ok(inspect(&networks, files, entry.as_deref(), *json))
        }
        ModelCommand::List { folder: None } => list_shipped(),
        ModelCommand::List {
            folder: Some(folder),
        } => list(&networks, folder),
        ModelCommand::Pack(args) => pack_file(&networks, args),
    }
}

/// Describes each file; those that are wrong do not keep the others from being shown.
fn inspect(networks: &Networks, files: &[PathBuf], entry: Option<&str>, as_json: bool) -> Exit {
    let mut exit = Exit::Done;
    for (index, path) in files.iter().enumerate() {
        let file = path.to_string_lossy();
        let found = networks.recognize(&file, entry, &Options::default());
        if found.is_err() {
            exit = Exit::Model;
        }
        match found {
            Ok(found) if as_json => report::line(&object(&file, &found).to_string()),
            Ok(found) => {
                if index > 0 {
                    report::line("");
                }
                report::line(&file);
                for (name, value) in lines(&found) {
                    report::line(&format!("  {name:<20} {value}"));
                }
            }
            Err(error) if as_json => report::line(&failure(&file, &error).to_string()),
            Err(error) => report::errors(&[error]),
        }
    }
    exit
}

fn failure(file: &str, error: &Error) -> Value {
    json!({
        "file": file, "error": error.code().as_str(), "message": error.message(),
        "hints": error.hints(),
    })
}

/// All that is known, for people.
fn lines(found: &Recognized) -> Vec<(String, String)> {
    let summary = found.summary();
    let mut lines = vec![("architecture".to_owned(), summary.architecture.to_owned())];
    let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
    for (name, value) in &summary.details {
        line(name, value.clone());
    }
    match found.description() {
        Ok(description) => {
            for (name, value) in shape(&description) {
                line(name, value);
            }
            line("content", content(found, summary.generative).to_owned());
        }
        Err(error) => line("use", error.message().to_owned()),
    }
    line("parameters", summary.parameters.to_string());
    line("file", summary.container.to_string());
    if !summary.path_taken.is_empty() {
        line("unwrapped", summary.path_taken.join("; "));
    }
    for (name, value) in [
        ("title", summary.title),
        ("author", summary.author),
        ("training data", summary.training_data),
        (
            "licence",
            Some(
                summary
                    .licence
                    .unwrap_or_else(|| "not stated in the file".to_owned()),
            ),
        ),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("sha256", summary.sha256.to_string());
    lines
}

/// Whether it makes content up, and how that is known.
fn content(found: &Recognized, stated: Option<bool>) -> &'static str {
    match (stated, Networks::makes_up(found)) {
        (Some(true), _) => "made up in part (generative), by what the file says",
        (Some(false), _) => "corrected, not made up, by what the file says",
        (None, true) => "taken to be made up (generative), unless the pipeline says otherwise",
        (None, false) => "taken to be corrected, not made up, unless the pipeline says otherwise",
    }
}

/// What goes in and out, and what it costs.
fn shape(description: &Description) -> Vec<(&'static str, String)> {
    let Description {
        interface,
        geometry,
        ..
    } = description;
    let (up, down) = description.scale;
    let scale = match (interface.enlargement, down) {
        (Enlargement::Before, _) => "any: sharpens what was enlarged before".to_owned(),
        (_, 1) => format!("×{up}"),
        (_, down) => format!("×{up}/{down}"),
    };
    let mut size = match geometry.multiple_of {
        1 => "any".to_owned(),
        step => format!("multiples of {step}; others are padded"),
    };
    if interface.min_side > 1 {
        size.push_str(&format!(", at least {} pixels", interface.min_side));
    }
    let field = match (geometry.halo, geometry.block_halo) {
        (Some(halo), Some(block)) => {
            format!("{halo} pixels to each side ({block} for tiles exact to the bit)")
        }
        _ => "the whole picture".to_owned(),
    };
    let bytes = geometry.bytes_per_pixel;
    let work = geometry.operations_per_pixel / 1e3;
    vec![
        ("scale", scale),
        ("takes", taken(interface)),
        (
            "gives",
            format!(
                "{}, {}",
                channels(geometry.out_channels),
                range(interface.output)
            ),
        ),
        ("size", size),
        ("receptive field", field),
        ("work", format!("{work:.1} kFLOP for a pixel of the input")),
        (
            "memory",
            format!("{} for a pixel of a tile", HumanBytes(bytes as u64)),
        ),
    ]
}

fn taken(interface: &Interface) -> String {
    let colors = match interface.colors {
        Colors::Rgb => "RGB",
        Colors::Luma => "gray, or the luma of RGB",
        Colors::VideoLuma => "gray, or the luma of RGB (16 to 235)",
    };
    let extra = match interface.extra {
        Extra::None => "",
        Extra::NoiseLevel => ", and how strong the noise is",
        Extra::Mask => ", and a mask of what to fill",
    };
    format!("{colors}, {}{extra}", range(interface.input))
}

fn channels(count: usize) -> String {
    match count {
        1 => "one channel".to_owned(),
        3 => "RGB".to_owned(),
        count => format!("{count} channels"),
    }
}

fn range(range: Range) -> &'static str {
    match range {
        Range::Unit => "0 to 1",
        Range::Signed => "-1 to 1",
        Range::Byte => "0 to 255",
    }
}

/// All that is known, for programs.
fn object(file: &str, found: &Recognized) -> Value {
    let summary = found.summary();
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("file", json!(file));
    put("architecture", json!(summary.architecture));
    let details = summary.details.iter();
    let details = details.map(|(name, value)| ((*name).to_owned(), json!(value)));
    put("details", Value::Object(details.collect()));
    if let Ok(description) = found.description() {
        let Description {
            interface,
            geometry,
            ..
        } = &description;
        let before = interface.enlargement == Enlargement::Before;
        let (up, down) = description.scale;
        let scale = if before {
            Value::Null
        } else {
            json!(up as f64 / down as f64)
        };
        put(
            "scale",
            if down == 1 && !before {
                json!(up)
            } else {
                scale
            },
        );
        put("in_channels", json!(interface.in_channels()));
        put("out_channels", json!(geometry.out_channels));
        put("input_range", json!(range(interface.input)));
        put("output_range", json!(range(interface.output)));
        put("noise_level", json!(interface.extra == Extra::NoiseLevel));
        put("mask", json!(interface.extra == Extra::Mask));
        put("multiple_of", json!(geometry.multiple_of));
        put("min_side", json!(interface.min_side));
        put("halo", json!(geometry.halo));
        put("exact_halo", json!(geometry.block_halo));
        put("operations_per_pixel", json!(geometry.operations_per_pixel));
        put("bytes_per_pixel", json!(geometry.bytes_per_pixel));
        put("generative", json!(Networks::makes_up(found)));
    }
    put("parameters", json!(summary.parameters));
    put("container", json!(summary.container.to_string()));
    put("unwrapped", json!(summary.path_taken));
    put("title", json!(summary.title));
    put("author", json!(summary.author));
    put("licence", json!(summary.licence));
    put("training_data", json!(summary.training_data));
    put("sha256", json!(summary.sha256.to_string()));
    Value::Object(object)
}

/// The files of a folder whose networks are known, as a table; the others on standard error.
fn list(networks: &Networks, folder: &Path) -> Outcome {
    let mut rows =
        vec![["file", "architecture", "scale", "parameters", "licence"].map(str::to_owned)];
    for (path, found) in networks.list(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match found {
            Ok(found) => rows.push(row(name, &found)),
            Err(error) => report::error_line(&format!("{name}: {}", error.detail())),
        }
    }
    if rows.len() == 1 {
        report::error_line(&format!(
            "{}: no weights that fonds knows",
            folder.display()
        ));
        return Ok(Exit::Done);
    }
    table(&rows);
    Ok(Exit::Done)
}

/// The networks that are compiled in, as a table.
fn list_shipped() -> Outcome {
    let titles = [
        "name",
        "kind",
        "architecture",
        "scale",
        "parameters",
        "bytes",
        "sha256",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    for (model, found) in Networks::shipped() {
        let found = found?;
        let [name, architecture, scale, parameters, _] = row(model.name.to_owned(), &found);
        rows.push([
            name,
            model.kind.to_owned(),
            architecture,
            scale,
            parameters,
            model.bytes.len().to_string(),
            found.summary().sha256.to_string(),
        ]);
    }
    if rows.len() == 1 {
        report::error_line("this build has no networks compiled in");
        return Ok(Exit::Done);
    }
    table(&rows);
    Ok(Exit::Done)
}

/// Rows whose columns are aligned.
fn table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        report::line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Writes the packed file and says what is in it.
fn pack_file(networks: &Networks, args: &PackArgs) -> Outcome {
    let stem = args.out.file_stem().unwrap_or_default();
    let title = args.title.clone();
    let packed = pack(
        networks,
        &args.file.to_string_lossy(),
        &PackOptions {
            entry: args.entry.clone(),
            title: title.unwrap_or_else(|| stem.to_string_lossy().into_owned()),
            version: args.version.clone(),
            author: args.author.clone(),
            licence: args.licence.clone(),
            training_data: args.training_data.clone(),
            generative: args.generative,
        },
    )?;
    write_file(&args.out, &packed.bytes)?;
    report::line(&format!(
        "{}: {}, {} values in {} bytes, rounded by at most {:.1e}",
        args.out.display(),
        packed.architecture,
        packed.parameters,
        packed.bytes.len(),
        packed.rounding
    ));
    report::line(&format!("sha256 {}", packed.sha256));
    Ok(Exit::Done)
}

fn row(name: String, found: &Recognized) -> [String; 5] {
    let summary = found.summary();
    let scale = match found.description() {
        Ok(description) if description.interface.enlargement == Enlargement::Before => {
            "any".to_owned()
        }
        Ok(description) => match description.scale {
            (up, 1) => format!("×{up}"),
            (up, down) => format!("×{up}/{down}"),
        },
        Err(_) => "-".to_owned(),
    };
    [
        name,
        summary.architecture.to_owned(),
        scale,
        summary.parameters.to_string(),
        summary.licence.unwrap_or_default(),
    ]
}
