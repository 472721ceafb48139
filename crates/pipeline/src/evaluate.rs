//! A network measured on pictures whose originals are known.
//!
//! Conventions are those of BasicSR, in which papers state their figures: the network's picture is
//! rounded to 8 bits, as many pixels as the scale are cut off at each edge, luma is that of BT.601
//! in 16 to 235.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fonds_core::{Code, ColorModel, Depth, Error, Limits, PixelFormat, Raster, Result};
use fonds_image::decode::Document;
use fonds_image::ops::{Filter, Resize, Target};
use fonds_image::{color, encode};
use fonds_nn::metrics;
use fonds_nn::network::Enlargement;
use fonds_restore::tasks::{Task, TaskSettings};
use fonds_restore::zoo::Options;

use crate::networks::{Networks, told};
use crate::perception::Perception;

/// What is to be measured.
#[derive(Debug, Clone, Default)]
pub struct EvalOptions {
    /// The network's weights.
    pub model: PathBuf,
    /// Which network of a file that holds several.
    pub entry: Option<String>,
    /// The originals; with [`EvalOptions::input`] left out also what the network is given, in
    /// pairs `NAME_HR.png` and `NAME_LR.png`.
    pub data: PathBuf,
    /// What the network is given, under the names of the originals.
    pub input: Option<PathBuf>,
    /// How many times the network shall enlarge; its own factor when absent.
    pub scale: Option<usize>,
    /// Pixels that are left out at each edge; the scale when absent.
    pub border: Option<usize>,
    /// Standard deviation of the noise in 8-bit code values, for networks that want to be told.
    pub noise: Option<f32>,
    /// Pictures that were made already, under the names of the originals (or with more behind
    /// them, as derivatives have): they are measured instead of a network. Where there is none of an
    /// original, the one of [`EvalOptions::input`] was left as it is and counts.
    pub pictures: Option<PathBuf>,
    /// Measure bicubic interpolation of what is given, too.
    pub bicubic: bool,
    /// Measure what is given, too, where it has the size of the original.
    pub untouched: bool,
    /// Give a network that sharpens what was enlarged before the bicubic enlargement in 8 bits a
    /// sample, as published figures of such networks were often taken; fonds itself does not round
    /// between the two.
    pub rounded: bool,
    /// The network that LPIPS compares by, `SqueezeNet` 1.1.
    pub features: Option<PathBuf>,
    /// The weights of LPIPS, which is measured when they are given.
    pub heads: Option<PathBuf>,
}

/// How close a picture is to its original.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Peak signal-to-noise ratio of the luma, in dB.
    pub psnr_y: f64,
    /// Structural similarity of the luma.
    pub ssim_y: f64,
    /// Peak signal-to-noise ratio of all channels, in dB.
    pub psnr: f64,
    /// Structural similarity, the mean of the channels.
    pub ssim: f64,
    /// LPIPS, where it was asked for: 0 for pictures that look the same.
    pub lpips: Option<f64>,
}

impl Scores {
    /// The mean of several; `None` of none.
    pub fn mean(all: impl Iterator<Item = Self>) -> Option<Self> {
        let all: Vec<Self> = all.collect();
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        let lpips: Option<Vec<f64>> = all.iter().map(|scores| scores.lpips).collect();
        (!all.is_empty()).then(|| Self {
            psnr_y: mean(|scores| scores.psnr_y),
            ssim_y: mean(|scores| scores.ssim_y),
            psnr: mean(|scores| scores.psnr),
            ssim: mean(|scores| scores.ssim),
            lpips: lpips.map(|all| all.iter().sum::<f64>() / all.len() as f64),
        })
    }
}

/// One picture, measured.
#[derive(Debug, Clone)]
pub struct EvalRow {
    /// The original's path in the data, without `_HR` and extension.
    pub picture: String,
    /// Size of the original in pixels.
    pub size: (u32, u32),
    /// The network's picture, or the one that was made before.
    pub made: Scores,
    /// Bicubic interpolation, when asked for.
    pub bicubic: Option<Scores>,
    /// What was given, when asked for.
    pub input: Option<Scores>,
    /// How long the network took.
    pub took: Duration,
}

/// A set of pictures, measured.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// What was measured: a network's architecture, or pictures.
    pub name: String,
    /// How many times it enlarged.
    pub scale: usize,
    /// Pixels that were left out at each edge.
    pub border: usize,
    /// The pictures, in the order of their names.
    pub rows: Vec<EvalRow>,
}

/// An original and what the network is given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    name: String,
    original: PathBuf,
    given: PathBuf,
}

/// Measures a network; `on_row` hears of each picture as soon as it is done.
///
/// # Errors
/// `model_error` when the weights are not what they should be; `invalid_request` when the network
/// cannot do what is asked for; what is wrong with a picture, with its path.
pub fn evaluate(
    networks: &Networks,
    options: &EvalOptions,
    mut on_row: impl FnMut(&EvalRow),
) -> Result<Evaluation> {
    if let Some(folder) = &options.pictures {
        return evaluate_made(folder, options, on_row);
    }
    let file = options.model.to_string_lossy();
    let asked = Options {
        scale: options.scale,
        ..Options::default()
    };
    let recognized = networks.recognize(&file, options.entry.as_deref(), &asked)?;
    let description = recognized
        .description()
        .map_err(|error| told(error, &file))?;
    let mut settings = TaskSettings {
        scale: options.scale,
        noise: options.noise,
        ..TaskSettings::default()
    };
    let scale = Task::check(&description, &settings)?;
    if options.rounded {
        if description.interface.enlargement != Enlargement::Before {
            let message = "the network enlarges itself: nothing is rounded before it";
            let error = Error::new(Code::InvalidRequest, message).at_path(&options.model);
            return Err(error.hint("leave --rounded out"));
        }
        settings.scale = Some(1);
    }
    let pairs = pairs(options)?;
    let measuring = Measuring::new(options, scale)?;
    let network = networks
        .load(&recognized)
        .map_err(|error| told(error, &file))?;
    let task = Task::new(network, Arc::new(description.clone()), settings)?;
    let mut rows = Vec::new();
    for pair in &pairs {
        if let Some(row) = measuring.network(&task, pair)? {
            on_row(&row);
            rows.push(row);
        }
    }
    if rows.is_empty() {
        let message = format!("none of {} pairs is one of ×{scale}", pairs.len());
        let error = Error::new(Code::InvalidRequest, message).at_path(&options.data);
        return Err(error.hint("give --scale, or the folder of the pairs that the network is for"));
    }
    Ok(Evaluation {
        name: description.architecture.to_owned(),
        scale,
        border: measuring.border,
        rows,
    })
}

/// Measures pictures that were made already.
fn evaluate_made(
    folder: &Path,
    options: &EvalOptions,
    mut on_row: impl FnMut(&EvalRow),
) -> Result<Evaluation> {
    let scale = options.scale.unwrap_or(1);
    let measuring = Measuring::new(options, scale)?;
    let made = files(folder)?;
    let given = options.input.as_deref().map(files).transpose()?;
    let mut rows = Vec::new();
    for original in files(&options.data)? {
        let of = |all: &[PathBuf]| named_alike(&options.data, &original, all);
        let (made, given) = (of(&made), given.as_deref().and_then(of));
        let Some(pair) = made.or_else(|| given.clone()) else {
            continue;
        };
        let given = given.map(|pair| pair.given);
        let row = measuring.made(&pair, given.as_deref())?;
        on_row(&row);
        rows.push(row);
    }
    if rows.is_empty() {
        let message = "no picture has the name of an original";
        let error = Error::new(Code::InvalidRequest, message).at_path(folder);
        return Err(error.hint("a picture is named as its original in --data, or begins so"));
    }
    Ok(Evaluation {
        name: "pictures".to_owned(),
        scale,
        border: measuring.border,
        rows,
    })
}

/// How pairs are measured.
struct Measuring<'a> {
    scale: u32,
    border: usize,
    options: &'a EvalOptions,
    perception: Option<Perception>,
}

impl<'a> Measuring<'a> {
    fn new(options: &'a EvalOptions, scale: usize) -> Result<Self> {
        Ok(Self {
            scale: scale as u32,
            border: options.border.unwrap_or(if scale > 1 { scale } else { 0 }),
            options,
            perception: Perception::open(options.features.as_deref(), options.heads.as_deref())?,
        })
    }

    /// Measures what a network makes of a pair; `None` when it is one of another scale.
    fn network(&self, task: &Task, pair: &Pair) -> Result<Option<EvalRow>> {
        let original = read(&pair.original)?;
        let given = read(&pair.given)?;
        let size = (original.width(), original.height());
        // Originals are cut to whole multiples, at right and bottom.
        let fits = |large: u32, small: u32| large / self.scale == small;
        if !fits(size.0, given.width()) || !fits(size.1, given.height()) {
            return Ok(None);
        }
        let small = (given.width() * self.scale, given.height() * self.scale);
        self.large_enough(&pair.original, small)?;
        let (bicubic, input) = self.beside(&given, &original)?;
        let given = if self.options.rounded {
            enlarged(&given, self.scale)?
        } else {
            given
        };
        let start = Instant::now();
        let made = task.apply(&given);
        let made = made.map_err(|error| error.at_path(&pair.given))?;
        let took = start.elapsed();
        Ok(Some(EvalRow {
            picture: pair.name.clone(),
            size,
            made: self.scores(&made.raster, &original)?,
            bicubic,
            input,
            took,
        }))
    }

    /// Measures a picture that was made before, and what it was made of.
    fn made(&self, pair: &Pair, given: Option<&Path>) -> Result<EvalRow> {
        let original = read(&pair.original)?;
        let made = read(&pair.given)?;
        let size = (original.width(), original.height());
        if made.width() > size.0 || made.height() > size.1 {
            let message = format!(
                "a picture of {} × {} pixels was made of an original of {} × {}",
                made.width(),
                made.height(),
                size.0,
                size.1
            );
            let error = Error::new(Code::InvalidRequest, message).at_path(&pair.given);
            return Err(error.hint("measure pictures of the size of their originals"));
        }
        self.large_enough(&pair.original, (made.width(), made.height()))?;
        let (bicubic, input) = match given {
            Some(given) => self.beside(&read(given)?, &original)?,
            None => (None, None),
        };
        Ok(EvalRow {
            picture: pair.name.clone(),
            size,
            made: self.scores(&made, &original)?,
            bicubic,
            input,
            took: Duration::ZERO,
        })
    }

    fn large_enough(&self, path: &Path, (width, height): (u32, u32)) -> Result<()> {
        if width.min(height) as usize >= 2 * self.border + metrics::SSIM_MIN_SIDE {
            return Ok(());
        }
        let message = format!("a picture of {width} × {height} pixels is too small");
        let error = Error::new(Code::InvalidRequest, message).at_path(path);
        Err(error.hint("give a smaller --border"))
    }

    /// What is measured beside: bicubic interpolation, and what was given.
    fn beside(
        &self,
        given: &Raster,
        original: &Raster,
    ) -> Result<(Option<Scores>, Option<Scores>)> {
        let bicubic = if self.options.bicubic {
            Some(self.scores(&enlarged(given, self.scale)?, original)?)
        } else {
            None
        };
        let same = (given.width(), given.height()) == (original.width(), original.height());
        let input = if self.options.untouched && same {
            Some(self.scores(given, original)?)
        } else {
            None
        };
        Ok((bicubic, input))
    }

    fn scores(&self, made: &Raster, original: &Raster) -> Result<Scores> {
        let (width, height) = (made.width() as usize, made.height() as usize);
        let (a, b) = (rgb(made, width, height)?, rgb(original, width, height)?);
        let cropped = |samples: &[u8]| {
            metrics::Picture::from_u8(samples, width, height, 3)?.cropped(self.border)
        };
        let (a, b) = (cropped(&a)?, cropped(&b)?);
        let lpips = match &self.perception {
            Some(perception) => {
                let size = (a.width(), a.height());
                Some(perception.distance(size, &unit(&a), &unit(&b))?)
            }
            None => None,
        };
        let (luma_a, luma_b) = (a.luminance(), b.luminance());
        Ok(Scores {
            psnr_y: metrics::psnr(&luma_a, &luma_b)?,
            ssim_y: metrics::ssim(&luma_a, &luma_b)?,
            psnr: metrics::psnr(&a, &b)?,
            ssim: metrics::ssim(&a, &b)?,
            lpips,
        })
    }
}

/// Planes from 0 to 1, one after the other.
fn unit(picture: &metrics::Picture) -> Vec<f32> {
    let planes = picture.planes().iter().flatten();
    planes.map(|value| value / 255.0).collect()
}

fn enlarged(given: &Raster, scale: u32) -> Result<Raster> {
    if scale == 1 {
        return Ok(given.clone());
    }
    let resize = Resize {
        to: Target::Exact {
            width: given.width() * scale,
            height: given.height() * scale,
        },
        // Keys' kernel with a = −0.5, as MATLAB and Pillow have it.
        filter: Filter::CatmullRom,
        enlarge: true,
    };
    Ok(resize.apply(given.clone())?.raster)
}

/// A picture in 8-bit RGB without alpha, as all figures are stated.
fn read(path: &Path) -> Result<Raster> {
    let limits = Limits::DEFAULT;
    let source = fonds_ingest::read_source(path, &limits)?;
    let decoded =
        Document::open(&source.bytes, &limits).and_then(|mut document| document.decode(0));
    let raster = decoded.map_err(|error| error.at_path(path))?.raster;
    let raster = if raster.format().model == ColorModel::Rgb && raster.icc().is_some() {
        color::to_srgb(raster)?
    } else {
        raster
    };
    let format = PixelFormat::new(Depth::U8, raster.format().model, false);
    Ok(encode::convert(raster, format).with_icc(None))
}

/// Interleaved red, green and blue of the upper left part of a picture; gray is repeated.
fn rgb(raster: &Raster, width: usize, height: usize) -> Result<Vec<u8>> {
    let samples = raster.as_slice::<u8>().ok_or_else(|| {
        Error::new(
            Code::Internal,
            "a picture that is measured has not 8 bits a sample",
        )
    })?;
    let channels = raster.format().channels();
    let mut values = Vec::with_capacity(width * height * 3);
    for row in samples.chunks_exact(raster.row_len()).take(height) {
        for pixel in row.chunks_exact(channels).take(width) {
            match pixel {
                [gray] => values.extend([*gray; 3]),
                _ => values.extend(&pixel[..3]),
            }
        }
    }
    Ok(values)
}

/// The pairs of the data, sorted by name.
fn pairs(options: &EvalOptions) -> Result<Vec<Pair>> {
    let originals = files(&options.data)?;
    let mut found: Vec<Pair> = match &options.input {
        None => originals
            .iter()
            .filter_map(|path| beside(&options.data, path))
            .collect(),
        Some(input) => {
            let given = files(input)?;
            let pair = |original: &PathBuf| named_alike(&options.data, original, &given);
            originals.iter().filter_map(pair).collect()
        }
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        let error = Error::new(Code::InvalidRequest, "there is no pair of pictures");
        return Err(error.at_path(&options.data).hint(
            "a pair is NAME_HR.png and NAME_LR.png, or an original and a picture of its name in \
             the folder --input",
        ));
    }
    Ok(found)
}

/// `x_HR.png` and, beside it, `x_LR.png`.
fn beside(root: &Path, path: &Path) -> Option<Pair> {
    let stem = path.file_stem()?.to_str()?;
    let name = stem.strip_suffix("_HR")?;
    let extension = path.extension()?.to_str()?;
    let given = path.with_file_name(format!("{name}_LR.{extension}"));
    given.is_file().then(|| Pair {
        name: shown(root, &path.with_file_name(name)),
        original: path.to_owned(),
        given,
    })
}

/// A picture of the same stem, of the stem with `x` and a number behind it, or of the whole name with
/// more behind it, as derivatives have (`a.png.clear.png`).
fn named_alike(root: &Path, original: &Path, given: &[PathBuf]) -> Option<Pair> {
    let stem = original.file_stem()?.to_str()?;
    let whole = format!("{}.", original.file_name()?.to_str()?);
    let derived = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&whole))
    };
    let alike = |path: &&PathBuf| {
        let other = path.file_stem().and_then(|stem| stem.to_str());
        other
            .and_then(|other| other.strip_prefix(stem))
            .is_some_and(|rest| {
                let number = rest.strip_prefix('x').unwrap_or_default();
                rest.is_empty()
                    || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
            })
    };
    let given = given.iter().find(|path| alike(path) || derived(path))?;
    Some(Pair {
        name: shown(root, &original.with_extension("")),
        original: original.to_owned(),
        given: given.clone(),
    })
}

fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// All files below a folder that may be pictures, sorted.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error: std::io::Error| {
            Error::from_io(error, Code::Unreadable, "the folder cannot be read").at_path(&folder)
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if PICTURES
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Names of files that are looked at.
const PICTURES: [&str; 8] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "ppm", "webp"];

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
    }

    fn names(options: &EvalOptions) -> Vec<(String, String)> {
        let pairs = pairs(options).unwrap().into_iter();
        let given = |pair: &Pair| pair.given.file_name().unwrap().to_str().unwrap().to_owned();
        pairs
            .map(|pair| (given(&pair), pair.name))
            .map(|(given, name)| (name, given))
            .collect()
    }

    #[test]
    fn pairs_lie_beside_each_other_or_in_two_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(
            root,
            &[
                "x4/b_HR.png",
                "x4/b_LR.png",
                "x4/a_HR.PNG",
                "notes.txt",
                "x4/c_HR.png",
            ],
        );
        let mut options = EvalOptions {
            data: root.to_owned(),
            ..EvalOptions::default()
        };
        let pair = |name: &str, given: &str| (name.to_owned(), given.to_owned());
        assert_eq!(names(&options), [pair("x4/b", "b_LR.png")]);
        touch(
            root,
            &[
                "hr/1.png",
                "hr/12.png",
                "hr/3.png",
                "lr/12x4.png",
                "lr/1.jpg",
                "lr/3xx.png",
            ],
        );
        options.data = root.join("hr");
        options.input = Some(root.join("lr"));
        assert_eq!(
            names(&options),
            [pair("1", "1.jpg"), pair("12", "12x4.png")]
        );
        options.input = None;
        assert_eq!(pairs(&options).unwrap_err().code(), Code::InvalidRequest);
        options.data = root.join("nowhere");
        assert_eq!(pairs(&options).unwrap_err().code(), Code::Unreadable);
    }

    #[test]
    fn means() {
        let scores = |psnr| Scores {
            psnr_y: psnr,
            ssim_y: 0.5,
            psnr,
            ssim: 1.0,
            lpips: Some(psnr / 100.0),
        };
        assert_eq!(Scores::mean([].into_iter()), None);
        let mean = Scores::mean([scores(20.0), scores(30.0)].into_iter());
        assert_eq!(mean, Some(scores(25.0)));
    }
}
