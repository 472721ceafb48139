//! Files that `torch.save` wrote: the zip archive of PyTorch 1.6 and later, and the older stream of pickles.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use zip::{CompressionMethod, ZipArchive};

use super::checkpoint::{Container, Parts};
use super::pickle::{self, NumberType, Pickle, Value};
use super::state;
use super::tensor::{Blob, Layout, Tensor};

/// The first pickle of a legacy file, whole: protocol 2, the magic number of `torch.save`, end.
const LEGACY_MAGIC: [u8; 15] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.',
];
/// The protocol of legacy files; there was only this one.
const LEGACY_PROTOCOL: i64 = 1001;

/// Whether these bytes begin as a legacy file.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(&LEGACY_MAGIC)
}

/// Reads a zip archive of `torch.save` or `torch.jit.save`.
pub(crate) fn read_zip(file: &Arc<Vec<u8>>, entry: Option<&str>) -> Result<Parts> {
    let mut archive = Archive::open(file)?;
    let pickle_blob = archive.entry("data.pkl")?;
    let is_big_endian = match archive.optional("byteorder")? {
        Some(range) => file[range] == *b"big",
        None => false,
    };
    let pickle = pickle::load(&file[pickle_blob.clone()])?;
    if pickle.consumed != pickle_blob.len() {
        return Err(Error::new(
            Code::Corrupt,
            format!(
                "`data.pkl` has {} bytes after its end",
                pickle_blob.len() - pickle.consumed
            ),
        ));
    }
    let found = state::find(&pickle, entry)?;
    let mut storages = HashMap::new();
    let mut tensors = Vec::with_capacity(found.tensors.len());
    for (name, id) in found.tensors {
        let number = storage_number(&pickle, id)?;
        let key = &*pickle.storages[number].key;
        if !storages.contains_key(key) {
            let mut blob = Blob::new(file, archive.entry(&format!("data/{key}"))?);
            if is_big_endian {
                blob = blob.big_endian();
            }
            storages.insert(key, blob);
        }
        let tensor = resolve(&pickle, id, &name, |key| storages.get(key).cloned())?;
        tensors.push((name, tensor));
    }
    Ok(Parts {
        tensors,
        container: Container::TorchZip,
        metadata: found.metadata,
        path_taken: found.path_taken,
    })
}

/// Reads the stream that `torch.save` wrote before PyTorch 1.6: magic number, protocol, facts of
/// the machine, the object, the names of the storages, and the storages.
pub(crate) fn read_legacy(file: &Arc<Vec<u8>>, entry: Option<&str>) -> Result<Parts> {
    let bytes = &file[..];
    let mut at = LEGACY_MAGIC.len();
    let protocol = pickle::load(&bytes[at..])?;
    at += protocol.consumed;
    if !matches!(protocol.value(protocol.root), Value::Int(LEGACY_PROTOCOL)) {
        return Err(Error::new(
            Code::UnsupportedVariant,
            format!(
                "the file has protocol {}, not {LEGACY_PROTOCOL}",
                protocol.describe(protocol.root)
            ),
        ));
    }
    // Byte order and sizes of integers there; the numbers are little-endian in any case.
    at += pickle::load(&bytes[at..])?.consumed;
    let object = pickle::load(&bytes[at..])?;
    at += object.consumed;
    let keys = pickle::load(&bytes[at..])?;
    at += keys.consumed;

    let mut sizes = HashMap::new();
    for storage in &object.storages {
        if let Ok(dtype) = storage.dtype {
            sizes.insert(&*storage.key, dtype.size());
        }
    }
    let Value::List(names) = keys.value(keys.root) else {
        return Err(Error::new(
            Code::Corrupt,
            "the file has no list of storages",
        ));
    };
    let mut storages: HashMap<String, Blob> = HashMap::new();
    for &name in names {
        let Some(name) = keys.text(name) else {
            return Err(Error::new(Code::Corrupt, "a storage has no name"));
        };
        let Some(&size) = sizes.get(&*name) else {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("the storage `{name}` has a number type that is not read"),
            ));
        };
        let truncated = |wanted: u64| {
            Error::new(
                Code::Truncated,
                format!(
                    "the storage `{name}` is truncated (expected {wanted} bytes, found {})",
                    bytes.len().saturating_sub(at + 8)
                ),
            )
        };
        let Some(count) = bytes.get(at..at + 8) else {
            return Err(truncated(8));
        };
        let count = u64::from_le_bytes(count.try_into().expect("eight bytes were taken"));
        let length = count.saturating_mul(size as u64);
        let start = at + 8;
        if length > (bytes.len() - start) as u64 {
            return Err(truncated(length));
        }
        at = start + length as usize;
        storages.insert(name.into_owned(), Blob::new(file, start..at));
    }

    let found = state::find(&object, entry)?;
    let mut tensors = Vec::with_capacity(found.tensors.len());
    for (name, id) in found.tensors {
        let tensor = resolve(&object, id, &name, |key| storages.get(key).cloned())?;
        tensors.push((name, tensor));
    }
    Ok(Parts {
        tensors,
        container: Container::TorchLegacy,
        metadata: found.metadata,
        path_taken: found.path_taken,
    })
}

fn storage_number(pickle: &Pickle<'_>, id: pickle::Id) -> Result<usize> {
    match pickle.value(id) {
        Value::Tensor(tensor) => Ok(tensor.storage as usize),
        _ => Err(Error::new(Code::Internal, "a name stands for no tensor")),
    }
}

/// The tensor of a pickle, with its storage out of the file.
fn resolve(
    pickle: &Pickle<'_>,
    id: pickle::Id,
    name: &str,
    storage: impl Fn(&str) -> Option<Blob>,
) -> Result<Tensor> {
    let Value::Tensor(tensor) = pickle.value(id) else {
        return Err(Error::new(Code::Internal, "a name stands for no tensor"));
    };
    let reference = &pickle.storages[tensor.storage as usize];
    let number_type: &NumberType<'_> = tensor.dtype.as_ref().unwrap_or(&reference.dtype);
    let dtype = match number_type {
        Ok(dtype) => *dtype,
        Err(other) => {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("the tensor `{name}` has numbers of type `{other}`"),
            )
            .hint("convert it to f32 or f16"));
        }
    };
    let blob = storage(&reference.key).ok_or_else(|| {
        Error::new(
            Code::Corrupt,
            format!(
                "the storage `{}` of the tensor `{name}` is not in the file",
                reference.key
            ),
        )
    })?;
    let mut layout: Layout = tensor.layout.clone();
    if let Some((offset, length)) = reference.part {
        let within = offset
            .checked_add(length)
            .is_some_and(|end| end <= blob.len() / dtype.size());
        layout.offset = match layout.offset.checked_add(offset) {
            Some(sum) if within => sum,
            _ => {
                return Err(Error::new(
                    Code::Corrupt,
                    format!("the tensor `{name}` uses a part beyond its storage"),
                ));
            }
        };
    }
    Tensor::view(dtype, layout, blob).map_err(|error| {
        Error::new(
            error.code(),
            format!("the tensor `{name}` is broken: {}", error.message()),
        )
    })
}

/// A zip archive whose entries are used where they lie.
struct Archive<'f> {
    file: &'f Arc<Vec<u8>>,
    zip: ZipArchive<Cursor<&'f [u8]>>,
    /// What stands before `data.pkl`: the folder of the archive, with its `/`.
    prefix: String,
}

impl<'f> Archive<'f> {
    fn open(file: &'f Arc<Vec<u8>>) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(&file[..])).map_err(|error| {
            Error::new(
                Code::Corrupt,
                "the archive has no usable directory; it may be cut off",
            )
            .caused_by(error)
        })?;
        let names: Vec<&str> = zip
            .file_names_raw()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect();
        let prefix = names
            .iter()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
            .min_by_key(|prefix| prefix.len())
            .map(str::to_owned);
        let Some(prefix) = prefix else {
            let what = names
                .iter()
                .take(5)
                .map(|name| format!("`{}`", name.chars().take(80).collect::<String>()))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::new(
                Code::UnsupportedFormat,
                format!("the archive is no PyTorch checkpoint: it holds {what}"),
            ));
        };
        Ok(Self { file, zip, prefix })
    }

    /// Where an entry's bytes are in the file, once its checksum is known to be right.
    fn entry(&mut self, name: &str) -> Result<std::ops::Range<usize>> {
        self.optional(name)?
            .ok_or_else(|| Error::new(Code::Corrupt, format!("`{name}` is not in the archive")))
    }

    fn optional(&mut self, name: &str) -> Result<Option<std::ops::Range<usize>>> {
        let Some(index) = self.zip.index_for_name(&format!("{}{name}", self.prefix)) else {
            return Ok(None);
        };
        let broken = |error: &dyn std::fmt::Display| {
            Error::new(
                Code::Corrupt,
                format!("`{name}` in the archive is broken: {error}"),
            )
        };
        let mut entry = self.zip.by_index(index).map_err(|e| broken(&e))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("`{name}` in the archive is compressed, which PyTorch never does"),
            )
            .hint("load it in Python and save it again"));
        }
        let range = entry
            .data_start()
            .and_then(|start| {
                let start = usize::try_from(start).ok()?;
                let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
                (end <= self.file.len() && entry.size() == entry.compressed_size())
                    .then_some(start..end)
            })
            .ok_or_else(|| {
                Error::new(
                    Code::Truncated,
                    format!("`{name}` in the archive is truncated"),
                )
            })?;
        // The reader compares the checksum at the end.
        let read = std::io::copy(&mut entry, &mut std::io::sink()).map_err(|_| {
            Error::new(
                Code::ChecksumMismatch,
                format!("`{name}` in the archive is not what its checksum says"),
            )
            .hint("download the file again")
        })?;
        if read != range.len() as u64 {
            return Err(broken(&"its length is wrong"));
        }
        Ok(Some(range))
    }
}
