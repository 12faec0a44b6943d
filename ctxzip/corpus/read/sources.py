"""What a corpus is made of: files found below what the caller named, in a fixed order."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctxzip.errors import InputError

__all__ = ["SUFFIXES", "Source", "Split", "find", "splits"]

PACKED = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".csv": "csv", ".tsv": "csv",
    ".parquet": "parquet", ".arrow": "arrow",
    ".txt": "text", ".text": "text", ".md": "text", ".markdown": "text", ".mdx": "text",
    ".rst": "text",
}  # fmt: skip
SPLIT_BYTES = 64 * 2**20
_SPLIT_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a corpus.

    Attributes:
        path: where it lies, absolute.
        name: how it is called in messages and as an id: relative to what the caller named.
        format: ``"jsonl"``, ``"csv"``, ``"text"``, ``"parquet"`` or ``"arrow"``.
        packing: ``"gz"``, ``"bz2"``, ``"xz"``, ``"zst"`` or None.
        size: bytes on disk.
    """

    path: str
    name: str
    format: str
    packing: str | None
    size: int

    @property
    def columnar(self) -> bool:
        """Whether its records come as Arrow batches rather than as JSON."""
        return self.format in ("parquet", "arrow")


@dataclass(frozen=True, slots=True)
class Split:
    """Files that are read one after the other: a big one alone, small ones together.

    Attributes:
        number: its place in the corpus.
        sources: its files, all columnar or none.
    """

    number: int
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(source.size for source in self.sources)


def find(
    inputs: Sequence[str], *, include: str | None = None, exclude: Path | None = None
) -> tuple[Source, ...]:
    """Every file of a corpus, in the order of ``inputs`` and by name within a folder.

    Args:
        inputs: files, folders, and folders that ``datasets.save_to_disk`` made.
        include: only files of folders whose name or relative path fits this pattern (``*.md``).
        exclude: a folder that is no part of the corpus, such as the output.

    Raises:
        InputError: something does not exist, has no known format, or there is no file at all.
    """
    found: list[Source] = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found += _below(path, include, exclude)
        elif path.is_file():
            source = _source(path, path.name)
            if source is None:
                raise InputError(
                    f"{given} has no known format.",
                    hint=f"Known are {', '.join(SUFFIXES)}, also with .gz, .bz2, .xz or .zst.",
                )
            found.append(source)
        else:
            raise InputError(f"{given} does not exist.")
    if not found:
        raise InputError(
            f"No file to read in {', '.join(map(str, inputs))}.",
            hint=f"Known are {', '.join(SUFFIXES)}.",
        )
    for source in found:
        _check(source)
    return tuple(found)


def splits(sources: Sequence[Source]) -> list[Split]:
    """Group files so that each group is worth a reader of its own."""
    result: list[Split] = []
    group: list[Source] = []
    size = 0
    for source in sources:
        fits = size + source.size <= SPLIT_BYTES and len(group) < _SPLIT_FILES
        if group and not (fits and group[0].columnar == source.columnar):
            result.append(Split(len(result), tuple(group)))
            group, size = [], 0
        group.append(source)
        size += source.size
    if group:
        result.append(Split(len(result), tuple(group)))
    return result


def _below(root: Path, include: str | None, exclude: Path | None) -> Iterator[Source]:
    barred = exclude.resolve() if exclude is not None else None
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            d for d in folders if not d.startswith(".") and (here / d).resolve() != barred
        )
        wanted = sorted(f for f in files if not f.startswith("."))
        if {"state.json", "dataset_info.json"} <= set(wanted):
            wanted = _saved_dataset(here)
        elif "dataset_dict.json" in wanted:
            wanted = [f for f in wanted if f != "dataset_dict.json"]
        for file in wanted:
            name = (here / file).relative_to(root).as_posix()
            if include and not any(fnmatch.fnmatch(x, include) for x in (file, name)):
                continue
            source = _source(here / file, name)
            if source is not None:
                yield source


def _saved_dataset(folder: Path) -> list[str]:
    """The data files of a folder that ``datasets.save_to_disk`` made, in their order."""
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        return [str(file["filename"]) for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'state.json'} cannot be read: {error!r}.") from error


def _source(path: Path, name: str) -> Source | None:
    suffixes = [s.lower() for s in path.suffixes]
    packing = PACKED.get(suffixes[-1]) if suffixes else None
    if packing:
        suffixes.pop()
    kind = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if kind is None or (packing and kind in ("parquet", "arrow")):
        return None
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return Source(str(path.resolve()), name, kind, packing, size)


def _check(source: Source) -> None:
    """Refuse at once what would fail at every record."""
    if not source.path.lower().endswith(".json"):
        return
    try:
        with open(source.path, "rb") as file:
            head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise InputError(f"{source.path} cannot be read: {error.strerror or error}.") from None
    if head.startswith(b"["):
        raise InputError(
            f"{source.path} is one JSON array, not one object a line.",
            hint=f"Convert it first: jq -c '.[]' {source.name} > {Path(source.name).stem}.jsonl",
        )
