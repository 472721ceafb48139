//! Object ids: lower-case, URL-safe, unique in an archive, the same in every run.

use std::collections::HashMap;
use std::fmt;

use crate::digest::Digest;
use crate::paths::RelPath;

/// The id of a catalogued object: one or more of `a-z`, `0-9`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// The id in this text, when it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        (!text.is_empty() && text.chars().all(valid)).then(|| Self(text.to_owned()))
    }

    /// The id of a page of this object, counted from 1: `letter_p0002`.
    #[must_use]
    pub fn page(&self, page: u32) -> Self {
        Self(format!("{}_p{page:04}", self.0))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ids of a whole archive, resolved at once so that they depend on nothing but its paths.
///
/// A path's id is the [`slug`] of the path without its extension. Where several paths share a slug,
/// each of them gets `-` and eight hexadecimal digits of its own SHA-256, so that no id depends on
/// which file came first; so does a slug that looks like the id of a page.
#[derive(Debug, Clone, Default)]
pub struct ObjectIds {
    times_seen: HashMap<String, u32>,
}

impl ObjectIds {
    /// The ids for this set of paths.
    pub fn resolve<'a>(paths: impl IntoIterator<Item = &'a RelPath>) -> Self {
        let mut times_seen = HashMap::new();
        for path in paths {
            *times_seen.entry(path_slug(path)).or_insert(0) += 1;
        }
        // Slugs that are alone need no memory: a look-up that fails means "once".
        times_seen.retain(|_, times| *times > 1);
        times_seen.shrink_to_fit();
        Self { times_seen }
    }

    /// The id of one of the paths.
    pub fn id(&self, path: &RelPath) -> ObjectId {
        let slug = path_slug(path);
        if self.times_seen.contains_key(&slug) || looks_hashed_or_paged(&slug) {
            let digest = Digest::of(path.as_str().as_bytes());
            return ObjectId(format!("{slug}-{}", digest.prefix(8)));
        }
        ObjectId(slug)
    }
}

/// Lower-case ASCII letters, digits and `_`; every run of anything else becomes one `-`.
///
/// Accented Latin letters lose their accent (`ü` → `u`), letters without an ASCII base are dropped.
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        let plain = match c {
            'a'..='z' | '0'..='9' | '_' => Some(c),
            _ => base_letter(c),
        };
        match plain {
            Some(plain) => {
                if gap && !out.is_empty() {
                    out.push('-');
                }
                gap = false;
                out.push(plain);
            }
            None => gap = true,
        }
    }
    if out.is_empty() {
        "object".to_owned()
    } else {
        out
    }
}

fn path_slug(path: &RelPath) -> String {
    let text = path.as_str();
    let extension = path.extension().len();
    let end = if extension == 0 {
        text.len()
    } else {
        text.len() - extension - 1
    };
    slug(&text[..end])
}

/// Whether a slug could be mistaken for one that [`ObjectIds`] makes: a page, or a resolved clash.
fn looks_hashed_or_paged(slug: &str) -> bool {
    let paged = slug
        .rsplit_once("_p")
        .is_some_and(|(_, digits)| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()));
    let hashed = slug.rsplit_once('-').is_some_and(|(_, hex)| {
        hex.len() == 8 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    paged || hashed
}

fn base_letter(c: char) -> Option<char> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ì'..='ï' | 'ī' | 'ĭ' | 'į' | 'ı' => 'i',
        'ł' | 'ľ' | 'ĺ' | 'ļ' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ß' | 'ș' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn path(text: &str) -> RelPath {
        RelPath::new(Path::new(text)).unwrap()
    }

    #[test]
    fn slugs() {
        for (text, expected) in [
            ("Letters/IMG 001", "letters-img-001"),
            ("Müller & Söhne", "muller-sohne"),
            ("__a--b__", "__a-b__"),
            ("写真", "object"),
            ("", "object"),
        ] {
            assert_eq!(slug(text), expected, "{text}");
            assert!(ObjectId::parse(&slug(text)).is_some());
        }
    }

    #[test]
    fn clashes_get_a_digest_whatever_the_order() {
        let paths = [path("a/b.tif"), path("a/b.jpg"), path("c.tif")];
        let forward = ObjectIds::resolve(&paths);
        let backward = ObjectIds::resolve(paths.iter().rev());
        for p in &paths {
            assert_eq!(forward.id(p), backward.id(p));
        }
        assert_eq!(forward.id(&paths[2]).as_str(), "c");
        assert_ne!(forward.id(&paths[0]), forward.id(&paths[1]));
        assert!(forward.id(&paths[0]).as_str().starts_with("a-b-"));
    }

    #[test]
    fn a_name_that_looks_like_a_page_is_not_taken_for_one() {
        let paths = [path("a.tif"), path("a_p0001.tif")];
        let ids = ObjectIds::resolve(&paths);
        assert_eq!(ids.id(&paths[0]).page(1).as_str(), "a_p0001");
        assert_ne!(ids.id(&paths[0]).page(1), ids.id(&paths[1]));
    }
}
