//! What the tests share: small archives, runs over them, and a look at what a run wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fonds_catalog::provenance::content_view;
use fonds_catalog::{
    DerivativeRecord, FailureRecord, FileCheck, Record, Row, TableReader, ValidateOptions,
    content_text, validate,
};
use fonds_core::Digest;
use fonds_pipeline::{Event, Plan, Registry, RunOptions, RunReport, compile, run};
use tempfile::TempDir;

/// Cheap work that changes what is larger than 24 pixels and writes everything.
pub(crate) const COPIES: &str = r#"
    name = "copies"
    [run]
    unchanged = "write"
    [[step]]
    id = "little"
    run.resize = { longest = 24 }
    [[output]]
    format = "png"
"#;

/// A fixture folder.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    repository().join("fixtures").join(name)
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// A pipeline of the built-in steps.
pub(crate) fn plan(text: &str) -> Arc<Plan> {
    plan_of(text, &Registry::builtin())
}

/// A pipeline of these steps.
pub(crate) fn plan_of(text: &str, registry: &Registry) -> Arc<Plan> {
    let plan = compile(text, registry);
    Arc::new(plan.unwrap_or_else(|errors| panic!("{errors:#?}")))
}

/// A pipeline of the folder `pipelines/`.
pub(crate) fn shipped(name: &str) -> Arc<Plan> {
    let path = repository().join("pipelines").join(format!("{name}.toml"));
    plan(&fs::read_to_string(path).unwrap())
}

/// An archive and an output folder that vanish with the test.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

impl Bench {
    /// An archive without files.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in");
        fs::create_dir(&input).unwrap();
        let output = folder.path().join("out");
        Self {
            folder,
            input,
            output,
        }
    }

    /// A few tiny pictures in folders, one of them broken, and a text.
    pub(crate) fn small() -> Self {
        let bench = Self::empty();
        for (seed, path) in ["a/one.ppm", "a/two.ppm", "b/c/three.pgm", "four.ppm"]
            .into_iter()
            .enumerate()
        {
            bench.write(path, &picture(path, 40, 30, seed as u32));
        }
        bench.write("b/tiny.ppm", &picture("x.ppm", 16, 12, 9));
        bench.write("b/broken.png", b"\x89PNG\r\n\x1a\n and no more");
        bench.write("notes.txt", b"not a picture");
        bench
    }

    /// A fixture folder itself; it is only read.
    pub(crate) fn of_fixtures(name: &str) -> Self {
        Self {
            input: fixtures(name),
            ..Self::empty()
        }
    }

    /// The same archive with an output folder of another name.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self {
            folder: tempfile::tempdir_in(self.folder.path()).unwrap(),
            input: self.input.clone(),
            output: self.folder.path().join(name),
        }
    }

    /// Puts a file into the archive.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.input.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            workers: 2,
            ..RunOptions::new(&self.input, &self.output)
        }
    }

    /// A run that nothing stops from outside.
    pub(crate) fn run(&self, plan: &Arc<Plan>) -> RunReport {
        self.run_with(plan, |_| {})
    }

    /// A run with other options.
    pub(crate) fn run_with(
        &self,
        plan: &Arc<Plan>,
        change: impl FnOnce(&mut RunOptions),
    ) -> RunReport {
        let mut options = self.options();
        change(&mut options);
        run(plan, &options, &AtomicBool::new(false), &|_| {}).unwrap()
    }

    /// A run, and what it told.
    pub(crate) fn run_told(&self, plan: &Arc<Plan>) -> (RunReport, Vec<Event>) {
        let events = std::sync::Mutex::new(Vec::new());
        let tell = |event| events.lock().unwrap().push(event);
        let report = run(plan, &self.options(), &AtomicBool::new(false), &tell).unwrap();
        (report, events.into_inner().unwrap())
    }

    /// The derivatives that the table names for a file, as paths on the disk.
    pub(crate) fn derivatives_of(&self, filename: &str) -> Vec<PathBuf> {
        let rows: Vec<DerivativeRecord> = table(&self.output);
        let rows = rows.into_iter().filter(|row| row.filename == filename);
        rows.map(|row| self.output.join(row.path)).collect()
    }

    /// The only derivative of a file.
    pub(crate) fn derivative_of(&self, filename: &str) -> PathBuf {
        let mut paths = self.derivatives_of(filename);
        assert_eq!(paths.len(), 1, "{filename}: {paths:?}");
        paths.remove(0)
    }

    /// The row of a file.
    pub(crate) fn row(&self, filename: &str) -> Record {
        let rows: Vec<Record> = table(&self.output);
        let mut rows = rows
            .into_iter()
            .filter(|row| row.filename == filename && row.page().is_none());
        rows.next()
            .unwrap_or_else(|| panic!("no row for {filename}"))
    }
}

/// All rows of a table in an output folder.
pub(crate) fn table<T: Row>(output: &Path) -> Vec<T> {
    let mut reader = TableReader::<T>::open_in(output).unwrap();
    let mut rows = Vec::new();
    loop {
        let mut row = T::default();
        if !reader.read(&mut row).unwrap() {
            return rows;
        }
        rows.push(row);
    }
}

/// A PGM or PPM picture, by the extension: light ramps with a pattern that the seed decides.
pub(crate) fn picture(path: &str, width: u32, height: u32, seed: u32) -> Vec<u8> {
    let (magic, channels) = match path.rsplit('.').next() {
        Some("pgm") => ("P5", 1),
        _ => ("P6", 3),
    };
    let mut bytes = format!("{magic}\n{width} {height}\n255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..channels {
                let noise =
                    (x * 7 + y * 13 + channel * 29 + seed * 101).wrapping_mul(2_654_435_761) >> 27;
                bytes.push((40 + 3 * x + 2 * y + noise).min(255) as u8);
            }
        }
    }
    bytes
}

/// Every file below a folder by its path, with its digest.
pub(crate) fn digests(folder: &Path) -> BTreeMap<String, String> {
    let files = files(folder).into_iter();
    files
        .map(|path| {
            let digest = Digest::of(&fs::read(folder.join(&path)).unwrap());
            (path, digest.to_string())
        })
        .collect()
}

/// Every file below a folder, by its path in it, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
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

/// What two runs must agree on: tables, derivatives, thumbnails and sidecars, without what tells
/// one run from another.
pub(crate) fn content(output: &Path) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    let mut put = |name: &str, text: String| content.insert(name.to_owned(), text);
    put(
        "catalog.csv",
        content_text::<Record>(&output.join("catalog.csv")).unwrap(),
    );
    put(
        "derivatives.csv",
        content_text::<DerivativeRecord>(&output.join("derivatives.csv")).unwrap(),
    );
    put(
        "failed.csv",
        content_text::<FailureRecord>(&output.join("failed.csv")).unwrap(),
    );
    for path in files(output) {
        let bytes = || fs::read(output.join(&path)).unwrap();
        if path.ends_with(".prov.json") {
            let sidecar = serde_json::from_slice(&bytes()).unwrap();
            put(&path, content_view(&sidecar).to_string());
        } else if path.starts_with("derivatives/") || path.starts_with("objects/") {
            put(&path, Digest::of(&bytes()).to_string());
        }
    }
    content
}

/// Compares the contents of two output folders, telling first which files differ.
pub(crate) fn assert_same_content(one: &Path, other: &Path, what: &str) {
    let (one, other) = (content(one), content(other));
    let all = one.keys().chain(other.keys());
    let mut differing: Vec<&String> = all
        .filter(|path| one.get(*path) != other.get(*path))
        .collect();
    differing.dedup();
    if let Some(first) = differing.first() {
        let (a, b) = (one.get(*first), other.get(*first));
        panic!("{what}: {differing:?} differ; {first}:\n{a:#?}\n{b:#?}");
    }
}

/// No unfinished file is left, and the tables agree with each other and with the disk.
pub(crate) fn assert_sound(output: &Path) {
    let parts: Vec<String> = files(output)
        .into_iter()
        .filter(|path| path.contains(".fonds-part-") || path.contains(".part-"))
        .collect();
    assert!(parts.is_empty(), "{parts:?}");
    let options = ValidateOptions {
        files: FileCheck::Digest,
        ..ValidateOptions::default()
    };
    let findings = validate(output, &options).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}
