"""What competes in the coarse stage: functions, headers of classes, runs of other statements."""

from __future__ import annotations

from dataclasses import dataclass

from ctxzip.code.segment.tree import CodeTree
from ctxzip.kit.arrays import IntArray
from ctxzip.text.units import Units

__all__ = ["Item", "items_of", "units_of"]

_LONG_RUN = 40


@dataclass(slots=True, eq=False)
class Item:
    """A function, the own lines of a container, or a run of neighbouring statements.

    Attributes:
        document: index of the document.
        nodes: its nodes in the document's tree: one, or the members of a run.
        kind: ``"function"``, ``"class"`` (the own lines of any container), ``"code"``, ``"text"``.
        name: of a function or class.
        parent: index of the container's item among all items, or -1.
        lines: half-open ranges of lines.
        cost: tokens of these lines.
    """

    document: int
    nodes: tuple[int, ...]
    kind: str
    name: str
    parent: int
    lines: tuple[tuple[int, int], ...]
    cost: int = 0

    def text(self, tree: CodeTree) -> str:
        """Its source, without what it holds."""
        return "".join(tree.slice(first, end) for first, end in self.lines)

    def size(self) -> int:
        """How many lines it has."""
        return sum(end - first for first, end in self.lines)


def items_of(tree: CodeTree, document: int, offset: int) -> list[Item]:
    """The items of a tree, in source order, each container before its members.

    Args:
        tree: the segmented document.
        document: its index.
        offset: how many items stand before these.
    """
    holds = _holds(tree)
    found: list[Item] = []

    def walk(children: list[int], parent: int) -> None:
        run: list[int] = []
        for child in [*children, -1]:
            node = tree.nodes[child] if child >= 0 else None
            single = node is None or node.kind in ("function", "text") or holds[child]
            breaks = bool(run) and (
                single
                or _size(tree, run) >= _LONG_RUN
                or (node is not None and node.group != tree.nodes[run[-1]].group)
                or (node is not None and node.first != tree.nodes[run[-1]].end)
            )
            if breaks:
                found.append(_run(tree, document, run, parent))
                run = []
            if node is None:
                break
            if holds[child]:
                place = offset + len(found)
                lines = tuple(tree.own(child))
                found.append(Item(document, (child,), "class", node.name, parent, lines))
                walk(tree.children(child), place)
            elif single:
                kind = "text" if node.kind == "text" else "function"
                lines = ((node.first, node.end),)
                found.append(Item(document, (child,), kind, node.name, parent, lines))
            else:
                run.append(child)

    walk(tree.children(-1), -1)
    return found


def _holds(tree: CodeTree) -> list[bool]:
    """Whether a node is a container: a class, or any statement around functions or classes."""
    holds = [node.kind in ("class", "fence") and node.skip > i + 1
             for i, node in enumerate(tree.nodes)]  # fmt: skip
    for node in tree.nodes:
        at = node.parent
        if node.kind in ("function", "class"):
            while at >= 0 and not holds[at] and tree.nodes[at].kind != "function":
                holds[at] = True
                at = tree.nodes[at].parent
    inside = [False] * len(holds)
    for i, node in enumerate(tree.nodes):
        up = node.parent
        inside[i] = up >= 0 and (inside[up] or tree.nodes[up].kind == "function")
    return [h and not i and n.kind != "function"
            for h, i, n in zip(holds, inside, tree.nodes, strict=True)]  # fmt: skip


def _size(tree: CodeTree, run: list[int]) -> int:
    return tree.nodes[run[-1]].end - tree.nodes[run[0]].first


def _run(tree: CodeTree, document: int, run: list[int], parent: int) -> Item:
    lines = ((tree.nodes[run[0]].first, tree.nodes[run[-1]].end),)
    return Item(document, tuple(run), "code", "", parent, lines)


def units_of(tree: CodeTree, items: list[Item]) -> tuple[Units, list[int]]:
    """The items as units of the text, blank lines at their edges left off.

    A container whose own lines enclose its members gives a unit for each of its ranges.

    Returns:
        The units in source order, and the index of the item of each.
    """
    spans: list[tuple[int, int, int]] = []
    starts: IntArray = tree.starts
    for i, item in enumerate(items):
        for first, end in item.lines:
            low, high = int(starts[first]), int(starts[end])
            text = tree.text[low:high]
            bare = text.strip()
            if bare:
                low += len(text) - len(text.lstrip())
                spans.append((low, low + len(bare), i))
    spans.sort()
    return Units.of([(a, b) for a, b, _ in spans]), [i for _, _, i in spans]
