//! The Frictionless descriptors beside the tables: `catalog.schema.json` and `datapackage.json`.

use serde_json::{Map, Value, json};

use crate::column::{Column, ColumnKind};
use crate::record::{DerivativeRecord, FailureRecord, Record};
use crate::row::Row;

/// The version of the tables' layout: the middle number grows when columns are appended, the first
/// when a column changes its meaning.
pub const SCHEMA_VERSION: &str = "1.0.0";

/// The Frictionless Table Schema of a table, with our `version`.
pub fn table_schema<T: Row>() -> Value {
    let mut schema = Map::new();
    schema.insert("version".into(), json!(SCHEMA_VERSION));
    schema.insert(
        "fields".into(),
        T::COLUMNS.iter().map(field).collect::<Vec<_>>().into(),
    );
    schema.insert("missingValues".into(), json!([""]));
    if let Some(key) = T::COLUMNS.iter().find(|column| column.unique) {
        schema.insert("primaryKey".into(), json!(key.name));
    }
    schema.into()
}

/// The content of `catalog.schema.json`.
pub fn catalog_schema() -> String {
    pretty(&table_schema::<Record>())
}

/// The content of `datapackage.json`: the three tables with their schemas, for validators.
pub fn data_package() -> String {
    pretty(&json!({
        "profile": "tabular-data-package",
        "name": "catalog",
        "version": SCHEMA_VERSION,
        "resources": [
            resource::<Record>("catalog", &json!("catalog.schema.json")),
            resource::<DerivativeRecord>("derivatives", &table_schema::<DerivativeRecord>()),
            resource::<FailureRecord>("failed", &table_schema::<FailureRecord>()),
        ],
    }))
}

fn resource<T: Row>(name: &str, schema: &Value) -> Value {
    json!({
        "profile": "tabular-data-resource",
        "name": name,
        "path": T::FILE,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": { "delimiter": ",", "lineTerminator": "\n", "quoteChar": "\"", "doubleQuote": true },
        "schema": schema,
    })
}

fn field(column: &Column) -> Value {
    let (kind, format) = types(column.kind);
    let mut field = Map::new();
    field.insert("name".into(), json!(column.name));
    field.insert("type".into(), json!(kind));
    if let Some(format) = format {
        field.insert("format".into(), json!(format));
    }
    field.insert("description".into(), json!(column.description));
    let constraints = constraints(column);
    if !constraints.is_empty() {
        field.insert("constraints".into(), constraints.into());
    }
    field.into()
}

/// Type and format in the words of the Table Schema.
fn types(kind: ColumnKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ColumnKind::Integer { .. } => ("integer", None),
        ColumnKind::Number { .. } => ("number", None),
        ColumnKind::Bool => ("boolean", None),
        ColumnKind::Uri | ColumnKind::Rights => ("string", Some("uri")),
        _ => ("string", None),
    }
}

fn constraints(column: &Column) -> Map<String, Value> {
    let mut constraints = Map::new();
    if column.required {
        constraints.insert("required".into(), json!(true));
    }
    if column.unique {
        constraints.insert("unique".into(), json!(true));
    }
    match column.kind {
        ColumnKind::Id => insert(&mut constraints, "pattern", json!("[a-z0-9_-]+")),
        ColumnKind::Hex(digits) => {
            let pattern = format!("[0-9a-f]{{{digits}}}");
            insert(&mut constraints, "pattern", json!(pattern));
        }
        ColumnKind::Word(words) => insert(&mut constraints, "enum", json!(words())),
        ColumnKind::Words(words) => {
            let any = words().join("|");
            let pattern = format!("({any})(;({any}))*");
            insert(&mut constraints, "pattern", json!(pattern));
        }
        ColumnKind::Integer { min, max } => {
            insert(&mut constraints, "minimum", json!(min));
            if max < u64::MAX {
                insert(&mut constraints, "maximum", json!(max));
            }
        }
        ColumnKind::Number { min, max, .. } => {
            insert(&mut constraints, "minimum", json!(min));
            if max < f64::MAX {
                insert(&mut constraints, "maximum", json!(max));
            }
        }
        _ => {}
    }
    constraints
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_described_once() {
        let schema = table_schema::<Record>();
        let fields = schema["fields"].as_array().unwrap();
        assert_eq!(fields.len(), Record::COLUMNS.len());
        for (field, column) in fields.iter().zip(Record::COLUMNS) {
            assert_eq!(field["name"], column.name);
            let description = field["description"].as_str().unwrap();
            assert!(description.ends_with('.'), "{}", column.name);
        }
        assert_eq!(schema["primaryKey"], "objectid");
        assert_eq!(
            fields[1]["constraints"],
            json!({"required": true, "unique": true, "pattern": "[a-z0-9_-]+"})
        );
    }

    #[test]
    fn the_package_names_the_three_tables() {
        let package: Value = serde_json::from_str(&data_package()).unwrap();
        let paths = package["resources"].as_array().unwrap().iter();
        let paths: Vec<_> = paths.map(|resource| &resource["path"]).collect();
        assert_eq!(paths, ["catalog.csv", "derivatives.csv", "failed.csv"]);
    }
}
