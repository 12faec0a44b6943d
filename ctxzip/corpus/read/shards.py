"""Cutting what is read into shards: the unit of work, of output and of resuming.

Where a shard ends depends on the records alone: after a random-looking record between half a shard
and a whole one (content-defined chunking, as in Muthitacharoen et al., "A Low-bandwidth Network
File System", SOSP 2001). So a record that is added or changed moves the borders nearby only, and
an incremental run finds all other shards again by their keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ctxzip.corpus.read import formats
from ctxzip.corpus.read.formats import Blob, Fields
from ctxzip.corpus.read.sources import Split

__all__ = ["Place", "Seen", "Shard", "cut", "name_of", "rows_of"]


class Place(NamedTuple):
    """Where a blob stands: its file, its first line or row, how many records, what is wrong."""

    source: str
    line: int
    records: int
    fault: str | None


@dataclass(slots=True)
class Shard:
    """Some consecutive records of a split.

    Attributes:
        split: number of the split.
        index: its place in the split.
        columnar: blobs are Arrow streams, not JSON objects.
        key: digest of the records and the settings; equal keys mean equal output.
        raws: the blobs; empty bytes where there is a fault.
        places: where each blob stands.
        advanced: bytes of the corpus that were read for it.
    """

    split: int
    index: int
    columnar: bool
    key: str = ""
    raws: list[bytes] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    advanced: int = 0

    @property
    def name(self) -> str:
        """Names its files; sorts in the order of the corpus."""
        return name_of(self.split, self.index)

    def pack(self) -> bytes:
        """As bytes, for another machine."""
        head = json.dumps(
            [self.split, self.index, self.columnar, self.key, self.places, self.advanced,
             [len(raw) for raw in self.raws]]
        ).encode()  # fmt: skip
        return b"".join([len(head).to_bytes(8, "little"), head, *self.raws])

    @staticmethod
    def unpack(data: bytes) -> Shard:
        """The inverse of :meth:`pack`."""
        at = 8 + int.from_bytes(data[:8], "little")
        split, index, columnar, key, places, advanced, sizes = json.loads(data[8:at])
        raws = []
        for size in sizes:
            raws.append(data[at : at + size])
            at += size
        return Shard(split, index, columnar, key, raws, [Place(*p) for p in places], advanced)


@dataclass(frozen=True, slots=True)
class Seen:
    """A shard that need not be made again.

    Attributes:
        name: its name.
        key: what it is made of now.
        changed: the finished shard of that name was made of something else.
        source: the file in which it begins, for messages.
        advanced: bytes of the corpus that were read for it.
    """

    name: str
    key: str
    changed: bool
    source: str
    advanced: int


def name_of(split: int, index: int) -> str:
    """The name of a shard."""
    return f"{split:05d}-{index:05d}"


def cut(split: Split, fields: Fields, size: int, salt: str) -> Iterator[Shard]:
    """The shards of a split, in order.

    Args:
        split: the files.
        fields: how their fields are called.
        size: bytes of records in the largest shard, but for one last record.
        salt: digest of the settings; goes into every key.
    """
    columnar = split.sources[0].columnar
    shard, digest, held, read = Shard(split.number, 0, columnar), _begin(salt), 0, 0
    done = 0  # bytes of the files before this one
    for source in split.sources:
        at = 0
        for blob in formats.read(source, fields):
            at = max(at, min(blob.at, source.size))
            mark = _mark(blob, columnar)
            digest.update(mark)
            shard.raws.append(blob.raw)
            shard.places.append(Place(source.name, blob.line, blob.records, blob.fault))
            held += len(blob.raw)
            # Each byte of the second half is as likely as any other to be the last.
            chance = len(blob.raw) / max(1, size // 4) * 2**32
            if held >= size or (
                2 * held >= size and int.from_bytes(mark[:4], "little") < min(chance, 2**31)
            ):
                shard.key, shard.advanced = digest.hexdigest(), done + at - read
                read = done + at
                yield shard
                shard = Shard(split.number, shard.index + 1, columnar)
                digest, held = _begin(salt), 0
        done += source.size
    shard.key, shard.advanced = digest.hexdigest(), done - read
    if shard.raws or not shard.index:
        yield shard


def _begin(salt: str) -> Any:
    return hashlib.blake2b(salt.encode(), digest_size=16)


def _mark(blob: Blob, columnar: bool) -> bytes:
    """What identifies the content of a blob."""
    raw = blob.raw
    if columnar and raw:  # equal rows may differ as Arrow bytes, in padding and unset slots
        raw = json.dumps(_rows(raw), default=str).encode()
    return hashlib.blake2b(raw or (blob.fault or "").encode(), digest_size=8).digest()


def _rows(raw: bytes) -> list[dict[str, Any]]:
    with formats.arrow().ipc.open_stream(raw) as reader:
        rows: list[dict[str, Any]] = reader.read_all().to_pylist()
    return rows


def rows_of(shard: Shard) -> Iterator[tuple[Place, dict[str, Any] | None, str]]:
    """Every record of a shard: its place, its fields or None, and what is wrong with it."""
    for raw, place in zip(shard.raws, shard.places, strict=True):
        if place.fault is not None:
            yield place, None, place.fault
        elif shard.columnar:
            for i, row in enumerate(_rows(raw)):
                yield Place(place.source, place.line + i, 1, None), row, ""
        else:
            yield place, *_parsed(raw)


def _parsed(raw: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        return None, f"invalid UTF-8 (byte {error.start} of the line)"
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    if not isinstance(row, dict):
        return None, f"a JSON {type(row).__name__}, not an object"
    return row, ""
