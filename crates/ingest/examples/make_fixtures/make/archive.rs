//! `fixtures/archive`: what an archive of a small family business might hand over.

use moxcms::{ColorProfile, LocalizableString, ProfileText};

use super::canvas::Canvas;
use super::damage::{self, Bed};
use super::files::{self, Extras};
use super::page::{self, Style};
use super::tiff::{self, Value};
use super::{Fixture, Result, landscape, portrait, street};

/// Every file of the archive.
pub(crate) fn files() -> Result<Vec<Fixture>> {
    let mut all = photographs()?;
    all.extend(papers()?);
    all.extend(postcards()?);
    all.extend(profiles()?);
    all.extend(beside());
    let named = |(path, bytes)| (format!("archive/{path}"), bytes);
    Ok(all.into_iter().map(named).collect())
}

fn photographs() -> Result<Vec<Fixture>> {
    let street = Extras {
        ppi: 300,
        exif: Some(tiff::exif(scanned("2019:06:03 10:12:45"))),
        ..Extras::default()
    };
    let portrait = Extras {
        ppi: 300,
        xmp: Some(files::xmp("The surveyor?", "No known copyright")),
        ..Extras::default()
    };
    let valley = Extras {
        ppi: 300,
        exif: Some(tiff::exif(located(scanned("2019:06:03 10:31:02")))),
        iptc: Some(files::iptc(&[
            (5, "Mill farm from the south"),
            (80, "Marie of the Lower Mill"),
            (90, "Lower Valley"),
            (116, "© Family archive of the Lower Mill"),
            (120, "Colour print, about 1974"),
        ])),
        ..Extras::default()
    };
    let clean = Extras {
        ppi: 300,
        ..Extras::default()
    };
    Ok(vec![
        (
            "photographs/Übersicht Straße 1902.jpg".into(),
            files::jpeg(&faded_street(), 86, &street)?,
        ),
        (
            "photographs/portrait No. 7.jpg".into(),
            files::jpeg(&scratched_portrait(), 92, &portrait)?,
        ),
        (
            "photographs/1974/mill farm.jpg".into(),
            files::jpeg(&print_on_bed(), 86, &valley)?,
        ),
        (
            "photographs/1974/lake, clean.jpg".into(),
            files::jpeg(&clean_lake(), 90, &clean)?,
        ),
        (
            "photographs/negatives/plate 07.tif".into(),
            tiff::deep(&negative())?,
        ),
    ])
}

/// The whole range of tones, sharp, level, without grain.
fn clean_lake() -> Canvas {
    let mut picture = landscape::lake(900, 650);
    picture.map(|_, _, color| color.map(|v| (v - 0.10) * 1.13));
    picture
}

/// Faded to brown, yellowed, dusty.
fn faded_street() -> Canvas {
    let mut picture = street::street();
    damage::vignette(&mut picture, 0.28);
    damage::soften(&mut picture);
    damage::grain(&mut picture, 1, 0.022, false);
    damage::sepia(&mut picture, 1.0);
    damage::fade(&mut picture, [0.33, 0.27, 0.20], [0.87, 0.81, 0.69]);
    damage::yellow(&mut picture, 2, 0.55);
    damage::crease(&mut picture, [640.0, 0.0], [900.0, 190.0]);
    damage::dust(&mut picture, 3, 110);
    damage::hairs(&mut picture, 4, 5);
    picture
}

/// Low in contrast, noisy, scratched.
fn scratched_portrait() -> Canvas {
    let mut picture = portrait::portrait();
    portrait::oval(&mut picture);
    damage::soften(&mut picture);
    damage::sepia(&mut picture, 0.55);
    damage::fade(&mut picture, [0.26, 0.24, 0.21], [0.84, 0.81, 0.75]);
    damage::ring(&mut picture, [486.0, 690.0], 74.0, 0.5);
    damage::scratches(&mut picture, 5, 9);
    damage::dust(&mut picture, 6, 60);
    damage::grain(&mut picture, 7, 0.036, true);
    picture
}

/// A colour print whose cyan has gone, lying askew on the glass.
fn print_on_bed() -> Canvas {
    let mut print = landscape::valley().resized(756, 516);
    damage::grain(&mut print, 8, 0.012, true);
    damage::fade(&mut print, [0.33, 0.16, 0.17], [0.96, 0.82, 0.74]);
    damage::dust(&mut print, 9, 40);
    let bed = Bed {
        width: 900,
        height: 650,
        slope: 0.040_2, // 2.3 degrees
        lid: [0.10, 0.10, 0.105],
        border: 14.0,
    };
    let mut scan = damage::lay(&print, &bed);
    damage::grain(&mut scan, 10, 0.006, true);
    scan
}

fn negative() -> Canvas {
    let mut plate = landscape::valley().crop(250, 180, 320, 240);
    plate.map(|_, _, color| {
        let dense = 1.0 - (0.3 * color[0] + 0.6 * color[1] + 0.1 * color[2]);
        [0.12 + 0.62 * dense; 3]
    });
    damage::grain(&mut plate, 11, 0.002, false);
    plate
}

fn papers() -> Result<Vec<Fixture>> {
    let letter = Style {
        width: 860,
        height: 1120,
        unit: 2.45,
        slope: 0.029_68, // 1.7 degrees
        margin: [80.0, 96.0],
    };
    let small = Style {
        width: 330,
        height: 420,
        unit: 1.9,
        slope: 0.0,
        margin: [34.0, 40.0],
    };
    let receipt = Style {
        width: 760,
        height: 420,
        unit: 3.0,
        slope: -0.012,
        margin: [60.0, 60.0],
    };
    let mut sheet = page::old(letter.width, letter.height);
    damage::ring(&mut sheet, [655.0, 265.0], 92.0, 0.7);
    let sheet = page::typed(sheet, &letter, page::LETTER);
    let account = |text: &&str| page::typed(page::white(small.width, small.height), &small, text);
    let accounts: Vec<Canvas> = page::ACCOUNTS.iter().map(account).collect();
    let slip = page::typed(
        page::white(receipt.width, receipt.height),
        &receipt,
        page::RECEIPT,
    );
    let extras = Extras {
        ppi: 150,
        ..Extras::default()
    };
    Ok(vec![
        (
            "letters/1911-03-14 Marie to Anna.jpg".into(),
            files::jpeg(&sheet, 80, &extras)?,
        ),
        (
            "letters/accounts/accounts 1911.tif".into(),
            tiff::pages(&accounts)?,
        ),
        ("letters/accounts/receipt.tif".into(), tiff::fax(&slip)?),
    ])
}

fn postcards() -> Result<Vec<Fixture>> {
    let card = landscape::lake(420, 300);
    let turned = |orientation: u16| Extras {
        ppi: 150,
        exif: Some(tiff::exif(vec![(274, Value::Short(orientation))])),
        ..Extras::default()
    };
    let detail = card.crop(220, 90, 200, 150);
    let plain = Extras::default();
    // Orientation 6 says: turn clockwise to see it upright. So it is stored turned back.
    let back = detail.turned().turned().turned();
    let right = files::jpeg(&back, 85, &turned(6))?;
    let separate = Extras {
        separate_scans: true,
        ..turned(8)
    };
    let left = files::jpeg(&detail.turned(), 85, &separate)?;
    Ok(vec![
        (
            "postcards/lake (print shop).jpg".into(),
            files::jpeg_cmyk(&card, 82)?,
        ),
        ("postcards/turned right.jpg".into(), right.clone()),
        ("postcards/turned left.jpg".into(), left),
        ("postcards/copies/turned right, copy.jpg".into(), right),
        (
            "postcards/boat.jpg".into(),
            files::jpeg_gray(&detail, 85, &plain)?,
        ),
        (
            "postcards/boat.tif".into(),
            tiff::deep(&detail.resized(160, 120))?,
        ),
    ])
}

fn profiles() -> Result<Vec<Fixture>> {
    let slide = landscape::lake(420, 300).crop(60, 60, 200, 140);
    let p3 = profile(ColorProfile::new_display_p3(), "Display P3")?;
    let gray = profile(ColorProfile::new_gray_with_gamma(2.2), "Gray Gamma 2.2")?;
    Ok(vec![
        (
            "slides/lake, Display P3.png".into(),
            files::png(&slide, false, Some(p3))?,
        ),
        (
            "slides/lake, gray.png".into(),
            files::png(&slide, true, Some(gray))?,
        ),
    ])
}

/// A profile's bytes. Two things that its writer does are undone: it writes the time of day, and
/// it leaves the length uneven, of which PNG readers complain.
fn profile(mut profile: ColorProfile, name: &str) -> Result<Vec<u8>> {
    let text = |text: &str| LocalizableString::new("en".into(), "US".into(), text.into());
    profile.description = Some(ProfileText::Localizable(vec![text(name)]));
    let mut bytes = profile.encode()?;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let size = (bytes.len() as u32).to_be_bytes();
    bytes[..4].copy_from_slice(&size);
    bytes[24..36].copy_from_slice(&[7, 0xe4, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]); // 1 January 2020
    Ok(bytes)
}

/// What lies beside the pictures: people's notes, and what computers leave behind.
fn beside() -> Vec<Fixture> {
    let metadata = "filename,title,date,description,subject\n\
        photographs/Übersicht Straße 1902.jpg,Bahnhofstraße with the church tower,1902,\
        \"Looking north, with tram rails\",streets;churches\n\
        photographs/1974/mill farm.jpg,The mill farm,1974?,,farms\n\
        letters/1911-03-14 Marie to Anna.jpg,\"Letter, Marie to Anna\",1911-03-14,\
        \"Frost, papers in the attic, the new bridge\",letters\n";
    let notes = "Box 3, handed over by the family. The tin with the portraits is still missing.\n";
    vec![
        ("metadata.csv".into(), metadata.into()),
        ("notes.txt".into(), notes.into()),
        (".DS_Store".into(), b"\0\0\0\x01Bud1".to_vec()),
        (
            "photographs/Thumbs.db".into(),
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
        ),
    ]
}

/// What a scanner writes.
fn scanned(when: &'static str) -> Vec<(u16, Value)> {
    vec![
        (271, Value::Ascii("Lichtwerk")),
        (272, Value::Ascii("Lichtwerk F4800")),
        (274, Value::Short(1)),
        (282, Value::Rational(300, 1)),
        (283, Value::Rational(300, 1)),
        (296, Value::Short(2)),
        (305, Value::Ascii("ScanDesk 2.1")),
        (306, Value::Ascii(when)),
        (
            34665,
            Value::Directory(vec![
                (0x9000, Value::Bytes(b"0221".to_vec())),
                (0x9003, Value::Ascii(when)),
                (0x9004, Value::Ascii(when)),
            ]),
        ),
    ]
}

/// The same with a place: 47° 30' N, 8° 15' E.
fn located(mut tags: Vec<(u16, Value)>) -> Vec<(u16, Value)> {
    let degrees =
        |whole: u32, minutes: u32| Value::Rationals(vec![(whole, 1), (minutes, 1), (0, 1)]);
    tags.push((
        34853,
        Value::Directory(vec![
            (1, Value::Ascii("N")),
            (2, degrees(47, 30)),
            (3, Value::Ascii("E")),
            (4, degrees(8, 15)),
        ]),
    ));
    tags
}
