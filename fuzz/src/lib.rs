//! What is fuzzed, and with what it must agree.
//!
//! The weights reader is compiled from its source rather than through `fonds-nn`, so that building
//! a target takes seconds and needs no tensor library.

#[path = "../../crates/nn/src/weights/mod.rs"]
pub mod weights;

use weights::{Checkpoint, describe_pickle, safetensors_bytes};

/// Numbers in all tensors of one input; more than a file of its size can hold is a fault.
const MAX_REPEATED: usize = 1 << 16;

/// Any bytes, through recognition and all readers.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
        touch(&checkpoint, bytes.len());
    }
    // An ncnn model is two files: the text up to a NUL, then the weights.
    if let Some(end) = bytes.iter().position(|&b| b == 0)
        && let Ok(checkpoint) = Checkpoint::from_ncnn(&bytes[..end], bytes[end + 1..].to_vec())
    {
        touch(&checkpoint, bytes.len());
    }
}

/// Any bytes as a pickle: as such, and as the object of a legacy file.
pub fn unpickle(bytes: &[u8]) {
    const HEAD: &[u8] =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    const TAIL: &[u8] =
        b"\x80\x02]U\x010a.\x04\x00\x00\x00\x00\x00\x00\x00\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40";
    // What is wrong with a pickle is the reader's answer, not a fault.
    let _ = describe_pickle(bytes);
    let file = [HEAD, bytes, TAIL].concat();
    if let Ok(checkpoint) = Checkpoint::from_vec(file, None) {
        touch(&checkpoint, bytes.len() + TAIL.len());
    }
}

/// Any bytes as a safetensors file. What this reader accepts, the format's own library accepts,
/// and the tensors are the same.
pub fn safetensors(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes) else {
        return;
    };
    touch(&checkpoint, bytes.len());
    let library = ::safetensors::SafeTensors::deserialize(bytes);
    // A header that names a tensor twice is read here as by JavaScript: the last one counts.
    if let Ok(library) = library
        && checkpoint.path_taken.is_empty()
    {
        for (name, tensor) in checkpoint.tensors.iter() {
            let other = library.tensor(name).expect("both have the tensor");
            assert_eq!(other.shape(), tensor.shape());
            assert_eq!(other.data(), &*tensor.to_bytes());
        }
    }
}

/// Uses everything of a checkpoint, and writes and reads it again.
fn touch(checkpoint: &Checkpoint, length: usize) {
    let mut total = 0;
    for (_, tensor) in checkpoint.tensors.iter() {
        assert!(
            tensor.len() <= length + MAX_REPEATED,
            "{tensor:?} out of {length} bytes"
        );
        total += tensor.len();
        if total > 1 << 22 {
            return;
        }
        assert_eq!(tensor.to_f32().len(), tensor.len());
    }
    // Whether weights are finite is an answer, not a fault.
    let _ = checkpoint.check_finite();
    if let Ok(bytes) = safetensors_bytes(&checkpoint.tensors, &checkpoint.metadata) {
        let again = Checkpoint::from_bytes(&bytes).expect("what is written is read");
        assert_eq!(again.tensors.len(), checkpoint.tensors.len());
        assert_eq!(again.parameter_count(), checkpoint.parameter_count());
        for (name, tensor) in checkpoint.tensors.iter() {
            let other = again.tensors.get(name).expect("the name is written");
            assert_eq!(other.shape(), tensor.shape());
            assert_eq!(other.dtype(), tensor.dtype());
            assert_eq!(other.to_bytes(), tensor.to_bytes());
        }
    }
}
