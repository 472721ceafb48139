//! Transposed convolutions and gradients against an obvious slow version in 64 bits.

use super::super::{Buffer, Engine, Shape};
use super::tests::{Planes, assert_border, error, kernels, noise};
use super::*;

/// Adds every product of a convolution: `visit(input index, weight index, output index)`.
fn products(
    shape: &ConvShape,
    input: Shape,
    output: Shape,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let depth = shape.in_channels / shape.groups;
    let per_group = shape.out_channels / shape.groups;
    let [rows, columns] = shape.kernel;
    for n in 0..output.batch {
        for o in 0..output.channels {
            for y in 0..output.height {
                for x in 0..output.width {
                    for i in 0..depth {
                        for tap in 0..rows * columns {
                            let (ky, kx) = (tap / columns, tap % columns);
                            let iy = (y * shape.stride[0] + ky * shape.dilation[0])
                                .checked_sub(shape.padding[0]);
                            let ix = (x * shape.stride[1] + kx * shape.dilation[1])
                                .checked_sub(shape.padding[1]);
                            let (Some(iy), Some(ix)) = (iy, ix) else {
                                continue;
                            };
                            if iy >= input.height || ix >= input.width {
                                continue;
                            }
                            let c = o / per_group * depth + i;
                            visit(
                                ((n * input.channels + c) * input.height + iy) * input.width + ix,
                                (o * depth + i) * rows * columns + tap,
                                ((n * output.channels + o) * output.height + y) * output.width + x,
                            );
                        }
                    }
                }
            }
        }
    }
}

fn shapes(shape: &ConvShape, batch: usize, size: [usize; 2]) -> [Shape; 2] {
    let (height, width) = shape.output(size[0], size[1]).unwrap();
    let of = |height, width, channels| Shape {
        batch,
        height,
        width,
        channels,
    };
    [
        of(size[0], size[1], shape.in_channels),
        of(height, width, shape.out_channels),
    ]
}

fn convolutions() -> Vec<(ConvShape, usize, [usize; 2])> {
    let mut cases = vec![];
    for (inputs, outputs, groups) in [
        (1, 1, 1),
        (3, 64, 1),
        (16, 16, 1),
        (64, 3, 1),
        (20, 37, 1),
        (64, 64, 1),
        (6, 9, 3),
        (32, 32, 2),
        (20, 20, 20),
    ] {
        for (kernel, stride, padding, dilation) in [
            (1, 1, 0, 1),
            (1, 2, 0, 1),
            (3, 1, 1, 1),
            (3, 1, 0, 1),
            (3, 1, 2, 1),
            (3, 2, 1, 1),
            (4, 2, 1, 1),
            (3, 3, 1, 2),
            (5, 1, 2, 1),
            (3, 2, 2, 2),
        ] {
            let shape = ConvShape {
                groups,
                kernel: [kernel, kernel],
                stride: [stride, stride],
                padding: [padding, padding],
                dilation: [dilation, dilation],
                ..ConvShape::same(inputs, outputs, 1)
            };
            for size in [[5, 6], [13, 11]] {
                if shape.output(size[0], size[1]).is_ok() {
                    cases.push((shape, 2, size));
                }
            }
        }
    }
    // Rows longer than what passes along a micro-tile at once.
    cases.push((ConvShape::same(16, 16, 3), 1, [4, 150]));
    cases
}

#[test]
fn gradients_agree_with_the_definition() {
    let mut failures = vec![];
    for kernel in kernels() {
        let engine = Engine::new(kernel);
        for (shape, batch, size) in convolutions() {
            let [whole, out] = shapes(&shape, batch, size);
            let (input, input_f32) = Planes::new(whole, 1);
            let (gradient, gradient_f32) = Planes::new(out, 2);
            let weight = noise(shape.weights(), 3);
            let mut for_input = vec![0.0; whole.elements()];
            let mut for_weight = vec![0.0; shape.weights()];
            products(&shape, whole, out, |i, w, o| {
                for_input[i] += f64::from(weight[w]) * gradient.values[o];
                for_weight[w] += input.values[i] * gradient.values[o];
            });
            let input = engine.import(whole, &input_f32).unwrap();
            let gradient = engine.import(out, &gradient_f32).unwrap();
            let found =
                conv2d_input_gradient(&engine, &shape, (size[0], size[1]), &gradient, &weight)
                    .unwrap();
            assert_border(&found);
            let errors = [
                error(&engine.export(&found), &for_input),
                error(
                    &conv2d_weight_gradient(&engine, &shape, &input, &gradient).unwrap(),
                    &for_weight,
                ),
            ];
            if errors.iter().any(|&error| error > 2e-6) {
                failures.push(format!("{kernel}: {errors:?}: {shape:?} {size:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn transposed_agrees_with_the_definition() {
    let mut failures = vec![];
    for kernel in kernels() {
        let engine = Engine::new(kernel);
        for (inputs, outputs, groups) in [(16, 3, 1), (56, 1, 1), (24, 40, 1), (12, 18, 3)] {
            for (taps, stride, padding, output_padding) in [
                (3, 1, 1, 0),
                (3, 1, 2, 0),
                (5, 1, 0, 0),
                (1, 2, 0, 1),
                (2, 2, 0, 0),
                (3, 2, 1, 1),
                (4, 2, 1, 0),
                (5, 2, 2, 1),
                (9, 3, 4, 2),
                (9, 4, 3, 1),
                (2, 3, 0, 0),
            ] {
                let shape = TransposeShape {
                    in_channels: inputs,
                    out_channels: outputs,
                    kernel: [taps, taps],
                    stride: [stride, stride],
                    padding: [padding, padding],
                    output_padding: [output_padding, output_padding],
                    groups,
                };
                for size in [[1, 2], [7, 9]] {
                    let Ok((height, width)) = shape.output(size[0], size[1]) else {
                        continue;
                    };
                    // The convolution whose gradient it is.
                    let conv = ConvShape {
                        in_channels: outputs,
                        out_channels: inputs,
                        kernel: shape.kernel,
                        stride: shape.stride,
                        padding: shape.padding,
                        dilation: [1, 1],
                        groups,
                    };
                    let of = |[height, width]: [usize; 2], channels| Shape {
                        batch: 2,
                        height,
                        width,
                        channels,
                    };
                    let (whole, out) = (of(size, inputs), of([height, width], outputs));
                    let (planes, nchw) = Planes::new(whole, 1);
                    let weight = noise(shape.weights(), 2);
                    let bias = noise(outputs, 3);
                    let mut expected: Vec<f64> = (0..out.elements())
                        .map(|index| f64::from(bias[index / (height * width) % outputs]))
                        .collect();
                    products(&conv, out, whole, |o, w, i| {
                        expected[o] += f64::from(weight[w]) * planes.values[i];
                    });
                    for value in &mut expected {
                        *value = value.max(0.0);
                    }
                    let transposed = ConvTranspose2d::new(
                        kernel,
                        shape,
                        &weight,
                        Some(&bias),
                        Algorithm::Auto,
                        Precision::F32,
                    )
                    .unwrap();
                    let input = engine.import(whole, &nchw).unwrap();
                    let found = transposed
                        .forward(&engine, &[&input], &Epilogue::activation(&Activation::Relu))
                        .unwrap();
                    assert_eq!(found.shape(), out);
                    assert_border(&found);
                    let error = error(&engine.export(&found), &expected);
                    if error > 2e-6 {
                        failures.push(format!("{kernel}: {error:.2e}: {shape:?} {size:?}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn in_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let bytes = |buffer: &Buffer| -> Vec<u32> {
        buffer
            .as_slice()
            .iter()
            .map(|value| value.to_bits())
            .collect()
    };
    for kernel in kernels() {
        let engine = Engine::new(kernel);
        for (shape, size) in [
            (ConvShape::same(64, 64, 3), [40, 37]),
            (ConvShape::same(32, 136, 3), [9, 12]),
            (
                ConvShape {
                    stride: [2, 2],
                    ..ConvShape::same(48, 80, 5)
                },
                [31, 33],
            ),
            (ConvShape::same(64, 3, 9), [19, 23]),
        ] {
            let [whole, out] = shapes(&shape, 2, size);
            let input = engine.import(whole, &noise(whole.elements(), 1)).unwrap();
            let gradient = engine.import(out, &noise(out.elements(), 2)).unwrap();
            let weight = noise(shape.weights(), 3);
            let conv = Conv2d::new(
                kernel,
                shape,
                &weight,
                None,
                Algorithm::Auto,
                Precision::F32,
            )
            .unwrap();
            let run = || {
                let forward = conv
                    .forward(&engine, &[&input], &Epilogue::default())
                    .unwrap();
                let size = (size[0], size[1]);
                let back =
                    conv2d_input_gradient(&engine, &shape, size, &gradient, &weight).unwrap();
                let weights: Vec<u32> = conv2d_weight_gradient(&engine, &shape, &input, &gradient)
                    .unwrap()
                    .iter()
                    .map(|value| value.to_bits())
                    .collect();
                (bytes(&forward), bytes(&back), weights)
            };
            let one = in_threads(1, run);
            for threads in [2, 3] {
                assert!(
                    in_threads(threads, run) == one,
                    "{kernel} {shape:?} {threads}"
                );
            }
        }
    }
}

#[test]
fn a_picture_of_a_batch_is_the_picture_alone() {
    for kernel in kernels() {
        let engine = Engine::new(kernel);
        for (shape, size) in [
            (ConvShape::same(32, 48, 3), [17, 14]),
            (ConvShape::same(32, 48, 3), [4, 4]),
            (ConvShape::same(24, 40, 5), [10, 14]),
        ] {
            let [whole, out] = shapes(&shape, 3, size);
            let nchw = noise(whole.elements(), 1);
            let conv = Conv2d::new(
                kernel,
                shape,
                &noise(shape.weights(), 2),
                None,
                Algorithm::Auto,
                Precision::F32,
            )
            .unwrap();
            let run = |shape: Shape, nchw: &[f32]| {
                let input = engine.import(shape, nchw).unwrap();
                let output = conv
                    .forward(&engine, &[&input], &Epilogue::default())
                    .unwrap();
                engine.export(&output)
            };
            let together = run(whole, &nchw);
            let one = Shape { batch: 1, ..whole };
            let (from, to) = (one.elements(), out.elements() / 3);
            for n in 0..3 {
                let alone = run(one, &nchw[n * from..(n + 1) * from]);
                assert!(
                    together[n * to..(n + 1) * to] == alone,
                    "{kernel} {shape:?} {n}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_receptive_field() {
    let size = 24;
    let shape = Shape {
        batch: 1,
        height: size,
        width: size,
        channels: 16,
    };
    for kernel in kernels() {
        let engine = Engine::new(kernel);
        for (conv_shape, algorithm) in [
            (ConvShape::same(16, 16, 3), Algorithm::Direct),
            (ConvShape::same(16, 3, 5), Algorithm::Direct),
            (ConvShape::same(16, 16, 3), Algorithm::Winograd),
        ] {
            let mut nchw = noise(shape.elements(), 1);
            let (y, x) = (9, 14);
            nchw[(5 * size + y) * size + x] = f32::NAN;
            let input = engine.import(shape, &nchw).unwrap();
            let conv = Conv2d::new(
                kernel,
                conv_shape,
                &noise(conv_shape.weights(), 2),
                None,
                algorithm,
                Precision::F32,
            )
            .unwrap();
            let output = conv
                .forward(&engine, &[&input], &Epilogue::activation(&Activation::Relu))
                .unwrap();
            // Direct: outputs one of whose taps it is. Winograd: tiles one of whose inputs it is.
            let reaches = |at: usize, output: usize| match algorithm {
                Algorithm::Winograd => {
                    let tile = output / 4 * 4;
                    (tile..=tile + 5).contains(&(at + 1))
                }
                _ => at.abs_diff(output) <= conv_shape.kernel[0] / 2,
            };
            for oy in 0..size {
                for ox in 0..size {
                    let pixel = output.pixel(0, oy, ox);
                    let expected = reaches(y, oy) && reaches(x, ox);
                    let found = pixel.iter().all(|value| value.is_nan());
                    let clean = pixel.iter().all(|value| value.is_finite());
                    assert!(
                        if expected { found } else { clean },
                        "{kernel} {algorithm:?} {oy} {ox}: {pixel:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    use fonds_core::Code;

    let kernel = Kernel::Portable;
    let engine = Engine::new(kernel);
    let new = |shape: ConvShape, weight: &[f32], algorithm| {
        Conv2d::new(kernel, shape, weight, None, algorithm, Precision::F32)
    };
    let shape = ConvShape::same(16, 8, 3);
    let weight = vec![0.5; shape.weights()];
    let codes = [
        new(shape, &weight[1..], Algorithm::Auto)
            .unwrap_err()
            .code(),
        new(ConvShape { groups: 3, ..shape }, &weight, Algorithm::Auto)
            .unwrap_err()
            .code(),
        new(
            ConvShape {
                stride: [0, 1],
                ..shape
            },
            &weight,
            Algorithm::Auto,
        )
        .unwrap_err()
        .code(),
        new(
            ConvShape {
                stride: [2, 2],
                ..shape
            },
            &weight,
            Algorithm::Winograd,
        )
        .unwrap_err()
        .code(),
    ];
    assert!(
        codes.iter().all(|&code| code == Code::ModelError),
        "{codes:?}"
    );

    let buffer = |channels, height| {
        let shape = Shape {
            batch: 1,
            height,
            width: 4,
            channels,
        };
        engine.import(shape, &vec![0.0; shape.elements()]).unwrap()
    };
    let conv = new(shape, &weight, Algorithm::Auto).unwrap();
    let run = |inputs: &[&Buffer], epilogue: &Epilogue<'_>| {
        let found = conv.forward(&engine, inputs, epilogue);
        found
            .map(|_| ())
            .map_err(|error| error.message().to_owned())
    };
    let plain = Epilogue::default();
    assert!(run(&[&buffer(16, 4)], &plain).is_ok());
    let prelu = Activation::PRelu(vec![0.1; 7]);
    let small = buffer(8, 3);
    let messages = [
        run(&[], &plain),
        run(&[&buffer(15, 4)], &plain),
        run(&[&buffer(8, 4), &buffer(8, 4)], &plain),
        run(&[&buffer(16, 4), &buffer(16, 4)], &plain),
        run(&[&buffer(16, 4)], &Epilogue::activation(&prelu)),
        run(
            &[&buffer(16, 4)],
            &Epilogue {
                residual: Some(Residual {
                    buffer: &small,
                    order: AddOrder::AfterActivation,
                }),
                ..plain
            },
        ),
    ]
    .map(|result| result.unwrap_err());
    assert_eq!(
        messages,
        [
            "a convolution has no input",
            "a convolution of 16 channels is given 15",
            "input 0 of a convolution has 8 channels and is not the last (expected a multiple of 16)",
            "a convolution of 16 channels is given 32",
            "PReLU has 7 slopes for 8 channels",
            "the residual is 1 × 3 × 4 × 8, the convolution's output 1 × 4 × 4 × 8",
        ]
    );
}
