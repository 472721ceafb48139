//! `metadata.csv`: what people know of the archive. Their values always win.

pub(crate) mod header;
pub(crate) mod sheet;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::OnceLock;

use fonds_core::{Code, Digest, Error, Flag, Hasher, Result};

use crate::finding::{Finding, Severity};
use crate::reader::failed;
use crate::record::{Record, page_of};
use crate::row::{Cells, Row};
use crate::validate::cells;
use header::{Header, bad};

/// The name of the file in the archive's root.
pub const METADATA_FILE: &str = "metadata.csv";

/// What is said of a file and holds for each of its pages too.
pub(crate) const INHERITED: &[&str] = &[
    "creator",
    "date",
    "location",
    "source",
    "identifier",
    "language",
    "rights",
    "rightsstatement",
    "scanner",
    "date_digitized",
];

/// The human metadata of an archive, by path or by object id.
///
/// Reading accepts what spreadsheets write: a byte order mark, `\r\n`, `;` or tab between cells,
/// headers in any case and with a Dublin Core prefix (`dc:title`, `dcterms.title`). It may be
/// shared between threads; which rows were used is remembered for [`HumanMetadata::findings`].
#[derive(Debug, Default)]
pub struct HumanMetadata {
    file: String,
    rows: Vec<HumanRow>,
    by_path: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    remarks: Vec<Finding>,
    /// Later values, which win over these.
    edits: Option<Box<HumanMetadata>>,
}

#[derive(Debug)]
struct HumanRow {
    line: u32,
    path: String,
    id: String,
    /// Column number in the catalog, and the text; never empty.
    values: Vec<(usize, String)>,
    /// The id of the object that the row was used for first.
    used: OnceLock<String>,
}

impl HumanMetadata {
    /// Reads a file of human metadata.
    ///
    /// Fails with [`Code::InvalidRequest`] and the line when a path or id is described twice, a row
    /// says neither, or a cell cannot be what its column holds.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path)
        })?;
        let text = sheet::text(&bytes).map_err(|error| error.at_path(path))?;
        Self::parse(text, &path.display().to_string()).map_err(|error| error.at_path(path))
    }

    /// Reads human metadata from text; `file` is named in findings.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let mut metadata = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(sheet::delimiter(text))
            .flexible(true)
            .from_reader(text.as_bytes());
        let bad_csv = |error| failed(error, Path::new(file));
        let header = reader.headers().map_err(bad_csv)?.clone();
        let (columns, remarks) = Header::read(&header, file)?;
        metadata.remarks = remarks;
        let mut cells = csv::StringRecord::new();
        let mut lines = sheet::Lines::of(text);
        while reader.read_record(&mut cells).map_err(bad_csv)? {
            let line = lines.line(&cells);
            let row = columns.row(&cells, line);
            let row = row.map_err(|error| error.on_line(line))?;
            if let Some(row) = row {
                metadata.check_values(&row);
                metadata.insert(row)?;
            }
        }
        Ok(metadata)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same with later values, which win over these: what was imported into the output root.
    ///
    /// Where both say something different, the later file is given a remark.
    #[must_use]
    pub fn then(mut self, mut edits: Self) -> Self {
        let mut remarks = Vec::new();
        for row in &edits.rows {
            let indices = [self.by_id.get(&row.id), self.path_row(&row.path)];
            for before in indices.into_iter().flatten().map(|i| &self.rows[*i]) {
                remarks.extend(row.conflicts(before, &self.file, &edits.file));
            }
        }
        edits.remarks.extend(remarks);
        self.edits = Some(Box::new(edits));
        self
    }

    /// Puts the human values in the place of the machine's; says whether there were any.
    ///
    /// The row of a file takes the values under its id, then those under its path, which win. The
    /// row of a page takes from its file what holds for each page (creator, date, rights and
    /// others), then the values under its own id. A title that a person gave takes the flag
    /// `title_from_filename` away. Empty cells say nothing.
    pub fn apply(&self, record: &mut Record) -> bool {
        let mut changed = false;
        for layer in self.layers() {
            changed |= layer.apply_file(record);
        }
        if record.page().is_some() {
            for layer in self.layers() {
                changed |= layer.apply_page(record);
            }
        }
        changed
    }

    /// These values, then the later ones.
    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.edits.as_deref())
    }

    /// Applies what is said of the file.
    fn apply_file(&self, record: &mut Record) -> bool {
        let mut changed = false;
        let page = record.page().is_some();
        let file_id = if page {
            &record.parentid
        } else {
            &record.objectid
        };
        for index in [self.by_id.get(file_id), self.path_row(&record.filename)] {
            let Some(row) = index.map(|index| &self.rows[*index]) else {
                continue;
            };
            if page {
                changed |= put(record, row.inherited());
            } else {
                row.used.get_or_init(|| record.objectid.clone());
                changed |= put(record, row.values.iter());
            }
        }
        changed
    }

    /// Applies what is said of the page itself.
    fn apply_page(&self, record: &mut Record) -> bool {
        let Some(index) = self.by_id.get(&record.objectid) else {
            return false;
        };
        let row = &self.rows[*index];
        row.used.get_or_init(|| record.objectid.clone());
        // A page stays a page of its file.
        put(record, row.values.iter().filter(|(i, _)| *i != PARENTID))
    }

    /// A digest of all that is said of a file or its pages; `None` when nothing is.
    ///
    /// It changes when a person changes a value, so that what was made with the old value can be
    /// made again.
    pub fn digest_of(&self, filename: &str, objectid: &str) -> Option<Digest> {
        let mut hasher = Hasher::new();
        let mut said = false;
        for layer in self.layers() {
            for index in [layer.by_id.get(objectid), layer.path_row(filename)] {
                for (column, text) in index.into_iter().flat_map(|i| &layer.rows[*i].values) {
                    said = true;
                    for part in [Record::COLUMNS[*column].name, text] {
                        hasher.update(&(part.len() as u64).to_be_bytes());
                        hasher.update(part.as_bytes());
                    }
                }
            }
        }
        said.then(|| hasher.finish())
    }

    /// The keys of rows that no record has matched so far, with their lines.
    pub fn unmatched(&self) -> Vec<(u32, &str)> {
        let rows = self.layers().flat_map(|layer| &layer.rows);
        let unused = rows.filter(|row| row.used.get().is_none());
        unused.map(|row| (row.line, row.key())).collect()
    }

    /// What a person should know: unknown columns, values that are not what their column holds (dates that
    /// are not EDTF, rights that are no URI), and, after all records
    /// have been through [`HumanMetadata::apply`], rows that match no file or name another id.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.remarks.clone();
        for row in &self.rows {
            let message = match row.used.get() {
                None => format!("`{}` matches no file", row.key()),
                Some(id) if !row.path.is_empty() && !row.id.is_empty() && *id != row.id => {
                    format!("`{}` has the id `{id}`, not `{}`", row.path, row.id)
                }
                Some(_) => continue,
            };
            let finding = self.remark(row.line, message);
            findings.push(if row.used.get().is_some() {
                finding.in_column("objectid")
            } else {
                finding.hint("paths are relative to the archive's root, and case counts")
            });
        }
        findings.extend(self.edits.iter().flat_map(|edits| edits.findings()));
        findings
    }

    fn path_row(&self, filename: &str) -> Option<&usize> {
        self.by_path.get(filename)
    }

    fn remark(&self, line: u32, message: String) -> Finding {
        Finding::new(Severity::Warning, &self.file, line, message)
    }

    fn insert(&mut self, row: HumanRow) -> Result<()> {
        let (map, key) = if row.path.is_empty() {
            (&mut self.by_id, row.id.clone())
        } else {
            (&mut self.by_path, row.path.clone())
        };
        match map.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self.rows.len());
                self.rows.push(row);
                Ok(())
            }
            Entry::Occupied(first) => {
                let (key, before) = (first.key(), self.rows[*first.get()].line);
                let message = format!("`{key}` is described twice, first on line {before}");
                Err(bad(message)
                    .on_line(row.line)
                    .hint("keep one of the two lines"))
            }
        }
    }

    /// Values that the catalog's readers will not understand are kept, and reported.
    fn check_values(&mut self, row: &HumanRow) {
        for (column, text) in &row.values {
            let column = &Record::COLUMNS[*column];
            if let Some(remark) = cells::check(column, text) {
                let finding = self.remark(row.line, remark.message);
                let finding = finding.in_column(column.name);
                self.remarks.push(match remark.hint {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                });
            }
        }
    }
}

const PARENTID: usize = 2;

impl HumanRow {
    /// What this row says otherwise than an earlier one.
    fn conflicts(&self, before: &Self, file: &str, own_file: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (column, text) in &self.values {
            let other = before.values.iter().find(|(other, _)| other == column);
            let Some((_, other)) = other.filter(|(_, other)| other != text) else {
                continue;
            };
            let message = format!(
                "`{}` stands in {file}, line {}; what was imported holds",
                other.replace('\n', " "),
                before.line
            );
            let finding = Finding::new(Severity::Warning, own_file, self.line, message);
            findings.push(finding.in_column(Record::COLUMNS[*column].name));
        }
        findings
    }

    /// Whether the row says of itself that it is about a page, as the rows of a catalog do.
    fn is_page(&self) -> bool {
        let parent = self.values.iter().find(|(column, _)| *column == PARENTID);
        parent.is_some_and(|(_, parent)| page_of(&self.id, parent).is_some())
    }

    fn key(&self) -> &str {
        if self.path.is_empty() {
            &self.id
        } else {
            &self.path
        }
    }

    fn inherited(&self) -> impl Iterator<Item = &(usize, String)> {
        let inherited = |column: usize| INHERITED.contains(&Record::COLUMNS[column].name);
        self.values
            .iter()
            .filter(move |(column, _)| inherited(*column))
    }
}

pub(crate) fn put<'a>(
    record: &mut Record,
    values: impl Iterator<Item = &'a (usize, String)>,
) -> bool {
    let title = record.title.clone();
    let mut changed = false;
    record.with_cells_mut(|cells| {
        for (index, text) in values {
            let set = cells[*index].set(text, &Record::COLUMNS[*index]);
            debug_assert!(set.is_ok(), "checked when the file was read");
            changed = true;
        }
    });
    if record.title != title {
        record.quality_flags.remove(&Flag::TitleFromFilename);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::ObjectId;

    fn record(path: &str, id: &str) -> Record {
        let mut record = Record::new(path, &ObjectId::parse(id).unwrap());
        record.title = "machine".into();
        record.rights = "machine".into();
        record.quality_flags.insert(Flag::TitleFromFilename);
        record
    }

    fn parse(text: &str) -> HumanMetadata {
        HumanMetadata::parse(text, "metadata.csv").unwrap_or_else(|error| panic!("{error}"))
    }

    fn messages(metadata: &HumanMetadata) -> Vec<String> {
        metadata
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn human_values_win_and_empty_cells_say_nothing() {
        let metadata = parse(
            "filename,title,rights,subject,latitude\na.tif,\"A, \"\"b\"\"\",,x; y,48.5\nb.tif,,r,,\n",
        );
        let mut a = record("a.tif", "a");
        assert!(metadata.apply(&mut a));
        assert_eq!(
            (a.title.as_str(), a.rights.as_str()),
            ("A, \"b\"", "machine")
        );
        assert_eq!((a.subject.len(), a.latitude), (2, Some(48.5)));
        assert!(a.quality_flags.is_empty());
        let mut b = record("b.tif", "b");
        assert!(metadata.apply(&mut b));
        assert_eq!((b.title.as_str(), b.rights.as_str()), ("machine", "r"));
        assert!(b.quality_flags.contains(&Flag::TitleFromFilename));
        assert!(!metadata.apply(&mut record("c.tif", "c")));
        assert!(metadata.unmatched().is_empty() && metadata.findings().is_empty());
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let text = "Filename;dc:Title;LATITUDE;\r\n .\\x\\a.tif ;ä;48,5;\r\n;;;\r\n";
        let metadata = parse(text);
        let mut a = record("x/a.tif", "x-a");
        assert_eq!(metadata.len(), 1);
        assert!(metadata.apply(&mut a));
        assert_eq!((a.title.as_str(), a.latitude), ("ä", Some(48.5)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.csv");
        std::fs::write(&path, "\u{feff}filename\ttitle\na\tb\n").unwrap();
        assert_eq!(HumanMetadata::read(&path).unwrap().len(), 1);
    }

    #[test]
    fn ids_and_paths_both_are_keys_and_the_path_wins() {
        let metadata = parse("objectid,filename,title,creator\na,,by id,c\n,a.tif,by path,\n");
        let mut a = record("a.tif", "a");
        metadata.apply(&mut a);
        assert_eq!((a.title.as_str(), a.creator.as_str()), ("by path", "c"));
        assert!(metadata.unmatched().is_empty());
    }

    #[test]
    fn pages_inherit_what_holds_for_each_page() {
        let metadata = parse(
            "filename,objectid,title,rights,parentid\na.tif,,file,r,box\n,a_p0002,page two,,box\n",
        );
        let mut file = record("a.tif", "a");
        let (mut one, mut two) = (file.page_row(1), file.page_row(2));
        for row in [&mut file, &mut one, &mut two] {
            metadata.apply(row);
        }
        assert_eq!(
            (file.title.as_str(), file.parentid.as_str()),
            ("file", "box")
        );
        assert_eq!((one.title.as_str(), one.rights.as_str()), ("", "r"));
        assert_eq!((two.title.as_str(), two.rights.as_str()), ("page two", "r"));
        assert_eq!((one.page(), two.page()), (Some(1), Some(2)));
    }

    #[test]
    fn later_values_win_and_differences_are_reported() {
        let before = parse("filename,objectid,title,creator\na.tif,,old,C\n,a_p0001,,P\n");
        let edits = HumanMetadata::parse(
            "filename,objectid,title,creator\na.tif,a,'=new,D\nb.tif,b,t,\n",
            "edits.csv",
        );
        let digest = before.digest_of("a.tif", "a");
        let both = before.then(edits.unwrap());
        assert_ne!(both.digest_of("a.tif", "a"), digest);
        let mut file = record("a.tif", "a");
        let (mut one, mut two) = (file.page_row(1), file.page_row(2));
        for row in [&mut file, &mut one, &mut two] {
            both.apply(row);
        }
        assert_eq!((file.title.as_str(), file.creator.as_str()), ("=new", "D"));
        // What is said of a page itself is not undone by what is said later of its file.
        assert_eq!((one.creator.as_str(), two.creator.as_str()), ("P", "D"));
        assert_eq!(
            messages(&both),
            [
                "edits.csv:2: warning: title: `old` stands in metadata.csv, line 2; what was \
                 imported holds",
                "edits.csv:2: warning: creator: `C` stands in metadata.csv, line 2; what was \
                 imported holds",
                "edits.csv:3: warning: `b.tif` matches no file (paths are relative to the \
                 archive's root, and case counts)",
            ]
        );
    }

    #[test]
    fn leftovers_are_reported() {
        let metadata =
            parse("filename,objectid,titel,date,sha256,note\na.tif,b,t,ca. 1931,,\nz.tif,,,,,\n");
        metadata.apply(&mut record("a.tif", "a"));
        assert_eq!(metadata.unmatched(), [(3, "z.tif")]);
        assert_eq!(
            messages(&metadata),
            [
                "metadata.csv:1: warning: column `titel` is unknown and not used (is `title` meant?)",
                "metadata.csv:1: warning: column `note` is unknown and not used",
                "metadata.csv:1: warning: `sha256` is filled by fonds and not taken from here",
                "metadata.csv:2: warning: date: `ca. 1931` is not an EDTF date: a year has four \
                 digits, the last of which may be `X` (write `1931~`)",
                "metadata.csv:2: warning: objectid: `a.tif` has the id `a`, not `b`",
                "metadata.csv:3: warning: `z.tif` matches no file (paths are relative to the \
                 archive's root, and case counts)",
            ]
        );
    }

    #[test]
    fn mistakes_name_their_lines() {
        for (text, expected) in [
            (
                "title\nx\n",
                "line 1: has neither a column `filename` nor a column `objectid`",
            ),
            (
                "",
                "line 1: has neither a column `filename` nor a column `objectid`",
            ),
            (
                "filename,title,Title\n",
                "line 1: column `title` is there twice, as column 3",
            ),
            (
                "filename\na\nb\na\n",
                "line 4: `a` is described twice, first on line 2",
            ),
            (
                "filename,title\na,\"x\ny\"\n,z\n",
                "line 4: says neither `filename` nor `objectid`",
            ),
            (
                "filename,latitude\na,91\n",
                "line 2: column `latitude`: `91` is not a number from -90 to 90",
            ),
            (
                "filename,title\na,b,c\n",
                "line 2: cell 3 has no header: `c`",
            ),
            (
                "filename,parentid\na,My Box\n",
                "line 2: column `parentid`: `My Box` is not an object id (`a-z`, `0-9`, `_` and `-`)",
            ),
        ] {
            let error = HumanMetadata::parse(text, "m").unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.code(), Code::InvalidRequest);
        }
        let template = "filename,display_template\na,imgae\n";
        let error = HumanMetadata::parse(template, "m").unwrap_err();
        assert_eq!(error.hints(), ["is `image` meant?"]);
    }

    #[test]
    fn the_digest_follows_the_values() {
        let one = parse("filename,title\na,x\nb,y\n");
        let same = parse("title,filename\ny,b\nx,a\n");
        let other = parse("filename,title\na,z\n");
        let digest = |metadata: &HumanMetadata, path: &str| metadata.digest_of(path, "id");
        assert_eq!(digest(&one, "a"), digest(&same, "a"));
        assert_ne!(digest(&one, "a"), digest(&other, "a"));
        assert_ne!(digest(&one, "a"), digest(&one, "b"));
        assert_eq!(digest(&other, "b"), None);
    }
}
