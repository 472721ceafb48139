//! IIIF Presentation 3: a manifest for each object, in which a viewer can choose between the
//! original and what was made from it, and must show what that is.

mod tiles;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::profiles::encode_path;
use crate::record::{Item, Record};
use crate::validate::is_rights_statement;

pub use tiles::{Level, Pyramid, Tile};

/// A picture of which there are tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IiifImage {
    /// Path of its folder below the base, `/` between the parts.
    pub path: String,
    /// What it is, by language: `Original`.
    pub label: BTreeMap<String, String>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// What is painted on one canvas: a page of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IiifPage {
    /// The page, counted from 1.
    pub number: u32,
    /// The original.
    pub original: IiifImage,
    /// What was made from it, in the order of the outputs.
    pub derivatives: Vec<IiifImage>,
}

/// The path of an object's manifest below the base.
pub fn manifest_path(objectid: &str) -> String {
    format!("{objectid}/manifest.json")
}

/// The Presentation 3 manifest of an object, at `base` (a URL without a final `/`).
///
/// Each page is a canvas of the original's size; where something was made from it, the canvas has a
/// `Choice`, the original first. `statement` is what a viewer must show, by language; `rights` is
/// there only for URIs that IIIF allows.
pub fn iiif_manifest(
    item: &Item,
    pages: &[IiifPage],
    statement: &BTreeMap<String, String>,
    base: &str,
    tile: u32,
) -> Value {
    let record = &item.record;
    let id = format!("{base}/{}", manifest_path(&record.objectid));
    let title = if record.title.is_empty() {
        &record.objectid
    } else {
        &record.title
    };
    let mut manifest = Map::new();
    manifest.insert(
        "@context".into(),
        json!("http://iiif.io/api/presentation/3/context.json"),
    );
    manifest.insert("id".into(), json!(id));
    manifest.insert("type".into(), json!("Manifest"));
    manifest.insert("label".into(), none(title));
    if !record.description.is_empty() {
        manifest.insert("summary".into(), none(&record.description));
    }
    let metadata = metadata(record);
    if !metadata.is_empty() {
        manifest.insert("metadata".into(), metadata.into());
    }
    if let Some(rights) = rights(&record.rightsstatement) {
        manifest.insert("rights".into(), json!(rights));
    }
    if !statement.is_empty() {
        manifest.insert(
            "requiredStatement".into(),
            json!({ "label": { "en": ["About this picture"] }, "value": languages(statement) }),
        );
    }
    if let Some(page) = pages.first() {
        manifest.insert("thumbnail".into(), thumbnail(&page.original, base, tile));
    }
    let canvases: Vec<_> = pages
        .iter()
        .map(|page| canvas(page, pages.len(), &record.objectid, base, tile))
        .collect();
    manifest.insert("items".into(), canvases.into());
    manifest.into()
}

/// The Presentation 3 collection of manifests, as (object id, title).
pub fn iiif_collection(label: &str, objects: &[(String, String)], base: &str) -> Value {
    let items: Vec<_> = objects
        .iter()
        .map(|(objectid, title)| {
            json!({
                "id": format!("{base}/{}", manifest_path(objectid)),
                "type": "Manifest",
                "label": none(if title.is_empty() { objectid } else { title }),
            })
        })
        .collect();
    json!({
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": format!("{base}/collection.json"),
        "type": "Collection",
        "label": none(label),
        "items": items,
    })
}

/// The Image API 3 description of a picture with tiles, its `info.json`.
pub fn iiif_info(image: &IiifImage, base: &str, tile: u32) -> Value {
    let pyramid = Pyramid::new(image.width, image.height, tile);
    let mut sizes: Vec<_> = pyramid
        .levels()
        .map(|level| json!({ "width": level.width, "height": level.height }))
        .collect();
    sizes.reverse();
    let factors: Vec<_> = pyramid.levels().map(|level| level.factor).collect();
    json!({
        "@context": "http://iiif.io/api/image/3/context.json",
        "id": format!("{base}/{}", encode_path(&image.path)),
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level0",
        "width": image.width,
        "height": image.height,
        "sizes": sizes,
        "tiles": [{ "width": tile, "scaleFactors": factors }],
    })
}

fn canvas(page: &IiifPage, count: usize, objectid: &str, base: &str, tile: u32) -> Value {
    let id = format!("{base}/{objectid}/canvas/{}", page.number);
    let mut bodies = vec![body(&page.original, base)];
    bodies.extend(page.derivatives.iter().map(|image| body(image, base)));
    let body = if bodies.len() == 1 {
        bodies.remove(0)
    } else {
        json!({ "type": "Choice", "items": bodies })
    };
    let mut canvas = Map::new();
    canvas.insert("id".into(), json!(id));
    canvas.insert("type".into(), json!("Canvas"));
    if count > 1 {
        let label = format!("Page {}", page.number);
        canvas.insert("label".into(), json!({ "en": [label] }));
    }
    canvas.insert("width".into(), json!(page.original.width));
    canvas.insert("height".into(), json!(page.original.height));
    canvas.insert("thumbnail".into(), thumbnail(&page.original, base, tile));
    canvas.insert(
        "items".into(),
        json!([{
            "id": format!("{id}/painting"),
            "type": "AnnotationPage",
            "items": [{
                "id": format!("{id}/painting/1"),
                "type": "Annotation",
                "motivation": "painting",
                "body": body,
                "target": id,
            }],
        }]),
    );
    canvas.into()
}

fn body(image: &IiifImage, base: &str) -> Value {
    let id = format!("{base}/{}", encode_path(&image.path));
    json!({
        "id": format!("{id}/full/max/0/default.jpg"),
        "type": "Image",
        "label": languages(&image.label),
        "format": "image/jpeg",
        "width": image.width,
        "height": image.height,
        "service": [{ "id": id, "type": "ImageService3", "profile": "level0" }],
    })
}

/// The smallest size of the pyramid.
fn thumbnail(image: &IiifImage, base: &str, tile: u32) -> Value {
    let pyramid = Pyramid::new(image.width, image.height, tile);
    let level = pyramid.smallest();
    let id = format!("{base}/{}", encode_path(&image.path));
    json!([{
        "id": format!("{id}/{}", level.full_path()),
        "type": "Image",
        "format": "image/jpeg",
        "width": level.width,
        "height": level.height,
        "service": [{ "id": id, "type": "ImageService3", "profile": "level0" }],
    }])
}

fn metadata(record: &Record) -> Vec<Value> {
    let lists = |text: &str| -> Vec<String> {
        let parts = text.split(';').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    };
    let one = |text: &str| vec![text.to_owned()];
    let pairs = [
        ("Creator", lists(&record.creator)),
        ("Date", one(&record.date)),
        ("Subject", record.subject.clone()),
        ("Place", one(&record.location)),
        ("Identifier", one(&record.identifier)),
        ("Source", one(&record.source)),
        ("Language", lists(&record.language)),
        ("Rights", one(&record.rights)),
        ("File", one(&record.filename)),
    ];
    pairs
        .into_iter()
        .map(|(label, values)| (label, values.into_iter().filter(|text| !text.is_empty())))
        .map(|(label, values)| (label, values.collect::<Vec<_>>()))
        .filter(|(_, values)| !values.is_empty())
        .map(|(label, values)| json!({ "label": { "en": [label] }, "value": { "none": values } }))
        .collect()
}

/// A text without a language.
fn none(text: &str) -> Value {
    json!({ "none": [text] })
}

fn languages(texts: &BTreeMap<String, String>) -> Value {
    let texts = texts.iter();
    texts
        .map(|(language, text)| (language.clone(), json!([text])))
        .collect::<Map<_, _>>()
        .into()
}

/// A URI that IIIF takes for `rights`; both vocabularies spell theirs with `http`.
fn rights(uri: &str) -> Option<String> {
    let known = uri.contains("rightsstatements.org/") || uri.contains("creativecommons.org/");
    let valid = known && is_rights_statement(uri);
    valid.then(|| uri.replacen("https://", "http://", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::ObjectId;

    fn image(path: &str, label: &str, width: u32, height: u32) -> IiifImage {
        IiifImage {
            path: path.into(),
            label: BTreeMap::from([("en".into(), label.into())]),
            width,
            height,
        }
    }

    fn item() -> Item {
        let record = Record {
            title: "The bridge".into(),
            creator: "A; B".into(),
            rightsstatement: "https://creativecommons.org/licenses/by/4.0/".into(),
            ..Record::new("a b.tif", &ObjectId::parse("a-b").unwrap())
        };
        Item {
            record,
            ..Item::default()
        }
    }

    #[test]
    fn original_and_restored_are_a_choice() {
        let pages = [IiifPage {
            number: 1,
            original: image("a-b/1/original", "Original", 1000, 700),
            derivatives: vec![image("a-b/1/restored", "restored", 2000, 1400)],
        }];
        let statement = BTreeMap::from([("en".into(), "AI-restored derivative".into())]);
        let manifest = iiif_manifest(&item(), &pages, &statement, "https://example.org/iiif", 512);
        insta::assert_snapshot!(format!("{manifest:#}"));
    }

    #[test]
    fn what_was_not_changed_is_no_choice_and_owes_no_statement() {
        let pages = [IiifPage {
            number: 1,
            original: image("a-b/1/original", "Original", 10, 7),
            derivatives: Vec::new(),
        }];
        let manifest = iiif_manifest(
            &item(),
            &pages,
            &BTreeMap::new(),
            "https://example.org",
            512,
        );
        let body = &manifest["items"][0]["items"][0]["items"][0]["body"];
        assert_eq!(body["type"], "Image");
        assert!(manifest.get("requiredStatement").is_none());
    }

    #[test]
    fn rights_are_uris_that_iiif_takes() {
        for (uri, expected) in [
            ("", None),
            ("https://example.org/terms", None),
            (
                "http://rightsstatements.org/vocab/InC/1.0/",
                Some("http://rightsstatements.org/vocab/InC/1.0/"),
            ),
            (
                "https://creativecommons.org/licenses/by/4.0/",
                Some("http://creativecommons.org/licenses/by/4.0/"),
            ),
        ] {
            assert_eq!(rights(uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn the_description_of_a_picture() {
        let info = iiif_info(&image("a b", "x", 1000, 700), "https://example.org", 256);
        assert_eq!(info["id"], "https://example.org/a%20b");
        assert_eq!(info["sizes"][0], json!({ "width": 250, "height": 175 }));
        assert_eq!(info["tiles"][0]["scaleFactors"], json!([1, 2, 4]));
    }
}
