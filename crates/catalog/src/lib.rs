//! The catalog of an archive.
mod assemble;
mod atomic;
mod cell;
mod column;
pub mod provenance;
mod record;
mod row;
mod run_file;
mod schema;
mod status;
mod wire;
mod writer;

pub use assemble::{CatalogSummary, CatalogWriter, StatusCounts};
pub use atomic::{AtomicFile, write_file};
pub use cell::{Cell, Hash64};
pub use column::{Column, ColumnKind};
pub use record::{DerivativeRecord, FIXED_COLUMNS, FailureRecord, Item, Record};
pub use row::{Cells, Row};
pub use run_file::{Counts, RUN_FILE, RUN_SCHEMA, RunFile, Shard};
pub use schema::{SCHEMA_VERSION, catalog_schema, data_package, table_schema};
pub use status::{Reason, Status, WellFormed};
pub use wire::{DerivativeWire, FailureWire, ItemEntry, RecordWire, Wire};
pub use writer::{TableWriter, put_header, put_row};
