//! The tensor operations against slow versions, against the engine, and their gradients of first
//! and second order against finite differences in `f64`.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::plain::Geometry;
use super::product::{Kind, Product};
use super::*;
use crate::engine::{ConvShape, Engine, Kernel, PadMode, Padding, Shape, TransposeShape, Window};
use crate::layers::Activation;
use crate::testing::with_second_order;

type Function = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// An operation on tensors of certain sizes.
struct Case {
    name: String,
    dims: Vec<Vec<usize>>,
    function: Function,
}

impl Case {
    fn new(
        name: impl Into<String>,
        dims: &[&[usize]],
        function: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            dims: dims.iter().map(|dims| dims.to_vec()).collect(),
            function: Box::new(function),
        }
    }

    fn inputs(&self) -> Vec<Tensor> {
        let inputs = self.dims.iter().enumerate();
        inputs
            .map(|(seed, dims)| random(dims, seed as u64 + 1))
            .collect()
    }
}

/// Numbers between -1 and 1 that look random, no two alike.
pub(super) fn random(dims: &[usize], seed: u64) -> Tensor {
    let count = dims.iter().product();
    let number = |i: usize| {
        let mut hash = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (seed << 32);
        for _ in 0..3 {
            hash ^= hash >> 31;
            hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        (hash >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    let numbers: Vec<f64> = (0..count).map(number).collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn conv_shapes() -> Vec<(ConvShape, [usize; 2])> {
    let base = ConvShape {
        in_channels: 2,
        out_channels: 3,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    };
    let grouped = ConvShape {
        in_channels: 4,
        out_channels: 6,
        groups: 2,
        ..base
    };
    vec![
        (base, [4, 5]),
        (
            ConvShape {
                padding: [0, 2],
                ..base
            },
            [5, 3],
        ),
        // Of 6 columns the last is reached by no window.
        (
            ConvShape {
                stride: [2, 2],
                padding: [0, 0],
                ..base
            },
            [5, 6],
        ),
        (
            ConvShape {
                kernel: [4, 4],
                stride: [2, 2],
                ..base
            },
            [6, 5],
        ),
        (
            ConvShape {
                dilation: [2, 2],
                padding: [2, 1],
                ..base
            },
            [5, 6],
        ),
        (
            ConvShape {
                dilation: [2, 2],
                stride: [3, 3],
                ..base
            },
            [7, 6],
        ),
        (
            ConvShape {
                kernel: [1, 1],
                padding: [0, 0],
                ..base
            },
            [3, 4],
        ),
        // More padding than the kernel reaches.
        (
            ConvShape {
                kernel: [1, 2],
                padding: [1, 2],
                ..base
            },
            [3, 3],
        ),
        (
            ConvShape {
                stride: [2, 1],
                kernel: [3, 2],
                ..base
            },
            [5, 4],
        ),
        (grouped, [4, 3]),
        (
            ConvShape {
                out_channels: 4,
                groups: 4,
                stride: [2, 2],
                ..grouped
            },
            [5, 5],
        ),
    ]
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, size) in conv_shapes() {
        let geometry = Geometry::new(shape, 2, size).unwrap();
        let (input, output) = (geometry.input_dims(), geometry.output_dims());
        let weight = geometry.weight_dims();
        let factors = [
            (Kind::Forward, [input, weight]),
            (Kind::InputGradient, [output, weight]),
            (Kind::WeightGradient, [input, output]),
        ];
        for (kind, [a, b]) in factors {
            let plain = Product::new(kind, geometry);
            cases.push(Case::new(
                format!("{kind:?} {shape:?}"),
                &[&a, &b],
                move |x| plain.of(&x[0], &x[1]),
            ));
            if shape.stride[0] == shape.stride[1] && shape.dilation[0] == shape.dilation[1] {
                let composed = Product::composed(kind, geometry);
                let name = format!("composed {kind:?} {shape:?}");
                cases.push(Case::new(name, &[&a, &b], move |x| {
                    composed.of(&x[0], &x[1])
                }));
            }
        }
    }
    cases
}

fn transposes() -> Vec<TransposeShape> {
    let base = TransposeShape {
        in_channels: 4,
        out_channels: 2,
        kernel: [4, 4],
        stride: [2, 2],
        padding: [1, 1],
        output_padding: [0, 0],
        groups: 1,
    };
    vec![
        base,
        TransposeShape {
            kernel: [3, 3],
            output_padding: [1, 1],
            ..base
        },
        TransposeShape {
            kernel: [2, 2],
            padding: [0, 0],
            groups: 2,
            ..base
        },
        TransposeShape {
            stride: [3, 1],
            padding: [0, 3],
            output_padding: [2, 0],
            ..base
        },
    ]
}

fn windows() -> Vec<Window> {
    let odd = Window {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        ceil_mode: true,
    };
    vec![
        Window::square(2),
        odd,
        Window {
            padding: [0, 1],
            ceil_mode: false,
            ..odd
        },
        Window {
            kernel: [2, 3],
            stride: [1, 3],
            padding: [1, 0],
            ..odd
        },
        Window {
            kernel: [1, 2],
            stride: [3, 1],
            padding: [0, 0],
            ..odd
        },
    ]
}

const PADDING: Padding = Padding {
    top: 2,
    bottom: 1,
    left: 0,
    right: 3,
};

const MODES: [PadMode; 3] = [PadMode::Zero, PadMode::Reflection, PadMode::Replication];

fn others() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in transposes() {
        let outputs = shape.out_channels / shape.groups;
        let weight = [shape.in_channels, outputs, shape.kernel[0], shape.kernel[1]];
        let input = [2, shape.in_channels, 3, 4];
        cases.push(Case::new(
            format!("{shape:?}"),
            &[&input, &weight],
            move |x| conv_transpose2d(&x[0], &x[1], &shape),
        ));
    }
    for window in windows() {
        let input: &[usize] = &[2, 2, 5, 6];
        cases.push(Case::new(format!("{window:?}"), &[input], move |x| {
            max_pool2d(&x[0], &window)
        }));
        cases.push(Case::new(
            format!("composed {window:?}"),
            &[input],
            move |x| {
                let output = window.output(5, 6).unwrap();
                pooling::fold_taps(&x[0], &window, output)
            },
        ));
    }
    let input: &[usize] = &[2, 2, 3, 4];
    cases.push(Case::new("nearest", &[input], |x| {
        upsample_nearest(&x[0], 3)
    }));
    // candle's own overwrites what other uses of the tensor have gathered.
    cases.push(Case::new("nearest, used twice", &[input], |x| {
        let large = upsample_nearest(&x[0], 2)?;
        large * upsample_nearest(&x[0].sqr()?, 2)?
    }));
    for align_corners in [false, true] {
        for (height, width) in [(6, 8), (2, 5), (1, 1)] {
            let name = format!("bilinear {height} {width} {align_corners}");
            cases.push(Case::new(name, &[input], move |x| {
                resize_bilinear(&x[0], height, width, align_corners)
            }));
        }
    }
    cases.push(Case::new("bias", &[input, &[2]], |x| {
        add_bias(&x[0], &x[1])
    }));
    cases.push(Case::new("factors", &[input, &[2]], |x| {
        scale_channels(&x[0], &x[1])
    }));
    cases.push(Case::new("sums", &[input], |x| channel_sums(&x[0])));
    cases.push(Case::new("sums of products", &[input, input], |x| {
        channel_products(&x[0], &x[1])
    }));
    cases.push(Case::new("leaky", &[input], |x| leaky_relu(&x[0], 0.2)));
    for slopes in [1, 2] {
        cases.push(Case::new("slopes", &[input, &[slopes]], |x| {
            prelu(&x[0], &x[1])
        }));
    }
    cases.push(Case::new("batch", &[input, &[2], &[2]], |x| {
        batch_norm(&x[0], &x[1], &x[2], 1e-2)
    }));
    cases.push(Case::new("shuffle", &[&[2, 8, 3, 2]], |x| {
        pixel_shuffle(&x[0], 2)
    }));
    cases.push(Case::new("shuffle back", &[&[2, 1, 4, 6]], |x| {
        pixel_unshuffle(&x[0], 2)
    }));
    // Closed under differentiation, as nothing is fused in 64 bits.
    let (shape, _) = conv_shapes()[0];
    cases.push(Case::new(
        "block",
        &[&[2, 2, 4, 3], &[3, 2, 3, 3], &[3], &[3], &[3]],
        move |x| {
            let offset = Offset::Batch {
                weight: &x[2],
                bias: &x[3],
                epsilon: 1e-2,
            };
            let slopes = Activation::PRelu(x[4].clone());
            block(&x[0], &x[1], Convolution::Plain(shape), offset, &slopes)
        },
    ));
    for mode in MODES {
        cases.push(Case::new(format!("pad {mode:?}"), &[input], move |x| {
            pad(&x[0], PADDING, mode)
        }));
    }
    cases
}

/// A number that depends on all values of the result, not linearly.
fn loss(case: &Case, inputs: &[Tensor]) -> Result<Tensor> {
    let y = (case.function)(inputs)?;
    let mixed = (y.mul(&random(y.dims(), 77))? + y.sqr()?.affine(0.3, 0.0)?)?;
    mixed.sum_all()
}

/// A number that depends on all gradients of the loss, not linearly.
fn penalty(case: &Case, inputs: &[Tensor]) -> Result<Tensor> {
    let gradients = loss(case, inputs)?.backward()?;
    let mut sum = Tensor::new(0.0_f64, &Device::Cpu)?;
    for (seed, input) in inputs.iter().enumerate() {
        let gradient = gradients.get(input).expect("every input has a gradient");
        let weights = random(gradient.dims(), 88 + seed as u64);
        let mixed = (gradient.mul(&weights)? + gradient.sqr()?.affine(0.2, 0.0)?)?;
        sum = (sum + mixed.sum_all()?)?;
    }
    Ok(sum)
}

fn variables(inputs: &[Tensor]) -> Vec<Tensor> {
    let variable = |input: &Tensor| Var::from_tensor(input).unwrap().as_tensor().clone();
    inputs.iter().map(variable).collect()
}

/// Compares the gradients of a scalar function with central differences.
fn expect_gradients(case: &Case, scalar: impl Fn(&Case, &[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let inputs = case.inputs();
    let of = variables(&inputs);
    let gradients = scalar(case, &of).unwrap().backward().unwrap();
    for (which, input) in inputs.iter().enumerate() {
        let found = gradients.get(&of[which]);
        let found = numbers(found.unwrap_or_else(|| panic!("{}: no gradient", case.name)));
        let values = numbers(input);
        for index in 0..values.len() {
            let at = |step: f64| {
                let mut values = values.clone();
                values[index] += step;
                let mut moved = inputs.clone();
                moved[which] = Tensor::from_vec(values, input.dims(), &Device::Cpu).unwrap();
                let scalar = scalar(case, &variables(&moved)).unwrap();
                scalar.to_scalar::<f64>().unwrap()
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (found[index] - expected).abs();
            assert!(
                error < 2e-7 * expected.abs().max(1.0),
                "{}: input {which}, value {index}: {} instead of {expected}",
                case.name,
                found[index]
            );
        }
    }
}

#[test]
fn gradients_of_convolutions_are_differences() {
    for case in products() {
        expect_gradients(&case, loss);
    }
}

#[test]
fn gradients_of_the_others_are_differences() {
    for case in others() {
        expect_gradients(&case, loss);
    }
}

#[test]
fn gradients_of_gradients_are_differences() {
    if !with_second_order("gradient::testing::gradients_of_gradients_are_differences") {
        return;
    }
    for case in products().iter().chain(&others()) {
        expect_gradients(case, penalty);
    }
}

#[test]
fn convolutions_are_sums_over_taps() {
    for (shape, size) in conv_shapes() {
        let geometry = Geometry::new(shape, 2, size).unwrap();
        let (x, w) = (
            random(&geometry.input_dims(), 1),
            random(&geometry.weight_dims(), 2),
        );
        let (xs, ws) = (numbers(&x), numbers(&w));
        let inputs = shape.in_channels / shape.groups;
        let outputs = shape.out_channels / shape.groups;
        let [height, width] = geometry.output;
        let mut expected = Vec::new();
        for index in 0..geometry.output_dims().iter().product::<usize>() {
            let (ox, oy) = (index % width, index / width % height);
            let out = index / (width * height) % shape.out_channels;
            let picture = index / (width * height * shape.out_channels);
            let mut sum = 0.0;
            for c in 0..inputs {
                for ky in 0..shape.kernel[0] {
                    for kx in 0..shape.kernel[1] {
                        let y = (oy * shape.stride[0] + ky * shape.dilation[0]) as isize
                            - shape.padding[0] as isize;
                        let x = (ox * shape.stride[1] + kx * shape.dilation[1]) as isize
                            - shape.padding[1] as isize;
                        let inside = (0..size[0] as isize).contains(&y)
                            && (0..size[1] as isize).contains(&x);
                        if inside {
                            let channel = picture * shape.in_channels + out / outputs * inputs + c;
                            let at = (channel * size[0] + y as usize) * size[1] + x as usize;
                            let tap =
                                ((out * inputs + c) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                            sum += xs[at] * ws[tap];
                        }
                    }
                }
            }
            expected.push(sum);
        }
        let found = numbers(&conv2d(&x, &w, &shape).unwrap());
        expect_close(&format!("{shape:?}"), &found, &expected, 1e-13);
    }
}

/// The input gradient is the adjoint of the convolution, and a transposed convolution spreads each
/// pixel over the taps.
#[test]
fn transposed_convolutions_spread_pixels() {
    for shape in transposes() {
        let size = [3, 4];
        let outputs = shape.out_channels / shape.groups;
        let inputs = shape.in_channels / shape.groups;
        let [kernel_height, kernel_width] = shape.kernel;
        let x = random(&[2, shape.in_channels, size[0], size[1]], 3);
        let w = random(
            &[shape.in_channels, outputs, kernel_height, kernel_width],
            4,
        );
        let y = conv_transpose2d(&x, &w, &shape).unwrap();
        let (_, _, height, width) = y.dims4().unwrap();
        for (axis, side) in [height, width].into_iter().enumerate() {
            let whole = (size[axis] - 1) * shape.stride[axis] + shape.kernel[axis];
            assert_eq!(
                side,
                whole + shape.output_padding[axis] - 2 * shape.padding[axis]
            );
        }
        let (xs, ws) = (numbers(&x), numbers(&w));
        let mut expected = vec![0.0; y.elem_count()];
        for (index, value) in xs.iter().enumerate() {
            let (ix, iy) = (index % size[1], index / size[1] % size[0]);
            let channel = index / (size[0] * size[1]) % shape.in_channels;
            let picture = index / (size[0] * size[1] * shape.in_channels);
            for out in 0..outputs {
                for ky in 0..kernel_height {
                    for kx in 0..kernel_width {
                        let y = (iy * shape.stride[0] + ky).wrapping_sub(shape.padding[0]);
                        let x = (ix * shape.stride[1] + kx).wrapping_sub(shape.padding[1]);
                        if y < height && x < width {
                            let to = channel / inputs * outputs + out;
                            let at = ((picture * shape.out_channels + to) * height + y) * width + x;
                            let tap = ((channel * outputs + out) * kernel_height + ky)
                                * kernel_width
                                + kx;
                            expected[at] += value * ws[tap];
                        }
                    }
                }
            }
        }
        expect_close(&format!("{shape:?}"), &numbers(&y), &expected, 1e-13);
    }
}

/// Single precision and candle's operations give what double precision gives.
#[test]
fn all_ways_agree() {
    for (shape, size) in conv_shapes() {
        let geometry = Geometry::new(shape, 3, size).unwrap();
        let x = random(&geometry.input_dims(), 5);
        let w = random(&geometry.weight_dims(), 6);
        let g = random(&geometry.output_dims(), 7);
        let factors = [
            (Kind::Forward, [&x, &w]),
            (Kind::InputGradient, [&g, &w]),
            (Kind::WeightGradient, [&x, &g]),
        ];
        for (kind, [a, b]) in factors {
            let name = format!("{kind:?} {shape:?}");
            let exact = numbers(&Product::new(kind, geometry).of(a, b).unwrap());
            let single = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
            let found = Product::new(kind, geometry)
                .of(&single(a), &single(b))
                .unwrap();
            expect_close(&name, &numbers(&found), &exact, 2e-6);
            if shape.stride[0] == shape.stride[1] && shape.dilation[0] == shape.dilation[1] {
                let found = Product::composed(kind, geometry).of(a, b).unwrap();
                expect_close(&name, &numbers(&found), &exact, 1e-13);
            }
        }
    }
}

/// Many channels, for which the engine takes its fast ways.
#[test]
fn single_precision_runs_on_the_engine() {
    let wide = ConvShape::same(24, 40, 3);
    let shapes = [
        wide,
        ConvShape {
            padding: [0, 2],
            ..wide
        },
        ConvShape {
            stride: [2, 2],
            ..wide
        },
        ConvShape { groups: 4, ..wide },
        ConvShape {
            kernel: [1, 1],
            padding: [0, 0],
            ..wide
        },
        ConvShape {
            kernel: [1, 1],
            padding: [1, 1],
            ..wide
        },
        ConvShape {
            kernel: [5, 4],
            padding: [2, 1],
            dilation: [2, 1],
            ..wide
        },
    ];
    for shape in shapes {
        let geometry = Geometry::new(shape, 2, [21, 18]).unwrap();
        let x = random(&geometry.input_dims(), 11);
        let w = random(&geometry.weight_dims(), 12);
        let g = random(&geometry.output_dims(), 13);
        let factors = [
            (Kind::Forward, [&x, &w]),
            (Kind::InputGradient, [&g, &w]),
            (Kind::WeightGradient, [&x, &g]),
        ];
        for (kind, [a, b]) in factors {
            let product = Product::new(kind, geometry);
            let exact = numbers(&product.of(a, b).unwrap());
            let single = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
            let found = numbers(&product.of(&single(a), &single(b)).unwrap());
            // Sums of products that are 1 at most: against the largest, as cancelling leaves little.
            let largest = exact
                .iter()
                .fold(0.0_f64, |max, value| max.max(value.abs()));
            let scaled = |values: Vec<f64>| -> Vec<f64> {
                values.into_iter().map(|value| value / largest).collect()
            };
            let name = format!("{kind:?} {shape:?}");
            expect_close(&name, &scaled(found), &scaled(exact), 2e-6);
        }
    }
}

#[test]
fn products_do_not_depend_on_threads() {
    for batch in [1, 3] {
        let shape = ConvShape::same(20, 24, 3);
        let geometry = Geometry::new(shape, batch, [33, 30]).unwrap();
        let single = |dims: &[usize]| random(dims, 14).to_dtype(DType::F32).unwrap();
        let x = single(&geometry.input_dims());
        let w = single(&geometry.weight_dims());
        let g = single(&geometry.output_dims());
        for (kind, [a, b]) in [
            (Kind::Forward, [&x, &w]),
            (Kind::InputGradient, [&g, &w]),
            (Kind::WeightGradient, [&x, &g]),
        ] {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let product = || Product::new(kind, geometry).of(a, b).unwrap();
                numbers(&pool.unwrap().install(product))
            };
            assert_eq!(on(1), on(3), "{kind:?}, batch of {batch}");
        }
    }
}

#[test]
fn the_engine_computes_the_same() {
    let engine = Engine::new(Kernel::Portable);
    let shape = Shape {
        batch: 2,
        height: 5,
        width: 6,
        channels: 3,
    };
    let x = random(&[2, 3, 5, 6], 9).to_dtype(DType::F32).unwrap();
    let buffer = engine
        .import(shape, &x.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .unwrap();
    let expect = |name: &str, found: Result<Tensor>, expected: crate::engine::Buffer| {
        let found = found.unwrap();
        let made = expected.shape();
        let dims = [made.batch, made.channels, made.height, made.width];
        assert_eq!(found.dims(), dims, "{name}");
        let expected: Vec<f64> = engine
            .export(&expected)
            .into_iter()
            .map(f64::from)
            .collect();
        expect_close(name, &numbers(&found), &expected, 1e-6);
    };
    for window in windows() {
        let expected = engine.max_pool(&buffer, &window).unwrap();
        let name = format!("{window:?}");
        let output = window.output(5, 6).unwrap();
        expect(&name, max_pool2d(&x, &window), expected.clone());
        expect(&name, pooling::fold_taps(&x, &window, output), expected);
    }
    for mode in MODES {
        let expected = engine.pad(&buffer, PADDING, mode).unwrap();
        expect(&format!("{mode:?}"), pad(&x, PADDING, mode), expected);
    }
    let expected = engine.upsample_nearest(&buffer, 3).unwrap();
    expect("nearest", upsample_nearest(&x, 3), expected);
    for align_corners in [false, true] {
        for (height, width) in [(10, 12), (3, 4), (1, 9)] {
            let expected = engine
                .resize_bilinear(&buffer, height, width, align_corners)
                .unwrap();
            let found = resize_bilinear(&x, height, width, align_corners);
            expect("bilinear", found, expected);
        }
    }
}

#[test]
fn the_first_of_equal_maxima_gets_the_gradient() {
    let x = Tensor::new(&[[[[1.0_f64, 2.0], [2.0, 2.0]]]], &Device::Cpu).unwrap();
    let window = Window::square(2);
    for composed in [false, true] {
        let x = Var::from_tensor(&x).unwrap();
        let y = if composed {
            pooling::fold_taps(&x, &window, [1, 1])
        } else {
            max_pool2d(&x, &window)
        };
        let gradients = y.unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(numbers(gradients.get(&x).unwrap()), [0.0, 1.0, 0.0, 0.0]);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x = random(&[1, 2, 4, 4], 1);
    let w = random(&[3, 2, 3, 3], 2);
    let (shape, _) = conv_shapes()[0];
    assert!(conv2d(&x, &w, &shape).is_ok());
    let wrong = ConvShape {
        kernel: [5, 3],
        ..shape
    };
    assert!(conv2d(&x, &w, &wrong).is_err());
    assert!(conv2d(&x, &w, &ConvShape { groups: 0, ..shape }).is_err());
    assert!(
        conv2d(
            &x,
            &w,
            &ConvShape {
                stride: [0, 1],
                ..shape
            }
        )
        .is_err()
    );
    assert!(conv2d(&x.to_dtype(DType::F32).unwrap(), &w, &shape).is_err());
    assert!(pad(&x, Padding::all(4), PadMode::Reflection).is_err());
    assert!(upsample_nearest(&x, 0).is_err());
    assert!(resize_bilinear(&x, 0, 3, false).is_err());
    assert!(max_pool2d(&x, &Window::square(5)).is_err());
    let shape = TransposeShape {
        output_padding: [2, 0],
        ..transposes()[0]
    };
    let (x, w) = (random(&[1, 4, 3, 3], 1), random(&[4, 2, 4, 4], 2));
    assert!(conv_transpose2d(&x, &w, &shape).is_err());
}

pub(super) fn expect_close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * expected.abs().max(1.0),
            "{name}, value {index}: {found} instead of {expected}"
        );
    }
}
