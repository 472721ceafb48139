//! The sizes of convolutions.

use fonds_core::{Code, Error, Result};

/// The size of a convolution; pairs are `[height, width]`. Outside the picture are zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Taps.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub stride: [usize; 2],
    /// Pixels of zeros on each side.
    pub padding: [usize; 2],
    /// Input pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Parts of the channels, each convolved by itself; divides both numbers of channels.
    pub groups: usize,
}

impl ConvShape {
    /// A square kernel of odd size that keeps the size of the picture: stride 1, half a kernel of
    /// zeros around it.
    pub fn same(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    /// Height and width of the output for an input of this height and width.
    ///
    /// # Errors
    /// `model_error` when the input is smaller than the kernel.
    pub fn output(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        let side = |axis: usize, input: usize| {
            let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            let padded = input + 2 * self.padding[axis];
            (padded >= reach).then(|| (padded - reach) / self.stride[axis] + 1)
        };
        if let (Some(height), Some(width)) = (side(0, height), side(1, width)) {
            return Ok((height, width));
        }
        let [kernel_height, kernel_width] = self.kernel;
        Err(Error::new(
            Code::ModelError,
            format!(
                "an input of {height} × {width} is smaller than the kernel of \
                         {kernel_height} × {kernel_width} with its padding and dilation"
            ),
        ))
    }

    /// Floating-point operations for an input of this height and width: two for each product, as
    /// a direct convolution has them.
    pub fn flops(&self, height: usize, width: usize) -> u64 {
        let Ok((height, width)) = self.output(height, width) else {
            return 0;
        };
        let taps = self.kernel[0] * self.kernel[1] * (self.in_channels / self.groups);
        2 * [height, width, self.out_channels, taps]
            .into_iter()
            .map(|factor| factor as u64)
            .product::<u64>()
    }

    /// Weights: `[out][in / groups][kernel height][kernel width]`.
    pub fn weights(&self) -> usize {
        self.out_channels * (self.in_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// Whether there is such a convolution.
    pub(super) fn validate(&self) -> Result<()> {
        let positive = [
            ("input channels", self.in_channels),
            ("output channels", self.out_channels),
            ("kernel height", self.kernel[0]),
            ("kernel width", self.kernel[1]),
            ("vertical stride", self.stride[0]),
            ("horizontal stride", self.stride[1]),
            ("vertical dilation", self.dilation[0]),
            ("horizontal dilation", self.dilation[1]),
            ("groups", self.groups),
        ];
        validate(
            &positive,
            [self.in_channels, self.out_channels],
            self.groups,
        )
    }
}

/// The size of a transposed convolution (`torch.nn.ConvTranspose2d` with dilation 1); pairs are
/// `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransposeShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Taps.
    pub kernel: [usize; 2],
    /// Output pixels from one input pixel to the next.
    pub stride: [usize; 2],
    /// Pixels that the output loses on each side.
    pub padding: [usize; 2],
    /// Pixels that the output has more at its bottom and right.
    pub output_padding: [usize; 2],
    /// Parts of the channels, each convolved by itself; divides both numbers of channels.
    pub groups: usize,
}

impl TransposeShape {
    /// Height and width of the output for an input of this height and width:
    /// `(input − 1) · stride − 2 · padding + kernel + output_padding`.
    ///
    /// # Errors
    /// `model_error` when nothing is left of it.
    pub fn output(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        let side = |axis: usize, input: usize| {
            let whole = (input.checked_sub(1)?) * self.stride[axis]
                + self.kernel[axis]
                + self.output_padding[axis];
            whole
                .checked_sub(2 * self.padding[axis])
                .filter(|&side| side > 0)
        };
        if let (Some(height), Some(width)) = (side(0, height), side(1, width)) {
            return Ok((height, width));
        }
        let message = format!("nothing is left of a transposed convolution of {height} × {width}");
        Err(Error::new(Code::ModelError, message))
    }

    /// Weights: `[in][out / groups][kernel height][kernel width]`.
    pub fn weights(&self) -> usize {
        self.in_channels * (self.out_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }

    pub(super) fn validate(&self) -> Result<()> {
        let positive = [
            ("input channels", self.in_channels),
            ("output channels", self.out_channels),
            ("kernel height", self.kernel[0]),
            ("kernel width", self.kernel[1]),
            ("vertical stride", self.stride[0]),
            ("horizontal stride", self.stride[1]),
            ("groups", self.groups),
        ];
        validate(
            &positive,
            [self.in_channels, self.out_channels],
            self.groups,
        )
    }
}

fn validate(positive: &[(&str, usize)], channels: [usize; 2], groups: usize) -> Result<()> {
    for (name, value) in positive {
        if !(1..1 << 20).contains(value) {
            let message = format!("a convolution has {value} as {name}");
            return Err(Error::new(Code::ModelError, message));
        }
    }
    if channels.iter().any(|channels| channels % groups != 0) {
        let [inputs, outputs] = channels;
        let message = format!("{groups} groups divide not both {inputs} and {outputs} channels");
        return Err(Error::new(Code::ModelError, message));
    }
    Ok(())
}

/// Checks the number of weights and of biases.
pub(super) fn check_lengths(
    weight: &[f32],
    weights: usize,
    bias: Option<&[f32]>,
    channels: usize,
) -> Result<()> {
    if weight.len() != weights {
        let found = weight.len();
        let message = format!("a convolution has {found} weights (expected {weights})");
        return Err(Error::new(Code::ModelError, message));
    }
    match bias {
        Some(bias) if bias.len() != channels => {
            let found = bias.len();
            let message = format!("a convolution has {found} biases (expected {channels})");
            Err(Error::new(Code::ModelError, message))
        }
        _ => Ok(()),
    }
}
