"""Tables of HTML: a header, rows, and what their cells span."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxzip.segment.formats import cells as table
from ctxzip.segment.formats.html_flow import Flow
from ctxzip.segment.formats.html_tokens import Token, kept_attributes, noise
from ctxzip.segment.tree import Builder, Style
from ctxzip.text.units import Kind

__all__ = ["add_table", "is_data"]

_CARRIED = 50  # more cells that reach down at once are a mistake
_CELL = 1_500  # characters of a cell that is a page of its own
_PARTS = frozenset(("h1", "h2", "h3", "h4", "ul", "ol", "pre", "form", "article"))
_WIDTH = re.compile(r"colspan\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)
_HEIGHT = re.compile(r"rowspan\s*=\s*[\"']?(\d{1,4})", re.IGNORECASE)


@dataclass(slots=True)
class _Row:
    start: int
    end: int = 0
    cells: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    named: int = 0  # cells that are <th>
    head: bool = False  # inside of <thead>


def is_data(text: str, found: Sequence[Token], i: int) -> bool:
    """Whether a table holds data: columns of short cells, no page laid out in boxes."""
    tag = found[i]
    if "presentation" in text[tag.start : tag.end]:
        return False
    stop = tag.mate if tag.mate >= 0 else len(found)
    cells = most = size = rows = 0
    at = tag.end
    for k in range(i + 1, stop):
        token = found[k]
        if token.start > at:
            size += token.start - at
        at = token.end
        if token.name == "table":
            return False
        if token.name in ("td", "th", "tr"):
            if size > _CELL:
                return False
            size = 0
            if not token.closes:
                cells = 0 if token.name == "tr" else cells + 1
                rows += token.name == "tr"
                most = max(most, cells)
        elif token.name in _PARTS and not token.closes and size > _CELL // 4:
            return False
    return rows > 0 and most > 1


def add_table(
    out: Builder,
    flow: Flow,
    found: Sequence[Token],
    i: int,
    until: int,
    closed: bool,
    parent: int,
    style: Style,
) -> int:
    """Add the table at token ``i``; returns the number of the first token behind it."""
    start, end = flow.keep(found[i], ())
    reader = _Rows(out.text, flow)
    caption = reader.read(found, i + 1, until)
    rows = reader.rows
    n = _headers(rows)
    names = _names(rows[:n])
    end = rows[n - 1].end if n else max(end, caption)
    top = out.add(
        start, end, Kind.HEAD, parent, content=False, label=table.label(names), style=style
    )
    _add_rows(out, rows[n:], names, top)
    if closed:
        a, b = flow.keep(found[until], ())
        out.add(a, b, Kind.CLOSER, top, always=True, content=False)
        return until + 1
    return until


class _Rows:
    """Collects rows, keeping their tags and text."""

    def __init__(self, text: str, flow: Flow) -> None:
        self.text, self.flow = text, flow
        self.rows: list[_Row] = []
        self.row: _Row | None = None
        self.in_head = False

    def read(self, found: Sequence[Token], i: int, until: int) -> int:
        """Read the tokens ``[i, until)``; returns where a caption ends."""
        flow = self.flow
        caption = 0
        while i < until:
            token = found[i]
            if flow.at < token.start:
                self._text(token.start)
            name = token.name
            if not token.closes and i < token.mate < until and noise(self.text, token, "table"):
                token.end = found[token.mate].end
                i = token.mate
                flow.tag(token)
            elif name == "caption" and not self.rows:
                _, caption = flow.keep(token, ())
                flow.take_pieces()
            elif name == "tr":
                self._tr(token)
            elif name in ("td", "th"):
                self._cell(token)
            else:
                if name == "thead":
                    self.in_head = not token.closes
                flow.tag(token)
            i += 1
        if until < len(found) and flow.at < found[until].start:
            self._text(found[until].start)
        self._end()
        return caption

    def _text(self, stop: int) -> None:
        row = self.row
        span = self.flow.text(stop)
        if span is not None and row is not None:
            row.end = span[1]
        elif span is not None and self.rows:
            self.rows[-1].end = span[1]  # outside of any cell

    def _tr(self, token: Token) -> None:
        if not token.closes:
            self._end()
            start, end = self.flow.keep(token, ())
            self.row = _Row(start, end, head=self.in_head)
        elif self.row is not None:
            self._cell_end()
            self.flow.drop_blanks(token.start)
            _, self.row.end = self.flow.keep(token, ())
            self._end()
        else:
            self.flow.tag(token)

    def _cell(self, token: Token) -> None:
        if token.closes:
            self.flow.tag(token)
            return
        if self.row is None:
            start, end = self.flow.keep(token, kept_attributes(self.text, token))
            self.row = _Row(start, end, head=self.in_head)
        else:
            self._cell_end()
            self.flow.drop_blanks(token.start)
            _, self.row.end = self.flow.keep(token, kept_attributes(self.text, token))
        tag = self.text[token.start : token.end]
        row = self.row
        row.cells.append("")
        row.widths.append(_number(_WIDTH, tag))
        row.heights.append(_number(_HEIGHT, tag))
        row.named += token.name == "th"

    def _cell_end(self) -> None:
        text = self.flow.take_pieces()
        if text and self.row is not None and self.row.cells:
            self.row.cells[-1] = text

    def _end(self) -> None:
        self._cell_end()
        if self.row is not None:
            self.rows.append(self.row)
            self.row = None


def _number(pattern: re.Pattern[str], tag: str) -> int:
    match = pattern.search(tag) if len(tag) > 10 else None
    return max(1, int(match[1])) if match else 1


def _headers(rows: Sequence[_Row]) -> int:
    """How many of the first rows are the header."""
    n = 0
    while n < len(rows) and (rows[n].head or rows[n].named == len(rows[n].cells)):
        n += 1
    if n == len(rows):
        return min(n, 1)
    if n or any(row.named for row in rows[:20]):
        return n
    sample = [row.cells for row in rows[:20]]
    plain = all(sum(row.widths) == len(row.cells) == len(sample[0]) for row in rows[:20])
    return int(plain and len(sample) > 2 and len(sample[0]) > 2 and table.has_header(sample))


def _names(rows: Sequence[_Row]) -> list[str]:
    """The name of every column: the cells above it, from the top down."""
    names: list[str] = []
    covered: list[int] = []
    for row in rows:
        column = 0
        for text, width, height in zip(row.cells, row.widths, row.heights, strict=True):
            while column < len(covered) and covered[column] > 0:
                column += 1
            for k in range(column, column + width):
                if k >= len(names):
                    names += [""] * (k + 1 - len(names))
                    covered += [0] * (k + 1 - len(covered))
                names[k] = f"{names[k]} {text}".strip()
                covered[k] = height
            column += width
        covered = [max(0, left - 1) for left in covered]
    return names


def _add_rows(out: Builder, rows: Sequence[_Row], names: Sequence[str], top: int) -> None:
    """Rows below the header; one whose cells reach down carries the rows that they reach."""
    group = top
    owner, reach = top, 0
    carried: dict[int, tuple[int, str]] = {}
    for k, row in enumerate(rows):
        cells = _filled(row, carried)
        grouping = len(row.cells) == 1 and row.widths[0] > 1 and bool(row.cells[0])
        if grouping:
            group = top
        inside = k < reach
        part = out.add(
            row.start,
            row.end,
            Kind.ROW,
            owner if inside else group,
            content=any(row.cells),
            whole=not grouping,
            label=row.cells[0] if grouping else "",
            reading=table.reading(names, cells),
        )
        if grouping:
            group = part
        elif not inside:
            owner = part
        tallest = max(row.heights, default=1)
        if tallest > 1:
            reach = max(reach, k + min(tallest, len(rows) - k))


def _filled(row: _Row, carried: dict[int, tuple[int, str]]) -> list[str]:
    """The cells of a row with those that reach down from above."""
    cells: list[str] = []
    if len(carried) > _CARRIED:
        carried.clear()
    own = list(zip(row.cells, row.widths, row.heights, strict=True))
    column = 0
    for text, width, height in own:
        while column in carried:
            cells.append(_carry(carried, column))
            column += 1
        cells += [text, *[""] * (width - 1)]
        if height > 1:
            carried[column] = (height - 1, text)
        column += width
    while column in carried:
        cells.append(_carry(carried, column))
        column += 1
    return cells


def _carry(carried: dict[int, tuple[int, str]], column: int) -> str:
    left, text = carried[column]
    if left > 1:
        carried[column] = (left - 1, text)
    else:
        del carried[column]
    return text
