#!/usr/bin/env python3
"""How far a style network of the Engstrom form may be from a golden output when its weights were rounded to f16.

    tools/check_style_golden.py style_matta.safetensors input_64.png style_matta.npy

Computes the network in PyTorch in float64, written from its published description (TensorFlow's `SAME`,
instance norm with ε 1e-3 behind each convolution, tanh × 150 + 127.5), and prints the difference from the
golden output, which was made with the weights in f32. Then moves every weight by chance within half a unit in
the last place of f16, which is what rounding may have done, and prints how far that moves the output. Needs
torch, numpy, Pillow and safetensors.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

DRAWS = 6


def network(x, weights):
    def norm(y, name):
        mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), keepdim=True, unbiased=False)
        scale, shift = (weights[f"{name}.in_{what}"].view(1, -1, 1, 1) for what in ("scale", "shift"))
        return scale * (y - mean) / torch.sqrt(variance + 1e-3) + shift

    def conv(y, name, stride=1):
        weight = weights[f"{name}.weight"]
        pads = []
        for side in (y.shape[3], y.shape[2]):
            more = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
            pads += [more // 2, more - more // 2]
        return norm(F.conv2d(F.pad(y, pads), weight, stride=stride), name)

    def deconv(y, name):
        height, width = (2 * side for side in y.shape[2:])
        y = F.conv_transpose2d(y, weights[f"{name}.weight"], stride=2)[..., :height, :width]
        return F.relu(norm(y, name))

    for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2)):
        x = F.relu(conv(x, name, stride))
    for block in range(1, 6):
        x = x + conv(F.relu(conv(x, f"res{block}.conv1")), f"res{block}.conv2")
    x = conv(deconv(deconv(x, "deconv1"), "deconv2"), "conv_out")
    return (torch.tanh(x) * 150 + 127.5)[0].permute(1, 2, 0).numpy()


def say(what, difference):
    root = np.sqrt(np.mean(difference**2))
    print(f"{what:<24} largest {np.abs(difference).max():.3f}, root mean square {root:.4f}")


def main(weights_file, picture, golden):
    stored = load_file(weights_file)
    print("stored as", ", ".join(sorted({str(value.dtype) for value in stored.values()})))
    weights = {key: value.double() for key, value in stored.items()}
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(np.float64)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    made = network(x, weights)
    say("golden output", made - np.load(golden).astype(np.float64))
    for seed in range(DRAWS):
        chance = torch.Generator().manual_seed(seed)
        moved = {}
        for key, value in weights.items():
            unit = np.spacing(np.abs(value.numpy()).astype(np.float16)).astype(np.float64)
            draw = torch.rand(value.shape, generator=chance, dtype=torch.float64) - 0.5
            moved[key] = value + draw * torch.from_numpy(unit)
        say(f"weights moved, draw {seed}", network(x, moved) - made)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
