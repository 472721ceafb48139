//! The catalog of an archive: one row for every file, ready for the programs that archives use.
//!
//! A run hands over one [`Item`] a file: its [`Record`], those of its pages, the
//! [`DerivativeRecord`]s of the files written from it and a [`FailureRecord`] for whatever went
//! wrong. On the way items rest in a journal as one line of JSON each ([`ItemEntry`]);
//! [`HumanMetadata`] puts what people know in the place of what the machine guessed;
//! [`CatalogWriter`] turns the items, in the order of their paths, into `catalog.csv`,
//! `derivatives.csv` and `failed.csv` and finds the duplicates; [`merge_catalogs`] joins the
//! tables of several machines, and [`validate`] says what is wrong with them. [`provenance`]
//! holds the sidecar that tells how a derivative came to be, [`RunFile`] the record of a run.
//!
//! ```
//! use fonds_catalog::{CatalogWriter, Item, Record, Status};
//! use fonds_core::ObjectId;
//!
//! # fn main() -> fonds_core::Result<()> {
//! # let folder = tempfile::tempdir().map_err(|_| {
//! #     fonds_core::Error::new(fonds_core::Code::WriteFailed, "no folder")
//! # })?;
//! # let root = folder.path();
//! let mut writer = CatalogWriter::create(root)?;
//! let id = ObjectId::parse("letters-1902").expect("an id");
//! let record = Record {
//!     title: "Letter to the council".into(),
//!     ..Record::new("letters/1902.tif", &id)
//! };
//! writer.push(Item { record, ..Item::default() })?;
//! let summary = writer.finish()?;
//! assert_eq!(summary.files.get(Status::Ok), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The columns are declared once, in the structs of their rows; header, Frictionless schema and
//! reference (`docs/formats.md`) follow from them. Equal items give equal bytes: rows in the order
//! of the paths' bytes, numbers in one form, cells quoted only where they must be.
//!
//! This crate knows records. It knows neither pixels nor networks nor how a run comes about; it
//! reads no clock and makes up no ids.

mod assemble;
mod atomic;
mod bagit;
mod cell;
mod column;
mod content;
mod digests;
pub mod edtf;
mod finding;
mod folder;
mod formula;
mod human;
mod iiif;
mod import;
mod near;
mod premis;
mod profiles;
pub mod provenance;
mod query;
mod reader;
mod record;
pub mod report;
mod review;
mod ro_crate;
mod row;
mod run_file;
mod schema;
mod shards;
mod similar;
mod status;
mod transfer;
mod validate;
mod verify;
mod wire;
mod writer;
mod xml;

pub use assemble::{CatalogSummary, CatalogWriter, StatusCounts};
pub use atomic::{AtomicFile, write_file};
pub use bagit::{BagOptions, BagReport, ORIGINALS, write_bag};
pub use cell::{Cell, Hash64};
pub use column::{Column, ColumnKind};
pub use content::{content_text, put_content_row};
pub use finding::{Finding, Severity};
pub use formula::{escape_formula, unescape_formula};
pub use human::{HumanMetadata, METADATA_FILE};
pub use iiif::{
    IiifImage, IiifPage, Level, Pyramid, Tile, iiif_collection, iiif_info, iiif_manifest,
    manifest_path,
};
pub use import::{Change, EDITS_FILE, ImportOptions, ImportReport, import};
pub use premis::{PremisReport, write_premis};
pub use profiles::{ExportOptions, ExportReport, Profile, encode_path, export};
pub use query::{Query, column_number, column_text, compare_cells, query};
pub use reader::{ItemReader, TableReader};
pub use record::{DerivativeRecord, FIXED_COLUMNS, FailureRecord, Item, Record};
pub use review::{Decision, REJECTED, REVIEW_FILE, Review, ReviewRow, Ruling, place_aside};
pub use ro_crate::{RO_CRATE_FILE, write_ro_crate};
pub use row::{Cells, Row};
pub use run_file::{Counts, RUN_FILE, RUN_SCHEMA, RunFile, Shard};
pub use schema::{SCHEMA_VERSION, catalog_schema, data_package, table_schema};
pub use shards::{Adopt, AdoptReport, MergeReport, adopt_files, check_parts, merge_catalogs};
pub use similar::{Alike, MAX_DISTANCE, group_hashes, similar};
pub use status::{Reason, Status, WellFormed};
pub use validate::{FileCheck, ValidateOptions, is_rights_statement, validate};
pub use verify::{VerifyOptions, VerifyReport, verify};
pub use wire::{DerivativeWire, FailureWire, ItemEntry, RecordWire, Wire};
pub use writer::{TableWriter, put_csv_line, put_header, put_row};
