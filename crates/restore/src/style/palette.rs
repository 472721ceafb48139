//! Styles with their weights and regions, and the colours of a picture that is given a style: gray
//! that stays gray, colours that are kept, profiles, depth and alpha.

use std::sync::Arc;

use fonds_core::{Code, ColorModel, Depth, Error, PixelFormat, Raster, Result, Sample};
use fonds_image::color;
use fonds_image::ops::{Filter, Gray, Match, MatchMethod, Reference, Resize, Target};
use fonds_nn::picture::{planes, write_planes};
use fonds_nn::tile::Rect;

/// A picture whose style another one is given.
#[derive(Debug, Clone)]
pub struct Style {
    /// The picture, in any format.
    pub picture: Raster,
    /// Its share among several, above 0.
    pub weight: f64,
    /// Its longest side for each that it is looked at in, in longest sides of the content: 1 is as
    /// large as the content; smaller ones make a finer fabric.
    pub scales: Vec<f64>,
    /// Where it holds: white is wholly, black not at all; as large as the content. Everywhere when
    /// absent, or where no other style's mask is.
    pub mask: Option<Raster>,
}

impl Style {
    /// A picture that counts 1, as large as the content, everywhere.
    pub fn new(picture: Raster) -> Self {
        Self {
            picture,
            weight: 1.0,
            scales: vec![1.0],
            mask: None,
        }
    }
}

/// What becomes of the content's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepColors {
    /// They become those of the style.
    #[default]
    No,
    /// Only luma takes the style; each place keeps its colour.
    Luma,
    /// The style is brought to the content's mean colour and covariance before it is used.
    Matched,
}

/// That styles can be used for a picture of this size.
pub(super) fn check(styles: &[Style], (width, height): (u32, u32)) -> Result<()> {
    let refused = |message: String| Err(Error::new(Code::InvalidRequest, message));
    for style in styles {
        if !(style.weight > 0.0 && style.weight.is_finite()) {
            return refused(format!(
                "a style's weight of {} is not above 0",
                style.weight
            ));
        }
        if style.scales.is_empty() || style.scales.iter().any(|s| !(0.05..=4.0).contains(s)) {
            return refused(format!(
                "a style's scales of {:?} are not 0.05 to 4",
                style.scales
            ));
        }
        if let Some(mask) = &style.mask
            && (mask.width(), mask.height()) != (width, height)
        {
            let found = format!("{} × {}", mask.width(), mask.height());
            let message = format!("a mask of {found} pixels for a picture of {width} × {height}");
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("masks are as large as the picture"));
        }
    }
    Ok(())
}

/// What is done with colours for one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Gray in, gray out.
    Gray,
    /// Colours in, colours out.
    Colors(KeepColors),
}

impl Manner {
    pub(super) fn of(content: &Raster, keep: KeepColors, color_on_gray: bool) -> Self {
        match content.format().model {
            ColorModel::Gray if !color_on_gray => Self::Gray,
            // A gray picture has no colours to be kept.
            ColorModel::Gray => Self::Colors(KeepColors::No),
            ColorModel::Rgb => Self::Colors(keep),
        }
    }

    /// Whether the network sees gray alone.
    pub(super) fn sees_gray(self) -> bool {
        matches!(self, Self::Gray | Self::Colors(KeepColors::Luma))
    }

    /// The format that comes out.
    pub(super) fn output(self, input: PixelFormat) -> PixelFormat {
        match self {
            Self::Gray => input,
            Self::Colors(_) => PixelFormat {
                model: ColorModel::Rgb,
                ..input
            },
        }
    }
}

/// A picture in sRGB, in the channels that come out.
pub(super) fn standard(content: &Raster, manner: Manner) -> Result<Raster> {
    match (content.format().model, manner) {
        (ColorModel::Gray, Manner::Gray) => Ok(content.clone()),
        (ColorModel::Gray, Manner::Colors(_)) => Ok(colored(content)),
        (ColorModel::Rgb, _) => color::to_srgb(content.clone()),
    }
}

/// The result in the profile that the content had.
pub(super) fn own_profile(made: Raster, content: &Raster) -> Result<Raster> {
    match (content.format().model, made.format().model, content.icc()) {
        (ColorModel::Rgb, ColorModel::Rgb, Some(icc)) => color::to_profile(made, Arc::clone(icc)),
        (ColorModel::Gray, ColorModel::Rgb, _) => {
            Ok(made.with_icc(Some(Arc::from(color::srgb_profile()))))
        }
        _ => Ok(made),
    }
}

/// A style as it is used for a content (in sRGB): gray where the network sees gray, matched to the
/// content where its colours are kept.
pub(super) fn style_for(style: &Raster, content: &Raster, manner: Manner) -> Result<Raster> {
    let standard = color::to_srgb(style.clone())?;
    let transport = |picture: Raster, to: &Raster| {
        let matching = Match {
            method: MatchMethod::Transport,
            strength: 1.0,
        };
        Ok(matching.apply(picture, &Reference::of(to)?)?.raster)
    };
    match manner {
        Manner::Gray => gray(standard),
        Manner::Colors(KeepColors::No) => Ok(standard),
        // Its tones are brought to the content's, so that the colours that are kept still fit.
        Manner::Colors(KeepColors::Luma) => transport(gray(standard)?, &gray(content.clone())?),
        Manner::Colors(KeepColors::Matched) => transport(standard, content),
    }
}

/// Luma alone.
pub(super) fn gray(raster: Raster) -> Result<Raster> {
    Ok(Gray::default().apply(raster)?.raster)
}

/// Three channels of floats from 0 to 1, without alpha; of gray thrice the same.
pub(super) fn canvas(raster: &Raster) -> Raster {
    let region = whole(raster);
    let mut values = planes(raster, &region);
    if raster.format().model == ColorModel::Gray {
        values = values.repeat(3);
    }
    canvas_of(raster.width(), raster.height(), &values)
}

/// The same of planes `[3, height, width]`.
pub(super) fn canvas_of(width: u32, height: u32, values: &[f32]) -> Raster {
    let format = PixelFormat::new(Depth::F32, ColorModel::Rgb, false);
    let mut canvas = Raster::new(width, height, format);
    let region = whole(&canvas);
    write_planes(&mut canvas, &region, values);
    canvas
}

/// The largest size of the same shape with this longest side; enlarged only where that is wanted.
pub(super) fn fitted(raster: &Raster, longest: u32, enlarge: bool) -> Result<Raster> {
    let longest = longest.max(1);
    resized(
        raster,
        Target::Fit {
            width: longest,
            height: longest,
        },
        enlarge,
    )
}

/// Exactly this size.
pub(super) fn exactly(raster: &Raster, width: u32, height: u32) -> Result<Raster> {
    resized(raster, Target::Exact { width, height }, true)
}

fn resized(raster: &Raster, to: Target, enlarge: bool) -> Result<Raster> {
    let resize = Resize {
        to,
        filter: Filter::CatmullRom,
        enlarge,
    };
    Ok(resize.apply(raster.clone())?.raster)
}

pub(super) fn whole(raster: &Raster) -> Rect {
    Rect {
        x: 0..raster.width() as usize,
        y: 0..raster.height() as usize,
    }
}

/// Luma of Rec. 709, as in gray pictures.
pub(super) fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// A picture with the luma of another and its own colours; both have the same size and space.
///
/// # Errors
/// `internal` when their sizes differ.
pub fn with_luma_of(mut picture: Raster, made: &Raster) -> Result<Raster> {
    let same = (picture.width(), picture.height()) == (made.width(), made.height());
    if !same || picture.format().color_channels() != 3 || made.format().color_channels() != 3 {
        return Err(Error::new(Code::Internal, "luma of another size"));
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    for y in 0..height {
        let row = Rect {
            x: 0..width,
            y: y..y + 1,
        };
        let (mut own, other) = (planes(&picture, &row), planes(made, &row));
        let of = |row: &[f32], at: usize| luma([row[at], row[width + at], row[2 * width + at]]);
        let steps: Vec<f32> = (0..width).map(|at| of(&other, at) - of(&own, at)).collect();
        for plane in own.chunks_exact_mut(width) {
            for (value, step) in plane.iter_mut().zip(&steps) {
                *value += step;
            }
        }
        write_planes(&mut picture, &row, &own);
    }
    Ok(picture)
}

/// A gray picture in three channels.
fn colored(raster: &Raster) -> Raster {
    fn spread<T: Sample>(samples: &[T], alpha: bool) -> Vec<T> {
        let stride = 1 + usize::from(alpha);
        let pixels = samples.chunks_exact(stride);
        pixels
            .flat_map(|pixel| [pixel[0]; 3].into_iter().chain(pixel[1..].iter().copied()))
            .collect()
    }
    let (width, height) = (raster.width(), raster.height());
    let alpha = raster.format().alpha;
    let samples = fonds_core::with_samples!(raster.samples(), samples => {
        Sample::wrap(spread(samples, alpha))
    });
    let made = Raster::from_samples(width, height, ColorModel::Rgb, alpha, samples);
    made.expect("three samples for each gray one")
        .with_ppi(raster.ppi())
}

/// Adds a small field of differences to a large picture, enlarged to its size, and keeps a share of
/// the picture's own: `share · picture + field`. The field has a plane for each colour channel, or
/// one for all.
pub(super) fn paint(
    picture: &mut Raster,
    field: &[f32],
    (width, height): (usize, usize),
    share: f32,
) {
    let area = width * height;
    let (columns, rows) = (picture.width() as usize, picture.height() as usize);
    let channels = picture.format().channels();
    let colors = picture.format().color_channels();
    let fields = field.len() / area;
    let (across, down) = (taps(width, columns), taps(height, rows));
    let mut mixed = vec![0.0; width * fields];
    let mut row_of = |y: usize, out: &mut [f32]| {
        mixed.fill(0.0);
        for (row, weight) in down[y] {
            for (plane, mixed) in mixed.chunks_exact_mut(width).enumerate() {
                let row = &field[plane * area + row * width..][..width];
                for (to, from) in mixed.iter_mut().zip(row) {
                    *to += weight * from;
                }
            }
        }
        for (x, taps) in across.iter().enumerate() {
            for plane in 0..fields {
                out[x * fields + plane] = taps
                    .iter()
                    .map(|(at, weight)| weight * mixed[plane * width + at])
                    .sum();
            }
        }
    };
    let mut line = vec![0.0; columns * fields];
    macro_rules! each {
        ($type:ty) => {
            if let Some(samples) = picture.as_mut_slice::<$type>() {
                for (y, row) in samples.chunks_exact_mut(columns * channels).enumerate() {
                    row_of(y, &mut line);
                    for (pixel, added) in row
                        .chunks_exact_mut(channels)
                        .zip(line.chunks_exact(fields))
                    {
                        for (channel, sample) in pixel[..colors].iter_mut().enumerate() {
                            let added = added[channel.min(fields - 1)];
                            *sample = <$type>::from_unit(share * sample.to_unit() + added);
                        }
                    }
                }
            }
        };
    }
    each!(u8);
    each!(u16);
    each!(f32);
}

/// For each place of a long side the four places of a short one that are read, with their weights
/// (Catmull-Rom's; one alone where both sides are equal).
fn taps(short: usize, long: usize) -> Vec<[(usize, f32); 4]> {
    let ratio = short as f64 / long as f64;
    let tap = |place: usize| {
        let at = (place as f64 + 0.5) * ratio - 0.5;
        let first = at.floor();
        let t = (at - first) as f32;
        let weights = [
            ((2.0 - t) * t - 1.0) * t / 2.0,
            f32::midpoint((3.0 * t - 5.0) * t * t, 2.0),
            ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
            (t - 1.0) * t * t / 2.0,
        ];
        let place = |offset: i64| (first as i64 + offset).clamp(0, short as i64 - 1) as usize;
        [
            (place(-1), weights[0]),
            (place(0), weights[1]),
            (place(1), weights[2]),
            (place(2), weights[3]),
        ]
    };
    (0..long).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use fonds_core::Samples;

    use super::*;

    #[test]
    fn a_field_of_the_same_size_is_added_as_it_is() {
        let samples = (0..5 * 4 * 4).map(|i| (i * 9) as u8).collect();
        let picture =
            Raster::from_samples(5, 4, ColorModel::Rgb, true, Samples::U8(samples)).unwrap();
        let values: Vec<f32> = (0..3 * 20).map(|i| i as f32 / 60.0).collect();
        let mut made = picture.clone();
        paint(&mut made, &values, (5, 4), 0.0);
        let made = made.as_slice::<u8>().unwrap();
        for (index, pixel) in made.chunks_exact(4).enumerate() {
            let wanted = [0, 1, 2].map(|c| u8::from_unit(values[c * 20 + index]));
            assert_eq!(pixel[..3], wanted);
            assert_eq!(pixel[3], picture.as_slice::<u8>().unwrap()[index * 4 + 3]);
        }
        let mut same = picture.clone();
        paint(&mut same, &[0.0; 20], (5, 4), 1.0);
        assert_eq!(same, picture);
    }

    #[test]
    fn a_small_field_is_enlarged_without_a_shift() {
        let mut made = Raster::new(24, 8, PixelFormat::new(Depth::F32, ColorModel::Gray, false));
        // A slope stays a slope.
        let field: Vec<f32> = (0..6 * 2).map(|i| ((i % 6) as f32 + 0.5) / 6.0).collect();
        paint(&mut made, &field, (6, 2), 1.0);
        let made = made.as_slice::<f32>().unwrap();
        for x in 8..16 {
            let expected = (x as f32 + 0.5) / 24.0;
            assert!(
                (made[3 * 24 + x] - expected).abs() < 1e-5,
                "{x}: {}",
                made[3 * 24 + x]
            );
        }
    }

    #[test]
    fn gray_in_three_channels() {
        let gray = Raster::from_samples(
            2,
            1,
            ColorModel::Gray,
            true,
            Samples::U16(vec![7, 8, 9, 10]),
        );
        let made = colored(&gray.unwrap());
        assert_eq!(made.as_slice::<u16>().unwrap(), [7, 7, 7, 8, 9, 9, 9, 10]);
    }

    #[test]
    fn masks_of_another_size_are_refused() {
        let mut style = Style::new(Raster::new(4, 4, PixelFormat::RGB8));
        check(std::slice::from_ref(&style), (5, 6)).unwrap();
        style.mask = Some(Raster::new(5, 5, PixelFormat::GRAY8));
        let error = check(&[style], (5, 6)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a mask of 5 × 5 pixels for a picture of 5 × 6"
        );
    }
}
