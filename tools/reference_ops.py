#!/usr/bin/env python3
"""Writes what PyTorch computes, in f64, for the operations between convolutions.

    reference_ops.py FOLDER        writes FOLDER/ops.safetensors

Inputs are made of f32 values, so that the engine starts from the same numbers. Tensors are NCHW.
The names say the operation and its arguments; crates/nn/src/engine/ops/reference.rs reads them.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file


def main():
    torch.manual_seed(20)
    x = torch.randn(1, 5, 7, 9, dtype=torch.float32).double()
    wide = torch.randn(1, 18, 5, 4, dtype=torch.float32).double()
    y = torch.randn(1, 5, 6, 8, dtype=torch.float32).double()
    weight = torch.randn(5, dtype=torch.float32).double()
    bias = torch.randn(5, dtype=torch.float32).double()
    groups_weight = torch.randn(18, dtype=torch.float32).double()
    out = {"x": x, "wide": wide, "y": y, "weight": weight, "bias": bias, "groups_weight": groups_weight}

    for height, width in [(14, 18), (3, 4), (11, 6), (1, 1)]:
        size = (height, width)
        name = f"{height}x{width}"
        out[f"nearest.{name}"] = F.interpolate(x, size, mode="nearest")
        out[f"bilinear.{name}"] = F.interpolate(x, size, mode="bilinear", align_corners=False)
        out[f"bilinear_corners.{name}"] = F.interpolate(x, size, mode="bilinear", align_corners=True)
        out[f"bicubic.{name}"] = F.interpolate(x, size, mode="bicubic", align_corners=False)
        out[f"area.{name}"] = F.interpolate(x, size, mode="area")
        out[f"adaptive.{name}"] = F.adaptive_avg_pool2d(x, size)

    for kernel, stride, padding in [(2, 2, 0), (3, 2, 0), (3, 2, 1), (5, 3, 2)]:
        for ceil in [False, True]:
            name = f"{kernel}.{stride}.{padding}.{int(ceil)}"
            out[f"max_pool.{name}"] = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
            for count in [False, True]:
                out[f"average_pool.{name}.{int(count)}"] = F.avg_pool2d(
                    x, kernel, stride, padding, ceil_mode=ceil, count_include_pad=count
                )

    out["reflect"] = F.pad(x, (3, 1, 2, 4), mode="reflect")
    out["replicate"] = F.pad(x, (3, 1, 2, 4), mode="replicate")
    out["pixel_shuffle"] = F.pixel_shuffle(wide, 3)
    out["pixel_unshuffle"] = F.pixel_unshuffle(F.pixel_shuffle(wide, 3), 3)
    out["instance_norm"] = F.instance_norm(x, weight=weight, bias=bias, eps=1e-5)
    out["group_norm"] = F.group_norm(wide, 6, weight=groups_weight, eps=1e-5)
    out["batch_norm"] = F.batch_norm(x, bias, weight.abs(), weight, bias, eps=1e-5)

    # Adaptive instance normalisation as in Huang and Belongie's code: unbiased variances.
    def moments(t):
        flat = t.flatten(2)
        return flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]

    (mean, deviation), (style_mean, style_deviation) = moments(x), moments(y)
    styled = (x - mean) / deviation * style_deviation + style_mean
    out["adain"] = 0.7 * styled + 0.3 * x

    flat = x.flatten(2)
    out["gram"] = flat @ flat.transpose(1, 2) / flat[0].numel()
    out["l1"] = F.l1_loss(x[:, :, :6, :8], y).reshape(1)
    out["l2"] = F.mse_loss(x[:, :, :6, :8], y).reshape(1)

    path = Path(sys.argv[1]) / "ops.safetensors"
    save_file({name: tensor.contiguous().clone() for name, tensor in out.items()}, path)
    print(f"{path}: {len(out)} tensors, {path.stat().st_size} bytes, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
