//! Islandora Workbench: nodes of the content type `islandora_object`, and the configuration for
//! `workbench --check`.

use fonds_core::Result;

use super::{Export, ExportReport, Exported, Field};

/// Drupal's titles hold so many characters.
const TITLE_LENGTH: usize = 255;

pub(super) const FIELDS: &[Field] = &[
    Field::id("id"),
    Field::mapped("title", "title", title, str::to_owned),
    Field::made("file", file),
    Field::made("field_model", |_| {
        "http://purl.org/coar/resource_type/c_c513".to_owned()
    }),
    Field::made("field_resource_type", |_| "Still Image".to_owned()),
    Field::of("field_identifier", "identifier"),
    Field::mapped("field_linked_agent", "creator", put_agent, take_agent),
    Field::of("field_edtf_date_created", "date"),
    Field::of("field_description", "description"),
    Field::mapped("field_subject", "subject", put_subject, take_subject),
    Field::of("field_geographic_subject", "location"),
    Field::made("field_coordinates", coordinates),
    Field::of("field_language", "language"),
    Field::of("field_rights", "rights"),
    Field::made("checksum", |row| {
        row.record
            .sha256
            .map(|digest| digest.to_string())
            .unwrap_or_default()
    }),
    Field::of("image_alt_text", "image_alt_text"),
    // Not fields of Drupal; listed under `ignore_csv_columns`.
    Field::of("fonds_source", "source"),
    Field::of("fonds_rightsstatement", "rightsstatement"),
    Field::made("fonds_filename", |row| row.record.filename.clone()),
];

const IGNORED: [&str; 3] = ["fonds_source", "fonds_rightsstatement", "fonds_filename"];

const GUIDE: &str = "\
For Islandora Workbench.

1. In workbench.yml set host and username, and, where another computer imports, input_dir.
2. workbench --config workbench.yml --check
3. workbench --config workbench.yml

The columns are those of the content type islandora_object; rename a header, or add it to
ignore_csv_columns, when a site has other fields. Every Drupal field that a site requires must be
there. Titles of more than 255 characters are cut. Agents are taken for persons who created
(relators:cre:person); change the cells of corporate bodies. Cells that a spreadsheet program would
run as formulas begin with a single quote; `fonds catalog import` takes it away again.
";

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    const TABLE: &str = "workbench.csv";
    export.table(TABLE, false)?;
    let mut long = 0;
    export.each(|_, item| {
        long += u64::from(item.record.title.chars().count() > TITLE_LENGTH);
        Ok(())
    })?;
    if long > 0 {
        let message =
            format!("{long} titles have more than {TITLE_LENGTH} characters and were cut");
        export.remark(TABLE, message, "");
    }
    let config = configuration(&export);
    export.side_file("workbench.yml", &config)?;
    export.finish(GUIDE)
}

fn configuration(export: &Export<'_>) -> String {
    let archive = export.options.archive.as_ref();
    let input = archive.map_or(export.input.clone(), |path| path.display().to_string());
    let ignored = IGNORED.map(quoted).join(", ");
    format!(
        "task: create\n\
         # The site and the user; Workbench asks for the password.\n\
         host: \"https://islandora.example.org\"\n\
         username: \"admin\"\n\
         content_type: islandora_object\n\
         # The archive with the originals.\n\
         input_dir: {}\n\
         input_csv: {}\n\
         id_field: id\n\
         delimiter: \",\"\n\
         subdelimiter: \";\"\n\
         ignore_csv_columns: [{ignored}]\n\
         allow_adding_terms: true\n\
         allow_missing_files: false\n\
         fixity_algorithm: sha256\n\
         validate_fixity_during_check: true\n\
         perform_soft_checks: true\n\
         media_type: image\n",
        quoted(&input),
        quoted(absolute(export.target.join("workbench.csv"))),
    )
}

fn absolute(path: std::path::PathBuf) -> String {
    std::path::absolute(&path)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A YAML scalar in double quotes; JSON strings are such scalars.
fn quoted(text: impl AsRef<str>) -> String {
    serde_json::Value::from(text.as_ref()).to_string()
}

fn title(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= TITLE_LENGTH {
        return text;
    }
    let cut: String = text.chars().take(TITLE_LENGTH - 1).collect();
    cut + "…"
}

/// The path in the archive; `./` keeps a name such as `=1.tif` from being taken for a formula and
/// `#1.tif` from being taken for a comment.
fn file(row: &Exported<'_>) -> String {
    let path = &row.record.filename;
    if path.starts_with(|c: char| c.is_alphanumeric()) {
        path.clone()
    } else {
        format!("./{path}")
    }
}

fn coordinates(row: &Exported<'_>) -> String {
    match (row.record.latitude, row.record.longitude) {
        (Some(latitude), Some(longitude)) => format!("{latitude},{longitude}"),
        _ => String::new(),
    }
}

const AGENT: &str = "relators:cre:person:";
const SUBJECT: &str = "subject:";

fn put_agent(text: &str) -> String {
    with_prefix(text, AGENT)
}

/// Whatever the relator and the kind of agent, the name comes after the third colon.
fn take_agent(text: &str) -> String {
    each(text, |value| match value.strip_prefix("relators:") {
        Some(rest) => rest.splitn(3, ':').nth(2).unwrap_or(value).to_owned(),
        None => value.to_owned(),
    })
}

fn put_subject(text: &str) -> String {
    with_prefix(text, SUBJECT)
}

fn take_subject(text: &str) -> String {
    each(text, |value| {
        value.strip_prefix(SUBJECT).unwrap_or(value).to_owned()
    })
}

fn with_prefix(text: &str, prefix: &str) -> String {
    each(text, |value| format!("{prefix}{value}"))
}

fn each(text: &str, change: impl Fn(&str) -> String) -> String {
    super::sheet::values(text)
        .map(change)
        .collect::<Vec<_>>()
        .join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vocabularies_are_named_and_taken_away() {
        assert_eq!(
            put_agent("A; B"),
            "relators:cre:person:A;relators:cre:person:B"
        );
        assert_eq!(take_agent("relators:pbl:corporate_body:A: B;C"), "A: B;C");
        assert_eq!(take_subject(&put_subject("x;y z")), "x;y z");
        assert_eq!(put_subject(""), "");
    }

    #[test]
    fn titles_fit_into_drupal() {
        assert_eq!(title("a\nb"), "a b");
        assert_eq!(title(&"ä".repeat(255)).chars().count(), 255);
        let cut = title(&"ä".repeat(300));
        assert_eq!(cut.chars().count(), 255);
        assert!(cut.ends_with("ä…"));
    }

    #[test]
    fn scalars_are_yaml() {
        assert_eq!(quoted("a\"b\\ü\n"), "\"a\\\"b\\\\ü\\n\"");
    }
}
