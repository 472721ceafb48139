#!/usr/bin/env python3
"""Proves what fonds exports and packs with the programs of others.

    tools/check_packages.py FONDS ARCHIVE WORK [--premis-schema FILE] [--collectionbuilder FILE]

FONDS is the program, ARCHIVE a folder of pictures, WORK a folder that is made anew. Used are
bagit-python, frictionless, iiif-prezi3, rocrate, PyYAML and Pillow from PyPI, and `xmllint`,
`exiftool` and `sha256sum`; whatever is not there is named and left out. The schema of PREMIS 3 is
at loc.gov/standards/premis/premis.xsd, CollectionBuilder's header in docs/metadata-template.csv of
its repository. Prints a line for each check; exit code 1 when one failed.
"""

import argparse
import csv
import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

HEADER = (
    "objectid,parentid,title,creator,date,description,subject,location,latitude,longitude,source,"
    "identifier,type,format,language,rights,rightsstatement,display_template,object_location,"
    "image_small,image_thumb,image_alt_text,object_transcript"
)
PROFILES = {
    "collectionbuilder": "_data/metadata.csv",
    "omeka-s": "omeka-s.csv",
    "islandora-workbench": "workbench.csv",
    "archivematica": "metadata/metadata.csv",
    "archivesspace": "archivesspace.csv",
    "wax": "_data/fonds.csv",
    "tropy": "tropy.csv",
    "dublin-core": "dublin-core.csv",
}
BASE = "https://example.org/iiif"
failures = 0


def check(name, good, detail=""):
    """Prints how a check went."""
    global failures
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}{': ' if detail else ''}{detail}")


def left_out(name, why):
    """Prints that a check could not be made."""
    print(f"--   {name}: left out, {why}")


def fonds(*arguments, code=0):
    """Runs the program; its output."""
    command = [str(options.fonds), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if ended.returncode != code:
        raise SystemExit(f"{command} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout + ended.stderr


def rows(path, **dialect):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, **dialect))


def flip(path):
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def bags(work, out):
    """bagit-python takes the bag, and both find a flipped bit and a missing file."""
    try:
        import bagit
    except ImportError:
        return left_out("bagit-python", "`pip install bagit`")
    logging.getLogger("bagit").setLevel(logging.CRITICAL)
    bag = work / "bag"
    fonds("package", "bagit", out, bag, "--archive", options.archive,
          "--info", "Source-Organization: Town Archive")
    loaded = bagit.Bag(str(bag))
    check("bagit-python validates the bag", loaded.is_valid(), f"{len(loaded.entries)} entries, "
          f"{', '.join(sorted(loaded.algorithms))}, Payload-Oxum {loaded.info['Payload-Oxum']}")
    check("fonds verify proves the bag", "0 errors" in fonds("verify", bag))
    payload = sorted(p for p in (bag / "data").rglob("*") if p.is_file())
    for victim in (payload[0], payload[len(payload) // 2], payload[-1]):
        kept = victim.read_bytes()
        flip(victim)
        found = []
        try:
            bagit.Bag(str(bag)).validate()
        except bagit.BagValidationError as error:
            found = [str(detail) for detail in error.details]
        name = victim.relative_to(bag).as_posix()
        check("bagit-python finds a flipped bit", any(name in text for text in found), name)
        text = fonds("verify", bag, code=7)
        check("fonds verify finds a flipped bit", f"{name}: error: has the digest" in text, name)
        victim.unlink()
        check("bagit-python finds a missing file", not bagit.Bag(str(bag)).is_valid(), name)
        check("fonds verify finds a missing file",
              f"{name}: error: is missing" in fonds("verify", bag, code=7), name)
        victim.write_bytes(kept)
    # The other way round: a bag of bagit-python's.
    other = work / "other-bag"
    shutil.copytree(options.archive, other)
    bagit.make_bag(str(other), checksums=["sha256", "sha512"])
    check("fonds verify proves a bag of bagit-python", "0 errors" in fonds("verify", other))


def outputs(work, out):
    """verify names a changed derivative, sidecar and original."""
    text = fonds("verify", out)
    check("fonds verify proves the output", "0 errors" in text, text.splitlines()[-1])
    table = rows(out / "derivatives.csv")
    for row in table[:: max(1, len(table) // 5)]:
        victim = out / row["path"]
        kept = victim.read_bytes()
        flip(victim)
        text = fonds("verify", out, code=7)
        victim.write_bytes(kept)
        check("fonds verify names a changed derivative",
              f"{row['path']}: error: has the digest" in text, row["path"])
    copy = work / "archive-copy"
    shutil.copytree(options.archive, copy)
    first = next(row for row in rows(out / "catalog.csv") if row["status"] == "ok")
    flip(copy / first["filename"])
    text = fonds("verify", out, "--archive", copy, code=7)
    check("fonds verify names a changed original", f"{first['filename']}: error: has" in text,
          first["filename"])


def frictionless_packages(out):
    try:
        from frictionless import Package
    except ImportError:
        return left_out("frictionless", "`pip install frictionless`")
    here = os.getcwd()
    os.chdir(out)
    report = Package("datapackage.json").validate()
    os.chdir(here)
    count = sum(task.stats.get("rows", 0) for task in report.tasks)
    errors = [error.message for task in report.tasks for error in task.errors]
    check("frictionless validates datapackage.json", report.valid and count > 0,
          f"{len(report.tasks)} tables, {count} rows {errors[:3] or ''}")
    # A wrong cell is found, so that the schema says something.
    broken = out.parent / "broken-package"
    shutil.copytree(out, broken)
    text = (broken / "catalog.csv").read_text(encoding="utf-8")
    (broken / "catalog.csv").write_text(text.replace(",valid,", ",vallid,", 1), encoding="utf-8")
    os.chdir(broken)
    found = Package("datapackage.json").validate()
    os.chdir(here)
    check("frictionless finds a wrong word", not found.valid)


def premis(work, out):
    target = work / "premis.xml"
    text = fonds("package", "premis", out, "--to", target)
    if not shutil.which("xmllint"):
        return left_out("PREMIS", "no xmllint")
    for name in (target, work / "archivematica/metadata/premis.xml"):
        command = ["xmllint", "--noout", str(name)]
        what = "is well-formed"
        if options.premis_schema:
            command[2:2] = ["--schema", str(options.premis_schema)]
            what = "is valid by the schema"
        ended = subprocess.run(command, capture_output=True, text=True)
        check(f"{name.relative_to(work)} {what}", ended.returncode == 0,
              text.split("->")[0].strip() if ended.returncode == 0 else ended.stderr[:300])
    import xml.etree.ElementTree as tree
    ns = {"p": "http://www.loc.gov/premis/v3"}
    root = tree.parse(target).getroot()
    ids = {e.text for e in root.iterfind(".//p:objectIdentifierValue", ns)}
    ids |= {e.text for e in root.iterfind(".//p:agentIdentifierValue", ns)}
    linked = [e.text for kind in ("Object", "Agent")
              for e in root.iterfind(f".//p:linking{kind}IdentifierValue", ns)]
    check("every linked object and agent is there", linked and set(linked) <= ids, len(linked))


def research_object(out):
    fonds("package", "ro-crate", out)
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        return left_out("RO-Crate", "`pip install rocrate`")
    crate = ROCrate(str(out))
    files = [entity for entity in crate.data_entities if entity.type != "Dataset"]
    missing = [e.id for e in files if not (out / urllib.parse.unquote(e.id)).is_file()]
    actions = [e for e in crate.contextual_entities if e.type == "CreateAction"]
    check("rocrate reads the crate", files and not missing,
          f"{len(files)} files, {len(actions)} actions, {missing[:3] or 'all there'}")
    check("fonds verify is content with it", "0 errors" in fonds("verify", out))


def iiif(work, out):
    site = work / "iiif"
    text = fonds("package", "iiif", out, site, "--base-url", BASE, "--tile", 256)
    check("fonds package iiif", "0 failed" in text, text.strip().splitlines()[-1])
    local = lambda url: site / urllib.parse.unquote(url.removeprefix(BASE + "/"))
    manifests = sorted(site.glob("*/manifest.json"))
    try:
        import iiif_prezi3
        for path in manifests:
            iiif_prezi3.Manifest(**json.loads(path.read_text(encoding="utf-8")))
        iiif_prezi3.Collection(**json.loads((site / "collection.json").read_text(encoding="utf-8")))
        check("iiif-prezi3 takes the manifests", True, len(manifests))
    except ImportError:
        left_out("IIIF manifests", "`pip install iiif-prezi3`")
    except Exception as error:  # pydantic's
        check("iiif-prezi3 takes the manifests", False, str(error)[:500])
    bodies, choices, statements = [], 0, 0
    for path in manifests:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        statements += "requiredStatement" in manifest
        for canvas in manifest["items"]:
            body = canvas["items"][0]["items"][0]["body"]
            choices += body["type"] == "Choice"
            bodies += body["items"] if body["type"] == "Choice" else [body]
    check("a statement wherever there is a choice", choices > 0 and statements > 0,
          f"{choices} choices, {statements} objects with a statement")
    try:
        from PIL import Image, ImageChops, ImageStat
    except ImportError:
        return left_out("IIIF tiles", "`pip install pillow`")
    tiles, worst = 0, 0.0
    for body in bodies:
        info = json.loads((local(body["service"][0]["id"]) / "info.json").read_text())
        folder = local(info["id"])
        whole = Image.open(folder / "full/max/0/default.jpg")
        assert whole.size == (info["width"], info["height"]) == (body["width"], body["height"])
        side = info["tiles"][0]["width"]
        for s in info["tiles"][0]["scaleFactors"]:
            size = (-(-info["width"] // s), -(-info["height"] // s))
            level = Image.new(whole.mode, size)
            # As the specification tells a client to ask (Image API 3, implementation, 3).
            for row in range(-(-size[1] // side)):
                for column in range(-(-size[0] // side)):
                    x, y = column * side * s, row * side * s
                    w, h = min(side * s, info["width"] - x), min(side * s, info["height"] - y)
                    tw, th = -(-w // s), -(-h // s)
                    tile = Image.open(folder / f"{x},{y},{w},{h}/{tw},{th}/0/default.jpg")
                    assert tile.size == (tw, th), (folder, tile.size, (tw, th))
                    level.paste(tile, (column * side, row * side))
                    tiles += 1
            full = Image.open(folder / f"full/{size[0]},{size[1]}/0/default.jpg")
            difference = ImageChops.difference(level.convert("RGB"), full.convert("RGB"))
            worst = max(worst, *ImageStat.Stat(difference).mean)
    check("tiles make up the picture at every level", worst <= 3,
          f"{len(bodies)} pictures, {tiles} tiles, mean difference at most {worst:.2f} of 255")


def exports(work, out):
    for profile, name in PROFILES.items():
        fonds("catalog", "export", out, "--profile", profile, "--to", work / profile,
              "--archive", options.archive, "--base-url", "https://example.org")
        table = rows(work / profile / name)
        check(f"{profile} is a table", len(table) > 0 and None not in table[0],
              f"{len(table)} rows, {len(table[0])} columns")
    first = (work / "collectionbuilder/_data/metadata.csv").read_text(encoding="utf-8")
    header = first.split("\n", 1)[0]
    if options.collectionbuilder:
        template = options.collectionbuilder.read_text(encoding="utf-8-sig").split("\n", 1)[0]
        check("CollectionBuilder's header, from its file", header == template.strip())
    check("CollectionBuilder's header", header == HEADER)
    transfer = work / "archivematica"
    if shutil.which("sha256sum"):
        ended = subprocess.run(
            ["sha256sum", "-c", "--strict", "--quiet", "../metadata/checksum.sha256"],
            cwd=transfer / "objects", capture_output=True, text=True)
        lines = (transfer / "metadata/checksum.sha256").read_text(encoding="utf-8").splitlines()
        files = [p for p in (transfer / "objects").rglob("*") if p.is_file()]
        check("sha256sum checks the transfer", ended.returncode == 0 and len(lines) == len(files),
              f"{len(lines)} lines, {len(files)} files {ended.stderr[:200]}")
    for row in csv.reader(open(transfer / "objects/manualNormalization/normalization.csv",
                               newline="", encoding="utf-8")):
        there = [(transfer / "objects" / cell).is_file() for cell in row[:2]]
        if len(row) != 3 or not all(there):
            check("Archivematica's normalization.csv", False, row)
            break
    else:
        check("Archivematica's normalization.csv", True)
    workbench(work / "islandora-workbench")


def workbench(folder):
    """The rules of `workbench --check` that need no site."""
    try:
        import yaml
    except ImportError:
        return left_out("Islandora Workbench", "`pip install pyyaml`")
    config = yaml.safe_load((folder / "workbench.yml").read_text(encoding="utf-8"))
    table = rows(config["input_csv"])
    reserved = {"id", "title", "file", "checksum", "image_alt_text", "parent_id"}
    unknown = [name for name in table[0]
               if not name.startswith("field_") and name not in reserved
               and name not in config["ignore_csv_columns"]]
    check("Workbench knows every column", not unknown, unknown or "")
    wrong = []
    for row in table:
        path = Path(config["input_dir"]) / row["file"]
        digest = hashlib.new(config["fixity_algorithm"], path.read_bytes()).hexdigest()
        if digest != row["checksum"] or not row["title"] or len(row["title"]) > 255:
            wrong.append(row["id"])
    check("Workbench finds files, digests and titles", not wrong, wrong or len(table))


def round_trip(work, out):
    """Export, edit as Excel in German writes it, import, run again: nothing is lost."""
    source = work / "collectionbuilder/_data/metadata.csv"
    table = rows(source)
    edited = next(row for row in table if not row["parentid"])
    values = {"title": "=1+1 „Straße“; with\na line", "date": "1931~", "latitude": "48,25",
              "longitude": "-16,5", "subject": "bridges;@home"}
    edited.update(values)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, table[0], delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(table)
    file = work / "edited.csv"
    file.write_bytes(b"\xef\xbb\xbf" + buffer.getvalue().replace("\na line", "\r\na line").encode())
    before = {row["objectid"]: row for row in rows(out / "catalog.csv")}
    text = fonds("catalog", "import", file, out)
    check("fonds catalog import", "5 cells changed" in text, text.strip().splitlines()[-1])
    for when in ("import", "a new run"):
        after = {row["objectid"]: row for row in rows(out / "catalog.csv")}
        found = after[edited["objectid"]]
        expected = dict(values, latitude="48.25", longitude="-16.5")
        same = all(found[key] == value for key, value in expected.items())
        check(f"the edits are in the catalog after {when}", same,
              "" if same else {key: found[key] for key in values})
        volatile = {"run_id", "processed_at", "derivative_sha256", "quality_flags"}
        others = [key for key in before if key != edited["objectid"]
                  and {k: v for k, v in after[key].items() if k not in volatile}
                  != {k: v for k, v in before[key].items() if k not in volatile}
                  and after[key]["parentid"] != edited["objectid"]]
        check(f"nothing else changed after {when}", not others, others or "")
        if when == "import":
            fonds("run", options.pipeline, options.archive, "--out", out)
    check("what was run again is proved", "0 errors" in fonds("verify", out))


def labels(out):
    if not shutil.which("exiftool"):
        return left_out("XMP", "no exiftool")
    wrong, count = [], 0
    for row in rows(out / "derivatives.csv"):
        if not row["digital_source_type"]:
            continue
        found = json.loads(subprocess.run(
            ["exiftool", "-j", "-n", "-XMP-iptcExt:DigitalSourceType", str(out / row["path"])],
            capture_output=True, text=True, check=True).stdout)[0]
        count += 1
        if found.get("DigitalSourceType") != row["digital_source_type"]:
            wrong.append(row["path"])
    check("exiftool reads the source type of the table", count > 0 and not wrong, wrong or count)


def main():
    work = options.work
    if work.exists():
        raise SystemExit(f"{work} is there already")
    work.mkdir(parents=True)
    out = work / "out"
    fonds("run", options.pipeline, options.archive, "--out", out)
    exports(work, out)
    premis(work, out)
    frictionless_packages(out)
    outputs(work, out)
    research_object(out)
    bags(work, out)
    iiif(work, out)
    labels(out)
    round_trip(work, out)
    print(f"{failures} checks failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fonds", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pipeline", default="restore-photographs")
    parser.add_argument("--premis-schema", type=Path)
    parser.add_argument("--collectionbuilder", type=Path)
    options = parser.parse_args()
    main()
