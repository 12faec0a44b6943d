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
    ends = None if boundaries is None else set(boundaries)
    nodes: list[tuple[int, ...]] = []
    skip: list[int] = []
    lines: list[list[tuple[int, int]]] = []

    def opens(child: int) -> bool:
        if tree.nodes[child].skip == child + 1:
            return False
        at = tree.nodes[child]
        if ends is None:
            return at.stop - at.first > _OPENED
        return any(at.first <= line < at.stop - 1 for line in ends)

    def closes(child: int) -> bool:
        at = tree.nodes[child]
        if ends is None:
            return at.end > at.stop
        return any(line in ends for line in range(at.first, at.end))

    def add(run: list[int]) -> None:
        if run:
            nodes.append(tuple(i for child in run for i in range(child, tree.nodes[child].skip)))
            lines.append([(tree.nodes[run[0]].first, tree.nodes[run[-1]].end)])
            skip.append(len(nodes))

    def walk(children: list[int]) -> None:
        run: list[int] = []
        for child in children:
            apart = bool(run) and tree.nodes[child].group != tree.nodes[run[-1]].group
            if opens(child):
                add(run)
                run = []
                place = len(nodes)
                nodes.append((child,))
                lines.append(tree.own(child))
                skip.append(0)
                walk(tree.children(child))
                skip[place] = len(nodes)
                continue
            if apart:
                add(run)
                run = []
            run.append(child)
            if closes(child):
                add(run)
                run = []
        add(run)

    walk(tree.children(node))
    texts = tuple("".join(tree.slice(a, b) for a, b in some) for some in lines)
    cost = tuple(max(1, sum(line_cost[b] - line_cost[a] for a, b in some)) for some in lines)
    returns = tuple(any(_RETURNS.match(line) for line in text.splitlines()) for text in texts)
    places = tuple(map(tuple, lines))
    return Blocks(tuple(nodes), tuple(skip), places, texts, cost, returns)


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
