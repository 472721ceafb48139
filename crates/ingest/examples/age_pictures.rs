//! Ages the pictures of a folder.
//!
//! `cargo run --release -p fonds-ingest --example age_pictures -- old_photograph photos aged 3`
//!
//! The first argument is the name of a recipe, the name of an effect, or a TOML file with a recipe.
//! Every picture is written with so many seeds (1 unless given), as PNG, with its mask beside it and
//! what was done in a text file.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use fonds_core::{Limits, Raster, Seed};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_ingest::degrade::wire::RecipeWire;
use fonds_ingest::degrade::{RECIPES, Recipe, age};
use fonds_ingest::{Fate, Selection, WalkOptions, read_source, walk};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, from, to, rest @ ..] = &arguments[..] else {
        return Err("say which recipe, from which folder, and into which".into());
    };
    let seeds = rest.first().map_or(Ok(1), |text| text.parse())?;
    age_folder(&recipe_of(recipe)?, Path::new(from), Path::new(to), seeds)
}

/// A recipe by its name, by that of an effect, or from a file.
pub(crate) fn recipe_of(text: &str) -> Outcome<Recipe> {
    if RECIPES.contains(&text) {
        return Ok(Recipe::named(text, 1)?);
    }
    let written = if Path::new(text).is_file() {
        fs::read_to_string(text)?
    } else {
        format!("[[effect]]\nrun.{text} = {{}}\n")
    };
    let wire: RecipeWire = toml::from_str(&written)?;
    wire.recipe().map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        all.join("\n").into()
    })
}

/// Ages every picture of a folder with seeds from 1 on.
pub(crate) fn age_folder(recipe: &Recipe, from: &Path, to: &Path, seeds: u64) -> Outcome<()> {
    fs::create_dir_all(to)?;
    let selection = Selection::new(&WalkOptions::default())?;
    for found in walk(from, &selection)?.files {
        if !matches!(found.fate, Fate::Selected) {
            continue;
        }
        let source = read_source(&found.on_disk(from), &Limits::DEFAULT)?;
        let raster = Document::open(&source.bytes, &Limits::DEFAULT)?
            .decode(0)?
            .raster;
        let name = found.path.as_str().replace('/', "_");
        for seed in 1..=seeds {
            let own = Seed::new(seed).derive(found.path.as_str());
            let aged = age(&raster, recipe, own)?;
            write(&to.join(format!("{name}.{seed}.png")), &aged.raster)?;
            write(&to.join(format!("{name}.{seed}.mask.png")), &aged.mask)?;
            let lines = aged.applied.iter().map(|applied| format!("{applied:?}\n"));
            fs::write(
                to.join(format!("{name}.{seed}.txt")),
                lines.collect::<String>(),
            )?;
        }
    }
    Ok(())
}

fn write(path: &Path, raster: &Raster) -> Outcome<()> {
    let mut file = Cursor::new(Vec::new());
    encode(raster, &Encoding::PNG, &Embedded::default(), &mut file)?;
    fs::write(path, file.into_inner())?;
    Ok(())
}
