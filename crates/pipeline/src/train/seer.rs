//! What pictures are compared by: the features of a network, or, where there is none, pooled pixels.

use std::path::Path;

use fonds_core::{Code, Error, Result};
use fonds_nn::act::Dims;
use fonds_nn::engine::Engine;
use fonds_nn::features::Features;
use fonds_nn::train::Pixels;
use fonds_nn::weights::Checkpoint;
use fonds_nn::{Backend, gradient};
use fonds_restore::style::extractor::{Extractor, ExtractorKind};

/// The least side of a picture that a network is shown; smaller ones are enlarged by whole factors.
const LEAST: usize = 64;
/// Pictures that a network sees at once.
const TOGETHER: usize = 16;
/// Means of so many parts each way, and deviations of half as many, where there is no network.
const PARTS: usize = 8;

/// Turns pictures into vectors that can be compared.
#[derive(Debug)]
pub(crate) struct Seer {
    /// What the vectors are, for labels.
    name: String,
    network: Option<Network>,
}

#[derive(Debug)]
struct Network {
    extractor: Extractor,
    layer: String,
    backend: Backend,
}

impl Seer {
    /// Without a network: of each channel the means of 8 × 8 parts and the deviations in 4 × 4 parts.
    /// It tells pictures apart by tone and composition, not by what they show.
    pub(crate) fn pixels() -> Self {
        Self {
            name: "pooled pixels and local deviations (no network)".to_owned(),
            network: None,
        }
    }

    /// The deepest features of a network, each averaged over the picture.
    ///
    /// # Errors
    /// `model_error` when the file is no network whose features are known.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::read(path)?;
        let tensors = &checkpoint.tensors;
        let backend = Backend::Engine(Engine::new(gradient::engine().kernel()));
        let kind = ExtractorKind::recognize(tensors).map_err(|error| error.at_path(path))?;
        let layer = match kind {
            ExtractorKind::SqueezeNet(_) => "fire9",
            ExtractorKind::Vgg(_) => "relu4_3",
        };
        Ok(Self {
            name: format!("{}, {layer} averaged over the picture", kind.name()),
            network: Some(Network {
                extractor: kind.build(tensors, &backend)?,
                layer: layer.to_owned(),
                backend,
            }),
        })
    }

    /// What the vectors are.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A vector for each picture.
    ///
    /// # Errors
    /// `oom` when there is no memory.
    pub(crate) fn see(&self, pictures: &[Pixels]) -> Result<Vec<Vec<f64>>> {
        let Some(network) = &self.network else {
            return Ok(pictures.iter().map(pooled).collect());
        };
        let mut vectors = Vec::with_capacity(pictures.len());
        let mut rest = pictures;
        while let Some(first) = rest.first() {
            let alike =
                |picture: &&Pixels| (picture.width, picture.height) == (first.width, first.height);
            let count = rest.iter().take(TOGETHER).take_while(alike).count();
            vectors.extend(network.see(&rest[..count])?);
            rest = &rest[count..];
        }
        Ok(vectors)
    }
}

impl Network {
    /// Features of pictures of one size.
    fn see(&self, pictures: &[Pixels]) -> Result<Vec<Vec<f64>>> {
        let (width, height) = (pictures[0].width, pictures[0].height);
        let factor = LEAST.div_ceil(width.min(height).max(1)).max(1);
        let dims = Dims {
            batch: pictures.len(),
            channels: 3,
            height: height * factor,
            width: width * factor,
        };
        let mut values = Vec::with_capacity(3 * pictures.len() * dims.height * dims.width);
        for picture in pictures {
            for channel in 0..3 {
                let plane = plane(picture, channel.min(picture.channels - 1));
                for y in 0..dims.height {
                    let row = &plane[y / factor * width..][..width];
                    values.extend((0..dims.width).map(|x| row[x / factor]));
                }
            }
        }
        let pictures = self.backend.import(dims, &values)?;
        let found = self.extractor.features(&pictures, &[&self.layer])?;
        let Some(found) = found.first() else {
            return Err(Error::new(Code::Internal, "a network saw nothing"));
        };
        let Dims {
            channels,
            height,
            width,
            ..
        } = found.dims();
        let area = height * width;
        let values = found.to_vec()?;
        let pictures = values.chunks_exact(channels * area).map(|planes| {
            let means = planes.chunks_exact(area).map(|plane| {
                plane.iter().map(|&value| f64::from(value)).sum::<f64>() / area as f64
            });
            means.collect()
        });
        Ok(pictures.collect())
    }
}

fn plane(picture: &Pixels, channel: usize) -> &[f32] {
    let area = picture.width * picture.height;
    &picture.values[channel * area..][..area]
}

/// Means and deviations of parts of a picture.
fn pooled(picture: &Pixels) -> Vec<f64> {
    let mut vector = Vec::new();
    for channel in 0..picture.channels {
        let plane = plane(picture, channel);
        for (parts, deviations) in [(PARTS, false), (PARTS / 2, true)] {
            for y in 0..parts {
                for x in 0..parts {
                    let rows = span(y, parts, picture.height);
                    let columns = span(x, parts, picture.width);
                    let values = rows.flat_map(|row| {
                        let row = &plane[row * picture.width..][..picture.width];
                        columns.clone().map(move |column| f64::from(row[column]))
                    });
                    let (count, sum, squares) = values
                        .fold((0.0, 0.0, 0.0), |(n, sum, squares), value| {
                            (n + 1.0, sum + value, squares + value * value)
                        });
                    let mean = sum / count;
                    vector.push(if deviations {
                        (squares / count - mean * mean).max(0.0).sqrt()
                    } else {
                        mean
                    });
                }
            }
        }
    }
    vector
}

/// The pixels of one of so many parts of a side; at least one.
fn span(part: usize, parts: usize, side: usize) -> std::ops::Range<usize> {
    let start = part * side / parts;
    let end = ((part + 1) * side / parts).max(start + 1);
    start..end.min(side).max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: usize, value: impl Fn(usize, usize) -> f32) -> Pixels {
        let pixels = (0..side * side).map(|at| value(at % side, at / side));
        Pixels {
            channels: 1,
            height: side,
            width: side,
            values: pixels.collect(),
        }
    }

    #[test]
    fn pooled_pixels_are_means_and_deviations() {
        let seer = Seer::pixels();
        let left = picture(16, |x, _| if x < 8 { 1.0 } else { 0.0 });
        let checked = picture(16, |x, y| ((x + y) % 2) as f32);
        let vectors = seer.see(&[left, checked]).unwrap();
        assert_eq!(vectors[0].len(), 64 + 16);
        assert_eq!(vectors[0][..8], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(vectors[0][64..].iter().all(|&deviation| deviation == 0.0));
        assert!(vectors[1][..64].iter().all(|&mean| mean == 0.5));
        assert!(vectors[1][64..].iter().all(|&deviation| deviation == 0.5));
        // Fewer pixels than parts.
        assert_eq!(seer.see(&[picture(3, |_, _| 0.25)]).unwrap()[0].len(), 80);
    }
}
