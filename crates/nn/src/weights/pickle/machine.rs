//! The stack machine of a pickle: reads instructions, keeps stack, marks and memo, within limits.

use std::borrow::Cow;
use std::collections::HashMap;

use fonds_core::{Code, Error, Result};

use super::value::{Global, Id, Pickle, StorageRef, Value};

/// Values in one pickle. A training checkpoint with optimiser state of a thousand tensors has
/// about a hundred thousand.
pub(super) const MAX_VALUES: usize = 2 << 20;
/// Places in containers, each of four or eight bytes.
pub(super) const MAX_PLACES: usize = 16 << 20;
/// Instructions; what bounds time.
const MAX_INSTRUCTIONS: usize = 62 << 20;
/// Open brackets.
const MAX_MARKS: usize = 4096;
/// Characters of a name in a module.
const MAX_NAME: usize = 512;

/// Reads the pickle that these bytes begin with.
pub(crate) fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut machine = Machine {
        bytes,
        at: 0,
        instruction: 0,
        values: Vec::new(),
        places: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        storages: Vec::new(),
    };
    let root = machine.run()?;
    Ok(Pickle {
        values: machine.values,
        storages: machine.storages,
        root,
        consumed: machine.at,
    })
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the current instruction begins, for messages.
    instruction: usize,
    pub(super) values: Vec<Value<'a>>,
    places: usize,
    stack: Vec<Id>,
    /// Heights of the stack at open brackets.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    pub(super) storages: Vec<StorageRef<'a>>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MAX_INSTRUCTIONS {
            self.instruction = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
        Err(self.beyond("instructions", MAX_INSTRUCTIONS))
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO and FRAME only announce.
            0x80 => self.protocol(),
            0x95 => self.take(8).map(|_| ()),
            b'(' => self.mark(),
            b'0' => self.pop().map(|_| ()),
            b'1' => self.pop_marked().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a | 0x8b | b'G' | b'I' | b'L' | b'F' => self.number(opcode),
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'S' | b'V' | b'C' | b'B' | 0x8e | 0x96 => {
                self.string(opcode)
            }
            b')' | 0x85 | 0x86 | 0x87 | b't' | b']' | b'l' | 0x8f | 0x91 | b'}' | b'd' => {
                self.container(opcode)
            }
            b'a' | b'e' | 0x90 | b's' | b'u' => self.fill(opcode),
            b'q' | b'r' | 0x94 | b'p' | b'h' | b'j' | b'g' => self.memory(opcode),
            b'c' | 0x93 => self.global(opcode),
            b'R' | 0x81 | 0x92 | b'o' | b'i' => self.instance(opcode),
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                self.build(object, state)
            }
            b'Q' => {
                let reference = self.pop()?;
                let value = self.persistent(reference)?;
                self.push_id(value)
            }
            b'P' => Err(self.unsupported("a persistent id in text form")),
            0x82..=0x84 => Err(self.unsupported("a copyreg extension")),
            0x97 | 0x98 => Err(self.unsupported("an out-of-band buffer")),
            other => Err(self.corrupt(format!("{other:#04x} is no instruction"))),
        }
    }

    fn protocol(&mut self) -> Result<()> {
        match self.byte()? {
            0..=5 => Ok(()),
            other => Err(self.unsupported(&format!("protocol {other}"))),
        }
    }

    fn number(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => {
                let length = usize::from(self.byte()?);
                long(self.take(length)?)
            }
            0x8b => {
                let length = i32::from_le_bytes(self.array()?);
                let length = usize::try_from(length)
                    .map_err(|_| self.corrupt("a number has a negative length".to_owned()))?;
                long(self.take(length)?)
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            _ => {
                let line = self.line()?;
                self.number_in_text(opcode, line)?
            }
        };
        self.push(value)
    }

    fn number_in_text(&self, opcode: u8, line: &str) -> Result<Value<'a>> {
        let bad = || self.corrupt(format!("{line:?} is no number"));
        Ok(match (opcode, line) {
            (b'I', "01") => Value::Bool(true),
            (b'I', "00") => Value::Bool(false),
            (b'F', text) => Value::Float(text.trim().parse().map_err(|_| bad())?),
            (_, text) => {
                let digits = text.trim().trim_end_matches('L');
                match digits.parse() {
                    Ok(n) => Value::Int(n),
                    Err(_) if is_integer(digits) => Value::Big,
                    Err(_) => return Err(bad()),
                }
            }
        })
    }

    fn string(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'S' | b'V' => {
                let line = self.line()?;
                let line = line
                    .strip_prefix(['\'', '"'])
                    .and_then(|rest| rest.strip_suffix(['\'', '"']))
                    .unwrap_or(line);
                if line.contains('\\') {
                    return Err(self.unsupported("a string with escapes in text form"));
                }
                Value::Str(Cow::Borrowed(line))
            }
            _ => {
                let length = match opcode {
                    0x8c | b'U' | b'C' => u64::from(self.byte()?),
                    0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.array()?),
                    _ => u64::from(u32::from_le_bytes(self.array()?)),
                };
                let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
                match opcode {
                    b'X' | 0x8c | 0x8d => Value::Str(Cow::Borrowed(
                        std::str::from_utf8(bytes)
                            .map_err(|_| self.corrupt("a text is not UTF-8".to_owned()))?,
                    )),
                    // Python 2 wrote texts and bytes alike.
                    b'U' | b'T' => match std::str::from_utf8(bytes) {
                        Ok(text) => Value::Str(Cow::Borrowed(text)),
                        Err(_) => Value::Bytes(bytes),
                    },
                    _ => Value::Bytes(bytes),
                }
            }
        };
        self.push(value)
    }

    fn container(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b')' => Value::Tuple(Box::default()),
            0x85..=0x87 => Value::Tuple(self.pop_many(usize::from(opcode - 0x84))?.into()),
            b't' => Value::Tuple(self.pop_marked()?.into()),
            b']' | 0x8f => Value::List(Vec::new()),
            b'l' | 0x91 => Value::List(self.pop_marked()?),
            b'}' => Value::Dict(Vec::new()),
            _ => Value::Dict(self.pairs()?),
        };
        self.push(value)
    }

    fn fill(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.spend(1)?;
                self.add_entries(&[(key, value)])
            }
            b'u' => {
                let pairs = self.pairs()?;
                self.add_entries(&pairs)
            }
            _ => {
                let items = if opcode == b'a' {
                    self.spend(1)?;
                    vec![self.pop()?]
                } else {
                    self.pop_marked()?
                };
                let list = self.top()?;
                match &mut self.values[list as usize] {
                    Value::List(list) => list.extend(items),
                    // An object that is a kind of list; no weights hide in one.
                    Value::Record(_) => {}
                    _ => return Err(self.corrupt("something is appended to no list".to_owned())),
                }
                Ok(())
            }
        }
    }

    fn add_entries(&mut self, pairs: &[(Id, Id)]) -> Result<()> {
        let dict = self.top()?;
        match &mut self.values[dict as usize] {
            Value::Dict(entries) => entries.extend(pairs),
            Value::Record(record) => record.entries.extend(pairs),
            _ => return Err(self.corrupt("an entry is set in no dictionary".to_owned())),
        }
        Ok(())
    }

    fn memory(&mut self, opcode: u8) -> Result<()> {
        if matches!(opcode, b'h' | b'j' | b'g') {
            let key = match opcode {
                b'h' => u32::from(self.byte()?),
                b'j' => u32::from_le_bytes(self.array()?),
                _ => self.memo_key_in_text()?,
            };
            let Some(&value) = self.memo.get(&key) else {
                return Err(self.corrupt(format!("nothing was kept under number {key}")));
            };
            return self.push_id(value);
        }
        let key = match opcode {
            b'q' => u32::from(self.byte()?),
            b'r' => u32::from_le_bytes(self.array()?),
            b'p' => self.memo_key_in_text()?,
            _ => self.memo.len() as u32,
        };
        let top = self.top()?;
        self.spend(4)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn memo_key_in_text(&mut self) -> Result<u32> {
        let line = self.line()?;
        line.trim()
            .parse()
            .map_err(|_| self.corrupt(format!("{line:?} is no number")))
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name) = if opcode == b'c' {
            (Cow::Borrowed(self.line()?), Cow::Borrowed(self.line()?))
        } else {
            let name = self.pop()?;
            let module = self.pop()?;
            (self.name(module)?, self.name(name)?)
        };
        if module.len() > MAX_NAME || name.len() > MAX_NAME {
            return Err(self.beyond("characters in a name", MAX_NAME));
        }
        self.push(Value::Global(Box::new(Global { module, name })))
    }

    fn name(&self, id: Id) -> Result<Cow<'a, str>> {
        match &self.values[id as usize] {
            Value::Str(text) if text.len() <= MAX_NAME => Ok(text.clone()),
            _ => Err(self.corrupt("a name is no short text".to_owned())),
        }
    }

    fn instance(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'R' => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?
            }
            0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.construct(class, args)?
            }
            0x92 => {
                // Keyword arguments of a constructor that is not run.
                self.pop()?;
                let args = self.pop()?;
                let class = self.pop()?;
                self.construct(class, args)?
            }
            b'o' => {
                let mut items = self.pop_marked()?;
                if items.is_empty() {
                    return Err(self.corrupt("an object has no class".to_owned()));
                }
                let class = items.remove(0);
                let args = self.keep(Value::Tuple(items.into()))?;
                self.construct(class, args)?
            }
            _ => {
                let module = Cow::Borrowed(self.line()?);
                let name = Cow::Borrowed(self.line()?);
                let class = self.keep(Value::Global(Box::new(Global { module, name })))?;
                let items = self.pop_marked()?;
                let args = self.keep(Value::Tuple(items.into()))?;
                self.construct(class, args)?
            }
        };
        self.push_id(value)
    }

    // Stack, marks, limits.

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        let id = self.keep(value)?;
        self.push_id(id)
    }

    /// Gives a value its number.
    pub(super) fn keep(&mut self, value: Value<'a>) -> Result<Id> {
        if self.values.len() >= MAX_VALUES {
            return Err(self.beyond("values", MAX_VALUES));
        }
        self.values.push(value);
        Ok((self.values.len() - 1) as Id)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        self.spend(1)?;
        self.stack.push(id);
        Ok(())
    }

    /// Counts places in containers before they are made.
    pub(super) fn spend(&mut self, places: usize) -> Result<()> {
        self.places += places;
        if self.places > MAX_PLACES {
            return Err(self.beyond("places in containers", MAX_PLACES));
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() >= MAX_MARKS {
            return Err(self.beyond("open brackets", MAX_MARKS));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Lowest height that may be popped to: what lies below an open bracket is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(self.corrupt("a value is missing".to_owned()));
        }
        Ok(self.stack[self.stack.len() - 1])
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        if self.stack.len() < self.floor() + count {
            return Err(self.corrupt("a value is missing".to_owned()));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_marked(&mut self) -> Result<Vec<Id>> {
        let Some(height) = self.marks.pop() else {
            return Err(self.corrupt("a bracket is missing".to_owned()));
        };
        Ok(self.stack.split_off(height))
    }

    fn pairs(&mut self) -> Result<Vec<(Id, Id)>> {
        let items = self.pop_marked()?;
        if items.len() % 2 != 0 {
            return Err(self.corrupt("a key has no value".to_owned()));
        }
        Ok(items.chunks_exact(2).map(|p| (p[0], p[1])).collect())
    }

    // Bytes.

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            return Err(Error::new(
                Code::Truncated,
                format!(
                    "the pickle ends at byte {} where {count} bytes were to come from byte {}",
                    self.bytes.len(),
                    self.at
                ),
            ));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("take gives N bytes"))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return Err(Error::new(
                Code::Truncated,
                format!("the pickle ends in a line that begins at byte {}", self.at),
            ));
        };
        self.at += end + 1;
        std::str::from_utf8(&rest[..end])
            .map_err(|_| self.corrupt("a line is not UTF-8".to_owned()))
    }

    // Errors.

    #[expect(clippy::needless_pass_by_value, reason = "callers format the text")]
    pub(super) fn corrupt(&self, what: String) -> Error {
        Error::new(
            Code::Corrupt,
            format!("the pickle is broken at byte {}: {what}", self.instruction),
        )
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::new(
            Code::UnsupportedVariant,
            format!("the pickle has {what} at byte {}", self.instruction),
        )
    }

    pub(super) fn beyond(&self, what: &str, limit: usize) -> Error {
        Error::new(
            Code::LimitsExceeded,
            format!(
                "the pickle has more than {limit} {what} (at byte {})",
                self.instruction
            ),
        )
    }
}

/// A two's-complement little-endian integer of any length.
fn long<'a>(bytes: &[u8]) -> Value<'a> {
    if bytes.len() > 8 {
        return Value::Big;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut full = [if negative { 0xff } else { 0 }; 8];
    full[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(full))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
