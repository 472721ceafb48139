//! What all effects and recipes have in common.

use super::wire::RecipeWire;
use super::*;
use fonds_core::{ColorModel, Raster, Samples};

/// A scene: sky, hills, and texture.
fn scene(channels: usize, width: usize, height: usize) -> Planes {
    let mut planes = Planes::filled(channels, height, width, 0.0);
    let pixels = planes.pixels();
    for (i, value) in planes.values.iter_mut().enumerate() {
        let (c, x, y) = (i / pixels, (i % width) as f32, (i % pixels / width) as f32);
        let hill = (x * 0.05).sin() * 20.0 + height as f32 / 2.0;
        let texture = 0.1 * (x * 0.9 + y * 0.4 + c as f32).sin();
        *value = if y < hill {
            0.8 - 0.05 * c as f32
        } else {
            0.35 + texture
        };
    }
    planes
}

fn single(effect: Effect) -> Recipe {
    Recipe {
        scale: 1,
        effects: vec![Step::always(effect)],
        order: Order::Fixed,
    }
}

fn all_effects() -> Vec<Effect> {
    vec![
        Effect::Blur(Blur::default()),
        Effect::Sinc(Sinc::default()),
        Effect::Lens(Lens::default()),
        Effect::Motion(Motion::default()),
        Effect::Resize(Resize {
            range: (0.4, 0.6),
            down: 1.0,
            keep: 0.0,
            base: Base::Current,
            ..Resize::default()
        }),
        Effect::LowResolution(LowResolution::default()),
        Effect::Noise(Noise::default()),
        Effect::Grain(Grain::default()),
        Effect::Jpeg(Jpeg::default()),
        Effect::Jpeg(Jpeg::old()),
        Effect::Round(Round {}),
        Effect::Halftone(Halftone::default()),
        Effect::Monochrome(Monochrome::default()),
        Effect::Fade(Fade::default()),
        Effect::Yellow(Yellow::default()),
        Effect::Sepia(Sepia::default()),
        Effect::Silver(Silver::default()),
        Effect::Vignette(Vignette::default()),
        Effect::Stain(Stain::default()),
        Effect::Foxing(Foxing::default()),
        Effect::Dust(Dust::default()),
        Effect::Hair(Hair::default()),
        Effect::Scratch(Scratch::default()),
        Effect::Fold(Fold::default()),
        Effect::Tear(Tear::default()),
    ]
}

/// Effects whose damage is local, so that they leave a mask.
const LOCAL: [&str; 7] = ["stain", "foxing", "dust", "hair", "scratch", "fold", "tear"];

#[test]
fn every_effect_does_something_reproducible_within_range() {
    for channels in [1, 3] {
        let clean = scene(channels, 96, 80);
        for effect in all_effects() {
            let (name, recipe) = (effect.name(), single(effect));
            let mut changed = false;
            let mut masked = false;
            for seed in 0..6 {
                let made = recipe.apply(&clean, Seed::new(seed)).unwrap();
                assert_eq!(
                    made,
                    recipe.apply(&clean, Seed::new(seed)).unwrap(),
                    "{name}"
                );
                assert_eq!((made.planes.width, made.planes.height), (96, 80), "{name}");
                assert_eq!((made.mask.width, made.mask.height), (96, 80), "{name}");
                let inside =
                    |planes: &Planes| planes.values.iter().all(|v| (0.0..=1.0).contains(v));
                assert!(inside(&made.planes) && inside(&made.mask), "{name}");
                assert!(made.applied.iter().all(|applied| applied.effect == name));
                assert!(!made.applied.is_empty());
                changed |= made.planes != clean;
                masked |= made.mask.values.iter().any(|&value| value > 0.1);
            }
            let for_color = channels == 1 && ["sepia", "monochrome"].contains(&name);
            assert_eq!(changed, !for_color, "{name} on {channels} channels");
            assert_eq!(masked, LOCAL.contains(&name), "{name}");
        }
    }
}

#[test]
fn outside_of_the_mask_local_damage_changes_nothing() {
    let clean = scene(3, 120, 100);
    for effect in all_effects() {
        let name = effect.name();
        // The paper around a fold is bent as well: that is shading, and no damage to fill.
        if !LOCAL.contains(&name) || name == "fold" {
            continue;
        }
        let made = single(effect).apply(&clean, Seed::new(3)).unwrap();
        for (i, &mask) in made.mask.values.iter().enumerate() {
            for c in 0..3 {
                let (before, after) = (clean.plane(c)[i], made.planes.plane(c)[i]);
                assert!(mask > 0.0 || before == after, "{name}");
            }
        }
    }
}

#[test]
fn tiny_pictures_survive_everything() {
    for (width, height) in [(1, 1), (2, 7), (9, 1)] {
        let clean = Planes::filled(3, height, width, 0.4);
        for effect in all_effects() {
            let name = effect.name();
            let made = single(effect).apply(&clean, Seed::new(5)).unwrap();
            assert!(
                made.planes.values.iter().all(|value| value.is_finite()),
                "{name}"
            );
        }
    }
}

#[test]
fn recipes_are_valid_have_their_scale_and_shuffle() {
    let clean = scene(3, 96, 64);
    for name in RECIPES {
        for scale in [1, 2, 4] {
            let recipe = Recipe::named(name, scale).unwrap();
            recipe.validate().unwrap();
            let made = recipe.apply(&clean, Seed::new(1)).unwrap();
            assert_eq!(
                (made.planes.width, made.planes.height),
                (96 / scale, 64 / scale),
                "{name}"
            );
        }
    }
    let orders: std::collections::BTreeSet<Vec<&str>> = (0..30)
        .map(|seed| Recipe::scratches().apply(&clean, Seed::new(seed)).unwrap())
        .map(|made| made.applied.iter().map(|applied| applied.effect).collect())
        .collect();
    assert!(orders.contains(&vec!["scratch", "dust"]) && orders.contains(&vec!["dust", "scratch"]));
    let error = Recipe::named("sepia_dream", 1).unwrap_err();
    assert!(error.hints()[0].contains("old_photograph"));
}

#[test]
fn the_second_order_chain_has_all_its_parts() {
    let clean = scene(3, 128, 128);
    let recipe = Recipe::real_esrgan(4);
    let mut before = 0;
    for seed in 0..20 {
        let made = recipe.apply(&clean, Seed::new(seed)).unwrap();
        let names: Vec<&str> = made.applied.iter().map(|applied| applied.effect).collect();
        let count = |name: &str| names.iter().filter(|found| **found == name).count();
        assert_eq!(
            (count("resize"), count("noise"), count("jpeg")),
            (3, 2, 2),
            "{names:?}"
        );
        assert_eq!(names.last(), Some(&"round"));
        assert!((1..=3).contains(&(count("blur") + count("sinc"))));
        before += usize::from(names[names.len() - 2] == "jpeg");
    }
    assert!((3..18).contains(&before), "{before} of 20 end with JPEG");
}

#[test]
fn strength_goes_from_nothing_to_more() {
    for name in RECIPES {
        for strength in [0.0, 0.3, 1.0, 2.0, 4.0] {
            let recipe = Recipe::named(name, 2).unwrap().with_strength(strength);
            assert_eq!(recipe.problems(), [], "{name} × {strength}");
        }
        let recipe = Recipe::named(name, 2).unwrap();
        assert_eq!(recipe.with_strength(1.0), recipe);
    }
    let clean = scene(3, 128, 128);
    let distance = |strength: f32| -> f32 {
        let recipe = Recipe::old_photograph().with_strength(strength);
        recipe.validate().unwrap();
        (0..12)
            .map(|seed| recipe.apply(&clean, Seed::new(seed)).unwrap())
            .map(|made| {
                made.planes
                    .values
                    .iter()
                    .zip(&clean.values)
                    .map(|(a, b)| (a - b).abs())
                    .sum::<f32>()
            })
            .sum()
    };
    let (none, mild, full, strong) = (distance(0.0), distance(0.4), distance(1.0), distance(2.0));
    assert!(
        none == 0.0 && mild < full && full < strong,
        "{none} {mild} {full} {strong}"
    );
}

#[test]
fn all_problems_are_named_with_their_keys() {
    let recipe = Recipe {
        scale: 0,
        effects: vec![
            Step::new(
                1.5,
                Effect::Noise(Noise {
                    sigma: (3.0, 2.0),
                    ..Noise::default()
                }),
            ),
            Step::always(Effect::Group {
                effects: vec![Step::always(Effect::Stamp(Stamp::of("")))],
                order: Order::Random,
            }),
        ],
        order: Order::Fixed,
    };
    let keys: Vec<String> = recipe
        .problems()
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    let expected = [
        "scale",
        "effect[0].probability",
        "effect[0].noise.sigma",
        "effect[1].group.effect[0].stamp.folder",
    ];
    assert_eq!(keys, expected);
    let message = recipe.validate().unwrap_err().to_string();
    assert!(message.contains("`effect[0].noise.sigma`: it ends before it begins (found 3 to 2)"));
}

#[test]
fn recipes_survive_the_way_through_toml() {
    for name in RECIPES {
        let recipe = Recipe::named(name, 2).unwrap();
        let text = toml::to_string(&RecipeWire::from(&recipe)).unwrap();
        let read: RecipeWire = toml::from_str(&text).unwrap();
        assert_eq!(read.recipe().unwrap(), recipe, "{text}");
    }
    let mut all: Vec<Step> = all_effects().into_iter().map(Step::always).collect();
    all.push(Step::new(0.3, Effect::Stamp(Stamp::of("stamps"))));
    let recipe = Recipe {
        scale: 1,
        effects: all,
        order: Order::Random,
    };
    let text = toml::to_string(&RecipeWire::from(&recipe)).unwrap();
    assert_eq!(
        toml::from_str::<RecipeWire>(&text)
            .unwrap()
            .recipe()
            .unwrap(),
        recipe
    );
}

#[test]
fn what_is_written_wrong_is_told_with_its_key() {
    let read = |text: &str| toml::from_str::<RecipeWire>(text);
    let written = "[[effect]]\nprobability = 0.5\nrun.noise = { sigma = 12, gray = 1.0 }\n";
    let recipe = read(written).unwrap().recipe().unwrap();
    let expected = Noise {
        sigma: (12.0, 12.0),
        gray: 1.0,
        ..Noise::default()
    };
    assert_eq!(recipe.effects, [Step::new(0.5, Effect::Noise(expected))]);
    for (text, what) in [
        (
            "[[effect]]\nrun.noise = { sgma = 12 }\n",
            "unknown field `sgma`",
        ),
        ("[[effect]]\nrun.nose = {}\n", "unknown variant `nose`"),
        (
            "[[effect]]\nrun.noise = { sigma = [1, 2, 3] }\n",
            "two as `[from, to]`",
        ),
        ("order = \"any\"\n", "unknown variant `any`"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    for (text, key) in [
        (
            "recipe = \"sepia_dream\"\nstrength = 9.0\n",
            "strength, recipe",
        ),
        ("", "effect"),
        ("recipe = \"film\"\norder = \"random\"\n", "recipe"),
        (
            "[[effect]]\nrun.jpeg = { quality = [0, 120] }\n",
            "effect[0].jpeg.quality",
        ),
    ] {
        let problems = read(text).unwrap().recipe().unwrap_err();
        let keys: Vec<&str> = problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        assert_eq!(keys.join(", "), key);
    }
}

#[test]
fn whole_pictures_keep_depth_alpha_and_profile() {
    let samples = (0..40 * 30 * 4)
        .map(|i| (i * 977 % 65_521) as u16)
        .collect();
    let raster =
        Raster::from_samples(40, 30, ColorModel::Rgb, true, Samples::U16(samples)).unwrap();
    let raster = raster.with_icc(Some(fonds_image::color::srgb_profile().into()));
    let raster = raster.with_ppi(Some(fonds_core::Ppi::square(600.0)));
    let aged = age(
        &raster,
        &single(Effect::Scratch(Scratch::default())),
        Seed::new(1),
    )
    .unwrap();
    assert_eq!(
        (aged.raster.format(), aged.raster.icc()),
        (raster.format(), raster.icc())
    );
    assert_eq!(aged.raster.ppi(), raster.ppi());
    assert_eq!(aged.applied[0].effect, "scratch");
    let (before, after) = (
        raster.as_slice::<u16>().unwrap(),
        aged.raster.as_slice::<u16>().unwrap(),
    );
    let mask = aged.mask.as_slice::<u8>().unwrap();
    let mut changed = 0;
    for (i, (before, after)) in before
        .chunks_exact(4)
        .zip(after.chunks_exact(4))
        .enumerate()
    {
        assert_eq!(before[3], after[3]);
        assert!(mask[i] > 0 || before.iter().zip(after).all(|(a, b)| a.abs_diff(*b) < 200));
        changed += usize::from(before != after);
    }
    assert!(changed > 0 && changed < 1200);
    let half = age(&raster, &Recipe::bicubic(2), Seed::new(1)).unwrap();
    assert_eq!((half.raster.width(), half.raster.height()), (20, 15));
    assert_eq!(half.raster.ppi(), Some(fonds_core::Ppi::square(300.0)));
}

#[test]
fn stamps_cover_what_their_alpha_covers() {
    let folder = tempfile::tempdir().unwrap();
    let mut stamp = Raster::new(20, 20, fonds_core::PixelFormat::RGBA8);
    for (i, pixel) in stamp
        .as_mut_slice::<u8>()
        .unwrap()
        .chunks_exact_mut(4)
        .enumerate()
    {
        pixel[3] = if i / 20 == 10 { 255 } else { 0 };
    }
    let mut file = std::io::Cursor::new(Vec::new());
    let encoding = fonds_image::encode::Encoding::PNG;
    fonds_image::encode::encode(
        &stamp,
        &encoding,
        &fonds_image::encode::Embedded::default(),
        &mut file,
    )
    .unwrap();
    std::fs::write(folder.path().join("line.png"), file.into_inner()).unwrap();
    let mut stamps = Stamp::of(folder.path());
    (stamps.count, stamps.scale, stamps.cover) = ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0));
    let clean = Planes::filled(1, 90, 90, 0.5);
    let covered: Vec<f32> = (0..8)
        .map(|seed| {
            single(Effect::Stamp(stamps.clone()))
                .apply(&clean, Seed::new(seed))
                .unwrap()
        })
        .map(|made| made.mask.values.iter().sum())
        .collect();
    let most = covered.iter().fold(0.0, |most: f32, sum| most.max(*sum));
    assert!(
        (14.0..26.0).contains(&most),
        "a line of 20 pixels: {covered:?}"
    );
    let missing = single(Effect::Stamp(Stamp::of(folder.path().join("none"))));
    assert!(missing.apply(&clean, Seed::new(1)).is_err());
    let error = missing.prepare().unwrap_err();
    assert!(error.place().path.as_ref().unwrap().ends_with("none"));
}

/// `docs/ageing.md` lists every effect with its keys and their defaults; the lists are made here.
#[test]
fn the_documentation_has_all_effects_with_their_defaults() {
    fn inline(value: &toml::Value) -> String {
        match value {
            toml::Value::Table(table) => {
                let pairs = table.iter();
                let pairs = pairs.map(|(key, value)| format!("{key} = {}", inline(value)));
                let mut pairs: Vec<String> = pairs.collect();
                pairs.sort();
                format!("{{ {} }}", pairs.join(", "))
            }
            toml::Value::Array(array) => {
                format!(
                    "[{}]",
                    array.iter().map(inline).collect::<Vec<_>>().join(", ")
                )
            }
            // Floats as they were before they were widened.
            toml::Value::Float(float) => {
                let text = (*float as f32).to_string();
                if text.contains('.') {
                    text
                } else {
                    text + ".0"
                }
            }
            other => other.to_string(),
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ageing.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut lacking = Vec::new();
    let mut effects = all_effects();
    effects.retain(|effect| effect.name() != "resize" && *effect != Effect::Jpeg(Jpeg::old()));
    effects.push(Effect::Resize(Resize::default()));
    effects.push(Effect::Stamp(Stamp::of("")));
    for effect in effects {
        let name = effect.name();
        let wire = RecipeWire::from(&single(effect));
        let written: toml::Table = toml::from_str(&toml::to_string(&wire).unwrap()).unwrap();
        let defaults = inline(&written["effect"][0]["run"][name]);
        let line = if defaults == "{  }" {
            format!("run.{name} = {{}}")
        } else {
            format!("run.{name} = {defaults}")
        };
        if !page.contains(&format!("\n{line}\n")) {
            lacking.push(line);
        }
    }
    let recipes = RECIPES.iter().map(|name| format!("| `{name}` |"));
    lacking.extend(recipes.filter(|row| !page.contains(row)));
    assert!(
        lacking.is_empty(),
        "docs/ageing.md lacks\n{}",
        lacking.join("\n")
    );
}
