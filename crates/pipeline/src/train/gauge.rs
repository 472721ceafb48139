//! The measurements of a run: pictures that stay the same, and what samples are held against.

use std::path::Path;
use std::sync::Arc;

use fonds_core::{Error, Result, Seed};
use fonds_ingest::dataset::{Dataset, Sample};
use fonds_nn::metrics::Gaussian;
use fonds_nn::train::{Batch, Chance, Pixels, Trainer};

use super::event::Alarm;
use super::feed;
use super::game::Game;
use super::measure::{Closeness, agreement, closeness, compare, fidelity};
use super::plan::TrainingPlan;
use super::seer::Seer;
use super::watch::{Warning, Watch};

/// Training pictures among which neighbours are looked for, at most.
const NEIGHBOURS: usize = 2000;

/// What samples of a run are held against.
#[derive(Debug)]
pub(super) struct Gauge {
    seer: Seer,
    game: Kind,
    /// Samples whose first pictures, or whose conditions, the trainer is given.
    given: Batch,
    /// How many of them at once.
    batch: usize,
    /// What the trainer's pictures should look like.
    targets: Vec<Pixels>,
    data: Vec<Vec<f64>>,
    /// What the distance of a generator from noise is to be read beside.
    beside: Figures,
}

/// Training pictures, at most, that the normal distribution is fitted to.
const FITTED: usize = 5000;

/// Values of a picture up to which a normal distribution is fitted to the data.
const LARGEST: usize = 4096;

/// The Fréchet distances to the data of other pictures from the data, the best that there can be, and
/// of pictures of a normal distribution with the data's mean and covariance, which know nothing but
/// correlations.
fn beside(
    seer: &Seer,
    seen: &[Vec<f64>],
    [data, others, learned]: [&[Pixels]; 3],
    seed: Seed,
) -> Result<Figures> {
    let real = compare(&seer.see(others)?, seen)?.frechet;
    let mut figures = vec![("frechet_data", real)];
    let Some(first) = data.first().filter(|first| first.values.len() <= LARGEST) else {
        return Ok(figures);
    };
    let values: Vec<Vec<f32>> = learned
        .iter()
        .map(|picture| picture.values.clone())
        .collect();
    let gaussian = Gaussian::fit(&values)?;
    let mut chance = Chance::new(seed, "gaussian");
    let samples: Vec<Pixels> = (0..data.len())
        .map(|_| {
            let mut values = gaussian.sample(&mut chance);
            for value in &mut values {
                *value = value.clamp(0.0, 1.0);
            }
            Pixels {
                values,
                ..first.clone()
            }
        })
        .collect();
    let made_up = compare(&seer.see(&samples)?, seen)?.frechet;
    figures.push(("frechet_gaussian", made_up));
    Ok(figures)
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Pictures from noise: as a set, and against copies.
    Noise,
    /// Translations without a partner: as a set.
    Unpaired,
    /// Pictures that have a target each.
    Paired,
    /// Pictures of where damage is.
    Masks,
}

/// Figures by name, in the order of columns.
pub(super) type Figures = Vec<(&'static str, f64)>;

impl Gauge {
    /// Opens the network for features and takes the pictures: of those that were held out where
    /// there are enough of them, except for generators from noise, which are held against the very
    /// pictures that they learn from. Nothing when there are fewer than two.
    pub(super) fn new(
        plan: &TrainingPlan,
        dataset: &Arc<Dataset>,
        conditions: usize,
        folder: &Path,
    ) -> Result<Option<Self>> {
        let seer = match &plan.watch.features {
            Some(file) => Seer::open(&folder.join(file))?,
            None => Seer::pixels(),
        };
        let game = match &plan.game {
            Game::Noise { .. } => Kind::Noise,
            Game::CycleGan(_) => Kind::Unpaired,
            game if game.finds_damage() => Kind::Masks,
            Game::Pix2Pix(_) | Game::SuperResolution(_) | Game::Mending { .. } => Kind::Paired,
        };
        let held_out = Arc::new(dataset.held_out());
        let from = if game == Kind::Noise || held_out.len() < 2 {
            dataset
        } else {
            &held_out
        };
        let seed = plan.seed.derive("measure").value();
        let wanted = plan.output.measured;
        // Every other one is put aside: what the data's own distance is measured by.
        let all = feed::fixed(from, 2 * wanted, seed);
        let (samples, others): (Vec<_>, Vec<_>) = if game == Kind::Noise && all.len() >= 4 {
            let halves = all
                .into_iter()
                .enumerate()
                .partition::<Vec<_>, _>(|(i, _)| i % 2 == 0);
            let plain = |half: Vec<(usize, Sample)>| half.into_iter().map(|(_, s)| s).collect();
            (plain(halves.0), plain(halves.1))
        } else {
            (feed::fixed(from, wanted, seed), Vec::new())
        };
        if samples.len() < 2 {
            return Ok(None);
        }
        let given = feed::batch(&samples, conditions)?;
        let kind = match game {
            Kind::Noise => 0,
            Kind::Unpaired | Kind::Paired => 1,
            Kind::Masks => 2,
        };
        let targets = Pixels::all(given.kind(kind)?)?;
        let data = if game == Kind::Masks {
            Vec::new()
        } else {
            seer.see(&targets)?
        };
        let beside = if others.len() < 2 {
            Figures::new()
        } else {
            let pixels = |samples: &[Sample]| Pixels::all(feed::batch(samples, 0)?.kind(0)?);
            let learned = feed::fixed(from, FITTED, plan.seed.derive("fitted").value());
            let (others, learned) = (pixels(&others)?, pixels(&learned)?);
            beside(&seer, &data, [&targets, &others, &learned], plan.seed)?
        };
        Ok(Some(Self {
            seer,
            game,
            given,
            batch: plan.batch,
            targets,
            data,
            beside,
        }))
    }

    /// By what pictures are compared.
    pub(super) fn seer(&self) -> &str {
        self.seer.name()
    }

    /// Measures what the trainer makes now.
    pub(super) fn measure(&self, trainer: &dyn Trainer) -> Result<Figures> {
        let made = self.made(trainer)?;
        if self.game == Kind::Masks {
            return Ok(agreement(&made, &self.targets));
        }
        let seen = self.seer.see(&made)?;
        let sets = compare(&seen, &self.data)?;
        let mut figures = vec![("frechet", sets.frechet), ("kernel", sets.kernel)];
        match self.game {
            Kind::Masks => {}
            Kind::Unpaired => figures.push(("spread", sets.spread)),
            Kind::Noise => {
                figures.extend(self.beside.iter().copied());
                figures.push(("spread", sets.spread));
                if let Some(close) = closeness(&seen, &self.data) {
                    figures.push(("nearest_median", close.median));
                    figures.push(("nearest_least", close.least));
                }
            }
            Kind::Paired => {
                let found = fidelity(&made, &self.targets)?;
                figures.push(("psnr", found.psnr));
                figures.extend(found.ssim.map(|ssim| ("ssim", ssim)));
                let sources = Pixels::all(self.given.kind(0)?)?;
                let alike = |one: &Pixels, other: &Pixels| {
                    (one.channels, one.width, one.height)
                        == (other.channels, other.width, other.height)
                };
                if alike(&sources[0], &self.targets[0]) {
                    let before = fidelity(&sources, &self.targets)?;
                    figures.push(("psnr_source", before.psnr));
                }
            }
        }
        Ok(figures)
    }

    /// What the figures warn of.
    pub(super) fn judge(figures: &Figures, watch: &mut Watch) -> Vec<Warning> {
        let get = |wanted: &str| {
            let found = figures.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        };
        let mut warnings = Vec::new();
        if let Some(spread) = get("spread") {
            let bound = watch.plan().collapsed;
            warnings.extend(
                watch.raise(Alarm::Collapsed, "", spread < bound, || Warning {
                    alarm: Alarm::Collapsed,
                    message: format!(
                        "samples differ from each other by {:.0} % of what the data does: the \
                     generator makes few pictures over and over",
                        spread * 100.0
                    ),
                    value: spread,
                    bound,
                }),
            );
        }
        if let Some(median) = get("nearest_median") {
            let bound = watch.plan().copied;
            warnings.extend(watch.raise(Alarm::Copied, "", median < bound, || Warning {
                alarm: Alarm::Copied,
                message: format!(
                    "half of the samples are closer to a training picture than {:.0} % of the \
                     distance between training pictures: the generator may give them away",
                    median * 100.0
                ),
                value: median,
                bound,
            }));
        }
        warnings
    }

    /// How close samples of the trainer come to training pictures, among as many of these as can be
    /// compared; the number of both. Nothing for generators that follow a picture.
    pub(super) fn copies(
        &self,
        trainer: &dyn Trainer,
        dataset: &Arc<Dataset>,
        seed: u64,
    ) -> Result<Option<(Closeness, usize, usize)>> {
        if self.game != Kind::Noise {
            return Ok(None);
        }
        let samples = feed::fixed(dataset, NEIGHBOURS, seed);
        let mut data = Vec::with_capacity(samples.len());
        for part in samples.chunks(64) {
            let batch = feed::batch(part, 0)?;
            data.extend(self.seer.see(&Pixels::all(batch.kind(0)?)?)?);
        }
        let made = self.seer.see(&self.made(trainer)?)?;
        let found = closeness(&made, &data);
        Ok(found.map(|found| (found, made.len(), data.len())))
    }

    fn made(&self, trainer: &dyn Trainer) -> Result<Vec<Pixels>> {
        let mut made = Vec::with_capacity(self.given.len());
        let mut draw = 0;
        while made.len() < self.given.len() {
            let count = self.batch.min(self.given.len() - made.len());
            let part = self.given.part(made.len(), count)?;
            made.extend(Pixels::all(&trainer.make(&part, draw)?)?);
            draw += 1;
        }
        if made
            .iter()
            .any(|picture| picture.values.iter().any(|value| !value.is_finite()))
        {
            let message = "samples hold values that are no finite numbers";
            return Err(Error::new(fonds_core::Code::ModelError, message));
        }
        Ok(made)
    }
}
