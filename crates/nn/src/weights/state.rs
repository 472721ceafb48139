//! From what a pickle holds to the tensors of one network: wrappers opened, modules gathered.

use std::collections::BTreeMap;

use fonds_core::{Code, Error, Result};

use super::pickle::{Id, Pickle, Value};

/// Keys under which people put the dictionary of tensors, the best first: averaged weights are
/// what a training publishes.
const WRAPPERS: [&str; 24] = [
    "params_ema",
    "params-ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema_model",
    "generator_ema",
    "net_g_ema",
    "g_ema",
    "ema",
    "params",
    "model_state_dict",
    "state_dict",
    "generator_state_dict",
    "model",
    "generator",
    "network",
    "net",
    "netG",
    "net_g",
    "G",
    "g",
    "weights",
    "module",
];

/// Prefixes that wrappers of modules add to every key.
const PREFIXES: [&str; 4] = ["module.", "netG.", "generator.", "_orig_mod."];

/// Dictionaries or modules inside each other.
const MAX_DEPTH: usize = 64;
/// Entries looked at; those of a module that is shared by many parents are counted for each.
const MAX_VISITED: usize = 8 << 20;
/// Bytes of a tensor's name.
const MAX_NAME: usize = 1024;
/// Tensors with names.
const MAX_TENSORS: usize = 1 << 17;
/// Remarks on the way.
const MAX_NOTES: usize = 32;
/// Entries of metadata.
const MAX_METADATA: usize = 256;

/// The tensors of a network by name, and how they were found.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tensors: Vec<(String, Id)>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) path_taken: Vec<String>,
}

/// Finds the tensors of the network in a pickle. With `entry`, those under this key of the
/// outermost dictionary.
pub(crate) fn find(pickle: &Pickle<'_>, entry: Option<&str>) -> Result<State> {
    let mut finder = Finder {
        pickle,
        state: State::default(),
        visited: 0,
        open: Vec::new(),
    };
    let mut at = pickle.root;
    if let Some(entry) = entry {
        at = finder.enter(at, entry)?;
    }
    finder.unwrap(at)?;
    Ok(finder.state)
}

/// Strips prefixes that every name has, and says which.
pub(crate) fn strip_prefixes(names: &mut [&mut String], path_taken: &mut Vec<String>) {
    while !names.is_empty() {
        let Some(prefix) = PREFIXES
            .iter()
            .find(|prefix| names.iter().all(|name| name.starts_with(**prefix)))
        else {
            return;
        };
        for name in names.iter_mut() {
            name.drain(..prefix.len());
        }
        path_taken.push(format!("prefix `{prefix}` stripped"));
    }
}

struct Finder<'p, 'a> {
    pickle: &'p Pickle<'a>,
    state: State,
    visited: usize,
    /// Modules being gathered, outermost first.
    open: Vec<Id>,
}

impl Finder<'_, '_> {
    /// The value under a key; what it costs to look for it is counted.
    fn lookup(&mut self, dict: Id, key: &str) -> Result<Option<Id>> {
        self.visit(self.pickle.entries(dict).map_or(0, <[_]>::len))?;
        Ok(self.pickle.get(dict, key))
    }

    fn enter(&mut self, at: Id, entry: &str) -> Result<Id> {
        let Some(id) = self.lookup(at, entry)? else {
            return Err(Error::new(
                Code::InvalidRequest,
                format!("the checkpoint has no entry `{entry}`"),
            )
            .hint(format!("it has {}", self.keys(at))));
        };
        self.note_siblings(at, id);
        self.state.path_taken.push(format!("`{entry}`"));
        Ok(id)
    }

    fn unwrap(&mut self, mut at: Id) -> Result<()> {
        for _ in 0..MAX_DEPTH {
            match self.pickle.value(at) {
                Value::Record(record) if record.entries.is_empty() => {
                    let class = self.pickle.class_path(record);
                    if let Some(state) = record.state
                        && !class.starts_with("__torch__")
                        && self.lookup(state, "_modules")?.is_none()
                        && self.lookup(state, "_parameters")?.is_none()
                    {
                        // An object that keeps a network among its attributes, such as a trainer.
                        at = state;
                        self.state
                            .path_taken
                            .push(format!("attributes of `{class}`"));
                        continue;
                    }
                    self.state.path_taken.push(format!("module `{class}`"));
                    self.module(at, &mut String::new())?;
                    return self.found();
                }
                Value::Dict(_) | Value::Record(_) => {
                    let entries = self.pickle.entries(at).unwrap_or_default();
                    let holds_tensors = entries
                        .iter()
                        .any(|&(_, v)| matches!(self.pickle.value(v), Value::Tensor(_)));
                    if holds_tensors {
                        self.dictionary(at)?;
                        return self.found();
                    }
                    at = self.choose(at)?;
                }
                _ => {
                    return Err(Error::new(
                        Code::UnsupportedFormat,
                        format!(
                            "the checkpoint holds {}, no tensors",
                            self.pickle.describe(at)
                        ),
                    ));
                }
            }
        }
        Err(too_deep())
    }

    fn found(&mut self) -> Result<()> {
        if self.state.tensors.is_empty() {
            return Err(Error::new(
                Code::UnsupportedFormat,
                "the checkpoint holds no tensors",
            ));
        }
        Ok(())
    }

    /// The entry of a dictionary without tensors in which to go on.
    fn choose(&mut self, at: Id) -> Result<Id> {
        for key in WRAPPERS {
            if let Some(id) = self.lookup(at, key)?
                && self.is_container(id)
            {
                return self.enter(at, key);
            }
        }
        let entries = self.pickle.entries(at).unwrap_or_default();
        let mut containers = entries.iter().filter(|&&(k, v)| {
            self.is_container(v) && self.pickle.text(k).is_some_and(|k| k.len() <= MAX_NAME)
        });
        if let (Some(&(key, value)), None) = (containers.next(), containers.next()) {
            let key = self.pickle.text(key).unwrap_or_default().into_owned();
            self.note_siblings(at, value);
            self.state.path_taken.push(format!("`{key}`"));
            return Ok(value);
        }
        Err(Error::new(
            Code::UnsupportedVariant,
            if entries.is_empty() {
                "the checkpoint is an empty dictionary".to_owned()
            } else {
                format!(
                    "the checkpoint holds {} and none is known to be the network",
                    self.keys(at)
                )
            },
        ))
    }

    fn is_container(&self, id: Id) -> bool {
        match self.pickle.value(id) {
            Value::Dict(entries) => !entries.is_empty(),
            Value::Record(record) => record.state.is_some() || !record.entries.is_empty(),
            _ => false,
        }
    }

    /// The first keys of a dictionary, for messages.
    fn keys(&self, at: Id) -> String {
        let entries = self.pickle.entries(at).unwrap_or_default();
        let mut names: Vec<String> = entries
            .iter()
            .filter_map(|&(k, _)| self.pickle.text(k))
            .map(|k| format!("`{}`", k.chars().take(64).collect::<String>()))
            .take(12)
            .collect();
        if entries.len() > names.len() {
            names.push(format!("{} more", entries.len() - names.len()));
        }
        if names.is_empty() {
            return "nothing".to_owned();
        }
        names.join(", ")
    }

    /// Keeps numbers and texts that stand beside the network, and those of dictionaries such as
    /// `hyper_parameters` one level down.
    fn note_siblings(&mut self, dict: Id, chosen: Id) {
        let entries = self.pickle.entries(dict).unwrap_or_default();
        for &(key, value) in entries.iter().take(MAX_METADATA) {
            if value == chosen {
                continue;
            }
            let Some(key) = self.pickle.text(key).filter(|k| k.len() <= 256) else {
                continue;
            };
            self.note(&key, value);
            let inner = match self.pickle.value(value) {
                Value::Record(record) => record.state.unwrap_or(value),
                _ => value,
            };
            let inner = self.pickle.entries(inner).unwrap_or_default();
            for &(inner_key, inner_value) in inner.iter().take(MAX_METADATA) {
                if let Some(inner_key) = self.pickle.text(inner_key).filter(|k| k.len() <= 256) {
                    self.note(&format!("{key}.{inner_key}"), inner_value);
                }
            }
        }
    }

    fn note(&mut self, key: &str, value: Id) {
        if self.state.metadata.len() < MAX_METADATA
            && let Some(text) = self.pickle.scalar_text(value)
        {
            self.state.metadata.insert(key.to_owned(), text);
        }
    }

    /// A flat dictionary of tensors.
    fn dictionary(&mut self, at: Id) -> Result<()> {
        let entries = self.pickle.entries(at).unwrap_or_default();
        for &(key, value) in entries {
            self.visit(1)?;
            let Some(name) = self.pickle.text(key).filter(|k| k.len() <= MAX_NAME) else {
                continue;
            };
            match self.pickle.value(value) {
                Value::Tensor(_) => {
                    let name = name.into_owned();
                    self.add(name, value)?;
                }
                Value::Dict(inner) if !inner.is_empty() => {
                    if self.state.path_taken.len() < MAX_NOTES {
                        let note = format!("`{name}` left aside");
                        self.state.path_taken.push(note);
                    }
                }
                _ => {
                    let name = name.into_owned();
                    self.note(&name, value);
                }
            }
        }
        Ok(())
    }

    /// Parameters and buffers of a module and of the modules in it.
    fn module(&mut self, at: Id, prefix: &mut String) -> Result<()> {
        self.visit(1)?;
        if self.open.contains(&at) {
            return Err(Error::new(
                Code::Corrupt,
                format!("the module `{prefix}` contains itself"),
            ));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        let Value::Record(record) = self.pickle.value(at) else {
            return Ok(());
        };
        let Some(state) = record.state else {
            return Ok(());
        };
        self.open.push(at);
        let is_script = self.pickle.class_path(record).starts_with("__torch__");
        if is_script {
            // TorchScript keeps parameters and modules as plain attributes.
            self.members(state, prefix, true)?;
            self.members(state, prefix, false)?;
        } else {
            let transient = self.transient_buffers(state)?;
            for (group, skip) in [("_parameters", &[][..]), ("_buffers", &transient[..])] {
                if let Some(group) = self.lookup(state, group)? {
                    self.tensors_of(group, prefix, skip)?;
                }
            }
            if let Some(modules) = self.lookup(state, "_modules")? {
                self.members(modules, prefix, false)?;
            }
        }
        self.open.pop();
        Ok(())
    }

    /// Buffers that a module does not count as its state.
    fn transient_buffers(&mut self, state: Id) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let names = self.lookup(state, "_non_persistent_buffers_set")?;
        if let Some(Value::List(names)) = names.map(|id| self.pickle.value(id)) {
            for &name in names {
                self.visit(1)?;
                if let Some(name) = self.pickle.text(name).filter(|n| n.len() <= MAX_NAME) {
                    found.push(name.into_owned());
                }
            }
        }
        Ok(found)
    }

    fn tensors_of(&mut self, group: Id, prefix: &str, skip: &[String]) -> Result<()> {
        let entries = self.pickle.entries(group).unwrap_or_default();
        for &(key, value) in entries {
            self.visit(1)?;
            if let (Some(key), Value::Tensor(_)) = (self.pickle.text(key), self.pickle.value(value))
                && !skip.iter().any(|name| *name == key)
            {
                let name = joined(prefix, &key)?;
                self.add(name, value)?;
            }
        }
        Ok(())
    }

    /// Tensors (`tensors`) or modules (otherwise) among the entries of a dictionary.
    fn members(&mut self, dict: Id, prefix: &mut String, tensors: bool) -> Result<()> {
        if tensors {
            return self.tensors_of(dict, prefix, &[]);
        }
        let entries = self.pickle.entries(dict).unwrap_or_default();
        for &(key, value) in entries {
            self.visit(1)?;
            if let (Some(key), Value::Record(_)) = (self.pickle.text(key), self.pickle.value(value))
            {
                let length = prefix.len();
                let mut name = joined(prefix, &key)?;
                name.push('.');
                *prefix = name;
                self.module(value, prefix)?;
                prefix.truncate(length);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, tensor: Id) -> Result<()> {
        if self.state.tensors.len() >= MAX_TENSORS {
            return Err(Error::new(
                Code::LimitsExceeded,
                format!("the checkpoint has more than {MAX_TENSORS} tensors"),
            ));
        }
        self.state.tensors.push((name, tensor));
        Ok(())
    }

    fn visit(&mut self, entries: usize) -> Result<()> {
        self.visited += entries;
        if self.visited > MAX_VISITED {
            return Err(Error::new(
                Code::LimitsExceeded,
                format!("the dictionaries of the checkpoint have more than {MAX_VISITED} entries"),
            ));
        }
        Ok(())
    }
}

fn joined(prefix: &str, key: &str) -> Result<String> {
    if prefix.len() + key.len() > MAX_NAME {
        return Err(Error::new(
            Code::LimitsExceeded,
            format!("a tensor's name has more than {MAX_NAME} bytes"),
        ));
    }
    Ok(format!("{prefix}{key}"))
}

fn too_deep() -> Error {
    Error::new(
        Code::LimitsExceeded,
        format!("the checkpoint nests more than {MAX_DEPTH} levels"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::pickle::load;

    /// Opcodes for `_rebuild_tensor(storage '0', 0, (1,), (1,))`.
    const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\x00K\x01\x85K\x01\x85tR";

    fn key(text: &str) -> Vec<u8> {
        [&[b'U', text.len() as u8], text.as_bytes()].concat()
    }

    /// A dictionary of these keys and values.
    fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = b"}(".to_vec();
        for (k, v) in entries {
            bytes.extend(key(k));
            bytes.extend(v);
        }
        bytes.push(b'u');
        bytes
    }

    fn record(class: &str, state: &[u8]) -> Vec<u8> {
        [
            format!("csomebodys\n{class}\n)").as_bytes(),
            b"\x81",
            state,
            b"b",
        ]
        .concat()
    }

    /// A module with these parameters and modules.
    fn module(parameters: &[&str], modules: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let parameters: Vec<_> = parameters.iter().map(|p| (*p, TENSOR.to_vec())).collect();
        let state = dict(&[
            ("_parameters", dict(&parameters)),
            ("_buffers", dict(&[])),
            ("_modules", dict(modules)),
            ("training", b"\x88".to_vec()),
        ]);
        record("Net", &state)
    }

    /// What is found in a value: names, and the way there.
    fn found(value: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
        let bytes = [value, b"."].concat();
        let pickle = load(&bytes)?;
        let state = find(&pickle, None)?;
        let names = state.tensors.into_iter().map(|(name, _)| name).collect();
        Ok((names, state.path_taken))
    }

    #[test]
    fn averaged_weights_come_first() {
        let net = |name: &str| dict(&[(name, TENSOR.to_vec())]);
        let value = dict(&[
            ("params", net("plain")),
            ("state_dict", net("other")),
            ("params_ema", net("averaged")),
        ]);
        let (names, path) = found(&value).unwrap();
        assert_eq!(
            (names, path),
            (vec!["averaged".to_owned()], vec!["`params_ema`".to_owned()])
        );
    }

    #[test]
    fn wrappers_in_wrappers_are_opened() {
        let value = dict(&[
            ("iter", b"K\x05".to_vec()),
            (
                "model",
                dict(&[(
                    "anything",
                    dict(&[("state_dict", dict(&[("w", TENSOR.to_vec())]))]),
                )]),
            ),
        ]);
        let (names, path) = found(&value).unwrap();
        assert_eq!(names, ["w"]);
        assert_eq!(path, ["`model`", "`anything`", "`state_dict`"]);
    }

    #[test]
    fn a_choice_among_unknown_names_is_left_to_the_user() {
        let net = || dict(&[("w", TENSOR.to_vec())]);
        let error = found(&dict(&[("netG_A", net()), ("netG_B", net())])).unwrap_err();
        assert!(error.message().contains("`netG_A`, `netG_B`"), "{error}");
        for (value, part) in [
            (dict(&[]), "empty dictionary"),
            (b"N".to_vec(), "holds None"),
            (b"]".to_vec(), "a list of 0"),
            (dict(&[("epoch", b"K\x01".to_vec())]), "`epoch`"),
            (module(&[], &[]), "no tensors"),
        ] {
            let error = found(&value).unwrap_err();
            assert!(error.message().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn modules_are_gathered_in_order() {
        let value = module(
            &["bias", "weight"],
            &[
                ("0", module(&["weight"], &[])),
                ("1", b"N".to_vec()),
                ("body", module(&[], &[("3", module(&["weight"], &[]))])),
            ],
        );
        let (names, path) = found(&dict(&[("model", value)])).unwrap();
        assert_eq!(names, ["bias", "weight", "0.weight", "body.3.weight"]);
        assert_eq!(path, ["`model`", "module `somebodys.Net`"]);
    }

    #[test]
    fn a_trainer_that_holds_a_network_is_opened() {
        let net = module(&["w"], &[]);
        let value = record(
            "Trainer",
            &dict(&[("epoch", b"K\x01".to_vec()), ("net", net)]),
        );
        let (names, path) = found(&value).unwrap();
        assert_eq!(names, ["w"]);
        assert_eq!(path[0], "attributes of `somebodys.Trainer`");
    }

    #[test]
    fn a_module_in_itself_is_an_error() {
        // The module is kept as number 0 before its state is built, and stands in its own state.
        let state = dict(&[
            ("_parameters", dict(&[])),
            ("_modules", dict(&[("me", b"h\x00".to_vec())])),
        ]);
        let value = [b"csomebodys\nNet\n)\x81q\x00", &state[..], b"b"].concat();
        let error = found(&value).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.message().contains("`me.` contains itself"), "{error}");
    }

    #[test]
    fn shared_modules_do_not_explode() {
        // Forty levels, each with the level below it twice: a tera of ways to one tensor.
        let mut value = [&module(&["w"], &[])[..], b"q\x00"].concat();
        for level in 0..40_u8 {
            let below = vec![b'h', level];
            let above = module(&[], &[("a", below.clone()), ("b", below)]);
            value = [&value[..], b"0", &above, &[b'q', level + 1]].concat();
        }
        let error = found(&value).unwrap_err();
        assert_eq!(error.code(), Code::LimitsExceeded, "{error}");
    }

    #[test]
    fn a_long_dictionary_is_not_searched_for_ever() {
        // Attributes without end, shared by as many modules.
        let mut state = b"}q\x00(".to_vec();
        state.extend(b"NN".repeat(100_000));
        state.extend(b"u0");
        let mut modules = b"}(".to_vec();
        for i in 0..10_000 {
            modules.extend(key(&i.to_string()));
            modules.extend(record("Net", b"h\x00"));
        }
        modules.push(b'u');
        let value = record("Net", &dict(&[("_modules", modules)]));
        let started = std::time::Instant::now();
        let error = found(&[&state[..], &value].concat()).unwrap_err();
        assert_eq!(error.code(), Code::LimitsExceeded, "{error}");
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn deep_modules_and_dictionaries_are_refused() {
        let mut nested = module(&["w"], &[]);
        for _ in 0..100 {
            nested = module(&[], &[("m", nested)]);
        }
        assert_eq!(found(&nested).unwrap_err().code(), Code::LimitsExceeded);
        let mut nested = dict(&[("w", TENSOR.to_vec())]);
        for _ in 0..100 {
            nested = dict(&[("m", nested)]);
        }
        assert_eq!(found(&nested).unwrap_err().code(), Code::LimitsExceeded);
    }

    #[test]
    fn prefixes_go_only_if_all_have_them() {
        let strip = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let mut path = Vec::new();
            strip_prefixes(&mut names.iter_mut().collect::<Vec<_>>(), &mut path);
            (names.join(" "), path.len())
        };
        assert_eq!(strip(&["module.a", "module.b"]), ("a b".to_owned(), 1));
        assert_eq!(strip(&["module.a", "b"]), ("module.a b".to_owned(), 0));
        assert_eq!(strip(&["module.generator.a"]), ("a".to_owned(), 2));
        assert_eq!(strip(&["model.1.weight"]), ("model.1.weight".to_owned(), 0));
        assert_eq!(strip(&[]), (String::new(), 0));
    }
}
