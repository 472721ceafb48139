//! Recipes as they stand in TOML and JSON.
//!
//! ```toml
//! scale = 2
//! order = "fixed"
//!
//! [[effect]]
//! probability = 0.8
//! run.blur = { sigma = [0.2, 1.5], sinc = 0.0 }
//!
//! [[effect]]
//! run.one_of = { effect = [
//!     { probability = 3, run.jpeg = { quality = [20, 90] } },
//!     { probability = 1, run.noise = { sigma = 12 } },
//! ] }
//! ```
//!
//! or `recipe = "old_photograph"` with `scale` and `strength`. A range is written as two numbers, or
//! as one where both are the same; what is left out has the effect's default.

use std::fmt;
use std::path::PathBuf;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Base, Effect, Interpolation, Order, Problem, Recipe, Step};

/// A recipe as it is written; [`RecipeWire::recipe`] gives it its meaning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strength: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    effect: Vec<StepWire>,
}

impl RecipeWire {
    /// The recipe, or all that is wrong with it, each with its key.
    pub fn recipe(self) -> Result<Recipe, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut add = |key: &str, message: String| {
            let key = key.to_owned();
            problems.push(Problem { key, message });
        };
        let scale = self.scale.unwrap_or(1);
        let strength = self.strength.unwrap_or(1.0);
        if !(0.0..=4.0).contains(&strength) {
            add("strength", format!("it is 0 to 4 (found {strength})"));
        }
        if self.recipe.is_some() && (!self.effect.is_empty() || self.order.is_some()) {
            add(
                "recipe",
                "it stands beside `effect` or `order`; give one of the two".to_owned(),
            );
        }
        if self.recipe.is_none() && self.effect.is_empty() {
            add("effect", "there is none, and no `recipe` either".to_owned());
        }
        let recipe = match &self.recipe {
            Some(name) => Recipe::named(name, scale).unwrap_or_else(|error| {
                let hint = error.hints().first().map(|hint| format!("; {hint}"));
                add(
                    "recipe",
                    format!("{}{}", error.message(), hint.unwrap_or_default()),
                );
                Recipe::bicubic(scale)
            }),
            None => Recipe {
                scale,
                effects: self.effect.into_iter().map(StepWire::inner).collect(),
                order: self.order.map(OrderWire::inner).unwrap_or_default(),
            },
        };
        problems.extend(recipe.problems());
        if problems.is_empty() {
            Ok(recipe.with_strength(strength))
        } else {
            Err(problems)
        }
    }
}

impl From<&Recipe> for RecipeWire {
    /// The recipe written out in full.
    fn from(recipe: &Recipe) -> Self {
        Self {
            recipe: None,
            strength: None,
            scale: Some(recipe.scale),
            order: Some(OrderWire::outer(recipe.order)),
            effect: recipe
                .effects
                .iter()
                .cloned()
                .map(StepWire::outer)
                .collect(),
        }
    }
}

/// What has a form for files and a form for work.
trait Wire {
    type Inner;
    fn inner(self) -> Self::Inner;
    fn outer(inner: Self::Inner) -> Self;
}

macro_rules! same {
    ($($type:ty),*) => {
        $(impl Wire for $type {
            type Inner = Self;
            fn inner(self) -> Self {
                self
            }
            fn outer(inner: Self) -> Self {
                inner
            }
        })*
    };
}

same!(f32, bool, PathBuf, Vec<String>);

impl<T: Wire> Wire for Vec<T>
where
    T: NotText,
{
    type Inner = Vec<T::Inner>;

    fn inner(self) -> Self::Inner {
        self.into_iter().map(T::inner).collect()
    }

    fn outer(inner: Self::Inner) -> Self {
        inner.into_iter().map(T::outer).collect()
    }
}

/// Everything in lists but texts, which are the same in both forms.
trait NotText {}
impl NotText for InterpolationWire {}
impl NotText for StepWire {}

/// Two numbers, or one that stands for both.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range(f32, f32);

impl Wire for Range {
    type Inner = (f32, f32);

    fn inner(self) -> (f32, f32) {
        (self.0, self.1)
    }

    fn outer(inner: (f32, f32)) -> Self {
        Self(inner.0, inner.1)
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == self.1 {
            self.0.serialize(serializer)
        } else {
            [self.0, self.1].serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Range;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or two as `[from, to]`")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Range, E> {
                Ok(Range(value as f32, value as f32))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Range, E> {
                Ok(Range(value as f32, value as f32))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Range, E> {
                Ok(Range(value as f32, value as f32))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Range, A::Error> {
                let missing = |n| serde::de::Error::invalid_length(n, &self);
                let from = seq.next_element()?.ok_or_else(|| missing(0))?;
                let to = seq.next_element()?.ok_or_else(|| missing(1))?;
                match seq.next_element::<f32>()? {
                    None => Ok(Range(from, to)),
                    Some(_) => Err(serde::de::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(Numbers)
    }
}

/// An enum of words that is the same in both forms.
macro_rules! words {
    ($wire:ident for $inner:ident { $($variant:ident),* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $wire { $($variant),* }

        impl Wire for $wire {
            type Inner = $inner;
            fn inner(self) -> $inner {
                match self { $(Self::$variant => $inner::$variant),* }
            }
            fn outer(inner: $inner) -> Self {
                match inner { $($inner::$variant => Self::$variant),* }
            }
        }
    };
}

words!(OrderWire for Order { Fixed, Random });
words!(BaseWire for Base { Current, Original, Target });
words!(InterpolationWire for Interpolation { Area, Bilinear, Bicubic, Matlab, Nearest });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepWire {
    #[serde(default = "always", skip_serializing_if = "is_always")]
    probability: f32,
    run: EffectWire,
}

fn in_order() -> OrderWire {
    OrderWire::Fixed
}

fn always() -> f32 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_always(probability: &f32) -> bool {
    *probability == 1.0
}

impl Wire for StepWire {
    type Inner = Step;

    fn inner(self) -> Step {
        Step::new(self.probability, self.run.inner())
    }

    fn outer(step: Step) -> Self {
        Self {
            probability: step.probability,
            run: EffectWire::outer(step.effect),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupWire {
    effect: Vec<StepWire>,
    #[serde(default = "in_order")]
    order: OrderWire,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneOfWire {
    effect: Vec<StepWire>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StampWire {
    folder: PathBuf,
    include: Vec<String>,
    count: Range,
    scale: Range,
    light: f32,
    cover: Range,
}

impl Default for StampWire {
    fn default() -> Self {
        Self::outer(super::Stamp::of(""))
    }
}

impl Wire for StampWire {
    type Inner = super::Stamp;

    fn inner(self) -> super::Stamp {
        let mut stamp = super::Stamp::of(self.folder);
        stamp.include = self.include;
        stamp.count = self.count.inner();
        stamp.scale = self.scale.inner();
        stamp.light = self.light;
        stamp.cover = self.cover.inner();
        stamp
    }

    fn outer(stamp: super::Stamp) -> Self {
        Self {
            folder: stamp.folder,
            include: stamp.include,
            count: Range::outer(stamp.count),
            scale: Range::outer(stamp.scale),
            light: stamp.light,
            cover: Range::outer(stamp.cover),
        }
    }
}

/// Structs with the fields of effects, and the enum of all effects.
macro_rules! effects {
    ($($variant:ident as $wire:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            struct $wire { $($field: $kind),* }

            impl Default for $wire {
                fn default() -> Self {
                    Self::outer(super::$variant::default())
                }
            }

            impl Wire for $wire {
                type Inner = super::$variant;

                fn inner(self) -> super::$variant {
                    super::$variant { $($field: self.$field.inner()),* }
                }

                fn outer(inner: super::$variant) -> Self {
                    let super::$variant { $($field),* } = inner;
                    Self { $($field: <$kind>::outer($field)),* }
                }
            }
        )*

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        enum EffectWire {
            $($variant($wire),)*
            Stamp(StampWire),
            Group(GroupWire),
            OneOf(OneOfWire),
        }

        impl Wire for EffectWire {
            type Inner = Effect;

            fn inner(self) -> Effect {
                match self {
                    $(Self::$variant(wire) => Effect::$variant(wire.inner()),)*
                    Self::Stamp(wire) => Effect::Stamp(wire.inner()),
                    Self::Group(wire) => Effect::Group {
                        effects: wire.effect.inner(),
                        order: wire.order.inner(),
                    },
                    Self::OneOf(wire) => Effect::OneOf(wire.effect.inner()),
                }
            }

            fn outer(effect: Effect) -> Self {
                match effect {
                    $(Effect::$variant(inner) => Self::$variant($wire::outer(inner)),)*
                    Effect::Stamp(inner) => Self::Stamp(StampWire::outer(inner)),
                    Effect::Group { effects, order } => Self::Group(GroupWire {
                        effect: Vec::outer(effects),
                        order: OrderWire::outer(order),
                    }),
                    Effect::OneOf(steps) => Self::OneOf(OneOfWire { effect: Vec::outer(steps) }),
                }
            }
        }
    };
}

effects! {
    Blur as BlurWire {
        isotropic: f32,
        anisotropic: f32,
        generalized_isotropic: f32,
        generalized_anisotropic: f32,
        plateau_isotropic: f32,
        plateau_anisotropic: f32,
        sinc: f32,
        size: Range,
        sigma: Range,
        beta_generalized: Range,
        beta_plateau: Range,
    }
    Sinc as SincWire { cutoff: Range, size: Range }
    Lens as LensWire { radius: Range, corners: Range, veil: Range }
    Motion as MotionWire { length: Range, bend: Range }
    Resize as ResizeWire {
        up: f32,
        down: f32,
        keep: f32,
        range: Range,
        base: BaseWire,
        kernels: Vec<InterpolationWire>,
    }
    LowResolution as LowResolutionWire {
        factor: Range,
        down: Vec<InterpolationWire>,
        up: Vec<InterpolationWire>,
    }
    Noise as NoiseWire { gaussian: f32, sigma: Range, poisson: Range, gray: f32 }
    Grain as GrainWire { strength: Range, size: Range, color: Range }
    Jpeg as JpegWire { quality: Range, subsampled: f32, times: Range, shifted: bool }
    Round as RoundWire {}
    Halftone as HalftoneWire { pitch: Range, angle: Range, soft: Range }
    Monochrome as MonochromeWire { red: Range }
    Fade as FadeWire { black: Range, white: Range, gamma: Range, cast: Range }
    Yellow as YellowWire { strength: Range, uneven: Range }
    Sepia as SepiaWire { strength: Range, hue: Range }
    Silver as SilverWire { strength: Range, reach: Range }
    Vignette as VignetteWire { strength: Range, begin: Range, light: f32 }
    Stain as StainWire { count: Range, size: Range, strength: Range }
    Foxing as FoxingWire { density: Range, radius: Range, strength: Range }
    Dust as DustWire { density: Range, radius: Range, light: f32, cover: Range }
    Hair as HairWire { count: Range, length: Range, width: Range, light: f32, cover: Range }
    Scratch as ScratchWire {
        count: Range,
        length: Range,
        width: Range,
        vertical: f32,
        light: f32,
        cover: Range,
    }
    Fold as FoldWire { count: Range, width: Range, broken: Range, shadow: Range, straight: f32 }
    Tear as TearWire { count: Range, length: Range, width: Range, corner: f32, corner_size: Range }
}
