//! The training loop: steps, tables, samples, checkpoints; begun, stopped and resumed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fonds_catalog::write_file;
use fonds_core::{Code, Error, Result};
use fonds_ingest::dataset::{Dataset, Loader};
use fonds_nn::Backend;
use fonds_nn::train::{Batch, DType, Pixels, Terms, Trainer};
use serde_json::json;

use super::chart::{Curve, draw};
use super::event::{TrainEvent, TrainStop};
use super::export::{self, Told};
use super::feed;
use super::folder::{About, Folder};
use super::game::Place;
use super::gauge::Gauge;
use super::grid::{grid, png};
use super::plan::{TrainingPlan, deciding_keys, differences, networks_of};
use super::spec::OnWarning;
use super::table::{Table, number};
use super::tensorboard::EventFile;
use super::watch::{Warning, Watch};
use crate::networks::Networks;
use crate::run::Lock;

/// What is asked of one training run, beside its plan.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Where relative paths of the training file begin: its folder.
    pub folder: PathBuf,
    /// Pictures in the place of those that the file names.
    pub data: Option<PathBuf>,
    /// The run folder; made when missing.
    pub output: PathBuf,
    /// Go on from the newest checkpoint of an earlier run.
    pub resume: bool,
    /// Take no more steps than these in all, counted from the beginning of training.
    pub steps: Option<u64>,
    /// Threads that decode pictures ahead.
    pub workers: usize,
}

/// How a training run ended.
#[derive(Debug)]
pub struct TrainReport {
    /// Steps taken in all.
    pub step: u64,
    /// Why it stopped early, if it did.
    pub stop: Option<TrainStop>,
    /// What was not finite, if that was it: the place, the term, the last good checkpoint.
    pub error: Option<Error>,
}

type Events<'a> = &'a dyn Fn(TrainEvent);

/// Trains.
///
/// # Errors
/// `invalid_request` when the output folder holds a run and `resume` is not asked for, when it is
/// and the run is of another configuration or other pictures, when there are too few pictures or
/// they do not fit; `disk_full` and `write_failed` when the output cannot be written: the last
/// checkpoint is then as it was.
pub fn train(
    plan: &TrainingPlan,
    networks: &Networks,
    options: &TrainOptions,
    cancelled: &AtomicBool,
    events: Events<'_>,
) -> Result<TrainReport> {
    if Folder::has_run(&options.output) && !options.resume {
        let message = "there is a training run in the output folder";
        let error = Error::new(Code::InvalidRequest, message).at_path(&options.output);
        return Err(error.hint("go on with it by `--resume`, or choose another --out"));
    }
    let source = plan.data.located(&options.folder, options.data.as_deref());
    let dataset = Arc::new(Dataset::open(&source, &plan.data.options)?);
    let place = place(networks)?;
    let conditions = if plan.game.is_conditional() {
        dataset.classes().len()
    } else {
        0
    };
    let trainer = plan
        .game
        .trainer(conditions, plan.seed, &options.folder, &place)?;
    enough(&dataset, plan.batch * trainer.batches_per_step())?;
    let folder = Folder::create(&options.output)?;
    let _lock = Lock::take(&folder.state())?;
    folder.sweep()?;
    let parts = Parts {
        dataset,
        conditions,
        folder,
        trainer,
    };
    let mut run = Run::begin(plan, options, parts, events)?;
    let limit = options.steps.unwrap_or(u64::MAX).min(plan.steps);
    events(TrainEvent::Started {
        name: plan.name.clone(),
        done: run.done,
        steps: limit,
        networks: networks_of(&run.trainer.state()?),
        pictures: run.dataset.len(),
        skipped: run.dataset.skipped().len(),
        device: networks.runs_on().map_or_else(String::new, |on| {
            format!("{} {}", on.device, on.kernel).trim().to_owned()
        }),
    });
    if run.done >= limit {
        let message = if run.done >= plan.steps {
            format!("the run is finished: all {} steps were taken", plan.steps)
        } else {
            format!("{} steps were taken already", run.done)
        };
        events(TrainEvent::Note { message });
    }
    let outcome = run.steps(limit, options.workers, cancelled)?;
    let stop = match outcome.stop {
        None if run.done < plan.steps => Some(TrainStop::Limit),
        stop => stop,
    };
    if stop != Some(TrainStop::NotFinite) && run.done > 0 {
        run.export()?;
    }
    events(TrainEvent::Ended {
        step: run.done,
        stop,
        output: options.output.clone(),
    });
    Ok(TrainReport {
        step: run.done,
        stop,
        error: outcome.error,
    })
}

/// That an epoch has as many samples as a step takes.
fn enough(dataset: &Dataset, wanted: usize) -> Result<()> {
    let found = dataset.epoch_len();
    if found >= wanted {
        return Ok(());
    }
    let message = format!("{found} samples are fewer than the {wanted} of a batch");
    Err(Error::new(Code::InvalidRequest, message)
        .hint("give more pictures, take more `patches` of each, or make the batch smaller"))
}

/// Where training takes place: the first of the devices that were asked for.
fn place(networks: &Networks) -> Result<Place> {
    let lanes = networks.lanes()?;
    let found = lanes.backends().next();
    let place = match found {
        Some(Backend::Tensors { device, dtype }) if device.is_cuda() => Place {
            device: device.clone(),
            numbers: (*dtype != DType::F32).then_some(*dtype),
        },
        _ => Place::cpu(),
    };
    Ok(place)
}

/// Why no further step is taken.
#[derive(Debug, Default)]
struct Outcome {
    stop: Option<TrainStop>,
    error: Option<Error>,
}

/// What a run is made of.
struct Parts {
    dataset: Arc<Dataset>,
    /// Classes or attributes that are used.
    conditions: usize,
    folder: Folder,
    trainer: Box<dyn Trainer>,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) plan: &'a TrainingPlan,
    pub(super) dataset: Arc<Dataset>,
    pub(super) folder: Folder,
    pub(super) trainer: Box<dyn Trainer>,
    /// Steps taken.
    pub(super) done: u64,
    /// Steps at the newest checkpoint, when there is one.
    saved: Option<u64>,
    conditions: usize,
    pub(super) data_digest: String,
    pub(super) watch: Watch,
    fixed: Option<Batch>,
    curves: Vec<Curve>,
    /// Losses of the last step that was written down.
    losses: Vec<(String, f64)>,
    table: Table,
    measures: Table,
    /// What samples are held against, once it was needed; nothing where there are too few pictures.
    #[expect(
        clippy::option_option,
        reason = "not looked for yet, looked for in vain, found"
    )]
    gauge: Option<Option<Gauge>>,
    /// Where relative paths of weights begin.
    paths: PathBuf,
    warnings: Table,
    board: EventFile,
    events: Events<'a>,
}

impl<'a> Run<'a> {
    /// The networks as they are after the newest checkpoint, or new.
    fn begin(
        plan: &'a TrainingPlan,
        options: &TrainOptions,
        parts: Parts,
        events: Events<'a>,
    ) -> Result<Self> {
        let Parts {
            dataset,
            conditions,
            folder,
            mut trainer,
        } = parts;
        let data_digest = dataset.digest();
        let found = if options.resume {
            compare_keys(plan, &folder)?;
            newest(&folder, events)?
        } else {
            None
        };
        let mut watch = Watch::new(&plan.watch);
        let mut done = 0;
        if let Some((state, about)) = found {
            check_about(plan, &about, &data_digest, &folder)?;
            trainer.restore(state)?;
            watch = Watch::from_text(&plan.watch, &about.watch)?;
            done = about.step;
        } else {
            if options.resume {
                let message = "there is no checkpoint yet: training begins anew".to_owned();
                events(TrainEvent::Note { message });
            }
            watch.weights(&trainer.state()?)?;
        }
        write_file(&folder.file("train.toml"), plan.text.as_bytes())?;
        let (table, rows) = Table::open(&folder.file("train.csv"), done)?;
        let (warnings, _) = Table::open(&folder.file("warnings.csv"), done)?;
        let (measures, _) = Table::open(&folder.file("measures.csv"), done)?;
        let curves = curves_of(&table.columns(), &rows);
        let losses = last_losses(&table.columns(), &rows);
        let board = EventFile::create(folder.root(), done)?;
        let run = Self {
            plan,
            dataset,
            folder,
            trainer,
            done,
            saved: (done > 0).then_some(done),
            conditions,
            data_digest,
            watch,
            fixed: None,
            curves,
            losses,
            table,
            measures,
            gauge: None,
            paths: options.folder.clone(),
            warnings,
            board,
            events,
        };
        run.note_run()?;
        Ok(run)
    }

    /// Writes `run.json`.
    fn note_run(&self) -> Result<()> {
        let plan = self.plan;
        let mut networks = serde_json::Map::new();
        for (name, count) in networks_of(&self.trainer.state()?) {
            networks.insert(name, json!(count));
        }
        let note = json!({
            "format": "fonds-training-run-1",
            "fonds": env!("CARGO_PKG_VERSION"),
            "name": plan.name,
            "trainer": plan.game.kind(),
            "seed": plan.seed.value(),
            "steps": plan.steps,
            "batch": plan.batch,
            "config_sha256": plan.digest().to_string(),
            "data_sha256": self.data_digest,
            "pictures": self.dataset.len(),
            "classes": self.dataset.classes(),
            "parameters": networks,
            "kernel": fonds_nn::gradient::engine().kernel().as_str(),
        });
        let mut text = serde_json::to_string_pretty(&note).map_err(|error| {
            Error::new(Code::Internal, "run.json cannot be written").caused_by(error)
        })?;
        text.push('\n');
        write_file(&self.folder.file("run.json"), text.as_bytes())
    }

    /// Takes steps up to `limit`.
    fn steps(&mut self, limit: u64, workers: usize, cancelled: &AtomicBool) -> Result<Outcome> {
        if self.done >= limit {
            return Ok(Outcome::default());
        }
        let samples = self.plan.batch * self.trainer.batches_per_step();
        let mut loader = Loader::new(
            Arc::clone(&self.dataset),
            samples,
            self.plan.seed.derive("data").value(),
            self.done,
            workers,
            self.plan.data.cache_bytes,
        );
        while self.done < limit {
            let started = Instant::now();
            let batch = feed::batch(&loader.next()?, self.conditions)?;
            let terms = match self.trainer.step(&batch, self.done) {
                Ok(terms) => terms,
                Err(error) if error.code() == Code::ModelError => {
                    return Ok(self.not_finite(&error));
                }
                Err(error) => return Err(error),
            };
            self.done += 1;
            let step = self.done;
            (self.events)(TrainEvent::Step {
                step,
                terms: terms.iter().collect(),
                took: started.elapsed(),
            });
            let warned = self.look(&terms)?;
            let output = &self.plan.output;
            if output.sample_every > 0 && step.is_multiple_of(output.sample_every) {
                self.sample()?;
            }
            let alarmed = if output.measure_every > 0 && step.is_multiple_of(output.measure_every) {
                self.measure()?
            } else {
                false
            };
            let stop = if cancelled.load(Ordering::SeqCst) {
                Some(TrainStop::Interrupted)
            } else if (warned || alarmed) && self.plan.watch.on_warning == OnWarning::Stop {
                Some(TrainStop::Warned)
            } else {
                None
            };
            let due = step.is_multiple_of(output.checkpoint_every) || step == limit;
            if (due || stop.is_some())
                && let Some(error) = self.save()?
            {
                return Ok(Outcome {
                    stop: Some(TrainStop::NotFinite),
                    error: Some(error),
                });
            }
            if stop.is_some() {
                return Ok(Outcome { stop, error: None });
            }
        }
        Ok(Outcome::default())
    }

    /// A loss or a gradient was no number: nothing is saved, and the last checkpoint is named.
    fn not_finite(&self, error: &Error) -> Outcome {
        let step = self.done + 1;
        let message = format!("step {step}: {}", error.detail());
        let mut found = Error::new(Code::ModelError, message);
        found = match self.saved {
            Some(saved) => {
                let path = self.folder.checkpoint(saved);
                found.hint(format!("the last good checkpoint is {}", path.display()))
            }
            None => found.hint("there is no checkpoint before it"),
        };
        for hint in error.hints() {
            found = found.hint(hint);
        }
        Outcome {
            stop: Some(TrainStop::NotFinite),
            error: Some(found),
        }
    }

    /// Writes down what a step said, and asks the watchmen; whether one of them warns.
    fn look(&mut self, terms: &Terms) -> Result<bool> {
        let step = self.done;
        let verdict = self.trainer.verdict();
        if step.is_multiple_of(self.plan.output.log_every) {
            let factor = self.plan.game.rate_factor(step - 1);
            let mut columns = vec!["step", "rate_factor"];
            let mut cells = vec![step.to_string(), number(factor)];
            let mut scalars = Vec::new();
            self.losses.clear();
            for (name, value) in terms.iter() {
                columns.push(name);
                cells.push(number(value));
                scalars.push((format!("loss/{name}"), value));
                note(&mut self.curves, name, step, value);
                self.losses.push((name.to_owned(), value));
            }
            columns.extend(["verdict_real", "verdict_fake"]);
            for (name, value) in [
                ("verdict_real", verdict.map(|verdict| verdict.real)),
                ("verdict_fake", verdict.map(|verdict| verdict.fake)),
            ] {
                cells.push(value.map(number).unwrap_or_default());
                if let Some(value) = value {
                    scalars.push((format!("verdict/{name}"), value));
                    note(&mut self.curves, name, step, value);
                }
            }
            scalars.push(("rate_factor".to_owned(), factor));
            self.table.line(&columns, &cells)?;
            self.table.flush()?;
            self.board.scalars(step, &scalars)?;
            self.board.flush()?;
        }
        let mut warnings = self.watch.step(step, terms, verdict);
        if self.watch.wants_weights(step) {
            warnings.extend(self.watch.weights(&self.trainer.state()?)?);
        }
        self.warn(&warnings)?;
        Ok(!warnings.is_empty())
    }

    /// Tells of warnings and writes them down.
    pub(super) fn warn(&mut self, warnings: &[Warning]) -> Result<()> {
        let step = self.done;
        for warning in warnings {
            (self.events)(TrainEvent::Warning {
                step,
                kind: warning.alarm,
                message: warning.message.clone(),
            });
            let cells = [
                step.to_string(),
                warning.alarm.as_str().to_owned(),
                number(warning.value),
                number(warning.bound),
                format!("\"{}\"", warning.message.replace('"', "\"\"")),
            ];
            let columns = ["step", "warning", "value", "bound", "message"];
            self.warnings.line(&columns, &cells)?;
            self.warnings.flush()?;
        }
        Ok(())
    }

    /// Writes a grid of samples.
    fn sample(&mut self) -> Result<()> {
        let fixed = match self.fixed.take() {
            Some(fixed) => fixed,
            None => self.fixed_batch()?,
        };
        let shown = self.trainer.show(&fixed)?;
        self.fixed = Some(fixed);
        let rows = shown.iter().map(|row| row.iter().map(Pixels::of).collect());
        let rows: Vec<Vec<Pixels>> = rows.collect::<Result<_>>()?;
        let raster = grid(&rows)?;
        let bytes = png(&raster)?;
        let path = self.folder.sample(self.done);
        write_file(&path, &bytes)?;
        let size = (raster.width() as usize, raster.height() as usize);
        let channels = raster.format().channels();
        self.board
            .image(self.done, "samples", size, channels, &bytes)?;
        self.board.flush()?;
        (self.events)(TrainEvent::Sampled {
            step: self.done,
            path,
        });
        Ok(())
    }

    /// The samples that grids show: of the pictures that were held out, where there are any.
    fn fixed_batch(&self) -> Result<Batch> {
        let held_out = Arc::new(self.dataset.held_out());
        let from = if held_out.is_empty() {
            &self.dataset
        } else {
            &held_out
        };
        let seed = self.plan.seed.derive("fixed").value();
        let samples = feed::fixed(from, self.plan.output.samples, seed);
        feed::batch(&samples, self.conditions)
    }

    /// Writes a checkpoint, the chart, and what was left out. What is not finite is not saved but
    /// returned.
    fn save(&mut self) -> Result<Option<Error>> {
        if self.saved == Some(self.done) {
            return Ok(None);
        }
        let state = self.trainer.state()?;
        if let Some(name) = state.not_finite()? {
            let message = format!("the state `{name}` is not finite");
            let error = Error::new(Code::ModelError, message);
            let mut outcome = self.not_finite(&error.hint("lower the learning rates"));
            return Ok(outcome.error.take());
        }
        self.table.sync()?;
        self.warnings.sync()?;
        self.measures.sync()?;
        let about = About {
            step: self.done,
            config: self.plan.digest().to_string(),
            data: self.data_digest.clone(),
            watch: self.watch.to_text(),
        };
        let path = self.folder.save(&state, &about, self.plan.output.keep)?;
        self.saved = Some(self.done);
        let chart = png(&draw(&self.curves)?)?;
        write_file(&self.folder.file("losses.png"), &chart)?;
        self.note_skipped()?;
        (self.events)(TrainEvent::Saved {
            step: self.done,
            path,
        });
        Ok(None)
    }

    /// Lists the files that could not be used.
    fn note_skipped(&self) -> Result<()> {
        let mut text = "file,why\n".to_owned();
        for skipped in self.dataset.skipped() {
            let cell = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            text.push_str(&format!("{},{}\n", cell(&skipped.name), cell(&skipped.why)));
        }
        write_file(&self.folder.file("skipped.csv"), text.as_bytes())
    }

    /// Measures samples; whether a watchman warns.
    fn measure(&mut self) -> Result<bool> {
        let Some(gauge) = self.gauge()? else {
            return Ok(false);
        };
        let figures = gauge.measure(&*self.trainer);
        self.gauge = Some(Some(gauge));
        let figures = match figures {
            Ok(figures) => figures,
            // Weights that are not finite are found, and told, when they are to be saved.
            Err(error) if error.code() == Code::ModelError => return Ok(false),
            Err(error) => return Err(error),
        };
        let step = self.done;
        let mut columns = vec!["step"];
        let mut cells = vec![step.to_string()];
        let mut scalars = Vec::new();
        for &(name, value) in &figures {
            columns.push(name);
            cells.push(number(value));
            scalars.push((format!("measure/{name}"), value));
        }
        self.measures.line(&columns, &cells)?;
        self.measures.flush()?;
        self.board.scalars(step, &scalars)?;
        self.board.flush()?;
        (self.events)(TrainEvent::Measured {
            step,
            figures: figures.clone(),
        });
        let warnings = match &self.gauge {
            Some(Some(_)) => Gauge::judge(&figures, &mut self.watch),
            _ => Vec::new(),
        };
        self.warn(&warnings)?;
        Ok(!warnings.is_empty())
    }

    /// What samples are held against; taken out, to be put back.
    fn gauge(&mut self) -> Result<Option<Gauge>> {
        if let Some(gauge) = self.gauge.take() {
            if gauge.is_none() {
                self.gauge = Some(None);
            }
            return Ok(gauge);
        }
        let gauge = Gauge::new(self.plan, &self.dataset, self.conditions, &self.paths)?;
        if gauge.is_none() {
            self.gauge = Some(None);
        }
        Ok(gauge)
    }

    /// Writes out the networks as they are, with their cards.
    fn export(&mut self) -> Result<()> {
        let exports = self.trainer.exports()?;
        let gauge = self.gauge()?;
        let mut told = Told {
            plan: self.plan,
            step: self.done,
            pictures: self.dataset.len(),
            classes: if self.conditions > 0 {
                self.dataset.classes()
            } else {
                &[]
            },
            skipped: self.dataset.skipped().len(),
            data_digest: &self.data_digest,
            losses: &self.losses,
            figures: &[],
            seer: "",
            closeness: None,
        };
        let figures;
        if let Some(gauge) = &gauge {
            figures = gauge.measure(&*self.trainer)?;
            told.figures = &figures;
            told.seer = gauge.seer();
            let seed = self.plan.seed.derive("measure").value();
            told.closeness = gauge.copies(&*self.trainer, &self.dataset, seed)?;
        }
        for path in export::write(&self.folder, &exports, &told)? {
            (self.events)(TrainEvent::Exported { path });
        }
        Ok(())
    }
}

/// The newest checkpoint that can be read.
fn newest(folder: &Folder, events: Events<'_>) -> Result<Option<(fonds_nn::train::State, About)>> {
    let all = folder.list()?;
    let mut last = None;
    for (_, path) in &all {
        match Folder::load(path) {
            Ok(found) => return Ok(Some(found)),
            Err(error) => {
                events(TrainEvent::PassedOver {
                    path: path.clone(),
                    why: error.detail(),
                });
                last = Some(error);
            }
        }
    }
    match last {
        // To begin anew in silence would throw away what somebody may still save.
        Some(error) => Err(error.hint("no checkpoint can be read; begin anew in another --out")),
        None => Ok(None),
    }
}

/// That the run in the folder was begun with the same keys.
fn compare_keys(plan: &TrainingPlan, folder: &Folder) -> Result<()> {
    let path = folder.file("train.toml");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let different = differences(&deciding_keys(&text), &plan.keys);
    if different.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the run in the output folder is of another configuration: {}",
        different.join(", ")
    );
    let error = Error::new(Code::InvalidRequest, message).at_path(folder.root());
    Err(error.hint("train with the `train.toml` in the folder, or choose another --out"))
}

fn check_about(
    plan: &TrainingPlan,
    about: &About,
    data_digest: &str,
    folder: &Folder,
) -> Result<()> {
    let wrong = |message: &str, hint: &str| {
        let error = Error::new(Code::InvalidRequest, message).at_path(folder.root());
        Err(error.hint(hint))
    };
    if about.config != plan.digest().to_string() {
        return wrong(
            "the checkpoint is of another configuration",
            "train with the file that it was made with, or choose another --out",
        );
    }
    if about.data != data_digest {
        return wrong(
            "the checkpoint was made with other pictures",
            "give the folder as it was, or begin anew in another --out",
        );
    }
    Ok(())
}

fn note(curves: &mut Vec<Curve>, name: &str, step: u64, value: f64) {
    if let Some(curve) = curves.iter_mut().find(|curve| curve.name() == name) {
        curve.add(step, value);
        return;
    }
    let mut curve = Curve::new(name);
    curve.add(step, value);
    curves.push(curve);
}

/// The losses in the last line of a table.
fn last_losses(columns: &[String], rows: &[Vec<String>]) -> Vec<(String, f64)> {
    let Some(row) = rows.last() else {
        return Vec::new();
    };
    let cells = columns.iter().zip(row).skip(2);
    let losses = cells.filter(|(name, _)| !name.starts_with("verdict_"));
    let losses = losses.filter_map(|(name, cell)| Some((name.clone(), cell.parse().ok()?)));
    losses.collect()
}

/// The curves that the lines of a table make.
fn curves_of(columns: &[String], rows: &[Vec<String>]) -> Vec<Curve> {
    let mut curves = Vec::new();
    for row in rows {
        let step = row.first().and_then(|cell| cell.parse().ok()).unwrap_or(0);
        for (name, cell) in columns.iter().zip(row).skip(2) {
            if let Ok(value) = cell.parse() {
                note(&mut curves, name, step, value);
            }
        }
    }
    curves
}

/// The run folder when none was named: beside the current folder's other runs.
pub fn default_output(plan: &TrainingPlan) -> PathBuf {
    Path::new("runs").join(&plan.name)
}
