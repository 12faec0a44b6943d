"""What a worker does with a shard: decode, compress what is new, encode."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ctxzip.api.nodes import KEY, Node, traced
from ctxzip.compressors import row_of
from ctxzip.corpus.read.shards import Place, Shard, rows_of
from ctxzip.corpus.settings import Resources, Settings, digest
from ctxzip.corpus.work.cache import ChunkCache
from ctxzip.corpus.work.encode import encode
from ctxzip.errors import CtxzipError, InputError, MissingExtraError, ModelError
from ctxzip.kit.arrays import runs
from ctxzip.types import Compression, Document, Request, check_text

__all__ = ["BINS", "Result", "Worker"]

BINS = 20  # of the histogram of ratios
_SAMPLES = 3
_SAMPLE_CHARACTERS = 1200
_QUARANTINED = 65_536  # characters of a record that are repeated in errors.jsonl
_AT_ONCE = 400_000  # characters given to the compressor at once
_SIDE_BY_SIDE = 2  # batches, where they overlap; elsewhere threads would only stand in line
_SHARE = 60_000  # characters of each of these batches
# Wrong for every record alike, so the job must stop.
_FATAL = (ModelError, MissingExtraError)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished shard.

    Attributes:
        split: number of the split.
        index: its place in the split.
        data: the bytes of its file; empty where no record is left.
        facts: its checkpoint, as plain JSON values.
        advanced: bytes of the corpus that were read for it.
    """

    split: int
    index: int
    data: bytes = field(repr=False)
    facts: dict[str, Any]
    advanced: int


class _Chunk(NamedTuple):
    """What became of a text: it and its title make the key."""

    text: str
    spans: list[list[int]] | None
    before: int
    after: int
    compressor: str
    notes: list[str]

    def pack(self, source: str) -> bytes:
        """As bytes; the text only where the spans do not give it."""
        spans = self.spans
        cut = spans is not None and "".join(source[a:b] for a, b in spans) == self.text
        return json.dumps([None if cut else self.text, *self[1:]], ensure_ascii=False).encode()

    @staticmethod
    def unpack(value: bytes, source: str) -> _Chunk:
        text, spans, *rest = json.loads(value)
        if text is None:
            text = "".join(source[a:b] for a, b in spans)
        return _Chunk(text, spans, *rest)


class Worker:
    """Compresses shards. Make one per process, or per GPU.

    Args:
        settings: what decides the output.
        resources: what does not.
        facts: ``settings.facts()``, where it is known: it reads the whole model.

    Raises:
        CtxzipError: the compressor cannot be loaded, or does not take the settings.
    """

    def __init__(
        self, settings: Settings, resources: Resources, facts: dict[str, Any] | None = None
    ) -> None:
        self.settings = settings
        self._compressor = resources.compressor(settings)
        facts = facts if facts is not None else settings.facts()
        # How records are read and written does not change what becomes of a text.
        self._salt = digest(facts, "fields", "format", "shard_bytes", "schema").encode()
        self._threads: ThreadPoolExecutor | None = None
        if row_of(settings.compressor).overlaps and resources.threads != 1:
            self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, "ctxzip-corpus")
        self._cache: ChunkCache | None = None
        if resources.cache is not None:
            self._cache = ChunkCache(Path(resources.cache), resources.cache_bytes)
        probe = Document("The old valve was replaced on 3 May. The new one is made of steel.")
        try:
            self._compressor.compress_many([Request((probe,), None, settings.budget)])
        except CtxzipError as error:
            if isinstance(error, InputError | ModelError | MissingExtraError):
                raise

    def close(self) -> None:
        """Release the model and the cache."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._compressor.close()
        if self._cache is not None:
            self._cache.close()

    def run(self, shard: Shard) -> Result:
        """Compress a shard.

        Raises:
            ModelError: the model fails, whatever the text.
        """
        begun = time.perf_counter()
        tally = _Tally()
        good: list[tuple[Place, dict[str, Any], bytes]] = []
        for place, row, fault in rows_of(shard):
            tally.records += place.records
            wrong = self._unfit(row) if row is not None else fault
            if row is None or wrong:
                tally.reject(place, row, wrong or fault, self.settings)
            else:
                good.append((place, row, self._key(row)))
        chunks = self._chunks(good, tally)
        rows, kept = [], []
        for place, row, key in good:
            chunk = chunks[key]
            if isinstance(chunk, str):
                tally.reject(place, row, chunk, self.settings)
            else:
                rows.append(self._output(row, chunk))
                kept.append((place, row, key, chunk))
        data, rejected = encode(rows, self.settings.format, self.settings.schema)
        for i, (place, row, key, chunk) in enumerate(kept):
            if i in rejected:
                tally.reject(place, row, rejected[i], self.settings)
            else:
                tally.count(row[self.settings.fields.text], key, chunk)
        facts = tally.facts(shard, data)
        if self._cache is not None and self._cache.problem:
            facts["problem"] = self._cache.problem
        facts["seconds"] = round(time.perf_counter() - begun, 4)
        return Result(shard.split, shard.index, data, facts, shard.advanced)

    def _unfit(self, row: dict[str, Any]) -> str | None:
        name = self.settings.fields.text
        if name not in row:
            keys = ", ".join(sorted(map(str, row))[:10])
            return f"no field {name!r}; its fields are: {keys}"
        try:
            check_text(row[name], f"the field {name!r}")
        except InputError as error:
            return str(error)
        return None

    def _title(self, row: dict[str, Any]) -> str | None:
        name = self.settings.fields.title
        title = row.get(name) if name is not None else None
        try:
            check_text(title, "the title")
        except InputError:
            return None  # a title only informs
        return str(title)

    def _key(self, row: dict[str, Any]) -> bytes:
        text, title = row[self.settings.fields.text], self._title(row)
        state = hashlib.blake2b(self._salt, digest_size=16)
        state.update(b"-" if title is None else f"{len(title)}:{title}".encode())
        state.update(text.encode())
        return state.digest()

    def _chunks(
        self, rows: Sequence[tuple[Place, dict[str, Any], bytes]], tally: _Tally
    ) -> dict[bytes, _Chunk | str]:
        """What becomes of every distinct text: from the cache, or compressed now."""
        name = self.settings.fields.text
        distinct = {key: row for _, row, key in rows}
        tally.repeated = len(rows) - len(distinct)
        known = self._cache.get(list(distinct)) if self._cache is not None else {}
        tally.cached = len(known)
        done: dict[bytes, _Chunk | str] = {}
        for key, value in known.items():
            done[key] = _Chunk.unpack(value, distinct[key][name])
        todo = [key for key in distinct if key not in done]
        most = _AT_ONCE if self._threads is None else _SHARE
        groups = list(runs(todo, lambda key: len(distinct[key][name]), most))
        batches = [
            [Document(distinct[k][name], title=self._title(distinct[k])) for k in group]
            for group in groups
        ]
        found = map if self._threads is None else self._threads.map
        for group, chunks in zip(groups, found(self._compress, batches), strict=True):
            fresh = dict(zip(group, chunks, strict=True))
            done.update(fresh)
            if self._cache is not None:
                self._cache.put(
                    {
                        key: chunk.pack(distinct[key][name])
                        for key, chunk in fresh.items()
                        if not isinstance(chunk, str)
                    }
                )
        return done

    def _compress(self, documents: list[Document]) -> list[_Chunk | str]:
        """Results, or why there is none; halves what fails until the faulty ones are alone."""
        budget = self.settings.budget
        try:
            found = self._compressor.compress_many([Request((d,), None, budget) for d in documents])
        except _FATAL:
            raise
        except Exception as error:
            if len(documents) == 1:
                return [f"{type(error).__name__}: {error}"]
            half = len(documents) // 2
            return self._compress(documents[:half]) + self._compress(documents[half:])
        return [_chunk(result) for result in found]

    def _output(self, row: dict[str, Any], chunk: _Chunk) -> dict[str, Any]:
        """A record with its text replaced and where the new one came from."""
        name = self.settings.fields.text
        node = Node(row[name], earlier=row.get(KEY))
        spans = None if chunk.spans is None else traced(node, [(a, b) for a, b in chunk.spans])
        provenance: dict[str, Any] = {
            "compressor": chunk.compressor,
            "spans": spans,
            "tokens_before": chunk.before,
            "tokens_after": chunk.after,
        }
        if chunk.notes:
            provenance["notes"] = chunk.notes
        return {**row, name: chunk.text, KEY: provenance}


def _chunk(compression: Compression) -> _Chunk:
    document = compression.documents[0] if compression.documents else None
    spans: Sequence[tuple[int, int]] | None = () if document is None else document.kept
    return _Chunk(
        compression.text,
        None if spans is None else [[a, b] for a, b in spans],
        compression.tokens_before,
        compression.tokens_after,
        compression.compressor,
        list(compression.notes),
    )


@dataclass(slots=True)
class _Tally:
    """Counts over a shard."""

    records: int = 0
    written: int = 0
    repeated: int = 0
    cached: int = 0
    emptied: int = 0
    before: int = 0
    after: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    compressors: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def reject(
        self, place: Place, row: dict[str, Any] | None, reason: str, settings: Settings
    ) -> None:
        """Quarantine a record."""
        error: dict[str, Any] = {"source": place.source, "line": place.line, "reason": reason}
        if row is not None:
            error["id"] = row.get(settings.fields.id)
            shown = json.dumps(row, default=str)
            if len(shown) <= _QUARANTINED:
                error["record"] = json.loads(shown)
        self.errors.append(error)

    def count(self, text: str, key: bytes, chunk: _Chunk) -> None:
        """Count a record that is written."""
        self.written += 1
        self.before += chunk.before
        self.after += chunk.after
        self.emptied += not chunk.text and bool(text)
        self.compressors[chunk.compressor] += 1
        if chunk.before:
            ratio = chunk.after / chunk.before
            self.bins[min(BINS - 1, int(ratio * BINS))] += 1
        name = key.hex()
        if len(self.samples) == _SAMPLES and name >= self.samples[-1][0]:
            return
        shown = text[:_SAMPLE_CHARACTERS]
        end = len(shown)
        spans: list[list[int]] | None = [[a, min(b, end)] for a, b in chunk.spans or () if a < end]
        sample: dict[str, Any] = {"before": shown, "cut": len(text) > end, "spans": spans}
        if chunk.spans is None:
            sample = {**sample, "spans": None, "after": chunk.text[:_SAMPLE_CHARACTERS]}
        facts = {**sample, "tokens_before": chunk.before, "tokens_after": chunk.after}
        fresh = {name: facts, **dict(self.samples)}
        self.samples = sorted(fresh.items(), key=lambda pair: pair[0])[:_SAMPLES]

    def facts(self, shard: Shard, data: bytes) -> dict[str, Any]:
        """The checkpoint of a shard."""
        self.errors.sort(key=lambda error: (str(error["source"]), int(error["line"])))
        return {
            "key": shard.key,
            "sha256": hashlib.sha256(data).hexdigest() if data else None,
            "bytes": len(data),
            "records": self.records,
            "written": self.written,
            "failed": len(self.errors),
            "repeated": self.repeated,
            "cached": self.cached,
            "emptied": self.emptied,
            "tokens_before": self.before,
            "tokens_after": self.after,
            "compressors": dict(self.compressors),
            "bins": self.bins,
            "samples": [[name, facts] for name, facts in self.samples],
            "errors": self.errors,
        }
