//! Which part of a picture becomes a sample.

use std::sync::Arc;

use fonds_core::{Code, Error, Result};

use super::picture::Picture;
use super::{Fit, Options};
use crate::degrade::Degraded;
use crate::draw::Draw;
use crate::planes::Planes;
use crate::resample::Area;

/// How often a part that is too flat is drawn again.
const TRIES: usize = 8;
/// What is cut around a sample that is to be degraded, in pixels of the small side: damage is made
/// on more than the sample, so that its blocks and its borders lie anywhere.
const MARGIN: usize = 32;

/// The parts that the options ask for.
pub(super) struct Windows<'a> {
    options: &'a Options,
}

/// A part of the target, and the size it gets.
#[derive(Debug, Clone, Copy)]
struct Window {
    area: Area,
    size: (usize, usize),
}

impl<'a> Windows<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options }
    }

    /// Fails when a picture is too small to be cut from.
    pub(super) fn check(&self, pictures: &[Picture]) -> Result<()> {
        let Some(target) = pictures.last() else {
            return Err(Error::new(Code::Internal, "a sample has no picture"));
        };
        let ((width, height), wanted) = (target.size(), self.options.size);
        if self.options.fit == Fit::Crop && (width < wanted.0 || height < wanted.1) {
            let message = format!(
                "{width} × {height} pixels are fewer than the {} × {} of a sample",
                wanted.0, wanted.1
            );
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(())
    }

    /// Cuts at once what is cut the same every time.
    pub(super) fn prepare(&self, pictures: Vec<Picture>) -> Vec<Picture> {
        let Some(target) = pictures.last().map(Picture::size) else {
            return pictures;
        };
        let Some(window) = self.fixed(target) else {
            return pictures;
        };
        let cut = self.planes(&pictures, window);
        cut.into_iter().map(Picture::Ready).collect()
    }

    /// The pictures of one sample (with a margin when they are to be degraded), mirrored or not.
    pub(super) fn cut(&self, pictures: &Arc<Vec<Picture>>, draw: &mut Draw) -> Vec<Planes> {
        let mut cut = self.choose(pictures, draw);
        if self.options.flip && draw.chance(0.5) {
            cut.iter_mut().for_each(Planes::mirror);
        }
        cut
    }

    /// The degraded and the clean picture (and the mask, where it is asked for), cut to the sizes of
    /// a sample at the same place.
    pub(super) fn without_margin(
        &self,
        made: &Degraded,
        clean: &Planes,
        scale: usize,
        draw: &mut Draw,
    ) -> Vec<Planes> {
        let (width, height) = (self.options.size.0 / scale, self.options.size.1 / scale);
        let x = draw.below(made.planes.width - width + 1);
        let y = draw.below(made.planes.height - height + 1);
        let target = clean.crop(x * scale, y * scale, width * scale, height * scale);
        let mut pictures = vec![made.planes.crop(x, y, width, height), target];
        if self.options.mask {
            pictures.push(made.mask.crop(x, y, width, height));
        }
        pictures
    }

    /// A part as large as a sample.
    pub(super) fn somewhere(&self, planes: &Planes, draw: &mut Draw) -> Planes {
        let (width, height) = self.options.size;
        let x = draw.below(planes.width - width + 1);
        let y = draw.below(planes.height - height + 1);
        planes.crop(x, y, width, height)
    }

    fn choose(&self, pictures: &[Picture], draw: &mut Draw) -> Vec<Planes> {
        let target = pictures.last().map_or((1, 1), Picture::size);
        let fixed = matches!(self.options.fit, Fit::Resize | Fit::Cover);
        let tries = match self.options.min_detail {
            Some(_) if !fixed => TRIES,
            _ => 1,
        };
        let least = self.options.min_detail.unwrap_or(0.0);
        let mut best: Option<(f32, Vec<Planes>)> = None;
        for _ in 0..tries {
            let cut = self.planes(pictures, self.random(target, draw));
            let detail = if tries == 1 {
                1.0
            } else {
                cut.last().map_or(0.0, detail)
            };
            if best.as_ref().is_none_or(|(most, _)| detail > *most) {
                best = Some((detail, cut));
            }
            if detail >= least {
                break;
            }
        }
        best.map(|(_, cut)| cut).unwrap_or_default()
    }

    /// The part that never changes; `None` where it is drawn.
    fn fixed(&self, (width, height): (usize, usize)) -> Option<Window> {
        let size = self.options.size;
        let (width, height) = (width as f64, height as f64);
        let (w, h) = match self.options.fit {
            Fit::Resize => (width, height),
            Fit::Cover => {
                let times = (size.0 as f64 / width).max(size.1 as f64 / height);
                (size.0 as f64 / times, size.1 as f64 / times)
            }
            Fit::Crop | Fit::ResizeCrop { .. } => return None,
        };
        let (x, y) = ((width - w) / 2.0, (height - h) / 2.0);
        Some(Window {
            area: Area {
                x,
                y,
                width: w,
                height: h,
            },
            size,
        })
    }

    fn random(&self, (width, height): (usize, usize), draw: &mut Draw) -> Window {
        if let Some(window) = self.fixed((width, height)) {
            return window;
        }
        let size = self.options.size;
        let (width_f, height_f) = (width as f64, height as f64);
        // How large a pixel of the picture becomes.
        let times = match self.options.fit {
            Fit::ResizeCrop { scale: (low, high) } => {
                let covering = (size.0 as f64 / width_f).max(size.1 as f64 / height_f);
                covering * f64::from(draw.between(low, high))
            }
            _ => 1.0,
        };
        let size = (
            size.0 + self.margin(width_f * times, size.0),
            size.1 + self.margin(height_f * times, size.1),
        );
        let (w, h) = (size.0 as f64 / times, size.1 as f64 / times);
        let (x, y) = if self.options.fit == Fit::Crop {
            let grid = self.options.pair_scale;
            let mut at = |room: usize| (grid * draw.below(room / grid + 1)) as f64;
            (at(width - size.0), at(height - size.1))
        } else {
            let mut at = |room: f64| room.max(0.0) * f64::from(draw.unit());
            (at(width_f - w), at(height_f - h))
        };
        Window {
            area: Area {
                x,
                y,
                width: w,
                height: h,
            },
            size,
        }
    }

    /// Pixels that a picture of `available` pixels leaves for the margin.
    fn margin(&self, available: f64, wanted: usize) -> usize {
        if self.options.degrade.is_none() {
            return 0;
        }
        let scale = self.options.scale();
        let left = (available.floor() as usize).saturating_sub(wanted);
        (left / scale).min(MARGIN) * scale
    }

    /// The window of the target, and the part of the source that belongs to it.
    fn planes(&self, pictures: &[Picture], window: Window) -> Vec<Planes> {
        let last = pictures.len() - 1;
        let scales = (0..=last).map(|i| {
            if i == last {
                1
            } else {
                self.options.pair_scale
            }
        });
        let cut = pictures.iter().zip(scales).map(|(picture, scale)| {
            let part = scale as f64;
            let area = Area {
                x: window.area.x / part,
                y: window.area.y / part,
                width: window.area.width / part,
                height: window.area.height / part,
            };
            let size = (window.size.0 / scale, window.size.1 / scale);
            picture.cut(area, size, self.options.channels)
        });
        cut.collect()
    }
}

/// The deviation of the luma, 0 to ½.
fn detail(planes: &Planes) -> f32 {
    let luma = planes.luma();
    let n = luma.values.len() as f64;
    let mean = luma
        .values
        .iter()
        .map(|&value| f64::from(value))
        .sum::<f64>()
        / n;
    let squares = luma
        .values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2));
    (squares.sum::<f64>() / n).sqrt() as f32
}
