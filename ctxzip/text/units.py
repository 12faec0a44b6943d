"""Units: what can be kept or dropped, as arrays, so that a million of them cost little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import overload

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray
from ctxzip.types import Document, ScoredUnit, Span

__all__ = ["Kind", "Passage", "ScoredUnits", "Units", "Words"]


class Kind(IntEnum):
    """What a unit is; only ``SENTENCE``, ``HEADING`` and ``ITEM`` may be shortened to words."""

    SENTENCE = 0
    HEADING = 1
    ITEM = 2
    ROW = 3
    TABLE_HEADER = 4
    CODE = 5
    JSON_MEMBER = 6
    RECORD = 7
    FIELD = 8
    LINE = 9
    SECTION = 10
    ENTRY = 11
    MESSAGE = 12
    HUNK = 13
    HEAD = 14
    CLOSER = 15


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The units of one document: sorted, disjoint, and only whitespace lies between them.

    (Between the members of a JSON document lies its punctuation too.)

    Attributes:
        start: first character of each unit, int64, shape (n,).
        end: one past its last character, int64, shape (n,).
        kind: a :class:`Kind` for each, int64, shape (n,).
        requires: index of a unit without which it must not be kept (a table row needs its
            header; what a part of a tree belongs to), or -1, int64, shape (n,).
        always: kept whenever the unit that it requires is, bool, shape (n,); None for none.
        content: says something by itself, bool, shape (n,); None for every one that no other
            requires.
    """

    start: IntArray
    end: IntArray
    kind: IntArray
    requires: IntArray
    always: BoolArray | None = None
    content: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(
        cls,
        spans: list[tuple[int, int]],
        kinds: list[int] | None = None,
        requires: list[int] | None = None,
    ) -> Units:
        """Units from ``(start, end)`` pairs; plain sentences unless told otherwise."""
        array = np.array(spans, dtype=np.int64).reshape(-1, 2)
        n = len(array)
        return cls(
            start=np.ascontiguousarray(array[:, 0]),
            end=np.ascontiguousarray(array[:, 1]),
            kind=np.zeros(n, np.int64) if kinds is None else np.array(kinds, np.int64),
            requires=np.full(n, -1, np.int64) if requires is None else np.array(requires, np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Finer units of one document: the words of some of its units; other units stand whole.

    Attributes:
        start: int64, shape (w,).
        end: int64, shape (w,).
        unit: index of the unit that each belongs to, int64, shape (w,).
        whole: True where the unit may not be divided and stands here as one, bool, shape (w,).
    """

    start: IntArray
    end: IntArray
    unit: IntArray
    whole: BoolArray

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A document as the scorers see it.

    Attributes:
        document: the caller's document; its title informs scoring.
        text: its text, without ``<keep>`` tags; what the units' offsets refer to.
        units: its units.
    """

    document: Document
    text: str
    units: Units

    def unit_texts(self) -> list[str]:
        """The text of every unit."""
        text = self.text
        return [
            text[a:b]
            for a, b in zip(self.units.start.tolist(), self.units.end.tolist(), strict=True)
        ]


class ScoredUnits(Sequence[ScoredUnit]):
    """The scored units of a document: a sequence that makes its records when they are read."""

    __slots__ = ("_arrays",)

    def __init__(
        self, start: IntArray, end: IntArray, score: FloatArray, kept: BoolArray, hard: BoolArray
    ) -> None:
        self._arrays = (start, end, score, kept, hard)

    def __len__(self) -> int:
        return len(self._arrays[0])

    @overload
    def __getitem__(self, index: int) -> ScoredUnit: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScoredUnit]: ...
    def __getitem__(self, index: int | slice) -> ScoredUnit | list[ScoredUnit]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, end, score, kept, hard = (array[index] for array in self._arrays)
        return ScoredUnit(Span(int(start), int(end)), float(score), bool(kept), bool(hard))
