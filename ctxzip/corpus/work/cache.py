"""What was compressed before, on disk: one SQLite file that any number of processes may share.

SQLite's write-ahead log survives a killed process. A cache is never worth a failed job: what goes
wrong with it is said once and the job goes on without. Keep the file on a local disk; SQLite's
locks are not reliable over network file systems.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ChunkCache", "is_locked"]

_VERSION = 1
_PATIENCE = 60.0  # seconds that one process waits for another
_CHUNK = 500  # keys of one query; SQLite takes 999 everywhere
_SETUP = """
CREATE TABLE IF NOT EXISTS chunks(
  key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON chunks(used);
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO facts VALUES ('bytes', 0);
"""


class ChunkCache:
    """Bytes by key, the least recently used dropped above a size. Safe across processes.

    Args:
        path: the SQLite file; its folder is made.
        limit: bytes of keys and values that are kept.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.problem: str | None = None
        self._limit = limit
        self._lock = threading.Lock()
        self._base: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = _open(path)
        except (sqlite3.Error, OSError) as error:
            self._give_up(f"the cache {path} cannot be used: {error}")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What is known of some keys."""
        found: dict[bytes, bytes] = {}
        with self._lock:
            if self._base is None:
                return found
            try:
                for i in range(0, len(keys), _CHUNK):
                    chunk = keys[i : i + _CHUNK]
                    marks = ",".join("?" * len(chunk))
                    rows = self._base.execute(
                        f"SELECT key, value FROM chunks WHERE key IN ({marks})",  # noqa: S608
                        chunk,
                    )
                    found.update(rows.fetchall())
                if found:
                    self._touch(self._base, list(found))
            except sqlite3.Error as error:
                self._give_up(f"the cache failed and is left out: {error}")
        return found

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Remember values, in one transaction; the least recently used make room."""
        with self._lock:
            if self._base is None or not items:
                return
            now = time.time_ns()
            try:
                with self._base:
                    self._base.execute("BEGIN IMMEDIATE")
                    added = 0
                    for key, value in items.items():
                        row = (key, value, now)
                        fresh = self._base.execute(
                            "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", row
                        )
                        added += fresh.rowcount * (len(key) + len(value))
                    self._base.execute(
                        "UPDATE facts SET value = value + ? WHERE name = 'bytes'", (added,)
                    )
                    self._evict(self._base)
            except sqlite3.Error as error:
                self._give_up(f"the cache failed and is left out: {error}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._base is not None:
                self._base.close()
                self._base = None

    @staticmethod
    def _touch(base: sqlite3.Connection, keys: list[bytes]) -> None:
        now = time.time_ns()
        with base:
            base.execute("BEGIN IMMEDIATE")
            base.executemany(
                "UPDATE chunks SET used = ? WHERE key = ?", [(now, key) for key in keys]
            )

    def _evict(self, base: sqlite3.Connection) -> None:
        """Down to nine tenths of the limit, once it is exceeded. A transaction is open."""
        ((size,),) = base.execute("SELECT value FROM facts WHERE name = 'bytes'")
        if size <= self._limit:
            return
        freed, doomed = 0, []
        for key, length in base.execute(
            "SELECT key, length(key) + length(value) FROM chunks ORDER BY used, key"
        ):
            if size - freed <= 0.9 * self._limit:
                break
            doomed.append((key,))
            freed += length
        base.executemany("DELETE FROM chunks WHERE key = ?", doomed)
        base.execute("UPDATE facts SET value = value - ? WHERE name = 'bytes'", (freed,))

    def _give_up(self, problem: str) -> None:
        self.problem = problem
        if self._base is not None:
            self._base.close()
            self._base = None


def _open(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(base)
        base.execute("PRAGMA synchronous=NORMAL")
        ((version,),) = base.execute("PRAGMA user_version")
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it has format {version}, not {_VERSION}")
        base.executescript(f"BEGIN IMMEDIATE; {_SETUP} PRAGMA user_version={_VERSION}; COMMIT;")
    except sqlite3.Error:
        base.close()
        raise
    return base


def _write_ahead(base: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, as the first of several processes or after another did.

    SQLite does not wait here: while another process turns it on, "database is locked" comes at
    once, whatever the connection's timeout.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            base.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > end:
                raise
        time.sleep(0.01)


def is_locked(error: sqlite3.Error) -> bool:
    """Whether a database refused because another process is in it."""
    busy = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error, "sqlite_errorcode", -1) & 0xFF in busy
