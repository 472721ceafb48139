//! Archivematica: a transfer with metadata, checksums, and the derivatives as access copies that a
//! person has made (`manualNormalization`).

use std::collections::{HashMap, HashSet};

use fonds_core::{Digest, Result};

use super::{Export, ExportReport, Field};
use crate::record::{DerivativeRecord, Item};
use crate::{premis, transfer};

/// Archivematica splits no cells: each value has a column of its own.
pub(super) const FIELDS: &[Field] = &[
    Field::path("filename", "objects/"),
    Field::of("dc.title", "title"),
    Field::of("dc.creator", "creator").repeated(),
    Field::of("dc.subject", "subject").repeated(),
    Field::of("dc.description", "description"),
    Field::of("dc.date", "date"),
    Field::of("dc.type", "type").repeated(),
    Field::of("dc.format", "format"),
    Field::of("dc.identifier", "identifier"),
    Field::of("dc.source", "source"),
    Field::of("dc.language", "language").repeated(),
    Field::of("dc.coverage", "location"),
    Field::of("dc.rights", "rights"),
    Field::of("dcterms.license", "rightsstatement"),
    Field::made("object_id", |row| row.record.objectid.clone()),
    Field::made("quality_flags", |row| {
        super::cell_text(row.record, super::column_index("quality_flags"))
    }),
];

const ACCESS: &str = "manualNormalization/access";
const NORMALIZATION: &str = "manualNormalization/normalization.csv";
const EVENTS: &str = "metadata/premis.xml";
const CHECKSUMS: &str = "metadata/checksum.sha256";
const PRESERVATION_MASTER: &str = "http://pcdm.org/use#PreservationMasterFile";

const GUIDE: &str = "\
For Archivematica: start a standard transfer of this folder.

objects/ holds the originals, objects/manualNormalization/access their derivatives, joined by
normalization.csv; metadata/ holds descriptions, events and checksums. Without --archive the folder
objects/ has only the map: copy the originals and derivatives to where metadata/checksum.sha256 names
them. Archivematica replaces all characters of names but A-Z, a-z, 0-9, `-`, `_`, `.` and brackets,
and records that.
Cells that a spreadsheet program would run as formulas begin with a single quote;
`fonds catalog import` takes it away again.
";

/// Where a derivative lies below `objects/`: where its original does, under the original's stem.
struct Access {
    original: String,
    path: String,
    source: String,
    digest: Option<Digest>,
}

pub(super) fn write(mut export: Export<'_>) -> Result<ExportReport> {
    export.table("metadata/metadata.csv", false)?;
    let mut plan = Plan::default();
    export.each(|_, item| {
        plan.add(item);
        Ok(())
    })?;
    let map = plan.normalization();
    export.side_file(&format!("objects/{NORMALIZATION}"), &map)?;
    plan.sums
        .push((Digest::of(map.as_bytes()), NORMALIZATION.to_owned()));
    export.side_file(CHECKSUMS, &plan.checksums())?;
    if let Some(archive) = export.options.archive.clone() {
        export.each(|export, item| {
            let record = &item.record;
            let target = export.place(&format!("objects/{}", record.filename))?;
            let source = transfer::inside(&archive, &record.filename)?;
            transfer::copy(&source, &target, record.sha256)?;
            export.report.copied += 1;
            Ok(())
        })?;
        for access in &plan.access {
            let target = export.place(&format!("objects/{}", access.path))?;
            let source = transfer::inside(export.output, &access.source)?;
            transfer::copy(&source, &target, access.digest)?;
            export.report.copied += 1;
        }
    }
    let access: HashMap<_, _> = plan
        .access
        .iter()
        .map(|access| (access.source.as_str(), access.path.as_str()))
        .collect();
    // Archivematica fails on objects that are not in the transfer, and on those without events.
    let events = export.place(EVENTS)?;
    premis::write(
        export.output,
        &events,
        premis::Unlinked::Leave,
        |item, row| {
            let path = match row {
                None => Some(item.record.filename.as_str()),
                Some(row) => access.get(row.path.as_str()).copied(),
            };
            path.map(|path| format!("objects/{path}"))
        },
    )?;
    export.report.files.push(EVENTS.to_owned());
    for (count, message, hint) in plan.remarks() {
        if count > 0 {
            export.remark(NORMALIZATION, format!("{count} {message}"), hint);
        }
    }
    export.side_file("metadata/submissionDocumentation/README.txt", GUIDE)?;
    Ok(export.report)
}

#[derive(Default)]
struct Plan {
    access: Vec<Access>,
    /// The paths of access copies.
    taken: HashSet<String>,
    /// Digest and path below `objects/` of every file there.
    sums: Vec<(Digest, String)>,
    /// Path without its ending, to find originals that Archivematica cannot tell apart.
    stems: HashMap<String, u32>,
    homeless: u64,
    undigested: u64,
}

impl Plan {
    fn add(&mut self, item: &Item) {
        let record = &item.record;
        match record.sha256 {
            Some(digest) => self.sums.push((digest, record.filename.clone())),
            None => self.undigested += 1,
        }
        *self
            .stems
            .entry(stem(&record.filename).to_owned())
            .or_default() += 1;
        let mut found = None;
        for row in &item.derivatives {
            if row.is_for_site() || row.is_set_aside() {
                continue;
            }
            // One access copy an original is all that Archivematica knows.
            if found.is_none() && row.page.is_none() && row.usage != PRESERVATION_MASTER {
                found = Some(row);
            } else {
                self.homeless += 1;
            }
        }
        if let Some(row) = found {
            self.give_access(&record.filename, row);
        }
    }

    fn give_access(&mut self, original: &str, row: &DerivativeRecord) {
        let ending = row.path.rsplit('.').next().unwrap_or_default();
        let mut path = format!("{ACCESS}/{}.{ending}", stem(original));
        if !self.taken.insert(path.clone()) {
            // The map joins the two, whatever the name.
            path = format!("{ACCESS}/{original}.{ending}");
            self.taken.insert(path.clone());
        }
        if let Some(digest) = row.sha256 {
            self.sums.push((digest, path.clone()));
        }
        self.access.push(Access {
            original: original.to_owned(),
            path,
            source: row.path.clone(),
            digest: row.sha256,
        });
    }

    /// Original, access copy and preservation copy; the third has none of ours.
    fn normalization(&self) -> String {
        let mut text = String::new();
        for access in &self.access {
            let start = text.len();
            text.push_str(&access.original);
            crate::writer::quote_from(start, &mut text);
            text.push(',');
            let start = text.len();
            text.push_str(&access.path);
            crate::writer::quote_from(start, &mut text);
            text.push_str(",\n");
        }
        text
    }

    /// What `sha256sum -c` reads: as many lines as there are files below `objects/`.
    fn checksums(&self) -> String {
        let mut text = String::new();
        for (digest, path) in &self.sums {
            text.push_str(&checksum_line(*digest, path));
        }
        text
    }

    fn remarks(&self) -> [(u64, &'static str, &'static str); 4] {
        let twins = self.stems.values().filter(|count| **count > 1);
        let comments = self.access.iter().filter(|row| row.original.contains('#'));
        [
            (
                self.homeless,
                "derivatives have no place in a transfer, which knows one access copy of an original",
                "take the output as a package of its own",
            ),
            (
                twins.count() as u64,
                "names belong to several originals that differ in their endings only",
                "Archivematica finds their access copies by the map; keep it",
            ),
            (
                comments.count() as u64,
                "originals have a `#` in their names, which makes their rows of the map comments",
                "rename them before the transfer",
            ),
            (
                self.undigested,
                "originals have no digest and are missing in the checksums",
                "run fonds again where they can be read",
            ),
        ]
    }
}

/// A path without the ending of its file name.
fn stem(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        _ => path,
    }
}

/// A line of `sha256sum`, which escapes line breaks and backslashes and says so at the start.
fn checksum_line(digest: Digest, path: &str) -> String {
    let escaped = path.contains(['\\', '\n', '\r']);
    let mark = if escaped { "\\" } else { "" };
    let path = path
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    format!("{mark}{digest}  {path}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_keep_their_folders() {
        for (path, expected) in [
            ("a/b.c/d.tif", "a/b.c/d"),
            ("a.b/c", "a.b/c"),
            (".hidden", ".hidden"),
            ("a/.x.tif", "a/.x"),
        ] {
            assert_eq!(stem(path), expected);
        }
    }

    #[test]
    fn two_originals_with_one_stem_share_no_access_copy() {
        let mut plan = Plan::default();
        for name in ["a/b.tif", "a/b.jpg"] {
            let mut item = Item::default();
            item.record.filename = name.into();
            item.derivatives.push(DerivativeRecord {
                path: format!("derivatives/{name}.restored.png"),
                ..DerivativeRecord::default()
            });
            plan.add(&item);
        }
        let paths: Vec<_> = plan.access.iter().map(|access| &access.path).collect();
        assert_ne!(paths[0], paths[1]);
    }

    #[test]
    fn checksum_lines_are_those_of_coreutils() {
        let digest = Digest::of(b"");
        assert_eq!(checksum_line(digest, "a b"), format!("{digest}  a b\n"));
        assert_eq!(
            checksum_line(digest, "a\\\n"),
            format!("\\{digest}  a\\\\\\n\n")
        );
    }
}
