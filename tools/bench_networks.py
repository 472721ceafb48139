#!/usr/bin/env python3
"""Times networks in ncnn, ONNX Runtime and PyTorch, and beside them in fonds, in alternating rounds.

    tools/bench_networks.py [--ours "target/release/fonds bench"] [--case srvgg …] [--threads 2 --threads 1]
        [--candle target/release/examples/bench_candle] [--rounds 5] [--rival ncnn …] [--avx2] [--json FILE]

| case | what one iteration is |
|---|---|
| `srvgg` | SRVGGNetCompact, 64 features, 32 convolutions, ×4, on 256 × 256 |
| `rrdb` | RRDBNet, 23 blocks, ×4, on 64 × 64 |
| `cyclegan` | the CycleGAN generator with nine blocks on 256 × 256 |
| `unet` | U-Net, 64 features at the top, transposed convolutions, on 256 × 256 |

All have one picture, f32 and random weights. bench_training.py times steps of training.

Rivals: `ncnn` (Winograd, f32 throughout, converted by pnnx, RRDBNet by hand), `onnxruntime`, `torch` (eager, channels last,
inference mode), `torch-bf16` (the same in bfloat16). Each runs in a process of its
own that has warmed up and waits for its turn; a round asks every one of them once, and each then runs as
many iterations as fill half a second. `--ours CMD` is called in the same rounds with the case's name and
the number of threads as last arguments, and prints one line of JSON, {"wall": seconds, "cpu": seconds} for
an iteration; what it prints before that line is not read. A case it does not know is left out when it ends
with another status than 0. `--candle CMD` is the same for candle without fonds (the example bench_candle of fonds-nn).

GFLOP/s are effective: 2 · kernel · inner · outer · pixels summed over convolutions, whatever the algorithm,
over the best wall time; and over the best CPU time, which other work on the machine disturbs less. `--avx2` masks AVX-512 for PyTorch (oneDNN and ATen);
ncnn and ONNX Runtime have no such switch and are left out.

Prints Markdown. Needs torch, numpy; ncnn and pnnx, onnx and onnxruntime for those rivals.
"""

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measure import table

RIVALS = ("ncnn", "onnxruntime", "torch", "torch-bf16")
CASES = ("srvgg", "rrdb", "cyclegan", "unet")
FILL = 0.5


def network(case):
    """The network of an inference case and the shape of its input."""
    import reference_networks as networks

    make, shape = {
        "srvgg": (networks.Srvgg, (1, 3, 256, 256)),
        "rrdb": (networks.RrdbNet, (1, 3, 64, 64)),
        "cyclegan": (networks.CycleGenerator, (1, 3, 256, 256)),
        "unet": (networks.Unet, (1, 3, 256, 256)),
    }[case]
    return make().eval(), shape


def flop(model, x):
    """Twice the products of all convolutions of one forward."""
    import torch
    from torch import nn

    total = 0

    def count(module, inputs, output):
        nonlocal total
        pixels = output if isinstance(module, nn.Conv2d) else inputs[0]
        each = module.weight[0].numel()
        total += 2 * each * pixels.numel()

    handles = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return total


def work(case):
    """The floating point operations of one iteration."""
    import torch

    model, shape = network(case)
    return flop(model, torch.zeros(shape))


# ---- What runs in a rival's process ----------------------------------------------------------------


def by_torch(case, threads, half):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    last = {"memory_format": torch.channels_last}
    dtype = torch.bfloat16 if half else torch.float32
    model, shape = network(case)
    model = model.to(dtype).to(**last)
    x = torch.rand(shape).to(dtype).contiguous(**last)

    def once():
        with torch.inference_mode():
            model(x)

    return once


@contextlib.contextmanager
def quiet():
    """Sends what converters print to nowhere: standard output carries the answers."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


class NcnnGraph:
    """Writes the two files of an ncnn network, for layers that RRDBNet has.

    pnnx took more than 20 GB of memory for its 23 blocks.
    """

    def __init__(self):
        self.layers, self.blobs, self.weights = ["Input in0 0 1 in0"], 1, bytearray()

    def add(self, kind, inputs, outputs=1, settings=""):
        made = [f"b{self.blobs + i}" for i in range(outputs)]
        self.blobs += outputs
        name = f"{kind.lower()}_{len(self.layers)}"
        words = [kind, name, str(len(inputs)), str(outputs), *inputs, *made, settings]
        self.layers.append(" ".join(words))
        return made if outputs > 1 else made[0]

    def split(self, blob, count):
        return self.add("Split", [blob], count)

    def conv(self, blob, module, leaky=False):
        weight, bias = (tensor.detach().numpy() for tensor in (module.weight, module.bias))
        # The four zero bytes say that the weights are f32.
        self.weights += bytes(4) + weight.tobytes() + bias.tobytes()
        settings = f"0={weight.shape[0]} 1={weight.shape[2]} 4={weight.shape[2] // 2} 5=1 6={weight.size}"
        return self.add("Convolution", [blob], 1, settings + (" 9=2 -23310=1,0.2" if leaky else ""))

    def scaled_sum(self, blob, other):
        return self.add("BinaryOp", [self.add("BinaryOp", [blob], 1, "0=2 1=1 2=0.2"), other], 1, "0=0")

    def doubled(self, blob):
        return self.add("Interp", [blob], 1, "0=1 1=2.0 2=2.0")

    def write(self, stem, last):
        self.layers[-1] = self.layers[-1].replace(f" {last} ", " out0 ")
        text = "\n".join(["7767517", f"{len(self.layers)} {self.blobs}", *self.layers])
        Path(f"{stem}.ncnn.param").write_text(text + "\n")
        Path(f"{stem}.ncnn.bin").write_bytes(self.weights)


def write_rrdb(model, stem):
    graph = NcnnGraph()
    y, first = graph.split(graph.conv("in0", model.conv_first), 2)
    for block in model.body:
        y, whole = graph.split(y, 2)
        for dense in (block.rdb1, block.rdb2, block.rdb3):
            # Each is needed by every convolution after it; the input by the sum as well.
            *copies, kept = graph.split(y, 6)
            uses = [copies]
            for i in range(1, 5):
                inputs = [left.pop() for left in uses]
                joined = inputs[0] if i == 1 else graph.add("Concat", inputs, 1, "0=0")
                made = graph.conv(joined, getattr(dense, f"conv{i}"), leaky=True)
                uses.append([made] if i == 4 else graph.split(made, 5 - i))
            joined = graph.add("Concat", [left.pop() for left in uses], 1, "0=0")
            y = graph.scaled_sum(graph.conv(joined, dense.conv5), kept)
        y = graph.scaled_sum(y, whole)
    y = graph.add("BinaryOp", [graph.conv(y, model.conv_body), first], 1, "0=0")
    for up in (model.conv_up1, model.conv_up2):
        y = graph.conv(graph.doubled(y), up, leaky=True)
    last = graph.conv(graph.conv(y, model.conv_hr, leaky=True), model.conv_last)
    graph.write(stem, last)


def by_ncnn(case, threads, folder):
    import ncnn
    import numpy as np
    import torch

    torch.manual_seed(0)
    model, shape = network(case)
    stem = str(Path(folder, case))
    if case == "rrdb":
        write_rrdb(model, stem)
    else:
        import pnnx

        os.chdir(folder)
        with quiet():
            pnnx.export(model, f"{stem}.pt", (torch.rand(shape),), fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = True
    net.opt.use_sgemm_convolution = True
    net.opt.use_packing_layout = True
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    if net.load_param(f"{stem}.ncnn.param") != 0 or net.load_model(f"{stem}.ncnn.bin") != 0:
        sys.exit("ncnn does not load what was converted")
    x = torch.rand(shape)

    def forward(value):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(value[0].numpy()))
        status, y = extractor.extract("out0")
        if status != 0:
            sys.exit(f"ncnn ends with {status}")
        return np.array(y)

    check(model, x, forward(x))
    return lambda: forward(x)


def by_onnxruntime(case, threads, folder):
    import onnxruntime
    import torch

    torch.manual_seed(0)
    model, shape = network(case)
    path = str(Path(folder, f"{case}.onnx"))
    with quiet():
        torch.onnx.export(model, (torch.rand(shape),), path, dynamo=False, input_names=["x"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = torch.rand(shape)
    check(model, x, session.run(None, {"x": x.numpy()})[0][0])
    return lambda: session.run(None, {"x": x.numpy()})


def check(model, x, found):
    """A rival that computes something else is no rival."""
    import torch

    with torch.no_grad():
        wanted = model(x)[0]
    error = (torch.from_numpy(found) - wanted).abs().max() / (wanted.max() - wanted.min())
    if not error < 1e-3:
        sys.exit(f"differs from PyTorch by {float(error):g} of the range")


def serve(case, rival, threads):
    """Warms up, then answers every line on standard input with the cost of an iteration."""
    with tempfile.TemporaryDirectory() as folder:
        if rival == "ncnn":
            once = by_ncnn(case, threads, folder)
        elif rival == "onnxruntime":
            once = by_onnxruntime(case, threads, folder)
        else:
            once = by_torch(case, threads, rival == "torch-bf16")
        answer(once)


def answer(once):
    """Says when it is warm, then, for each line that comes in, what an iteration costs."""
    once()
    begun = time.perf_counter()
    once()
    iterations = max(1, round(FILL / (time.perf_counter() - begun)))
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(iterations):
            once()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall / iterations, "cpu": cpu / iterations}), flush=True)


# ---- The rounds ------------------------------------------------------------------------------------


class Rival:
    """A process of a script that takes `--serve`, which waits for its turn."""

    def __init__(self, case, name, threads, avx2=False, script=__file__):
        # Threads that spin after their work would slow whoever's turn is next.
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE", KMP_BLOCKTIME="1")
        if avx2:
            environment |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
        command = [sys.executable, script, "--serve", case, name, str(threads)]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else "ended")

    def turn(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """The command, called anew each turn."""

    def __init__(self, case, command, threads):
        self.command = [*shlex.split(command), case, str(threads)]
        self.turn()

    def turn(self):
        result = subprocess.run(self.command, stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"ended with status {result.returncode}")
        return json.loads(result.stdout.strip().splitlines()[-1])

    def end(self):
        pass


def measured(case, threads, arguments):
    """The turns of everybody, by name."""
    made = {}
    names = [name for name in RIVALS if name in arguments.rival]
    if arguments.avx2:
        names = [name for name in names if name.startswith("torch")]
    for name in names:
        try:
            made[name] = Rival(case, name, threads, arguments.avx2)
        except RuntimeError as error:
            print(f"{case}: {name}: {error}", file=sys.stderr)
    for name, command in (("candle", arguments.candle), ("fonds", arguments.ours)):
        try:
            if command:
                made[name] = Ours(case, command, threads)
        except (RuntimeError, OSError, ValueError, IndexError) as error:
            print(f"{case}: {name}: {error}", file=sys.stderr)
    return alternate(made, arguments.rounds)


def alternate(made, rounds):
    """The turns of everybody in `made`, by name."""
    turns = {name: [] for name in made}
    for number in range(rounds):
        # Everybody goes first once.
        order = list(made)
        shift = number % len(order) if order else 0
        for name in order[shift:] + order[:shift]:
            turns[name].append(made[name].turn())
    for each in made.values():
        each.end()
    return turns


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rival", action="append", choices=RIVALS)
    parser.add_argument("--no-rivals", action="store_true", help="time only --ours")
    parser.add_argument("--threads", action="append", type=int, help="default: 2, then 1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", metavar="CMD")
    parser.add_argument("--candle", metavar="CMD", help="what times candle without fonds")
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        case, rival, threads = arguments.serve
        serve(case, rival, int(threads))
        return
    arguments.rival = [] if arguments.no_rivals else arguments.rival or list(RIVALS)
    results = []
    for case in arguments.case or CASES:
        operations = work(case)
        rows = []
        for threads in arguments.threads or [2, 1]:
            for name, turns in measured(case, threads, arguments).items():
                walls, cpus = ([turn[key] for turn in turns] for key in ("wall", "cpu"))
                row = {
                    "case": case,
                    "by": name,
                    "threads": threads,
                    "avx2": arguments.avx2,
                    "wall_best": min(walls),
                    "wall_median": median(walls),
                    "cpu_best": min(cpus),
                    "cpu_median": median(cpus),
                    "gflop": operations / 1e9,
                    "gflop_per_s": operations / 1e9 / min(walls),
                    "gflop_per_cpu_s": operations / 1e9 / min(cpus),
                    "turns": turns,
                }
                results.append(row)
                rows.append(
                    [
                        name,
                        str(threads),
                        *(f"{row[key] * 1e3:.1f}" for key in ("wall_best", "wall_median", "cpu_best", "cpu_median")),
                        f"{row['gflop_per_s']:.0f}",
                        f"{row['gflop_per_cpu_s']:.0f}",
                    ]
                )
        print(f"\n{case}: {operations / 1e9:.1f} GFLOP, {arguments.rounds} rounds\n")
        head = ["", "threads", "wall best, ms", "wall median", "CPU best, ms", "CPU median", "GFLOP/s", "GFLOP per CPU s"]
        print(table(head, rows), flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
