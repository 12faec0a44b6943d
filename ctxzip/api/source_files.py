"""Files, directories and globs as documents; what .gitignore leaves out is left out."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctxzip.code.segment import detect
from ctxzip.errors import InputError
from ctxzip.kit.extras import require
from ctxzip.types import Document

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["Files", "decoded", "read_files"]

_MOST_BYTES = 1_000_000  # of a file that nobody named
_NEVER = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class Files:
    """What was read.

    Attributes:
        documents: one per file, in order; ``id`` is its path, ``title`` too if it is source code.
        skipped: files that were left out, and why.
    """

    documents: tuple[Document, ...]
    skipped: tuple[tuple[str, str], ...] = ()


def read_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    max_bytes: int | None = None,
) -> Files:
    """Read source files and other texts, to be compressed under one budget.

    Args:
        paths: files, directories, and globs such as ``"src/**/*.py"``. Of a directory all source
            files are read, but for those that a ``.gitignore`` in it or above it names; symbolic
            links to directories are not followed.
        max_bytes: larger files are skipped; unless given, those of more than 1,000,000 bytes that
            were found in a directory or by a glob.

    Returns:
        The documents, and what was skipped: binary files, files that are too large, that are not
        UTF-8 or that cannot be read. An explicitly named file is read whatever its name says.

    Raises:
        InputError: a path that does not exist, or nothing that could be read.
        MissingExtraError: a directory with a ``.gitignore``, and no package that reads it.
    """
    if max_bytes is not None and max_bytes < 1:
        raise InputError(f"max_bytes={max_bytes!r} is below 1.")
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    documents: dict[str, Document] = {}
    skipped: dict[str, str] = {}
    for path in given:
        name = os.fspath(path)
        found = list(_files(name))
        if not found:
            what = "holds no source code" if Path(name).is_dir() else "matches no file"
            skipped[name] = what
        for file in found:
            key = str(file)
            if key in documents or key in skipped:
                continue
            try:
                most = _MOST_BYTES if max_bytes is None and key != name else max_bytes
                source = detect.by_path(key) not in (None, "text")
                documents[key] = Document(_text(file, most), key, key if source else None)
            except InputError as error:
                skipped[key] = str(error)
    if not documents:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:5])
        raise InputError(f"Nothing could be read. {reasons}" if reasons else "No file is given.")
    return Files(tuple(documents.values()), tuple(skipped.items()))


def decoded(data: bytes, shown: str) -> str:
    """The text of a file's bytes, UTF-8.

    Raises:
        InputError: they are not text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\x00" in data[:8192]:
            raise InputError(f"{shown} is a binary file (it holds a NUL byte).") from None
        raise InputError(
            f"{shown} is not UTF-8 text (byte {error.start}).",
            hint="Convert it first, for example with iconv.",
        ) from None
    if "\x00" in text:
        raise InputError(f"{shown} is a binary file (it holds a NUL byte).")
    return text


def _files(name: str) -> Iterator[Path]:
    """The files that one argument stands for."""
    path = Path(name)
    if path.is_dir():
        yield from _walk(path, _Ignored(path))
    elif path.exists() or not glob.has_magic(name):
        if not path.exists():
            raise InputError(f"{name} cannot be read: there is no such file.")
        yield path
    else:
        ignored: dict[Path, _Ignored] = {}
        for file in _matches(path):
            if not file.is_file() or _NEVER.intersection(file.parts):
                continue
            rules = ignored.setdefault(file.parent, _Ignored(file.parent))
            if not rules.drops(file):
                yield file


def _matches(pattern: Path) -> list[Path]:
    """What a glob stands for; unlike ``glob``, ``**`` follows no symbolic links."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:first])
    try:
        return sorted(base.glob(str(Path(*parts[first:])))) if base.is_dir() else []
    except ValueError as error:
        raise InputError(f"{pattern} is no pattern of files: {error}.") from None


def _walk(folder: Path, ignored: _Ignored) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _NEVER and not ignored.drops(path, folder=True):
                yield from _walk(path, ignored.below(path))
        elif entry.is_file() and not ignored.drops(path):
            kind = detect.by_path(entry.name)
            if kind is not None and kind != "text":
                yield path


class _Ignored:
    """The rules of the ``.gitignore`` files of a folder and of all above it in its repository."""

    def __init__(self, folder: Path) -> None:
        self._rules: list[tuple[Path, GitIgnoreSpec]] = []
        here = folder.resolve()
        above = [here]
        while not (above[-1] / ".git").exists() and above[-1].parent != above[-1]:
            above.append(above[-1].parent)
        if (above[-1] / ".git").exists():
            for place in reversed(above[1:]):
                self._read(place)
            chain = above[-2::-1]
            if any(self.drops(place, folder=True) for place in chain):
                self._rules.clear()  # who names a folder that is ignored means it
        self._read(here)

    def _read(self, folder: Path) -> None:
        file = folder / ".gitignore"
        if not file.is_file():
            return
        specs = require("pathspec", "code").GitIgnoreSpec
        lines = file.read_text("utf-8", "replace").splitlines()
        self._rules.append((folder, specs.from_lines(lines)))

    def below(self, folder: Path) -> _Ignored:
        """With the rules of a folder inside."""
        other = object.__new__(_Ignored)
        other._rules = list(self._rules)
        other._read(folder.resolve())
        return other

    def drops(self, path: Path, *, folder: bool = False) -> bool:
        """Whether the rules leave a path out; a deeper file's rules win."""
        absolute = path.parent.resolve() / path.name
        verdict = False
        for place, spec in self._rules:
            relative = absolute.relative_to(place).as_posix() + ("/" if folder else "")
            found = spec.check_file(relative).include
            verdict = verdict if found is None else bool(found)
        return verdict


def _text(path: Path, max_bytes: int | None) -> str:
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a regular file.")
        size = path.stat().st_size
        if max_bytes is not None and size > max_bytes:
            raise InputError(
                f"{path} has {size:,} bytes, more than the {max_bytes:,} allowed.",
                hint="Raise max_bytes (--max-bytes), or split it.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return decoded(data, str(path))
