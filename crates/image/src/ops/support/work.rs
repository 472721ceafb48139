//! What pixel code asks of a sample type besides [`Sample`]: fixed-point luma and exact sums.

use fonds_core::Sample;

/// Luma weights of Rec. 709 in 1/65,536; they sum to 65,536.
const RED: u32 = 13_933;
const GREEN: u32 = 46_871;
const BLUE: u32 = 4_732;

/// A sample that operations can work on.
pub(crate) trait Work: Sample {
    /// Holds the sum of up to 257 samples.
    type Sum: Copy + Default + Send + Sync;

    /// The value on a 16-bit scale; floats are clamped to 0..1.
    fn word(self) -> u16;

    /// The value on an 8-bit scale; floats are clamped to 0..1.
    fn byte(self) -> u8;

    /// The value in 8-bit code values, with what lies between them.
    fn code(self) -> f32;

    /// Adds a sample to a sum.
    fn add(sum: &mut Self::Sum, sample: Self);

    /// The sum in 8-bit code values.
    fn sum_to_codes(sum: Self::Sum) -> f32;

    /// Whether the sample lies at the lower or upper end of the range.
    fn at_end(self) -> bool;
}

impl Work for u8 {
    type Sum = u16;

    fn word(self) -> u16 {
        u16::from(self) * 257
    }

    fn byte(self) -> u8 {
        self
    }

    fn code(self) -> f32 {
        f32::from(self)
    }

    fn add(sum: &mut u16, sample: Self) {
        *sum = sum.wrapping_add(u16::from(sample));
    }

    fn sum_to_codes(sum: u16) -> f32 {
        f32::from(sum)
    }

    fn at_end(self) -> bool {
        self == 0 || self == Self::MAX
    }
}

impl Work for u16 {
    type Sum = u32;

    fn word(self) -> u16 {
        self
    }

    fn byte(self) -> u8 {
        ((u32::from(self) + 128) / 257) as u8
    }

    fn code(self) -> f32 {
        f32::from(self) / 257.0
    }

    fn add(sum: &mut u32, sample: Self) {
        *sum = sum.wrapping_add(u32::from(sample));
    }

    fn sum_to_codes(sum: u32) -> f32 {
        sum as f32 / 257.0
    }

    fn at_end(self) -> bool {
        // Half an 8-bit step: scanners that deliver 12 or 14 bits shifted up end a little lower.
        !(128..=Self::MAX - 128).contains(&self)
    }
}

impl Work for f32 {
    type Sum = f32;

    fn word(self) -> u16 {
        u16::from_unit(self)
    }

    fn byte(self) -> u8 {
        u8::from_unit(self)
    }

    fn code(self) -> f32 {
        // A NaN counts as black, as it does when it becomes an integer.
        if self.is_nan() { 0.0 } else { self * 255.0 }
    }

    fn add(sum: &mut f32, sample: Self) {
        *sum += sample.code();
    }

    fn sum_to_codes(sum: f32) -> f32 {
        sum
    }

    fn at_end(self) -> bool {
        self <= 0.0 || self >= 1.0
    }
}

/// Rec. 709 luma of coded (not linear) values, rounded, on the 16-bit scale.
#[inline]
pub(crate) fn luma_word(r: u16, g: u16, b: u16) -> u16 {
    let sum = u32::from(r) * RED + u32::from(g) * GREEN + u32::from(b) * BLUE;
    ((sum + 0x8000) >> 16) as u16
}

/// Rec. 709 luma of coded values, rounded, on the 8-bit scale.
#[inline]
pub(crate) fn luma_byte(r: u8, g: u8, b: u8) -> u8 {
    let sum = u32::from(r) * RED + u32::from(g) * GREEN + u32::from(b) * BLUE;
    ((sum + 0x8000) >> 16) as u8
}

/// Runs one generic function for the number of channels that a picture has.
macro_rules! with_channels {
    ($channels:expr, $name:ident => $body:expr) => {
        match $channels {
            1 => {
                const $name: usize = 1;
                $body
            }
            2 => {
                const $name: usize = 2;
                $body
            }
            3 => {
                const $name: usize = 3;
                $body
            }
            _ => {
                const $name: usize = 4;
                $body
            }
        }
    };
}
pub(crate) use with_channels;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_of_gray_is_gray() {
        for value in 0..=255_u8 {
            assert_eq!(luma_byte(value, value, value), value);
        }
        for value in (0..=u16::MAX).step_by(7) {
            assert_eq!(luma_word(value, value, value), value);
        }
        assert_eq!(luma_byte(255, 0, 0), 54);
        assert_eq!(luma_byte(0, 255, 0), 182);
        assert_eq!(luma_byte(0, 0, 255), 18);
    }

    #[test]
    fn scales_agree() {
        for value in 0..=255_u8 {
            assert_eq!(value.word().byte(), value);
        }
    }
}
