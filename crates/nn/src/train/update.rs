//! An optimiser's step on the CPU, in one pass over the values.

use candle_core::{CpuStorage, Device, Layout, Result, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::{OptimizerConfig, Rule};

/// Values that one thread takes at a time.
const PIECE: usize = 1 << 14;

/// What is remembered of the gradients, where anything is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments<'a> {
    pub(super) first: Option<&'a Tensor>,
    pub(super) second: Option<&'a Tensor>,
}

/// The parameter after the step, and what is to be remembered.
#[derive(Debug)]
pub(super) struct Updated {
    pub(super) value: Tensor,
    pub(super) first: Option<Tensor>,
    pub(super) second: Option<Tensor>,
}

/// Takes the step of `config` with a certain learning rate, the `steps`-th; `None` when the tensors
/// are not of 32 or 64 bits on the CPU.
///
/// # Errors
/// When the shapes differ.
pub(super) fn update(
    config: &OptimizerConfig,
    rate: f64,
    steps: u64,
    value: &Tensor,
    gradient: &Tensor,
    moments: Moments<'_>,
) -> Result<Option<Updated>> {
    let all = [Some(value), Some(gradient), moments.first, moments.second];
    let dtype = value.dtype();
    for tensor in all.into_iter().flatten() {
        if !tensor.device().is_cpu() || tensor.dtype() != dtype {
            return Ok(None);
        }
        if tensor.shape() != value.shape() {
            bail!(
                "a parameter of {:?} met a tensor of {:?}",
                value.dims(),
                tensor.dims()
            );
        }
    }
    let job = Job {
        config,
        rate,
        steps,
    };
    match dtype {
        candle_core::DType::F32 => job.run::<f32>(all).map(Some),
        candle_core::DType::F64 => job.run::<f64>(all).map(Some),
        _ => Ok(None),
    }
}

/// A number with a root.
trait Real: WithDType {
    fn root(self) -> Self;
    fn slice(storage: &CpuStorage) -> Result<&[Self]>;
}

impl Real for f32 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn slice(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice()
    }
}

impl Real for f64 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn slice(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice()
    }
}

struct Job<'a> {
    config: &'a OptimizerConfig,
    rate: f64,
    steps: u64,
}

/// Value, first and second moment.
type State<T> = [T; 3];

impl Job<'_> {
    fn run<T: Real>(&self, tensors: [Option<&Tensor>; 4]) -> Result<Updated> {
        let tensors = tensors.map(|tensor| tensor.map(Tensor::contiguous).transpose());
        let [value, gradient, first, second] = tensors;
        let (value, gradient, first, second) = (value?, gradient?, first?, second?);
        let shape = value.as_ref().map(|value| value.shape().clone());
        let (value, gradient) = (
            Guarded::new(value.as_ref()),
            Guarded::new(gradient.as_ref()),
        );
        let (first, second) = (Guarded::new(first.as_ref()), Guarded::new(second.as_ref()));
        let [value, gradient, first, second] =
            [&value, &gradient, &first, &second].map(Guarded::values::<T>);
        let (value, gradient, first, second) = (value?, gradient?, first?, second?);
        let made = self.pass(value, gradient, first, second);
        let (of_first, of_second) = match self.config.rule {
            Rule::Sgd { momentum } => (momentum > 0.0, false),
            Rule::RmsProp { .. } => (false, true),
            Rule::Adam { .. } => (true, true),
        };
        let shape = shape.unwrap_or_else(|| candle_core::Shape::from_dims(&[0]));
        let tensor = |values: Vec<T>| Tensor::from_vec(values, &shape, &Device::Cpu);
        let [value, first, second] = made;
        Ok(Updated {
            value: tensor(value)?,
            first: of_first.then(|| tensor(first)).transpose()?,
            second: of_second.then(|| tensor(second)).transpose()?,
        })
    }

    /// All values; moments that are not there are zero.
    fn pass<T: Real>(
        &self,
        value: &[T],
        gradient: &[T],
        first: &[T],
        second: &[T],
    ) -> State<Vec<T>> {
        let c = T::from_f64;
        let decay = self.config.weight_decay;
        match self.config.rule {
            Rule::Sgd { momentum } => {
                let (momentum, rate, decay) = (c(momentum), c(self.rate), c(decay));
                over(
                    value,
                    gradient,
                    first,
                    second,
                    |value, gradient, first, _| {
                        let velocity = first * momentum + (gradient + value * decay);
                        [value - velocity * rate, velocity, T::zero()]
                    },
                )
            }
            Rule::RmsProp {
                decay: kept,
                epsilon,
            } => {
                let (kept, new, epsilon) = (c(kept), c(1.0 - kept), c(epsilon));
                let (rate, decay) = (c(self.rate), c(decay));
                over(
                    value,
                    gradient,
                    first,
                    second,
                    |value, gradient, _, second| {
                        let gradient = gradient + value * decay;
                        let square = second * kept + gradient * gradient * new;
                        let step = gradient / (square.root() + epsilon);
                        [value - step * rate, T::zero(), square]
                    },
                )
            }
            Rule::Adam {
                betas,
                epsilon,
                decoupled,
            } => {
                let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let unbiased = c(1.0 / (1.0 - betas.1.powi(steps)).sqrt());
                let factor = c(1.0 / (1.0 - betas.0.powi(steps)));
                let [kept, kept_square] = [c(betas.0), c(betas.1)];
                let [new, new_square] = [c(1.0 - betas.0), c(1.0 - betas.1)];
                let (epsilon, rate) = (c(epsilon), c(self.rate));
                let (shrunk, decay) = if decoupled {
                    (c(1.0 - self.rate * decay), T::zero())
                } else {
                    (T::one(), c(decay))
                };
                over(
                    value,
                    gradient,
                    first,
                    second,
                    |value, gradient, first, second| {
                        let gradient = gradient + value * decay;
                        let mean = first * kept + gradient * new;
                        let square = second * kept_square + gradient * gradient * new_square;
                        let step = mean / (square.root() * unbiased + epsilon) * factor;
                        [value * shrunk - step * rate, mean, square]
                    },
                )
            }
        }
    }
}

/// Applies a function to all values, in parallel.
fn over<T: Real>(
    value: &[T],
    gradient: &[T],
    first: &[T],
    second: &[T],
    step: impl Fn(T, T, T, T) -> State<T> + Sync,
) -> State<Vec<T>> {
    let mut made = [0; 3].map(|_| vec![T::zero(); value.len()]);
    let [values, firsts, seconds] = &mut made;
    values
        .par_chunks_mut(PIECE)
        .zip(firsts.par_chunks_mut(PIECE))
        .zip(seconds.par_chunks_mut(PIECE))
        .enumerate()
        .for_each(|(piece, ((values, firsts), seconds))| {
            let start = piece * PIECE;
            let part = |from: &[T]| -> Vec<T> {
                match from.get(start..start + values.len()) {
                    Some(part) => part.to_vec(),
                    None => vec![T::zero(); values.len()],
                }
            };
            let [first, second] = [first, second].map(part);
            let (value, gradient) = (&value[start..], &gradient[start..]);
            for (index, (to, (to_first, to_second))) in values
                .iter_mut()
                .zip(firsts.iter_mut().zip(seconds))
                .enumerate()
            {
                [*to, *to_first, *to_second] =
                    step(value[index], gradient[index], first[index], second[index]);
            }
        });
    made
}

/// The values of a contiguous tensor, held for reading; none for no tensor.
struct Guarded<'a>(Option<(candle_core::StorageRef<'a>, &'a Layout)>);

impl<'a> Guarded<'a> {
    fn new(tensor: Option<&'a Tensor>) -> Self {
        Self(tensor.map(Tensor::storage_and_layout))
    }

    fn values<T: Real>(&self) -> Result<&[T]> {
        let Some((storage, layout)) = &self.0 else {
            return Ok(&[]);
        };
        match (&**storage, layout.contiguous_offsets()) {
            (Storage::Cpu(storage), Some((start, end))) => Ok(&T::slice(storage)?[start..end]),
            _ => bail!("an optimiser met a tensor that is not contiguous on the CPU"),
        }
    }
}
