"""From chosen spans to the result that the caller gets."""

from __future__ import annotations

from time import perf_counter
from types import MappingProxyType

import numpy as np

from ctxzip.kit.arrays import IntArray, split_like
from ctxzip.score.base import UnitScores
from ctxzip.segment.prepare import Prepared
from ctxzip.select.whole import Chosen
from ctxzip.text.protect import unmap
from ctxzip.text.spans import overlapping, pieces
from ctxzip.text.units import ScoredUnits
from ctxzip.types import CompressedDocument, Compression, ScoredUnit, Segment, Span

__all__ = ["identity", "original_units", "result_of"]


def identity(prepared: Prepared, name: str, note: str) -> Compression:
    """The input as it is, but for ``<keep>`` tags, with the reason why."""
    spans = [np.array([(0, len(p.text))] if p.text else [], np.int64) for p in prepared.passages]
    spans = [some.reshape(-1, 2) for some in spans]
    texts = [p.text for p in prepared.passages]
    tokens = prepared.counter.count(prepared.assemble(texts))
    kept = np.ones(sum(len(p.units) for p in prepared.passages), bool)
    chosen = Chosen(spans, kept, tokens, (note,))
    return result_of(prepared, name, None, chosen, (f"{name}: nothing to do, {note}",))


def result_of(
    prepared: Prepared,
    name: str,
    scores: UnitScores | None,
    chosen: Chosen,
    path: tuple[str, ...],
) -> Compression:
    """Render the chosen spans and collect what is to be said about them."""
    begun = perf_counter()
    texts = [pieces(p.text, s) for p, s in zip(prepared.passages, chosen.spans, strict=True)]
    all_units = [passage.units for passage in prepared.passages]
    documents = []
    parts: list[Segment] = []
    at = 0
    for i, (passage, text, kept) in enumerate(
        zip(prepared.passages, texts, split_like(chosen.kept, all_units), strict=True)
    ):
        spans = unmap(chosen.spans[i], prepared.removed[i])
        source_spans = tuple(map(Span._make, spans.tolist()))
        units: tuple[ScoredUnit, ...] | ScoredUnits = ()
        relevance: float | None = None
        if scores is not None:
            hard = overlapping(passage.units, prepared.hard[i])
            start, end = original_units(prepared, i)
            units = ScoredUnits(start, end, scores.units[i], kept, hard)
            if scores.passages is not None:
                relevance = float(scores.passages[i])
        empty = not text and bool(passage.document.text)
        if not (empty and prepared.options.drop_empty):
            documents.append(
                CompressedDocument((passage.document,), text, source_spans, relevance, units)
            )
        if text:
            at = _segments(parts, at, i, spans, prepared)
    joined = prepared.assemble(texts)
    prepared.seconds["render"] = perf_counter() - begun
    notes = (*(scores.notes if scores is not None else ()), *chosen.notes)
    if not joined and prepared.tokens_before and not chosen.notes:
        notes += ("nothing was kept: no unit fits the ceiling or reaches the threshold",)
    return Compression(
        text=joined,
        documents=tuple(documents),
        tokens_before=prepared.tokens_before,
        tokens_after=chosen.tokens,
        tokenizer=prepared.counter.name,
        compressor=name,
        path=path,
        notes=notes,
        ceiling=prepared.ceiling,
        segments=tuple(parts),
        seconds=MappingProxyType(prepared.seconds),
    )


def original_units(prepared: Prepared, i: int) -> tuple[IntArray, IntArray]:
    """Starts and ends of a passage's units in the original text."""
    units, removed = prepared.passages[i].units, prepared.removed[i]
    if not len(removed):
        return units.start, units.end
    gone = np.cumsum(removed[:, 1] - removed[:, 0])
    # Where each tag was cut out, in clean offsets.
    cut = removed[:, 0] - np.concatenate([[0], gone[:-1]])
    shift = np.concatenate([[0], gone])
    start = units.start + shift[np.searchsorted(cut, units.start, side="right")]
    end = units.end + shift[np.searchsorted(cut, units.end, side="left")]
    return start, end


def _segments(parts: list[Segment], at: int, i: int, spans: IntArray, prepared: Prepared) -> int:
    """Append the segments of one document; returns where the next begins."""
    if at and prepared.options.separator:
        parts.append(Segment(at, at + len(prepared.options.separator), -1, -1))
        at = parts[-1].end
    if prepared.prefixes[i]:
        parts.append(Segment(at, at + len(prepared.prefixes[i]), i, -1))
        at = parts[-1].end
    ends = at + np.cumsum(spans[:, 1] - spans[:, 0])
    starts = np.concatenate([[at], ends[:-1]])
    rows = np.stack([starts, ends, np.full(len(spans), i), spans[:, 0]], axis=1)
    parts.extend(map(Segment._make, rows.tolist()))
    return int(ends[-1])
