//! The networks that steps use: where their files are, what they run on, and whose turn it is.
//!
//! A [`Networks`] is shared by all steps of a registry. Files are read and recognised while a
//! pipeline is compiled; what they run on is opened when the first step gets ready, once for all.
//! On the CPU one picture at a time is in a network: all threads work within it, and memory stays
//! bounded however many pictures are in flight. A GPU takes tiles of a few pictures at once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::{Backend, DeviceChoice, NumberType};
use fonds_nn::compute::{Lanes, OnLanes};
use fonds_nn::engine::{Algorithm, Engine, Kernel, Precision, Settings};
use fonds_nn::network::Network;
use fonds_nn::weights::Checkpoint;
use fonds_restore::zoo::{self, Options, Recognized};
use fonds_weights_restore::{SHIPPED, Shipped};

use crate::run::Clock;
use crate::shipped;
use crate::step::{RunsOn, StepContext};
use crate::steps::makes_up;

/// How often somebody who waits for a device looks whether its user was given up.
const LOOK: Duration = Duration::from_millis(200);

/// Pictures whose tiles a GPU is fed with: while one is written to its raster, another computes.
const PICTURES_PER_GPU: usize = 3;

/// Names of files that may hold weights.
const EXTENSIONS: [&str; 6] = ["safetensors", "pth", "pt", "ckpt", "model", "param"];

/// Where networks are looked for and what they run on.
#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// Relative paths of weights start here: the folder of the pipeline file.
    pub folder: PathBuf,
    /// The device.
    pub device: DeviceChoice,
    /// The code path of the CPU engine; the fastest that the processor has when absent.
    pub kernel: Option<Kernel>,
    /// In what numbers GPUs compute; bf16 also is what the CPU multiplies in (see
    /// [`Precision::Bf16`]), which has 32 bits else.
    pub numbers: NumberType,
    /// On the CPU: convolutions term by term ([`Algorithm::Direct`]), without Winograd's shortcut.
    pub direct: bool,
}

/// What the network steps of a registry share.
#[derive(Debug, Default)]
pub struct Networks {
    options: NetworkOptions,
    opened: Mutex<Option<Arc<Lanes>>>,
    turns: Turns,
}

impl Networks {
    /// Nothing is opened yet.
    pub fn new(options: NetworkOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            ..Self::default()
        })
    }

    /// What networks run on; opened at the first call.
    ///
    /// # Errors
    /// `invalid_request` when a device that was asked for is not there, `not_built_in` when this
    /// build cannot use it.
    pub fn lanes(&self) -> Result<Arc<Lanes>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = &*opened {
            return Ok(Arc::clone(lanes));
        }
        let NetworkOptions {
            device,
            kernel,
            numbers,
            direct,
            ..
        } = &self.options;
        let settings = Settings {
            precision: match numbers {
                NumberType::Bf16 => Precision::Bf16,
                NumberType::F32 | NumberType::F16 => Precision::F32,
            },
            algorithm: if *direct {
                Algorithm::Direct
            } else {
                Algorithm::Auto
            },
            kernel: kernel.unwrap_or_else(Kernel::detect),
        };
        let engine = Engine::with(settings);
        let found = Backend::choose(device, &engine, *numbers).map_err(absent)?;
        if found.iter().any(|backend| !backend.is_gpu()) {
            settings.check().map_err(absent)?;
        }
        let gpus = found.iter().filter(|backend| backend.is_gpu()).count();
        self.turns.open((gpus * PICTURES_PER_GPU).max(1));
        let lanes = Lanes::new(found);
        *opened = Some(Arc::clone(&lanes));
        Ok(lanes)
    }

    /// What networks run on, for the record; nothing before they were opened.
    pub fn runs_on(&self) -> Option<RunsOn> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = opened.as_ref()?;
        let mut devices: Vec<String> = Vec::new();
        let mut kernel = String::new();
        for backend in lanes.backends() {
            match backend {
                Backend::Engine(engine) => {
                    devices.push("cpu".to_owned());
                    kernel = engine.settings().to_string();
                }
                Backend::Tensors { .. } => devices.push(backend.to_string()),
            }
        }
        Some(RunsOn {
            device: devices.join(", "),
            kernel,
        })
    }

    /// The path of a file as a pipeline names it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.options.folder.join(file)
    }

    /// Reads weights: a file, or what fonds ships under a name that begins with `fonds-` and has no
    /// extension. `entry` names one of several networks in the file.
    ///
    /// # Errors
    /// `model_error` whatever is wrong with the file: it is not the archive that is at fault.
    pub fn read(&self, file: &str, entry: Option<&str>) -> Result<Checkpoint> {
        if shipped::is_name(file) {
            return shipped::read(file, entry);
        }
        let path = self.path(file);
        if !path.is_file() {
            let error = Error::new(Code::ModelError, format!("there are no weights `{file}`"));
            let folder = if self.options.folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &self.options.folder
            };
            let hint = format!("paths start at the pipeline's folder, {}", folder.display());
            return Err(error.hint(hint));
        }
        Checkpoint::read_entry(&path, entry).map_err(|error| of_weights(file, &error))
    }

    /// Reads weights and finds out which network they are of. All keys have been compared and all
    /// weights are numbers.
    ///
    /// # Errors
    /// As [`Networks::read`]; `invalid_request` for what was asked for wrongly.
    pub fn recognize(
        &self,
        file: &str,
        entry: Option<&str>,
        options: &Options,
    ) -> Result<Recognized> {
        let checkpoint = self.read(file, entry)?;
        recognize(&checkpoint, options).map_err(|error| told(error, file))
    }

    /// Whether labels say that this network makes content up, where the pipeline does not.
    pub fn makes_up(recognized: &Recognized) -> bool {
        makes_up(recognized)
    }

    /// The networks that are compiled in, by name, and what each of them is; none in a build
    /// without the feature `weights`.
    pub fn shipped() -> Vec<(&'static Shipped, Result<Recognized>)> {
        let described = SHIPPED.iter().map(|model| {
            let found = shipped::read(model.name, None)
                .and_then(|checkpoint| recognize(&checkpoint, &Options::default()));
            (model, found)
        });
        described.collect()
    }

    /// The files of a folder that may hold weights, by name, and what each of them is.
    ///
    /// # Errors
    /// `unreadable` when the folder is.
    pub fn list(&self, folder: &Path) -> Result<Vec<(PathBuf, Result<Recognized>)>> {
        let unreadable = |error: std::io::Error| {
            Error::from_io(error, Code::Unreadable, "the folder cannot be read").at_path(folder)
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let extension = path
                .extension()
                .and_then(|text| text.to_str())
                .unwrap_or_default();
            let named = EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known));
            if named && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let described = paths.into_iter().map(|path| {
            let found = Checkpoint::read(&path)
                .and_then(|checkpoint| recognize(&checkpoint, &Options::default()));
            (path, found)
        });
        Ok(described.collect())
    }

    /// Builds a network on each device.
    ///
    /// # Errors
    /// Those of [`Networks::lanes`]; `oom` and `model_error` from building.
    pub fn load(&self, recognized: &Recognized) -> Result<OnLanes> {
        let lanes = self.lanes()?;
        let built = lanes
            .backends()
            .map(|backend| Ok(recognized.build(backend)?.shared()))
            .collect::<Result<Vec<Arc<dyn Network>>>>()?;
        Ok(OnLanes::new(&lanes, built))
    }

    /// Waits until a further picture may be in a network.
    pub(crate) fn turn(&self, context: &StepContext<'_>) -> Turn<'_> {
        self.turns.take(context)
    }
}

/// Which network a checkpoint is of, with everything compared.
pub(crate) fn recognize(checkpoint: &Checkpoint, options: &Options) -> Result<Recognized> {
    let recognized = zoo::recognize(checkpoint, options)?;
    recognized.check()?;
    Ok(recognized)
}

/// What was asked for wrongly stays so; all else is the fault of the weights.
pub(crate) fn told(error: Error, file: &str) -> Error {
    match error.code() {
        Code::InvalidRequest | Code::NotBuiltIn => error,
        _ => of_weights(file, &error),
    }
}

/// An error about weights: `model_error`, with the file in the message.
pub(crate) fn of_weights(file: &str, error: &Error) -> Error {
    let message = format!("the weights `{file}`: {}", error.detail());
    let mut found = Error::new(Code::ModelError, message);
    for hint in error.hints() {
        found = found.hint(hint);
    }
    found
}

/// A device that is not there was wrongly asked for.
fn absent(error: Error) -> Error {
    if error.code() != Code::ModelError {
        return error;
    }
    let mut found = Error::new(Code::InvalidRequest, error.detail());
    for hint in error.hints() {
        found = found.hint(hint);
    }
    found
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Pictures that may be in networks at once.
    places: usize,
    users: Vec<User>,
    last: u64,
}

#[derive(Debug)]
struct User {
    number: u64,
    clock: Option<Clock>,
}

/// A place among the pictures that are in networks, until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Turns {
    fn open(&self, places: usize) {
        self.lock().places = places;
    }

    fn take(&self, context: &StepContext<'_>) -> Turn<'_> {
        let mut state = self.lock();
        loop {
            // A picture that took too long was given up; its place is not lost with it.
            let given_up = |user: &User| user.clock.as_ref().is_some_and(Clock::is_given_up);
            state.users.retain(|user| !given_up(user));
            if state.users.len() < state.places.max(1) {
                break;
            }
            let waited = context.wait(|| self.freed.wait_timeout(state, LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.last += 1;
        let number = state.last;
        let clock = context.clock().cloned();
        state.users.push(User { number, clock });
        Turn {
            turns: self,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let number = self.number;
        self.turns.lock().users.retain(|user| user.number != number);
        self.turns.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::Seed;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_pictures_than_places() {
        let turns = Turns::default();
        turns.open(2);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = turns.take(&StepContext::new("x", Seed::new(0)));
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn who_is_given_up_loses_the_place() {
        let turns = Turns::default();
        turns.open(1);
        let clock = Clock::start();
        let hung = turns.take(&StepContext::timed("x", Seed::new(0), &clock));
        clock.give_up();
        let next = turns.take(&StepContext::new("x", Seed::new(0)));
        drop(hung);
        assert_eq!(
            turns.lock().users.len(),
            1,
            "the late end of the first takes nothing away"
        );
        drop(next);
        assert!(turns.lock().users.is_empty());
    }

    #[test]
    fn a_missing_file_and_a_missing_device() {
        let options = NetworkOptions {
            folder: "weights".into(),
            device: DeviceChoice::Cuda(vec![99]),
            ..NetworkOptions::default()
        };
        let networks = Networks::new(options);
        let error = networks.read("nothing.pth", None).unwrap_err();
        assert_eq!(error.code(), Code::ModelError);
        assert_eq!(error.to_string(), "there are no weights `nothing.pth`");
        assert_eq!(
            error.hints(),
            ["paths start at the pipeline's folder, weights"]
        );
        let error = networks.lanes().unwrap_err();
        let expected = if cfg!(feature = "cuda") {
            Code::InvalidRequest
        } else {
            Code::NotBuiltIn
        };
        assert_eq!(error.code(), expected);
        assert_eq!(networks.runs_on(), None);
    }
}
