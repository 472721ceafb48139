//! An activation on its way through a network: a candle tensor, or a buffer of the CPU engine.
//!
//! A network's forward is written once, on [`Act`]. On a GPU and in training an activation is a
//! tensor `[batch, channels, height, width]`; in inference on the CPU it is a [`Buffer`] of the
//! engine, and what follows a convolution is fused into it. Layers dispatch; networks do not look.
//! A third kind, made by [`crate::trace`], holds no values and notes what would be read.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use fonds_core::{Code, Error, Result};

use crate::engine::{Activation, Buffer, Engine};
use crate::error::TensorResult;
use crate::statistics::Book;
use crate::trace::{Reads, Traced};

/// The size of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dims {
    /// Pictures.
    pub batch: usize,
    /// Values of each pixel.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl std::fmt::Display for Dims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            batch,
            channels,
            height,
            width,
        } = self;
        write!(f, "{batch} × {channels} × {height} × {width}")
    }
}

/// An activation. Clones share their values.
#[derive(Debug, Clone)]
pub struct Act {
    pub(crate) data: Data,
    /// Statistics over the whole picture that travel along, so that tiles can use them.
    pub(crate) book: Option<Arc<Book>>,
}

/// Where the values are.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// `[batch, channels, height, width]`.
    Tensor(Tensor),
    /// Buffers whose channels follow one another: concatenation costs nothing until something
    /// needs the channels in one place.
    Engine(Arc<Engine>, Vec<Buffer>),
    /// No values.
    Traced(Traced),
}

impl Act {
    /// A tensor `[batch, channels, height, width]` as an activation.
    ///
    /// # Errors
    /// `internal` when the tensor has not four dimensions.
    pub fn from_tensor(tensor: Tensor) -> Result<Self> {
        tensor.dims4().in_network()?;
        Ok(Self::new(Data::Tensor(tensor)))
    }

    /// A buffer of the CPU engine as an activation.
    pub fn from_buffer(engine: &Arc<Engine>, buffer: Buffer) -> Self {
        Self::new(Data::Engine(Arc::clone(engine), vec![buffer]))
    }

    pub(crate) fn from_trace(traced: Traced) -> Self {
        Self::new(Data::Traced(traced))
    }

    pub(crate) fn new(data: Data) -> Self {
        Self { data, book: None }
    }

    /// The same activation, with statistics of its picture to use or to fill; see
    /// [`crate::statistics`].
    #[must_use]
    pub fn with_book(mut self, book: Arc<Book>) -> Self {
        self.book = Some(book);
        self
    }

    /// What comes of this activation: other values, the same book.
    pub(crate) fn with_data(&self, data: Data) -> Self {
        Self {
            data,
            book: self.book.clone(),
        }
    }

    pub(crate) fn with_buffer(&self, engine: &Arc<Engine>, buffer: Buffer) -> Self {
        self.with_data(Data::Engine(Arc::clone(engine), vec![buffer]))
    }

    pub(crate) fn as_trace(&self) -> Option<&Traced> {
        match &self.data {
            Data::Traced(traced) => Some(traced),
            _ => None,
        }
    }

    /// The size.
    pub fn dims(&self) -> Dims {
        match &self.data {
            Data::Tensor(tensor) => {
                let dims = tensor.dims();
                Dims {
                    batch: dims[0],
                    channels: dims[1],
                    height: dims[2],
                    width: dims[3],
                }
            }
            Data::Engine(_, parts) => {
                let shape = parts[0].shape();
                Dims {
                    batch: shape.batch,
                    channels: parts.iter().map(|part| part.shape().channels).sum(),
                    height: shape.height,
                    width: shape.width,
                }
            }
            Data::Traced(traced) => traced.dims(),
        }
    }

    /// The values as a tensor `[batch, channels, height, width]`; those of the engine become one
    /// on the CPU.
    ///
    /// # Errors
    /// `internal` for a traced activation, `oom` when there is no memory.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match &self.data {
            Data::Tensor(tensor) => Ok(tensor.clone()),
            Data::Engine(engine, _) => {
                let values = engine.export(&self.to_buffer()?);
                let Dims {
                    batch,
                    channels,
                    height,
                    width,
                } = self.dims();
                let shape = (batch, channels, height, width);
                Tensor::from_vec(values, shape, &candle_core::Device::Cpu).in_network()
            }
            Data::Traced(_) => Err(no_values()),
        }
    }

    /// The values as planes `[batch, channels, height, width]`, row major.
    ///
    /// # Errors
    /// As [`Act::to_tensor`].
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        if let Data::Engine(engine, _) = &self.data {
            return Ok(engine.export(&self.to_buffer()?));
        }
        let tensor = self.to_tensor()?.to_dtype(DType::F32).in_network()?;
        tensor.flatten_all().in_network()?.to_vec1().in_network()
    }

    /// The values in one buffer of the engine.
    ///
    /// # Errors
    /// `internal` for an activation that is not the engine's.
    pub fn to_buffer(&self) -> Result<Buffer> {
        match &self.data {
            Data::Engine(_, parts) if parts.len() == 1 => Ok(parts[0].clone()),
            Data::Engine(engine, parts) => {
                let parts: Vec<&Buffer> = parts.iter().collect();
                engine.concatenate(&parts)
            }
            _ => Err(Error::new(
                Code::Internal,
                "an activation is not on the CPU engine",
            )),
        }
    }

    /// The channels of several activations, one after the other.
    ///
    /// # Errors
    /// `internal` when sizes or kinds differ.
    ///
    /// # Panics
    /// When there are none.
    pub fn cat(parts: &[&Self]) -> Result<Self> {
        let first = *parts.first().expect("something to concatenate");
        let dims = first.dims();
        for part in parts {
            let other = part.dims();
            if (other.batch, other.height, other.width) != (dims.batch, dims.height, dims.width) {
                return Err(unequal(dims, other));
            }
        }
        match &first.data {
            Data::Tensor(_) => {
                let tensors: Vec<Tensor> = parts
                    .iter()
                    .map(|part| part.tensor().cloned())
                    .collect::<Result<_>>()?;
                let joined = Tensor::cat(&tensors, 1).in_network()?;
                Ok(first.with_data(Data::Tensor(joined)))
            }
            Data::Engine(engine, _) => {
                let mut buffers = Vec::new();
                for part in parts {
                    buffers.extend_from_slice(part.buffers()?);
                }
                let joined = Data::Engine(Arc::clone(engine), buffers);
                let joined = first.with_data(joined);
                if joined.has_whole_vectors() {
                    return Ok(joined);
                }
                let buffer = joined.to_buffer()?;
                Ok(first.with_buffer(engine, buffer))
            }
            Data::Traced(traced) => {
                let others: Vec<&Traced> = parts[1..]
                    .iter()
                    .filter_map(|part| part.as_trace())
                    .collect();
                let channels = parts.iter().map(|part| part.dims().channels).sum();
                Ok(first.with_data(Data::Traced(traced.join(&others, channels))))
            }
        }
    }

    /// Whether all parts but the last end where a vector ends, as convolutions ask for.
    fn has_whole_vectors(&self) -> bool {
        match &self.data {
            Data::Engine(_, parts) => parts
                .iter()
                .rev()
                .skip(1)
                .all(|part| part.shape().channels % 16 == 0),
            _ => true,
        }
    }

    pub(crate) fn tensor(&self) -> Result<&Tensor> {
        match &self.data {
            Data::Tensor(tensor) => Ok(tensor),
            _ => Err(mixed()),
        }
    }

    pub(crate) fn buffers(&self) -> Result<&[Buffer]> {
        match &self.data {
            Data::Engine(_, parts) => Ok(parts),
            _ => Err(mixed()),
        }
    }

    /// One operation on whichever kind this is, when it reads only the pixel at the same place
    /// and keeps the number of channels.
    pub(crate) fn pointwise(
        &self,
        on_tensor: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
        on_buffer: impl FnOnce(&Engine, &Buffer) -> Result<Buffer>,
    ) -> Result<Self> {
        let dims = self.dims();
        self.apply(dims, [Reads::Same; 2], on_tensor, on_buffer)
    }

    /// One operation on whichever kind this is.
    pub(crate) fn apply(
        &self,
        dims: Dims,
        reads: [Reads; 2],
        on_tensor: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
        on_buffer: impl FnOnce(&Engine, &Buffer) -> Result<Buffer>,
    ) -> Result<Self> {
        match &self.data {
            Data::Tensor(tensor) => {
                let made = on_tensor(tensor).in_network()?;
                Ok(self.with_data(Data::Tensor(made)))
            }
            Data::Engine(engine, _) => {
                let made = on_buffer(engine, &self.to_buffer()?)?;
                Ok(self.with_buffer(engine, made))
            }
            Data::Traced(traced) => Ok(self.with_data(Data::Traced(traced.then(dims, reads)))),
        }
    }

    /// One operation on two activations of the same size.
    fn combine(
        &self,
        other: &Self,
        on_tensors: impl FnOnce(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
        on_buffers: impl FnOnce(&Engine, &Buffer, &Buffer) -> Result<Buffer>,
    ) -> Result<Self> {
        if self.dims() != other.dims() {
            return Err(unequal(self.dims(), other.dims()));
        }
        match (&self.data, &other.data) {
            (Data::Tensor(a), Data::Tensor(b)) => {
                let made = on_tensors(a, b).in_network()?;
                Ok(self.with_data(Data::Tensor(made)))
            }
            (Data::Engine(engine, _), Data::Engine(..)) => {
                let made = on_buffers(engine, &self.to_buffer()?, &other.to_buffer()?)?;
                Ok(self.with_buffer(engine, made))
            }
            (Data::Traced(a), Data::Traced(b)) => {
                let made = a.join(&[b], a.dims().channels);
                Ok(self.with_data(Data::Traced(made)))
            }
            _ => Err(mixed()),
        }
    }

    /// `self + other`.
    ///
    /// # Errors
    /// `internal` when sizes or kinds differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.combine(
            other,
            |a, b| a + b,
            |engine, a, b| engine.linear_combination(a, 1.0, b, 1.0),
        )
    }

    /// `self − other`.
    ///
    /// # Errors
    /// `internal` when sizes or kinds differ.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.combine(
            other,
            |a, b| a - b,
            |engine, a, b| engine.linear_combination(a, 1.0, b, -1.0),
        )
    }

    /// `self · scale + other`: a residual of less than full strength.
    ///
    /// # Errors
    /// `internal` when sizes or kinds differ.
    pub fn scaled_add(&self, scale: f32, other: &Self) -> Result<Self> {
        self.combine(
            other,
            |a, b| a.affine(f64::from(scale), 0.0)? + b,
            |engine, a, b| engine.linear_combination(a, scale, b, 1.0),
        )
    }

    /// `self · scale + shift`, the same for all channels.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub fn affine(&self, scale: f32, shift: f32) -> Result<Self> {
        self.pointwise(
            |tensor| tensor.affine(f64::from(scale), f64::from(shift)),
            |engine, buffer| engine.affine(buffer, &[scale], &[shift], &Activation::None),
        )
    }

    /// `self · scale[c] + shift[c]` for each channel `c`.
    ///
    /// # Errors
    /// `internal` when there is not one value for each channel.
    pub fn channel_affine(&self, scale: &[f32], shift: &[f32]) -> Result<Self> {
        let channels = self.dims().channels;
        if scale.len() != channels || shift.len() != channels {
            let message = format!("{} factors for {channels} channels", scale.len());
            return Err(Error::new(Code::Internal, message));
        }
        self.pointwise(
            |tensor| {
                let row = |values: &[f32]| {
                    Tensor::from_slice(values, (1, channels, 1, 1), tensor.device())?
                        .to_dtype(tensor.dtype())
                };
                tensor
                    .broadcast_mul(&row(scale)?)?
                    .broadcast_add(&row(shift)?)
            },
            |engine, buffer| engine.affine(buffer, scale, shift, &Activation::None),
        )
    }

    /// `len` channels from `start` on.
    ///
    /// # Errors
    /// `internal` when there are not so many.
    pub fn channels(&self, start: usize, len: usize) -> Result<Self> {
        let dims = self.dims();
        if start + len > dims.channels || len == 0 {
            let message = format!("{dims} has no channels {start} to {}", start + len);
            return Err(Error::new(Code::Internal, message));
        }
        let made = Dims {
            channels: len,
            ..dims
        };
        self.apply(
            made,
            [Reads::Same; 2],
            |tensor| tensor.narrow(1, start, len)?.contiguous(),
            |engine, buffer| engine.narrow(buffer, start, len),
        )
    }
}

fn mixed() -> Error {
    Error::new(
        Code::Internal,
        "activations of the CPU engine and of candle meet in one layer",
    )
}

fn no_values() -> Error {
    Error::new(Code::Internal, "a traced activation holds no values")
}

fn unequal(one: Dims, other: Dims) -> Error {
    let message = format!("activations of {one} and {other} meet in one layer");
    Error::new(Code::Internal, message)
}
