//! The pictures of the report: small ones, original and derivative to be laid on each other, and the
//! difference between them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_catalog::report::{Align, Picture, Shown, ShownVersion, Version};
use fonds_core::{Code, ColorModel, Depth, Digest, Error, Limits, PixelFormat, Raster, Result};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, PngLevel, Subsampling, convert, encode};
use fonds_image::ops::{Filter, Resize, Target};
use fonds_ingest::read_source;

use super::Results;
use crate::iiif::for_the_web;
use crate::run::{Budget, Reservation};

/// The longest sides in pixels.
const THUMB: u32 = 240;
const VIEW: u32 = 1400;
const DIFFERENCE: u32 = 700;
/// Raised when the same sources would give other pictures.
const VERSION: u32 = 1;
/// The endings of pictures, and of differences, which must not be rounded.
const JPEG: &str = "jpg";
const PNG: &str = "png";
/// Hexadecimal digits of a name.
const DIGITS: usize = 20;

/// Makes the pictures of files.
pub(super) struct Maker<'a> {
    pub(super) output: &'a Path,
    /// The folder of the originals, when it is there.
    pub(super) archive: Option<&'a Path>,
    /// Where the pictures go.
    pub(super) folder: PathBuf,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
}

/// Whether a file's name is one of ours, that of a picture which was broken off included.
pub(super) fn is_name(name: &str) -> bool {
    let Some((stem, ending)) = name.split_once('.') else {
        return false;
    };
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let ours = [JPEG, PNG].contains(&ending) || ending.starts_with("part-");
    ours && stem.len() == DIGITS && stem.bytes().all(hex)
}

/// What a picture of the archive needs, by names that follow from what they show.
struct Wanted {
    thumb: Option<String>,
    /// Which version the thumbnail shows; the original without one.
    thumb_of: Option<usize>,
    before: Option<String>,
    versions: Vec<ShownVersion>,
}

impl Maker<'_> {
    /// The pictures of a file's pages; whatever goes wrong is in the result.
    pub(super) fn file(&self, pictures: &[Picture]) -> Results {
        let mut results = Results::default();
        let held = Reservation::new(&self.budget);
        let mut reading = Reading {
            maker: self,
            held: &held,
            bytes: None,
            granted: false,
            need: pictures.iter().map(memory).max().unwrap_or(0),
        };
        for picture in pictures {
            let shown = self.picture(picture, &mut reading, &mut results);
            results.shown.push(shown);
        }
        results
    }

    fn picture(
        &self,
        picture: &Picture,
        reading: &mut Reading<'_>,
        results: &mut Results,
    ) -> Shown {
        let wanted = wanted(picture);
        let thumb = self.lacks(wanted.thumb.as_ref(), JPEG);
        let differences = wanted.versions.iter();
        let differences = differences.map(|version| self.lacks(version.difference.as_ref(), PNG));
        let mut shown = Shown {
            thumb_size: thumb_size(picture, wanted.thumb_of),
            ..Shown::default()
        };
        let mut original = None;
        if self.lacks(wanted.before.as_ref(), JPEG)
            || differences.fold(false, |any, lacks| any | lacks)
            || (thumb && wanted.thumb_of.is_none())
        {
            match reading.original(picture) {
                Ok(raster) => original = Some(raster),
                Err(error) => {
                    shown.problem = Some(error.message().to_owned());
                    // A folder that is not there was named once.
                    if self.archive.is_some() {
                        results.failures.push(error);
                    }
                }
            }
        }
        let original = original.as_ref();
        shown.before = self.put(wanted.before.as_ref(), JPEG, original, results, |view| {
            jpeg(view, 84)
        });
        for (index, names) in wanted.versions.iter().enumerate() {
            let version = &picture.versions[index];
            let of_thumb = thumb && wanted.thumb_of == Some(index);
            let difference = original.is_some() && self.lacks(names.difference.as_ref(), PNG);
            let mut derivative = None;
            if of_thumb || difference || self.lacks(names.after.as_ref(), JPEG) {
                match reading.derivative(version) {
                    Ok(raster) => derivative = Some(raster),
                    Err(error) => results.failures.push(error),
                }
            }
            let derivative = derivative.as_ref();
            let both = original.zip(derivative).zip(version.align);
            shown.versions.push(ShownVersion {
                after: self.put(names.after.as_ref(), JPEG, derivative, results, |view| {
                    jpeg(view, 84)
                }),
                difference: self.put(
                    names.difference.as_ref(),
                    PNG,
                    both,
                    results,
                    |((before, after), align)| png(&difference_of(before, after, align)?),
                ),
            });
            if wanted.thumb_of == Some(index) {
                shown.thumb = self.put(wanted.thumb.as_ref(), JPEG, derivative, results, small);
            }
        }
        if wanted.thumb_of.is_none() {
            shown.thumb = self.put(wanted.thumb.as_ref(), JPEG, original, results, small);
        }
        if shown.before.is_some() {
            shown.problem = None;
        }
        shown
    }

    /// Whether a picture is wanted and not there.
    fn lacks(&self, name: Option<&String>, ending: &str) -> bool {
        name.is_some_and(|name| !self.has(name, ending))
    }

    /// A picture that is there, or is made now of what it is made of; `None` when there is neither.
    fn put<T>(
        &self,
        name: Option<&String>,
        ending: &str,
        of: Option<T>,
        results: &mut Results,
        make: impl Fn(T) -> Result<Vec<u8>>,
    ) -> Option<String> {
        let name = name?;
        if self.has(name, ending) {
            results.reused += 1;
            return Some(name.clone());
        }
        match make(of?).and_then(|bytes| self.write(name, ending, &bytes)) {
            Ok(()) => {
                results.made += 1;
                Some(name.clone())
            }
            Err(error) => {
                results.failures.push(error);
                None
            }
        }
    }

    fn place(&self, name: &str, ending: &str) -> PathBuf {
        self.folder
            .join(&name[..2])
            .join(format!("{name}.{ending}"))
    }

    /// Whether a picture is there; one that a power cut left empty is not.
    fn has(&self, name: &str, ending: &str) -> bool {
        fs::metadata(self.place(name, ending)).is_ok_and(|file| file.is_file() && file.len() > 0)
    }

    fn write(&self, name: &str, ending: &str, bytes: &[u8]) -> Result<()> {
        let path = self.place(name, ending);
        let unwritten =
            |error| Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(&path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(unwritten)?;
        }
        // Equal pictures of several files have one name; each worker has its own until then.
        let thread = format!("{:?}", std::thread::current().id());
        let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
        let temporary = path.with_extension(format!("part-{}-{thread}", std::process::id()));
        fs::write(&temporary, bytes).map_err(unwritten)?;
        fs::rename(&temporary, &path).map_err(unwritten)
    }
}

/// Reads a file once for all its pages, when the first of them needs it.
struct Reading<'a> {
    maker: &'a Maker<'a>,
    held: &'a Reservation,
    bytes: Option<Result<Vec<u8>>>,
    granted: bool,
    need: u64,
}

impl Reading<'_> {
    /// The original of a picture, at most [`VIEW`] pixels, as every browser shows it.
    fn original(&mut self, picture: &Picture) -> Result<Raster> {
        let Some(archive) = self.maker.archive else {
            let message = "the folder of the originals is not there";
            return Err(Error::new(Code::Unreadable, message));
        };
        let path = picture.source_in(archive)?;
        let limits = self.maker.limits;
        if self.bytes.is_none() {
            self.held.for_file(picture.record.file_size.unwrap_or(0));
            self.grant();
            self.bytes = Some(read(&path, &limits, picture.sha256));
        }
        let bytes = match self.bytes.as_ref() {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                let again = Error::new(error.code(), error.message().to_owned()).at_path(&path);
                return Err(error
                    .hints()
                    .iter()
                    .fold(again, |error, hint| error.hint(hint.clone())));
            }
            None => return Err(Error::new(Code::Internal, "was not read").at_path(&path)),
        };
        decoded(bytes, picture.page - 1, &limits).map_err(|error| error.at_path(&path))
    }

    fn derivative(&mut self, version: &Version) -> Result<Raster> {
        self.grant();
        let path = version.place_in(self.maker.output)?;
        let read = read(&path, &self.maker.limits, version.row.sha256);
        read.and_then(|bytes| decoded(&bytes, 0, &self.maker.limits))
            .map_err(|error| error.at_path(&path))
    }

    /// Waits for room; what is asked for is enough for all that is done with the file.
    fn grant(&mut self) {
        if !self.granted {
            self.held.for_pixels(self.need);
            self.granted = true;
        }
    }
}

/// What a page and its derivatives take at most while one after the other is decoded and made small.
fn memory(picture: &Picture) -> u64 {
    let record = &picture.record;
    let size = |width: Option<u32>, height: Option<u32>| {
        u64::from(width.unwrap_or(0)) * u64::from(height.unwrap_or(0))
    };
    let samples = u64::from(record.samples_per_pixel.unwrap_or(3).clamp(1, 4));
    let bytes = samples * u64::from(record.bits_per_sample.unwrap_or(8).div_ceil(8).clamp(1, 4));
    let original = size(record.image_width, record.image_height) * bytes;
    let versions = picture.versions.iter().map(|version| &version.row);
    let derivatives = versions.map(|row| size(row.width, row.height) * bytes);
    // The file as it is decoded, its copy in sRGB, and the views.
    original.max(derivatives.max().unwrap_or(0)) * 3 + (64 << 20)
}

/// The bytes of a file, when they are those on record.
fn read(path: &Path, limits: &Limits, expected: Option<Digest>) -> Result<Vec<u8>> {
    let source = read_source(path, limits)?;
    let found = source.fingerprint.digest;
    match expected {
        Some(expected) if expected != found => {
            let message = format!(
                "has changed since the run: its digest is {}…, not {}…",
                found.prefix(12),
                expected.prefix(12)
            );
            Err(Error::new(Code::ChecksumMismatch, message)
                .at_path(path)
                .hint("run the pipeline again, then make the report anew"))
        }
        _ => Ok(source.bytes),
    }
}

fn decoded(bytes: &[u8], page: u32, limits: &Limits) -> Result<Raster> {
    let mut document = Document::open(bytes, limits)?;
    let raster = document.decode(page)?.raster;
    for_the_web(fitted(raster, VIEW)?)
}

/// A picture of at most this many pixels on its longer side.
fn fitted(raster: Raster, longest: u32) -> Result<Raster> {
    let (width, height) = fit(raster.width(), raster.height(), longest);
    let resize = Resize {
        to: Target::Exact { width, height },
        filter: Filter::Lanczos3,
        enlarge: false,
    };
    Ok(resize.apply(raster)?.raster)
}

fn fit(width: u32, height: u32, longest: u32) -> (u32, u32) {
    let scale = f64::from(longest) / f64::from(width.max(height).max(1));
    if scale >= 1.0 {
        return (width.max(1), height.max(1));
    }
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    (side(width), side(height))
}

fn thumb_size(picture: &Picture, of: Option<usize>) -> (u16, u16) {
    let record = &picture.record;
    let size = match of {
        Some(index) => {
            let row = &picture.versions[index].row;
            row.width.zip(row.height)
        }
        None => record.image_width.zip(record.image_height),
    };
    let (width, height) = size.unwrap_or((1, 1));
    // The thumbnail is made from the view, whose sides are rounded once before.
    let (width, height) = fit(width, height, VIEW);
    let (width, height) = fit(width, height, THUMB);
    (width as u16, height as u16)
}

/// What a picture should have, by names made of all that it depends on.
fn wanted(picture: &Picture) -> Wanted {
    let name = |text: String| Digest::of(format!("{text} {VERSION}").as_bytes()).prefix(DIGITS);
    let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
    let original = picture.is_shown().then_some(picture.sha256).flatten();
    let original = digest(original).map(|digest| format!("{digest}/{}", picture.page));
    let versions = picture.versions.iter().map(|version| {
        let of = digest(version.row.sha256);
        let align = version.align.filter(|_| !version.is_mask());
        let difference = original.as_ref().zip(of.as_ref()).zip(align);
        ShownVersion {
            after: of.as_ref().map(|of| name(format!("view {of}"))),
            difference: difference.map(|((original, of), align)| {
                name(format!("difference {original} {of} {:?}", align.0))
            }),
        }
    });
    let first = picture
        .versions
        .iter()
        .position(|version| !version.is_mask() && version.row.sha256.is_some());
    let thumb = match first {
        Some(index) => digest(picture.versions[index].row.sha256),
        None => original.clone(),
    };
    Wanted {
        thumb: thumb.map(|of| name(format!("thumb {of}"))),
        thumb_of: first,
        before: original.as_ref().map(|of| name(format!("view {of}"))),
        versions: versions.collect(),
    }
}

fn small(view: &Raster) -> Result<Vec<u8>> {
    jpeg(&fitted(view.clone(), THUMB)?, 78)
}

fn jpeg(raster: &Raster, quality: u8) -> Result<Vec<u8>> {
    let encoding = Encoding::Jpeg {
        quality,
        subsampling: Subsampling::Full,
        progressive: false,
    };
    encoded(raster, encoding)
}

fn png(raster: &Raster) -> Result<Vec<u8>> {
    let level = PngLevel::Default;
    encoded(raster, Encoding::Png { level })
}

fn encoded(raster: &Raster, encoding: Encoding) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    encode(raster, &encoding, &Embedded::default(), &mut bytes)?;
    Ok(bytes.into_inner())
}

/// The greatest difference of a colour channel at each place of the derivative, 0 to 255; 0 where the
/// original has nothing.
fn difference_of(before: &Raster, after: &Raster, align: Align) -> Result<Raster> {
    let rgb = PixelFormat::new(Depth::U8, ColorModel::Rgb, false);
    let before = convert(before.clone(), rgb);
    let after = convert(fitted(after.clone(), DIFFERENCE)?, rgb);
    let (width, height) = (after.width(), after.height());
    // Both at the same scale, so that neither is sharper for being larger.
    let before = if align == Align::SAME {
        resized(before, width, height)?
    } else {
        before
    };
    let (Some(a), Some(b)) = (before.as_slice::<u8>(), after.as_slice::<u8>()) else {
        return Err(Error::new(
            Code::Internal,
            "pictures of the report have 8 bits",
        ));
    };
    let taps = Taps {
        samples: a,
        width: before.width() as usize,
        height: before.height() as usize,
    };
    let mut out = Vec::with_capacity(after.pixels());
    for (y, row) in b.chunks_exact(width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let across = (x as f64 + 0.5) / f64::from(width);
            let down = (y as f64 + 0.5) / f64::from(height);
            let (u, v) = align.source(across, down);
            let found = taps.at(u, v);
            let far = |found: [f64; 3]| {
                let channels = found.iter().zip(pixel);
                let far = channels.map(|(a, b)| (a - f64::from(*b)).abs());
                far.fold(0.0, f64::max).round() as u8
            };
            out.push(found.map_or(0, far));
        }
    }
    let gray = PixelFormat::new(Depth::U8, ColorModel::Gray, false);
    Ok(Raster::new(1, 1, gray).with_samples(width, height, out))
}

fn resized(raster: Raster, width: u32, height: u32) -> Result<Raster> {
    let resize = Resize {
        to: Target::Exact { width, height },
        filter: Filter::Lanczos3,
        enlarge: true,
    };
    Ok(resize.apply(raster)?.raster)
}

/// An RGB picture that is asked between its pixels.
struct Taps<'a> {
    samples: &'a [u8],
    width: usize,
    height: usize,
}

impl Taps<'_> {
    /// The colour at a place given as shares of width and height, `None` outside.
    fn at(&self, u: f64, v: f64) -> Option<[f64; 3]> {
        if !(0.0..=1.0).contains(&u) || !(0.0..=1.0).contains(&v) {
            return None;
        }
        let place = |share: f64, side: usize| {
            let place = (share * side as f64 - 0.5).clamp(0.0, (side - 1) as f64);
            let low = place.floor();
            (low as usize, (low as usize + 1).min(side - 1), place - low)
        };
        let (left, right, across) = place(u, self.width);
        let (top, bottom, down) = place(v, self.height);
        let sample = |x: usize, y: usize, channel: usize| {
            f64::from(self.samples[(y * self.width + x) * 3 + channel])
        };
        Some(std::array::from_fn(|channel| {
            let mix =
                |y| sample(left, y, channel) * (1.0 - across) + sample(right, y, channel) * across;
            mix(top) * (1.0 - down) + mix(bottom) * down
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
        let rgb = PixelFormat::new(Depth::U8, ColorModel::Rgb, false);
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let samples: Vec<u8> = places.flat_map(|(x, y)| color(x, y)).collect();
        Raster::new(1, 1, rgb).with_samples(width, height, samples)
    }

    #[test]
    fn equal_pictures_differ_nowhere_and_changed_ones_where_they_were_changed() {
        let before = raster(40, 30, |x, y| [(x * 5) as u8, (y * 7) as u8, 9]);
        let same = difference_of(&before, &before, Align::SAME).unwrap();
        assert!(
            same.as_slice::<u8>()
                .unwrap()
                .iter()
                .all(|value| *value == 0)
        );
        let after = raster(40, 30, |x, y| {
            let blue = if (x, y) == (7, 3) { 209 } else { 9 };
            [(x * 5) as u8, (y * 7) as u8, blue]
        });
        let found = difference_of(&before, &after, Align::SAME).unwrap();
        let values = found.as_slice::<u8>().unwrap();
        assert_eq!(values[3 * 40 + 7], 200);
        assert_eq!(
            values.iter().map(|value| u32::from(*value)).sum::<u32>(),
            200
        );
    }

    #[test]
    fn a_crop_is_compared_in_its_place() {
        let color = |x: u32, y: u32| [(x * 3) as u8, (y * 4) as u8, (x + y) as u8];
        let before = raster(60, 40, color);
        let after = raster(30, 20, |x, y| color(x + 12, y + 8));
        let align = Align([0.5, 0.0, 0.0, 0.5, 12.0 / 60.0, 8.0 / 40.0]);
        let found = difference_of(&before, &after, align).unwrap();
        let most = found.as_slice::<u8>().unwrap().iter().max().unwrap();
        assert!(*most <= 1, "{most}");
    }

    #[test]
    fn sizes_and_names() {
        assert_eq!(fit(3000, 1500, 240), (240, 120));
        assert_eq!(fit(100, 50, 240), (100, 50));
        assert_eq!(fit(100_000, 1, 240), (240, 1));
        assert!(is_name("0123456789abcdef0123.jpg"));
        assert!(is_name("0123456789abcdef0123.part-12-3"));
        assert!(!is_name("0123456789abcdef0123.js") && !is_name("photo.jpg"));
    }
}
