#!/usr/bin/env python3
"""Kills runs of fonds at random moments and proves that nothing is lost, left over or done twice.

    tools/kill_test.py --fonds target/release/fonds --pipeline pipelines/access-copies.toml \\
        --input fixtures/archive --kills 20

A first run is left alone. Then runs on the same input are killed with SIGKILL, at moments drawn
from a seed, and resumed, until there were enough kills; every third kill hits the parent process
alone, so that a child that goes on working would be found out. Afterwards the content must be that
of the first run (tools/compare_content.py says what content is), no temporary file may be left, no
row may be there twice, and another run must leave every file as it is. The originals must be what
they were. Needs Linux and Python's standard library.
"""

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare_content import content, differences

# 0: all well; 3: some files failed, which bad input may. Everything else ends the test.
FINISHED = {0, 3}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fonds", required=True, help="the binary")
    parser.add_argument("--pipeline", required=True, help="a pipeline file, or a shipped one's name")
    parser.add_argument("--input", required=True, help="the folder with the originals")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", help="where to write (default: a temporary folder)")
    parser.add_argument("extra", nargs="*", help="further arguments for `fonds run`, after --")
    return parser.parse_args()


class Test:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.chance = random.Random(args.seed)
        self.problems = []

    def command(self, out):
        args = self.args
        base = [args.fonds, "run", args.pipeline, args.input, "--out", str(out)]
        return base + args.extra

    def start(self, out):
        log = open(self.work / "log.txt", "ab")
        return subprocess.Popen(
            self.command(out), stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )

    def finish(self, out):
        """A run that nobody disturbs: its exit code and its last line."""
        process = self.start(out)
        stdout, _ = process.communicate()
        lines = stdout.decode("utf-8", "replace").strip().splitlines()
        if process.returncode not in FINISHED:
            log = (self.work / "log.txt").read_text(errors="replace")[-2000:]
            raise SystemExit(f"a run ended with exit code {process.returncode}\n{log}")
        return process.returncode, lines[-1] if lines else ""

    def kill_after(self, out, seconds, alone):
        """Whether the run was still going, and so was killed."""
        process = self.start(out)
        try:
            process.wait(seconds)
            process.stdout.close()
            return False
        except subprocess.TimeoutExpired:
            pass
        group = process.pid
        if alone:
            os.kill(group, signal.SIGKILL)
            process.wait()
            if not gone(group, 10.0):
                self.problems.append("a child went on for 10 s after its parent was killed")
        end(group)
        process.wait()
        process.stdout.close()
        gone(group, 10.0)
        return True

    def run(self):
        before = digests(self.args.input)
        whole = self.work / "whole"
        started = time.monotonic()
        code, summary = self.finish(whole)
        took = time.monotonic() - started
        print(f"undisturbed: {took:.2f} s, exit code {code}: {summary}")
        expected = content(whole)
        self.examine(whole, "the undisturbed run")
        kills, rounds = 0, 0
        while kills < self.args.kills:
            rounds += 1
            kills += self.round(rounds, self.args.kills - kills, took, code, expected)
        print(f"{kills} kills in {rounds} rounds")
        if digests(self.args.input) != before:
            self.problems.append("the originals were changed")
        for problem in self.problems:
            print(f"PROBLEM: {problem}")
        print("failed" if self.problems else "passed")
        return 1 if self.problems else 0

    def round(self, number, wanted, took, code, expected):
        """Kills and resumes until the run gets through, then looks at what it left."""
        out = self.work / f"killed-{number}"
        kills = 0
        while kills < wanted:
            # Moments spread over the whole run, however many kills it takes.
            longest = took * self.chance.choice([0.1, 0.3, 1.0])
            seconds = self.chance.uniform(0.0, longest)
            if not self.kill_after(out, seconds, alone=kills % 3 == 2):
                break
            kills += 1
            print(f"  round {number}: killed after {seconds:.3f} s, {progress(out)}")
            self.unfinished(out, expected)
        again, summary = self.finish(out)
        print(f"  round {number}: resumed to the end: {summary}")
        name = f"round {number}"
        if again != code:
            self.problems.append(f"{name}: exit code {again}, {code} expected")
        for line in differences(expected, content(out)):
            self.problems.append(f"{name}: {line}")
        self.examine(out, name)
        self.idle(out, name)
        shutil.rmtree(out)
        return kills

    def unfinished(self, out, expected):
        """Under a final name there is never a part of a picture."""
        folders = [out / "derivatives", out / "objects"]
        for path in (path for folder in folders for path in folder.rglob("*")):
            name = str(path.relative_to(out))
            if path.is_dir() or path.name.startswith(".") or name.endswith(".prov.json"):
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected.get(name):
                self.problems.append(f"after a kill, {name} is not what it will be")

    def examine(self, out, name):
        for path in out.rglob("*.part-*"):
            self.problems.append(f"{name}: left over: {path.relative_to(out)}")
        keys = {"catalog.csv": "objectid", "derivatives.csv": "path"}
        for table, key in keys.items():
            for value in twice(out / table, key):
                self.problems.append(f"{name}: {table} has {key} {value} twice")

    def idle(self, out, name):
        """A run that finds everything done leaves every file of content as it is."""
        before = stamps(out)
        started = time.monotonic()
        _, summary = self.finish(out)
        print(f"  and again: {time.monotonic() - started:.2f} s: {summary}")
        after = stamps(out)
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) != after.get(path):
                self.problems.append(f"{name}: a second run touched {path}")


def digests(folder):
    files = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamps(out):
    folders = [out / "derivatives", out / "objects"]
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def twice(path, key):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if key not in (reader.fieldnames or []):
            return [f"(no such column in {reader.fieldnames})"]
        values = [row[key] for row in reader]
    return sorted({value for value in values if values.count(value) > 1})


def progress(out):
    count = sum(1 for path in (out / "derivatives").rglob("*") if path.is_file())
    return f"{count} files under derivatives/"


def end(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def gone(group, patience):
    """Waits until no process of the group is left."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not alive(group):
            return True
        time.sleep(0.02)
    return False


def alive(group):
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def main():
    args = arguments()
    if args.work:
        work = Path(args.work)
        work.mkdir(parents=True, exist_ok=False)
        return Test(args, work).run()
    with tempfile.TemporaryDirectory(prefix="fonds-kill-") as work:
        return Test(args, Path(work)).run()


if __name__ == "__main__":
    sys.exit(main())
