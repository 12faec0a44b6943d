"""Kept units → exact slices of the source.

Everything that an extractive compressor puts out is a slice of its source, the whitespace between
two kept units included: where units were dropped in between, the strongest break among them (a
blank line before a line break before a space) is kept, so paragraphs stay paragraphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.text.spans import Slices, merge
from ctxzip.text.units import Units

__all__ = ["Layout", "Marks", "TextLayout"]


class Marks(IntEnum):
    """How much is said about omissions in their place: nothing, once per parent, each."""

    NONE = 0
    PARENT = 1
    EACH = 2


class Layout(Protocol):
    """How the selected units of one document become text again."""

    @property
    def units(self) -> Units:
        """What may be selected."""
        ...

    def spans(self, selected: BoolArray) -> IntArray | Sequence[tuple[int, int]]:
        """Source slices, in order, whose concatenation is the text."""
        ...


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

    def kept(self, selected: BoolArray, marks: Marks = Marks.NONE) -> Slices:
        """See :class:`Layout`; between sentences nothing is said about omissions."""
        return Slices(self.spans(selected))

    def spans(self, selected: BoolArray) -> IntArray:
        """Slices of the source, int64, shape (k, 2), merged, so that no two touch."""
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
