#!/usr/bin/env python3
"""Makes fixtures/tensors/conv_gradients.safetensors: convolutions and their gradients, by PyTorch in f64.

    tools/reference_gradients.py fixtures/tensors

The metadata's `cases` is a JSON list; a case has `name`, `transposed`, the shapes `input`, `weight` (as
PyTorch has them: out × in/groups × … , transposed in × out/groups × …) and `grad`, and `stride`,
`padding`, `output_padding` (transposed only), `dilation`, `groups`, `bias`. formula_values.py gives the
tensors: keys `NAME.input` (−1 to 1), `NAME.weight` (−0.5 to 0.5), `NAME.bias` (−0.5 to 0.5) and, for what
comes from above, `NAME.grad` (−1 to 1). Stored, F64: `NAME.output`, `NAME.grad_input`, `NAME.grad_weight`,
`NAME.grad_bias`. `f32_error` is the largest error of PyTorch in f32 for each of them.

Needs torch, numpy and safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from formula_values import values

# kernel, stride, padding, dilation, groups, in, out, batch, height, width
PLAIN = [
    (1, 1, 0, 1, 1, 5, 7, 2, 6, 9),
    (1, 2, 0, 1, 1, 6, 4, 2, 7, 8),
    (3, 1, 1, 1, 1, 3, 8, 2, 9, 11),
    (3, 1, 1, 1, 1, 16, 17, 1, 10, 9),
    (3, 1, 0, 1, 1, 4, 5, 2, 8, 7),
    (3, 2, 1, 1, 1, 6, 8, 2, 9, 12),
    (3, 2, 0, 1, 1, 4, 4, 1, 10, 8),
    (3, 1, 2, 2, 1, 4, 6, 2, 9, 8),
    (3, 2, 2, 2, 1, 4, 3, 1, 11, 12),
    (3, 1, 1, 1, 2, 6, 8, 2, 7, 9),
    (3, 1, 1, 1, 8, 8, 8, 2, 9, 6),
    (3, 2, 1, 1, 6, 6, 12, 1, 9, 10),
    (4, 2, 1, 1, 1, 5, 6, 2, 12, 9),
    (4, 1, 1, 1, 1, 4, 1, 2, 7, 8),
    (5, 1, 2, 1, 1, 3, 6, 1, 11, 8),
    (5, 2, 2, 1, 2, 4, 6, 2, 11, 9),
    (7, 1, 3, 1, 1, 3, 5, 1, 9, 12),
    (7, 2, 3, 1, 1, 3, 4, 1, 13, 14),
    (9, 1, 4, 1, 1, 3, 4, 1, 10, 11),
    (9, 1, 0, 1, 1, 2, 3, 1, 12, 11),
]
# The same, then output padding.
TRANSPOSED = [
    (2, 2, 0, 1, 1, 6, 4, 2, 5, 4, 0),
    (3, 2, 1, 1, 1, 6, 5, 2, 5, 6, 1),
    (3, 2, 1, 1, 1, 4, 3, 2, 6, 5, 0),
    (3, 2, 0, 1, 1, 5, 3, 1, 6, 7, 0),
    (3, 1, 1, 1, 1, 4, 6, 2, 7, 6, 0),
    (4, 2, 1, 1, 1, 6, 4, 2, 5, 7, 0),
    (4, 2, 3, 1, 1, 5, 3, 2, 8, 7, 0),
    (4, 2, 1, 1, 2, 6, 4, 1, 5, 6, 0),
    (5, 2, 2, 1, 1, 3, 4, 1, 6, 5, 1),
    (3, 2, 2, 2, 1, 4, 3, 1, 6, 7, 1),
    (4, 1, 0, 1, 1, 8, 5, 2, 1, 1, 0),
    (9, 2, 4, 1, 1, 4, 1, 1, 6, 5, 1),
    (4, 2, 1, 1, 6, 6, 6, 1, 5, 4, 0),
]


def gradients(case, made, dtype):
    """Output and gradients of one case in one precision."""
    x, w, b, above = (None if t is None else torch.from_numpy(t).to(dtype) for t in made)
    x.requires_grad_()
    w.requires_grad_()
    settings = {key: case[key] for key in ("stride", "padding", "dilation", "groups")}
    if b is not None:
        b.requires_grad_()
    if case["transposed"]:
        y = F.conv_transpose2d(x, w, b, output_padding=case["output_padding"], **settings)
    else:
        y = F.conv2d(x, w, b, **settings)
    y.backward(above)
    found = {"output": y.detach(), "grad_input": x.grad, "grad_weight": w.grad}
    if b is not None:
        found["grad_bias"] = b.grad
    return {key: tensor.double().numpy() for key, tensor in found.items()}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cases, tensors = [], {}
    for i, row in enumerate(PLAIN + TRANSPOSED):
        transposed = i >= len(PLAIN)
        kernel, stride, padding, dilation, groups, inner, outer, batch, height, width, *rest = row
        kind = "transposed" if transposed else "conv"
        name = f"{kind}_k{kernel}_s{stride}_p{padding}_d{dilation}_g{groups}_{inner}to{outer}"
        weight = [inner, outer // groups] if transposed else [outer, inner // groups]
        case = {
            "name": name,
            "transposed": transposed,
            "input": [batch, inner, height, width],
            "weight": [*weight, kernel, kernel],
            "stride": stride,
            "padding": padding,
            "output_padding": rest[0] if rest else 0,
            "dilation": dilation,
            "groups": groups,
            # Every third goes without.
            "bias": i % 3 != 2,
        }
        x = values(f"{name}.input", case["input"], -1.0, 1.0)
        w = values(f"{name}.weight", case["weight"], -0.5, 0.5)
        b = values(f"{name}.bias", [outer], -0.5, 0.5) if case["bias"] else None
        reach = dilation * (kernel - 1)
        if transposed:
            sides = [(n - 1) * stride - 2 * padding + reach + case["output_padding"] + 1 for n in (height, width)]
        else:
            sides = [(n + 2 * padding - reach - 1) // stride + 1 for n in (height, width)]
        case["grad"] = [batch, outer, *sides]
        above = values(f"{name}.grad", case["grad"], -1.0, 1.0)
        double = gradients(case, (x, w, b, above), torch.float64)
        single = gradients(case, (x, w, b, above), torch.float32)
        case["f32_error"] = {key: float(np.abs(single[key] - y).max()) for key, y in double.items()}
        tensors.update({f"{name}.{key}": y for key, y in double.items()})
        if any(case["name"] == other["name"] for other in cases):
            sys.exit(f"{name} is there twice")
        cases.append(case)
    path = Path(sys.argv[1], "conv_gradients.safetensors")
    metadata = {"cases": json.dumps(cases), "torch": torch.__version__.split("+")[0]}
    save_file(tensors, path, metadata)
    worst = max(max(case["f32_error"].values()) for case in cases)
    print(f"{len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB, largest error of f32 {worst:.2g}")


if __name__ == "__main__":
    main()
