//! `events.jsonl`: one line for each file that was finished, appended and never rewritten. It is
//! what a later run resumes from and what the catalog is assembled from.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use fonds_catalog::ItemEntry;
use fonds_core::{Code, Digest, Error, Result};
use fonds_ingest::{Fingerprint, Stamp};
use serde::{Deserialize, Serialize};

/// The journal's name in the output folder.
const NAME: &str = "events.jsonl";
/// How long a finished file may wait until its line is on the disk for good.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A source file as it was when it was processed, or a written file as it was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileMark {
    /// Relative to the output folder; empty for the source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) inode: u64,
    pub(super) sha256: String,
}

impl FileMark {
    pub(super) fn new(path: &str, stamp: Stamp, digest: Digest) -> Self {
        Self {
            path: path.to_owned(),
            size: stamp.size,
            mtime_ns: stamp.mtime_ns,
            inode: stamp.inode,
            sha256: digest.to_string(),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            size: self.size,
            mtime_ns: self.mtime_ns,
            inode: self.inode,
        }
    }
}

/// The line of one finished file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    /// The path in the archive.
    pub(super) item: String,
    /// What the result depends on; equal keys mean equal results.
    pub(super) key: String,
    /// The source, when it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<FileMark>,
    /// Everything that was written for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileMark>,
    /// What earlier results wrote and this one no longer does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stale: Vec<String>,
    /// The failure's code, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    /// How often it was tried in vain, with this result included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempts: u32,
    /// How long the work on it took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    /// The catalog's share.
    pub(super) entry: ItemEntry,
}

/// The same line read for its head alone.
#[derive(Deserialize)]
struct Head {
    item: String,
    key: String,
    #[serde(default)]
    source: Option<FileMark>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    files: Vec<HeadFile>,
    #[serde(default)]
    stale: Vec<String>,
}

#[derive(Deserialize)]
struct HeadFile {
    path: String,
}

/// The line before files get their final names.
#[derive(Serialize, Deserialize)]
struct Intent {
    publishing: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the index keeps of a line: enough to decide whether it still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    offset: u64,
    len: u32,
    pub(super) key: [u8; 16],
    pub(super) source: Option<Fingerprint>,
    pub(super) code: Option<Code>,
    pub(super) attempts: u32,
    pub(super) has_files: bool,
    pub(super) has_stale: bool,
}

/// The journal of an output folder: an open file and an index of the last line of each item.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    end: u64,
    index: HashMap<String, Known>,
    synced: Instant,
    dirty: bool,
    /// Files that may have got their final names although no line of an item names them: the
    /// run died in between.
    pub(super) leftovers: HashSet<String>,
    /// Lines that could not be read, to be told to the user.
    pub(super) unreadable: u64,
}

impl Journal {
    /// Opens or creates the journal. A last line without an end, as a crash leaves it, is cut off.
    pub(super) fn open(output: &Path) -> Result<Self> {
        let path = output.join(NAME);
        let failed = |error| {
            Error::from_io(error, Code::WriteFailed, "the journal cannot be opened").at_path(&path)
        };
        let options = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path);
        let file = options.map_err(failed)?;
        let mut journal = Self {
            path: path.clone(),
            file,
            end: 0,
            index: HashMap::new(),
            synced: Instant::now(),
            dirty: false,
            leftovers: HashSet::new(),
            unreadable: 0,
        };
        journal.load().map_err(failed)?;
        journal.file.set_len(journal.end).map_err(failed)?;
        Ok(journal)
    }

    fn load(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, self.file.try_clone()?);
        reader.seek(SeekFrom::Start(0))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let len = reader.read_until(b'\n', &mut line)?;
            if len == 0 || line.last() != Some(&b'\n') {
                return Ok(());
            }
            if line.starts_with(b"{\"item\":") {
                match serde_json::from_slice::<Head>(&line) {
                    Ok(head) => self.note(head, len),
                    Err(_) => self.unreadable += 1,
                }
            } else if line.starts_with(b"{\"publishing\":") {
                match serde_json::from_slice::<Intent>(&line) {
                    Ok(intent) => self.leftovers.extend(intent.publishing),
                    Err(_) => self.unreadable += 1,
                }
            }
            self.end += len as u64;
        }
    }

    fn note(&mut self, head: Head, len: usize) {
        for file in &head.files {
            self.leftovers.remove(&file.path);
        }
        let known = Known {
            offset: self.end,
            len: len as u32,
            key: short_key(&head.key),
            source: head.source.as_ref().and_then(fingerprint),
            code: head.code.as_deref().and_then(Code::from_text),
            attempts: head.attempts,
            has_files: !head.files.is_empty(),
            has_stale: !head.stale.is_empty(),
        };
        self.index.insert(head.item, known);
    }

    /// What is known of an item.
    pub(super) fn known(&self, item: &str) -> Option<&Known> {
        self.index.get(item)
    }

    /// The items that the journal knows.
    pub(super) fn items(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// A reader of lines, for use while the journal goes on being written.
    pub(super) fn reader_of(output: &Path) -> Result<LineReader> {
        let path = output.join(NAME);
        let file = File::open(&path).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&path)
        })?;
        Ok(LineReader { path, file })
    }

    /// Appends a file's line.
    pub(super) fn append(&mut self, line: &Line) -> Result<()> {
        let bytes = self.write(line)?;
        let known = Known {
            offset: self.end,
            len: bytes as u32,
            key: short_key(&line.key),
            source: line.source.as_ref().and_then(fingerprint),
            code: line.code.as_deref().and_then(Code::from_text),
            attempts: line.attempts,
            has_files: !line.files.is_empty(),
            has_stale: !line.stale.is_empty(),
        };
        self.end += bytes as u64;
        self.index.insert(line.item.clone(), known);
        self.sync_if_due()
    }

    /// Notes for good that these files are about to get their final names, so that a run that
    /// dies before the next line is known to have made them.
    pub(super) fn publishing(&mut self, paths: Vec<String>) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        self.end += self.write(&Intent { publishing: paths })? as u64;
        self.sync()
    }

    /// Appends a line that belongs to no item: the beginning or the end of a run.
    pub(super) fn note_run(&mut self, event: &serde_json::Value) -> Result<()> {
        self.end += self.write(event)? as u64;
        self.sync()
    }

    /// Puts lines that have waited long enough on the disk: when nothing else comes for a while.
    pub(super) fn sync_if_due(&mut self) -> Result<()> {
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()
        } else {
            Ok(())
        }
    }

    /// Puts everything appended so far on the disk for good.
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.dirty {
            self.file.sync_data().map_err(|error| self.failed(error))?;
            self.dirty = false;
        }
        self.synced = Instant::now();
        Ok(())
    }

    fn write(&mut self, value: &impl Serialize) -> Result<usize> {
        let mut text = serde_json::to_vec(value).map_err(|error| {
            Error::new(Code::Internal, "a journal line cannot be written").caused_by(error)
        })?;
        text.push(b'\n');
        if let Err(error) = self.file.write_all(&text) {
            // Half a line would spoil the one after it.
            let cut = self.file.set_len(self.end);
            drop(cut);
            return Err(self.failed(error));
        }
        self.dirty = true;
        Ok(text.len())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::from_io(error, Code::WriteFailed, "the journal cannot be written")
            .at_path(&self.path)
    }
}

/// Reads lines by what the index knows of them.
#[derive(Debug)]
pub(super) struct LineReader {
    path: PathBuf,
    file: File,
}

impl LineReader {
    pub(super) fn line(&mut self, known: &Known) -> Result<Line> {
        let mut bytes = vec![0; known.len as usize];
        let read = self
            .file
            .seek(SeekFrom::Start(known.offset))
            .and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(&self.path)
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("the line at byte {} is damaged", known.offset);
            let error = Error::new(Code::Corrupt, message)
                .caused_by(error)
                .at_path(&self.path);
            error.hint("remove that line, its file is then processed anew")
        })
    }
}

/// The part of a key that the index keeps.
pub(super) fn short_key(key: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Digest::of(key.as_bytes()).as_bytes()[..16]);
    short
}

fn fingerprint(mark: &FileMark) -> Option<Fingerprint> {
    Some(Fingerprint {
        stamp: mark.stamp(),
        digest: Digest::from_str(&mark.sha256).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: &str, key: &str) -> Line {
        Line {
            item: item.into(),
            key: key.into(),
            source: None,
            files: Vec::new(),
            stale: Vec::new(),
            code: None,
            attempts: 0,
            seconds: None,
            entry: ItemEntry::default(),
        }
    }

    #[test]
    fn a_torn_last_line_is_cut_and_the_rest_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.append(&line("a", "1")).unwrap();
        journal.append(&line("b", "1")).unwrap();
        journal.append(&line("a", "2")).unwrap();
        journal.sync().unwrap();
        drop(journal);
        let path = folder.path().join("events.jsonl");
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn.extend_from_slice(b"{\"item\":\"c\",\"ke");
        std::fs::write(&path, torn).unwrap();

        let mut journal = Journal::open(folder.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert_eq!(journal.known("a").unwrap().key, short_key("2"));
        assert!(journal.known("c").is_none());
        journal.append(&line("c", "3")).unwrap();
        let known = *journal.known("c").unwrap();
        assert_eq!(
            Journal::reader_of(folder.path())
                .unwrap()
                .line(&known)
                .unwrap()
                .item,
            "c"
        );
    }

    #[test]
    fn a_damaged_line_costs_its_own_item_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.append(&line("a", "1")).unwrap();
        drop(journal);
        let path = folder.path().join("events.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"item\":17}\nnoise\n");
        std::fs::write(&path, bytes).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.unreadable, 1);
        assert!(journal.known("a").is_some());
    }
}
