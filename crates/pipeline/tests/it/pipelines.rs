//! Folders of pipelines: those that are shipped compile, those under `fixtures/bad` are refused
//! with everything that is wrong with them.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fonds_core::Code;
use fonds_pipeline::{Registry, compile};

use crate::support::{fixtures, repository};

fn pipelines(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort_unstable();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn every_shipped_pipeline_compiles() {
    let registry = Registry::builtin();
    let mut wrong = Vec::new();
    for path in pipelines(&repository().join("pipelines")) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        match compile(&fs::read_to_string(&path).unwrap(), &registry) {
            Ok(plan) if plan.name != stem => {
                wrong.push(format!("{stem}: its name is `{}`", plan.name));
            }
            Ok(plan) if plan.description.is_empty() => {
                wrong.push(format!("{stem}: no description"));
            }
            Ok(_) => {}
            Err(errors) => wrong.push(format!("{stem}: {errors:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_bad_pipeline_is_refused_with_its_message() {
    let registry = Registry::builtin();
    let mut wrong = Vec::new();
    for path in pipelines(&fixtures("bad/pipelines")) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let checked = catch_unwind(AssertUnwindSafe(|| {
            let errors = compile(&fs::read_to_string(&path).unwrap(), &registry).unwrap_err();
            let places: Vec<_> = errors
                .iter()
                .map(|error| (error.place().line.unwrap(), error.place().column.unwrap()))
                .collect();
            assert!(places.is_sorted(), "{places:?}");
            assert!(errors.iter().all(|e| e.code() == Code::InvalidRequest));
            let mut text = String::new();
            for error in &errors {
                writeln!(text, "{error}").unwrap();
                for hint in error.hints() {
                    writeln!(text, "  hint: {hint}").unwrap();
                }
            }
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(name.clone(), text);
            });
        }));
        if checked.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Comments, blank lines and the order of keys are not what a result depends on.
#[test]
fn the_digest_is_that_of_the_meaning() {
    let digest = |text: &str| compile(text, &Registry::builtin()).unwrap().digest();
    let plain = "name = \"x\"\n[[step]]\nrun.tone = { clip = 0.5, cast = 0.1 }\n\
                 [[output]]\nformat = \"png\"\n";
    let same = "# a comment\nname = \"x\" # another\n\n[[step]]\n\
                run.tone = { cast = 0.1, clip = 0.5, mode = \"joint\" }\n\
                [[output]]\nformat = \"png\"\n[run]\nmemory_mib = 100\non_error = \"abort\"\n";
    assert_eq!(digest(plain), digest(same));
    for (from, to) in [
        ("0.5", "0.6"),
        ("tone", "clahe"),
        ("\"png\"", "\"tiff\""),
        ("\"x\"", "\"y\""),
        ("[[step]]", "[run]\nseed = 2\n[[step]]"),
        ("[[step]]", "[run]\nunchanged = \"write\"\n[[step]]"),
        ("[[step]]", "[limits]\nmax_pages = 2\n[[step]]"),
        ("[[step]]", "[catalog]\nrights = \"free\"\n[[step]]"),
        ("[[step]]", "[thumbnails]\n[[step]]"),
        ("[[step]]", "[[step]]\nmax_change = 0.5"),
        ("[[step]]", "[[step]]\nwhen = { fading = { above = 0.1 } }"),
        ("[[output]]", "[[output]]\nprofile = \"srgb\""),
        ("[[output]]", "[[output]]\nbit_depth = 8"),
    ] {
        let text = plain.replace(from, to);
        let text = text.replace("run.clahe = { clip = 0.5, cast = 0.1 }", "run.clahe = {}");
        assert_ne!(digest(plain), digest(&text), "{text}");
    }
}
