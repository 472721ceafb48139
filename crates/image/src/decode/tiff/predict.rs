//! Undoing what was done to samples to make them compress better, and bringing their bytes into
//! the machine's order.

use fonds_core::{Code, Error, Result};

use super::layout::{Layout, SampleKind};

/// Makes decompressed rows of one plane of a chunk into plain rows in native byte order.
pub(super) fn undo(layout: &Layout, big_endian: bool, rows: &mut [u8]) -> Result<()> {
    let row_bytes = layout.row_bytes();
    if row_bytes == 0 {
        return Ok(());
    }
    let stride = layout.plane_samples();
    let foreign = big_endian != cfg!(target_endian = "big");
    match layout.predictor {
        3 if layout.kind == SampleKind::Float && matches!(layout.bits, 16 | 24 | 32 | 64) => {
            let bytes = usize::from(layout.bits) / 8;
            let mut scratch = vec![0; row_bytes];
            for row in rows.chunks_exact_mut(row_bytes) {
                floating(row, &mut scratch, stride, bytes);
            }
        }
        2 => {
            for row in rows.chunks_exact_mut(row_bytes) {
                to_native(layout.bits, foreign, row);
                horizontal(layout.bits, stride, row);
            }
        }
        3 => return Err(damaged("the floating-point predictor is for floats")),
        _ => to_native(layout.bits, foreign, rows),
    }
    Ok(())
}

/// Swaps the bytes of samples of whole bytes that came in the other order.
fn to_native(bits: u16, foreign: bool, bytes: &mut [u8]) {
    if foreign && matches!(bits, 16 | 24 | 32 | 64) {
        let size = usize::from(bits) / 8;
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

fn horizontal(bits: u16, stride: usize, row: &mut [u8]) {
    match bits {
        8 => {
            for index in stride..row.len() {
                row[index] = row[index].wrapping_add(row[index - stride]);
            }
        }
        16 => accumulate::<2>(row, stride, |sum, bytes| {
            let value = u16::from_ne_bytes(bytes).wrapping_add(u16::from_ne_bytes(sum));
            value.to_ne_bytes()
        }),
        32 => accumulate::<4>(row, stride, |sum, bytes| {
            let value = u32::from_ne_bytes(bytes).wrapping_add(u32::from_ne_bytes(sum));
            value.to_ne_bytes()
        }),
        64 => accumulate::<8>(row, stride, |sum, bytes| {
            let value = u64::from_ne_bytes(bytes).wrapping_add(u64::from_ne_bytes(sum));
            value.to_ne_bytes()
        }),
        _ => odd(bits, stride, row),
    }
}

fn accumulate<const N: usize>(
    row: &mut [u8],
    stride: usize,
    add: impl Fn([u8; N], [u8; N]) -> [u8; N],
) {
    let (samples, _) = row.as_chunks_mut::<N>();
    for index in stride..samples.len() {
        samples[index] = add(samples[index - stride], samples[index]);
    }
}

/// Samples that share bytes: slow, and rare.
fn odd(bits: u16, stride: usize, row: &mut [u8]) {
    let bits = usize::from(bits);
    let mask = if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    };
    let count = row.len() * 8 / bits;
    let mut before = vec![0_u64; stride];
    for index in 0..count {
        let value = read_bits(row, index * bits, bits).wrapping_add(before[index % stride]) & mask;
        before[index % stride] = value;
        write_bits(row, index * bits, bits, value);
    }
}

/// `bits` bits (up to 64) from bit `at` on, highest first.
fn read_bits(bytes: &[u8], at: usize, bits: usize) -> u64 {
    (at..at + bits).fold(0, |value, bit| {
        let byte = bytes.get(bit / 8).copied().unwrap_or(0);
        value << 1 | u64::from(byte >> (7 - bit % 8) & 1)
    })
}

fn write_bits(bytes: &mut [u8], at: usize, bits: usize, value: u64) {
    for bit in 0..bits {
        let (place, mask) = ((at + bit) / 8, 0x80 >> ((at + bit) % 8));
        if value >> (bits - 1 - bit) & 1 == 1 {
            bytes[place] |= mask;
        } else {
            bytes[place] &= !mask;
        }
    }
}

/// Adobe's predictor 3 (TIFF Technical Note 3): the bytes of a row are differences, and sorted by
/// significance over the whole row.
fn floating(row: &mut [u8], scratch: &mut [u8], stride: usize, bytes: usize) {
    for index in stride..row.len() {
        row[index] = row[index].wrapping_add(row[index - stride]);
    }
    scratch.copy_from_slice(row);
    let count = row.len() / bytes;
    for (index, sample) in row.chunks_exact_mut(bytes).enumerate() {
        for (place, byte) in sample.iter_mut().enumerate() {
            let plane = if cfg!(target_endian = "little") {
                bytes - 1 - place
            } else {
                place
            };
            *byte = scratch[plane * count + index];
        }
    }
}

fn damaged(message: &str) -> Error {
    Error::new(Code::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_as_written() {
        let mut bytes = [0_u8; 9];
        for (at, bits, value) in [(0, 12, 0xabc), (12, 5, 17), (17, 31, 0x1234_5678)] {
            write_bits(&mut bytes, at, bits, value);
            assert_eq!(read_bits(&bytes, at, bits), value);
        }
        assert_eq!(read_bits(&bytes, 0, 12), 0xabc);
    }

    #[test]
    fn the_floating_point_predictor_is_undone() {
        let values = [1.0_f32, -2.5, 3.25e7, 0.001];
        let mut planes: Vec<u8> = (0..4)
            .flat_map(|significance| values.map(|value| value.to_be_bytes()[significance]))
            .collect();
        for index in (1..planes.len()).rev() {
            planes[index] = planes[index].wrapping_sub(planes[index - 1]);
        }
        floating(&mut planes, &mut [0; 16], 1, 4);
        let found: Vec<f32> = planes
            .chunks_exact(4)
            .map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(found, values);
    }
}
