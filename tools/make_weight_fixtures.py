"""Writes the small files of fixtures/weights with PyTorch, and what PyTorch makes of each.

    python tools/make_weight_fixtures.py fixtures/weights

For each file NAME there is a NAME.tsv: tensor, number type, shape, and the values as f32 in
hexadecimal, as `torch.load` gives them. Needs torch and safetensors.
"""

import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """Two convolutions with a norm between, a shared module and a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.body = nn.Sequential(nn.PReLU(2), nn.Conv2d(2, 1, 1, bias=False))
        self.register_buffer("scratch", torch.ones(3), persistent=False)

    def forward(self, x):
        return self.body(self.norm(self.first(x)))


# As if it had been defined in a script of somebody's own.
module = types.ModuleType("somebodys_model")
Net.__module__ = "somebodys_model"
module.Net = Net
sys.modules["somebodys_model"] = module


class Opts:
    """Settings kept beside the weights."""

    def __init__(self):
        self.scale = 4
        self.name = "x4"


Opts.__module__ = "somebodys_model"
module.Opts = Opts


def short_source(obj):
    """Legacy files hold the source text of every module; PyTorch's own is not ours to copy."""
    return [f"class {obj.__name__}: ...\n"], 1, "somebodys_model.py"


torch.serialization.get_source_lines_and_file = short_source


def facts(tensors):
    lines = []
    for name, tensor in tensors.items():
        values = tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes().hex()
        shape = ",".join(map(str, tensor.shape))
        dtype = str(tensor.dtype).removeprefix("torch.")
        lines.append(f"{name}\t{dtype}\t{shape}\t{values}\n")
    return "".join(lines)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(20)
    net = Net()
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    plain = net.state_dict()
    small = OrderedDict(
        (f"body.{i}.weight", torch.randn(2, 3, generator=generator)) for i in range(2)
    )
    old = {"_use_new_zipfile_serialization": False}

    def write(name, value, expected, **how):
        torch.save(value, folder / name, **how)
        (folder / f"{name}.tsv").write_text(facts(expected))

    write("zip.pth", plain, plain)
    write("legacy.pth", plain, plain, **old)
    write("module_zip.pth", {"epoch": 3, "model": net}, plain)
    write("module_legacy.pth", net, plain, **old)
    write("params_ema.pth", {"params": {k: v + 1 for k, v in small.items()}, "params_ema": small}, small)
    write(
        "training.pth",
        {
            "epoch": 7,
            "loss": np.float64(0.25),
            "args": Opts(),
            "hyper_parameters": {"scale": 2, "arch": "small"},
            "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]},
            "state_dict": OrderedDict((f"module.{k}", v) for k, v in small.items()),
        },
        small,
    )
    half = OrderedDict((k, v.half()) for k, v in small.items())
    write("f16.pth", half, half)
    brain = OrderedDict((k, v.bfloat16()) for k, v in small.items())
    write("bf16_legacy.pth", brain, brain, **old)
    base = torch.randn(4, 6, generator=generator)
    views = OrderedDict(
        whole=base,
        transposed=base.t(),
        every_second=base[:, ::2],
        corner=base[1:3, 2:5],
        expanded=base[0, :1].expand(3, 2),
        scalar=base[2, 3],
        channels_last=torch.randn(1, 2, 2, 3, generator=generator).contiguous(memory_format=torch.channels_last),
    )
    write("views.pth", views, views)
    write("views_legacy.pth", views, views, **old)
    kinds = OrderedDict(
        f64=torch.tensor([1 / 3, -2.5], dtype=torch.float64),
        i64=torch.tensor(7),
        i32=torch.tensor([70000, -1], dtype=torch.int32),
        i16=torch.tensor([-300], dtype=torch.int16),
        i8=torch.tensor([-1, 5], dtype=torch.int8),
        u8=torch.tensor([255], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        parameter=nn.Parameter(torch.randn(2, generator=generator)),
        empty=torch.zeros(0, 3),
    )
    write("kinds.pth", kinds, kinds)
    write("kinds_protocol4.pth", kinds, kinds, pickle_protocol=4)
    write("kinds_protocol5.pth", kinds, kinds, pickle_protocol=5)
    torch.jit.save(torch.jit.trace(net.eval(), torch.zeros(1, 1, 5, 5)), folder / "script.pt")
    script = torch.jit.load(folder / "script.pt").state_dict()
    (folder / "script.pt.tsv").write_text(facts(script))
    from safetensors.torch import save_file

    save_file(dict(small), folder / "plain.safetensors", metadata={"modelspec.author": "nobody", "licence": "CC0"})
    (folder / "plain.safetensors.tsv").write_text(facts(small))
    # What must not be read.
    with open(folder / "no_torch.pkl", "wb") as file:
        pickle.dump({"weight": np.zeros(3)}, file)
    torch.save({"q": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8)}, folder / "quantised.pth")
    torch.save({"c": torch.zeros(2, dtype=torch.complex64)}, folder / "complex.pth")
    torch.save({"s": torch.eye(3).to_sparse()}, folder / "sparse.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
