"""The tree of a source text: what can be left out line by line while the rest stays valid.

Every node covers whole lines. Siblings follow one another in one block, so any run of them can give
way to a marker; a node's own lines (a header, a closing brace) stay as long as any child does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ctxzip.code.segment.grammar import Language
from ctxzip.kit.arrays import IntArray

__all__ = ["Builder", "CodeNode", "CodeTree", "NodeKind", "line_starts"]

NodeKind = Literal["function", "class", "code", "text", "fence"]


@dataclass(slots=True, eq=False)
class CodeNode:
    """A statement, a definition, or a container of them, with the comments that belong to it.

    Attributes:
        first: its first line.
        stop: one past its last line.
        end: one past the blank lines behind it.
        kind: what it is.
        name: of a function or class, as far as it has one.
        parent: index of the node around it, or -1.
        group: which block it stands in; runs of one group give way to one marker.
        depth: how many nodes are around it.
        skip: index of the first node behind its subtree.
        indent: what a marker in its block is indented by.
        marker: pattern of a marker in its block; None where things are left out without one.
        pinned: it stays where anything of its block stays.
        doc: it is the docstring of its parent.
        head: first line of the definition itself, behind its comments.
    """

    first: int
    stop: int
    end: int
    kind: NodeKind
    name: str = ""
    parent: int = -1
    group: int = 0
    depth: int = 0
    skip: int = 0
    indent: str = ""
    marker: str | None = None
    pinned: bool = False
    doc: bool = False
    head: int = 0


@dataclass(slots=True, eq=False)
class CodeTree:
    """A segmented source text.

    Attributes:
        text: the source.
        starts: first character of each line and the length of the text, int64, shape (lines + 1,).
        nodes: in source order, each before what it holds; together with the blank lines before the
            first they cover every line.
        language: what it was parsed as, or None.
        parsed: by a grammar; otherwise by indentation.
        note: why it was not parsed, where a reader should know.
    """

    text: str
    starts: IntArray
    nodes: list[CodeNode]
    language: Language | None
    parsed: bool
    note: str | None = None
    _children: dict[int, list[int]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self.starts) - 1

    def slice(self, first: int, end: int) -> str:
        """The text of some lines."""
        return self.text[int(self.starts[first]) : int(self.starts[end])]

    def blank(self, line: int) -> bool:
        """Whether a line holds nothing but whitespace."""
        return not self.slice(line, line + 1).strip()

    def children(self, node: int) -> list[int]:
        """Indices of the nodes directly inside one; of the outermost for -1."""
        if node not in self._children:
            at = node + 1
            end = self.nodes[node].skip if node >= 0 else len(self.nodes)
            found = []
            while at < end:
                found.append(at)
                at = self.nodes[at].skip
            self._children[node] = found
        return self._children[node]

    def own(self, node: int) -> list[tuple[int, int]]:
        """The lines of a node that are in none of its children, as half-open ranges."""
        at, end = self.nodes[node].first, self.nodes[node].end
        found = []
        for child in self.children(node):
            if self.nodes[child].first > at:
                found.append((at, self.nodes[child].first))
            at = self.nodes[child].end
        if end > at:
            found.append((at, end))
        return found


def line_starts(text: str) -> IntArray:
    """First character of each line and the length of the text; lines end with a line feed."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    starts = np.concatenate([[0], np.flatnonzero(codes == 10) + 1]).astype(np.int64)
    if starts[-1] != len(text):
        starts = np.append(starts, len(text))
    return starts if len(text) else np.zeros(1, np.int64)


class Builder:
    """Collects nodes in source order."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.nodes: list[CodeNode] = []
        self._groups = 0

    def group(self) -> int:
        """A new block."""
        self._groups += 1
        return self._groups

    def indent(self, line: int) -> str:
        """The whitespace that a line begins with."""
        text = self.lines[line]
        return text[: len(text) - len(text.lstrip(" \t"))]

    def blanks(self, line: int, limit: int) -> int:
        """One past the blank lines from a line on."""
        while line < limit and not self.lines[line].strip():
            line += 1
        return line

    def add(self, node: CodeNode) -> int:
        """Append a node; :meth:`close` it when its children are in."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def close(self, index: int) -> None:
        """All that follows is outside a node."""
        self.nodes[index].skip = len(self.nodes)
