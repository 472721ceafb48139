//! What a training run tells: a progress bar and lines for people, JSON for programs.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fonds_pipeline::{TrainEvent, TrainStop};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json as object};

/// How often losses are printed where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Writes events for people.
#[derive(Debug)]
pub(crate) struct Progress {
    quiet: bool,
    bar: ProgressBar,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    printed: Instant,
    /// Steps before this run, and all that are to be taken.
    done: u64,
    steps: u64,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        let style = "{bar:30} {human_pos}/{human_len} steps  {msg}  {eta} left";
        let style = ProgressStyle::with_template(style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Self {
            quiet,
            bar,
            state: Mutex::new(State {
                started: now,
                printed: now,
                done: 0,
                steps: 0,
            }),
        }
    }

    pub(crate) fn event(&self, event: &TrainEvent) {
        match event {
            TrainEvent::Started {
                name,
                done,
                steps,
                networks,
                pictures,
                skipped,
                device,
            } => {
                self.begin(*done, *steps);
                let networks = networks.iter().map(|(name, parameters)| {
                    format!("{name} ({} parameters)", HumanCount(*parameters as u64))
                });
                let networks = networks.collect::<Vec<_>>().join(", ");
                self.say(&format!("{name}: {networks}"));
                let mut text = format!("{pictures} pictures");
                if *skipped > 0 {
                    let _ = write!(text, " ({skipped} left out, see skipped.csv)");
                }
                let _ = write!(text, ", {steps} steps on {device}");
                if *done > 0 {
                    let _ = write!(text, ", {done} taken before");
                }
                self.say(&text);
            }
            TrainEvent::Note { message } => self.say(message),
            TrainEvent::PassedOver { path, why } => {
                self.complain(&format!(
                    "warning: {} cannot be used ({why}); trying the one before it",
                    path.display()
                ));
            }
            TrainEvent::Step { step, terms, .. } => self.step(*step, terms),
            TrainEvent::Sampled { .. } => {}
            TrainEvent::Measured { step, figures } => {
                self.say(&format!("step {step}: {}", figures_text(figures)));
            }
            TrainEvent::Warning {
                step,
                kind,
                message,
            } => {
                let kind = kind.as_str();
                self.complain(&format!("warning: step {step}: {message} [{kind}]"));
            }
            TrainEvent::Saved { step, path } => {
                self.say(&format!("step {step}: saved {}", path.display()));
            }
            TrainEvent::Exported { path } => self.say(&format!("wrote {}", path.display())),
            TrainEvent::Ended { step, stop, output } => {
                self.bar.finish_and_clear();
                let output = output.display();
                super::line(&match stop {
                    None => format!("{step} steps taken -> {output}/models"),
                    Some(stop) => {
                        format!("stopped after {step} steps ({}) -> {output}", why(*stop))
                    }
                });
            }
        }
    }

    fn begin(&self, done: u64, steps: u64) {
        let now = Instant::now();
        self.bar.set_length(steps);
        self.bar.set_position(done);
        self.bar.reset_eta();
        if let Ok(mut state) = self.state.lock() {
            *state = State {
                started: now,
                printed: now,
                done,
                steps,
            };
        }
    }

    fn step(&self, step: u64, terms: &[(&'static str, f64)]) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let seconds = state.started.elapsed().as_secs_f64().max(1e-3);
        let rate = (step - state.done) as f64 / seconds;
        let losses = figures_text(terms);
        self.bar.set_position(step);
        self.bar.set_message(format!("{losses}  {rate:.2}/s"));
        if self.quiet || !self.bar.is_hidden() || state.printed.elapsed() < PLAIN_EVERY {
            return;
        }
        state.printed = Instant::now();
        let steps = state.steps;
        let left = Duration::from_secs_f64((steps - step) as f64 / rate.max(1e-6));
        let left = indicatif::HumanDuration(left);
        super::error_line(&format!(
            "step {step} of {steps}: {losses}  {rate:.2} steps/s, {left} left"
        ));
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

fn figures_text(figures: &[(&'static str, f64)]) -> String {
    let texts = figures
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"));
    texts.collect::<Vec<_>>().join("  ")
}

fn why(stop: TrainStop) -> &'static str {
    match stop {
        TrainStop::Interrupted => "interrupted; go on with --resume",
        TrainStop::Limit => "as asked; go on with --resume",
        TrainStop::NotFinite => "a loss or a weight was no finite number",
        TrainStop::Warned => "a watchman warned and on_warning is \"stop\"; go on with --resume",
    }
}

/// An event as a JSON object.
pub(crate) fn json(event: &TrainEvent) -> Value {
    match event {
        TrainEvent::Started {
            name,
            done,
            steps,
            networks,
            pictures,
            skipped,
            device,
        } => {
            let networks = networks
                .iter()
                .map(|(name, count)| (name.clone(), object!(count)));
            object!({
                "event": "started", "name": name, "done": done, "steps": steps,
                "networks": networks.collect::<Map<_, _>>(), "pictures": pictures,
                "skipped": skipped, "device": device,
            })
        }
        TrainEvent::Note { message } => object!({ "event": "note", "message": message }),
        TrainEvent::PassedOver { path, why } => object!({
            "event": "passed_over", "path": path.display().to_string(), "why": why,
        }),
        TrainEvent::Step { step, terms, took } => object!({
            "event": "step", "step": step, "terms": figures(terms),
            "seconds": (took.as_secs_f64() * 1e6).round() / 1e6,
        }),
        TrainEvent::Sampled { step, path } => object!({
            "event": "sampled", "step": step, "path": path.display().to_string(),
        }),
        TrainEvent::Measured {
            step,
            figures: found,
        } => object!({
            "event": "measured", "step": step, "figures": figures(found),
        }),
        TrainEvent::Warning {
            step,
            kind,
            message,
        } => object!({
            "event": "warning", "step": step, "kind": kind.as_str(), "message": message,
        }),
        TrainEvent::Saved { step, path } => object!({
            "event": "saved", "step": step, "path": path.display().to_string(),
        }),
        TrainEvent::Exported { path } => object!({
            "event": "exported", "path": path.display().to_string(),
        }),
        TrainEvent::Ended { step, stop, output } => object!({
            "event": "ended", "step": step, "stop": stop.map(TrainStop::as_str),
            "output": output.display().to_string(),
        }),
    }
}

fn figures(found: &[(&'static str, f64)]) -> Map<String, Value> {
    let entries = found
        .iter()
        .map(|(name, value)| ((*name).to_owned(), object!(value)));
    entries.collect()
}
