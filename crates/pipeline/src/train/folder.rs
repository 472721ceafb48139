//! The folder of a training run: where its files are, and its checkpoints.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fonds_catalog::AtomicFile;
use fonds_core::{Code, Digest, Error, Result};
use fonds_nn::train::State;

/// What the texts beside a checkpoint's tensors say under `format`.
const FORMAT: &str = "fonds-training-1";

/// The folder of a run.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct About {
    /// Steps taken.
    pub(super) step: u64,
    /// [`super::TrainingPlan::digest`].
    pub(super) config: String,
    /// The digest of the pictures.
    pub(super) data: String,
    /// What the watchmen remember.
    pub(super) watch: String,
}

impl Folder {
    /// The folders, made where they are missing.
    pub(super) fn create(root: &Path) -> Result<Self> {
        let folder = Self {
            root: root.to_owned(),
        };
        for path in [folder.state(), folder.checkpoints(), folder.samples()] {
            fs::create_dir_all(&path).map_err(|error| {
                let message = "the output folder cannot be made";
                let error = Error::from_io(error, Code::WriteFailed, message).at_path(&path);
                error.hint("choose an --out that you may write to")
            })?;
        }
        Ok(folder)
    }

    /// Whether a run has begun here.
    pub(super) fn has_run(root: &Path) -> bool {
        root.join("run.json").exists() || root.join("checkpoints").exists()
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the lock.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join(".fonds")
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    pub(super) fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }

    pub(super) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The grid of samples after so many steps.
    pub(super) fn sample(&self, step: u64) -> PathBuf {
        self.samples().join(format!("step-{step:08}.png"))
    }

    /// The checkpoint after so many steps.
    pub(super) fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints()
            .join(format!("step-{step:08}.safetensors"))
    }

    /// All checkpoints with their steps, the newest first.
    pub(super) fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let folder = self.checkpoints();
        let mut found = Vec::new();
        for path in entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let step = name.and_then(|name| {
                let number = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
                number.parse().ok()
            });
            if let Some(step) = step {
                found.push((step, path));
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found)
    }

    /// Removes what a process that died left under temporary names.
    pub(super) fn sweep(&self) -> Result<()> {
        for folder in [
            self.root.clone(),
            self.checkpoints(),
            self.samples(),
            self.models(),
        ] {
            if !folder.exists() {
                continue;
            }
            for path in entries(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str());
                if name.is_some_and(|name| name.starts_with('.') && name.contains(".part-")) {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a checkpoint, durably, and then removes all but the newest `keep`.
    ///
    /// # Errors
    /// `disk_full` or `write_failed`: the checkpoints before it are then as they were.
    pub(super) fn save(&self, state: &State, about: &About, keep: usize) -> Result<PathBuf> {
        let path = self.checkpoint(about.step);
        let mut texts = BTreeMap::new();
        let mut put = |key: &str, text: String| texts.insert(key.to_owned(), text);
        put("format", FORMAT.to_owned());
        put("fonds", env!("CARGO_PKG_VERSION").to_owned());
        put("step", about.step.to_string());
        put("config", about.config.clone());
        put("data", about.data.clone());
        put("watch", about.watch.clone());
        put("content", content(state)?);
        let bytes = state.to_bytes(&texts)?;
        let mut file = AtomicFile::create(&path)?;
        file.write(&bytes)?;
        file.commit()?;
        for (_, old) in self.list()?.into_iter().skip(keep) {
            remove(&old)?;
        }
        Ok(path)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// `corrupt` whatever is wrong with it.
    pub(super) fn load(path: &Path) -> Result<(State, About)> {
        let damaged = |why: String| Error::new(Code::Corrupt, why).at_path(path);
        let bytes = fs::read(path).map_err(|error| damaged(error.to_string()))?;
        let read = State::from_bytes(bytes);
        let (state, mut texts) = read.map_err(|error| damaged(error.detail()))?;
        let mut take = |key: &str| {
            let found = texts.remove(key);
            found.ok_or_else(|| damaged(format!("the checkpoint says no `{key}`")))
        };
        let format = take("format")?;
        if format != FORMAT {
            return Err(damaged(format!(
                "the checkpoint is of the format `{format}`, expected `{FORMAT}`"
            )));
        }
        let step = take("step")?;
        let about = About {
            step: step
                .parse()
                .map_err(|_| damaged(format!("`{step}` is no number of steps")))?,
            config: take("config")?,
            data: take("data")?,
            watch: take("watch")?,
        };
        if content(&state)? != take("content")? {
            return Err(damaged(
                "the content of the checkpoint is not what was written".to_owned(),
            ));
        }
        Ok((state, about))
    }
}

/// The digest of all tensors and counts: a file can be whole and yet wrong.
fn content(state: &State) -> Result<String> {
    let bytes = state.to_bytes(&BTreeMap::new())?;
    Ok(Digest::of(&bytes).to_string())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::from_io(error, Code::Unreadable, "the folder cannot be read").at_path(folder)
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    Ok(paths)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let error = Error::from_io(error, Code::WriteFailed, "cannot be removed");
            Err(error.at_path(path))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use fonds_nn::train::{Batch, Stack};

    use super::*;

    fn about(step: u64) -> About {
        About {
            step,
            config: "c".to_owned(),
            data: "d".to_owned(),
            watch: "w".to_owned(),
        }
    }

    fn state() -> State {
        let mut state = State::default();
        state.counts.insert("steps".to_owned(), 3);
        let stack = Stack {
            dims: [1, 1, 2, 2],
            values: vec![0.25, -1.0, 0.5, 3.0],
        };
        let mut batch = Batch::from_stacks(vec![stack], None).unwrap();
        let weights = batch.pictures.remove(0);
        state.tensors.insert("weights".to_owned(), weights);
        state
    }

    #[test]
    fn checkpoints_come_back_and_old_ones_go() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        for step in [5, 10, 15] {
            folder.save(&state(), &about(step), 2).unwrap();
        }
        let steps: Vec<u64> = folder
            .list()
            .unwrap()
            .iter()
            .map(|(step, _)| *step)
            .collect();
        assert_eq!(steps, [15, 10]);
        let (state, found) = Folder::load(&folder.checkpoint(15)).unwrap();
        assert_eq!((state.counts["steps"], found), (3, about(15)));
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        let path = folder.save(&state(), &about(1), 3).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in [0, 7, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(
                Folder::load(&path).unwrap_err().code(),
                Code::Corrupt,
                "{cut}"
            );
        }
        let before = b"count steps\":\"";
        let found = whole
            .windows(before.len())
            .position(|bytes| bytes == before);
        let at = found.unwrap() + before.len();
        assert_eq!(whole[at], b'3');
        let mut wrong = whole.clone();
        wrong[at] = b'4';
        fs::write(&path, &wrong).unwrap();
        let error = Folder::load(&path).unwrap_err();
        assert!(
            error.to_string().contains("not what was written"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_checkpoints_before_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        folder.save(&state(), &about(1), 1).unwrap();
        // A folder in the place of the file: it cannot be renamed over.
        fs::create_dir(folder.checkpoint(2)).unwrap();
        assert!(folder.save(&state(), &about(2), 1).is_err());
        assert!(Folder::load(&folder.checkpoint(1)).is_ok());
    }

    #[test]
    fn unfinished_files_are_swept() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        let left = folder
            .checkpoints()
            .join(".step-00000001.safetensors.part-7");
        fs::write(&left, b"half").unwrap();
        folder.sweep().unwrap();
        assert!(!left.exists());
    }
}
