//! `fonds report`, and decisions of people that `fonds run` follows.

use std::fs;
use std::path::Path;

use fonds_catalog::{Decision, DerivativeRecord, TableReader};
use serde_json::Value;

use crate::support::{Bench, expect, files, picture, record};

fn derivative(bench: &Bench, source: &str) -> DerivativeRecord {
    let mut rows = TableReader::<DerivativeRecord>::open_in(&bench.path("out")).unwrap();
    rows.find(|row| row.as_ref().unwrap().filename == source)
        .unwrap()
        .unwrap()
}

fn data(report: &Path) -> Value {
    let text = fs::read_to_string(report.join("data.js")).unwrap();
    let json = text.strip_prefix("window.fonds = ").unwrap();
    serde_json::from_str(json.trim_end().trim_end_matches(';')).unwrap()
}

#[test]
fn a_report_has_its_pictures_and_is_kept_up_to_date() {
    let bench = Bench::with_broken();
    bench.write(
        "in/<script>alert(1)<script> 'x' 100%.ppm",
        &picture(40, 30, 9),
    );
    assert_eq!(bench.run(&[]).code, 3);
    let before = files(&bench.path("in"));
    // Six pictures with original, derivative, difference and thumbnail each.
    let ended = bench.fonds(&["report", "out"]);
    expect(
        &ended,
        0,
        "8 pictures, 24 views made, 0 kept, 0 failed -> out/report/index.html",
    );
    let report = bench.path("out/report");
    let pictures = files(&report.join("pictures"));
    assert_eq!(pictures.len(), 24, "{pictures:?}");
    let data = data(&report);
    let thumbs = data["sheet"]["thumb"].as_array().unwrap();
    let thumbs: Vec<_> = thumbs.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(thumbs.iter().filter(|name| !name.is_empty()).count(), 6);
    for name in thumbs.into_iter().filter(|name| !name.is_empty()) {
        assert!(
            pictures.contains(&format!("{}/{name}.jpg", &name[..2])),
            "{name}"
        );
    }
    let seconds = data["sheet"]["seconds"].as_array().unwrap();
    assert!(seconds.iter().any(Value::is_number), "{seconds:?}");
    let page = fs::read_to_string(report.join("index.html")).unwrap();
    assert!(!page.contains("<script>alert"));

    expect(&bench.fonds(&["report", "out"]), 0, "0 views made, 24 kept");
    // Another original: its pictures are made anew, and the old ones go.
    bench.write("in/four.ppm", &picture(40, 30, 77));
    bench.run(&[]);
    expect(&bench.fonds(&["report", "out"]), 0, "4 views made, 20 kept");
    assert_eq!(files(&report.join("pictures")).len(), 24);
    assert_eq!(
        files(&bench.path("in")),
        before,
        "the archive was only read"
    );
    let ended = bench.fonds(&["verify", "out"]);
    expect(&ended, 0, "sidecars are as recorded");
}

#[test]
fn originals_that_are_gone_cost_themselves() {
    let bench = Bench::good();
    bench.run(&[]);
    fs::remove_file(bench.path("in/four.ppm")).unwrap();
    bench.write("in/a/one.ppm", &picture(40, 30, 99));
    let ended = bench.fonds(&["report", "out", "--json"]);
    assert_eq!(ended.code, 3, "{}", ended.all());
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let failed: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "failed")
        .collect();
    assert_eq!(failed.len(), 2, "{}", ended.all());
    assert_eq!(failed[0]["error_code"], "checksum_mismatch");
    assert_eq!(failed[1]["error_code"], "unreadable");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["pictures"], &last["failures"]),
        (&"ended".into(), &6.into(), &2.into())
    );
    // What was made from them is still shown.
    let thumbs = data(&bench.path("out/report"))["sheet"]["thumb"].clone();
    let shown = thumbs
        .as_array()
        .unwrap()
        .iter()
        .filter(|name| **name != "");
    assert_eq!(shown.count(), 5);

    // Without the whole archive there is one line, not one for each picture.
    fs::rename(bench.path("in"), bench.path("moved")).unwrap();
    fs::remove_dir_all(bench.path("out/report")).unwrap();
    let ended = bench.fonds(&["report", "out"]);
    expect(
        &ended,
        0,
        "originals are not shown (name it with --input FOLDER)",
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.all());
    expect(
        &bench.fonds(&["report", "out", "--input", "moved"]),
        3,
        "2 failed",
    );
}

#[test]
fn where_a_report_may_not_be() {
    let bench = Bench::good();
    bench.run(&[]);
    expect(
        &bench.fonds(&["report", "out", "--to", "in/report"]),
        6,
        "in the archive",
    );
    expect(
        &bench.fonds(&["report", "out", "--to", "out"]),
        6,
        "is the output itself",
    );
    bench.write("mine/letter.txt", b"keep me");
    expect(
        &bench.fonds(&["report", "out", "--to", "mine"]),
        6,
        "holds other files than a report's",
    );
    expect(
        &bench.fonds(&["report", "out", "--input", "nowhere"]),
        5,
        "is not a folder",
    );
    expect(
        &bench.fonds(&["report", "nowhere"]),
        5,
        "name the folder that `fonds run` wrote to",
    );
    expect(
        &bench.fonds(&["report", "out", "--to", "elsewhere/deep"]),
        0,
        "elsewhere/deep/index.html",
    );
    assert_eq!(
        data(&bench.path("elsewhere/deep"))["data"]["output"],
        "../../out/"
    );
}

#[test]
fn rejected_derivatives_are_set_aside_and_come_back() {
    let bench = Bench::good();
    bench.run(&[]);
    let made = derivative(&bench, "a/one.ppm");
    assert_eq!(made.path, "derivatives/a/one.ppm.little.png");
    let bytes = fs::read(bench.path("out").join(&made.path)).unwrap();
    let review = format!(
        "objectid,filename,derivative,sha256,decision,note,reviewer,date\n\
         a-one,a/one.ppm,{},{},reject,'=too dark,Anna,2026-11-25T10:00:00Z\n\
         four,,,,approve,,,\n",
        made.path,
        made.sha256.unwrap()
    );
    bench.write("out/review.csv", review.as_bytes());
    for round in 0..2 {
        let ended = bench.run(&[]);
        expect(&ended, 0, "nothing to do: all 5 files are up to date");
        let told = ended
            .stderr
            .contains("review.csv: 1 derivatives set aside in rejected/, 0 brought back");
        assert_eq!(told, round == 0, "{}", ended.all());
        assert!(!bench.path("out").join(&made.path).exists());
        let aside = bench.path("out/rejected/a/one.ppm.little.png");
        assert_eq!(fs::read(&aside).unwrap(), bytes);
        assert!(
            bench
                .path("out/rejected/a/one.ppm.little.png.prov.json")
                .is_file()
        );
        let row = derivative(&bench, "a/one.ppm");
        assert_eq!(row.path, "rejected/a/one.ppm.little.png");
        assert_eq!(row.review, Some(Decision::Rejected));
        let row = record(&bench, "a-one");
        assert_eq!(row.review, Some(Decision::Rejected));
        assert_eq!(
            (row.review_note.as_str(), row.derivative_path.as_str()),
            ("=too dark", "")
        );
        assert_eq!(record(&bench, "four").review, Some(Decision::Approved));
        assert_eq!(record(&bench, "a-two").review, None);
        expect(
            &bench.fonds(&["verify", "out"]),
            0,
            "5 derivatives and 5 sidecars are as recorded",
        );
    }
    expect(&bench.fonds(&["report", "out"]), 0, "0 failed");
    let reviews = data(&bench.path("out/report"))["data"]["reviews"].clone();
    assert_eq!(reviews.as_array().unwrap().len(), 2, "{reviews}");
    assert_eq!(reviews[0][2], made.path.as_str());
    // A rejected derivative is no longer passed on.
    let export = "catalog export out --profile archivesspace --to space --base-url https://x.org";
    bench.fonds(&export.split(' ').collect::<Vec<_>>());
    let exported = fs::read_to_string(bench.path("space/archivesspace.csv")).unwrap();
    assert!(!exported.contains("one.ppm.little.png"), "{exported}");
    assert!(exported.contains("two.ppm.little.png"), "{exported}");

    bench.write(
        "out/review.csv",
        review.replace(",reject,", ",approve,").as_bytes(),
    );
    expect(
        &bench.run(&[]),
        0,
        "0 derivatives set aside in rejected/, 1 brought back",
    );
    assert_eq!(fs::read(bench.path("out").join(&made.path)).unwrap(), bytes);
    assert!(!bench.path("out/rejected/a/one.ppm.little.png").exists());
    assert_eq!(record(&bench, "a-one").review, Some(Decision::Approved));
    assert_eq!(record(&bench, "a-one").derivative_path, made.path);
    fs::remove_file(bench.path("out/review.csv")).unwrap();
    bench.run(&[]);
    assert_eq!(record(&bench, "a-one").review, None);
}

#[test]
fn a_picture_that_was_made_anew_is_not_the_one_that_was_rejected() {
    let bench = Bench::good();
    bench.run(&[]);
    let made = derivative(&bench, "four.ppm");
    let of_digest = format!(
        "derivative,sha256,decision\n{},{},reject\n",
        made.path,
        made.sha256.unwrap()
    );
    bench.write("out/review.csv", of_digest.as_bytes());
    bench.run(&[]);
    assert!(bench.path("out/rejected/four.ppm.little.png").is_file());
    bench.write("in/four.ppm", &picture(40, 30, 55));
    expect(&bench.run(&[]), 0, "review.csv:2: warning: was decided of");
    let row = derivative(&bench, "four.ppm");
    assert_eq!((row.path, row.review), (made.path.clone(), None));
    assert!(
        bench.path("out/rejected/four.ppm.little.png").is_file(),
        "nothing is deleted"
    );
    // Rejected again, whatever it looks like: the earlier one keeps its picture under another name.
    bench.write(
        "out/review.csv",
        format!("derivative,decision\n{},reject\n", made.path).as_bytes(),
    );
    bench.run(&[]);
    let aside = files(&bench.path("out/rejected"));
    assert_eq!(aside.len(), 4, "{aside:?}");
    assert!(aside.contains(&format!(
        "four.ppm.little.png.{}",
        made.sha256.unwrap().prefix(8)
    )));
    expect(&bench.fonds(&["verify", "out"]), 0, "are as recorded");
}

#[test]
fn mistakes_in_a_review_are_named_and_cost_nothing_else() {
    let bench = Bench::good();
    bench.run(&[]);
    bench.write(
        "out/review.csv",
        b"\xef\xbb\xbfObjectid;Decision;Note\r\na-one;reject;\r\n",
    );
    expect(&bench.run(&[]), 0, "nothing to do");
    assert!(bench.path("out/rejected/a/one.ppm.little.png").is_file());
    bench.write(
        "out/review.csv",
        b"objectid,decision\na-one,rejekt\nnobody,reject\na-two,reject\n",
    );
    let ended = bench.run(&[]);
    expect(
        &ended,
        0,
        "review.csv:2: warning: decision: `rejekt` is neither `approve` nor `reject` (did you mean `reject`?)",
    );
    expect(
        &ended,
        0,
        "review.csv:3: warning: no object has the id `nobody`",
    );
    assert!(
        bench.path("out/rejected/a/one.ppm.little.png").is_file(),
        "it stays where it was"
    );
    assert!(bench.path("out/rejected/a/two.ppm.little.png").is_file());
    bench.write("out/review.csv", b"\xff\xfeo\0b\0");
    expect(&bench.run(&[]), 2, "is UTF-16, not UTF-8");
    assert!(bench.path("out/rejected/a/two.ppm.little.png").is_file());
}
