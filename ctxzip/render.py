"""Kept units → exact slices of the source.

Everything that an extractive compressor puts out is a slice of its source, the whitespace between
two kept units included: where units were dropped in between, the strongest break among them (a
blank line before a line break before a space) is kept, so paragraphs stay paragraphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ctxzip.units import BoolArray, IntArray, Units

__all__ = ["Layout", "TextLayout", "merge", "pieces"]


class Layout(Protocol):
    """How the selected units of one document become text again."""

    @property
    def units(self) -> Units:
        """What may be selected."""
        ...

    def spans(self, selected: BoolArray) -> IntArray | Sequence[tuple[int, int]]:
        """Source slices, in order, whose concatenation is the text."""
        ...


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


def _newlines(text: str) -> IntArray:
    """Offsets of the line feeds of a text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.flatnonzero(codes == 10)


@dataclass(slots=True, eq=False)
class TextLayout:
    """Prose and markdown: units with whitespace between them."""

    text: str
    units: Units
    _strength: IntArray | None = None

    def _gap_strength(self) -> IntArray:
        """For each unit the break before it: 0 none, 1 space, 2 line break, 3 blank line."""
        if self._strength is None:
            units = self.units
            before = np.concatenate([[0], units.end[:-1]])
            lines = _newlines(self.text)
            breaks = np.searchsorted(lines, units.start) - np.searchsorted(lines, before)
            self._strength = np.minimum(breaks, 2) + (units.start > before)
        return self._strength

    def spans(self, selected: BoolArray) -> IntArray:
        """See :class:`Layout`; int64, shape (k, 2), merged, so that no two slices touch."""
        chosen = np.flatnonzero(selected)
        start, end = self.units.start, self.units.end
        words = np.stack([start[chosen], end[chosen]], axis=1)
        if len(chosen) < 2:
            return merge(words)
        after = chosen[1:]
        if bool((np.diff(chosen) == 1).all()):
            best = after
        else:
            n = len(self.units) + 1
            key = self._gap_strength() * n + np.arange(n - 1)
            best = np.maximum.reduceat(key[: chosen[-1] + 1], chosen[:-1] + 1) % n
        gaps = np.stack([end[best - 1], start[best]], axis=1)
        return merge(np.concatenate([words, gaps]))


def pieces(text: str, spans: IntArray) -> str:
    """The concatenated slices of ``text``; ``spans`` is int64, shape (k, 2)."""
    pairs = zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)
    return "".join([text[start:end] for start, end in pairs])
