//! A picture's channels and a network's: gray, RGB, and luma with its chroma beside.

use fonds_nn::network::Colors;

/// How the channels of a picture become those of a network, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// The same channels.
    Direct,
    /// Gray in all three channels; of what comes out the luma is kept.
    GrayThroughRgb,
    /// Gray in all three channels; what comes out is in colour.
    GrayToRgb,
    /// The luma of a colour picture goes through; its chroma passes beside, enlarged.
    LumaOfRgb,
}

impl Route {
    /// The route from so many colour channels to a network, which makes `made` channels.
    pub(super) fn new(gray: bool, network: Colors, made: usize, color_on_gray: bool) -> Self {
        match (gray, network) {
            (true, Colors::Rgb) if color_on_gray && made == 3 => Self::GrayToRgb,
            (true, Colors::Rgb) => Self::GrayThroughRgb,
            (false, Colors::Luma | Colors::VideoLuma) => Self::LumaOfRgb,
            _ => Self::Direct,
        }
    }

    /// How often the picture's channels are repeated for the network.
    pub(super) fn repeat(self) -> usize {
        match self {
            Self::GrayThroughRgb | Self::GrayToRgb => 3,
            Self::Direct | Self::LumaOfRgb => 1,
        }
    }

    /// A picture's planes as the network's, before they are repeated; chroma planes are what is
    /// left over.
    pub(super) fn to_network(self, planes: Vec<f32>, pixels: usize) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Direct | Self::GrayThroughRgb | Self::GrayToRgb => (planes, Vec::new()),
            Self::LumaOfRgb => luma_and_chroma(&planes, pixels),
        }
    }

    /// The network's planes as the picture's, with the chroma that passed beside.
    pub(super) fn to_picture(self, made: Vec<f32>, chroma: &[f32], pixels: usize) -> Vec<f32> {
        match self {
            Self::GrayThroughRgb if made.len() == 3 * pixels => {
                (0..pixels).map(|at| luma(&made, at, pixels)).collect()
            }
            Self::LumaOfRgb => colored(&made, chroma, pixels),
            _ => made,
        }
    }
}

/// BT.601 luma.
const RED: f32 = 0.299;
const GREEN: f32 = 0.587;
const BLUE: f32 = 0.114;

fn luma(planes: &[f32], at: usize, pixels: usize) -> f32 {
    RED * planes[at] + GREEN * planes[pixels + at] + BLUE * planes[2 * pixels + at]
}

/// Luma, and the two colour differences B − Y and R − Y, unscaled.
fn luma_and_chroma(rgb: &[f32], pixels: usize) -> (Vec<f32>, Vec<f32>) {
    let lumas: Vec<f32> = (0..pixels).map(|at| luma(rgb, at, pixels)).collect();
    let (red, blue) = (&rgb[..pixels], &rgb[2 * pixels..]);
    let mut chroma: Vec<f32> = blue.iter().zip(&lumas).map(|(b, y)| b - y).collect();
    chroma.extend(red.iter().zip(&lumas).map(|(r, y)| r - y));
    (lumas, chroma)
}

fn colored(lumas: &[f32], chroma: &[f32], pixels: usize) -> Vec<f32> {
    let (blue, red) = chroma.split_at(pixels);
    let mut rgb = Vec::with_capacity(3 * pixels);
    rgb.extend(red.iter().zip(lumas).map(|(r, y)| r + y));
    rgb.extend((0..pixels).map(|at| {
        // Y = red·R + green·G + blue·B, solved for G.
        lumas[at] - (RED * red[at] + BLUE * blue[at]) / GREEN
    }));
    rgb.extend(blue.iter().zip(lumas).map(|(b, y)| b + y));
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_and_chroma_are_the_picture_again() {
        let rgb: Vec<f32> = (0..12).map(|i| i as f32 / 12.0).collect();
        let (luma, chroma) = Route::LumaOfRgb.to_network(rgb.clone(), 4);
        assert_eq!((luma.len(), chroma.len()), (4, 8));
        let back = Route::LumaOfRgb.to_picture(luma, &chroma, 4);
        for (a, b) in rgb.iter().zip(&back) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn gray_stays_gray_unless_asked() {
        assert_eq!(
            Route::new(true, Colors::Rgb, 3, false),
            Route::GrayThroughRgb
        );
        assert_eq!(Route::new(true, Colors::Rgb, 3, true), Route::GrayToRgb);
        assert_eq!(Route::new(true, Colors::Luma, 1, true), Route::Direct);
        assert_eq!(Route::GrayThroughRgb.repeat(), 3);
        let three = [0.25, 0.5].repeat(3);
        let one = Route::GrayThroughRgb.to_picture(three, &[], 2);
        assert!((one[0] - 0.25).abs() < 1e-6 && (one[1] - 0.5).abs() < 1e-6);
    }
}
