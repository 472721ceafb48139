//! One run at a time on an output folder, by a lock that dies with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use fonds_core::{Code, Error, Result};

/// How long a lock is waited for: a killed run's last thread may live a moment longer than its
/// parent.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lock on an output folder, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says which process holds it.
    pub(crate) fn take(state: &Path) -> Result<Self> {
        let path = state.join("lock");
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = options.map_err(|error| {
            Error::from_io(error, Code::WriteFailed, "the lock cannot be created").at_path(&path)
        })?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Err(held(&mut file, &path)),
                Err(TryLockError::Error(error)) => {
                    let error =
                        Error::from_io(error, Code::WriteFailed, "the lock cannot be taken");
                    return Err(error.at_path(&path));
                }
            }
        }
        // The number is for people only; a lock whose note cannot be written still locks.
        let noted = file
            .set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()));
        drop(noted);
        Ok(Self { _file: file })
    }
}

fn held(file: &mut File, path: &Path) -> Error {
    let mut holder = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_string(&mut holder));
    let by = if read.is_ok() && !holder.is_empty() {
        format!(" (process {holder})")
    } else {
        String::new()
    };
    Error::new(
        Code::WriteFailed,
        format!("another run is writing to this folder{by}"),
    )
    .at_path(path.parent().and_then(Path::parent).unwrap_or(path))
    .hint("wait for it to end, or choose another --out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_again_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = std::thread::scope(|scope| {
            scope
                .spawn(|| Lock::take(folder.path()).unwrap_err())
                .join()
                .unwrap()
        });
        assert!(refused.to_string().contains("another run"), "{refused}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
