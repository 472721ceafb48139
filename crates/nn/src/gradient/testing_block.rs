//! Fused convolutions against what they are composed of, against PyTorch, and on several threads.

use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};

use super::plain::Geometry;
use super::product::{Kind, Product};
use super::testing::{expect_close, numbers, random};
use super::{Convolution, Offset, add_bias, block, use_kernel};
use crate::engine::{ConvShape, Kernel, TransposeShape};
use crate::layers::Activation;
use crate::testing::formula;
use crate::weights::Checkpoint;

/// Which of the three.
#[derive(Debug, Clone, Copy)]
enum With {
    Nothing,
    Bias,
    Batch,
}

/// A fused convolution of certain sizes.
struct Case {
    convolution: Convolution,
    with: With,
    activation: &'static str,
    input: [usize; 4],
}

impl Case {
    fn name(&self) -> String {
        let Self {
            convolution,
            with,
            activation,
            input,
        } = self;
        format!("{convolution:?} {with:?} {activation} {input:?}")
    }

    /// Input, weights, two values for each channel, slopes, and what comes from above.
    fn tensors(&self) -> Vec<Tensor> {
        let (weight, outputs) = match self.convolution {
            Convolution::Plain(shape) => {
                let [height, width] = shape.kernel;
                let inputs = shape.in_channels / shape.groups;
                let weight = [shape.out_channels, inputs, height, width];
                (weight, shape.out_channels)
            }
            Convolution::Transposed(shape) => {
                let [height, width] = shape.kernel;
                let outputs = shape.out_channels / shape.groups;
                let weight = [shape.in_channels, outputs, height, width];
                (weight, shape.out_channels)
            }
        };
        let slopes = if self.activation == "one slope" {
            1
        } else {
            outputs
        };
        vec![
            random(&self.input, 1),
            random(&weight, 2),
            random(&[outputs], 3),
            random(&[outputs], 4),
            random(&[slopes], 5),
        ]
    }

    /// The output and the gradients of all that it is made from.
    fn run(&self, dtype: DType) -> Vec<Vec<f64>> {
        let variables: Vec<Var> = self
            .tensors()
            .iter()
            .map(|tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap())
            .collect();
        let [x, weight, first, second, slopes] = &variables[..] else {
            unreachable!("there are five")
        };
        let offset = match self.with {
            With::Nothing => Offset::None,
            With::Bias => Offset::Bias(first),
            With::Batch => Offset::Batch {
                weight: first,
                bias: second,
                epsilon: 1e-3,
            },
        };
        let activation = match self.activation {
            "none" => Activation::None,
            "relu" => Activation::Relu,
            "leaky" => Activation::LeakyRelu(0.2),
            "falling" => Activation::LeakyRelu(-0.5),
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            _ => Activation::PRelu(slopes.as_tensor().clone()),
        };
        let y = block(x, weight, self.convolution, offset, &activation).unwrap();
        let above = random(y.dims(), 9).to_dtype(dtype).unwrap();
        let loss = y.mul(&above).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let mut made = vec![numbers(&y)];
        for variable in &variables {
            made.push(gradients.get(variable).map(numbers).unwrap_or_default());
        }
        made
    }
}

fn cases() -> Vec<Case> {
    let same = ConvShape::same(20, 24, 3);
    let plain = [
        same,
        ConvShape {
            kernel: [4, 4],
            stride: [2, 2],
            in_channels: 3,
            ..same
        },
        ConvShape {
            out_channels: 3,
            padding: [0, 1],
            ..same
        },
        ConvShape { groups: 4, ..same },
    ];
    let transposed = TransposeShape {
        in_channels: 18,
        out_channels: 3,
        kernel: [4, 4],
        stride: [2, 2],
        padding: [1, 1],
        output_padding: [0, 0],
        groups: 1,
    };
    let first = TransposeShape {
        stride: [1, 1],
        padding: [0, 0],
        out_channels: 20,
        ..transposed
    };
    let mut convolutions: Vec<(Convolution, [usize; 2])> = plain
        .map(|shape| (Convolution::Plain(shape), [13, 14]))
        .to_vec();
    convolutions.push((Convolution::Transposed(transposed), [5, 6]));
    convolutions.push((Convolution::Transposed(first), [1, 1]));
    let mut cases = Vec::new();
    for (convolution, [height, width]) in convolutions {
        let channels = match convolution {
            Convolution::Plain(shape) => shape.in_channels,
            Convolution::Transposed(shape) => shape.in_channels,
        };
        for with in [With::Nothing, With::Bias, With::Batch] {
            for activation in [
                "none",
                "relu",
                "leaky",
                "falling",
                "slopes",
                "one slope",
                "tanh",
                "sigmoid",
            ] {
                cases.push(Case {
                    convolution,
                    with,
                    activation,
                    input: [3, channels, height, width],
                });
            }
        }
    }
    cases
}

/// Against the largest value: what cancels leaves little of a sum.
fn expect_near(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected
        .iter()
        .fold(1e-30_f64, |max, value| max.max(value.abs()));
    let scaled = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v / largest).collect() };
    expect_close(name, &scaled(found), &scaled(expected), tolerance);
}

#[test]
fn what_is_fused_is_what_it_is_composed_of() {
    for case in cases() {
        let (found, expected) = (case.run(DType::F32), case.run(DType::F64));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let name = format!("{} {index}", case.name());
            expect_near(&name, found, expected, 2e-5);
        }
    }
}

/// The activations that one operation leaves are the next one's input.
#[test]
fn a_chain_passes_its_activations_on() {
    let shape = ConvShape::same(12, 12, 3);
    let run = |dtype: DType| -> Vec<Vec<f64>> {
        let variable = |dims: &[usize], seed| {
            Var::from_tensor(&random(dims, seed).to_dtype(dtype).unwrap()).unwrap()
        };
        let x = variable(&[2, 12, 14, 13], 1);
        let weight = variable(&[12, 12, 3, 3], 2);
        let bias = variable(&[12], 3);
        let slopes = Activation::PRelu(variable(&[12], 4).as_tensor().clone());
        let step = |x: &Tensor, activation: &Activation| {
            let offset = Offset::Bias(&bias);
            block(x, &weight, Convolution::Plain(shape), offset, activation).unwrap()
        };
        let y = step(&x, &slopes);
        let z = step(&y, &Activation::LeakyRelu(0.1));
        // Used twice, and once as another tensor of the same values.
        let sum = (step(&z, &slopes) + step(&(&z * 0.5).unwrap(), &Activation::None)).unwrap();
        let loss = sum.mul(&random(sum.dims(), 9).to_dtype(dtype).unwrap());
        let gradients = loss.unwrap().sum_all().unwrap().backward().unwrap();
        let of = |variable: &Var| numbers(gradients.get(variable).unwrap());
        vec![numbers(&sum), of(&x), of(&weight), of(&bias)]
    };
    for (found, expected) in run(DType::F32).iter().zip(&run(DType::F64)) {
        expect_near("a chain", found, expected, 1e-5);
    }
}

#[test]
fn gradients_do_not_depend_on_threads() {
    for case in cases() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| case.run(DType::F32))
        };
        let one = on(1);
        for threads in [2, 3] {
            assert!(
                on(threads) == one,
                "{} depends on the number of threads",
                case.name()
            );
        }
    }
}

/// PyTorch in 64 bits: `tools/reference_gradients.py`.
#[test]
fn gradients_are_those_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/tensors/conv_gradients.safetensors");
    let checkpoint = Checkpoint::read(&path).unwrap();
    let (tensors, metadata) = (&checkpoint.tensors, &checkpoint.metadata);
    let cases: serde_json::Value = serde_json::from_str(&metadata["cases"]).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 33);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let dims = |key: &str| -> Vec<usize> {
            let dims = case[key].as_array().unwrap().iter();
            dims.map(|dim| dim.as_u64().unwrap() as usize).collect()
        };
        let (input, weight, above) = (dims("input"), dims("weight"), dims("grad"));
        let transposed = case["transposed"].as_bool().unwrap();
        let both = |key: &str| [number(key); 2];
        let (inner, outer) = (input[1], above[1]);
        let shape = ConvShape {
            in_channels: if transposed { outer } else { inner },
            out_channels: if transposed { inner } else { outer },
            kernel: [weight[2], weight[3]],
            stride: both("stride"),
            padding: both("padding"),
            dilation: both("dilation"),
            groups: number("groups"),
        };
        let (kind, size) = if transposed {
            (Kind::InputGradient, &above)
        } else {
            (Kind::Forward, &input)
        };
        let geometry = Geometry::new(shape, input[0], [size[2], size[3]]).unwrap();
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 5e-6)] {
            let made = |key: &str, dims: &[usize], reach: f64| {
                let count = dims.iter().product();
                let values = formula(&format!("{name}.{key}"), count, -reach, reach);
                let tensor = Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
                Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
            };
            let (x, w) = (made("input", &input, 1.0), made("weight", &weight, 0.5));
            let bias = case["bias"].as_bool().unwrap();
            let bias = bias.then(|| made("bias", &[outer], 0.5));
            // Dilated transposed convolutions are known to the products alone.
            let convolution = if !transposed {
                Some(Convolution::Plain(shape))
            } else if shape.dilation == [1, 1] {
                Some(Convolution::Transposed(TransposeShape {
                    in_channels: inner,
                    out_channels: outer,
                    kernel: shape.kernel,
                    stride: shape.stride,
                    padding: shape.padding,
                    output_padding: both("output_padding"),
                    groups: shape.groups,
                }))
            } else {
                None
            };
            let y = if let Some(convolution) = convolution {
                let offset = bias
                    .as_ref()
                    .map_or(Offset::None, |bias| Offset::Bias(bias));
                block(&x, &w, convolution, offset, &Activation::None).unwrap()
            } else {
                let sums = Product::new(kind, geometry).of(&x, &w).unwrap();
                match &bias {
                    Some(bias) => add_bias(&sums, bias).unwrap(),
                    None => sums,
                }
            };
            let above = made("grad", &above, 1.0);
            let loss = y.mul(&above).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            let mut found = vec![
                ("output", numbers(&y)),
                ("grad_input", numbers(gradients.get(&x).unwrap())),
                ("grad_weight", numbers(gradients.get(&w).unwrap())),
            ];
            if let Some(bias) = &bias {
                found.push(("grad_bias", numbers(gradients.get(bias).unwrap())));
            }
            for (key, found) in found {
                let key = format!("{name}.{key}");
                let bytes = tensors.get(&key).unwrap().to_bytes();
                let eights = bytes.as_chunks::<8>().0.iter();
                let expected: Vec<f64> = eights.map(|eight| f64::from_le_bytes(*eight)).collect();
                expect_near(&key, &found, &expected, tolerance);
            }
        }
    }
}

#[test]
fn the_kernel_is_chosen_once() {
    let case = &cases()[0];
    case.run(DType::F32);
    let used = Kernel::detect();
    use_kernel(used).unwrap();
    for other in Kernel::ALL.into_iter().filter(|&kernel| kernel != used) {
        let code = use_kernel(other).unwrap_err().code();
        let expected = if other.is_available() {
            fonds_core::Code::InvalidRequest
        } else {
            fonds_core::Code::NotBuiltIn
        };
        assert_eq!(code, expected, "{other}");
    }
}
