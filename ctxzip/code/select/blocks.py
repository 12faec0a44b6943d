"""Inside a function: blocks, what each is worth, and the best of them under a budget.

LongCodeZip's blocks end behind lines that surprise the model, and are worth how much they lower the
perplexity of the question. Blocks of whole statements, ends at blank lines where no model reads,
and the bonuses for length and for what returns or raises are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ctxzip.code.segment.tree import CodeTree
from ctxzip.code.select.knapsack import knapsack
from ctxzip.kit.arrays import FloatArray

__all__ = ["Blocks", "blocks_of", "choose_blocks"]

_OPENED = 8
_RETURNS = re.compile(r"\s*(?:return|yield|raise|throw|panic|exit)\b")
_CAPACITY = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The blocks of one function, each before what it holds.

    Attributes:
        nodes: the tree's nodes that stand or fall with each block.
        skip: index of the first block behind each and all it holds.
        lines: half-open ranges of lines of each.
        text: source of each block, without what other blocks hold.
        cost: its tokens.
        returns: whether it gives a result or raises.
    """

    nodes: tuple[tuple[int, ...], ...]
    skip: tuple[int, ...]
    lines: tuple[tuple[tuple[int, int], ...], ...]
    text: tuple[str, ...]
    cost: tuple[int, ...]
    returns: tuple[bool, ...]


def blocks_of(
    tree: CodeTree, node: int, line_cost: Sequence[int], boundaries: Sequence[int] | None
) -> Blocks:
    """Cut the body of a function into blocks of whole statements.

    A block is a run of neighbouring statements. It ends where ``boundaries`` say, moved to the end
    of the statement there; a statement with a boundary inside is opened, and what it holds makes
    blocks of its own. Without boundaries blocks end at blank lines and around statements of more
    than eight lines, which are opened.

    Args:
        tree: the document.
        node: index of the function's node.
        line_cost: tokens of each line of the document, accumulated, shape (lines + 1,).
        boundaries: lines of the document after which a block ends, or None.
    """
    cutter = _Cutter(tree, None if boundaries is None else frozenset(boundaries))
    cutter.cut(tree.children(node))
    lines = cutter.lines
    texts = tuple("".join(tree.slice(a, b) for a, b in ranges) for ranges in lines)
    cost = tuple(max(1, sum(line_cost[b] - line_cost[a] for a, b in ranges)) for ranges in lines)
    returns = tuple(any(_RETURNS.match(line) for line in text.splitlines()) for text in texts)
    places = tuple(map(tuple, lines))
    return Blocks(tuple(cutter.nodes), tuple(cutter.skip), places, texts, cost, returns)


class _Cutter:
    """Cuts statements into blocks, each before what it holds.

    Args:
        tree: the document.
        ends: lines after which a block ends, or None to go by the structure.
    """

    def __init__(self, tree: CodeTree, ends: frozenset[int] | None) -> None:
        self._tree = tree
        self._ends = ends
        self.nodes: list[tuple[int, ...]] = []
        self.skip: list[int] = []
        self.lines: list[list[tuple[int, int]]] = []

    def cut(self, children: list[int]) -> None:
        """The blocks of some siblings."""
        run: list[int] = []
        for child in children:
            if self._opens(child):
                self._add(run)
                run = []
                self._open(child)
                continue
            nodes = self._tree.nodes
            if run and nodes[child].group != nodes[run[-1]].group:
                self._add(run)
                run = []
            run.append(child)
            if self._closes(child):
                self._add(run)
                run = []
        self._add(run)

    def _opens(self, child: int) -> bool:
        """Whether a statement is a block by itself, and so is what it holds."""
        at = self._tree.nodes[child]
        if at.skip == child + 1:
            return False
        if self._ends is None:
            return at.stop - at.first > _OPENED
        return any(at.first <= line < at.stop - 1 for line in self._ends)

    def _closes(self, child: int) -> bool:
        """Whether a block ends behind a statement."""
        at = self._tree.nodes[child]
        if self._ends is None:
            return at.end > at.stop
        return any(line in self._ends for line in range(at.first, at.end))

    def _open(self, child: int) -> None:
        place = len(self.nodes)
        self.nodes.append((child,))
        self.lines.append(self._tree.own(child))
        self.skip.append(0)
        self.cut(self._tree.children(child))
        self.skip[place] = len(self.nodes)

    def _add(self, run: list[int]) -> None:
        if run:
            nodes = self._tree.nodes
            self.nodes.append(tuple(i for c in run for i in range(c, nodes[c].skip)))
            self.lines.append([(nodes[run[0]].first, nodes[run[-1]].end)])
            self.skip.append(len(self.nodes))


def choose_blocks(
    blocks: Blocks, value: FloatArray, room: int, marker: int
) -> tuple[list[int], int]:
    """The most valuable blocks that fit.

    A block's value is raised by half of the best one's if it returns or raises, and by up to a
    fiftieth of it by length; neither is LongCodeZip's.

    Args:
        blocks: of one function.
        value: worth of each by the scorer, float64, shape (n,).
        room: tokens for blocks and markers.
        marker: tokens of a marker.

    Returns:
        The nodes that stay, and the tokens of the blocks and markers.
    """
    if not len(value):
        return [], 0
    top = float(value.max())
    share = sum(blocks.cost) or 1
    # What says nothing about the question is still worth something: by its length, and early first.
    worth = [
        max(0.0, float(v))
        + 0.02 * (top or 1.0) * c / share
        + (0.5 * (top or 1.0) if returns else 0.0)
        for v, c, returns in zip(value, blocks.cost, blocks.returns, strict=True)
    ]
    # Large problems are solved in coarser steps: never more, at most 2,000 of them.
    step = max(1, -(-room // _CAPACITY))
    taken = knapsack(
        worth,
        [-(-c // step) for c in blocks.cost],
        blocks.skip,
        room // step,
        marker=-(-marker // step),
    )
    chosen = [i for i, take in enumerate(taken.tolist()) if take]
    spent = sum(blocks.cost[i] for i in chosen)
    spent += marker * _gaps(blocks, set(chosen))
    return [node for i in chosen for node in blocks.nodes[i]], spent


def _gaps(blocks: Blocks, chosen: set[int]) -> int:
    """How many markers stand for the blocks left out."""
    count, at, before = 0, 0, -1
    while at < len(blocks.skip):
        if at in chosen:
            at += 1
            continue
        count += before != at
        at = before = blocks.skip[at]
    return count
