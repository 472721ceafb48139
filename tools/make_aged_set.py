#!/usr/bin/env python3
"""Makes aged versions of clean pictures by ImageMagick, exactly as a manifest says.

    tools/make_aged_set.py PICTURES STAMPS OUT
    tools/make_aged_set.py PICTURES STAMPS OUT --draw

PICTURES holds the clean pictures (the 13 of the Kodak suite that the benchmarks use: `05.png` …), STAMPS the
stamps of the FilmDamageSimulator library (RGBA pictures in a folder for each kind; only their alpha is used).
OUT gets `DAMAGE/PICTURE.png` and, where stamps were laid, `masks/DAMAGE/PICTURE.png`: how much of each pixel
they cover, 0 to 255. Needs ImageMagick 6 as `convert` on the PATH, nothing else.

The manifest (`docs/aged-set.tsv`, or --manifest) has a row for each picture and damage:

- `seed`: of the noise, for `-seed`;
- `operations`, done in order, separated by `; `. `blur σ`, `noise σ` (additive and Gaussian, in 8-bit code
  values, each channel its own), `resize FILTER PERCENT%`, `fade …` (ImageMagick's own arguments), `stamps`
  (lays them), `jpeg QUALITY` (written and read; 4:2:0 as ImageMagick does below 90);
- `stamps`, separated by `; `: `FILE@scale,angle,x,y,tone,cover`. The alpha is scaled and turned, its box is
  put with the upper left corner at x, y; `tone` is the gray it is painted in, `cover` how densely;
- `pixels`: the SHA-256 of the 8-bit RGB samples, which must come out again. Another version of ImageMagick may
  round differently; this is said, and the exit code is 1.

Only stamps are used whose file name has a SHA-256 that begins with 0, 1 or 2 in hexadecimal; the others are
for training. With --draw the manifest itself is drawn from a fixed seed and written, with digests.
"""

import argparse
import csv
import hashlib
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

COLUMNS = ("picture", "damage", "seed", "operations", "stamps", "pixels")
DAMAGES = ("noise", "jpeg", "blur", "scratches", "faded", "low", "all")
HELD_OUT = "012"


def convert(*arguments, data=None):
    """Runs ImageMagick on one thread; what it writes to its standard output."""
    environment = dict(os.environ, MAGICK_THREAD_LIMIT="1", OMP_NUM_THREADS="1")
    done = subprocess.run(
        ["convert", *map(str, arguments)], input=data, capture_output=True, env=environment
    )
    if done.returncode != 0:
        raise SystemExit(f"convert {' '.join(map(str, arguments))}\n{done.stderr.decode()}")
    return done.stdout


# Half a code value of 8 bits in 16, since `-depth 8` cuts off what is behind the point.
TO_8_BITS = ("-evaluate", "add", "128", "-depth", "8")

# Without the time at which it was written.
PLAIN = ("-strip", "-define", "png:exclude-chunks=date,time")


def size_of(path):
    """Width and height of a PNG."""
    head = path.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise SystemExit(f"{path} is no PNG")
    return struct.unpack(">II", head[16:24])


def held_out(stamps):
    """The stamps that training never sees, by kind."""
    kinds = {}
    for path in sorted(stamps.rglob("*.png")):
        if hashlib.sha256(path.name.encode()).hexdigest()[0] in HELD_OUT:
            kinds.setdefault(path.parent.name, []).append(path.relative_to(stamps).as_posix())
    return kinds


# What to do, drawn once.


def draw_stamps(chance, kinds, size):
    """Scratches, hairs, lint and dirt as a badly kept negative or print has them, light and dark."""
    plan = [("scratches", chance.randint(1, 2), 0.6, 1.2), ("hair", chance.randint(1, 2), 0.4, 1.0)]
    plan += [("hair-short", chance.randint(1, 3), 0.5, 1.2), ("spots", chance.randint(1, 2), 0.7, 1.3)]
    plan += [("lint", chance.randint(0, 1), 0.3, 0.7), ("dirt", chance.randint(0, 1), 0.7, 1.2)]
    plan += [("smut", chance.randint(0, 1), 0.2, 0.4), ("sprinkles", chance.randint(0, 1), 0.3, 0.6)]
    laid = []
    for kind, count, least, most in plan:
        for name in chance.sample(kinds[kind], count):
            scale = chance.uniform(least, most)
            # The middle of the 400 × 400 pixels lies on the picture.
            half = 200 * scale
            x, y = (round(chance.uniform(0.1, 0.9) * side - half) for side in size)
            light = chance.random() < 0.5
            tone = chance.randint(225, 255) if light else chance.randint(0, 45)
            angle, cover = chance.randint(0, 359), chance.uniform(0.75, 1.0)
            laid.append(f"{name}@{scale:.2f},{angle},{x},{y},{tone},{cover:.2f}")
    chance.shuffle(laid)
    return "; ".join(laid)


def draw_fade(chance):
    """Black lifted and white dulled for each dye by itself, less colour, paper turned yellow."""
    black, white = chance.uniform(8, 26), chance.uniform(78, 95)
    bounds = [(black + chance.uniform(-5, 5), white + chance.uniform(-5, 5)) for _ in range(3)]
    yellow = chance.uniform(0.62, 0.9)
    parts = [f"-modulate 100,{chance.randint(55, 90)}", f"-gamma {chance.uniform(0.85, 1.35):.2f}"]
    for channel, (low, high) in zip("RGB", bounds):
        parts.append(f"-channel {channel} +level {max(low, 0):.1f}%,{min(high, 100):.1f}%")
    parts.append(f"-channel G -evaluate multiply {1 - (1 - yellow) * 0.35:.3f}")
    parts.append(f"-channel B -evaluate multiply {yellow:.3f} +channel")
    return "fade " + " ".join(parts)


def draw(pictures, stamps):
    """The rows of the manifest, without digests."""
    kinds = held_out(stamps)
    rows = []
    for index, path in enumerate(pictures):
        for damage in DAMAGES:
            chance = random.Random(f"aged set 1, {path.stem}, {damage}")
            laid = ""
            if damage == "noise":
                operations = f"noise {(15, 25)[index % 2]}"
            elif damage == "jpeg":
                operations = f"jpeg {chance.randint(10, 30)}"
            elif damage == "blur":
                operations = f"blur {chance.uniform(0.8, 2.2):.2f}"
            elif damage == "scratches":
                operations, laid = "stamps", draw_stamps(chance, kinds, size_of(path))
            elif damage == "faded":
                operations = draw_fade(chance)
            elif damage == "low":
                kernel = chance.choice(("Catrom", "Box", "Lanczos", "Triangle"))
                operations = f"resize {kernel} 50%; noise {chance.uniform(4, 12):.1f}; "
                operations += f"jpeg {chance.randint(40, 80)}"
            else:
                operations = f"blur {chance.uniform(0.5, 1.0):.2f}; noise {chance.uniform(6, 14):.1f}; "
                operations += f"{draw_fade(chance)}; stamps; jpeg {chance.randint(40, 80)}"
                laid = draw_stamps(chance, kinds, size_of(path))
            seed = chance.randrange(1, 2**31)
            rows.append(dict(zip(COLUMNS, (path.stem, damage, str(seed), operations, laid, ""))))
    return rows


# What a row says, done. Pictures between operations are MIFF files of 16 bits a sample.


def add_noise(picture, sigma, seed):
    """ImageMagick's own noise depends on the value, so that it is made on gray and added."""
    around = picture.with_suffix(".noise.miff")
    gray = (picture, "-fill", "gray50", "-colorize", "100", "-seed", seed, "-attenuate", "0.5")
    convert(*gray, "+noise", "Gaussian", around)
    spread = [float(v) for v in convert(around, "-format", SPREAD, "info:").split()]
    factors = [sigma / 255 / value for value in spread[:3]]
    # Each channel: picture + factor × (noise − its mean). `Mathematics` is B × source + C × picture + D.
    planes = []
    for channel, factor, mean in zip("RGB", factors, spread[3:]):
        plane = picture.with_suffix(f".{channel}.miff")
        of_channel = ("-channel", channel, "-separate", "+channel")
        both = ("(", picture, *of_channel, ")", "(", around, *of_channel, ")")
        rule = f"compose:args=0,{factor:.9f},1,{-factor * mean:.9f}"
        convert(*both, "-define", rule, "-compose", "Mathematics", "-composite", plane)
        planes.append(plane)
    convert(*planes, "-set", "colorspace", "sRGB", "-combine", picture)


SPREAD = " ".join(
    f"%[fx:{what}.{channel}]" for what in ("standard_deviation", "mean") for channel in "rgb"
)


def lay_stamps(picture, rows, stamps, size, mask):
    """Paints each stamp in its gray; the mask keeps the densest cover of all."""
    canvas = f"{size[0]}x{size[1]}"
    convert("-size", canvas, "xc:black", "-depth", "16", mask)
    cover = picture.with_suffix(".cover.miff")
    for row in rows.split("; "):
        name, numbers = row.split("@")
        scale, angle, x, y, tone, density = numbers.split(",")
        if hashlib.sha256(Path(name).name.encode()).hexdigest()[0] not in HELD_OUT:
            raise SystemExit(f"{name} is a stamp for training")
        turned = ("(", stamps / name, "-alpha", "extract", "-virtual-pixel", "black")
        turned += ("+distort", "SRT", f"{scale},{angle}", "+repage", ")")
        place = ("-gravity", "NorthWest", "-geometry", f"{int(x):+d}{int(y):+d}")
        dense = ("-evaluate", "multiply", density)
        over = ("-compose", "Over", "-composite")
        convert("-size", canvas, "xc:black", *turned, *place, *over, *dense, cover)
        paint = ("(", "-size", canvas, f"xc:rgb({tone},{tone},{tone})", ")")
        convert(picture, *paint, cover, *over, picture)
        convert(mask, cover, "-compose", "Lighten", "-composite", mask)


def make(row, source, stamps, out, work):
    """Makes a row's picture; the digest of its samples."""
    picture = work / "picture.miff"
    convert(source, "-strip", "-depth", "16", picture)
    for operation in row["operations"].split("; "):
        name, *arguments = operation.split()
        if name == "noise":
            add_noise(picture, float(arguments[0]), row["seed"])
        elif name == "blur":
            convert(picture, "-gaussian-blur", f"0x{arguments[0]}", picture)
        elif name == "resize":
            convert(picture, "-filter", arguments[0], "-resize", arguments[1], picture)
        elif name == "fade":
            convert(picture, *arguments, picture)
        elif name == "jpeg":
            jpeg = convert(picture, *TO_8_BITS, "-quality", arguments[0], "jpg:-")
            convert("jpg:-", "-depth", "16", picture, data=jpeg)
        elif name == "stamps":
            mask = out / "masks" / row["damage"] / f"{row['picture']}.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            soft = work / "mask.miff"
            lay_stamps(picture, row["stamps"], stamps, size_of(source), soft)
            convert(soft, "-colorspace", "Gray", *TO_8_BITS, *PLAIN, mask)
        else:
            raise SystemExit(f"there is no operation {name}")
    made = out / row["damage"] / f"{row['picture']}.png"
    made.parent.mkdir(parents=True, exist_ok=True)
    convert(picture, *TO_8_BITS, *PLAIN, f"PNG24:{made}")
    return hashlib.sha256(convert(made, "-depth", "8", "rgb:-")).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("out", type=Path)
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--manifest", type=Path, default=root / "docs" / "aged-set.tsv")
    parser.add_argument("--draw", action="store_true", help="draw and write the manifest")
    options = parser.parse_args()
    if b"ImageMagick 6" not in convert("-version"):
        print("convert is not ImageMagick 6; samples may differ", file=sys.stderr)
    pictures = sorted(options.pictures.glob("*.png"))
    if options.draw:
        rows = draw(pictures, options.stamps)
    else:
        with options.manifest.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    different = 0
    with tempfile.TemporaryDirectory() as work:
        for row in rows:
            source = options.pictures / f"{row['picture']}.png"
            pixels = make(row, source, options.stamps, options.out, Path(work))
            if not options.draw and pixels != row["pixels"]:
                print(f"{row['damage']}/{row['picture']}.png: the samples differ from the manifest's")
                different += 1
            row["pixels"] = pixels
    if options.draw:
        lines = ["\t".join(COLUMNS)] + ["\t".join(row[name] for name in COLUMNS) for row in rows]
        options.manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(rows)} pictures made, {different} different from the manifest")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
