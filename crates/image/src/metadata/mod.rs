//! What people and machines wrote into a file: Exif, IPTC-IIM and XMP; and the label of a
//! derivative.
//!
//! ```
//! use fonds_image::metadata;
//! use fonds_image::sniff::Format;
//!
//! let (found, flags) = metadata::read(b"GIF89a and no more", Format::Gif);
//! assert_eq!(found.title, None);
//! assert!(flags.is_empty());
//! ```

use fonds_core::{Flag, Flags};

use crate::facts::Metadata;
use crate::sniff::Format;
use container::Blocks;

mod container;
mod exif;
mod iptc;
pub mod label;
mod text;
mod xmp;

/// Reads the metadata of a file: XMP first, what it does not say from IPTC, then Exif, then the
/// text chunks of PNG.
///
/// Never fails and does bounded work: only headers are walked, never pixels.
/// [`Flag::MetadataUnreadable`] says that there is a block of which a part cannot be read; what
/// the others say still counts.
pub fn read(bytes: &[u8], format: Format) -> (Metadata, Flags) {
    let blocks = Blocks::find(bytes, format);
    let mut sum = Sum {
        metadata: Metadata::default(),
        broken: blocks.broken,
    };
    for block in &blocks.xmp {
        sum.add(xmp::read(block));
    }
    for block in &blocks.iptc {
        sum.add(iptc::read(block));
    }
    for block in &blocks.exif {
        sum.add(exif::read(block));
    }
    sum.add(Some((from_texts(&blocks.texts), false)));
    let broken = sum.broken.then_some(Flag::MetadataUnreadable);
    (sum.metadata, broken.into_iter().collect())
}

struct Sum {
    metadata: Metadata,
    broken: bool,
}

impl Sum {
    fn add(&mut self, read: Option<(Metadata, bool)>) {
        let Some((metadata, broken)) = read else {
            self.broken = true;
            return;
        };
        self.broken |= broken;
        fill(&mut self.metadata, metadata);
    }
}

/// Takes from `other` what is not known yet; a position only as a whole.
fn fill(known: &mut Metadata, other: Metadata) {
    macro_rules! fill {
        ($($field:ident),*) => {
            $(known.$field = known.$field.take().or(other.$field);)*
        };
    }
    fill!(
        title,
        creator,
        description,
        location,
        rights,
        rights_uri,
        credit,
        usage_terms,
        source,
        identifier,
        language,
        alt_text,
        digital_source_type,
        scanner,
        software,
        date_digitized
    );
    if known.subjects.is_empty() {
        known.subjects = other.subjects;
    }
    if known.latitude.is_none() || known.longitude.is_none() {
        known.latitude = other.latitude;
        known.longitude = other.longitude;
    }
}

/// The keywords that the PNG specification defines; its `Source` is a device.
fn from_texts(texts: &[(String, String)]) -> Metadata {
    let text = |keyword: &str| {
        let own = texts
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(keyword));
        own.into_iter().find_map(|(_, text)| text::clean(text))
    };
    Metadata {
        title: text("Title"),
        creator: text("Author"),
        description: text("Description"),
        rights: text("Copyright"),
        scanner: text("Source"),
        software: text("Software"),
        ..Metadata::default()
    }
}
