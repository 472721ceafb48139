//! What a pickle builds here: an arena of plain values, in which nothing owns anything else.
//!
//! Values refer to each other by number, so shared and circular structures cost nothing extra and
//! dropping a deeply nested one cannot overflow the stack.

use std::borrow::Cow;

use crate::weights::tensor::{Dtype, Layout};

/// The number of a value in its pickle.
pub(crate) type Id = u32;

/// One value.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits; nothing in a checkpoint needs its digits.
    Big,
    Float(f64),
    Str(Cow<'a, str>),
    Bytes(&'a [u8]),
    Tuple(Box<[Id]>),
    /// A list, a set or a frozen set.
    List(Vec<Id>),
    /// A dictionary in the order of insertion; of equal keys the last one counts.
    Dict(Vec<(Id, Id)>),
    /// A name that the pickle refers to: a class, a function, a constant.
    Global(Box<Global<'a>>),
    /// A storage, by its number in [`Pickle::storages`].
    Storage(u32),
    Tensor(Box<PickledTensor<'a>>),
    Record(Box<Record>),
}

/// A name in a Python module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Global<'a> {
    pub(crate) module: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
}

impl Global<'_> {
    /// `module.name`, as Python writes it.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// An object of some class, of which only the class's name and the state are known.
#[derive(Debug)]
pub(crate) struct Record {
    /// The class, a [`Value::Global`].
    pub(crate) class: Id,
    /// What its constructor was given, a tuple.
    pub(crate) args: Id,
    /// What was left to be set afterwards, usually the dictionary of its attributes.
    pub(crate) state: Option<Id>,
    /// Entries, where the class is a kind of dictionary.
    pub(crate) entries: Vec<(Id, Id)>,
}

/// A tensor as the pickle describes it; its storage is elsewhere in the file.
#[derive(Debug)]
pub(crate) struct PickledTensor<'a> {
    pub(crate) storage: u32,
    pub(crate) layout: Layout,
    /// The number type, where it is not the storage's.
    pub(crate) dtype: Option<NumberType<'a>>,
}

/// A number type, or the name of one that is not read.
pub(crate) type NumberType<'a> = Result<Dtype, Cow<'a, str>>;

/// A storage as the pickle refers to it.
#[derive(Debug)]
pub(crate) struct StorageRef<'a> {
    /// Its name among the storages of the file.
    pub(crate) key: Cow<'a, str>,
    pub(crate) dtype: NumberType<'a>,
    /// Offset and length, in elements, where it is a part of another (before PyTorch 0.4).
    pub(crate) part: Option<(usize, usize)>,
}

/// All values of one pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub(crate) values: Vec<Value<'a>>,
    pub(crate) storages: Vec<StorageRef<'a>>,
    pub(crate) root: Id,
    /// Bytes of the stream up to and with the final opcode.
    pub(crate) consumed: usize,
}

impl<'a> Pickle<'a> {
    pub(crate) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// The text of a string or of a plain number: what keys of dictionaries are.
    pub(crate) fn text(&self, id: Id) -> Option<Cow<'_, str>> {
        match self.value(id) {
            Value::Str(text) => Some(Cow::Borrowed(text)),
            Value::Int(n) => Some(Cow::Owned(n.to_string())),
            _ => None,
        }
    }

    /// The text of a value that is no container.
    pub(crate) fn scalar_text(&self, id: Id) -> Option<String> {
        match self.value(id) {
            Value::Bool(b) => Some(b.to_string()),
            Value::Int(n) => Some(n.to_string()),
            Value::Float(x) => Some(x.to_string()),
            Value::Str(text) if text.len() <= 1024 => Some(text.to_string()),
            _ => None,
        }
    }

    /// The entries of a dictionary or of an object that is a kind of dictionary.
    pub(crate) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.value(id) {
            Value::Dict(entries) => Some(entries),
            Value::Record(record) if !record.entries.is_empty() => Some(&record.entries),
            _ => None,
        }
    }

    /// The value under a key, the last one if it was set more than once.
    pub(crate) fn get(&self, dict: Id, key: &str) -> Option<Id> {
        self.entries(dict)?
            .iter()
            .rev()
            .find(|(k, _)| matches!(self.value(*k), Value::Str(text) if text == key))
            .map(|(_, v)| *v)
    }

    /// What a value is, for a person.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.value(id) {
            Value::None => "None".to_owned(),
            Value::Big => "a large number".to_owned(),
            Value::Str(_) => match self.scalar_text(id) {
                Some(text) => format!("{text:?}"),
                None => "a long text".to_owned(),
            },
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                self.scalar_text(id).unwrap_or_default()
            }
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Value::Tuple(items) => format!("a tuple of {}", items.len()),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Dict(entries) => format!("a dictionary of {}", entries.len()),
            Value::Global(global) => format!("the name `{}`", global.path()),
            Value::Storage(_) => "a storage".to_owned(),
            Value::Tensor(tensor) => format!("a tensor {:?}", tensor.layout.shape),
            Value::Record(record) => format!("an object of class `{}`", self.class_path(record)),
        }
    }

    /// The class's name.
    pub(crate) fn class_path(&self, record: &Record) -> String {
        match self.value(record.class) {
            Value::Global(global) => global.path(),
            _ => "?".to_owned(),
        }
    }
}
