//! Bilevel fax codings of ITU-T T.4 (one- and two-dimensional) and T.6, as TIFF stores them.
//!
//! A row is a list of positions where the colour changes; black pixels become 1 bits. Damaged
//! rows are errors: a page with shifted or invented rows is worse than none.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, Color};
use fonds_core::{Code, Error, Result};

/// Which of the codings a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// T.4 run lengths without end-of-line codes; each row starts on a byte (or a 16-bit word).
    Rle { word_aligned: bool },
    /// T.4 with end-of-line codes, at least usually.
    Group3 { two_dimensional: bool },
    /// T.6.
    Group4,
}

/// Decodes the rows that fit into `out`, `width` pixels each.
pub(super) fn decode(coding: Coding, input: &[u8], width: usize, out: &mut [u8]) -> Result<()> {
    let row_bytes = width.div_ceil(8);
    let mut decoder = Decoder {
        bits: Bits { input, at: 0 },
        width: u32::try_from(width).map_err(|_| damaged(0, "it is too wide"))?,
        reference: Vec::new(),
        current: Vec::new(),
    };
    for (index, row) in out.chunks_exact_mut(row_bytes).enumerate() {
        if let Err(what) = decoder.row(coding) {
            return Err(decoder.error(index, what));
        }
        draw(&decoder.current, decoder.width, row);
        std::mem::swap(&mut decoder.reference, &mut decoder.current);
    }
    Ok(())
}

struct Decoder<'a> {
    bits: Bits<'a>,
    width: u32,
    reference: Vec<u32>,
    current: Vec<u32>,
}

type Row = Result<(), &'static str>;

impl Decoder<'_> {
    fn row(&mut self, coding: Coding) -> Row {
        self.current.clear();
        match coding {
            Coding::Rle { word_aligned } => {
                self.bits.align(if word_aligned { 16 } else { 8 });
                self.one_dimensional()
            }
            Coding::Group3 { two_dimensional } => {
                let marked = self.bits.skip_end_of_line();
                // After an end-of-line code one bit says how the next row is coded.
                if two_dimensional && marked && !self.bits.flag() {
                    self.two_dimensional()
                } else {
                    self.one_dimensional()
                }
            }
            Coding::Group4 => self.two_dimensional(),
        }?;
        if self.bits.overran() {
            return Err("the data ends");
        }
        Ok(())
    }

    fn one_dimensional(&mut self) -> Row {
        let mut at = 0;
        let mut color = Color::White;
        while at < self.width {
            at += self.run(color)?;
            self.change(at);
            color = !color;
        }
        Ok(())
    }

    fn two_dimensional(&mut self) -> Row {
        let (mut at, mut color, mut started) = (0_u32, Color::White, false);
        while at < self.width {
            let (b1, b2) = self.changes_above(at, color, started);
            match mode::decode(&mut self.bits).ok_or("unknown code")? {
                Mode::Pass => at = b2,
                Mode::Horizontal => {
                    at += self.run(color)?;
                    self.change(at);
                    at += self.run(!color)?;
                    self.change(at);
                }
                Mode::Vertical(delta) => {
                    let to = i64::from(b1) + i64::from(delta);
                    let to = u32::try_from(to).map_err(|_| "a run of negative length")?;
                    if to < at {
                        return Err("a run of negative length");
                    }
                    at = to;
                    self.change(at);
                    color = !color;
                }
                Mode::Extension => return Err("uncompressed mode is not supported"),
                Mode::EOF => return Err("the data ends"),
            }
            started = true;
        }
        Ok(())
    }

    /// The first change on the row above to the right of `at` and to the colour opposite to
    /// `color`, and the change after it.
    fn changes_above(&self, at: u32, color: Color, started: bool) -> (u32, u32) {
        // Changes to black have even places in the list, changes to white odd ones.
        let wanted = usize::from(color == Color::Black);
        let from = self
            .reference
            .partition_point(|change| if started { *change <= at } else { *change < at });
        let first = from + (from + wanted) % 2;
        let change = |index: usize| self.reference.get(index).copied().unwrap_or(self.width);
        (change(first), change(first + 1))
    }

    fn run(&mut self, color: Color) -> Result<u32, &'static str> {
        let mut total = 0_u32;
        loop {
            let code = match color {
                Color::White => white::decode(&mut self.bits),
                Color::Black => black::decode(&mut self.bits),
            };
            let length = code.ok_or("unknown code")?;
            total += u32::from(length);
            if length < 64 {
                return Ok(total);
            }
            if total > self.width {
                return Err("a run beyond the row");
            }
        }
    }

    /// Notes a change of colour. Two at one place are none, and those at the row's end or beyond
    /// (some encoders overshoot) say nothing, so that a place in the list gives the colour.
    fn change(&mut self, at: u32) {
        if self.current.last() == Some(&at) {
            self.current.pop();
        } else if at < self.width {
            self.current.push(at);
        }
    }

    fn error(&self, row: usize, what: &str) -> Error {
        // An end-of-line code where a row should be starts the end-of-page mark.
        let marked = self.bits.peek(11) == Some(0);
        if marked || self.bits.is_exhausted() || what == "the data ends" {
            let message = format!("the fax data is truncated: it ends in row {row}");
            return Error::new(Code::Truncated, message);
        }
        damaged(row, what)
    }
}

fn damaged(row: usize, what: &str) -> Error {
    let message = format!("the fax data is damaged in row {row}: {what}");
    Error::new(Code::Corrupt, message)
}

fn draw(changes: &[u32], width: u32, row: &mut [u8]) {
    row.fill(0);
    for pair in changes.chunks(2) {
        let [start, end] = [pair[0], pair.get(1).copied().unwrap_or(width)];
        set_bits(row, start as usize, end as usize);
    }
}

fn set_bits(row: &mut [u8], start: usize, end: usize) {
    if start >= end {
        return;
    }
    let (first, last) = (start / 8, (end - 1) / 8);
    let (head, tail) = (0xff_u8 >> (start % 8), 0xff_u8 << (7 - (end - 1) % 8));
    if first == last {
        row[first] |= head & tail;
        return;
    }
    row[first] |= head;
    row[first + 1..last].fill(0xff);
    row[last] |= tail;
}

/// Bits from the highest of each byte on; zeros follow the last byte.
struct Bits<'a> {
    input: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn window(&self) -> u32 {
        let start = self.at / 8;
        let byte = |index: usize| u32::from(self.input.get(start + index).copied().unwrap_or(0));
        byte(0) << 16 | byte(1) << 8 | byte(2)
    }

    fn is_exhausted(&self) -> bool {
        self.at >= self.input.len() * 8
    }

    fn overran(&self) -> bool {
        self.at > self.input.len() * 8
    }

    fn flag(&mut self) -> bool {
        let set = self.peek(1) == Some(1);
        self.at += 1;
        set
    }

    fn align(&mut self, bits: usize) {
        self.at = self.at.next_multiple_of(bits);
    }

    /// Skips end-of-line codes with their fill bits: at least 11 zeros and a one.
    fn skip_end_of_line(&mut self) -> bool {
        if self.peek(11) != Some(0) {
            return false;
        }
        let start = self.at;
        while self.peek(1) == Some(0) && !self.is_exhausted() {
            self.at += 1;
        }
        if self.is_exhausted() {
            self.at = start;
            return false;
        }
        self.at += 1;
        true
    }
}

impl BitReader for Bits<'_> {
    type Error = Infallible;

    fn peek(&self, bits: u8) -> Option<u16> {
        let shift = 24_u32.checked_sub(self.at as u32 % 8 + u32::from(bits))?;
        // Codes may not start behind the end, or zeros would be read for ever.
        if self.is_exhausted() {
            return None;
        }
        Some((self.window() >> shift & ((1 << bits) - 1)) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Infallible> {
        self.at += usize::from(bits);
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        (self.at.wrapping_neg() % 8) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax::VecWriter;
    use fax::encoder::Encoder;

    fn pattern(width: usize, height: usize) -> Vec<Vec<bool>> {
        let black = |x: usize, y: usize| (x * x / 7 + y * y / 3 + x * y / 11) % 9 < y % 7;
        let row = |y| (0..width).map(|x| black(x, y)).collect();
        (0..height).map(row).collect()
    }

    fn packed(rows: &[Vec<bool>]) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let set = bits.iter().enumerate().filter(|(_, black)| **black);
            set.fold(0, |byte, (index, _)| byte | 0x80_u8 >> index)
        };
        rows.iter()
            .flat_map(|row| row.chunks(8).map(byte))
            .collect()
    }

    fn group4(rows: &[Vec<bool>]) -> Vec<u8> {
        let mut encoder = Encoder::new(VecWriter::new());
        for row in rows {
            let color = |black: &bool| if *black { Color::Black } else { Color::White };
            encoder
                .encode_line(row.iter().map(color), row.len() as u32)
                .unwrap();
        }
        encoder.finish().unwrap().finish()
    }

    #[test]
    fn group_4_round_trip_and_every_cut() {
        for (width, height) in [(1, 5), (8, 8), (131, 40), (2600, 9)] {
            let rows = pattern(width, height);
            let coded = group4(&rows);
            let mut out = vec![0; width.div_ceil(8) * height];
            decode(Coding::Group4, &coded, width, &mut out).unwrap();
            assert_eq!(out, packed(&rows), "{width} × {height}");
            for len in 0..coded.len().saturating_sub(4) {
                let result = decode(Coding::Group4, &coded[..len], width, &mut out);
                assert!(result.is_err(), "{width} × {height} cut at {len}");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_end() {
        let noise: Vec<u8> = (0..4096_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let codings = [
            Coding::Group4,
            Coding::Rle {
                word_aligned: false,
            },
            Coding::Rle { word_aligned: true },
            Coding::Group3 {
                two_dimensional: false,
            },
            Coding::Group3 {
                two_dimensional: true,
            },
        ];
        for coding in codings {
            for start in 0..200 {
                let _ = decode(coding, &noise[start..], 77, &mut [0; 1000]);
            }
        }
    }
}
