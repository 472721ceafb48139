//! `edits.csv`: what people changed in exports, kept for later runs.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_core::{Code, Error, Result};

use crate::atomic::write_file;
use crate::formula::{escape_formula, unescape_formula};
use crate::human::header::DESCRIBED;
use crate::human::sheet;
use crate::reader::failed;
use crate::record::Record;
use crate::row::Row;
use crate::writer::quote_from;

/// Path and id of an object; one of them may be empty.
type Place = (String, String);

/// The edits of an output root, in the order of paths and ids.
#[derive(Debug, Default)]
pub(super) struct Edits {
    rows: BTreeMap<Place, BTreeMap<usize, String>>,
    places: BTreeMap<String, Place>,
}

impl Edits {
    /// Reads the edits of earlier imports; none when there is no file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut edits = Self::default();
        if !path.is_file() {
            return Ok(edits);
        }
        let bytes = std::fs::read(path).map_err(|error| {
            Error::from_io(error, Code::Unreadable, "cannot be read").at_path(path)
        })?;
        let text = sheet::text(&bytes).map_err(|error| error.at_path(path))?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(sheet::delimiter(text))
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| failed(error, path))?;
        let columns: Vec<_> = header
            .iter()
            .map(|name| {
                Record::COLUMNS
                    .iter()
                    .position(|column| column.name == name)
            })
            .collect();
        for cells in reader.records() {
            let cells = cells.map_err(|error| failed(error, path))?;
            let mut values = BTreeMap::new();
            for (column, cell) in columns.iter().zip(&cells) {
                if let (Some(column), false) = (column, cell.is_empty()) {
                    values.insert(*column, unescape_formula(cell).into_owned());
                }
            }
            let place = (
                values.remove(&FILENAME).unwrap_or_default(),
                values.remove(&OBJECTID).unwrap_or_default(),
            );
            edits.places.insert(place.1.clone(), place.clone());
            edits.rows.entry(place).or_default().extend(values);
        }
        Ok(edits)
    }

    /// Notes what a person says of a row of the catalog.
    pub(super) fn set(&mut self, record: &Record, column: usize, text: &str) {
        // The reader of such files trims paths and takes `\` for `/`; other names go by the id.
        let path = &record.filename;
        let plain = path.trim() == path && !path.contains('\\') && !path.starts_with("./");
        let path = if plain && record.page().is_none() {
            path.clone()
        } else {
            String::new()
        };
        self.put((path, record.objectid.clone()), column, text);
    }

    /// Notes what a person says of an object that the catalog does not have.
    pub(super) fn set_unmatched(&mut self, key: &str, by_path: bool, column: usize, text: &str) {
        let place = if by_path {
            (key.to_owned(), String::new())
        } else {
            let known = self.places.get(key).cloned();
            known.unwrap_or_else(|| (String::new(), key.to_owned()))
        };
        self.put(place, column, text);
    }

    fn put(&mut self, place: Place, column: usize, text: &str) {
        let values = self.rows.entry(place).or_default();
        values.insert(column, text.to_owned());
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = format!("filename,objectid,{}\n", DESCRIBED.join(","));
        for ((filename, objectid), values) in &self.rows {
            put_cell(filename, &mut text);
            text.push(',');
            put_cell(objectid, &mut text);
            for name in DESCRIBED {
                text.push(',');
                let index = crate::profiles::column_index(name);
                put_cell(values.get(&index).map_or("", String::as_str), &mut text);
            }
            text.push('\n');
        }
        write_file(path, text.as_bytes())
    }
}

const FILENAME: usize = 0;
const OBJECTID: usize = 1;

fn put_cell(text: &str, out: &mut String) {
    let start = out.len();
    out.push_str(&escape_formula(text));
    quote_from(start, out);
}
