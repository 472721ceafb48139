//! A named tensor's data as a checkpoint holds it: shape, number type, and a view into the file's bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use half::{bf16, f16};

/// Number types that checkpoints of picture networks use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single-precision number.
    BF16,
    /// IEEE 754 double precision.
    F64,
    /// Signed, 64 bits; batch counters of batch normalisation.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, zero for false.
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether the type has fractions, as weights do and counters do not.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

/// A run of bytes inside a file that several tensors may share.
#[derive(Clone)]
pub(crate) struct Blob {
    file: Arc<Vec<u8>>,
    range: Range<usize>,
    big_endian: bool,
}

impl Blob {
    /// These bytes of the file; the range lies inside it.
    pub(crate) fn new(file: &Arc<Vec<u8>>, range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end && range.end <= file.len());
        Self {
            file: Arc::clone(file),
            range,
            big_endian: false,
        }
    }

    /// The same bytes, with the most significant byte of each number first.
    pub(crate) fn big_endian(mut self) -> Self {
        self.big_endian = true;
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    fn bytes(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

/// Where the elements of a tensor lie in its storage, counted in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// Dimensions beyond this are no network's.
const MAX_DIMENSIONS: usize = 16;
/// A view that repeats elements (stride 0) may have at most this many more than its storage.
const MAX_REPEATED: usize = 1 << 16;

impl Layout {
    /// Row-major from the start of the storage.
    pub(crate) fn contiguous(shape: Vec<usize>) -> Self {
        let strides = row_major(&shape);
        Self {
            offset: 0,
            shape,
            strides,
        }
    }

    /// The number of elements, once it is known that all of them lie in a storage of `available`.
    fn check(&self, available: usize) -> Result<usize> {
        if self.shape.len() != self.strides.len() || self.shape.len() > MAX_DIMENSIONS {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "it has {} dimensions and {} strides",
                    self.shape.len(),
                    self.strides.len()
                ),
            ));
        }
        let outside = || {
            Error::new(
                Code::Corrupt,
                format!(
                    "its shape {:?} with strides {:?} at {} reaches beyond its storage of {available} elements",
                    self.shape, self.strides, self.offset
                ),
            )
        };
        let count = element_count(&self.shape).ok_or_else(outside)?;
        if count == 0 {
            return Ok(0);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |sum, (&side, &stride)| {
                sum.checked_add(stride.checked_mul(side - 1)?)
            })
            .ok_or_else(outside)?;
        // A view with stride 0 may claim any number of elements over a storage of one.
        if last >= available || count > available.saturating_add(MAX_REPEATED) {
            return Err(outside());
        }
        Ok(count)
    }

    fn is_contiguous(&self) -> bool {
        let expected = row_major(&self.shape);
        self.shape
            .iter()
            .zip(self.strides.iter().zip(&expected))
            .all(|(&side, (have, want))| side <= 1 || have == want)
    }
}

/// Strides of a row-major tensor; the shape's product is known to fit.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

fn element_count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1_usize, |n, &side| n.checked_mul(side))
        .filter(|&n| n <= isize::MAX as usize / 8)
}

/// A tensor of a checkpoint. Cheap to clone: the data stays in the bytes of the file, which
/// tensors share, until [`to_f32`](Self::to_f32) or [`to_bytes`](Self::to_bytes) copies it out.
#[derive(Clone)]
pub struct Tensor {
    dtype: Dtype,
    layout: Layout,
    blob: Blob,
    count: usize,
}

impl Tensor {
    /// A view into a storage; an error without name or place if it reaches beyond it.
    pub(crate) fn view(dtype: Dtype, layout: Layout, blob: Blob) -> Result<Self> {
        let count = layout.check(blob.len() / dtype.size())?;
        Ok(Self {
            dtype,
            layout,
            blob,
            count,
        })
    }

    /// A tensor of this shape from row-major little-endian bytes.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if the number of bytes is not the shape's.
    pub fn from_bytes(shape: &[usize], dtype: Dtype, bytes: Vec<u8>) -> Result<Self> {
        let wanted = element_count(shape).map(|n| n * dtype.size());
        if wanted != Some(bytes.len()) || shape.len() > MAX_DIMENSIONS {
            return Err(Error::new(
                Code::InvalidRequest,
                format!("{} bytes do not make {dtype} {shape:?}", bytes.len()),
            ));
        }
        let end = bytes.len();
        let blob = Blob::new(&Arc::new(bytes), 0..end);
        Self::view(dtype, Layout::contiguous(shape.to_vec()), blob)
    }

    /// A tensor of this shape from row-major values.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if the number of values is not the shape's.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::from_bytes(shape, Dtype::F32, bytes)
    }

    /// Sides, outermost first; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The number type in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The same elements under another shape, row-major.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if the shape has another number of elements.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        if element_count(shape) != Some(self.count) {
            return Err(Error::new(
                Code::InvalidRequest,
                format!("{:?} does not become {shape:?}", self.shape()),
            ));
        }
        Self::from_bytes(shape, self.dtype, self.to_bytes().into_owned())
    }

    /// The elements in row-major order as 32-bit floats. Halves are exact; doubles and integers
    /// are rounded to the nearest; true is 1.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes = self.to_bytes();
        match self.dtype {
            Dtype::F32 => decode(&bytes, f32::from_le_bytes),
            Dtype::F16 => decode(&bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => decode(&bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => decode(&bytes, |b| f64::from_le_bytes(b) as f32),
            Dtype::I64 => decode(&bytes, |b| i64::from_le_bytes(b) as f32),
            Dtype::I32 => decode(&bytes, |b| i32::from_le_bytes(b) as f32),
            Dtype::I16 => decode(&bytes, |b| f32::from(i16::from_le_bytes(b))),
            Dtype::I8 => decode(&bytes, |b| f32::from(i8::from_le_bytes(b))),
            Dtype::U8 => decode(&bytes, |[b]| f32::from(b)),
            Dtype::Bool => decode(&bytes, |[b]| f32::from(u8::from(b != 0))),
        }
    }

    /// The elements in row-major order as little-endian bytes of the file's number type; borrowed
    /// where they lie so in the file.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        let size = self.dtype.size();
        let bytes = self.blob.bytes();
        if self.count == 0 {
            return Cow::Borrowed(&[]);
        }
        if self.layout.is_contiguous() && (!self.blob.big_endian || size == 1) {
            let start = self.layout.offset * size;
            return Cow::Borrowed(&bytes[start..start + self.count * size]);
        }
        let mut out = Vec::with_capacity(self.count * size);
        self.for_each_position(|position| {
            let element = &bytes[position * size..][..size];
            if self.blob.big_endian {
                out.extend(element.iter().rev());
            } else {
                out.extend_from_slice(element);
            }
        });
        Cow::Owned(out)
    }

    /// The same tensor in another floating-point type, each value rounded to the nearest.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] if `dtype` is no floating-point type.
    pub fn cast(&self, dtype: Dtype) -> Result<Self> {
        let values = self.to_f32();
        let bytes = match dtype {
            Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Dtype::F16 => values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect(),
            Dtype::BF16 => values
                .iter()
                .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
                .collect(),
            Dtype::F64 => values
                .iter()
                .flat_map(|&v| f64::from(v).to_le_bytes())
                .collect(),
            other => {
                return Err(Error::new(
                    Code::InvalidRequest,
                    format!("weights are not converted to {other}"),
                ));
            }
        };
        Self::from_bytes(self.shape(), dtype, bytes)
    }

    /// The index of the first element, in row-major order, that is infinite or not a number.
    pub fn first_non_finite(&self) -> Option<usize> {
        if !self.dtype.is_float() {
            return None;
        }
        if self.dtype == Dtype::F64 {
            return decode(&self.to_bytes(), f64::from_le_bytes)
                .iter()
                .position(|v| !v.is_finite());
        }
        self.to_f32().iter().position(|v| !v.is_finite())
    }

    /// Calls `visit` with the storage position of each element, in row-major order.
    fn for_each_position(&self, mut visit: impl FnMut(usize)) {
        let Layout {
            offset,
            shape,
            strides,
        } = &self.layout;
        let mut index = vec![0_usize; shape.len()];
        let mut position = *offset;
        for _ in 0..self.count {
            visit(position);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                position += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                position -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape())
    }
}

/// Elements of `N` bytes each; the bytes are a whole number of them.
fn decode<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .chunks_exact(N)
        .map(|chunk| convert(chunk.try_into().expect("chunks have N bytes")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(values: &[f32]) -> Blob {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let end = bytes.len();
        Blob::new(&Arc::new(bytes), 0..end)
    }

    fn layout(offset: usize, shape: &[usize], strides: &[usize]) -> Layout {
        Layout {
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn views_are_resolved() {
        let values: Vec<f32> = (0_u8..12).map(f32::from).collect();
        let transposed =
            Tensor::view(Dtype::F32, layout(0, &[4, 3], &[1, 4]), storage(&values)).unwrap();
        assert_eq!(
            transposed.to_f32(),
            [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]
        );
        let slice =
            Tensor::view(Dtype::F32, layout(5, &[2, 2], &[4, 2]), storage(&values)).unwrap();
        assert_eq!(slice.to_f32(), [5., 7., 9., 11.]);
        let repeated = Tensor::view(Dtype::F32, layout(3, &[2, 3], &[0, 0]), storage(&values));
        assert_eq!(repeated.unwrap().to_f32(), [3.; 6]);
        let scalar = Tensor::view(Dtype::F32, layout(11, &[], &[]), storage(&values)).unwrap();
        assert_eq!((scalar.to_f32(), scalar.len()), (vec![11.], 1));
        let empty = Tensor::view(Dtype::F32, layout(12, &[0, 9], &[9, 1]), storage(&values));
        assert!(empty.unwrap().to_f32().is_empty());
    }

    #[test]
    fn views_beyond_the_storage_are_refused() {
        let values = [0.; 12];
        let max = usize::MAX;
        for bad in [
            layout(0, &[13], &[1]),
            layout(1, &[12], &[1]),
            layout(0, &[2, 2], &[11, 2]),
            layout(12, &[1], &[1]),
            layout(max, &[2], &[1]),
            layout(0, &[2], &[max]),
            layout(0, &[max, max], &[0, 0]),
            layout(0, &[1 << 20], &[0]),
            layout(0, &[2], &[1, 1]),
            layout(0, &[1; 17], &[1; 17]),
        ] {
            let error = Tensor::view(Dtype::F32, bad.clone(), storage(&values)).unwrap_err();
            assert_eq!(error.code(), Code::Corrupt, "{bad:?}");
        }
    }

    #[test]
    fn every_type_becomes_f32() {
        let check = |dtype, bytes: &[u8], expected: f32| {
            let tensor = Tensor::from_bytes(&[1], dtype, bytes.to_vec()).unwrap();
            assert_eq!(tensor.to_f32(), [expected], "{dtype}");
        };
        check(Dtype::F32, &1.5_f32.to_le_bytes(), 1.5);
        check(Dtype::F64, &(-2.25_f64).to_le_bytes(), -2.25);
        // 0x3555 is the half nearest to 1/3 (IEEE 754 binary16).
        check(Dtype::F16, &[0x55, 0x35], 0.333_251_95);
        // The smallest subnormal half.
        check(Dtype::F16, &[0x01, 0x00], 5.960_464_5e-8);
        check(Dtype::BF16, &[0x80, 0x3f], 1.0);
        check(Dtype::I64, &(-7_i64).to_le_bytes(), -7.0);
        check(Dtype::I32, &70000_i32.to_le_bytes(), 70000.0);
        check(Dtype::I16, &(-300_i16).to_le_bytes(), -300.0);
        check(Dtype::I8, &[0xff], -1.0);
        check(Dtype::U8, &[0xff], 255.0);
        check(Dtype::Bool, &[2], 1.0);
    }

    #[test]
    fn big_endian_storages_are_turned() {
        let bytes: Vec<u8> = [1.5_f32, -3.0]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        let blob = Blob::new(&Arc::new(bytes), 0..8).big_endian();
        let tensor = Tensor::view(Dtype::F32, Layout::contiguous(vec![2]), blob).unwrap();
        assert_eq!(tensor.to_f32(), [1.5, -3.0]);
    }

    #[test]
    fn casts_round_to_nearest() {
        let tensor = Tensor::from_f32(&[3], &[1.0 / 3.0, 65504.0, 1e6]).unwrap();
        assert_eq!(
            tensor.cast(Dtype::F16).unwrap().to_f32(),
            [0.333_251_95, 65504.0, f32::INFINITY]
        );
        assert_eq!(tensor.cast(Dtype::BF16).unwrap().to_f32()[0], 0.333_984_38);
        assert_eq!(tensor.cast(Dtype::F64).unwrap().to_f32(), tensor.to_f32());
        assert!(tensor.cast(Dtype::I64).is_err());
        assert_eq!(tensor.cast(Dtype::F16).unwrap().first_non_finite(), Some(2));
        assert_eq!(tensor.first_non_finite(), None);
    }

    #[test]
    fn shapes_and_bytes_must_agree() {
        assert!(Tensor::from_f32(&[2, 2], &[0.0; 3]).is_err());
        assert!(Tensor::from_bytes(&[usize::MAX, 2], Dtype::U8, vec![0; 2]).is_err());
        let tensor = Tensor::from_f32(&[2, 3], &[0., 1., 2., 3., 4., 5.]).unwrap();
        assert_eq!(tensor.reshape(&[3, 2]).unwrap().shape(), [3, 2]);
        assert!(tensor.reshape(&[4]).is_err());
    }
}
