//! A convolution with what follows it, as one operation: bias or batch normalisation, then a curve.
//!
//! On CPU tensors in `f32` all of it happens in the engine's layout, and what the gradients need
//! stays there too; planes are only written for candle to hold. Everywhere else, and where gradients
//! of gradients are wanted, it is composed of operations that are closed under differentiation.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};

use super::plain::Geometry;
use super::product::{Convolution, Kind, Product, values};
use super::{fast, kept, pointwise, second_order};
use crate::engine::{
    self, Buffer, Centring, ChannelSums, Epilogue, Tail, TailCurve, conv2d_input_gradient,
    conv2d_input_gradient_with, conv2d_once, conv2d_weight_gradient,
};
use crate::layers::Activation;

/// What is done to the sums of a convolution before its curve.
#[derive(Debug, Clone, Copy)]
pub enum Offset<'a> {
    /// Nothing.
    None,
    /// A value is added, for each output channel: `[out]`.
    Bias(&'a Tensor),
    /// Normalisation to mean 0 and variance 1 over the batch, then weight and bias, each `[out]`.
    Batch {
        /// Factor after the normalisation.
        weight: &'a Tensor,
        /// Added after that.
        bias: &'a Tensor,
        /// Added to the variance.
        epsilon: f64,
    },
}

/// What a batch normalisation within a [`block_seen`] normalised, for running statistics.
#[derive(Debug)]
pub enum Seen {
    /// Sums over all of it, from the fused operation.
    Sums(ChannelSums),
    /// The values themselves, outside the graph.
    Values(Tensor),
}

/// `activation(offset(convolution(x)))`, with `x` `[n, in, h, w]` and weights as [`super::conv2d`]
/// or [`super::conv_transpose2d`] want them.
///
/// # Errors
/// When the sizes do not go together.
pub fn block(
    x: &Tensor,
    weight: &Tensor,
    convolution: Convolution,
    offset: Offset<'_>,
    activation: &Activation,
) -> Result<Tensor> {
    Ok(block_seen(x, weight, convolution, offset, activation)?.0)
}

/// The same, and what the offset normalised, where it is a normalisation.
///
/// # Errors
/// When the sizes do not go together.
pub fn block_seen(
    x: &Tensor,
    weight: &Tensor,
    convolution: Convolution,
    offset: Offset<'_>,
    activation: &Activation,
) -> Result<(Tensor, Option<Seen>)> {
    let (kind, geometry) = convolution.on(x)?;
    let product = Product::new(kind, geometry);
    let Some(curve) = Curve::of(activation, offset) else {
        let (plain, seen) = block_seen(x, weight, convolution, offset, &Activation::None)?;
        return Ok((activation.on_tensor(&plain)?, seen));
    };
    let parameters = parameters(offset, activation)?;
    let parts = [Some(x), Some(weight), parameters.as_ref()];
    let ours = parts
        .into_iter()
        .flatten()
        .all(|part| part.dtype() == DType::F32 && part.device().is_cpu());
    if !ours || second_order() || x.elem_count() == 0 {
        let sums = product.of(x, weight)?;
        let mut seen = None;
        let sums = match offset {
            Offset::None => sums,
            Offset::Bias(bias) => pointwise::add_bias(&sums, bias)?,
            Offset::Batch {
                weight,
                bias,
                epsilon,
            } => {
                seen = Some(Seen::Values(sums.detach()));
                super::normalize::batch_norm(&sums, weight, bias, epsilon)?
            }
        };
        return Ok((activation.on_tensor(&sums)?, seen));
    }
    product.check(x, weight)?;
    let [_, channels, _, _] = product.result();
    let (offsets, slopes) = (offset.count() * channels, curve.slopes());
    let expected = offsets + slopes;
    if parameters.as_ref().map_or(0, Tensor::elem_count) != expected
        || !matches!(slopes, 0 | 1) && slopes != channels
    {
        bail!("{channels} channels do not go with {offset:?} and {activation:?}");
    }
    let tracked =
        x.track_op() || weight.track_op() || parameters.as_ref().is_some_and(Tensor::track_op);
    let state = Arc::new(OnceLock::new());
    let seen = Arc::new(OnceLock::new());
    let fused = Fused {
        kind,
        geometry,
        norm: match offset {
            Offset::Batch { epsilon, .. } => Some(epsilon),
            _ => None,
        },
        seen: Arc::clone(&seen),
        biased: matches!(offset, Offset::Bias(_)),
        curve,
        input: kept::of(x),
        state: tracked.then(|| Arc::clone(&state)),
    };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let made = match parameters {
        Some(parameters) => x.apply_op3(&weight, &parameters, fused)?,
        None => x.apply_op2(&weight, fused)?,
    };
    if let Some(State { output, .. }) = state.get() {
        kept::note(&made, Arc::downgrade(output));
    }
    Ok((made, seen.get().cloned().map(Seen::Sums)))
}

/// The parameters of offset and activation, one after the other.
fn parameters(offset: Offset<'_>, activation: &Activation) -> Result<Option<Tensor>> {
    let mut parts = match offset {
        Offset::None => vec![],
        Offset::Bias(bias) => vec![bias.flatten_all()?],
        Offset::Batch { weight, bias, .. } => vec![weight.flatten_all()?, bias.flatten_all()?],
    };
    if let Activation::PRelu(slopes) = activation {
        parts.push(slopes.flatten_all()?);
    }
    match parts.len() {
        0 => Ok(None),
        1 => Ok(Some(parts.remove(0).contiguous()?)),
        _ => Tensor::cat(&parts, 0).map(Some),
    }
}

impl Offset<'_> {
    /// Parameters of a channel.
    fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Bias(_) => 1,
            Self::Batch { .. } => 2,
        }
    }
}

/// A curve that can be fused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    /// With this slope for negative values.
    Slope(f32),
    /// With so many learned slopes.
    Learned(usize),
    Tanh,
    Sigmoid,
}

impl Curve {
    /// The gradient of the last two is made from what they gave, so nothing may come between the
    /// convolution and them but what the engine fuses itself.
    fn of(activation: &Activation, offset: Offset<'_>) -> Option<Self> {
        let normalized = matches!(offset, Offset::Batch { .. });
        match activation {
            Activation::None => Some(Self::Slope(1.0)),
            Activation::Relu => Some(Self::Slope(0.0)),
            Activation::LeakyRelu(slope) => Some(Self::Slope(*slope)),
            Activation::PRelu(slopes) => Some(Self::Learned(slopes.elem_count())),
            Activation::Tanh if !normalized => Some(Self::Tanh),
            Activation::Sigmoid if !normalized => Some(Self::Sigmoid),
            Activation::Tanh | Activation::Sigmoid => None,
        }
    }

    fn slopes(self) -> usize {
        match self {
            Self::Learned(slopes) => slopes,
            _ => 0,
        }
    }

    /// As the engine fuses it, where what it gave tells which values were negative.
    fn for_engine(self) -> Option<engine::Activation> {
        match self {
            Self::Slope(1.0) => Some(engine::Activation::None),
            Self::Slope(0.0) => Some(engine::Activation::Relu),
            Self::Slope(slope) if slope > 0.0 => Some(engine::Activation::LeakyRelu(slope)),
            Self::Slope(_) | Self::Learned(_) => None,
            Self::Tanh => Some(engine::Activation::Tanh),
            Self::Sigmoid => Some(engine::Activation::Sigmoid),
        }
    }

    fn tail(self, shape: engine::Shape, slopes: &[f32]) -> Tail {
        match self {
            Self::Slope(slope) => Tail::new(shape, TailCurve::Slope, &[slope]),
            Self::Learned(_) => Tail::new(shape, TailCurve::Slope, slopes),
            Self::Tanh => Tail::new(shape, TailCurve::Tanh, &[1.0]),
            Self::Sigmoid => Tail::new(shape, TailCurve::Sigmoid, &[1.0]),
        }
    }
}

/// The fused operation on two or three arguments: input, weights and, where there are any, the
/// parameters of offset and curve.
struct Fused {
    kind: Kind,
    geometry: Geometry,
    /// The epsilon of a batch normalisation.
    norm: Option<f64>,
    /// What that normalised, once it has run.
    seen: Arc<OnceLock<ChannelSums>>,
    biased: bool,
    curve: Curve,
    /// The input as activations, if somebody has them.
    input: Option<Buffer>,
    /// What the gradients need, when there will be any.
    state: Option<Arc<OnceLock<State>>>,
}

/// What the gradients need.
struct State {
    input: Buffer,
    /// The sums of the convolution, or what the curve gave where that is enough.
    values: Buffer,
    output: Arc<Buffer>,
    tail: Tail,
    /// Of a batch normalisation.
    statistics: Option<Statistics>,
}

struct Statistics {
    mean: Vec<f32>,
    /// One over the standard deviation, epsilon included.
    inverse: Vec<f64>,
}

impl Statistics {
    fn of(total: &ChannelSums, epsilon: f64) -> Self {
        let inverse = |variance: f64| 1.0 / (variance + epsilon).sqrt();
        Self {
            mean: total.means().map(|mean| mean as f32).collect(),
            inverse: total.variances().map(inverse).collect(),
        }
    }
}

impl Fused {
    fn run(&self, x: &[f32], weight: &[f32], parameters: &[f32]) -> fonds_core::Result<Vec<f32>> {
        let engine = fast::engine();
        let input = match &self.input {
            Some(input) => input.clone(),
            None => fast::import(self.product().factors()[0], x)?,
        };
        let [_, channels, _, _] = self.product().result();
        let (offset, slopes) = parameters.split_at(parameters.len() - self.curve.slopes());
        let bias = self.biased.then_some(offset);
        let fusible = self.curve.for_engine();
        if let (Some(activation), None) = (&fusible, self.norm) {
            let epilogue = Epilogue::activation(activation);
            let output = self.convolve(&input, weight, bias, &epilogue)?;
            let planes = engine.export(&output);
            self.keep(|| State {
                input,
                values: output.clone(),
                tail: self.curve.tail(output.shape(), slopes),
                output: Arc::new(output),
                statistics: None,
            });
            return Ok(planes);
        }
        let sums = self.convolve(&input, weight, bias, &Epilogue::default())?;
        let shape = sums.shape();
        let mut tail = self.curve.tail(shape, slopes);
        let statistics = self.norm.map(|epsilon| {
            let total = self.seen.get_or_init(|| engine.batch_sums(&sums));
            Statistics::of(total, epsilon)
        });
        if let Some(Statistics { mean, inverse }) = &statistics {
            let (weight, bias) = offset.split_at(channels);
            let scale: Vec<f32> = weight
                .iter()
                .zip(inverse)
                .map(|(weight, inverse)| (f64::from(*weight) * inverse) as f32)
                .collect();
            tail = tail.after(shape, mean, &scale, bias);
        }
        let (output, planes) = engine.follow(&sums, &tail)?;
        self.keep(|| State {
            input,
            values: sums,
            output: Arc::new(output),
            tail,
            statistics,
        });
        Ok(planes)
    }

    fn product(&self) -> Product {
        Product::new(self.kind, self.geometry)
    }

    fn keep(&self, state: impl FnOnce() -> State) {
        if let Some(kept) = &self.state {
            kept.get_or_init(state);
        }
    }

    fn convolve(
        &self,
        input: &Buffer,
        weight: &[f32],
        bias: Option<&[f32]>,
        epilogue: &Epilogue<'_>,
    ) -> fonds_core::Result<Buffer> {
        let Geometry { shape, .. } = &self.geometry;
        let engine = fast::engine();
        let [height, width] = self.geometry.input;
        match self.kind {
            Kind::InputGradient => conv2d_input_gradient_with(
                engine,
                shape,
                (height, width),
                input,
                weight,
                bias,
                epilogue,
            ),
            _ => conv2d_once(engine, shape, input, weight, bias, epilogue),
        }
    }

    /// The gradients of the arguments that want one.
    fn gradients(
        &self,
        wanted: [bool; 3],
        weight: &[f32],
        parameters: &[f32],
        upstream: &[f32],
    ) -> fonds_core::Result<[Option<Vec<f32>>; 3]> {
        let engine = fast::engine();
        let state = self.state.as_deref().and_then(OnceLock::get);
        let state = state.expect("a tracked operation keeps what its gradients need");
        let (mut gated, sums) = engine.gate(upstream, &state.values, &state.tail)?;
        let of_parameters = wanted[2].then(|| {
            let mut gradient = Vec::with_capacity(parameters.len());
            if let Some(statistics) = &state.statistics {
                let weighted = sums.centred.iter().zip(&statistics.inverse);
                gradient.extend(weighted.map(|(sum, inverse)| (sum * inverse) as f32));
            }
            if self.biased || self.norm.is_some() {
                gradient.extend(sums.plain.iter().map(|sum| *sum as f32));
            }
            match self.curve.slopes() {
                0 => {}
                1 => gradient.push(sums.negative.iter().sum::<f64>() as f32),
                _ => gradient.extend(sums.negative.iter().map(|sum| *sum as f32)),
            }
            gradient
        });
        if let Some(Statistics { mean, inverse }) = &state.statistics {
            let shape = state.values.shape();
            let count = (shape.batch * shape.height * shape.width) as f64;
            let scale: Vec<f64> = parameters[..shape.channels]
                .iter()
                .zip(inverse)
                .map(|(weight, inverse)| f64::from(*weight) * inverse)
                .collect();
            let each = |value: &dyn Fn(usize) -> f64| -> Vec<f32> {
                (0..shape.channels)
                    .map(|channel| value(channel) as f32)
                    .collect()
            };
            let by = Centring {
                scale: &each(&|channel| scale[channel]),
                plain: &each(&|channel| sums.plain[channel] / count),
                slope: &each(&|channel| {
                    scale[channel] * inverse[channel].powi(2) * sums.centred[channel] / count
                }),
                mean,
            };
            engine.centre(&mut gated, &state.values, &by);
        }
        let gated = gated.freeze();
        let of_x = || Ok(engine.export(&self.input_gradient(&gated, weight)?));
        let of_weight = || self.weight_gradient(&state.input, &gated);
        Ok([
            wanted[0].then(of_x).transpose()?,
            wanted[1].then(of_weight).transpose()?,
            of_parameters,
        ])
    }

    fn input_gradient(&self, gated: &Buffer, weight: &[f32]) -> fonds_core::Result<Buffer> {
        let engine = fast::engine();
        let shape = &self.geometry.shape;
        let [height, width] = self.geometry.input;
        match self.kind {
            Kind::InputGradient => {
                conv2d_once(engine, shape, gated, weight, None, &Epilogue::default())
            }
            _ => conv2d_input_gradient(engine, shape, (height, width), gated, weight),
        }
    }

    fn weight_gradient(&self, input: &Buffer, gated: &Buffer) -> fonds_core::Result<Vec<f32>> {
        let (engine, shape) = (fast::engine(), &self.geometry.shape);
        match self.kind {
            Kind::InputGradient => conv2d_weight_gradient(engine, shape, gated, input),
            _ => conv2d_weight_gradient(engine, shape, input, gated),
        }
    }

    fn forward(&self, arguments: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let mut slices: [&[f32]; 3] = [&[]; 3];
        for (slice, (storage, layout)) in slices.iter_mut().zip(arguments) {
            *slice = values(storage.as_slice::<f32>()?, layout)?;
        }
        let [x, weight, parameters] = slices;
        let made = self.run(x, weight, parameters);
        let made = made.map_err(candle_core::Error::wrap)?;
        Ok((
            CpuStorage::F32(made),
            Shape::from_dims(&self.product().result()),
        ))
    }

    fn backward(
        &self,
        arguments: [Option<&Tensor>; 3],
        upstream: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let wanted = arguments.map(|tensor| tensor.is_some_and(Tensor::track_op));
        let upstream = upstream.contiguous()?;
        let [_, weight, parameters] = arguments;
        let made = with_values(weight, |weight| {
            with_values(parameters, |parameters| {
                with_values(Some(&upstream), |upstream| {
                    let made = self.gradients(wanted, weight, parameters, upstream);
                    made.map_err(candle_core::Error::wrap)
                })
            })
        })?;
        let mut tensors = [None, None, None];
        for ((tensor, argument), made) in tensors.iter_mut().zip(arguments).zip(made) {
            if let (Some(argument), Some(made)) = (argument, made) {
                *tensor = Some(Tensor::from_vec(made, argument.shape(), &Device::Cpu)?);
            }
        }
        Ok(tensors)
    }
}

/// Runs something on the values of a contiguous tensor, or on none.
fn with_values<R>(tensor: Option<&Tensor>, run: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let Some(tensor) = tensor else {
        return run(&[]);
    };
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(all)) => run(values(all, layout)?),
        _ => bail!("a fused convolution met a tensor that is not of 32 bits on the CPU"),
    }
}

impl CustomOp2 for Fused {
    fn name(&self) -> &'static str {
        "fused convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(x, x_layout), (weight, weight_layout)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _made: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, weight, _] = self.backward([Some(x), Some(weight), None], upstream)?;
        Ok((x, weight))
    }
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "fused convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        parameters: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(x, x_layout), (weight, weight_layout), (parameters, layout)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        parameters: &Tensor,
        _made: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let arguments = [Some(x), Some(weight), Some(parameters)];
        let [x, weight, parameters] = self.backward(arguments, upstream)?;
        Ok((x, weight, parameters))
    }
}
