//! The rows of the three tables that a run writes, and the item that they are written from.
//!
//! Each struct is the one list of its table's columns: the description of a field is the
//! documentation here, the text in `catalog.schema.json` and the reference in `docs/formats.md`.

use fonds_core::{Code, Digest, Flag, Flags, ObjectId};

use crate::cell::Hash64;
use crate::column::ColumnKind as Kind;
use crate::review::{self, Decision};
use crate::row::rows;
use crate::status::{Reason, Status, WellFormed};

rows! {
    /// One row of `catalog.csv`: a file of the archive, or a page of a multi-page file.
    ///
    /// Empty text and `None` are empty cells. Columns 2 to 24 are those of `CollectionBuilder`, verbatim.
    pub struct Record = "catalog.csv" {
        filename: String = Kind::Path, required;
            "Path of the file, relative to the archive's root, `/` between the parts. A page has the path of its file."
        objectid: String = Kind::Id, required, unique;
            "Id of the object, unique in the catalog: the path in lower-case ASCII; a page adds `_p` and its number of at least four digits."
        parentid: String = Kind::Id;
            "Object id of the compound object that this one is part of; for a page, that of its file."
        title: String = Kind::Text;
            "Title of the original: from the human metadata, else as embedded in the file, else the file's stem (then flagged `title_from_filename`)."
        creator: String = Kind::Text;
            "Who made the original; several joined by `;`."
        date: String = Kind::Edtf;
            "Date of the original, EDTF level 0 or 1. Never the date of the scan."
        description: String = Kind::Text;
            "What the original shows or says."
        subject: Vec<String> = Kind::List;
            "Subjects, joined by `;`."
        location: String = Kind::Text;
            "Name of the place shown."
        latitude: Option<f64> = Kind::number(7, -90.0, 90.0);
            "Latitude of the place in decimal degrees, north positive."
        longitude: Option<f64> = Kind::number(7, -180.0, 180.0);
            "Longitude of the place in decimal degrees, east positive."
        source: String = Kind::Text;
            "The holding or collection that the original belongs to."
        identifier: String = Kind::Text;
            "Call number or other local identifier of the original."
        types "type": Vec<String> = Kind::List;
            "DCMI types, joined by `;`: `Image;StillImage` for a picture."
        format: String = Kind::Mime;
            "MIME type of the file, by its content."
        language: String = Kind::Text;
            "Languages as ISO 639 codes, joined by `;`."
        rights: String = Kind::Text;
            "Rights in words."
        rightsstatement: String = Kind::Rights;
            "Rights as a URI of RightsStatements.org or Creative Commons."
        display_template: String = Kind::Word(display_templates);
            "The page template of `CollectionBuilder`: `image`, `multiple` for a file of several pages, `record` where there is nothing to show."
        object_location: String = Kind::Location;
            "Where a web site finds the object: a URL, or a path that starts with `/`."
        image_small: String = Kind::Location;
            "Where a web site finds the small picture: `/objects/small/<objectid>_sm.jpg`."
        image_thumb: String = Kind::Location;
            "Where a web site finds the thumbnail: `/objects/thumbs/<objectid>_th.jpg`."
        image_alt_text: String = Kind::Text;
            "What the picture shows, for those who cannot see it."
        object_transcript: String = Kind::Text;
            "Transcript of the object's text, or where it is."
        pid: String = Kind::Id;
            "The object id again, under the name that Wax looks for."
        file_size: Option<u64> = Kind::from(0);
            "Size of the file in bytes."
        sha256: Option<Digest> = Kind::Hex(64);
            "SHA-256 of the file."
        puid: String = Kind::Line;
            "PRONOM id of the format."
        format_version: String = Kind::Line;
            "Version of the format, such as `JFIF 1.01`."
        well_formed: Option<WellFormed> = Kind::Word(WellFormed::words);
            "Whether the file keeps the rules of its format: `valid` (decoded fully), `well-formed` (decoded with remarks), `not-well-formed`."
        image_width: Option<u32> = Kind::from(1);
            "Pixels across, after the orientation was applied."
        image_height: Option<u32> = Kind::from(1);
            "Pixels down, after the orientation was applied."
        page_count: Option<u32> = Kind::from(1);
            "Number of pages in the file."
        bits_per_sample: Option<u16> = Kind::Integer { min: 1, max: 64 };
            "Bits of one sample in the file."
        samples_per_pixel: Option<u16> = Kind::from(1);
            "Samples of one pixel in the file, extra samples included."
        color_space: String = Kind::Line;
            "Colour space in the file, in the words of MIX (NISO Z39.87): `BlackIsZero`, `RGB`, `YCbCr`, `CMYK` and others."
        compression_scheme: String = Kind::Line;
            "Compression in the file, in the words of MIX: `Uncompressed`, `LZW`, `JPEG`, `CCITT T.6` and others."
        icc_profile: String = Kind::Line;
            "Description in the embedded ICC profile."
        ppi_x: Option<f64> = Kind::number(3, 0.0, f64::MAX);
            "Pixels per inch across, after the orientation was applied."
        ppi_y: Option<f64> = Kind::number(3, 0.0, f64::MAX);
            "Pixels per inch down, after the orientation was applied."
        ppi_source: String = Kind::Word(ppi_sources);
            "Where the resolution was found: `exif` (TIFF tags or Exif), `jfif`, `phys` (PNG), `header` (JPEG 2000, BMP), `assumed` (configured), `none`."
        orientation: Option<u8> = Kind::Integer { min: 1, max: 8 };
            "Exif orientation as found, 1 to 8."
        scanner: String = Kind::Line;
            "Make and model of the scanner or camera."
        date_digitized: String = Kind::DateTime;
            "When the scan was made, ISO 8601, in local time unless the file names an offset."
        perceptual_hash: Option<Hash64> = Kind::Hex(16);
            "Perceptual hash of 64 bits: similar pictures differ in few bits."
        duplicate_of: String = Kind::Id;
            "Object id of the first file, in the order of the paths, that is identical byte for byte."
        quality_flags: Flags = Kind::Words(flag_words);
            "Remarks that a person should see, joined by `;`; none is a failure."
        blur_score: Option<f64> = Kind::number(2, 0.0, f64::MAX);
            "Variance of the Laplacian: the lower, the more blurred. Indicative, without a target."
        noise_score: Option<f64> = Kind::number(3, 0.0, f64::MAX);
            "Estimated standard deviation of the noise, in 8-bit code values. Indicative, without a target."
        clipped_percent: Option<f64> = Kind::number(3, 0.0, 100.0);
            "Share of the samples at the ends of the range, in per cent."
        derivative_path: String = Kind::Path;
            "Path of the first output's derivative, relative to the output root."
        derivative_sha256: Option<Digest> = Kind::Hex(64);
            "SHA-256 of that derivative."
        derivative_use: String = Kind::Uri;
            "What that derivative is for, as a PCDM use URI."
        digital_source_type: String = Kind::Uri;
            "IPTC digital source type of that derivative."
        ai_system: String = Kind::Line;
            "Name of the network that changed the picture; several joined by `;`."
        ai_system_version: String = Kind::Line;
            "Version of that network and the first digits of the SHA-256 of its weights."
        pipeline: String = Kind::Line;
            "Name of the pipeline, `@`, and the first digits of the SHA-256 of its resolved configuration."
        run_id: String = Kind::Line, volatile;
            "Id of the run that wrote the row."
        processed_at: String = Kind::DateTime, volatile;
            "When the file was processed, ISO 8601 in UTC."
        status: Status = Kind::Word(Status::words), required;
            "How it went: `ok`, `warning`, `unchanged` (no step found anything to do and nothing was written), `skipped`, `failed`, `cancelled` (the run stopped before the file's turn)."
        error_code: Option<Reason> = Kind::Word(Reason::words);
            "Why the status is what it is: an error code, or for a skipped file the reason: `not_selected`, `clutter`, `link_outside`, `linked_folder`, `link_loop`, `special_file`, `left_out`."
        error_message: String = Kind::Line;
            "The same in words, on one line."
        damaged_percent: Option<f64> = Kind::number(3, 0.0, 100.0);
            "Share of the pixels that a step of repair took for damaged, in per cent; empty where none did."
        review: Option<Decision> = Kind::Word(Decision::words);
            "What people decided in `review.csv`: `approved`, or `rejected` when one of the derivatives was; empty when nobody did."
        review_note: String = Kind::Text;
            "What they noted."
    }
}

rows! {
    /// One row of `derivatives.csv`: a file that the run wrote from a page of the archive.
    pub struct DerivativeRecord = "derivatives.csv" {
        filename: String = Kind::Path, required;
            "Path of the source, relative to the archive's root."
        page: Option<u32> = Kind::from(1);
            "Page of a multi-page source, counted from 1; empty for a file of one page."
        output_id: String = Kind::Line, required;
            "Id of the pipeline's output."
        path: String = Kind::Path, required, unique;
            "Path of the derivative, relative to the output root."
        sha256: Option<Digest> = Kind::Hex(64), required;
            "SHA-256 of the derivative."
        usage "use": String = Kind::Uri;
            "What the derivative is for, as a PCDM use URI."
        width: Option<u32> = Kind::from(1);
            "Pixels across."
        height: Option<u32> = Kind::from(1);
            "Pixels down."
        digital_source_type: String = Kind::Uri;
            "IPTC digital source type of the derivative."
        status: Status = Kind::Word(Status::words), required;
            "`ok`, or `warning` when a step was refused or failed on the way."
        review: Option<Decision> = Kind::Word(Decision::words);
            "What people decided in `review.csv`: `approved` or `rejected`. A rejected derivative lies below `rejected/`."
    }
}

rows! {
    /// One row of `failed.csv`: something that went wrong with a file or one of its pages.
    pub struct FailureRecord = "failed.csv" {
        filename: String = Kind::Path, required;
            "Path of the file, relative to the archive's root."
        page: Option<u32> = Kind::from(1);
            "The page, counted from 1; empty when the whole file failed."
        stage: String = Kind::Line, required;
            "Where it failed: `read`, `decode`, a step's id, `encode`, `write` and others."
        error_code: Option<Code> = Kind::Word(code_words), required;
            "What went wrong."
        error_message: String = Kind::Line;
            "The same in words, on one line."
        retryable: bool = Kind::Bool, required;
            "Whether the unchanged file may well succeed in a later run."
        attempts: Option<u32> = Kind::from(1), volatile;
            "How often it was tried."
        file_size: Option<u64> = Kind::from(0);
            "Size of the file in bytes."
        sha256: Option<Digest> = Kind::Hex(64);
            "SHA-256 of the file, when it could be read."
        run_id: String = Kind::Line, volatile;
            "Id of the run that tried last."
        last_attempt: String = Kind::DateTime, volatile;
            "When it was tried last, ISO 8601 in UTC."
    }
}

/// How many columns of `catalog.csv` are fixed for good; later versions append.
pub const FIXED_COLUMNS: usize = 62;

/// The same for `derivatives.csv`.
pub(crate) const FIXED_DERIVATIVE_COLUMNS: usize = 10;

/// All that is written about one file of the archive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    /// The file's own row.
    pub record: Record,
    /// The rows of its pages in page order; empty for a file of one page.
    pub pages: Vec<Record>,
    /// The files written from it, by page, then in the order of the pipeline's outputs.
    pub derivatives: Vec<DerivativeRecord>,
    /// What went wrong with it.
    pub failures: Vec<FailureRecord>,
}

impl Record {
    /// The row of a file, with its id in all the columns that hold it.
    pub fn new(filename: impl Into<String>, objectid: &ObjectId) -> Self {
        Self {
            filename: filename.into(),
            objectid: objectid.to_string(),
            pid: objectid.to_string(),
            ..Self::default()
        }
    }

    /// The row of a page of this file, counted from 1; only path and ids are filled.
    #[must_use]
    pub fn page_row(&self, page: u32) -> Self {
        let objectid = page_id(&self.objectid, page);
        Self {
            filename: self.filename.clone(),
            pid: objectid.clone(),
            objectid,
            parentid: self.objectid.clone(),
            ..Self::default()
        }
    }

    /// The page that this row is about, counted from 1; `None` for the row of a file.
    ///
    /// A row is a page's when its id is its parent's with `_p` and a page number; no file has such
    /// an id (see [`fonds_core::ObjectIds`]).
    pub fn page(&self) -> Option<u32> {
        page_of(&self.objectid, &self.parentid)
    }

    /// Where the row belongs in the catalog: by the bytes of the path, a file before its pages.
    pub fn sort_key(&self) -> (&str, u32) {
        (&self.filename, self.page().unwrap_or(0))
    }
}

impl DerivativeRecord {
    /// Whether it is one of the small pictures for a web site, which have no sidecar.
    pub fn is_for_site(&self) -> bool {
        self.path.starts_with("objects/")
    }

    /// Whether people rejected it, so that it lies below `rejected/` and is passed on to nobody.
    pub fn is_set_aside(&self) -> bool {
        review::is_set_aside(&self.path)
    }
}

/// The page number in a page's id, when `objectid` is the id of a page of `parentid`.
pub(crate) fn page_of(objectid: &str, parentid: &str) -> Option<u32> {
    if parentid.is_empty() {
        return None;
    }
    let digits = objectid.strip_prefix(parentid)?.strip_prefix("_p")?;
    let canonical = digits.len() == 4 || (digits.len() > 4 && !digits.starts_with('0'));
    if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|page| *page > 0)
}

fn page_id(objectid: &str, page: u32) -> String {
    ObjectId::parse(objectid).map_or_else(
        || format!("{objectid}_p{page:04}"),
        |id| id.page(page).to_string(),
    )
}

fn display_templates() -> Vec<&'static str> {
    vec![
        "image",
        "pdf",
        "video",
        "audio",
        "panorama",
        "record",
        "item",
        "multiple",
        "compound_object",
    ]
}

fn ppi_sources() -> Vec<&'static str> {
    vec!["exif", "jfif", "phys", "header", "assumed", "none"]
}

fn flag_words() -> Vec<&'static str> {
    Flag::ALL.iter().map(|flag| flag.as_str()).collect()
}

fn code_words() -> Vec<&'static str> {
    Code::ALL.map(Code::as_str).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;

    // The 62 columns that every version of the catalog begins with.
    const FIXED: &str = "filename,objectid,parentid,title,creator,date,description,subject,\
        location,latitude,longitude,source,identifier,type,format,language,rights,rightsstatement,\
        display_template,object_location,image_small,image_thumb,image_alt_text,object_transcript,\
        pid,file_size,sha256,puid,format_version,well_formed,image_width,image_height,page_count,\
        bits_per_sample,samples_per_pixel,color_space,compression_scheme,icc_profile,ppi_x,ppi_y,\
        ppi_source,orientation,scanner,date_digitized,perceptual_hash,duplicate_of,quality_flags,\
        blur_score,noise_score,clipped_percent,derivative_path,derivative_sha256,derivative_use,\
        digital_source_type,ai_system,ai_system_version,pipeline,run_id,processed_at,status,\
        error_code,error_message";

    // The header of CollectionBuilder-CSV's docs/metadata-template.csv.
    const COLLECTION_BUILDER: &str = "objectid,parentid,title,creator,date,description,subject,\
        location,latitude,longitude,source,identifier,type,format,language,rights,rightsstatement,\
        display_template,object_location,image_small,image_thumb,image_alt_text,object_transcript";

    fn names(columns: &[crate::column::Column]) -> String {
        let names: Vec<_> = columns.iter().map(|column| column.name).collect();
        names.join(",")
    }

    #[test]
    fn the_catalog_begins_with_the_fixed_columns() {
        assert_eq!(names(&Record::COLUMNS[..FIXED_COLUMNS]), FIXED);
        assert_eq!(names(&Record::COLUMNS[1..24]), COLLECTION_BUILDER);
    }

    #[test]
    fn the_other_tables() {
        assert_eq!(
            names(&DerivativeRecord::COLUMNS[..FIXED_DERIVATIVE_COLUMNS]),
            "filename,page,output_id,path,sha256,use,width,height,digital_source_type,status"
        );
        assert_eq!(
            names(FailureRecord::COLUMNS),
            "filename,page,stage,error_code,error_message,retryable,attempts,file_size,sha256,\
             run_id,last_attempt"
        );
    }

    #[test]
    fn pages_are_known_by_their_ids() {
        let id = ObjectId::parse("a-b").unwrap();
        let file = Record::new("a/b.tif", &id);
        assert_eq!((file.page(), file.pid.as_str()), (None, "a-b"));
        for page in [1, 9999, 10_000] {
            let row = file.page_row(page);
            assert_eq!(row.objectid, id.page(page).as_str());
            assert_eq!(row.page(), Some(page));
            assert_eq!(row.sort_key(), ("a/b.tif", page));
        }
        for (objectid, parentid) in [
            ("a_p0001", ""),
            ("a_p0001", "b"),
            ("a_p001", "a"),
            ("a_p00001", "a"),
            ("a_p0000", "a"),
            ("a_p000x", "a"),
            ("a_p99999999999", "a"),
            ("a_p0001-0123abcd", "a"),
        ] {
            assert_eq!(page_of(objectid, parentid), None, "{objectid}");
        }
    }
}
