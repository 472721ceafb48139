//! Pictures that a pipeline names beside the archive: styles, masks, references.

use std::path::Path;

use fonds_core::{Code, Digest, Error, Limits, Raster, Result};
use fonds_image::decode::Document;

/// A picture that is named. Its headers have been read; its pixels are decoded when a run begins.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// What it is for, and its name, for errors.
    title: String,
    bytes: Vec<u8>,
    /// SHA-256 of the file.
    pub(crate) digest: Digest,
}

impl Named {
    /// Reads a picture file, its path relative to `folder`; `what` it is for is named in errors.
    ///
    /// # Errors
    /// `invalid_request` whatever is wrong with it: it is no file of the archive.
    pub(crate) fn open(folder: &Path, what: &str, file: &str) -> Result<Self> {
        let path = folder.join(file);
        if !path.is_file() {
            let error = Error::new(Code::InvalidRequest, format!("there is no {what} `{file}`"));
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            return Err(error.hint(format!("paths start at the folder {}", folder.display())));
        }
        let title = format!("the {what} `{file}`");
        let bytes = std::fs::read(&path)
            .map_err(|error| Error::new(Code::InvalidRequest, format!("{title}: {error}")))?;
        let named = Self {
            title,
            digest: Digest::of(&bytes),
            bytes,
        };
        named.page(|document| document.probe(0))?;
        Ok(named)
    }

    /// Its first page.
    ///
    /// # Errors
    /// As [`Named::open`].
    pub(crate) fn decode(&self) -> Result<Raster> {
        Ok(self.page(|document| document.decode(0))?.raster)
    }

    fn page<T>(&self, read: impl FnOnce(&mut Document<'_>) -> Result<T>) -> Result<T> {
        let read = Document::open(&self.bytes, &Limits::default())
            .and_then(|mut document| read(&mut document));
        read.map_err(|error| {
            let message = format!("{}: {}", self.title, error.detail());
            let mut found = Error::new(Code::InvalidRequest, message);
            for hint in error.hints() {
                found = found.hint(hint);
            }
            found
        })
    }
}
