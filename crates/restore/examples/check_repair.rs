//! Repair measured against an expert's: scans of damaged film, what an expert made of them, and
//! what other programs did.
//!
//! `cargo run -p fonds-restore --example check_repair -- FOLDER [--out FOLDER] [--detector FILE]
//! [--filler FILE] [--sensitivity 0.5]`
//!
//! In the folder, for each NAME: `input_NAME.jpg`, `target_NAME.jpg` (the expert's restoration),
//! `NAME_mask.png` (the mask that others filled), `bopb_mask_NAME.png` (the mask that another
//! detector found), and results of others as `lama_NAME_mask.jpg`, `photoshop_NAME.jpg`,
//! `restormer_NAME.jpg`, `unet_retrained_NAME.jpg`. Prints tables in Markdown: PSNR of RGB to the
//! expert's restoration, and F1 of pixels of each mask against what the expert changed (by more
//! than 16 of 255 in a channel) and against the given mask. Without a folder nothing is done.

#![expect(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use fonds_core::{Limits, Raster};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_image::ops::repair::{Damage, FillMethod, Inpaint, Mask};
use fonds_nn::backend::Backend;
use fonds_nn::compute::{Lanes, OnLanes};
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::tile::TileOptions;
use fonds_restore::repair::{Detector, Filler};
use fonds_restore::zoo::{self, Options};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What an expert changed by more than this was damaged.
const CHANGED: u8 = 16;

/// The largest share that is filled here.
const MOST: f64 = 0.5;

struct Asked {
    folder: PathBuf,
    out: Option<PathBuf>,
    sensitivity: f64,
    detector: Option<Detector>,
    filler: Option<Filler>,
}

fn main() -> Result<()> {
    let Some(asked) = asked()? else {
        println!("usage: check_repair FOLDER [--out FOLDER] [--detector FILE] [--filler FILE]");
        return Ok(());
    };
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&asked.folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let name = file
            .strip_prefix("input_")
            .and_then(|name| name.strip_suffix(".jpg"));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    for name in names {
        one(&asked, &name)?;
    }
    Ok(())
}

fn asked() -> Result<Option<Asked>> {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next() else {
        return Ok(None);
    };
    let mut asked = Asked {
        folder: folder.into(),
        out: None,
        sensitivity: 0.5,
        detector: None,
        filler: None,
    };
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        match key.as_str() {
            "--out" => asked.out = Some(value.into()),
            "--sensitivity" => asked.sensitivity = value.parse()?,
            "--detector" => {
                let (network, description) = opened(&value)?;
                asked.detector = Some(Detector::new(
                    network,
                    &description,
                    TileOptions::default(),
                )?);
            }
            "--filler" => {
                let (network, description) = opened(&value)?;
                asked.filler = Some(Filler::new(network, &description, TileOptions::default())?);
            }
            _ => return Err(format!("unknown option {key}").into()),
        }
    }
    Ok(Some(asked))
}

fn opened(file: &str) -> Result<(OnLanes, zoo::Description)> {
    let backend = Backend::Engine(Engine::new(Kernel::detect()));
    let model = zoo::open(file.as_ref(), &Options::default(), &backend)?;
    let network = OnLanes::new(&Lanes::new(vec![backend]), vec![model.shared()]);
    Ok((network, (*model.description).clone()))
}

fn read(path: &Path) -> Result<Raster> {
    let bytes = fs::read(path)?;
    let mut document = Document::open(&bytes, &Limits::DEFAULT)?;
    Ok(document.decode(0)?.raster)
}

fn one(asked: &Asked, name: &str) -> Result<()> {
    let input = read(&asked.folder.join(format!("input_{name}.jpg")))?;
    let target = read(&asked.folder.join(format!("target_{name}.jpg")))?;
    println!(
        "\n{name}, {} × {}\n\n| picture | PSNR, dB |\n| --- | --- |",
        input.width(),
        input.height()
    );
    println!("| input | {:.2} |", psnr(&input, &target)?);
    for (what, file) in [
        ("LaMa, given mask", format!("lama_{name}_mask.jpg")),
        ("Photoshop", format!("photoshop_{name}.jpg")),
        ("Restormer", format!("restormer_{name}.jpg")),
        ("U-Net, retrained", format!("unet_retrained_{name}.jpg")),
    ] {
        if let Ok(picture) = read(&asked.folder.join(file)) {
            println!("| {what} | {:.2} |", psnr(&picture, &target)?);
        }
    }
    let truth = changed(&input, &target)?;
    let given = given(asked, &format!("{name}_mask.png"), &input)?;
    let mut masks = vec![("given mask".to_owned(), given.clone(), 0)];
    let classical = Damage {
        sensitivity: asked.sensitivity,
        ..Damage::default()
    };
    // These scans are known to be damaged.
    let found = Damage {
        min_pieces: 1,
        ..classical
    };
    masks.push(("classical detector".to_owned(), found.find(&input)?, 1));
    if let Some(detector) = &asked.detector {
        masks.push((
            "network detector".to_owned(),
            detector.find(&input, asked.sensitivity)?,
            1,
        ));
    }
    for (what, mask, grow) in &masks {
        let mut grown = mask.clone();
        grown.grow(*grow);
        for (way, method) in [
            ("patch", FillMethod::Patch),
            ("diffusion", FillMethod::Diffusion),
        ] {
            let inpaint = Inpaint {
                method,
                max_share: MOST,
                ..Inpaint::default()
            };
            let made = inpaint.apply(input.clone(), &grown)?.raster;
            tell(
                asked,
                name,
                &format!("fonds, {what}, {way}"),
                &made,
                &target,
            )?;
        }
        if let Some(filler) = &asked.filler {
            let made = filler.apply(input.clone(), &grown, MOST)?.raster;
            tell(
                asked,
                name,
                &format!("fonds, {what}, network"),
                &made,
                &target,
            )?;
        }
        keep(asked, name, &format!("mask, {what}"), &grown.to_raster())?;
    }
    if let Ok(other) = self::given(asked, &format!("bopb_mask_{name}.png"), &input) {
        masks.push(("Bringing Old Photos Back to Life".to_owned(), other, 0));
    }
    println!(
        "\n| mask | share, % | F1 to the expert's changes | F1 to the given mask |\n| --- | --- | --- | --- |"
    );
    println!(
        "| expert's changes | {:.2} | 1 | {:.3} |",
        truth.share() * 100.0,
        f1(&truth, &given)
    );
    for (what, mask, _) in &masks {
        let share = mask.share() * 100.0;
        println!(
            "| {what} | {share:.2} | {:.3} | {:.3} |",
            f1(mask, &truth),
            f1(mask, &given)
        );
    }
    Ok(())
}

fn tell(asked: &Asked, name: &str, what: &str, made: &Raster, target: &Raster) -> Result<()> {
    println!("| {what} | {:.2} |", psnr(made, target)?);
    keep(asked, name, what, made)
}

fn keep(asked: &Asked, name: &str, what: &str, picture: &Raster) -> Result<()> {
    if let Some(out) = &asked.out {
        fs::create_dir_all(out)?;
        let file = format!("{name}.{}.png", what.replace(", ", "-").replace(' ', "_"));
        let mut file = fs::File::create(out.join(file))?;
        encode(picture, &Encoding::PNG, &Embedded::default(), &mut file)?;
    }
    Ok(())
}

/// A mask of another size, brought to the picture's: what any of its pixels in a pixel says.
fn given(asked: &Asked, file: &str, picture: &Raster) -> Result<Mask> {
    let large = Mask::from_raster(&read(&asked.folder.join(file))?);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut mask = Mask::new(picture.width(), picture.height());
    for y in 0..height {
        for x in 0..width {
            let place = |at: usize, of: usize, from: usize| at * from / of;
            let columns = place(x, width, large.width())..place(x + 1, width, large.width());
            let mut rows = place(y, height, large.height())..place(y + 1, height, large.height());
            if rows.any(|row| columns.clone().any(|column| large.has(column, row))) {
                mask.add(x, y);
            }
        }
    }
    Ok(mask)
}

fn bytes<'a>(a: &'a Raster, b: &'a Raster) -> Result<(&'a [u8], &'a [u8])> {
    match (a.as_slice::<u8>(), b.as_slice::<u8>()) {
        (Some(a), Some(b)) if a.len() == b.len() => Ok((a, b)),
        _ => Err("pictures of another size or depth".into()),
    }
}

fn psnr(a: &Raster, b: &Raster) -> Result<f64> {
    let (a, b) = bytes(a, b)?;
    let off = a
        .iter()
        .zip(b)
        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = off.sum::<f64>() / a.len() as f64;
    Ok(10.0 * (255.0_f64.powi(2) / mean).log10())
}

/// What the expert changed.
fn changed(input: &Raster, target: &Raster) -> Result<Mask> {
    let (a, b) = bytes(input, target)?;
    let mut mask = Mask::new(input.width(), input.height());
    for (at, (a, b)) in a.chunks(3).zip(b.chunks(3)).enumerate() {
        if a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > CHANGED) {
            mask.add(at % mask.width(), at / mask.width());
        }
    }
    Ok(mask)
}

fn f1(a: &Mask, b: &Mask) -> f64 {
    let both = a
        .data()
        .iter()
        .zip(b.data())
        .filter(|(a, b)| **a != 0 && **b != 0);
    2.0 * both.count() as f64 / (a.count() + b.count()).max(1) as f64
}
