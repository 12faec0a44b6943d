"""What a sentence index knows of its passages."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import BoolArray
from ctxzip.text.units import Passage

__all__ = ["Entries", "key_of"]

_KEY = 16


def key_of(passage: Passage, titles: bool) -> bytes:
    """What a passage is found by: a digest of its text and, where it is read, its title."""
    title = (passage.document.title or "") if titles else ""
    head = title.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(len(head).to_bytes(8, "little") + head, digest_size=_KEY)
    digest.update(passage.text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _cut_of(passage: Passage) -> int:
    """A digest of where a passage's units begin and end."""
    units = passage.units
    digest = hashlib.blake2b(units.start.tobytes() + units.end.tobytes(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


class Entries:
    """Which rows hold the sentences of which content, and which ids have it. Not thread-safe."""

    def __init__(self) -> None:
        self._at: dict[bytes, int] = {}
        self._first, self._count = array("q"), array("q")
        self._cut = array("Q")
        self._ids: dict[str, tuple[bytes, ...]] = {}
        self._packed: Mapping[str, npt.NDArray[Any]] | None = None  # ids that nobody asked for yet
        self._users: dict[bytes, int] = {}  # ids per content

    def __len__(self) -> int:
        return len(self._at)

    @property
    def documents(self) -> int:
        """Number of ids."""
        return len(self._ids) if self._packed is None else len(self._packed["id_size"])

    def ids(self) -> list[str]:
        """Every id."""
        self._unpack()
        return list(self._ids)

    @property
    def rows(self) -> int:
        """Rows of all content together."""
        return sum(self._count)

    def has(self, key: bytes) -> bool:
        """Whether the content is known."""
        return key in self._at

    def find(self, key: bytes, passage: Passage) -> tuple[int, int] | None:
        """First row and number of rows, or None where it is not known or was cut differently."""
        i = self._at.get(key)
        if i is None or self._cut[i] != _cut_of(passage):
            return None
        return self._first[i], self._count[i]

    def put(self, key: bytes, passage: Passage, first: int) -> None:
        """Content whose units are the rows from ``first`` on."""
        self._unpack()
        self._at[key] = len(self._first)
        self._first.append(first)
        self._count.append(len(passage.units))
        self._cut.append(_cut_of(passage))
        self._users[key] = 0

    def link(self, identifier: str, key: bytes) -> None:
        """A document has this content."""
        self._unpack()
        known = self._ids.get(identifier, ())
        if key not in known:
            self._ids[identifier] = (*known, key)
            self._users[key] += 1

    def unlink(self, identifiers: Iterable[str]) -> None:
        """Forget documents; their content stays until :meth:`sweep`."""
        self._unpack()
        for identifier in identifiers:
            for key in self._ids.pop(identifier, ()):
                self._users[key] -= 1

    def sweep(self, gone: BoolArray) -> int:
        """Forget the content that no document has.

        Args:
            gone: bool, shape (rows,); set where a row is to be removed. The rows that stay are
                counted anew here.

        Returns:
            How much content was forgotten.
        """
        unused = [key for key, users in self._users.items() if not users]
        if not unused:
            return 0
        for key in unused:
            i = self._at.pop(key)
            gone[self._first[i] : self._first[i] + self._count[i]] = True
            del self._users[key]
        moved = np.concatenate([[0], np.cumsum(~gone)])
        order = list(self._at.items())
        kept = [i for _, i in order]
        self._first = array("q", [int(moved[self._first[i]]) for i in kept])
        self._count = array("q", [self._count[i] for i in kept])
        self._cut = array("Q", [self._cut[i] for i in kept])
        self._at = {key: new for new, (key, _) in enumerate(order)}
        return len(unused)

    def pack(self) -> dict[str, npt.NDArray[Any]]:
        """As arrays."""
        self._unpack()
        keys = np.frombuffer(b"".join(self._at), np.uint8).reshape(-1, _KEY)
        names = [name.encode("utf-8", "surrogatepass") for name in self._ids]
        return {
            "key": keys,
            "first": np.array(self._first, np.int64),
            "count": np.array(self._count, np.int64),
            "cut": np.array(self._cut, np.uint64),
            "id": np.frombuffer(b"".join(names), np.uint8),
            "id_size": np.array([len(name) for name in names], np.int64),
            "id_keys": np.array([len(keys) for keys in self._ids.values()], np.int64),
            "id_entry": np.array(
                [self._at[key] for keys in self._ids.values() for key in keys], np.int64
            ),
        }

    @classmethod
    def unpack(cls, arrays: Mapping[str, npt.NDArray[Any]], rows: int) -> Entries:
        """From arrays; ids are only read when somebody asks for them.

        Raises:
            ValueError: the arrays do not fit together.
        """
        result = cls()
        keys = arrays["key"].tobytes()
        result._at = {keys[i : i + _KEY]: i // _KEY for i in range(0, len(keys), _KEY)}
        result._first = array("q", arrays["first"].tobytes())
        result._count = array("q", arrays["count"].tobytes())
        result._cut = array("Q", arrays["cut"].tobytes())
        sizes = {len(result._at), len(result._first), len(result._count), len(result._cut)}
        entry = arrays["id_entry"]
        if (
            len(sizes) > 1
            or int(arrays["count"].sum()) != rows
            or (len(result) and int((arrays["first"] + arrays["count"]).max()) > rows)
            or int(arrays["id_size"].sum()) != len(arrays["id"])
            or int(arrays["id_keys"].sum()) != len(entry)
            or (len(entry) and not 0 <= int(entry.min()) <= int(entry.max()) < len(result))
        ):
            raise ValueError("its arrays do not fit together")
        result._packed = arrays
        return result

    def _unpack(self) -> None:
        if self._packed is None:
            return
        arrays, self._packed = self._packed, None
        blob = arrays["id"].tobytes()
        keys = list(self._at)
        entries = iter(arrays["id_entry"].tolist())
        self._users = dict.fromkeys(keys, 0)
        at = 0
        for size, many in zip(arrays["id_size"].tolist(), arrays["id_keys"].tolist(), strict=True):
            name = blob[at : at + size].decode("utf-8", "surrogatepass")
            at += size
            own = tuple(keys[next(entries)] for _ in range(many))
            self._ids[name] = own
            for key in own:
                self._users[key] += 1
