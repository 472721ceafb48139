//! What can be typed behind `fonds eval` and `fonds bench`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::NetworkArgs;

/// `fonds eval`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EvalArgs {
    /// The network's weights
    #[arg(long, value_name = "FILE", required_unless_present_any = ["samples", "pictures"])]
    pub(crate) model: Option<PathBuf>,
    /// Instead of a network measure pictures that were made already, such as the derivatives of a
    /// run; an original of which there is none counts as --input has it
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "samples"])]
    pub(crate) pictures: Option<PathBuf>,
    /// Instead of a network measure a folder of pictures that a generator made, as a set, against
    /// those in --data
    #[arg(long, value_name = "FOLDER", conflicts_with = "model")]
    pub(crate) samples: Option<PathBuf>,
    /// Compare samples by the features of this network, `SqueezeNet` or VGG as torchvision has them
    /// [default: pooled pixels, which know tone and composition only]; the network of LPIPS
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    /// The weights of LPIPS for `SqueezeNet` 1.1: measure how different pictures look from their
    /// originals by it, and how varied samples are
    #[arg(long, value_name = "FILE", requires = "features")]
    pub(crate) heads: Option<PathBuf>,
    /// Bring samples and data to squares of so many pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 64, requires = "samples",
          value_parser = clap::value_parser!(u32).range(8..=2048))]
    pub(crate) size: u32,
    /// Take no more than so many samples and pictures
    #[arg(long, value_name = "N", default_value_t = 2000, requires = "samples",
          value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub(crate) limit: u32,
    /// Which network of a file that holds several, such as `netG_A`
    #[arg(long, value_name = "KEY")]
    pub(crate) entry: Option<String>,
    /// The originals: a folder with pairs `NAME_HR.png` and `NAME_LR.png` (also in folders below
    /// it), or the folder whose small or damaged pictures --input holds
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// What the network is given: pictures with the names of the originals (or `NAMEx4`)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) input: Option<PathBuf>,
    /// Enlarge so many times and take the pairs of this scale [default: the network's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) scale: Option<u8>,
    /// Leave out so many pixels at each edge [default: the scale]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) border: Option<usize>,
    /// Standard deviation of the noise, for networks that want to be told
    #[arg(long, value_name = "SIGMA")]
    pub(crate) sigma: Option<f32>,
    /// Measure these only; can be repeated [default: all]
    #[arg(long, value_enum)]
    pub(crate) metric: Vec<Metric>,
    /// Measure something else beside it; can be repeated
    #[arg(long, value_enum)]
    pub(crate) compare: Vec<Other>,
    /// Round what is enlarged before the network to 8 bits, as published figures of VDSR and its
    /// kind were taken
    #[arg(long)]
    pub(crate) rounded: bool,
    /// Write the table as CSV, too
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Metric {
    /// Peak signal-to-noise ratio of the luma (BT.601, 16 to 235), in dB
    PsnrY,
    /// Structural similarity of the luma, 0 to 1
    SsimY,
    /// Peak signal-to-noise ratio of red, green and blue, in dB
    Psnr,
    /// Structural similarity, the mean of red, green and blue, 0 to 1
    Ssim,
    /// LPIPS by `SqueezeNet`, 0 for pictures that look the same; needs --features and --heads
    Lpips,
}

/// What a network can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Other {
    /// Bicubic interpolation of what is given (Keys, a = -0.5)
    Bicubic,
    /// What is given, where it has the size of the original
    Input,
}

/// `fonds bench`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchArgs {
    /// What is timed
    #[arg(value_enum)]
    pub(crate) case: Case,
    /// How many threads [default: the number of processors]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// The same, as in the other commands
    #[arg(long = "threads", value_name = "N", id = "threads_option", conflicts_with = "threads",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads_option: Option<u16>,
    /// Side of the picture in pixels [default: that of the case]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=4096))]
    pub(crate) size: Option<u32>,
    /// Repeat for at least so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub(crate) seconds: f64,
    /// Print one line of JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) networks: NetworkArgs,
}

/// What can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// One convolution of 3 x 3 from 64 to 64 channels, on 256 x 256
    Conv,
    /// `SRVGGNetCompact` with 64 features and 32 convolutions, x4, on 256 x 256
    Srvgg,
    /// `RRDBNet` with 23 blocks, x4, on 64 x 64
    Rrdb,
    /// The `CycleGAN` generator with nine blocks, on 256 x 256
    Cyclegan,
    /// U-Net with 64 features at the top, on 256 x 256
    Unet,
    /// A training step (forward, L1, backward) of a small `SRVGGNetCompact` on 16 pictures of
    /// 32 x 32
    SrvggStep,
    /// A whole step of DCGAN, both networks and their optimisers, on 16 pictures of 64 x 64
    DcganStep,
}
