"""Arrays of TOML and flow collections of YAML, divided by their lines or their commas.

Each part holds whole elements with the comma behind them; both formats allow one before the closing
bracket, so what is left always parses.
"""

from __future__ import annotations

import re

from ctxzip.segment.tree import PLAIN, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["add_array"]


def add_array(  # noqa: PLR0913
    out: Builder,
    start: int,
    opened: int,
    close: int,
    end: int,
    parent: int,
    *,
    label: str,
    tokens: re.Pattern[str],
    style: Style,
    kind: Kind = Kind.HEAD,
) -> int:
    """Add an array; returns the part of its opening.

    Args:
        out: where to.
        start: where the key begins.
        opened: one past the opening bracket.
        close: where the closing bracket stands.
        end: one past what stands behind it on its line.
        parent: what it belongs to.
        label: its key.
        tokens: finds strings, comments, brackets, commas and line breaks.
        style: of the comments of the format.
        kind: of the opening.
    """
    by_line = out.text.find("\n", opened, close) >= 0
    head = out.add(
        start,
        opened,
        kind,
        parent,
        content=False,
        whole=True,
        label=label,
        style=style if by_line else PLAIN,
    )
    depth, low = 0, opened
    for match in tokens.finditer(out.text, opened, close):
        sign = match[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        elif not depth and sign == ("\n" if by_line else ","):
            low = _element(out, low, match.end(), close, head)
    _element(out, low, close, close, head)
    out.add(close, end, Kind.CLOSER, head, always=True, content=False)
    return head


def _element(out: Builder, low: int, high: int, close: int, head: int) -> int:
    """One line or element; a line that is a comment goes with the next."""
    text = out.text
    body = text[low:high].strip()
    if not body:
        return low
    if body[0] == "#" and "\n" not in body and text[high:close].strip():
        return low
    first = low + len(text[low:high]) - len(text[low:high].lstrip())
    out.add(first, first + len(body), Kind.ENTRY, head)
    return high
