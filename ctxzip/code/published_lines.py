"""``LongCodeZip(compat=True)``: the published code's choices, put out as slices of the source."""

from __future__ import annotations

from collections.abc import Sequence

from ctxzip.code.published import Verdict
from ctxzip.code.render import Piece
from ctxzip.code.segment.tree import CodeTree
from ctxzip.code.select.items import Item

__all__ = ["kept_lines", "pieces_of"]


def kept_lines(items: Sequence[Item], verdicts: Sequence[Verdict], document: int) -> set[int]:
    """Lines of one document that stay.

    Args:
        items: what was decided about, over all documents.
        verdicts: one for each.
        document: index of the document.
    """
    kept: set[int] = set()
    for item, verdict in zip(items, verdicts, strict=True):
        if item.document != document or not verdict.selected:
            continue
        lines = [line for first, end in item.lines for line in range(first, end)]
        if verdict.kept is None:
            kept.update(lines)
            continue
        for block in verdict.kept:
            first, end = verdict.blocks[block]
            kept.update(lines[first:end])
    return kept


def pieces_of(tree: CodeTree, kept: set[int], marker: str) -> list[Piece]:
    """Kept lines as slices, and a marker for each run of lines between and behind them."""
    found: list[Piece] = []
    line = 0
    while kept and line < tree.lines:
        stop = line
        inside = line in kept
        while stop < tree.lines and (stop in kept) is inside:
            stop += 1
        text = tree.slice(line, stop)
        if inside:
            found.append(Piece(text, int(tree.starts[line])))
        elif text.strip():
            first = next(row for row in range(line, stop) if not tree.blank(row))
            row = tree.slice(first, first + 1)
            indent = row[: len(row) - len(row.lstrip())]
            count = stop - line
            words = f"{count} line" if count == 1 else f"{count} lines"
            found.append(Piece(f"{indent}{marker.format(words)}\n", -1))
        line = stop
    return found
