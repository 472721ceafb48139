//! Match: tones and colours of one picture brought to those of another, pixel by pixel.

mod curve;
mod moments;
mod space;

use fonds_core::{Change, ColorModel, Outcome, Raster, Result, with_samples};

use self::curve::{Curve, Histogram};
use self::moments::Moments;
use super::support::params::in_range;
use super::support::rows;
use super::support::work::{Work, luma_word, with_channels};
use crate::color;

/// The most that a spread of tones or colours is widened: what is beyond is the picture's noise, not
/// its colours.
const WIDEST: f64 = 4.0;

/// Rows that one task looks at.
const ROWS: usize = 256;

/// How tones and colours are carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchMethod {
    /// Mean and deviation of lightness and of two opponent colours: Reinhard et al., *Color Transfer
    /// between Images* (2001), here in Oklab (Ottosson 2020), which has no logarithm to run into at
    /// black.
    Reinhard,
    /// Mean and covariance of red, green and blue, by the linear map that moves colours least: Pitié
    /// and Kokaram, *The linear Monge-Kantorovitch linear colour mapping for example-based colour
    /// transfer* (2007).
    #[default]
    Transport,
    /// The whole distribution of each channel, by a curve for each. Tints that change with the
    /// tone, as those of sepia prints do, come over too.
    Histogram,
}

/// Brings tones and colours of a picture to those of a reference.
///
/// One map for all pixels: what is equal stays equal, and no structure is touched. A gray picture
/// stays gray, and a gray reference gives its tones alone; luma is that of Rec. 709. Spreads are
/// widened at most fourfold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// How.
    pub method: MatchMethod,
    /// How much of it, 0 to 1.
    pub strength: f64,
}

impl Default for Match {
    fn default() -> Self {
        Self {
            method: MatchMethod::default(),
            strength: 1.0,
        }
    }
}

/// Tones and colours of a picture that others are to be like.
#[derive(Debug, Clone)]
pub struct Reference {
    luma: Tones,
    /// Of a gray picture none.
    colors: Option<Colors>,
}

#[derive(Debug, Clone)]
struct Tones {
    moments: Moments<1>,
    histogram: Histogram,
}

#[derive(Debug, Clone)]
struct Colors {
    rgb: Moments<3>,
    lab: Moments<3>,
    histograms: [Histogram; 3],
}

impl Reference {
    /// What is to be known of a picture, whatever its profile.
    ///
    /// # Errors
    /// `corrupt` when its profile cannot be used.
    pub fn of(raster: &Raster) -> Result<Self> {
        if is_standard(raster) {
            return Ok(Self::of_standard(raster));
        }
        Ok(Self::of_standard(&color::to_srgb(raster.clone())?))
    }

    /// Of a picture in sRGB.
    fn of_standard(raster: &Raster) -> Self {
        let colored = raster.format().model == ColorModel::Rgb;
        let row_len = raster.row_len();
        let bands = with_samples!(raster.samples(), samples => {
            with_channels!(raster.format().channels(), CH => {
                rows::map_bands(raster.height() as usize, ROWS, |rows| {
                    let band = &samples[rows.start * row_len..rows.end * row_len];
                    Self::of_pixels(band.chunks_exact(CH).map(words::<_, CH>), colored)
                })
            })
        });
        let mut bands = bands.into_iter();
        let mut whole = bands.next().expect("a raster has at least one row");
        for band in bands {
            whole.merge(&band);
        }
        whole
    }

    fn of_pixels(pixels: impl Iterator<Item = [u16; 3]>, colored: bool) -> Self {
        let mut luma = Tones {
            moments: Moments::default(),
            histogram: Histogram::default(),
        };
        let mut colors = colored.then(|| Colors {
            rgb: Moments::default(),
            lab: Moments::default(),
            histograms: Default::default(),
        });
        for [r, g, b] in pixels {
            let y = luma_word(r, g, b);
            luma.moments.add([f64::from(y) / 65535.0]);
            luma.histogram.add(y);
            if let Some(colors) = &mut colors {
                let unit = [r, g, b].map(|word| f32::from(word) / 65535.0);
                colors.rgb.add(unit.map(f64::from));
                colors.lab.add(space::to_oklab(unit).map(f64::from));
                for (histogram, word) in colors.histograms.iter_mut().zip([r, g, b]) {
                    histogram.add(word);
                }
            }
        }
        Self { luma, colors }
    }

    fn merge(&mut self, other: &Self) {
        self.luma.moments.merge(&other.luma.moments);
        self.luma.histogram.merge(&other.luma.histogram);
        if let (Some(to), Some(from)) = (&mut self.colors, &other.colors) {
            to.rgb.merge(&from.rgb);
            to.lab.merge(&from.lab);
            for (to, from) in to.histograms.iter_mut().zip(&from.histograms) {
                to.merge(from);
            }
        }
    }
}

impl Match {
    /// Checks the parameters.
    ///
    /// # Errors
    /// `invalid_request` that names the range.
    pub fn validate(&self) -> Result<()> {
        in_range("strength", self.strength, &(0.0..=1.0))
    }

    /// Carries tones and colours over.
    ///
    /// # Errors
    /// `invalid_request` when a parameter is out of range, `corrupt` when the picture's profile cannot
    /// be used.
    pub fn apply(&self, raster: Raster, reference: &Reference) -> Result<Outcome> {
        self.validate()?;
        if self.strength == 0.0 {
            return Ok(Outcome::unchanged(raster));
        }
        // Gray samples are taken as they are, whatever their profile's curve.
        let profile = raster.icc().cloned().filter(|_| !is_standard(&raster));
        let mut raster = match profile {
            Some(_) => color::to_srgb(raster)?,
            None => raster,
        };
        let own = Reference::of_standard(&raster);
        let mapping = Mapping::new(self.method, &own, reference);
        let row_len = raster.row_len();
        let strength = self.strength as f32;
        macro_rules! each {
            ($type:ty) => {
                let channels = raster.format().channels();
                if let Some(samples) = raster.as_mut_slice::<$type>() {
                    with_channels!(channels, CH => {
                        rows::for_each_row(samples, row_len, |_, row| {
                            mapping.apply_row::<$type, CH>(row, strength);
                        });
                    });
                }
            };
        }
        each!(u8);
        each!(u16);
        each!(f32);
        let raster = match profile {
            Some(profile) => color::to_profile(raster, profile)?,
            None => raster,
        };
        let ([mean], [to]) = (own.luma.moments.mean(), reference.luma.moments.mean());
        let change = Change::new("tones and colours matched to a reference")
            .value("strength", self.strength)
            .value("mean_luma", mean)
            .value("reference_mean_luma", to);
        Ok(Outcome::changed(raster, change))
    }
}

/// Whether the samples can be taken as they are.
fn is_standard(raster: &Raster) -> bool {
    raster.format().model == ColorModel::Gray || raster.icc().is_none()
}

/// Red, green and blue on the 16-bit scale; of a gray pixel thrice the same.
fn words<T: Work, const CH: usize>(pixel: &[T]) -> [u16; 3] {
    if CH < 3 {
        [pixel[0].word(); 3]
    } else {
        [pixel[0].word(), pixel[1].word(), pixel[2].word()]
    }
}

/// What becomes of a pixel.
#[derive(Debug)]
enum Mapping {
    /// Luma goes along a line, and all channels with it: factor and shift.
    Line([f32; 2]),
    /// Luma goes along a curve, and all channels with it.
    Tone(Curve),
    /// In Oklab: factors and shifts.
    Lab([[f32; 2]; 3]),
    /// In RGB: rows of a matrix, and what is added.
    Linear([[f32; 3]; 3], [f32; 3]),
    /// A curve for each channel.
    Curves(Box<[Curve; 3]>),
}

impl Mapping {
    fn new(method: MatchMethod, own: &Reference, to: &Reference) -> Self {
        let (Some(colors), Some(to_colors)) = (&own.colors, &to.colors) else {
            return match method {
                MatchMethod::Histogram => {
                    Self::Tone(Curve::between(&own.luma.histogram, &to.luma.histogram))
                }
                _ => Self::Line(lines(&own.luma.moments, &to.luma.moments)[0]),
            };
        };
        match method {
            MatchMethod::Reinhard => Self::Lab(lines(&colors.lab, &to_colors.lab)),
            MatchMethod::Transport => {
                let matrix = moments::transport(
                    &colors.rgb.covariance(),
                    &to_colors.rgb.covariance(),
                    WIDEST,
                );
                let (mean, to) = (colors.rgb.mean(), to_colors.rgb.mean());
                let shift = [0, 1, 2].map(|row| {
                    let moved: f64 = (0..3)
                        .map(|column| matrix[row][column] * mean[column])
                        .sum();
                    (to[row] - moved) as f32
                });
                Self::Linear(matrix.map(|row| row.map(|value| value as f32)), shift)
            }
            MatchMethod::Histogram => {
                let curve =
                    |at: usize| Curve::between(&colors.histograms[at], &to_colors.histograms[at]);
                Self::Curves(Box::new([curve(0), curve(1), curve(2)]))
            }
        }
    }

    fn apply_row<T: Work, const CH: usize>(&self, row: &mut [T], strength: f32) {
        for pixel in row.chunks_exact_mut(CH) {
            if CH < 3 {
                let gray = pixel[0].to_unit();
                let step = self.of_luma(gray) - gray;
                pixel[0] = T::from_unit(gray + strength * step);
                continue;
            }
            let rgb = [pixel[0].to_unit(), pixel[1].to_unit(), pixel[2].to_unit()];
            let made = self.of(rgb);
            for (sample, (from, to)) in pixel.iter_mut().zip(rgb.into_iter().zip(made)) {
                *sample = T::from_unit(from + strength * (to - from));
            }
        }
    }

    /// The tone of a gray pixel.
    fn of_luma(&self, luma: f32) -> f32 {
        match self {
            Self::Line([factor, shift]) => luma * factor + shift,
            Self::Tone(curve) => curve.at(luma),
            // Those with colours are made for pictures that have some.
            Self::Lab(_) | Self::Linear(..) | Self::Curves(_) => luma,
        }
    }

    fn of(&self, rgb: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Line(_) | Self::Tone(_) => {
                let [r, g, b] = rgb;
                let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
                let step = self.of_luma(luma) - luma;
                rgb.map(|value| value + step)
            }
            Self::Lab(lines) => {
                let lab = space::to_oklab(rgb);
                let at = |axis: usize| lab[axis] * lines[axis][0] + lines[axis][1];
                space::from_oklab([at(0), at(1), at(2)])
            }
            Self::Linear(matrix, shift) => [0, 1, 2].map(|row| {
                let [a, b, c] = matrix[row];
                a * rgb[0] + b * rgb[1] + c * rgb[2] + shift[row]
            }),
            Self::Curves(curves) => [0, 1, 2].map(|channel| curves[channel].at(rgb[channel])),
        }
    }
}

/// For each axis the factor and the shift that give it another's mean and deviation.
fn lines<const N: usize>(own: &Moments<N>, to: &Moments<N>) -> [[f32; 2]; N] {
    let (mean, to_mean) = (own.mean(), to.mean());
    let (deviation, to_deviation) = (own.deviation(), to.deviation());
    std::array::from_fn(|axis| {
        let factor = if deviation[axis] > 1e-9 {
            (to_deviation[axis] / deviation[axis]).min(WIDEST)
        } else {
            1.0
        };
        [factor as f32, (to_mean[axis] - factor * mean[axis]) as f32]
    })
}

#[cfg(test)]
mod tests;
