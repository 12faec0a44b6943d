"""A text as a tree: parts that can be kept or dropped, and what each of them belongs to.

A part's own text is one slice of the source: a heading, an opening bracket with its key, a row, a
sentence. It belongs to its ``parent``, without which it must not be kept: a row to its header, an
item to its lead-in line, a field to its record. A part that is ``always`` kept with its parent
closes it (a bracket, a fence) or identifies it (the id of a record). Parts stand in the order of
the source, parents before what belongs to them, so everything below part ``i`` is the range
``[i, last[i])``.

Readers (one file per format in ``segment/formats/``) write a tree through a :class:`Builder`; they
call each other for what lies inside (a fence in markdown, a long string in JSON).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.text.units import Kind

__all__ = ["LINES", "PLAIN", "Builder", "Style", "Tree"]


@dataclass(frozen=True, slots=True)
class Style:
    """How what belongs to a part is joined, and how its omission is said.

    Attributes:
        prefix: before an omission mark, such as ``"# "`` where ``#`` opens a comment; None where
            the format has no place for one (strict JSON).
        suffix: behind it.
        separator: stands between two siblings, as the comma of JSON; never before the first kept.
    """

    prefix: str | None = ""
    suffix: str = ""
    separator: str = ""


LINES = Style()  # plain lines: "… 12 lines"
PLAIN = Style(prefix=None)  # nothing is said in place


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The n parts of a text, in source order, disjoint; every parent stands before its parts.

    Attributes:
        start: first character of each part's own text, int64, shape (n,).
        end: one past its last character, int64, shape (n,).
        parent: what it belongs to, or -1, int64, shape (n,).
        last: one past the last part below it, int64, shape (n,).
        kind: a :class:`~ctxzip.units.Kind`, int64, shape (n,).
        always: kept whenever its parent is, bool, shape (n,).
        whole: better kept or dropped with all that is below it, as long as that fits, bool, (n,).
        content: says something by itself; False for headings, brackets, headers, bool, (n,).
        styles: how the parts below each part are joined; the first is that of the whole text.
        style: index into ``styles`` for each part, int64, shape (n,).
        labels: what a part is called in the path of those below it (a heading, a key), or "".
        readings: what a model reads instead of the text of a part and all below it, or None.
        noise: spans that carry no information and are never kept (padding, attributes), int64,
            shape (k, 2), sorted, disjoint; they may lie inside parts and between them.
        notes: what the caller should know (the text was read only as far as it parses).
        format: name of the format.
    """

    start: IntArray
    end: IntArray
    parent: IntArray
    last: IntArray
    kind: IntArray
    always: BoolArray
    whole: BoolArray
    content: BoolArray
    styles: tuple[Style, ...]
    style: IntArray
    labels: list[str]
    readings: list[str | None]
    noise: IntArray
    notes: tuple[str, ...]
    format: str

    def __len__(self) -> int:
        return len(self.start)


@dataclass(slots=True, eq=False)
class Builder:
    """Writes a :class:`Tree`, part by part, in source order.

    Args:
        text: the whole source; all offsets are into it, for readers of what lies inside too.
        style: how the topmost parts are joined.
    """

    text: str
    style: Style = LINES
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    always: list[bool] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    content: list[bool] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    readings: list[str | None] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)
    noises: list[IntArray] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _styles: dict[int, Style] = field(default_factory=dict)
    _verbatim: list[tuple[int, int]] = field(default_factory=list)

    def add(  # noqa: PLR0913  # a part has that many sides
        self,
        start: int,
        end: int,
        kind: Kind,
        parent: int = -1,
        *,
        always: bool = False,
        whole: bool = False,
        content: bool = True,
        label: str = "",
        reading: str | None = None,
        style: Style | None = None,
    ) -> int:
        """Add a part behind all that were added; returns its index, for those below it.

        Args:
            start: first character of its own text; no blank.
            end: one past its last character; not a blank.
            kind: what it is; says how omitted ones are called ("… 12 rows").
            parent: index of what it belongs to. Parts below a part are added directly behind it.
            always: kept whenever its parent is: what closes or identifies the parent.
            whole: best kept with all that is below it (a record, an event with its lines).
            content: says something by itself; never kept alone otherwise.
            label: its name in the path of the parts below it.
            reading: what a model reads for it and all below it; the text itself unless given.
            style: of the parts below it; that of its parent unless given.
        """
        at = len(self.start)
        self.start.append(start)
        self.end.append(end)
        self.parent.append(parent)
        self.kind.append(kind)
        self.always.append(always)
        self.whole.append(whole)
        self.content.append(content)
        self.labels.append(label)
        self.readings.append(reading)
        if style is not None:
            self._styles[at] = style
        return at

    def restyle(self, part: int, style: Style) -> None:
        """Set how the parts below ``part`` are joined, once their format is known."""
        self._styles[part] = style

    def keep(self, start: int, end: int) -> None:
        """White space in this span is no noise, whoever drops it: code in a document."""
        self._verbatim.append((start, end))

    def drop(self, start: int, end: int) -> None:
        """Mark a span as carrying no information; never kept."""
        if end > start:
            self.noise.append((start, end))

    def drop_all(self, spans: IntArray) -> None:
        """Mark many spans as :meth:`drop` does, int64, shape (k, 2), none of them empty."""
        self.noises.append(spans)

    def mark(self) -> tuple[int, int, int, int]:
        """What has been added so far, for :meth:`reset`."""
        return len(self.start), len(self.noise), len(self.noises), len(self.notes)

    def reset(self, mark: tuple[int, int, int, int]) -> None:
        """Take back everything that was added since ``mark``."""
        n, noise, noises, notes = mark
        columns: list[list[Any]] = [self.start, self.end, self.parent, self.kind, self.always]
        columns += [self.whole, self.content, self.labels, self.readings]
        for column in columns:
            del column[n:]
        del self.noise[noise:], self.noises[noises:], self.notes[notes:]
        self._styles = {i: style for i, style in self._styles.items() if i < n}

    def tree(self, name: str) -> Tree:
        """The tree of what was added. Parts of no characters must not have been."""
        n = len(self.start)
        start, end = np.array(self.start, np.int64), np.array(self.end, np.int64)
        parent = np.array(self.parent, np.int64)
        if n and not (
            (end > start).all() and (start[1:] >= end[:-1]).all() and (parent < np.arange(n)).all()
        ):
            raise ValueError(f"parts of {name!r} overlap, are empty or stand before their parent")
        return Tree(
            start=start,
            end=end,
            parent=parent,
            last=_last(self.parent),
            kind=np.array(self.kind, np.int64),
            always=np.array(self.always, bool),
            whole=np.array(self.whole, bool),
            content=np.array(self.content, bool),
            styles=(styles := self._numbered())[0],
            style=styles[1],
            labels=self.labels,
            readings=self.readings,
            noise=_outside(
                self.text,
                _disjoint([_spans(self.noise), *self.noises]),
                _disjoint([_spans(self._verbatim)]),
            ),
            notes=tuple(dict.fromkeys(self.notes)),
            format=name,
        )

    def _numbered(self) -> tuple[tuple[Style, ...], IntArray]:
        known: dict[Style, int] = {self.style: 0}
        number: list[int] = []
        for i, parent in enumerate(self.parent):
            own = self._styles.get(i)
            if own is not None:
                number.append(known.setdefault(own, len(known)))
            else:
                number.append(number[parent] if parent >= 0 else 0)
        return tuple(known), np.array(number, np.int64)


def _last(parent: Sequence[int]) -> IntArray:
    """One past the last part below each."""
    last = list(range(1, len(parent) + 1))
    for i in range(len(parent) - 1, -1, -1):
        above = parent[i]
        if above >= 0 and last[i] > last[above]:
            last[above] = last[i]
    return np.array(last, np.int64)


def _disjoint(spans: list[IntArray]) -> IntArray:
    """Sorted, with those that touch or overlap made one."""
    every = np.concatenate(spans)
    every = every[np.argsort(every[:, 0], kind="stable")]
    if not len(every):
        return every
    reach = np.maximum.accumulate(every[:, 1])
    first = np.flatnonzero(np.concatenate([[True], every[1:, 0] > reach[:-1]]))
    final = np.concatenate([first[1:] - 1, [len(every) - 1]])
    return np.stack([every[first, 0], reach[final]], axis=1)


def _spans(pairs: list[tuple[int, int]]) -> IntArray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _outside(text: str, spans: IntArray, kept: IntArray) -> IntArray:
    """The spans but for those of white space that begin in one of ``kept``."""
    if not len(kept) or not len(spans):
        return spans
    before = np.searchsorted(kept[:, 0], spans[:, 0], side="right") - 1
    dropped: BoolArray = (before < 0) | (spans[:, 0] >= kept[np.maximum(before, 0), 1])
    for i in np.flatnonzero(~dropped).tolist():
        dropped[i] = not text[spans[i, 0] : spans[i, 1]].isspace()
    return np.asarray(spans[dropped], np.int64)
