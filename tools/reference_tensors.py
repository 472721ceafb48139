#!/usr/bin/env python3
"""Makes fixtures/tensors: what PyTorch computes for the networks fonds has, with weights by formula.

    tools/reference_tensors.py fixtures/tensors [--only NAME …] [--list]

One safetensors file for each network. The weights are not in it: formula_values.py gives them for the
keys and ranges in the metadata. A file has

- `input` (F32; not stored above 64 KiB, then only the formula in the metadata gives it),
- `output`, or `output.NAME` for several (F64, computed in float64 throughout),

and the metadata, all strings, JSON where it is no plain word or number:

- `arch`, `config`, `torch`;
- `inputs`: list of [tensor, key, shape, lo, hi] for the formula; `input_range`: [lo, hi] of the first;
- `keys`: list of [key, shape, lo, hi], the whole state dict with the keys and shapes as published.
  An integer tensor (`num_batches_tracked`) has shape [] and lo = hi = its value;
- `ignored_keys`: those among `keys` that take no part; `unused_keys`: [key, shape] of tensors that the
  published files have besides, for parts of the network that the output does not depend on;
- `outputs`: for each output its whole `shape`, the `step` along each axis with which it is stored
  (index 0, step, 2·step …), and of the whole output `mean`, `rms`, `range` (max − min) and
  `f32_error`, the largest difference between PyTorch in f32 and in f64: with planes or with channels last,
  whichever is further away, since it sums in another order in each;
- `torch_f32_max_abs_error` and `output_range`: the largest of those errors, and the range of the
  output that has it.

Prints one line a network: file size, range, error, and the parameter to which the output is least
sensitive. Needs torch, torchvision, numpy, safetensors; with spandrel and lpips installed, their
networks are run as well and must agree.
"""

import argparse
import importlib.util
import json
import math
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file
from torch import nn

import reference_networks as networks
from formula_values import values

STORED_INPUT = 64 * 1024
# Below this share of an output's spread, a parameter's being wrong could pass unnoticed.
SENSITIVE = 1e-4


@dataclass
class Spec:
    """A network, its inputs, and how far its parameters reach."""

    arch: str
    make: object
    shapes: object
    config: dict = field(default_factory=dict)
    span: tuple = (0.0, 1.0)
    gain: float = 1.4
    gains: list = field(default_factory=list)
    bias: float = 0.1
    biases: list = field(default_factory=list)
    norms: list = field(default_factory=list)
    key: object = None
    swapped: tuple = ()
    without: str = ""
    untracked: bool = False
    extra: list = field(default_factory=list)
    unused: list = field(default_factory=list)
    steps: dict = field(default_factory=dict)
    train: bool = False
    rival: object = None


def short(number):
    """A number with few digits, so that the metadata stays readable."""
    return float(f"{number:.5g}")


def chosen(rules, key, default):
    return next((value for pattern, value in rules if re.search(pattern, key)), default)


def reach(spec, model):
    """The range of each tensor of the state dict, by own key."""
    owners = {}
    for path, module in model.named_modules():
        for name in [*dict(module.named_parameters(recurse=False)), *dict(module.named_buffers(recurse=False))]:
            owners[f"{path}.{name}" if path else name] = (module, name)
    found = {}
    for key, tensor in model.state_dict().items():
        module, name = owners[key]
        published = published_key(spec, key)
        if name == "num_batches_tracked":
            found[key] = (1234, 1234)
        elif name == "running_mean":
            found[key] = (-0.2, 0.2)
        elif name == "running_var":
            found[key] = (0.5, 1.5)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and name == "weight":
            found[key] = chosen(spec.norms, published, (0.5, 1.5))
        elif isinstance(module, nn.PReLU):
            found[key] = (0.05, 0.35)
        elif "bias" in name:
            bound = chosen(spec.biases, published, spec.bias)
            found[key] = (-bound, bound)
        elif name in ("weight_u", "weight_v"):
            bound = short(math.sqrt(3 / tensor.numel()))
            found[key] = (-bound, bound)
        elif ".model.1" in key and key.startswith("lin"):
            found[key] = (0.0, 1.0)
        else:
            fan = tensor[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan = tensor.shape[0] * tensor.shape[2] * tensor.shape[3] / module.stride[0] ** 2
            bound = short(chosen(spec.gains, published, spec.gain) * math.sqrt(3 / fan))
            found[key] = (-bound, bound)
    return found


def published_key(spec, key):
    if spec.without and key.startswith(spec.without):
        key = key[len(spec.without) :]
    return spec.key(key) if spec.key else key


def fill(spec, model):
    """Gives the model the formula's weights. Returns the list for the metadata and the published tensors."""
    ranges = reach(spec, model)
    state, listed, published = model.state_dict(), [], {}
    for key, tensor in state.items():
        lo, hi = ranges[key]
        name = published_key(spec, key)
        if name.endswith("weight_u"):
            # Spectral normalisation divides by uᵀWv: make that about ±1.
            weight = torch.from_numpy(published[name.replace("weight_u", "weight_orig")]).double().flatten(1)
            other = key.replace("weight_u", "weight_v")
            v = values(other, list(state[other].shape), *ranges[other])
            u = values(name, list(tensor.shape), lo, hi)
            sigma = float(torch.from_numpy(u).double() @ (weight @ torch.from_numpy(v).double()))
            hi = short(hi / abs(sigma))
            lo = -hi
        shape = list(tensor.shape)
        if name in spec.swapped:
            shape[0], shape[1] = shape[1], shape[0]
        if not tensor.dtype.is_floating_point:
            made = np.array(lo, dtype=np.int64)
            if spec.untracked:
                continue
        else:
            made = values(name, shape, lo, hi)
        listed.append([name, shape, lo, hi])
        published[name] = made
        own = torch.from_numpy(made)
        state[key] = own.transpose(0, 1) if name in spec.swapped else own
    model.load_state_dict(state)
    return listed, published


def run(spec, model, inputs, dtype):
    """The outputs by name in one precision."""
    model = model.to(dtype)
    model.train(spec.train)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    # Batch normalisation in training changes its running statistics; those are not part of the output.
    kept = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with torch.no_grad():
        found = model(*(torch.from_numpy(x).to(dtype) for x in inputs))
    model.load_state_dict(kept)
    if isinstance(found, torch.Tensor):
        found = {"": found}
    return {f"output.{name}" if name else "output": y.double().numpy() for name, y in found.items()}


def least_sensitive(spec, model, inputs, outputs, ignored):
    """The parameter whose being off by its own spread would change the outputs least.

    Of a random projection of each output, scaled by that output's spread, one backward pass gives all
    derivatives. Also says how many parameters have no effect at all.
    """
    model = model.double()
    model.train(spec.train)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    state = {
        # Running statistics have no derivatives in PyTorch.
        key: tensor.clone().requires_grad_(tensor.dtype.is_floating_point and "running" not in key)
        for key, tensor in model.state_dict().items()
    }
    inputs = tuple(torch.from_numpy(x).double() for x in inputs)
    found = torch.func.functional_call(model, state, inputs)
    found = {"": found} if isinstance(found, torch.Tensor) else found
    total = 0
    for name, y in found.items():
        spread = outputs[f"output.{name}" if name else "output"].std()
        draw = torch.from_numpy(np.random.default_rng(1).standard_normal(y.shape))
        total = total + (y * draw).sum() / (spread * math.sqrt(y.numel()))
    total.backward()
    worst, idle = (math.inf, ""), []
    for key, tensor in state.items():
        if published_key(spec, key) in ignored or tensor.grad is None:
            continue
        spread = tensor.detach().std(correction=0) if tensor.numel() > 1 else tensor.detach().abs().sum()
        share = float(tensor.grad.norm() * spread)
        if share < 1e-12:
            idle.append(key)
        else:
            worst = min(worst, (share, key))
    # A bias in front of instance normalisation, or of batch statistics, has no effect.
    if any(not key.endswith("bias") for key in idle):
        sys.exit(f"without effect: {idle}")
    return (*worst, len(idle))


def compare(name, spec, published, inputs, outputs):
    """Runs the other implementation, if it is installed, and returns how far it is away."""
    needed = spec.rival and spec.rival.needs
    if not needed or importlib.util.find_spec(needed) is None:
        return ""
    other = spec.rival(published, inputs)
    error = max(float(np.abs(other[key] - outputs[key]).max()) for key in outputs)
    spread = max(float(np.ptp(y)) for y in outputs.values())
    if error > 1e-9 * spread:
        sys.exit(f"{name}: {needed} differs by {error:g} of {spread:g}")
    return f"; {needed} agrees to {error:.1g}"


def make(name, spec, folder):
    torch.manual_seed(0)
    model = spec.make(**spec.config)
    listed, published = fill(spec, model)
    named = spec.shapes if isinstance(spec.shapes, dict) else {"input": spec.shapes}
    inputs = {tensor: values(tensor, shape, *spec.span) for tensor, shape in named.items()}
    double = run(spec, model, list(inputs.values()), torch.float64)
    single = run(spec, model, list(inputs.values()), torch.float32)
    last = run(spec, model.to(memory_format=torch.channels_last), list(inputs.values()), torch.float32)
    model = model.to(memory_format=torch.contiguous_format)

    ignored = [row[0] for row in spec.extra]
    listed += spec.extra
    tensors, described = {}, {}
    for tensor, x in inputs.items():
        if x.nbytes <= STORED_INPUT:
            tensors[tensor] = x
    for key, y in double.items():
        step = spec.steps.get(key, spec.steps.get("*", [1] * y.ndim))[: y.ndim]
        tensors[key] = np.ascontiguousarray(y[tuple(slice(None, None, s) for s in step)])
        described[key] = {
            "shape": list(y.shape),
            "step": step,
            "mean": float(y.mean()),
            "rms": float(np.sqrt((y**2).mean())),
            "range": float(np.ptp(y)),
            "f32_error": max(float(np.abs(found[key] - y).max()) for found in (single, last)),
        }
        if not np.isfinite(y).all() or np.ptp(y) < 1e-2:
            sys.exit(f"{name}: {key} has the range {np.ptp(y):g}")
    worst = max(described.values(), key=lambda row: row["f32_error"])
    metadata = {
        "arch": spec.arch,
        "config": json.dumps(spec.config),
        "torch": torch.__version__.split("+")[0],
        "inputs": json.dumps([[t, t, list(x.shape), *spec.span] for t, x in inputs.items()]),
        "input_range": json.dumps(list(spec.span)),
        "keys": json.dumps(listed, separators=(",", ":")),
        "ignored_keys": json.dumps(ignored),
        "unused_keys": json.dumps(spec.unused),
        "outputs": json.dumps(described),
        "torch_f32_max_abs_error": repr(worst["f32_error"]),
        "output_range": repr(worst["range"]),
    }
    path = Path(folder, f"{name}.safetensors")
    save_file(tensors, path, metadata)
    share, key, idle = least_sensitive(spec, model, list(inputs.values()), double, ignored)
    agrees = compare(name, spec, published, list(inputs.values()), double)
    weak = " WEAK" if share < SENSITIVE else ""
    weak += f"; {idle} biases before a norm" if idle else ""
    print(
        f"{name:28} {path.stat().st_size / 1024:6.1f} KiB  range {worst['range']:9.4g}"
        f"  f32 error {worst['f32_error']:8.2g}  least {share:7.1g} {key}{weak}{agrees}",
        flush=True,
    )


# ---- Other implementations -------------------------------------------------------------------------


def rival(needs):
    def mark(function):
        function.needs = needs
        return function

    return mark


@rival("spandrel")
def spandrel(published, inputs):
    """The network that spandrel makes of the published state dict, in f64."""
    from spandrel import ModelLoader

    state = {key: torch.from_numpy(np.array(array)) for key, array in published.items()}
    model = ModelLoader().load_from_state_dict(state).model.double().eval()
    with torch.no_grad():
        return {"output": model(*(torch.from_numpy(x).double() for x in inputs)).numpy()}


@rival("lpips")
def lpips_package(published, inputs):
    """The lpips package with the same weights, in f64."""
    import lpips

    model = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, verbose=False)
    state = model.state_dict()
    own = {key.rsplit(".", 1)[0]: key for key in state}
    for key in state:
        index = re.match(r"net\.slice\d\.(\d+)\.(.*)", key)
        source = f"features.{index[1]}.{index[2]}" if index else key.replace("lins.", "lin")
        source = re.sub(r"^lin(\d)\.model", r"lin\1.model", source)
        if source in published:
            state[key] = torch.from_numpy(published[source])
    del own
    model.load_state_dict(state)
    # The package's scaling is kept in f32.
    model = model.double().eval()
    with torch.no_grad():
        return {"output": model(*(torch.from_numpy(x).double() for x in inputs)).numpy()}


# ---- The list --------------------------------------------------------------------------------------

SMALL = [2, 3, 11, 9]


def rrdb(blocks, key=None, doublings=2, unshuffle=1, shape=SMALL):
    config = {"blocks": blocks, "doublings": doublings, "unshuffle": unshuffle}
    # A dense block returns its input and more, so each of the outer blocks enlarges by a fifth.
    grown = 1.2**blocks
    gains = [("(?i)rdb", 1.2), (r"conv_body|trunk_conv|sub\.\d+\.weight", 1.4 / grown)]
    biases = [(rf"(body|RRDB_trunk|sub)\.{i}\.(?i:rdb)", short(0.1 * 1.2**i)) for i in range(blocks)]
    return Spec("rrdb", networks.RrdbNet, shape, config, gains=gains, biases=biases, key=key, rival=spandrel)


def edsr(features, blocks, scale, factor):
    config = {"features": features, "blocks": blocks, "scale": scale, "factor": factor}
    # Values stand for 0 to 255 inside, and so do the biases.
    return Spec("edsr", networks.Edsr, SMALL, config, gain=1.0, gains=[("conv2", 0.5)], bias=10.0)


def running(paths):
    """Running statistics as PyTorch before 0.4 wrote them for instance normalisation."""
    rows = []
    for path, wide in paths:
        rows.append([f"{path}.running_mean", [wide], -0.2, 0.2])
        rows.append([f"{path}.running_var", [wide], 0.5, 1.5])
    return rows


def tracked(paths):
    return [[f"{path}.num_batches_tracked", [], 99, 99] for path, _ in paths]


CYCLE_NORMS = (
    [("model.2", 64), ("model.5", 128), ("model.8", 256)]
    + [(f"model.{i}.conv_block.{j}", 256) for i in range(10, 19) for j in (2, 6)]
    + [("model.20", 128), ("model.23", 64)]
)
STYLE_NORMS = (
    [("in1", 32), ("in2", 64), ("in3", 128)]
    + [(f"res{i}.in{j}", 128) for i in range(1, 6) for j in (1, 2)]
    + [("in4", 64), ("in5", 32)]
)
VGG_HEAD = [
    [f"classifier.{i}.{kind}", [outer, inner] if kind == "weight" else [outer]]
    for i, outer, inner in ((0, 4096, 25088), (3, 4096, 4096), (6, 1000, 4096))
    for kind in ("weight", "bias")
]
ADAIN_REST = [
    [f"{i}.{kind}", [512, 512, 3, 3] if kind == "weight" else [512]]
    for i in (32, 35, 38, 42, 45, 48, 51)
    for kind in ("weight", "bias")
]


def vgg(depth, layers):
    network = getattr(torchvision.models, f"vgg{depth}")
    unused = [row for row in VGG_HEAD]
    body = network(weights=None, init_weights=False).features
    last = max(layers)
    for key, tensor in body.state_dict().items():
        if int(key.split(".")[0]) > last:
            unused.append([f"features.{key}", list(tensor.shape)])

    def build():
        full = network(weights=None, init_weights=False)
        del full.classifier
        full.features = full.features[: last + 1]
        return networks.Features(full, layers)

    # Every fourth channel is enough to see a mistake, and keeps the file small.
    return Spec(f"vgg{depth}", build, [1, 3, 19, 22], span=(-2.1, 2.6), unused=unused, steps={"*": [1, 4, 1, 1]})


def squeeze(version, layers):
    def build():
        network = getattr(torchvision.models, f"squeezenet{version}")(weights=None)
        return networks.Features(network, layers, logits=True)

    steps = {"*": [1, 8, 1, 1], "output.logits": [1, 4]}
    arch = f"squeezenet{version}"
    return Spec(arch, build, [1, 3, 43, 50], span=(-2.1, 2.6), steps=steps)


def resnet(depth):
    def build():
        return networks.ResNetLayers(getattr(torchvision.models, f"resnet{depth}")(weights=None))

    steps = {"*": [1, 16 if depth == 50 else 4, 1, 1], "output.logits": [1, 4]}
    last = 3 if depth == 50 else 2
    norms = [(rf"^layer\d\.\d+\.bn{last}", (0.1, 0.5))]
    gains = [("downsample", 1.0)]
    return Spec(f"resnet{depth}", build, [1, 3, 45, 51], span=(-2.1, 2.6), steps=steps, gains=gains, norms=norms)


def lpips():
    network = torchvision.models.squeezenet1_1(weights=None)
    del network.classifier
    return networks.Lpips(network)


def transformer(extra=()):
    return Spec(
        "transformer_net",
        networks.TransformerNet,
        [2, 3, 26, 33],
        span=(0.0, 255.0),
        gains=[("^deconv3", 60.0)],
        biases=[("^deconv3", 30.0)],
        extra=list(extra),
    )


def cycle(blocks, norm, shape, extra=()):
    config = {"blocks": blocks, "norm": norm}
    gains = [(rf"model\.{17 + blocks}\.", 0.5)]
    return Spec(
        "cyclegan_resnet",
        networks.CycleGenerator,
        shape,
        config,
        (-1.0, 1.0),
        gains=gains,
        norms=[(r"conv_block\.6", (0.1, 0.5))],
        extra=list(extra),
    )


def pix2pix(levels, step, train):
    return Spec(
        "pix2pix_unet",
        lambda levels, norm: networks.pix2pix_generator(levels),
        [1, 3, 2**levels, 2**levels],
        {"levels": levels, "norm": "batch statistics" if train else "batch"},
        (-1.0, 1.0),
        gains=[(r"^model\.model\.3", 0.4)],
        steps={"*": [1, 1, step, step]},
        train=train,
    )


def patchgan(inner, norm):
    return Spec("patchgan", networks.PatchGan, [2, inner, 33, 38], {"inner": inner, "norm": norm}, (-1.0, 1.0))


def dncnn(inner, outer, layers, norm, residual=True):
    config = {"inner": inner, "outer": outer, "layers": layers, "norm": norm, "residual": residual}
    return Spec("dncnn", networks.DnCnn, [2, inner, 21, 18], config, rival=spandrel)


def srvgg(convolutions, scale):
    config = {"convolutions": convolutions, "scale": scale}
    return Spec("srvgg", networks.Srvgg, SMALL if scale == 4 else [2, 3, 17, 22], config, rival=spandrel)


def unet(bilinear):
    return Spec("unet", networks.Unet, [2, 3, 37, 34], {"inner": 3, "outer": 2, "bilinear": bilinear})


SQUEEZE_1_1 = {1: "slice1", 4: "slice2", 7: "slice3", 9: "slice4", 10: "slice5", 11: "slice6", 12: "slice7"}
SQUEEZE_1_0 = {1: "relu1", 5: "fire4", 7: "fire5", 8: "fire6", 9: "fire7", 10: "fire8", 12: "fire9"}

SPECS = {
    "srvgg_32_x4": srvgg(32, 4),
    "srvgg_16_x4": srvgg(16, 4),
    "srvgg_16_x2": srvgg(16, 2),
    "rrdb_x4": rrdb(23),
    "carn_m": Spec("carn_m", networks.CarnM, [1, 3, 13, 10], gain=1.2, gains=[("shifter", 1.7)]),
    "dncnn": dncnn(1, 1, 17, False),
    "cyclegan_resnet_9_instance": cycle(9, "instance", [2, 3, 28, 36]),
    "vgg19": vgg(19, {1: "relu1_1", 6: "relu2_1", 11: "relu3_1", 20: "relu4_1", 29: "relu5_1"}),
    "dncnn_norm": dncnn(1, 1, 17, True),
    "dncnn_color": dncnn(3, 3, 20, False),
    "fdncnn_color": dncnn(4, 3, 20, False, residual=False),
    "rrdb_x2": rrdb(6, unshuffle=2, shape=[2, 3, 22, 18]),
    "rrdb_x1": rrdb(6, unshuffle=4, shape=[2, 3, 44, 36]),
    "rrdb_x8": rrdb(6, doublings=3, shape=[1, 3, 9, 7]),
    "rrdb_bsrgan": rrdb(6, networks.rrdb_bsrgan_key),
    "rrdb_esrgan": rrdb(6, networks.rrdb_esrgan_key(6, 2)),
    "edsr_m_x2": edsr(64, 16, 2, 1.0),
    "edsr_m_x3": edsr(64, 16, 3, 1.0),
    "edsr_m_x4": edsr(64, 16, 4, 1.0),
    "edsr_l_x4": edsr(256, 8, 4, 0.1),
    "msrresnet_x4": Spec("msrresnet", networks.MsrResNet, SMALL, gain=1.2, gains=[("conv2", 0.5)]),
    "srgan": Spec(
        "srgan", networks.Srgan, SMALL, gains=[(r"block8\.2", 0.3)], norms=[("bn2", (0.1, 0.5))], untracked=True
    ),
    "fast_srgan": Spec(
        "fast_srgan",
        networks.FastSrgan,
        SMALL,
        span=(-1.0, 1.0),
        gains=[("head", 0.3)],
        key=lambda key: f"_orig_mod.{key}",
    ),
    "vdsr": Spec("vdsr", networks.Vdsr, [2, 1, 24, 19]),
    "fsrcnn_x2": Spec("fsrcnn", networks.Fsrcnn, [2, 1, 17, 22], {"scale": 2}, key=networks.Fsrcnn.key),
    "fsrcnn_x4": Spec("fsrcnn", networks.Fsrcnn, [2, 1, 17, 12], {"scale": 4}, key=networks.Fsrcnn.key),
    "waifu2x_upconv7": Spec("waifu2x_upconv7", networks.Upconv7, [2, 3, 19, 16], swapped=("conv7.weight",)),
    "unet_transposed": unet(False),
    "unet_bilinear": unet(True),
    "cyclegan_resnet_6_batch": cycle(6, "batch", [2, 3, 29, 35]),
    "cyclegan_resnet_9_old": cycle(9, "instance", [1, 3, 29, 35], running(CYCLE_NORMS) + tracked(CYCLE_NORMS)),
    "pix2pix_unet_128": pix2pix(7, 4, False),
    "pix2pix_unet_256": pix2pix(8, 8, True),
    "patchgan_instance": patchgan(3, "instance"),
    "patchgan_batch": patchgan(6, "batch"),
    "pixel_discriminator": Spec(
        "pixel_discriminator", networks.PixelDiscriminator, [2, 3, 17, 14], {"inner": 3, "norm": "batch"}, (-1.0, 1.0)
    ),
    "pixel_discriminator_instance": Spec(
        "pixel_discriminator", networks.PixelDiscriminator, [2, 3, 17, 14], {"inner": 3, "norm": "instance"}, (-1.0, 1.0)
    ),
    "unet_discriminator_sn": Spec("unet_discriminator_sn", networks.UnetDiscriminator, [2, 3, 24, 40]),
    "transformer_net": transformer(),
    "transformer_net_old": transformer(running(STYLE_NORMS)),
    "style_engstrom": Spec(
        "style_engstrom",
        networks.EngstromNet,
        [2, 3, 26, 33],
        span=(0.0, 255.0),
        norms=[("conv_out", (0.2, 0.8))],
        key=networks.EngstromNet.key,
    ),
    "adain_encoder": Spec(
        "adain_encoder",
        networks.AdainEncoder,
        [1, 3, 19, 26],
        without="layers.",
        unused=ADAIN_REST,
        steps={"*": [1, 4, 1, 1]},
    ),
    "adain_decoder": Spec("adain_decoder", networks.adain_decoder, [1, 512, 4, 5], span=(0.0, 2.0)),
    "adain_whole": Spec(
        "adain", networks.Adain, {"input": [1, 3, 29, 34], "input.style": [1, 3, 36, 27]}, gains=[(r"decoder\.28", 0.5)]
    ),
    "vgg16": vgg(16, {3: "relu1_2", 8: "relu2_2", 15: "relu3_3", 22: "relu4_3"}),
    "squeezenet1_0": squeeze("1_0", SQUEEZE_1_0),
    "squeezenet1_1": squeeze("1_1", SQUEEZE_1_1),
    "resnet18": resnet(18),
    "resnet34": resnet(34),
    "resnet50": resnet(50),
    "lpips_squeeze": Spec(
        "lpips_squeeze",
        lpips,
        {"input": [2, 3, 45, 39], "input.other": [2, 3, 45, 39]},
        span=(-1.0, 1.0),
        unused=[["classifier.1.weight", [1000, 512, 1, 1]], ["classifier.1.bias", [1000]]],
        rival=lpips_package,
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="one network's name; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(SPECS))
        return
    torch.set_num_threads(arguments.threads)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or SPECS:
        if name not in SPECS:
            sys.exit(f"no network {name}; known: {', '.join(SPECS)}")
        make(name, SPECS[name], arguments.folder)


if __name__ == "__main__":
    main()
