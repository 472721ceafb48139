//! Convolutions and their gradients as products that are each other's gradients.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail,
};

use super::composed;
use super::fast;
use super::plain::{self, Geometry};
use crate::engine::{ConvShape, TransposeShape};

/// `x` `[n, in, h, w]` convolved with `weight` `[out, in / groups, kh, kw]`, without a bias.
///
/// # Errors
/// When the sizes do not go together.
pub fn conv2d(x: &Tensor, weight: &Tensor, shape: &ConvShape) -> Result<Tensor> {
    let (kind, geometry) = Convolution::Plain(*shape).on(x)?;
    Product::new(kind, geometry).of(x, weight)
}

/// `x` `[n, in, h, w]` convolved with `weight` `[in, out / groups, kh, kw]` the other way round, as
/// PyTorch's `conv_transpose2d`, without a bias.
///
/// # Errors
/// When the sizes do not go together, or the output padding is not below the stride.
pub fn conv_transpose2d(x: &Tensor, weight: &Tensor, shape: &TransposeShape) -> Result<Tensor> {
    let (kind, geometry) = Convolution::Transposed(*shape).on(x)?;
    Product::new(kind, geometry).of(x, weight)
}

/// The size of a convolution, of one kind or the other.
#[derive(Debug, Clone, Copy)]
pub enum Convolution {
    /// See [`conv2d`].
    Plain(ConvShape),
    /// See [`conv_transpose2d`].
    Transposed(TransposeShape),
}

impl Convolution {
    /// Which product of which convolution it is, on these pictures.
    pub(super) fn on(self, x: &Tensor) -> Result<(Kind, Geometry)> {
        let (batch, _, height, width) = x.dims4()?;
        match self {
            Self::Plain(shape) => {
                let geometry = Geometry::new(shape, batch, [height, width])?;
                Ok((Kind::Forward, geometry))
            }
            Self::Transposed(shape) => {
                let geometry = transposed(&shape, batch, [height, width])?;
                Ok((Kind::InputGradient, geometry))
            }
        }
    }
}

/// A transposed convolution is the input gradient of the convolution that leads from its output to
/// its input.
fn transposed(shape: &TransposeShape, batch: usize, input: [usize; 2]) -> Result<Geometry> {
    let mut size = [0; 2];
    for (axis, side) in input.into_iter().enumerate() {
        let whole = side.saturating_sub(1) * shape.stride[axis]
            + shape.kernel[axis]
            + shape.output_padding[axis];
        size[axis] = whole.saturating_sub(2 * shape.padding[axis]);
        if side == 0 || size[axis] == 0 || shape.output_padding[axis] >= shape.stride[axis] {
            let [height, width] = input;
            bail!("there is no transposed convolution of {height} × {width} by {shape:?}");
        }
    }
    let convolution = ConvShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        kernel: shape.kernel,
        stride: shape.stride,
        padding: shape.padding,
        dilation: [1; 2],
        groups: shape.groups,
    };
    Geometry::new(convolution, batch, size)
}

/// Which of the three products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Input and weights give the output.
    Forward,
    /// Gradient of the output and weights give that of the input.
    InputGradient,
    /// Input and gradient of the output give that of the weights.
    WeightGradient,
}

/// One of the three products of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    kind: Kind,
    geometry: Geometry,
    /// Whether candle's tensor operations compute it, as on GPUs, or code of our own.
    composed: bool,
}

impl Product {
    pub(super) fn new(kind: Kind, geometry: Geometry) -> Self {
        Self {
            kind,
            geometry,
            composed: false,
        }
    }

    /// Computed by candle's operations on the CPU too, so that tests reach this way without a GPU.
    #[cfg(test)]
    pub(super) fn composed(kind: Kind, geometry: Geometry) -> Self {
        Self {
            composed: true,
            ..Self::new(kind, geometry)
        }
    }

    fn with(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// That two tensors have the sizes of the factors.
    pub(super) fn check(self, a: &Tensor, b: &Tensor) -> Result<()> {
        let [expected_a, expected_b] = self.factors();
        if a.dims() != expected_a || b.dims() != expected_b {
            bail!(
                "a convolution of {expected_a:?} and {expected_b:?} was given {:?} and {:?}",
                a.dims(),
                b.dims()
            );
        }
        Ok(())
    }

    /// The product of two tensors.
    pub(super) fn of(self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.check(a, b)?;
        let ours = matches!(a.dtype(), DType::F32 | DType::F64) && a.device().is_cpu();
        if ours && !self.composed {
            return a.contiguous()?.apply_op2(&b.contiguous()?, self);
        }
        // An operation of our own cannot call candle's convolution from within; so the result is
        // made before and handed in.
        let result = self.by_candle(&a.detach(), &b.detach())?.contiguous()?;
        a.apply_op3(b, &result, self)
    }

    fn by_candle(self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        match self.kind {
            Kind::Forward => composed::forward(&self.geometry, a, b),
            Kind::InputGradient => composed::input_gradient(&self.geometry, a, b),
            Kind::WeightGradient => composed::weight_gradient(&self.geometry, a, b),
        }
    }

    /// The sizes of both factors.
    pub(super) fn factors(&self) -> [[usize; 4]; 2] {
        let geometry = &self.geometry;
        match self.kind {
            Kind::Forward => [geometry.input_dims(), geometry.weight_dims()],
            Kind::InputGradient => [geometry.output_dims(), geometry.weight_dims()],
            Kind::WeightGradient => [geometry.input_dims(), geometry.output_dims()],
        }
    }

    pub(super) fn result(&self) -> [usize; 4] {
        match self.kind {
            Kind::Forward => self.geometry.output_dims(),
            Kind::InputGradient => self.geometry.input_dims(),
            Kind::WeightGradient => self.geometry.weight_dims(),
        }
    }

    fn by_gemm<T: plain::Real>(&self, a: &[T], b: &[T]) -> Vec<T> {
        match self.kind {
            Kind::Forward => plain::forward(&self.geometry, a, b),
            Kind::InputGradient => plain::input_gradient(&self.geometry, a, b),
            Kind::WeightGradient => plain::weight_gradient(&self.geometry, a, b),
        }
    }

    fn by_engine(&self, a: &[f32], b: &[f32]) -> Result<Vec<f32>> {
        let made = match self.kind {
            Kind::Forward => fast::forward(&self.geometry, a, b),
            Kind::InputGradient => fast::input_gradient(&self.geometry, a, b),
            Kind::WeightGradient => fast::weight_gradient(&self.geometry, a, b),
        };
        made.map_err(candle_core::Error::wrap)
    }

    /// The gradients of both factors, where wanted, from the gradient of the product.
    fn gradients(
        self,
        a: &Tensor,
        b: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        use Kind::{Forward, InputGradient, WeightGradient};
        let of_a = || match self.kind {
            Forward => self.with(InputGradient).of(upstream, b),
            InputGradient => self.with(Forward).of(upstream, b),
            WeightGradient => self.with(InputGradient).of(b, upstream),
        };
        let of_b = || match self.kind {
            Forward => self.with(WeightGradient).of(a, upstream),
            InputGradient => self.with(WeightGradient).of(upstream, a),
            WeightGradient => self.with(Forward).of(a, upstream),
        };
        // The input of a first layer wants none, and neither do frozen weights.
        Ok((
            a.track_op().then(of_a).transpose()?,
            b.track_op().then(of_b).transpose()?,
        ))
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let storage = match (a, b) {
            (CpuStorage::F32(a), CpuStorage::F32(b)) => {
                CpuStorage::F32(self.by_engine(values(a, a_layout)?, values(b, b_layout)?)?)
            }
            (CpuStorage::F64(a), CpuStorage::F64(b)) => {
                CpuStorage::F64(self.by_gemm(values(a, a_layout)?, values(b, b_layout)?))
            }
            _ => bail!(
                "a convolution of {:?} and {:?} is not possible",
                a.dtype(),
                b.dtype()
            ),
        };
        Ok((storage, Shape::from_dims(&self.result())))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(a, b, upstream)
    }
}

/// The third argument is the finished result.
impl CustomOp3 for Product {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        result: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((result.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        result: &CudaStorage,
        layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((result.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        _same: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_a, of_b) = self.gradients(a, b, upstream)?;
        Ok((of_a, of_b, None))
    }
}

/// The values of a contiguous tensor.
pub(super) fn values<'a, T>(storage: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage[start..end]),
        None => bail!("a convolution was given a tensor that is not contiguous"),
    }
}
