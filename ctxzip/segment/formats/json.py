"""JSON: one document, several in a row, members without their braces; cut off or broken ones."""

from __future__ import annotations

import re

from ctxzip.segment.formats.brackets import JSON, Grammar, Nodes, scan
from ctxzip.segment.formats.containers import INSIDE, add_nodes
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "add_broken", "fits", "read"]

STYLE = INSIDE
_HINTS = frozenset(("json", "json5", "jsonc", "geojson", "ipynb", "har"))
_START = re.compile(r'\s*+(?:\{\s*+(?:"|\})|\[\s*+["\[{\]\-\dtfn]|"(?:[^"\\\n]|\\.){1,80}"\s*+:)')
_AGAIN = re.compile(r"^[ \t]*+(?=[{\[])", re.MULTILINE)
_TRIES = 100  # times that reading starts again in a broken text
_TRIED = 4000  # characters that show whether a text is JSON
NOTE = "The JSON is cut off or broken: it was read as far as it parses, the rest as lines."


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether a text begins with a value of JSON in brackets, or with a member of an object."""
    if _START.match(text, start, end) is None:
        return False
    stop = min(end, start + _TRIED)
    nodes = scan(text, start, stop, JSON)
    if not len(nodes):
        return False
    if hint in _HINTS:
        return True
    if not _says(text, nodes):
        return False
    rest = text[nodes.stop : stop].split("\n", 1)[0].strip(" \t\r,;")
    if nodes.whole:
        return not rest
    # Cut off: by what was tried, by who made the text, or inside of a string.
    return not nodes.broken or len(nodes) > 2 or rest.startswith('"')


def _says(text: str, nodes: Nodes) -> bool:
    """Not a bare number in brackets, such as the mark of a footnote."""
    return len(nodes) > 2 or any(key >= 0 for key in nodes.key_end) or nodes.size[0] == 2


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add values, and what does not parse as lines."""
    return add_broken(out, start, end, parent, JSON, NOTE)


def add_broken(
    out: Builder, start: int, end: int, parent: int, grammar: Grammar, note: str
) -> bool:
    """Add values of a grammar; after what does not parse, go on at the next line with a bracket.

    False, with nothing added, where most of the text does not parse.
    """
    found: list[tuple[Nodes, int]] = []  # what was read, and where reading went on
    at, read_in = start, 0
    while at < end and len(found) < _TRIES:
        nodes = _scan(out.text, at, end, grammar, whole=not found)
        read_in += nodes.stop - at
        again = _AGAIN.search(out.text, max(nodes.stop, at + 1), end)
        at = again.end() if again is not None and nodes.broken else end
        found.append((nodes, at))
    if not any(len(nodes) for nodes, _ in found) or read_in * 2 < end - start:
        return False
    found[-1] = (found[-1][0], end)
    unread = False
    for nodes, stop in found:
        parts = add_nodes(out, nodes, parent)
        under = _deepest(nodes, parts, parent)
        unread = unread or under != parent
        for _, a, b in lines(out.text, nodes.stop, stop):
            said = any(c.isalnum() for c in out.text[a:b])
            unread = unread or (said and not nodes.whole)
            out.add(a, b, Kind.LINE, under, content=said)
    if unread:
        out.notes.append(note)
    return True


def _scan(text: str, at: int, end: int, grammar: Grammar, whole: bool) -> Nodes:
    """Read on from ``at``; a broken text by and by, so that its length is not paid at every try."""
    step = end - at if whole else 512
    while True:
        newline = text.find("\n", min(at + step, end), end)
        stop = end if newline < 0 else newline + 1
        nodes = scan(text, at, stop, grammar)
        if nodes.broken or stop == end:
            return nodes
        step *= 4


def _deepest(nodes: Nodes, parts: list[int], parent: int) -> int:
    """The part of the innermost container that is not closed."""
    for i in range(len(nodes) - 1, -1, -1):
        if nodes.open_end[i] >= 0 and nodes.close[i] < 0:
            return parts[i]
    return parent
