//! `AdaIN`: any picture gives its style to any other.
//!
//! Huang & Belongie, *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization*
//! (2017), arXiv:1703.06868. Both pictures go through an [`Encoder`]; the content's features are
//! given mean and deviation of the style's ([`Moments`]); a [`Decoder`] makes a picture of them. RGB
//! from 0 to 1 in, `[1, 3, h, w]`; RGB from 0 to 1 out, not clamped, `[1, 3, h', w']`, `h' = 8·⌈⌈⌈h /
//! 2⌉ / 2⌉ / 2⌉`. Keys are those of naoto0804/pytorch-AdaIN: indices into the lists of
//! `vgg_normalised.pth` and `decoder.pth`. The encoder is VGG-19 scaled to a mean activation of 1;
//! that of torchvision will not do.

use fonds_core::{Code, Error, Result};
use fonds_nn::layers::{Activation, Conv2d, ConvConfig, PadMode, Padding, Pool};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder};

use crate::keys::kernel;

/// Pixels of a picture along each side for one pixel of the features that styles are compared in.
pub const STRIDE: usize = 8;

/// What PyTorch's code adds to a variance.
const EPS: f64 = 1e-5;

/// Windows of 2 × 2; one that is only partly inside counts.
const HALVE: Pool = Pool {
    ceil: true,
    ..Pool::HALVE
};

/// A layer of encoder or decoder.
#[derive(Debug, Clone, Copy)]
enum Layer {
    /// Convolution of 3 × 3 over a picture that is mirrored at its edges: key, channels in and out.
    Conv(usize, usize, usize),
    /// Half the size.
    Halve,
    /// Twice the size.
    Double,
    /// A level whose features are asked for.
    Level,
}
use Layer::{Conv, Double, Halve, Level};

/// `vgg_normalised.pth` from `relu1_1` to `relu4_1`, after the first convolution.
const ENCODER: [Layer; 16] = [
    Conv(2, 3, 64),
    Level,
    Conv(5, 64, 64),
    Halve,
    Conv(9, 64, 128),
    Level,
    Conv(12, 128, 128),
    Halve,
    Conv(16, 128, 256),
    Level,
    Conv(19, 256, 256),
    Conv(22, 256, 256),
    Conv(25, 256, 256),
    Halve,
    Conv(29, 256, 512),
    Level,
];

/// `decoder.pth`.
const DECODER: [Layer; 12] = [
    Conv(1, 512, 256),
    Double,
    Conv(5, 256, 256),
    Conv(8, 256, 256),
    Conv(11, 256, 256),
    Conv(14, 256, 128),
    Double,
    Conv(18, 128, 128),
    Conv(21, 128, 64),
    Double,
    Conv(25, 64, 64),
    Conv(28, 64, 3),
];

/// Whether these are the tensors of an encoder.
pub fn is_encoder(tensors: &Tensors) -> bool {
    kernel(tensors, "0.weight") == Some([3, 3, 1])
        && kernel(tensors, "2.weight") == Some([64, 3, 3])
        && kernel(tensors, "29.weight") == Some([512, 256, 3])
}

/// Whether these are the tensors of a decoder.
pub fn is_decoder(tensors: &Tensors) -> bool {
    kernel(tensors, "1.weight") == Some([256, 512, 3])
        && kernel(tensors, "28.weight") == Some([3, 64, 3])
}

/// Whether an encoder's file may have this key although it is not needed: the file goes on to
/// `relu5_4`.
pub fn ignore_in_encoder(key: &str) -> bool {
    let index = key
        .split('.')
        .next()
        .and_then(|index| index.parse::<usize>().ok());
    index.is_some_and(|index| (30..=51).contains(&index))
}

/// From a picture to features.
#[derive(Debug)]
pub struct Encoder {
    /// From RGB to the colours that VGG was trained on.
    first: Conv2d,
    stages: Vec<Stage>,
}

impl Encoder {
    /// The encoder from the weights of `vgg_normalised.pth`.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn new(vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            first: Conv2d::new(3, 3, 1, ConvConfig::valid(), vb.pp(0))?,
            stages: stages(&ENCODER, &vb)?,
        })
    }

    /// The features in which styles are compared, `relu4_1`.
    ///
    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 512, ⌈⌈⌈h / 2⌉ / 2⌉ / 2⌉, …]`.
    ///
    /// # Errors
    /// `model_error` when a side is shorter than 9 pixels.
    pub fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = self.first.forward(x)?;
        for stage in &self.stages {
            y = stage.forward(&y)?;
        }
        Ok(y)
    }

    /// The features at `relu1_1`, `relu2_1`, `relu3_1` and `relu4_1`, which the style loss compares,
    /// in this order.
    ///
    /// # Shapes
    /// `[n, 3, h, w]` → `[n, 64, h, w]`, `[n, 128, ⌈h / 2⌉, …]`, `[n, 256, …]`, `[n, 512, …]`.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn levels(&self, x: &Act) -> Result<Vec<Act>> {
        let mut levels = Vec::with_capacity(4);
        let mut y = self.first.forward(x)?;
        for stage in &self.stages {
            match stage {
                Stage::Level => levels.push(y.clone()),
                stage => y = stage.forward(&y)?,
            }
        }
        Ok(levels)
    }
}

/// From features to a picture.
#[derive(Debug)]
pub struct Decoder {
    stages: Vec<Stage>,
}

impl Decoder {
    /// The decoder from the weights of `decoder.pth`.
    ///
    /// # Errors
    /// `model_error` when a key is missing or has another shape.
    pub fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let mut stages = stages(&DECODER, &vb)?;
        // The last convolution gives colours, which may be negative.
        if let Some(Stage::Conv(last)) = stages.pop() {
            stages.push(Stage::Conv(last.with_activation(Activation::None)));
        }
        Ok(Self { stages })
    }

    /// The picture of these features.
    ///
    /// # Shapes
    /// `[n, 512, h, w]` → `[n, 3, 8·h, 8·w]`.
    ///
    /// # Errors
    /// `model_error` when a side is shorter than 2.
    pub fn forward(&self, features: &Act) -> Result<Act> {
        let mut y = features.clone();
        for stage in &self.stages {
            y = stage.forward(&y)?;
        }
        Ok(y)
    }
}

/// Sums over the pixels of features, from which their mean and deviation follow. Sums over the
/// tiles of a picture can be added.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    count: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// The sums over features of one picture, `[1, c, h, w]`.
    ///
    /// # Errors
    /// `internal` when it is more than one, `oom` when there is no memory.
    pub fn of(features: &Act) -> Result<Self> {
        let dims = features.dims();
        if dims.batch != 1 {
            let message = format!("{dims} are the features of more than one picture");
            return Err(Error::new(Code::Internal, message));
        }
        let pixels = dims.height * dims.width;
        let values = features.to_vec()?;
        let sum = |of: fn(f64) -> f64| {
            let plane = |plane: &[f32]| plane.iter().map(|&value| of(f64::from(value))).sum();
            values.chunks_exact(pixels).map(plane).collect()
        };
        Ok(Self {
            count: pixels as f64,
            sums: sum(|value| value),
            squares: sum(|value| value * value),
        })
    }

    /// Adds the sums over another part of the same picture.
    ///
    /// # Panics
    /// When it has another number of channels.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(
            self.sums.len(),
            other.sums.len(),
            "features of the same encoder"
        );
        self.count += other.count;
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
        for (square, more) in self.squares.iter_mut().zip(&other.squares) {
            *square += more;
        }
    }

    /// Sums in which each pixel counts as much as its weight says, from planes `[channels, pixels]`.
    ///
    /// # Panics
    /// When the values are not whole planes.
    pub fn weighted(values: &[f32], weights: &[f32]) -> Self {
        assert!(values.len().is_multiple_of(weights.len()), "whole planes");
        let sum = |of: fn(f64) -> f64| {
            let plane = |plane: &[f32]| {
                let pairs = plane.iter().zip(weights);
                pairs
                    .map(|(&value, &weight)| f64::from(weight) * of(f64::from(value)))
                    .sum()
            };
            values.chunks_exact(weights.len()).map(plane).collect()
        };
        Self {
            count: weights.iter().map(|&weight| f64::from(weight)).sum(),
            sums: sum(|value| value),
            squares: sum(|value| value * value),
        }
    }

    /// How many pixels there were, or the sum of their weights.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Mean and deviation of each channel; the variance is unbiased, as in the published code.
    fn mean_and_deviation(&self) -> impl Iterator<Item = (f64, f64)> {
        // A single pixel has no variance.
        let degrees = (self.count - 1.0).max(1.0);
        self.sums
            .iter()
            .zip(&self.squares)
            .map(move |(sum, square)| {
                let mean = sum / self.count;
                let variance = (square - sum * mean).max(0.0) / degrees;
                (mean, (variance + EPS).sqrt())
            })
    }
}

/// A style as `AdaIN` knows it: mean and deviation of each channel of the features.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Mean and deviation.
    channels: Vec<(f64, f64)>,
}

impl Look {
    /// That of one picture.
    pub fn of(moments: &Moments) -> Self {
        Self {
            channels: moments.mean_and_deviation().collect(),
        }
    }

    /// Mean and deviation of each channel.
    pub fn channels(&self) -> &[(f64, f64)] {
        &self.channels
    }

    /// A mixture: the means of means and of deviations, by weight. What comes of it is the mixture of
    /// the features that each of them alone would make.
    ///
    /// # Panics
    /// When there are none, or they have different numbers of channels.
    pub fn mixed(parts: &[(f64, &Self)]) -> Self {
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        let mut channels = vec![(0.0, 0.0); parts[0].1.channels.len()];
        for (weight, part) in parts {
            assert_eq!(
                part.channels.len(),
                channels.len(),
                "features of the same encoder"
            );
            for (sum, (mean, deviation)) in channels.iter_mut().zip(&part.channels) {
                sum.0 += weight / total * mean;
                sum.1 += weight / total * deviation;
            }
        }
        Self { channels }
    }

    /// Factor and shift of each channel that make features of this look those of `style`; with
    /// `alpha` below 1, a mixture with what they were.
    pub fn towards(&self, style: &Self, alpha: f32) -> (Vec<f32>, Vec<f32>) {
        let alpha = f64::from(alpha);
        let pairs = self.channels.iter().zip(&style.channels);
        pairs
            .map(|((mean, deviation), (style_mean, style_deviation))| {
                let factor = style_deviation / deviation;
                let scale = alpha * factor + (1.0 - alpha);
                let shift = alpha * (style_mean - mean * factor);
                (scale as f32, shift as f32)
            })
            .unzip()
    }
}

/// Features of a content with mean and deviation of a style: `AdaIN`. With `alpha` below 1, a mixture
/// with the content's own.
///
/// # Shapes
/// `[1, c, h, w]` → `[1, c, h, w]`.
///
/// # Errors
/// `internal` when the numbers of channels differ.
pub fn adapt(features: &Act, content: &Moments, style: &Moments, alpha: f32) -> Result<Act> {
    let (scale, shift) = Look::of(content).towards(&Look::of(style), alpha);
    features.channel_affine(&scale, &shift)
}

/// Encoder and decoder together.
#[derive(Debug)]
pub struct StyleTransfer {
    /// From a picture to features.
    pub encoder: Encoder,
    /// From features to a picture.
    pub decoder: Decoder,
}

impl StyleTransfer {
    /// The content in the style of `style`, the moments of its features; `alpha` from 0 (content)
    /// to 1.
    ///
    /// # Shapes
    /// `[1, 3, h, w]` → `[1, 3, h', w']` with `h' = 8·⌈⌈⌈h / 2⌉ / 2⌉ / 2⌉`.
    ///
    /// # Errors
    /// `invalid_request` when `alpha` is not between 0 and 1, and those of the parts.
    pub fn forward(&self, content: &Act, style: &Moments, alpha: f32) -> Result<Act> {
        if !(0.0..=1.0).contains(&alpha) {
            let message = format!("alpha {alpha} is not between 0 and 1");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let features = self.encoder.forward(content)?;
        let own = Moments::of(&features)?;
        self.decoder.forward(&adapt(&features, &own, style, alpha)?)
    }
}

/// A layer with its weights.
#[derive(Debug)]
enum Stage {
    Conv(Conv2d),
    Halve,
    Double,
    Level,
}

impl Stage {
    fn forward(&self, x: &Act) -> Result<Act> {
        match self {
            Self::Conv(conv) => conv.forward(&x.pad(Padding::all(1), PadMode::Reflection)?),
            Self::Halve => x.max_pool(HALVE),
            Self::Double => x.upsample_nearest(2),
            Self::Level => Ok(x.clone()),
        }
    }
}

fn stages(layers: &[Layer], vb: &VarBuilder<'_>) -> Result<Vec<Stage>> {
    let stage = |layer: &Layer| {
        Ok(match *layer {
            Conv(key, inner, outer) => {
                let conv = Conv2d::new(inner, outer, 3, ConvConfig::valid(), vb.pp(key))?;
                Stage::Conv(conv.with_activation(Activation::Relu))
            }
            Halve => Stage::Halve,
            Double => Stage::Double,
            Level => Stage::Level,
        })
    };
    layers.iter().map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::act::Dims;
    use fonds_nn::backend::Backend;
    use fonds_nn::load;
    use fonds_nn::trace::trace;

    fn act(channels: usize, height: usize, width: usize, values: &[f32]) -> Act {
        let dims = Dims {
            batch: 1,
            channels,
            height,
            width,
        };
        Backend::cpu_tensors().import(dims, values).unwrap()
    }

    #[test]
    fn parameters_and_receptive_field_are_as_published() {
        let count = |keys: Vec<(String, Vec<usize>)>| -> usize {
            keys.iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum()
        };
        let mut field = None;
        let encoder = load::expected_keys(|vb| {
            let encoder = Encoder::new(vb)?;
            field = Some(trace(3, |x| encoder.forward(x))?);
            Ok(())
        });
        assert_eq!(count(encoder.unwrap()), 3_505_740);
        assert_eq!(count(load::expected_keys(Decoder::new).unwrap()), 3_505_219);
        let field = field.unwrap();
        assert_eq!((field.scale, field.multiple_of), ((1, STRIDE), STRIDE));
        // 68 × 68 pixels for one of the features.
        assert_eq!(field.halo, Some(30));
    }

    #[test]
    fn moments_of_parts_add_up_to_those_of_the_whole() {
        let values: Vec<f32> = (0..24_u16).map(|n| f32::from(n * n % 17)).collect();
        let whole = Moments::of(&act(2, 3, 4, &values)).unwrap();
        let rows = |from: usize, to: usize| -> Vec<f32> {
            [0, 12]
                .iter()
                .flat_map(|plane| values[plane + 4 * from..plane + 4 * to].to_vec())
                .collect()
        };
        let mut parts = Moments::of(&act(2, 1, 4, &rows(0, 1))).unwrap();
        parts.merge(&Moments::of(&act(2, 2, 4, &rows(1, 3))).unwrap());
        assert_eq!(parts, whole);
        // By hand: mean and unbiased variance of the first plane.
        let plane = &values[..12];
        let mean = plane.iter().sum::<f32>() / 12.0;
        let variance = plane.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 11.0;
        let (found, deviation) = whole.mean_and_deviation().next().unwrap();
        assert!((found - f64::from(mean)).abs() < 1e-5, "{found} {mean}");
        assert!((deviation.powi(2) - f64::from(variance)).abs() < 1e-3);
    }

    #[test]
    fn adapted_features_have_the_moments_of_the_style() {
        let content = act(1, 2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 7.0]);
        let style = act(1, 2, 2, &[-1.0, 0.0, 10.0, 3.0]);
        let [own, other] = [&content, &style].map(|act| Moments::of(act).unwrap());
        let full = adapt(&content, &own, &other, 1.0).unwrap();
        let (mean, deviation) = Moments::of(&full)
            .unwrap()
            .mean_and_deviation()
            .next()
            .unwrap();
        let (style_mean, style_deviation) = other.mean_and_deviation().next().unwrap();
        assert!((mean - style_mean).abs() < 1e-5, "{mean} {style_mean}");
        assert!(
            (deviation - style_deviation).abs() < 1e-4,
            "{deviation} {style_deviation}"
        );
        let none = adapt(&content, &own, &other, 0.0).unwrap();
        assert_eq!(none.to_vec().unwrap(), content.to_vec().unwrap());
    }
}
