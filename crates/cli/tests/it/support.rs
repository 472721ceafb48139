//! What the tests share: archives, and the program run over them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fonds_catalog::provenance::content_view;
use fonds_catalog::{DerivativeRecord, FailureRecord, Record, TableReader, content_text};
use fonds_core::Digest;
use tempfile::TempDir;

/// Cheap work that changes what is larger than 24 pixels and writes everything.
pub(crate) const COPIES: &str = "name = \"copies\"\n[run]\nunchanged = \"write\"\n\
    [[step]]\nid = \"little\"\nrun.resize = { longest = 24 }\n[[output]]\nformat = \"png\"\n";

/// The program.
pub(crate) fn fonds() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fonds"))
}

/// A fixture folder.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    root.canonicalize().unwrap().join(name)
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Everything that was printed, for messages.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs the program to its end in a folder without pipelines.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Ended::of(fonds().args(arguments).output().unwrap())
}

/// A folder with an archive, a pipeline, and room for output; gone with the test.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    /// Five tiny good pictures and a text.
    pub(crate) fn good() -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        bench.write("copies.toml", COPIES.as_bytes());
        for (seed, path) in [
            "a/one.ppm",
            "a/two.ppm",
            "b/three.ppm",
            "four.ppm",
            "b/x/y.ppm",
        ]
        .into_iter()
        .enumerate()
        {
            bench.write(&format!("in/{path}"), &picture(40, 30, seed as u32));
        }
        bench.write("in/notes.txt", b"not a picture");
        bench
    }

    /// The same with a broken picture.
    pub(crate) fn with_broken() -> Self {
        let bench = Self::good();
        bench.write("in/broken.png", b"\x89PNG\r\n\x1a\n and no more");
        bench
    }

    /// Many small pictures, for runs that have to be met while they work.
    pub(crate) fn many(count: u32) -> Self {
        let bench = Self::with_broken();
        for number in 0..count {
            let bytes = picture(300, 200, number);
            bench.write(&format!("in/many/{number:03}.ppm"), &bytes);
        }
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// `fonds run copies.toml in --out out` and these arguments.
    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        self.run_to("out", more)
    }

    /// The same with an output folder of another name.
    pub(crate) fn run_to(&self, output: &str, more: &[&str]) -> Ended {
        Ended::of(self.command(output).args(more).output().unwrap())
    }

    /// The command of [`Bench::run_to`], not started.
    pub(crate) fn command(&self, output: &str) -> Command {
        let mut command = fonds();
        command.current_dir(self.folder.path());
        command.args(["run", "copies.toml", "in", "--out", output]);
        command
    }

    /// Any command, in the folder of the bench.
    pub(crate) fn fonds(&self, arguments: &[&str]) -> Ended {
        let mut command = fonds();
        command.current_dir(self.folder.path()).args(arguments);
        Ended::of(command.output().unwrap())
    }
}

/// A PPM picture: light ramps with a pattern that the seed decides.
pub(crate) fn picture(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut bytes = format!("P6\n{width} {height}\n255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let noise =
                    (x * 7 + y * 13 + channel * 29 + seed * 101).wrapping_mul(2_654_435_761) >> 27;
                bytes.push((40 + 3 * x + 2 * y + noise).min(255) as u8);
            }
        }
    }
    bytes
}

/// What two runs must agree on, by path.
pub(crate) fn content(output: &Path) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    let catalog = content_text::<Record>(&output.join("catalog.csv")).unwrap();
    let derivatives = content_text::<DerivativeRecord>(&output.join("derivatives.csv")).unwrap();
    let failed = content_text::<FailureRecord>(&output.join("failed.csv")).unwrap();
    content.insert("catalog.csv".to_owned(), catalog);
    content.insert("derivatives.csv".to_owned(), derivatives);
    content.insert("failed.csv".to_owned(), failed);
    for path in files(output) {
        let bytes = fs::read(output.join(&path)).unwrap();
        if path.ends_with(".prov.json") {
            let view = content_view(&serde_json::from_slice(&bytes).unwrap());
            content.insert(path, view.to_string());
        } else if path.starts_with("derivatives/") || path.starts_with("objects/") {
            content.insert(path, Digest::of(&bytes).to_string());
        }
    }
    content
}

/// Every file below a folder, by its path in it, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)
            .into_iter()
            .flatten()
            .map(Result::unwrap)
        {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let relative = path.strip_prefix(folder).unwrap();
                found.push(relative.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort_unstable();
    found
}

/// That a command ended so, and said this.
pub(crate) fn expect(ended: &Ended, code: i32, text: &str) {
    assert_eq!(ended.code, code, "{}", ended.all());
    assert!(
        ended.all().contains(text),
        "`{text}` is not in {}",
        ended.all()
    );
}

/// An object's row of the catalogue.
pub(crate) fn record(bench: &Bench, id: &str) -> Record {
    let mut rows = TableReader::<Record>::open_in(&bench.path("out")).unwrap();
    rows.find(|row| row.as_ref().unwrap().objectid == id)
        .unwrap()
        .unwrap()
}
