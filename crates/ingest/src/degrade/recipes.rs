//! Recipes with a name.

use fonds_core::{Code, Error, Result};

use super::{
    Base, Blur, Dust, Effect, Fade, Fold, Foxing, Grain, Hair, Halftone, Interpolation, Jpeg, Lens,
    LowResolution, Monochrome, Motion, Noise, Order, Recipe, Resize, Round, Scratch, Sepia, Silver,
    Sinc, Stain, Step, Tear, Vignette, Yellow,
};

/// The names that [`Recipe::named`] knows.
pub const RECIPES: [&str; 8] = [
    "bicubic",
    "real_esrgan",
    "digital",
    "old_photograph",
    "scratches",
    "faded",
    "film",
    "newspaper",
];

impl Recipe {
    /// A recipe by its name, for a picture that becomes `scale` times smaller.
    ///
    /// Fails with [`Code::InvalidRequest`] when there is none of that name.
    pub fn named(name: &str, scale: usize) -> Result<Self> {
        let recipe = match name {
            "bicubic" => return Ok(Self::bicubic(scale)),
            "real_esrgan" => return Ok(Self::real_esrgan(scale)),
            "digital" => return Ok(Self::digital(scale)),
            "old_photograph" => Self::old_photograph(),
            "scratches" => Self::scratches(),
            "faded" => Self::faded(),
            "film" => Self::film(),
            "newspaper" => Self::newspaper(),
            _ => {
                let message = format!("there is no recipe `{name}`");
                return Err(Error::new(Code::InvalidRequest, message)
                    .hint(format!("the recipes are {}", RECIPES.join(", "))));
            }
        };
        Ok(Self { scale, ..recipe })
    }

    /// The picture made smaller as MATLAB's `imresize` does: the standard of super-resolution.
    pub fn bicubic(scale: usize) -> Self {
        Self {
            scale,
            effects: vec![Step::always(Effect::Resize(Resize::matlab()))],
            order: Order::Fixed,
        }
    }

    /// The second-order chain of Real-ESRGAN (Wang et al. 2021): blur, resizing, noise and JPEG,
    /// twice, with ringing at the end.
    ///
    /// Its targets are sharpened there; here they stay as they are.
    pub fn real_esrgan(scale: usize) -> Self {
        let kernels = vec![
            Interpolation::Area,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
        ];
        let first = Resize {
            up: 0.2,
            down: 0.7,
            keep: 0.1,
            range: (0.15, 1.5),
            base: Base::Current,
            kernels: kernels.clone(),
        };
        let second = Resize {
            up: 0.3,
            down: 0.4,
            keep: 0.3,
            range: (0.3, 1.2),
            base: Base::Target,
            kernels: kernels.clone(),
        };
        let jpeg = || Step::always(Effect::Jpeg(Jpeg::default()));
        let end = || {
            let resize = Step::always(Effect::Resize(Resize::to_target(kernels.clone())));
            [resize, Step::new(0.8, Effect::Sinc(Sinc::default()))]
        };
        let group = |effects: Vec<Step>| Effect::Group {
            effects,
            order: Order::Fixed,
        };
        let [resize, sinc] = end();
        let before = group(vec![resize, sinc, jpeg()]);
        let [resize, sinc] = end();
        let after = group(vec![jpeg(), resize, sinc]);
        Self {
            scale,
            effects: vec![
                Step::always(Effect::Blur(Blur::default())),
                Step::always(Effect::Resize(first)),
                Step::always(Effect::Noise(Noise::default())),
                jpeg(),
                Step::new(0.8, Effect::Blur(Blur::second())),
                Step::always(Effect::Resize(second)),
                Step::always(Effect::Noise(Noise::second())),
                Step::always(Effect::OneOf(vec![
                    Step::new(0.5, before),
                    Step::new(0.5, after),
                ])),
                Step::always(Effect::Round(Round {})),
            ],
            order: Order::Fixed,
        }
    }

    /// What cameras, scanners and files of recent decades do: mild blur, noise and JPEG, in random
    /// order, each of them often missing.
    pub fn digital(scale: usize) -> Self {
        let blur = Blur {
            sinc: 0.0,
            ..Blur::second()
        };
        let noise = Noise {
            sigma: (1.0, 25.0),
            poisson: (0.05, 2.0),
            ..Noise::default()
        };
        let jpeg = Jpeg {
            subsampled: 0.6,
            shifted: true,
            ..Jpeg::default()
        };
        let kernels = vec![
            Interpolation::Matlab,
            Interpolation::Area,
            Interpolation::Bicubic,
        ];
        let mut effects = vec![
            Step::new(0.6, Effect::Blur(blur)),
            Step::new(0.7, Effect::Noise(noise)),
            Step::new(0.15, Effect::LowResolution(LowResolution::default())),
        ];
        if scale > 1 {
            effects.push(Step::always(Effect::Resize(Resize::to_target(kernels))));
        }
        let group = Effect::Group {
            effects,
            order: Order::Random,
        };
        Self {
            scale,
            effects: vec![
                Step::always(group),
                Step::new(0.65, Effect::Jpeg(jpeg)),
                Step::always(Effect::Round(Round {})),
            ],
            order: Order::Fixed,
        }
    }

    /// A print of 1860 to 1960 that came down in a drawer and was scanned: lens, grain, fading,
    /// then what lay on it and broke it, then the scanner.
    pub fn old_photograph() -> Self {
        let tones = vec![
            Step::new(0.45, Effect::Sepia(Sepia::default())),
            Step::new(0.35, Effect::Yellow(Yellow::default())),
            Step::new(
                0.2,
                Effect::Fade(Fade {
                    black: (0.0, 0.12),
                    cast: (0.2, 0.8),
                    ..Fade::default()
                }),
            ),
        ];
        let damage = vec![
            Step::new(0.25, Effect::Silver(Silver::default())),
            Step::new(0.2, Effect::Foxing(Foxing::default())),
            Step::new(0.25, Effect::Stain(Stain::default())),
            Step::new(0.35, Effect::Fold(Fold::default())),
            Step::new(0.45, Effect::Scratch(Scratch::default())),
            Step::new(0.75, Effect::Dust(Dust::default())),
            Step::new(0.3, Effect::Hair(Hair::default())),
            Step::new(0.2, Effect::Tear(Tear::default())),
        ];
        Self {
            scale: 1,
            effects: vec![
                Step::new(0.8, Effect::Monochrome(Monochrome::default())),
                Step::new(0.6, Effect::Lens(Lens::default())),
                Step::new(0.08, Effect::Motion(Motion::default())),
                Step::new(0.7, Effect::Grain(Grain::default())),
                Step::new(0.3, Effect::Vignette(Vignette::default())),
                Step::new(
                    0.7,
                    Effect::Fade(Fade {
                        cast: (0.0, 0.2),
                        ..Fade::default()
                    }),
                ),
                Step::new(0.85, Effect::OneOf(tones)),
                Step::always(Effect::Group {
                    effects: damage,
                    order: Order::Random,
                }),
                Step::new(0.2, Effect::LowResolution(LowResolution::default())),
                Step::new(
                    0.3,
                    Effect::Noise(Noise {
                        sigma: (1.0, 8.0),
                        poisson: (0.05, 0.6),
                        ..Noise::default()
                    }),
                ),
                Step::new(
                    0.5,
                    Effect::Jpeg(Jpeg {
                        shifted: true,
                        ..Jpeg::default()
                    }),
                ),
                Step::always(Effect::Round(Round {})),
            ],
            order: Order::Fixed,
        }
    }

    /// Local damage alone, in random order: for finding and for filling it.
    pub fn scratches() -> Self {
        Self {
            scale: 1,
            effects: vec![
                Step::new(0.7, Effect::Scratch(Scratch::default())),
                Step::new(0.7, Effect::Dust(Dust::default())),
                Step::new(0.4, Effect::Hair(Hair::default())),
                Step::new(0.35, Effect::Fold(Fold::default())),
                Step::new(0.15, Effect::Stain(Stain::default())),
                Step::new(0.15, Effect::Tear(Tear::default())),
            ],
            order: Order::Random,
        }
    }

    /// Fading and discoloration alone.
    pub fn faded() -> Self {
        Self {
            scale: 1,
            effects: vec![
                Step::always(Effect::Fade(Fade::default())),
                Step::new(0.5, Effect::Yellow(Yellow::default())),
                Step::new(0.3, Effect::Vignette(Vignette::default())),
            ],
            order: Order::Fixed,
        }
    }

    /// A frame of film: grain, and what a projector's gate leaves on it.
    pub fn film() -> Self {
        let scratch = Scratch {
            vertical: 0.95,
            length: (0.2, 1.5),
            width: (0.5, 1.6),
            ..Scratch::default()
        };
        Self {
            scale: 1,
            effects: vec![
                Step::new(
                    0.4,
                    Effect::Lens(Lens {
                        radius: (0.4, 1.2),
                        ..Lens::default()
                    }),
                ),
                Step::always(Effect::Grain(Grain::default())),
                Step::new(0.4, Effect::Fade(Fade::default())),
                Step::new(0.8, Effect::Scratch(scratch)),
                Step::new(
                    0.9,
                    Effect::Dust(Dust {
                        light: 0.5,
                        ..Dust::default()
                    }),
                ),
                Step::new(0.4, Effect::Hair(Hair::default())),
            ],
            order: Order::Fixed,
        }
    }

    /// A picture cut out of a newspaper or a book.
    pub fn newspaper() -> Self {
        Self {
            scale: 1,
            effects: vec![
                Step::always(Effect::Halftone(Halftone::default())),
                Step::new(0.8, Effect::Yellow(Yellow::default())),
                Step::new(0.3, Effect::Foxing(Foxing::default())),
                Step::new(0.4, Effect::Fold(Fold::default())),
                Step::new(0.5, Effect::Jpeg(Jpeg::default())),
                Step::always(Effect::Round(Round {})),
            ],
            order: Order::Fixed,
        }
    }
}
