//! The operations against PyTorch: `fixtures/tensors/ops.safetensors`, written by
//! `tools/reference_ops.py`.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::super::conv::Activation;
use super::testing::engine;
use super::{Normalization, PadMode, Padding, Rectangle, Window};

/// Largest error that single precision is allowed, as a share of the larger of the value and 1.
const TOLERANCE: f64 = 2e-6;

struct Reference {
    engine: std::sync::Arc<Engine>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    compared: std::cell::Cell<usize>,
}

impl Reference {
    fn read() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/tensors/ops.safetensors"
        );
        let bytes = std::fs::read(path).unwrap();
        let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            assert_eq!(view.dtype(), Dtype::F64, "{name}");
            let values = view.data().chunks_exact(8);
            let values = values.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
            (name, (view.shape().to_vec(), values.collect()))
        };
        let file = SafeTensors::deserialize(&bytes).unwrap();
        Self {
            engine: engine(),
            tensors: file.tensors().into_iter().map(tensor).collect(),
            compared: std::cell::Cell::new(0),
        }
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensors[name]
            .1
            .iter()
            .map(|value| *value as f32)
            .collect()
    }

    fn buffer(&self, name: &str) -> Buffer {
        let &[batch, channels, height, width] = self.tensors[name].0.as_slice() else {
            panic!("{name} has not four dimensions");
        };
        let shape = Shape {
            batch,
            height,
            width,
            channels,
        };
        self.engine.import(shape, &self.values(name)).unwrap()
    }

    fn expect(&self, name: &str, found: &Buffer) {
        let shape = found.shape();
        let sides = [shape.batch, shape.channels, shape.height, shape.width];
        assert_eq!(self.tensors[name].0, sides, "{name}");
        self.expect_values(name, &self.engine.export(found));
    }

    fn expect_values(&self, name: &str, found: &[f32]) {
        let expected = &self.tensors[name].1;
        assert_eq!(found.len(), expected.len(), "{name}");
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
            assert!(
                error <= TOLERANCE,
                "{name}, value {index}: {found} instead of {expected}"
            );
        }
        self.compared.set(self.compared.get() + 1);
    }
}

#[test]
fn resampling_is_that_of_pytorch() {
    let reference = Reference::read();
    let engine = &reference.engine;
    let x = reference.buffer("x");
    for (height, width) in [(14, 18), (3, 4), (11, 6), (1, 1)] {
        let expect = |name: &str, found: fonds_core::Result<Buffer>| {
            reference.expect(&format!("{name}.{height}x{width}"), &found.unwrap());
        };
        expect("nearest", engine.resize_nearest(&x, height, width));
        expect("bilinear", engine.resize_bilinear(&x, height, width, false));
        expect(
            "bilinear_corners",
            engine.resize_bilinear(&x, height, width, true),
        );
        expect("bicubic", engine.resize_bicubic(&x, height, width));
        expect("area", engine.adaptive_average_pool(&x, height, width));
        expect("adaptive", engine.adaptive_average_pool(&x, height, width));
    }
    assert_eq!(reference.compared.get(), 24);
}

#[test]
fn pooling_is_that_of_pytorch() {
    let reference = Reference::read();
    let engine = &reference.engine;
    let x = reference.buffer("x");
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 0), (3, 2, 1), (5, 3, 2)] {
        for ceil_mode in [false, true] {
            let window = Window {
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [padding; 2],
                ceil_mode,
            };
            let name = format!("{kernel}.{stride}.{padding}.{}", u8::from(ceil_mode));
            let found = engine.max_pool(&x, &window).unwrap();
            reference.expect(&format!("max_pool.{name}"), &found);
            for count in [false, true] {
                let found = engine.average_pool(&x, &window, count).unwrap();
                let name = format!("average_pool.{name}.{}", u8::from(count));
                reference.expect(&name, &found);
            }
        }
    }
    assert_eq!(reference.compared.get(), 24);
}

#[test]
fn frames_and_shuffles_are_those_of_pytorch() {
    let reference = Reference::read();
    let engine = &reference.engine;
    let x = reference.buffer("x");
    let padding = Padding {
        top: 2,
        bottom: 4,
        left: 3,
        right: 1,
    };
    let padded = |mode| engine.pad(&x, padding, mode).unwrap();
    reference.expect("reflect", &padded(PadMode::Reflection));
    reference.expect("replicate", &padded(PadMode::Replication));
    let shuffled = engine.pixel_shuffle(&reference.buffer("wide"), 3).unwrap();
    reference.expect("pixel_shuffle", &shuffled);
    let back = engine.pixel_unshuffle(&shuffled, 3).unwrap();
    reference.expect("pixel_unshuffle", &back);
}

#[test]
fn normalization_and_losses_are_those_of_pytorch() {
    let reference = Reference::read();
    let engine = &reference.engine;
    let (x, y) = (reference.buffer("x"), reference.buffer("y"));
    let (weight, bias) = (reference.values("weight"), reference.values("bias"));
    let how = Normalization {
        weight: Some(&weight),
        bias: Some(&bias),
        ..Normalization::default()
    };
    let found = engine.instance_norm(&x, &how).unwrap();
    reference.expect("instance_norm", &found);
    let variances: Vec<f32> = weight.iter().map(|value| value.abs()).collect();
    let found = engine.batch_norm(&x, &bias, &variances, &how).unwrap();
    reference.expect("batch_norm", &found);

    let weight = reference.values("groups_weight");
    let how = Normalization {
        weight: Some(&weight),
        activation: &Activation::None,
        ..Normalization::default()
    };
    let wide = reference.buffer("wide");
    let found = engine.group_norm(&wide, 6, &how).unwrap();
    reference.expect("group_norm", &found);

    let (content, style) = (engine.channel_sums(&x), engine.channel_sums(&y));
    let found = engine
        .adaptive_instance_norm(&x, &content, &style, 0.7)
        .unwrap();
    reference.expect("adain", &found);

    let found = engine.gram_matrix(&x, true).unwrap();
    reference.expect_values("gram", &found);
    let part = Rectangle {
        top: 0,
        left: 0,
        height: 6,
        width: 8,
    };
    let part = engine.crop(&x, part).unwrap();
    let l1 = engine.mean_absolute_difference(&part, &y).unwrap();
    reference.expect_values("l1", &[l1 as f32]);
    let l2 = engine.mean_squared_difference(&part, &y).unwrap();
    reference.expect_values("l2", &[l2 as f32]);
}
