//! ncnn models of the `SRVGGNetCompact` family: a text of layers (`.param`) and their weights (`.bin`).
//!
//! The layout follows ncnn's own description of its formats (`docs/developer-guide/param-and-model-file-structure.md`
//! and `operation-param-weight-table.md` in Tencent/ncnn): weights of a convolution come after a
//! flag that names their type, everything else is plain f32.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fonds_core::{Code, Error, Result};

use super::checkpoint::{Container, Parts};
use super::tensor::{Blob, Dtype, Layout, Tensor};

const MAGIC: &[u8] = b"7767517";
const FLAG_F32: u32 = 0;
const FLAG_F16: u32 = 0x0130_6B47;
/// Layers beyond which a text is refused.
const MAX_LAYERS: usize = 4096;

/// Whether these bytes begin as the text of a model.
pub(crate) fn is_param(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(MAGIC)
        .is_some_and(|rest| matches!(rest.first(), Some(b'\n' | b'\r' | b' ')))
}

/// Reads a model; tensors are named as `SRVGGNetCompact` names them, `body.N.weight` and `body.N.bias`.
pub(crate) fn read(param: &[u8], bin: &Arc<Vec<u8>>) -> Result<Parts> {
    let layers = parse(param)?;
    let graph = Graph::follow(&layers)?;
    let mut weights = Weights { bin, at: 0 };
    let mut tensors = Vec::new();
    let mut channels = None;
    for (i, layer) in graph.body.iter().enumerate() {
        if layer.kind == "Convolution" {
            let shape = layer.convolution()?;
            if let Some(given) = channels
                && given != shape[1]
            {
                let what = format!("it takes {} channels and is given {given}", shape[1]);
                return Err(layer.broken(what));
            }
            weights.convolution(layer, shape, i, &mut tensors)?;
            channels = Some(shape[0]);
        } else {
            let count = layer.number(0, 0)?;
            if channels != Some(count) {
                return Err(layer.broken(format!("it has {count} slopes")));
            }
            let slopes = weights.plain(layer, vec![count])?;
            tensors.push((format!("body.{i}.weight"), slopes));
        }
    }
    if weights.at != bin.len() {
        return Err(Error::new(
            Code::Corrupt,
            format!(
                "the `.bin` has {} bytes more than the layers of the `.param` need",
                bin.len() - weights.at
            ),
        ));
    }
    Ok(Parts {
        tensors,
        container: Container::Ncnn,
        metadata: BTreeMap::from([("ncnn.scale".to_owned(), graph.scale.to_string())]),
        path_taken: vec![format!(
            "{} layers of the ncnn graph named `body.0` to `body.{}`",
            graph.body.len(),
            graph.body.len() - 1
        )],
    })
}

/// One line of the text.
struct Layer<'t> {
    line: u32,
    kind: &'t str,
    name: &'t str,
    inputs: Vec<&'t str>,
    outputs: Vec<&'t str>,
    settings: HashMap<i32, &'t str>,
}

fn parse(param: &[u8]) -> Result<Vec<Layer<'_>>> {
    let text = std::str::from_utf8(param)
        .map_err(|_| Error::new(Code::Corrupt, "the text of the ncnn model is not UTF-8"))?;
    let mut lines = text
        .lines()
        .zip(1_u32..)
        .filter(|(l, _)| !l.trim().is_empty());
    lines.next();
    let counts = lines.next().map(|(line, _)| line).unwrap_or_default();
    let announced: Option<usize> = counts
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok());
    let layers = lines
        .take(MAX_LAYERS + 1)
        .map(|(line, number)| {
            parse_layer(line, number).ok_or_else(|| {
                Error::new(Code::Corrupt, "the line describes no layer").on_line(number)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if layers.len() > MAX_LAYERS {
        return Err(Error::new(
            Code::LimitsExceeded,
            format!("the ncnn model has more than {MAX_LAYERS} layers"),
        ));
    }
    if announced != Some(layers.len()) {
        return Err(Error::new(
            Code::Truncated,
            format!(
                "the ncnn model announces other than its {} layers",
                layers.len()
            ),
        )
        .on_line(2));
    }
    Ok(layers)
}

/// `kind name inputs outputs input… output… key=value…`.
fn parse_layer(line: &str, number: u32) -> Option<Layer<'_>> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let name = words.next()?;
    let inputs: usize = words.next()?.parse().ok()?;
    let outputs: usize = words.next()?.parse().ok()?;
    let mut blobs: Vec<&str> = Vec::new();
    for _ in 0..inputs.checked_add(outputs)? {
        blobs.push(words.next()?);
    }
    let outputs = blobs.split_off(inputs);
    let settings = words
        .map(|word| {
            let (key, value) = word.split_once('=')?;
            Some((key.parse().ok()?, value))
        })
        .collect::<Option<_>>()?;
    Some(Layer {
        line: number,
        kind,
        name,
        inputs: blobs,
        outputs,
        settings,
    })
}

impl Layer<'_> {
    fn broken(&self, what: impl AsRef<str>) -> Error {
        Error::new(
            Code::UnsupportedVariant,
            format!(
                "the layer `{}` is not SRVGGNetCompact's: {}",
                self.name,
                what.as_ref()
            ),
        )
        .on_line(self.line)
    }

    fn number(&self, key: i32, default: usize) -> Result<usize> {
        match self.settings.get(&key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| self.broken(format!("its setting {key} is `{text}`"))),
        }
    }

    fn factor(&self, key: i32) -> Result<f64> {
        match self.settings.get(&key) {
            None => Ok(1.0),
            Some(text) => text
                .parse()
                .map_err(|_| self.broken(format!("its setting {key} is `{text}`"))),
        }
    }

    /// `[outputs, inputs, 3, 3]`; anything but a plain 3×3 convolution with bias is an error.
    fn convolution(&self) -> Result<[usize; 4]> {
        let outputs = self.number(0, 0)?;
        let width = self.number(1, 0)?;
        let height = self.number(11, width)?;
        let stride = self.number(3, 1)?;
        let plain = (width, height) == (3, 3)
            && self.number(2, 1)? == 1
            && self.number(12, 1)? == 1
            && (stride, self.number(13, stride)?) == (1, 1)
            && self.number(4, 0)? == 1
            && self.number(14, 1)? == 1
            && self.number(5, 0)? == 1
            && self.number(8, 0)? == 0
            && self.number(9, 0)? == 0;
        let size = self.number(6, 0)?;
        if !plain || outputs == 0 || size == 0 || size % (outputs.saturating_mul(9)) != 0 {
            return Err(self.broken("it is no 3×3 convolution with padding 1 and bias"));
        }
        Ok([outputs, size / (outputs * 9), 3, 3])
    }
}

/// The one chain that such a model is.
struct Graph<'l, 't> {
    body: Vec<&'l Layer<'t>>,
    scale: usize,
}

impl<'l, 't> Graph<'l, 't> {
    /// Checks that the layers are: input, convolutions and slopes in a chain, pixel shuffle, and
    /// the input enlarged by nearest neighbour added to it.
    fn follow(layers: &'l [Layer<'t>]) -> Result<Self> {
        const KNOWN: [&str; 7] = [
            "Input",
            "Split",
            "Convolution",
            "PReLU",
            "PixelShuffle",
            "Interp",
            "BinaryOp",
        ];
        let mut unknown: Vec<String> = Vec::new();
        for layer in layers.iter().filter(|layer| !KNOWN.contains(&layer.kind)) {
            let kind = format!("`{}`", layer.kind);
            if !unknown.contains(&kind) && unknown.len() < 8 {
                unknown.push(kind);
            }
        }
        if !unknown.is_empty() {
            return Err(Error::new(
                Code::UnsupportedVariant,
                format!("the ncnn model has layers of kind {}", unknown.join(", ")),
            )
            .hint("only SRVGGNetCompact is read from ncnn files; take the `.pth` or `.safetensors` of other networks"));
        }

        // What flows through each blob.
        let mut input_blobs: Vec<&str> = Vec::new();
        let mut body: Vec<&Layer<'_>> = Vec::new();
        let mut chain: Option<&str> = None;
        let mut shuffled: Option<(&str, usize)> = None;
        let mut enlarged: Option<(&str, usize)> = None;
        let mut added = false;
        for layer in layers {
            let misplaced = || layer.broken("it is not where such a network has it");
            let one = |blobs: &[&'t str]| match blobs {
                [only] => Ok(*only),
                _ => Err(misplaced()),
            };
            if added {
                return Err(misplaced());
            }
            match layer.kind {
                "Input" if input_blobs.is_empty() => input_blobs.push(one(&layer.outputs)?),
                "Split" if input_blobs.contains(&one(&layer.inputs)?) => {
                    input_blobs.extend(&layer.outputs);
                }
                "Convolution" | "PReLU" => {
                    let from = one(&layer.inputs)?;
                    let follows = match chain {
                        None => layer.kind == "Convolution" && input_blobs.contains(&from),
                        Some(blob) => blob == from,
                    };
                    if !follows || shuffled.is_some() {
                        return Err(misplaced());
                    }
                    body.push(layer);
                    chain = Some(one(&layer.outputs)?);
                }
                "PixelShuffle" if chain == Some(one(&layer.inputs)?) && shuffled.is_none() => {
                    if layer.number(1, 0)? != 0 {
                        return Err(layer.broken("its mode is not that of PyTorch"));
                    }
                    shuffled = Some((one(&layer.outputs)?, layer.number(0, 1)?));
                }
                "Interp" if input_blobs.contains(&one(&layer.inputs)?) && enlarged.is_none() => {
                    let (down, right) = (layer.factor(1)?, layer.factor(2)?);
                    let whole =
                        down == right && down.fract() == 0.0 && (1.0..=16.0).contains(&down);
                    if layer.number(0, 0)? != 1 || !whole {
                        return Err(layer.broken("it does not enlarge by nearest neighbour"));
                    }
                    enlarged = Some((one(&layer.outputs)?, down as usize));
                }
                "BinaryOp" => {
                    let (Some((a, scale)), Some((b, other))) = (shuffled, enlarged) else {
                        return Err(misplaced());
                    };
                    let sums_both = layer.inputs == [a, b] || layer.inputs == [b, a];
                    if layer.number(0, 0)? != 0 || !sums_both || scale != other {
                        return Err(misplaced());
                    }
                    added = true;
                }
                _ => return Err(misplaced()),
            }
        }
        match (shuffled, added, body.is_empty()) {
            (Some((_, scale)), true, false) => Ok(Self { body, scale }),
            _ => Err(Error::new(
                Code::UnsupportedVariant,
                "the ncnn model is no SRVGGNetCompact: it ends without the enlarged input added",
            )),
        }
    }
}

/// The `.bin`, read from front to back.
struct Weights<'b> {
    bin: &'b Arc<Vec<u8>>,
    at: usize,
}

impl Weights<'_> {
    fn convolution(
        &mut self,
        layer: &Layer<'_>,
        shape: [usize; 4],
        i: usize,
        tensors: &mut Vec<(String, Tensor)>,
    ) -> Result<()> {
        let flag = self.take(layer, 4)?;
        let flag = u32::from_le_bytes(self.bin[flag].try_into().expect("four bytes were taken"));
        let dtype = match flag {
            FLAG_F32 => Dtype::F32,
            FLAG_F16 => Dtype::F16,
            other => {
                return Err(Error::new(
                    Code::UnsupportedVariant,
                    format!(
                        "the layer `{}` has weights of kind {other:#010x} (only f32 and f16 are read)",
                        layer.name
                    ),
                ));
            }
        };
        let weight = self.tensor(layer, dtype, shape.to_vec())?;
        // Halves are padded to whole words.
        self.at = self.at.next_multiple_of(4).min(self.bin.len());
        tensors.push((format!("body.{i}.weight"), weight));
        let bias = self.plain(layer, vec![shape[0]])?;
        tensors.push((format!("body.{i}.bias"), bias));
        Ok(())
    }

    fn plain(&mut self, layer: &Layer<'_>, shape: Vec<usize>) -> Result<Tensor> {
        self.tensor(layer, Dtype::F32, shape)
    }

    fn tensor(&mut self, layer: &Layer<'_>, dtype: Dtype, shape: Vec<usize>) -> Result<Tensor> {
        let bytes = shape
            .iter()
            .try_fold(dtype.size(), |n, &side| n.checked_mul(side))
            .unwrap_or(usize::MAX);
        let range = self.take(layer, bytes)?;
        Tensor::view(dtype, Layout::contiguous(shape), Blob::new(self.bin, range))
    }

    fn take(&mut self, layer: &Layer<'_>, count: usize) -> Result<std::ops::Range<usize>> {
        let left = self.bin.len() - self.at;
        if count > left {
            return Err(Error::new(
                Code::Truncated,
                format!(
                    "the `.bin` is truncated in the layer `{}` (expected {count} bytes, found {left})",
                    layer.name
                ),
            ));
        }
        let start = self.at;
        self.at += count;
        Ok(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    const PARAM: &str = "7767517\n\
        8 9\n\
        Input            in   0 1 data\n\
        Split            s    1 2 data a b\n\
        Convolution      c0   1 1 b x 0=4 1=3 4=1 5=1 6=108\n\
        PReLU            p1   1 1 x y 0=4\n\
        Convolution      c2   1 1 y z 0=12 1=3 4=1 5=1 6=432\n\
        PixelShuffle     ps   1 1 z w 0=2\n\
        Interp           up   1 1 a v 0=1 1=2.000000e+00 2=2.000000e+00\n\
        BinaryOp         add  2 1 w v out\n";

    /// The weights for [`PARAM`]: 0, 1, 2 … in steps of an eighth.
    fn bin(half: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = (0_u16..).map(|i| f32::from(i) / 8.0);
        let mut put = |count: usize, half: bool, bytes: &mut Vec<u8>| {
            for value in next.by_ref().take(count) {
                if half {
                    bytes.extend(f16::from_f32(value).to_le_bytes());
                } else {
                    bytes.extend(value.to_le_bytes());
                }
            }
        };
        let flag = if half { FLAG_F16 } else { FLAG_F32 };
        bytes.extend(flag.to_le_bytes());
        put(108, half, &mut bytes);
        put(4, false, &mut bytes);
        put(4, false, &mut bytes);
        bytes.extend(flag.to_le_bytes());
        put(432, half, &mut bytes);
        put(12, false, &mut bytes);
        bytes
    }

    #[test]
    fn both_number_types_are_read() {
        for half in [false, true] {
            let parts = read(PARAM.as_bytes(), &Arc::new(bin(half))).unwrap();
            let found: Vec<_> = parts
                .tensors
                .iter()
                .map(|(name, tensor)| (&**name, tensor.shape().to_vec(), tensor.to_f32()[0]))
                .collect();
            assert_eq!(
                found,
                [
                    ("body.0.weight", vec![4, 3, 3, 3], 0.0),
                    ("body.0.bias", vec![4], 13.5),
                    ("body.1.weight", vec![4], 14.0),
                    ("body.2.weight", vec![12, 4, 3, 3], 14.5),
                    ("body.2.bias", vec![12], 68.5),
                ]
            );
            assert_eq!(parts.metadata["ncnn.scale"], "2");
        }
    }

    #[test]
    fn other_models_are_refused_with_their_layers() {
        let check = |from: &str, to: &str, part: &str| {
            assert!(PARAM.contains(from));
            let error = read(PARAM.replacen(from, to, 1).as_bytes(), &Arc::new(bin(true)))
                .err()
                .unwrap();
            assert!(error.to_string().contains(part), "{from} → {to}: {error}");
        };
        check(
            "PReLU            p1   1 1 x y 0=4",
            "Sigmoid p1 1 1 x y",
            "`Sigmoid`",
        );
        check("8 9", "9 9", "announces");
        check("1=3 4=1", "1=5 4=1", "`c0`");
        check("1=3 4=1", "1=3 3=2 4=1", "`c0`");
        check("1=3 4=1", "1=3 9=1 4=1", "`c0`");
        check("1=3 4=1", "1=x 4=1", "`x`");
        check("b x 0=4", "b q 0=4", "`p1`");
        check("x y 0=4", "x y 0=5", "5 slopes");
        check("0=2\n", "0=3\n", "`add`");
        check("w v out", "w w out", "`add`");
        check("0=1 1=2.0", "0=2 1=2.0", "`up`");
        check(
            "in   0 1 data",
            "in   0 99999999999999999999 data",
            "no layer",
        );
        check("in   0 1 data", "in   0 99999999 data", "no layer");
        check("0=12", "0=0", "`c2`");
        check("6=432", "6=864", "takes 8 channels");
    }

    #[test]
    fn sizes_must_agree() {
        let whole = bin(true);
        for length in 0..whole.len() {
            let error = read(PARAM.as_bytes(), &Arc::new(whole[..length].to_vec())).err();
            assert_eq!(error.unwrap().code(), Code::Truncated, "{length}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        let error = read(PARAM.as_bytes(), &Arc::new(longer)).err().unwrap();
        assert!(error.message().contains("1 bytes more"), "{error}");
        let mut int8 = whole;
        int8[..4].copy_from_slice(&0x000D_4B38_u32.to_le_bytes());
        let error = read(PARAM.as_bytes(), &Arc::new(int8)).err().unwrap();
        assert!(error.message().contains("0x000d4b38"), "{error}");
    }
}
