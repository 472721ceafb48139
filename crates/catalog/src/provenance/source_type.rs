//! The IPTC digital source type of a derivative, from what was done to the picture.

const BASE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";
const ENHANCED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced";
const COMPOSITE: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
const TRAINED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

/// What a step does to a picture, as far as a reader must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActKind {
    /// Resizing, rotating, cropping, a change of profile or format: the content stays.
    Geometry,
    /// A correction by a fixed algorithm: denoising, sharpening, levels.
    Enhancement,
    /// A network made up part of what is seen: restoration, inpainting, colours, detail, style.
    Generative,
    /// A network made up all of it.
    Synthetic,
}

/// The IPTC term for a picture to which these things were done, as a URI.
///
/// `source` is the term of the source, when the file or the configuration says it. Geometry keeps
/// it; so does enhancement of a picture that a network had its part in, because the weaker term
/// would hide that.
///
/// ```
/// use fonds_catalog::provenance::{ActKind, digital_source_type};
///
/// let print = "http://cv.iptc.org/newscodes/digitalsourcetype/print";
/// let acts = [ActKind::Geometry, ActKind::Enhancement];
/// let term = digital_source_type(&acts, Some(print));
/// assert!(term.unwrap().ends_with("/algorithmicallyEnhanced"));
/// ```
pub fn digital_source_type<'a>(acts: &[ActKind], source: Option<&'a str>) -> Option<&'a str> {
    let term = match acts.iter().max() {
        None | Some(ActKind::Geometry) => return source,
        Some(ActKind::Enhancement) => ENHANCED,
        Some(ActKind::Generative) => COMPOSITE,
        Some(ActKind::Synthetic) => TRAINED,
    };
    let weaker = term == ENHANCED || term == COMPOSITE;
    match source {
        Some(source) if weaker && is_synthetic(source) => Some(source),
        _ => Some(term),
    }
}

/// Whether the term says that a network had its part in the picture.
fn is_synthetic(source: &str) -> bool {
    let secure = source.replacen("https://", "http://", 1);
    matches!(
        secure.strip_prefix(BASE),
        Some(
            "trainedAlgorithmicMedia"
                | "compositeWithTrainedAlgorithmicMedia"
                | "compositeSynthetic"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ActKind::{Enhancement, Generative, Geometry, Synthetic};

    #[test]
    fn the_strongest_act_decides() {
        let print = format!("{BASE}print");
        for (acts, source, expected) in [
            (&[][..], None, None),
            (&[], Some("print"), Some("print")),
            (&[Geometry], None, None),
            (&[Geometry], Some("print"), Some("print")),
            (&[Enhancement], None, Some("algorithmicallyEnhanced")),
            (
                &[Enhancement, Geometry],
                Some("print"),
                Some("algorithmicallyEnhanced"),
            ),
            (
                &[Enhancement, Generative, Geometry],
                Some("print"),
                Some("compositeWithTrainedAlgorithmicMedia"),
            ),
            (&[Synthetic], None, Some("trainedAlgorithmicMedia")),
            // A weaker act does not hide that a network was there before.
            (
                &[Enhancement],
                Some("trainedAlgorithmicMedia"),
                Some("trainedAlgorithmicMedia"),
            ),
            (
                &[Generative],
                Some("trainedAlgorithmicMedia"),
                Some("trainedAlgorithmicMedia"),
            ),
        ] {
            let uri = |term: &str| format!("{BASE}{term}");
            let source = source.map(uri);
            let found = digital_source_type(acts, source.as_deref()).map(ToOwned::to_owned);
            assert_eq!(found, expected.map(uri), "{acts:?} {source:?}");
        }
        assert_eq!(digital_source_type(&[], Some(&print)), Some(print.as_str()));
    }

    #[test]
    fn either_scheme_is_known() {
        let source = format!("{BASE}compositeSynthetic").replace("http:", "https:");
        assert_eq!(
            digital_source_type(&[Enhancement], Some(&source)),
            Some(source.as_str())
        );
    }
}
