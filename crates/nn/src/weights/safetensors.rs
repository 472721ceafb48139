//! `.safetensors`: a header in JSON, then the numbers. Reading is strict; writing gives equal bytes for equal tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use fonds_core::{Code, Error, Result};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype as FileDtype, SafeTensors};

use super::checkpoint::{Container, Parts, Tensors};
use super::tensor::{Blob, Dtype, Layout, Tensor};

/// Bytes of a header beyond which the file is refused, as by the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// Whether these bytes begin as a safetensors file: the length of the header, and its bracket.
pub(crate) fn is_safetensors(bytes: &[u8]) -> bool {
    header_length(bytes).is_some_and(|length| length <= MAX_HEADER) && bytes.get(8) == Some(&b'{')
}

fn header_length(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

pub(crate) fn read(file: &Arc<Vec<u8>>) -> Result<Parts> {
    let length = header_length(file).unwrap_or(0);
    if length > file.len() as u64 - 8 {
        return Err(Error::new(
            Code::Truncated,
            format!(
                "the header is truncated (expected {length} bytes, found {})",
                file.len() - 8
            ),
        ));
    }
    let (header, info) = SafeTensors::read_metadata(file).map_err(reworded)?;
    let start = 8 + header;
    let expected = info.data_len();
    let found = file.len() - start;
    if found < expected {
        return Err(Error::new(
            Code::Truncated,
            format!("the tensors are truncated (expected {expected} bytes, found {found})"),
        ));
    }
    if found > expected {
        return Err(Error::new(
            Code::Corrupt,
            format!("{} bytes follow the last tensor", found - expected),
        ));
    }
    let mut tensors = Vec::new();
    for name in info.offset_keys() {
        let Some(tensor) = info.info(&name) else {
            continue;
        };
        let Some(dtype) = dtype(tensor.dtype) else {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("the tensor `{name}` has numbers of type `{}`", tensor.dtype),
            )
            .hint("convert it to f32 or f16"));
        };
        let (from, to) = tensor.data_offsets;
        let blob = Blob::new(file, start + from..start + to);
        let view = Tensor::view(dtype, Layout::contiguous(tensor.shape.clone()), blob).map_err(
            |error| {
                Error::new(
                    error.code(),
                    format!("the tensor `{name}` is broken: {}", error.message()),
                )
            },
        )?;
        tensors.push((name, view));
    }
    if tensors.is_empty() {
        return Err(Error::new(
            Code::UnsupportedFormat,
            "the checkpoint holds no tensors",
        ));
    }
    let metadata = info.metadata().clone().unwrap_or_default();
    Ok(Parts {
        tensors,
        container: Container::Safetensors,
        metadata: metadata.into_iter().collect(),
        path_taken: Vec::new(),
    })
}

fn dtype(dtype: FileDtype) -> Option<Dtype> {
    Some(match dtype {
        FileDtype::F32 => Dtype::F32,
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::BF16,
        FileDtype::F64 => Dtype::F64,
        FileDtype::I64 => Dtype::I64,
        FileDtype::I32 => Dtype::I32,
        FileDtype::I16 => Dtype::I16,
        FileDtype::I8 => Dtype::I8,
        FileDtype::U8 => Dtype::U8,
        FileDtype::BOOL => Dtype::Bool,
        _ => return None,
    })
}

/// The library's errors in the words of this one.
fn reworded(error: SafeTensorError) -> Error {
    let message = match &error {
        SafeTensorError::InvalidOffset(name) => {
            format!("the tensor `{name}` overlaps another one or leaves a gap")
        }
        SafeTensorError::TensorInvalidInfo => {
            "a tensor has another number of bytes than its shape".to_owned()
        }
        SafeTensorError::ValidationOverflow => "a tensor has an impossible shape".to_owned(),
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::HeaderTooLarge
        | SafeTensorError::InvalidHeaderLength => "the header has an impossible length".to_owned(),
        _ => "the header is broken".to_owned(),
    };
    Error::new(Code::Corrupt, message).caused_by(error)
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

/// A JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
