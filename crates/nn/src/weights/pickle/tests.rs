//! Tests of the pickle reader on streams that are written here, opcode by opcode: honest ones,
//! broken ones, and ones that mean harm.

use fonds_core::{Code, Error};
use proptest::prelude::*;

use super::machine::load;
use super::value::{Pickle, Value};

/// A pickle in the making.
#[derive(Clone)]
struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        Self(vec![0x80, 2])
    }

    fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.op(b"X")
            .op(&(text.len() as u32).to_le_bytes())
            .op(text.as_bytes())
    }

    fn int(self, n: i32) -> Self {
        self.op(b"J").op(&n.to_le_bytes())
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    /// A call of a function with one text.
    fn call(self, module: &str, name: &str, argument: &str) -> Self {
        self.global(module, name).text(argument).op(b"\x85R")
    }

    fn end(self) -> Vec<u8> {
        self.op(b".").0
    }
}

fn failure(bytes: &[u8]) -> Error {
    load(bytes).err().unwrap()
}

fn root<'a, 'b>(pickle: &'b Pickle<'a>) -> &'b Value<'a> {
    pickle.value(pickle.root)
}

/// The value as Python's `repr` would show it, where it is a plain one.
fn repr(pickle: &Pickle<'_>, id: u32) -> String {
    let list = |items: &[u32]| -> String {
        let shown: Vec<String> = items.iter().map(|&i| repr(pickle, i)).collect();
        shown.join(", ")
    };
    match pickle.value(id) {
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::Tuple(items) => format!("({})", list(items)),
        Value::List(items) => format!("[{}]", list(items)),
        Value::Dict(entries) => {
            let shown: Vec<String> = entries
                .iter()
                .map(|&(k, v)| format!("{}: {}", repr(pickle, k), repr(pickle, v)))
                .collect();
            format!("{{{}}}", shown.join(", "))
        }
        _ => pickle.describe(id),
    }
}

// What Python 3.11 writes for this value under each protocol:
// `pickle.dumps({'a': [1, -2, 3.5, None, True, b'xy', 'ü', (1,), (1, 2), (), 2**40, 70000]}, p)`.
const VALUE: &str =
    "{\"a\": [1, -2, 3.5, None, true, b\"xy\", \"ü\", (1), (1, 2), (), 1099511627776, 70000]}";

#[test]
fn protocols_3_to_5_say_the_same() {
    let three: &[u8] = b"\x80\x03}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88C\x02xyq\x03X\x02\x00\x00\x00\xc3\xbcq\x04K\x01\x85q\x05K\x01K\x02\x86q\x06)\x8a\x06\x00\x00\x00\x00\x00\x01Jp\x11\x01\x00es.";
    let four: &[u8] = b"\x80\x04\x95\x3b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88C\x02xy\x94\x8c\x02\xc3\xbc\x94K\x01\x85\x94K\x01K\x02\x86\x94)\x8a\x06\x00\x00\x00\x00\x00\x01Jp\x11\x01\x00es.";
    for bytes in [three, four] {
        let pickle = load(bytes).unwrap();
        assert_eq!(repr(&pickle, pickle.root), VALUE);
        assert_eq!(pickle.consumed, bytes.len());
    }
}

#[test]
fn the_text_protocol_is_read_too() {
    // `pickle.dumps({'a': [1, True, -3, 2.5, 'x']}, 0)`.
    let bytes = b"(dp0\nVa\np1\n(lp2\nI1\naI01\naI-3\naF2.5\naVx\np3\nas.";
    let pickle = load(bytes).unwrap();
    assert_eq!(
        repr(&pickle, pickle.root),
        "{\"a\": [1, true, -3, 2.5, \"x\"]}"
    );
    let pickle = load(b"L123456789012345678901234567890L\n.").unwrap();
    assert!(matches!(root(&pickle), Value::Big));
}

#[test]
fn integers_of_any_length() {
    for (bytes, expected) in [
        (&b"\x8a\x00."[..], 0),
        (b"\x8a\x01\xff.", -1),
        (b"\x8a\x02\x00\x80.", -32768),
        (b"\x8a\x02\xff\x00.", 255),
        (b"\x8b\x01\x00\x00\x00\x7f.", 127),
        (b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", i64::MIN),
    ] {
        let pickle = load(bytes).unwrap();
        assert!(
            matches!(root(&pickle), Value::Int(n) if *n == expected),
            "{expected}"
        );
    }
}

#[test]
fn calls_of_functions_are_refused_by_name() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "getattr"),
        ("builtins", "__import__"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("runpy", "run_path"),
        ("shutil", "rmtree"),
        ("numpy", "load"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.utils.cpp_extension", "load_inline"),
        ("somebodys_model", "make"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("webbrowser", "open"),
    ] {
        let error = failure(&Writer::new().call(module, name, "true").end());
        let message = error.message();
        assert!(message.contains(&format!("`{module}.{name}`")), "{error}");
        assert!(message.contains("nothing was executed"), "{error}");
        assert_eq!(error.code(), Code::UnsupportedVariant);
        assert!(!error.hints().is_empty());
    }
}

#[test]
fn other_ways_to_call_are_refused_too() {
    let named = |bytes: Vec<u8>| {
        let error = failure(&bytes);
        assert!(error.message().contains("nothing was executed"), "{error}");
    };
    // A name from the stack (protocol 4).
    named(
        Writer::new()
            .text("os")
            .text("system")
            .op(b"\x93")
            .text("id")
            .op(b"\x85R")
            .end(),
    );
    // NEWOBJ, NEWOBJ_EX, OBJ and INST of a class that does something when made.
    named(
        Writer::new()
            .global("subprocess", "Popen")
            .text("id")
            .op(b"\x85\x81")
            .end(),
    );
    named(
        Writer::new()
            .global("subprocess", "Popen")
            .op(b")}\x92")
            .end(),
    );
    named(
        Writer::new()
            .op(b"(")
            .global("os", "system")
            .text("id")
            .op(b"o")
            .end(),
    );
    named(Writer::new().op(b"(").text("id").op(b"ios\nsystem\n").end());
    // Through a tensor's own type.
    named(
        Writer::new()
            .global("torch._tensor", "_rebuild_from_type_v2")
            .op(b"(")
            .global("os", "system")
            .op(b"N")
            .text("id")
            .op(b"\x85}tR")
            .end(),
    );
    // What a call gave back is called.
    named(
        Writer::new()
            .global("somewhere", "Thing")
            .op(b")R")
            .text("id")
            .op(b"\x85R")
            .end(),
    );
    // `copyreg._reconstructor(subprocess.Popen, …)`.
    named(
        Writer::new()
            .global("copyreg", "_reconstructor")
            .op(b"(")
            .global("subprocess", "Popen")
            .op(b"NNtR")
            .end(),
    );
}

#[test]
fn a_name_alone_does_nothing() {
    let bytes = Writer::new().global("os", "system").end();
    let pickle = load(&bytes).unwrap();
    assert_eq!(pickle.describe(pickle.root), "the name `os.system`");
}

#[test]
fn classes_become_records() {
    let bytes = Writer::new()
        .global("argparse", "Namespace")
        .op(b")\x81}")
        .text("scale")
        .int(4)
        .op(b"sb")
        .end();
    let pickle = load(&bytes).unwrap();
    let Value::Record(record) = root(&pickle) else {
        panic!("{}", pickle.describe(pickle.root));
    };
    assert_eq!(pickle.class_path(record), "argparse.Namespace");
    let scale = pickle.get(record.state.unwrap(), "scale").unwrap();
    assert_eq!(repr(&pickle, scale), "4");
}

#[test]
fn ordered_dictionaries_in_all_spellings() {
    let pair = |w: Writer| w.text("k").int(1);
    let filled = Writer::new().global("collections", "OrderedDict").op(b")R");
    let listed = Writer::new()
        .global("collections", "OrderedDict")
        .op(b"](]");
    let listed = pair(listed.op(b"(")).op(b"ee\x85R");
    let default = Writer::new()
        .global("collections", "defaultdict")
        .global("builtins", "dict")
        .op(b"\x85R");
    for bytes in [
        pair(filled).op(b"s").end(),
        listed.end(),
        pair(default).op(b"s").end(),
    ] {
        let pickle = load(&bytes).unwrap();
        assert_eq!(repr(&pickle, pickle.root), "{\"k\": 1}");
    }
}

#[test]
fn the_last_of_equal_keys_counts() {
    let bytes = Writer::new()
        .op(b"}(")
        .text("a")
        .int(1)
        .text("a")
        .int(2)
        .op(b"u")
        .end();
    let pickle = load(&bytes).unwrap();
    let value = pickle.get(pickle.root, "a").unwrap();
    assert_eq!(repr(&pickle, value), "2");
}

#[test]
fn lengths_are_compared_with_the_file() {
    let huge = u64::MAX.to_le_bytes();
    let large = 0x7fff_ffff_u32.to_le_bytes();
    for bytes in [
        [b"\x80\x04\x8e", &huge[..], b"ab."].concat(),
        [b"\x80\x04\x8d", &huge[..], b"ab."].concat(),
        [b"\x80\x05\x96", &huge[..], b"ab."].concat(),
        [b"\x80\x02\x8b", &large[..], b"ab."].concat(),
        [b"\x80\x03B", &large[..], b"ab."].concat(),
        [b"\x80\x02X", &large[..], b"ab."].concat(),
        [b"\x80\x02T", &large[..], b"ab."].concat(),
    ] {
        assert_eq!(failure(&bytes).code(), Code::Truncated, "{bytes:?}");
    }
    let negative = [b"\x80\x02\x8b", &(-1_i32).to_le_bytes()[..], b"ab."].concat();
    assert_eq!(failure(&negative).code(), Code::Corrupt);
}

#[test]
fn broken_streams_are_errors() {
    for bytes in [
        &b""[..],
        b"\x80",
        b"\x80\x02",
        b".",
        b"\x80\x02.",
        b"0.",
        b"1.",
        b"2.",
        b"(.",
        b"(0.",
        b"N(.",
        b"t.",
        b"u.",
        b"}(Nu.",
        b"}s.",
        b"N(NNu.",
        b"NNa.",
        b"h\x00.",
        b"q\x00.",
        b"b.",
        b"NNb.",
        b"NN\x81.",
        b"NQ.",
        b")Q.",
        b"\x85.",
        b"\x86.",
        b"\x87.",
        b"I\n.",
        b"Ix\n.",
        b"Fx\n.",
        b"Ix",
        b"c\xff\n\n.",
        b"X\x01\x00\x00\x00\xff.",
        b"(o.",
        b"NN\x93.",
        b"\xff.",
        b"\x00.",
    ] {
        let code = failure(bytes).code();
        assert!(
            matches!(code, Code::Corrupt | Code::Truncated),
            "{bytes:?}: {code}"
        );
    }
    for bytes in [
        &b"\x80\x06N."[..],
        b"P1\n.",
        b"NNR.",
        b"\x82\x01.",
        b"\x97.",
        b"S'\\x41'\n.",
    ] {
        assert_eq!(failure(bytes).code(), Code::UnsupportedVariant, "{bytes:?}");
    }
}

#[test]
fn a_name_of_any_length_is_not_repeated_in_the_message() {
    let bytes = Writer::new().call("os", &"x".repeat(100_000), "").end();
    let error = failure(&bytes);
    assert_eq!(error.code(), Code::LimitsExceeded);
    assert!(error.message().len() < 200);
}

#[test]
fn deep_nesting_needs_no_stack() {
    // A list in a list in a list …: two million values, and as many levels to drop.
    let levels = 1_000_000;
    let mut bytes = vec![b']'; levels];
    bytes.extend(vec![b'a'; levels - 1]);
    bytes.push(b'.');
    let pickle = load(&bytes).unwrap();
    assert_eq!(pickle.values.len(), levels);
    drop(pickle);
    // The same with tuples around one value.
    let mut bytes = vec![b'N'];
    bytes.extend(vec![0x85; levels]);
    bytes.push(b'.');
    assert_eq!(load(&bytes).unwrap().values.len(), levels + 1);
    let brackets = vec![b'('; levels];
    assert_eq!(failure(&brackets).code(), Code::LimitsExceeded);
}

#[test]
fn a_billion_laughs_stay_a_few_bytes() {
    // Each list holds the one before it ten times.
    let mut writer = Writer::new().text("ha").op(b"q\x00");
    for level in 0..60_u8 {
        writer = writer.op(b"](");
        for _ in 0..10 {
            writer = writer.op(&[b'h', level]);
        }
        writer = writer.op(&[b'e', b'q', level + 1]);
    }
    let bytes = writer.end();
    let pickle = load(&bytes).unwrap();
    assert!(pickle.values.len() < 100);
    assert_eq!(pickle.describe(pickle.root), "a list of 10");
}

#[test]
fn copies_made_by_calls_are_counted() {
    // One long list of pairs, and a dictionary made of it again and again.
    let mut writer = Writer::new().op(b"](");
    for _ in 0..50_000 {
        writer = writer.op(b"NN\x86");
    }
    writer = writer
        .op(b"eq\x00")
        .global("collections", "OrderedDict")
        .op(b"q\x01");
    for _ in 0..10_000 {
        writer = writer.op(b"h\x01h\x00\x85R0");
    }
    assert_eq!(failure(&writer.end()).code(), Code::LimitsExceeded);
}

#[test]
fn a_memo_number_allocates_nothing() {
    let bytes = Writer::new()
        .op(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff")
        .end();
    assert!(matches!(root(&load(&bytes).unwrap()), Value::None));
}

#[test]
fn more_values_than_allowed_are_an_error() {
    let bytes = vec![b'N'; super::machine::MAX_VALUES + 1];
    assert_eq!(failure(&bytes).code(), Code::LimitsExceeded);
    let pushed = [vec![b'N'], vec![b'2'; super::machine::MAX_PLACES + 1]].concat();
    assert_eq!(failure(&pushed).code(), Code::LimitsExceeded);
}

#[test]
fn numpy_numbers_are_read() {
    // `pickle.dumps(numpy.float64(0.25), 2)` with the dtype's state left out.
    let bytes = Writer::new()
        .global("numpy.core.multiarray", "scalar")
        .global("numpy", "dtype")
        .text("f8")
        .op(b"\x89\x88\x87R")
        .global("_codecs", "encode")
        .text("\0\0\0\0\0\0\u{d0}?")
        .text("latin1")
        .op(b"\x86R\x86R")
        .end();
    assert!(matches!(root(&load(&bytes).unwrap()), Value::Float(x) if *x == 0.25));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = load(&bytes);
    }

    /// Opcodes alone, so that streams get further than the first unknown byte.
    #[test]
    fn random_opcodes_never_panic(
        ops in proptest::collection::vec(
            proptest::sample::select(&b"(.012NK]}ltdaesu)qhRbcQoi\x81\x85\x86\x87\x88\x8f\x90\x91\x93\x94"[..]), 0..200)
    ) {
        let _ = load(&ops);
    }

    /// Any plain value comes back as it was written.
    #[test]
    fn values_come_back(numbers in proptest::collection::vec(any::<i32>(), 0..50), text in ".{0,20}") {
        let mut writer = Writer::new().op(b"}").text(&text).op(b"](");
        for &n in &numbers {
            writer = writer.int(n);
        }
        let bytes = writer.op(b"es").end();
        let pickle = load(&bytes).unwrap();
        let list = pickle.get(pickle.root, &text).unwrap();
        let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        prop_assert_eq!(repr(&pickle, list), format!("[{}]", shown.join(", ")));
    }
}
