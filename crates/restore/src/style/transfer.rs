//! Any style in one pass, on whole pictures: `AdaIN` with mixtures, regions, kept colours and tiles.
//!
//! Statistics of features are those of the whole picture, so a picture that is cut is gone over twice:
//! once for the sums over its features, tile by tile, and once more to make the picture. That is
//! exact, where a thumbnail's statistics would be an estimate. A mixture of styles has the mean of
//! their statistics; a style for a region is given to the features there, with the region's own
//! statistics as those of the content (Huang and Belongie 2017, section 7).

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use fonds_core::{Change, Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_nn::act::Dims;
use fonds_nn::picture::{planes, write_planes};
use fonds_nn::tile::{Layout, Rect, TILE_BYTES, TileOptions};
use fonds_nn::trace::{Geometry, trace};
use fonds_nn::{Act, Backend};

use super::adain::{Look, Moments, StyleTransfer};
use super::palette::{self, KeepColors, Manner, Style, fitted};

/// The longest side at which a content is looked at for its colours.
const GLANCE: u32 = 512;

/// From pictures to features and back.
pub trait Coder: Debug + Send + Sync {
    /// The features of pictures, RGB from 0 to 1: `[1, 3, h, w]` → `[1, c, h / s, w / s]`.
    ///
    /// # Errors
    /// `model_error` when a side is too short, `oom`.
    fn encode(&self, picture: &Act) -> Result<Act>;

    /// The picture of features: `[1, c, h, w]` → `[1, 3, s·h, s·w]`.
    ///
    /// # Errors
    /// As [`Coder::encode`].
    fn decode(&self, features: &Act) -> Result<Act>;

    /// The least side of a picture in pixels.
    fn min_side(&self) -> usize;
}

impl Coder for StyleTransfer {
    fn encode(&self, picture: &Act) -> Result<Act> {
        self.encoder.forward(picture)
    }

    fn decode(&self, features: &Act) -> Result<Act> {
        self.decoder.forward(features)
    }

    fn min_side(&self) -> usize {
        // Two pixels are left where three are mirrored.
        16
    }
}

/// How styles are transferred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransferSettings {
    /// From 0 (the content as the decoder knows it) to 1.
    pub alpha: f32,
    /// The longest side at which a style of the scale 1 is looked at, 32 to 8192.
    pub style_size: u32,
    /// What becomes of the content's colours.
    pub keep_colors: KeepColors,
    /// Whether gray pictures take the style's colours.
    pub color_on_gray: bool,
    /// How the picture is cut.
    pub tiles: TileOptions,
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            style_size: 512,
            keep_colors: KeepColors::default(),
            color_on_gray: false,
            tiles: TileOptions::default(),
        }
    }
}

/// Styles, and what transfers them.
#[derive(Debug)]
pub struct Transfer {
    coder: Arc<dyn Coder>,
    backend: Backend,
    /// Of the encoder, and of encoder and decoder together.
    geometry: [Geometry; 2],
    styles: Vec<Style>,
    settings: TransferSettings,
    /// The styles' looks where they do not depend on the content: in colours, and in gray.
    looks: Mutex<[Option<Looks>; 2]>,
}

type Looks = Arc<Vec<Look>>;

/// Styles that hold in the same places.
struct Region<'a> {
    mask: Mask<'a>,
    look: Look,
}

#[derive(Clone, Copy)]
enum Mask<'a> {
    /// The whole picture.
    Everywhere,
    /// Where a mask is white.
    In(&'a Raster),
    /// Where none is.
    Rest,
}

impl Transfer {
    /// Styles to be transferred by a coder that is on this backend.
    ///
    /// # Errors
    /// `invalid_request` when a value is out of range or there is no style, `model_error` when encoder
    /// and decoder do not fit each other.
    pub fn new(
        coder: Arc<dyn Coder>,
        backend: Backend,
        styles: Vec<Style>,
        settings: TransferSettings,
    ) -> Result<Self> {
        settings.validate()?;
        if styles.is_empty() {
            return Err(Error::new(
                Code::InvalidRequest,
                "there is no style picture",
            ));
        }
        let encoder = trace(3, |x| coder.encode(x))?;
        let both = trace(3, |x| coder.decode(&coder.encode(x)?))?;
        if both.scale != (1, 1) || encoder.scale.0 != 1 {
            let (up, down) = both.scale;
            let message =
                format!("encoder and decoder together make pictures {up}/{down} of the size");
            return Err(Error::new(Code::ModelError, message));
        }
        Ok(Self {
            coder,
            backend,
            geometry: [encoder, both],
            styles,
            settings,
            looks: Mutex::new([None, None]),
        })
    }

    /// The format that comes out for a format that goes in.
    pub fn output(&self, input: PixelFormat) -> PixelFormat {
        let picture = Raster::new(1, 1, input);
        self.manner(&picture).output(input)
    }

    /// The most memory in bytes that the tiles take, whatever the picture.
    pub fn memory_bound(&self) -> u64 {
        // The activations, and planes in and out.
        (TILE_BYTES as f64 * (1.0 + 48.0 / self.geometry[1].bytes_per_pixel.max(1.0))) as u64
    }

    /// Multiplications and additions for each pixel of a picture.
    pub fn operations_per_pixel(&self) -> f64 {
        self.geometry[0].operations_per_pixel + self.geometry[1].operations_per_pixel
    }

    /// The content in the styles. Profile, depth, alpha and size are those of the content.
    ///
    /// # Errors
    /// `invalid_request` when a mask is of another size, `oom`, `output_invalid` when the decoder makes
    /// what is no picture.
    pub fn apply(&self, content: &Raster) -> Result<Outcome> {
        let size = (content.width() as usize, content.height() as usize);
        palette::check(&self.styles, (content.width(), content.height()))?;
        let manner = self.manner(content);
        let picture = palette::standard(content, manner)?;
        let looks = self.looks(&picture, manner)?;
        let regions = self.regions(&looks);
        let layouts = self.layouts(size)?;
        let own = self.sums(&picture, manner, &regions, &layouts[0])?;
        let empty = |(region, own): (&Region<'_>, &Moments)| {
            matches!(region.mask, Mask::In(_)) && own.count() <= 0.0
        };
        if regions.iter().zip(&own).any(empty) {
            let message = "a mask is black everywhere: its style holds nowhere";
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let regions: Vec<Adapted<'_>> = regions
            .iter()
            .zip(&own)
            .filter(|(_, own)| own.count() > 0.0)
            .map(|(region, own)| {
                let own = Look::of(own);
                let (scale, shift) = own.towards(&region.look, self.settings.alpha);
                Adapted {
                    mask: region.mask,
                    scale,
                    shift,
                }
            })
            .collect();
        let mut made = picture.clone();
        let channels = picture.format().color_channels();
        layouts[1].run(
            channels,
            1,
            1,
            |tiles| {
                let made = tiles
                    .iter()
                    .map(|tile| self.tile(&picture, manner, &regions, &tile.input));
                made.collect()
            },
            |rect, planes| {
                write_planes(&mut made, rect, planes);
                Ok(())
            },
        )?;
        drop(picture);
        let count = self.styles.len();
        let change = Change::new(format!("given the style of {count} pictures by AdaIN"))
            .value("alpha", f64::from(self.settings.alpha))
            .value("tiles", layouts[1].len() as f64);
        Ok(Outcome::changed(
            palette::own_profile(made, content)?,
            change,
        ))
    }

    fn manner(&self, content: &Raster) -> Manner {
        let TransferSettings {
            keep_colors,
            color_on_gray,
            ..
        } = self.settings;
        Manner::of(content, keep_colors, color_on_gray)
    }

    /// Layouts for the features, and for the picture.
    fn layouts(&self, size: (usize, usize)) -> Result<[Layout; 2]> {
        let min_side = self.coder.min_side();
        let layout = |geometry| Layout::new(size, geometry, min_side, &self.settings.tiles);
        Ok([layout(&self.geometry[0])?, layout(&self.geometry[1])?])
    }

    /// How each style looks to a content.
    fn looks(&self, content: &Raster, manner: Manner) -> Result<Looks> {
        // Styles that are matched to the content are others for each.
        let place = match manner {
            Manner::Gray => Some(1),
            Manner::Colors(KeepColors::No) => Some(0),
            Manner::Colors(_) => None,
        };
        let lock = || self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looks) = place.and_then(|place| lock()[place].clone()) {
            return Ok(looks);
        }
        let glance = fitted(content, GLANCE, false)?;
        let looks: Vec<Look> = self
            .styles
            .iter()
            .map(|style| self.look(style, &glance, manner))
            .collect::<Result<_>>()?;
        let looks = Arc::new(looks);
        if let Some(place) = place {
            lock()[place] = Some(Arc::clone(&looks));
        }
        Ok(looks)
    }

    /// A style at all of its scales.
    fn look(&self, style: &Style, content: &Raster, manner: Manner) -> Result<Look> {
        let mut looks = Vec::new();
        for scale in &style.scales {
            let longest = (f64::from(self.settings.style_size) * scale).round() as u32;
            let picture = fitted(&style.picture, longest, false)?;
            let picture = palette::style_for(&picture, content, manner)?;
            let size = (picture.width() as usize, picture.height() as usize);
            let [layout, _] = self.layouts(size)?;
            let everywhere = Region {
                mask: Mask::Everywhere,
                look: Look::of(&Moments::weighted(&[0.0], &[1.0])),
            };
            let sums = self.sums(&picture, manner, &[everywhere], &layout)?;
            looks.push(Look::of(&sums[0]));
        }
        let parts: Vec<(f64, &Look)> = looks.iter().map(|look| (1.0, look)).collect();
        Ok(Look::mixed(&parts))
    }

    /// The mixtures of the styles, by where they hold.
    fn regions(&self, looks: &[Look]) -> Vec<Region<'_>> {
        let mut regions = Vec::new();
        let mut everywhere = Vec::new();
        for (style, look) in self.styles.iter().zip(looks) {
            match &style.mask {
                Some(mask) => regions.push(Region {
                    mask: Mask::In(mask),
                    look: look.clone(),
                }),
                None => everywhere.push((style.weight, look)),
            }
        }
        if !everywhere.is_empty() {
            let mask = if regions.is_empty() {
                Mask::Everywhere
            } else {
                Mask::Rest
            };
            regions.push(Region {
                mask,
                look: Look::mixed(&everywhere),
            });
        }
        regions
    }

    /// The first pass: sums over the features of a picture, for each region.
    fn sums(
        &self,
        picture: &Raster,
        manner: Manner,
        regions: &[Region<'_>],
        layout: &Layout,
    ) -> Result<Vec<Moments>> {
        let stride = self.stride();
        let mut sums: Vec<Option<Moments>> = vec![None; regions.len()];
        for tile in layout.tiles() {
            let features = self.encode(picture, manner, &tile.input)?;
            let start = |core: usize, input: usize| (core - input) / stride;
            let core = Rect {
                x: start(tile.core.x.start, tile.input.x.start)
                    ..(tile.core.x.end - tile.input.x.start).div_ceil(stride),
                y: start(tile.core.y.start, tile.input.y.start)
                    ..(tile.core.y.end - tile.input.y.start).div_ceil(stride),
            };
            let values = cut(&features, &core)?;
            let place = Rect {
                x: tile.core.x.start..tile.core.x.start + core.width() * stride,
                y: tile.core.y.start..tile.core.y.start + core.height() * stride,
            };
            let shares = self.shares(regions.iter().map(|region| region.mask), &place);
            for (sum, share) in sums.iter_mut().zip(shares) {
                let more = Moments::weighted(&values, &share);
                match sum {
                    Some(sum) => sum.merge(&more),
                    None => *sum = Some(more),
                }
            }
        }
        let sums = sums
            .into_iter()
            .map(|sum| sum.expect("a layout has a tile"));
        Ok(sums.collect())
    }

    /// How much of each pixel of the features in a region of the picture belongs to which mask.
    fn shares<'a>(&self, masks: impl Iterator<Item = Mask<'a>>, region: &Rect) -> Vec<Vec<f32>> {
        let stride = self.stride();
        let (columns, rows) = (region.width() / stride, region.height() / stride);
        let mut left = vec![1.0_f32; columns * rows];
        let shares = masks.map(|mask| match mask {
            Mask::Everywhere | Mask::Rest => left.clone(),
            Mask::In(mask) => {
                let values = planes(mask, region);
                let values = &values[..region.width() * region.height()];
                let mut share = Vec::with_capacity(left.len());
                for row in 0..rows {
                    for column in 0..columns {
                        let sum: f32 = (0..stride)
                            .map(|y| {
                                let start = (row * stride + y) * region.width() + column * stride;
                                values[start..start + stride].iter().sum::<f32>()
                            })
                            .sum();
                        // What an earlier mask has taken is taken.
                        let free = &mut left[row * columns + column];
                        let taken = (sum / (stride * stride) as f32).min(*free);
                        *free -= taken;
                        share.push(taken);
                    }
                }
                share
            }
        });
        shares.collect()
    }

    /// The second pass: the planes of one tile, in the picture's channels.
    fn tile(
        &self,
        picture: &Raster,
        manner: Manner,
        regions: &[Adapted<'_>],
        input: &Rect,
    ) -> Result<Vec<f32>> {
        let features = self.encode(picture, manner, input)?;
        let features = if let [
            Adapted {
                mask: Mask::Everywhere,
                scale,
                shift,
            },
        ] = regions
        {
            features.channel_affine(scale, shift)?
        } else {
            let shares = self.shares(regions.iter().map(|region| region.mask), input);
            self.adapted(&features, regions, &shares)?
        };
        let made = self.coder.decode(&features)?.to_vec()?;
        let area = input.width() * input.height();
        if made.len() != 3 * area {
            let message = format!("the decoder made {} values for {area} pixels", made.len());
            return Err(Error::new(Code::ModelError, message));
        }
        let luma = |values: &[f32], at: usize| {
            palette::luma([values[at], values[area + at], values[2 * area + at]])
        };
        Ok(match manner {
            Manner::Gray => (0..area).map(|at| luma(&made, at)).collect(),
            Manner::Colors(KeepColors::Luma) => {
                let mut own = planes(picture, input);
                let steps: Vec<f32> = (0..area)
                    .map(|at| luma(&made, at) - luma(&own, at))
                    .collect();
                for plane in own.chunks_exact_mut(area) {
                    for (value, step) in plane.iter_mut().zip(&steps) {
                        *value += step;
                    }
                }
                own
            }
            Manner::Colors(_) => made,
        })
    }

    /// Features of which each place is given the styles that hold there.
    fn adapted(&self, features: &Act, regions: &[Adapted<'_>], shares: &[Vec<f32>]) -> Result<Act> {
        let dims = features.dims();
        let area = dims.height * dims.width;
        let values = features.to_vec()?;
        let mut made = Vec::with_capacity(values.len());
        for (channel, plane) in values.chunks_exact(area).enumerate() {
            made.extend(plane.iter().enumerate().map(|(at, value)| {
                let steps = regions.iter().zip(shares).map(|(region, share)| {
                    let adapted = value * region.scale[channel] + region.shift[channel];
                    share[at] * (adapted - value)
                });
                value + steps.sum::<f32>()
            }));
        }
        self.backend.import(dims, &made)
    }

    /// The features of a region of a picture, as the network is to see it.
    fn encode(&self, picture: &Raster, manner: Manner, region: &Rect) -> Result<Act> {
        let area = region.width() * region.height();
        let mut values = planes(picture, region);
        if values.len() == 3 * area && manner.sees_gray() {
            values = (0..area)
                .map(|at| palette::luma([values[at], values[area + at], values[2 * area + at]]))
                .collect();
        }
        if values.len() == area {
            values = values.repeat(3);
        }
        let dims = Dims {
            batch: 1,
            channels: 3,
            height: region.height(),
            width: region.width(),
        };
        self.coder.encode(&self.backend.import(dims, &values)?)
    }

    /// Pixels along each side for one of the features.
    fn stride(&self) -> usize {
        self.geometry[0].scale.1
    }
}

impl TransferSettings {
    /// That all values are in range.
    ///
    /// # Errors
    /// `invalid_request` that names the value.
    pub fn validate(&self) -> Result<()> {
        let refused = |message: String| Err(Error::new(Code::InvalidRequest, message));
        if !(0.0..=1.0).contains(&self.alpha) {
            return refused(format!("`alpha` is {}, allowed is 0 to 1", self.alpha));
        }
        if !(32..=8192).contains(&self.style_size) {
            return refused(format!(
                "`style_size` is {}, allowed is 32 to 8192",
                self.style_size
            ));
        }
        Ok(())
    }
}

/// What the features of a region are multiplied by, and what is added.
struct Adapted<'a> {
    mask: Mask<'a>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// A part of features, planes `[channels, rows, columns]`.
fn cut(features: &Act, core: &Rect) -> Result<Vec<f32>> {
    let dims = features.dims();
    let values = features.to_vec()?;
    let mut part = Vec::with_capacity(dims.channels * core.width() * core.height());
    for plane in values.chunks_exact(dims.height * dims.width) {
        for row in core.y.clone() {
            part.extend_from_slice(&plane[row * dims.width..][core.x.clone()]);
        }
    }
    Ok(part)
}

#[cfg(test)]
mod tests;
