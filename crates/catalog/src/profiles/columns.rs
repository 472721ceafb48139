//! What a column of an export holds, and how it is read back.

use super::Exported;
use crate::record::Record;
use crate::row::Row;

/// A column of a profile's table.
pub(crate) struct Field {
    /// Its header.
    pub(crate) header: &'static str,
    /// Where its cells come from.
    pub(crate) source: Source,
    /// Whether each of several values has a column of its own, all with this header.
    pub(crate) repeated: bool,
}

/// Where the cells of a column come from.
pub(crate) enum Source {
    /// They say which object the row is about.
    Key(Key),
    /// A column of the catalog, possibly in other words.
    Column {
        /// The column of the catalog.
        column: &'static str,
        /// From the catalog's text to the cell's.
        put: fn(&str) -> String,
        /// From the cell's text to the catalog's.
        take: fn(&str) -> String,
    },
    /// Something made from the row, not read back.
    Made(fn(&Exported<'_>) -> String),
}

/// How a row says which object it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// By its object id.
    Id,
    /// By the path of the file, after this prefix.
    Path(&'static str),
}

impl Field {
    /// A column that says which object the row is about, by its id.
    pub(crate) const fn id(header: &'static str) -> Self {
        Self::new(header, Source::Key(Key::Id))
    }

    /// The same by the path of the file, after a prefix.
    pub(crate) const fn path(header: &'static str, prefix: &'static str) -> Self {
        Self::new(header, Source::Key(Key::Path(prefix)))
    }

    /// A column of the catalog as it is.
    pub(crate) const fn of(header: &'static str, column: &'static str) -> Self {
        Self::mapped(header, column, str::to_owned, str::to_owned)
    }

    /// A column of the catalog in other words.
    pub(crate) const fn mapped(
        header: &'static str,
        column: &'static str,
        put: fn(&str) -> String,
        take: fn(&str) -> String,
    ) -> Self {
        Self::new(header, Source::Column { column, put, take })
    }

    /// A column that is made from the row.
    pub(crate) const fn made(header: &'static str, make: fn(&Exported<'_>) -> String) -> Self {
        Self::new(header, Source::Made(make))
    }

    /// The column once for each of several values.
    pub(crate) const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }

    const fn new(header: &'static str, source: Source) -> Self {
        Self {
            header,
            source,
            repeated: false,
        }
    }
}

/// The number of a column of the catalog.
pub(crate) fn column_index(name: &str) -> usize {
    let found = Record::COLUMNS
        .iter()
        .position(|column| column.name == name);
    found.expect("profiles name columns that the catalog has")
}
