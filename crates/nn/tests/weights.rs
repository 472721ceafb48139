//! Weights files that PyTorch wrote: read, compared with what PyTorch says is in them, and broken.
//!
//! `tools/make_weight_fixtures.py` made the files of `fixtures/weights`.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests as well"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Digest};
use fonds_nn::weights::{
    Checkpoint, Container, Dtype, Tensors, describe_pickle, safetensors_bytes, write_safetensors,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/weights")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// The names of all fixtures that have a table of their tensors.
fn readable() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixture(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".tsv").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn dtype(name: &str) -> Dtype {
    match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" => Dtype::F64,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "bool" => Dtype::Bool,
        other => panic!("{other}"),
    }
}

/// A tensor's type, shape and values as hexadecimal f32.
type Facts = (Dtype, Vec<usize>, String);

fn expected(name: &str) -> BTreeMap<String, Facts> {
    let table = String::from_utf8(bytes(&format!("{name}.tsv"))).unwrap();
    table
        .lines()
        .map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap();
            let (name, kind, shape) = (next().to_owned(), dtype(next()), next());
            let shape = shape.split(',').filter(|s| !s.is_empty());
            let shape = shape.map(|s| s.parse().unwrap()).collect();
            (name, (kind, shape, next().to_owned()))
        })
        .collect()
}

fn found(tensors: &Tensors) -> BTreeMap<String, Facts> {
    tensors
        .iter()
        .map(|(name, tensor)| {
            let values = tensor.to_f32();
            let bytes = values.iter().flat_map(|v| v.to_le_bytes());
            let hex: Vec<String> = bytes.map(|b| format!("{b:02x}")).collect();
            let facts = (tensor.dtype(), tensor.shape().to_vec(), hex.concat());
            (name.to_owned(), facts)
        })
        .collect()
}

#[test]
fn every_tensor_is_what_pytorch_says() {
    let names = readable();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let checkpoint = Checkpoint::read(&fixture(&name)).unwrap();
        assert_eq!(found(&checkpoint.tensors), expected(&name), "{name}");
        assert_eq!(checkpoint.sha256, Digest::of(&bytes(&name)), "{name}");
    }
}

#[test]
fn what_was_opened_is_said() {
    let path = |name: &str| Checkpoint::read(&fixture(name)).unwrap().path_taken;
    assert!(path("zip.pth").is_empty());
    assert_eq!(path("params_ema.pth"), ["`params_ema`"]);
    assert_eq!(
        path("training.pth"),
        ["`state_dict`", "prefix `module.` stripped"]
    );
    assert_eq!(
        path("module_zip.pth"),
        ["`model`", "module `somebodys_model.Net`"]
    );
    assert_eq!(path("module_legacy.pth"), ["module `somebodys_model.Net`"]);
    assert_eq!(
        path("script.pt"),
        ["module `__torch__.somebodys_model.Net`"]
    );
}

#[test]
fn what_stands_beside_the_weights_is_kept() {
    let pairs = |name: &str| -> Vec<(String, String)> {
        let metadata = Checkpoint::read(&fixture(name)).unwrap().metadata;
        metadata.into_iter().collect()
    };
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = |&(k, v): &(&str, &str)| (k.to_owned(), v.to_owned());
        pairs.iter().map(own).collect()
    };
    assert_eq!(
        pairs("training.pth"),
        owned(&[
            ("args.name", "x4"),
            ("args.scale", "4"),
            ("epoch", "7"),
            ("hyper_parameters.arch", "small"),
            ("hyper_parameters.scale", "2"),
            ("loss", "0.25"),
        ])
    );
    assert_eq!(
        pairs("plain.safetensors"),
        owned(&[("licence", "CC0"), ("modelspec.author", "nobody")])
    );
}

#[test]
fn an_entry_can_be_asked_for() {
    let averaged = Checkpoint::read(&fixture("params_ema.pth")).unwrap();
    let path = fixture("params_ema.pth");
    let plain = Checkpoint::read_entry(&path, Some("params")).unwrap();
    let first = |c: &Checkpoint| c.tensors.get("body.0.weight").unwrap().to_f32()[0];
    assert_eq!(first(&plain), first(&averaged) + 1.0);
    assert_eq!(plain.path_taken, ["`params`"]);
    let error = Checkpoint::read_entry(&path, Some("netG")).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert_eq!(error.hints(), ["it has `params`, `params_ema`"]);
}

#[test]
fn what_is_not_read_is_named() {
    for (name, part) in [
        ("no_torch.pkl", "`torch.save` did not write"),
        ("quantised.pth", "quantised"),
        ("complex.pth", "`ComplexFloatStorage`"),
        ("sparse.pth", "not dense"),
    ] {
        let error = Checkpoint::read(&fixture(name)).unwrap_err();
        assert!(error.message().contains(part), "{name}: {error}");
        assert_eq!(error.place().path.as_deref(), Some(&*fixture(name)));
        assert!(!error.hints().is_empty(), "{name}");
    }
    let error = Checkpoint::read(&fixture("absent.pth")).unwrap_err();
    assert_eq!(error.code(), Code::Unreadable);
}

#[test]
fn a_plain_pickle_can_be_described() {
    let lines = describe_pickle(&bytes("no_torch.pkl")).unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("\"weight\": an object of class `numpy"),
        "{lines:?}"
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for name in readable() {
        let whole = bytes(&name);
        // A zip archive has its directory at the end and needs a search for each length.
        let step = if whole.len() > 3000 { 7 } else { 1 };
        for length in (0..whole.len()).step_by(step) {
            let result = Checkpoint::from_bytes(&whole[..length]);
            assert!(result.is_err(), "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_never_panics() {
    for name in readable() {
        let whole = bytes(&name);
        let mut accepted = 0;
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 1 << (at % 8);
            if let Ok(checkpoint) = Checkpoint::from_bytes(&broken) {
                accepted += 1;
                let total: usize = checkpoint
                    .tensors
                    .iter()
                    .map(|(_, t)| t.to_f32().len())
                    .sum();
                assert!(total < 4096, "{name} with bit flipped at {at}");
            }
        }
        // Archives carry checksums: what is left are headers that say the same twice.
        if bytes(&name).starts_with(b"PK") {
            assert!(accepted < whole.len(), "{name}");
        }
    }
}

#[test]
fn a_changed_weight_in_an_archive_is_noticed() {
    let mut broken = bytes("zip.pth");
    let value = Checkpoint::from_bytes(&broken).unwrap();
    let value = value.tensors.get("first.weight").unwrap().to_f32()[0];
    let at = broken
        .windows(4)
        .position(|w| w == value.to_le_bytes())
        .unwrap();
    broken[at] ^= 1;
    let error = Checkpoint::from_bytes(&broken).unwrap_err();
    assert_eq!(error.code(), Code::ChecksumMismatch, "{error}");
}

#[test]
fn what_is_written_is_read_back() {
    for name in readable() {
        let read = Checkpoint::read(&fixture(&name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let metadata = BTreeMap::from([("quote \" \\ \n ü".to_owned(), "\u{1}".to_owned())]);
        write_safetensors(&path, &read.tensors, &metadata).unwrap();
        let again = Checkpoint::read(&path).unwrap();
        assert_eq!(again.container, Container::Safetensors);
        assert_eq!(found(&again.tensors), found(&read.tensors), "{name}");
        assert_eq!(again.metadata, metadata);
        let bytes = safetensors_bytes(&read.tensors, &metadata).unwrap();
        assert_eq!(bytes, std::fs::read(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
