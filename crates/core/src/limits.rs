//! Bounds against decompression bombs and pictures that do not fit the machine.

use crate::error::{Code, Error, Result};

/// How large a picture may be before decoding it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels that one page may have.
    pub max_pixels: u64,
    /// The most bytes that one decoded page may take.
    pub max_decode_bytes: u64,
    /// The most pages that one file may have.
    pub max_pages: u32,
    /// The most bytes that a source file may have.
    pub max_file_bytes: u64,
}

impl Limits {
    /// 1,000 megapixels, 4 GiB decoded, 10,000 pages, 8 GiB on disk.
    pub const DEFAULT: Self = Self {
        max_pixels: 1_000_000_000,
        max_decode_bytes: 4 << 30,
        max_pages: 10_000,
        max_file_bytes: 8 << 30,
    };

    /// Refuses a page of `width` × `height` pixels of `bytes_per_pixel` when it is too large.
    pub fn check(&self, width: u64, height: u64, bytes_per_pixel: u64) -> Result<()> {
        let too_large = |what: String, key: &str| {
            Error::new(
                Code::LimitsExceeded,
                format!("{width} × {height} pixels exceed {what}"),
            )
            .hint(format!(
                "raise `{key}` under [limits] if the file is to be trusted"
            ))
        };
        let pixels = width
            .checked_mul(height)
            .filter(|pixels| *pixels <= self.max_pixels);
        let Some(pixels) = pixels else {
            let megapixels = self.max_pixels / 1_000_000;
            return Err(too_large(
                format!("{megapixels} megapixels"),
                "max_megapixels",
            ));
        };
        match pixels.checked_mul(bytes_per_pixel) {
            Some(bytes) if bytes <= self.max_decode_bytes => Ok(()),
            _ => {
                let mib = self.max_decode_bytes >> 20;
                Err(too_large(format!("{mib} MiB decoded"), "max_decode_mib"))
            }
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_bombs_without_overflow() {
        let limits = Limits::DEFAULT;
        assert!(limits.check(20_000, 20_000, 6).is_ok());
        for (w, h, b) in [
            (u64::MAX, u64::MAX, 8),
            (1 << 32, 1 << 32, 1),
            (30_000, 30_000, 16),
        ] {
            let error = limits.check(w, h, b).unwrap_err();
            assert_eq!(error.code(), Code::LimitsExceeded);
            assert!(!error.hints().is_empty());
        }
    }
}
