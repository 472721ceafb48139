//! A folder that any web server can serve as IIIF: manifests, and the pictures as tiles (Image API
//! 3, level 0), originals and derivatives side by side.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fonds_catalog::provenance::{SIDECAR_SUFFIX, Sidecar};
use fonds_catalog::{
    DerivativeRecord, IiifImage, IiifPage, Item, ItemReader, Level, Pyramid, Status, Tile,
    iiif_collection, iiif_info, iiif_manifest, manifest_path, write_file,
};
use fonds_core::{Code, Error, Limits, PixelFormat, Raster, RelPath, Result};
use fonds_image::color::to_srgb;
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, Subsampling, convert, encode};
use fonds_image::ops::{Filter, Resize, Target};

/// How to make the folder.
#[derive(Debug, Clone)]
pub struct IiifOptions {
    /// The archive's root.
    pub archive: PathBuf,
    /// The URL under which the folder will be served, without a final `/`.
    pub base: String,
    /// Side of a tile in pixels, 64 to 4096.
    pub tile: u32,
    /// Quality of the JPEG tiles, 1 to 100.
    pub quality: u8,
    /// How large pictures may be.
    pub limits: Limits,
}

/// What was written.
#[derive(Debug, Default)]
pub struct IiifReport {
    /// Objects with a manifest.
    pub manifests: u64,
    /// Pictures: originals and derivatives, page by page.
    pub pictures: u64,
    /// Files of pixels: tiles, and whole pictures at several sizes.
    pub tiles: u64,
    /// What has no tiles, and why.
    pub failures: Vec<Error>,
}

/// Writes manifests and tiles of an output root into a new folder.
///
/// An object has a manifest when its original was catalogued and can be decoded; one bad picture
/// costs its own canvas and is named in the report. `watch` is told each object before it is begun.
/// Fails when the settings are out of range, the catalog cannot be read, or the folder cannot be
/// written or is not empty.
pub fn write_iiif(
    output: &Path,
    target: &Path,
    options: &IiifOptions,
    mut watch: impl FnMut(&str),
) -> Result<IiifReport> {
    check(options)?;
    let mut items = ItemReader::open(output)?;
    make_empty(target)?;
    let mut site = Site {
        output,
        target,
        options,
        report: IiifReport::default(),
    };
    let mut objects = Vec::new();
    while let Some(item) = items.read()? {
        let record = &item.record;
        let described = !matches!(record.status, Status::Skipped | Status::Cancelled);
        if !described || record.image_width.is_none() && item.pages.is_empty() {
            continue;
        }
        watch(&record.filename);
        if site.object(&item)? {
            objects.push((record.objectid.clone(), record.title.clone()));
        }
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let collection = iiif_collection(&name, &objects, &options.base);
    let text = format!("{collection:#}\n");
    write_file(&target.join("collection.json"), text.as_bytes())?;
    Ok(site.report)
}

struct Site<'a> {
    output: &'a Path,
    target: &'a Path,
    options: &'a IiifOptions,
    report: IiifReport,
}

impl Site<'_> {
    /// Writes an object; `false` when none of its pages could be shown.
    fn object(&mut self, item: &Item) -> Result<bool> {
        let path = inside(&self.options.archive, &item.record.filename)?;
        let pages = match self.pages(item, &path)? {
            pages if pages.is_empty() => return Ok(false),
            pages => pages,
        };
        let statement = self.statement(item);
        let base = &self.options.base;
        let manifest = iiif_manifest(item, &pages, &statement, base, self.options.tile);
        let path = self.target.join(manifest_path(&item.record.objectid));
        write_file(&path, format!("{manifest:#}\n").as_bytes())?;
        self.report.manifests += 1;
        Ok(true)
    }

    /// The pages of an object, with their tiles.
    fn pages(&mut self, item: &Item, path: &Path) -> Result<Vec<IiifPage>> {
        let mut pages = Vec::new();
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report.failures.push(error);
                return Ok(pages);
            }
        };
        let mut document = match Document::open(&bytes, &self.options.limits) {
            Ok(document) => document,
            Err(error) => {
                self.report.failures.push(error.at_path(path));
                return Ok(pages);
            }
        };
        for number in 1..=document.page_count() {
            let raster = match document.decode(number - 1) {
                Ok(page) => page.raster,
                Err(error) => {
                    self.report.failures.push(error.at_path(path));
                    continue;
                }
            };
            let folder = format!("{}/{number}", item.record.objectid);
            let label = BTreeMap::from([("en".to_owned(), "Original".to_owned())]);
            let original = self.picture(format!("{folder}/original"), label, raster)?;
            let mut derivatives = Vec::new();
            let page = (!item.pages.is_empty()).then_some(number);
            for row in item.derivatives.iter().filter(|row| is_of(row, page)) {
                let path = inside(self.output, &row.path)?;
                match self.decoded(&path) {
                    Ok(raster) => {
                        let folder = format!("{folder}/{}", row.output_id);
                        derivatives.push(self.picture(folder, label_of(row), raster)?);
                    }
                    Err(error) => self.report.failures.push(error.at_path(&path)),
                }
            }
            pages.push(IiifPage {
                number,
                original,
                derivatives,
            });
        }
        Ok(pages)
    }

    fn decoded(&self, path: &Path) -> Result<Raster> {
        let bytes = read(path)?;
        let mut document = Document::open(&bytes, &self.options.limits)?;
        Ok(document.decode(0)?.raster)
    }

    /// Writes the tiles of a picture, and what describes them.
    fn picture(
        &mut self,
        path: String,
        label: BTreeMap<String, String>,
        raster: Raster,
    ) -> Result<IiifImage> {
        let image = IiifImage {
            path,
            label,
            width: raster.width(),
            height: raster.height(),
        };
        let folder = self.target.join(&image.path);
        let raster = for_the_web(raster)?;
        let encoding = Encoding::Jpeg {
            quality: self.options.quality,
            subsampling: Subsampling::Full,
            progressive: false,
        };
        let pyramid = Pyramid::new(image.width, image.height, self.options.tile);
        let mut files = 0;
        let mut raster = raster;
        for level in pyramid.levels() {
            raster = reduced(raster, level)?;
            let mut tiles: Vec<Tile> = pyramid.tiles(level).collect();
            let whole = |path: String| Tile {
                path,
                area: [0, 0, level.width, level.height],
            };
            // A level that fits into one tile is asked for as a whole, not by its region.
            tiles.push(whole(level.full_path()));
            if level.factor == 1 {
                tiles.push(whole("full/max/0/default.jpg".to_owned()));
            }
            write_tiles(&folder, &raster, &tiles, encoding)?;
            files += tiles.len() as u64;
        }
        let info = iiif_info(&image, &self.options.base, self.options.tile);
        write_file(&folder.join("info.json"), format!("{info:#}\n").as_bytes())?;
        self.report.pictures += 1;
        self.report.tiles += files;
        Ok(image)
    }

    /// What a viewer must show: the labels of the derivatives, each once, by language.
    fn statement(&self, item: &Item) -> BTreeMap<String, String> {
        let mut statement: BTreeMap<String, String> = BTreeMap::new();
        for row in item.derivatives.iter().filter(|row| is_shown(row)) {
            let path = self.output.join(format!("{}{SIDECAR_SUFFIX}", row.path));
            let sidecar = fs::read_to_string(path).ok();
            let sidecar = sidecar.and_then(|text| Sidecar::from_json(&text).ok());
            for (language, text) in sidecar.into_iter().flat_map(|sidecar| sidecar.label) {
                let said = statement.entry(language).or_default();
                if !said.contains(&text) {
                    if !said.is_empty() {
                        said.push_str(". ");
                    }
                    said.push_str(&text);
                }
            }
        }
        statement
    }
}

fn check(options: &IiifOptions) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::InvalidRequest, message));
    if !(64..=4096).contains(&options.tile) {
        return invalid(format!(
            "tiles of {} pixels are not 64 to 4096",
            options.tile
        ));
    }
    if !(1..=100).contains(&options.quality) {
        return invalid(format!("a quality of {} is not 1 to 100", options.quality));
    }
    let base = &options.base;
    let web = base.starts_with("http://") || base.starts_with("https://");
    if !web || base.ends_with('/') {
        return invalid(format!("`{base}` is not a URL without a final `/`"));
    }
    Ok(())
}

/// Whether a derivative is of this page, and neither one of the small pictures of a web site nor
/// rejected.
fn is_of(row: &DerivativeRecord, page: Option<u32>) -> bool {
    row.page == page && is_shown(row)
}

fn is_shown(row: &DerivativeRecord) -> bool {
    !row.is_for_site() && !row.is_set_aside()
}

fn label_of(row: &DerivativeRecord) -> BTreeMap<String, String> {
    let made_by_network = row.digital_source_type.ends_with("TrainedAlgorithmicMedia");
    let label = if made_by_network {
        format!("{} (changed by a trained network)", row.output_id)
    } else {
        row.output_id.clone()
    };
    BTreeMap::from([("en".to_owned(), label)])
}

/// In sRGB, with 8 bits and no alpha, as every viewer shows it.
pub(crate) fn for_the_web(raster: Raster) -> Result<Raster> {
    // A profile that cannot be used says nothing.
    let raster = match to_srgb(raster.clone()) {
        Err(error) if error.code() == Code::Corrupt => raster.with_icc(None),
        found => found?,
    };
    let format = PixelFormat::new(fonds_core::Depth::U8, raster.format().model, false);
    Ok(convert(raster, format).with_icc(None).with_ppi(None))
}

fn reduced(raster: Raster, level: Level) -> Result<Raster> {
    let resize = Resize {
        to: Target::Exact {
            width: level.width,
            height: level.height,
        },
        filter: Filter::Lanczos3,
        enlarge: false,
    };
    Ok(resize.apply(raster)?.raster)
}

/// Writes tiles on all processors.
fn write_tiles(folder: &Path, raster: &Raster, tiles: &[Tile], encoding: Encoding) -> Result<()> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(tiles.len()))
            .map(|_| {
                scope.spawn(|| {
                    while let Some(tile) = tiles.get(next.fetch_add(1, Ordering::Relaxed)) {
                        write_tile(folder, raster, tile, encoding)?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(Error::new(Code::Panic, "a tile could not be written")))
        })
    })
}

fn write_tile(folder: &Path, raster: &Raster, tile: &Tile, encoding: Encoding) -> Result<()> {
    let part = cut(raster, tile.area);
    let mut bytes = Cursor::new(Vec::new());
    encode(&part, &encoding, &Embedded::default(), &mut bytes)?;
    let path = folder.join(&tile.path);
    let unwritten =
        |error| Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(&path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritten)?;
    }
    fs::write(&path, bytes.into_inner()).map_err(unwritten)
}

/// A part of an 8-bit picture.
fn cut(raster: &Raster, [left, top, width, height]: [u32; 4]) -> Raster {
    let channels = raster.format().channels();
    let samples = raster.as_slice::<u8>().unwrap_or_default();
    let mut part = Vec::with_capacity(width as usize * height as usize * channels);
    for y in top..top + height {
        let start = (y as usize * raster.width() as usize + left as usize) * channels;
        part.extend_from_slice(&samples[start..start + width as usize * channels]);
    }
    raster.with_samples(width, height, part)
}

fn inside(folder: &Path, path: &str) -> Result<PathBuf> {
    let relative = RelPath::new(Path::new(path)).map_err(|error| error.at_path(folder))?;
    Ok(folder.join(relative.to_path()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path))
}

fn make_empty(folder: &Path) -> Result<()> {
    let unwritten = |error| {
        Error::from_io(error, Code::WriteFailed, "the folder cannot be made").at_path(folder)
    };
    fs::create_dir_all(folder).map_err(unwritten)?;
    if fs::read_dir(folder).map_err(unwritten)?.next().is_some() {
        return Err(Error::new(Code::InvalidRequest, "is not empty")
            .at_path(folder)
            .hint("name a new folder"));
    }
    Ok(())
}
