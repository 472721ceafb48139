//! Data sets: what is found, how it is cut, and that order and content follow from the seed alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fonds_core::{Code, ColorModel, PixelFormat, Raster, Samples};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_ingest::Planes;
use fonds_ingest::dataset::{Dataset, Fit, Label, Loader, Options, Sample, Source, Unequal};
use fonds_ingest::degrade::Recipe;
use tempfile::TempDir;

/// A picture whose every pixel says where it is, and of which number the picture is.
fn picture(number: usize, width: u32, height: u32) -> Raster {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let samples = pixels.flat_map(|(x, y)| [x as u8, y as u8, number as u8]);
    let samples = Samples::U8(samples.collect());
    Raster::from_samples(width, height, ColorModel::Rgb, false, samples).unwrap()
}

fn write(path: &Path, raster: &Raster) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::io::Cursor::new(Vec::new());
    encode(raster, &Encoding::PNG, &Embedded::default(), &mut file).unwrap();
    fs::write(path, file.into_inner()).unwrap();
}

/// A folder of `count` pictures, 40 × 30, named by their numbers.
fn folder(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..count {
        write(
            &folder.path().join(format!("{i:03}.png")),
            &picture(i, 40, 30),
        );
    }
    folder
}

fn source(folder: &TempDir) -> Source {
    let path = folder.path().to_owned();
    Source::Folder { path }
}

fn crops() -> Options {
    Options {
        size: (8, 6),
        fit: Fit::Crop,
        flip: true,
        ..Options::default()
    }
}

fn open(source: &Source, options: &Options) -> Arc<Dataset> {
    Arc::new(Dataset::open(source, options).unwrap())
}

fn loader(dataset: &Arc<Dataset>, first: u64, workers: usize, cache: u64) -> Loader {
    Loader::new(Arc::clone(dataset), 4, 11, first, workers, cache)
}

fn batches(mut loader: Loader, count: usize) -> Vec<Vec<Sample>> {
    (0..count).map(|_| loader.next().unwrap()).collect()
}

/// The byte that a value was.
fn byte(value: f32) -> usize {
    (value * 255.0).round() as usize
}

#[test]
fn a_loader_started_later_gives_what_an_advanced_one_gives() {
    let folder = folder(10);
    let dataset = open(&source(&folder), &crops());
    let straight = batches(loader(&dataset, 0, 2, 1 << 20), 9);
    let resumed = batches(loader(&dataset, 4, 2, 1 << 20), 5);
    assert_eq!(straight[4..], resumed);
    assert_ne!(straight[0], straight[1]);
    let mut other = Loader::new(Arc::clone(&dataset), 4, 12, 0, 0, 0);
    assert_ne!(straight[0], other.next().unwrap());
}

#[test]
fn neither_workers_nor_the_cache_change_what_comes() {
    let folder = folder(10);
    let options = Options {
        fit: Fit::ResizeCrop { scale: (1.0, 1.5) },
        patches: Some(3),
        degrade: Some(Recipe::bicubic(2)),
        ..crops()
    };
    let dataset = open(&source(&folder), &options);
    let plain = batches(loader(&dataset, 0, 0, 0), 12);
    // A raster of a fixture has 3,600 bytes: the third cache holds some of them only.
    for (workers, cache) in [(1, 0), (4, 1 << 24), (3, 10_000)] {
        let found = batches(loader(&dataset, 0, workers, cache), 12);
        assert!(plain == found, "{workers} workers, {cache} bytes");
    }
}

#[test]
fn an_epoch_has_every_picture_once() {
    let folder = folder(12);
    let dataset = open(&source(&folder), &crops());
    assert_eq!(
        (dataset.len(), dataset.epoch_len(), dataset.pictures()),
        (12, 12, 1)
    );
    let mut orders = BTreeSet::new();
    for epoch in batches(loader(&dataset, 0, 2, 0), 9).chunks(3) {
        let names: Vec<String> = epoch.iter().flatten().map(|s| s.name.clone()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 12);
        orders.insert(names);
    }
    assert_eq!(orders.len(), 3);
}

#[test]
fn crops_are_the_pixels_of_the_file_and_flips_their_mirror() {
    let folder = folder(6);
    let dataset = open(&source(&folder), &crops());
    let samples: Vec<Sample> = batches(loader(&dataset, 0, 0, 0), 30).concat();
    let mut corners = BTreeSet::new();
    let mut flipped = 0;
    for sample in &samples {
        let [planes] = &sample.pictures[..] else {
            panic!("one picture");
        };
        assert_eq!((planes.channels, planes.height, planes.width), (3, 6, 8));
        let number: usize = sample.name[..3].parse().unwrap();
        assert!(planes.plane(2).iter().all(|&v| byte(v) == number));
        let (first, second) = (byte(planes.values[0]), byte(planes.values[1]));
        flipped += usize::from(second < first);
        let x = |i: usize| if second < first { first - i } else { first + i };
        let y = byte(planes.plane(1)[0]);
        for (i, (&red, &green)) in planes.plane(0).iter().zip(planes.plane(1)).enumerate() {
            assert_eq!((byte(red), byte(green)), (x(i % 8), y + i / 8));
        }
        corners.insert((first, y));
    }
    assert!((30..90).contains(&flipped), "{flipped} of 120");
    assert!(corners.len() > 80, "{} places", corners.len());
}

#[test]
fn bad_files_are_left_out_listed_and_their_places_taken() {
    let folder = folder(10);
    let whole = fs::read(folder.path().join("003.png")).unwrap();
    fs::write(folder.path().join("003.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("004.png"), b"").unwrap();
    write(&folder.path().join("007.png"), &picture(7, 7, 30));
    let dataset = open(&source(&folder), &crops());
    let mut loader = loader(&dataset, 0, 3, 1 << 20);
    let found: Vec<Sample> = (0..5).flat_map(|_| loader.next().unwrap()).collect();
    let skipped = loader.skipped();
    let names: Vec<&str> = skipped
        .iter()
        .map(|skipped| skipped.name.as_str())
        .collect();
    assert_eq!(names, ["003.png", "004.png", "007.png"]);
    for (skipped, why) in
        skipped
            .iter()
            .zip(["", "empty", "7 × 30 pixels are fewer than the 8 × 6"])
    {
        assert!(skipped.why.contains(why), "{skipped:?}");
    }
    assert!(
        !found
            .iter()
            .any(|sample| names.contains(&sample.name.as_str()))
    );
    // Two epochs of ten: the one after two bad files stands in for both.
    assert_eq!(
        found
            .iter()
            .filter(|sample| sample.name == "005.png")
            .count(),
        6
    );
    assert_eq!(
        found
            .iter()
            .filter(|sample| sample.name == "008.png")
            .count(),
        4
    );
    let error = dataset.sample(3, 1).unwrap_err();
    assert!(error.place().path.as_ref().unwrap().ends_with("003.png"));
    // A loader that never met the bad files takes the same pictures.
    let fresh = open(&source(&folder), &crops());
    let mut later = Loader::new(fresh, 4, 11, 4, 0, 0);
    assert_eq!(later.next().unwrap(), found[16..]);
}

#[test]
fn too_few_pictures_are_an_error_that_says_why() {
    let folder = folder(3);
    let dataset = open(&source(&folder), &crops());
    let error = loader(&dataset, 0, 2, 0).next().unwrap_err();
    assert_eq!(
        error.message(),
        "3 pictures are fewer than the 4 of a batch"
    );
    let patches = open(
        &source(&folder),
        &Options {
            patches: Some(2),
            ..crops()
        },
    );
    assert!(loader(&patches, 0, 2, 0).next().is_ok());
    for i in 0..3 {
        fs::write(folder.path().join(format!("{i:03}.png")), b"no picture").unwrap();
    }
    let patches = open(
        &source(&folder),
        &Options {
            patches: Some(2),
            ..crops()
        },
    );
    for workers in [0, 2] {
        let error = loader(&patches, 0, workers, 0).next().unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(
            error
                .message()
                .starts_with("none of the 3 pictures can be used (the first, `000.png`")
        );
    }
    let empty = tempfile::tempdir().unwrap();
    let error = Dataset::open(&source(&empty), &crops()).unwrap_err();
    assert_eq!(error.message(), "there are no pictures for the data set");
}

#[test]
fn paired_pictures_get_the_same_part_and_the_same_flip() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    for i in 0..4 {
        write(&a.join(format!("x/{i}.png")), &picture(i, 20, 20));
        write(&b.join(format!("x/{i}.PNG")), &picture(i + 100, 20, 20));
    }
    let source = Source::Paired {
        a: a.clone(),
        b: b.clone(),
    };
    let dataset = open(&source, &crops());
    assert_eq!(dataset.pictures(), 2);
    for sample in batches(loader(&dataset, 0, 2, 1 << 20), 5).concat() {
        let [from, to] = &sample.pictures[..] else {
            panic!("two pictures");
        };
        assert_eq!((from.plane(0), from.plane(1)), (to.plane(0), to.plane(1)));
        assert_eq!(byte(from.plane(2)[0]) + 100, byte(to.plane(2)[0]));
    }
    write(&a.join("lonely.png"), &picture(9, 20, 20));
    write(&b.join("x/0.PNG"), &picture(9, 20, 21));
    let error = Dataset::open(&source, &crops()).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    for part in [
        "2 of the pictures",
        "`lonely.png`: it has no partner",
        "20 × 20 pixels and the target 20 × 21",
    ] {
        assert!(error.message().contains(part), "{error}");
    }
    let skip = Options {
        unequal: Unequal::Skip,
        ..crops()
    };
    let dataset = open(&source, &skip);
    assert_eq!((dataset.len(), dataset.skipped().len()), (3, 2));
}

#[test]
fn targets_can_be_larger_than_their_sources() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&b.join("0.png"), &picture(0, 40, 40));
    let half = (0..400).flat_map(|i| [2 * (i % 20) as u8, 2 * (i / 20) as u8, 0]);
    let half = Samples::U8(half.collect());
    write(
        &a.join("0.png"),
        &Raster::from_samples(20, 20, ColorModel::Rgb, false, half).unwrap(),
    );
    let options = Options {
        pair_scale: 2,
        flip: false,
        ..crops()
    };
    let dataset = open(&Source::Paired { a, b }, &options);
    for seed in 0..20 {
        let sample = dataset.sample(0, seed).unwrap();
        let [from, to] = &sample.pictures[..] else {
            panic!("two pictures");
        };
        assert_eq!((from.width, from.height, to.width, to.height), (4, 3, 8, 6));
        assert_eq!(
            (from.values[0], from.plane(1)[0]),
            (to.values[0], to.plane(1)[0])
        );
    }
}

#[test]
fn halves_of_one_file_are_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..4 {
        write(&folder.path().join(format!("{i}.png")), &picture(i, 40, 20));
    }
    write(&folder.path().join("odd.png"), &picture(9, 41, 20));
    for source_first in [true, false] {
        let path = folder.path().to_owned();
        let dataset = open(&Source::SideBySide { path, source_first }, &crops());
        let mut loader = loader(&dataset, 0, 1, 0);
        for sample in (0..4).flat_map(|_| loader.next().unwrap()) {
            let red: Vec<usize> = sample
                .pictures
                .iter()
                .map(|p| byte(p.plane(0)[0]))
                .collect();
            let (left, right) = if source_first {
                (red[0], red[1])
            } else {
                (red[1], red[0])
            };
            assert_eq!(left + 20, right);
            assert_eq!(sample.pictures[0].plane(1), sample.pictures[1].plane(1));
        }
        assert!(loader.skipped()[0].why.contains("41 pixels of width"));
    }
}

#[test]
fn unpaired_sides_have_orders_of_their_own() {
    let (a, b) = (folder(7), folder(5));
    let source = Source::Unpaired {
        a: a.path().to_owned(),
        b: b.path().to_owned(),
    };
    let dataset = open(&source, &crops());
    assert_eq!((dataset.len(), dataset.pictures()), (7, 2));
    let samples = batches(loader(&dataset, 0, 2, 0), 35).concat();
    let pairs: BTreeSet<(usize, usize)> = samples
        .iter()
        .map(|s| {
            (
                byte(s.pictures[0].plane(2)[0]),
                byte(s.pictures[1].plane(2)[0]),
            )
        })
        .collect();
    assert!(pairs.len() > 30, "{} of 35 pairs", pairs.len());
    for (side, len) in [(0, 7), (1, 5)] {
        let numbers = samples.iter().map(|s| byte(s.pictures[side].plane(2)[0]));
        let first: BTreeSet<usize> = numbers.take(len).collect();
        assert_eq!(first.len(), len, "an epoch of side {side}");
    }
}

#[test]
fn held_out_pictures_stay_held_out_when_others_come() {
    let folder = folder(60);
    let options = Options {
        holdout: 0.3,
        ..crops()
    };
    let dataset = open(&source(&folder), &options);
    let names = |dataset: &Dataset| -> BTreeSet<String> {
        (0..dataset.len())
            .map(|i| dataset.name(i).to_owned())
            .collect()
    };
    let (kept, held) = (names(&dataset), names(&dataset.held_out()));
    assert_eq!(kept.len() + held.len(), 60);
    assert!((9..28).contains(&held.len()), "{}", held.len());
    for i in 60..80 {
        write(
            &folder.path().join(format!("{i:03}.png")),
            &picture(i, 40, 30),
        );
    }
    let grown = open(&source(&folder), &options);
    assert!(names(&grown.held_out()).is_superset(&held));
    assert!(names(&grown).is_superset(&kept));
    let limited = open(
        &source(&folder),
        &Options {
            limit: Some(10),
            ..options
        },
    );
    assert_eq!(limited.len() + limited.held_out().len(), 10);
}

#[test]
fn folders_can_be_classes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b b/1.png", "b/2.png", "b/deep/3.png", "a/4.png", "5.png"] {
        write(&folder.path().join(name), &picture(1, 10, 10));
    }
    let path = folder.path().to_owned();
    let dataset = open(&Source::ClassFolders { path }, &crops());
    assert_eq!(dataset.classes(), ["a", "b", "b b"]);
    let labels = (0..4).map(|i| {
        (
            dataset.name(i).to_owned(),
            dataset.sample(i, 0).unwrap().label,
        )
    });
    let labels: Vec<_> = labels.collect();
    for (name, class) in [
        ("a/4.png", 0),
        ("b b/1.png", 2),
        ("b/2.png", 1),
        ("b/deep/3.png", 1),
    ] {
        assert!(
            labels.contains(&(name.to_owned(), Some(Label::Class(class)))),
            "{name}"
        );
    }
    assert_eq!(dataset.skipped()[0].name, "5.png");
}

#[test]
fn a_table_can_be_the_source() {
    let folder = folder(5);
    let table = folder.path().join("catalog.csv");
    let rows = "path,page,kind\n003.png,1,\"b, c\"\n003.png,2,\"b, c\"\n001.png,,a\n,,a\n\
                gone.png,,a\n002.png,,\n../000.png,,a\n";
    fs::write(&table, rows).unwrap();
    let manifest = |label: Option<&str>, path_column: &str| Source::Manifest {
        catalog: table.clone(),
        path_column: path_column.to_owned(),
        label_column: label.map(str::to_owned),
        root: None,
    };
    let dataset = open(&manifest(Some("kind"), "path"), &crops());
    assert_eq!(dataset.classes(), ["a", "b, c"]);
    let names: Vec<&str> = (0..dataset.len()).map(|i| dataset.name(i)).collect();
    assert_eq!(names, ["001.png", "003.png"]);
    assert_eq!(dataset.sample(1, 0).unwrap().label, Some(Label::Class(1)));
    let skipped = dataset.skipped();
    let skipped: Vec<&str> = skipped
        .iter()
        .map(|skipped| skipped.name.as_str())
        .collect();
    assert_eq!(skipped, ["../000.png", "002.png", "gone.png"]);
    assert_eq!(open(&manifest(None, "path"), &crops()).len(), 3);
    let error = Dataset::open(&manifest(None, "file"), &crops()).unwrap_err();
    assert!(error.hints()[0].contains("path, page, kind"));
}

#[test]
fn celeba_has_attributes_and_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let mut list = "4\nBald Smiling Young\n".to_owned();
    for i in 1..=5 {
        let name = format!("{i:06}.jpg");
        write(
            &folder.path().join("img_align_celeba").join(&name),
            &picture(i, 18, 22),
        );
        if i < 5 {
            list += &format!("{name}  {} -1  1\n", if i % 2 == 0 { 1 } else { -1 });
        }
    }
    fs::write(folder.path().join("list_attr_celeba.txt"), list).unwrap();
    let celeba = |attributes: &[&str]| Source::Celeba {
        path: folder.path().to_owned(),
        attributes: attributes.iter().map(|&name| name.to_owned()).collect(),
    };
    let options = Options {
        fit: Fit::Cover,
        ..crops()
    };
    let dataset = open(&celeba(&["Young", "Bald"]), &options);
    assert_eq!(dataset.classes(), ["Young", "Bald"]);
    assert_eq!((dataset.len(), dataset.skipped().len()), (4, 1));
    assert_eq!(
        dataset.sample(1, 0).unwrap().label,
        Some(Label::Attributes(vec![true, true]))
    );
    fs::write(
        folder.path().join("list_eval_partition.txt"),
        "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n",
    )
    .unwrap();
    let dataset = open(&celeba(&[]), &options);
    assert_eq!(dataset.classes().len(), 3);
    assert_eq!((dataset.len(), dataset.held_out().len()), (2, 2));
    assert_eq!(dataset.name(1), "000004.jpg");
    let error = Dataset::open(&celeba(&["Bold"]), &options).unwrap_err();
    assert!(error.hints()[0].contains("Bald, Smiling, Young"));
}

#[test]
fn degraded_samples_are_pairs_of_one_place() {
    let folder = folder(8);
    let options = Options {
        size: (16, 12),
        degrade: Some(Recipe::bicubic(2)),
        ..crops()
    };
    let dataset = open(&source(&folder), &options);
    for sample in batches(loader(&dataset, 0, 2, 0), 4).concat() {
        let [small, clean] = &sample.pictures[..] else {
            panic!("two pictures");
        };
        assert_eq!((small.width, small.height), (8, 6));
        assert_eq!((clean.width, clean.height), (16, 12));
        // The pictures are ramps: a pixel of the small one is the mean of four.
        let mean = |x: usize, y: usize| {
            let at = |x: usize, y: usize| clean.values[y * 16 + x];
            f32::midpoint(at(2 * x, 2 * y), at(2 * x + 1, 2 * y))
        };
        for (x, y) in [(3, 2), (4, 3), (2, 4)] {
            let found = small.values[y * 8 + x];
            assert!(
                (found - mean(x, y)).abs() < 0.0021,
                "{found} {}",
                mean(x, y)
            );
        }
    }
    let (a, b) = (folder.path().to_owned(), folder.path().to_owned());
    let error = Dataset::open(&Source::Paired { a, b }, &options).unwrap_err();
    assert!(
        error
            .message()
            .contains("`degrade` makes pairs; those of this source are made")
    );
}

#[test]
fn flat_parts_are_drawn_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut raster = Raster::new(64, 64, PixelFormat::GRAY8);
    let pixels = raster.as_mut_slice::<u8>().unwrap();
    for (i, pixel) in pixels.iter_mut().enumerate() {
        // A quarter of the picture is a chessboard, the rest is black.
        let (x, y) = (i % 64, i / 64);
        *pixel = if x < 32 && y < 32 && (x + y) % 2 == 0 {
            255
        } else {
            0
        };
    }
    write(&folder.path().join("a.png"), &raster);
    let lively = |options: &Options| {
        let dataset = open(&source(&folder), options);
        let is = |seed: &u64| {
            dataset.sample(0, *seed).unwrap().pictures[0]
                .values
                .iter()
                .any(|&v| v > 0.5)
        };
        (0..100).filter(is).count()
    };
    let any = lively(&crops());
    let detailed = lively(&Options {
        min_detail: Some(0.05),
        channels: 1,
        ..crops()
    });
    assert!(any < 60 && detailed > 90, "{any} {detailed}");
}

#[test]
fn whole_pictures_are_resized_and_gray_is_luma() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Samples::U16([65_535, 0, 0].repeat(30 * 10));
    let red = Raster::from_samples(30, 10, ColorModel::Rgb, false, samples).unwrap();
    write(&folder.path().join("red.png"), &red);
    for fit in [
        Fit::Resize,
        Fit::Cover,
        Fit::ResizeCrop { scale: (1.0, 1.2) },
    ] {
        let options = Options {
            size: (6, 5),
            channels: 1,
            fit,
            ..crops()
        };
        let sample = open(&source(&folder), &options).sample(0, 5).unwrap();
        let planes: &Planes = &sample.pictures[0];
        assert_eq!((planes.channels, planes.width, planes.height), (1, 6, 5));
        for value in &planes.values {
            assert!((value - 0.2126).abs() < 1e-5, "{fit:?} {value}");
        }
    }
}

#[test]
fn colour_comes_in_srgb_whatever_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let samples = Samples::U8([200, 90, 40].repeat(100));
    let raster = Raster::from_samples(10, 10, ColorModel::Rgb, false, samples).unwrap();
    let raster = raster.with_icc(Some(p3.into()));
    write(&folder.path().join("p3.png"), &raster);
    let sample = open(&source(&folder), &crops()).sample(0, 1).unwrap();
    let found: Vec<usize> = (0..3)
        .map(|c| byte(sample.pictures[0].plane(c)[0]))
        .collect();
    // By the matrices of the two spaces: red grows, green and blue shrink.
    let linear = [200.0_f64, 90.0, 40.0].map(|v| ((v / 255.0 + 0.055) / 1.055).powf(2.4));
    let matrix = [
        [1.2249, -0.2247, 0.0],
        [-0.0420, 1.0419, 0.0],
        [-0.0197, -0.0786, 1.0979],
    ];
    for (row, found) in matrix.iter().zip(found) {
        let light: f64 = row.iter().zip(linear).map(|(m, v)| m * v).sum();
        let expected = 255.0 * (1.055 * light.max(0.0).powf(1.0 / 2.4) - 0.055);
        assert!((expected - found as f64).abs() < 2.0, "{expected} {found}");
    }
}

#[test]
fn the_digest_follows_names_labels_and_content() {
    let digest = |folder: &TempDir| open(&source(folder), &crops()).digest();
    let (a, b) = (folder(4), folder(4));
    assert_eq!(digest(&a).len(), 64);
    assert_eq!(digest(&a), digest(&b));
    write(&b.path().join("002.png"), &picture(9, 40, 30));
    assert_ne!(digest(&a), digest(&b));
    let before = digest(&a);
    let from: PathBuf = a.path().join("003.png");
    fs::rename(&from, from.with_file_name("004.png")).unwrap();
    assert_ne!(digest(&a), before);
}

#[test]
fn senseless_options_are_refused_with_the_key() {
    let folder = folder(1);
    let refused = |options: Options| {
        Dataset::open(&source(&folder), &options)
            .unwrap_err()
            .to_string()
    };
    let cases = [
        (
            Options {
                size: (0, 4),
                ..crops()
            },
            "`size`",
        ),
        (
            Options {
                channels: 2,
                ..crops()
            },
            "`channels`",
        ),
        (
            Options {
                holdout: 1.0,
                ..crops()
            },
            "`holdout`",
        ),
        (
            Options {
                patches: Some(0),
                ..crops()
            },
            "`patches`",
        ),
        (
            Options {
                min_detail: Some(2.0),
                ..crops()
            },
            "`min_detail`",
        ),
        (
            Options {
                limit: Some(0),
                ..crops()
            },
            "`limit`",
        ),
        (
            Options {
                pair_scale: 2,
                ..crops()
            },
            "`pair_scale`",
        ),
        (
            Options {
                fit: Fit::ResizeCrop { scale: (0.5, 2.0) },
                ..crops()
            },
            "`scale`",
        ),
        (
            Options {
                degrade: Some(Recipe::bicubic(4)),
                ..crops()
            },
            "multiple of the scale 4",
        ),
        (
            Options {
                include: vec!["[".to_owned()],
                ..crops()
            },
            "is not a glob",
        ),
    ];
    for (options, expected) in cases {
        let message = refused(options);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_mask_says_where_the_damage_is() {
    let folder = folder(8);
    // A fold shades the paper beside it, too.
    let mut recipe = Recipe::scratches();
    recipe.effects.retain(|step| step.effect.name() != "fold");
    let options = Options {
        size: (16, 12),
        degrade: Some(recipe),
        mask: true,
        ..crops()
    };
    let dataset = open(&source(&folder), &options);
    assert_eq!(dataset.pictures(), 3);
    let mut damaged = 0;
    for sample in batches(loader(&dataset, 0, 2, 0), 10).concat() {
        let [damage, clean, mask] = &sample.pictures[..] else {
            panic!("three pictures");
        };
        assert_eq!((mask.channels, mask.width, mask.height), (1, 16, 12));
        for (i, _) in mask
            .values
            .iter()
            .enumerate()
            .filter(|(_, mask)| **mask == 0.0)
        {
            assert!((0..3).all(|c| damage.plane(c)[i] == clean.plane(c)[i]));
        }
        damaged += usize::from(mask.values.iter().any(|&value| value > 0.05));
    }
    assert!(damaged > 15, "{damaged} of 40");
    let refused = Options {
        degrade: None,
        ..options
    };
    assert!(Dataset::open(&source(&folder), &refused).is_err());
}

#[test]
fn one_kind_of_unpaired_pictures_can_be_degraded() {
    let (a, b) = (folder(6), folder(5));
    let source = Source::Unpaired {
        a: a.path().to_owned(),
        b: b.path().to_owned(),
    };
    let options = Options {
        degrade: Some(Recipe::faded()),
        ..crops()
    };
    let dataset = open(&source, &options);
    for sample in batches(loader(&dataset, 0, 2, 0), 3).concat() {
        let [faded, clean] = &sample.pictures[..] else {
            panic!("two pictures");
        };
        assert_eq!((faded.width, clean.width, clean.height), (8, 8, 6));
        // The blue of a clean picture is its number, that of a faded one is lighter.
        assert!(clean.plane(2).iter().all(|&value| value < 0.03));
        assert!(faded.plane(2).iter().all(|&value| value > 0.03));
    }
}
