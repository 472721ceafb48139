//! The tables of a training run: lines that are appended step by step, and cut back to a checkpoint
//! when a run that died goes on from there.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

/// A CSV file whose first column is the step.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    header: Option<String>,
    file: BufWriter<File>,
}

impl Table {
    /// Opens the table, keeping the lines of steps up to `done`; these come back as cells.
    pub(super) fn open(path: &Path, done: u64) -> Result<(Self, Vec<Vec<String>>)> {
        let failed = |error: std::io::Error| {
            Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let error = Error::from_io(error, Code::Unreadable, "cannot be read");
                return Err(error.at_path(path));
            }
        };
        let mut kept = 0;
        let mut header = None;
        let mut rows = Vec::new();
        if done > 0 {
            for line in text.split_inclusive('\n') {
                let Some(whole) = line.strip_suffix('\n') else {
                    break;
                };
                if header.is_none() {
                    header = Some(whole.to_owned());
                } else {
                    let cells: Vec<String> = whole.split(',').map(str::to_owned).collect();
                    let step = cells.first().and_then(|cell| cell.parse::<u64>().ok());
                    if step.is_none_or(|step| step > done) {
                        break;
                    }
                    rows.push(cells);
                }
                kept += line.len();
            }
        }
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut file = options.map_err(failed)?;
        file.set_len(kept as u64).map_err(failed)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed)?;
        let table = Self {
            path: path.to_owned(),
            header,
            file: BufWriter::new(file),
        };
        Ok((table, rows))
    }

    /// The columns as they stand in the file.
    pub(super) fn columns(&self) -> Vec<String> {
        let header = self.header.as_deref().unwrap_or_default();
        header.split(',').map(str::to_owned).collect()
    }

    /// Writes a line; before the first one the header.
    ///
    /// # Errors
    /// `internal` when the columns are not those of the lines before.
    pub(super) fn line(&mut self, columns: &[&str], cells: &[String]) -> Result<()> {
        let header = columns.join(",");
        match &self.header {
            None => {
                self.put(&header)?;
                self.header = Some(header);
            }
            Some(known) if *known != header => {
                let message = format!("the columns were `{known}` and are `{header}`");
                return Err(Error::new(Code::Internal, message).at_path(&self.path));
            }
            Some(_) => {}
        }
        self.put(&cells.join(","))
    }

    /// Hands all lines to the system, so that they outlive the process.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| self.failed(error))
    }

    /// Brings all lines to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        let synced = self.file.get_ref().sync_data();
        synced.map_err(|error| self.failed(error))
    }

    fn put(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(&self.path)
    }
}

/// A number as it stands in tables: the shortest text that reads back as the same number.
pub(super) fn number(value: f64) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_checkpoint_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.csv");
        let (mut table, rows) = Table::open(&path, 0).unwrap();
        assert!(rows.is_empty());
        for step in 1..=5 {
            let cells = [step.to_string(), number(0.1 * f64::from(step))];
            table.line(&["step", "loss"], &cells).unwrap();
        }
        table.sync().unwrap();
        let whole = fs::read(&path).unwrap();
        // As a kill in the midst of a line leaves it.
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let (mut table, rows) = Table::open(&path, 4).unwrap();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[2], ["3", "0.30000000000000004"]);
        assert_eq!(table.columns(), ["step", "loss"]);
        table
            .line(&["step", "loss"], &["5".to_owned(), number(0.5)])
            .unwrap();
        table.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        let error = table.line(&["step", "d"], &["6".to_owned()]).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        drop(table);
        let (_, rows) = Table::open(&path, 0).unwrap();
        assert!(rows.is_empty());
        assert_eq!(fs::read(&path).unwrap(), b"");
    }
}
