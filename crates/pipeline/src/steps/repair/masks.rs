//! A folder of pictures of masks, made by people or by other programs.

use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, Limits, Raster, Result};
use fonds_image::decode::Document;
use fonds_image::ops::repair::Mask;

use crate::step::StepContext;

/// The folder.
#[derive(Debug)]
pub(super) struct Masks {
    folder: PathBuf,
    digest: Digest,
}

impl Masks {
    /// The folder, all files of which are read once for the digest; `name` is how the pipeline
    /// spells it.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self> {
        let mut lines = Vec::new();
        list(folder, "", &mut lines).map_err(|error| {
            let message = format!("the folder of masks `{name}` cannot be read");
            let error = Error::from_io(error, Code::Unreadable, message);
            error.hint(format!("it is looked for at {}", folder.display()))
        })?;
        lines.sort();
        Ok(Self {
            folder: folder.to_owned(),
            digest: Digest::of(lines.join("\n").as_bytes()),
        })
    }

    /// A digest of the names and contents of all masks.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The mask of the picture at hand; the empty one when there is none.
    pub(super) fn of(&self, raster: &Raster, context: &StepContext<'_>) -> Result<Mask> {
        let none = Mask::new(raster.width(), raster.height());
        let Some(source) = context.source else {
            let message = "masks are found by the paths of pictures, and this one has none";
            return Err(Error::new(Code::InvalidRequest, message));
        };
        let Some((name, path)) = self.path(source, context.page) else {
            return Ok(none);
        };
        let mask = read(&path).map_err(|error| {
            let mut told = Error::new(
                error.code(),
                format!("the mask `{name}`: {}", error.detail()),
            );
            for hint in error.hints() {
                told = told.hint(hint);
            }
            told
        })?;
        let size = (mask.width(), mask.height());
        none.check_size(size.0, size.1).map_err(|_| {
            let message = format!(
                "the mask `{name}` has {} × {} pixels, the picture {} × {}",
                size.0,
                size.1,
                raster.width(),
                raster.height()
            );
            Error::new(Code::InvalidRequest, message)
        })?;
        Ok(mask)
    }

    /// The file of the mask of a picture, by its name with or without its extension.
    fn path(&self, source: &str, page: Option<u32>) -> Option<(String, PathBuf)> {
        let page = page.map(|page| format!(".p{page:04}")).unwrap_or_default();
        let stem = match source.rsplit_once('.') {
            Some((stem, extension)) if !extension.contains('/') => stem,
            _ => source,
        };
        [source, stem].into_iter().find_map(|name| {
            let name = format!("{name}{page}.png");
            let path = self.folder.join(&name);
            path.is_file().then_some((name, path))
        })
    }
}

/// `path digest` of each file below a folder.
fn list(folder: &Path, prefix: &str, lines: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), lines)?;
        } else {
            let digest = Digest::of(&std::fs::read(entry.path())?);
            lines.push(format!("{name} {digest}"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Mask> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::from_io(error, Code::Unreadable, "it cannot be read"))?;
    let mut document = Document::open(&bytes, &Limits::DEFAULT)?;
    Ok(Mask::from_raster(&document.decode(0)?.raster))
}
