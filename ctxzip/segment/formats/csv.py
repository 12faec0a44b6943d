"""Values separated by commas, tabs, semicolons or bars: a header and rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from ctxzip.segment.formats import cells as table
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES

_HINTS = {"csv": ",;\t|", "tsv": "\t", "tab": "\t", "psv": "|"}
_SAMPLE, _ROWS = 16_384, 60
_PREAMBLE = 8  # lines of a title, units or settings before the header
_TALL, _LONG = 1_000, 100_000  # a quoted cell of more lines or characters is a stray quote
_CODE = re.compile(r"\s*(?:[{}<*>|]|\[|\(.*\)[,;]?\s*$|- |//|/\*|#!|\$ |@@|\"[^\"]*\"\s*:)")
_CLOCK = re.compile(r"\d{1,2}:\d{1,2}:\d{1,2}(?:[.:]\d+)?$")
_LEVEL = re.compile(r"\d\d:\d\d.*\b(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|TRACE)\b")
_CODE_END = re.compile(r"[;{}]\s*$")
_QUOTED = re.compile(r'"[^"]*+"')
_DASHES = re.compile(r"[\s|+:-]*-{2,}[\s|+:-]*")

_Record = tuple[int, int, list[str]]


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    width: int  # cells of most rows
    skip: int  # records before the header
    header: bool


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether nearly every line has the same number of cells."""
    return _dialect(text, start, end, hint) is not None


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add a header with its rows; lines before the header stand for themselves."""
    text = out.text
    dialect = _dialect(text, start, end, "") or _dialect(text, start, end, "csv")
    if dialect is None:
        return False
    torn = len(out.notes)
    names: list[str] = []
    head = parent
    delimiter, width = dialect.delimiter, dialect.width
    for i, (a, b, cells) in enumerate(_records(out, text, start, end, delimiter, width)):
        if i < dialect.skip or (len(cells) != width and cells[0].startswith("#")):
            out.add(a, b, Kind.LINE, head)
        elif i == dialect.skip and dialect.header:
            names = cells
            head = out.add(
                a, b, Kind.HEAD, parent, content=False, label=table.label(cells), style=STYLE
            )
        else:
            out.add(a, b, Kind.ROW, head, reading=table.reading(names, cells))
    del out.notes[torn + 1 :]
    return True


def _dialect(text: str, start: int, end: int, hint: str) -> _Dialect | None:
    stop = min(end, start + _SAMPLE)
    if stop < end:
        newline = text.rfind("\n", start, stop)
        if newline < 0:  # a line of thousands of cells
            newline = text.find("\n", stop, min(end, start + 16 * _SAMPLE))
        stop = max(newline, start)
    trusted = hint in _HINTS
    sample = text[start:stop]
    best: tuple[float, bool, int] | None = None
    chosen: _Dialect | None = None
    for delimiter in _HINTS.get(hint, ",\t;|"):
        if delimiter not in sample:
            continue
        records = list(islice(_records(None, text, start, stop, delimiter, 0), _ROWS))
        found = _measured(records, delimiter, trusted)
        if found is None or not (trusted or _is_data(text, records, found[1])):
            continue
        share, dialect = found
        rank = (share, delimiter == "\t", dialect.width)
        if best is None or rank > best:
            best, chosen = rank, dialect
    if (
        best is None
        and trusted
        and sample.count("\n") > 1
        and not any(c in sample for c in ",;\t|")
    ):
        column = list(islice(_records(None, text, start, stop, ",", 1), _ROWS))
        if not column:
            return None
        return _Dialect(",", 1, 0, table.has_header([cells for _, _, cells in column]))
    return chosen


def _measured(
    records: list[_Record], delimiter: str, trusted: bool
) -> tuple[float, _Dialect] | None:
    """The share of records of the usual width, and the dialect; None if they vary too much."""
    widths = [len(cells) for _, _, cells in records]
    usual = Counter(width for width in widths if width > 1).most_common(1)
    if not usual:
        return None
    width, count = usual[0]
    skip = next((i for i, w in enumerate(widths) if w >= width), 0)
    if skip > _PREAMBLE or (skip and not trusted and width < 3):
        return None
    if count / (len(records) - skip) < (0.5 if trusted else 0.9):
        return None
    rows = [cells for _, _, cells in records[skip:]]
    if len(rows) < 2 and not (trusted or (width > 3 and delimiter == "\t")):
        return None
    return count / len(records), _Dialect(delimiter, width, skip, table.has_header(rows))


def _is_data(text: str, records: list[_Record], dialect: _Dialect) -> bool:
    """Whether records that nobody called CSV are no prose, code or log with as many commas."""
    records = records[dialect.skip :]
    delimiter, width, n = dialect.delimiter, dialect.width, len(records)
    if delimiter == "\t":
        return width > 2 or sum(not cells[0] for _, _, cells in records) * 2 < n
    lines = [text[a:b] for a, b, _ in records]
    if _is_code(lines, delimiter) or _is_log(records, delimiter):
        return False
    spaced = sum(_QUOTED.sub("", line).count(delimiter + " ") for line in lines)
    if spaced * 2 > n * (width - 1):
        return _short(records, width, n) and delimiter != ";"
    if width == 2 and delimiter != "|":
        words = [cell.count(" ") for _, _, cells in records for cell in cells]
        return n > 2 and sum(words) < 3 * len(words)
    return True


def _is_code(lines: list[str], delimiter: str) -> bool:
    """Whether lines are code, markup or a table drawn another way."""
    n = len(lines)
    begin = sum(_CODE.match(line) is not None for line in lines)
    stop = sum(_CODE_END.search(line) is not None for line in lines)
    aligned = sum("   " in line for line in lines)
    ruled = any(_DASHES.fullmatch(line) for line in lines)
    return begin * 5 > n or stop * 5 > n or aligned * 2 > n or (ruled and delimiter == "|")


def _is_log(records: list[_Record], delimiter: str) -> bool:
    """Whether lines begin with a time that the delimiter cuts, or with a time and a level."""
    first = [cells[0][:300] for _, _, cells in records]
    if any(_LEVEL.search(cell) for cell in first):
        return True
    cut = [_CLOCK.search(c[0][-30:]) and c[1][:3].isdigit() for _, _, c in records if len(c) > 1]
    timed = sum(_CLOCK.search(cell) is not None for cell in first)
    return sum(map(bool, cut)) * 2 > len(records) or (delimiter == "|" and timed * 2 > len(records))


def _short(records: list[_Record], width: int, n: int) -> bool:
    """Whether cells behind ``, `` are names and numbers, no clauses."""
    lengths = [cell.count(" ") for _, _, cells in records for cell in cells]
    ends = sum(cells[-1].endswith((".", ":", ";", "{", ")")) for _, _, cells in records)
    return (
        n > 2
        and width > 2
        and sum(lengths) < 2 * len(lengths)
        and max(lengths) < 8
        and ends * 5 < n
    )


def _records(
    out: Builder | None, text: str, start: int, end: int, delimiter: str, width: int
) -> Iterator[_Record]:
    """``(start, end, cells)`` of every record; cells without their quotes.

    A record ends behind its last cell even where that is empty: a trailing tab is data.
    """
    at = start
    blanks = " \r" if delimiter == "\t" else " \t\r"
    while at < end:
        newline = text.find("\n", at, end)
        stop = end if newline < 0 else newline
        line = text[at:stop]
        if line.isspace() or not line:
            at = stop + 1
            continue
        if '"' in line:
            stop, cells, torn = _quoted(text, at, stop, end, delimiter, width)
            if torn and out is not None:
                out.notes.append("A quote that is never closed was read as part of its line.")
            line = text[at:stop]
        else:
            cells = [cell.strip() for cell in line.split(delimiter)]
        yield at + len(line) - len(line.lstrip()), at + len(line.rstrip(blanks)), cells
        at = stop + 1


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    d = re.escape(delimiter)
    return re.compile(rf'[ ]*+"((?:[^"]++|"")*+)"[ ]*+(?=[{d}\r\n]|\Z)|([^{d}\n]*+)')


def _quoted(
    text: str, at: int, stop: int, end: int, delimiter: str, width: int
) -> tuple[int, list[str], bool]:
    """Where the record at ``at`` ends, its cells, and whether a quote in it is never closed."""
    pattern = _cell(delimiter)
    cells: list[str] = []
    here = at
    first_line = stop
    torn = False
    while True:
        match = pattern.match(text, here, min(end, first_line + _LONG))
        if match is None:  # it cannot be: the pattern matches nothing too
            break
        if match.end() > stop:
            stop = _line_end(text, match.end(), end)
            if text.count("\n", at, stop) > _TALL:
                torn = True
                break
        quoted = match.group(1)
        torn |= quoted is None and match.group(2).lstrip(" ").startswith('"')
        cells.append(
            match.group(2).strip() if quoted is None else quoted.replace('""', '"').strip()
        )
        here = match.end()
        while here < stop and text[here] == "\r":
            here += 1
        if here >= stop or text[here] != delimiter:
            break
        here += 1
    if stop > first_line and (torn or (width and len(cells) != width)):
        # Quotes of different lines that pair by chance.
        alone = [cell.strip().strip('"') for cell in text[at:first_line].split(delimiter)]
        if torn or len(alone) == width:
            return first_line, alone, True
    return stop, cells, torn and text.count('"', at, stop) % 2 == 1


def _line_end(text: str, at: int, end: int) -> int:
    newline = text.find("\n", at, end)
    return end if newline < 0 else newline
