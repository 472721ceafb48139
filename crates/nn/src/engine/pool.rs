//! Memory for activations: aligned, zeroed once, and kept for the next buffer of the same shape.
//!
//! Fresh memory costs a page fault every 4 KiB, which for a layer that takes milliseconds is a
//! good part of its time.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use fonds_core::{Code, Error, Result};

use super::buffer::Shape;

/// What the pool keeps at most when nobody uses it.
const KEPT_BYTES: usize = 256 << 20;

/// One cache line, and the width of an AVX-512 vector.
const ALIGNMENT: usize = 64;

/// Unused memory by the shape that it was made for, the oldest first.
///
/// Memory returns for the same shape only: the border of zeros is then still in its place.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    blocks: Vec<(Shape, Block)>,
    bytes: usize,
}

impl Pool {
    /// Memory for this shape; what earlier users wrote inside the border is still there.
    pub(super) fn take(self: &Arc<Self>, shape: Shape) -> Result<Storage> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free.blocks.iter().rposition(|(of, _)| *of == shape);
        let block = if let Some(index) = found {
            let (_, block) = free.blocks.remove(index);
            free.bytes -= block.bytes();
            block
        } else {
            drop(free);
            Block::new(shape.storage_len()?)?
        };
        Ok(Storage {
            shape,
            block: Some(block),
            pool: Arc::clone(self),
        })
    }

    /// Frees what nobody uses.
    pub(super) fn clear(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = Free::default();
    }

    fn give_back(&self, shape: Shape, block: Block) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.bytes += block.bytes();
        free.blocks.push((shape, block));
        let mut surplus = 0;
        while free.bytes > KEPT_BYTES && surplus < free.blocks.len() {
            free.bytes -= free.blocks[surplus].1.bytes();
            surplus += 1;
        }
        // Unmapping takes a while; others need not wait for it.
        let dropped: Vec<_> = free.blocks.drain(..surplus).collect();
        drop(free);
        drop(dropped);
    }
}

/// The memory of one buffer; goes back to its pool.
#[derive(Debug)]
pub(super) struct Storage {
    shape: Shape,
    block: Option<Block>,
    pool: Arc<Pool>,
}

impl Storage {
    pub(super) fn ptr(&self) -> *mut f32 {
        self.block().start.as_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.block().len
    }

    fn block(&self) -> &Block {
        self.block
            .as_ref()
            .expect("a storage has its block until it is dropped")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.pool.give_back(self.shape, block);
        }
    }
}

/// Floats at an address that vectors can be loaded from.
#[derive(Debug)]
struct Block {
    start: NonNull<f32>,
    len: usize,
}

#[expect(unsafe_code, reason = "the block owns its memory, as a Vec does")]
// SAFETY: the pointer is the only one to its memory, and floats may be sent and shared.
unsafe impl Send for Block {}
#[expect(unsafe_code, reason = "the block owns its memory, as a Vec does")]
// SAFETY: as above; nothing is written through a shared block.
unsafe impl Sync for Block {}

impl Block {
    #[expect(unsafe_code, reason = "memory that is aligned, zeroed and fallible")]
    fn new(len: usize) -> Result<Self> {
        let layout = Self::layout(len)?;
        // SAFETY: the layout is not empty (`layout` adds a line).
        let start = unsafe { alloc_zeroed(layout) };
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the layout asks for a cache line"
        )]
        let start = start.cast::<f32>();
        match NonNull::new(start) {
            Some(start) => Ok(Self { start, len }),
            None => Err(out_of_memory(len)),
        }
    }

    /// With a line to spare, so that a vector may be loaded from the last float on.
    fn layout(len: usize) -> Result<Layout> {
        let bytes = len
            .checked_mul(4)
            .and_then(|bytes| bytes.checked_add(ALIGNMENT));
        let layout = bytes.map(|bytes| Layout::from_size_align(bytes, ALIGNMENT));
        match layout {
            Some(Ok(layout)) => Ok(layout),
            _ => Err(out_of_memory(len)),
        }
    }

    fn bytes(&self) -> usize {
        self.len * 4
    }
}

impl Drop for Block {
    #[expect(unsafe_code, reason = "gives back what `new` allocated")]
    fn drop(&mut self) {
        let layout = Self::layout(self.len).expect("it was allocated with this layout");
        // SAFETY: `new` allocated it with the layout of the same length.
        unsafe { dealloc(self.start.as_ptr().cast(), layout) }
    }
}

fn out_of_memory(floats: usize) -> Error {
    let mib = floats >> 18;
    let message = format!("there is no memory for an activation of {mib} MiB");
    Error::new(Code::Oom, message).hint("use smaller tiles or fewer threads")
}
