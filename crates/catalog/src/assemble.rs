//! From items in the order of their paths to the three tables and their descriptors.

use std::cmp::Ordering;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest, Error, Result};

use crate::atomic::AtomicFile;
use crate::record::{DerivativeRecord, FailureRecord, Item, Record};
use crate::row::Row;
use crate::schema;
use crate::status::Status;
use crate::writer::TableWriter;

/// Writes `catalog.csv`, `derivatives.csv` and `failed.csv`, and the descriptors
/// `catalog.schema.json` and `datapackage.json`.
///
/// Items come in the order of the bytes of their paths; memory grows only by what finding
/// duplicates and double ids takes (about 150 bytes an item). Nothing has its final name before
/// [`CatalogWriter::finish`].
#[derive(Debug)]
pub struct CatalogWriter {
    root: PathBuf,
    catalog: TableWriter,
    derivatives: TableWriter,
    failures: TableWriter,
    last: Option<String>,
    ids: HashSet<u128>,
    duplicates: Duplicates,
    summary: CatalogSummary,
}

/// What a finished catalog contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogSummary {
    /// Files, by status.
    pub files: StatusCounts,
    /// Rows for pages of multi-page files.
    pub pages: u64,
    /// Rows of `derivatives.csv`.
    pub derivatives: u64,
    /// Rows of `failed.csv`.
    pub failures: u64,
    /// Files that are identical to one before them.
    pub duplicates: u64,
}

/// How many files have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    /// The number of files with this status.
    pub fn get(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// Counts a file.
    pub fn add(&mut self, status: Status) {
        self.0[status as usize] += 1;
    }

    /// The number of all files.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl CatalogWriter {
    /// Starts a catalog in the output root, which must exist.
    pub fn create(root: &Path) -> Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            catalog: TableWriter::create::<Record>(&root.join(Record::FILE))?,
            derivatives: TableWriter::create::<DerivativeRecord>(
                &root.join(DerivativeRecord::FILE),
            )?,
            failures: TableWriter::create::<FailureRecord>(&root.join(FailureRecord::FILE))?,
            last: None,
            ids: HashSet::new(),
            duplicates: Duplicates::default(),
            summary: CatalogSummary::default(),
        })
    }

    /// Adds the rows of one file.
    ///
    /// `duplicate_of` is set here, whatever it was. Pages, derivatives and failures are brought
    /// into page order. Fails with [`Code::NameCollision`] when the path or an id was there
    /// before, and with [`Code::Internal`] when the path is out of order or a row is not of this
    /// file.
    pub fn push(&mut self, mut item: Item) -> Result<()> {
        self.check_order(&item.record.filename)?;
        check_rows(&item)?;
        item.pages.sort_by_key(Record::page);
        item.derivatives.sort_by_key(|row| row.page);
        item.failures.sort_by_key(|row| row.page);
        self.duplicates.resolve(&mut item.record);
        self.summary.count(&item);

        self.push_record(&item.record)?;
        for page in &mut item.pages {
            page.duplicate_of.clear();
            self.push_record(page)?;
        }
        for row in &item.derivatives {
            self.derivatives.push(row)?;
        }
        for row in &item.failures {
            self.failures.push(row)?;
        }
        self.last = Some(item.record.filename);
        Ok(())
    }

    /// Brings all tables to the disk and then gives them their names.
    pub fn finish(mut self) -> Result<CatalogSummary> {
        let mut descriptors = Vec::new();
        for (name, text) in [
            ("catalog.schema.json", schema::catalog_schema()),
            ("datapackage.json", schema::data_package()),
        ] {
            let mut file = AtomicFile::create(&self.root.join(name))?;
            file.write(text.as_bytes())?;
            file.sync()?;
            descriptors.push(file);
        }
        for table in [&mut self.catalog, &mut self.derivatives, &mut self.failures] {
            table.sync()?;
        }
        for file in descriptors {
            file.commit()?;
        }
        self.failures.commit()?;
        self.derivatives.commit()?;
        self.catalog.commit()?;
        Ok(self.summary)
    }

    fn push_record(&mut self, record: &Record) -> Result<()> {
        if !self.ids.insert(fingerprint(&record.objectid)) {
            let message = format!("another object has the id `{}`", record.objectid);
            return Err(Error::new(Code::NameCollision, message).at_path(&record.filename));
        }
        self.catalog.push(record)
    }

    fn check_order(&self, path: &str) -> Result<()> {
        let Some(last) = &self.last else {
            return Ok(());
        };
        let (code, message) = match last.as_str().cmp(path) {
            Ordering::Less => return Ok(()),
            Ordering::Equal => (Code::NameCollision, "is catalogued twice".to_owned()),
            Ordering::Greater => (
                Code::Internal,
                format!("comes after `{last}` in a catalog that is sorted by path"),
            ),
        };
        Err(Error::new(code, message).at_path(path))
    }
}

impl CatalogSummary {
    fn count(&mut self, item: &Item) {
        self.files.add(item.record.status);
        self.pages += item.pages.len() as u64;
        self.derivatives += item.derivatives.len() as u64;
        self.failures += item.failures.len() as u64;
        self.duplicates += u64::from(!item.record.duplicate_of.is_empty());
    }
}

/// The first file of each digest, in the order of the paths.
#[derive(Debug, Default)]
struct Duplicates {
    first: HashMap<Digest, u64>,
    /// The ids, each closed by a line feed; one allocation instead of one an id.
    ids: String,
}

impl Duplicates {
    fn resolve(&mut self, record: &mut Record) {
        record.duplicate_of.clear();
        let Some(digest) = record.sha256 else {
            return;
        };
        match self.first.entry(digest) {
            Entry::Occupied(first) => {
                let id = self.ids[*first.get() as usize..].split('\n').next();
                record.duplicate_of.push_str(id.unwrap_or_default());
            }
            Entry::Vacant(place) => {
                place.insert(self.ids.len() as u64);
                self.ids.push_str(&record.objectid);
                self.ids.push('\n');
            }
        }
    }
}

/// Rows under another path, or pages of another file, would break the tables' order.
fn check_rows(item: &Item) -> Result<()> {
    let path = item.record.filename.as_str();
    let of_file = item.record.page().is_none()
        && item.derivatives.iter().all(|row| row.filename == path)
        && item.failures.iter().all(|row| row.filename == path);
    let of_pages = item.pages.iter().all(|row| {
        row.filename == path && row.page().is_some() && row.parentid == item.record.objectid
    });
    if of_file && of_pages {
        return Ok(());
    }
    Err(Error::new(Code::Internal, "has rows that are not its own").at_path(path))
}

/// 128 bits stand in for an id: enough that a million ids meet by chance once in 10²⁶ catalogs.
fn fingerprint(id: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        id.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::ObjectId;
    use std::fs;

    fn record(path: &str, id: &str, content: &str) -> Record {
        Record {
            sha256: Some(Digest::of(content.as_bytes())),
            ..Record::new(path, &ObjectId::parse(id).unwrap())
        }
    }

    fn item(path: &str, id: &str, content: &str) -> Item {
        Item {
            record: record(path, id, content),
            ..Default::default()
        }
    }

    fn column(text: &str, index: usize) -> Vec<&str> {
        let rows = text.lines().skip(1);
        rows.map(|row| row.split(',').nth(index).unwrap()).collect()
    }

    #[test]
    fn tables_are_in_order_and_duplicates_name_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = CatalogWriter::create(folder.path()).unwrap();
        let mut pages = item("a.tif", "a", "x");
        let file = pages.record.clone();
        // Pages come in any order, and carry the digest of their file.
        for page in [2, 1] {
            pages.pages.push(Record {
                sha256: file.sha256,
                ..file.page_row(page)
            });
            pages.derivatives.push(DerivativeRecord {
                filename: "a.tif".into(),
                page: Some(page),
                path: format!("derivatives/{page}"),
                ..Default::default()
            });
        }
        writer.push(pages).unwrap();
        writer.push(item("a/b.tif", "a-b", "y")).unwrap();
        writer.push(item("é.tif", "e", "x")).unwrap();
        assert!(!folder.path().join("catalog.csv").exists());
        let summary = writer.finish().unwrap();
        assert_eq!(
            (summary.files.total(), summary.pages, summary.duplicates),
            (3, 2, 1)
        );
        assert_eq!(summary.files.get(Status::Ok), 3);

        let text = fs::read_to_string(folder.path().join("catalog.csv")).unwrap();
        assert_eq!(column(&text, 1), ["a", "a_p0001", "a_p0002", "a-b", "e"]);
        assert_eq!(column(&text, 45), ["", "", "", "", "a"]);
        let text = fs::read_to_string(folder.path().join("derivatives.csv")).unwrap();
        assert_eq!(column(&text, 1), ["1", "2"]);
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        assert_eq!(names.len(), 5, "{names:?}");
    }

    #[test]
    fn an_abandoned_catalog_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        CatalogWriter::create(folder.path())
            .unwrap()
            .finish()
            .unwrap();
        let before = fs::read(folder.path().join("catalog.csv")).unwrap();
        let mut writer = CatalogWriter::create(folder.path()).unwrap();
        writer.push(item("a", "a", "x")).unwrap();
        drop(writer);
        assert_eq!(fs::read(folder.path().join("catalog.csv")).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn what_would_break_the_catalog_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = CatalogWriter::create(folder.path()).unwrap();
        writer.push(item("b", "b", "x")).unwrap();
        let code = |result: Result<()>| result.unwrap_err().code();
        assert_eq!(code(writer.push(item("b", "c", "x"))), Code::NameCollision);
        assert_eq!(code(writer.push(item("a", "a", "x"))), Code::Internal);
        assert_eq!(code(writer.push(item("c", "b", "x"))), Code::NameCollision);
        let mut foreign = item("d", "d", "x");
        foreign.failures.push(FailureRecord::default());
        assert_eq!(code(writer.push(foreign)), Code::Internal);
        let mut foreign = item("e", "e", "x");
        foreign.pages.push(record("e", "f", "x"));
        assert_eq!(code(writer.push(foreign)), Code::Internal);
    }
}
