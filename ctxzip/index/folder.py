"""A sentence index on disk.

A folder holds ``index.json`` (what it is, and a checksum of every file), ``vectors-*.faiss`` (rows
of all passages, one after the other) and ``passages-*.npz`` (which rows belong to which content,
and the ids). Data files are named after their content and never change; renaming ``index.json``
into place is what makes a new version the current one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np

from ctxzip.errors import InputError, ModelError
from ctxzip.index.entries import Entries
from ctxzip.index.vectors import Vectors
from ctxzip.kit.arrays import Float32Array
from ctxzip.kit.disk import sha256, write_whole
from ctxzip.score.mini import windows
from ctxzip.segment import sentences

__all__ = ["MANIFEST", "Header", "check_target", "read", "stamp", "write"]

MANIFEST = "index.json"
FORMAT = 1
_OURS = ("index.json", "vectors-*.faiss", "passages-*.npz", ".*.partial")

# Cut into sentences, it tells whether the segmenter still is the one that an index was made with.
_SAMPLE = """# Title 1.2 of a report

Dr. O'Neill doesn't agree (see Fig. 3, p. 12). "That can't be," she wrote... Costs rose by 4.5 %!
The U.S. office closed at 5 p.m. Nobody came. Really?! Visit https://example.org/a.b?c=1. E.g. this.

- first item. It has two sentences.
- second item

| part | stock |
|------|-------|
| hose | 12 |

```python
x = 1  # a comment. Not a sentence.
```

Im Jahr 1889 wurde z. B. der Turm eröffnet. Er ist bzw. war hoch. ¿Cuándo llegó? ¡Ayer! Насос не
работает. Почему? 水泵在五月安装。压力不得超过四点五巴。ポンプは設置された。आज बारिश हुई। कल नहीं।
"""


@dataclass(frozen=True, slots=True)
class Header:
    """What an index was made with; see :class:`ctxzip.SentenceIndex`."""

    model: str
    storage: str
    dimension: int
    components: int
    learnt: int
    loss: float
    titles: bool
    language: str | None


@cache
def segmenter() -> str:
    """A digest of what the segmenter makes of a sample, and of how `mini` reads passages."""
    units = sentences.split(_SAMPLE)
    found = [units.start.tolist(), units.end.tolist(), windows.LENGTH, windows.TITLE]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def write(
    folder: Path,
    header: Header,
    vectors: Vectors,
    entries: Entries,
    probe: Float32Array,
) -> str:
    """Write a new version and make it the current one.

    Args:
        folder: where.
        header: what the index was made with.
        vectors: its rows.
        entries: its passages.
        probe: what the model made of fixed sentences.

    Returns:
        The new version.

    Raises:
        InputError: it cannot be written.
    """
    arrays: dict[str, Any] = {**entries.pack(), "probe": probe}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "vectors": _store(folder, "vectors", ".faiss", vectors.write),
            "passages": _store(folder, "passages", ".npz", lambda f: np.savez(f, **arrays)),
        }
        manifest = {
            "format": FORMAT,
            **asdict(header),
            "segmenter": segmenter(),
            "documents": entries.documents,
            "passages": len(entries),
            "sentences": len(vectors),
            "files": files,
        }
        text = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
        write_whole(folder / MANIFEST, text)
        current = {str(facts["name"]) for facts in files.values()}
        for path in _ours(folder):
            if path.name not in current and path.name != MANIFEST:
                path.unlink(missing_ok=True)
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise InputError(
            f"The index {str(folder)!r} cannot be written: {cause.strerror or cause}."
        ) from error
    return hashlib.sha256(text).hexdigest()


def check_target(folder: Path, known: str | None, overwrite: bool) -> None:
    """Make sure that writing destroys nothing that the caller does not know of.

    Args:
        folder: where.
        known: the version that the folder has to have, or None where it must have none.
        overwrite: it may have any version.

    Raises:
        InputError: the folder holds something else.
    """
    try:
        others = set(folder.iterdir()) - set(_ours(folder)) if folder.exists() else set()
        current = _version(folder)
    except OSError as error:
        raise InputError(
            f"The index {str(folder)!r} cannot be written: {error.strerror or error}."
        ) from error
    if current is None and others:
        raise InputError(f"{str(folder)!r} is a folder of other things.", hint="Name a new one.")
    if overwrite:
        return
    if current is not None and known is None:
        raise InputError(
            f"{str(folder)!r} holds an index already.",
            hint="Load that one to change it, or choose another folder.",
        )
    if current != known:
        raise InputError(
            f"{str(folder)!r} was changed by somebody else since it was loaded.",
            hint="Load it again and repeat the change.",
        )


def _version(folder: Path) -> str | None:
    path = folder / MANIFEST
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def stamp(folder: Path) -> tuple[int, int, int]:
    """What changes when a folder gets a new version; zeros where no index lies there."""
    try:
        facts = (folder / MANIFEST).stat()
    except OSError:
        return (0, 0, 0)
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


def _ours(folder: Path) -> Iterator[Path]:
    for pattern in _OURS:
        yield from folder.glob(pattern)


def _store(
    folder: Path, name: str, suffix: str, save: Callable[[IO[bytes]], object]
) -> dict[str, object]:
    """Write a data file under the name of its content."""
    facts: dict[str, object] = {}

    def called(partial: Path) -> Path:
        digest = sha256(partial)
        facts.update(size=partial.stat().st_size, sha256=digest)
        return folder / f"{name}-{digest[:16]}{suffix}"

    path = write_whole(folder / name, save, called=called)
    return {"name": path.name, **facts}


def read(folder: Path) -> tuple[Header, Vectors, Entries, Float32Array, str]:
    """Read the current version.

    Raises:
        InputError: no index lies there.
        ModelError: it is damaged, of another format, or made with another segmenter.
    """
    while True:
        version = _version(folder)
        if version is None:
            raise InputError(
                f"There is no index in {str(folder)!r}.",
                hint='Make one: "ctxzip corpus index FILES -o DIR".',
            )
        try:
            return (*_read(folder), version)
        except (ModelError, OSError) as error:
            if _version(folder) != version:  # replaced while it was read
                continue
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"The index {str(folder)!r} cannot be read: {error}.") from error


def _read(folder: Path) -> tuple[Header, Vectors, Entries, Float32Array]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
        made, cut = manifest["format"], manifest["segmenter"]
        names = {role: str(facts["name"]) for role, facts in manifest["files"].items()}
        digests = {str(f["name"]): str(f["sha256"]) for f in manifest["files"].values()}
        header = Header(**{field: manifest[field] for field in Header.__slots__})
        names["vectors"], names["passages"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error!r}.", hint="Copy or make the index again."
        ) from error
    if made != FORMAT:
        raise ModelError(f"{folder} has format {made!r}; this version reads {FORMAT}.")
    if cut != segmenter():
        raise ModelError(
            f"The index {str(folder)!r} was made by a version that cuts text into other sentences.",
            hint="Make it again with this version.",
        )
    for name, digest in digests.items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise ModelError(
                f"{folder / name} is missing or damaged.", hint="Copy or make the index again."
            )
    vectors = Vectors.open(
        folder / names["vectors"],
        header.storage,
        header.dimension,
        header.components,
    )
    vectors.learnt, vectors.loss = header.learnt, header.loss
    try:
        with np.load(folder / names["passages"], allow_pickle=False) as stored:
            arrays = dict(stored)
        entries = Entries.unpack(arrays, len(vectors))
        probe: Float32Array = arrays["probe"].astype(np.float32)
    except (ValueError, KeyError, BadZipFile) as error:
        raise ModelError(
            f"{folder / names['passages']} cannot be read: {error}.",
            hint="Copy or make the index again.",
        ) from error
    return header, vectors, entries, probe
