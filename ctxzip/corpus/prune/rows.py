"""Dropping what a corpus says twice, or does not say at all.

Three passes over the files, in bounded memory (about 150 bytes a record and 12 a distinct line):
lines that repeat are counted; passages, without those, are signed; and the rest is written.
Everything that goes is listed with its reason.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

import ctxzip
from ctxzip.api.nodes import KEY, Node, traced
from ctxzip.corpus.prune.boilerplate import RepeatedLines, empty_reason
from ctxzip.corpus.prune.similar import Signatures, UIntArray, fold, jaccard, shingles
from ctxzip.corpus.read import shards, sources
from ctxzip.corpus.read.formats import Fields
from ctxzip.corpus.read.shards import Place
from ctxzip.corpus.work.encode import encode
from ctxzip.errors import InputError
from ctxzip.kit.disk import OutputError, write_whole
from ctxzip.text import tokens
from ctxzip.types import Span, check_text

__all__ = ["Pruned", "Rules", "prune"]

_EXAMPLES = 5
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """What goes.

    Attributes:
        similarity: Jaccard similarity of three-word shingles from which a passage with the same
            numbers and negations is a near-duplicate; None keeps those.
        repeated: documents in which a line must stand to be boilerplate; 0 keeps all lines.
        least_words: passages with fewer words carry no information; 0 keeps them all.
    """

    similarity: float | None = 0.85
    repeated: int = 10
    least_words: int = 3

    def __post_init__(self) -> None:
        if self.similarity is not None and not 0.5 <= self.similarity <= 1:
            raise InputError(
                f"similarity={self.similarity!r} is not in [0.5, 1].",
                hint="0.85 finds edited copies; 1 those with the same words only.",
            )
        if self.repeated < 0 or self.repeated == 1 or self.least_words < 0:
            raise InputError("repeated must be 0 or at least 2, and least_words at least 0.")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was dropped, or would be.

    Attributes:
        records: read.
        kept: written, whole or without repeated lines.
        failed: left out because they cannot be read.
        dropped: records by reason.
        tokens: dropped by reason.
        trimmed: records that lost repeated lines.
        examples: a few dropped texts by reason.
    """

    records: int
    kept: int
    failed: int
    dropped: dict[str, int]
    tokens: dict[str, int]
    trimmed: int
    examples: dict[str, list[str]]


class _Record(NamedTuple):
    place: Place
    row: dict[str, Any]
    text: str


def prune(
    given: Sequence[str],
    output: Path | None,
    rules: Rules,
    fields: Fields | None = None,
    *,
    listing: Path | None = None,
    shard_bytes: int = 16 * 2**20,
    tokenizer: str = "o200k_base",
) -> Pruned:
    """Copy a corpus without what it repeats or does not need.

    Args:
        given: files and folders.
        output: a new folder for the rest, as JSON lines; None only looks (a dry run).
        rules: what goes.
        fields: how the fields of a record are called.
        listing: where all that is dropped is listed; ``dropped.jsonl`` in the output by default.
        shard_bytes: bytes of records in a shard.
        tokenizer: what counts tokens, by name.

    Raises:
        InputError: the input cannot be found, or the output folder is not empty.
        OutputError: the output cannot be written; there is no output folder then.
    """
    fields = fields if fields is not None else Fields()
    found = sources.find(given, include=fields.include, exclude=output)
    splits = sources.splits(found)

    def read() -> Iterator[_Record | tuple[Place, str]]:
        for split in splits:
            for shard in shards.cut(split, fields, 2**20, ""):
                yield from _records(shard, fields)

    try:
        with _folder(output) as partial:
            listing = partial / "dropped.jsonl" if partial and listing is None else listing
            with open(listing or os.devnull, "w", encoding="utf-8") as drops:
                writer = _Writer(partial, shard_bytes, drops, tokens.resolve(tokenizer))
                result = _through(read, rules, fields, writer)
            if partial is not None:
                facts = {"version": ctxzip.__version__, "rules": asdict(rules), **asdict(result)}
                text = json.dumps(facts, indent=1) + "\n"
                write_whole(partial / "manifest.json", text.encode())
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        where = output if output is not None else listing
        raise OutputError(f"{where} cannot be written: {error.strerror or error}.") from error
    return result


@contextmanager
def _folder(output: Path | None) -> Iterator[Path | None]:
    """A folder that becomes the output once all is in it; None for none."""
    if output is None:
        yield None
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is not empty.", hint="Choose a new folder.")
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if output.exists():
            output.rmdir()
        partial.replace(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _records(shard: shards.Shard, fields: Fields) -> Iterator[_Record | tuple[Place, str]]:
    for place, row, fault in shards.rows_of(shard):
        if row is None:
            yield place, fault
            continue
        try:
            check_text(row.get(fields.text), f"the field {fields.text!r}")
        except InputError as error:
            yield place, str(error)
        else:
            yield _Record(place, row, row[fields.text])


def _through(
    read: Callable[[], Iterator[_Record | tuple[Place, str]]],
    rules: Rules,
    fields: Fields,
    writer: _Writer,
) -> Pruned:
    lines = RepeatedLines(rules.repeated)
    if rules.repeated:
        for item in read():
            if isinstance(item, _Record):
                lines.add(item.text)
    lines.end()

    def trimmed(text: str) -> tuple[list[Span], str]:
        spans = lines.without(text)
        return spans, "".join(text[a:b] for a, b in spans)

    signatures = Signatures()
    for item in read():
        if isinstance(item, _Record):
            signatures.add(trimmed(item.text)[1])
    repeats = _Repeats(signatures, rules.similarity)
    records = failed = 0
    for item in read():
        if not isinstance(item, _Record):
            records += item[0].records
            failed += 1
            writer.fail(*item)
            continue
        spans, text = trimmed(item.text)
        name = item.row.get(fields.id, f"{item.place.source}:{item.place.line}")
        empty = empty_reason(text, rules.least_words) if rules.least_words else None
        why = repeats.reason(records - failed, text, name, gone=empty is not None)
        records += 1
        kind, detail = ("no information", empty) if empty else why
        if kind:
            writer.drop(item.place, name, kind, str(detail), item.text)
        else:
            writer.keep(item, spans, text, name, fields)
    writer.flush()
    return Pruned(
        records, writer.kept, failed, dict(writer.dropped), dict(writer.tokens), writer.trimmed,
        writer.examples,
    )  # fmt: skip


class _Repeats:
    """Which passages repeat an earlier one that is kept."""

    def __init__(self, signatures: Signatures, similarity: float | None) -> None:
        self._copies = signatures.copies()
        self._similarity = similarity
        self._candidates = signatures.candidates() if similarity is not None else {}
        self._wanted = {head for heads in self._candidates.values() for head in heads}
        heads = np.unique(self._copies[self._copies != np.arange(len(self._copies))])
        self._named = self._wanted | set(heads.tolist())
        self._names: dict[int, object] = {}
        self._shingles: dict[int, UIntArray] = {}

    def reason(self, i: int, text: str, name: object, *, gone: bool) -> tuple[str | None, str]:
        """Why passage ``i`` goes, if it does; passages must come in order."""
        head = int(self._copies[i])
        if head != i and head in self._names:
            return "duplicate", f"the same text as {self._names[head]}"
        if gone:
            return None, ""
        mine: UIntArray | None = None
        if i in self._candidates or i in self._wanted:
            mine = shingles(fold(text))
        for head in self._candidates.get(i, ()):
            if mine is not None and head in self._shingles:
                same = jaccard(mine, self._shingles[head])
                if self._similarity is not None and same >= self._similarity:
                    return "near-duplicate", f"{same:.0%} the same as {self._names[head]}"
        if i in self._named:
            self._names[i] = name
            if mine is not None and i in self._wanted:
                self._shingles[i] = mine
        return None, ""


class _Writer:
    """Writes what stays, lists what goes, counts both."""

    def __init__(
        self, folder: Path | None, size: int, drops: IO[str], counter: tokens.TokenCounter
    ) -> None:
        self.kept = self.trimmed = 0
        self.dropped: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._folder = folder
        self._size = size
        self._drops = drops
        self._counter = counter
        self._rows: list[dict[str, Any]] = []
        self._held = self._parts = 0

    def fail(self, place: Place, reason: str) -> None:
        """List a record that cannot be read."""
        self._list({"source": place.source, "line": place.line, "kind": "unreadable",
                    "reason": reason})  # fmt: skip

    def drop(self, place: Place, name: object, kind: str, reason: str, text: str) -> None:
        """List a record that goes."""
        self.dropped[kind] += 1
        self._count(kind, text)
        self._list({"source": place.source, "line": place.line, "id": name, "kind": kind,
                    "reason": reason, "text": text})  # fmt: skip

    def keep(
        self, record: _Record, spans: list[Span], text: str, name: object, fields: Fields
    ) -> None:
        """Write a record, without its repeated lines if it has any."""
        self.kept += 1
        row = record.row
        if len(text) != len(record.text):
            self.trimmed += 1
            at = 0
            for start, end in [*spans, Span(len(record.text), len(record.text))]:
                if gone := record.text[at:start].strip():
                    self._count("repeated lines", gone)
                    self._list({"source": record.place.source, "line": record.place.line,
                                "id": name, "kind": "repeated lines",
                                "reason": "in many documents", "text": gone})  # fmt: skip
                at = end
            before, after = self._counter.count(record.text), self._counter.count(text)
            node = Node(record.text, earlier=row.get(KEY))
            facts = {"compressor": "prune", "spans": traced(node, spans),
                     "tokens_before": before, "tokens_after": after}  # fmt: skip
            row = {**row, fields.text: text, KEY: facts}
        if self._folder is not None:
            self._rows.append(row)
            self._held += len(text)
            if self._held >= self._size:
                self.flush()

    def flush(self) -> None:
        """Write what is held as a shard."""
        if self._folder is not None and self._rows:
            data, _ = encode(self._rows, "jsonl", None)
            write_whole(self._folder / f"part-{self._parts:05d}.jsonl", data)
            self._parts += 1
        self._rows, self._held = [], 0

    def _count(self, kind: str, text: str) -> None:
        self.tokens[kind] += self._counter.count(text)
        shown = self.examples.setdefault(kind, [])
        short = " ".join(text.split())[:_SHOWN]
        if len(shown) < _EXAMPLES and short not in shown:
            shown.append(short)

    def _list(self, entry: dict[str, Any]) -> None:
        print(json.dumps(entry, default=str), file=self._drops)
