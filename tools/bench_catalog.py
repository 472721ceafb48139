#!/usr/bin/env python3
"""Measures fonds beside libvips and coreutils, on the same files and the same cores.

    tools/bench_catalog.py catalog --fonds target/release/fonds --pipeline pipelines/catalog-only.toml \\
        --input FOLDER [--input FOLDER …]
    tools/bench_catalog.py copies --fonds … --pipeline pipelines/access-copies.toml --input FOLDER
    tools/bench_catalog.py tiny --fonds … [--files 100000]

`catalog`: digests, facts and thumbnails, against `sha256sum` over all files and a full decode with
thumbnails by libvips in one process (threads over files, as many as there are cores).
`copies`: pictures of 1600 pixels, against `vipsthumbnail`, which decodes JPEG files at reduced
size: in one process, and with one process a core.
`tiny`: many very small files, a first and a second run, against reading them; catalogued only, without
thumbnails.

Rounds alternate; every file was read once before. Prints Markdown. Needs Linux, libvips-tools,
coreutils and, for `catalog`, pyvips.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from statistics import median

from measure import cost, table

PICTURES = {".jpg", ".jpeg", ".tif", ".tiff", ".png", ".webp", ".gif", ".bmp", ".ppm", ".pgm"}

# What libvips has to do for a catalogue: decode every pixel, and write the same thumbnails.
VIPS = """
import os, sys
os.environ["VIPS_CONCURRENCY"] = "1"
import pyvips
from concurrent.futures import ThreadPoolExecutor
out, sizes, files = sys.argv[1], [int(s) for s in sys.argv[2].split(",")], sys.argv[3]
pyvips.cache_set_max(0)
def work(job):
    number, path = job
    try:
        image = pyvips.Image.new_from_file(path, access="sequential")
        image = image.thumbnail_image(sizes[0], size="down")
        image = image.copy_memory()
        image.jpegsave(f"{out}/{number}_0.jpg", Q=85)
        for i, size in enumerate(sizes[1:], 1):
            image.thumbnail_image(size, size="down").jpegsave(f"{out}/{number}_{i}.jpg", Q=85)
        return 0
    except pyvips.Error:
        return 1
paths = open(files, encoding="utf-8", errors="surrogateescape").read().split("\\0")
with ThreadPoolExecutor(os.cpu_count()) as pool:
    failed = sum(pool.map(work, enumerate(path for path in paths if path)))
print(failed, "failed")
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["catalog", "copies", "tiny"])
    parser.add_argument("--fonds", required=True)
    parser.add_argument("--pipeline", help="needed but for `tiny`, which uses an empty one")
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="800,450", help="sizes of the thumbnails in pixels")
    parser.add_argument("--files", type=int, default=100_000, help="how many tiny files")
    parser.add_argument("--work", help="where to write (default: a temporary folder)")
    return parser.parse_args()


def gather(inputs, work):
    """One folder with a link to every picture (a hard link; a copy across file systems)."""
    archive = work / "archive"
    files = []
    for number, folder in enumerate(inputs):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.suffix.lower() in PICTURES:
                target = archive / str(number) / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, target)
                except OSError:
                    shutil.copy2(path, target)
                files.append(target)
    if not files:
        raise SystemExit("no pictures found")
    for path in files:
        path.read_bytes()
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files, {size / 1e6:.0f} MB, {os.cpu_count()} cores\n")
    return archive, files


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def fonds(args, archive, out):
    return [args.fonds, "run", args.pipeline, str(archive), "--out", str(out)]


def rounds(args, contenders):
    """Runs all contenders in turn, `args.rounds` times, the other way round every second time."""
    costs = {name: [] for name in contenders}
    for number in range(args.rounds):
        names = list(contenders)
        if number % 2:
            names.reverse()
        for name in names:
            parts = [cost(*call) for call in contenders[name]()]
            bad = [part for part in parts if part.code not in (0, 3)]
            if bad:
                raise SystemExit(f"{name} ended with {bad[0].code}:\n{bad[0].output[-2000:]}")
            costs[name].append(parts)
            wall = sum(part.wall for part in parts)
            print(f"round {number + 1}: {name}: {wall:.2f} s", file=sys.stderr)
    return costs


def report(costs, ours):
    """Medians, and how often longer each takes than ours."""
    def total(parts, field):
        return sum(getattr(part, field) for part in parts)

    def middle(name, field):
        return median(total(parts, field) for parts in costs[name])

    rows = []
    for name, all_parts in costs.items():
        wall, cpu = middle(name, "wall"), middle(name, "cpu")
        walls = [total(parts, "wall") for parts in all_parts]
        peak = max(part.peak for parts in all_parts for part in parts)
        ratios = [wall / middle(ours, "wall"), cpu / middle(ours, "cpu")]
        rows.append([
            name, f"{wall:.2f}", f"{min(walls):.2f}–{max(walls):.2f}", f"{cpu:.2f}",
            f"{peak:.0f}", f"{ratios[0]:.2f}", f"{ratios[1]:.2f}",
        ])
    headers = ["", "wall s", "from–to", "CPU s", "peak MiB", "wall ×", "CPU ×"]
    print(table(headers, rows))


def catalog(args, work):
    archive, files = gather(args.input, work)
    names = work / "files"
    names.write_bytes(b"\0".join(os.fsencode(path) for path in files))
    sums = ["xargs", "-0", "-a", str(names), "sha256sum"]

    def others():
        out = fresh(work / "vips")
        yield (sums,)
        yield ([sys.executable, "-c", VIPS, str(out), args.sizes, str(names)],)

    def ours():
        yield (fonds(args, archive, fresh(work / "fonds")),)

    name = "sha256sum, then libvips"
    report(rounds(args, {"fonds": ours, name: others}), "fonds")


def copies(args, work):
    archive, files = gather(args.input, work)
    names = work / "files"
    names.write_bytes(b"\0".join(os.fsencode(path) for path in files))
    cores = os.cpu_count()

    def vips(processes, concurrency):
        def run():
            out = fresh(work / "vips")
            many = ["-P", str(processes), "-n", "16"] if processes > 1 else []
            call = ["vipsthumbnail", "--size", "1600x1600>", "-o", f"{out}/%s.jpg[Q=85]"]
            # A file that libvips cannot read ends with 123; the others are done all the same.
            script = 'xargs -0 -a "$0" "$@" || [ $? -eq 123 ]'
            command = ["bash", "-c", script, str(names), *many, *call]
            yield (command, {"VIPS_CONCURRENCY": str(concurrency)})
        return run

    def ours():
        yield (fonds(args, archive, fresh(work / "fonds")),)

    contenders = {
        "fonds": ours,
        "vipsthumbnail, one process": vips(1, cores),
        f"vipsthumbnail, {cores} processes": vips(cores, 1),
    }
    report(rounds(args, contenders), "fonds")


def tiny(args, work):
    archive = work / "tiny"
    for number in range(args.files):
        folder = archive / f"{number // 200:04}"
        if number % 200 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.png").write_bytes(tiny_png(number))
    print(f"{args.files} files of about {len(tiny_png(1))} bytes\n")
    reading = f'find "{archive}" -type f -print0 | xargs -0 cat > /dev/null'
    first_read = cost(["bash", "-c", reading])
    read = cost(["bash", "-c", reading])
    out = fresh(work / "out")
    if not args.pipeline:
        args.pipeline = str(work / "tiny.toml")
        Path(args.pipeline).write_text('name = "tiny"\n')
    first = cost(fonds(args, archive, out))
    second = cost(fonds(args, archive, out))
    for run in (first, second):
        if run.code != 0:
            raise SystemExit(f"exit code {run.code}\n{run.output[-2000:]}")
    rows = [
        [name, f"{part.wall:.2f}", f"{part.cpu:.2f}", f"{part.peak:.0f}"]
        for name, part in [
            ("reading all files, first time", first_read),
            ("reading all files", read),
            ("first run", first),
            ("second run", second),
        ]
    ]
    print(table(["", "wall s", "CPU s", "peak MiB"], rows))
    for run in (first, second):
        print(run.output.strip().splitlines()[-1])


def tiny_png(number):
    """A gray picture of 8 × 8 pixels, different for every number."""
    rows = b"".join(b"\0" + struct.pack(">Q", (number * 0x9E3779B97F4A7C15 + y) % 2**64)
                    for y in range(8))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        sum_ = zlib.crc32(name + body)
        parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", sum_))
    return b"".join(parts)


def main():
    args = arguments()
    if args.what != "tiny" and not (args.input and args.pipeline):
        raise SystemExit("say --input and --pipeline")
    if args.what != "tiny" and shutil.which("vipsthumbnail") is None:
        raise SystemExit("vipsthumbnail is missing (Debian: libvips-tools)")
    run = {"catalog": catalog, "copies": copies, "tiny": tiny}[args.what]
    if args.what == "catalog":
        subprocess.run([sys.executable, "-c", "import pyvips"], check=True)
    if args.work:
        run(args, Path(args.work))
        return
    with tempfile.TemporaryDirectory(prefix="fonds-bench-") as work:
        run(args, Path(work))


if __name__ == "__main__":
    main()
