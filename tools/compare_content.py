#!/usr/bin/env python3
"""Compares the content of two output folders of fonds.

    tools/compare_content.py OUT_A OUT_B

Content is what equal plans and inputs must give byte for byte, whatever the threads, the order of
the walk, kills, resumes and shards: derivatives, thumbnails, the tables without what a run writes
about itself, and sidecars without event ids, times, run and environment. `run.json`, the journal
and hidden files are not content. Exit code 0: the same; 1: different, each difference on a line.
"""

import csv
import hashlib
import io
import json
import sys
from pathlib import Path

NOT_CONTENT = {"run.json", "events.jsonl"}
VOLATILE_COLUMNS = {"run_id", "processed_at", "last_attempt", "attempts"}
VOLATILE_KEYS = {"id", "dateTime", "run", "environment"}


def content(root):
    """Every content file below a folder: its path, and what of it has to be equal."""
    root = Path(root)
    if not root.is_dir():
        raise SystemExit(f"{root} is not a folder")
    found = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_dir() or hidden or str(relative) in NOT_CONTENT:
            continue
        found[str(relative)] = reduced(path)
    return found


def reduced(path):
    """A text or a digest that is equal when the content is."""
    data = path.read_bytes()
    if path.suffix == ".csv":
        return table(data)
    if path.name.endswith(".prov.json"):
        return json.dumps(without_volatile(json.loads(data)), indent=1, ensure_ascii=False)
    return hashlib.sha256(data).hexdigest()


def table(data):
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    if not rows:
        return ""
    kept = [i for i, name in enumerate(rows[0]) if name not in VOLATILE_COLUMNS]
    lines = [[row[i] if i < len(row) else "(missing)" for i in kept] for row in rows]
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def without_volatile(value):
    if isinstance(value, dict):
        items = value.items()
        return {key: without_volatile(inner) for key, inner in items if key not in VOLATILE_KEYS}
    if isinstance(value, list):
        return [without_volatile(inner) for inner in value]
    return value


def differences(a, b):
    """What is not equal between two results of `content`, one line each."""
    lines = []
    for path in sorted(a.keys() | b.keys()):
        if path not in b:
            lines.append(f"only in the first: {path}")
        elif path not in a:
            lines.append(f"only in the second: {path}")
        elif a[path] != b[path]:
            lines.append(f"different: {path}{first_difference(a[path], b[path])}")
    return lines


def first_difference(a, b):
    if "\n" not in a and "\n" not in b:
        return ""
    for number, (left, right) in enumerate(zip(a.split("\n"), b.split("\n")), 1):
        if left != right:
            return f"\n  line {number}: {left[:300]}\n  line {number}: {right[:300]}"
    return "\n  one has more lines than the other"


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    a, b = content(sys.argv[1]), content(sys.argv[2])
    lines = differences(a, b)
    for line in lines:
        print(line)
    print(f"{len(a)} and {len(b)} files of content, {len(lines)} differences")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
