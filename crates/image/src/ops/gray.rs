//! Gray: one channel of luma in place of three of colour.

use fonds_core::{Change, ColorModel, Outcome, PixelFormat, Raster, Result, Sample, with_samples};

use super::support::rows;

/// Turns colour into gray by Rec. 709 luma of the coded samples, in the picture's own space and
/// depth; a gray picture stays as it is.
///
/// A profile for RGB does not fit the result and is left out, which the change says. Alpha is
/// carried along.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gray {}

impl Gray {
    /// There is nothing to check.
    pub fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Converts.
    pub fn apply(&self, raster: Raster) -> Result<Outcome> {
        self.validate()?;
        let format = raster.format();
        if format.model == ColorModel::Gray {
            return Ok(Outcome::unchanged(raster));
        }
        let profile = if raster.icc().is_some() {
            "; the RGB profile was left out"
        } else {
            ""
        };
        let samples = with_samples!(raster.samples(), samples => {
            Sample::wrap(luma(samples, raster.row_len(), format))
        });
        let (width, height) = (raster.width(), raster.height());
        let gray = Raster::from_samples(width, height, ColorModel::Gray, format.alpha, samples)?;
        let change = Change::new(format!("converted to gray{profile}"));
        Ok(Outcome::changed(gray.with_ppi(raster.ppi()), change))
    }
}

fn luma<T: Sample>(samples: &[T], row_len: usize, format: PixelFormat) -> Vec<T> {
    let channels = format.channels();
    let out_channels = channels - 2;
    let out_len = row_len / channels * out_channels;
    let mut out = vec![T::default(); samples.len() / channels * out_channels];
    rows::for_each_row(&mut out, out_len, |y, out| {
        let row = &samples[y * row_len..][..row_len];
        for (pixel, out) in row
            .chunks_exact(channels)
            .zip(out.chunks_exact_mut(out_channels))
        {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(T::to_f32);
            out[0] = T::from_f32(0.2126 * r + 0.7152 * g + 0.0722 * b);
            if format.alpha {
                out[1] = pixel[3];
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_core::Samples;

    #[test]
    fn luma_and_alpha() {
        let samples = Samples::U16(vec![65_535, 0, 0, 7, 1000, 1000, 1000, 9]);
        let raster = Raster::from_samples(2, 1, ColorModel::Rgb, true, samples).unwrap();
        let raster = raster.with_icc(Some(b"rgb"[..].into()));
        let outcome = Gray::default().apply(raster).unwrap();
        assert_eq!(
            outcome.raster.as_slice::<u16>().unwrap(),
            [13_933, 7, 1000, 9]
        );
        assert!(outcome.raster.icc().is_none());
        assert!(outcome.change.unwrap().summary.contains("profile"));
    }
}
