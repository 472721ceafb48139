//! `fonds eval`: a network, or a folder of samples, measured, as a table and as CSV.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error};
use fonds_pipeline::{
    EvalOptions, EvalRow, Evaluation, Networks, Scores, SetOptions, compare_sets, evaluate,
};

use crate::args::{EvalArgs, Metric, Other};
use crate::exit::{Exit, Outcome};
use crate::{commands, report};

/// All metrics, in the order of their columns.
const ALL: [Metric; 5] = [
    Metric::PsnrY,
    Metric::SsimY,
    Metric::Psnr,
    Metric::Ssim,
    Metric::Lpips,
];

pub(crate) fn eval(args: &EvalArgs) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    commands::threads(threads)?;
    if let Some(samples) = &args.samples {
        return sets(args, samples);
    }
    let options = EvalOptions {
        model: args.model.clone().unwrap_or_default(),
        entry: args.entry.clone(),
        data: args.data.clone(),
        input: args.input.clone(),
        scale: args.scale.map(usize::from),
        border: args.border,
        noise: args.sigma,
        pictures: args.pictures.clone(),
        bicubic: args.compare.contains(&Other::Bicubic),
        untouched: args.compare.contains(&Other::Input),
        rounded: args.rounded,
        features: args.features.clone(),
        heads: args.heads.clone(),
    };
    let networks = Networks::new(args.networks.options(PathBuf::new()));
    let metrics = metrics(args)?;
    let found = evaluate(&networks, &options, |row| {
        if args.pictures.is_none() {
            report::error_line(&format!(
                "{} in {:.1} s",
                row.picture,
                row.took.as_secs_f64()
            ));
        }
    })?;
    let made = if args.pictures.is_some() {
        "made"
    } else {
        "network"
    };
    report::raw(&table(&found, &metrics, made));
    worse(&found);
    if let Some(path) = &args.csv {
        write(path, &csv(&found, &metrics, made))?;
    }
    Ok(Exit::Done)
}

/// Says how many pictures are further from their originals than what was given.
fn worse(found: &Evaluation) {
    let pairs = found.rows.iter();
    let pairs = pairs.filter_map(|row| Some((row.made.psnr, row.input?.psnr)));
    let pairs: Vec<(f64, f64)> = pairs.collect();
    if pairs.is_empty() {
        return;
    }
    let worse = pairs.iter().filter(|(made, input)| made < input).count();
    report::line(&format!(
        "\n{worse} of {} pictures have a lower psnr than their input",
        pairs.len()
    ));
}

/// What is measured: what was asked for, or all that can be.
fn metrics(args: &EvalArgs) -> Result<Vec<Metric>, Error> {
    let asked = args.features.is_some() || args.metric.contains(&Metric::Lpips);
    if args.heads.is_none() && asked {
        let message = "LPIPS was asked for without its weights";
        let error = Error::new(Code::InvalidRequest, message);
        return Err(error.hint("give SqueezeNet 1.1 by --features and LPIPS' weights by --heads"));
    }
    if !args.metric.is_empty() {
        return Ok(args.metric.clone());
    }
    let possible = |metric: &Metric| *metric != Metric::Lpips || args.heads.is_some();
    Ok(ALL.into_iter().filter(possible).collect())
}

/// Samples against data, as a set.
fn sets(args: &EvalArgs, samples: &Path) -> Outcome {
    let found = compare_sets(&SetOptions {
        samples: samples.to_owned(),
        data: args.data.clone(),
        features: args.features.clone(),
        heads: args.heads.clone(),
        size: args.size as usize,
        limit: args.limit as usize,
    })?;
    let (made, real) = found.counts;
    let mut rows = vec![
        ("frechet", found.distance.frechet),
        ("kernel", found.distance.kernel),
        ("spread", found.distance.spread),
    ];
    if let Some(close) = found.closeness {
        rows.push(("nearest_median", close.median));
        rows.push(("nearest_least", close.least));
    }
    if let Some((made, real)) = found.diversity {
        rows.push(("lpips_samples", made));
        rows.push(("lpips_data", real));
    }
    report::line(&format!(
        "{made} samples against {real} pictures, by {}\n",
        found.features
    ));
    let mut text = "figure,value\n".to_owned();
    for (name, value) in rows {
        report::line(&format!("{name:<16} {value:>12.5}"));
        text.push_str(&format!("{name},{value}\n"));
    }
    if let Some(path) = &args.csv {
        write(path, &text)?;
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
    })
}

/// The name of a metric's column.
fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::PsnrY => "psnr_y",
        Metric::SsimY => "ssim_y",
        Metric::Psnr => "psnr",
        Metric::Ssim => "ssim",
        Metric::Lpips => "lpips",
    }
}

/// A figure as it is stated: decibels with two digits, similarities with four.
fn figure(metric: Metric, scores: &Scores) -> String {
    match metric {
        Metric::PsnrY => format!("{:.2}", scores.psnr_y),
        Metric::SsimY => format!("{:.4}", scores.ssim_y),
        Metric::Psnr => format!("{:.2}", scores.psnr),
        Metric::Ssim => format!("{:.4}", scores.ssim),
        Metric::Lpips => scores
            .lpips
            .map_or_else(String::new, |lpips| format!("{lpips:.4}")),
    }
}

/// A name, and its figures of a picture.
type Way = (&'static str, fn(&EvalRow) -> Option<Scores>);

/// What is measured on each picture, under its name.
fn ways(found: &Evaluation, made: &'static str) -> Vec<Way> {
    let mut ways: Vec<Way> = vec![(made, |row| Some(row.made))];
    if found.rows.iter().any(|row| row.bicubic.is_some()) {
        ways.push(("bicubic", |row| row.bicubic));
    }
    if found.rows.iter().any(|row| row.input.is_some()) {
        ways.push(("input", |row| row.input));
    }
    ways
}

/// Lines of picture, size, way and figures; the means come last.
fn lines(found: &Evaluation, metrics: &[Metric], made: &'static str) -> Vec<Vec<String>> {
    let figures = |scores: &Scores| {
        metrics
            .iter()
            .map(|&metric| figure(metric, scores))
            .collect()
    };
    let mut lines = Vec::new();
    for (way, scores) in ways(found, made) {
        for row in &found.rows {
            if let Some(scores) = scores(row) {
                let size = format!("{}x{}", row.size.0, row.size.1);
                let mut line = vec![row.picture.clone(), size, way.to_owned()];
                line.append(&mut figures(&scores));
                lines.push(line);
            }
        }
    }
    for (way, scores) in ways(found, made) {
        if let Some(mean) = Scores::mean(found.rows.iter().filter_map(scores)) {
            let mut line = vec!["mean".to_owned(), String::new(), way.to_owned()];
            line.append(&mut figures(&mean));
            lines.push(line);
        }
    }
    lines
}

fn header(metrics: &[Metric]) -> Vec<String> {
    let mut header = ["picture", "size", "by"].map(str::to_owned).to_vec();
    header.extend(metrics.iter().map(|&metric| name(metric).to_owned()));
    header
}

fn table(found: &Evaluation, metrics: &[Metric], made: &'static str) -> String {
    let mut rows = vec![header(metrics)];
    rows.append(&mut lines(found, metrics, made));
    let mut widths = vec![0; rows[0].len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = format!(
        "{}, ×{}, {} pixels left out at each edge\n\n",
        found.name, found.scale, found.border
    );
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0..3 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn csv(found: &Evaluation, metrics: &[Metric], made: &'static str) -> String {
    let mut text = String::new();
    let rows = std::iter::once(header(metrics)).chain(lines(found, metrics, made));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// A cell by RFC 4180.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
