#!/usr/bin/env python3
"""Reads what `write_derivative` wrote with exiftool, ImageMagick, libvips and Pillow.

    cargo run -p fonds-image --example write_derivative OUT && tools/check_encode.py OUT

Needs: exiftool, ImageMagick's identify and convert, libvips-tools, python3 with numpy and PIL.
Prints one line for each deviation and exits with 1 when there is any.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

ImageFile.LOAD_TRUNCATED_IMAGES = False
WIDTH, HEIGHT = 96, 64
PPI = (300.0, 299.5)
TAGS = {
    "XMP-dc:Title": "Brücke <1905> & Damm (AI restored)",
    "XMP-dc:Creator": ["A. Müller", "B. Schmidt"],
    "XMP-dc:Description": "The bridge, seen from the south",
    "XMP-dc:Subject": ["bridges", "rivers"],
    "XMP-dc:Rights": "© Stadtarchiv Köln",
    "XMP-dc:Source": "a/IMG_1.tif",
    "XMP-dc:Identifier": "Best. 7, Nr. 12",
    "XMP-xmpRights:WebStatement": "http://rightsstatements.org/vocab/NoC-US/1.0/",
    "XMP-iptcCore:AltTextAccessibility": "A stone bridge",
    "XMP-iptcExt:DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
    "compositeWithTrainedAlgorithmicMedia",
    "XMP-iptcExt:AISystemUsed": "carn_m",
    "XMP-iptcExt:AISystemVersionUsed": "1.0 sha256:ba7816bf",
    "XMP-xmp:CreatorTool": "fonds 0.1.0",
    "XMP-tiff:Orientation": 1,
    "XMP-photoshop:Instructions": "AI-restored derivative; the unaltered original is a/IMG_1.tif",
    "XMP-xmpMM:DerivedFromFilePath": "a/IMG_1.tif",
    "XMP-xmpMM:HistoryAction": ["edited", "saved"],
    "XMP-xmpMM:HistoryParameters": ["rotated by 1.25°", "png"],
    "XMP-xmpMM:HistorySoftwareAgent": ["fonds 0.1.0", "fonds 0.1.0"],
}
bad = []


def complain(path, what):
    bad.append(what)
    print(f"{path.name}: {what}")


def run(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    text = done.stdout.decode(), done.stderr.decode()
    return done.returncode, *text


def facts(path):
    """Channels, alpha, bits and losslessness that the file should have, from its name."""
    kind, rest = path.name.split("-", 1)
    bits = 16 if kind.endswith("16") else 8
    model = kind[: -len(str(bits))]
    alpha = model.endswith("a")
    gray = model.startswith("gray")
    form = path.suffix[1:]
    if form in ("jpg", "webp"):
        bits = 8
    if form == "jpg":
        alpha = False
    if form == "webp":
        gray = False
    lossless = form in ("png", "tif") or rest.startswith("lossless")
    return gray, alpha, bits, lossless


def expected(path):
    """The samples that a reader should see, as (height, width, channels)."""
    kind = path.name.split("-", 1)[0]
    gray, alpha, bits, _ = facts(path)
    had_alpha = kind.rstrip("0123456789").endswith("a")
    was_gray = kind.startswith("gray")
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    source = (1 if was_gray else 3) + had_alpha
    planes = np.stack([(x * 400 + y * 300 + c * 9000) % 65536 for c in range(source)], axis=-1)
    if not kind.endswith("16"):
        planes = planes >> 8
        unit = planes / 255.0
    else:
        unit = planes / 65535.0
    color, opacity = (unit[..., :-1], unit[..., -1:]) if had_alpha else (unit, None)
    if had_alpha and not alpha:
        color = color * opacity + (1 - opacity)
    if was_gray and not gray:
        color = np.repeat(color, 3, axis=-1)
    whole = np.concatenate([color, opacity], axis=-1) if alpha else color
    return np.floor(whole * (2**bits - 1) + 0.5).astype(np.int64)


def compare(path, samples, reader):
    want = expected(path)
    if samples.shape != want.shape:
        complain(path, f"{reader}: shape {samples.shape}, not {want.shape}")
        return
    error = np.abs(samples.astype(np.int64) - want)
    if facts(path)[3] and error.max() > 0:
        complain(path, f"{reader}: lossless, but off by up to {error.max()}")
    elif error.mean() > 6:
        complain(path, f"{reader}: mean error {error.mean():.2f}")


def vips(path):
    code, _, err = run("vips", "copy", str(path), "/tmp/check_encode.v")
    if code or "warning" in err.lower():
        complain(path, f"libvips: {err.strip()}")
        return
    gray, alpha, bits, _ = facts(path)
    raw = Path("/tmp/check_encode.v").read_bytes()[64:]
    channels = (1 if gray else 3) + alpha
    size = WIDTH * HEIGHT * channels * bits // 8
    samples = np.frombuffer(raw[:size], "<u2" if bits == 16 else "u1")
    code, header, _ = run("vipsheader", "-a", str(path))
    for field, want in (("bands", channels), ("format", "ushort" if bits == 16 else "uchar")):
        if f"{field}: {want}" not in header:
            complain(path, f"libvips: {field} is not {want}")
    if "icc-profile-data" not in header:
        complain(path, "libvips: no profile")
    compare(path, samples.reshape(HEIGHT, WIDTH, channels), "libvips")


def pillow(path):
    gray, alpha, bits, _ = facts(path)
    if path.suffix == ".tif" and gray and alpha and bits == 16:
        return  # A variant that Pillow does not know.
    with Image.open(path) as picture:
        picture.load()
        if picture.size != (WIDTH, HEIGHT):
            complain(path, f"Pillow: size {picture.size}")
        if not picture.info.get("icc_profile"):
            complain(path, "Pillow: no profile")
        # Pillow has no mode for 16 bits of several channels and brings them to 8.
        if bits == 8 or (gray and not alpha):
            samples = np.asarray(picture)
            compare(path, samples.reshape(HEIGHT, WIDTH, -1), "Pillow")


def magick(path):
    code, out, err = run("identify", "-format", "%m %w %h %z %[channels] %r", str(path))
    # ImageMagick 6 says this of every WebP with XMP, those of exiftool included.
    known = path.suffix == ".webp" and "ValidateXMPProfile" in err and len(err.splitlines()) == 1
    if code or (err and not known):
        complain(path, f"ImageMagick: {err.strip()}")
        return
    gray, alpha, bits, _ = facts(path)
    fields = out.split()
    if fields[3] != str(bits):
        complain(path, f"ImageMagick: {fields[3]} bits")
    if fields[4].startswith("gray") != gray or fields[4].rstrip().endswith("a") != alpha:
        complain(path, f"ImageMagick: channels {fields[4]}")
    form = {("gray", False): "gray:-", ("gray", True): None}.get(("gray" if gray else "", alpha))
    form = form or ("rgba:-" if alpha else "rgb:-")
    if gray and alpha:
        return
    done = subprocess.run(["convert", str(path), "-depth", str(bits), "-endian", "LSB", form],
                          capture_output=True, check=False)
    if done.returncode == 0:
        samples = np.frombuffer(done.stdout, "<u2" if bits == 16 else "u1")
        compare(path, samples.reshape(HEIGHT, WIDTH, -1), "ImageMagick")


def number(value):
    return float(value) if isinstance(value, (int, float, str)) else 0.0


def exiftool(paths):
    done = run("exiftool", "-j", "-G1", "-n", "-charset", "utf8", *map(str, paths))
    for path, tags in zip(paths, json.loads(done[1])):
        for tag, want in TAGS.items():
            if tags.get(tag) != want:
                complain(path, f"exiftool: {tag} is {tags.get(tag)!r}")
        for tag in ("ExifTool:Warning", "ExifTool:Error"):
            if tag in tags:
                complain(path, f"exiftool: {tags[tag]}")
        gray = facts(path)[0]
        name = "Gray with sRGB curve" if gray else "sRGB IEC61966-2.1"
        if tags.get("ICC_Profile:ProfileDescription") != name:
            complain(path, f"exiftool: profile {tags.get('ICC_Profile:ProfileDescription')!r}")
        check_resolution(path, tags)
        check_texts(path, tags)


def check_resolution(path, tags):
    form = path.suffix
    if form == ".png":
        found = [number(tags.get(f"PNG-pHYs:PixelsPerUnit{a}", 0)) * 0.0254 for a in "XY"]
    elif form == ".jpg":
        found = [number(tags.get(f"JFIF:{a}Resolution", 0)) for a in "XY"]
    else:
        found = [number(tags.get(f"IFD0:{a}Resolution", 0)) for a in "XY"]
    for have, want in zip(found, PPI):
        if abs(have - want) > 0.6:
            complain(path, f"exiftool: resolution {have}, not {want}")


def check_texts(path, tags):
    group = "PNG" if path.suffix == ".png" else "IFD0"
    artist = tags.get(f"{group}:{'Author' if group == 'PNG' else 'Artist'}")
    for have, want in ((artist, "A. Müller"), (tags.get(f"{group}:Copyright"), "© Stadtarchiv Köln"),
                       (tags.get(f"{group}:Software"), "fonds 0.1.0")):
        if have != want:
            complain(path, f"exiftool: {have!r}, not {want!r}")


def main():
    paths = sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_file())
    for path in paths:
        for check in (vips, pillow, magick):
            check(path)
    exiftool(paths)
    print(f"{len(paths)} files, {len(bad)} deviations")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
