//! Exports: the catalog in the form that other programs of archives import.
//!
//! A profile is a table of columns, each with the column of the catalog that it comes from, so that
//! the same declaration serves the export and the way back (see [`crate::import`]), and the
//! side files that the importer wants. One file a profile.

mod archivematica;
mod archivesspace;
mod collectionbuilder;
mod columns;
mod dublin_core;
mod islandora;
mod omeka_s;
mod sheet;
mod tropy;
mod wax;

use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use crate::atomic::write_file;
use crate::finding::{Finding, Severity};
use crate::near::nearest;
use crate::reader::ItemReader;
use crate::record::{Item, Record};
use crate::run_file::{RUN_FILE, RunFile};
use crate::status::Status;
use crate::transfer;

pub(crate) use columns::{Field, Key, Source, column_index};
pub(crate) use sheet::cell_text;

use sheet::Sheet;

/// A program, or a form that several programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// `CollectionBuilder-CSV`: the 23 columns of its template.
    CollectionBuilder,
    /// Omeka S with its module CSV Import.
    OmekaS,
    /// Islandora 2 with Islandora Workbench.
    IslandoraWorkbench,
    /// A transfer of Archivematica.
    Archivematica,
    /// Digital objects of `ArchivesSpace`.
    ArchivesSpace,
    /// A collection of Wax.
    Wax,
    /// Items of Tropy with its CSV plugin.
    Tropy,
    /// Dublin Core elements as CSV, and as XML records.
    DublinCore,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 8] = [
        Self::CollectionBuilder,
        Self::OmekaS,
        Self::IslandoraWorkbench,
        Self::Archivematica,
        Self::ArchivesSpace,
        Self::Wax,
        Self::Tropy,
        Self::DublinCore,
    ];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CollectionBuilder => "collectionbuilder",
            Self::OmekaS => "omeka-s",
            Self::IslandoraWorkbench => "islandora-workbench",
            Self::Archivematica => "archivematica",
            Self::ArchivesSpace => "archivesspace",
            Self::Wax => "wax",
            Self::Tropy => "tropy",
            Self::DublinCore => "dublin-core",
        }
    }

    /// The profile with this word.
    ///
    /// Fails with the list of all words.
    pub fn from_text(text: &str) -> Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text);
        found.ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str);
            let message = format!("`{text}` is not one of {}", words.join(", "));
            let error = Error::new(Code::InvalidRequest, message);
            match nearest(text, words) {
                Some(near) => error.hint(format!("is `{near}` meant?")),
                None => error,
            }
        })
    }

    /// The columns of the profile's table, in their order.
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::CollectionBuilder => collectionbuilder::FIELDS,
            Self::OmekaS => omeka_s::FIELDS,
            Self::IslandoraWorkbench => islandora::FIELDS,
            Self::Archivematica => archivematica::FIELDS,
            Self::ArchivesSpace => archivesspace::FIELDS,
            Self::Wax => wax::FIELDS,
            Self::Tropy => tropy::FIELDS,
            Self::DublinCore => dublin_core::FIELDS,
        }
    }
}

/// What an export may be told.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Where the pictures will be found, without a final `/`: paths of the web site become URLs
    /// where the profile wants URLs.
    pub base_url: Option<String>,
    /// The archive's root, for profiles that bring the originals along; they are copied, never
    /// linked, because other programs rename and touch what they are given.
    pub archive: Option<PathBuf>,
    /// Whether cells that a spreadsheet program would evaluate stay as they are.
    pub keep_formulas: bool,
}

/// What an export wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Rows of the table.
    pub rows: u64,
    /// Files of the archive that have no row: those that were skipped or not reached.
    pub left_out: u64,
    /// Cells that were quoted so that no spreadsheet program runs them.
    pub escaped: u64,
    /// Originals and derivatives that were copied.
    pub copied: u64,
    /// The table and its side files, relative to the target.
    pub files: Vec<String>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Writes the catalog of an output root in the form of a profile.
///
/// The target is created; it must be empty or not there, and outside the output root.
/// Fails when the catalog cannot be read, or the target cannot be written.
pub fn export(
    output: &Path,
    profile: Profile,
    target: &Path,
    options: &ExportOptions,
) -> Result<ExportReport> {
    transfer::outside(target, output)?;
    if let Some(archive) = &options.archive {
        transfer::outside(target, archive)?;
    }
    // The catalog is opened first, so that a wrong folder leaves nothing behind.
    drop(ItemReader::open(output)?);
    let export = Export::new(output, profile, target, options)?;
    match profile {
        Profile::CollectionBuilder => collectionbuilder::write(export),
        Profile::OmekaS => omeka_s::write(export),
        Profile::IslandoraWorkbench => islandora::write(export),
        Profile::Archivematica => archivematica::write(export),
        Profile::ArchivesSpace => archivesspace::write(export),
        Profile::Wax => wax::write(export),
        Profile::Tropy => tropy::write(export),
        Profile::DublinCore => dublin_core::write(export),
    }
}

/// An export under way.
pub(crate) struct Export<'a> {
    pub(crate) output: &'a Path,
    pub(crate) target: &'a Path,
    pub(crate) options: &'a ExportOptions,
    profile: Profile,
    /// The archive as the run named it; empty when no run did.
    pub(crate) input: String,
    pub(crate) report: ExportReport,
}

/// A row to be exported: a record with the item that it belongs to.
pub(crate) struct Exported<'a> {
    pub(crate) item: &'a Item,
    pub(crate) record: &'a Record,
    pub(crate) options: &'a ExportOptions,
}

impl<'a> Export<'a> {
    fn new(
        output: &'a Path,
        profile: Profile,
        target: &'a Path,
        options: &'a ExportOptions,
    ) -> Result<Self> {
        empty_folder(target)?;
        let run = std::fs::read_to_string(output.join(RUN_FILE)).ok();
        let run = run.and_then(|text| RunFile::from_json(&text).ok());
        Ok(Self {
            output,
            target,
            options,
            profile,
            input: run.map(|run| run.input).unwrap_or_default(),
            report: ExportReport::default(),
        })
    }

    /// Hands each item that is exported to `visit`, in the order of the paths.
    pub(crate) fn each(
        &mut self,
        mut visit: impl FnMut(&mut Self, &Item) -> Result<()>,
    ) -> Result<()> {
        let mut items = ItemReader::open(self.output)?;
        while let Some(item) = items.read()? {
            if is_exported(&item.record) {
                visit(self, &item)?;
            }
        }
        Ok(())
    }

    /// Writes the profile's table; `pages` says whether pages have rows of their own.
    pub(crate) fn table(&mut self, name: &str, pages: bool) -> Result<()> {
        let widths = self.widths(pages)?;
        let mut sheet = Sheet::create(
            &self.place(name)?,
            self.profile.fields(),
            &widths,
            self.options.keep_formulas,
        )?;
        let mut items = ItemReader::open(self.output)?;
        while let Some(item) = items.read()? {
            if !is_exported(&item.record) {
                self.report.left_out += 1;
                continue;
            }
            let pages = item.pages.iter().filter(|_| pages);
            for record in std::iter::once(&item.record).chain(pages) {
                sheet.push(&Exported {
                    item: &item,
                    record,
                    options: self.options,
                })?;
                self.report.rows += 1;
            }
        }
        self.report.escaped += sheet.commit()?;
        self.report.files.push(name.to_owned());
        Ok(())
    }

    /// How many columns each repeated field takes: as many as the longest cell has values.
    fn widths(&self, pages: bool) -> Result<Vec<usize>> {
        let fields = self.profile.fields();
        let mut widths = vec![1; fields.len()];
        if !fields.iter().any(|field| field.repeated) {
            return Ok(widths);
        }
        let mut items = ItemReader::open(self.output)?;
        while let Some(item) = items.read()? {
            if !is_exported(&item.record) {
                continue;
            }
            let pages = item.pages.iter().filter(|_| pages);
            for record in std::iter::once(&item.record).chain(pages) {
                for (field, width) in fields.iter().zip(&mut widths) {
                    if let (true, Source::Column { column, .. }) = (field.repeated, &field.source) {
                        let text = cell_text(record, column_index(column));
                        *width = (*width).max(sheet::values(&text).count());
                    }
                }
            }
        }
        Ok(widths)
    }

    /// Writes a side file.
    pub(crate) fn side_file(&mut self, name: &str, content: &str) -> Result<()> {
        write_file(&self.place(name)?, content.as_bytes())?;
        self.report.files.push(name.to_owned());
        Ok(())
    }

    /// The path of a file in the target, whose folder is there.
    pub(crate) fn place(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join(name);
        make_folder_of(&path)?;
        Ok(path)
    }

    /// Notes what a person should know.
    pub(crate) fn remark(&mut self, file: &str, message: impl Into<String>, hint: &str) {
        let finding = Finding::new(Severity::Warning, file, 0, message);
        self.report.findings.push(if hint.is_empty() {
            finding
        } else {
            finding.hint(hint)
        });
    }

    /// The steps of the import for a person, and what was written.
    pub(crate) fn finish(mut self, guide: &str) -> Result<ExportReport> {
        self.side_file("README.txt", guide)?;
        Ok(self.report)
    }
}

impl Exported<'_> {
    /// A location of the web site as a URL, when a base is known.
    pub(crate) fn url(&self, location: &str) -> String {
        match (&self.options.base_url, location.strip_prefix('/')) {
            (Some(base), Some(path)) => format!("{base}/{}", encode_path(path)),
            _ => location.to_owned(),
        }
    }

    /// The first derivative that is neither a small picture nor a thumbnail, nor rejected.
    pub(crate) fn derivative(&self) -> Option<&crate::DerivativeRecord> {
        let page = self.record.page();
        let mut rows = self.item.derivatives.iter();
        rows.find(|row| row.page == page && !row.is_for_site() && !row.is_set_aside())
    }
}

/// Whether a file has rows in exports: it was worked on, even in vain.
pub(crate) fn is_exported(record: &Record) -> bool {
    !matches!(record.status, Status::Skipped | Status::Cancelled)
}

/// Percent-encodes the parts of a path for a URL (RFC 3986).
pub fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Makes a folder that must be empty when it is there.
pub(crate) fn empty_folder(folder: &Path) -> Result<()> {
    let unwritten = |error| {
        Error::from_io(error, Code::WriteFailed, "the folder cannot be made").at_path(folder)
    };
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    let mut entries = std::fs::read_dir(folder).map_err(unwritten)?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::new(Code::InvalidRequest, "is not empty")
            .at_path(folder)
            .hint("name a new folder")),
    }
}

/// Makes the folder that a file is to lie in.
pub(crate) fn make_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::from_io(error, Code::WriteFailed, "the folder cannot be made").at_path(folder)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_near_misses_are_named() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_text(profile.as_str()).unwrap(), profile);
        }
        let error = Profile::from_text("omeka").unwrap_err();
        assert!(error.message().contains("omeka-s"));
        let error = Profile::from_text("tropi").unwrap_err();
        assert_eq!(error.hints(), ["is `tropy` meant?"]);
    }

    #[test]
    fn every_profile_has_one_key_and_headers_that_differ() {
        for profile in Profile::ALL {
            let fields = profile.fields();
            let keys = fields
                .iter()
                .filter(|field| matches!(field.source, Source::Key(_)));
            assert!(keys.count() >= 1, "{profile:?}");
            let mut headers: Vec<_> = fields.iter().map(|field| field.header).collect();
            headers.sort_unstable();
            headers.dedup();
            assert_eq!(headers.len(), fields.len(), "{profile:?}");
            for field in fields {
                if let Source::Column { column, .. } = &field.source {
                    column_index(column);
                }
            }
        }
    }

    #[test]
    fn paths_are_encoded_for_urls() {
        assert_eq!(encode_path("a b/ß%.tif"), "a%20b/%C3%9F%25.tif");
    }
}
