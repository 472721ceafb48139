//! Events as text: a progress bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fonds_pipeline::{Counts, Event, ItemEnd, Stop};
use indicatif::{ProgressBar, ProgressStyle};

/// How often progress is printed where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Writes events for people.
#[derive(Debug)]
pub(crate) struct Human {
    quiet: bool,
    bar: ProgressBar,
    started: Instant,
    pixels: AtomicU64,
    done: AtomicU64,
    selected: AtomicU64,
    printed: Mutex<Instant>,
}

impl Human {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        let style = "{bar:30} {human_pos}/{human_len} files  {msg}  {eta} left";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        let now = Instant::now();
        Self {
            quiet,
            bar,
            started: now,
            pixels: AtomicU64::new(0),
            done: AtomicU64::new(0),
            selected: AtomicU64::new(0),
            printed: Mutex::new(now),
        }
    }

    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Started {
                found,
                selected,
                bytes,
                ..
            } => {
                self.selected.store(*selected, Ordering::Relaxed);
                self.bar.set_length(*selected);
                let size = indicatif::HumanBytes(*bytes);
                self.say(&format!(
                    "{found} files found, {selected} to look at ({size})"
                ));
            }
            Event::Warning { message } => self.complain(&format!("warning: {message}")),
            Event::Finished {
                path, end, pixels, ..
            } => self.finished(path, end, *pixels),
            Event::Stopping { reason } => {
                self.complain(&format!(
                    "stopping: {}; finishing what is in flight",
                    why(*reason)
                ));
            }
            Event::Cataloguing => {
                self.bar.finish_and_clear();
            }
            Event::Reviewed {
                set_aside,
                brought_back,
            } => self.say(&format!(
                "review.csv: {set_aside} derivatives set aside in rejected/, {brought_back} brought back"
            )),
            Event::Ended { counts, output } => {
                self.ended(counts, &output.display().to_string());
            }
        }
    }

    fn finished(&self, path: &str, end: &ItemEnd, pixels: u64) {
        let all = self.pixels.fetch_add(pixels, Ordering::Relaxed) + pixels;
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let ItemEnd::Failed { code, message } = end {
            self.complain(&format!("{path}: {message} [{code}]"));
        }
        let rate = all as f64 / 1e6 / self.started.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{rate:.1} Mpx/s"));
        self.bar.inc(1);
        self.plain_progress(done, rate);
    }

    fn plain_progress(&self, done: u64, rate: f64) {
        if self.quiet || !self.bar.is_hidden() {
            return;
        }
        let Ok(mut printed) = self.printed.lock() else {
            return;
        };
        if printed.elapsed() >= PLAIN_EVERY {
            *printed = Instant::now();
            let selected = self.selected.load(Ordering::Relaxed);
            super::error_line(&format!("{done} of {selected} files, {rate:.1} Mpx/s"));
        }
    }

    fn ended(&self, counts: &Counts, output: &str) {
        let work = counts.processed + counts.up_to_date;
        if counts.processed == 0 && work > 0 {
            self.say(&format!("nothing to do: all {work} files are up to date"));
        } else if counts.up_to_date > 0 {
            let (new, old) = (counts.processed, counts.up_to_date);
            self.say(&format!("{new} files processed, {old} were up to date"));
        }
        if counts.unchanged > 0 {
            let n = counts.unchanged;
            self.say(&format!(
                "{n} files needed nothing done; no derivative was written for them"
            ));
        }
        if counts.cancelled > 0 {
            self.say(&format!(
                "{} files are left to do; run again to go on",
                counts.cancelled
            ));
        }
        let seconds = self.started.elapsed().as_secs_f64();
        self.say(&format!("{seconds:.1} s -> {output}/catalog.csv"));
        super::line(&summary(counts, output));
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| super::error_line(text));
        }
    }

    fn complain(&self, text: &str) {
        self.bar.suspend(|| super::error_line(text));
    }
}

/// The last line of every run.
pub(crate) fn summary(counts: &Counts, output: &str) -> String {
    let ok = counts.ok + counts.unchanged;
    let processed = ok + counts.warning + counts.failed;
    let (warning, skipped, failed) = (counts.warning, counts.skipped, counts.failed);
    format!(
        "processed {processed}, ok {ok}, warning {warning}, skipped {skipped}, failed {failed} \
         -> {output}/failed.csv"
    )
}

/// A reason to stop, in words.
pub(crate) fn why(reason: Stop) -> &'static str {
    match reason {
        Stop::Interrupted => "interrupted",
        Stop::FirstError => "a file failed and on_error is \"abort\"",
        Stop::FailureRate => "more files failed than max_failure_rate allows",
        Stop::OutputFailed => "the output cannot be written",
        Stop::Existing => "a derivative's place is taken and on_existing is \"abort\"",
    }
}
