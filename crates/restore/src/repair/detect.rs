//! A network that finds damage in a picture.

use fonds_core::{Code, Error, Raster, Result};
use fonds_image::ops::repair::Mask;
use fonds_nn::compute::{OnLanes, Planes, Request};
use fonds_nn::network::Extra;
use fonds_nn::tile::TileOptions;

use super::source::{rgb_planes, standard};
use super::tiled::{Tiled, makes};
use crate::zoo::Description;

/// A network from RGB, 0 to 1, to one channel: the logarithm of the odds that a pixel is damaged.
#[derive(Debug)]
pub struct Detector(Tiled);

impl Detector {
    /// The network at work.
    ///
    /// # Errors
    /// As [`Detector::check`].
    pub fn new(network: OnLanes, description: &Description, tiles: TileOptions) -> Result<Self> {
        Self::check(description)?;
        Ok(Self(Tiled::new(network, description, tiles)))
    }

    /// That a network finds damage.
    ///
    /// # Errors
    /// `invalid_request` when its channels are others.
    pub fn check(description: &Description) -> Result<()> {
        if makes(description, Extra::None, 1) {
            return Ok(());
        }
        let message = format!("this {} finds no damage", description.architecture);
        let error = Error::new(Code::InvalidRequest, message);
        Err(error.hint(
            "give a network that makes one channel of RGB; pipelines/train/damage.toml trains one",
        ))
    }

    /// The damaged pixels: those that are damaged with a probability of more than
    /// 1 − `sensitivity`.
    ///
    /// # Errors
    /// `oom` when there is no memory, `output_invalid` when the network makes what are no numbers,
    /// `corrupt` when the picture's profile cannot be used, `invalid_request` for a sensitivity
    /// that is not between 0 and 1.
    pub fn find(&self, raster: &Raster, sensitivity: f64) -> Result<Mask> {
        if !(0.0..=1.0).contains(&sensitivity) {
            let message = format!("`sensitivity` is {sensitivity}, allowed is 0 to 1");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let standard = standard(raster)?;
        let source = standard.as_ref().unwrap_or(raster);
        let size = (raster.width() as usize, raster.height() as usize);
        let layout = self.0.layout(size)?;
        let bound = logit(1.0 - sensitivity);
        let mut mask = Mask::new(raster.width(), raster.height());
        layout.run(
            1,
            1,
            self.0.network.lanes().group(),
            |tiles| {
                let requests = tiles.iter().map(|tile| Request {
                    planes: Planes::F32(rgb_planes(source, &tile.input)),
                    channels: 3,
                    height: tile.input.height(),
                    width: tile.input.width(),
                    repeat: 1,
                    range: self.0.interface.input.from_unit(),
                    extra: None,
                    book: None,
                });
                let made = self.0.network.forward(requests.collect())?;
                // Beyond ±32 the odds are certain; larger numbers would count as a runaway.
                let calm = |value: f32| {
                    if value.is_finite() {
                        value.clamp(-32.0, 32.0)
                    } else {
                        value
                    }
                };
                let tame = |tile: Vec<f32>| tile.into_iter().map(calm).collect();
                Ok(made.into_iter().map(tame).collect())
            },
            |rect, odds| {
                for (y, row) in rect.y.clone().zip(odds.chunks(rect.width())) {
                    for (x, value) in rect.x.clone().zip(row) {
                        if f64::from(*value) > bound {
                            mask.add(x, y);
                        }
                    }
                }
                Ok(())
            },
        )?;
        Ok(mask)
    }
}

/// The logarithm of the odds of a probability; infinite at its ends.
fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}
