"""Makes seeds for the fuzz targets from the fixtures.

    python fuzz/make_seeds.py fixtures/weights fuzz/corpus
"""

import io
import pickletools
import sys
import zipfile
from pathlib import Path


def pickles(data):
    """The pickles that a legacy file begins with."""
    file, parts = io.BytesIO(data), []
    while True:
        start = file.tell()
        try:
            for _ in pickletools.genops(file):
                pass
        except ValueError:
            return parts
        parts.append(data[start : file.tell()])


def main(fixtures, corpus):
    for target in ("checkpoint", "unpickle", "safetensors"):
        (corpus / target).mkdir(parents=True, exist_ok=True)
    for path in sorted(fixtures.iterdir()):
        if path.suffix == ".tsv":
            continue
        data = path.read_bytes()
        (corpus / "checkpoint" / path.name).write_bytes(data)
        if data.startswith(b"PK"):
            archive = zipfile.ZipFile(path)
            name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            (corpus / "unpickle" / path.name).write_bytes(archive.read(name))
        elif path.suffix == ".safetensors":
            (corpus / "safetensors" / path.name).write_bytes(data)
        else:
            parts = pickles(data)
            # Magic number, protocol and facts of the machine come before the object.
            (corpus / "unpickle" / path.name).write_bytes(parts[min(3, len(parts) - 1)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
