//! What a column of a table is: its name, what its cells hold, and what it is for.

/// One column of one of the tables that a run writes.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The header.
    pub name: &'static str,
    /// What the cells hold.
    pub kind: ColumnKind,
    /// What it is for, as whole sentences.
    pub description: &'static str,
    /// Whether no cell may be empty.
    pub required: bool,
    /// Whether no two cells may be equal.
    pub unique: bool,
    /// Whether the value says when or in which run it was made, so that it may differ between two
    /// runs of equal content.
    pub volatile: bool,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ColumnKind {
    /// A path with `/` between its parts, kept byte for byte.
    Path,
    /// An object id: `a-z`, `0-9`, `_`, `-`.
    Id,
    /// Free text, line breaks allowed.
    Text,
    /// Free text on one line.
    Line,
    /// Several texts, joined by `;`.
    List,
    /// A date of the original in EDTF, levels 0 and 1.
    Edtf,
    /// An ISO 8601 date and time, with or without an offset.
    DateTime,
    /// A MIME type.
    Mime,
    /// An absolute `http` or `https` URI.
    Uri,
    /// A URI of `RightsStatements.org` or Creative Commons.
    Rights,
    /// A URL, or a path of the web site that starts with `/`.
    Location,
    /// A whole number.
    Integer {
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A decimal number.
    Number {
        /// At most this many digits after the point are written.
        decimals: u8,
        /// The smallest value allowed.
        min: f64,
        /// The largest value allowed.
        max: f64,
    },
    /// Lower-case hexadecimal digits, so many of them.
    Hex(u8),
    /// `true` or `false`.
    Bool,
    /// One word of a closed list.
    Word(fn() -> Vec<&'static str>),
    /// Words of a closed list, joined by `;`.
    Words(fn() -> Vec<&'static str>),
}

impl ColumnKind {
    /// A whole number from `min` up.
    pub const fn from(min: u64) -> Self {
        Self::Integer { min, max: u64::MAX }
    }

    /// A decimal number between two bounds, both allowed.
    pub const fn number(decimals: u8, min: f64, max: f64) -> Self {
        Self::Number { decimals, min, max }
    }
}

impl Column {
    /// A column whose cells may be empty.
    pub const fn new(name: &'static str, kind: ColumnKind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            description,
            required: false,
            unique: false,
            volatile: false,
        }
    }

    /// The column with no cell empty.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The column with no two cells equal.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The column as one that differs between runs of equal content.
    #[must_use]
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }
}
