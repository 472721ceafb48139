#!/usr/bin/env python3
"""Measures the peak memory of runs of fonds: one huge scan, and few pictures against many.

    tools/memory_test.py --fonds target/release/fonds --pipeline pipelines/restore-photographs.toml

A TIFF file of 100 megapixels (RGB, 8 bits) must stay under 1,500 MiB, and 1,000 pictures may take
at most 1.1 times what 50 take. The pictures are drawn by libvips (pyvips) from seeds. Needs Linux.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import cost, table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fonds", required=True)
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--only", choices=["huge", "many"], help="one of the two measurements")
    parser.add_argument("--few", type=int, default=50)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--work", help="where to write (default: a temporary folder)")
    parser.add_argument("extra", nargs="*", help="further arguments for `fonds run`, after --")
    return parser.parse_args()


def scene(pyvips, width, height, seed):
    """Something like a faded photograph: soft forms, grain, low contrast."""
    forms = pyvips.Image.perlin(width, height, cell_size=max(64, width // 12), seed=seed)
    fine = pyvips.Image.perlin(width, height, cell_size=24, seed=seed + 1)
    grain = pyvips.Image.gaussnoise(width, height, sigma=4, mean=0, seed=seed + 2)
    tone = 128 + 45 * forms + 18 * fine + grain
    return (tone * [1.0, 0.94, 0.80] + [12, 8, 0]).cast("uchar").copy(interpretation="srgb")


def measure(args, archive, out):
    shutil.rmtree(out, ignore_errors=True)
    run = cost([args.fonds, "run", args.pipeline, str(archive), "--out", str(out), *args.extra])
    if run.code != 0:
        raise SystemExit(f"exit code {run.code}\n{run.output[-2000:]}")
    shutil.rmtree(out)
    return run


def huge(args, pyvips, work):
    archive = work / "huge"
    archive.mkdir()
    scan = scene(pyvips, 10_000, 10_000, 1)
    scan.tiffsave(str(archive / "scan.tif"), compression="none", xres=23.6, yres=23.6)
    run = measure(args, archive, work / "out")
    return [["100 megapixels", f"{run.wall:.1f}", f"{run.peak:.0f}", "1500"]], run.peak < 1500


def many(args, pyvips, work):
    peaks, rows = [], []
    for count in (args.few, args.many):
        archive = work / str(count)
        archive.mkdir()
        for number in range(count):
            picture = scene(pyvips, 1200, 900, 10 * number)
            picture.jpegsave(str(archive / f"{number:04}.jpg"), Q=88)
        run = measure(args, archive, work / "out")
        shutil.rmtree(archive)
        peaks.append(run.peak)
        bound = f"{1.1 * peaks[0]:.0f}" if len(peaks) == 2 else ""
        rows.append([f"{count} pictures", f"{run.wall:.1f}", f"{run.peak:.0f}", bound])
    return rows, peaks[1] <= 1.1 * peaks[0]


def main():
    import pyvips

    args = arguments()
    pyvips.cache_set_max(0)
    folder = args.work or tempfile.mkdtemp(prefix="fonds-memory-")
    work = Path(folder)
    work.mkdir(parents=True, exist_ok=True)
    rows, good = [], True
    for name, part in [("huge", huge), ("many", many)]:
        if args.only in (None, name):
            more, kept = part(args, pyvips, work)
            rows += more
            good &= kept
    if not args.work:
        shutil.rmtree(work)
    print(table(["", "wall s", "peak MiB", "bound MiB"], rows))
    print("passed" if good else "failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
