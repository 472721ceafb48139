//! `RRDBNet`: enlargement by residual-in-residual dense blocks, the generator of ESRGAN, Real-ESRGAN
//! and BSRGAN.
//!
//! Wang et al., *ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks* (2018),
//! arXiv:1809.00219; Wang et al., *Real-ESRGAN* (2021), arXiv:2107.10833. RGB from 0 to 1 in,
//! `[n, c, h, w]`; RGB out, `[n, c, s·h, s·w]`, near 0 to 1 and not clamped. Keys are those of
//! `BasicSR`; [`canonical`] brings the two older dialects (BSRGAN and `RealSR`; the first ESRGAN files)
//! into them.

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Activation, Conv2d, ConvConfig};
use fonds_nn::network::{Colors, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::normalization::{count, kernel};

/// Slope of all leaky activations.
const SLOPE: f32 = 0.2;
/// Strength of a block beside its input.
const RESIDUAL: f32 = 0.2;

/// What distinguishes one `RRDBNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Residual-in-residual blocks.
    pub blocks: usize,
    /// Channels between blocks.
    pub features: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
    /// Channels of a picture: 3, or 1 for gray.
    pub colors: usize,
    /// The picture is first made this much smaller, its pixels becoming channels: 1, 2 or 4.
    pub unshuffle: usize,
    /// Enlargements to twice the size after the blocks.
    pub doublings: usize,
}

impl Config {
    /// ×4 with 23 blocks: `RealESRGAN_x4plus`, `ESRGAN_SRx4_DF2KOST_official`.
    pub fn x4() -> Self {
        Self {
            blocks: 23,
            features: 64,
            growth: 32,
            colors: 3,
            unshuffle: 1,
            doublings: 2,
        }
    }

    /// ×4 with 6 blocks: `RealESRGAN_x4plus_anime_6B`.
    pub fn x4_small() -> Self {
        Self {
            blocks: 6,
            ..Self::x4()
        }
    }

    /// ×2 with 23 blocks at half the size: `RealESRGAN_x2plus`.
    pub fn x2() -> Self {
        Self {
            unshuffle: 2,
            ..Self::x4()
        }
    }

    /// Output pixels for one input pixel, along each side: `2^doublings / unshuffle`.
    pub fn scale(&self) -> usize {
        (1 << self.doublings) / self.unshuffle
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Code::ModelError, message));
        let Self {
            blocks,
            features,
            growth,
            colors,
            unshuffle,
            doublings,
        } = self;
        if *blocks == 0 || *features == 0 || *growth == 0 {
            return wrong(format!(
                "an RRDBNet of {blocks} blocks of {features} channels growing by {growth} is empty"
            ));
        }
        if !matches!(colors, 1 | 3) {
            return wrong(format!(
                "an RRDBNet for pictures of {colors} channels is not known"
            ));
        }
        if !matches!(unshuffle, 1 | 2 | 4) || *doublings > 3 || (1 << doublings) < *unshuffle {
            return wrong(format!(
                "an RRDBNet that shrinks {unshuffle} times and doubles {doublings} times is not known"
            ));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show, in any of the three dialects.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let tensors = &canonical(tensors);
        let [growth, features, 3] = kernel(tensors, "body.0.rdb1.conv1.weight")? else {
            return None;
        };
        let [_, inner, _] = kernel(tensors, "conv_first.weight")?;
        let [colors, _, _] = kernel(tensors, "conv_last.weight")?;
        let unshuffle = match inner.checked_div(colors)? {
            4 => 2,
            16 => 4,
            _ => 1,
        };
        Some(Self {
            blocks: count(tensors, |n| format!("body.{n}.rdb1.conv1.weight")),
            features,
            growth,
            colors,
            unshuffle,
            doublings: count(tensors, |n| format!("conv_up{}.weight", n + 1)),
        })
    }
}

/// The key of `BasicSR` for one of a dialect.
type Rename = dyn Fn(&str) -> Option<String>;

/// The tensors under the keys of `BasicSR`; those of another network keep theirs.
pub fn canonical(tensors: &Tensors) -> Tensors {
    let rename: Box<Rename> = if tensors.contains("RRDB_trunk.0.RDB1.conv1.weight") {
        Box::new(from_bsrgan)
    } else if tensors.contains("model.1.sub.0.RDB1.conv1.0.weight") {
        let blocks = count(tensors, |n| format!("model.1.sub.{n}.RDB1.conv1.0.weight"));
        // After `n` doublings at 3, 6, … come the two last convolutions at 3n + 2 and 3n + 4.
        let doublings = count(tensors, |n| format!("model.{}.weight", 3 * (n + 1)));
        Box::new(move |key| from_esrgan(key, blocks, doublings))
    } else {
        return tensors.clone();
    };
    tensors
        .iter()
        .map(|(key, tensor)| {
            let key = rename(key).unwrap_or_else(|| key.to_owned());
            (key, tensor.clone())
        })
        .collect()
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The key of `BasicSR` for one of BSRGAN and `RealSR`.
fn from_bsrgan(key: &str) -> Option<String> {
    let (layer, rest) = key.split_once('.')?;
    let layer = match layer {
        "RRDB_trunk" => {
            let rest = rest.replacen(".RDB", ".rdb", 1);
            return Some(format!("body.{rest}"));
        }
        "trunk_conv" => "conv_body".to_owned(),
        "HRconv" => "conv_hr".to_owned(),
        _ => format!("conv_up{}", layer.strip_prefix("upconv")?),
    };
    Some(format!("{layer}.{rest}"))
}

/// The key of `BasicSR` for one of the first ESRGAN files, whose layers are numbered through.
fn from_esrgan(key: &str, blocks: usize, doublings: usize) -> Option<String> {
    let rest = key.strip_prefix("model.")?;
    if let Some(rest) = rest.strip_prefix("1.sub.") {
        let (block, rest) = rest.split_once('.')?;
        if block.parse() == Ok(blocks) {
            return Some(format!("conv_body.{rest}"));
        }
        // RDB1.conv1.0.weight
        let mut parts = rest.split('.');
        let [dense, conv, _, name] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let dense = dense.strip_prefix("RDB")?;
        return Some(format!("body.{block}.rdb{dense}.{conv}.{name}"));
    }
    let (index, name) = rest.split_once('.')?;
    let index: usize = index.parse().ok()?;
    let layer = match index {
        0 => "conv_first".to_owned(),
        _ if index == 3 * doublings + 2 => "conv_hr".to_owned(),
        _ if index == 3 * doublings + 4 => "conv_last".to_owned(),
        _ if index.is_multiple_of(3) => format!("conv_up{}", index / 3),
        _ => return None,
    };
    Some(format!("{layer}.{name}"))
}

/// The network.
#[derive(Debug)]
pub struct Rrdb {
    config: Config,
    conv_first: Conv2d,
    body: Vec<Block>,
    conv_body: Conv2d,
    conv_up: Vec<Conv2d>,
    conv_hr: Conv2d,
    conv_last: Conv2d,
}

impl Rrdb {
    /// The network from weights under the keys of `BasicSR`.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let Config {
            blocks,
            features,
            growth,
            colors,
            unshuffle,
            doublings,
        } = *config;
        let inner = colors * unshuffle * unshuffle;
        let body = vb.pp("body");
        let body = (0..blocks)
            .map(|block| Block::new(features, growth, &body.pp(block)))
            .collect::<Result<_>>()?;
        let conv_up = (1..=doublings)
            .map(|up| leaky(conv(features, features, vb.pp(format!("conv_up{up}")))))
            .collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            conv_first: conv(inner, features, vb.pp("conv_first"))?,
            body,
            conv_body: conv(features, features, vb.pp("conv_body"))?,
            conv_up,
            conv_hr: leaky(conv(features, features, vb.pp("conv_hr")))?,
            conv_last: conv(features, colors, vb.pp("conv_last"))?,
        })
    }

    /// The network from a checkpoint's tensors, in any of the three dialects.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        let tensors = canonical(tensors);
        load::load("RRDBNet", &tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }
}

impl Network for Rrdb {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.colors {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, colors, h, w]` → `[n, colors, scale·h, scale·w]`; `h` and `w` are multiples of
    /// `unshuffle`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let x = x.pixel_unshuffle(self.config.unshuffle)?;
        let first = self.conv_first.forward(&x)?;
        let mut y = first.clone();
        for block in &self.body {
            y = block.forward(&y)?;
        }
        y = self.conv_body.forward_add(&y, 1.0, &first)?;
        for conv in &self.conv_up {
            y = conv.forward(&y.upsample_nearest(2)?)?;
        }
        self.conv_last.forward(&self.conv_hr.forward(&y)?)
    }
}

/// Three dense blocks, with a residual around them.
#[derive(Debug)]
struct Block {
    rdb: [DenseBlock; 3],
}

impl Block {
    fn new(features: usize, growth: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let dense = |name: &str| DenseBlock::new(features, growth, &vb.pp(name));
        Ok(Self {
            rdb: [dense("rdb1")?, dense("rdb2")?, dense("rdb3")?],
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = x.clone();
        for dense in &self.rdb {
            y = dense.forward(&y)?;
        }
        y.scaled_add(RESIDUAL, x)
    }
}

/// Four convolutions that each see all that was before, and one that sums up.
#[derive(Debug)]
struct DenseBlock {
    grow: [Conv2d; 4],
    conv5: Conv2d,
}

impl DenseBlock {
    fn new(features: usize, growth: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let grow = |n: usize| {
            let inner = features + n * growth;
            leaky(conv(inner, growth, vb.pp(format!("conv{}", n + 1))))
        };
        Ok(Self {
            grow: [grow(0)?, grow(1)?, grow(2)?, grow(3)?],
            conv5: conv(features + 4 * growth, features, vb.pp("conv5"))?,
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let mut seen = x.clone();
        for conv in &self.grow {
            seen = Act::cat(&[&seen, &conv.forward(&seen)?])?;
        }
        self.conv5.forward_add(&seen, RESIDUAL, x)
    }
}

fn conv(inner: usize, outer: usize, vb: VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::new(inner, outer, 3, ConvConfig::same(3), vb)
}

fn leaky(conv: Result<Conv2d>) -> Result<Conv2d> {
    Ok(conv?.with_activation(Activation::LeakyRelu(SLOPE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::trace::trace;

    fn traced(config: &Config) -> fonds_nn::trace::Geometry {
        let mut geometry = None;
        load::expected_keys(|vb| {
            let network = Rrdb::new(config, vb)?;
            geometry = Some(trace(3, |x| network.forward(x))?);
            Ok(())
        })
        .unwrap();
        geometry.unwrap()
    }

    #[test]
    fn receptive_fields_stay_below_the_sum_of_all_kernels() {
        // 23 blocks of 15 convolutions, conv_first and conv_body see one pixel further each; the
        // four convolutions at two and four times the size, 1.25 pixels together (rounded up).
        let geometry = traced(&Config::x4());
        assert_eq!(geometry.scale, (4, 1));
        assert_eq!(geometry.halo, Some(349));
        assert_eq!(geometry.multiple_of, 1);
        let geometry = traced(&Config::x4_small());
        assert_eq!(geometry.halo, Some(94));
        let geometry = traced(&Config::x2());
        assert_eq!((geometry.scale, geometry.multiple_of), ((2, 1), 2));
        assert_eq!(geometry.halo, Some(698));
    }

    #[test]
    fn impossible_configurations_are_refused() {
        let good = Config::x4();
        good.validate().unwrap();
        let bad = [
            Config {
                blocks: 0,
                ..good.clone()
            },
            Config {
                growth: 0,
                ..good.clone()
            },
            Config {
                colors: 4,
                ..good.clone()
            },
            Config {
                unshuffle: 3,
                ..good.clone()
            },
            Config {
                unshuffle: 4,
                doublings: 1,
                ..good.clone()
            },
            Config {
                doublings: 9,
                ..good
            },
        ];
        for config in bad {
            assert_eq!(
                config.validate().unwrap_err().code(),
                Code::ModelError,
                "{config:?}"
            );
        }
    }

    #[test]
    fn published_sizes() {
        // From the model zoos of Real-ESRGAN and BasicSR.
        let cases = [
            (Config::x4(), 16_697_987),
            (Config::x2(), 16_703_171),
            (
                Config {
                    unshuffle: 4,
                    ..Config::x4()
                },
                16_723_907,
            ),
            (Config::x4_small(), 4_467_779),
        ];
        for (config, parameters) in cases {
            let keys = load::expected_keys(|vb| Rrdb::new(&config, vb)).unwrap();
            let found: usize = keys
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum();
            assert_eq!(found, parameters, "{config:?}");
        }
    }
}
