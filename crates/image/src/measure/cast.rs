//! Colour casts and toned prints, in CIELAB.

use crate::ops::support::reduce::Reduced;

/// Pixels of the reduced copy that are looked at, about.
const SAMPLES: usize = 2048;

/// The share of pixels, from the least colourful, that ought to be gray.
const NEUTRAL: f64 = 0.2;

/// What the colours of a picture say about its toning.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cast {
    /// Length of the mean chroma of the most neutral fifth, CIELAB units.
    pub(crate) chroma: f64,
    /// Its hue angle, degrees, 0 to 360.
    pub(crate) hue: f64,
    /// How much of all chroma one tone explains, 0 to 1.
    pub(crate) toned: f64,
    /// Mean of the most neutral fifth, 8-bit code values.
    pub(crate) neutral: [f32; 3],
}

impl Cast {
    /// Looks at a regular sample of the reduced copy.
    pub(crate) fn of(reduced: &Reduced) -> Self {
        if reduced.channels == 1 {
            return Self::default();
        }
        let mut pixels = sample(reduced);
        if pixels.is_empty() {
            return Self::default();
        }
        let toned = toned(&pixels);
        pixels.sort_by(|a, b| a.chroma().total_cmp(&b.chroma()));
        pixels.truncate(((pixels.len() as f64 * NEUTRAL) as usize).max(1));
        let count = pixels.len() as f64;
        let a = pixels.iter().map(|p| f64::from(p.a)).sum::<f64>() / count;
        let b = pixels.iter().map(|p| f64::from(p.b)).sum::<f64>() / count;
        let mut neutral = [0.0; 3];
        for (c, value) in neutral.iter_mut().enumerate() {
            *value = pixels.iter().map(|p| p.rgb[c]).sum::<f32>() / count as f32;
        }
        Self {
            chroma: a.hypot(b),
            hue: b.atan2(a).to_degrees().rem_euclid(360.0),
            toned,
            neutral,
        }
    }
}

pub(super) struct Lab {
    lightness: f32,
    a: f32,
    b: f32,
    rgb: [f32; 3],
}

impl Lab {
    pub(super) fn of(rgb: [f32; 3]) -> Self {
        let [r, g, b] = rgb.map(linear);
        // sRGB primaries, D65 white (IEC 61966-2-1), each row divided by the white's X, Y, Z.
        let x = curve(0.433_953 * r + 0.376_219 * g + 0.189_828 * b);
        let y = curve(0.212_673 * r + 0.715_152 * g + 0.072_175 * b);
        let z = curve(0.017_758 * r + 0.109_477 * g + 0.872_765 * b);
        Self {
            lightness: 116.0 * y - 16.0,
            a: 500.0 * (x - y),
            b: 200.0 * (y - z),
            rgb,
        }
    }

    fn chroma(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// The distance of two colours (CIE 1976).
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let square = |a: f32, b: f32| f64::from(a - b).powi(2);
        let lightness = square(self.lightness, other.lightness);
        (lightness + square(self.a, other.a) + square(self.b, other.b)).sqrt()
    }
}

fn linear(code: f32) -> f32 {
    let unit = (code / 255.0).clamp(0.0, 1.0);
    if unit <= 0.04045 {
        unit / 12.92
    } else {
        ((unit + 0.055) / 1.055).powf(2.4)
    }
}

fn curve(t: f32) -> f32 {
    if t > 0.008_856 {
        t.cbrt()
    } else {
        7.787 * t + 16.0 / 116.0
    }
}

fn sample(reduced: &Reduced) -> Vec<Lab> {
    let step = ((reduced.width * reduced.height) as f64 / SAMPLES as f64).sqrt();
    let step = (step.round() as usize).max(1);
    let mut pixels = Vec::new();
    for y in (step / 2..reduced.height).step_by(step) {
        for x in (step / 2..reduced.width).step_by(step) {
            let lab = Lab::of(reduced.rgb(x, y));
            // Near the ends every cast is cut off.
            if (8.0..97.0).contains(&lab.lightness) {
                pixels.push(lab);
            }
        }
    }
    pixels
}

/// In a toned print chroma is a function of lightness alone: what remains around the mean of each
/// of ten steps of lightness, against the chroma itself.
fn toned(pixels: &[Lab]) -> f64 {
    let mut steps = [(0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64); 10];
    for pixel in pixels {
        let step = &mut steps[((pixel.lightness / 10.0) as usize).min(9)];
        let (a, b) = (f64::from(pixel.a), f64::from(pixel.b));
        *step = (step.0 + 1.0, step.1 + a, step.2 + b, step.3 + a * a + b * b);
    }
    let (mut rest, mut all) = (0.0, 0.0);
    for (count, a, b, squares) in steps {
        if count > 0.0 {
            rest += squares - (a * a + b * b) / count;
            all += squares;
        }
    }
    let chroma = (all / pixels.len() as f64).sqrt();
    if chroma < 3.0 {
        return 0.0;
    }
    (1.0 - (rest.max(0.0) / all).sqrt()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_of_known_colours() {
        // Published values of the sRGB primaries and white, D65.
        let cases = [
            ([255.0, 0.0, 0.0], [53.24, 80.09, 67.20]),
            ([0.0, 255.0, 0.0], [87.73, -86.18, 83.18]),
            ([0.0, 0.0, 255.0], [32.30, 79.19, -107.86]),
            ([255.0, 255.0, 255.0], [100.0, 0.0, 0.0]),
        ];
        for (rgb, [l, a, b]) in cases {
            let lab = Lab::of(rgb);
            let off = (lab.lightness - l).abs() + (lab.a - a).abs() + (lab.b - b).abs();
            assert!(off < 0.2, "{rgb:?}: {} {} {}", lab.lightness, lab.a, lab.b);
        }
    }

    fn made(color: impl Fn(usize) -> [f32; 3]) -> Reduced {
        Reduced {
            factor: 1,
            width: 64,
            height: 64,
            channels: 3,
            data: (0..4096).flat_map(color).collect(),
        }
    }

    #[test]
    fn gray_sepia_and_colour() {
        let gray = Cast::of(&made(|i| [(i % 256) as f32; 3]));
        assert!(gray.chroma < 0.1 && gray.toned == 0.0);
        let sepia = Cast::of(&made(|i| {
            let v = (i % 256) as f32;
            [v, v * 0.85, v * 0.6]
        }));
        assert!(sepia.chroma > 8.0 && sepia.toned > 0.7, "{sepia:?}");
        assert!((40.0..110.0).contains(&sepia.hue));
        let color = Cast::of(&made(|i| {
            [
                (i * 37 % 256) as f32,
                (i * 91 % 256) as f32,
                (i * 53 % 256) as f32,
            ]
        }));
        assert!(color.toned < 0.5, "{color:?}");
    }
}
