//! The report's folder: its data, its pages, and names that would do harm.

use std::fs;
use std::path::Path;

use fonds_catalog::report::{PART, ReportFacts, ReportReader, ReportWriter, Shown, check_target};
use fonds_catalog::{Item, RUN_SCHEMA, RunFile};
use fonds_core::{Code, ObjectId, Result};
use serde_json::Value;

use crate::support;

const HARM: &str = "</script><img src=x onerror=\"alert('1')\"> 100%\n=1+1";

/// The report of an output, without pictures.
fn report(root: &Path) -> Result<()> {
    let mut reader = ReportReader::open(root)?;
    let mut writer = ReportWriter::create(&root.join("report"))?;
    while let Some(pictures) = reader.read()? {
        for picture in &pictures {
            writer.push(picture, &Shown::default())?;
        }
    }
    let facts = ReportFacts {
        title: HARM.into(),
        output: root.display().to_string(),
        output_url: "../".into(),
        ..ReportFacts::default()
    };
    writer.finish(reader.run(), &facts)
}

fn output(items: &[Item]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    support::write(folder.path(), items);
    let run = RunFile {
        schema: RUN_SCHEMA.into(),
        plan: "test".into(),
        input: HARM.into(),
        ..RunFile::default()
    };
    fs::write(folder.path().join("run.json"), run.to_json().unwrap()).unwrap();
    folder
}

/// The items of an archive, one of which has a name and a title that would do harm.
fn items(count: usize) -> Vec<Item> {
    let mut items = support::archive(count);
    let path = format!("{}/x.tif", HARM.replace('/', "_"));
    let mut bad = items.remove(0);
    bad.record.filename.clone_from(&path);
    bad.record.objectid = ObjectId::parse("bad").unwrap().to_string();
    bad.record.title = HARM.into();
    bad.record.error_message = HARM.into();
    for failure in &mut bad.failures {
        failure.filename.clone_from(&path);
        failure.error_message = HARM.into();
    }
    items.push(bad);
    items.sort_by(|a, b| a.record.filename.cmp(&b.record.filename));
    items
}

fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join("report").join(name)).unwrap()
}

fn data(root: &Path) -> Value {
    let text = read(root, "data.js");
    let json = text.strip_prefix("window.fonds = ").unwrap();
    serde_json::from_str(json.trim_end().trim_end_matches(';')).unwrap()
}

#[test]
fn every_picture_is_in_every_column_and_in_one_part() {
    let folder = output(&items(100));
    let root = folder.path();
    report(root).unwrap();
    let data = data(root);
    // 100 files, of which 20 have two pages each and no picture of their own.
    let count = data["data"]["count"].as_u64().unwrap();
    assert_eq!(count, 120);
    for (name, column) in data["sheet"].as_object().unwrap() {
        if name != "words_of" {
            assert_eq!(column.as_array().unwrap().len(), 120, "{name}");
        }
    }
    let words = &data["sheet"]["words_of"];
    let failed = words["status"].as_array().unwrap();
    let failed = failed.iter().position(|word| word == "failed").unwrap();
    let statuses = data["sheet"]["status"].as_array().unwrap();
    assert_eq!(
        statuses.iter().filter(|status| **status == failed).count(),
        20
    );
    let mut told = 0;
    for part in 0..120_usize.div_ceil(PART) {
        let text = read(root, &format!("details/{part:05}.js"));
        let start = format!("window.fonds.part({part},");
        let json = text
            .strip_prefix(&start)
            .unwrap()
            .trim_end()
            .strip_suffix(");")
            .unwrap();
        let list: Vec<Value> = serde_json::from_str(json).unwrap();
        for picture in &list {
            let id = &picture["fields"]["objectid"];
            assert_eq!(*id, data["sheet"]["id"][told], "part {part}");
            told += 1;
        }
    }
    assert_eq!(told, 120);
    let picture = read(root, "details/00000.js");
    assert!(picture.contains("\"trainingData\":\"photographs\""));
    assert!(picture.contains("restored by a \\u003cnetwork\\u003e \\u0026 more"));
}

#[test]
fn names_and_titles_are_text_wherever_they_are_shown() {
    let folder = output(&items(30));
    let root = folder.path();
    report(root).unwrap();
    let page = read(root, "index.html");
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the page's own two scripts"
    );
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<img src=x") && !page.contains("onerror=\"alert"));
    assert!(
        page.contains("&lt;&#x2f;script&gt;&lt;img src=x onerror="),
        "{page}"
    );
    for name in ["data.js", "details/00000.js"] {
        let text = read(root, name);
        assert!(!text.contains(['<', '>', '&']), "{name}");
    }
    let titles = data(root)["sheet"]["title"].clone();
    assert!(titles.as_array().unwrap().iter().any(|title| title == HARM));
}

#[test]
fn the_script_finds_in_the_page_what_it_looks_for() {
    let folder = output(&items(10));
    report(folder.path()).unwrap();
    let (page, script) = (
        read(folder.path(), "index.html"),
        read(folder.path(), "report.js"),
    );
    let asked = script.split("$(\"").skip(1);
    let asked: Vec<_> = asked.map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(asked.len() > 50);
    for id in asked {
        assert!(
            page.contains(&format!("id=\"{id}\"")),
            "the page has no `{id}`"
        );
    }
    // Pages from the disk may neither fetch nor import, and these make markup of texts.
    for word in [
        "fetch(",
        "import ",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "http",
    ] {
        assert!(!script.contains(word), "`{word}` in the script");
    }
    let style = read(folder.path(), "report.css");
    assert!(!style.contains("url(http") && !style.contains("@import"));
}

#[test]
fn figures_of_the_first_page() {
    let folder = output(&items(100));
    report(folder.path()).unwrap();
    let page = read(folder.path(), "index.html");
    let words: String = page
        .split("id=\"h-status\"")
        .nth(1)
        .unwrap()
        .split("</ul>")
        .next()
        .unwrap()
        .split('<')
        .filter_map(|tag| tag.split_once('>'))
        .map(|(_, text)| text.trim())
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    insta::assert_snapshot!(
        words,
        @"What became of them ok: 100 failed: 20 ok 100 83.3 % failed 20 16.7 %"
    );
    assert!(page.contains("status=failed&amp;code=corrupt"));
    assert!(page.contains("<title>100 bytes") || page.contains("Sharpness"));
}

#[test]
fn a_report_replaces_a_report_and_nothing_else() {
    let folder = output(&items(100));
    let root = folder.path();
    report(root).unwrap();
    assert!(root.join("report/details/00003.js").is_file());
    let fewer = items(10);
    support::write(root, &fewer);
    report(root).unwrap();
    assert!(!root.join("report/details/00003.js").exists());
    assert_eq!(data(root)["data"]["count"], 12);

    let error = check_target(root).unwrap_err();
    assert_eq!(error.code(), Code::WriteFailed);
    assert!(
        error
            .to_string()
            .contains("holds other files than a report's"),
        "{error}"
    );
    assert_eq!(error.hints().len(), 1);
    check_target(&root.join("new")).unwrap();
    check_target(&root.join("report")).unwrap();
}

#[test]
fn what_was_decided_is_in_the_report() {
    let folder = output(&items(10));
    let root = folder.path();
    let row = items(10);
    let row = row.iter().find(|item| item.derivatives.len() == 1).unwrap();
    let path = &row.derivatives[0].path;
    let text = format!(
        "derivative,decision,note\n\"{}\",reject,no\n",
        path.replace('"', "\"\"")
    );
    fs::write(root.join("review.csv"), text).unwrap();
    report(root).unwrap();
    let data = data(root);
    let reviews = data["data"]["reviews"].as_array().unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0][0], row.record.objectid.as_str());
    assert_eq!(
        (&reviews[0][2], &reviews[0][4], &reviews[0][5]),
        (&path.as_str().into(), &"reject".into(), &"no".into())
    );
    let marks = data["sheet"]["review"].as_array().unwrap();
    assert_eq!(marks.iter().filter(|mark| **mark == 2).count(), 1);
    fs::write(root.join("review.csv"), "no,review\n").unwrap();
    assert_eq!(report(root).unwrap_err().code(), Code::InvalidRequest);
}
