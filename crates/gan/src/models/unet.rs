//! U-Net: a picture seen at five sizes, each joined with the next on the way back up.
//!
//! Ronneberger, Fischer, Brox, *U-Net: Convolutional Networks for Biomedical Image Segmentation*
//! (2015), arXiv:1505.04597, with padding and batch normalisation. Channels from 0 to 1 in,
//! `[n, in, h, w]`; unbounded values out, `[n, out, h, w]`. Keys are those of
//! milesial/Pytorch-UNet, with either way of enlarging, with or without biases before the
//! normalisations (its older code had them).

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{
    Activation, BatchNormMode, Conv2d, ConvConfig, ConvNorm, ConvTranspose2d, ConvTransposeConfig,
    PadMode, Padding, Pool,
};
use fonds_nn::network::{Colors, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::normalization::{Normalization, is_counter, kernel};

/// How features become larger on the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enlarge {
    /// By a transposed convolution.
    Transposed,
    /// By interpolation between pixels, the outermost keeping their places.
    Bilinear,
}

/// What distinguishes one U-Net from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Channels that go in: 3, or 1 for gray.
    pub in_channels: usize,
    /// Channels that come out.
    pub out_channels: usize,
    /// Channels at full size; each level down has twice as many.
    pub features: usize,
    /// How features become larger.
    pub enlarge: Enlarge,
    /// Whether convolutions before a normalisation have a bias.
    pub conv_bias: bool,
}

/// Levels below the picture's own size.
const DOWN: usize = 4;

impl Config {
    /// The network of the paper, RGB to this many channels.
    pub fn rgb(out_channels: usize) -> Self {
        Self {
            in_channels: 3,
            out_channels,
            features: 64,
            enlarge: Enlarge::Transposed,
            conv_bias: false,
        }
    }

    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Code::ModelError, message));
        if !matches!(self.in_channels, 1 | 3) {
            let message = format!(
                "a U-Net for pictures of {} channels is not known",
                self.in_channels
            );
            return wrong(message);
        }
        if self.out_channels == 0 || self.features == 0 || !self.features.is_multiple_of(2) {
            return wrong(format!(
                "a U-Net of {} channels with {} at the end is not known",
                self.features, self.out_channels
            ));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [features, in_channels, 3] = kernel(tensors, "inc.double_conv.0.weight")? else {
            return None;
        };
        let [out_channels, _, _] = kernel(tensors, "outc.conv.weight")?;
        kernel(tensors, "down4.maxpool_conv.1.double_conv.0.weight")?;
        Some(Self {
            in_channels,
            out_channels,
            features,
            enlarge: if tensors.contains("up1.up.weight") {
                Enlarge::Transposed
            } else {
                Enlarge::Bilinear
            },
            conv_bias: tensors.contains("inc.double_conv.0.bias"),
        })
    }

    /// Channels at a level, 0 being the picture's own size.
    fn width(&self, level: usize) -> usize {
        let width = self.features << level;
        // Interpolation keeps the channels, so the lowest level has to have those of the one above.
        if level == DOWN && self.enlarge == Enlarge::Bilinear {
            width / 2
        } else {
            width
        }
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(key: &str) -> bool {
    is_counter(key)
}

/// The network.
#[derive(Debug)]
pub struct Unet {
    config: Config,
    inc: DoubleConv,
    /// `down1` to `down4`, each after a pooling.
    down: Vec<DoubleConv>,
    /// `up1` to `up4`.
    up: Vec<Up>,
    outc: Conv2d,
}

impl Unet {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let width = |level| config.width(level);
        let bias = config.conv_bias;
        let double = |widths: [usize; 3], vb: &VarBuilder<'_>| DoubleConv::new(widths, bias, vb);
        let inc = [config.in_channels, width(0), width(0)];
        let down = (1..=DOWN)
            .map(|level| {
                let widths = [width(level - 1), width(level), width(level)];
                double(widths, &vb.pp(format!("down{level}.maxpool_conv.1")))
            })
            .collect::<Result<_>>()?;
        let up = (1..=DOWN)
            .map(|n| Up::new(config, DOWN - n, &vb.pp(format!("up{n}"))))
            .collect::<Result<_>>()?;
        let outc = vb.pp("outc.conv");
        Ok(Self {
            config: config.clone(),
            inc: double(inc, &vb.pp("inc"))?,
            down,
            up,
            outc: Conv2d::new(width(0), config.out_channels, 1, ConvConfig::valid(), outc)?,
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        load::load("U-Net", tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }
}

impl Network for Unet {
    fn interface(&self) -> Interface {
        Interface {
            colors: match self.config.in_channels {
                1 => Colors::Luma,
                _ => Colors::Rgb,
            },
            min_side: 1 << DOWN,
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, in_channels, h, w]` → `[n, out_channels, h, w]`.
    fn forward(&self, x: &Act) -> Result<Act> {
        let mut y = self.inc.forward(x)?;
        let mut skips = Vec::new();
        for down in &self.down {
            let smaller = y.max_pool(Pool::HALVE)?;
            skips.push(y);
            y = down.forward(&smaller)?;
        }
        for (up, skip) in self.up.iter().zip(skips.iter().rev()) {
            y = up.forward(&y, skip)?;
        }
        self.outc.forward(&y)
    }
}

/// Twice convolution, normalisation and activation.
#[derive(Debug)]
struct DoubleConv {
    double_conv: [ConvNorm; 2],
}

impl DoubleConv {
    fn new([inner, middle, outer]: [usize; 3], bias: bool, vb: &VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("double_conv");
        let part = |inner, outer, index: usize| {
            let config = ConvConfig::same(3).bias(bias);
            let conv = Conv2d::new(inner, outer, 3, config, vb.pp(index))?;
            let norm = Normalization::Batch(BatchNormMode::Running);
            let norm = norm.build(outer, vb.pp(index + 1))?;
            Ok::<_, Error>(ConvNorm::new(conv, norm, Activation::Relu))
        };
        Ok(Self {
            double_conv: [part(inner, middle, 0)?, part(middle, outer, 3)?],
        })
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let [first, second] = &self.double_conv;
        second.forward(&first.forward(x)?)
    }
}

/// Enlargement, union with what was there on the way down, two convolutions.
#[derive(Debug)]
struct Up {
    /// None where features are interpolated.
    up: Option<ConvTranspose2d>,
    conv: DoubleConv,
}

impl Up {
    /// The way up to a level.
    fn new(config: &Config, level: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let below = config.features << (level + 1);
        let joined = below;
        match config.enlarge {
            Enlarge::Transposed => {
                let halve = ConvTransposeConfig {
                    stride: 2,
                    padding: 0,
                    output_padding: 0,
                    bias: true,
                };
                let up = ConvTranspose2d::new(below, below / 2, 2, halve, vb.pp("up"))?;
                let widths = [joined, below / 2, below / 2];
                Ok(Self {
                    up: Some(up),
                    conv: DoubleConv::new(widths, config.conv_bias, &vb.pp("conv"))?,
                })
            }
            Enlarge::Bilinear => {
                // The next level's interpolation keeps the channels, so this one halves them again.
                let outer = if level == 0 { below / 2 } else { below / 4 };
                let widths = [joined, joined / 2, outer];
                Ok(Self {
                    up: None,
                    conv: DoubleConv::new(widths, config.conv_bias, &vb.pp("conv"))?,
                })
            }
        }
    }

    fn forward(&self, x: &Act, skip: &Act) -> Result<Act> {
        let y = match &self.up {
            Some(up) => up.forward(x)?,
            None => x.upsample_bilinear(2, true)?,
        };
        // Pooling has left a last odd row or column out.
        let [rows, columns] = [
            skip.dims().height - y.dims().height,
            skip.dims().width - y.dims().width,
        ];
        let padding = Padding {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        };
        let y = if (rows, columns) == (0, 0) {
            y
        } else {
            y.pad(padding, PadMode::Zero)?
        };
        self.conv.forward(&Act::cat(&[skip, &y])?)
    }
}
