//! What a call in a pickle means here: a closed list. Nothing is ever executed.

use std::borrow::Cow;

use fonds_core::{Code, Error, Result};

use super::machine::Machine;
use super::value::{Global, Id, NumberType, PickledTensor, Record, StorageRef, Value};
use crate::weights::tensor::{Dtype, Layout};

/// Dimensions of a tensor beyond which nothing is a network's.
const MAX_DIMENSIONS: usize = 16;
/// Bytes of a storage's name, which is a number.
const MAX_KEY: usize = 256;

/// Modules of which nothing belongs in a checkpoint, not even a class: making an object of
/// `subprocess.Popen` runs a program.
const FORBIDDEN_MODULES: [&str; 34] = [
    "__builtin__",
    "asyncio",
    "builtins",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "dill",
    "distutils",
    "http",
    "importlib",
    "io",
    "marshal",
    "multiprocessing",
    "nt",
    "ntpath",
    "os",
    "pickle",
    "pip",
    "platform",
    "popen2",
    "posix",
    "posixpath",
    "pty",
    "requests",
    "runpy",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "timeit",
    "urllib",
    "webbrowser",
];

/// Functions, and classes in lower case, that real checkpoints call and that say nothing about
/// weights. Like classes they become records.
const INERT: [(&str, &str); 21] = [
    ("torch", "device"),
    ("torch", "dtype"),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"),
    ("torch.serialization", "_get_layout"),
    ("torch._C", "_get_layout"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.random", "__randomstate_ctor"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("collections", "deque"),
    ("builtins", "complex"),
    ("builtins", "slice"),
    ("builtins", "range"),
    ("builtins", "object"),
];

/// Constructors of plain containers; called with one container they give that container back.
const CONTAINERS: [&str; 6] = ["set", "frozenset", "list", "tuple", "dict", "bytearray"];

impl<'a> Machine<'a> {
    /// `callable(*args)`.
    pub(super) fn call(&mut self, callable: Id, args: Id) -> Result<Id> {
        let Value::Global(global) = &self.values[callable as usize] else {
            return Err(Error::new(
                Code::UnsupportedVariant,
                "the pickle calls something that it computed; nothing was executed",
            )
            .hint(DISTRUST));
        };
        let global = Global::clone(global);
        let items = self.tuple(args)?;
        match (&*global.module, &*global.name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => self.tensor(&items, None),
            ("torch._utils", "_rebuild_tensor_v3") => {
                let dtype = match items.get(6).map(|&id| &self.values[id as usize]) {
                    Some(Value::Global(dtype)) if dtype.module == "torch" => {
                        number_type(&dtype.name, &NAMED_TYPES)
                    }
                    _ => return Err(self.corrupt("a tensor has no number type".to_owned())),
                };
                self.tensor(&items, Some(dtype))
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch.nn.parameter", "Parameter")
            | ("torch.autograd.variable", "Variable") => self.wrapped_tensor(&global, &items),
            ("torch._tensor", "_rebuild_from_type_v2") => {
                // (function, type, arguments, state): a tensor with a type of its own.
                let (Some(&function), Some(&inner)) = (items.first(), items.get(2)) else {
                    return Err(self.corrupt("a tensor lacks its arguments".to_owned()));
                };
                self.call_inner(function, inner)
            }
            ("collections", "OrderedDict" | "defaultdict") => self.dictionary(&global, &items),
            ("torch", "Size") | ("torch.jit._pickle", _) | ("_codecs", "encode") => {
                self.first_of(&global, &items)
            }
            ("builtins" | "__builtin__", name) if CONTAINERS.contains(&name) => {
                if items.is_empty() {
                    return self.keep(if name == "dict" {
                        Value::Dict(Vec::new())
                    } else {
                        Value::List(Vec::new())
                    });
                }
                self.first_of(&global, &items)
            }
            ("copyreg" | "copy_reg", "_reconstructor") => match items.first() {
                Some(&class) => self.construct(class, args),
                None => Err(self.corrupt("an object has no class".to_owned())),
            },
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => {
                self.numpy_scalar(callable, args, &items)
            }
            (module, name) if is_inert(module, name) => self.record(callable, args),
            _ => Err(refused(&global)),
        }
    }

    /// One level of a call in a call: what `_rebuild_from_type_v2` is given is a plain tensor.
    fn call_inner(&mut self, function: Id, args: Id) -> Result<Id> {
        match &self.values[function as usize] {
            Value::Global(global)
                if global.module == "torch._utils" && global.name.starts_with("_rebuild_") =>
            {
                self.call(function, args)
            }
            Value::Global(global) => Err(refused(global)),
            _ => Err(self.corrupt("a tensor is made by no function".to_owned())),
        }
    }

    /// `class.__new__(class, *args)`.
    pub(super) fn construct(&mut self, class: Id, args: Id) -> Result<Id> {
        let Value::Global(global) = &self.values[class as usize] else {
            return Err(self.corrupt("an object has no class".to_owned()));
        };
        let global = Global::clone(global);
        let items = self.tuple(args)?;
        match (&*global.module, &*global.name) {
            ("collections", "OrderedDict" | "defaultdict") => self.dictionary(&global, &[]),
            ("torch", "Size") => self.first_of(&global, &items),
            ("torch.nn.parameter", "Parameter") if !items.is_empty() => {
                self.wrapped_tensor(&global, &items)
            }
            ("builtins" | "__builtin__", name) if CONTAINERS.contains(&name) => {
                self.call(class, args)
            }
            (module, name) if is_inert(module, name) || !is_forbidden(module) => {
                self.record(class, args)
            }
            _ => Err(refused(&global)),
        }
    }

    /// `object.__setstate__(state)`, or an update of its attributes.
    pub(super) fn build(&mut self, object: Id, state: Id) -> Result<()> {
        match &mut self.values[object as usize] {
            Value::Record(record) => {
                record.state = Some(state);
                Ok(())
            }
            // `_metadata` of a state dictionary, attributes of a tensor.
            Value::Dict(_) | Value::Tensor(_) | Value::List(_) => Ok(()),
            _ => Err(self.corrupt("a plain value is given a state".to_owned())),
        }
    }

    /// What a reference out of the pickle stands for: a storage, or a class with its source text.
    pub(super) fn persistent(&mut self, reference: Id) -> Result<Id> {
        let items = self.tuple(reference)?;
        let tag = items.first().map(|&id| &self.values[id as usize]);
        match tag {
            Some(Value::Str(tag)) if tag == "module" && items.len() >= 2 => Ok(items[1]),
            Some(Value::Str(tag)) if tag == "storage" && items.len() >= 5 => {
                let dtype = match &self.values[items[1] as usize] {
                    Value::Global(class) if class.module.starts_with("torch") => {
                        number_type(&class.name, &STORAGE_TYPES)
                    }
                    _ => return Err(self.corrupt("a storage has no type".to_owned())),
                };
                let key = match &self.values[items[2] as usize] {
                    Value::Str(key) if key.len() <= MAX_KEY => key.clone(),
                    Value::Int(key) => Cow::Owned(key.to_string()),
                    _ => return Err(self.corrupt("a storage has no short name".to_owned())),
                };
                let part = match items.get(5).map(|&id| &self.values[id as usize]) {
                    Some(Value::Tuple(part)) if part.len() == 3 => {
                        Some((self.size(part[1])?, self.size(part[2])?))
                    }
                    _ => None,
                };
                let number = self.storages.len() as u32;
                self.storages.push(StorageRef { key, dtype, part });
                self.keep(Value::Storage(number))
            }
            _ => Err(self.corrupt("an unknown kind of reference".to_owned())),
        }
    }

    fn tensor(&mut self, items: &[Id], dtype: Option<NumberType<'a>>) -> Result<Id> {
        let &[storage, offset, shape, strides, ..] = items else {
            return Err(self.corrupt("a tensor lacks its arguments".to_owned()));
        };
        let Value::Storage(storage) = self.values[storage as usize] else {
            return Err(self.corrupt("a tensor has no storage".to_owned()));
        };
        let layout = Layout {
            offset: self.size(offset)?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        };
        self.keep(Value::Tensor(Box::new(PickledTensor {
            storage,
            layout,
            dtype,
        })))
    }

    /// A parameter or variable around a tensor is the tensor.
    fn wrapped_tensor(&mut self, global: &Global<'a>, items: &[Id]) -> Result<Id> {
        match items.first() {
            Some(&inner) if matches!(self.values[inner as usize], Value::Tensor(_)) => Ok(inner),
            _ => Err(self.corrupt(format!("`{}` holds no tensor", global.path()))),
        }
    }

    fn dictionary(&mut self, global: &Global<'a>, items: &[Id]) -> Result<Id> {
        // `defaultdict` is given the maker of its values first.
        let source = items.get(usize::from(global.name == "defaultdict"));
        let entries = match source.map(|&id| &self.values[id as usize]) {
            None => Vec::new(),
            Some(Value::Dict(entries)) => entries.clone(),
            Some(Value::List(pairs)) => {
                let mut entries = Vec::new();
                for &pair in pairs {
                    match &self.values[pair as usize] {
                        Value::Tuple(pair) if pair.len() == 2 => entries.push((pair[0], pair[1])),
                        Value::List(pair) if pair.len() == 2 => entries.push((pair[0], pair[1])),
                        _ => return Err(self.corrupt("a dictionary has no pairs".to_owned())),
                    }
                }
                entries
            }
            Some(_) => return Err(self.corrupt("a dictionary has no entries".to_owned())),
        };
        // One list may be copied by many calls, so the copies count.
        self.spend(2 * entries.len())?;
        self.keep(Value::Dict(entries))
    }

    /// The argument itself, for functions that only give it another Python type.
    fn first_of(&mut self, global: &Global<'a>, items: &[Id]) -> Result<Id> {
        items
            .first()
            .copied()
            .ok_or_else(|| self.corrupt(format!("`{}` is given nothing", global.path())))
    }

    fn record(&mut self, class: Id, args: Id) -> Result<Id> {
        self.keep(Value::Record(Box::new(Record {
            class,
            args,
            state: None,
            entries: Vec::new(),
        })))
    }

    /// A NumPy number: dtype and bytes. Types other than plain little-endian ones stay records.
    fn numpy_scalar(&mut self, callable: Id, args: Id, items: &[Id]) -> Result<Id> {
        let value = match items {
            &[dtype, bytes] => self
                .numpy_type(dtype)
                .and_then(|code| self.numpy_number(code, bytes)),
            _ => None,
        };
        match value {
            Some(value) => self.keep(value),
            None => self.record(callable, args),
        }
    }

    /// The code of a NumPy dtype, such as `f8`.
    fn numpy_type(&self, id: Id) -> Option<&str> {
        let Value::Record(record) = &self.values[id as usize] else {
            return None;
        };
        let Value::Tuple(args) = &self.values[record.args as usize] else {
            return None;
        };
        match &self.values[*args.first()? as usize] {
            Value::Str(code) => Some(code),
            _ => None,
        }
    }

    fn numpy_number(&self, code: &str, bytes: Id) -> Option<Value<'a>> {
        let bytes: Vec<u8> = match &self.values[bytes as usize] {
            Value::Bytes(bytes) if bytes.len() <= 8 => bytes.to_vec(),
            // Protocol 2 writes bytes as Latin-1 text.
            Value::Str(text) if text.len() <= 16 => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok())
                .collect::<Option<_>>()?,
            _ => return None,
        };
        Some(match code {
            "f8" => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            "f4" => Value::Float(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
            "i8" => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
            "i4" => Value::Int(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            "b1" => Value::Bool(*bytes.first()? != 0),
            _ => return None,
        })
    }

    fn tuple(&self, id: Id) -> Result<Box<[Id]>> {
        match &self.values[id as usize] {
            // Arguments that matter are few; a long tuple is cut rather than copied.
            Value::Tuple(items) => Ok(items[..items.len().min(16)].into()),
            _ => Err(self.corrupt("the arguments of a call are no tuple".to_owned())),
        }
    }

    fn size(&self, id: Id) -> Result<usize> {
        match self.values[id as usize] {
            Value::Int(n) if n >= 0 => Ok(n as usize),
            _ => Err(self.corrupt("a size of a tensor is no natural number".to_owned())),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>> {
        let (Value::Tuple(_) | Value::List(_)) = &self.values[id as usize] else {
            return Err(self.corrupt("a tensor has no shape".to_owned()));
        };
        let items = match &self.values[id as usize] {
            Value::Tuple(items) => &items[..],
            Value::List(items) => &items[..],
            _ => &[],
        };
        if items.len() > MAX_DIMENSIONS {
            return Err(self.beyond("dimensions in a tensor", MAX_DIMENSIONS));
        }
        items.iter().map(|&item| self.size(item)).collect()
    }
}

const DISTRUST: &str =
    "do not load this file with Python; ask its author for a `.safetensors` file";

/// The error for a call that is on no list.
fn refused(global: &Global<'_>) -> Error {
    let path = global.path();
    let (what, hint) = match &*global.name {
        "_rebuild_qtensor" => ("holds a quantised tensor", "convert it to f32 or f16"),
        "_rebuild_sparse_tensor" | "_rebuild_nested_tensor" => {
            ("holds a tensor that is not dense", "save dense tensors")
        }
        "_load_from_bytes" => (
            "was not written by `torch.save`",
            "load it in Python and save it with `torch.save` or as `.safetensors`",
        ),
        _ => {
            return Error::new(
                Code::UnsupportedVariant,
                format!(
                    "the pickle calls `{path}`, which no checkpoint needs; nothing was executed"
                ),
            )
            .hint(DISTRUST);
        }
    };
    Error::new(
        Code::UnsupportedVariant,
        format!("the pickle {what} (`{path}`)"),
    )
    .hint(hint)
}

fn is_forbidden(module: &str) -> bool {
    let top = module.split('.').next().unwrap_or(module);
    FORBIDDEN_MODULES.contains(&top)
}

/// Whether a call makes an object that may stand as a record. Python names classes in capitals
/// and functions in lower case, which is all that tells them apart without their modules.
fn is_inert(module: &str, name: &str) -> bool {
    if INERT.contains(&(module, name)) {
        return true;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    !is_forbidden(module) && last.trim_start_matches('_').starts_with(char::is_uppercase)
}

/// Storage classes of PyTorch.
const STORAGE_TYPES: [(&str, Dtype); 11] = [
    ("FloatStorage", Dtype::F32),
    ("HalfStorage", Dtype::F16),
    ("BFloat16Storage", Dtype::BF16),
    ("DoubleStorage", Dtype::F64),
    ("LongStorage", Dtype::I64),
    ("IntStorage", Dtype::I32),
    ("ShortStorage", Dtype::I16),
    ("CharStorage", Dtype::I8),
    ("ByteStorage", Dtype::U8),
    ("BoolStorage", Dtype::Bool),
    ("UntypedStorage", Dtype::U8),
];

/// Number types of PyTorch as `torch.…` names them.
const NAMED_TYPES: [(&str, Dtype); 10] = [
    ("float32", Dtype::F32),
    ("float16", Dtype::F16),
    ("bfloat16", Dtype::BF16),
    ("float64", Dtype::F64),
    ("int64", Dtype::I64),
    ("int32", Dtype::I32),
    ("int16", Dtype::I16),
    ("int8", Dtype::I8),
    ("uint8", Dtype::U8),
    ("bool", Dtype::Bool),
];

fn number_type<'a>(name: &Cow<'a, str>, table: &[(&str, Dtype)]) -> NumberType<'a> {
    table
        .iter()
        .find(|(known, _)| known == name)
        .map(|&(_, dtype)| dtype)
        .ok_or_else(|| name.clone())
}
