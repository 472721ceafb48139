//! Tone: gives a faded picture its range back.

use fonds_core::{Change, ColorModel, Outcome, Raster, Result, Sample, Samples};

use super::support::params::in_range;
use super::support::reduce::Reduced;
use super::support::rows;
use super::support::work::Work;
use crate::measure::border::{self, Frame};
use crate::measure::cast::Cast;

/// What the stretched tails beyond the black and the white point keep of the range, so that
/// nothing is cut off.
const HEADROOM: f64 = 0.012;

/// A picture above this is a toned print: its tone is its own, not a cast.
const TONED: f64 = 0.6;

/// Pixels that are counted, at most.
const MAX_COUNTED: usize = 4_000_000;

/// Bins of a histogram.
const BINS: usize = 4096;

/// How the channels are stretched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToneMode {
    /// All channels alike: colours keep their hue.
    #[default]
    Joint,
    /// Each channel by its own ends: for colour materials whose dyes faded unevenly. A toned
    /// monochrome print is stretched jointly all the same.
    PerChannel,
}

/// Stretches a faded picture to the range, gently.
///
/// Black and white points are percentiles of the picture inside its border. What lies beyond them
/// is compressed into the last 1.2 % of the range, never cut off, and no end moves further than
/// `limit`, so that fog, snow and night stay what they are. A picture that leaves less than
/// `min_fading` of the range unused is left alone.
///
/// A cast is removed only on request, by bending the middle of each channel, and never from a
/// toned print; `neutral` is the opt-in that turns sepia into gray. Acts on all depths, through
/// tables with a value for each code; the change records `black`, `white` (0 to 1) and `fading`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tone {
    /// How the channels are stretched.
    pub mode: ToneMode,
    /// Per cent of the pixels beyond the black point, and beyond the white point; 0 to 5.
    pub clip: f64,
    /// The most that either end moves, as a share of the range; 0 to 0.5.
    pub limit: f64,
    /// The share of the range that must be unused before anything happens; 0 to 1.
    pub min_fading: f64,
    /// How much of the stretch is applied, 0 to 1.
    pub strength: f64,
    /// How much of a colour cast is removed, 0 to 1.
    pub cast: f64,
    /// Turns a toned monochrome print (sepia, cyanotype) into neutral gray.
    pub neutral: bool,
}

impl Default for Tone {
    fn default() -> Self {
        Self {
            mode: ToneMode::Joint,
            clip: 0.2,
            limit: 0.25,
            min_fading: 0.15,
            strength: 0.8,
            cast: 0.0,
            neutral: false,
        }
    }
}

impl Tone {
    /// Checks the parameters.
    pub fn validate(&self) -> Result<()> {
        in_range("clip", self.clip, &(0.0..=5.0))?;
        in_range("limit", self.limit, &(0.0..=0.5))?;
        in_range("min_fading", self.min_fading, &(0.0..=1.0))?;
        in_range("strength", self.strength, &(0.0..=1.0))?;
        in_range("cast", self.cast, &(0.0..=1.0))
    }

    /// Stretches, or leaves the picture alone when it uses its range.
    pub fn apply(&self, mut raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let reduced = Reduced::of(&raster);
        let cast = Cast::of(&reduced);
        let curves = self.curves(&raster, &reduced, &cast);
        let neutral = self.neutral && cast.toned > TONED;
        let Some(curves) = curves else {
            if !neutral {
                return Ok(Outcome::unchanged(raster));
            }
            make_gray(&mut raster);
            return Ok(Outcome::changed(raster, Change::new("toning removed")));
        };
        if neutral {
            make_gray(&mut raster);
        }
        apply_curves(&mut raster, &curves.tables);
        let summary = if neutral {
            "tones stretched, toning removed"
        } else {
            curves.summary
        };
        let change = Change::new(summary)
            .value("black", curves.black)
            .value("white", curves.white)
            .value("fading", curves.fading);
        Ok(Outcome::changed(raster, change))
    }

    fn curves(&self, raster: &Raster, reduced: &Reduced, cast: &Cast) -> Option<Curves> {
        let frame = border::find(reduced, &reduced.luma());
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let frame = frame.map_or(Frame::whole(width, height), |frame| {
            frame.scaled(reduced, raster)
        });
        let histograms = Histograms::of(raster, frame);
        let joint = histograms.ends(None, self.clip / 100.0);
        let fading = 1.0 - (joint.1 - joint.0);
        let stretch = fading >= self.min_fading && joint.1 - joint.0 > 0.02;
        let balance = self.cast > 0.0 && cast.toned <= TONED && cast.chroma > 1.0;
        if !stretch && !balance {
            return None;
        }
        let colored = raster.format().model == ColorModel::Rgb;
        let apart = self.mode == ToneMode::PerChannel && colored && cast.toned <= TONED;
        let tables = (0..raster.format().color_channels()).map(|channel| {
            let ends = if apart {
                histograms.ends(Some(channel), self.clip / 100.0)
            } else {
                joint
            };
            let curve = if stretch {
                self.curve(ends)
            } else {
                Curve::NONE
            };
            let power = if balance {
                self.power(cast, channel)
            } else {
                1.0
            };
            curve.bent(power)
        });
        let limited = self.limited(joint);
        Some(Curves {
            tables: tables.collect(),
            black: limited.0,
            white: limited.1,
            fading,
            summary: match (stretch, balance) {
                (true, true) => "tones stretched, cast reduced",
                (true, false) => "tones stretched",
                _ => "cast reduced",
            },
        })
    }

    fn limited(&self, (black, white): (f64, f64)) -> (f64, f64) {
        (black.min(self.limit), white.max(1.0 - self.limit))
    }

    fn curve(&self, ends: (f64, f64)) -> Curve {
        let (black, white) = self.limited(ends);
        Curve {
            black,
            white,
            // Ends that lie beyond the headroom already stay where they are.
            low: HEADROOM.min(black),
            high: (1.0 - HEADROOM).max(white),
            strength: self.strength,
            power: 1.0,
        }
    }

    /// The power that brings the neutral parts of a channel to the mean of the channels.
    fn power(&self, cast: &Cast, channel: usize) -> f64 {
        let unit = |code: f32| (f64::from(code) / 255.0).clamp(0.02, 0.98);
        let luma = cast.neutral.iter().map(|code| unit(*code)).sum::<f64>() / 3.0;
        let full = luma.ln() / unit(cast.neutral[channel % 3]).ln();
        full.clamp(0.6, 1.6).powf(self.cast)
    }
}

struct Curves {
    tables: Vec<Curve>,
    black: f64,
    white: f64,
    fading: f64,
    summary: &'static str,
}

/// A rising curve from 0..1 to 0..1: three straight pieces, blended with the input, then a power.
#[derive(Debug, Clone, Copy)]
struct Curve {
    black: f64,
    white: f64,
    low: f64,
    high: f64,
    strength: f64,
    power: f64,
}

impl Curve {
    const NONE: Self = Self {
        black: 0.0,
        white: 1.0,
        low: 0.0,
        high: 1.0,
        strength: 0.0,
        power: 1.0,
    };

    fn bent(self, power: f64) -> Self {
        Self { power, ..self }
    }

    fn at(&self, value: f64) -> f64 {
        let stretched = if value < self.black {
            self.low * value / self.black
        } else if value > self.white {
            self.high + (1.0 - self.high) * (value - self.white) / (1.0 - self.white)
        } else {
            let share = (value - self.black) / (self.white - self.black).max(1e-9);
            self.low + (self.high - self.low) * share
        };
        let blended = value + self.strength * (stretched - value);
        if self.power == 1.0 || !(0.0..1.0).contains(&blended) {
            blended
        } else {
            blended.powf(self.power)
        }
    }
}

fn apply_curves(raster: &mut Raster, curves: &[Curve]) {
    let (row_len, channels) = (raster.row_len(), raster.format().channels());
    match raster.format().depth {
        fonds_core::Depth::U8 => {
            let tables: Vec<_> = curves.iter().map(table::<u8>).collect();
            let samples = raster.as_mut_slice::<u8>().expect("the depth is 8 bits");
            look_up(samples, row_len, channels, &tables, |v| usize::from(*v));
        }
        fonds_core::Depth::U16 => {
            let tables: Vec<_> = curves.iter().map(table::<u16>).collect();
            let samples = raster.as_mut_slice::<u16>().expect("the depth is 16 bits");
            look_up(samples, row_len, channels, &tables, |v| usize::from(*v));
        }
        fonds_core::Depth::F32 => {
            let samples = raster
                .as_mut_slice::<f32>()
                .expect("the samples are floats");
            rows::for_each_row(samples, row_len, |_, row| {
                for pixel in row.chunks_exact_mut(channels) {
                    for (sample, curve) in pixel.iter_mut().zip(curves) {
                        *sample = curve.at(f64::from(*sample)) as f32;
                    }
                }
            });
        }
    }
}

fn table<T: Sample>(curve: &Curve) -> Vec<T> {
    let white = T::WHITE as usize;
    (0..=white)
        .map(|code| T::from_unit(curve.at(code as f64 / white as f64) as f32))
        .collect()
}

fn look_up<T: Sample>(
    samples: &mut [T],
    row_len: usize,
    channels: usize,
    tables: &[Vec<T>],
    index: impl Fn(&T) -> usize + Sync,
) {
    rows::for_each_row(samples, row_len, |_, row| {
        for pixel in row.chunks_exact_mut(channels) {
            for (sample, table) in pixel.iter_mut().zip(tables) {
                *sample = table[index(sample)];
            }
        }
    });
}

fn make_gray(raster: &mut Raster) {
    let format = raster.format();
    if format.model == ColorModel::Gray {
        return;
    }
    let (row_len, channels) = (raster.row_len(), format.channels());
    let luma = |pixel: [f32; 3]| 0.2126 * pixel[0] + 0.7152 * pixel[1] + 0.0722 * pixel[2];
    macro_rules! each {
        ($type:ty) => {
            if let Some(samples) = raster.as_mut_slice::<$type>() {
                rows::for_each_row(samples, row_len, |_, row| {
                    for pixel in row.chunks_exact_mut(channels) {
                        let gray = luma([pixel[0], pixel[1], pixel[2]].map(Sample::to_f32));
                        pixel[..3].fill(Sample::from_f32(gray));
                    }
                });
            }
        };
    }
    each!(u8);
    each!(u16);
    each!(f32);
}

/// A histogram for each colour channel inside the frame.
struct Histograms(Vec<Vec<u32>>);

impl Histograms {
    fn of(raster: &Raster, frame: Frame) -> Self {
        // Two per cent off each side: edges are frayed, and nobody looks there.
        let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
        let frame = Frame {
            left: frame.left + width / 50,
            top: frame.top + height / 50,
            right: frame.right - width / 50,
            bottom: frame.bottom - height / 50,
        };
        match raster.samples() {
            Samples::U8(samples) => count(raster, samples, frame, |v| {
                usize::from(v) * (BINS - 1) / 255
            }),
            Samples::U16(samples) => count(raster, samples, frame, |v| {
                usize::from(v) * (BINS - 1) / 65_535
            }),
            Samples::F32(samples) => count(raster, samples, frame, |v| {
                usize::from(v.word()) * (BINS - 1) / 65_535
            }),
        }
    }

    /// The values (0 to 1) below and above which this share of a channel's samples lies; of all
    /// channels the outermost ones.
    fn ends(&self, channel: Option<usize>, share: f64) -> (f64, f64) {
        let ends = |bins: &Vec<u32>| {
            let total: u64 = bins.iter().map(|bin| u64::from(*bin)).sum();
            let spare = (total as f64 * share) as u64;
            let low = beyond(bins.iter(), spare);
            let high = BINS - 1 - beyond(bins.iter().rev(), spare);
            let unit = |bin: usize| bin as f64 / (BINS - 1) as f64;
            (unit(low), unit(high))
        };
        match channel {
            Some(channel) => ends(&self.0[channel]),
            None => self
                .0
                .iter()
                .map(ends)
                .fold((1.0, 0.0), |all, one| (one.0.min(all.0), one.1.max(all.1))),
        }
    }
}

/// The first bin that is reached when this many samples may lie before it.
fn beyond<'a>(bins: impl Iterator<Item = &'a u32>, spare: u64) -> usize {
    let mut seen = 0;
    for (i, bin) in bins.enumerate() {
        seen += u64::from(*bin);
        if seen > spare {
            return i;
        }
    }
    0
}

fn count<T: Sample>(
    raster: &Raster,
    samples: &[T],
    frame: Frame,
    bin: impl Fn(T) -> usize + Sync,
) -> Histograms {
    let (channels, color) = (raster.format().channels(), raster.format().color_channels());
    let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
    let step = (width * height).div_ceil(MAX_COUNTED);
    let parts = rows::map_bands(height.div_ceil(step), 256, |rows| {
        let mut bins = vec![vec![0_u32; BINS]; color];
        for i in rows {
            let start = (frame.top + i * step) * raster.row_len() + frame.left * channels;
            for pixel in samples[start..][..width * channels].chunks_exact(channels) {
                for (bins, sample) in bins.iter_mut().zip(pixel) {
                    bins[bin(*sample)] += 1;
                }
            }
        }
        bins
    });
    let mut all = vec![vec![0_u32; BINS]; color];
    for part in parts {
        for (all, part) in all.iter_mut().flatten().zip(part.into_iter().flatten()) {
            *all += part;
        }
    }
    Histograms(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::PixelFormat;

    fn faded(low: u16, high: u16) -> Raster {
        let samples = (0..200 * 200_u32)
            .flat_map(|i| {
                let v = u32::from(low) + (i * 7919 % 1009) * u32::from(high - low) / 1008;
                [v as u16; 3]
            })
            .collect();
        Raster::from_samples(200, 200, ColorModel::Rgb, false, Samples::U16(samples)).unwrap()
    }

    #[test]
    fn a_faded_ramp_fills_the_range_and_nothing_is_cut() {
        let tone = Tone {
            strength: 1.0,
            ..Tone::default()
        };
        let outcome = tone.apply(faded(12_000, 52_000)).unwrap();
        let samples = outcome.raster.as_slice::<u16>().unwrap();
        let (least, most) = (samples.iter().min().unwrap(), samples.iter().max().unwrap());
        assert!(*least > 0 && *least < 1200, "{least}");
        assert!(*most < 65_535 && *most > 64_000, "{most}");
        // 1009 values go in, and 16 bits keep them apart.
        let mut distinct = samples.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 1009);
    }

    #[test]
    fn the_limit_holds_for_fog() {
        let outcome = Tone::default().apply(faded(50_000, 60_000)).unwrap();
        let samples = outcome.raster.as_slice::<u16>().unwrap();
        assert!(*samples.iter().min().unwrap() > 40_000);
    }

    #[test]
    fn full_range_and_empty_pictures_stay() {
        for raster in [
            faded(500, 64_000),
            faded(30_000, 30_000),
            Raster::new(1, 1, PixelFormat::GRAY8),
        ] {
            let outcome = Tone::default().apply(raster.clone()).unwrap();
            assert_eq!(outcome, Outcome::unchanged(raster));
        }
    }

    fn sepia() -> Raster {
        let samples = (0..100 * 100_u32)
            .flat_map(|i| {
                let v = (60 + i * 7919 % 140) as f32;
                [v, v * 0.85, v * 0.62].map(|v| v as u8)
            })
            .collect();
        Raster::from_samples(100, 100, ColorModel::Rgb, false, Samples::U8(samples)).unwrap()
    }

    #[test]
    fn sepia_keeps_its_tone_unless_asked() {
        let keep = Tone {
            mode: ToneMode::PerChannel,
            cast: 1.0,
            ..Tone::default()
        };
        let kept = keep.apply(sepia()).unwrap().raster;
        assert!(Cast::of(&Reduced::of(&kept)).chroma > 8.0);
        let neutral = Tone {
            neutral: true,
            ..Tone::default()
        };
        let gray = neutral.apply(sepia()).unwrap().raster;
        let pixels = gray.as_slice::<u8>().unwrap().chunks_exact(3);
        assert!(pixels.clone().all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn a_cast_goes_on_request() {
        let samples = (0..120 * 120_u32)
            .flat_map(|i| {
                let v = (40 + i * 7919 % 170) as f32 / 255.0;
                let tint = [0.0, 0.25, -0.25][(i / 7 % 3) as usize];
                [v.powf(0.8), (v + tint).max(0.0), v.powf(1.3)].map(|v| (v * 255.0) as u8)
            })
            .collect();
        let raster =
            Raster::from_samples(120, 120, ColorModel::Rgb, false, Samples::U8(samples)).unwrap();
        let before = Cast::of(&Reduced::of(&raster));
        assert!(before.toned < TONED, "{before:?}");
        let tone = Tone {
            cast: 1.0,
            ..Tone::default()
        };
        let after = Cast::of(&Reduced::of(&tone.apply(raster).unwrap().raster));
        assert!(after.chroma < before.chroma * 0.6, "{before:?} {after:?}");
    }
}
