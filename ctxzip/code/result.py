"""From the pieces of every document to the result that the caller gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ctxzip.code.render import Piece
from ctxzip.kit.arrays import FloatArray
from ctxzip.render.result import original_units
from ctxzip.segment.prepare import Prepared
from ctxzip.text.protect import unmap
from ctxzip.text.spans import overlapping
from ctxzip.text.units import ScoredUnits
from ctxzip.types import CompressedDocument, Compression, Segment, Span

__all__ = ["Outcome", "result_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What was decided for one request.

    Attributes:
        pieces: the output of each document.
        tokens: counted tokens of the assembled text.
        scores: usefulness of the units of each document.
        notes: what the caller should know.
    """

    pieces: Sequence[Sequence[Piece]]
    tokens: int
    scores: tuple[FloatArray, ...] = ()
    notes: tuple[str, ...] = ()


def result_of(
    prepared: Prepared, name: str, outcome: Outcome, path: tuple[str, ...]
) -> Compression:
    """Join the pieces and say where each came from."""
    options = prepared.options
    documents: list[CompressedDocument] = []
    parts: list[Segment] = []
    texts: list[str] = []
    at = 0
    for i, (passage, pieces) in enumerate(zip(prepared.passages, outcome.pieces, strict=True)):
        text = "".join(piece.text for piece in pieces)
        texts.append(text)
        sliced = [(p.start, p.start + len(p.text)) for p in pieces if p.start >= 0]
        clean = np.array(sliced, np.int64).reshape(-1, 2)
        spans = unmap(clean, prepared.removed[i])
        kept = overlapping(passage.units, clean)
        hard = overlapping(passage.units, prepared.hard[i])
        score = outcome.scores[i] if outcome.scores else np.zeros(len(passage.units))
        start, end = original_units(prepared, i)
        units = ScoredUnits(start, end, score, kept, hard)
        best = float(score.max()) if len(score) else 0.0
        if text or not passage.document.text or not options.drop_empty:
            source = tuple(map(Span._make, spans.tolist()))
            documents.append(CompressedDocument((passage.document,), text, source, best, units))
        if text:
            at = _segments(parts, at, i, pieces, prepared)
    joined = prepared.assemble(texts)
    notes = outcome.notes
    if not joined:
        notes += ("nothing was kept: no function or statement fits the ceiling",)
    return Compression(
        text=joined,
        documents=tuple(documents),
        tokens_before=prepared.tokens_before,
        tokens_after=outcome.tokens,
        tokenizer=prepared.counter.name,
        compressor=name,
        path=path,
        notes=notes,
        ceiling=prepared.ceiling,
        segments=tuple(parts),
        seconds=MappingProxyType(prepared.seconds),
    )


def _segments(
    parts: list[Segment], at: int, i: int, pieces: Sequence[Piece], prepared: Prepared
) -> int:
    """Append the segments of one document; returns where the next begins."""
    for inserted, document in (
        (prepared.options.separator if at else "", -1),
        (prepared.prefixes[i], i),
    ):
        if inserted:
            parts.append(Segment(at, at + len(inserted), document, -1))
            at = parts[-1].end
    removed = prepared.removed[i]
    for piece in pieces:
        if piece.start < 0:
            parts.append(Segment(at, at + len(piece.text), i, -1))
            at = parts[-1].end
            continue
        span = np.array([[piece.start, piece.start + len(piece.text)]], np.int64)
        for a, b in unmap(span, removed).tolist():
            parts.append(Segment(at, at + b - a, i, a))
            at = parts[-1].end
    return at
