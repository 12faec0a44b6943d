"""Spans of characters as arrays: merged, cut out of a text, laid over units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.text.units import Units

__all__ = ["Slices", "merge", "overlapping", "pieces"]


def overlapping(units: Units, spans: IntArray) -> BoolArray:
    """Which units share a character with any of ``spans``.

    Args:
        units: n units.
        spans: int64, shape (m, 2), in any order, possibly overlapping one another.

    Returns:
        bool, shape (n,).
    """
    marks = np.zeros(len(units) + 1, np.int64)
    spans = spans[spans[:, 1] > spans[:, 0]]
    first = np.searchsorted(units.end, spans[:, 0], side="right")
    last = np.searchsorted(units.start, spans[:, 1], side="left")
    hit = last > first
    np.add.at(marks, first[hit], 1)
    np.add.at(marks, last[hit], -1)
    result: BoolArray = np.cumsum(marks[:-1]) > 0
    return result


def merge(spans: IntArray) -> IntArray:
    """Sort spans and join those that overlap or touch.

    Args:
        spans: int64, shape (m, 2).

    Returns:
        int64, shape (k, 2), sorted, with a gap between any two.
    """
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not len(spans):
        return np.zeros((0, 2), np.int64)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate([[True], spans[1:, 0] > reach[:-1]])
    first = np.flatnonzero(new)
    last = np.concatenate([first[1:] - 1, [len(spans) - 1]])
    return np.stack([spans[first, 0], reach[last]], axis=1)


def pieces(text: str, spans: IntArray) -> str:
    """The concatenated slices of ``text``; ``spans`` is int64, shape (k, 2)."""
    pairs = zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)
    return "".join([text[start:end] for start, end in pairs])


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """What is kept of one text, and what is inserted between.

    Attributes:
        spans: slices of the source, in order, int64, shape (k, 2).
        inserted: ``(offset, text)``, in order: text that stands where the source was left out from
            that offset on.
    """

    spans: IntArray
    inserted: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.spans)

    def parts(self) -> Iterator[tuple[int, int, str]]:
        """``(start, end, "")`` for a slice, ``(-1, -1, text)`` for what is inserted, in order."""
        waiting = list(reversed(self.inserted))
        for start, end in self.spans.tolist():
            while waiting and waiting[-1][0] <= start:
                yield -1, -1, waiting.pop()[1]
            yield start, end, ""
        while waiting:
            yield -1, -1, waiting.pop()[1]

    def text(self, source: str) -> str:
        """The slices of ``source`` with what is inserted."""
        if not self.inserted:
            return pieces(source, self.spans)
        return "".join([more or source[a:b] for a, b, more in self.parts()])

    def covering(self, spans: IntArray) -> Slices:
        """With further spans; what was inserted inside them is no longer."""
        if not len(spans):
            return self
        merged = merge(np.concatenate([self.spans, spans]))
        inserted = tuple(
            (at, text)
            for at, text in self.inserted
            if not ((merged[:, 0] < at) & (at < merged[:, 1])).any()
        )
        return Slices(merged, inserted)
