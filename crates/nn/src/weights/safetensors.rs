//! `.safetensors`: a header in JSON, then the numbers. Reading is strict; writing gives equal bytes for equal tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use serde_json::Value;

use super::checkpoint::{Container, Parts, Tensors};
use super::tensor::{Blob, Dtype, Layout, Tensor};

/// Bytes of a header beyond which the file is refused; a thousand tensors need a hundred thousand.
const MAX_HEADER: u64 = 16 << 20;
/// Bytes of a tensor's name.
const MAX_NAME: usize = 1024;
/// Dimensions beyond which nothing is a network's.
const MAX_DIMENSIONS: usize = 16;

/// Whether these bytes begin as a safetensors file: the length of the header, and its bracket.
pub(crate) fn is_safetensors(bytes: &[u8]) -> bool {
    header_length(bytes).is_some_and(|length| length <= MAX_HEADER) && bytes.get(8) == Some(&b'{')
}

fn header_length(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

pub(crate) fn read(file: &Arc<Vec<u8>>) -> Result<Parts> {
    let after = file.get(8..).unwrap_or_default();
    let length = header_length(file).unwrap_or(0);
    if length > after.len() as u64 {
        return Err(Error::new(
            Code::Truncated,
            format!(
                "the header is truncated (expected {length} bytes, found {})",
                after.len()
            ),
        ));
    }
    let (header, data) = after.split_at(length as usize);
    let header: Value = serde_json::from_slice(header)
        .map_err(|error| Error::new(Code::Corrupt, "the header is no JSON").caused_by(error))?;
    let Value::Object(header) = header else {
        return Err(Error::new(Code::Corrupt, "the header is no JSON object"));
    };
    let mut metadata = BTreeMap::new();
    let mut entries = Vec::new();
    for (name, value) in &header {
        if name == "__metadata__" {
            metadata = texts(value)?;
        } else {
            entries.push(Entry::parse(name, value)?);
        }
    }
    // An empty tensor begins and ends where the next one begins.
    entries.sort_by_key(|entry| (entry.start, entry.end));
    let mut at = 0;
    for entry in &entries {
        if entry.start != at {
            return Err(entry.broken(if entry.start < at {
                "overlaps the one before it"
            } else {
                "leaves a gap before it"
            }));
        }
        at = entry.end;
    }
    let found = data.len() as u64;
    if found < at {
        return Err(Error::new(
            Code::Truncated,
            format!("the tensors are truncated (expected {at} bytes, found {found})"),
        ));
    }
    if found > at {
        return Err(Error::new(
            Code::Corrupt,
            format!("{} bytes follow the last tensor", found - at),
        ));
    }
    if entries.is_empty() {
        return Err(Error::new(
            Code::UnsupportedFormat,
            "the checkpoint holds no tensors",
        ));
    }
    let first = file.len() - data.len();
    let tensors = entries
        .into_iter()
        .map(|entry| {
            let range = first + entry.start as usize..first + entry.end as usize;
            let blob = Blob::new(file, range);
            let tensor = Tensor::view(entry.dtype, Layout::contiguous(entry.shape), blob);
            match tensor {
                Ok(tensor) => Ok((entry.name.to_owned(), tensor)),
                Err(error) => Err(Error::new(
                    error.code(),
                    format!("the tensor `{}` is broken: {}", entry.name, error.message()),
                )),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Parts {
        tensors,
        container: Container::Safetensors,
        metadata,
        path_taken: Vec::new(),
    })
}

/// What the header says of a tensor.
struct Entry<'h> {
    name: &'h str,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Bytes from the start of the data.
    start: u64,
    end: u64,
}

impl<'h> Entry<'h> {
    fn parse(name: &'h str, value: &Value) -> Result<Self> {
        if name.len() > MAX_NAME {
            return Err(Error::new(
                Code::LimitsExceeded,
                format!("a tensor's name has more than {MAX_NAME} bytes"),
            ));
        }
        let bad = |what: &str| Error::new(Code::Corrupt, format!("the tensor `{name}` {what}"));
        let naturals = |key: &str| -> Option<Vec<u64>> {
            value
                .get(key)?
                .as_array()?
                .iter()
                .map(Value::as_u64)
                .collect()
        };
        let kind = value.get("dtype").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| bad("has no number type"))?;
        let Some(dtype) = dtype(kind) else {
            let kind: String = kind.chars().take(40).collect();
            return Err(Error::new(
                Code::UnsupportedVariant,
                bad(&format!("has numbers of type `{kind}`")).message(),
            )
            .hint("convert it to f32 or f16"));
        };
        let shape = naturals("shape")
            .filter(|shape| shape.len() <= MAX_DIMENSIONS)
            .ok_or_else(|| bad("has no shape"))?;
        let shape: Vec<usize> = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| bad("has an impossible shape"))?;
        let Some(&[start, end]) = naturals("data_offsets").as_deref() else {
            return Err(bad("has no place in the data"));
        };
        let bytes = if shape.contains(&0) {
            Some(0)
        } else {
            shape
                .iter()
                .try_fold(dtype.size() as u64, |product, &side| {
                    product.checked_mul(side as u64)
                })
        };
        if end.checked_sub(start) != bytes || bytes.is_none() {
            return Err(bad(&format!(
                "has the shape {shape:?} and bytes from {start} to {end}"
            )));
        }
        Ok(Self {
            name,
            dtype,
            shape,
            start,
            end,
        })
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(Code::Corrupt, format!("the tensor `{}` {what}", self.name))
    }
}

/// An object of texts; anything else in `__metadata__` breaks the format.
fn texts(value: &Value) -> Result<BTreeMap<String, String>> {
    value
        .as_object()
        .and_then(|map| {
            map.iter()
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        })
        .ok_or_else(|| Error::new(Code::Corrupt, "`__metadata__` holds other than texts"))
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::BF16,
        "F64" => Dtype::F64,
        "I64" => Dtype::I64,
        "I32" => Dtype::I32,
        "I16" => Dtype::I16,
        "I8" => Dtype::I8,
        "U8" => Dtype::U8,
        "BOOL" => Dtype::Bool,
        _ => return None,
    })
}

/// The bytes of a safetensors file. Equal tensors in equal order give equal bytes; the data is
/// ordered by the size of the number type, largest first, so that everything is aligned.
///
/// # Errors
/// [`Code::InvalidRequest`] if a tensor is called `__metadata__`.
pub fn safetensors_bytes(
    tensors: &Tensors,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    if tensors.contains("__metadata__") {
        return Err(Error::new(
            Code::InvalidRequest,
            "a tensor cannot be called `__metadata__`",
        ));
    }
    let mut order: Vec<(&str, &Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().size()));

    let mut header = String::from("{");
    if !metadata.is_empty() {
        header.push_str("\"__metadata__\":{");
        for (i, (key, value)) in metadata.iter().enumerate() {
            header.push_str(if i == 0 { "" } else { "," });
            header.push_str(&format!("{}:{}", quoted(key), quoted(value)));
        }
        header.push('}');
    }
    let mut end = 0;
    for (name, tensor) in &order {
        let start = end;
        end += tensor.len() * tensor.dtype().size();
        header.push_str(if header.len() == 1 { "" } else { "," });
        header.push_str(&format!(
            "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{start},{end}]}}",
            quoted(name),
            tensor.dtype().to_string().to_uppercase(),
            format!("{:?}", tensor.shape()).replace(' ', ""),
        ));
    }
    header.push('}');
    while header.len() % 8 != 0 {
        header.push(' ');
    }

    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    for (_, tensor) in order {
        bytes.extend_from_slice(&tensor.to_bytes());
    }
    Ok(bytes)
}

/// The tensors of a safetensors file under the very names that they have, and the texts beside them:
/// what [`safetensors_bytes`] wrote.
///
/// # Errors
/// `truncated` or `corrupt` when the bytes are no such file.
pub fn read_safetensors(bytes: Vec<u8>) -> Result<(Tensors, BTreeMap<String, String>)> {
    if !is_safetensors(&bytes) {
        return Err(Error::new(Code::Corrupt, "this is no safetensors file"));
    }
    let parts = read(&Arc::new(bytes))?;
    let mut tensors = Tensors::new();
    for (name, tensor) in parts.tensors {
        tensors.insert(name, tensor);
    }
    Ok((tensors, parts.metadata))
}

/// Writes a safetensors file, as [`safetensors_bytes`] makes it: under a temporary name, synced,
/// then renamed. A file that is there is replaced.
///
/// # Errors
/// [`Code::WriteFailed`], [`Code::DiskFull`].
pub fn write_safetensors(
    path: &Path,
    tensors: &Tensors,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let bytes = safetensors_bytes(tensors, metadata)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // What is left of the attempt is of no use to anybody; the first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        Error::from_io(error, Code::WriteFailed, "the weights cannot be written").at_path(path)
    })
}

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Checkpoint;
    use ::safetensors::SafeTensors;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn entry(name: &str, kind: &str, shape: &str, from: usize, to: usize) -> String {
        format!(
            "\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}"
        )
    }

    #[test]
    fn tensors_come_in_the_order_of_the_data() {
        let header = format!(
            "{{{},{}}}",
            entry("z", "F32", "[1]", 4, 8),
            entry("y", "F16", "[2]", 0, 4)
        );
        let data = [0, 0x3c, 0, 0xc0, 0, 0, 0x80, 0x3f];
        let checkpoint = Checkpoint::from_bytes(&file(&header, &data)).unwrap();
        assert_eq!(checkpoint.tensors.names().collect::<Vec<_>>(), ["y", "z"]);
        assert_eq!(checkpoint.tensors.get("y").unwrap().to_f32(), [1.0, -2.0]);
        assert_eq!(checkpoint.tensors.get("z").unwrap().to_f32(), [1.0]);
    }

    #[test]
    fn lies_in_the_header_are_refused() {
        let one = |e: String| format!("{{{e}}}");
        let two = |a: String, b: String| format!("{{{a},{b}}}");
        let max = usize::MAX;
        for (header, data, code) in [
            (one(entry("a", "F32", "[2]", 0, 4)), 4, Code::Corrupt),
            (one(entry("a", "F32", "[1]", 0, 4)), 3, Code::Truncated),
            (one(entry("a", "F32", "[1]", 0, 4)), 5, Code::Corrupt),
            (one(entry("a", "F32", "[1]", 4, 8)), 8, Code::Corrupt),
            (one(entry("a", "F32", "[1]", 4, 0)), 8, Code::Corrupt),
            (one(entry("a", "F32", "[-1]", 0, 4)), 4, Code::Corrupt),
            (
                one(entry("a", "F32", &format!("[{max},{max}]"), 0, 4)),
                4,
                Code::Corrupt,
            ),
            (
                one(entry("a", "F32", &format!("[{max}]"), 0, max)),
                4,
                Code::Corrupt,
            ),
            (
                one(entry("a", "F8_E4M3", "[4]", 0, 4)),
                4,
                Code::UnsupportedVariant,
            ),
            (
                one(entry("a", "WORD", "[1]", 0, 4)),
                4,
                Code::UnsupportedVariant,
            ),
            (
                two(entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[4]", 2, 6)),
                6,
                Code::Corrupt,
            ),
            (
                two(
                    entry("a", "U8", "[4]", 0, 4),
                    entry("b", "U8", "[4]", 6, 10),
                ),
                10,
                Code::Corrupt,
            ),
            (
                one(entry("a", "U8", &format!("{:?}", [1; 17]), 0, 1)),
                1,
                Code::Corrupt,
            ),
            (
                one(entry(&"a".repeat(2000), "U8", "[1]", 0, 1)),
                1,
                Code::LimitsExceeded,
            ),
            ("{}".to_owned(), 0, Code::UnsupportedFormat),
            ("{".to_owned(), 0, Code::Corrupt),
            ("{\"a\":1}".to_owned(), 0, Code::Corrupt),
            ("{\"a\":".repeat(5000), 0, Code::Corrupt),
        ] {
            let error = Checkpoint::from_bytes(&file(&header, &vec![0; data])).unwrap_err();
            let shown: String = header.chars().take(120).collect();
            assert_eq!(error.code(), code, "{shown}: {error:?}");
        }
        let mut endless = file("{}", &[]);
        endless[0] = 200;
        let error = Checkpoint::from_bytes(&endless).unwrap_err();
        assert_eq!(error.code(), Code::Truncated);
        endless[7] = 1;
        let error = Checkpoint::from_bytes(&endless).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedFormat);
    }

    #[test]
    fn one_tensor_gives_these_bytes() {
        let tensors: Tensors = [("a", Tensor::from_f32(&[1, 2], &[1.0, -2.0]).unwrap())]
            .into_iter()
            .collect();
        let metadata = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let header = "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
        let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let expected = file(&padded, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(safetensors_bytes(&tensors, &metadata).unwrap(), expected);
    }

    #[test]
    fn the_reserved_name_is_refused() {
        let tensors: Tensors = [("__metadata__", Tensor::from_f32(&[1], &[0.0]).unwrap())]
            .into_iter()
            .collect();
        let error = safetensors_bytes(&tensors, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }

    proptest! {
        /// What is written is read back, by this reader and by the format's own library.
        #[test]
        fn round_trip(
            names in proptest::collection::btree_map(".{1,12}", (0_usize..4, 0_usize..4, 0_usize..3), 1..6),
            metadata in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..3),
        ) {
            prop_assume!(!names.contains_key("__metadata__"));
            let kinds = [Dtype::F32, Dtype::F16, Dtype::BF16];
            let tensors: Tensors = names
                .iter()
                .map(|(name, &(h, w, kind))| {
                    let values: Vec<f32> = (0..h * w).map(|i| i as f32 - 3.0).collect();
                    let tensor = Tensor::from_f32(&[h, w], &values).unwrap();
                    // A prefix would be stripped from all names.
                    (format!("x{name}"), tensor.cast(kinds[kind]).unwrap())
                })
                .collect();
            let bytes = safetensors_bytes(&tensors, &metadata).unwrap();
            let read = Checkpoint::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&read.metadata, &metadata);
            prop_assert_eq!(read.tensors.len(), tensors.len());
            let library = SafeTensors::deserialize(&bytes).unwrap();
            for (name, tensor) in tensors.iter() {
                let again = read.tensors.get(name).unwrap();
                prop_assert_eq!(again.shape(), tensor.shape());
                prop_assert_eq!(again.dtype(), tensor.dtype());
                prop_assert_eq!(again.to_f32(), tensor.to_f32());
                let view = library.tensor(name).unwrap();
                prop_assert_eq!(view.data(), &*tensor.to_bytes());
            }
        }

        #[test]
        fn damaged_files_never_panic(at in 0_usize..200, value: u8) {
            let tensors: Tensors = [("a", Tensor::from_f32(&[2, 2], &[1.0; 4]).unwrap())]
                .into_iter()
                .collect();
            let mut bytes = safetensors_bytes(&tensors, &BTreeMap::new()).unwrap();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Checkpoint::from_bytes(&bytes);
        }
    }
}
