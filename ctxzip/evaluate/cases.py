"""Every question through every compressor at every ratio, and what is left of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ctxzip.errors import CtxzipError, ModelError
from ctxzip.evaluate.metrics import answer_kept, evidence_in_text, evidence_kept
from ctxzip.evaluate.records import Record
from ctxzip.evaluate.store import Store, key
from ctxzip.kit.batch import BatchCompressor
from ctxzip.text.tokens import TokenCounter
from ctxzip.types import Budget, Compression, Compressor, Request, Span

__all__ = [
    "FULL",
    "Arm",
    "Case",
    "Kept",
    "Progress",
    "column",
    "compress_all",
    "evaluate",
    "evidence_of",
    "full_cases",
    "full_text",
    "grouped",
    "judge",
]

FULL = "full text"
BATCH = 16  # requests that are compressed, and remembered, at a time

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """A compressor to be compared.

    Attributes:
        name: as it is shown.
        method: what compresses.
        identity: what its results depend on, beside the request.
    """

    name: str
    method: Compressor
    identity: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What one compression left.

    Attributes:
        text: what would be sent to the LLM.
        spans: for each document what was kept of it, or None where the text was rewritten.
        before: tokens of the input.
        after: tokens of ``text``.
        emptied: documents of which nothing was kept, or None where that means nothing.
        seconds: what the compressor took for this request.
    """

    text: str
    spans: tuple[tuple[Span, ...] | None, ...]
    before: int
    after: int
    emptied: int | None
    seconds: float


@dataclass(slots=True)
class Case:
    """One question, compressed by one arm at one ratio, and judged.

    Attributes:
        record: index of the question.
        arm: name of the arm, or ``FULL``.
        ratio: fraction to keep.
        kept: what was left, or None where the compressor failed.
        values: metric → value; a metric that does not apply is missing.
        answer: what the reader said, or None.
        failed: why there is no compression or no answer, or None.
    """

    record: int
    arm: str
    ratio: float
    kept: Kept | None = None
    values: dict[str, float] = field(default_factory=dict)
    answer: str | None = None
    failed: str | None = None


def full_text(record: Record) -> str:
    """The documents as they would be sent without compression."""
    return "\n\n".join(document.text for document in record.documents if document.text)


def compress_all(
    records: Sequence[Record],
    arms: Sequence[Arm],
    ratios: Sequence[float],
    store: Store,
    progress: Progress,
) -> list[Case]:
    """Compress every question with every arm at every ratio.

    All ratios of a question go to the compressor together, which reads it once. What is known
    already is not done again; a request that a compressor refuses is a failed case.
    """
    cases = []
    for arm in arms:
        names = {
            (i, ratio): _key(arm, record, ratio)
            for i, record in enumerate(records)
            for ratio in ratios
        }
        found = {name: _from_json(value) for name, value in store.get(names.values()).items()}
        todo = [i for i in range(len(records)) if any(names[i, r] not in found for r in ratios)]
        if todo:
            arm.method.warmup()
        failed: dict[str, str] = {}
        progress(arm.name, len(records) - len(todo), len(records))
        for done in range(0, len(todo), BATCH):
            batch = todo[done : done + BATCH]
            pairs = [(i, r) for i in batch for r in ratios if names[i, r] not in found]
            fresh: dict[str, object] = {}
            for pair, result in _compressed(arm.method, records, pairs):
                if isinstance(result, Kept):
                    found[names[pair]] = result
                    fresh[names[pair]] = _to_json(result)
                else:
                    failed[names[pair]] = str(result)
            store.put(fresh)
            progress(arm.name, len(records) - len(todo) + done + len(batch), len(records))
        for (i, ratio), name in names.items():
            case = Case(i, arm.name, ratio, found.get(name), failed=failed.get(name))
            if case.kept is not None:
                case.values = judge(records[i], case.kept)
            cases.append(case)
    return cases


def evaluate(compressor: Compressor, records: Sequence[Record], ratio: float) -> list[Case]:
    """Compress every record's documents to ``ratio`` of their tokens in one call, and judge.

    Nothing is remembered, and an error is raised; see :func:`compress_all` for long runs.
    """
    requests = [Request(r.documents, r.query, Budget(ratio=ratio)) for r in records]
    started = time.perf_counter()
    results = compressor.compress_many(requests)
    share = (time.perf_counter() - started) / max(1, len(records))
    cases = []
    for i, (record, result) in enumerate(zip(records, results, strict=True)):
        kept = _kept(record, result, share)
        cases.append(Case(i, result.compressor, ratio, kept, judge(record, kept)))
    return cases


def full_cases(records: Sequence[Record], counter: TokenCounter) -> list[Case]:
    """The questions with all of their text, to which the others are compared."""
    cases = []
    for i, record in enumerate(records):
        text = full_text(record)
        tokens = counter.count(text)
        spans = tuple((Span(0, len(d.text)),) if d.text else () for d in record.documents)
        values = judge(record, Kept(text, spans, tokens, tokens, 0, 0.0))
        cases.append(Case(i, FULL, 1.0, values=values))
    return cases


def _key(arm: Arm, record: Record, ratio: float) -> str:
    texts = [[document.text, document.title] for document in record.documents]
    return key("compression", arm.identity, ratio, record.query, texts)


def _compressed(
    method: Compressor, records: Sequence[Record], pairs: Sequence[tuple[int, float]]
) -> Iterator[tuple[tuple[int, float], Kept | CtxzipError]]:
    requests = [
        Request(records[i].documents, records[i].query, Budget(ratio=ratio)) for i, ratio in pairs
    ]
    started = time.perf_counter()
    try:
        results = method.compress_many(requests)
    except CtxzipError as error:
        if len(pairs) == 1:
            yield pairs[0], error
            return
        for pair in pairs:  # one refused request must not cost the others their result
            yield from _compressed(method, records, [pair])
        return
    share = (time.perf_counter() - started) / max(1, len(pairs))
    routes = isinstance(method, BatchCompressor) and method.routes
    for pair, result in zip(pairs, results, strict=True):
        if routes or result.compressor == method.name:
            yield pair, _kept(records[pair[0]], result, share)
        else:  # a method that fell back on another must not be judged by it
            yield pair, ModelError("; ".join(result.notes[:1]) or f"{result.compressor} answered")


def _kept(record: Record, result: Compression, share: float) -> Kept:
    emptied: int | None = None
    spans: tuple[tuple[Span, ...] | None, ...] = (None,) * len(record.documents)
    if len(result.documents) == len(record.documents):
        spans = tuple(document.kept for document in result.documents)
        emptied = sum(
            bool(before.text.strip()) and not after.text.strip()
            for before, after in zip(record.documents, result.documents, strict=True)
        )
    seconds = sum(result.seconds.values()) or share
    before, after = result.tokens_before, result.tokens_after
    return Kept(result.text, spans, before, after, emptied, seconds)


def _to_json(kept: Kept) -> list[object]:
    return [kept.text, kept.spans, kept.before, kept.after, kept.emptied, kept.seconds]


def _from_json(value: list[object]) -> Kept:
    text, spans, before, after, emptied, seconds = value
    read = tuple(None if pairs is None else tuple(Span(a, b) for a, b in pairs) for pairs in spans)  # type: ignore[attr-defined]
    return Kept(text, read, before, after, emptied, seconds)  # type: ignore[arg-type]


def judge(record: Record, kept: Kept) -> dict[str, float]:
    """The metrics that need no reader; those that do not apply are left out."""
    values = {
        "tokens_kept": kept.after / kept.before if kept.before else 1.0,
        "tokens_before": float(kept.before),
        "tokens_after": float(kept.after),
        "seconds": kept.seconds,
    }
    if kept.emptied is not None:
        values["emptied"] = float(kept.emptied)
    found = [ok for ok, _, _ in evidence_of(record, kept)]
    if found:
        values["evidence_recall"] = sum(found) / len(found)
        values["all_evidence"] = float(all(found))
    # What the input itself lacks cannot be lost.
    if any(answer_kept(record.answers, document.text) for document in record.documents):
        values["answer_recall"] = float(answer_kept(record.answers, kept.text))
    return values


def evidence_of(record: Record, kept: Kept) -> list[tuple[bool, int, Span]]:
    """Every piece of evidence: whether it was kept, its document, and where it stands."""
    found = []
    for i, (document, wanted) in enumerate(zip(record.documents, record.evidence, strict=True)):
        spans = kept.spans[i]
        for span in wanted:
            if spans is not None:
                survives = evidence_kept(document.text, span, spans)
            else:
                survives = evidence_in_text(document.text[slice(*span)], kept.text)
            found.append((survives, i, span))
    return found


def column(cases: Sequence[Case], metric: str) -> list[float]:
    """A metric of every case; nan where it does not apply."""
    return [case.values.get(metric, math.nan) for case in cases]


def grouped(cases: Sequence[Case]) -> Mapping[tuple[str, float], list[Case]]:
    """The cases of each arm and ratio, in the order in which they were asked for."""
    groups: dict[tuple[str, float], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.arm, case.ratio), []).append(case)
    return groups
