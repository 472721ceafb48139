//! All that can be said of a picture from its bytes and its name.

use fonds_core::{Error, Flag, Flags, Limits, PixelFormat, RelPath, Result};
use fonds_image::decode::Document;
use fonds_image::facts::{Metadata, PageFacts};
use fonds_image::measure::{Measures, Survey};
use fonds_image::sniff::{Identity, extension_matches, identify};

/// What a file is, what was written into it, and how its pages look.
#[derive(Debug)]
pub struct Description {
    /// What the file is, by its content.
    pub identity: Identity,
    /// What people and machines wrote into it; empty for what is no picture.
    pub metadata: Metadata,
    /// Remarks on the file as a whole: its name, its metadata.
    pub flags: Flags,
    /// The pages in their order, or why the file cannot be opened.
    pub pages: Result<Vec<PageDescription>>,
}

/// One page.
#[derive(Debug)]
pub struct PageDescription {
    /// What its headers say; `None` when they cannot be read.
    pub facts: Option<PageFacts>,
    /// What its pixels show, or why they cannot be decoded.
    pub content: Result<PageContent>,
}

/// What the pixels of a page show.
#[derive(Debug, Clone, PartialEq)]
pub struct PageContent {
    /// The samples that it is decoded into.
    pub format: PixelFormat,
    /// Remarks of the decoder and on the measures.
    pub flags: Flags,
    /// Conversions that decoding had to make.
    pub notes: Vec<String>,
    /// How good it looks.
    pub measures: Measures,
    /// Alike for pictures that look alike: 64 bits, of which few differ.
    pub perceptual_hash: u64,
}

impl Description {
    /// The first thing that went wrong: with the file, else with one of its pages.
    pub fn error(&self) -> Option<&Error> {
        match &self.pages {
            Ok(pages) => pages.iter().find_map(|page| page.content.as_ref().err()),
            Err(error) => Some(error),
        }
    }

    /// The remarks on the file and on all of its pages.
    pub fn all_flags(&self) -> Flags {
        let pages = self.pages.iter().flatten();
        let contents = pages.filter_map(|page| page.content.as_ref().ok());
        let mut flags = self.flags.clone();
        flags.extend(contents.flat_map(|content| &content.flags));
        flags
    }
}

/// Describes a file. Every page is decoded, one at a time; nothing that can be in a file makes
/// this fail.
pub fn describe(bytes: &[u8], path: &RelPath, limits: &Limits) -> Description {
    let identity = identify(bytes);
    let (metadata, mut flags) = match identity.format {
        Some(format) => fonds_image::metadata::read(bytes, format),
        None => (Metadata::default(), Flags::new()),
    };
    flags.extend(remarks_on_name(path, &identity));
    let pages = Document::open(bytes, limits)
        .map(|mut document| describe_pages(&mut document))
        .map_err(|error| error.at_path(path.as_str()));
    Description {
        identity,
        metadata,
        flags,
        pages,
    }
}

fn remarks_on_name(path: &RelPath, identity: &Identity) -> Flags {
    let mut flags = Flags::new();
    if !path.is_exact() {
        flags.insert(Flag::NameNotUtf8);
    }
    if !extension_matches(identity, path.extension()) {
        flags.insert(Flag::ExtensionMismatch);
    }
    flags
}

fn describe_pages(document: &mut Document<'_>) -> Vec<PageDescription> {
    (0..document.page_count())
        .map(|number| match document.decode(number) {
            Ok(page) => {
                let survey = Survey::new(&page.raster);
                let measures = survey.measures();
                let mut flags = page.flags;
                flags.extend(measures.flags());
                let content = PageContent {
                    format: page.raster.format(),
                    flags,
                    notes: page.notes,
                    measures,
                    perceptual_hash: survey.perceptual_hash(),
                };
                PageDescription {
                    facts: Some(page.facts),
                    content: Ok(content),
                }
            }
            Err(error) => PageDescription {
                facts: document.probe(number).ok(),
                content: Err(error.at_page(number + 1)),
            },
        })
        .collect()
}
