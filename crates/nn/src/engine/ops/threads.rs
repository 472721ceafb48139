//! The operations on one, two and five threads: the same bits.

use super::super::buffer::{Buffer, Shape};
use super::super::conv::Activation;
use super::testing::{engine, expect_thread_independence, filled};
use super::{Levels, Normalization, PadMode, Padding, Pixels, Rectangle, Window};

type Run<'a> = Box<dyn Fn() -> fonds_core::Result<Buffer> + Sync + 'a>;

#[test]
fn results_do_not_depend_on_threads() {
    let shape = Shape {
        batch: 2,
        height: 61,
        width: 37,
        channels: 36,
    };
    let engine = engine();
    let (a, b) = (filled(shape, 30), filled(shape, 31));
    let window = Window {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        ceil_mode: true,
    };
    let area = Rectangle {
        top: 3,
        left: 5,
        height: 50,
        width: 30,
    };
    let how = Normalization {
        residual: Some(&b),
        activation: &Activation::Tanh,
        ..Normalization::default()
    };
    let runs: Vec<(&str, Run<'_>)> = vec![
        ("add", Box::new(|| engine.add(&a, &b))),
        (
            "affine",
            Box::new(|| engine.affine(&a, &[2.0], &[1.0], &Activation::Sigmoid)),
        ),
        ("concatenate", Box::new(|| engine.concatenate(&[&a, &b]))),
        ("narrow", Box::new(|| engine.narrow(&a, 3, 18))),
        ("crop", Box::new(|| engine.crop(&a, area))),
        (
            "pad",
            Box::new(|| engine.pad(&a, Padding::all(7), PadMode::Reflection)),
        ),
        ("pixel_shuffle", Box::new(|| engine.pixel_shuffle(&a, 3))),
        (
            "bilinear",
            Box::new(|| engine.resize_bilinear(&a, 90, 91, true)),
        ),
        ("bicubic", Box::new(|| engine.resize_bicubic(&a, 33, 91))),
        ("max_pool", Box::new(|| engine.max_pool(&a, &window))),
        (
            "average_pool",
            Box::new(|| engine.average_pool(&a, &window, true)),
        ),
        (
            "adaptive",
            Box::new(|| engine.adaptive_average_pool(&a, 5, 3)),
        ),
        ("global_average", Box::new(|| engine.global_average(&a))),
        ("instance_norm", Box::new(|| engine.instance_norm(&a, &how))),
        ("group_norm", Box::new(|| engine.group_norm(&a, 4, &how))),
    ];
    for (name, run) in runs {
        expect_thread_independence(name, || engine.export(&run().unwrap()));
    }
    expect_thread_independence("channel_sums", || {
        engine.channel_sums_within(&a, area).unwrap()
    });
    expect_thread_independence("gram_matrix", || engine.gram_matrix(&a, false).unwrap());
    expect_thread_independence("differences", || {
        let l1 = engine.mean_absolute_difference(&a, &b).unwrap();
        [l1, engine.mean_squared_difference(&a, &b).unwrap()]
    });
    let planes = engine.export(&a);
    expect_thread_independence("import", || {
        engine.export(&engine.import(shape, &planes).unwrap())
    });
    let samples: Vec<u16> = (0..61 * 37 * 36).map(|i| (i % 65_521) as u16).collect();
    let picture = Pixels {
        samples: &samples,
        pitch: 37 * 36,
        channels: 36,
    };
    let levels = Levels {
        scale: &[1.0 / 65_535.0],
        offset: &[-0.5],
    };
    expect_thread_independence("import_pixels", || {
        engine.export(&engine.import_pixels(shape, &[picture; 2], levels).unwrap())
    });
}
