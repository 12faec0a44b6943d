"""JSON Lines: one record a line, JSON logs among them; lines that do not parse stand as lines."""

from __future__ import annotations

import json

from ctxzip.segment.formats.brackets import JSON, scan
from ctxzip.segment.formats.containers import add_nodes
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import PLAIN, Builder

__all__ = ["STYLE", "fits", "read"]

STYLE = PLAIN
_TRIED = 12  # lines that show whether a text is JSON Lines
NOTE = "Some lines are no JSON: they were read as plain lines."


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether there are at least two lines, and nearly every one is an object or a list."""
    seen = right = 0
    for _, a, b in lines(text, start, end):
        if text[a] in "{[" and _parses(text[a:b]):
            right += 1
        elif seen == right and hint not in ("jsonl", "ndjson"):
            return False  # the first line
        seen += 1
        if seen == _TRIED:
            break
    named = hint in ("jsonl", "ndjson")
    return (right >= 2 and right * 3 >= seen * 2) or (right == 1 and named)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add a record for every line, with what identifies it among the others."""
    plain: list[tuple[int, int]] = []
    records = 0
    kept: list[str] = []
    at = start
    for _, a, b in lines(out.text, start, end):
        kept.append(" " * (a - at))
        line = out.text[a:b]
        if line[0] in "{[" and _parses(line):
            records += 1
            kept.append(line)
        else:
            plain.append((a, b))
            kept.append(" " * len(line))
        at = b
    if records < 2 or records < len(plain):
        return False
    # Lines that do not parse are blank for the scanner; every offset stays what it is.
    masked = f"{' ' * start}{''.join(kept)}"
    nodes = scan(masked, start, len(masked), JSON)
    if nodes.broken or not nodes.whole:
        return False
    if plain:
        out.notes.append(NOTE)
    add_nodes(out, nodes, parent, plain)
    return True


def _parses(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
