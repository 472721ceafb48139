//! How samples are cut from pictures.

use fonds_core::{Code, Error, Limits, Result};

use super::Source;
use crate::degrade::Recipe;
use crate::select::{Globs, PICTURES};

/// How a picture becomes as large as a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fit {
    /// The whole picture, stretched where its proportions are others.
    Resize,
    /// As much of the middle as has the proportions of the sample.
    Cover,
    /// A random part in its own resolution. A picture that is smaller than the sample is left out.
    Crop,
    /// A random part of the picture, resized so that it covers the sample `scale` times.
    ResizeCrop {
        /// The least and the most, at least 1; 286 to 256 pixels, as pix2pix has it, is 1.117.
        scale: (f32, f32),
    },
}

/// What becomes of pairs that do not match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unequal {
    /// An error that names them.
    #[default]
    Refuse,
    /// They are left out, and listed.
    Skip,
}

/// How samples are found and cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Width and height of a sample, of the target where it has two pictures of different sizes.
    pub size: (usize, usize),
    /// Channels: 1 (luma) or 3 (RGB).
    pub channels: usize,
    /// How a picture becomes as large as a sample.
    pub fit: Fit,
    /// Whether a sample is mirrored, left to right, one time in two; both pictures of a pair are or
    /// are not.
    pub flip: bool,
    /// Samples taken of each picture in an epoch; 1 unless given. For random parts.
    pub patches: Option<usize>,
    /// The least deviation of a sample's luma (0 to ½). What is flatter is drawn again, eight times
    /// at most, and the liveliest is taken. For random parts; 0.02 leaves out sky and walls.
    pub min_detail: Option<f32>,
    /// Globs of which a file must match one.
    pub include: Vec<String>,
    /// Globs of which a file must match none.
    pub exclude: Vec<String>,
    /// The share of the pictures that is held out for evaluation, chosen by the hashes of their
    /// names: 0 to 1.
    pub holdout: f64,
    /// The most pictures (of each side) to take at all, held out or not, chosen by the hashes of
    /// their names.
    pub limit: Option<usize>,
    /// What becomes of pairs that do not match.
    pub unequal: Unequal,
    /// How many times as large as its source the target of a pair is, across and down.
    pub pair_scale: usize,
    /// How sources are made of the pictures, which then are the targets; of unpaired sources, how
    /// the pictures of the first kind are damaged.
    pub degrade: Option<Recipe>,
    /// Whether the mask of the damage is the third picture of a sample: one channel, as large as
    /// the degraded picture.
    pub mask: bool,
    /// How large a picture may be before decoding it is refused.
    pub limits: Limits,
}

impl Default for Options {
    /// RGB samples of 64 × 64 pixels from the middles of all pictures; nothing held out.
    fn default() -> Self {
        Self {
            size: (64, 64),
            channels: 3,
            fit: Fit::Cover,
            flip: false,
            patches: None,
            min_detail: None,
            include: vec![PICTURES.to_owned()],
            exclude: Vec::new(),
            holdout: 0.0,
            limit: None,
            unequal: Unequal::Refuse,
            pair_scale: 1,
            degrade: None,
            mask: false,
            limits: Limits::DEFAULT,
        }
    }
}

impl Options {
    /// Refuses what makes no sense, with the key and the valid range.
    pub fn validate(&self, source: &Source) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Code::InvalidRequest, message));
        let (width, height) = self.size;
        if width == 0 || height == 0 || width.max(height) > 16_384 {
            return wrong(format!(
                "`size` is 1 to 16384 pixels each way (found {width} × {height})"
            ));
        }
        if self.channels != 1 && self.channels != 3 {
            return wrong(format!("`channels` is 1 or 3 (found {})", self.channels));
        }
        if let Fit::ResizeCrop { scale: (low, high) } = self.fit
            && !(low >= 1.0 && high >= low && high <= 64.0)
        {
            return wrong(format!(
                "`scale` is a range from 1 to 64 (found {low} to {high})"
            ));
        }
        if !(0.0..1.0).contains(&self.holdout) {
            return wrong(format!(
                "`holdout` is a share from 0 to below 1 (found {})",
                self.holdout
            ));
        }
        if self.patches == Some(0) {
            return wrong("`patches` is at least 1 (found 0)".to_owned());
        }
        if self
            .min_detail
            .is_some_and(|detail| !(0.0..=0.5).contains(&detail))
        {
            return wrong("`min_detail` is a deviation from 0 to 0.5".to_owned());
        }
        if self.limit == Some(0) {
            return wrong("`limit` is at least 1 (found 0)".to_owned());
        }
        Globs::new(&self.include)?;
        Globs::new(&self.exclude)?;
        self.validate_pairs(source)
    }

    fn validate_pairs(&self, source: &Source) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Code::InvalidRequest, message));
        let paired = matches!(source, Source::Paired { .. });
        if self.pair_scale == 0 || (self.pair_scale > 1 && !paired) {
            return wrong(format!(
                "`pair_scale` is 1, or more for a paired source (found {})",
                self.pair_scale
            ));
        }
        let unpaired = matches!(source, Source::Unpaired { .. });
        if let Some(recipe) = &self.degrade {
            if matches!(source, Source::Paired { .. } | Source::SideBySide { .. }) {
                return wrong("`degrade` makes pairs; those of this source are made".to_owned());
            }
            if unpaired && recipe.scale != 1 {
                return wrong("`degrade` of unpaired pictures keeps their size".to_owned());
            }
            recipe.validate()?;
            recipe.prepare()?;
        }
        if self.mask && (unpaired || self.degrade.is_none()) {
            return wrong("`mask` needs single pictures that `degrade` damages".to_owned());
        }
        let scale = self.scale();
        let (width, height) = self.size;
        if width % scale != 0 || height % scale != 0 {
            return wrong(format!(
                "`size` is a multiple of the scale {scale} (found {width} × {height})"
            ));
        }
        Ok(())
    }

    /// How many times as large as the source the target of a sample is.
    pub(super) fn scale(&self) -> usize {
        let made = self.degrade.as_ref().map_or(1, |recipe| recipe.scale);
        made.max(self.pair_scale)
    }
}
