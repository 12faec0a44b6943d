"""What became of every stretch of a document's text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ctxzip.errors import InputError
from ctxzip.text import tokens
from ctxzip.types import CompressedDocument, Compression, ScoredUnit, Span

__all__ = ["Counts", "Piece", "Shades", "counts_of", "pieces", "visible"]

LEVELS = 5


class Piece(NamedTuple):
    """A stretch of a source text.

    Attributes:
        start: first character.
        end: one past its last character.
        kept: whether it is in the output.
        unit: index of the unit that it belongs to, or -1 between units.
        lost: whether it is missing: it was needed, and is not in the output.
    """

    start: int
    end: int
    kept: bool
    unit: int
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of one document: in tokens, or in characters where its tokenizer is not at hand."""

    before: int
    after: int
    unit: str


class Shades:
    """Ranks the kept units of a result into ``LEVELS`` shades, whatever scale their scores have."""

    def __init__(self, documents: Iterable[CompressedDocument]) -> None:
        units = (unit for document in documents for unit in document.units)
        scores = sorted({unit.score for unit in units if unit.kept})
        self._edges = [scores[len(scores) * i // LEVELS] for i in range(1, LEVELS) if scores]

    def of(self, score: float) -> int:
        """0 for the least useful fifth, 4 for the most useful."""
        return sum(score >= edge for edge in self._edges)


def pieces(document: CompressedDocument, lost: Sequence[Span] = ()) -> Iterator[Piece]:
    """The source text, cut wherever a unit, a kept span or one of the ``lost`` begins or ends.

    A rewritten document counts as dropped: nothing of it was taken over.
    """
    kept = list(document.kept or ())
    span = 0
    for start, end, index in _stretches(document.units, len(document.source.text)):
        at = start
        while at < end:
            while span < len(kept) and kept[span].end <= at:
                span += 1
            inside = span < len(kept) and kept[span].start <= at
            edge = end if span >= len(kept) else kept[span].end if inside else kept[span].start
            stop = min(end, edge)
            if inside or not lost:
                yield Piece(at, stop, inside, index)
            else:
                yield from _with_lost(Piece(at, stop, False, index), lost)
            at = stop


def _with_lost(piece: Piece, lost: Sequence[Span]) -> Iterator[Piece]:
    edges = {edge for span in lost for edge in span if piece.start < edge < piece.end}
    for start, end in pairwise([piece.start, *sorted(edges), piece.end]):
        missing = any(span.start <= start < span.end for span in lost)
        yield Piece(start, end, False, piece.unit, missing)


def _stretches(units: Sequence[ScoredUnit], length: int) -> Iterator[tuple[int, int, int]]:
    """Units and what lies between them, in order, without overlap."""
    at = 0
    for index, unit in enumerate(units):
        start, end = max(unit.span.start, at), unit.span.end
        if start > at:
            yield at, start, -1
        if end > start:
            yield start, end, index
            at = end
    if at < length:
        yield at, length, -1


def counts_of(compression: Compression, tokenizer: object = None) -> list[Counts]:
    """The size of every document before and after.

    Args:
        compression: the result.
        tokenizer: what counted its tokens, where its name alone does not say.
    """
    count: Callable[[str], int] = len
    unit = "characters"
    try:
        counter = tokens.resolve(compression.tokenizer if tokenizer is None else tokenizer)
        count, unit = counter.count, "tokens"
    except InputError:
        if tokenizer is not None:
            raise
    found = []
    for document in compression.documents:
        before = sum(count(source.text) for source in document.sources)
        found.append(Counts(before, count(document.text), unit))
    return found


def visible(text: str) -> str:
    """Text without control characters, which would move a terminal's cursor or confuse a page."""
    return text.translate(_VISIBLE)


# C0 controls have pictures of their own; C1 controls, and those that turn the direction of text
# around, become the replacement character.
_VISIBLE = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    13: None,
    127: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD),
}
