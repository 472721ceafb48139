//! Gradients of every layer and loss that trainers use, with respect to inputs and weights, against
//! finite differences in 64 bits: of first order, and of second order as gradient penalties take it.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use fonds_core::{Result, Seed};

use super::{Chance, Initialization, Parameters, SECOND_ORDER};
use crate::act::Act;
use crate::features::Features;
use crate::layers::{
    Activation, BatchNorm2d, BatchNormMode, Conv2d, ConvConfig, ConvTranspose2d,
    ConvTransposeConfig, InstanceNorm2d, PadMode, Padding, Pool, SpectralConv2d,
};
use crate::loss::{
    Perceptual, PerceptualLayer, PixelLoss, gram_loss, statistics_loss, total_variation,
};
use crate::testing::with_second_order;

type Layer = dyn Fn(&Act, VarBuilder<'static>) -> Result<Act>;

struct Case {
    name: &'static str,
    channels: usize,
    /// Whether second derivatives exist where they are taken.
    smooth: bool,
    layer: Box<Layer>,
}

fn case(
    name: &'static str,
    channels: usize,
    layer: impl Fn(&Act, VarBuilder<'static>) -> Result<Act> + 'static,
) -> Case {
    Case {
        name,
        channels,
        smooth: true,
        layer: Box::new(layer),
    }
}

fn layers() -> Vec<Case> {
    let same = ConvConfig::same(3);
    let double = ConvTransposeConfig {
        stride: 2,
        padding: 1,
        output_padding: 0,
        bias: true,
    };
    let mut cases = vec![
        case("convolution", 2, move |x, vb| {
            Conv2d::new(2, 3, 3, same, vb)?.forward(x)
        }),
        case("convolution, strided, with a residual", 2, move |x, vb| {
            let halve = ConvConfig::valid().stride(2).padding(1);
            let y = Conv2d::new(2, 3, 4, halve, vb.pp("a"))?.forward(x)?;
            let conv = Conv2d::new(3, 3, 3, same, vb.pp("b"))?;
            conv.with_activation(Activation::Tanh)
                .forward_add(&y, 0.2, &y)
        }),
        case(
            "convolution, residual before activation",
            2,
            move |x, vb| {
                let conv = Conv2d::new(2, 2, 3, same, vb)?;
                conv.with_activation(Activation::Sigmoid)
                    .forward_add_before(x, x)
            },
        ),
        case("transposed convolution", 2, move |x, vb| {
            ConvTranspose2d::new(2, 3, 4, double, vb)?.forward(x)
        }),
        case("spectral convolution", 2, move |x, vb| {
            SpectralConv2d::new(2, 3, 3, same, vb)?.forward(x)
        }),
        case("batch normalisation", 3, |x, vb| {
            BatchNorm2d::new(3, 1e-5, BatchNormMode::Batch, vb)?.forward(x)
        }),
        case("batch normalisation, running", 3, |x, vb| {
            BatchNorm2d::new(3, 1e-5, BatchNormMode::Running, vb)?.forward(x)
        }),
        case("instance normalisation", 3, |x, _| {
            InstanceNorm2d::plain(1e-5).forward(x, &Activation::None)
        }),
        case("instance normalisation with weights", 3, |x, vb| {
            let norm = InstanceNorm2d::affine(3, 1e-5, ["weight", "bias"], &vb)?;
            norm.forward(x, &Activation::LeakyRelu(0.2))
        }),
        case("relu", 2, |x, _| x.activate(&Activation::Relu)),
        case("leaky relu", 2, |x, _| {
            x.activate(&Activation::LeakyRelu(0.2))
        }),
        case("prelu for each channel", 2, |x, vb| {
            x.activate(&Activation::prelu(2, &vb)?)
        }),
        case("prelu for all", 2, |x, vb| {
            x.activate(&Activation::prelu(1, &vb)?)
        }),
        case("tanh", 2, |x, _| x.activate(&Activation::Tanh)),
        case("sigmoid", 2, |x, _| x.activate(&Activation::Sigmoid)),
        case("pixel shuffle", 4, |x, _| x.pixel_shuffle(2)),
        case("pixel unshuffle", 2, |x, _| x.pixel_unshuffle(2)),
        case("nearest enlargement, used twice", 2, |x, _| {
            let large = x.upsample_nearest(2)?;
            large.add(&x.activate(&Activation::Tanh)?.upsample_nearest(2)?)
        }),
        case("bilinear enlargement", 2, |x, _| {
            x.upsample_bilinear(2, false)
        }),
        case("reflected border", 2, |x, _| {
            x.pad(Padding::all(2), PadMode::Reflection)
        }),
        case("largest of each window", 2, |x, _| {
            x.max_pool(Pool {
                kernel: 2,
                stride: 2,
                padding: 0,
                ceil: false,
            })
        }),
        case("channels joined", 2, |x, _| {
            Act::cat(&[&x.activate(&Activation::Tanh)?, x])
        }),
        case("affine", 2, |x, _| {
            x.channel_affine(&[2.0, 0.5], &[0.1, -0.3])?
                .affine(0.5, 0.25)
        }),
    ];
    for case in losses() {
        cases.push(case);
    }
    cases
}

/// A network of features for the perceptual loss.
#[derive(Debug)]
struct Eye(Conv2d, Conv2d);

impl Features for Eye {
    fn layers(&self) -> Vec<String> {
        vec!["first".to_owned(), "second".to_owned()]
    }

    fn features(&self, x: &Act, _: &[&str]) -> Result<Vec<Act>> {
        let first = self.0.forward(x)?;
        let second = self.1.forward(&first.activate(&Activation::Tanh)?)?;
        Ok(vec![first, second])
    }
}

/// A loss as a layer whose output has one value.
fn loss(
    name: &'static str,
    smooth: bool,
    loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static,
) -> Case {
    let layer = move |x: &Act, _: VarBuilder<'static>| {
        let x = x.to_tensor()?;
        let value = loss(&x, &random(x.dims(), "target"))?;
        Act::from_tensor(value.reshape((1, 1, 1, 1)).unwrap())
    };
    Case {
        smooth,
        ..case(name, 3, layer)
    }
}

fn losses() -> Vec<Case> {
    let pixels = |how: PixelLoss| move |x: &Tensor, y: &Tensor| how.between(x, y);
    let perceptual = |x: &Tensor, y: &Tensor| {
        let make = |vb: VarBuilder<'static>| {
            let same = ConvConfig::same(3);
            let first = Conv2d::new(3, 4, 3, same, vb.pp("a"))?;
            Ok(Eye(first, Conv2d::new(4, 2, 3, same, vb.pp("b"))?))
        };
        let parameters = parameters(make);
        let eye = make(parameters.frozen(None)?)?;
        let layer = |name: &str, weight| PerceptualLayer {
            name: name.to_owned(),
            weight,
        };
        let layers = vec![layer("first", 0.1), layer("second", 1.0)];
        let how = PixelLoss::Absolute;
        Perceptual::new(Arc::new(eye), |x| Ok(x.clone()), layers, how).between(x, y)
    };
    vec![
        loss("absolute difference", false, pixels(PixelLoss::Absolute)),
        loss("squared difference", true, pixels(PixelLoss::Squared)),
        loss(
            "charbonnier",
            true,
            pixels(PixelLoss::Charbonnier { epsilon: 0.1 }),
        ),
        loss("perceptual", false, perceptual),
        loss("gram", true, gram_loss),
        loss("mean and deviation", true, statistics_loss),
        loss("total variation", false, |x, _| total_variation(x)),
    ]
}

fn random(dims: &[usize], purpose: &str) -> Tensor {
    let mut chance = Chance::new(Seed::new(9), purpose);
    let at = (DType::F64, &Device::Cpu);
    chance
        .normal_tensor(dims.to_vec(), (0.0, 1.0), at.0, at.1)
        .unwrap()
}

fn parameters<N>(make: impl FnOnce(VarBuilder<'static>) -> Result<N>) -> Parameters {
    let at = (DType::F64, &Device::Cpu);
    let how = Initialization::Normal { deviation: 0.4 };
    Parameters::fresh(make, how, Seed::new(7), at).unwrap()
}

/// A number that depends on all outputs, not linearly.
fn mixed(y: &Tensor, purpose: &str) -> Tensor {
    let weights = random(y.dims(), purpose);
    let mixed = (y * weights).unwrap() + (y.sqr().unwrap() * 0.3).unwrap();
    mixed.unwrap().sum_all().unwrap()
}

/// The number whose gradients are taken: of the outputs, or of the input's gradient.
fn number(case: &Case, parameters: &Parameters, x: &Var, second: bool) -> Tensor {
    let input = Act::from_tensor(x.as_tensor().clone()).unwrap();
    let y = (case.layer)(&input, parameters.live(None).unwrap()).unwrap();
    let value = mixed(&y.to_tensor().unwrap(), "outputs");
    if !second {
        return value;
    }
    let gradients = value.backward().unwrap();
    mixed(gradients.get(x.as_tensor()).unwrap(), "gradients")
}

fn expect_gradients(case: &Case, second: bool) {
    const STEP: f64 = 1e-5;
    let dims = [2, case.channels, 4, 6];
    let x = Var::from_tensor(&random(&dims, "input")).unwrap();
    let make = |vb| {
        let input = Act::from_tensor(x.as_tensor().clone())?;
        (case.layer)(&input, vb)
    };
    let parameters = parameters(make);
    let value = number(case, &parameters, &x, second);
    let gradients = value.backward().unwrap();
    let mut vars = vec![("input".to_owned(), x.clone())];
    vars.extend(parameters.trained());
    for (name, var) in vars {
        let before = var.as_tensor().copy().unwrap();
        let values = before.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let found = match gradients.get(var.as_tensor()) {
            Some(gradient) => gradient.flatten_all().unwrap().to_vec1().unwrap(),
            // A bias is gone from gradients of the input.
            None if second => vec![0.0; values.len()],
            None => panic!("{}: `{name}` has no gradient", case.name),
        };
        // Every value of small tensors, some of large ones.
        for index in (0..values.len()).step_by(values.len().div_ceil(40)) {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[index] += step;
                let moved = Tensor::from_vec(moved, var.dims(), &Device::Cpu).unwrap();
                var.set(&moved).unwrap();
                let value = number(case, &parameters, &x, second);
                value.to_scalar::<f64>().unwrap()
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (found[index] - expected).abs();
            assert!(
                error < 1e-6 * expected.abs().max(1.0),
                "{}: `{name}` {index}: {} instead of {expected}",
                case.name,
                found[index]
            );
        }
        var.set(&before).unwrap();
    }
}

#[test]
fn gradients_of_layers_and_losses_are_differences() {
    for case in layers() {
        expect_gradients(&case, false);
    }
}

#[test]
fn gradients_of_their_gradients_are_differences() {
    let name = "train::gradients::gradients_of_their_gradients_are_differences";
    if !with_second_order(name) {
        return;
    }
    super::check_second_order().unwrap();
    for case in layers().iter().filter(|case| case.smooth) {
        expect_gradients(case, true);
    }
}

#[test]
fn gradients_of_gradients_are_refused_where_they_are_off() {
    if std::env::var_os(SECOND_ORDER).is_none() {
        let error = super::check_second_order().unwrap_err();
        assert_eq!(error.code(), fonds_core::Code::InvalidRequest);
    }
}
