//! Rows: structs whose fields are the cells of a table, declared together with the table's columns.

use crate::cell::Cell;
use crate::column::Column;

/// A struct that is one row of a table.
pub trait Row: Default + Clone + Cells {
    /// The name of the file that holds the table.
    const FILE: &'static str;
    /// The columns, in the order of the cells.
    const COLUMNS: &'static [Column];
}

/// Access to all cells of a row at once, in the order of its columns.
pub trait Cells {
    /// Lends the cells.
    fn with_cells<R>(&self, run: impl FnOnce(&[&dyn Cell]) -> R) -> R;

    /// Lends the cells to be filled.
    fn with_cells_mut<R>(&mut self, run: impl FnOnce(&mut [&mut dyn Cell]) -> R) -> R;
}

/// Declares a row type: the struct, its table and the table's columns from one list, so that
/// field documentation, header, schema and reference cannot drift apart.
///
/// A line reads `field "column": Type = kind, mark, mark; "description"`, the column's name only
/// where it is not the field's.
macro_rules! rows {
    (
        $(#[$doc:meta])*
        pub struct $name:ident = $file:literal {
            $($field:ident $($text:literal)? : $type:ty = $kind:expr $(, $mark:ident)*;
                $description:literal)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $(#[doc = $description] pub $field: $type,)*
        }

        impl $crate::row::Row for $name {
            const FILE: &'static str = $file;
            const COLUMNS: &'static [$crate::column::Column] = &[
                $($crate::column::Column::new(
                    $crate::row::column_name!($field $($text)?),
                    $kind,
                    $description,
                )$(.$mark())*,)*
            ];
        }

        impl $crate::row::Cells for $name {
            fn with_cells<R>(
                &self,
                run: impl FnOnce(&[&dyn $crate::cell::Cell]) -> R,
            ) -> R {
                run(&[$(&self.$field,)*])
            }

            fn with_cells_mut<R>(
                &mut self,
                run: impl FnOnce(&mut [&mut dyn $crate::cell::Cell]) -> R,
            ) -> R {
                run(&mut [$(&mut self.$field,)*])
            }
        }
    };
}

macro_rules! column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $text:literal) => {
        $text
    };
}

pub(crate) use {column_name, rows};
