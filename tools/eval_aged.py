#!/usr/bin/env python3
"""Measures what was made of aged pictures against the clean ones.

    tools/eval_aged.py CLEAN AGED NAME=FOLDER… [--csv FILE] [--lpips SQUEEZENET.safetensors]

CLEAN holds the clean pictures, AGED a folder for each damage with pictures of their names (as
`make_aged_set.py` makes them; `masks` is no damage), each FOLDER what some program made of AGED: below a
folder of the damage's name a file whose name begins with the picture's and a point (so `noise/05.png` or
`derivatives/noise/05.png.restored.png`). Damages that a folder does not have are left out for it.

As `fonds eval` counts with `--border 0`: 8-bit RGB, PSNR over all channels at once, SSIM (Wang et al. 2004,
Gaussian window of 11 × 11, σ 1.5, only where it lies inside) the mean of the channels; means over pictures.
A result that is a whole number of times as large as the clean picture is made smaller by the mean of areas;
an input or a result that is smaller is enlarged bicubically. `worse` is how many results have a lower PSNR
than what they were made of. LPIPS is version 0.1 with SqueezeNet 1.1 as torchvision has it, by the package
`lpips`. Needs numpy and Pillow.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EXTENSIONS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


def read(path):
    """Samples of 8 bits, height × width × 3."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def fitted(samples, like):
    """A picture in the size of another."""
    height, width = like.shape[:2]
    if samples.shape[:2] == (height, width):
        return samples
    times = samples.shape[0] // height
    if samples.shape[:2] == (times * height, times * width) and times > 1:
        blocks = samples.reshape(height, times, width, times, 3).astype(np.float64)
        return np.round(blocks.mean((1, 3))).astype(np.uint8)
    if samples.shape[0] < height and samples.shape[1] < width:
        return np.asarray(Image.fromarray(samples).resize((width, height), Image.BICUBIC))
    raise SystemExit(f"{samples.shape[1]} × {samples.shape[0]} pixels do not fit {width} × {height}")


def psnr(a, b):
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def window():
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    return weights / weights.sum()


def blurred(plane):
    """The windowed mean, where the window lies inside."""
    weights = window()
    height, width = plane.shape
    rows = sum(w * plane[i : height - 10 + i] for i, w in enumerate(weights))
    return sum(w * rows[:, i : width - 10 + i] for i, w in enumerate(weights))


def ssim(a, b):
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        x, y = (picture[..., channel].astype(np.float64) for picture in (a, b))
        mx, my = blurred(x), blurred(y)
        vx, vy = blurred(x * x) - mx * mx, blurred(y * y) - my * my
        both = blurred(x * y) - mx * my
        top = (2 * mx * my + c1) * (2 * both + c2)
        values.append(np.mean(top / ((mx * mx + my * my + c1) * (vx + vy + c2))))
    return float(np.mean(values))


def lpips_of(weights):
    """A function of two pictures."""
    import lpips
    import torch
    from safetensors.torch import load_file

    model = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    own = model.net.state_dict()
    given = load_file(weights)
    # `slice2.3.squeeze.weight` of the package is `features.3.squeeze.weight` of torchvision.
    state = {key: given["features." + key.split(".", 1)[1]].float() for key in own}
    model.net.load_state_dict(state)

    def distance(a, b):
        planes = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (a, b)]
        with torch.no_grad():
            return float(model(*planes))

    return distance


def found(folder, damage, picture):
    """The picture of a result; `None` where there is none."""
    at = [path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in EXTENSIONS]
    at = [path for path in at if damage in path.relative_to(folder).parts[:-1]]
    at = [path for path in at if path.name.startswith(f"{picture}.") and "objects" not in path.parts]
    if len(at) > 1:
        raise SystemExit(f"several results of {damage}/{picture}: {', '.join(map(str, at))}")
    return at[0] if at else None


def measured(clean, made, distance):
    row = {"psnr": psnr(clean, made), "ssim": ssim(clean, made)}
    if distance:
        row["lpips"] = distance(clean, made)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("clean", type=Path)
    parser.add_argument("aged", type=Path)
    parser.add_argument("results", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--csv", type=Path, help="a row for each picture")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet 1.1 of torchvision, safetensors")
    options = parser.parse_args()
    distance = lpips_of(options.lpips) if options.lpips else None
    results = dict(result.split("=", 1) for result in options.results)
    pictures = sorted(path for path in options.clean.iterdir() if path.suffix.lower() in EXTENSIONS)
    clean = {path.stem: read(path) for path in pictures}
    damages = sorted(p.name for p in options.aged.iterdir() if p.is_dir() and p.name != "masks")
    rows = []
    for damage in damages:
        for picture, target in clean.items():
            aged = fitted(read(options.aged / damage / f"{picture}.png"), target)
            start = {"damage": damage, "picture": picture}
            rows.append(start | {"of": "input"} | measured(target, aged, distance))
            for name, folder in results.items():
                path = found(Path(folder), damage, picture)
                if path:
                    made = fitted(read(path), target)
                    rows.append(start | {"of": name} | measured(target, made, distance))
    if options.csv:
        with options.csv.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            for row in rows:
                table.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    names = ["psnr", "ssim"] + (["lpips"] if distance else [])
    print("\t".join(["damage", "of", "pictures", *names, "gain", "least gain", "worse"]))
    for damage in damages:
        of_damage = [row for row in rows if row["damage"] == damage]
        before = {row["picture"]: row["psnr"] for row in of_damage if row["of"] == "input"}
        for name in ["input", *results]:
            own = [row for row in of_damage if row["of"] == name]
            if not own:
                continue
            cells = [damage, name, str(len(own))]
            for value in names:
                digits = 2 if value == "psnr" else 4
                cells.append(f"{np.mean([row[value] for row in own]):.{digits}f}")
            if name != "input":
                gains = [row["psnr"] - before[row["picture"]] for row in own]
                worse = sum(gain < 0 for gain in gains)
                cells += [f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}", str(worse)]
            print("\t".join(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
