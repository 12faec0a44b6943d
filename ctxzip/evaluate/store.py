"""What was measured before, by content: a run that was broken off goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ctxzip.backends import bundle
from ctxzip.errors import CtxzipError, InputError

__all__ = ["Store", "code", "files", "key"]

_ASKED_AT_ONCE = 500
# Parts of the package that compress nothing.
_IRRELEVANT = ("cli.py", "corpus/", "evaluate/", "compressors/export.py", "report/", "serve")


def key(*parts: object) -> str:
    """A digest of JSON values: equal for equal content, whatever it is called."""
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code() -> str:
    """A digest of ctxzip's own code and shipped model, so that no result outlives a change."""
    found = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith(_IRRELEVANT) or name == "evaluate/baselines.py":
            found.update(name.encode() + path.read_bytes())
    try:
        for path in sorted(bundle.find(bundle.SHIPPED).glob("*.json")):
            found.update(path.read_bytes())
    except CtxzipError:
        found.update(b"no bundle")
    return found.hexdigest()


def files(name: str) -> list[list[object]]:
    """Names, sizes and times of the files of a model on this machine; nothing for a hub name."""
    path = Path(name)
    members = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    stats = [(member.name, member.stat()) for member in members if member.is_file()]
    return [[member, stat.st_size, stat.st_mtime_ns] for member, stat in stats]


class Store:
    """JSON values by key in one SQLite file, which several processes may share.

    Args:
        path: the file; it is made where there is none.

    Raises:
        InputError: it cannot be opened, or is not such a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=60)
            with self._connection as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
                )
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values that are known."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Any] = {}
        try:
            for at in range(0, len(wanted), _ASKED_AT_ONCE):
                batch = wanted[at : at + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(batch))
                query = f"SELECT key, value FROM results WHERE key IN ({marks})"  # noqa: S608
                found.update(self._connection.execute(query, batch))
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return {name: json.loads(value) for name, value in found.items()}

    def put(self, values: Mapping[str, object]) -> None:
        """Write values; all of them or, if the process dies, none."""
        rows: Sequence[tuple[str, str]] = [(k, json.dumps(v)) for k, v in values.items()]
        try:
            with self._connection as connection:
                connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _broken(self, error: sqlite3.Error) -> InputError:
        return InputError(
            f"The results so far in {self._path} cannot be used: {error}.",
            hint="Delete the file to begin anew, or choose another folder with --output.",
        )
