//! Quality flags: remarks on a picture that a person should see, none of which is a failure.

use std::collections::BTreeSet;
use std::fmt;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A remark on a picture, as written to the catalog's `quality_flags` column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Flag { $($(#[$doc])* $name,)* }

        impl Flag {
            /// All flags, in alphabetical order of their text.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The flag as it is written to files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

flags! {
    /// Only the first frame of an animation was taken.
    AnimationFirstFrame = "animation_first_frame",
    /// The picture is blurred (indicative, without a target).
    Blurred = "blurred",
    /// A noticeable share of the samples lies at the ends of the range.
    Clipped = "clipped",
    /// The file's colour space was converted on decoding (CMYK, Lab, `YCbCr`, palette is not one).
    ColorConverted = "color_converted",
    /// The picture has a colour cast.
    ColorCast = "color_cast",
    /// Samples were brought to a smaller depth on decoding (32-bit integers, 64-bit floats).
    DepthReduced = "depth_reduced",
    /// The file's name promises another format than its content has.
    ExtensionMismatch = "extension_mismatch",
    /// Extra samples (infra-red, spot colours) are in the original only.
    ExtraSamplesDropped = "extra_samples_dropped",
    /// The embedded ICC profile cannot be read; it was left out.
    IccInvalid = "icc_invalid",
    /// The embedded ICC profile is for another colour space than the pixels; it was left out.
    IccMismatch = "icc_mismatch",
    /// Fewer pixels per inch than the field's minimum for reproduction (150).
    LowPpi = "low_ppi",
    /// A step would have changed the picture more than allowed and was undone.
    MaxChangeRefused = "max_change_refused",
    /// Part of the embedded metadata cannot be read.
    MetadataUnreadable = "metadata_unreadable",
    /// The name is not UTF-8; it is catalogued with `%XX` for the bytes that are not.
    NameNotUtf8 = "name_not_utf8",
    /// The picture is noisy (indicative, without a target).
    Noisy = "noisy",
    /// The picture or text is rotated.
    Skewed = "skewed",
    /// No source gave a title; the file's stem stands in.
    TitleFromFilename = "title_from_filename",
    /// The file carries data after its end.
    TrailingData = "trailing_data",
}

impl Flag {
    /// Whether the flag makes its row a `warning`: something about the file or the work on it
    /// needs a person, where the others describe how the picture looks.
    pub fn is_warning(self) -> bool {
        matches!(
            self,
            Self::AnimationFirstFrame
                | Self::DepthReduced
                | Self::ExtensionMismatch
                | Self::ExtraSamplesDropped
                | Self::IccInvalid
                | Self::IccMismatch
                | Self::MaxChangeRefused
                | Self::MetadataUnreadable
                | Self::NameNotUtf8
        )
    }

    /// The flag with this text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|flag| flag.as_str() == text)
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of flags, in alphabetical order when iterated.
pub type Flags = BTreeSet<Flag>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unique_and_round_trip() {
        for &flag in Flag::ALL {
            assert_eq!(Flag::from_text(flag.as_str()), Some(flag));
        }
    }
}
