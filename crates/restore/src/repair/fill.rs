//! A network that fills holes of a picture.

use fonds_core::{Code, ColorModel, Error, Outcome, Raster, Result, Sample};
use fonds_image::color;
use fonds_image::ops::repair::{Mask, change_of, check_share};
use fonds_nn::compute::{OnLanes, Planes, Request};
use fonds_nn::network::Extra;
use fonds_nn::tile::{Rect, TileOptions};

use super::source::{rgb_planes, standard};
use super::tiled::{Tiled, makes};
use crate::zoo::Description;

/// What holes hold when the network sees them.
const GRAY: f32 = 0.5;

/// A network from RGB with a mask to RGB: holes are middle gray, and 1 in the fourth channel.
#[derive(Debug)]
pub struct Filler(Tiled);

impl Filler {
    /// The network at work.
    ///
    /// # Errors
    /// As [`Filler::check`].
    pub fn new(network: OnLanes, description: &Description, tiles: TileOptions) -> Result<Self> {
        Self::check(description)?;
        Ok(Self(Tiled::new(network, description, tiles)))
    }

    /// That a network fills holes.
    ///
    /// # Errors
    /// `invalid_request` when its channels are others.
    pub fn check(description: &Description) -> Result<()> {
        if makes(description, Extra::Mask, 3) {
            return Ok(());
        }
        let message = format!("this {} fills no holes", description.architecture);
        let error = Error::new(Code::InvalidRequest, message);
        Err(error.hint(
            "give a network that makes RGB of RGB and a mask; train.mending with network.fill trains one",
        ))
    }

    /// Fills what is under the mask; all other samples and alpha stay as they are, to the bit.
    /// Gray stays gray.
    ///
    /// # Errors
    /// `invalid_request` for a mask of another size, `limits_exceeded` when it covers more than
    /// `max_share` of the picture, and those of [`Detector::find`](super::Detector::find).
    pub fn apply(&self, mut raster: Raster, mask: &Mask, max_share: f64) -> Result<Outcome> {
        mask.check_size(raster.width() as usize, raster.height() as usize)?;
        if mask.is_empty() {
            return Ok(Outcome::unchanged(raster));
        }
        check_share(mask, max_share)?;
        if let Some(mut made) = standard(&raster)? {
            self.run(&mut made, mask)?;
            if let Some(profile) = raster.icc().cloned() {
                made = color::to_profile(made, profile)?;
            }
            take_over(&mut raster, &made, mask);
        } else {
            self.run(&mut raster, mask)?;
        }
        Ok(Outcome::changed(raster, change_of(mask)))
    }

    fn run(&self, raster: &mut Raster, mask: &Mask) -> Result<()> {
        let size = (mask.width(), mask.height());
        let layout = self.0.layout(size)?;
        // Tiles are read from what was there before any of them was written.
        let before = raster.clone();
        layout.run(
            3,
            1,
            self.0.network.lanes().group(),
            |tiles| {
                let holed: Vec<bool> = tiles
                    .iter()
                    .map(|tile| has_hole(mask, &tile.input))
                    .collect();
                let wanted = tiles.iter().zip(&holed).filter(|(_, holed)| **holed);
                let requests = wanted.map(|(tile, _)| self.request(&before, mask, &tile.input));
                let mut made = self.0.network.forward(requests.collect())?.into_iter();
                let (factor, shift) = self.0.interface.output.to_unit();
                let planes = tiles.iter().zip(holed).map(|(tile, holed)| {
                    let pixels = 3 * tile.input.width() * tile.input.height();
                    // Where there are no holes nothing is taken from the tile.
                    let made = holed.then(|| made.next()).flatten();
                    let mut made = made.unwrap_or_else(|| vec![GRAY; pixels]);
                    for value in &mut made {
                        *value = *value * factor + shift;
                    }
                    made
                });
                Ok(planes.collect())
            },
            |rect, planes| {
                put(raster, mask, rect, planes);
                Ok(())
            },
        )
    }

    /// RGB with holes of middle gray, and the mask; beyond the picture the mask's last pixels are
    /// repeated as the picture's are.
    fn request(&self, raster: &Raster, mask: &Mask, region: &Rect) -> Request {
        let (factor, shift) = self.0.interface.input.from_unit();
        let mut planes = rgb_planes(raster, region);
        for value in &mut planes {
            *value = *value * factor + shift;
        }
        let pixels = region.width() * region.height();
        let holes: Vec<f32> = region
            .y
            .clone()
            .flat_map(|y| region.x.clone().map(move |x| (x, y)))
            .map(|(x, y)| mask.has(x.min(mask.width() - 1), y.min(mask.height() - 1)))
            .map(f32::from)
            .collect();
        for plane in planes.chunks_mut(pixels) {
            for (value, hole) in plane.iter_mut().zip(&holes) {
                if *hole > 0.0 {
                    *value = GRAY * factor + shift;
                }
            }
        }
        planes.extend(holes);
        Request {
            planes: Planes::F32(planes),
            channels: 4,
            height: region.height(),
            width: region.width(),
            repeat: 1,
            range: (1.0, 0.0),
            extra: None,
            book: None,
        }
    }
}

fn has_hole(mask: &Mask, region: &Rect) -> bool {
    let columns = region.x.start.min(mask.width())..region.x.end.min(mask.width());
    let rows = region.y.start..region.y.end.min(mask.height());
    let row = |y: usize| &mask.data()[y * mask.width()..][columns.clone()];
    rows.clone().any(|y| row(y).iter().any(|value| *value != 0))
}

/// Writes planes `[3, rows, columns]` into the holes of a region; into gray ones their luma.
fn put(raster: &mut Raster, mask: &Mask, rect: &Rect, planes: &[f32]) {
    let format = raster.format();
    let (stride, gray) = (format.channels(), format.model == ColorModel::Gray);
    let pixels = rect.width() * rect.height();
    let pixel = |at: usize| {
        let rgb = [planes[at], planes[pixels + at], planes[2 * pixels + at]];
        let luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        if gray { [luma; 3] } else { rgb }
    };
    macro_rules! each {
        ($type:ty) => {
            if let Some(samples) = raster.as_mut_slice::<$type>() {
                for (row, y) in rect.y.clone().enumerate() {
                    for (column, x) in rect.x.clone().enumerate() {
                        if mask.has(x, y) {
                            let values = pixel(row * rect.width() + column);
                            let at = (y * mask.width() + x) * stride;
                            let colors = &mut samples[at..at + format.color_channels()];
                            for (sample, value) in colors.iter_mut().zip(values) {
                                *sample = <$type>::from_unit(value.clamp(0.0, 1.0));
                            }
                        }
                    }
                }
            }
        };
    }
    each!(u8);
    each!(u16);
    each!(f32);
}

/// Takes the colours of the holes from another picture of the same form.
fn take_over(raster: &mut Raster, made: &Raster, mask: &Mask) {
    let format = raster.format();
    let (stride, colors) = (format.channels(), format.color_channels());
    macro_rules! each {
        ($type:ty) => {
            if let (Some(to), Some(from)) =
                (raster.as_mut_slice::<$type>(), made.as_slice::<$type>())
            {
                let pairs = to.chunks_mut(stride).zip(from.chunks(stride));
                for ((to, from), hole) in pairs.zip(mask.data()) {
                    if *hole != 0 {
                        to[..colors].copy_from_slice(&from[..colors]);
                    }
                }
            }
        };
    }
    each!(u8);
    each!(u16);
    each!(f32);
}
