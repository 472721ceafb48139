//! Names of what is found in folders of pictures and is not decoded.

use super::Identity;

/// A format known by bytes at fixed places.
struct Known {
    name: &'static str,
    mime: &'static str,
    puid: &'static str,
    extensions: &'static [&'static str],
    /// Offset and bytes; all of them must be there.
    marks: &'static [(usize, &'static [u8])],
}

macro_rules! known {
    ($($name:literal, $mime:literal, $puid:literal, $extensions:expr, $marks:expr;)*) => {
        &[$(Known {
            name: $name,
            mime: $mime,
            puid: $puid,
            extensions: &$extensions,
            marks: &$marks,
        },)*]
    };
}

/// More special marks come before more general ones.
#[rustfmt::skip]
const KNOWN: &[Known] = known![
    "Photoshop document", "image/vnd.adobe.photoshop", "x-fmt/92", ["psd"], [(0, b"8BPS\0\x01")];
    "Photoshop large document", "image/vnd.adobe.photoshop", "fmt/996", ["psb"], [(0, b"8BPS\0\x02")];
    "JPEG XL", "image/jxl", "fmt/1485", ["jxl"], [(0, b"\0\0\0\x0cJXL \r\n\x87\n")];
    "JPEG XL codestream", "image/jxl", "fmt/1484", ["jxl"], [(0, b"\xff\x0a")];
    "AVIF", "image/avif", "", ["avif", "avifs"], [(4, b"ftypavi")];
    "HEIF", "image/heic", "fmt/1101", ["heic", "heif", "hif"], [(4, b"ftyphei")];
    "HEIF", "image/heic", "fmt/1101", ["heic", "heif", "hif"], [(4, b"ftyphev")];
    "HEIF", "image/heif", "fmt/1101", ["heic", "heif", "hif"], [(4, b"ftypmif1")];
    "HEIF", "image/heif", "fmt/1101", ["heic", "heif", "hif"], [(4, b"ftypmsf1")];
    "Canon raw (CR3)", "image/x-canon-cr3", "", ["cr3"], [(4, b"ftypcrx ")];
    "QuickTime video", "video/quicktime", "x-fmt/384", ["mov", "qt"], [(4, b"ftypqt  ")];
    "MPEG-4 media", "video/mp4", "fmt/199", ["mp4", "m4v", "m4a", "3gp", "mov"], [(4, b"ftyp")];
    "JPEG XR", "image/jxr", "fmt/590", ["jxr", "wdp", "hdp"], [(0, b"II\xbc\x01")];
    "Panasonic raw", "image/x-panasonic-rw2", "", ["rw2", "raw"], [(0, b"IIU\0")];
    "Olympus raw", "image/x-olympus-orf", "", ["orf"], [(0, b"IIRO")];
    "Fujifilm raw", "image/x-fuji-raf", "", ["raf"], [(0, b"FUJIFILMCCD-RAW")];
    "OpenEXR", "image/x-exr", "fmt/1001", ["exr"], [(0, b"\x76\x2f\x31\x01")];
    "Radiance HDR", "image/vnd.radiance", "fmt/591", ["hdr", "pic", "rgbe"], [(0, b"#?RADIANCE")];
    "QOI", "image/qoi", "", ["qoi"], [(0, b"qoif")];
    "farbfeld", "image/x-farbfeld", "", ["ff"], [(0, b"farbfeld")];
    "FITS", "image/fits", "x-fmt/383", ["fits", "fit", "fts"], [(0, b"SIMPLE  =")];
    "GIMP picture", "image/x-xcf", "", ["xcf"], [(0, b"gimp xcf")];
    "DirectDraw surface", "image/vnd.ms-dds", "", ["dds"], [(0, b"DDS ")];
    "icon", "image/vnd.microsoft.icon", "x-fmt/418", ["ico"], [(0, b"\0\0\x01\0"), (5, b"\0")];
    "cursor", "image/x-icon", "", ["cur"], [(0, b"\0\0\x02\0"), (5, b"\0")];
    "Apple icon", "image/icns", "", ["icns"], [(0, b"icns")];
    "SGI picture", "image/sgi", "x-fmt/140", ["sgi", "rgb", "rgba", "bw"], [(0, b"\x01\xda")];
    "Sun raster", "image/x-sun-raster", "x-fmt/184", ["ras", "sun"], [(0, b"\x59\xa6\x6a\x95")];
    "DPX", "image/x-dpx", "", ["dpx"], [(0, b"SDPX")];
    "DPX", "image/x-dpx", "", ["dpx"], [(0, b"XPDS")];
    "DICOM", "application/dicom", "fmt/574", ["dcm", "dic", "dicom"], [(128, b"DICM")];
    "DjVu", "image/vnd.djvu", "fmt/255", ["djvu", "djv"], [(0, b"AT&TFORM")];
    "X pixmap", "image/x-xpixmap", "", ["xpm"], [(0, b"/* XPM */")];
    "Photo CD", "image/x-photo-cd", "fmt/211", ["pcd"], [(2048, b"PCD_")];
    "MNG", "video/x-mng", "fmt/528", ["mng"], [(0, b"\x8aMNG\r\n\x1a\n")];
    "PDF", "application/pdf", "", ["pdf", "ai"], [(0, b"%PDF-")];
    "encapsulated PostScript", "application/postscript", "", ["eps", "epsf", "ai", "ps"], [(0, b"%!PS-Adobe-"), (14, b" EPSF")];
    "PostScript", "application/postscript", "", ["ps", "eps", "ai"], [(0, b"%!PS")];
    "PostScript with preview", "application/postscript", "", ["eps"], [(0, b"\xc5\xd0\xd3\xc6")];
    "Word document (OOXML)", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "", ["docx", "docm"], [(0, b"PK\x03\x04"), (30, b"word/")];
    "EPUB", "application/epub+zip", "fmt/483", ["epub"], [(0, b"PK\x03\x04"), (30, b"mimetypeapplication/epub+zip")];
    "OpenDocument", "application/vnd.oasis.opendocument", "", ["odt", "ods", "odp", "odg", "odb"], [(0, b"PK\x03\x04"), (30, b"mimetypeapplication/vnd.oasis")];
    "ZIP archive", "application/zip", "x-fmt/263", ["zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "jar", "kmz", "cbz", "ora", "kra"], [(0, b"PK\x03\x04")];
    "ZIP archive", "application/zip", "x-fmt/263", ["zip"], [(0, b"PK\x05\x06")];
    "gzip data", "application/gzip", "x-fmt/266", ["gz", "tgz", "svgz"], [(0, b"\x1f\x8b\x08")];
    "bzip2 data", "application/x-bzip2", "x-fmt/268", ["bz2", "tbz2"], [(0, b"BZh")];
    "xz data", "application/x-xz", "fmt/1098", ["xz", "txz"], [(0, b"\xfd7zXZ\0")];
    "Zstandard data", "application/zstd", "", ["zst", "zstd"], [(0, b"\x28\xb5\x2f\xfd")];
    "7z archive", "application/x-7z-compressed", "fmt/484", ["7z", "cb7"], [(0, b"7z\xbc\xaf\x27\x1c")];
    "RAR archive", "application/vnd.rar", "fmt/411", ["rar", "cbr"], [(0, b"Rar!\x1a\x07")];
    "tar archive", "application/x-tar", "x-fmt/265", ["tar"], [(257, b"ustar")];
    "Microsoft compound file", "application/x-ole-storage", "fmt/111", ["doc", "xls", "ppt", "msg", "db", "fpx", "max", "vsd", "msi"], [(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")];
    "SQLite database", "application/vnd.sqlite3", "fmt/729", ["sqlite", "sqlite3", "db", "lrcat"], [(0, b"SQLite format 3\0")];
    "Windows metafile", "image/wmf", "x-fmt/119", ["wmf"], [(0, b"\xd7\xcd\xc6\x9a")];
    "enhanced metafile", "image/emf", "", ["emf"], [(0, b"\x01\0\0\0"), (40, b" EMF")];
    "AVI video", "video/x-msvideo", "fmt/5", ["avi"], [(0, b"RIFF"), (8, b"AVI ")];
    "WAVE sound", "audio/x-wav", "fmt/6", ["wav"], [(0, b"RIFF"), (8, b"WAVE")];
    "Matroska media", "video/x-matroska", "fmt/569", ["mkv", "webm", "mka"], [(0, b"\x1a\x45\xdf\xa3")];
    "MPEG video", "video/mpeg", "", ["mpg", "mpeg", "vob"], [(0, b"\0\0\x01\xba")];
    "MPEG video", "video/mpeg", "", ["mpg", "mpeg"], [(0, b"\0\0\x01\xb3")];
    "MP3 sound", "audio/mpeg", "fmt/134", ["mp3"], [(0, b"ID3")];
    "FLAC sound", "audio/flac", "fmt/279", ["flac"], [(0, b"fLaC")];
    "Ogg media", "application/ogg", "", ["ogg", "oga", "ogv", "opus"], [(0, b"OggS")];
    "AIFF sound", "audio/x-aiff", "fmt/414", ["aif", "aiff"], [(0, b"FORM"), (8, b"AIFF")];
    "Windows media", "video/x-ms-asf", "", ["wmv", "wma", "asf"], [(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")];
    "rich text", "application/rtf", "", ["rtf", "doc"], [(0, b"{\\rtf")];
    "Windows program", "application/vnd.microsoft.portable-executable", "", ["exe", "dll", "scr"], [(0, b"MZ"), (64, b"\x0e\x1f")];
    "Unix program", "application/x-executable", "", ["so", "o", "bin", "elf"], [(0, b"\x7fELF")];
    "HDF5 data", "application/x-hdf5", "", ["h5", "hdf5"], [(0, b"\x89HDF\r\n\x1a\n")];
    "ICC profile", "application/vnd.iccprofile", "", ["icc", "icm"], [(36, b"acsp")];
    "AppleDouble file", "multipart/appledouble", "", [""], [(0, b"\0\x05\x16\x07")];
    "Finder settings", "application/octet-stream", "fmt/394", ["ds_store"], [(0, b"\0\0\0\x01Bud1")];
    "ZSoft picture", "image/vnd.zbrush.pcx", "", ["pcx"], [(0, b"\x0a\x05\x01")];
];

const TEXT: &str = "text";
const XML: &str = "XML";
const HTML: &str = "HTML";
const SVG: &str = "SVG";
const JSON: &str = "JSON";

/// Names a file that is none of the decoded formats.
pub(super) fn identify(bytes: &[u8]) -> Identity {
    let here = |mark: &(usize, &[u8])| {
        bytes
            .get(mark.0..)
            .is_some_and(|rest| rest.starts_with(mark.1))
    };
    let known = KNOWN.iter().find(|known| known.marks.iter().all(here));
    if let Some(known) = known {
        let identity = Identity::new(None, known.mime, known.name);
        return match known.name {
            "PDF" => pdf(identity, bytes),
            _ => identity.with(known.puid, ""),
        };
    }
    if bytes.ends_with(b"TRUEVISION-XFILE.\0") {
        return Identity::new(None, "image/x-tga", "Truevision TGA").with("", "2.0");
    }
    if let Some(identity) = text(bytes) {
        return identity;
    }
    let name = if bytes.is_empty() {
        "empty file"
    } else {
        "unknown data"
    };
    Identity::new(None, "application/octet-stream", name)
}

/// The extensions that a name given by [`identify`] goes with.
pub(super) fn extensions(name: &str) -> Option<&'static [&'static str]> {
    match name {
        XML => Some(&[
            "xml", "xmp", "xsd", "rdf", "mets", "tei", "ead", "kml", "gpx", "opf", "plist",
        ]),
        HTML => Some(&["html", "htm", "xhtml"]),
        SVG => Some(&["svg"]),
        JSON => Some(&["json", "geojson", "jsonl", "ndjson", "jsonld"]),
        "Truevision TGA" => Some(&["tga", "icb", "vda", "vst"]),
        // Anything may be text, but a picture's name promises something else.
        _ => KNOWN
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.extensions),
    }
}

fn pdf(identity: Identity, bytes: &[u8]) -> Identity {
    let version = bytes.get(5..8).unwrap_or(&[]);
    let id = match version {
        b"1.0" => "fmt/14",
        b"1.1" => "fmt/15",
        b"1.2" => "fmt/16",
        b"1.3" => "fmt/17",
        b"1.4" => "fmt/18",
        b"1.5" => "fmt/19",
        b"1.6" => "fmt/20",
        b"1.7" => "fmt/276",
        b"2.0" => "fmt/1129",
        _ => "",
    };
    identity.with(id, String::from_utf8_lossy(version))
}

fn text(bytes: &[u8]) -> Option<Identity> {
    let head = &bytes[..bytes.len().min(4096)];
    let control = |byte: &u8| *byte < 9 || (14..32).contains(byte) && *byte != 27;
    let utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if head.is_empty() || (!utf16 && head.iter().any(control)) || !is_readable(head, utf16) {
        return None;
    }
    let start = String::from_utf8_lossy(head).to_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let identity = |mime, name, id| Some(Identity::new(None, mime, name).with(id, ""));
    if start.starts_with("<svg") || start.starts_with("<?xml") && start.contains("<svg") {
        return identity("image/svg+xml", SVG, "");
    }
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return identity("text/html", HTML, "fmt/96");
    }
    if start.starts_with("<?xml") || start.starts_with("<?xpacket") {
        return identity("application/xml", XML, "fmt/101");
    }
    if start.starts_with("{\"") || start.starts_with("[{") || start.starts_with("{\n") {
        return identity("application/json", JSON, "fmt/817");
    }
    identity("text/plain", TEXT, "x-fmt/111")
}

/// UTF-8 (a character may be cut at the end), or an old 8-bit code with few odd letters.
fn is_readable(head: &[u8], utf16: bool) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let odd = head.iter().filter(|byte| **byte >= 0x80).count();
    valid || utf16 || odd * 8 < head.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_files_have_their_names() {
        for (bytes, name) in [
            (&b"8BPS\0\x01"[..], "Photoshop document"),
            (b"\0\0\0\x20ftypavif\0\0", "AVIF"),
            (b"\0\0\0\x20ftypheic\0\0", "HEIF"),
            (b"<?xml version=\"1.0\"?>\n<mets/>", "XML"),
            (b"<?xml version=\"1.0\"?>\n<svg/>", "SVG"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"filename,title\r\na.jpg,Gr\xfcn\r\n", "text"),
            ("Gr\u{fc}n".as_bytes(), "text"),
            (b"\x00\x01\x02\x03", "unknown data"),
            (b"", "empty file"),
        ] {
            assert_eq!(identify(bytes).name, name, "{bytes:?}");
            assert_eq!(identify(bytes).format, None);
        }
    }

    #[test]
    fn every_known_mark_is_reached() {
        for known in KNOWN {
            let mut bytes = vec![0xc3_u8; 2060];
            for (at, mark) in known.marks {
                bytes[*at..at + mark.len()].copy_from_slice(mark);
            }
            assert_eq!(identify(&bytes).name, known.name);
        }
    }
}
