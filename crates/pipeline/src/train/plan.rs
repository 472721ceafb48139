//! A training file that can be run: typed, complete, compared key by key with that of another run.

use std::collections::BTreeMap;
use std::path::Path;

use fonds_core::{Code, Digest, Error, Result, Seed};
use toml::Value;

use super::data::DataPlan;
use super::game::{Game, Place};
use super::game_spec;
use super::spec::{MOST_STEPS, OutputPlan, Spec, WatchPlan};
use crate::reader::Sink;

/// What a training file asks for.
#[derive(Debug, Clone)]
pub struct TrainingPlan {
    /// Its name: lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What all chance follows from.
    pub seed: Seed,
    /// Steps to take.
    pub steps: u64,
    /// Samples of a step; of the discriminator's each, where it takes several.
    pub batch: usize,
    /// The pictures.
    pub data: DataPlan,
    /// Who trains what.
    pub game: Game,
    /// What is written, and when.
    pub output: OutputPlan,
    /// When the watchmen warn.
    pub watch: WatchPlan,
    /// The file as it was written.
    pub text: String,
    /// Every key that decides what is learned, with its value.
    pub keys: BTreeMap<String, String>,
}

/// What a run of a plan needs, for `fonds check`.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Networks and their parameters.
    pub networks: Vec<(String, usize)>,
    /// Bytes of weights, their gradients, averages and the optimisers' memory; activations come on
    /// top.
    pub bytes: u64,
}

/// Whether a file is a training file rather than a pipeline: it has a table `train`.
pub fn is_training(text: &str) -> bool {
    let table = toml::de::DeTable::parse_recoverable(text).0;
    table.into_inner().contains_key("train")
}

/// Checks a training file.
///
/// # Errors
/// Every mistake in the file, in the order of their places, each with line, column and hints.
pub fn compile_training(text: &str) -> Result<TrainingPlan, Vec<Error>> {
    let sink = Sink::new(text);
    let plan = plan(&sink, text);
    match plan {
        Some(plan) if sink.is_empty() => Ok(plan),
        _ => Err(sink.into_errors()),
    }
}

fn plan(sink: &Sink<'_>, text: &str) -> Option<TrainingPlan> {
    let spec = Spec::read(sink, text);
    let bad = |offset, message: String, hint: &str| {
        let error = Error::new(Code::InvalidRequest, message);
        sink.report(offset, error.hint(hint));
    };
    if let Some(at) = &spec.name {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if at.value.is_empty() || !at.value.chars().all(valid) {
            let message = format!("`{}` cannot be the name of a training", at.value);
            bad(
                at.offset,
                message,
                "use lower-case letters, digits, `_` and `-`",
            );
        }
    }
    if let Some(at) = spec
        .steps
        .as_ref()
        .filter(|at| !(1..=MOST_STEPS).contains(&at.value))
    {
        let message = format!("`steps` is {}, allowed is 1 to {MOST_STEPS}", at.value);
        bad(
            at.offset,
            message,
            "a small training takes some thousand steps",
        );
    }
    if let Some(at) = spec
        .batch
        .as_ref()
        .filter(|at| !(1..=4096).contains(&at.value))
    {
        let message = format!("`batch` is {}, allowed is 1 to 4096", at.value);
        bad(
            at.offset,
            message,
            "usual are 16 to 128, and 1 for CycleGAN",
        );
    }
    let mut data = spec.data;
    let game = spec
        .train
        .and_then(|(kind, args)| game_spec::read(&kind, args, &data, spec.data_offset));
    data.options.mask = game.as_ref().is_some_and(Game::needs_mask);
    if data.pictures() == 2
        && let Err(error) = data.options.validate(&data.source)
    {
        sink.report(spec.data_offset, error);
    }
    Some(TrainingPlan {
        name: spec.name?.value,
        description: spec.description,
        seed: Seed::new(spec.seed),
        steps: spec.steps?.value,
        batch: spec.batch?.value,
        data,
        game: game?,
        output: spec.output,
        watch: spec.watch,
        text: text.to_owned(),
        keys: deciding_keys(text),
    })
}

impl TrainingPlan {
    /// The digest of all keys that decide what is learned from given pictures. Names, paths of data,
    /// and what is written and when, decide nothing; nor does the number of steps.
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for (key, value) in &self.keys {
            text.push_str(&format!("{key} = {value}\n"));
        }
        Digest::of(text.as_bytes())
    }

    /// What the networks need, found by building them. `folder` is where relative paths of weights
    /// begin.
    ///
    /// # Errors
    /// Those of the trainer.
    pub fn needs(&self, folder: &Path) -> Result<Needs> {
        // Classes and attributes are known when the data is opened; a few stand for them.
        let conditions = if self.game.is_conditional() { 2 } else { 0 };
        let trainer = self
            .game
            .trainer(conditions, self.seed, folder, &Place::cpu())?;
        let state = trainer.state()?;
        let networks = networks_of(&state);
        let parameters: usize = networks.iter().map(|(_, count)| count).sum();
        let kept = state.count_values(|_| true);
        Ok(Needs {
            networks,
            bytes: 4 * (kept + parameters) as u64,
        })
    }
}

/// The networks of a trainer's state, with their parameters.
pub(super) fn networks_of(state: &fonds_nn::train::State) -> Vec<(String, usize)> {
    let mut networks: Vec<(String, usize)> = Vec::new();
    for name in state.tensors.keys() {
        let Some((network, _)) = name.split_once(".weights.") else {
            continue;
        };
        if networks.iter().all(|(known, _)| known != network) {
            let prefix = format!("{network}.weights.");
            let count = state.count_values(|name| name.starts_with(&prefix));
            networks.push((network.to_owned(), count));
        }
    }
    networks
}

/// Keys that differ between two runs, each with both values.
pub(super) fn differences(
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    let differing = keys
        .into_iter()
        .filter(|key| one.get(*key) != other.get(*key));
    let told = differing.map(|key| {
        let value = |keys: &BTreeMap<String, String>| {
            keys.get(key)
                .cloned()
                .unwrap_or_else(|| "nothing".to_owned())
        };
        format!("`{key}` was {} and is {}", value(one), value(other))
    });
    told.collect()
}

/// The keys of a training file that decide what is learned.
pub(super) fn deciding_keys(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    if let Ok(table) = toml::from_str::<toml::Table>(text) {
        flatten("", &Value::Table(table), &mut keys);
    }
    keys.retain(|key, _| decides(key));
    keys
}

fn decides(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or(key);
    let place = matches!(
        key.rsplit('.').next(),
        Some("path" | "a" | "b" | "catalog" | "root")
    );
    let beside = ["name", "description", "steps", "output", "watch"].contains(&first);
    !(beside || key.starts_with("data.from.") && place || key == "data.cache_mib")
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            if table.is_empty() {
                keys.insert(prefix.to_owned(), "{}".to_owned());
            }
            for (key, value) in table {
                let name = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&name, value, keys);
            }
        }
        other => {
            keys.insert(prefix.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
name = "small"
seed = 1
steps = 20
batch = 4
[data]
from.folder = { path = "pictures" }
size = 16
[train.noise]
generator.dcgan = { features = 8, latent = 16 }
discriminator.dcgan = { features = 8 }
"#;

    fn errors(text: &str) -> Vec<String> {
        let errors = compile_training(text).unwrap_err();
        let told = errors
            .iter()
            .map(|error| format!("{error} ({})", error.hints().join("; ")));
        told.collect()
    }

    #[test]
    fn a_file_becomes_a_plan() {
        let plan = compile_training(SMALL).unwrap();
        assert_eq!((plan.steps, plan.batch), (20, 4));
        assert_eq!(plan.game.kind(), "noise");
        assert!(is_training(SMALL) && !is_training("name = \"x\"\n[[step]]\n"));
        let needs = plan.needs(Path::new("")).unwrap();
        let names: Vec<&str> = needs.networks.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, ["discriminator", "generator"]);
        // 16·16·4·4 + 2·16, 16·8·4·4 + 2·8, 8·3·4·4: the generator by hand, with the running
        // statistics of its normalisations.
        let generator = 16 * 16 * 16 + 4 * 16 + 16 * 8 * 16 + 4 * 8 + 8 * 3 * 16;
        assert_eq!(needs.networks[1].1, generator);
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let text = SMALL
            .replace("name = \"small\"", "name = \"Small\"")
            .replace("batch = 4", "batch = 0")
            .replace("from.folder", "from.foldr")
            .replace("size = 16", "sise = 16")
            .replace("generator.dcgan", "generator.dcgam")
            .replace("features = 8 }", "features = \"eight\" }");
        let found = errors(&text);
        let expected = [
            "line 2, column 8: `Small` cannot be the name of a training (use lower-case letters, \
             digits, `_` and `-`)",
            "line 5, column 9: `batch` is 0, allowed is 1 to 4096 (usual are 16 to 128, and 1 for \
             CycleGAN)",
            "line 7, column 6: unknown kind `foldr` of `from` (did you mean `folder`?)",
            "line 8, column 1: unknown key `sise` in data (did you mean `size`?)",
            "line 10, column 11: unknown kind `dcgam` of `generator` (did you mean `dcgan`?)",
            "line 11, column 36: `features`: invalid type: string \"eight\", expected usize ()",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_missing_is_named_with_an_example() {
        let found = errors("");
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].contains("no `name`"));
        assert!(found[4].contains("train.cyclegan"));
    }

    #[test]
    fn trainers_and_data_must_fit() {
        let pix2pix = SMALL
            .replace("train.noise", "train.pix2pix")
            .replace("generator.dcgan = { features = 8, latent = 16 }", "")
            .replace("discriminator.dcgan = { features = 8 }", "");
        let found = errors(&pix2pix);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("needs 2 pictures in a sample and the data set gives 1"));
        let odd = errors(&SMALL.replace("size = 16", "size = 20"));
        assert!(
            odd[0].contains("sides are 16, 32, 64, 128 or 256"),
            "{odd:#?}"
        );
        let classes = errors(&format!("{SMALL}conditional = true\n"));
        assert!(classes[0].contains("the data has none"), "{classes:#?}");
        let four = errors(&SMALL.replace("size = 16", "size = 16\nchannels = 4"));
        assert!(
            four[0].contains("`channels` is 1 or 3 (found 4)"),
            "{four:#?}"
        );
    }

    #[test]
    fn the_digest_is_that_of_what_decides() {
        let digest = |text: &str| compile_training(text).unwrap().digest();
        let plain = digest(SMALL);
        for same in [
            SMALL.replace("steps = 20", "steps = 30 # longer"),
            SMALL.replace("\"pictures\"", "\"elsewhere\""),
            format!("{SMALL}[output]\nkeep = 9\n"),
        ] {
            assert_eq!(digest(&same), plain, "{same}");
        }
        let other = SMALL.replace("features = 8 }", "features = 9 }");
        assert_ne!(digest(&other), plain);
        let told = differences(&deciding_keys(SMALL), &deciding_keys(&other));
        assert_eq!(
            told,
            ["`train.noise.discriminator.dcgan.features` was 8 and is 9"]
        );
    }
}
