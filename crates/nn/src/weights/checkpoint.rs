//! One type for weights, whatever file they came in, and how a file is recognised by its content.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Digest, Error, Hasher, Result};

use super::tensor::Tensor;
use super::{ncnn, safetensors, state, torch};

/// The kind of file that weights came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// `.safetensors`.
    Safetensors,
    /// A zip archive of `torch.save`, PyTorch 1.6 and later.
    TorchZip,
    /// A stream of pickles of `torch.save` before PyTorch 1.6.
    TorchLegacy,
    /// A pair of `.param` and `.bin` for ncnn.
    Ncnn,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch archive",
            Self::TorchLegacy => "PyTorch legacy pickle",
            Self::Ncnn => "ncnn model",
        })
    }
}

/// Tensors by name, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Tensors {
    list: Vec<(String, Tensor)>,
    places: HashMap<String, usize>,
}

impl Tensors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.places.get(name).map(|&place| &self.list[place].1)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Puts a tensor at the end, or in the place of the one that had its name, which is returned.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        let name = name.into();
        if let Some(&place) = self.places.get(&name) {
            return Some(std::mem::replace(&mut self.list[place].1, tensor));
        }
        self.places.insert(name.clone(), self.list.len());
        self.list.push((name, tensor));
        None
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> + Clone {
        self.list.iter().map(|(name, tensor)| (&**name, tensor))
    }

    /// Names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.list.iter().map(|(name, _)| &**name)
    }
}

impl<N: Into<String>> FromIterator<(N, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(pairs: I) -> Self {
        let mut tensors = Self::new();
        for (name, tensor) in pairs {
            tensors.insert(name, tensor);
        }
        tensors
    }
}

/// What a reader of one container finds.
pub(crate) struct Parts {
    pub(crate) tensors: Vec<(String, Tensor)>,
    pub(crate) container: Container,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) path_taken: Vec<String>,
}

/// Weights out of a file.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The tensors of the network; wrappers opened, common prefixes stripped.
    pub tensors: Tensors,
    /// The kind of file.
    pub container: Container,
    /// What the file says besides: `__metadata__` of a safetensors file (author, licence, title …),
    /// or numbers and texts that stood beside the dictionary of tensors (`epoch`, `hyper_parameters.scale` …).
    pub metadata: BTreeMap<String, String>,
    /// The digest of the file; of `.param` and `.bin` one after the other for ncnn.
    pub sha256: Digest,
    /// Which wrappers were opened, which prefixes stripped, for the user to know.
    pub path_taken: Vec<String>,
}

impl Checkpoint {
    /// Reads a file. What it is, is decided by its content; only the other half of an ncnn model
    /// is looked for by its name.
    ///
    /// # Errors
    /// [`Code::Unreadable`], and what [`from_bytes`](Self::from_bytes) says, with the path.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_entry(path, None)
    }

    /// Reads the network under one key of a file that holds several, such as `netG_A`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Code::InvalidRequest`] if there is no such key.
    pub fn read_entry(path: &Path, entry: Option<&str>) -> Result<Self> {
        let bytes = load(path)?;
        let has_extension = |wanted: &str| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(wanted))
        };
        let result = if ncnn::is_param(&bytes) {
            load(&path.with_extension("bin"))
                .map_err(|error| error.hint("an ncnn model is a `.param` and a `.bin` beside it"))
                .and_then(|bin| Self::from_ncnn(&bytes, bin))
        } else if has_extension("bin") && sniff(&bytes) == Kind::Unknown {
            match std::fs::read(path.with_extension("param")) {
                Ok(param) if ncnn::is_param(&param) => Self::from_ncnn(&param, bytes),
                _ => Self::from_vec(bytes, entry),
            }
        } else {
            Self::from_vec(bytes, entry)
        };
        result.map_err(|error| error.at_path(path))
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`Code::EmptyFile`], [`Code::Truncated`], [`Code::Corrupt`], [`Code::ChecksumMismatch`]:
    /// the file is broken. [`Code::UnsupportedFormat`], [`Code::UnsupportedVariant`]: it is
    /// something else, or a pickle that calls functions. [`Code::LimitsExceeded`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_vec(bytes.to_vec(), None)
    }

    /// Reads a file's bytes without copying them; `entry` as for [`read_entry`](Self::read_entry).
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_vec(bytes: Vec<u8>, entry: Option<&str>) -> Result<Self> {
        let kind = sniff(&bytes);
        let file = Arc::new(bytes);
        let parts = match kind {
            Kind::Safetensors => safetensors::read(&file)?,
            Kind::Zip => torch::read_zip(&file, entry)?,
            Kind::LegacyPickle => torch::read_legacy(&file, entry)?,
            other => return Err(other.refusal()),
        };
        Ok(Self::assemble(parts, Digest::of(&file)))
    }

    /// Reads an ncnn model out of the bytes of its two files.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); layers that are not of the `SRVGGNetCompact` family
    /// are [`Code::UnsupportedVariant`].
    pub fn from_ncnn(param: &[u8], bin: Vec<u8>) -> Result<Self> {
        let mut hasher = Hasher::new();
        hasher.update(param);
        hasher.update(&bin);
        let parts = ncnn::read(param, &Arc::new(bin))?;
        Ok(Self::assemble(parts, hasher.finish()))
    }

    fn assemble(parts: Parts, sha256: Digest) -> Self {
        let Parts {
            mut tensors,
            container,
            metadata,
            mut path_taken,
        } = parts;
        let mut names: Vec<&mut String> = tensors.iter_mut().map(|(name, _)| name).collect();
        state::strip_prefixes(&mut names, &mut path_taken);
        Self {
            tensors: tensors.into_iter().collect(),
            container,
            metadata,
            sha256,
            path_taken,
        }
    }

    /// The number of numbers in floating-point tensors: weights, biases, running statistics.
    pub fn parameter_count(&self) -> usize {
        self.tensors
            .iter()
            .filter(|(_, tensor)| tensor.dtype().is_float())
            .map(|(_, tensor)| tensor.len())
            .sum()
    }

    /// That every weight is a finite number.
    ///
    /// # Errors
    /// [`Code::ModelError`], with the names of the tensors that hold infinities or NaN.
    pub fn check_finite(&self) -> Result<()> {
        let bad: Vec<String> = self
            .tensors
            .iter()
            .filter_map(|(name, tensor)| {
                let at = tensor.first_non_finite()?;
                Some(format!("`{name}` (element {at})"))
            })
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        let shown = bad.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        Err(Error::new(
            Code::ModelError,
            format!(
                "{} of {} tensors hold weights that are infinite or not a number: {shown}{}",
                bad.len(),
                self.tensors.len(),
                if bad.len() > 8 { ", …" } else { "" }
            ),
        )
        .hint("take an earlier checkpoint of the same training, or download the file again"))
    }
}

fn load(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "the file cannot be read").at_path(path)
    })
}

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Safetensors,
    Zip,
    LegacyPickle,
    Pickle,
    Tar,
    NcnnParam,
    Web,
    LfsPointer,
    Named(&'static str),
    Unknown,
}

fn sniff(bytes: &[u8]) -> Kind {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"\x89HDF", "an HDF5 file (Keras)"),
        (b"GGUF", "a GGUF file"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"7z\xbc\xaf", "a 7-Zip archive"),
        (b"Rar!", "a RAR archive"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"TFL3", "a TensorFlow Lite model"),
        (b"\x08", "an ONNX or TensorFlow model"),
    ];
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Kind::Zip;
    }
    if torch::is_legacy(bytes) {
        return Kind::LegacyPickle;
    }
    if safetensors::is_safetensors(bytes) {
        return Kind::Safetensors;
    }
    if ncnn::is_param(bytes) {
        return Kind::NcnnParam;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Kind::Tar;
    }
    if bytes[0] == 0x80
        && bytes
            .get(1)
            .is_some_and(|protocol| (2..=5).contains(protocol))
    {
        return Kind::Pickle;
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Kind::LfsPointer;
    }
    let start = bytes.trim_ascii_start();
    if start.len() >= 5 && (start.starts_with(b"<!") || start[..5].eq_ignore_ascii_case(b"<html")) {
        return Kind::Web;
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Kind::Named("a TensorFlow Lite model");
    }
    MAGIC
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map_or(Kind::Unknown, |(_, name)| Kind::Named(name))
}

impl Kind {
    /// Why this is not read.
    fn refusal(self) -> Error {
        let unsupported = |what: &str| Error::new(Code::UnsupportedFormat, what.to_owned());
        match self {
            Self::Empty => Error::new(Code::EmptyFile, "the file is empty"),
            Self::Pickle => unsupported("the file is a pickle that `torch.save` did not write")
                .hint("load it in Python and save its tensors as `.safetensors`"),
            Self::Tar => unsupported("the file is a tar archive of PyTorch before 0.1.10")
                .hint("load it with PyTorch and save it again"),
            Self::NcnnParam => unsupported("the file is the first half of an ncnn model")
                .hint("put the `.bin` beside it and name the file, not its content"),
            Self::Web => unsupported("the file is a web page")
                .hint("download the file itself, not the page that shows it"),
            Self::LfsPointer => unsupported("the file is a pointer of Git LFS, not the weights")
                .hint("run `git lfs pull` where it came from"),
            Self::Named(what) => unsupported(&format!("the file is {what}"))
                .hint("weights are read from `.safetensors`, `.pth`/`.pt` and ncnn files"),
            _ => unsupported("the file is no checkpoint that fonds knows")
                .hint("weights are read from `.safetensors`, `.pth`/`.pt` and ncnn files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        let check = |bytes: &[u8], code: Code, part: &str| {
            let error = Checkpoint::from_bytes(bytes).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains(part), "{error}");
        };
        check(b"", Code::EmptyFile, "empty");
        check(
            b"version https://git-lfs.github.com/spec/v1\n",
            Code::UnsupportedFormat,
            "Git LFS",
        );
        check(
            b"\n<!DOCTYPE html><html>",
            Code::UnsupportedFormat,
            "web page",
        );
        check(b"<html><body>", Code::UnsupportedFormat, "web page");
        check(
            b"\x80\x02}q\x00.",
            Code::UnsupportedFormat,
            "`torch.save` did not write",
        );
        check(b"\x89HDF\r\n\x1a\n", Code::UnsupportedFormat, "HDF5");
        check(b"\x08\x07\x12\x07pytorch", Code::UnsupportedFormat, "ONNX");
        check(b"7767517\n1 1\n", Code::UnsupportedFormat, "ncnn");
        check(
            b"\xff\xd8\xff\xe0 a photograph",
            Code::UnsupportedFormat,
            "no checkpoint",
        );
        check(b"PK\x03\x04", Code::Corrupt, "directory");
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, Code::UnsupportedFormat, "tar archive");
    }

    #[test]
    fn tensors_keep_their_order() {
        let tensor = |value| Tensor::from_f32(&[1], &[value]).unwrap();
        let mut tensors: Tensors = [("b", tensor(1.0)), ("a", tensor(2.0))]
            .into_iter()
            .collect();
        assert!(tensors.insert("c", tensor(3.0)).is_none());
        assert_eq!(tensors.insert("b", tensor(4.0)).unwrap().to_f32(), [1.0]);
        assert_eq!(tensors.names().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(tensors.get("b").unwrap().to_f32(), [4.0]);
        assert!(tensors.contains("a") && !tensors.contains("d") && tensors.get("d").is_none());
    }
}
