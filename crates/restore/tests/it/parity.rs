//! Every network that a file can hold, against PyTorch, on everything that it can run on.
//!
//! The values are those of `fixtures/tensors`, made by `tools/reference_tensors.py`: outputs that
//! PyTorch computes in 64 bits, and how far PyTorch in 32 bits is from them. A network may be
//! [`OVER_RANGE`] of its output's range away, and [`OVER_TORCH`] times what PyTorch in 32 bits is.

use std::fmt::Write as _;

use fonds_nn::act::{Act, Dims};
use fonds_nn::backend::Backend;
use fonds_nn::engine::{Algorithm, Engine, Kernel, Settings};
use fonds_nn::load;
use fonds_nn::testing::{Deviation, Reference, Values};
use fonds_nn::weights::Tensors;
use fonds_restore::style::adain::{self, Decoder, Encoder, Moments, StyleTransfer};
use fonds_restore::zoo::{self, Options};

/// Of the output's range.
const OVER_RANGE: f64 = 1e-5;

/// Times PyTorch's own error in 32 bits, the larger of its two memory layouts.
const OVER_TORCH: f64 = 4.0;

/// References of networks from picture to picture, and the names of their architectures.
const NETWORKS: &[(&str, &str)] = &[
    ("srvgg_16_x2", "SRVGGNetCompact"),
    ("srvgg_16_x4", "SRVGGNetCompact"),
    ("srvgg_32_x4", "SRVGGNetCompact"),
    ("rrdb_x1", "RRDBNet"),
    ("rrdb_x2", "RRDBNet"),
    ("rrdb_x4", "RRDBNet"),
    ("rrdb_x8", "RRDBNet"),
    ("rrdb_bsrgan", "RRDBNet"),
    ("rrdb_esrgan", "RRDBNet"),
    ("edsr_m_x2", "EDSR"),
    ("edsr_m_x3", "EDSR"),
    ("edsr_m_x4", "EDSR"),
    ("edsr_l_x4", "EDSR"),
    ("msrresnet_x4", "MSRResNet"),
    ("srgan", "SRResNet"),
    ("fast_srgan", "Fast-SRGAN"),
    ("vdsr", "VDSR"),
    ("fsrcnn_x2", "FSRCNN"),
    ("fsrcnn_x4", "FSRCNN"),
    ("waifu2x_upconv7", "upconv_7"),
    ("dncnn", "DnCNN"),
    ("dncnn_color", "DnCNN"),
    ("dncnn_norm", "DnCNN"),
    ("fdncnn_color", "FDnCNN"),
    ("unet_transposed", "U-Net"),
    ("unet_bilinear", "U-Net"),
    ("cyclegan_resnet_9_instance", "CycleGAN generator"),
    ("cyclegan_resnet_9_old", "CycleGAN generator"),
    ("cyclegan_resnet_6_batch", "CycleGAN generator"),
    ("pix2pix_unet_128", "pix2pix generator"),
    ("pix2pix_unet_256", "pix2pix generator"),
    ("transformer_net", "TransformerNet"),
    ("transformer_net_old", "TransformerNet"),
    ("style_engstrom", "style network of Engstrom"),
];

/// Every kernel path of the engine that this processor has, with Winograd and without, and candle.
fn backends() -> Vec<Backend> {
    let kernels = Kernel::ALL.into_iter();
    let settings = kernels.flat_map(|kernel| {
        [Algorithm::Auto, Algorithm::Direct].map(|algorithm| Settings {
            algorithm,
            ..Settings::new(kernel)
        })
    });
    let engines = settings
        .filter(|settings| settings.kernel.is_available())
        .map(|settings| Backend::Engine(Engine::with(settings)));
    engines.chain([Backend::cpu_tensors()]).collect()
}

fn import(backend: &Backend, input: &Values) -> Act {
    let &[batch, channels, height, width] = &input.shape[..] else {
        panic!("{:?} is no batch of pictures", input.shape);
    };
    let dims = Dims {
        batch,
        channels,
        height,
        width,
    };
    backend.import(dims, &input.values).unwrap()
}

/// What was found, a line for each output on each backend.
#[derive(Default)]
struct Table {
    lines: String,
    failed: usize,
}

impl Table {
    fn add(&mut self, reference: &Reference, output: &str, backend: &Backend, got: &Act) {
        let known = reference.output(output);
        let dims = got.dims();
        assert_eq!(
            [dims.batch, dims.channels, dims.height, dims.width],
            known.shape[..],
            "{} on {backend}",
            reference.name
        );
        let deviation = known.compare(&got.to_vec().unwrap());
        // An error that is no number is not in bounds.
        let passed = deviation.over_range <= OVER_RANGE && deviation.over_torch <= OVER_TORCH;
        self.failed += usize::from(!passed);
        let mark = if passed { ' ' } else { '!' };
        let Deviation {
            max_abs,
            over_range,
            over_torch,
        } = deviation;
        let name = format!("{} {output}", reference.name);
        writeln!(
            self.lines,
            "{mark} {name:<42} {backend:<18} {max_abs:9.2e} {over_range:9.2e} {:9.2e} {over_torch:6.2}",
            known.torch_f32_error,
            backend = backend.to_string(),
        )
        .unwrap();
    }

    fn finish(self) {
        let head = format!(
            "  {:<42} {:<18} {:>9} {:>9} {:>9} {:>6}",
            "network and output", "on", "error", "of range", "PyTorch", "times"
        );
        println!("{head}\n{}", self.lines);
        assert_eq!(
            self.failed, 0,
            "lines with ! are beyond their bounds:\n{head}\n{}",
            self.lines
        );
    }
}

#[test]
fn networks_agree_with_pytorch() {
    let mut table = Table::default();
    for &(name, architecture) in NETWORKS {
        let reference = Reference::open(name);
        let options = Options {
            batch_statistics: reference
                .config
                .get("norm")
                .is_some_and(|n| n == "batch statistics"),
            ..Options::default()
        };
        let found = zoo::recognize(&reference.checkpoint().unwrap(), &options).unwrap();
        assert_eq!(found.summary().architecture, architecture, "{name}");
        found.check().unwrap();
        for backend in backends() {
            let model = found.build(&backend).unwrap();
            let output = model
                .network()
                .forward(&import(&backend, reference.input()))
                .unwrap();
            table.add(&reference, "output", &backend, &output);
        }
    }
    table.finish();
}

#[test]
fn each_head_of_carn_agrees_with_pytorch() {
    let mut table = Table::default();
    let reference = Reference::open("carn_m");
    let checkpoint = reference.checkpoint().unwrap();
    for scale in [2, 3, 4] {
        let options = Options {
            scale: Some(scale),
            ..Options::default()
        };
        let found = zoo::recognize(&checkpoint, &options).unwrap();
        found.check().unwrap();
        for backend in backends() {
            let model = found.build(&backend).unwrap();
            assert_eq!(model.description.scale, (scale, 1));
            let output = model
                .network()
                .forward(&import(&backend, reference.input()))
                .unwrap();
            table.add(&reference, &format!("output.x{scale}"), &backend, &output);
        }
    }
    table.finish();
}

#[test]
fn adain_agrees_with_pytorch() {
    let mut table = Table::default();
    let encoder = Reference::open("adain_encoder");
    let decoder = Reference::open("adain_decoder");
    let whole = Reference::open("adain_whole");
    for backend in backends() {
        let network: Encoder = load::load(
            "the encoder",
            &encoder.tensors,
            &backend,
            adain::ignore_in_encoder,
            Encoder::new,
        )
        .unwrap();
        let levels = network.levels(&import(&backend, encoder.input())).unwrap();
        for (level, act) in ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
            .iter()
            .zip(&levels)
        {
            table.add(&encoder, &format!("output.{level}"), &backend, act);
        }
        let network: Decoder = load::load(
            "the decoder",
            &decoder.tensors,
            &backend,
            |_| false,
            Decoder::new,
        )
        .unwrap();
        let picture = network.forward(&import(&backend, decoder.input())).unwrap();
        table.add(&decoder, "output", &backend, &picture);

        let part = |prefix: &str| -> Tensors {
            let tensors = whole.tensors.iter();
            tensors
                .filter_map(|(key, t)| Some((key.strip_prefix(prefix)?, t.clone())))
                .collect()
        };
        let ignore = |_: &str| false;
        let transfer = StyleTransfer {
            encoder: load::load("the encoder", &part("vgg."), &backend, ignore, Encoder::new)
                .unwrap(),
            decoder: load::load(
                "the decoder",
                &part("decoder."),
                &backend,
                ignore,
                Decoder::new,
            )
            .unwrap(),
        };
        let style = import(&backend, whole.input_named("input.style"));
        let style = Moments::of(&transfer.encoder.forward(&style).unwrap()).unwrap();
        let content = import(&backend, whole.input());
        for (name, alpha) in [("output.alpha1", 1.0), ("output.alpha0.5", 0.5)] {
            let picture = transfer.forward(&content, &style, alpha).unwrap();
            table.add(&whole, name, &backend, &picture);
        }
    }
    table.finish();
}
