//! Weights as people have them: checkpoint files of several kinds become one [`Checkpoint`].
//!
//! Files are recognised by content. `.safetensors`, both formats of `torch.save` and ncnn models
//! of the `SRVGGNetCompact` family are read; pickles by a machine that executes nothing.
//! Nothing here uses a tensor library: bytes come in, names with shapes and numbers come out.
//!
//! **Invariant:** what a file claims about sizes is compared with what the file has before
//! anything is allocated for it.

mod checkpoint;
mod names;
mod ncnn;
mod pickle;
mod safetensors;
mod state;
mod tensor;
mod torch;

pub use checkpoint::{Checkpoint, Container, Tensors};
pub use names::{Mismatch, compare, expect};
pub use pickle::describe_pickle;
pub use safetensors::{read_safetensors, safetensors_bytes, write_safetensors};
pub use tensor::{Dtype, Tensor};
