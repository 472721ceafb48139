//! What a second run does again, and what it leaves alone.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fonds_catalog::Status;
use fonds_core::Code;
use fonds_image::metadata;
use fonds_image::sniff::Format;
use fonds_pipeline::{Event, Retry, clean};

use crate::support::{
    Bench, COPIES, assert_same_content, assert_sound, content, files, picture, plan, shipped,
};

fn done() -> Bench {
    let bench = Bench::small();
    bench.run(&plan(COPIES));
    bench
}

fn set_mtime(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn journal_lines(bench: &Bench, item: &str) -> usize {
    let text = fs::read_to_string(bench.output.join("events.jsonl")).unwrap();
    let start = format!("{{\"item\":\"{item}\"");
    text.lines().filter(|line| line.starts_with(&start)).count()
}

/// The next run processes this many files and ends as a straight run would.
fn assert_redone(bench: &Bench, text: &str, processed: u64, what: &str) {
    let plan = plan(text);
    let report = bench.run(&plan);
    assert_eq!(report.counts.processed, processed, "{what}");
    let straight = bench.beside(&format!("straight {what}"));
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, what);
    assert_eq!(bench.run(&plan).counts.processed, 0, "{what}, once more");
}

#[test]
fn a_touched_source_is_read_once_and_not_processed() {
    let bench = done();
    let derivative = bench.derivative_of("a/one.ppm");
    let before = fs::metadata(&derivative).unwrap().modified().unwrap();
    let time = SystemTime::now() - Duration::from_secs(1000);
    set_mtime(&bench.input.join("a/one.ppm"), time);
    assert_eq!(journal_lines(&bench, "a/one.ppm"), 1);
    assert_redone(&bench, COPIES, 0, "touched");
    assert_eq!(
        journal_lines(&bench, "a/one.ppm"),
        2,
        "its new time is on record"
    );
    let after = fs::metadata(&derivative).unwrap().modified().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_changed_source_is_processed() {
    let bench = done();
    bench.write("a/one.ppm", &picture("a/one.ppm", 41, 30, 77));
    assert_redone(&bench, COPIES, 1, "changed");
}

/// A change that keeps size and time is noticed when the run is told to look.
#[test]
fn verify_notices_a_source_that_hides_its_change() {
    let bench = done();
    let path = bench.input.join("a/one.ppm");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, picture("a/one.ppm", 40, 30, 78)).unwrap();
    set_mtime(&path, time);
    let plan = plan(COPIES);
    assert_eq!(
        bench.run(&plan).counts.processed,
        0,
        "size and time are trusted"
    );
    let report = bench.run_with(&plan, |options| options.verify = true);
    assert_eq!(report.counts.processed, 1);
    assert_sound(&bench.output);
}

#[test]
fn a_deleted_derivative_or_sidecar_is_made_again() {
    let bench = done();
    fs::remove_file(bench.derivative_of("a/one.ppm")).unwrap();
    assert_redone(&bench, COPIES, 1, "deleted");
    let sidecar = format!("{}.prov.json", bench.derivative_of("a/two.ppm").display());
    fs::remove_file(sidecar).unwrap();
    assert_redone(&bench, COPIES, 1, "without a sidecar");
}

#[test]
fn an_altered_derivative_is_made_again() {
    let bench = done();
    fs::write(bench.derivative_of("a/one.ppm"), b"something else").unwrap();
    assert_redone(&bench, COPIES, 1, "altered");
}

#[test]
fn verify_notices_a_derivative_of_the_same_size_and_time() {
    let bench = done();
    let path = bench.derivative_of("a/one.ppm");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    set_mtime(&path, time);
    let plan = plan(COPIES);
    assert_eq!(
        bench.run(&plan).counts.processed,
        0,
        "size and time are trusted"
    );
    let report = bench.run_with(&plan, |options| options.verify = true);
    assert_eq!(report.counts.processed, 1);
    assert_sound(&bench.output);
}

#[test]
fn other_parameters_make_everything_anew_and_comments_nothing() {
    let bench = done();
    let commented = COPIES.replace("[[step]]", "# longest side\n\n[[step]] # one");
    assert_redone(&bench, &commented, 0, "comments");
    assert_redone(&bench, &COPIES.replace("24", "20"), 6, "parameters");
    let seeded = COPIES.replace("[run]", "[run]\nseed = 7");
    assert_redone(&bench, &seeded, 6, "seed");
}

#[test]
fn failed_files_are_tried_again_when_asked() {
    let bench = done();
    let plan = plan(COPIES);
    assert_eq!(bench.run(&plan).counts.processed, 0, "broken for good");
    for (retry, processed) in [
        (Retry::All, 1),
        (Retry::Codes(vec![Code::Timeout]), 0),
        (Retry::Codes(vec![Code::Truncated, Code::Corrupt]), 1),
    ] {
        let report = bench.run_with(&plan, |options| options.retry = retry.clone());
        assert_eq!(report.counts.processed, processed, "{retry:?}");
    }
    let failures: Vec<fonds_catalog::FailureRecord> = crate::support::table(&bench.output);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].attempts, Some(3));
    bench.write("b/broken.png", &picture("x.ppm", 30, 30, 5));
    let report = bench.run(&plan);
    assert_eq!((report.counts.processed, report.counts.failed), (1, 0));
}

/// What was made from a source that is gone stays until `clean` is asked to remove it.
#[test]
fn derivatives_of_vanished_sources() {
    let bench = done();
    let plan = plan(COPIES);
    let own = bench.output.join("my notes.txt");
    fs::write(&own, b"mine").unwrap();
    fs::remove_file(bench.input.join("a/one.ppm")).unwrap();
    let (report, events) = bench.run_told(&plan);
    assert_eq!(report.orphans, 2);
    let told = events.iter().any(
        |event| matches!(event, Event::Warning { message } if message.contains("fonds clean")),
    );
    assert!(told, "{events:?}");
    assert_sound(&bench.output);

    let before = files(&bench.output);
    let listed = clean(&bench.output, false).unwrap();
    let name = "derivatives/a/one.ppm.little.png";
    assert_eq!(
        listed.orphans,
        [name.to_owned(), format!("{name}.prov.json")]
    );
    assert!(listed.bytes > 0);
    assert_eq!(files(&bench.output), before, "listing removes nothing");
    assert_eq!(clean(&bench.output, true).unwrap(), listed);
    let left: Vec<String> = before
        .into_iter()
        .filter(|path| !listed.orphans.contains(path))
        .collect();
    assert_eq!(files(&bench.output), left);
    assert_eq!(fs::read(own).unwrap(), b"mine");
    assert_eq!(clean(&bench.output, true).unwrap().orphans.len(), 0);
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "cleaned");
}

#[test]
fn clean_asks_for_the_output_of_a_run() {
    let bench = Bench::small();
    let error = clean(&bench.input, true).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(bench.input.join("a/one.ppm").exists());
}

#[test]
fn a_foreign_file_in_a_derivatives_place() {
    let bench = Bench::small();
    let place = bench.output.join("derivatives/a/one.ppm.little.png");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, b"somebody's").unwrap();
    let report = bench.run(&plan(COPIES));
    let row = bench.row("a/one.ppm");
    assert_eq!(row.status, Status::Failed);
    assert_eq!(row.error_code, Some(Code::NameCollision.into()));
    assert_eq!(report.counts.failed, 2);
    assert_eq!(fs::read(&place).unwrap(), b"somebody's");
    assert_sound(&bench.output);

    let text = COPIES.replace("[run]", "[run]\non_existing = \"abort\"");
    let stopped = bench.beside("abort");
    let other = stopped.output.join("derivatives/a/one.ppm.little.png");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, b"somebody's").unwrap();
    let report = stopped.run(&plan(&text));
    assert_eq!(report.stop, Some(fonds_pipeline::Stop::Existing));
    assert_eq!(fs::read(&other).unwrap(), b"somebody's");

    let text = COPIES.replace("[run]", "[run]\non_existing = \"overwrite\"");
    let report = bench.run(&plan(&text));
    assert_eq!(report.counts.failed, 1);
    assert_ne!(fs::read(&place).unwrap(), b"somebody's");
    assert_sound(&bench.output);
}

/// Whoever moves the foreign file away gets the derivative at the next attempt.
#[test]
fn a_place_that_was_freed() {
    let bench = Bench::small();
    let place = bench.output.join("derivatives/a/one.ppm.little.png");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, b"somebody's").unwrap();
    let plan = plan(COPIES);
    bench.run(&plan);
    fs::remove_file(&place).unwrap();
    let report = bench.run_with(&plan, |options| options.retry = Retry::All);
    assert_eq!(report.counts.failed, 1);
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "freed");
}

#[test]
fn what_people_wrote_wins_everywhere() {
    let bench = done();
    let title = |bench: &Bench| {
        let bytes = fs::read(bench.derivative_of("a/one.ppm")).unwrap();
        metadata::read(&bytes, Format::Png).0
    };
    assert_eq!(title(&bench).title.as_deref(), Some("one"));
    let sheet = "filename,title,rights\na/one.ppm,The first,Free to use\n";
    bench.write("metadata.csv", sheet.as_bytes());
    // The sheet itself is a file of the archive; only the picture that it tells of is made anew.
    assert_redone(&bench, COPIES, 1, "described");
    let row = bench.row("a/one.ppm");
    assert_eq!(
        (row.title.as_str(), row.rights.as_str()),
        ("The first", "Free to use")
    );
    assert!(
        !row.quality_flags
            .contains(&fonds_core::Flag::TitleFromFilename)
    );
    let label = title(&bench);
    assert_eq!(label.title.as_deref(), Some("The first"));
    assert_eq!(label.rights.as_deref(), Some("Free to use"));

    bench.write(
        "metadata.csv",
        sheet.replace("first", "very first").as_bytes(),
    );
    assert_redone(&bench, COPIES, 1, "described anew");
    assert_eq!(title(&bench).title.as_deref(), Some("The very first"));
}

/// Thumbnails carry labels, too.
#[test]
fn what_people_wrote_reaches_thumbnails() {
    let bench = Bench::small();
    let plan = shipped("catalog-only");
    bench.run(&plan);
    bench.write("metadata.csv", b"filename,title\na/one.ppm,The first\n");
    bench.run(&plan);
    assert_eq!(bench.row("a/one.ppm").title, "The first");
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "described");
}

/// A new file that makes two names meet changes the id of the old one, and with it its results.
#[test]
fn a_new_file_of_the_same_stem() {
    let bench = done();
    let plan = plan(COPIES);
    bench.write("a/one.pgm", &picture("a/one.pgm", 40, 30, 3));
    bench.run(&plan);
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "same stem");
}

/// A source that becomes unreadable loses its derivative's row, not the file, until `clean`.
#[test]
fn a_source_that_breaks() {
    let bench = done();
    let plan = plan(COPIES);
    let old = bench.derivative_of("a/one.ppm");
    bench.write("a/one.ppm", b"P6\n40 30\n255\nshort");
    let report = bench.run(&plan);
    assert_eq!(report.counts.failed, 2);
    assert_eq!(report.orphans, 2);
    assert!(old.exists());
    clean(&bench.output, true).unwrap();
    let straight = bench.beside("straight");
    straight.run(&plan);
    assert_same_content(&bench.output, &straight.output, "broken");
    bench.write("a/one.ppm", &picture("a/one.ppm", 40, 30, 0));
    assert_redone(&bench, COPIES, 1, "mended");
}

/// A renamed archive folder changes nothing but the place.
#[test]
fn a_moved_archive_is_still_known() {
    let mut bench = done();
    let before = content(&bench.output);
    let moved = bench.input.with_file_name("moved");
    fs::rename(&bench.input, &moved).unwrap();
    bench.input = moved;
    assert_eq!(bench.run(&plan(COPIES)).counts.processed, 0);
    assert_eq!(before, content(&bench.output));
}
