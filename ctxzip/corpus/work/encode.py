"""Records as the bytes of a shard: JSON lines, plain or packed, or Parquet."""

from __future__ import annotations

import base64
import datetime
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from ctxzip.api.nodes import KEY
from ctxzip.corpus.read import shards
from ctxzip.corpus.read.formats import Fields, arrow, schema_of
from ctxzip.corpus.read.sources import Split
from ctxzip.errors import InputError
from ctxzip.kit.extras import require

__all__ = ["Rejected", "decode_schema", "encode", "learn_schema"]

Rejected = dict[int, str]
_SAMPLE = 1000


def encode(rows: Sequence[dict[str, Any]], form: str, schema: str | None) -> tuple[bytes, Rejected]:
    """The bytes of a shard, the same for the same rows.

    Returns:
        The bytes, empty where no row is left, and why rows do not fit the schema, by index.
    """
    if form == "parquet":
        return _parquet(rows, decode_schema(schema))
    data = b"".join(map(_line, rows))
    if form == "jsonl.gz":
        data = gzip.compress(data, 6, mtime=0)
    elif form == "jsonl.zst":
        data = require("zstandard", "corpus").ZstdCompressor(level=3).compress(data)
    return data if rows else b"", {}


def _line(row: dict[str, Any]) -> bytes:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, in a field that is not ours
        return json.dumps(row, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(value: object) -> object:
    """Values of Arrow that JSON has no form for."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _parquet(rows: Sequence[dict[str, Any]], schema: Any) -> tuple[bytes, Rejected]:
    from pyarrow import parquet

    pa = arrow()
    names = set(schema.names)
    rejected: Rejected = {}
    for i, row in enumerate(rows):
        if extra := sorted(row.keys() - names):
            rejected[i] = f"field {extra[0]!r} is not in the Parquet schema; write JSON lines"
    good = [row for i, row in enumerate(rows) if i not in rejected]
    try:
        table = pa.Table.from_pylist(good, schema)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        for i, row in enumerate(rows):
            if i not in rejected and (why := _misfit(row, schema)):
                rejected[i] = why
        good = [row for i, row in enumerate(rows) if i not in rejected]
        table = pa.Table.from_pylist(good, schema)
    if not good:
        return b"", rejected
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue(), rejected


def _misfit(row: dict[str, Any], schema: Any) -> str | None:
    pa = arrow()
    try:
        pa.Table.from_pylist([row], schema)
    except (pa.ArrowException, TypeError, OverflowError, ValueError) as error:
        return f"it does not fit the Parquet schema ({error}); write JSON lines"
    return None


def decode_schema(schema: str | None) -> Any:
    """The Arrow schema of a job."""
    pa = arrow()
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema or "")))


def learn_schema(splits: Iterable[Split], fields: Fields) -> str:
    """The schema of Parquet shards: that of columnar files, or what the first records show.

    Raises:
        InputError: files have fields of one name and different types.
    """
    pa = arrow()
    splits = list(splits)
    known = [schema_of(source) for s in splits for source in s.sources if source.columnar]
    schemas = [schema.remove_metadata() for schema in known if schema is not None]
    sample: list[dict[str, Any]] = []
    for split in splits:
        if not split.sources[0].columnar:
            found = (row for s in shards.cut(split, fields, 2**20, "") for row in _good(s, fields))
            sample += list(islice(found, _SAMPLE - len(sample)))
    try:
        if sample:
            schemas.append(pa.Table.from_pylist(_same_keys(sample)).schema)
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowException, TypeError) as error:
        raise InputError(
            f"The records do not fit one Parquet schema: {error}.", hint="Write --format jsonl."
        ) from None
    for name in (fields.text, KEY):
        at = schema.get_field_index(name)
        kind = pa.string() if name != KEY else _provenance_type()
        if at < 0:
            schema = schema.append(pa.field(name, kind))
        elif name == KEY or not pa.types.is_large_string(schema.field(at).type):
            schema = schema.set(at, pa.field(name, kind))
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _good(shard: shards.Shard, fields: Fields) -> Iterable[dict[str, Any]]:
    for _, row, _ in shards.rows_of(shard):
        if row is not None and isinstance(row.get(fields.text), str):
            yield row


def _same_keys(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the fields of all; Arrow would look at those of the first only."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in keys} for row in rows]


def _provenance_type() -> Any:
    pa = arrow()
    return pa.struct(
        [
            ("compressor", pa.string()),
            ("spans", pa.list_(pa.list_(pa.int64()))),
            ("tokens_before", pa.int64()),
            ("tokens_after", pa.int64()),
            ("notes", pa.list_(pa.string())),
        ]
    )
