"""Rebuild the vocabularies in ``ctxzip/data/`` from the rank files of tiktoken.

    python models/tokenizers/build.py [DIRECTORY]

The rank files are looked for in DIRECTORY (a tiktoken cache, for instance), else taken from the
wheel of ``llama-index-core``, which carries them and which pip downloads. Every file is checked
against the SHA-256 that tiktoken publishes for it, and what is written is read back and compared.

Format of a packed file: zlib of a 4-byte little-endian count n, then n bytes, the length of each
token in order of rank, then the tokens' bytes one after another.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "ctxzip" / "data"
WHEEL = "llama-index-core==0.14.25"

# SHA-256 of the rank files, as in tiktoken_ext/openai_public.py.
VOCABULARIES = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


def rank_files(directory: Path) -> dict[str, bytes]:
    """The rank files below ``directory``, by name, recognised by their SHA-256."""
    by_hash = {digest: name for name, digest in VOCABULARIES.items()}
    found: dict[str, bytes] = {}
    for path in directory.rglob("*"):
        if path.is_file() and 1_000_000 < path.stat().st_size < 10_000_000:
            data = path.read_bytes()
            name = by_hash.get(hashlib.sha256(data).hexdigest())
            if name is not None:
                found[name] = data
    return found


def download(directory: Path) -> None:
    """Fetch the wheel with pip and unpack its rank files into ``directory``."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
    subprocess.run([*command, "--dest", str(directory)], check=True)
    for wheel in directory.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if "/tiktoken_cache/" in name:
                    archive.extract(name, directory)


def pack(ranks: bytes) -> bytes:
    """The packed form of a rank file (lines of base64 token and rank, in order of rank)."""
    tokens = []
    for expected, line in enumerate(ranks.splitlines()):
        token, rank = line.split()
        if int(rank) != expected:
            raise ValueError(f"rank {int(rank)} stands in line {expected}")
        tokens.append(base64.b64decode(token))
    lengths = bytes(len(token) for token in tokens)
    return zlib.compress(len(tokens).to_bytes(4, "little") + lengths + b"".join(tokens), 9)


def unpack(packed: bytes) -> bytes:
    """The rank file that ``pack`` was given."""
    raw = zlib.decompress(packed)
    count = int.from_bytes(raw[:4], "little")
    at = 4 + count
    lines = []
    for rank in range(count):
        token = raw[at : at + raw[4 + rank]]
        at += len(token)
        lines.append(base64.b64encode(token) + b" %d\n" % rank)
    return b"".join(lines)


def main() -> int:
    """Write the packed files; exit status 1 if a rank file is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", help="where rank files lie already")
    directory = parser.parse_args().directory
    with tempfile.TemporaryDirectory() as temporary:
        if directory is None:
            directory = Path(temporary)
            download(directory)
        files = rank_files(directory)
    if missing := sorted(VOCABULARIES.keys() - files.keys()):
        print(f"not found in {directory}: {', '.join(missing)}", file=sys.stderr)
        return 1
    for name, ranks in sorted(files.items()):
        packed = pack(ranks)
        if unpack(packed) != ranks:
            raise ValueError(f"{name} does not survive packing")
        (DATA / f"{name}.bpe.z").write_bytes(packed)
        print(f"{name}: {len(ranks):,} bytes -> {len(packed):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
