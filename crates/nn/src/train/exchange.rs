//! Numbers in and out of training, for callers who know no tensor: batches from planes of floats,
//! pictures back to them, and whether a state holds nothing but numbers.

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};

use super::{Batch, State};
use crate::error::TensorResult;

/// A picture as planes of floats: one plane a channel, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Planes.
    pub channels: usize,
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// `channels × height × width` values, from 0 to 1.
    pub values: Vec<f32>,
}

impl Pixels {
    /// The planes of `[channels, height, width]`.
    ///
    /// # Errors
    /// `model_error` when the tensor has other dimensions.
    pub fn of(tensor: &Tensor) -> Result<Self> {
        let (channels, height, width) = tensor.dims3().in_network()?;
        let flat = tensor.flatten_all().and_then(|t| t.to_dtype(DType::F32));
        let values = flat.and_then(|t| t.to_vec1::<f32>()).in_network()?;
        Ok(Self {
            channels,
            height,
            width,
            values,
        })
    }

    /// The pictures of `[n, channels, height, width]`.
    ///
    /// # Errors
    /// As [`Pixels::of`].
    pub fn all(tensor: &Tensor) -> Result<Vec<Self>> {
        let count = tensor.dims4().in_network()?.0;
        let one = |index| Self::of(&tensor.get(index).in_network()?);
        (0..count).map(one).collect()
    }
}

/// The values of many pictures of one size, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Pictures, channels, height and width.
    pub dims: [usize; 4],
    /// All values, from 0 to 1, row by row, plane by plane, picture by picture.
    pub values: Vec<f32>,
}

impl Batch {
    /// A batch on the CPU: a stack for each kind of picture, and the values of a condition for each
    /// sample.
    ///
    /// # Errors
    /// `internal` when values and sizes do not belong together.
    pub fn from_stacks(kinds: Vec<Stack>, condition: Option<Vec<Vec<f32>>>) -> Result<Self> {
        let tensor = |stack: Stack| {
            let [n, c, h, w] = stack.dims;
            fits(stack.values.len(), n * c * h * w)?;
            Tensor::from_vec(stack.values, (n, c, h, w), &Device::Cpu).in_network()
        };
        let condition = condition.map(|rows| {
            let (count, values) = (rows.len(), rows.first().map_or(0, Vec::len));
            let flat = rows.concat();
            fits(flat.len(), count * values)?;
            Tensor::from_vec(flat, (count, values), &Device::Cpu).in_network()
        });
        Ok(Self {
            pictures: kinds.into_iter().map(tensor).collect::<Result<_>>()?,
            condition: condition.transpose()?,
        })
    }

    /// The samples from `start` on, `count` of them.
    ///
    /// # Errors
    /// `model_error` when there are fewer.
    pub fn part(&self, start: usize, count: usize) -> Result<Self> {
        let cut = |tensor: &Tensor| tensor.narrow(0, start, count).in_network();
        Ok(Self {
            pictures: self.pictures.iter().map(cut).collect::<Result<_>>()?,
            condition: self.condition.as_ref().map(cut).transpose()?,
        })
    }
}

fn fits(found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let message = format!("a batch of {expected} values was given {found}");
    Err(Error::new(Code::Internal, message))
}

impl State {
    /// The name of a tensor that holds a value which is no finite number.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn not_finite(&self) -> Result<Option<&str>> {
        for (name, tensor) in &self.tensors {
            // Times 0 every finite number is 0, and all else is not a number.
            let sum = (tensor * 0.0).and_then(|zeros| zeros.sum_all());
            let sum = sum.and_then(|sum| sum.to_dtype(DType::F64)).in_network()?;
            if !sum.to_scalar::<f64>().in_network()?.is_finite() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The number of values in tensors of whose names `wanted` says so.
    pub fn count_values(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let tensors = self.tensors.iter().filter(|(name, _)| wanted(name));
        tensors.map(|(_, tensor)| tensor.elem_count()).sum()
    }

    /// The root of the sum of squares of all values in tensors of whose names `wanted` says so.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub fn norm(&self, wanted: impl Fn(&str) -> bool) -> Result<f64> {
        let mut sum = 0.0;
        for (_, tensor) in self.tensors.iter().filter(|(name, _)| wanted(name)) {
            let squares = tensor.sqr().and_then(|squares| squares.sum_all());
            let squares = squares.and_then(|sum| sum.to_dtype(DType::F64));
            sum += squares.in_network()?.to_scalar::<f64>().in_network()?;
        }
        Ok(sum.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_go_in_and_come_out() {
        let values: Vec<f32> = (0..24).map(|value| value as f32 / 24.0).collect();
        let stack = Stack {
            dims: [2, 3, 2, 2],
            values: values.clone(),
        };
        let condition = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let batch = Batch::from_stacks(vec![stack.clone()], Some(condition)).unwrap();
        assert_eq!(batch.len(), 2);
        let pictures = Pixels::all(&batch.pictures[0]).unwrap();
        assert_eq!(pictures[1].values, values[12..]);
        assert_eq!(pictures[0].height, 2);
        let second = batch.part(1, 1).unwrap();
        assert_eq!(Pixels::all(&second.pictures[0]).unwrap()[0], pictures[1]);
        let condition = second.condition.unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(condition, [[0.0, 1.0]]);
        let short = Stack {
            dims: [3, 3, 2, 2],
            ..stack
        };
        let error = Batch::from_stacks(vec![short], None).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
    }

    #[test]
    fn a_state_says_what_is_no_number() {
        let mut state = State::default();
        let mut put = |name: &str, values: &[f32]| {
            let tensor = Tensor::new(values, &Device::Cpu).unwrap();
            state.tensors.insert(name.to_owned(), tensor);
        };
        put("a.weights.x", &[3.0, f32::MAX]);
        put("b.weights.x", &[4.0]);
        put("b.moments.x", &[1.0, 1.0]);
        assert_eq!(state.not_finite().unwrap(), None);
        assert_eq!(state.count_values(|name| name.contains(".weights.")), 3);
        assert_eq!(
            state.norm(|name| name.starts_with("b.weights")).unwrap(),
            4.0
        );
        for bad in [f32::NAN, f32::INFINITY] {
            let tensor = Tensor::new(&[0.0, bad], &Device::Cpu).unwrap();
            state.tensors.insert("b.moments.x".to_owned(), tensor);
            assert_eq!(state.not_finite().unwrap(), Some("b.moments.x"));
        }
    }
}
