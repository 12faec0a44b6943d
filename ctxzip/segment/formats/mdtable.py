"""Tables of GitHub-flavoured markdown: a header with its delimiter row, and rows."""

from __future__ import annotations

import re

from ctxzip.segment.formats import cells as table
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("| ", " |")
_BARE = Style()  # of tables without outer pipes

_DELIMITER = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?")
_PIPE = re.compile(r"(?<!\\)\|")
_PADDING = re.compile(
    r"(?<=(?<!\\)\|[ \t])[ \t]+"  # behind a pipe, but for one
    r"|(?<=[^ \t|])[ \t]+(?=[ \t]\|)"  # before a pipe, but for one
)


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the region is one table: every line has pipes, the second is a delimiter row.

    Without a delimiter row all lines must stand between pipes and have as many cells.
    """
    widths: list[int] = []
    outer = 0
    delimited = False
    for _, first, stop in lines(text, start, min(end, start + 65_536)):
        line = text[first:stop]
        if line.startswith("+") or "|" not in line:
            return False
        if len(widths) == 1 and _is_delimiter(line):
            delimited = len(_cells(line)) == widths[0]
        outer += line[0] == "|" and line[-1] == "|"
        widths.append(len(_cells(line)))
    if delimited:
        return True
    return len(widths) > 1 and outer == len(widths) and len(set(widths)) == 1


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the table that ``out.text[start:end]`` is: a header with rows below it, or rows alone."""
    text = out.text
    found = list(lines(text, start, end))
    if not found or any(text.find("|", first, stop) < 0 for _, first, stop in found[:1]):
        return False
    names: list[str] = []
    if len(found) > 1 and _is_delimiter(text[found[1][1] : found[1][2]]):
        names = _cells(text[found[0][1] : found[0][2]])
        outer = text[found[0][1]] == "|"
        style = STYLE if outer else _BARE
        _, first, stop = found[0]
        parent = out.add(
            first,
            found[1][2],
            Kind.HEAD,
            parent,
            content=False,
            label=table.label(names),
            style=style,
        )
        _squeeze(out, text, first, stop)  # the delimiter row stays as it is written
        found = found[2:]
    for _, first, stop in found:
        row = text[first:stop]
        out.add(first, stop, Kind.ROW, parent, reading=table.reading(names, _cells(row)))
        if "  " in row or "\t" in row:
            _squeeze(out, text, first, stop)
    return True


def _squeeze(out: Builder, text: str, first: int, stop: int) -> None:
    out.noise += [match.span() for match in _PADDING.finditer(text, first, stop)]


def _is_delimiter(line: str) -> bool:
    return "-" in line and _DELIMITER.fullmatch(line) is not None


def _cells(line: str) -> list[str]:
    """The cells of a row, without the pipes and blanks around them."""
    inner = line.removeprefix("|")
    parts = _PIPE.split(inner) if "\\" in inner else inner.split("|")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    return [part.strip() for part in parts]
