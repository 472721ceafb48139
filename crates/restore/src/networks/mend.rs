//! `MendNet`: fonds' own network for restoration at one size, a small U-Net of residual blocks.
//!
//! Features are halved in size by convolutions of 2 × 2 and doubled by pixel shuffles; on the way up
//! each size is added to what was there on the way down (not joined with it, which would double the
//! work at full size). There is no normalisation, so that flat and busy parts of a picture are
//! treated alike and tiles equal the whole. Residual blocks are those of EDSR (Lim et al. 2017,
//! arXiv:1707.02921), the U of residual blocks that of `DRUNet` (Zhang et al. 2021,
//! arXiv:2008.13751).
//!
//! What it does follows from its channels ([`Role`]): RGB from 0 to 1 in, `[n, 3, h, w]`, and RGB out,
//! not clamped; or with a fourth channel in, 1 where the picture is to be filled and 0 elsewhere; or
//! a single channel out, the logarithm of the odds that a pixel is damaged.

use fonds_core::{Code, Error, Result};
use fonds_nn::backend::Backend;
use fonds_nn::layers::{Conv2d, ConvConfig};
use fonds_nn::network::{Extra, Interface, Network};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, VarBuilder, load};

use super::residual::{Block, conv};
use crate::keys::{count, kernel};

/// What a network of this kind is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A picture of a picture: noise and the traces of compression go.
    Clear,
    /// A picture of a picture with holes, whose pixels are ½.
    Fill,
    /// Where a picture is damaged.
    Detect,
}

impl Role {
    /// Channels that go in and come out.
    pub fn channels(self) -> [usize; 2] {
        match self {
            Self::Clear => [3, 3],
            Self::Fill => [4, 3],
            Self::Detect => [3, 1],
        }
    }
}

/// What distinguishes one `MendNet` from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What it is for.
    pub role: Role,
    /// Channels at full size, at half, at a quarter and so on: two sizes or more.
    pub widths: Vec<usize>,
    /// Residual blocks of each size but the smallest, on the way down and again on the way up.
    pub blocks: usize,
    /// Residual blocks of the smallest size.
    pub middle: usize,
}

impl Config {
    /// That there is such a network.
    ///
    /// # Errors
    /// `model_error` that says what is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self {
            widths,
            blocks,
            middle,
            ..
        } = self;
        let sizes = (2..=8).contains(&widths.len());
        if !sizes || widths.contains(&0) || *blocks == 0 || *middle == 0 {
            let message = format!(
                "a MendNet of the widths {widths:?} with {blocks} blocks each and {middle} in the \
                 middle is not known"
            );
            let error = Error::new(Code::ModelError, message);
            return Err(error.hint("give it two to eight widths, and at least one block"));
        }
        Ok(())
    }

    /// The configuration that a checkpoint's keys and shapes show.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let [first, inner, 3] = kernel(tensors, "head.weight")? else {
            return None;
        };
        let [outer, _, 3] = kernel(tensors, "tail.weight")? else {
            return None;
        };
        let roles = [Role::Clear, Role::Fill, Role::Detect];
        let role = roles
            .into_iter()
            .find(|role| role.channels() == [inner, outer])?;
        let levels = count(tensors, |level| format!("down.{level}.shrink.weight"));
        let mut widths = vec![first];
        for level in 0..levels {
            let [width, _, 2] = kernel(tensors, &format!("down.{level}.shrink.weight"))? else {
                return None;
            };
            widths.push(width);
        }
        let config = Self {
            role,
            widths,
            blocks: count(tensors, |n| format!("down.0.blocks.{n}.conv1.weight")),
            middle: count(tensors, |n| format!("middle.{n}.conv1.weight")),
        };
        config.validate().ok()?;
        Some(config)
    }

    /// How often sizes are halved.
    fn levels(&self) -> usize {
        self.widths.len() - 1
    }
}

/// Whether a checkpoint may have this key although the network does not need it.
pub fn ignore(_key: &str) -> bool {
    false
}

/// The network.
#[derive(Debug)]
pub struct Mend {
    config: Config,
    head: Conv2d,
    /// From full size on; each with the convolution that halves.
    down: Vec<(Vec<Block>, Conv2d)>,
    middle: Vec<Block>,
    /// From the smallest size on; each with the convolution before the pixel shuffle.
    up: Vec<(Conv2d, Vec<Block>)>,
    tail: Conv2d,
}

impl Mend {
    /// The network from a checkpoint's weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none, or a key is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder<'_>) -> Result<Self> {
        config.validate()?;
        let Config {
            role,
            widths,
            blocks,
            middle,
        } = config;
        let [inner, outer] = role.channels();
        let chain = |width, count: usize, vb: &VarBuilder<'_>| -> Result<Vec<Block>> {
            (0..count)
                .map(|n| Block::new(width, 1.0, &vb.pp(n)))
                .collect()
        };
        let down = (0..config.levels())
            .map(|level| {
                let vb = vb.pp("down").pp(level);
                let halve = ConvConfig::valid().stride(2);
                let [width, next] = [widths[level], widths[level + 1]];
                let shrink = Conv2d::new(width, next, 2, halve, vb.pp("shrink"))?;
                Ok((chain(width, *blocks, &vb.pp("blocks"))?, shrink))
            })
            .collect::<Result<_>>()?;
        let up = (0..config.levels())
            .rev()
            .map(|level| {
                let vb = vb.pp("up").pp(level);
                let [width, below] = [widths[level], widths[level + 1]];
                let grow = Conv2d::new(below, 4 * width, 1, ConvConfig::valid(), vb.pp("grow"))?;
                Ok((grow, chain(width, *blocks, &vb.pp("blocks"))?))
            })
            .collect::<Result<_>>()?;
        let smallest = widths[config.levels()];
        Ok(Self {
            config: config.clone(),
            head: conv(inner, widths[0], vb.pp("head"))?,
            down,
            middle: chain(smallest, *middle, &vb.pp("middle"))?,
            up,
            tail: conv(widths[0], outer, vb.pp("tail"))?,
        })
    }

    /// The network from a checkpoint's tensors.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(config: &Config, tensors: &Tensors, backend: &Backend) -> Result<Self> {
        load::load("MendNet", tensors, backend, ignore, |vb| {
            Self::new(config, vb)
        })
    }
}

impl Network for Mend {
    fn interface(&self) -> Interface {
        Interface {
            extra: match self.config.role {
                Role::Fill => Extra::Mask,
                Role::Clear | Role::Detect => Extra::None,
            },
            min_side: 1 << self.config.levels(),
            ..Interface::RGB
        }
    }

    /// # Shapes
    /// `[n, in, h, w]` → `[n, out, h, w]`; `h` and `w` are multiples of 2 for each halving.
    fn forward(&self, x: &Act) -> Result<Act> {
        let multiple = 1 << self.config.levels();
        let dims = x.dims();
        if !dims.height.is_multiple_of(multiple) || !dims.width.is_multiple_of(multiple) {
            let message = format!("{dims} has sides that are no multiples of {multiple}");
            return Err(Error::new(Code::ModelError, message));
        }
        let mut y = self.head.forward(x)?;
        let mut skips = Vec::with_capacity(self.down.len());
        for (blocks, shrink) in &self.down {
            y = through(blocks, y)?;
            let smaller = shrink.forward(&y)?;
            skips.push(y);
            y = smaller;
        }
        y = through(&self.middle, y)?;
        for ((grow, blocks), skip) in self.up.iter().zip(skips.iter().rev()) {
            y = grow.forward(&y)?.pixel_shuffle(2)?.add(skip)?;
            y = through(blocks, y)?;
        }
        match self.config.role {
            Role::Detect => self.tail.forward(&y),
            Role::Clear => self.tail.forward_add(&y, 1.0, x),
            Role::Fill => self.tail.forward_add(&y, 1.0, &x.channels(0, 3)?),
        }
    }
}

fn through(blocks: &[Block], mut y: Act) -> Result<Act> {
    for block in blocks {
        y = block.forward(&y)?;
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Trial, geometry};

    fn small(role: Role) -> Config {
        Config {
            role,
            widths: vec![8, 12, 16],
            blocks: 1,
            middle: 2,
        }
    }

    #[test]
    fn shapes_and_batches() {
        for role in [Role::Clear, Role::Fill, Role::Detect] {
            let config = small(role);
            let trial = Trial::new(|vb| Mend::new(&config, vb));
            assert_eq!(Config::recognize(&trial.tensors), Some(config));
            let [inner, outer] = role.channels();
            assert_eq!(trial.output([2, inner, 8, 12]), [2, outer, 8, 12]);
            trial.a_batch_equals_its_pictures([3, inner, 12, 16]);
        }
    }

    #[test]
    fn receptive_fields_are_those_of_its_layers() {
        // Convolutions of 3 × 3: six at full size, four at half, four at a quarter. From the first
        // pixel of a tile the last three before the quarter reach to −3, which lies in the half's −2
        // and so on, down to −7 at a quarter: −28 at full size, and three more for the first three.
        let found = geometry(|vb| Mend::new(&small(Role::Clear), vb));
        assert_eq!((found.halo, found.multiple_of), (Some(28 + 3), 4));
    }

    #[test]
    fn other_networks_are_refused() {
        for widths in [vec![], vec![8], vec![8, 0], vec![8; 9]] {
            let config = Config {
                widths,
                ..small(Role::Clear)
            };
            assert_eq!(config.validate().unwrap_err().code(), Code::ModelError);
        }
        let odd = Trial::new(|vb| Mend::new(&small(Role::Fill), vb)).tensors;
        let without = |key: &str| {
            let kept = odd.iter().filter(|(name, _)| *name != key);
            let kept = kept.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
            kept.collect::<Tensors>()
        };
        assert_eq!(Config::recognize(&without("tail.weight")), None);
        assert_eq!(Config::recognize(&without("middle.0.conv1.weight")), None);
    }
}
