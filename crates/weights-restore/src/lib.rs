//! The weights of the networks that fonds ships: bytes of safetensors files with their names.
//!
//! Nothing here knows what the bytes mean. Each file says of itself what it is called, its licence,
//! what it was trained on and whether it makes content up; `fonds model inspect NAME` prints it, and
//! its card under `docs/models` says the rest.
//!
//! ```
//! let network = fonds_weights_restore::find("fonds-x2-faithful").expect("is shipped");
//! assert_eq!(network.scale, 2);
//! ```

/// All files together may take this many bytes, so that the binary stays small.
pub const MAX_BYTES: usize = 8_000_000;

/// The words for what a network is for, see [`Shipped::kind`].
pub const KINDS: [&str; 5] = ["clear", "faithful", "vivid", "detection", "fill"];

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// What pipelines call it: begins with `fonds-` and has no extension.
    pub name: &'static str,
    /// What it is for: `clear` takes noise and compression out, `faithful` and `vivid` enlarge,
    /// `detection` finds damage, `fill` paints under a mask.
    pub kind: &'static str,
    /// How many times larger, along each side, its picture is than what it is given.
    pub scale: u32,
    /// What it does, in a sentence without a full stop.
    pub summary: &'static str,
    /// The path of its card in the repository.
    pub card: &'static str,
    /// The safetensors file, its weights as 16-bit floats.
    pub bytes: &'static [u8],
}

macro_rules! shipped {
    ($($name:literal, $kind:literal, $scale:literal, $summary:literal;)*) => {
        /// All of them, by name; none in a build without the feature `embedded`.
        pub const SHIPPED: &[Shipped] = &[$(#[cfg(feature = "embedded")] Shipped {
            name: $name,
            kind: $kind,
            scale: $scale,
            summary: $summary,
            card: concat!("docs/models/", $name, ".md"),
            bytes: include_bytes!(concat!("../weights/", $name, ".safetensors")),
        },)*];
    };
}

shipped! {
    "fonds-clear", "clear", 1, "take noise and the traces of JPEG out, and leave the lens alone";
    "fonds-x2-faithful", "faithful", 2, "enlarge twice, close to what was there";
}

/// The network of this name.
pub fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name == name)
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn crate_folder() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn they_are_small_enough_together() {
        let bytes: usize = SHIPPED.iter().map(|shipped| shipped.bytes.len()).sum();
        assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    }

    #[test]
    fn every_file_is_listed_and_every_network_has_a_card() {
        let files = fs::read_dir(crate_folder().join("weights")).unwrap();
        let files: BTreeSet<String> = files
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> = SHIPPED
            .iter()
            .map(|shipped| format!("{}.safetensors", shipped.name))
            .collect();
        assert_eq!(files, listed);
        for shipped in SHIPPED {
            let card = crate_folder().join("../..").join(shipped.card);
            let text = fs::read_to_string(&card).unwrap_or_default();
            assert!(text.contains(shipped.name), "{} has no card", shipped.name);
        }
    }

    #[test]
    fn names_kinds_and_files_are_what_they_should_be() {
        assert!(SHIPPED.is_sorted_by_key(|shipped| shipped.name));
        for shipped in SHIPPED {
            let Shipped { name, kind, .. } = *shipped;
            assert!(name.starts_with("fonds-") && !name.contains(['.', '/', '\\']));
            assert!(KINDS.contains(&kind), "{name}: {kind}");
            assert!(matches!(shipped.scale, 1 | 2 | 4), "{name}");
            let enlarges = matches!(kind, "faithful" | "vivid");
            assert_eq!(enlarges, shipped.scale > 1, "{name}");
            assert_eq!(find(name), Some(shipped));
            // A safetensors file begins with the length of its header, which is JSON.
            let (length, rest) = shipped.bytes.split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let header = std::str::from_utf8(&rest[..length]).unwrap();
            for key in ["title", "licence", "training_data", "generative"] {
                assert!(header.contains(&format!("\"{key}\":\"")), "{name}: {key}");
            }
            assert!(header.contains(&format!("\"title\":\"{name}\"")), "{name}");
            assert!(
                header.contains("\"licence\":\"MIT OR Apache-2.0\""),
                "{name}"
            );
            assert!(
                !header.contains("\"dtype\":\"F32\""),
                "{name} is not in 16 bits"
            );
        }
        assert_eq!(find("fonds-x3"), None);
    }
}
