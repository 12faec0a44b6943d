"""Kept nodes → text: exact slices of the source, and markers where lines were left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ctxzip.code.segment.tree import CodeTree

__all__ = ["Piece", "Plan", "render"]


class Piece(NamedTuple):
    """A part of the output.

    Attributes:
        text: what is put out.
        start: first character of its source, or -1 where ctxzip inserted it.
    """

    text: str
    start: int


@dataclass(slots=True, eq=False)
class Plan:
    """What stays of one document.

    Attributes:
        tree: the document.
        kept: nodes whose own lines stay; one is kept only with all around it.
        stubs: functions that stay as their header and the first line of their docstring.
    """

    tree: CodeTree
    kept: set[int] = field(default_factory=set)
    stubs: set[int] = field(default_factory=set)

    def keep(self, node: int, *, whole: bool) -> None:
        """Keep a node and what is around it; with ``whole`` also all that it holds."""
        nodes = self.tree.nodes
        at = node
        while at >= 0 and at not in self.kept:
            self.kept.add(at)
            at = nodes[at].parent
        if whole:
            self.stubs.discard(node)
            self.kept.update(range(node, nodes[node].skip))

    def copy(self) -> Plan:
        """A plan that can be changed by itself."""
        return Plan(self.tree, set(self.kept), set(self.stubs))

    @property
    def complete(self) -> bool:
        """Whether nothing is left out."""
        return len(self.kept) == len(self.tree.nodes) and not self.stubs


def render(
    plan: Plan, protected: Callable[[int], bool], cheap: Callable[[int, int, str], bool]
) -> list[Piece]:
    """The output of one document.

    Args:
        plan: what stays.
        protected: whether a line must not go.
        cheap: whether some lines (first, end) take no more tokens than a marker.

    Returns:
        Pieces in source order; none where nothing stays.
    """
    if not plan.kept:
        return []
    if plan.complete:
        return [Piece(plan.tree.text, 0)]
    return _Renderer(plan, protected, cheap).run()


class _Renderer:
    def __init__(
        self, plan: Plan, protected: Callable[[int], bool], cheap: Callable[[int, int, str], bool]
    ) -> None:
        self._plan = plan
        self._tree = plan.tree
        self._protected = protected
        self._cheap = cheap
        self._lines: list[tuple[int, int]] = []  # ranges, or (-1, index of an insertion)
        self._inserted: list[Piece] = []
        self._ending = "\r\n" if "\r\n" in plan.tree.text[:4096] else "\n"

    def run(self) -> list[Piece]:
        """Everything, from the outermost nodes inwards."""
        self._children(self._plan.tree.children(-1))
        return self._joined()

    def _children(self, children: list[int]) -> None:
        """Siblings and the own lines of their container are put out by :meth:`_node`."""
        at = 0
        nodes = self._tree.nodes
        while at < len(children):
            node = children[at]
            if node in self._plan.kept:
                self._node(node)
                at += 1
                continue
            stop = at + 1
            while (
                stop < len(children)
                and children[stop] not in self._plan.kept
                and nodes[children[stop]].group == nodes[node].group
                and nodes[children[stop]].first == nodes[children[stop - 1]].end
            ):
                stop += 1
            self._gap(children[at], children[stop - 1])
            at = stop

    def _node(self, index: int) -> None:
        tree, node = self._tree, self._tree.nodes[index]
        if index in self._plan.stubs:
            self._stub(index)
            return
        children = tree.children(index)
        at, k = node.first, 0
        while k < len(children):
            first = tree.nodes[children[k]].first
            if first > at:
                self._keep(at, first)
            # A run of touching children, of which any number may be left out.
            last = k
            while (
                last + 1 < len(children)
                and tree.nodes[children[last + 1]].first == tree.nodes[children[last]].end
            ):
                last += 1
            self._children(children[k : last + 1])
            at, k = tree.nodes[children[last]].end, last + 1
        if node.end > at:
            self._keep(at, node.end)

    def _keep(self, first: int, end: int) -> None:
        if self._lines and self._lines[-1][0] >= 0 and self._lines[-1][1] == first:
            self._lines[-1] = (self._lines[-1][0], end)
        elif end > first:
            self._lines.append((first, end))

    def _gap(self, first_node: int, last_node: int) -> None:
        """Lines left out; blank lines around them shrink to one."""
        tree = self._tree
        first, stop, end = (
            tree.nodes[first_node].first,
            tree.nodes[last_node].stop,
            tree.nodes[last_node].end,
        )
        if any(self._protected(line) for line in range(first, end)):
            self._keep(first, end)
            return
        marker = tree.nodes[first_node].marker
        if marker is None:
            return
        count = stop - first
        words = f"{count} line" if count == 1 else f"{count} lines"
        line = tree.nodes[first_node].indent + marker.format(words)
        if self._cheap(first, stop, line):
            self._keep(first, end)
            return
        self._trim()
        self._insert(line + self._ending)
        if end > stop:
            self._lines.append((end - 1, end))

    def _trim(self) -> None:
        """One blank line at most before a marker."""
        if not self._lines or self._lines[-1][0] < 0:
            return
        first, end = self._lines[-1]
        stop = end
        while stop > first and self._tree.blank(stop - 1) and not self._protected(stop - 1):
            stop -= 1
        self._lines[-1] = (first, min(end, stop + 1))

    def _insert(self, text: str, start: int = -1) -> None:
        if self._lines and self._lines[-1][0] >= 0:
            last = self._lines[-1][1]
            if last == self._tree.lines and not self._tree.text.endswith("\n"):
                text = self._ending + text
        self._inserted.append(Piece(text, start))
        self._lines.append((-1, len(self._inserted) - 1))

    def _stub(self, index: int) -> None:
        """The header, the first line of the docstring, a marker, and what closes the body."""
        tree, node = self._tree, self._tree.nodes[index]
        children = tree.children(index)
        head = tree.nodes[children[0]].first if children else node.stop
        self._keep(node.first if head - node.first <= 3 else node.head, head)
        left = node.stop - head
        if children and tree.nodes[children[0]].doc:
            left -= self._docstring(children[0])
        tail = tree.nodes[children[-1]].end if children else node.stop
        left -= node.stop - min(tail, node.stop)
        child = tree.nodes[children[0]] if children else node
        marker = (child.marker or "").format(f"{left} line" if left == 1 else f"{left} lines")
        self._insert(child.indent + marker + self._ending)
        self._keep(min(tail, node.stop), node.end)

    def _docstring(self, index: int) -> int:
        """The first line of a docstring, closed by what closes it; how many lines that is."""
        tree, node = self._tree, self._tree.nodes[index]
        if node.stop - node.first == 1:
            self._keep(node.first, node.stop)
            return 1
        start = int(tree.starts[node.first])
        line = tree.slice(node.first, node.first + 1).rstrip("\r\n")
        opening = line.strip()[:6].lstrip("rRuUbBfF")[:3]
        if opening not in ('"""', "'''") or opening in line.strip()[4:]:
            return 0
        if len(line.strip().lstrip("rRuUbB")) <= 3:  # the text begins on the second line
            self._keep(node.first, node.first + 1)
            line = tree.slice(node.first + 1, node.first + 2).rstrip("\r\n")
            start = int(tree.starts[node.first + 1])
            if node.stop - node.first < 3 or line.rstrip().endswith(("\\", opening)):
                self._lines.pop()
                return 0
            self._insert(line, start)
            self._insert(opening + self._ending)
            return 2
        if line.endswith("\\"):
            return 0
        self._insert(line, start)
        self._insert(opening + self._ending)
        return 1

    def _joined(self) -> list[Piece]:
        found: list[Piece] = []
        for first, end in self._lines:
            if first < 0:
                found.append(self._inserted[end])
            elif end > first:
                found.append(Piece(self._tree.slice(first, end), int(self._tree.starts[first])))
        return _merged(found)


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Slices that touch in the source made one."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        touches = (
            before is not None
            and before.start >= 0
            and piece.start == before.start + len(before.text)
        )
        if before is not None and touches:
            found[-1] = Piece(before.text + piece.text, before.start)
        elif before is not None and before.start < 0 and piece.start < 0:
            found[-1] = Piece(before.text + piece.text, -1)
        elif piece.text:
            found.append(piece)
    return found
