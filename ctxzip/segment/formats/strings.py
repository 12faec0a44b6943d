"""Long strings inside of quotes, divided where no escape is torn."""

from __future__ import annotations

import re
from bisect import bisect_left

from ctxzip.segment import sentences
from ctxzip.segment.tree import PLAIN, Builder
from ctxzip.text.units import Kind

__all__ = ["LONG", "LONGER", "add_string", "pieces"]

LONG = 300  # characters; shorter strings stand whole
LONGER = 1500  # in a field of a record
_LINE, _FEW = 250, 4  # a line of many stands whole up to this size; few lines are running text
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\n|.)", re.DOTALL)
_BLANKS = {"n": " \n", "r": "  ", "t": "  "}
_LINES = re.compile(r"[^\n]+")


def add_string(
    out: Builder, start: int, quote: int, end: int, parent: int, always: bool = False
) -> bool:
    """Add the quoted string ``out.text[quote:end]`` with what stands before it from ``start``.

    The opening with its key is a head, its sentences (or lines) are parts, the quote closes it.
    False, with nothing added, where it cannot be divided.
    """
    found = pieces(out.text, quote + 1, end - 1)
    if len(found) < 2:
        return False
    text = out.text
    head = out.add(
        start,
        quote + 1,
        Kind.HEAD,
        parent,
        content=False,
        whole=True,
        label=text[start:quote].strip().rstrip(":=").strip().strip("\"'"),
        style=PLAIN,
        always=always,
    )
    for a, b in found:
        # A backslash must not be torn from what it escapes: no words out of a line.
        out.add(a, b, Kind.SENTENCE if text.find("\\", a, b) < 0 else Kind.LINE, head)
    out.add(end - 1, end, Kind.CLOSER, head, always=True, content=False)
    return True


def pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Lines and sentences of the inside of a string; between them lies white space only."""
    raw = text[start:end]
    inner: list[int] = []
    masked = raw
    if "\\" in raw:
        masked = _ESCAPE.sub(_mask, raw)
        inner = [i for m in _ESCAPE.finditer(raw) for i in range(m.start() + 1, m.end())]
    found: list[tuple[int, int]] = []
    short = _LINE if masked.count("\n") > _FEW else 0
    for line in _LINES.finditer(masked):
        if line.end() - line.start() <= short:
            if line[0].strip():
                found.append(line.span())
            continue
        units = sentences.split(line[0])
        found += [
            (line.start() + a, line.start() + b)
            for a, b in zip(units.start.tolist(), units.end.tolist(), strict=True)
        ]
    ends = [0]
    for _, stop in found[:-1]:
        after = stop
        while _in(inner, after):
            after += 1
        ends.append(after)
    return _joined(text, start, end, [start + after for after in dict.fromkeys(ends)])


def _mask(match: re.Match[str]) -> str:
    kind = match[0][1]
    if len(match[0]) == 2:
        return _BLANKS.get(kind, f"{kind} " if kind in "\"'" else "xx")
    return "x" * len(match[0])


def _in(ordered: list[int], value: int) -> bool:
    at = bisect_left(ordered, value)
    return at < len(ordered) and ordered[at] == value


def _joined(text: str, start: int, end: int, starts: list[int]) -> list[tuple[int, int]]:
    """Each piece from the end of the one before it; an escaped line break begins a piece."""
    found = []
    for a, b in zip(starts, [*starts[1:], end], strict=True):
        piece = text[a:b]
        body = piece.strip()
        if body:
            first = a + len(piece) - len(piece.lstrip())
            found.append((first, first + len(body)))
    return found
