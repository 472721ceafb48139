//! Pictures that look alike: groups by the perceptual hash, near ones and equal ones.

use std::collections::HashMap;
use std::path::Path;

use fonds_core::{Code, Error, Result};

use crate::reader::TableReader;
use crate::record::Record;

/// The greatest distance that can be asked for: beyond it unlike pictures are taken for alike.
pub const MAX_DISTANCE: u32 = 15;

/// A picture of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// Its file, relative to the archive's root.
    pub filename: String,
    /// Its object id.
    pub objectid: String,
    /// In how many of the 64 bits its hash differs from that of the group's first picture.
    pub distance: u32,
}

/// Groups of pictures that look alike, in the order of the catalog.
///
/// Two pictures are in one group when their hashes differ in at most `distance` bits, or a chain of
/// such pictures leads from one to the other. Memory grows with the number of pictures (about 150
/// bytes each). Fails with [`Code::InvalidRequest`] when the distance is more than
/// [`MAX_DISTANCE`].
pub fn similar(output: &Path, distance: u32) -> Result<Vec<Vec<Alike>>> {
    if distance > MAX_DISTANCE {
        let message = format!("a distance of {distance} bits is more than {MAX_DISTANCE}");
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let mut pictures: Vec<(u64, String, String)> = Vec::new();
    for record in TableReader::<Record>::open_in(output)? {
        let record = record?;
        if let Some(hash) = record.perceptual_hash {
            pictures.push((hash.0, record.filename, record.objectid));
        }
    }
    let hashes: Vec<u64> = pictures.iter().map(|(hash, ..)| *hash).collect();
    let groups = group_hashes(&hashes, distance);
    Ok(groups
        .into_iter()
        .map(|members| {
            let first = hashes[members[0]];
            members
                .into_iter()
                .map(|member| {
                    let (hash, filename, objectid) = &mut pictures[member];
                    Alike {
                        distance: (*hash ^ first).count_ones(),
                        filename: std::mem::take(filename),
                        objectid: std::mem::take(objectid),
                    }
                })
                .collect()
        })
        .collect())
}

/// The indices of hashes that belong together, groups of two and more, by their first members.
///
/// Two hashes within `distance` (at most [`MAX_DISTANCE`]) agree, but for a quarter of these bits,
/// in one of four bands of sixteen bits; so only hashes under near values of a band are compared.
pub fn group_hashes(hashes: &[u64], distance: u32) -> Vec<Vec<usize>> {
    let mut first_of: HashMap<u64, usize> = HashMap::with_capacity(hashes.len());
    let mut sets = Sets::new(hashes.len());
    let mut unique = Vec::new();
    for (i, hash) in hashes.iter().enumerate() {
        if let Some(first) = first_of.get(hash) {
            sets.join(*first, i);
        } else {
            first_of.insert(*hash, i);
            unique.push(i);
        }
    }
    let probes = values_within(distance / BANDS);
    for band in 0..BANDS {
        let index = Band::of(hashes, &unique, band);
        for &i in &unique {
            let value = band_value(hashes[i], band);
            for probe in &probes {
                for &j in index.bucket(value ^ probe) {
                    let near = (hashes[i] ^ hashes[j]).count_ones() <= distance;
                    if j > i && near {
                        sets.join(i, j);
                    }
                }
            }
        }
    }
    sets.groups()
}

const BANDS: u32 = 4;
const BAND_BITS: u32 = 16;

fn band_value(hash: u64, band: u32) -> u16 {
    (hash >> (band * BAND_BITS)) as u16
}

/// All patterns of sixteen bits with at most so many set.
fn values_within(bits: u32) -> Vec<u16> {
    (0..=u16::MAX)
        .filter(|value| value.count_ones() <= bits)
        .collect()
}

/// The hashes by the value of one band.
struct Band {
    starts: Vec<usize>,
    members: Vec<usize>,
}

impl Band {
    fn of(hashes: &[u64], unique: &[usize], band: u32) -> Self {
        let mut starts = vec![0; usize::from(u16::MAX) + 2];
        for &i in unique {
            starts[usize::from(band_value(hashes[i], band)) + 1] += 1;
        }
        for value in 1..starts.len() {
            starts[value] += starts[value - 1];
        }
        let mut next = starts.clone();
        let mut members = vec![0; unique.len()];
        for &i in unique {
            let place = &mut next[usize::from(band_value(hashes[i], band))];
            members[*place] = i;
            *place += 1;
        }
        Self { starts, members }
    }

    fn bucket(&self, value: u16) -> &[usize] {
        let value = usize::from(value);
        &self.members[self.starts[value]..self.starts[value + 1]]
    }
}

/// Disjoint sets, each named by its smallest member.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        let (small, large) = (one.min(other), one.max(other));
        self.0[large] = small;
    }

    fn groups(mut self) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.0.len()];
        for member in 0..self.0.len() {
            let root = self.root(member);
            members[root].push(member);
        }
        members.retain(|members| members.len() > 1);
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every pair compared.
    fn slowly(hashes: &[u64], distance: u32) -> Vec<Vec<usize>> {
        let mut sets = Sets::new(hashes.len());
        for i in 0..hashes.len() {
            for j in i + 1..hashes.len() {
                if (hashes[i] ^ hashes[j]).count_ones() <= distance {
                    sets.join(i, j);
                }
            }
        }
        sets.groups()
    }

    /// A few centres, and hashes some bits away from them.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let near = (
            any::<prop::sample::Index>(),
            prop::collection::vec(0_u32..64, 0..10),
        );
        (
            prop::collection::vec(any::<u64>(), 1..6),
            prop::collection::vec(near, 0..60),
        )
            .prop_map(|(centres, near)| {
                let near = near.into_iter().map(|(centre, bits)| {
                    let flipped = bits.into_iter().map(|bit| 1_u64 << bit);
                    flipped.fold(*centre.get(&centres), |hash, bit| hash ^ bit)
                });
                near.collect()
            })
    }

    proptest! {
        #[test]
        fn groups_equal_those_of_all_pairs(hashes in hashes(), distance in 0..=MAX_DISTANCE) {
            prop_assert_eq!(group_hashes(&hashes, distance), slowly(&hashes, distance));
        }
    }

    #[test]
    fn equal_hashes_and_chains() {
        assert_eq!(group_hashes(&[7, 7, 1 << 40, 7], 0), [[0, 1, 3]]);
        // 0 and 0b11 differ in two bits, and 0b1 lies between them.
        assert_eq!(group_hashes(&[0, 0b11, 0b1, u64::MAX], 1), [[0, 1, 2]]);
        assert!(group_hashes(&[], 3).is_empty());
    }
}
