//! From the bits of a row to samples of the decoded type.

use bytemuck::Pod;
use fonds_core::Sample;

use crate::decode::color_in::Ink;

/// How one row is stored, in native byte order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coding {
    pub(super) bits: u16,
    /// Values are places in a palette: they are not to be scaled.
    pub(super) indices: bool,
}

/// Sample types that pages are decoded to.
pub(super) trait Native: Ink + Pod {
    /// Reads as many samples as `out` holds.
    fn unpack(coding: Coding, row: &[u8], out: &mut [Self]);
}

impl Native for u8 {
    fn unpack(coding: Coding, row: &[u8], out: &mut [Self]) {
        let bits = coding.bits;
        match bits {
            8 => out.copy_from_slice(&row[..out.len()]),
            1 | 2 | 4 => powers_of_two(coding, row, out),
            _ => shared_bytes(coding, row, out, |value| value as u8),
        }
    }
}

impl Native for u16 {
    fn unpack(coding: Coding, row: &[u8], out: &mut [Self]) {
        match coding.bits {
            16 => each(row, out, u16::from_ne_bytes),
            32 => each(row, out, |bytes| high_half(u32::from_ne_bytes(bytes))),
            64 => each(row, out, |bytes| {
                high_half((u64::from_ne_bytes(bytes) >> 32) as u32)
            }),
            // Samples of whole bytes were brought into native order, unlike those that share bytes.
            24 => each(row, out, |bytes: [u8; 3]| {
                high_half(native24(bytes) << 8 | 0xff)
            }),
            _ => shared_bytes(coding, row, out, |value| value as u16),
        }
    }
}

impl Native for f32 {
    fn unpack(coding: Coding, row: &[u8], out: &mut [Self]) {
        match coding.bits {
            16 => each(row, out, |bytes| half(u16::from_ne_bytes(bytes))),
            24 => each(row, out, |bytes| float24(native24(bytes))),
            64 => each(row, out, |bytes| f64::from_ne_bytes(bytes) as f32),
            _ => each(row, out, f32::from_ne_bytes),
        }
    }
}

fn each<T, const N: usize>(row: &[u8], out: &mut [T], read: impl Fn([u8; N]) -> T) {
    let (stored, _) = row.as_chunks::<N>();
    for (sample, bytes) in out.iter_mut().zip(stored) {
        *sample = read(*bytes);
    }
}

/// The 16 bits nearest to a value of 32: 65537 is the ratio of the two whites.
fn high_half(value: u32) -> u16 {
    ((u64::from(value) + 32_768) / 65_537) as u16
}

/// Samples of 1, 2 or 4 bits: all samples of each possible byte are looked up at once.
fn powers_of_two(coding: Coding, row: &[u8], out: &mut [u8]) {
    let bits = usize::from(coding.bits);
    let (count, mask) = (8 / bits, (1_u8 << bits) - 1);
    let factor = if coding.indices { 1 } else { 255 / mask };
    let sample =
        |byte: usize, place: usize| (byte as u8 >> (8 - bits * (place + 1)) & mask) * factor;
    let table: [[u8; 8]; 256] = std::array::from_fn(|byte| {
        std::array::from_fn(|place| {
            if place < count {
                sample(byte, place)
            } else {
                0
            }
        })
    });
    for (samples, byte) in out.chunks_mut(count).zip(row) {
        samples.copy_from_slice(&table[usize::from(*byte)][..samples.len()]);
    }
}

/// Samples of any other number of bits, most significant first, with no gaps.
fn shared_bytes<T: Sample>(coding: Coding, row: &[u8], out: &mut [T], index: impl Fn(u64) -> T) {
    let bits = usize::from(coding.bits);
    let most = ((1_u128 << bits) - 1) as u64;
    let mut bytes = row.iter();
    let (mut window, mut held) = (0_u128, 0);
    for sample in out {
        while held < bits {
            window = window << 8 | u128::from(bytes.next().copied().unwrap_or(0));
            held += 8;
        }
        held -= bits;
        let value = (window >> held) as u64 & most;
        *sample = if coding.indices {
            index(value)
        } else {
            T::from_unit((value as f64 / most as f64) as f32)
        };
    }
}

fn native24([a, b, c]: [u8; 3]) -> u32 {
    if cfg!(target_endian = "little") {
        u32::from_le_bytes([a, b, c, 0])
    } else {
        u32::from_be_bytes([0, a, b, c])
    }
}

/// IEEE 754 half precision.
fn half(bits: u16) -> f32 {
    small_float(bits.into(), 5, 10)
}

/// Adobe's 24-bit floats: 7 bits of exponent, 16 of fraction.
fn float24(bits: u32) -> f32 {
    small_float(bits, 7, 16)
}

fn small_float(bits: u32, exponent_bits: u32, fraction_bits: u32) -> f32 {
    let sign = if bits >> (exponent_bits + fraction_bits) & 1 == 1 {
        -1.0
    } else {
        1.0
    };
    let most = (1 << exponent_bits) - 1;
    let exponent = bits >> fraction_bits & most;
    let fraction = bits & ((1 << fraction_bits) - 1);
    let bias = (most >> 1) as i32;
    let unit = fraction as f32 / (1 << fraction_bits) as f32;
    sign * match exponent {
        0 => unit * 2_f32.powi(1 - bias),
        _ if exponent == most && fraction == 0 => f32::INFINITY,
        _ if exponent == most => f32::NAN,
        _ => (1.0 + unit) * 2_f32.powi(exponent as i32 - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(bits: u16, indices: bool) -> Coding {
        Coding { bits, indices }
    }

    #[test]
    fn small_samples_fill_the_range() {
        let mut out = [0_u8; 8];
        u8::unpack(coding(1, false), &[0b1010_0001], &mut out);
        assert_eq!(out, [255, 0, 255, 0, 0, 0, 0, 255]);
        u8::unpack(coding(2, false), &[0b00_01_10_11], &mut out[..4]);
        assert_eq!(out[..4], [0, 85, 170, 255]);
        u8::unpack(coding(4, true), &[0x0f, 0x73], &mut out[..4]);
        assert_eq!(out[..4], [0, 15, 7, 3]);
        u8::unpack(
            coding(6, false),
            &[0b1111_1100, 0b0000_1000, 0b0000_0000],
            &mut out[..4],
        );
        assert_eq!(out[..4], [255, 0, 130, 0]);
    }

    #[test]
    fn twelve_bits_reach_both_ends() {
        let mut out = [0_u16; 3];
        u16::unpack(coding(12, false), &[0xff, 0xf0, 0x00, 0x80, 0x00], &mut out);
        assert_eq!(out, [65535, 0, 32776]);
    }

    #[test]
    fn wide_integers_are_rounded_not_cut() {
        assert_eq!(high_half(u32::MAX), u16::MAX);
        assert_eq!(high_half(65_537 * 5 + 32_768), 5);
        assert_eq!(high_half(65_537 * 5 + 32_769), 6);
    }

    #[test]
    fn half_floats_match_their_definition() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(float24(0x3f_0000), 1.0);
    }
}
