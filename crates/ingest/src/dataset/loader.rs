//! Batches of samples, decoded ahead on threads of their own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use fonds_core::{Code, Error, Result, Seed};

use super::cache::Cache;
use super::order::Order;
use super::picture::Picture;
use super::{Dataset, Sample, Skipped};

/// Batches of a data set, epoch after epoch without end; a batch may hold the end of one and the
/// beginning of the next.
///
/// Batch `k` depends on the data set, the seed and `k` alone: not on the batches before it, the
/// number of workers, or what is cached. In place of a picture that cannot be used comes the next
/// one, by name, that can; it is listed in [`Loader::skipped`]. Both sides of unpaired sources have
/// an order of their own.
#[derive(Debug)]
pub struct Loader {
    work: Arc<Work>,
    orders: Vec<Order>,
    batch: usize,
    /// The next position to be handed out, and the next to be given to a worker.
    next: u64,
    asked: u64,
    /// How many positions are asked for ahead of the one that is handed out.
    ahead: u64,
    /// What came before its turn.
    early: BTreeMap<u64, Result<Sample>>,
    jobs: Option<Sender<Job>>,
    done: Receiver<(u64, Result<Sample>)>,
    workers: Vec<JoinHandle<()>>,
}

/// What workers share.
#[derive(Debug)]
struct Work {
    dataset: Arc<Dataset>,
    cache: Cache,
    seed: Seed,
}

/// One sample to be made: which of each side's pictures.
#[derive(Debug)]
struct Job {
    position: u64,
    starts: Vec<usize>,
}

impl Loader {
    /// Begins with batch `first_batch` (counted from 0). `workers` threads decode up to two batches
    /// ahead; with none the work is done in [`Loader::next`]. Decoded pictures are kept up to
    /// `cache_bytes`.
    pub fn new(
        dataset: Arc<Dataset>,
        batch: usize,
        seed: u64,
        first_batch: u64,
        workers: usize,
        cache_bytes: u64,
    ) -> Self {
        let seed = Seed::new(seed);
        let patches = dataset.shared.options.patches.unwrap_or(1);
        let lengths = dataset.views.iter().map(|view| view.len().max(1) * patches);
        let orders = lengths
            .enumerate()
            .map(|(side, len)| Order::new(seed, side, len))
            .collect();
        let next = first_batch.saturating_mul(batch as u64);
        let (jobs, queue) = unbounded();
        let (results, done) = unbounded();
        let work = Arc::new(Work {
            dataset,
            cache: Cache::new(cache_bytes),
            seed,
        });
        let workers = (0..workers).filter_map(|i| worker(i, &work, &queue, &results));
        let workers: Vec<_> = workers.collect();
        Self {
            ahead: if workers.is_empty() {
                0
            } else {
                2 * batch.max(workers.len()) as u64
            },
            work,
            orders,
            batch,
            next,
            asked: next,
            early: BTreeMap::new(),
            jobs: Some(jobs),
            done,
            workers,
        }
    }

    /// The next batch.
    ///
    /// Fails with [`Code::InvalidRequest`] when the data set has, or turns out to have, fewer
    /// usable pictures than a batch.
    #[expect(
        clippy::should_implement_trait,
        reason = "there is no end, and it can fail"
    )]
    pub fn next(&mut self) -> Result<Vec<Sample>> {
        self.check()?;
        let batch = (0..self.batch).map(|_| self.one()).collect::<Vec<_>>();
        self.check()?;
        batch.into_iter().collect()
    }

    /// The number of the batch that [`Loader::next`] returns next.
    pub fn position(&self) -> u64 {
        self.next / self.batch.max(1) as u64
    }

    /// What was left out so far, with the reasons.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.work.dataset.skipped()
    }

    fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::new(
                Code::InvalidRequest,
                "a batch has at least 1 sample (found 0)",
            ));
        }
        let dataset = &self.work.dataset;
        let failed = dataset.shared.failures();
        for (side, view) in dataset.views.iter().enumerate() {
            let bad: Vec<&Skipped> = failed
                .range((side, 0)..(side + 1, 0))
                .filter(|((_, entry), _)| view.binary_search(entry).is_ok())
                .map(|(_, skipped)| skipped)
                .collect();
            let patches = dataset.shared.options.patches.unwrap_or(1);
            let usable = view.len() - bad.len();
            if usable == 0 || usable * patches < self.batch {
                return Err(too_few(view.len(), &bad, self.batch));
            }
        }
        Ok(())
    }

    fn one(&mut self) -> Result<Sample> {
        let position = self.next;
        self.next += 1;
        while self.asked <= position + self.ahead && !self.workers.is_empty() {
            let job = self.job(self.asked);
            self.asked += 1;
            let sent = self.jobs.as_ref().map(|jobs| jobs.send(job).is_ok());
            if sent != Some(true) {
                break;
            }
        }
        if self.workers.is_empty() {
            let job = self.job(position);
            return self.work.sample(&job);
        }
        loop {
            if let Some(sample) = self.early.remove(&position) {
                return sample;
            }
            let (found, sample) = self
                .done
                .recv()
                .map_err(|_| Error::new(Code::Internal, "the threads that decode have ended"))?;
            self.early.insert(found, sample);
        }
    }

    fn job(&mut self, position: u64) -> Job {
        let patches = self.work.dataset.shared.options.patches.unwrap_or(1);
        let starts = self
            .orders
            .iter_mut()
            .map(|order| order.at(position) / patches);
        let starts = starts.collect();
        Job { position, starts }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without a sender the workers find no more work; what they are at is finished.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// Starts a thread; `None` when the system has none left, and then others do its work.
fn worker(
    number: usize,
    work: &Arc<Work>,
    queue: &Receiver<Job>,
    results: &Sender<(u64, Result<Sample>)>,
) -> Option<JoinHandle<()>> {
    let (work, queue, results) = (Arc::clone(work), queue.clone(), results.clone());
    let run = move || {
        for job in queue {
            let sample = catch_unwind(AssertUnwindSafe(|| work.sample(&job)));
            let sample = sample.unwrap_or_else(|_| {
                let message = format!("making sample {} panicked", job.position);
                Err(Error::new(Code::Panic, message))
            });
            if results.send((job.position, sample)).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name(format!("decode {number}"))
        .spawn(run)
        .ok()
}

impl Work {
    fn sample(&self, job: &Job) -> Result<Sample> {
        let mut entries = Vec::with_capacity(job.starts.len());
        let mut pictures = Vec::with_capacity(job.starts.len());
        for (side, &start) in job.starts.iter().enumerate() {
            let (entry, found) = self.usable(side, start)?;
            entries.push(entry);
            pictures.push(found);
        }
        let seed = self.seed.derive(&format!("sample {}", job.position));
        self.dataset.shared.assemble(&entries, &pictures, seed)
    }

    /// The first picture from `start` on that can be used, around the end if need be.
    fn usable(&self, side: usize, start: usize) -> Result<(usize, Arc<Vec<Picture>>)> {
        let shared = &self.dataset.shared;
        let view = &self.dataset.views[side];
        for step in 0..view.len() {
            let entry = view[(start + step) % view.len()];
            if shared.failures().contains_key(&(side, entry)) {
                continue;
            }
            match shared.pictures(side, entry, Some(&self.cache)) {
                Ok(found) => return Ok((entry, found)),
                Err(error) => shared.fail(side, entry, &error),
            }
        }
        let failed = shared.failures();
        Err(too_few(view.len(), &failed.values().collect::<Vec<_>>(), 1))
    }
}

fn too_few(all: usize, bad: &[&Skipped], batch: usize) -> Error {
    let message = match (all - bad.len().min(all), bad.first()) {
        (0, Some(first)) => format!(
            "none of the {all} pictures can be used (the first, `{}`: {})",
            first.name, first.why
        ),
        (usable, Some(first)) => format!(
            "{usable} of {all} pictures can be used, fewer than the {batch} of a batch (the first \
             that cannot, `{}`: {})",
            first.name, first.why
        ),
        (usable, None) => format!("{usable} pictures are fewer than the {batch} of a batch"),
    };
    Error::new(Code::InvalidRequest, message)
        .hint("give more pictures, take more `patches` of each, or make the batch smaller")
}
