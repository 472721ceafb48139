//! Activations that were made together with a tensor, so that whoever takes the tensor next need not
//! make them again.
//!
//! A fused operation leaves its result in two layouts: as planes, which candle's tensor holds, and
//! as activations, which the operation itself holds as long as the tensor's graph lives. The table
//! here only says whose they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, Weak};

use candle_core::{Tensor, TensorId};

use crate::engine::Buffer;

/// Entries that are allowed before those whose activations are gone are looked for.
const FEW: usize = 256;

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

struct Table {
    of: HashMap<TensorId, Weak<Buffer>>,
    /// How many entries cause the next search.
    limit: usize,
}

/// Notes that these are the values of the tensor.
pub(super) fn note(tensor: &Tensor, buffer: Weak<Buffer>) {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let table = table.get_or_insert_with(|| Table {
        of: HashMap::new(),
        limit: FEW,
    });
    if table.of.len() >= table.limit {
        table.of.retain(|_, buffer| buffer.strong_count() > 0);
        table.limit = FEW.max(2 * table.of.len());
    }
    table.of.insert(tensor.id(), buffer);
}

/// The values of the tensor, where they are still there.
pub(super) fn of(tensor: &Tensor) -> Option<Buffer> {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let buffer = table.as_ref()?.of.get(&tensor.id())?.upgrade()?;
    Some(Buffer::clone(&buffer))
}
