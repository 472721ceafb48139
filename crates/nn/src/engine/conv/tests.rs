//! Convolutions against an obvious slow version in 64 bits, over tables of sizes.

use super::super::{Buffer, Engine, Kernel, Shape};
use super::*;

/// Numbers between −1 and 1 that look random.
pub(super) fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX as f32 / 2.0) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub(super) fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL
        .into_iter()
        .filter(|kernel| kernel.is_available())
}

/// `[batch, channels, height, width]`
pub(super) struct Planes {
    pub(super) shape: Shape,
    pub(super) values: Vec<f64>,
}

impl Planes {
    pub(super) fn new(shape: Shape, seed: u32) -> (Self, Vec<f32>) {
        let nchw = noise(shape.elements(), seed);
        let values = nchw.iter().map(|&value| f64::from(value)).collect();
        (Self { shape, values }, nchw)
    }

    fn at(&self, n: usize, c: usize, y: isize, x: isize) -> f64 {
        let Shape {
            channels,
            height,
            width,
            ..
        } = self.shape;
        if y < 0 || x < 0 || y >= height as isize || x >= width as isize {
            return 0.0;
        }
        self.values[((n * channels + c) * height + y as usize) * width + x as usize]
    }
}

/// The convolution without an epilogue, as its definition has it.
fn slow(shape: &ConvShape, input: &Planes, weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let (height, width) = shape.output(input.shape.height, input.shape.width).unwrap();
    let depth = shape.in_channels / shape.groups;
    let per_group = shape.out_channels / shape.groups;
    let mut sums = vec![];
    for n in 0..input.shape.batch {
        for (o, &bias) in bias.iter().enumerate() {
            for y in 0..height {
                for x in 0..width {
                    let mut sum = f64::from(bias);
                    for i in 0..depth {
                        for ky in 0..shape.kernel[0] {
                            for kx in 0..shape.kernel[1] {
                                let y = (y * shape.stride[0] + ky * shape.dilation[0]) as isize
                                    - shape.padding[0] as isize;
                                let x = (x * shape.stride[1] + kx * shape.dilation[1]) as isize
                                    - shape.padding[1] as isize;
                                let at =
                                    ((o * depth + i) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                                let c = o / per_group * depth + i;
                                sum += f64::from(weight[at]) * input.at(n, c, y, x);
                            }
                        }
                    }
                    sums.push(sum);
                }
            }
        }
    }
    sums
}

fn activate(activation: &Activation, channel: usize, value: f64) -> f64 {
    let leaky = |slope: f32| {
        if value > 0.0 {
            value
        } else {
            value * f64::from(slope)
        }
    };
    match activation {
        Activation::None => value,
        Activation::Relu => value.max(0.0),
        Activation::LeakyRelu(slope) => leaky(*slope),
        Activation::PRelu(slopes) => leaky(slopes[channel.min(slopes.len() - 1)]),
        Activation::Tanh => value.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-value).exp()),
    }
}

/// Everything outside the pixels must still be zero.
pub(super) fn assert_border(buffer: &Buffer) {
    let shape = buffer.shape();
    let mut rest: Vec<f32> = buffer.as_slice().to_vec();
    for n in 0..shape.batch {
        for y in 0..shape.height {
            let start = shape.offset(n, y, 0);
            let row = &mut rest[start..start + shape.width * shape.pixel_stride()];
            assert!(
                row.iter().all(|value| value.is_finite()),
                "lanes of {shape}"
            );
            row.fill(0.0);
        }
    }
    assert!(rest.iter().all(|&value| value == 0.0), "border of {shape}");
}

/// The largest difference over the largest value, at least 1.
pub(super) fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = expected
        .iter()
        .fold(1.0_f64, |most, value| most.max(value.abs()));
    let difference = found
        .iter()
        .zip(expected)
        .map(|(&found, &expected)| {
            let difference = (f64::from(found) - expected).abs();
            if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        })
        .fold(0.0, f64::max);
    difference / size
}

#[derive(Debug, Clone)]
struct Case {
    shape: ConvShape,
    batch: usize,
    size: [usize; 2],
    /// Channels of the inputs.
    split: Vec<usize>,
    algorithm: Algorithm,
    precision: Precision,
}

impl Case {
    fn new(shape: ConvShape, size: [usize; 2]) -> Self {
        Self {
            shape,
            batch: 1,
            size,
            split: vec![shape.in_channels],
            algorithm: Algorithm::Auto,
            precision: Precision::F32,
        }
    }

    /// The largest error of the kernel.
    fn check(&self, kernel: Kernel, activation: &Activation, order: Option<AddOrder>) -> f64 {
        let engine = Engine::new(kernel);
        let shape = self.shape;
        let whole = Shape {
            batch: self.batch,
            height: self.size[0],
            width: self.size[1],
            channels: shape.in_channels,
        };
        let (planes, nchw) = Planes::new(whole, 1);
        let spread = 1.0 / ((shape.weights() / shape.out_channels) as f32).sqrt();
        let weight: Vec<f32> = noise(shape.weights(), 2)
            .iter()
            .map(|w| w * spread)
            .collect();
        let bias = noise(shape.out_channels, 3);
        let inputs = parts(&engine, whole, &nchw, &self.split);
        let inputs: Vec<&Buffer> = inputs.iter().collect();

        let mut expected = slow(&shape, &planes, &weight, &bias);
        let (height, width) = shape.output(self.size[0], self.size[1]).unwrap();
        let out = Shape {
            batch: self.batch,
            height,
            width,
            channels: shape.out_channels,
        };
        let scale = if order.is_some() { 0.25 } else { 1.0 };
        let residual = noise(out.elements(), 4);
        for (index, value) in expected.iter_mut().enumerate() {
            let channel = index / (height * width) % shape.out_channels;
            let residual = f64::from(residual[index]);
            *value = match order {
                None => activate(activation, channel, *value),
                Some(AddOrder::AfterActivation) => {
                    scale * activate(activation, channel, *value) + residual
                }
                Some(AddOrder::BeforeActivation) => {
                    activate(activation, channel, scale * *value + residual)
                }
            };
        }
        let residual = engine.import(out, &residual).unwrap();
        let epilogue = Epilogue {
            activation,
            scale: scale as f32,
            residual: order.map(|order| Residual {
                buffer: &residual,
                order,
            }),
        };
        let conv = Conv2d::new(
            kernel,
            shape,
            &weight,
            Some(&bias),
            self.algorithm,
            self.precision,
        )
        .unwrap();
        let found = conv.forward(&engine, &inputs, &epilogue).unwrap();
        assert_eq!(found.shape(), out);
        assert_border(&found);
        error(&engine.export(&found), &expected)
    }
}

/// The channels of planes in several buffers.
fn parts(engine: &Engine, whole: Shape, nchw: &[f32], split: &[usize]) -> Vec<Buffer> {
    let plane = whole.height * whole.width;
    let mut first = 0;
    let mut buffers = vec![];
    for &channels in split {
        let mut part = vec![];
        for n in 0..whole.batch {
            let start = (n * whole.channels + first) * plane;
            part.extend_from_slice(&nchw[start..start + channels * plane]);
        }
        let shape = Shape { channels, ..whole };
        buffers.push(engine.import(shape, &part).unwrap());
        first += channels;
    }
    buffers
}

/// Runs all cases on all kernels and reports those above the bound together.
fn check_all(cases: &[Case], bound: f64) {
    let mut failures = vec![];
    for kernel in kernels() {
        for case in cases {
            let error = case.check(kernel, &Activation::None, None);
            if error > bound {
                failures.push(format!("{kernel}: {error:.2e}: {case:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn winograd_agrees_with_the_definition() {
    let mut cases = vec![];
    let channels = [
        (5, 5),
        (16, 16),
        (17, 33),
        (24, 40),
        (32, 64),
        (48, 80),
        (64, 64),
        (100, 112),
        (130, 20),
    ];
    for (inputs, outputs) in channels {
        for size in [[1, 1], [3, 4], [4, 9], [13, 7]] {
            for padding in [[0, 0], [1, 1], [0, 1]] {
                let shape = ConvShape {
                    padding,
                    ..ConvShape::same(inputs, outputs, 3)
                };
                if shape.output(size[0], size[1]).is_ok() {
                    cases.push(Case {
                        batch: 2,
                        algorithm: Algorithm::Winograd,
                        ..Case::new(shape, size)
                    });
                }
            }
        }
    }
    // More than a block of tiles, and rows of tiles that blocks cut.
    cases.push(Case {
        algorithm: Algorithm::Winograd,
        ..Case::new(ConvShape::same(16, 64, 3), [30, 45])
    });
    // Channels for which blocks are larger, and whose weights are packed in several groups.
    cases.push(Case {
        algorithm: Algorithm::Winograd,
        ..Case::new(ConvShape::same(272, 80, 3), [29, 30])
    });
    check_all(&cases, 2e-6);
}

#[test]
fn direct_agrees_with_the_definition() {
    let mut cases = vec![];
    for kernel in 1..=9 {
        for stride in 1..=3 {
            for padding in [0, 1, 2, 4] {
                for dilation in 1..=2 {
                    let shape = ConvShape {
                        kernel: [kernel, kernel.min(5)],
                        stride: [stride, stride],
                        padding: [padding, padding.min(3)],
                        dilation: [dilation, dilation],
                        ..ConvShape::same(5, 18, 1)
                    };
                    for size in [[1, 1], [5, 4], [11, 17]] {
                        if shape.output(size[0], size[1]).is_ok() {
                            cases.push(Case {
                                algorithm: Algorithm::Direct,
                                ..Case::new(shape, size)
                            });
                        }
                    }
                }
            }
        }
    }
    check_all(&cases, 2e-6);
}

#[test]
fn direct_agrees_for_all_numbers_of_channels() {
    let mut cases = vec![];
    for (inputs, outputs) in [
        (1, 1),
        (1, 64),
        (2, 3),
        (3, 3),
        (3, 64),
        (4, 4),
        (4, 48),
        (5, 2),
        (16, 1),
        (24, 4),
        (64, 3),
        (64, 12),
        (64, 80),
        (70, 112),
    ] {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (5, 1), (9, 1)] {
            let shape = ConvShape {
                stride: [stride; 2],
                ..ConvShape::same(inputs, outputs, kernel)
            };
            cases.push(Case {
                batch: 2,
                algorithm: Algorithm::Direct,
                ..Case::new(shape, [9, 14])
            });
        }
    }
    check_all(&cases, 2e-6);
}

#[test]
fn groups_agree_with_the_definition() {
    let mut cases = vec![];
    for (inputs, outputs, groups) in [
        (2, 2, 2),
        (4, 4, 4),
        (6, 9, 3),
        (10, 20, 2),
        (32, 32, 2),
        (64, 64, 4),
        (48, 96, 3),
        (5, 5, 5),
        (20, 20, 20),
        (64, 64, 64),
        (7, 14, 7),
    ] {
        for (kernel, stride, dilation) in [(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 2)] {
            let shape = ConvShape {
                groups,
                stride: [stride; 2],
                dilation: [dilation; 2],
                padding: [kernel / 2 * dilation; 2],
                ..ConvShape::same(inputs, outputs, kernel)
            };
            cases.push(Case {
                batch: 2,
                ..Case::new(shape, [13, 10])
            });
        }
    }
    check_all(&cases, 2e-6);
}

#[test]
fn several_inputs_are_one_after_the_other() {
    let mut cases = vec![];
    for split in [
        vec![16, 16],
        vec![16, 3],
        vec![32, 16, 5],
        vec![64, 32, 32],
        vec![16, 1],
    ] {
        let inputs = split.iter().sum();
        for (outputs, kernel, algorithm) in [
            (32, 3, Algorithm::Winograd),
            (32, 3, Algorithm::Direct),
            (40, 1, Algorithm::Auto),
            (3, 3, Algorithm::Auto),
        ] {
            cases.push(Case {
                batch: 2,
                split: split.clone(),
                algorithm,
                ..Case::new(ConvShape::same(inputs, outputs, kernel), [11, 9])
            });
        }
        let depthwise = ConvShape {
            groups: inputs,
            ..ConvShape::same(inputs, inputs, 3)
        };
        cases.push(Case {
            split,
            ..Case::new(depthwise, [11, 9])
        });
    }
    check_all(&cases, 2e-6);
}

#[test]
fn epilogues_agree_with_the_definition() {
    let mut failures = vec![];
    for kernel in kernels() {
        for (shape, algorithm) in [
            (ConvShape::same(16, 20, 3), Algorithm::Winograd),
            (ConvShape::same(16, 20, 3), Algorithm::Direct),
            (ConvShape::same(16, 3, 3), Algorithm::Direct),
            (
                ConvShape {
                    groups: 20,
                    ..ConvShape::same(20, 20, 3)
                },
                Algorithm::Direct,
            ),
        ] {
            let case = Case {
                algorithm,
                ..Case::new(shape, [6, 7])
            };
            for activation in [
                Activation::None,
                Activation::Relu,
                Activation::LeakyRelu(0.2),
                Activation::PRelu(vec![0.3]),
                Activation::PRelu(noise(shape.out_channels, 5)),
                Activation::Tanh,
                Activation::Sigmoid,
            ] {
                for order in [
                    None,
                    Some(AddOrder::AfterActivation),
                    Some(AddOrder::BeforeActivation),
                ] {
                    let error = case.check(kernel, &activation, order);
                    if error > 2e-6 {
                        failures.push(format!("{kernel} {activation:?} {order:?}: {error:.2e}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bf16_products_are_within_their_error() {
    let kernel = Kernel::Avx512;
    let shape = ConvShape::same(32, 64, 3);
    let new = |kernel| {
        let weight = vec![0.0; shape.weights()];
        Conv2d::new(
            kernel,
            shape,
            &weight,
            None,
            Algorithm::Auto,
            Precision::Bf16,
        )
    };
    let refused = new(Kernel::Portable).unwrap_err();
    assert_eq!(refused.code(), Code::NotBuiltIn);
    if !simd::has_bf16(kernel) {
        return;
    }
    let mut worst: f64 = 0.0;
    for (inputs, outputs) in [(16, 16), (17, 33), (64, 64), (70, 112), (130, 20)] {
        let case = Case {
            batch: 2,
            precision: Precision::Bf16,
            ..Case::new(ConvShape::same(inputs, outputs, 3), [13, 17])
        };
        worst = worst.max(case.check(kernel, &Activation::None, None));
    }
    // Rounded somewhere, and not more than stated at `Precision::Bf16`.
    assert!((1e-5..2e-2).contains(&worst), "{worst:.2e}");
}
