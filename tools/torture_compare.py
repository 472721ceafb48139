#!/usr/bin/env python3
"""Compares what fonds decodes with what Pillow decodes, file by file.

usage: torture_compare.py FOLDER [--decoder PATH] [--all]

FOLDER holds pictures. Each file is decoded by the `decode_report` example of fonds-image and by
Pillow; verdicts, sizes and pixel values (8-bit RGB, after Pillow's own orientation) are compared.
Printed are every file that only one of them decodes, every difference in size, and every pixel
difference above 3 code values, then totals by format. `PILLOW_EXPECT.tsv` files found in the
folder are used to check that this Pillow agrees with the one that wrote them.
"""

import argparse
import collections
import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageFile, ImageOps

# Twice as many are refused as a decompression bomb.
Image.MAX_IMAGE_PIXELS = 150_000_000
ImageFile.LOAD_TRUNCATED_IMAGES = False
OURS = {"JPEG", "MPO", "TIFF", "PNG", "WEBP", "BMP", "DIB", "GIF", "PPM", "JPEG2000"}


def report(decoder, folder, pixels):
    out = subprocess.run([decoder, folder, pixels], stdout=subprocess.PIPE, text=True, check=True)
    rows = csv.DictReader(out.stdout.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    first = {}
    for row in rows:
        first.setdefault(row["file"], row)
    return first


def read_pam(path):
    data = path.read_bytes()
    head, _, body = data.partition(b"ENDHDR\n")
    fields = dict(line.split(b" ", 1) for line in head.split(b"\n")[1:] if b" " in line)
    width, height, depth = (int(fields[k]) for k in (b"WIDTH", b"HEIGHT", b"DEPTH"))
    return np.frombuffer(body, np.uint8).reshape(height, width, depth)


def unit_gray(image):
    """Pillow's modes of more than 8 bit, scaled as fonds does it."""
    array = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        return np.clip(array, 0, 1) * 255
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(258, (16,))[0] if image.format == "TIFF" else 16
    # Signed samples are read as unsigned ones.
    return np.where(array < 0, array + 2.0**bits, array) * 255 / (2.0**bits - 1)


def pillow(path):
    """Format, verdict, size and RGB(A) pixels of the first frame by Pillow."""
    try:
        image = Image.open(path)
    except Exception as error:  # noqa: BLE001, any failure is a verdict
        return None, f"open {type(error).__name__}", None, None
    kind = image.format
    try:
        image.load()
        mode = image.mode
        if mode == "F" or mode.startswith("I"):
            array = np.repeat(unit_gray(image)[:, :, None], 3, axis=2)
            return kind, "ok", array.shape[1::-1], array
        image = ImageOps.exif_transpose(image)
        if mode in ("La", "RGBa"):
            image = image.convert("LA" if mode == "La" else "RGBA")
        alpha = "A" in image.getbands() or "transparency" in image.info
        rgb = image.convert("RGBA" if alpha else "RGB")
        return kind, "ok", rgb.size, np.asarray(rgb).astype(np.float64)
    except Exception as error:  # noqa: BLE001
        return kind, f"load {type(error).__name__}: {error}", None, None


def as_rgba(array):
    array = np.asarray(array, np.float64)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    if array.shape[2] == 2:
        array = np.concatenate([np.repeat(array[:, :, :1], 3, axis=2), array[:, :, 1:]], axis=2)
    if array.shape[2] == 3:
        array = np.concatenate([array, np.full(array.shape[:2] + (1,), 255.0)], axis=2)
    return array


def difference(ours, theirs):
    """Largest and mean difference; colours under full transparency do not count."""
    ours, theirs = as_rgba(ours), as_rgba(theirs)
    seen = (ours[:, :, 3:] > 0) & (theirs[:, :, 3:] > 0)
    gap = np.abs(ours - theirs)
    gap[:, :, :3] *= seen
    return gap.max(initial=0), gap.mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--decoder", default="target/debug/examples/decode_report")
    parser.add_argument("--all", action="store_true", help="print every file")
    options = parser.parse_args()
    expected = {}
    for table in options.folder.rglob("PILLOW_EXPECT.tsv"):
        for row in csv.DictReader(table.open(), delimiter="\t"):
            name = (table.parent / row["file"]).relative_to(options.folder)
            expected[str(name)] = row
    total, good, only_ours, changed = (collections.Counter() for _ in range(4))
    with tempfile.TemporaryDirectory() as pixels:
        rows = report(options.decoder, options.folder, pixels)
        for name, row in sorted(rows.items()):
            kind, verdict, size, theirs = pillow(options.folder / name)
            if name in expected and (expected[name]["status"] == "ok") != (verdict == "ok"):
                changed[expected[name]["status"].split()[0]] += 1
            ok = row["status"] == "ok"
            line = None
            if verdict == "ok" and kind in OURS:
                total[kind] += 1
                if not ok:
                    line = f"MISSING\t{row['status']}"
                elif (int(row["width"]), int(row["height"])) != tuple(size):
                    line = f"SIZE\tours {row['width']}x{row['height']}, Pillow {size}"
                else:
                    good[kind] += 1
                    ours = read_pam(pathlib.Path(pixels) / f"{row['digest']}.pam")
                    most, mean = difference(ours, theirs)
                    if most > 3 or options.all:
                        line = f"PIXELS\tmax {most:.0f} mean {mean:.3f}\t{row['kind']}\t{row['flags']}\t{row['notes']}"
            elif ok:
                only_ours[row["format"]] += 1
                line = f"ONLY_OURS\t{verdict}\t{row['kind']} {row['width']}x{row['height']}"
            elif row["status"].startswith(("panic", "internal", "crash")):
                line = f"BUG\t{row['status']}"
            if line:
                print(f"{name}\t{kind}\t{line}")
    print(f"\nPillow decodes, fonds decodes at the same size ({sum(good.values())} of {sum(total.values())}):")
    for kind in sorted(total):
        print(f"  {kind}\t{good[kind]} of {total[kind]}")
    print(f"only fonds decodes: {dict(only_ours)}; verdicts unlike PILLOW_EXPECT.tsv: {dict(changed)}")


if __name__ == "__main__":
    sys.exit(main())
