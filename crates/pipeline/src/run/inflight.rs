//! Which files are being worked on, readable after the process has died on one of them.
//!
//! Each worker owns a slot of fixed size in one small file and writes the path there before it
//! opens the source. The operating system keeps what was written even when the process is killed,
//! so a supervisor knows which files to suspect.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fonds_core::{Code, Error, Result};

const SLOT: usize = 4096;

/// The slots of a run.
#[derive(Debug)]
pub(super) struct InFlight {
    file: Mutex<File>,
}

impl InFlight {
    pub(super) fn create(state: &Path) -> Result<Self> {
        let path = path(state);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| {
            Error::from_io(error, Code::WriteFailed, "cannot be created").at_path(&path)
        })?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Notes that the worker of this slot works on this path from now on.
    pub(super) fn begin(&self, slot: usize, path: &str) {
        let mut record = [0_u8; SLOT];
        let len = path.len().min(SLOT - 2);
        record[..2].copy_from_slice(&(len as u16).to_le_bytes());
        record[2..2 + len].copy_from_slice(&path.as_bytes()[..len]);
        self.write(slot, &record[..2 + len]);
    }

    /// Notes that it is done.
    pub(super) fn end(&self, slot: usize) {
        self.write(slot, &[0, 0]);
    }

    // Losing a note costs nothing but a less exact suspicion after a crash.
    fn write(&self, slot: usize, bytes: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .seek(SeekFrom::Start((slot * SLOT) as u64))
            .and_then(|_| file.write_all(bytes));
        drop(written);
    }
}

/// The paths that were being worked on when a run in this output folder last stopped.
pub fn interrupted(output: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let read = File::open(path(&super::state_folder(output)))
        .and_then(|mut file| file.read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    let mut paths: Vec<String> = bytes.chunks(SLOT).filter_map(slot_path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn slot_path(slot: &[u8]) -> Option<String> {
    let len = usize::from(u16::from_le_bytes([*slot.first()?, *slot.get(1)?]));
    let text = slot.get(2..2 + len).filter(|text| !text.is_empty())?;
    String::from_utf8(text.to_vec()).ok()
}

fn path(state: &Path) -> PathBuf {
    state.join("in-flight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_and_not_ended_is_known_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let state = crate::run::state_folder(folder.path());
        std::fs::create_dir_all(&state).unwrap();
        let slots = InFlight::create(&state).unwrap();
        slots.begin(0, "a.tif");
        slots.begin(2, "long/ü.tif");
        slots.begin(1, "b.tif");
        slots.end(1);
        drop(slots);
        assert_eq!(interrupted(folder.path()), ["a.tif", "long/ü.tif"]);
    }
}
