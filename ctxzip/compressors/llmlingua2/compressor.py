"""LLMLingua-2 with the reference's decisions, in ctxzip's results: ``LLMLingua2(compat=True)``.

Which words stay is decided as by the published code; what comes out are slices of the source, so
spacing and unknown characters between kept words survive. A rate is a goal here, as it is there:
no ceiling is promised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ctxzip.backends.encoder import Encoder
from ctxzip.compressors.llmlingua2.choice import Reading, keep
from ctxzip.compressors.llmlingua2.chunks import Chunk, Reference
from ctxzip.errors import InputError
from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.once import Once
from ctxzip.render.result import identity, result_of
from ctxzip.score.base import UnitScores
from ctxzip.score.classifier import LLMLingua2
from ctxzip.segment.layout import TextLayout
from ctxzip.segment.prepare import Prepared, prepare
from ctxzip.select.whole import Chosen, count, spans_of
from ctxzip.text.tokens import resolve
from ctxzip.text.units import Passage, Units
from ctxzip.types import Budget, Compression, Document, Options, Request

__all__ = ["ReferenceCompressor", "Verdict", "decide"]


_Kind = TypeVar("_Kind", np.bool_, np.int64, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the reference decides about one context.

    Attributes:
        words: its words, as the reference's labels spell them.
        labels: which of them stay, bool, shape (w,).
        probability: keep probability of each, without forcing, float64, shape (w,).
        start: source offset of each word, -1 where it has none, int64, shape (w,).
        end: one past its end, int64, shape (w,).
        whole: the context stays as it is.
    """

    words: tuple[str, ...]
    labels: BoolArray
    probability: FloatArray
    start: IntArray
    end: IntArray
    whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """A context as it was read."""

    text: str
    chunks: Sequence[Chunk]
    readings: Sequence[Reading]


def decide(
    reference: Reference,
    requests: Sequence[Sequence[str]],
    budgets: Sequence[Budget],
    settings: LLMLingua2,
) -> list[list[Verdict]]:
    """The reference's decisions for several requests; the model reads each chunk once."""
    chunks = [[reference.chunks(text) for text in texts] for texts in requests]
    flat = [chunk for request in chunks for context in request for chunk in context]
    readings = iter(reference.read(flat))
    result = []
    for texts, request, budget in zip(requests, chunks, budgets, strict=True):
        contexts = [
            _Context(text, parts, [next(readings) for _ in parts])
            for text, parts in zip(texts, request, strict=True)
        ]
        result.append(_decide(reference, contexts, budget, settings))
    return result


def _decide(
    reference: Reference, contexts: list[_Context], budget: Budget, settings: LLMLingua2
) -> list[Verdict]:
    counter = resolve("cl100k_base")
    rate = 0.5 if budget.ratio is None else budget.ratio
    rate = rate if rate <= 1 else 1 / rate
    target = -1 if budget.tokens is None else budget.tokens
    stays = [True] * len(contexts)
    if settings.context_filter and len(contexts) > 1:
        total = sum(counter.count(context.text) for context in contexts)
        stays = _contexts(contexts, rate, target, total, settings)
        if target >= 0:
            left = [c for c, stay in zip(contexts, stays, strict=True) if stay]
            size = sum(counter.count(reference.text(chunk)) for c in left for chunk in c.chunks)
            rate = min(target / max(size, 1), 1.0)
    elif target > 0:
        size = sum(counter.count(context.text) for context in contexts)
        rate = min(target / max(size, 1), 1.0)
    reduce_rate = max(0, 1 - rate) if settings.token_filter else 0
    return [
        _verdict(reference, context, reduce_rate if stay else None, settings)
        for context, stay in zip(contexts, stays, strict=True)
    ]


def _contexts(
    contexts: list[_Context], rate: float, target: int, total: int, settings: LLMLingua2
) -> list[bool]:
    """Which contexts stay: those at or above a percentile of the mean probabilities."""
    share = 1.0 if settings.context_ratio is None else settings.context_ratio
    tokens = -1 if settings.context_tokens is None else settings.context_tokens
    number = -1 if settings.contexts is None else settings.contexts
    if number <= 0 and share >= 1.0 and tokens <= 0:
        if target < 0 and rate < 1.0:
            share = (rate + 1.0) / 2 if settings.token_filter else rate
        if target >= 0:
            tokens = target * 2 if settings.token_filter else target
    if number >= 0:
        share = min(number / len(contexts), 1.0)
    if tokens >= 0:
        share = min(tokens / max(total, 1), 1.0)
    means = []
    for context in contexts:
        values = np.concatenate([np.zeros(0, np.float32), *(r.plain for r in context.readings)])
        # In order and in float32, as the reference adds them: comparisons below are exact.
        means.append(np.cumsum(values)[-1] / len(values) if len(values) else np.float32(0))
    threshold = np.percentile(means, int(100 * (1 - share)))
    return [bool(mean >= threshold) or i in settings.force_contexts for i, mean in enumerate(means)]


def _verdict(
    reference: Reference, context: _Context, reduce_rate: float | None, settings: LLMLingua2
) -> Verdict:
    """What is decided about a context; without a rate all of it goes."""
    readings = context.readings
    if reduce_rate is not None and reduce_rate <= 0:
        text = "".join(reference.text(chunk) for chunk in context.chunks)
        words = tuple(re.findall(r'\b\w+\b|[<>=/!@#$%^&*()?":{}|\\`~;_+-]', text))
        none = np.full(len(words), -1)
        return Verdict(words, np.ones(len(words), bool), np.ones(len(words)), none, none, True)
    labels = [
        np.zeros(len(reading.words), bool)
        if reduce_rate is None
        else keep(reading, reduce_rate, settings)
        for reading in readings
    ]
    spelled = [word for reading in readings for word in reading.words]
    if "▁" in "".join(spelled):
        spelled = [word.lstrip("▁") for word in spelled]
    return Verdict(
        words=tuple(spelled),
        labels=_joined(labels, np.bool_),
        probability=_joined([reading.plain for reading in readings], np.float64),
        start=_joined([reading.start for reading in readings], np.int64),
        end=_joined([reading.end for reading in readings], np.int64),
    )


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type[_Kind]) -> npt.NDArray[_Kind]:
    """Arrays behind one another; most contexts have a single chunk."""
    if len(parts) == 1:
        return np.asarray(parts[0], kind)
    return np.concatenate([np.zeros(0, kind), *parts])


class ReferenceCompressor(BatchCompressor):
    """Compressor ``llmlingua2`` with ``compat=True``. Thread-safe.

    Args:
        load: makes the token classifier; called once, on first use.
        settings: see :class:`ctxzip.score.classifier.LLMLingua2`.
        options: what is rarely set; ``granularity`` and ``protect_soft`` mean nothing here.
    """

    name = "llmlingua2"

    def __init__(
        self, load: Callable[[], Encoder], settings: LLMLingua2, options: Options | None = None
    ) -> None:
        self._encoder = Once.of(load, lambda encoder: encoder.close())
        self._reference = Once(self._of_encoder)
        self._settings = settings
        self.options = options if options is not None else Options()

    @property
    def reference(self) -> Reference:
        """The decisions, with the checkpoint loaded on first use."""
        return self._reference()

    def _of_encoder(self) -> Reference:
        encoder = self._encoder()
        return Reference(encoder, self._settings, encoder.add_tokens)

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests in common batches; their queries are not read.

        Raises:
            InputError: a threshold, which the reference does not know.
        """
        for request in requests:
            if request.budget.threshold is not None:
                raise InputError(
                    f"threshold={request.budget.threshold!r} is not known to compat=True.",
                    hint="Give a ratio or target_tokens, or compat=False.",
                )
        prepared = [prepare(request, self.options) for request in requests]
        begun = perf_counter()
        texts = [[passage.text for passage in p.passages] for p in prepared]
        verdicts = decide(
            self.reference, texts, [p.request.budget for p in prepared], self._settings
        )
        share = (perf_counter() - begun) / max(1, len(prepared))
        return [
            self._result(p, verdict, share) for p, verdict in zip(prepared, verdicts, strict=True)
        ]

    def _result(self, prepared: Prepared, verdicts: list[Verdict], seconds: float) -> Compression:
        prepared.seconds["score"] = seconds
        prepared = replace(prepared, ceiling=None)
        if not prepared.tokens_before:
            return identity(prepared, self.name, "the input is empty")
        tables = [
            _units(passage, verdict)
            for passage, verdict in zip(prepared.passages, verdicts, strict=True)
        ]
        prepared.passages = tuple(
            Passage(passage.document, passage.text, units)
            for passage, (units, _, _) in zip(prepared.passages, tables, strict=True)
        )
        spans = [
            spans_of(prepared, i, TextLayout(passage.text, units), kept)
            for i, (passage, (units, kept, _)) in enumerate(
                zip(prepared.passages, tables, strict=True)
            )
        ]
        tokens = count(prepared, spans)
        if tokens > prepared.tokens_before:
            return identity(prepared, self.name, "the reference's choice is longer than the input")
        means = [v.probability.mean() if len(v.probability) else 0.0 for v in verdicts]
        scores = UnitScores(tuple(value for _, _, value in tables), np.array(means))
        kept = np.concatenate([np.zeros(0, bool), *(k for _, k, _ in tables)])
        note = (
            f"compat: {tokens / prepared.tokens_before:.3f} of the tokens stay;"
            " the rate is a goal here, not a ceiling"
        )
        chosen = Chosen(spans, kept, tokens, (note,))
        return result_of(prepared, self.name, scores, chosen, (f"{self.name}: compat",))

    def word_labels(
        self, documents: Sequence[Document], budget: Budget
    ) -> list[list[tuple[str, bool]]]:
        """Per document every word as the reference labels it, with whether it stays."""
        texts = [document.text for document in documents]
        verdicts = decide(self.reference, [texts], [budget], self._settings)[0]
        return [
            list(zip(verdict.words, verdict.labels.tolist(), strict=True)) for verdict in verdicts
        ]

    def warmup(self) -> None:
        """Load the checkpoint."""
        self.reference.read(self.reference.chunks("a"))

    def close(self) -> None:
        """Release the weights."""
        self._reference.close()
        self._encoder.close()


def _units(passage: Passage, verdict: Verdict) -> tuple[Units, BoolArray, FloatArray]:
    """The words as units of the source: disjoint, in order, without whitespace at their edges."""
    text = passage.text
    if verdict.whole:
        return passage.units, np.ones(len(passage.units), bool), np.ones(len(passage.units))
    spans: list[tuple[int, int]] = []
    rows: list[int] = []
    at = 0
    for i, (start, end) in enumerate(
        zip(verdict.start.tolist(), verdict.end.tolist(), strict=True)
    ):
        low = max(start, at)
        if start < 0 or end <= low:
            continue
        word = text[low:end]
        low += len(word) - len(word.lstrip())
        high = low + len(word.strip())
        if high > low:
            spans.append((low, high))
            rows.append(i)
            at = high
    chosen = np.array(rows, np.int64)
    return Units.of(spans), verdict.labels[chosen], verdict.probability[chosen]
