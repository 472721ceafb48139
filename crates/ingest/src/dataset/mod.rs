//! Data sets for training: pictures found, cut to samples, and handed out in an order that a seed
//! decides.

mod cache;
mod celeba;
mod folder;
mod loader;
mod manifest;
mod options;
mod order;
mod pair;
mod picture;
mod window;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fonds_core::{Code, Digest, Error, Hasher, Result, Seed};
use rayon::prelude::*;

use crate::draw::Draw;
use crate::planes::Planes;

use cache::Cache;
pub use loader::Loader;
pub use options::{Fit, Options, Unequal};
use picture::Picture;
use window::Windows;

/// Where the pictures of a data set come from. Folders are searched with all that lies below them.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// All pictures of a folder.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder whose folders are classes; the name of the folder directly below `path` is the
    /// class, classes are numbered in the order of their names.
    ClassFolders {
        /// The folder with the folders.
        path: PathBuf,
    },
    /// Two folders of which no picture belongs to another; a sample has one picture of each.
    Unpaired {
        /// The one kind.
        a: PathBuf,
        /// The other kind.
        b: PathBuf,
    },
    /// Two folders in which pictures of one name, whatever their extensions, belong together.
    Paired {
        /// The sources.
        a: PathBuf,
        /// The targets.
        b: PathBuf,
    },
    /// Files that hold both pictures of a pair side by side, as pix2pix has them.
    SideBySide {
        /// The folder.
        path: PathBuf,
        /// Whether the left half is the source.
        source_first: bool,
    },
    /// The layout of `CelebA`: pictures in `img_align_celeba`, `list_attr_celeba.txt` beside it (or
    /// in `Anno`, or as `.csv`), and, where it is there, `list_eval_partition.txt`, which then says
    /// in place of [`Options::holdout`] what is held out: all but its part 0.
    Celeba {
        /// The folder that holds them.
        path: PathBuf,
        /// The attributes that become labels, in this order; none means all.
        attributes: Vec<String>,
    },
    /// A table with a column of paths: a catalog, or any CSV file with a header.
    Manifest {
        /// The CSV file.
        catalog: PathBuf,
        /// The column of the paths.
        path_column: String,
        /// The column of the classes, which are numbered in the order of their names.
        label_column: Option<String>,
        /// What the paths are relative to; the folder of the CSV file unless given.
        root: Option<PathBuf>,
    },
}

/// What is known of a picture beside its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// The number of its class in [`Dataset::classes`].
    Class(usize),
    /// Whether it has each attribute of [`Dataset::classes`].
    Attributes(Vec<bool>),
}

/// One sample: a picture, or a source and its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// One picture, or two: source and target, of kind a and of kind b, degraded and clean. With
    /// [`Options::mask`] the mask of the damage is the third.
    pub pictures: Vec<Planes>,
    /// Its class or attributes, where the data set has them.
    pub label: Option<Label>,
    /// The path of its file relative to the data set; of unpaired pictures both, joined by ` + `.
    pub name: String,
}

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path relative to the data set.
    pub name: String,
    /// The reason, on one line.
    pub why: String,
}

/// Pictures for training, or the part of them that was held out.
///
/// Of a file with several pages the first page is taken. Colour is brought to sRGB by the embedded
/// profile; alpha is laid on white. A file that cannot be used is left out, and listed.
#[derive(Debug, Clone)]
pub struct Dataset {
    shared: Arc<Shared>,
    /// For each side (two of unpaired sources, otherwise one) the entries of this view.
    views: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    kind: Kind,
    sides: Vec<Vec<Entry>>,
    classes: Vec<String>,
    skipped: Vec<Skipped>,
    /// What turned out to be unusable when its turn came, by side and entry.
    failed: Mutex<BTreeMap<(usize, usize), Skipped>>,
    digest: OnceLock<String>,
}

/// How the pictures of a sample come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Unpaired,
    /// Two files in an entry.
    Paired,
    /// Two halves of the file of an entry.
    Halves {
        source_first: bool,
    },
}

/// One picture, or one pair of files.
#[derive(Debug)]
struct Entry {
    name: String,
    files: Vec<PathBuf>,
    label: Option<Label>,
    /// Whether a list says that it is held out.
    held_out: Option<bool>,
}

/// What a source lists.
#[derive(Debug, Default)]
struct Listing {
    sides: Vec<Vec<Entry>>,
    classes: Vec<String>,
    skipped: Vec<Skipped>,
}

impl Dataset {
    /// Finds the pictures; what is returned is the part that is not held out.
    ///
    /// No pixel is decoded; of pairs the headers are read. Fails with [`Code::InvalidRequest`] when
    /// an option makes no sense or nothing is found, [`Code::Unreadable`] when a folder or a list
    /// cannot be read, and [`Code::Corrupt`] when pairs do not match (unless
    /// [`Options::unequal`] says to skip them) or a list is no such list.
    pub fn open(source: &Source, options: &Options) -> Result<Self> {
        options.validate(source)?;
        let (kind, mut listing) = list(source, options)?;
        if let Some(limit) = options.limit {
            for side in &mut listing.sides {
                keep_some(side, limit);
            }
        }
        listing.skipped.sort();
        let shared = Shared {
            options: options.clone(),
            kind,
            sides: listing.sides,
            classes: listing.classes,
            skipped: listing.skipped,
            failed: Mutex::default(),
            digest: OnceLock::new(),
        };
        let found = Self::view(Arc::new(shared), false);
        if found.views.iter().any(Vec::is_empty) {
            return Err(found.nothing(source));
        }
        Ok(found)
    }

    /// The pictures that were held out, as a data set of its own; it may be empty.
    #[must_use]
    pub fn held_out(&self) -> Self {
        Self::view(Arc::clone(&self.shared), true)
    }

    fn view(shared: Arc<Shared>, held_out: bool) -> Self {
        let share = shared.options.holdout;
        let views = shared.sides.iter().map(|side| {
            let is = |entry: &Entry| entry.held_out.unwrap_or_else(|| is_held_out(entry, share));
            let wanted = |&i: &usize| is(&side[i]) == held_out;
            (0..side.len()).filter(wanted).collect()
        });
        let views = views.collect();
        Self { shared, views }
    }

    /// Samples; of unpaired sources the pictures of the larger side.
    pub fn len(&self) -> usize {
        self.views.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.views.iter().any(Vec::is_empty)
    }

    /// Samples that make an epoch: [`Dataset::len`], times [`Options::patches`].
    pub fn epoch_len(&self) -> usize {
        self.len() * self.shared.options.patches.unwrap_or(1)
    }

    /// The names of the classes, or of the attributes; empty where there are no labels.
    pub fn classes(&self) -> &[String] {
        &self.shared.classes
    }

    /// Pictures in a sample: 1 to 3.
    pub fn pictures(&self) -> usize {
        let options = &self.shared.options;
        let two = self.shared.kind != Kind::Single || options.degrade.is_some();
        1 + usize::from(two) + usize::from(options.mask)
    }

    /// The name of a sample's file; of unpaired sources that of its first picture.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    pub fn name(&self, index: usize) -> &str {
        assert!(
            index < self.len(),
            "a data set of {} has no {index}",
            self.len()
        );
        let view = &self.views[0];
        &self.shared.sides[0][view[index % view.len()]].name
    }

    /// SHA-256, in hexadecimal digits, over all pictures, held out or not: their names, labels,
    /// sizes in bytes, and the first, the middle and the last 4 KiB of each file. Neither times nor
    /// places matter, so a copy on another machine has the same digest, and a data set of many
    /// gigabytes has one within seconds; a change of a few pixels in the midst of a file can go
    /// unnoticed. Options do not count.
    pub fn digest(&self) -> String {
        let digest = || {
            let pieces: Vec<Digest> = self
                .shared
                .sides
                .par_iter()
                .enumerate()
                .flat_map(|(side, entries)| entries.par_iter().map(move |entry| entry.digest(side)))
                .collect();
            let mut hasher = Hasher::new();
            for piece in &pieces {
                hasher.update(piece.as_bytes());
            }
            hasher.finish().to_string()
        };
        self.shared.digest.get_or_init(digest).clone()
    }

    /// What was left out so far: on opening, and by samples that turned out to be unusable.
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut all = self.shared.skipped.clone();
        all.extend(self.shared.failures().values().cloned());
        all.sort();
        all
    }

    /// One sample, the same for the same seed: cut, mirrored and degraded as the options say.
    ///
    /// Of unpaired sources both sides count from their beginnings again when they end. Fails as
    /// reading and decoding do, with the file as the place.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`].
    pub fn sample(&self, index: usize, draw_seed: u64) -> Result<Sample> {
        assert!(
            index < self.len(),
            "a data set of {} has no {index}",
            self.len()
        );
        let entries = self
            .views
            .iter()
            .map(|view| view[index % view.len().max(1)]);
        let entries: Vec<usize> = entries.collect();
        let pictures = entries
            .iter()
            .enumerate()
            .map(|(side, &entry)| self.shared.pictures(side, entry, None));
        let pictures: Vec<Arc<Vec<Picture>>> = pictures.collect::<Result<_>>()?;
        self.shared
            .assemble(&entries, &pictures, Seed::new(draw_seed))
    }

    fn nothing(&self, source: &Source) -> Error {
        let held = self.held_out().len();
        let skipped = &self.shared.skipped;
        let message = match (held, skipped.first()) {
            (0, None) => "there are no pictures for the data set".to_owned(),
            (0, Some(first)) => format!(
                "there are no pictures for the data set ({} were left out, the first, `{}`, \
                 because {})",
                skipped.len(),
                first.name,
                first.why
            ),
            (held, _) => format!("all {held} pictures of the data set are held out"),
        };
        Error::new(Code::InvalidRequest, message)
            .at_path(source.path())
            .hint("look at the folder, at `include`, and at `holdout`")
    }
}

impl Source {
    /// The folder or the file that the source is found at.
    fn path(&self) -> &Path {
        match self {
            Self::Folder { path }
            | Self::ClassFolders { path }
            | Self::Unpaired { a: path, .. }
            | Self::Paired { a: path, .. }
            | Self::SideBySide { path, .. }
            | Self::Celeba { path, .. }
            | Self::Manifest { catalog: path, .. } => path,
        }
    }
}

fn list(source: &Source, options: &Options) -> Result<(Kind, Listing)> {
    Ok(match source {
        Source::Folder { path } => (Kind::Single, folder::list(path, options)?),
        Source::ClassFolders { path } => (Kind::Single, folder::classes(path, options)?),
        Source::Unpaired { a, b } => (Kind::Unpaired, folder::unpaired(a, b, options)?),
        Source::Paired { a, b } => (Kind::Paired, pair::list(a, b, options)?),
        Source::SideBySide { path, source_first } => {
            let source_first = *source_first;
            (Kind::Halves { source_first }, folder::list(path, options)?)
        }
        Source::Celeba { path, attributes } => {
            (Kind::Single, celeba::list(path, attributes, options)?)
        }
        Source::Manifest {
            catalog,
            path_column,
            label_column,
            root,
        } => {
            let root = root.as_deref();
            let columns = (path_column.as_str(), label_column.as_deref());
            (
                Kind::Single,
                manifest::list(catalog, columns, root, options)?,
            )
        }
    })
}

/// A share of the names, the same whatever else there is: pictures that come or go later do not
/// move others to the other side.
fn is_held_out(entry: &Entry, share: f64) -> bool {
    let hash = Digest::of(format!("holdout {}", entry.name).as_bytes()).to_u64();
    (hash as f64) < share * 2.0_f64.powi(64)
}

/// Keeps `limit` entries, chosen by the hashes of their names.
fn keep_some(entries: &mut Vec<Entry>, limit: usize) {
    if entries.len() <= limit {
        return;
    }
    entries.sort_by_cached_key(|entry| {
        (
            Digest::of(format!("limit {}", entry.name).as_bytes()).to_u64(),
            entry.name.clone(),
        )
    });
    entries.truncate(limit);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
}

impl Entry {
    fn digest(&self, side: usize) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(format!("{side} {} {:?}\0", self.name, self.label).as_bytes());
        for file in &self.files {
            match pieces(file) {
                Ok((size, bytes)) => {
                    hasher.update(&size.to_be_bytes());
                    hasher.update(&bytes);
                }
                Err(_) => hasher.update(b"unreadable"),
            }
        }
        hasher.finish()
    }
}

/// The size of a file, and its first, middle and last 4 KiB.
fn pieces(path: &Path) -> std::io::Result<(u64, Vec<u8>)> {
    const PIECE: u64 = 4096;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(3 * PIECE as usize);
    for start in [
        0,
        size.saturating_sub(PIECE) / 2,
        size.saturating_sub(PIECE),
    ] {
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(PIECE).read_to_end(&mut bytes)?;
    }
    Ok((size, bytes))
}

impl Shared {
    fn failures(&self) -> std::sync::MutexGuard<'_, BTreeMap<(usize, usize), Skipped>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, side: usize, entry: usize, error: &Error) {
        let name = self.sides[side][entry].name.clone();
        let why = error.detail();
        self.failures().insert((side, entry), Skipped { name, why });
    }

    /// A sample of these entries, one a side, with their pictures.
    fn assemble(
        &self,
        entries: &[usize],
        pictures: &[Arc<Vec<Picture>>],
        seed: Seed,
    ) -> Result<Sample> {
        let names = entries
            .iter()
            .enumerate()
            .map(|(side, &i)| self.sides[side][i].name.as_str());
        let name = names.collect::<Vec<_>>().join(" + ");
        let pictures = self
            .cut(pictures, seed)
            .map_err(|error| error.at_path(&name))?;
        Ok(Sample {
            pictures,
            label: self.sides[0][entries[0]].label.clone(),
            name,
        })
    }

    /// The decoded pictures of an entry.
    fn pictures(
        &self,
        side: usize,
        index: usize,
        cache: Option<&Cache>,
    ) -> Result<Arc<Vec<Picture>>> {
        if let Some(found) = cache.and_then(|cache| cache.get((side, index))) {
            return Ok(found);
        }
        let entry = &self.sides[side][index];
        let read = || -> Result<Vec<Picture>> {
            let halves = match self.kind {
                Kind::Halves { source_first } => Some(source_first),
                _ => None,
            };
            let read = picture::read(&entry.files, halves, &self.options)?;
            pair::check_sizes(&read, &self.options)?;
            let windows = Windows::new(&self.options);
            windows.check(&read)?;
            Ok(windows.prepare(read))
        };
        let read = Arc::new(read().map_err(|error| error.at_path(&entry.files[0]))?);
        if let Some(cache) = cache {
            cache.put((side, index), &read);
        }
        Ok(read)
    }

    fn cut(&self, pictures: &[Arc<Vec<Picture>>], seed: Seed) -> Result<Vec<Planes>> {
        let windows = Windows::new(&self.options);
        let mut cut = Vec::with_capacity(2);
        for (side, pictures) in pictures.iter().enumerate() {
            let mut draw = Draw::new(seed.derive(["side a", "side b"][side]));
            cut.extend(windows.cut(pictures, &mut draw));
        }
        let Some(recipe) = &self.options.degrade else {
            return Ok(cut);
        };
        let made = recipe.apply(&cut[0], seed.derive("degrade"))?;
        let mut draw = Draw::new(seed.derive("margin"));
        if let [_, other] = &cut[..] {
            let degraded = windows.somewhere(&made.planes, &mut draw);
            return Ok(vec![degraded, windows.somewhere(other, &mut draw)]);
        }
        Ok(windows.without_margin(&made, &cut[0], recipe.scale, &mut draw))
    }
}
