//! From the samples of a chunk to pixels of the page: inks, palettes, luma and chroma, alpha.

use fonds_core::Sample;

use super::layout::{Alpha, Layout, Photometric};
use super::unpack::Native;
use crate::decode::color_in::{CmykToRgb, lab_to_srgb};

/// What the conversion of a page needs to know besides its samples.
pub(super) struct Colors<T> {
    pub(super) photometric: Photometric,
    pub(super) alpha: Alpha,
    /// Samples of a stored pixel and of a decoded one.
    pub(super) stored: usize,
    pub(super) decoded: usize,
    pub(super) inks: CmykToRgb,
    /// Red, green and blue of each index.
    pub(super) palette: Vec<[T; 3]>,
    pub(super) luma: Luma,
}

/// How `YCbCr` samples were made from RGB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Luma {
    /// The shares of red, green and blue in Y (tag 529).
    pub(super) shares: [f32; 3],
    /// Black and white of Y, zero and full of Cb and of Cr (tag 532).
    pub(super) reference: [f32; 6],
}

impl Luma {
    /// BT.601, full range: the values that TIFF gives for missing tags.
    pub(super) const DEFAULT: Self = Self {
        shares: [0.299, 0.587, 0.114],
        reference: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
    };

    fn to_rgb(self, [y, cb, cr]: [f32; 3]) -> [f32; 3] {
        let [black, white, zero_b, full_b, zero_r, full_r] = self.reference;
        let y = (y - black) * 255.0 / (white - black);
        let cb = (cb - zero_b) * 127.0 / (full_b - zero_b);
        let cr = (cr - zero_r) * 127.0 / (full_r - zero_r);
        let [share_r, share_g, share_b] = self.shares;
        let red = y + cr * (2.0 - 2.0 * share_r);
        let blue = y + cb * (2.0 - 2.0 * share_b);
        let green = (y - share_b * blue - share_r * red) / share_g;
        [red, green, blue]
    }
}

impl<T: Native> Colors<T> {
    /// Whether stored pixels are decoded pixels already, but for inversion.
    pub(super) fn is_plain(&self) -> bool {
        let direct = matches!(
            self.photometric,
            Photometric::BlackIsZero
                | Photometric::WhiteIsZero
                | Photometric::Rgb
                | Photometric::Mask
        );
        direct && self.stored == self.decoded
    }

    /// Finishes a row of plain pixels in place.
    pub(super) fn finish_plain(&self, row: &mut [T]) {
        if self.photometric == Photometric::WhiteIsZero {
            for pixel in row.chunks_exact_mut(self.stored) {
                pixel[0] = inverted(pixel[0]);
            }
        }
        self.make_straight(row);
    }

    /// Turns a row of stored pixels into a row of decoded ones.
    pub(super) fn compose(&self, stored: &[T], row: &mut [T]) {
        let from = stored.chunks_exact(self.stored);
        let to = row.chunks_exact_mut(self.decoded);
        match self.photometric {
            Photometric::BlackIsZero | Photometric::Mask => {
                from.zip(to).for_each(|(from, to)| to[0] = from[0]);
            }
            Photometric::WhiteIsZero => {
                from.zip(to)
                    .for_each(|(from, to)| to[0] = inverted(from[0]));
            }
            Photometric::Rgb => {
                from.zip(to)
                    .for_each(|(from, to)| to[..3].copy_from_slice(&from[..3]));
            }
            Photometric::Palette => from.zip(to).for_each(|(from, to)| {
                let color = self.palette.get(from[0].to_f32() as usize);
                to[..3].copy_from_slice(color.unwrap_or(&[T::default(); 3]));
            }),
            Photometric::YCbCr => from.zip(to).for_each(|(from, to)| {
                let rgb = self
                    .luma
                    .to_rgb([0, 1, 2].map(|place| from[place].to_f32()));
                put(rgb.map(T::from_f32), to);
            }),
            Photometric::CieLab | Photometric::IccLab => from.zip(to).for_each(|(from, to)| {
                put(lab_to_srgb(self.lab(from)).map(T::from_unit), to);
            }),
            Photometric::Cmyk => self.compose_inks(stored, row),
        }
        self.compose_alpha(stored, row);
    }

    fn compose_inks(&self, stored: &[T], row: &mut [T]) {
        if self.stored == 4 {
            return self.inks.convert(stored, row);
        }
        let inks = stored
            .chunks_exact(self.stored)
            .flat_map(|pixel| &pixel[..4]);
        let inks: Vec<T> = inks.copied().collect();
        self.inks.convert(&inks, row);
    }

    fn compose_alpha(&self, stored: &[T], row: &mut [T]) {
        if self.alpha == Alpha::None {
            return;
        }
        let place = match self.photometric {
            Photometric::Rgb | Photometric::YCbCr => 3,
            _ => 1,
        };
        let from = stored.chunks_exact(self.stored);
        for (from, to) in from.zip(row.chunks_exact_mut(self.decoded)) {
            to[self.decoded - 1] = from[place];
        }
        self.make_straight(row);
    }

    /// Divides the colour by the alpha that it was multiplied with.
    fn make_straight(&self, row: &mut [T]) {
        if self.alpha != Alpha::Associated {
            return;
        }
        for pixel in row.chunks_exact_mut(self.decoded) {
            let Some((alpha, colors)) = pixel.split_last_mut() else {
                continue;
            };
            let alpha = alpha.to_unit();
            if alpha > 0.0 && alpha < 1.0 {
                for color in colors {
                    *color = T::from_f32(color.to_f32() / alpha);
                }
            }
        }
    }

    /// `CIELab` has signed a and b, `ICCLab` has them shifted by half of the range; `ICCLab` of 16
    /// bit has its whites at 0xff00.
    fn lab(&self, pixel: &[T]) -> [f32; 3] {
        let [l, a, b] = [0, 1, 2].map(|place| pixel[place].to_f32());
        let wide = T::WHITE > 255.0;
        let step = if wide { 256.0 } else { 1.0 };
        let signed = |value: f32| {
            let value = value / step;
            if value >= 128.0 { value - 256.0 } else { value }
        };
        if self.photometric == Photometric::CieLab {
            return [l * 100.0 / T::WHITE, signed(a), signed(b)];
        }
        let white = if wide { 65280.0 } else { 255.0 };
        [l * 100.0 / white, a / step - 128.0, b / step - 128.0]
    }
}

/// Spreads the chroma of subsampled blocks over their pixels: Y Cb Cr for each pixel.
pub(super) fn spread_chroma(layout: &Layout, blocks: &[u8], rows: usize, out: &mut [u8]) {
    let (h, v) = layout.subsampling;
    let width = layout.chunk.0 as usize;
    let across = width.div_ceil(h);
    for (index, block) in blocks.chunks_exact(h * v + 2).enumerate() {
        let (left, top) = (index % across * h, index / across * v);
        let (lumas, chroma) = block.split_at(h * v);
        for (place, luma) in lumas.iter().enumerate() {
            let (x, y) = (left + place % h, top + place / h);
            if x < width && y < rows {
                let at = (y * width + x) * 3;
                out[at..at + 3].copy_from_slice(&[*luma, chroma[0], chroma[1]]);
            }
        }
    }
}

fn put<T: Copy>(rgb: [T; 3], pixel: &mut [T]) {
    pixel[..3].copy_from_slice(&rgb);
}

fn inverted<T: Sample>(sample: T) -> T {
    T::from_f32(T::WHITE - sample.to_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_and_chroma_of_bt601() {
        // The corners of the RGB cube by the equations of JFIF 1.02.
        for (ycc, rgb) in [
            ([255.0, 128.0, 128.0], [255.0, 255.0, 255.0]),
            ([76.245, 84.972, 255.5], [255.0, 0.0, 0.0]),
            ([29.07, 255.5, 107.265], [0.0, 0.0, 255.0]),
        ] {
            for (found, expected) in Luma::DEFAULT.to_rgb(ycc).into_iter().zip(rgb) {
                assert!(
                    (found - expected).abs() < 0.6,
                    "{ycc:?}: {found} for {expected}"
                );
            }
        }
    }
}
