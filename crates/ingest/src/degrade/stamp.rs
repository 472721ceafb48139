//! Damage from pictures of damage: a folder of stamps whose alpha says what they cover.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fonds_core::{Code, Error, Limits, Result, with_samples};
use fonds_image::decode::Document;

use super::canvas::{Canvas, number};
use super::layer::Layer;
use super::{Damage, Problems, polygons, shade, stronger};
use crate::draw::Draw;
use crate::planes::Planes;
use crate::resample::{Area, Kernel, resample};
use crate::select::{PICTURES, Selection, WalkOptions};
use crate::source::read_source;
use crate::walk::{Fate, walk};

/// Stamps, turned, scaled and laid anywhere.
///
/// The pictures of the folder, and of the folders in it, are read when the first of them is used.
/// Of a stamp only its alpha counts, and of one without alpha its luma. A JSON file holds outlines
/// of damage, each of which is a stamp (see `polygons.rs`).
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The folder.
    pub folder: PathBuf,
    /// Globs of which a stamp's path must match one; none means all pictures and JSON files.
    pub include: Vec<String>,
    /// How many.
    pub count: (f32, f32),
    /// How large a pixel of a stamp becomes, in units.
    pub scale: (f32, f32),
    /// How often they are light: 0 to 1.
    pub light: f32,
    /// How much they hide: 0 to 1.
    pub cover: (f32, f32),
    loaded: Loaded,
}

/// The covers of the stamps, read once and shared by clones.
type Loaded = Arc<OnceLock<std::result::Result<Vec<Planes>, (Code, String)>>>;

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        let key = |stamp: &Self| {
            (
                stamp.folder.clone(),
                stamp.include.clone(),
                stamp.count,
                stamp.scale,
                stamp.light,
                stamp.cover,
            )
        };
        key(self) == key(other)
    }
}

impl Stamp {
    /// Stamps of a folder, one to six, in their own size.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            include: Vec::new(),
            count: (1.0, 6.0),
            scale: (0.3, 1.2),
            light: 0.6,
            cover: (0.5, 1.0),
            loaded: Arc::default(),
        }
    }

    /// Reads the stamps.
    pub(super) fn prepare(&self) -> Result<()> {
        self.stamps().map(|_| ())
    }

    fn stamps(&self) -> Result<&[Planes]> {
        let loaded = self.loaded.get_or_init(|| {
            load(&self.folder, &self.include).map_err(|error| (error.code(), error.detail()))
        });
        match loaded {
            Ok(stamps) => Ok(stamps),
            Err((code, message)) => Err(Error::new(*code, message.clone()).at_path(&self.folder)),
        }
    }
}

impl Damage for Stamp {
    const NAME: &'static str = "stamp";

    fn check(&self, problems: &mut Problems) {
        if self.folder.as_os_str().is_empty() {
            problems.add("folder", "the folder of the stamps is missing");
        }
        problems.range("count", self.count, 0.0, 1000.0);
        problems.range("scale", self.scale, 0.02, 20.0);
        problems.number("light", self.light, 0.0, 1.0);
        problems.range("cover", self.cover, 0.0, 1.0);
    }

    fn strengthen(&mut self, by: f32) {
        self.count = stronger(self.count, by, 1000.0);
    }

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> Result<()> {
        let stamps = self.stamps()?;
        let count = draw.count(self.count);
        let light = draw.chance(self.light);
        let mut layer = Layer::new(canvas.size());
        for _ in 0..count {
            let stamp = &stamps[draw.below(stamps.len())];
            let scale = draw.range(self.scale) * canvas.unit;
            lay(&mut layer, stamp, scale, draw.range(self.cover), draw);
        }
        layer.paint(canvas, shade(light, draw));
        canvas.note(
            Self::NAME,
            vec![
                ("count", number(count as f32)),
                ("light", number(f32::from(u8::from(light)))),
            ],
        );
        Ok(())
    }
}

/// Lays a stamp anywhere, so that at least a part of it is on the picture, turned and maybe
/// mirrored.
fn lay(layer: &mut Layer, stamp: &Planes, scale: f32, cover: f32, draw: &mut Draw) {
    let angle = draw.angle();
    let mirror = if draw.chance(0.5) { -1.0 } else { 1.0 };
    let (sin, cos) = angle.sin_cos();
    let (width, height) = (layer.cover.width, layer.cover.height);
    let place = (draw.unit() * width as f32, draw.unit() * height as f32);
    let size = (scaled(stamp.width, scale), scaled(stamp.height, scale));
    // Made smaller first, so that fine lines do not break up.
    let small = if scale < 1.0 {
        resample(stamp, Area::whole(stamp), size, Kernel::Bilinear, true)
    } else {
        stamp.clone()
    };
    let zoom = scale.max(1.0);
    let half = ((small.width as f32 / 2.0), (small.height as f32 / 2.0));
    let reach = half.0.hypot(half.1) * zoom;
    let span = |center: f32, len: usize| {
        let from = (center - reach).floor().clamp(0.0, len as f32) as usize;
        let to = (center + reach).ceil().clamp(0.0, len as f32) as usize;
        from..to
    };
    for y in span(place.1, height) {
        for x in span(place.0, width) {
            let (dx, dy) = ((x as f32 - place.0) / zoom, (y as f32 - place.1) / zoom);
            let u = mirror * (dx * cos + dy * sin) + half.0 - 0.5;
            let v = dy * cos - dx * sin + half.1 - 0.5;
            let out = &mut layer.cover.values[y * width + x];
            *out = out.max(cover * sample(&small, u, v));
        }
    }
}

fn scaled(length: usize, scale: f32) -> usize {
    ((length as f32 * scale).round() as usize).max(1)
}

/// Bilinear, 0 outside.
fn sample(plane: &Planes, x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < plane.width as f32 && y < plane.height as f32;
        if inside {
            plane.values[y as usize * plane.width + x as usize]
        } else {
            0.0
        }
    };
    let row = |y: f32| at(fx, y) + (x - fx) * (at(fx + 1.0, y) - at(fx, y));
    row(fy) + (y - fy) * (row(fy + 1.0) - row(fy))
}

/// The covers of all stamps, in the order of their paths.
fn load(folder: &Path, include: &[String]) -> Result<Vec<Planes>> {
    let include = match include {
        [] => vec![PICTURES.to_owned(), "**/*.json".to_owned()],
        globs => globs.to_vec(),
    };
    let selection = Selection::new(&WalkOptions {
        include,
        ..WalkOptions::default()
    })?;
    let mut stamps = Vec::new();
    for found in walk(folder, &selection)?.files {
        if matches!(found.fate, Fate::Selected) {
            let path = found.on_disk(folder);
            stamps.extend(read(&path).map_err(|error| error.at_path(&path))?);
        }
    }
    if stamps.is_empty() {
        let error = Error::new(Code::InvalidRequest, "there are no stamps in the folder");
        return Err(error.hint("a stamp is a picture with alpha, or an outline in a JSON file"));
    }
    Ok(stamps)
}

fn read(path: &Path) -> Result<Vec<Planes>> {
    let source = read_source(path, &Limits::DEFAULT)?;
    if path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"))
    {
        return polygons::read(&source.bytes);
    }
    let raster = Document::open(&source.bytes, &Limits::DEFAULT)?
        .decode(0)?
        .raster;
    if !raster.format().alpha {
        return Ok(vec![Planes::from_raster(raster, 1)?]);
    }
    let channels = raster.format().channels();
    let alpha = with_samples!(raster.samples(), samples => {
        let alpha = samples.iter().skip(channels - 1).step_by(channels);
        alpha.map(|&sample| fonds_core::Sample::to_unit(sample)).collect::<Vec<f32>>()
    });
    Ok(vec![Planes {
        channels: 1,
        height: raster.height() as usize,
        width: raster.width() as usize,
        values: alpha,
    }])
}
