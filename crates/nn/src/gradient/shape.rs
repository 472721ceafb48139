//! The sizes of convolutions; pairs are `[height, width]`.

/// The size of a convolution (`torch.nn.Conv2d`). Outside the picture are zeros.
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

/// The size of a transposed convolution (`torch.nn.ConvTranspose2d` with dilation 1).
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
    /// Pixels that the output has more at its bottom and right; less than the stride.
    pub output_padding: [usize; 2],
    /// Parts of the channels, each convolved by itself; divides both numbers of channels.
    pub groups: usize,
}
