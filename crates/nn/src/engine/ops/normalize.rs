//! Normalisation: values brought to a mean and a variance, then scaled, shifted and activated in
//! one pass.

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::super::conv::Activation;
use super::arithmetic::checked;
use super::rows::{blocks, blocks_mut, clear_padding, per_lane, same_shape, with_lanes};
use super::statistics::ChannelSums;

/// Added to variances by adaptive instance normalisation (Huang and Belongie 2017).
const ADAIN_EPSILON: f64 = 1e-5;

/// What is common to normalisations:
/// `activation(weight · (x - mean) / √(variance + epsilon) + bias + residual)`.
#[derive(Debug, Clone, Copy)]
pub struct Normalization<'a> {
    /// Added to the variance.
    pub epsilon: f64,
    /// A factor for each channel, or one for all; else 1.
    pub weight: Option<&'a [f32]>,
    /// A summand for each channel, or one for all; else 0.
    pub bias: Option<&'a [f32]>,
    /// Added before the activation.
    pub residual: Option<&'a Buffer>,
    /// Applied at last.
    pub activation: &'a Activation,
}

impl Default for Normalization<'_> {
    /// PyTorch's epsilon, 1e-5, and nothing else.
    fn default() -> Self {
        Self {
            epsilon: 1e-5,
            weight: None,
            bias: None,
            residual: None,
            activation: &Activation::None,
        }
    }
}

impl Engine {
    /// Each channel of each picture brought to mean 0 and (biased) variance 1: PyTorch's
    /// `instance_norm`.
    pub fn instance_norm(&self, input: &Buffer, how: &Normalization<'_>) -> Result<Buffer> {
        self.instance_norm_by(input, &self.channel_sums(input), how)
    }

    /// As [`Engine::instance_norm`], by statistics that come from elsewhere (from a whole picture
    /// for its tiles): one for each picture, or one for all.
    pub fn instance_norm_by(
        &self,
        input: &Buffer,
        statistics: &[ChannelSums],
        how: &Normalization<'_>,
    ) -> Result<Buffer> {
        let shape = input.shape();
        check_statistics(statistics, shape)?;
        let lines = statistics.iter().map(|sums| {
            let channels = sums.means().zip(sums.variances());
            Lines::normal(shape, channels, how)
        });
        self.apply_lines(input, &lines.collect::<Result<Vec<_>>>()?, how)
    }

    /// Each group of neighbouring channels of each picture brought to mean 0 and variance 1:
    /// PyTorch's `group_norm`. One group is layer normalisation over a picture.
    ///
    /// # Errors
    /// `model_error` when the channels do not divide into so many groups.
    pub fn group_norm(
        &self,
        input: &Buffer,
        groups: usize,
        how: &Normalization<'_>,
    ) -> Result<Buffer> {
        let shape = input.shape();
        if groups == 0 || !shape.channels.is_multiple_of(groups) {
            let message = format!("{} channels make no {groups} equal groups", shape.channels);
            return Err(Error::new(Code::ModelError, message));
        }
        let size = shape.channels / groups;
        let lines = self.channel_sums(input).into_iter().map(|sums| {
            let group = |channel: usize| {
                let start = channel / size * size;
                let [mean, variance] = sums.of_group(start..start + size);
                (mean, variance)
            };
            Lines::normal(shape, (0..shape.channels).map(group), how)
        });
        self.apply_lines(input, &lines.collect::<Result<Vec<_>>>()?, how)
    }

    /// Each channel brought to mean 0 and variance 1 by the running statistics of a batch
    /// normalisation.
    ///
    /// # Errors
    /// `model_error` when there is not one mean and one variance for each channel.
    pub fn batch_norm(
        &self,
        input: &Buffer,
        means: &[f32],
        variances: &[f32],
        how: &Normalization<'_>,
    ) -> Result<Buffer> {
        let shape = input.shape();
        let means = per_lane("running mean", means, shape)?;
        let variances = per_lane("running variance", variances, shape)?;
        let channels = means.iter().zip(&variances).take(shape.channels);
        let channels = channels.map(|(mean, variance)| (f64::from(*mean), f64::from(*variance)));
        self.apply_lines(input, &[Lines::normal(shape, channels, how)?], how)
    }

    /// Adaptive instance normalisation (Huang and Belongie 2017): the means and deviations of the
    /// content replaced by those of the style, and the result blended with the content,
    /// `alpha` of 1 for the full style. The variances are unbiased, with 1e-5 added.
    ///
    /// `content` are the statistics of `input`, from [`Engine::channel_sums`] or merged from tiles;
    /// both statistics are one for each picture, or one for all.
    pub fn adaptive_instance_norm(
        &self,
        input: &Buffer,
        content: &[ChannelSums],
        style: &[ChannelSums],
        alpha: f32,
    ) -> Result<Buffer> {
        let shape = input.shape();
        check_statistics(content, shape)?;
        check_statistics(style, shape)?;
        let alpha = f64::from(alpha);
        let lines = (0..shape.batch).map(|picture| {
            let content = one_of(content, picture);
            let style = one_of(style, picture);
            let deviation = |variance: f64| (variance + ADAIN_EPSILON).sqrt();
            let from = content
                .means()
                .zip(content.unbiased_variances().map(deviation));
            let to = style.means().zip(style.unbiased_variances().map(deviation));
            let line = |(from, to): ((f64, f64), (f64, f64))| Line {
                center: from.0,
                scale: alpha * (to.1 / from.1) + (1.0 - alpha),
                shift: alpha * to.0 + (1.0 - alpha) * from.0,
            };
            Lines::new(shape, from.zip(to).map(line))
        });
        let lines: Vec<Lines> = lines.collect();
        self.apply_lines(input, &lines, &Normalization::default())
    }

    /// `activation((x - center) · scale + shift + residual)`, by one line of factors for each
    /// picture, or one for all.
    fn apply_lines(
        &self,
        input: &Buffer,
        lines: &[Lines],
        how: &Normalization<'_>,
    ) -> Result<Buffer> {
        let shape = input.shape();
        let activation = checked(how.activation, shape)?;
        let how = &Normalization {
            activation: &activation,
            ..*how
        };
        if let Some(residual) = how.residual {
            same_shape(input, residual)?;
        }
        let mut out = self.buffer(shape)?;
        with_lanes!(shape, L => out.fill_rows(|picture, y, row| {
            let residual = how.residual.map(|residual| residual.row(picture, y));
            one_of(lines, picture).apply::<L>(input.row(picture, y), residual, how, row);
            clear_padding(shape, row);
        }));
        Ok(out.freeze())
    }
}

/// What one channel is multiplied by and shifted.
struct Line {
    center: f64,
    scale: f64,
    shift: f64,
}

/// The lines of all lanes of a pixel. The centre is subtracted first: where the mean is large, the
/// difference is small and exact, which the difference of two large products would not be.
struct Lines {
    center: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Lines {
    fn new(shape: Shape, channels: impl Iterator<Item = Line>) -> Self {
        let lanes = || vec![0.0; shape.pixel_stride()];
        let mut lines = Self {
            center: lanes(),
            scale: lanes(),
            shift: lanes(),
        };
        for (channel, line) in channels.enumerate() {
            lines.center[channel] = line.center as f32;
            lines.scale[channel] = line.scale as f32;
            // What rounding takes from the centre is given back.
            let lost = line.center - f64::from(line.center as f32);
            lines.shift[channel] = (line.shift - lost * line.scale) as f32;
        }
        lines
    }

    /// From the mean and the variance of each channel.
    fn normal(
        shape: Shape,
        channels: impl Iterator<Item = (f64, f64)>,
        how: &Normalization<'_>,
    ) -> Result<Self> {
        let weight = per_lane("weight", how.weight.unwrap_or(&[1.0]), shape)?;
        let bias = per_lane("bias", how.bias.unwrap_or(&[0.0]), shape)?;
        let factors = weight.iter().zip(&bias);
        let line = |((mean, variance), (weight, bias)): ((f64, f64), (&f32, &f32))| Line {
            center: mean,
            scale: f64::from(*weight) / (variance + how.epsilon).sqrt(),
            shift: f64::from(*bias),
        };
        Ok(Self::new(shape, channels.zip(factors).map(line)))
    }

    fn apply<const L: usize>(
        &self,
        from: &[f32],
        residual: Option<&[f32]>,
        how: &Normalization<'_>,
        to: &mut [f32],
    ) {
        let (center, scale) = (blocks::<L>(&self.center), blocks::<L>(&self.scale));
        let shift = blocks::<L>(&self.shift);
        let of_pixel = shift.len();
        let residual = residual.map(blocks::<L>);
        let from = blocks::<L>(from).chunks_exact(of_pixel);
        let to = blocks_mut::<L>(to).chunks_exact_mut(of_pixel);
        for (x, (to, from)) in to.zip(from).enumerate() {
            for (block, (to, from)) in to.iter_mut().zip(from).enumerate() {
                let mut values = *from;
                let (center, scale) = (&center[block], &scale[block]);
                let shift = &shift[block];
                for lane in 0..L {
                    values[lane] = (values[lane] - center[lane]) * scale[lane] + shift[lane];
                }
                if let Some(residual) = residual {
                    let residual = &residual[x * of_pixel + block];
                    for lane in 0..L {
                        values[lane] += residual[lane];
                    }
                }
                how.activation.apply_lanes(block * L, &mut values);
                *to = values;
            }
        }
    }
}

/// The one of this picture, or the one for all.
fn one_of<T>(items: &[T], picture: usize) -> &T {
    match items {
        [item] => item,
        items => &items[picture],
    }
}

fn check_statistics(statistics: &[ChannelSums], shape: Shape) -> Result<()> {
    let fits = statistics.len() == 1 || statistics.len() == shape.batch;
    let channels = |sums: &ChannelSums| sums.channels() == shape.channels;
    if fits && statistics.iter().all(channels) {
        return Ok(());
    }
    let message = format!("{} statistics do not fit {shape}", statistics.len());
    Err(Error::new(Code::ModelError, message))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect_within, filled, shapes, value};
    use super::*;

    /// Mean and sum of squared distances of a channel, or of several.
    fn moments(input: &Buffer, n: usize, channels: std::ops::Range<usize>) -> (f64, f64, f64) {
        let shape = input.shape();
        let mut values = Vec::new();
        for y in 0..shape.height {
            for x in 0..shape.width {
                values.extend(channels.clone().map(|c| value(input, n, y, x, c)));
            }
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
        (count, mean, squares)
    }

    fn factors(channels: usize) -> (Vec<f32>, Vec<f32>) {
        let of = |factor: f32| (0..channels).map(|c| (c as f32 - 2.0) * factor).collect();
        (of(0.1), of(-0.05))
    }

    #[test]
    fn instances_and_groups_get_mean_and_variance() {
        let engine = engine();
        let activation = Activation::LeakyRelu(0.2);
        for shape in shapes() {
            let input = filled(shape, 15);
            let residual = filled(shape, 16);
            let (weight, bias) = factors(shape.channels);
            let full = Normalization {
                epsilon: 1e-3,
                weight: Some(&weight),
                bias: Some(&bias),
                residual: Some(&residual),
                activation: &activation,
            };
            for groups in [1, 3, shape.channels] {
                if shape.channels % groups != 0 {
                    assert!(engine.group_norm(&input, groups, &full).is_err());
                    continue;
                }
                let size = shape.channels / groups;
                // Several values as their own variance would only compare rounding.
                if size * shape.height * shape.width < 8 {
                    continue;
                }
                let table: Vec<_> = (0..shape.batch * groups)
                    .map(|i| {
                        moments(
                            &input,
                            i / groups,
                            i % groups * size..(i % groups + 1) * size,
                        )
                    })
                    .collect();
                let normal = |n: usize, y, x, c: usize, epsilon: f64| {
                    let (count, mean, squares) = table[n * groups + c / size];
                    (value(&input, n, y, x, c) - mean) / (squares / count + epsilon).sqrt()
                };
                let expected = |n, y, x, c: usize| {
                    let value = normal(n, y, x, c, 1e-3) * f64::from(weight[c])
                        + f64::from(bias[c])
                        + value(&residual, n, y, x, c);
                    if value < 0.0 {
                        value * f64::from(0.2_f32)
                    } else {
                        value
                    }
                };
                let result = engine.group_norm(&input, groups, &full).unwrap();
                expect_within(3e-6, "group_norm", &result, shape, expected);
                if groups == shape.channels {
                    let result = engine.instance_norm(&input, &full).unwrap();
                    expect_within(3e-6, "instance_norm", &result, shape, expected);
                    let plain = Normalization::default();
                    let result = engine.instance_norm(&input, &plain).unwrap();
                    expect_within(3e-6, "instance_norm", &result, shape, |n, y, x, c| {
                        normal(n, y, x, c, 1e-5)
                    });
                }
            }
        }
    }

    #[test]
    fn running_statistics_are_applied() {
        let engine = engine();
        for shape in shapes() {
            let input = filled(shape, 17);
            let (means, _) = factors(shape.channels);
            let variances: Vec<f32> = (0..shape.channels).map(|c| 0.1 + c as f32).collect();
            let how = Normalization::default();
            let result = engine.batch_norm(&input, &means, &variances, &how).unwrap();
            expect_within(2e-6, "batch_norm", &result, shape, |n, y, x, c| {
                (value(&input, n, y, x, c) - f64::from(means[c]))
                    / (f64::from(variances[c]) + 1e-5).sqrt()
            });
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let engine = engine();
        let shape = Shape {
            batch: 1,
            height: 9,
            width: 9,
            channels: 1,
        };
        let values: Vec<f32> = (0..81).map(|i| 20_000.0 + (i % 5) as f32 / 64.0).collect();
        let input = engine.import(shape, &values).unwrap();
        let (count, mean, squares) = moments(&input, 0, 0..1);
        let how = Normalization {
            epsilon: 0.0,
            ..Normalization::default()
        };
        let result = engine.instance_norm(&input, &how).unwrap();
        expect_within(1e-5, "large mean", &result, shape, |n, y, x, c| {
            (value(&input, n, y, x, c) - mean) / (squares / count).sqrt()
        });
    }

    #[test]
    fn a_style_replaces_means_and_deviations() {
        let engine = engine();
        for shape in shapes().into_iter().filter(|shape| shape.height > 1) {
            let (content, style) = (filled(shape, 18), filled(shape, 19));
            let of_content = engine.channel_sums(&content);
            let of_style = engine.channel_sums(&style);
            for alpha in [1.0, 0.25] {
                for shared in [false, true] {
                    let style_used = if shared {
                        &of_style[..1]
                    } else {
                        &of_style[..]
                    };
                    let result = engine
                        .adaptive_instance_norm(&content, &of_content, style_used, alpha)
                        .unwrap();
                    let table = |buffer: &Buffer| -> Vec<(f64, f64)> {
                        let of = |i: usize| {
                            let c = i % shape.channels;
                            let (count, mean, squares) =
                                moments(buffer, i / shape.channels, c..c + 1);
                            (mean, (squares / (count - 1.0) + 1e-5).sqrt())
                        };
                        (0..shape.batch * shape.channels).map(of).collect()
                    };
                    let (from, to) = (table(&content), table(&style));
                    expect_within(4e-6, "adain", &result, shape, |n, y, x, c| {
                        let from = from[n * shape.channels + c];
                        let to = to[if shared { c } else { n * shape.channels + c }];
                        let value = value(&content, n, y, x, c);
                        let styled = (value - from.0) / from.1 * to.1 + to.0;
                        f64::from(alpha) * styled + (1.0 - f64::from(alpha)) * value
                    });
                }
            }
            let wrong = ChannelSums::new(shape.channels + 1);
            let result = engine.adaptive_instance_norm(&content, &[wrong], &of_style, 1.0);
            assert_eq!(result.unwrap_err().code(), Code::ModelError);
        }
    }
}
