#!/usr/bin/env python3
"""Times steps of training in PyTorch on the CPU, and beside them in fonds, in alternating rounds.

    tools/bench_training.py [--ours "target/release/fonds bench --json"] [--case dcgan_step …]
        [--threads 2 --threads 1] [--rounds 5] [--rival torch …] [--json FILE]

| case | what one iteration is |
|---|---|
| `dcgan_step` | DCGAN for 64 × 64, 64 features, noise of 100 values, 16 pictures: made = G(noise); the discriminator on real and on made pictures, backward, Adam; the generator through the discriminator on the same made pictures, backward, Adam |
| `srvgg_step` | SRVGGNetCompact, 32 features, 16 convolutions, ×4, 16 pictures of 32 × 32: forward, L1, backward; with `--optimize` Adam as well, when what `--ours` calls has it too |

Binary cross entropy with logits, batch normalisation in training, f32, random weights and batches.

Rivals: `torch` (eager, contiguous) and `torch-last` (channels last), both with the fused Adam of PyTorch's CPU
kernels, and with the discriminator's weights frozen in the generator's step, so that PyTorch does no work
that fonds does not; `torch-example` (only `dcgan_step`) as pytorch/examples writes it: contiguous, Adam with
its defaults, nothing frozen. Each runs in a process of its own that has warmed up and waits for its turn; in
a round every one runs as many iterations as fill half a second. `--ours CMD` is called in the same rounds
with the case's name and the number of threads as last arguments, and prints one line of JSON with
"wall" and "cpu", seconds of an iteration.

`×` says how many times the time of fonds that is, best by best; `×, median` is the median over rounds of the
quotients within a round, which other work on the machine disturbs less. The last lines compare fonds with
the better of PyTorch's layouts. GFLOP/s are effective: convolutions alone, a forward once, a backward twice
(once where no weight learns), over the best wall time.

Prints Markdown. Needs torch.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from bench_networks import Ours, Rival, alternate, answer, flop
from measure import table

CASES = ("dcgan_step", "srvgg_step")
RIVALS = ("torch", "torch-last", "torch-example")
PICTURES = 16


def parts(case):
    """The networks of a case, and what goes into each."""
    import torch

    import reference_networks as networks

    if case == "srvgg_step":
        return [(networks.Srvgg(32, 16, 4), torch.rand(PICTURES, 3, 32, 32))]
    generator, discriminator = networks.DcganGenerator(), networks.DcganDiscriminator()
    for module in (*generator.modules(), *discriminator.modules()):
        # As the paper begins.
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            torch.nn.init.normal_(module.weight, 0, 0.02)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.02)
    real = 2 * torch.rand(PICTURES, 3, 64, 64) - 1
    return [(generator, torch.randn(PICTURES, 100, 1, 1)), (discriminator, real)]


def work(case):
    """The floating point operations of one iteration."""
    forwards = [flop(network, x) for network, x in parts(case)]
    # The discriminator: forward and back over real and made pictures, forward and back to the picture.
    return sum(times * each for times, each in zip((3, 8), forwards))


def step(case, rival, threads, optimize):
    """One iteration of a rival."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if rival == "torch-last" else torch.contiguous_format
    example = rival == "torch-example"
    made = [(n.to(memory_format=layout), x.contiguous(memory_format=layout)) for n, x in parts(case)]

    def adam(network, rate, betas):
        return torch.optim.Adam(network.parameters(), rate, betas, fused=None if example else True)

    if case == "srvgg_step":
        ((network, low),) = made
        high = torch.rand(PICTURES, 3, 128, 128).contiguous(memory_format=layout)
        optimizer = adam(network, 1e-4, (0.9, 0.99))

        def once():
            optimizer.zero_grad()
            F.l1_loss(network(low), high).backward()
            if optimize:
                optimizer.step()

        return once

    (generator, _), (discriminator, real) = made
    teach_g, teach_d = (adam(network, 2e-4, (0.5, 0.999)) for network in (generator, discriminator))
    ones, zeros = (fill(PICTURES, 1, 1, 1) for fill in (torch.ones, torch.zeros))
    loss_of = F.binary_cross_entropy_with_logits

    def once():
        # fonds draws its noise in the step as well.
        fake = generator(torch.randn(PICTURES, 100, 1, 1))
        teach_d.zero_grad()
        loss = loss_of(discriminator(real), ones) + loss_of(discriminator(fake.detach()), zeros)
        loss.backward()
        teach_d.step()
        teach_g.zero_grad()
        discriminator.requires_grad_(example)
        loss_of(discriminator(fake), ones).backward()
        discriminator.requires_grad_(True)
        teach_g.step()

    return once


def measured(case, threads, arguments):
    """The turns of everybody, by name."""
    made = {}
    for name in arguments.rival or RIVALS:
        if name == "torch-example" and case != "dcgan_step":
            continue
        # The case's name carries the choice to the rival's process.
        made[name] = Rival(f"{case}+adam" if arguments.optimize else case, name, threads, script=__file__)
    if arguments.ours:
        try:
            made["fonds"] = Ours(case, arguments.ours, threads)
        except (RuntimeError, OSError, ValueError, IndexError) as error:
            print(f"{case}: fonds: {error}", file=sys.stderr)
    return alternate(made, arguments.rounds)


def quotients(turns, key, name):
    """How many times as long as fonds: of the bests, and the median within rounds."""
    ours, theirs = ([turn[key] for turn in turns[who]] for who in ("fonds", name))
    return min(theirs) / min(ours), median(a / b for a, b in zip(theirs, ours))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rival", action="append", choices=RIVALS)
    parser.add_argument("--threads", action="append", type=int, help="default: 2, then 1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--optimize", action="store_true", help="Adam in srvgg_step")
    parser.add_argument("--ours", metavar="CMD")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        case, rival, threads = arguments.serve
        case, _, adam = case.partition("+")
        answer(step(case, rival, int(threads), bool(adam)))
        return
    results, verdicts = [], []
    for case in arguments.case or CASES:
        operations, rows = work(case), []
        for threads in arguments.threads or [2, 1]:
            turns = measured(case, threads, arguments)
            best = {name: {key: min(t[key] for t in own) for key in ("wall", "cpu")} for name, own in turns.items()}
            for name, own in turns.items():
                middle = {key: median(t[key] for t in own) for key in ("wall", "cpu")}
                row = {"case": case, "by": name, "threads": threads, "gflop": operations / 1e9, "turns": own}
                row |= {"best": best[name], "median": middle}
                cells = [name, threads, *(f"{t[key] * 1e3:.1f}" for key in ("wall", "cpu") for t in (best[name], middle))]
                cells.append(f"{operations / 1e9 / best[name]['wall']:.0f}")
                if "fonds" in turns:
                    row |= {f"times_{key}": quotients(turns, key, name) for key in ("wall", "cpu")}
                    cells += [f"{q:.2f}" for key in ("wall", "cpu") for q in row[f"times_{key}"]]
                results.append(row)
                rows.append(cells)
            rivals = [name for name in ("torch", "torch-last") if name in turns]
            if "fonds" in turns and rivals:
                words = []
                for key in ("wall", "cpu"):
                    name = min(rivals, key=lambda rival: best[rival][key])
                    first, middle = quotients(turns, key, name)
                    words.append(f"{key} {first:.2f} (median {middle:.2f}) of {name}")
                verdicts.append(f"{case}, {threads} threads: " + ", ".join(words))
        print(f"\n{case}: {operations / 1e9:.1f} GFLOP, {arguments.rounds} rounds\n")
        head = ["", "threads", "wall best, ms", "wall median", "CPU best, ms", "CPU median", "GFLOP/s"]
        if arguments.ours:
            head += ["wall ×", "×, median", "CPU ×", "×, median"]
        print(table(head, rows), flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print("\n" + "\n".join(verdicts) if verdicts else "")


if __name__ == "__main__":
    main()
