//! Oklab: lightness and two opponent colours in which equal steps look about equal.
//!
//! Ottosson, *A perceptual color space for image processing* (2020), from coded sRGB and back.

/// Linear RGB to responses of cones.
const TO_CONES: [[f32; 3]; 3] = [
    [0.412_221_47, 0.536_332_54, 0.051_445_99],
    [0.211_903_5, 0.680_699_5, 0.107_396_96],
    [0.088_302_46, 0.281_718_85, 0.629_978_7],
];

/// Cube roots of these to L, a and b.
const TO_LAB: [[f32; 3]; 3] = [
    [0.210_454_26, 0.793_617_8, -0.004_072_047],
    [1.977_998_5, -2.428_592_2, 0.450_593_7],
    [0.025_904_037, 0.782_771_77, -0.808_675_77],
];

const FROM_LAB: [[f32; 3]; 3] = [
    [1.0, 0.396_337_78, 0.215_803_76],
    [1.0, -0.105_561_346, -0.063_854_17],
    [1.0, -0.089_484_18, -1.291_485_5],
];

const FROM_CONES: [[f32; 3]; 3] = [
    [4.076_741_7, -3.307_711_6, 0.230_969_94],
    [-1.268_438, 2.609_757_4, -0.341_319_4],
    [-0.004_196_086_3, -0.703_418_6, 1.707_614_7],
];

/// Coded sRGB from 0 to 1 in Oklab: lightness 0 to 1, `a` and `b` about −0.4 to 0.4.
pub(super) fn to_oklab(rgb: [f32; 3]) -> [f32; 3] {
    let cones = product(&TO_CONES, rgb.map(decode));
    product(&TO_LAB, cones.map(f32::cbrt))
}

/// Oklab as coded sRGB; colours beyond sRGB lie outside 0 to 1.
pub(super) fn from_oklab(lab: [f32; 3]) -> [f32; 3] {
    let cones = product(&FROM_LAB, lab).map(|root| root * root * root);
    product(&FROM_CONES, cones).map(encode)
}

fn product(matrix: &[[f32; 3]; 3], v: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|row| matrix[row][0] * v[0] + matrix[row][1] * v[1] + matrix[row][2] * v[2])
}

/// From coded to linear (IEC 61966-2-1), mirrored below 0.
fn decode(value: f32) -> f32 {
    let size = value.abs();
    let linear = if size <= 0.040_45 {
        size / 12.92
    } else {
        ((size + 0.055) / 1.055).powf(2.4)
    };
    linear.copysign(value)
}

/// From linear to coded, mirrored below 0.
fn encode(value: f32) -> f32 {
    let size = value.abs();
    let coded = if size <= 0.003_130_8 {
        size * 12.92
    } else {
        1.055 * size.powf(1.0 / 2.4) - 0.055
    };
    coded.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_and_the_way_back() {
        // White, and red as CSS Color 4 has it: oklab(0.62796 0.22486 0.12585).
        let cases = [
            ([1.0; 3], [1.0, 0.0, 0.0]),
            ([1.0, 0.0, 0.0], [0.62796, 0.22486, 0.12585]),
        ];
        for (rgb, lab) in cases {
            for (found, expected) in to_oklab(rgb).into_iter().zip(lab) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{rgb:?}: {found} {expected}"
                );
            }
        }
        for step in 0..125_u8 {
            let rgb = [step / 25, step / 5 % 5, step % 5].map(|level| f32::from(level) / 4.0);
            for (found, expected) in from_oklab(to_oklab(rgb)).into_iter().zip(rgb) {
                assert!((found - expected).abs() < 2e-5, "{rgb:?}: {found}");
            }
        }
    }
}
