#!/usr/bin/env python3
"""Kills a training run at random moments and resumes it, and compares the end with an unbroken run.

    tools/train_kill_test.py FONDS TRAINING.toml [--kills 20] [--seed 1] [--data FOLDER] [--longest 3.0]

FONDS is the program. The training file should take some seconds more than `kills` times `longest`
seconds / 2, and save checkpoints often. Each run gets SIGKILL after a random time from its start; the
next one must resume by itself. At the end all files that are content (not the event files of
TensorBoard, not the lock) must have the bytes of a run that was never stopped. Ends with 0 when all of
this is so. Also splits a run in two at half of its steps and compares that.
"""

import argparse
import hashlib
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time


def content(folder):
    """Digest by name of every file that is content."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and "tfevents" not in name and not name.startswith(".fonds"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def compare(what, one, other):
    """The number of differences, each of them told."""
    names = sorted(set(one) | set(other))
    different = [name for name in names if one.get(name) != other.get(name)]
    for name in different:
        print(f"{what}: {name} differs")
    if not different:
        print(f"{what}: all {len(names)} files are equal")
    return len(different)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fonds")
    parser.add_argument("training")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data")
    parser.add_argument("--longest", type=float, default=3.0, help="seconds until a kill, at most")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    base = [options.fonds, "train", options.training, "--device", "cpu", "--quiet"]
    if options.data:
        base += ["--data", options.data]
    steps = int(re.search(r"^steps *= *(\d+)", open(options.training).read(), re.M)[1])

    with tempfile.TemporaryDirectory() as temporary:
        straight, halves, killed = (f"{temporary}/{name}" for name in ("straight", "halves", "killed"))
        started = time.monotonic()
        subprocess.run(base + ["--out", straight], check=True)
        print(f"unbroken: {time.monotonic() - started:.1f} s")
        half = ["--steps", str(steps // 2)]
        subprocess.run(base + ["--out", halves] + half, check=True)
        subprocess.run(base + ["--out", halves, "--resume"], check=True)
        wrong = compare(f"{steps // 2} and {steps - steps // 2} steps", content(straight), content(halves))

        kills = 0
        while kills < options.kills:
            command = base + ["--out", killed]
            if pathlib.Path(killed, "run.json").exists() or pathlib.Path(killed, "checkpoints").exists():
                command.append("--resume")
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                code = run.wait(chance.uniform(0.02, options.longest))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.wait()
                kills += 1
                newest = sorted(pathlib.Path(killed).glob("checkpoints/step-*"))[-1:]
                print(f"kill {kills}: newest checkpoint {newest[0].name if newest else 'none'}")
                continue
            if code != 0:
                print(f"resuming after kill {kills} ended with {code}")
                return 1
            print(f"the run ended after {kills} kills; take a longer training file")
            break
        subprocess.run(base + ["--out", killed, "--resume"], check=True)
        wrong += compare(f"{kills} kills", content(straight), content(killed))
        return 1 if wrong or kills < options.kills else 0


if __name__ == "__main__":
    sys.exit(main())
