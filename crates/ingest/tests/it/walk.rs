//! The walk over folders of every kind.

use std::fs;
use std::path::Path;

use fonds_core::Code;
use fonds_ingest::{Fate, Selection, SkipReason, Walk, WalkOptions, walk};
use tempfile::TempDir;

fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        put(root.path(), file);
    }
    root
}

fn put(root: &Path, file: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, file).unwrap();
}

fn run(root: &Path, follow_links: bool) -> Walk {
    let options = WalkOptions {
        follow_links,
        ..WalkOptions::default()
    };
    walk(root, &Selection::new(&options).unwrap()).unwrap()
}

/// Each file with its fate in a word.
fn fates(walk: &Walk) -> Vec<(String, String)> {
    let word = |fate: &Fate| match fate {
        Fate::Selected => "selected".to_owned(),
        Fate::Skipped(reason) => reason.as_str().to_owned(),
        Fate::Failed(error) => format!("failed {}", error.code()),
        _ => unreachable!("all fates are named"),
    };
    let pair = |found: &fonds_ingest::Found| (found.path.to_string(), word(&found.fate));
    walk.files.iter().map(pair).collect()
}

fn expect(walk: &Walk, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|&(path, fate)| (path.to_owned(), fate.to_owned()))
        .collect();
    assert_eq!(fates(walk), expected);
}

#[test]
fn every_file_once_sorted_by_bytes() {
    let root = tree(&[
        "b.tif",
        "a/z.jpg",
        "a.jpg",
        "a b.jpg",
        "a/notes.txt",
        "Z.PNG",
        "é.png",
        "a/Thumbs.db",
        ".DS_Store",
        "x/.hidden/y.png",
        "metadata.csv",
    ]);
    let found = run(root.path(), false);
    expect(
        &found,
        &[
            (".DS_Store", "clutter"),
            ("Z.PNG", "selected"),
            ("a b.jpg", "selected"),
            ("a.jpg", "selected"),
            ("a/Thumbs.db", "clutter"),
            ("a/notes.txt", "not_selected"),
            ("a/z.jpg", "selected"),
            ("b.tif", "selected"),
            ("metadata.csv", "not_selected"),
            ("x/.hidden/y.png", "clutter"),
            ("é.png", "selected"),
        ],
    );
    assert!(found.problems.is_empty());
    for file in &found.files {
        let bytes = fs::read(file.on_disk(root.path())).unwrap();
        assert_eq!(bytes, file.path.as_str().as_bytes());
        assert_eq!(file.stamp.size, bytes.len() as u64);
        assert!(file.stamp.mtime_ns > 1_600_000_000_000_000_000);
    }
}

#[test]
fn a_root_must_be_a_folder() {
    let root = tree(&["a.jpg"]);
    let selection = Selection::new(&WalkOptions::default()).unwrap();
    for path in ["a.jpg", "none"] {
        let error = walk(&root.path().join(path), &selection).unwrap_err();
        assert_eq!(error.code(), Code::Unreadable, "{path}");
        assert!(error.place().path.is_some());
    }
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(run(&root.path().join("empty"), false).files.is_empty());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_to_files() {
        let outside = tree(&["secret.jpg"]);
        let root = tree(&["a.jpg"]);
        let at = |name: &str| root.path().join(name);
        symlink("a.jpg", at("inside.jpg")).unwrap();
        symlink(outside.path().join("secret.jpg"), at("outside.jpg")).unwrap();
        symlink("nothing.jpg", at("broken.jpg")).unwrap();
        symlink("nothing.txt", at("broken.txt")).unwrap();
        symlink("self.jpg", at("self.jpg")).unwrap();
        symlink("a.jpg", at(".clutter.jpg")).unwrap();
        let found = run(root.path(), true);
        expect(
            &found,
            &[
                (".clutter.jpg", "clutter"),
                ("a.jpg", "selected"),
                ("broken.jpg", "failed unreadable"),
                ("broken.txt", "not_selected"),
                ("inside.jpg", "selected"),
                ("outside.jpg", "link_outside"),
                ("self.jpg", "failed unreadable"),
            ],
        );
        assert_eq!(found.files[4].stamp, found.files[1].stamp);
        let Fate::Failed(error) = &found.files[2].fate else {
            unreachable!()
        };
        assert!(error.message().contains("nothing.jpg"), "{error}");
    }

    #[test]
    fn links_to_folders() {
        let outside = tree(&["secret.jpg"]);
        let root = tree(&["a/b/c.jpg", "d/e.jpg"]);
        let at = |name: &str| root.path().join(name);
        symlink("../..", at("a/b/up")).unwrap();
        symlink("../../d", at("a/b/d")).unwrap();
        symlink("../a", at("d/a")).unwrap();
        symlink(outside.path(), at("outside")).unwrap();
        symlink("d", at(".hidden")).unwrap();
        expect(
            &run(root.path(), false),
            &[
                (".hidden", "clutter"),
                ("a/b/c.jpg", "selected"),
                ("a/b/d", "linked_folder"),
                ("a/b/up", "linked_folder"),
                ("d/a", "linked_folder"),
                ("d/e.jpg", "selected"),
                ("outside", "link_outside"),
            ],
        );
        expect(
            &run(root.path(), true),
            &[
                (".hidden", "clutter"),
                ("a/b/c.jpg", "selected"),
                ("a/b/d/a", "link_loop"),
                ("a/b/d/e.jpg", "selected"),
                ("a/b/up", "link_loop"),
                ("d/a/b/c.jpg", "selected"),
                ("d/a/b/d", "link_loop"),
                ("d/a/b/up", "link_loop"),
                ("d/e.jpg", "selected"),
                ("outside", "link_outside"),
            ],
        );
    }

    #[test]
    fn a_linked_root_is_walked() {
        let real = tree(&["a.jpg"]);
        let other = tree(&[]);
        let link = other.path().join("archive");
        symlink(real.path(), &link).unwrap();
        expect(&run(&link, false), &[("a.jpg", "selected")]);
    }

    #[test]
    fn sockets_are_listed_and_never_opened() {
        let root = tree(&["a.jpg"]);
        let socket = root.path().join("s.jpg");
        let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        symlink("s.jpg", root.path().join("t.jpg")).unwrap();
        expect(
            &run(root.path(), false),
            &[
                ("a.jpg", "selected"),
                ("s.jpg", "special_file"),
                ("t.jpg", "special_file"),
            ],
        );
    }

    #[test]
    fn names_that_are_not_utf8() {
        let root = tree(&["a%FF.jpg"]);
        let raw = root.path().join(OsStr::from_bytes(b"a\xff.jpg"));
        if fs::write(&raw, "raw").is_err() {
            return; // This file system takes UTF-8 only.
        }
        fs::write(root.path().join(OsStr::from_bytes(b"b%\xff.jpg")), "b").unwrap();
        let found = run(root.path(), false);
        expect(
            &found,
            &[
                ("a%FF.jpg", "selected"),
                ("a%FF.jpg", "failed name_collision"),
                ("b%25%FF.jpg", "selected"),
            ],
        );
        let read = |i: usize| fs::read_to_string(found.files[i].on_disk(root.path())).unwrap();
        assert_eq!(
            (read(0), read(1), read(2)),
            ("a%FF.jpg".into(), "raw".into(), "b".into())
        );
        assert!(found.files[0].path.is_exact() && !found.files[1].path.is_exact());
    }

    /// A folder whose path is too long for the system cannot be read even by the administrator,
    /// whom permissions do not stop.
    #[test]
    fn folders_that_cannot_be_read_are_not_lost() {
        let root = tree(&["a.jpg"]);
        let part = "d".repeat(250);
        let deep = |top: &str| {
            let mut path = root.path().join(top);
            path.extend(std::iter::repeat_n(&part, 12));
            fs::create_dir_all(&path).unwrap();
            path
        };
        let upper = deep("upper");
        let lower = deep("lower");
        fs::write(lower.join("lost.jpg"), "x").unwrap();
        fs::rename(root.path().join("lower"), upper.join("lower")).unwrap();
        let found = run(root.path(), false);
        assert_eq!(found.files.len(), 2);
        assert_eq!(found.problems.len(), 1);
        assert_eq!(found.problems[0].code(), Code::Unreadable);
        let Fate::Failed(error) = &found.files[1].fate else {
            unreachable!("{:?}", found.files[1])
        };
        assert_eq!(error.code(), Code::Unreadable);
        assert!(found.files[1].path.as_str().starts_with("upper/ddd"));
    }

    #[test]
    fn folders_without_permission_are_not_lost() {
        use std::os::unix::fs::PermissionsExt;
        let root = tree(&["a.jpg", "locked/b.jpg", ".locked/c.jpg"]);
        let set = |mode: u32| {
            for folder in ["locked", ".locked"] {
                let permissions = fs::Permissions::from_mode(mode);
                fs::set_permissions(root.path().join(folder), permissions).unwrap();
            }
        };
        set(0);
        let administrator = fs::read_dir(root.path().join("locked")).is_ok();
        let found = run(root.path(), false);
        set(0o755);
        if administrator {
            assert_eq!(found.files.len(), 3);
            return;
        }
        expect(
            &found,
            &[
                (".locked", "clutter"),
                ("a.jpg", "selected"),
                ("locked", "failed unreadable"),
            ],
        );
        assert_eq!(found.problems.len(), 1);
    }
}

#[test]
fn skip_reasons_have_words_of_their_own() {
    let reasons = [
        SkipReason::NotSelected,
        SkipReason::Clutter,
        SkipReason::LinkOutside,
        SkipReason::LinkedFolder,
        SkipReason::LinkLoop,
        SkipReason::SpecialFile,
    ];
    let words: std::collections::BTreeSet<_> = reasons.iter().map(|r| r.as_str()).collect();
    assert_eq!(words.len(), reasons.len());
}

#[test]
fn an_entry_is_small() {
    // With a path of 60 bytes, an entry takes about 170 bytes; the promise is 250.
    assert!(size_of::<fonds_ingest::Found>() <= 96);
}
