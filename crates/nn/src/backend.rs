//! What a network runs on: the CPU engine, or candle on a device.

use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};

use crate::act::{Act, Dims};
use crate::engine::{Engine, Shape};
use crate::error::TensorResult;

/// What the user asked for: `auto`, `cpu`, or `cuda[:n[,m…]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The GPUs that are there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// These GPUs.
    Cuda(Vec<usize>),
}

impl std::str::FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("`{text}` is no device");
            let error = Error::new(Code::InvalidRequest, message);
            error.hint("give `auto`, `cpu`, `cuda`, or GPUs by number, as in `cuda:0,1`")
        };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(vec![0])),
            _ => {
                let numbers = text.strip_prefix("cuda:").ok_or_else(wrong)?;
                let numbers: Vec<usize> = numbers
                    .split(',')
                    .map(|number| number.parse().map_err(|_| wrong()))
                    .collect::<Result<_>>()?;
                let mut sorted = numbers.clone();
                sorted.sort_unstable();
                sorted.dedup();
                if sorted.len() < numbers.len() {
                    return Err(wrong());
                }
                Ok(Self::Cuda(numbers))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
        }
    }
}

/// In what numbers a network computes on a GPU. What the CPU engine computes in is up to its
/// [`Precision`](crate::engine::Precision).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats: 11 bits of precision, values up to 65,504.
    F16,
    /// 16-bit floats with the range of 32-bit ones: 8 bits of precision.
    Bf16,
}

impl NumberType {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// Where activations live and layers compute.
#[derive(Debug, Clone)]
pub enum Backend {
    /// The CPU engine.
    Engine(Arc<Engine>),
    /// candle on a device: a GPU, or the CPU where gradients are wanted.
    Tensors {
        /// Where.
        device: Device,
        /// In what numbers.
        dtype: DType,
    },
}

impl Backend {
    /// candle on the CPU, in 32-bit floats: slower than the engine, with gradients.
    pub fn cpu_tensors() -> Self {
        Self::Tensors {
            device: Device::Cpu,
            dtype: DType::F32,
        }
    }

    /// GPU number `ordinal`.
    ///
    /// # Errors
    /// `not_built_in` when this binary has no CUDA, `model_error` when the GPU is not there.
    pub fn cuda(ordinal: usize, numbers: NumberType) -> Result<Self> {
        if !cfg!(feature = "cuda") {
            let error = Error::new(Code::NotBuiltIn, "this build of fonds has no CUDA");
            return Err(error
                .hint("build it with `--features cuda` on a machine with the CUDA toolkit")
                .hint("use `--device cpu`"));
        }
        // One stream for all threads: tensors are handed from the thread that uploads to the one
        // that computes.
        match Device::new_cuda_with_stream(ordinal) {
            Ok(device) => Ok(Self::Tensors {
                device,
                dtype: numbers.dtype(),
            }),
            Err(error) => {
                let first = error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let message = format!("GPU {ordinal} cannot be used");
                let error = Error::new(Code::ModelError, message).caused_by(first);
                Err(error
                    .hint("see `nvidia-smi` for the GPUs that are there")
                    .hint("use `--device cpu`, or `--device auto` to take what is there"))
            }
        }
    }

    /// The backends for a choice: one for the CPU, one for each GPU.
    ///
    /// # Errors
    /// Those of [`Backend::cuda`], unless the choice was `auto`.
    pub fn choose(
        choice: &DeviceChoice,
        engine: &Arc<Engine>,
        numbers: NumberType,
    ) -> Result<Vec<Self>> {
        let cpu = || vec![Self::Engine(Arc::clone(engine))];
        match choice {
            DeviceChoice::Cpu => Ok(cpu()),
            DeviceChoice::Cuda(ordinals) => ordinals
                .iter()
                .map(|&ordinal| Self::cuda(ordinal, numbers))
                .collect(),
            DeviceChoice::Auto => {
                let found: Vec<Self> = (0..)
                    .map_while(|ordinal| Self::cuda(ordinal, numbers).ok())
                    .collect();
                Ok(if found.is_empty() { cpu() } else { found })
            }
        }
    }

    /// Where weights live: those of the engine are packed from tensors on the CPU.
    pub fn device(&self) -> &Device {
        match self {
            Self::Engine(_) => &Device::Cpu,
            Self::Tensors { device, .. } => device,
        }
    }

    /// In what numbers weights are kept.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Engine(_) => DType::F32,
            Self::Tensors { dtype, .. } => *dtype,
        }
    }

    /// Whether it is a GPU.
    pub fn is_gpu(&self) -> bool {
        matches!(self, Self::Tensors { device, .. } if device.is_cuda())
    }

    /// Values as an activation: planes `[batch, channels, height, width]`, row major.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    ///
    /// # Panics
    /// When the number of values is not that of the dimensions.
    pub fn import(&self, dims: Dims, nchw: &[f32]) -> Result<Act> {
        let Dims {
            batch,
            channels,
            height,
            width,
        } = dims;
        match self {
            Self::Engine(engine) => {
                let shape = Shape {
                    batch,
                    height,
                    width,
                    channels,
                };
                Ok(Act::from_buffer(engine, engine.import(shape, nchw)?))
            }
            Self::Tensors { device, dtype } => {
                let shape = (batch, channels, height, width);
                let tensor = Tensor::from_slice(nchw, shape, device).in_network()?;
                Act::from_tensor(tensor.to_dtype(*dtype).in_network()?)
            }
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(engine) => write!(f, "cpu ({})", engine.settings()),
            Self::Tensors { device, dtype } => {
                let name = match device.location() {
                    candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                    _ => "cpu tensors".to_owned(),
                };
                write!(f, "{name} ({})", dtype.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:2,0"] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!(
            "cuda".parse::<DeviceChoice>().unwrap().to_string(),
            "cuda:0"
        );
        for text in ["", "gpu", "cuda:", "cuda:a", "cuda:1,1", "CPU"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest, "{text}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_that_is_not_built_in_is_an_error_and_auto_takes_the_cpu() {
        let engine = Engine::new(crate::engine::Kernel::Portable);
        let choice = DeviceChoice::Cuda(vec![0]);
        let error = Backend::choose(&choice, &engine, NumberType::F32).unwrap_err();
        assert_eq!(error.code(), Code::NotBuiltIn);
        let found = Backend::choose(&DeviceChoice::Auto, &engine, NumberType::F32).unwrap();
        assert_eq!(found[0].to_string(), "cpu (portable)");
    }
}
