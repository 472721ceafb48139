//! The first page: what became of the archive, in figures and charts.

use std::collections::BTreeMap;

use fonds_core::{Code, Error, Result};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::chart::{self, Bar, Histogram, Measure, bars, histogram, share};
use super::read::{Picture, likeness};
use super::sheet::{How, operations};
use super::write::ReportFacts;
use crate::profiles::encode_path;
use crate::run_file::RunFile;
use crate::status::Status;

/// How many pictures are named for each reason of failure.
const EXAMPLES: usize = 4;

const MEASURES: [Measure; 7] = [
    Measure {
        key: "seconds",
        title: "Time per picture",
        unit: "s",
        about: "from reading to the last byte encoded",
        logarithmic: true,
    },
    Measure {
        key: "ssim",
        title: "Likeness to the original",
        unit: "SSIM",
        about: "of the step that changed most; 1 is equal",
        logarithmic: false,
    },
    Measure {
        key: "psnr",
        title: "Signal to noise against the original",
        unit: "dB",
        about: "of the step that changed most; high is close",
        logarithmic: false,
    },
    Measure {
        key: "blur",
        title: "Sharpness",
        unit: "",
        about: "variance of the Laplacian; low is blurred",
        logarithmic: true,
    },
    Measure {
        key: "noise",
        title: "Noise",
        unit: "of 255",
        about: "estimated standard deviation",
        logarithmic: false,
    },
    Measure {
        key: "clipped",
        title: "Clipped samples",
        unit: "%",
        about: "at the ends of the range",
        logarithmic: false,
    },
    Measure {
        key: "damaged",
        title: "Damage found",
        unit: "%",
        about: "of the pixels, where a step of repair looked",
        logarithmic: false,
    },
];

/// What is counted while pictures go by.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pictures: u64,
    derivatives: u64,
    statuses: BTreeMap<&'static str, u64>,
    formats: BTreeMap<String, u64>,
    flags: BTreeMap<&'static str, u64>,
    steps: BTreeMap<String, [u64; 3]>,
    reasons: BTreeMap<String, Reason>,
    values: [Vec<f64>; MEASURES.len()],
    bytes: u64,
    pixels: u64,
}

#[derive(Debug, Default, Serialize)]
struct Reason {
    code: String,
    count: u64,
    /// Number in the sheet, title and message of some of them.
    examples: Vec<(usize, String, String)>,
}

#[derive(Debug, Serialize)]
struct StepBar {
    operation: String,
    acted: u64,
    refused: u64,
    left: u64,
    acted_percent: f64,
    refused_percent: f64,
    filter: String,
}

impl Overview {
    pub(super) fn count(&mut self, index: usize, picture: &Picture) {
        let record = &picture.record;
        self.pictures += 1;
        self.derivatives += picture.versions.len() as u64;
        *self.statuses.entry(record.status.as_str()).or_default() += 1;
        // Pages share the size of their file.
        if picture.page == 1 {
            self.bytes += record.file_size.unwrap_or(0);
        }
        let size = record.image_width.zip(record.image_height);
        self.pixels += size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
        if record.status != Status::Skipped {
            let format = if record.format.is_empty() {
                "unknown"
            } else {
                &record.format
            };
            *self.formats.entry(format.to_owned()).or_default() += 1;
        }
        for flag in &record.quality_flags {
            *self.flags.entry(flag.as_str()).or_default() += 1;
        }
        for (operation, how) in operations(picture) {
            let counts = self.steps.entry(operation.to_owned()).or_default();
            counts[how as usize] += 1;
        }
        if record.status == Status::Failed {
            let code = record.error_code.map_or("unknown", |code| code.as_str());
            let reason = self.reasons.entry(code.to_owned()).or_default();
            code.clone_into(&mut reason.code);
            reason.count += 1;
            if reason.examples.len() < EXAMPLES {
                let message = record.error_message.clone();
                reason
                    .examples
                    .push((index, record.filename.clone(), message));
            }
        }
        let (ssim, psnr) = likeness(picture);
        let values = [
            picture.seconds,
            ssim,
            psnr,
            record.blur_score,
            record.noise_score,
            record.clipped_percent,
            record.damaged_percent,
        ];
        for (list, value) in self.values.iter_mut().zip(values) {
            list.extend(value);
        }
    }

    /// The page.
    pub(super) fn page(self, run: Option<&RunFile>, facts: &ReportFacts) -> Result<String> {
        let statuses = self.status_bars();
        let histograms: Vec<Histogram> = MEASURES
            .iter()
            .zip(self.values)
            .filter_map(|(measure, values)| histogram(measure, values))
            .collect();
        let formats = bars(self.formats, |format| {
            format!("format={}", encode_path(format))
        });
        let flags = self.flags.into_iter();
        let flags = flags.map(|(flag, count)| (flag.to_owned(), count));
        let flags = bars(flags, |flag| format!("flag={flag}"));
        let steps = step_bars(self.steps);
        let mut reasons: Vec<_> = self.reasons.into_values().collect();
        reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates
            .add_template("index.html", include_str!("assets/index.html"))
            .map_err(bad_template)?;
        let page = templates.get_template("index.html").map_err(bad_template)?;
        page.render(context! {
            facts => facts,
            made => moment(&facts.made_at),
            run => run.map(RunFacts::of),
            pictures => grouped(self.pictures),
            derivatives => grouped(self.derivatives),
            size => bytes(self.bytes),
            megapixels => chart::number(self.pixels as f64 / 1e6),
            statuses => statuses,
            formats => formats,
            flags => flags,
            steps => steps,
            reasons => reasons,
            histograms => histograms,
        })
        .map_err(bad_template)
    }

    /// The parts of the whole, in the order of the statuses.
    fn status_bars(&self) -> Vec<Bar> {
        let found = Status::ALL.into_iter().map(Status::as_str);
        let counted = found.filter_map(|status| Some((status, *self.statuses.get(status)?)));
        counted
            .map(|(status, count)| Bar {
                label: status.to_owned(),
                count,
                percent: share(count, self.pictures),
                filter: format!("status={status}"),
                kind: status.to_owned(),
            })
            .collect()
    }
}

/// What the page says of the run.
#[derive(Debug, Serialize)]
struct RunFacts<'a> {
    plan: &'a str,
    input: &'a str,
    run_id: &'a str,
    started: String,
    finished: String,
    finished_at: &'a str,
    duration: String,
    command: String,
    tool: String,
    config: String,
    memory: String,
    environment: Vec<(&'static str, String)>,
    models: Vec<[String; 5]>,
    warnings: &'a [String],
    stopped: &'a str,
    files: String,
}

impl<'a> RunFacts<'a> {
    fn of(run: &'a RunFile) -> Self {
        let seconds = run.timings.get("total_seconds").copied();
        let environment = &run.environment;
        let threads = environment.threads.to_string();
        let entries = [
            ("System", environment.os.clone()),
            ("Processor", environment.cpu.clone()),
            ("Networks ran on", environment.device.clone()),
            ("Instructions", environment.kernel.clone()),
            ("Workers", threads),
        ];
        let models = run.models.iter().map(|model| {
            [
                model.name.clone(),
                model.version.clone(),
                model.sha256.0.to_string(),
                model.licence.clone(),
                model.training_data.clone(),
            ]
        });
        let tool = run.tool.as_ref();
        Self {
            plan: &run.plan,
            input: &run.input,
            run_id: &run.run_id,
            started: moment(&run.started_at),
            finished: moment(&run.finished_at),
            finished_at: &run.finished_at,
            duration: seconds.map(duration).unwrap_or_default(),
            command: run.argv.join(" "),
            tool: tool.map_or_else(String::new, |tool| {
                format!("{} {}", tool.name, tool.version)
            }),
            config: run
                .config_sha256
                .map_or_else(String::new, |digest| digest.0.to_string()),
            memory: run.peak_rss_bytes.map(bytes).unwrap_or_default(),
            environment: entries
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .collect(),
            models: models.collect(),
            warnings: &run.warnings,
            stopped: run.stopped.as_deref().unwrap_or_default(),
            files: grouped(run.counts.files),
        }
    }
}

fn step_bars(steps: BTreeMap<String, [u64; 3]>) -> Vec<StepBar> {
    let most = steps
        .values()
        .map(|counts| counts.iter().sum())
        .max()
        .unwrap_or(1);
    let mut bars: Vec<_> = steps
        .into_iter()
        .map(|(operation, counts)| StepBar {
            filter: format!("operation={}", encode_path(&operation)),
            operation,
            acted: counts[How::Acted as usize],
            refused: counts[How::Refused as usize],
            left: counts[How::LeftAlone as usize],
            acted_percent: share(counts[How::Acted as usize], most),
            refused_percent: share(counts[How::Refused as usize], most),
        })
        .collect();
    bars.sort_by(|a, b| {
        b.acted
            .cmp(&a.acted)
            .then_with(|| a.operation.cmp(&b.operation))
    });
    bars
}

fn bad_template(error: minijinja::Error) -> Error {
    Error::new(Code::Internal, "a page of the report cannot be made").caused_by(error)
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn bytes(size: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", chart::number(value), units[unit])
}

/// A moment as people write it: `2026-11-25T15:03:35Z` is `25 November 2026, 15:03 UTC`. What is of
/// another form stays as it is.
fn moment(text: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let read = || {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let mut parts = date.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        let day = day.parse::<u8>().ok()?;
        Some(format!("{day} {month} {year}, {} UTC", time.get(..5)?))
    };
    read().unwrap_or_else(|| text.to_owned())
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole < 60 {
        return format!("{} s", chart::number(seconds));
    }
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours} h {minutes} min")
    } else {
        format!("{minutes} min {seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_words() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(moment("2026-11-05T15:03:35Z"), "5 November 2026, 15:03 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(duration(6.6), "6.6 s");
        assert_eq!(duration(3725.0), "1 h 2 min");
        assert_eq!(
            encode_path("image/jpeg; \"ü\""),
            "image/jpeg%3B%20%22%C3%BC%22"
        );
    }
}
