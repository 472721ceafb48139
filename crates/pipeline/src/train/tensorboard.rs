//! Event files that `TensorBoard` reads: records with checksums, each a protocol buffer.
//!
//! The framing is that of `TFRecord` (length, checksum of the length, data, checksum of the data;
//! checksums are CRC-32C, masked), the messages are `Event`, `Summary` and `SessionLog` of
//! tensorflow's `event.proto` and `summary.proto`, written field by field.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fonds_core::{Code, Error, Result};

/// An event file being written.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// A new file in a folder. After `done` steps it tells readers to forget what files before it
    /// say of later ones.
    pub(super) fn create(folder: &Path, done: u64) -> Result<Self> {
        let seconds = now() as u64;
        let mut number = 0;
        let (path, file) = loop {
            let name = format!("events.out.tfevents.{seconds:010}.fonds.{number}");
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(failed(error, &path)),
            }
        };
        let mut events = Self {
            path,
            file: BufWriter::new(file),
        };
        events.event(0, |event| bytes(event, 3, b"brain.Event:2"))?;
        if done > 0 {
            events.event(done, |event| {
                let mut log = Vec::new();
                // SessionLog.START
                varint_field(&mut log, 1, 1);
                bytes(event, 7, &log);
            })?;
        }
        Ok(events)
    }

    /// Writes single numbers.
    pub(super) fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        self.event(step, |event| {
            let mut summary = Vec::new();
            for (tag, value) in values {
                let mut entry = Vec::new();
                bytes(&mut entry, 1, tag.as_bytes());
                fixed32(&mut entry, 2, (*value as f32).to_bits());
                bytes(&mut summary, 1, &entry);
            }
            bytes(event, 5, &summary);
        })
    }

    /// Writes a picture, given as the bytes of a PNG.
    pub(super) fn image(
        &mut self,
        step: u64,
        tag: &str,
        (width, height): (usize, usize),
        channels: usize,
        png: &[u8],
    ) -> Result<()> {
        self.event(step, |event| {
            let mut image = Vec::new();
            varint_field(&mut image, 1, height as u64);
            varint_field(&mut image, 2, width as u64);
            varint_field(&mut image, 3, channels as u64);
            bytes(&mut image, 4, png);
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            bytes(&mut entry, 4, &image);
            let mut summary = Vec::new();
            bytes(&mut summary, 1, &entry);
            bytes(event, 5, &summary);
        })
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| failed(error, &self.path))
    }

    fn event(&mut self, step: u64, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut event = Vec::new();
        fixed64(&mut event, 1, now().to_bits());
        varint_field(&mut event, 2, step);
        fill(&mut event);
        let record = record(&event);
        let written = self.file.write_all(&record);
        written.map_err(|error| failed(error, &self.path))
    }
}

fn failed(error: std::io::Error, path: &Path) -> Error {
    Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Data in the framing of `TFRecord`.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// A checksum of data that may hold checksums.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the polynomial of Castagnoli.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                let odd = value & 1;
                value >>= 1;
                if odd == 1 {
                    // The polynomial, its bits reversed.
                    value ^= 0x82f6_3b78;
                }
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let step = |crc: u32, &byte: &u8| TABLE[((crc ^ u32::from(byte)) & 255) as usize] ^ (crc >> 8);
    !data.iter().fold(u32::MAX, step)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | 5);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// Splits records, comparing checksums.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            let crc = u32::from_le_bytes(file[8..12].try_into().unwrap());
            assert_eq!(crc, masked(crc32c(&file[..8])));
            let data = &file[12..12 + length];
            let crc = u32::from_le_bytes(file[12 + length..16 + length].try_into().unwrap());
            assert_eq!(crc, masked(crc32c(data)));
            found.push(data.to_vec());
            file = &file[16 + length..];
        }
        found
    }

    #[test]
    fn a_file_holds_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 300).unwrap();
        let values = [("d".to_owned(), 0.5), ("g".to_owned(), -2.0)];
        events.scalars(301, &values).unwrap();
        events.image(302, "samples", (4, 2), 3, b"png").unwrap();
        events.flush().unwrap();
        let another = EventFile::create(folder.path(), 0).unwrap();
        assert_ne!(another.path, events.path);
        let found = records(&std::fs::read(&events.path).unwrap());
        assert_eq!(found.len(), 4);
        // Field 1, a double; field 2, the step; field 3, the version.
        assert_eq!(found[0][0], 1 << 3 | 1);
        assert_eq!(found[0][9..13], [2 << 3, 0, 3 << 3 | 2, 13]);
        assert_eq!(&found[0][13..], b"brain.Event:2");
        // 300 = 0b10_0101100, seven bits a byte.
        assert_eq!(
            found[1][9..],
            [2 << 3, 0b1010_1100, 2, 7 << 3 | 2, 2, 1 << 3, 1]
        );
        let entry = |tag: u8, value: f32| {
            let mut bytes = vec![1 << 3 | 2, 8, 1 << 3 | 2, 1, tag, 2 << 3 | 5];
            bytes.extend(value.to_le_bytes());
            bytes
        };
        let mut expected = vec![2 << 3, 0b1010_1101, 2, 5 << 3 | 2, 20];
        expected.extend(entry(b'd', 0.5));
        expected.extend(entry(b'g', -2.0));
        assert_eq!(found[2][9..], expected);
        assert!(found[3].ends_with(&[
            1 << 3,
            2,
            2 << 3,
            4,
            3 << 3,
            3,
            4 << 3 | 2,
            3,
            b'p',
            b'n',
            b'g'
        ]));
    }
}
