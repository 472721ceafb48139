//! Where derivatives lie: the naming rule applied, kept inside the output folder.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fonds_core::{Code, Digest, Error, ObjectId, ObjectIds, RelPath};
use fonds_ingest::{Fate, Walk};

use crate::plan::{NameRule, Plan, PlannedOutput};

/// File systems allow 255 bytes; the sidecar's `.prov.json` has to fit behind the name.
const MAX_NAME: usize = 240;

/// The path of a derivative below the output folder, with `/` between parts.
pub(super) fn derivative(
    output: &PlannedOutput,
    source: &RelPath,
    page: Option<u32>,
    id: &ObjectId,
) -> String {
    let path = render(&output.name, source, page, &output.id, id);
    let extension = output.encoding.extension();
    let path = format!("derivatives/{path}.{extension}");
    let (folder, name) = path
        .rsplit_once('/')
        .expect("the path begins with `derivatives/`");
    format!("{folder}/{}", shorten(name, extension, source))
}

/// The path of a sidecar beside a derivative.
pub(super) fn sidecar(derivative: &str) -> String {
    format!("{derivative}.prov.json")
}

/// The path of a thumbnail, named as `CollectionBuilder` expects it.
pub(super) fn thumbnail(id: &ObjectId, folder: &str, suffix: &str) -> String {
    format!("objects/{folder}/{id}_{suffix}.jpg")
}

/// The files whose derivatives would get the names of an earlier file's, with that file. It is
/// asked of the whole archive before anything is written, so that every run and every shard gives
/// a name to the same file; how many pages a file has is not known then and does not count.
pub(super) fn meeting(plan: &Plan, archive: &Walk, ids: &ObjectIds) -> HashMap<usize, String> {
    let loose = |output: &&PlannedOutput| {
        output.name.0 != NameRule::DEFAULT && !output.name.0.contains("{objectid}")
    };
    let outputs: Vec<&PlannedOutput> = plan.outputs.iter().filter(loose).collect();
    let mut takers: HashMap<String, usize> = HashMap::new();
    let mut meeting = HashMap::new();
    if outputs.is_empty() {
        return meeting;
    }
    for (index, found) in archive.files.iter().enumerate() {
        if !matches!(found.fate, Fate::Selected) {
            continue;
        }
        for output in &outputs {
            match takers.entry(derivative(output, &found.path, None, &ids.id(&found.path))) {
                Entry::Vacant(place) => {
                    place.insert(index);
                }
                Entry::Occupied(taken) if *taken.get() != index => {
                    let other = &archive.files[*taken.get()];
                    meeting.insert(index, other.path.as_str().to_owned());
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    meeting
}

/// The error of a file that [`meeting`] found.
pub(super) fn met(other: &str) -> Error {
    let message = format!("its derivatives would have the names of those of `{other}`");
    Error::new(Code::NameCollision, message)
        .hint("put {folder} and {ext}, or {objectid}, into the `name` of the output")
}

fn render(
    rule: &NameRule,
    source: &RelPath,
    page: Option<u32>,
    output: &str,
    id: &ObjectId,
) -> String {
    let page = page.map(|page| format!(".p{page:04}")).unwrap_or_default();
    let mut path = String::new();
    let mut rest = rule.0.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let (field, after) = after.split_once('}').unwrap_or((after, ""));
        // A file without an extension leaves no dot behind.
        if field == "ext" && source.extension().is_empty() && path.ends_with('.') {
            path.pop();
        }
        path.push_str(match field {
            "folder" => source.parent(),
            "stem" => source.stem(),
            "ext" => source.extension(),
            "page" => &page,
            "id" => output,
            "objectid" => id.as_str(),
            _ => "",
        });
        rest = after;
    }
    path.push_str(rest);
    // A file in the root has no folder.
    path.split('/')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

/// Cuts a name that is too long and puts the path's digest in place of what was cut.
fn shorten(name: &str, extension: &str, source: &RelPath) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let digest = Digest::of(source.as_str().as_bytes()).prefix(12);
    let tail_start = name.len() - extension.len() - 1;
    let output_start = name[..tail_start].rfind('.').unwrap_or(tail_start);
    // A long output id is cut with the rest.
    let tail = if name.len() - output_start <= 64 {
        &name[output_start..]
    } else {
        &name[tail_start..]
    };
    let mut end = MAX_NAME - tail.len() - digest.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{digest}{tail}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Node;
    use crate::spec::{Profile, Use};
    use std::path::Path;

    fn name(rule: &str, source: &str, page: Option<u32>) -> String {
        let source = RelPath::new(Path::new(source)).unwrap();
        let output = PlannedOutput {
            id: "restored".into(),
            from: Node::Source,
            encoding: fonds_image::encode::Encoding::PNG,
            profile: Profile::Keep,
            bit_depth: None,
            name: NameRule(rule.into()),
            purpose: Use::ServiceFile,
            mask: false,
        };
        derivative(&output, &source, page, &ObjectId::parse("the-id").unwrap())
    }

    #[test]
    fn names_by_rule() {
        for (rule, source, page, expected) in [
            (
                NameRule::DEFAULT,
                "a/b/IMG 1.tif",
                None,
                "derivatives/a/b/IMG 1.tif.restored.png",
            ),
            (
                NameRule::DEFAULT,
                "x.tif",
                Some(2),
                "derivatives/x.tif.p0002.restored.png",
            ),
            (
                NameRule::DEFAULT,
                "noext",
                None,
                "derivatives/noext.restored.png",
            ),
            ("{objectid}", "a/x.tif", None, "derivatives/the-id.png"),
            (
                "{id}/{stem}{page}",
                "a/x.tif",
                Some(3),
                "derivatives/restored/x.p0003.png",
            ),
        ] {
            assert_eq!(name(rule, source, page), expected);
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |last: char| format!("{}{last}.jpg", "ü".repeat(120));
        let one = name(NameRule::DEFAULT, &long('a'), None);
        let two = name(NameRule::DEFAULT, &long('b'), None);
        assert_ne!(one, two);
        for path in [one, two] {
            let file = path.rsplit('/').next().unwrap();
            assert!(
                file.len() <= MAX_NAME && file.ends_with(".restored.png"),
                "{file}"
            );
        }
    }
}
