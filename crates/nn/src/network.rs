//! What a network is to those who run one: its forward, and what it wants to be fed.

use std::fmt::Debug;

use fonds_core::Result;

use crate::act::Act;

/// What the values of a pixel mean to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Black is 0, white is 1.
    Unit,
    /// Black is −1, white is 1.
    Signed,
    /// Black is 0, white is 255.
    Byte,
}

impl Range {
    /// Factor and shift from 0..1 to this range.
    pub fn from_unit(self) -> (f32, f32) {
        match self {
            Self::Unit => (1.0, 0.0),
            Self::Signed => (2.0, -1.0),
            Self::Byte => (255.0, 0.0),
        }
    }

    /// Factor and shift from this range to 0..1.
    pub fn to_unit(self) -> (f32, f32) {
        match self {
            Self::Unit => (1.0, 0.0),
            Self::Signed => (0.5, 0.5),
            Self::Byte => (1.0 / 255.0, 0.0),
        }
    }
}

/// Which channels a network is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Red, green, blue.
    Rgb,
    /// One channel: gray, or the luma of a colour picture (BT.601 of full range), whose chroma
    /// passes beside the network.
    Luma,
    /// As [`Colors::Luma`], in MATLAB's scale: black is 16/255, white is 235/255.
    VideoLuma,
}

/// What a network does to the size of a picture before it looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enlargement {
    /// The network enlarges by itself, or does not enlarge.
    Inside,
    /// The picture has to be enlarged (bicubically) to its final size first; the network sharpens.
    Before,
}

/// A further plane that the network reads beside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// None.
    None,
    /// The standard deviation of the noise, in the network's range, in every pixel of a last channel.
    NoiseLevel,
    /// Where the picture is to be filled: 1 there and 0 elsewhere, in a last channel.
    Mask,
}

/// What a network wants to be fed and gives back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interface {
    /// Channels of a picture that goes in, extra planes not counted.
    pub colors: Colors,
    /// What its values mean.
    pub input: Range,
    /// What the values that come out mean.
    pub output: Range,
    /// Whether the network enlarges.
    pub enlargement: Enlargement,
    /// A further plane.
    pub extra: Extra,
    /// The smallest side that it takes.
    pub min_side: usize,
}

impl Interface {
    /// RGB from 0 to 1 on both sides.
    pub const RGB: Self = Self {
        colors: Colors::Rgb,
        input: Range::Unit,
        output: Range::Unit,
        enlargement: Enlargement::Inside,
        extra: Extra::None,
        min_side: 1,
    };

    /// Channels of a picture that goes in.
    pub fn picture_channels(&self) -> usize {
        match self.colors {
            Colors::Rgb => 3,
            Colors::Luma | Colors::VideoLuma => 1,
        }
    }

    /// Channels that go in, extra planes included.
    pub fn in_channels(&self) -> usize {
        self.picture_channels() + usize::from(self.extra != Extra::None)
    }
}

/// A network from picture to picture.
pub trait Network: Debug + Send + Sync {
    /// What it wants to be fed.
    fn interface(&self) -> Interface;

    /// The picture that it makes of a picture.
    ///
    /// # Errors
    /// `oom` when there is no memory, `model_error` when a picture is too small.
    fn forward(&self, x: &Act) -> Result<Act>;
}
