//! The keys of an `[[output]]` as an encoding; keys that do not belong to its format are errors.

use fonds_core::{Code, Error};
use fonds_image::encode::{Encoding, PngLevel, Subsampling, TiffCompression};

use crate::reader::{At, Sink, near_miss};
use crate::spec::{Format, OutputSpec};

/// The encoding of an output; `None` after a report when it has no format.
pub(crate) fn resolve(spec: &OutputSpec, sink: &Sink<'_>) -> Option<Encoding> {
    let Some(format) = &spec.format else {
        if spec.has_format {
            // A format that could not be read has been reported where it stands.
            return None;
        }
        let error = Error::new(Code::InvalidRequest, "an output needs a `format`");
        sink.report(
            spec.offset,
            error.hint("valid are `jpeg`, `png`, `tiff`, `webp`, `mask`"),
        );
        return None;
    };
    check_keys(spec, format.value, sink);
    if let Some(depth) = spec
        .bit_depth
        .as_ref()
        .filter(|at| !matches!(at.value, 8 | 16))
    {
        let message = format!("`bit_depth` is {}, allowed are 8 and 16", depth.value);
        sink.report(depth.offset, Error::new(Code::InvalidRequest, message));
    }
    if let Some(quality) = spec
        .quality
        .as_ref()
        .filter(|at| !(1..=100).contains(&at.value))
    {
        let message = format!("`quality` is {}, allowed is 1 to 100", quality.value);
        sink.report(quality.offset, Error::new(Code::InvalidRequest, message));
    }
    Some(match format.value {
        Format::Png => Encoding::Png {
            level: level(spec, sink),
        },
        Format::Jpeg => jpeg(spec, sink),
        Format::Tiff => Encoding::Tiff {
            compression: compression(spec, sink),
        },
        Format::Webp => webp(spec),
        // Masks are of few colours and compress by themselves.
        Format::Mask => Encoding::PNG,
    })
}

fn jpeg(spec: &OutputSpec, sink: &Sink<'_>) -> Encoding {
    let names = [
        ("444", Subsampling::Full),
        ("422", Subsampling::Half),
        ("420", Subsampling::Quarter),
    ];
    Encoding::Jpeg {
        quality: spec.quality.as_ref().map_or(90, |at| at.value),
        subsampling: word(spec.subsampling.as_ref(), "subsampling", &names, sink),
        progressive: spec.progressive.as_ref().is_some_and(|at| at.value),
    }
}

fn webp(spec: &OutputSpec) -> Encoding {
    if spec.lossless.as_ref().is_some_and(|at| at.value) {
        return Encoding::WEBP_LOSSLESS;
    }
    match &spec.quality {
        Some(at) => Encoding::WebP {
            quality: Some(at.value),
        },
        None => Encoding::WEBP,
    }
}

fn level(spec: &OutputSpec, sink: &Sink<'_>) -> PngLevel {
    let names = [
        ("default", PngLevel::Default),
        ("fast", PngLevel::Fast),
        ("best", PngLevel::Best),
    ];
    word(spec.level.as_ref(), "level", &names, sink)
}

fn compression(spec: &OutputSpec, sink: &Sink<'_>) -> TiffCompression {
    let names = [
        ("deflate", TiffCompression::Deflate),
        ("lzw", TiffCompression::Lzw),
        ("packbits", TiffCompression::PackBits),
        ("none", TiffCompression::None),
    ];
    word(spec.compression.as_ref(), "compression", &names, sink)
}

/// The value of a word; the first one when the key is left out or, after a report, unknown.
fn word<T: Copy>(
    at: Option<&At<String>>,
    key: &str,
    names: &[(&'static str, T)],
    sink: &Sink<'_>,
) -> T {
    let Some(at) = at else { return names[0].1 };
    if let Some((_, value)) = names.iter().find(|(name, _)| *name == at.value) {
        return *value;
    }
    let message = format!("unknown `{key}` `{}`", at.value);
    let hint = near_miss(&at.value, names.iter().map(|(name, _)| *name));
    sink.report(
        at.offset,
        Error::new(Code::InvalidRequest, message).hint(hint),
    );
    names[0].1
}

fn check_keys(spec: &OutputSpec, format: Format, sink: &Sink<'_>) {
    let place = |at: Option<usize>, key: &'static str, formats: &'static [Format]| {
        at.filter(|_| !formats.contains(&format))
            .map(|offset| (offset, key, formats))
    };
    let misplaced = [
        place(
            spec.quality.as_ref().map(|at| at.offset),
            "quality",
            &[Format::Jpeg, Format::Webp],
        ),
        place(
            spec.subsampling.as_ref().map(|at| at.offset),
            "subsampling",
            &[Format::Jpeg],
        ),
        place(
            spec.progressive.as_ref().map(|at| at.offset),
            "progressive",
            &[Format::Jpeg],
        ),
        place(
            spec.compression.as_ref().map(|at| at.offset),
            "compression",
            &[Format::Tiff],
        ),
        place(
            spec.level.as_ref().map(|at| at.offset),
            "level",
            &[Format::Png],
        ),
        place(
            spec.lossless.as_ref().map(|at| at.offset),
            "lossless",
            &[Format::Webp],
        ),
    ];
    if format == Format::Mask
        && let Some(depth) = &spec.bit_depth
    {
        let message = "`bit_depth` is of no use with format mask, which has 8 bits";
        sink.report(depth.offset, Error::new(Code::InvalidRequest, message));
    }
    for (offset, key, formats) in misplaced.into_iter().flatten() {
        let names: Vec<String> = formats
            .iter()
            .map(|f| format!("{f:?}").to_lowercase())
            .collect();
        let message = format!("`{key}` belongs to format {}", names.join(" and "));
        sink.report(offset, Error::new(Code::InvalidRequest, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, compile};

    #[test]
    fn keys_become_encodings() {
        for (keys, expected) in [
            ("format = \"png\"", Encoding::PNG),
            ("format = \"tiff\"", Encoding::TIFF),
            ("format = \"jpeg\"", Encoding::JPEG),
            ("format = \"webp\"", Encoding::WEBP),
            (
                "format = \"webp\"\nlossless = true",
                Encoding::WEBP_LOSSLESS,
            ),
            (
                "format = \"webp\"\nquality = 70",
                Encoding::WebP { quality: Some(70) },
            ),
            (
                "format = \"png\"\nlevel = \"best\"",
                Encoding::Png {
                    level: PngLevel::Best,
                },
            ),
            (
                "format = \"tiff\"\ncompression = \"none\"",
                Encoding::Tiff {
                    compression: TiffCompression::None,
                },
            ),
            (
                "format = \"jpeg\"\nquality = 70\nsubsampling = \"420\"\nprogressive = true",
                Encoding::Jpeg {
                    quality: 70,
                    subsampling: Subsampling::Quarter,
                    progressive: true,
                },
            ),
        ] {
            let text = format!("name = \"x\"\n[[output]]\n{keys}\n");
            let plan = compile(&text, &Registry::builtin());
            let plan = plan.unwrap_or_else(|errors| panic!("{keys}: {errors:?}"));
            assert_eq!(plan.outputs[0].encoding, expected, "{keys}");
        }
    }
}
