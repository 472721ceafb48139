//! Where tiles are computed: on the CPU engine by whoever asks, on each GPU by a thread of its own.
//!
//! A [`Lane`] is one backend. The CPU engine computes at once, on all threads of the caller's pool.
//! A GPU has one thread that takes requests from all callers: tiles of equal size for the same
//! network, from whatever pictures, go through in one batch. Pixels cross to a GPU as the 8 or 16
//! bits that they are, and are converted there; results come back in the network's own numbers.
//! When a GPU has no memory for a batch, the batch is halved: other timing, same pixels.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};

use crate::act::{Act, Dims};
use crate::backend::Backend;
use crate::error::TensorResult;
use crate::network::Network;
use crate::statistics::Book;

/// Tiles that go through a GPU at once, at most.
pub const BATCH: usize = 8;

/// The samples of a tile: planes `[channels, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Planes {
    /// 8 bits; 255 is white.
    U8(Vec<u8>),
    /// 16 bits; 65,535 is white.
    U16(Vec<u16>),
    /// Floats; 1 is white.
    F32(Vec<f32>),
}

/// One tile for a network.
#[derive(Debug)]
pub struct Request {
    /// Its samples.
    pub planes: Planes,
    /// Channels of the samples.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// How often the channels are repeated: 3 for gray through an RGB network.
    pub repeat: usize,
    /// Factor and shift from 0..1 to what the network wants.
    pub range: (f32, f32),
    /// The value of a further plane.
    pub extra: Option<f32>,
    /// Statistics of the whole picture to use, or to fill.
    pub book: Option<Arc<Book>>,
}

impl Request {
    fn dims(&self, batch: usize) -> Dims {
        Dims {
            batch,
            channels: self.channels * self.repeat + usize::from(self.extra.is_some()),
            height: self.height,
            width: self.width,
        }
    }

    /// Whether two can share a batch.
    fn goes_with(&self, other: &Self) -> bool {
        let alone = self.book.is_some() || other.book.is_some();
        !alone
            && self.dims(1) == other.dims(1)
            && (self.channels, self.repeat) == (other.channels, other.repeat)
            && self.range == other.range
            && self.extra == other.extra
            && std::mem::discriminant(&self.planes) == std::mem::discriminant(&other.planes)
    }

    /// The values as the network wants them, row major.
    fn values(&self) -> Vec<f32> {
        let (factor, shift) = self.range;
        let to = |unit: f32| unit * factor + shift;
        let mut values: Vec<f32> = match &self.planes {
            Planes::U8(samples) => samples.iter().map(|&s| to(f32::from(s) / 255.0)).collect(),
            Planes::U16(samples) => samples
                .iter()
                .map(|&s| to(f32::from(s) / 65535.0))
                .collect(),
            Planes::F32(samples) => samples.iter().map(|&s| to(s)).collect(),
        };
        values = values.repeat(self.repeat);
        if let Some(extra) = self.extra {
            values.extend(std::iter::repeat_n(extra, self.height * self.width));
        }
        values
    }
}

/// The backends of a run; networks are loaded on all of them.
#[derive(Debug)]
pub struct Lanes {
    lanes: Vec<Lane>,
}

/// One backend, and what waits for it.
#[derive(Debug)]
pub struct Lane {
    backend: Backend,
    waiting: AtomicUsize,
    worker: Option<Worker>,
}

impl Lanes {
    /// Lanes for these backends; GPUs get a thread each.
    ///
    /// # Panics
    /// When there is no backend.
    pub fn new(backends: Vec<Backend>) -> Arc<Self> {
        assert!(!backends.is_empty(), "something to compute on");
        let lanes = backends.into_iter().map(|backend| {
            let threaded = matches!(backend, Backend::Tensors { .. });
            Lane {
                worker: threaded.then(|| Worker::start(&backend)),
                waiting: AtomicUsize::new(0),
                backend,
            }
        });
        Arc::new(Self {
            lanes: lanes.collect(),
        })
    }

    /// The backends, for loading networks on them in the same order.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.lanes.iter().map(|lane| &lane.backend)
    }

    /// How many tiles a caller should hand over at once.
    pub fn group(&self) -> usize {
        let threaded = self
            .lanes
            .iter()
            .filter(|lane| lane.worker.is_some())
            .count();
        if threaded == 0 { 1 } else { BATCH * threaded }
    }

    /// The lane with the least to do.
    fn idlest(&self) -> usize {
        let waiting = |index: &usize| self.lanes[*index].waiting.load(Ordering::Relaxed);
        (0..self.lanes.len()).min_by_key(waiting).unwrap_or(0)
    }
}

/// A network that is loaded on each of the lanes.
#[derive(Debug, Clone)]
pub struct OnLanes {
    lanes: Arc<Lanes>,
    networks: Vec<Arc<dyn Network>>,
}

impl OnLanes {
    /// The network as it was loaded on each backend, in the order of [`Lanes::backends`].
    ///
    /// # Panics
    /// When there is not one for each lane.
    pub fn new(lanes: &Arc<Lanes>, networks: Vec<Arc<dyn Network>>) -> Self {
        assert_eq!(networks.len(), lanes.lanes.len(), "a network for each lane");
        Self {
            lanes: Arc::clone(lanes),
            networks,
        }
    }

    /// The lanes.
    pub fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// The network, for questions about it.
    pub fn network(&self) -> &dyn Network {
        &*self.networks[0]
    }

    /// What the network makes of tiles: planes `[channels, height, width]` in its output range, in
    /// the order of the requests.
    ///
    /// # Errors
    /// Those of the forward; `oom` when not even a single tile fits.
    pub fn forward(&self, requests: Vec<Request>) -> Result<Vec<Vec<f32>>> {
        let mut pending = Vec::with_capacity(requests.len());
        for request in requests {
            let index = self.lanes.idlest();
            let lane = &self.lanes.lanes[index];
            pending.push(lane.submit(Arc::clone(&self.networks[index]), request));
        }
        pending.into_iter().map(Pending::wait).collect()
    }
}

impl Lane {
    fn submit(&self, network: Arc<dyn Network>, request: Request) -> Pending<'_> {
        let Some(worker) = &self.worker else {
            return Pending::Done(one(&self.backend, &*network, &request));
        };
        let (reply, answer) = channel();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        worker.send(Job {
            network,
            request,
            reply,
        });
        Pending::Waiting(answer, &self.waiting)
    }
}

enum Pending<'a> {
    Done(Result<Vec<f32>>),
    Waiting(Receiver<Result<Vec<f32>>>, &'a AtomicUsize),
}

impl Pending<'_> {
    fn wait(self) -> Result<Vec<f32>> {
        match self {
            Self::Done(result) => result,
            Self::Waiting(answer, waiting) => {
                let result = answer.recv().unwrap_or_else(|_| {
                    let message = "the thread of a device ended before its tiles were done";
                    Err(Error::new(Code::Internal, message))
                });
                waiting.fetch_sub(1, Ordering::Relaxed);
                result
            }
        }
    }
}

/// A tile on its way to a device's thread.
struct Job {
    network: Arc<dyn Network>,
    request: Request,
    reply: Sender<Result<Vec<f32>>>,
}

impl Job {
    fn goes_with(&self, other: &Self) -> bool {
        let same = std::ptr::addr_eq(Arc::as_ptr(&self.network), Arc::as_ptr(&other.network));
        same && self.request.goes_with(&other.request)
    }
}

/// The thread of a device.
struct Worker {
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker")
    }
}

impl Worker {
    fn start(backend: &Backend) -> Self {
        let (jobs, queue) = channel();
        let backend = backend.clone();
        let name = format!("device {backend}");
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || work(&backend, &queue))
            .expect("a thread for a device");
        Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
        }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref() {
            // When the thread is gone the reply's sender is dropped, which the caller notices.
            drop(jobs.send(job));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

/// Takes jobs until nobody can send any more.
fn work(backend: &Backend, queue: &Receiver<Job>) {
    let mut waiting: VecDeque<Job> = VecDeque::new();
    let mut batch = BATCH;
    loop {
        if waiting.is_empty() {
            match queue.recv() {
                Ok(job) => waiting.push_back(job),
                Err(_) => return,
            }
        }
        waiting.extend(queue.try_iter());
        let Some(first) = waiting.pop_front() else {
            continue;
        };
        let mut jobs = vec![first];
        let mut index = 0;
        while jobs.len() < batch && index < waiting.len() {
            if waiting[index].goes_with(&jobs[0]) {
                jobs.extend(waiting.remove(index));
            } else {
                index += 1;
            }
        }
        if let Some(smaller) = serve(backend, jobs) {
            batch = smaller;
        }
    }
}

/// Runs jobs that go together and answers them; the size of batch that had room, when this one
/// had not.
fn serve(backend: &Backend, mut jobs: Vec<Job>) -> Option<usize> {
    let mut smaller = None;
    let mut size = jobs.len();
    while !jobs.is_empty() {
        let now = size.min(jobs.len());
        let requests: Vec<&Request> = jobs[..now].iter().map(|job| &job.request).collect();
        match together(backend, &*jobs[0].network, &requests) {
            Ok(made) => {
                for (job, made) in jobs.drain(..now).zip(made) {
                    // A caller that gave up needs no answer.
                    drop(job.reply.send(Ok(made)));
                }
            }
            Err(error) if error.code() == Code::Oom && now > 1 => {
                size = now / 2;
                smaller = Some(size);
            }
            // One bad tile must not take the others with it.
            Err(_) if now > 1 => size = 1,
            Err(error) => {
                let job = jobs.remove(0);
                drop(job.reply.send(Err(error)));
            }
        }
    }
    smaller
}

/// One tile, on the caller's thread.
fn one(backend: &Backend, network: &dyn Network, request: &Request) -> Result<Vec<f32>> {
    let mut x = backend.import(request.dims(1), &request.values())?;
    if let Some(book) = &request.book {
        x = x.with_book(Arc::clone(book));
    }
    let y = network.forward(&x)?;
    drop(x);
    y.to_vec()
}

/// Tiles of equal size in one batch.
fn together(
    backend: &Backend,
    network: &dyn Network,
    requests: &[&Request],
) -> Result<Vec<Vec<f32>>> {
    let tensors: Vec<Tensor> = requests
        .iter()
        .map(|request| upload(backend.device(), backend.dtype(), request).in_network())
        .collect::<Result<_>>()?;
    let mut x = Act::from_tensor(Tensor::cat(&tensors, 0).in_network()?)?;
    if let [
        Request {
            book: Some(book), ..
        },
    ] = requests
    {
        x = x.with_book(Arc::clone(book));
    }
    drop(tensors);
    let y = network.forward(&x)?.to_tensor()?;
    (0..requests.len())
        .map(|index| download(&y.get(index).in_network()?).in_network())
        .collect()
}

/// The samples of a tile on the device, converted there: `[1, channels, height, width]`.
fn upload(device: &Device, dtype: DType, request: &Request) -> candle_core::Result<Tensor> {
    let shape = (1, request.channels, request.height, request.width);
    let (factor, shift) = (f64::from(request.range.0), f64::from(request.range.1));
    let values = match &request.planes {
        Planes::U8(samples) => Tensor::from_slice(samples, shape, device)?
            .to_dtype(DType::F32)?
            .affine(factor / 255.0, shift)?,
        Planes::U16(samples) => {
            // There are no 16-bit integers on the device: the halves cross by themselves.
            let half = |part: fn(u16) -> u8| {
                let bytes: Vec<u8> = samples.iter().map(|&sample| part(sample)).collect();
                Tensor::from_vec(bytes, shape, device)?.to_dtype(DType::F32)
            };
            let high = half(|sample| (sample >> 8) as u8)?;
            let low = half(|sample| (sample & 0xff) as u8)?;
            (high.affine(256.0, 0.0)? + low)?.affine(factor / 65535.0, shift)?
        }
        Planes::F32(samples) => {
            Tensor::from_slice(samples, shape, device)?.affine(factor, shift)?
        }
    };
    let repeated = values.repeat((1, request.repeat, 1, 1))?;
    let whole = match request.extra {
        Some(extra) => {
            let plane = Tensor::full(extra, (1, 1, request.height, request.width), device)?;
            Tensor::cat(&[repeated, plane], 1)?
        }
        None => repeated,
    };
    whole.to_dtype(dtype)
}

/// The values of one picture, which cross in the numbers that they were computed in.
fn download(y: &Tensor) -> candle_core::Result<Vec<f32>> {
    let y = y.flatten_all()?;
    match y.dtype() {
        DType::F16 => Ok(y
            .to_vec1::<half::f16>()?
            .into_iter()
            .map(f32::from)
            .collect()),
        DType::BF16 => Ok(y
            .to_vec1::<half::bf16>()?
            .into_iter()
            .map(f32::from)
            .collect()),
        _ => y.to_dtype(DType::F32)?.to_vec1(),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{Engine, Kernel};
    use crate::network::Interface;

    use super::*;

    /// Doubles values; notes the sizes of batches; has no memory for more than `room` tiles.
    #[derive(Debug)]
    struct Doubling {
        batches: Mutex<Vec<usize>>,
        room: usize,
    }

    impl Network for Doubling {
        fn interface(&self) -> Interface {
            Interface::RGB
        }

        fn forward(&self, x: &Act) -> Result<Act> {
            let batch = x.dims().batch;
            self.batches.lock().unwrap().push(batch);
            if batch > self.room {
                return Err(Error::new(Code::Oom, "no memory"));
            }
            x.affine(2.0, 0.0)
        }
    }

    fn doubling(room: usize) -> Arc<Doubling> {
        Arc::new(Doubling {
            batches: Mutex::default(),
            room,
        })
    }

    fn request(planes: Planes, repeat: usize) -> Request {
        Request {
            planes,
            channels: 1,
            height: 2,
            width: 2,
            repeat,
            range: (2.0, -1.0),
            extra: None,
            book: None,
        }
    }

    fn lanes(backend: Backend, network: &Arc<Doubling>) -> OnLanes {
        let network: Arc<dyn Network> = Arc::clone(network) as _;
        OnLanes::new(&Lanes::new(vec![backend]), vec![network])
    }

    #[test]
    fn bits_cross_to_the_device_as_they_are() {
        let kinds = [
            Planes::U8(vec![0, 51, 204, 255]),
            Planes::U16(vec![0, 13107, 52428, 65535]),
            Planes::F32(vec![0.0, 0.2, 0.8, 1.0]),
        ];
        let engine = Backend::Engine(Engine::new(Kernel::Portable));
        for backend in [engine, Backend::cpu_tensors()] {
            let on = lanes(backend, &doubling(8));
            for planes in kinds.clone() {
                let made = on.forward(vec![request(planes, 3)]).unwrap();
                let expected = [-2.0, -1.2, 1.2, 2.0].repeat(3);
                assert_eq!(made[0].len(), 12);
                for (found, expected) in made[0].iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-5, "{made:?}");
                }
            }
        }
    }

    #[test]
    fn a_batch_without_room_is_halved_and_nothing_is_lost() {
        let network = doubling(2);
        let on = lanes(Backend::cpu_tensors(), &network);
        let requests: Vec<Request> = (0..24)
            .map(|value| request(Planes::F32(vec![value as f32; 4]), 1))
            .collect();
        let made = on.forward(requests).unwrap();
        for (value, made) in made.iter().enumerate() {
            let expected = 2.0 * (2.0 * value as f32 - 1.0);
            assert_eq!(made, &[expected; 4]);
        }
        let batches = network.batches.lock().unwrap();
        assert!(batches.contains(&2), "{batches:?}");
    }

    #[test]
    fn what_not_even_fits_alone_is_an_error() {
        let on = lanes(Backend::cpu_tensors(), &doubling(0));
        let error = on
            .forward(vec![request(Planes::U8(vec![0; 4]), 1)])
            .unwrap_err();
        assert_eq!(error.code(), Code::Oom);
    }
}
