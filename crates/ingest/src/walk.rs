//! Every file under a root, once, in one order, whatever the file system's.

use std::fs;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, RelPath, Result};
use rayon::prelude::*;
use walkdir::WalkDir;

use crate::select::{Selection, SkipReason, is_clutter};
use crate::source::Stamp;

/// What is to become of a file that was found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fate {
    /// It is to be processed.
    Selected,
    /// It is left alone.
    Skipped(SkipReason),
    /// It was meant, and cannot be processed.
    Failed(Error),
}

/// A file, a link, or a folder that cannot be read.
#[derive(Debug)]
pub struct Found {
    /// Where it lies, as catalogs spell it.
    pub path: RelPath,
    /// The name on disk, kept only where the spelling differs.
    raw: Option<Box<Path>>,
    /// Size, time and inode; of a link that is followed, its target's. Zero where nothing could
    /// be asked.
    pub stamp: Stamp,
    /// What is to become of it.
    pub fate: Fate,
}

impl Found {
    /// The path that opens it, in the root that was walked.
    pub fn on_disk(&self, root: &Path) -> PathBuf {
        match &self.raw {
            Some(raw) => root.join(raw),
            None => root.join(self.path.to_path()),
        }
    }
}

/// All that a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Sorted by the bytes of their paths.
    pub files: Vec<Found>,
    /// What kept parts of the archive from being seen (folders without permission). Each is the
    /// fate of one of `files` too, so that the catalog shows it.
    pub problems: Vec<Error>,
}

/// Finds every file under `root`.
///
/// Links to files are followed when they stay inside the root; links to folders when the selection
/// says so as well. A link that points to nothing is a failed file, not a missing one. Pipes,
/// sockets and devices are listed and never opened.
///
/// Fails with [`Code::Unreadable`] only when the root itself is missing or no folder.
pub fn walk(root: &Path, selection: &Selection) -> Result<Walk> {
    let real_root = check_root(root).map_err(|error| error.at_path(root))?;
    let mut walker = Walker {
        root,
        real_root: &real_root,
        selection,
        walk: Walk::default(),
    };
    walker.tree(Path::new(""), &[]);
    let mut walk = walker.walk;
    walk.files
        .par_iter_mut()
        .for_each(|found| stamp(root, found));
    sort(&mut walk.files);
    Ok(walk)
}

fn check_root(root: &Path) -> Result<PathBuf> {
    let unreadable = |error| Error::from_io(error, Code::Unreadable, "the folder cannot be read");
    let real = root.canonicalize().map_err(unreadable)?;
    if !real.is_dir() {
        return Err(Error::new(Code::Unreadable, "this is not a folder")
            .hint("give the folder that holds the pictures"));
    }
    fs::read_dir(&real).map_err(unreadable)?;
    Ok(real)
}

struct Walker<'a> {
    root: &'a Path,
    real_root: &'a Path,
    selection: &'a Selection,
    walk: Walk,
}

impl Walker<'_> {
    /// Lists the folder `folder` of the root. `entered` holds the real paths of the folders in
    /// which the links that led here lie.
    fn tree(&mut self, folder: &Path, entered: &[PathBuf]) {
        let mut start = self.root.to_owned();
        start.extend(folder);
        for entry in WalkDir::new(&start).min_depth(1) {
            match entry {
                Ok(entry) => {
                    let kind = entry.file_type();
                    if kind.is_dir() {
                        continue;
                    }
                    let relative = self.relative(entry.path());
                    if kind.is_file() {
                        let fate = |path: &RelPath| self.fate(path);
                        let found = Found::new(&relative, fate);
                        self.push(found);
                    } else if kind.is_symlink() {
                        self.link(&relative, entered);
                    } else {
                        self.special(&relative);
                    }
                }
                Err(error) => self.unreadable(&error),
            }
        }
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root)
            .expect("the walk stays under its root")
            .to_owned()
    }

    fn push(&mut self, found: Result<Found>) {
        match found {
            Ok(found) => self.walk.files.push(found),
            Err(error) => self.walk.problems.push(error),
        }
    }

    fn fate(&self, path: &RelPath) -> Fate {
        match self.selection.skips(path) {
            Some(reason) => Fate::Skipped(reason),
            None => Fate::Selected,
        }
    }

    fn special(&mut self, relative: &Path) {
        let found = Found::new(relative, |_| Fate::Skipped(SkipReason::SpecialFile));
        self.push(found);
    }

    fn link(&mut self, relative: &Path, entered: &[PathBuf]) {
        let on_disk = self.root.join(relative);
        match fs::metadata(&on_disk) {
            Ok(target) if target.is_dir() => self.linked_folder(relative, &on_disk, entered),
            Ok(target) if target.is_file() => {
                let found = Found::new(relative, |path| match self.fate(path) {
                    Fate::Selected if !self.is_inside(&on_disk) => {
                        Fate::Skipped(SkipReason::LinkOutside)
                    }
                    fate => fate,
                });
                let stamped = found.map(|found| found.with_stamp(Stamp::of(&target)));
                self.push(stamped);
            }
            Ok(_) => self.special(relative),
            Err(error) => {
                let found = Found::new(relative, |path| match self.fate(path) {
                    Fate::Selected => Fate::Failed(broken_link(&on_disk, path, error)),
                    fate => fate,
                });
                self.push(found);
            }
        }
    }

    fn is_inside(&self, on_disk: &Path) -> bool {
        let real = on_disk.canonicalize();
        real.is_ok_and(|real| real.starts_with(self.real_root))
    }

    fn linked_folder(&mut self, relative: &Path, on_disk: &Path, entered: &[PathBuf]) {
        match self.enters(relative, on_disk, entered) {
            Ok(chain) => self.tree(relative, &chain),
            Err(reason) => {
                let found = Found::new(relative, |path| {
                    let clutter = is_clutter(path).then_some(SkipReason::Clutter);
                    Fate::Skipped(clutter.unwrap_or(reason))
                });
                self.push(found);
            }
        }
    }

    /// The chain of folders for the walk behind a link, or why it is not entered.
    fn enters(
        &self,
        relative: &Path,
        on_disk: &Path,
        entered: &[PathBuf],
    ) -> Result<Vec<PathBuf>, SkipReason> {
        let target = on_disk.canonicalize();
        let parent = on_disk.parent().map(Path::canonicalize);
        let (Ok(target), Some(Ok(parent))) = (target, parent) else {
            return Err(SkipReason::LinkOutside);
        };
        if !target.starts_with(self.real_root) {
            return Err(SkipReason::LinkOutside);
        }
        let clutter = RelPath::new(relative).is_ok_and(|path| is_clutter(&path));
        if clutter || !self.selection.follow_links() {
            return Err(SkipReason::LinkedFolder);
        }
        let mut chain = entered.to_vec();
        chain.push(parent);
        // Whoever enters a folder that holds a link he came through will come to that link again.
        if chain.iter().any(|folder| folder.starts_with(&target)) {
            return Err(SkipReason::LinkLoop);
        }
        Ok(chain)
    }

    fn unreadable(&mut self, error: &walkdir::Error) {
        let path = error.path().unwrap_or(self.root).to_owned();
        let relative = path.strip_prefix(self.root).unwrap_or(&path).to_owned();
        let message = "this part of the archive cannot be read";
        let cause = error.io_error().map(ToString::to_string);
        let make = || {
            let error = Error::new(Code::Unreadable, message).at_path(&relative);
            match &cause {
                Some(cause) => error.caused_by(cause.clone()),
                None => error,
            }
        };
        let found = Found::new(&relative, |path| {
            if is_clutter(path) {
                Fate::Skipped(SkipReason::Clutter)
            } else {
                Fate::Failed(make())
            }
        });
        let failed = found
            .as_ref()
            .map_or(true, |found| matches!(found.fate, Fate::Failed(_)));
        if failed {
            self.walk.problems.push(make());
        }
        self.walk.files.extend(found);
    }
}

impl Found {
    fn new(relative: &Path, fate: impl FnOnce(&RelPath) -> Fate) -> Result<Self> {
        let path = RelPath::new(relative)?;
        let raw = (!path.is_exact()).then(|| Box::from(relative));
        let fate = fate(&path);
        Ok(Self {
            path,
            raw,
            stamp: Stamp::default(),
            fate,
        })
    }

    fn with_stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp;
        self
    }
}

fn broken_link(on_disk: &Path, path: &RelPath, error: std::io::Error) -> Error {
    let message = match fs::read_link(on_disk) {
        Ok(target) => format!("the link to `{}` leads nowhere", target.display()),
        Err(_) => "the link leads nowhere".to_owned(),
    };
    Error::new(Code::Unreadable, message)
        .at_path(path.as_str())
        .caused_by(error)
}

/// Asks the file system for a file's stamp. Links that are followed have theirs already; what is
/// failed or no file has none.
fn stamp(root: &Path, found: &mut Found) {
    let asked = found.stamp != Stamp::default();
    let no_file = matches!(
        found.fate,
        Fate::Failed(_)
            | Fate::Skipped(
                SkipReason::SpecialFile | SkipReason::LinkedFolder | SkipReason::LinkLoop
            )
    );
    if asked || no_file {
        return;
    }
    match fs::symlink_metadata(found.on_disk(root)) {
        Ok(metadata) => found.stamp = Stamp::of(&metadata),
        Err(error) if matches!(found.fate, Fate::Selected) => {
            let message = "the file cannot be looked at";
            let error = Error::from_io(error, Code::Unreadable, message);
            found.fate = Fate::Failed(error.at_path(found.path.as_str()));
        }
        Err(_) => {}
    }
}

/// Sorts by spelling; where two names have one spelling, the exact one is first and the other one
/// fails.
fn sort(files: &mut [Found]) {
    files.par_sort_by(|a, b| {
        let by_text = a.path.as_str().cmp(b.path.as_str());
        by_text.then_with(|| a.raw.cmp(&b.raw))
    });
    for i in 1..files.len() {
        let (before, rest) = files.split_at_mut(i);
        let found = &mut rest[0];
        let same = before[i - 1].path.as_str() == found.path.as_str();
        if same && matches!(found.fate, Fate::Selected) {
            found.fate = Fate::Failed(collision(&found.path));
        }
    }
}

fn collision(path: &RelPath) -> Error {
    let message = "another file's name has the same spelling in UTF-8";
    Error::new(Code::NameCollision, message)
        .at_path(path.as_str())
        .hint("rename one of the two files")
}
