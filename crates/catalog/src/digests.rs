//! Digests of many files at once: SHA-256, and SHA-512 where a package wants it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fonds_core::{Digest, Hasher, Result};
use sha2::{Digest as _, Sha512};

use crate::transfer::each_chunk;

/// What was found of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDigest {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    /// Lower-case hexadecimal digits; empty when it was not asked for.
    pub(crate) sha512: String,
}

/// The two digests of a file, in the making.
pub(crate) struct Both {
    sha256: Hasher,
    sha512: Option<Sha512>,
}

impl Both {
    pub(crate) fn new(with_sha512: bool) -> Self {
        Self {
            sha256: Hasher::new(),
            sha512: with_sha512.then(Sha512::new),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
    }

    pub(crate) fn finish(self, size: u64) -> FileDigest {
        FileDigest {
            size,
            sha256: self.sha256.finish(),
            sha512: self.sha512.map(hex).unwrap_or_default(),
        }
    }
}

fn hex(hasher: Sha512) -> String {
    let mut text = String::with_capacity(128);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// The digests of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> FileDigest {
    let mut both = Both::new(true);
    both.update(bytes);
    both.finish(bytes.len() as u64)
}

/// The digests of a file.
pub(crate) fn of_file(path: &Path, with_sha512: bool) -> Result<FileDigest> {
    let mut both = Both::new(with_sha512);
    let size = each_chunk(path, |chunk| {
        both.update(chunk);
        Ok(())
    })?;
    Ok(both.finish(size))
}

/// The digests of files, on all processors.
pub(crate) fn of_files(
    paths: Vec<PathBuf>,
    with_sha512: bool,
) -> HashMap<PathBuf, Result<FileDigest>> {
    let found = each(&paths, |path| of_file(path, with_sha512));
    paths.into_iter().zip(found).collect()
}

/// Does the work for each job on all processors; the results come in the order of the jobs.
pub(crate) fn each<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(i) else {
                        return;
                    };
                    let result = work(job);
                    let mut done = done
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    done.push((i, result));
                }
            });
        }
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Examples of FIPS 180-2 for "abc".
        let found = of_bytes(b"abc");
        assert!(found.sha256.to_string().starts_with("ba7816bf8f01cfea"));
        assert!(found.sha512.starts_with("ddaf35a193617abacc417349ae204131"));
        assert!(found.sha512.ends_with("2a9ac94fa54ca49f") && found.sha512.len() == 128);
        assert_eq!(found.size, 3);
    }

    #[test]
    fn results_keep_the_order_of_the_jobs() {
        let jobs: Vec<usize> = (0..100).collect();
        assert_eq!(
            each(&jobs, |job| job * 2),
            (0..200).step_by(2).collect::<Vec<_>>()
        );
        assert!(each(&[] as &[usize], |job| *job).is_empty());
    }
}
