//! Joining the outputs of `fonds run --shard i/n` into what one run over all would have written.

mod adopt;
mod runs;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

pub use adopt::{Adopt, AdoptReport, adopt_files};

use crate::assemble::{CatalogSummary, CatalogWriter};
use crate::atomic::write_file;
use crate::content::put_cells;
use crate::reader::ItemReader;
use crate::record::Item;
use crate::row::Row;
use crate::run_file::{RUN_FILE, RunFile};

/// What a merge did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MergeReport {
    /// What the merged catalog contains.
    pub summary: CatalogSummary,
    /// The merged `run.json`, when every part has one.
    pub run: Option<RunFile>,
    /// What a person should know: parts without a `run.json`, parts that stopped early.
    pub warnings: Vec<String>,
}

/// Checks by their `run.json` that the parts belong together and none is missing, and that `out`
/// is none of them; returns what a person should know.
///
/// [`merge_catalogs`] does the same; call this first when files are brought over before it.
pub fn check_parts(parts: &[PathBuf], out: &Path) -> Result<Vec<String>> {
    check_roots(parts, out)?;
    runs::read(parts).map(|(_, warnings)| warnings)
}

/// Joins the tables of several output roots into `out`, which must exist and be none of them.
///
/// Rows are joined in the order of their paths, and duplicates are found anew over all of them.
/// The files that rows name stay where they are: bring them over with [`adopt_files`] before, so
/// that the catalog never names a file that is not there yet.
///
/// Fails with [`Code::InvalidRequest`] when the parts were made by different pipelines, when one
/// is there twice or missing (by the `shard` in their `run.json`), and with
/// [`Code::NameCollision`] when two parts tell different things of one path.
pub fn merge_catalogs(parts: &[PathBuf], out: &Path) -> Result<MergeReport> {
    check_roots(parts, out)?;
    let (runs, warnings) = runs::read(parts)?;
    let mut sources = Sources::open(parts)?;
    let mut writer = CatalogWriter::create(out)?;
    let mut pipeline = Pipeline::default();
    while let Some((part, item)) = sources.next()? {
        pipeline.check(&item, &parts[part])?;
        writer.push(item)?;
    }
    let summary = writer.finish()?;
    let run = runs::merged(&runs, &summary);
    if let Some(run) = &run {
        write_file(&out.join(RUN_FILE), run.to_json()?.as_bytes())?;
    }
    Ok(MergeReport {
        summary,
        run,
        warnings,
    })
}

fn check_roots(parts: &[PathBuf], out: &Path) -> Result<()> {
    if parts.is_empty() {
        return Err(Error::new(
            Code::InvalidRequest,
            "there is nothing to merge",
        ));
    }
    let resolve = |path: &Path| {
        path.canonicalize().map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path)
        })
    };
    let target = resolve(out)?;
    let mut seen: Vec<PathBuf> = Vec::new();
    for part in parts {
        let resolved = resolve(part)?;
        let message = if resolved == target {
            "is a part and the merged output at once"
        } else if seen.contains(&resolved) {
            "is named twice"
        } else {
            seen.push(resolved);
            continue;
        };
        return Err(Error::new(Code::InvalidRequest, message).at_path(part));
    }
    Ok(())
}

/// The items of all parts in the order of their paths.
struct Sources<'a> {
    parts: &'a [PathBuf],
    readers: Vec<ItemReader>,
    /// The next item of each part that has one; the heap orders their paths.
    waiting: Vec<Option<Item>>,
    order: BinaryHeap<Reverse<(String, usize)>>,
}

impl<'a> Sources<'a> {
    fn open(parts: &'a [PathBuf]) -> Result<Self> {
        let mut sources = Self {
            parts,
            readers: Vec::new(),
            waiting: vec![None; parts.len()],
            order: BinaryHeap::new(),
        };
        for (i, part) in parts.iter().enumerate() {
            let reader = ItemReader::open(part)?;
            if let Some(column) = reader.unknown_columns().first() {
                let message = format!("has a column `{column}` that this version does not know");
                return Err(Error::new(Code::InvalidRequest, message)
                    .at_path(part)
                    .hint("merge with the version that wrote the parts"));
            }
            sources.readers.push(reader);
            sources.advance(i)?;
        }
        Ok(sources)
    }

    /// The next item with the number of its part.
    fn next(&mut self) -> Result<Option<(usize, Item)>> {
        let Some((part, item)) = self.pop()? else {
            return Ok(None);
        };
        // The same file in several parts is one file, as long as they agree on it.
        while let Some(Reverse((path, _))) = self.order.peek()
            && *path == item.record.filename
        {
            if let Some((other, twin)) = self.pop()?
                && content(&twin) != content(&item)
            {
                let (one, two) = (self.parts[part].display(), self.parts[other].display());
                let message = format!("is told differently by {one} and {two}");
                let error = Error::new(Code::NameCollision, message);
                return Err(error.at_path(&item.record.filename));
            }
        }
        Ok(Some((part, item)))
    }

    fn pop(&mut self) -> Result<Option<(usize, Item)>> {
        let Some(Reverse((_, part))) = self.order.pop() else {
            return Ok(None);
        };
        let item = self.waiting[part].take();
        self.advance(part)?;
        Ok(item.map(|item| (part, item)))
    }

    fn advance(&mut self, part: usize) -> Result<()> {
        let item = self.readers[part].read();
        self.waiting[part] = item?;
        if let Some(item) = &self.waiting[part] {
            self.order
                .push(Reverse((item.record.filename.clone(), part)));
        }
        Ok(())
    }
}

/// All that two parts must agree on; whether a file is a duplicate depends on the other files.
fn content(item: &Item) -> String {
    let mut text = String::new();
    for record in std::iter::once(&item.record).chain(&item.pages) {
        put_cells(record, &["duplicate_of"], &mut text);
    }
    put_all(&item.derivatives, &mut text);
    put_all(&item.failures, &mut text);
    text
}

fn put_all<T: Row>(rows: &[T], text: &mut String) {
    for row in rows {
        put_cells(row, &[], text);
    }
}

/// The pipeline that made the rows: one for all.
#[derive(Default)]
struct Pipeline {
    first: Option<(String, PathBuf)>,
}

impl Pipeline {
    fn check(&mut self, item: &Item, part: &Path) -> Result<()> {
        let pipeline = &item.record.pipeline;
        match &self.first {
            _ if pipeline.is_empty() => Ok(()),
            None => {
                self.first = Some((pipeline.clone(), part.to_owned()));
                Ok(())
            }
            Some((first, _)) if first == pipeline => Ok(()),
            Some((first, other)) => {
                let message = format!(
                    "was made by the pipeline `{pipeline}`, {} by `{first}`",
                    other.display()
                );
                Err(Error::new(Code::InvalidRequest, message)
                    .at_path(part)
                    .hint("run all shards with the same pipeline file"))
            }
        }
    }
}
