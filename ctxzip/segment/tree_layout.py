"""A tree made ready for selection, and kept parts made text again.

:func:`without_noise` takes out what carries no information. :func:`cut` decides how finely a text
is divided under a ceiling: a record that fits stands as one unit, a larger one as its fields.
:class:`TreeLayout` closes a selection under "belongs to" and renders it: slices of the source in
order, with the separators and the indentation that the format asks for, and omission marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.segment.layout import Marks
from ctxzip.segment.tree import Tree
from ctxzip.text.spans import Slices
from ctxzip.text.units import Kind, Units

__all__ = ["TreeLayout", "cut", "shifted", "without_noise"]

_NOUNS = {
    Kind.ITEM: ("item", "items"),
    Kind.ROW: ("row", "rows"),
    Kind.RECORD: ("record", "records"),
    Kind.LINE: ("line", "lines"),
    Kind.SECTION: ("section", "sections"),
    Kind.ENTRY: ("item", "items"),
    Kind.MESSAGE: ("message", "messages"),
    Kind.HUNK: ("hunk", "hunks"),
    Kind.FIELD: ("field", "fields"),
    Kind.SENTENCE: ("sentence", "sentences"),
}
_OPENS = re.compile(
    r"[-=>|:<]|[+*#]+ |```|~~~|\d+[.)]|\w[.)]"
)  # would begin a block at the start of a line
_DEEPEST = 2000  # columns of indentation
_INDENT = re.compile(r"[ \t>]*")
_ANY = ("item", "items")
_UNSAID = (Kind.HEAD, Kind.CLOSER, Kind.SENTENCE, Kind.FIELD)


def without_noise(text: str, tree: Tree) -> tuple[str, Tree]:
    """The text without the spans of ``tree.noise``, and the tree in its offsets."""
    noise = tree.noise
    if not len(noise):
        return text, tree
    edges = [0, *noise.ravel().tolist(), len(text)]
    clean = "".join([text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)])
    spans = shifted(np.stack([tree.start, tree.end], axis=1), noise)
    nothing = np.zeros((0, 2), np.int64)
    return clean, replace(tree, start=spans[:, 0], end=spans[:, 1], noise=nothing)


def shifted(spans: IntArray, removed: IntArray) -> IntArray:
    """Spans in the offsets of the text from which the spans ``removed`` were taken out."""
    if not len(removed):
        return spans
    gone = np.concatenate([[0], np.cumsum(removed[:, 1] - removed[:, 0])])
    after = np.searchsorted(removed[:, 0], spans, side="right")
    before = np.maximum(after - 1, 0)
    inside = (after > 0) & (spans < removed[before, 1])
    found: IntArray = np.where(inside, removed[before, 0] - gone[before], spans - gone[after])
    return found


def cut(tree: Tree, cost: IntArray, limit: int) -> tuple[Tree, IntArray]:
    """Merge every part that is better kept whole with all below it, as far as that fits.

    Args:
        tree: n parts.
        cost: tokens of each part's own text and what stands before it, int64, shape (n,).
        limit: most tokens that a merged part may take; 0 merges nothing.

    Returns:
        A tree of m parts, and for each of them its number in ``tree``, int64, shape (m,).
    """
    total = np.concatenate([[0], np.cumsum(cost)])
    below = total[tree.last] - total[:-1]
    merged = np.flatnonzero(tree.whole & (below <= limit) & (tree.last > np.arange(len(tree)) + 1))
    keep = np.ones(len(tree), bool)
    end = tree.end.copy()
    content = tree.content.copy()
    reach = 0
    for i, stop in zip(merged.tolist(), tree.last[merged].tolist(), strict=True):
        if i < reach:
            continue
        reach = stop
        keep[i + 1 : stop] = False
        end[i] = tree.end[stop - 1]
        content[i] = True
    number = np.flatnonzero(keep)
    new = np.cumsum(keep) - 1
    parent = tree.parent[number]
    after = np.concatenate([new, [len(number)]])
    last = np.where(
        tree.last[number] < len(tree),
        after[np.minimum(tree.last[number], len(tree) - 1)],
        len(number),
    )
    last = np.where(
        keep[np.minimum(tree.last[number], len(tree) - 1)], last, np.arange(len(number)) + 1
    )
    last = np.maximum(last, np.arange(len(number)) + 1)
    return replace(
        tree,
        start=tree.start[number],
        end=end[number],
        parent=np.where(parent >= 0, new[np.maximum(parent, 0)], -1),
        last=last,
        kind=tree.kind[number],
        always=tree.always[number],
        whole=tree.whole[number],
        content=content[number],
        style=tree.style[number],
        labels=[tree.labels[i] for i in number.tolist()],
        readings=[tree.readings[i] for i in number.tolist()],
    ), number


@dataclass(slots=True, eq=False)
class TreeLayout:
    """A (cut) tree over its text; see :class:`ctxzip.render.Layout`.

    Attributes:
        text: the source, without noise.
        tree: m parts.
        units: the same parts as units; ``requires`` is the parent.
    """

    text: str
    tree: Tree
    units: Units = field(init=False)
    newlines: IntArray = field(init=False)
    _key: IntArray = field(init=False)

    def __post_init__(self) -> None:
        tree = self.tree
        self.units = Units(tree.start, tree.end, tree.kind, tree.parent, tree.always, tree.content)
        codes = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<u4")
        self.newlines = np.flatnonzero(codes == 10)
        before = np.concatenate([[0], tree.end[:-1]])[: len(tree)]
        breaks = np.searchsorted(self.newlines, tree.start) - np.searchsorted(self.newlines, before)
        self._key = np.minimum(breaks, 2) * (len(tree) + 1) + np.arange(len(tree))

    def closed(self, selected: BoolArray) -> BoolArray:
        """``selected`` with all that it belongs to and all that always comes along."""
        tree = self.tree
        kept = selected.copy()
        todo = np.flatnonzero(kept)
        while len(todo):
            above = tree.parent[todo]
            above = np.unique(above[above >= 0])
            todo = above[~kept[above]]
            kept[todo] = True
        always = np.flatnonzero(tree.always)
        for i, parent in zip(always.tolist(), tree.parent[always].tolist(), strict=True):
            if parent < 0 or kept[parent]:
                kept[i] = True
        return kept

    def omissions(self, selected: BoolArray) -> list[tuple[int, int, int, str, bool]]:
        """What a closed selection leaves out, gap by gap and parent by parent.

        Returns:
            ``(start, end, count, noun, markable)``: offsets into the text, how many parts with all
            below them, what they are, and whether the format has a place for a mark there.
        """
        tree = self.tree
        roots = np.flatnonzero(_left_out(tree, selected))
        if not len(roots):
            return []
        before = np.cumsum(selected)[roots]
        parent = tree.parent[roots]
        new = np.ones(len(roots), bool)
        new[1:] = (before[1:] != before[:-1]) | (parent[1:] != parent[:-1])
        found = []
        for group in np.split(roots, np.flatnonzero(new)[1:]):
            above = int(tree.parent[group[0]])
            style = tree.styles[int(tree.style[above]) if above >= 0 else 0]
            said = style.prefix is not None and int(tree.kind[group[0]]) not in _UNSAID
            end = int(tree.end[tree.last[group[-1]] - 1])
            one, _ = _noun(tree.kind[group])
            found.append((int(tree.start[group[0]]), end, len(group), one, said))
        return found

    def kept(self, selected: BoolArray, marks: Marks = Marks.EACH) -> Slices:
        """The text of a closed selection, bool, shape (m,)."""
        chosen = np.flatnonzero(selected)
        if not len(chosen):
            return Slices(np.zeros((0, 2), np.int64))
        return _Writer(self, selected, marks).write(chosen)


def _left_out(tree: Tree, selected: BoolArray) -> BoolArray:
    """Parts that are left out of what is kept; what is below them goes with them."""
    above = np.where(tree.parent >= 0, selected[np.maximum(tree.parent, 0)], True)
    left: BoolArray = ~selected & above & (tree.kind != Kind.CLOSER)
    return left


def _noun(kinds: IntArray) -> tuple[str, str]:
    """What parts of these kinds are called, one and many."""
    return _NOUNS.get(Kind(int(kinds[0])), _ANY) if (kinds == kinds[0]).all() else _ANY


class _Writer:
    def __init__(self, layout: TreeLayout, selected: BoolArray, marks: int) -> None:
        self.layout, self.text, self.tree = layout, layout.text, layout.tree
        self.spans: list[tuple[int, int]] = []
        self.inserted: list[tuple[int, str]] = []
        self.roots = self._omitted(selected) if marks else np.zeros(0, np.int64)
        self.once = marks == Marks.PARENT
        self.told_at = -1
        if self.once:
            self.counts = self._by_parent()

    def _omitted(self, selected: BoolArray) -> IntArray:
        """Omitted parts whose parent is kept, of kinds that are worth a mark."""
        tree = self.tree
        said = [style.prefix is not None for style in tree.styles]
        own = np.where(tree.parent >= 0, tree.style[np.maximum(tree.parent, 0)], 0)
        omitted = _left_out(tree, selected) & ~np.isin(tree.kind, _UNSAID) & np.array(said)[own]
        return np.flatnonzero(omitted)

    def _by_parent(self) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = {}
        for i in self.roots.tolist():
            groups.setdefault(int(self.tree.parent[i]), []).append(i)
        return groups

    def write(self, chosen: IntArray) -> Slices:
        tree, layout = self.tree, self.layout
        n = len(tree) + 1
        near = np.zeros(0, np.int64)
        if len(chosen) > 1:
            near = np.maximum.reduceat(layout._key[: chosen[-1] + 1], chosen[:-1] + 1) % n
        first = int(chosen[0])
        begun = {int(tree.parent[first])} if tree.kind[first] != Kind.CLOSER else set()
        self._mark(0, first, before=True)
        self._take(self._line_start(first), int(tree.end[first]))
        starts, ends = tree.start.tolist(), tree.end.tolist()
        parents, kinds = tree.parent.tolist(), tree.kind.tolist()
        previous = first
        for at, strongest in zip(chosen[1:].tolist(), near.tolist(), strict=True):
            parent = parents[at]
            closer = kinds[at] == Kind.CLOSER
            if at > previous + 1:
                self._mark(previous + 1, at)
            separator = self._separator(parent)
            if separator:
                self._separated(at, separator, closer or parent not in begun)
            elif at == previous + 1:
                self._take(ends[at - 1], starts[at])
            else:
                self._broken(at, strongest)
            if not closer:
                begun.add(parent)
            self._take(starts[at], ends[at])
            previous = at
        self._mark(previous + 1, len(tree))
        return Slices(np.array(self.spans, np.int64).reshape(-1, 2), tuple(self.inserted))

    def _separator(self, parent: int) -> str:
        return self.tree.styles[int(self.tree.style[parent]) if parent >= 0 else 0].separator

    def _separated(self, at: int, separator: str, leave: bool) -> None:
        """What stands before a part, without the separator where no sibling is kept before it."""
        low, high = int(self.tree.end[at - 1]), int(self.tree.start[at])
        comma = self.text.find(separator, low, high) if leave else -1
        if comma >= 0:
            self._take(low, comma)
            low = comma + len(separator)
        self._take(low, high)

    def _broken(self, at: int, strongest: int) -> None:
        """The strongest break among those left out, then the indentation of the part itself."""
        tree = self.tree
        low, high = int(tree.end[strongest - 1]), int(tree.start[strongest])
        newline = self.text.rfind("\n", low, high)
        if newline < 0:
            self._take(*self._wrapped(at, low, high))
            return
        self._take(low, newline + 1)
        self._take(self._line_start(at), int(tree.start[at]))

    def _wrapped(self, at: int, low: int, high: int) -> tuple[int, int]:
        """The break of a wrapped line among the sentences left out, where there is one."""
        start = int(self.tree.start[at])
        newline = self.text.rfind("\n", self.spans[-1][1], start)
        if newline < 0 or _OPENS.match(self.text, start):
            return low, high
        match = _INDENT.match(self.text, newline + 1, start)
        return newline, match.end() if match else newline + 1

    def _line_start(self, at: int) -> int:
        """Where the line of a part begins, if only blanks stand before it; its start otherwise."""
        start = int(self.tree.start[at])
        k = int(np.searchsorted(self.layout.newlines, start)) - 1
        low = int(self.layout.newlines[k]) + 1 if k >= 0 else 0
        blank = start - low < _DEEPEST and not self.text[low:start].strip()
        return low if blank else start

    def _take(self, start: int, end: int) -> None:
        if end <= start:
            return
        if self.spans and self.spans[-1][1] == start and self.told_at != start:
            self.spans[-1] = (self.spans[-1][0], end)
        else:
            self.spans.append((start, end))

    def _mark(self, low: int, high: int, before: bool = False) -> None:
        """Say what is left out among the parts ``[low, high)``."""
        a, b = np.searchsorted(self.roots, [low, high])
        groups: dict[int, list[int]] = {}
        for i in self.roots[a:b].tolist():
            groups.setdefault(int(self.tree.parent[i]), []).append(i)
        said = []
        for parent, omitted in groups.items():
            every = self.counts[parent] if self.once else omitted
            if omitted[-1] == every[-1]:
                said.append(self._words(parent, every))
        if not said:
            return
        lines = "\n".join(said)
        self.told_at = self.spans[-1][1] if self.spans else 0
        self.inserted.append((self.told_at, f"{lines}\n" if before else f"\n{lines}"))

    def _words(self, parent: int, omitted: list[int]) -> str:
        tree = self.tree
        style = tree.styles[int(tree.style[parent]) if parent >= 0 else 0]
        one, many = _noun(tree.kind[omitted])
        n = len(omitted)
        first = omitted[0]
        low = self._line_start(first)
        indent = self.text[low : int(tree.start[first])]
        return f"{indent}{style.prefix}… {n} {one if n == 1 else many}{style.suffix}"
