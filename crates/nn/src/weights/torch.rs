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
        // Looked at raw first: what is not stored as it is shall be named, not unpacked.
        let raw = self.zip.by_index_raw(index).map_err(|e| broken(&e))?;
        if raw.compression() != CompressionMethod::Stored || raw.encrypted() {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("`{name}` in the archive is compressed, which PyTorch never does"),
            )
            .hint("load it in Python and save it again"));
        }
        drop(raw);
        let mut entry = self.zip.by_index(index).map_err(|e| broken(&e))?;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;
    use crate::weights::Checkpoint;

    /// A pickle of `{'w': _rebuild_tensor_v2(storage, offset, shape, strides, False, {})}`.
    fn tensor_pickle(
        key: &str,
        kind: &str,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Vec<u8> {
        let mut bytes = b"\x80\x02}".to_vec();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.push(b'X');
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        let int = |bytes: &mut Vec<u8>, n: i64| {
            bytes.extend(b"\x8a\x08");
            bytes.extend(n.to_le_bytes());
        };
        text(&mut bytes, "w");
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut bytes, "storage");
        bytes.extend(format!("ctorch\n{kind}\n").as_bytes());
        text(&mut bytes, key);
        text(&mut bytes, "cpu");
        int(&mut bytes, 1 << 40);
        bytes.extend(b"tQ");
        int(&mut bytes, offset);
        for sizes in [shape, strides] {
            bytes.push(b'(');
            for &n in sizes {
                int(&mut bytes, n);
            }
            bytes.push(b't');
        }
        bytes.extend(b"\x89}tRs.");
        bytes
    }

    fn stored() -> SimpleFileOptions {
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
    }

    fn archive(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// A legacy file around an object with storages.
    fn legacy(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
        let mut bytes = LEGACY_MAGIC.to_vec();
        bytes.extend(b"\x80\x02M\xe9\x03.");
        bytes.extend(b"\x80\x02}.");
        bytes.extend(object);
        bytes.extend(b"\x80\x02](");
        for (key, _, _) in storages {
            bytes.push(b'U');
            bytes.push(key.len() as u8);
            bytes.extend(key.as_bytes());
        }
        bytes.extend(b"e.");
        for (_, count, data) in storages {
            bytes.extend(count.to_le_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn both_containers_are_read() {
        let pickle = tensor_pickle("0", "FloatStorage", 1, &[2, 2], &[1, 2]);
        let data = floats(&[9., 1., 2., 3., 4.]);
        let zip = archive(
            &[("any/data.pkl", &pickle), ("any/data/0", &data)],
            stored(),
        );
        let old = legacy(&pickle, &[("0", 5, &data)]);
        for (bytes, container) in [(zip, Container::TorchZip), (old, Container::TorchLegacy)] {
            let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
            assert_eq!(checkpoint.container, container);
            let tensor = checkpoint.tensors.get("w").unwrap();
            assert_eq!(tensor.to_f32(), [1., 3., 2., 4.]);
        }
    }

    #[test]
    fn big_endian_archives_are_read() {
        let pickle = tensor_pickle("0", "FloatStorage", 0, &[2], &[1]);
        let data: Vec<u8> = [1.5_f32, -8.0]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        let entries: [(&str, &[u8]); 3] = [
            ("a/data.pkl", &pickle),
            ("a/byteorder", b"big"),
            ("a/data/0", &data),
        ];
        let checkpoint = Checkpoint::from_bytes(&archive(&entries, stored())).unwrap();
        assert_eq!(checkpoint.tensors.get("w").unwrap().to_f32(), [1.5, -8.0]);
    }

    #[test]
    fn tensors_beyond_their_storage_are_refused() {
        let data = floats(&[0.; 6]);
        let max = i64::MAX;
        for (offset, shape, strides) in [
            (0, &[7][..], &[1][..]),
            (1, &[6], &[1]),
            (max, &[1], &[1]),
            (0, &[2], &[max]),
            (0, &[max, max], &[max, max]),
            (0, &[1 << 40], &[0]),
            (0, &[2, 3], &[3]),
            (-1, &[1], &[1]),
            (0, &[-1], &[1]),
            (0, &[2], &[-1]),
        ] {
            let pickle = tensor_pickle("0", "FloatStorage", offset, shape, strides);
            let zip = archive(&[("a/data.pkl", &pickle), ("a/data/0", &data)], stored());
            let old = legacy(&pickle, &[("0", 6, &data)]);
            for bytes in [zip, old] {
                let error = Checkpoint::from_bytes(&bytes).unwrap_err();
                assert_eq!(
                    error.code(),
                    Code::Corrupt,
                    "{shape:?} {strides:?}: {error}"
                );
            }
        }
    }

    #[test]
    fn sizes_of_legacy_storages_are_compared_with_the_file() {
        let pickle = tensor_pickle("0", "DoubleStorage", 0, &[1], &[1]);
        for count in [2, u64::MAX, u64::MAX / 8 + 1, 1 << 61] {
            let bytes = legacy(&pickle, &[("0", count, &[0; 8])]);
            let error = Checkpoint::from_bytes(&bytes).unwrap_err();
            assert_eq!(error.code(), Code::Truncated, "{count}");
        }
        let bytes = legacy(&pickle, &[]);
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.message().contains("storage `0`"), "{error}");
    }

    #[test]
    fn parts_of_old_storages_are_found() {
        // (storage, class, key, location, size, (part's key, offset, length)), before PyTorch 0.4.
        let mut pickle = tensor_pickle("0", "FloatStorage", 1, &[2], &[1]);
        let at = pickle.windows(2).position(|w| w == b"tQ").unwrap();
        let part = b"(U\x01vK\x02K\x03t";
        pickle.splice(at..at, *part);
        let data = floats(&[0., 1., 2., 3., 4.]);
        let checkpoint = Checkpoint::from_bytes(&legacy(&pickle, &[("0", 5, &data)])).unwrap();
        assert_eq!(checkpoint.tensors.get("w").unwrap().to_f32(), [3., 4.]);
        let shorter = legacy(&pickle, &[("0", 4, &data[..16])]);
        let error = Checkpoint::from_bytes(&shorter).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
    }

    #[test]
    fn compressed_archives_are_refused_unread() {
        // An archive whose headers say that its entries are deflated (method 8, APPNOTE 4.4.5).
        let pickle = tensor_pickle("0", "FloatStorage", 0, &[1], &[1]);
        let mut bytes = archive(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])], stored());
        for (signature, method) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
            let headers: Vec<usize> = (0..bytes.len() - 4)
                .filter(|&at| bytes[at..].starts_with(signature))
                .collect();
            assert_eq!(headers.len(), 2);
            for at in headers {
                bytes[at + method] = 8;
            }
        }
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedVariant);
        assert!(error.message().contains("compressed"), "{error}");
    }

    #[test]
    fn other_archives_are_named() {
        let bytes = archive(&[("word/document.xml", b"<a/>")], stored());
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.message().contains("`word/document.xml`"), "{error}");
        let pickle = tensor_pickle("0", "FloatStorage", 0, &[1], &[1]);
        let bytes = archive(&[("a/data.pkl", &pickle)], stored());
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.message().contains("`data/0`"), "{error}");
        let bytes = archive(
            &[("a/data.pkl", &[&pickle[..], b"junk"].concat())],
            stored(),
        );
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.message().contains("4 bytes after"), "{error}");
    }

    #[test]
    fn a_call_in_a_file_is_refused() {
        let pickle = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.";
        for bytes in [
            archive(&[("a/data.pkl", pickle)], stored()),
            legacy(pickle, &[]),
        ] {
            let error = Checkpoint::from_bytes(&bytes).unwrap_err();
            assert!(error.message().contains("`os.system`"), "{error}");
        }
    }

    #[test]
    fn unknown_protocols_are_named() {
        let mut bytes = legacy(b"\x80\x02}.", &[]);
        bytes[18] = 0xea;
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.message().contains("1002"), "{error}");
    }
}
