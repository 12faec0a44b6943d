"""What a corpus holds, and what compressing it would save and cost, from a sample."""

from __future__ import annotations

import heapq
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ctxzip.corpus.prune.similar import Signatures
from ctxzip.corpus.read import shards, sources
from ctxzip.corpus.read.formats import Fields
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.errors import CtxzipError, InputError, MissingExtraError, ModelError
from ctxzip.text import tokens
from ctxzip.types import Compression, Compressor, Document, Request

__all__ = ["Saving", "Stats", "measure"]

_SIMILARITY = 0.85


@dataclass(frozen=True, slots=True)
class Saving:
    """What a ratio would save.

    Attributes:
        ratio: that was asked.
        kept: fraction of the sample's tokens that was kept.
        tokens: expected to be saved over the whole corpus.
        seconds: expected for one worker like this one; repeated texts cost nothing.
    """

    ratio: float
    kept: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stats:
    """What a corpus holds.

    Attributes:
        files: how many.
        records: that can be read.
        failed: that cannot.
        characters: of all texts.
        tokens: of all texts; counted if ``exact``, else projected from the sample.
        exact: whether all tokens were counted.
        duplicates: records whose text, but for case and spacing, stood before.
        near: further records that resemble an earlier one (Jaccard 0.85 of three-word shingles,
            the same numbers and negations), estimated from their MinHash signatures.
        longest: tokens of the longest text of the sample, or of all.
        median: tokens of the middle one.
        sample: records that were compressed to learn the rest.
        savings: one for each ratio.
    """

    files: int
    records: int
    failed: int
    characters: int
    tokens: int
    exact: bool
    duplicates: int
    near: int
    longest: int
    median: int
    sample: int
    savings: tuple[Saving, ...]


def measure(
    given: Sequence[str],
    settings: Settings,
    ratios: Sequence[float] = (0.7, 0.5, 0.3),
    *,
    sample: int = 200,
    exact: bool = False,
    resources: Resources | None = None,
) -> Stats:
    """Read a corpus once, and compress a sample of it at several ratios.

    Args:
        given: files and folders.
        settings: the compressor and the fields; its budget is not used.
        ratios: to try.
        sample: records to compress, chosen by a hash of their text.
        exact: count the tokens of every text; otherwise they are projected from the sample.
        resources: device and threads.

    Raises:
        InputError: the input cannot be found, or has no record.
        CtxzipError: the compressor cannot be used.
    """
    if sample < 1:
        raise InputError(f"sample={sample} is less than one.")
    found = sources.find(given, include=settings.fields.include)
    counter = tokens.resolve(settings.tokenizer)
    read = _read(sources.splits(found), settings.fields, sample, counter if exact else None)
    texts = read.sample.texts()
    if not texts:
        raise InputError(f"No record with a text in the field {settings.fields.text!r}.")
    counts = [counter.count(text) for text in texts]
    density = sum(counts) / max(1, sum(map(len, texts)))
    total = sum(read.sizes) if exact else round(density * read.characters)
    signatures = read.signatures
    copies = int((signatures.copies() != np.arange(len(signatures))).sum())
    shown = np.array(read.sizes if exact else counts)
    share = 1 - copies / len(signatures)
    return Stats(
        files=len(found),
        records=len(signatures),
        failed=read.failed,
        characters=read.characters,
        tokens=total,
        exact=exact,
        duplicates=copies,
        near=_near(signatures),
        longest=int(shown.max()),
        median=int(np.median(shown)),
        sample=len(texts),
        savings=_savings(texts, settings, ratios, total, share, resources or Resources()),
    )


@dataclass(slots=True)
class _Corpus:
    """What was seen of a corpus.

    Attributes:
        sample: texts that are compressed.
        signatures: of every text.
        sizes: tokens of every text, where they are counted.
        failed: records without a text.
        characters: of all texts.
    """

    sample: _Sample
    signatures: Signatures = field(default_factory=Signatures)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    failed: int = 0
    characters: int = 0


def _read(
    splits: Sequence[sources.Split],
    fields: Fields,
    sample: int,
    counter: tokens.TokenCounter | None,
) -> _Corpus:
    seen = _Corpus(_Sample(sample))
    for text in _texts(splits, fields):
        if text is None:
            seen.failed += 1
            continue
        seen.characters += len(text)
        seen.signatures.add(text)
        if counter is not None:
            seen.sizes.append(counter.count(text))
        seen.sample.offer(seen.signatures.last, text)
    return seen


def _texts(splits: Sequence[sources.Split], fields: Fields) -> Iterator[str | None]:
    """The text of every record; None where it has none that can be used."""
    for split in splits:
        for shard in shards.cut(split, fields, 2**20, ""):
            for _, row, _ in shards.rows_of(shard):
                text = row.get(fields.text) if row is not None else None
                yield text if isinstance(text, str) and not _torn(text) else None


class _Sample:
    """The different texts with the smallest hashes: a draw that does not depend on their order.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._chosen: list[tuple[int, str]] = []  # a heap of the smallest hashes, negated
        self._taken: set[int] = set()

    def offer(self, key: int, text: str) -> None:
        """Draw a text, or not."""
        full = len(self._chosen) >= self._size
        if key in self._taken or (full and -key <= self._chosen[0][0]):
            return
        self._taken.add(key)
        heapq.heappush(self._chosen, (-key, text))
        if len(self._chosen) > self._size:
            self._taken.remove(-heapq.heappop(self._chosen)[0])

    def texts(self) -> list[str]:
        """What was drawn, in the order of its hashes."""
        return [text for _, text in sorted(self._chosen)]


def _torn(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _near(signatures: Signatures) -> int:
    """Records that share enough bands with an earlier one that differs."""
    copies = signatures.copies()
    return sum(
        copies[i] == i and signatures.like(i, heads, _SIMILARITY)
        for i, heads in signatures.candidates().items()
    )


def _savings(
    texts: Sequence[str],
    settings: Settings,
    ratios: Sequence[float],
    total: int,
    distinct: float,
    resources: Resources,
) -> tuple[Saving, ...]:
    result = []
    for ratio in ratios:
        asked = replace(settings, ratio=ratio, target_tokens=None, threshold=None)
        compressor = resources.compressor(asked)
        compressor.warmup()
        begun = time.perf_counter()
        done = _compressed(compressor, [Request((Document(t),), None, asked.budget) for t in texts])
        before = sum(result.tokens_before for result in done)
        after = sum(result.tokens_after for result in done)
        spent = time.perf_counter() - begun
        kept = after / before if before else 1.0
        speed = before / spent if spent else 0.0
        result.append(
            Saving(
                ratio, kept, round(total * (1 - kept)), distinct * total / speed if speed else 0.0
            )
        )
        compressor.close()
    return tuple(result)


def _compressed(compressor: Compressor, requests: Sequence[Request]) -> list[Compression]:
    """Results of the requests that can be compressed."""
    try:
        return compressor.compress_many(requests)
    except (ModelError, MissingExtraError):
        raise
    except CtxzipError:
        if len(requests) == 1:
            return []  # it would be quarantined
        half = len(requests) // 2
        return _compressed(compressor, requests[:half]) + _compressed(compressor, requests[half:])
