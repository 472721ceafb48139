//! The catalog of an archive.
mod atomic;
mod cell;
mod column;
mod record;
mod row;
mod status;
mod wire;
mod writer;

pub use atomic::{AtomicFile, write_file};
pub use cell::{Cell, Hash64};
pub use column::{Column, ColumnKind};
pub use record::{DerivativeRecord, FIXED_COLUMNS, FailureRecord, Item, Record};
pub use row::{Cells, Row};
pub use status::{Reason, Status, WellFormed};
pub use wire::{DerivativeWire, FailureWire, ItemEntry, RecordWire, Wire};
pub use writer::{TableWriter, put_header, put_row};
