"""Reading a corpus: a file in, one blob per record (or per Arrow batch) out, in bounded memory.

A blob is a record as bytes: a JSON object, or an Arrow stream of a few rows. Nothing is parsed that
need not be: finding where records end is the reader's work, the rest is that of the workers.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from ctxzip.corpus.read.sources import Source
from ctxzip.kit.extras import require

__all__ = ["Blob", "Fields", "arrow", "read", "schema_of"]

ROWS = 64  # rows of an Arrow batch
_BUFFER = 2**20
_ESCAPED = re.compile("[\udc80-\udcff]")
# What the libraries raise for a file that is damaged, cut off or unreadable.
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, csv.Error)


class Blob(NamedTuple):
    """What was read at once.

    Attributes:
        raw: a JSON object, or an Arrow stream; empty where there is a fault.
        line: number of its first line or row, from 1; 0 for the file as a whole.
        records: how many are in it.
        at: bytes of the file read so far, for progress.
        fault: why there is no record here, or None.
    """

    raw: bytes
    line: int
    records: int
    at: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """How the fields of a record are called, and how big one may be.

    Attributes:
        text: what is compressed.
        id: the identifier; for text files, their relative path.
        title: informs scoring, or None.
        most: bytes of the longest record that is read.
        include: of folders, only files that fit this pattern, or None for all.
    """

    text: str = "text"
    id: str = "id"
    title: str | None = None
    most: int = 8 * 2**20
    include: str | None = None


def read(source: Source, fields: Fields) -> Iterator[Blob]:
    """The records of a file, in order.

    A file that cannot be opened, or is damaged from some point on, ends with a blob that has a
    fault: what was read before stays good.
    """
    reader = {
        "jsonl": _lines, "csv": _table, "text": _text, "parquet": _columns, "arrow": _columns,
    }[source.format]  # fmt: skip
    line = 0
    try:
        for blob in reader(source, fields):
            line = blob.line + blob.records - 1
            yield blob
    except _BROKEN as error:
        yield _broken(error, line, source)
    except Exception as error:
        # pyarrow and zstandard are optional, so their errors are known by name only.
        if type(error).__module__.partition(".")[0] not in ("pyarrow", "zstandard", "zstd"):
            raise
        yield _broken(error, line, source)


def _broken(error: Exception, line: int, source: Source) -> Blob:
    what = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Blob(b"", line, 0, source.size, f"the file is unreadable after record {line}: {what}")


class _ZstdFile(io.RawIOBase):
    """A zstd file, frame after frame; the library's own reader takes a cut-off file for whole."""

    def __init__(self, raw: IO[bytes]) -> None:
        zstandard = require("zstandard", "corpus")
        self._raw = raw
        self._make = zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj
        self._frame: Any = None
        self._input = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._input = self._input or self._raw.read(_BUFFER // 4)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the zstd stream ended before its end-of-frame marker")
                return 0
            self._frame = self._frame or self._make()
            self._ready = self._frame.decompress(self._input)
            self._input = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


@contextmanager
def _opened(source: Source) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A file as it lies on the disk, for its position, and unpacked."""
    with open(source.path, "rb") as raw:
        stream: Any = raw
        if source.packing == "gz":
            stream = gzip.GzipFile(fileobj=raw)
        elif source.packing == "bz2":
            stream = bz2.open(raw)  # noqa: SIM115  # they close with raw
        elif source.packing == "xz":
            stream = lzma.open(raw)  # noqa: SIM115
        elif source.packing == "zst":
            stream = _ZstdFile(raw)
        yield raw, stream if stream is raw else io.BufferedReader(stream, _BUFFER)


def _lines(source: Source, fields: Fields) -> Iterator[Blob]:
    """JSON lines; blank ones are skipped, and what is too long is passed over in pieces."""
    with _opened(source) as (raw, stream):
        number = 0
        while line := stream.readline(fields.most + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) > fields.most and not line.endswith(b"\n"):
                size = len(line)
                while (rest := stream.readline(_BUFFER)) and not rest.endswith(b"\n"):
                    size += len(rest)
                yield Blob(b"", number, 1, raw.tell(), _too_long(size + len(rest.rstrip()), fields))
            elif line := line.strip():
                yield Blob(line, number, 1, raw.tell())


def _too_long(size: int, fields: Fields) -> str:
    return (
        f"the record has {size:,} bytes, more than the {fields.most:,} that are read;"
        " cut it into passages, or raise --max-record-mb"
    )


def _text(source: Source, fields: Fields) -> Iterator[Blob]:
    """A text file is one record."""
    with _opened(source) as (raw, stream):
        data = stream.read(fields.most + 1)
        at = raw.tell()
    if len(data) > fields.most:
        yield Blob(b"", 1, 1, at, _too_long(max(source.size, len(data)), fields))
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Blob(b"", 1, 1, at, f"not UTF-8 text (byte {error.start})")
        return
    if "\x00" in text:
        yield Blob(b"", 1, 1, at, "a binary file (it holds a NUL byte)")
        return
    yield Blob(_json({fields.id: source.name, fields.text: text}), 1, 1, at)


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _table(source: Source, fields: Fields) -> Iterator[Blob]:
    """A CSV file whose first row names the columns; all values stay strings."""
    with _opened(source) as (raw, stream):
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        header = text.readline()
        rows = csv.reader([header], delimiter=(delimiter := _delimiter(header)))
        names = next(rows, [])
        if _ESCAPED.search(header):
            yield Blob(b"", 1, 0, source.size, "the header is not UTF-8")
            return
        before = csv.field_size_limit(fields.most)
        try:
            reader = csv.reader(text, delimiter=delimiter)
            for number, row in enumerate(filter(None, reader), 1):
                at = raw.tell()
                if len(row) != len(names):
                    fault = f"{len(row)} fields where the header has {len(names)}"
                    yield Blob(b"", number, 1, at, fault)
                elif _ESCAPED.search("".join(row)):
                    yield Blob(b"", number, 1, at, "invalid UTF-8")
                else:
                    yield Blob(_json(dict(zip(names, row, strict=True))), number, 1, at)
        finally:
            csv.field_size_limit(before)


def _delimiter(header: str) -> str:
    """The separator that the header has most of."""
    return max(",\t;|", key=header.count)


def _columns(source: Source, fields: Fields) -> Iterator[Blob]:
    """Parquet and Arrow files, some rows at a time."""
    pa = arrow()
    done = total = 0
    for batch, rows in _batches(source):
        total = total or rows
        for start in range(0, batch.num_rows, ROWS):
            part = batch.slice(start, ROWS)
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, part.schema) as writer:
                writer.write_batch(part)
            line, done = done + 1, done + part.num_rows
            at = source.size * done // rows if rows else source.size // 2
            yield Blob(sink.getvalue(), line, part.num_rows, at)


def _batches(source: Source) -> Iterator[tuple[Any, int]]:
    """Arrow batches of a file, and how many rows it has (0: not known)."""
    pa = arrow()
    if source.format == "parquet":
        from pyarrow import parquet

        # A buffer keeps row groups of gigabytes out of memory.
        with parquet.ParquetFile(source.path, buffer_size=_BUFFER, pre_buffer=False) as file:
            rows = file.metadata.num_rows
            for batch in file.iter_batches(batch_size=ROWS * 16, use_threads=False):
                yield batch, rows
        return
    with pa.OSFile(source.path) as raw, _ipc(raw) as reader:
        for i in range(getattr(reader, "num_record_batches", 2**62)):
            try:
                found = hasattr(reader, "get_batch") and reader.get_batch(i)
                yield found or reader.read_next_batch(), 0
            except StopIteration:
                return


def _ipc(raw: Any) -> Any:
    """A reader of either form of Arrow's IPC; ``datasets`` writes streams."""
    pa = arrow()
    magic = raw.read(6)
    raw.seek(0)
    return pa.ipc.open_file(raw) if magic == b"ARROW1" else pa.ipc.open_stream(raw)


def schema_of(source: Source) -> Any:
    """The Arrow schema of a columnar file; None where it cannot be read."""
    pa = arrow()
    try:
        if source.format == "parquet":
            from pyarrow import parquet

            return parquet.read_schema(source.path)
        with pa.OSFile(source.path) as raw, _ipc(raw) as reader:
            return reader.schema
    except (OSError, pa.ArrowException):
        return None  # its reader will report it as a fault


def arrow() -> Any:
    """The module ``pyarrow``, with ``ipc``.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("pyarrow.ipc", "corpus", "pyarrow")  # pyarrow does not import it by itself
    return require("pyarrow", "corpus")
