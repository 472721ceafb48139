//! Which files of an archive are meant: include and exclude globs, and the clutter that systems
//! leave behind.

use std::borrow::Cow;

use fonds_core::{Code, Error, RelPath, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The glob for the pictures that fonds decodes, whatever folder they lie in.
pub const PICTURES: &str = "**/*.{jpg,jpeg,jpe,jfif,tif,tiff,png,webp,jp2,j2k,j2c,jpc,jpf,jpx,gif,\
                            bmp,dib,pbm,pgm,ppm,pnm,pam}";

/// Which files are to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkOptions {
    /// Globs of which a file must match one; with none, every file is taken.
    pub include: Vec<String>,
    /// Globs of which a file must match none.
    pub exclude: Vec<String>,
    /// Whether links to folders inside the archive are entered. Links to files inside it always
    /// are followed, links that lead out of it never are.
    pub follow_links: bool,
}

impl Default for WalkOptions {
    /// All [`PICTURES`], no linked folders.
    fn default() -> Self {
        Self {
            include: vec![PICTURES.to_owned()],
            exclude: Vec::new(),
            follow_links: false,
        }
    }
}

/// Why a file was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// No include glob matches, or an exclude glob does.
    NotSelected,
    /// What systems leave behind: `Thumbs.db`, `.DS_Store`, names that begin with a dot ….
    Clutter,
    /// A link that leads out of the archive.
    LinkOutside,
    /// A link to a folder, and linked folders are not entered.
    LinkedFolder,
    /// A link to a folder in which it lies itself.
    LinkLoop,
    /// A pipe, a socket or a device; it was not opened.
    SpecialFile,
}

impl SkipReason {
    /// The reason as it is written to files: lower case, words joined by `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSelected => "not_selected",
            Self::Clutter => "clutter",
            Self::LinkOutside => "link_outside",
            Self::LinkedFolder => "linked_folder",
            Self::LinkLoop => "link_loop",
            Self::SpecialFile => "special_file",
        }
    }
}

/// Compiled [`WalkOptions`].
#[derive(Debug, Clone)]
pub struct Selection {
    include: Globs,
    exclude: Globs,
    follow_links: bool,
}

impl Selection {
    /// Compiles the globs; fails with [`Code::InvalidRequest`] and the glob that is wrong.
    pub fn new(options: &WalkOptions) -> Result<Self> {
        Ok(Self {
            include: Globs::new(&options.include)?,
            exclude: Globs::new(&options.exclude)?,
            follow_links: options.follow_links,
        })
    }

    /// Why a file of this name is not taken; `None` when it is.
    ///
    /// The archive's own `metadata.csv`, in which people describe the pictures, is none of them.
    pub fn skips(&self, path: &RelPath) -> Option<SkipReason> {
        if is_clutter(path) {
            return Some(SkipReason::Clutter);
        }
        let included = self.include.is_empty() || self.include.matches(path);
        if !included || self.exclude.matches(path) || path.as_str() == "metadata.csv" {
            return Some(SkipReason::NotSelected);
        }
        None
    }

    /// Whether links to folders inside the archive are entered.
    pub fn follow_links(&self) -> bool {
        self.follow_links
    }
}

/// A set of globs over relative paths.
///
/// A glob is compared with the whole path, case ignored. `*` and `?` stop at `/`, `**` does not;
/// `{a,b}` takes either, `[a-z]` one of a range, and `\` takes the next character as it is. `?` and
/// ranges know ASCII only; `*` stands for any letter. A glob that ends in `/` means everything in
/// that folder.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// Compiles them; fails with [`Code::InvalidRequest`] and the first one that is wrong.
    pub fn new<T: AsRef<str>>(globs: &[T]) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(compile(glob.as_ref())?);
        }
        let set = set.build().map_err(|error| {
            Error::new(Code::InvalidRequest, "the globs are too large together").caused_by(error)
        })?;
        Ok(Self(set))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them takes this path.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.0.is_match(&*lower_case(path.as_str()))
    }
}

fn compile(glob: &str) -> Result<globset::Glob> {
    let wrong = |what: String| {
        Error::new(
            Code::InvalidRequest,
            format!("`{glob}` is not a glob: {what}"),
        )
        .hint(
            "write `**/*.jpg` for all JPEG files, `letters/**` for a whole folder, `{a,b}` for \
             either; put a backslash before a `[`, `{`, `*` or `?` that is part of a name",
        )
    };
    let relative = glob.strip_prefix("./").unwrap_or(glob);
    if relative.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    if relative.starts_with('/') {
        return Err(wrong("paths are relative to the archive".to_owned()));
    }
    let mut pattern = lower_case(relative).into_owned();
    if pattern.ends_with('/') {
        pattern.push_str("**");
    }
    GlobBuilder::new(&pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| wrong(error.kind().to_string()))
}

/// `globset` folds the case of ASCII letters only, and archives are full of other ones.
fn lower_case(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_uppercase) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Names that desktops, cameras' cards and storage boxes leave in every folder.
const CLUTTER: [&str; 8] = [
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "@eadir",
    "__macosx",
    "$recycle.bin",
    "system volume information",
    "lost+found",
];

pub(crate) fn is_clutter(path: &RelPath) -> bool {
    path.as_str().split('/').any(|part| {
        part.starts_with('.') || CLUTTER.iter().any(|name| part.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn path(text: &str) -> RelPath {
        RelPath::new(Path::new(text)).unwrap()
    }

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Selection::new(&WalkOptions {
            include: owned(include),
            exclude: owned(exclude),
            follow_links: false,
        })
        .unwrap()
    }

    #[test]
    fn globs_match_whole_paths_whatever_the_case() {
        let cases = [
            ("*.jpg", "a.JPG", true),
            ("*.jpg", "b/a.jpg", false),
            ("**/*.jpg", "a.jpg", true),
            ("**/*.jpg", "b/c/a.jpg", true),
            ("**/*.{JPG,tif}", "b/a.Tif", true),
            ("letters/", "Letters/1902/a.tif", true),
            ("letters/", "other/letters/a.tif", false),
            ("./a?.png", "ab.png", true),
            ("übersicht/**", "ÜBERSICHT/a.png", true),
            ("ÜBERSICHT/**", "Übersicht/a.png", true),
            (r"a\[1\].png", "a[1].png", true),
            ("a[0-9].png", "A7.PNG", true),
        ];
        for (glob, text, expected) in cases {
            let globs = Globs::new(&[glob]).unwrap();
            assert_eq!(globs.matches(&path(text)), expected, "{glob} on {text}");
        }
    }

    #[test]
    fn a_wrong_glob_is_named() {
        for glob in ["a[", "{a", "", "/a/b.jpg", "[z-a]"] {
            let error = Globs::new(&["ok", glob]).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest, "{glob}");
            assert!(error.message().contains(&format!("`{glob}`")), "{error}");
            assert!(!error.hints().is_empty());
        }
    }

    #[test]
    fn reasons_to_skip() {
        let pictures = Selection::new(&WalkOptions::default()).unwrap();
        let all = selection(&[], &["private/"]);
        let cases = [
            ("a/b.JPEG", None, None),
            ("a/b.txt", Some(SkipReason::NotSelected), None),
            (
                "metadata.csv",
                Some(SkipReason::NotSelected),
                Some(SkipReason::NotSelected),
            ),
            ("private/a.tif", None, Some(SkipReason::NotSelected)),
            (
                "a/THUMBS.DB",
                Some(SkipReason::Clutter),
                Some(SkipReason::Clutter),
            ),
            (
                "._a.jpg",
                Some(SkipReason::Clutter),
                Some(SkipReason::Clutter),
            ),
            (
                "@eaDir/a.jpg",
                Some(SkipReason::Clutter),
                Some(SkipReason::Clutter),
            ),
            (
                ".git/a.jpg",
                Some(SkipReason::Clutter),
                Some(SkipReason::Clutter),
            ),
        ];
        for (text, of_pictures, of_all) in cases {
            assert_eq!(pictures.skips(&path(text)), of_pictures, "{text}");
            assert_eq!(all.skips(&path(text)), of_all, "{text}");
        }
    }

    #[test]
    fn every_extension_of_the_default_glob_is_taken() {
        let pictures = Selection::new(&WalkOptions::default()).unwrap();
        for extension in [
            "jpg", "jfif", "tiff", "gif", "bmp", "dib", "pam", "jp2", "webp",
        ] {
            assert_eq!(pictures.skips(&path(&format!("x/y.{extension}"))), None);
        }
    }
}
