"""Python's repr of data: dicts, lists, tuples, sets, dataclasses and other objects with fields."""

from __future__ import annotations

import re

from ctxzip.segment.formats.brackets import PYTHON, Nodes, scan
from ctxzip.segment.formats.containers import INSIDE
from ctxzip.segment.formats.json import add_broken
from ctxzip.segment.tree import Builder

__all__ = ["STYLE", "fits", "read"]

STYLE = INSIDE
_START = re.compile(r"\s*+(?:[\[{(]|[^\W\d][\w.]{0,80}\((?!\)))")
_CONSTANTS = frozenset(("None", "True", "False", "nan", "inf"))
_TRIED = 4000
NOTE = "The repr is cut off or broken: it was read as far as it parses, the rest as lines."


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether a text is a value as Python prints it, with keys or fields, or a list of strings."""
    if _START.match(text, start, end) is None:
        return False
    stop = min(end, start + _TRIED)
    nodes = scan(text, start, stop, PYTHON)
    if len(nodes) < 3 or nodes.parent[1] != 0:
        return False
    scalars = [i for i in range(len(nodes)) if nodes.open_end[i] < 0]
    values = [(text[nodes.value[i] : nodes.end[i]], nodes.key_end[i] >= 0) for i in scalars]
    sure = sum(value[0] in "'\"" or value in _CONSTANTS for value, _ in values)
    names = sum(v[0].isalpha() and v not in _CONSTANTS for v, named in values if not named)
    call = nodes.open_end[0] - nodes.value[0] > 1
    if not sure or names > sure or (call and any(nodes.key_end[i] < 0 for i in _members(nodes))):
        return False
    rest = text[nodes.stop : stop].split("\n", 1)[0].strip(" \t\r,;")
    if nodes.whole:
        return not rest
    return not nodes.broken or (len(nodes) > 6 and nodes.stop > stop - _TRIED // 2)


def _members(nodes: Nodes) -> list[int]:
    return [i for i, above in enumerate(nodes.parent) if above == 0]


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add values, and what does not parse as lines."""
    return add_broken(out, start, end, parent, PYTHON, NOTE)
