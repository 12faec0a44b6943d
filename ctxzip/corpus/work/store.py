"""The output folder: shards and their checkpoints, each written whole or not at all.

    OUT/part-00000-00000.jsonl      shards; by name they are in the order of the corpus
    OUT/manifest.json               settings, checksums, counts, times
    OUT/errors.jsonl                records that were left out, and why
    OUT/.ctxzip/job.json            what the job was asked
    OUT/.ctxzip/done/*.json         a checkpoint per shard, written after the shard
    OUT/.ctxzip/pool/*              during an incremental run: earlier shards by key
    OUT/.ctxzip/cache.sqlite        chunks that were compressed

A shard counts as done when its checkpoint exists and its file has the size that stands there. Files
are written under a temporary name, synced and renamed, so a killed job leaves at most a temporary
file, which the next one removes.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctxzip.corpus.work.cache import is_locked
from ctxzip.errors import InputError
from ctxzip.kit.disk import OutputError, output_error, write_whole

__all__ = ["Store"]

_HIDDEN = ".ctxzip"


class Store:
    """An output folder.

    Args:
        folder: where it is, or will be.
        suffix: of shard files, ``"jsonl"`` for instance.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder = folder
        self.suffix = suffix
        self.hidden = folder / _HIDDEN
        self._done = self.hidden / "done"
        self._pool = self.hidden / "pool"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and be the only job in it.

        Raises:
            InputError: something else is in it, or another job is at work.
            OutputError: it cannot be made.
        """
        try:
            strangers = self.folder.is_dir() and any(self.folder.iterdir())
            if strangers and not self.hidden.is_dir():
                raise InputError(
                    f"{self.folder} is not empty and was not made by this command.",
                    hint="Choose a new folder.",
                )
            self._done.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.folder, error) from error
        # An SQLite lock ends with its process, however that ends, on every system.
        lock = sqlite3.connect(self.hidden / "lock", timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            if is_locked(error):
                raise InputError(f"Another job is writing to {self.folder}.") from None
            raise OutputError(f"{self.hidden / 'lock'} cannot be written: {error}.") from error
        try:
            self._sweep()
            yield
        finally:
            lock.close()

    def _sweep(self) -> None:
        """Remove what a killed job left half-written."""
        for folder in (self.folder, self.hidden, self._done, self._pool):
            for path in folder.glob(".*.partial") if folder.is_dir() else ():
                path.unlink(missing_ok=True)

    def job(self) -> dict[str, Any] | None:
        """What the job in this folder was asked; None where it is new."""
        try:
            job: dict[str, Any] = json.loads((self.hidden / "job.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.hidden / 'job.json'} cannot be read: {error}.", hint="Choose a new folder."
            ) from error
        return job

    def begin(self, job: dict[str, Any]) -> None:
        """Write down what is asked."""
        write_whole(self.hidden / "job.json", _json(job))

    def part(self, name: str) -> Path:
        """The file of a shard."""
        return self.folder / f"part-{name}.{self.suffix}"

    def finished(self) -> dict[str, str]:
        """Keys of the shards that are done, by name, in order."""
        return {name: str(facts["key"]) for name, facts in self.checkpoints()}

    def checkpoints(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and checkpoints of the shards that are done, in order."""
        for path in sorted(self._done.glob("*.json")):
            facts = _facts(path)
            if facts is not None and _size(self.part(path.stem)) == facts["bytes"]:
                yield path.stem, facts

    def checkpoint(self, name: str) -> dict[str, Any]:
        """The checkpoint of a shard that is done."""
        return _facts(self._done / f"{name}.json") or {}

    def finish(self, name: str, data: bytes, facts: dict[str, Any]) -> None:
        """Write a shard, then its checkpoint."""
        if data:
            write_whole(self.part(name), data)
        write_whole(self._done / f"{name}.json", _json(facts))

    def to_pool(self) -> dict[str, str]:
        """Set all shards aside by key; returns the name under which each can be adopted."""
        self._pool.mkdir(exist_ok=True)
        for name, facts in list(self.checkpoints()):
            if not facts["failed"]:  # line numbers in its errors may no longer be right
                if facts["bytes"]:
                    self.part(name).replace(self._pool / str(facts["key"]))
                (self._done / f"{name}.json").replace(self._pool / f"{facts['key']}.json")
        for path in [*self._done.glob("*.json"), *self.folder.glob("part-*")]:
            path.unlink()
        pooled = {}
        for path in self._pool.glob("*.json"):
            found = _facts(path)
            if found is not None and _size(path.with_suffix("")) == found["bytes"]:
                pooled[path.stem] = path.stem
        return pooled

    def adopt(self, name: str, key: str) -> dict[str, Any]:
        """Take a shard out of the pool; it stays there for another of the same key."""
        facts = json.loads((self._pool / f"{key}.json").read_bytes())
        if facts["bytes"]:
            target = self.part(name)
            partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
            try:
                try:
                    os.link(self._pool / key, partial)
                except OSError:  # not every file system has links
                    shutil.copyfile(self._pool / key, partial)
                partial.replace(target)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise output_error(target, error) from error
        write_whole(self._done / f"{name}.json", _json(facts))
        return dict(facts)

    def end(self, names: set[str], manifest: dict[str, Any], *, complete: bool) -> None:
        """Write the manifest and the errors; when complete, remove what is no part of the job."""
        if complete:
            shutil.rmtree(self._pool, ignore_errors=True)
            for path in self._done.glob("*.json"):
                if path.stem not in names:
                    path.unlink()
                    self.part(path.stem).unlink(missing_ok=True)
        target = self.folder / "errors.jsonl"
        if any(facts["errors"] for _, facts in self.checkpoints()):
            write_whole(
                target,
                (
                    json.dumps(error).encode() + b"\n"
                    for _, facts in self.checkpoints()
                    for error in facts["errors"]
                ),
            )
        else:
            target.unlink(missing_ok=True)
        write_whole(self.folder / "manifest.json", _json(manifest))


def _facts(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # not a checkpoint: the shard will be made again
    return facts


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
