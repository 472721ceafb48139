//! Pictures that a pipeline names beside the archive: styles, masks, references.

use std::path::Path;

use fonds_core::{Code, Digest, Error, Limits, Raster, Result};
use fonds_image::decode::Document;

/// Reads the first page of a picture file, its path relative to `folder`; `what` it is for is named in
/// errors. The digest is that of the file.
///
/// # Errors
/// `invalid_request` whatever is wrong with it: it is no file of the archive.
pub(crate) fn read(folder: &Path, what: &str, file: &str) -> Result<(Raster, Digest)> {
    let path = folder.join(file);
    let refused = |detail: &str| {
        Error::new(
            Code::InvalidRequest,
            format!("the {what} `{file}`: {detail}"),
        )
    };
    if !path.is_file() {
        let error = Error::new(Code::InvalidRequest, format!("there is no {what} `{file}`"));
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        return Err(error.hint(format!("paths start at the folder {}", folder.display())));
    }
    let bytes = std::fs::read(&path).map_err(|error| refused(&error.to_string()))?;
    let decoded = Document::open(&bytes, &Limits::default())
        .and_then(|mut document| document.decode(0))
        .map_err(|error| {
            let mut found = refused(&error.detail());
            for hint in error.hints() {
                found = found.hint(hint);
            }
            found
        })?;
    Ok((decoded.raster, Digest::of(&bytes)))
}
