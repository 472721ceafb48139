"""Runs a command and says what it cost: wall time, CPU time of all its processes, peak memory.

Imported by the other tools; needs Linux.
"""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cost:
    """Seconds and MiB. `peak` is the largest sum over the process and its descendants."""

    wall: float
    cpu: float
    peak: float
    code: int
    output: str


def cost(command, env=None, stdin=None, interval=0.02):
    """Runs `command` to its end."""
    environment = dict(os.environ, **(env or {}))
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=stdin, env=environment
    )
    watch = Watch(process.pid, interval)
    watch.start()
    output = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    watch.done.set()
    watch.join()
    peak = max(watch.peak, usage.ru_maxrss / 1024)
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall, cpu, peak, process.returncode, output)


class Watch(threading.Thread):
    """Looks at the memory of a process and its descendants again and again."""

    def __init__(self, pid, interval):
        super().__init__(daemon=True)
        self.pid = pid
        self.interval = interval
        self.peak = 0.0
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            self.peak = max(self.peak, sum(memory(pid) for pid in family(self.pid)))
            self.done.wait(self.interval)


def family(pid):
    """A process and all below it."""
    pids = [pid]
    for parent in pids:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids.extend(int(child) for child in task.read_text().split())
            except OSError:
                pass
    return pids


def memory(pid):
    """Resident memory in MiB; 0 when the process is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def table(headers, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    lines.extend("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    return "\n".join(lines)
