//! A deterministic part of an archive, so that several machines can share one.

use std::fmt;
use std::str::FromStr;

use fonds_core::{Code, Digest, Error, RelPath};

/// One of `count` parts of an archive, counted from 1; prints and parses as `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// The whole archive: `1/1`.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Part `index` of `count`; fails with [`Code::InvalidRequest`] unless `1 <= index <= count`.
    pub fn new(index: u32, count: u32) -> Result<Self, Error> {
        if index == 0 || index > count {
            return Err(wrong(&format!("{index}/{count}")));
        }
        Ok(Self { index, count })
    }

    /// Which part, from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many parts.
    pub fn count(self) -> u32 {
        self.count
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('/');
        let (index, count) = parts.ok_or_else(|| wrong(text))?;
        let number = |part: &str| part.trim().parse().map_err(|_| wrong(text));
        Self::new(number(index)?, number(count)?).map_err(|_| wrong(text))
    }
}

/// Whether a file belongs to this part; decided by the digest of its path alone, so that every
/// machine agrees without talking to the others.
pub fn in_shard(path: &RelPath, shard: Shard) -> bool {
    if shard.count == 1 {
        return true;
    }
    let place = Digest::of(path.as_str().as_bytes()).to_u64() % u64::from(shard.count);
    place == u64::from(shard.index - 1)
}

fn wrong(text: &str) -> Error {
    Error::new(Code::InvalidRequest, format!("`{text}` is not a shard"))
        .hint("write `1/3`, `2/3` and `3/3` for three machines")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn round_trip_and_errors() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!((shard.index(), shard.count()), (2, 3));
        assert_eq!(shard.to_string(), "2/3");
        for text in ["", "1", "0/3", "4/3", "a/b", "1/0", "-1/2", "1/2/3"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest);
            assert!(error.message().contains(text));
        }
    }

    #[test]
    fn every_file_is_in_one_shard_and_shards_are_even() {
        let count = 4;
        let mut sizes = [0_usize; 4];
        for i in 0..4000 {
            let path = RelPath::new(Path::new(&format!("box {}/{i}.tif", i / 100))).unwrap();
            let owners: Vec<u32> = (1..=count)
                .filter(|&index| in_shard(&path, Shard::new(index, count).unwrap()))
                .collect();
            assert_eq!(owners.len(), 1);
            sizes[owners[0] as usize - 1] += 1;
            assert!(in_shard(&path, Shard::WHOLE));
        }
        assert!(
            sizes.iter().all(|size| (850..1150).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn the_division_never_changes() {
        // Machines with different versions of fonds share one archive; a change here loses files.
        let path = RelPath::new(Path::new("letters/1902.tif")).unwrap();
        let owner = (1..=7).find(|&index| in_shard(&path, Shard::new(index, 7).unwrap()));
        // Python: int(hashlib.sha256(b"letters/1902.tif").hexdigest()[:16], 16) % 7 + 1
        assert_eq!(owner, Some(7));
    }
}
