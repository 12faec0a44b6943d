"""Tables of aligned columns: what kubectl, docker, ps, df, ls, psql, mysql and pip print."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctxzip.segment.formats import cells as cell
from ctxzip.segment.formats.column_shapes import (
    BARS,
    SPACES,
    Line,
    Shape,
    place,
    shape,
)
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES

_SAMPLE = 65_536
_COMMAND = re.compile(
    r"(?:[$❯➜] |\+ (?=[a-z])|[\w.-]+@[\w.-]+[: ][^\s$#]*\s?[$#] |\[[\w.-]+@[^\]]+\][$#] "
    r"|PS [A-Z]:[^>]*> "
    r"|[A-Z]:\\[^>]*>|\w+(?:[=-][#>]|>) |MariaDB \[[^\]]*\]> )[a-zA-Z./\\]"
    r"|[#>] (?:kubectl|docker|podman|ps|df|du|ls|ss|netstat|free|top|pip|psql|mysql|helm|oc)\b"
)
_LEFT = re.compile(r"(?<=  ) +(?=[^ ])")
_BEFORE_TAB = re.compile(r" +(?=\t)")
_RUN = re.compile(r"(?<= ) +")
_IN_BARS = re.compile(  # two blanks stay between the bars of an empty cell
    r"(?<=[|│┃║] ) +(?=[^ |│┃║]| [|│┃║])|(?<=[^ |│┃║]) +(?= [|│┃║])"
)
_RULE = re.compile(r"(?<=---)-+|(?<===)=+|(?<=───)─+|(?<=━━━)━+|(?<====)═+")
_HEADING = re.compile(r"[^\s|][^|]{0,200}:")

_Block = list[Line]


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether most lines belong to tables whose columns stand under one another."""
    stop = min(end, start + _SAMPLE)
    n = covered = rows = 0
    commanded = hint in ("console", "terminal", "shell-session", "output")
    for command, block in _blocks(text, start, stop):
        n += len(block)
        if command:
            covered += 1
            commanded = True
            continue
        found = shape(text, block, commanded)
        if found is not None:
            covered += len(block)
            rows += len(block) - found.first - found.head
    return rows > 0 and covered * 2 >= n


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add every table of the region below the command that printed it; other lines as lines."""
    text = out.text
    head = parent
    tables = 0
    size = len(out.start), len(out.noise)
    commanded = False
    for command, block in _blocks(text, start, end):
        if command:
            _, first, stop = block[0]
            head = out.add(
                first,
                stop,
                Kind.HEAD,
                parent,
                content=False,
                label=text[first:stop][:200],
                style=STYLE,
            )
            commanded = True
            continue
        found = shape(text, block, commanded)
        if found is None:
            _add_lines(out, block, head)
        else:
            tables += 1
            _add_table(out, block, found, head)
    if not tables:
        _undo(out, *size)
        return False
    return True


def _undo(out: Builder, parts: int, noise: int) -> None:
    for column in (
        out.start, out.end, out.parent, out.kind, out.always, out.whole, out.content,
        out.labels, out.readings,
    ):  # fmt: skip
        del column[parts:]
    del out.noise[noise:]


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[bool, _Block]]:
    """Command lines, each alone, and runs of lines between them and between blank lines."""
    block: _Block = []
    below = -1
    for line in lines(text, start, end):
        at, first, stop = line
        if below >= 0 and text.count("\n", below, at) > 1 and block:
            yield False, block
            block = []
        below = stop
        if stop - first < 400 and _COMMAND.match(text, first, stop):
            if block:
                yield False, block
                block = []
            yield True, [line]
        else:
            block.append(line)
    if block:
        yield False, block


def _add_lines(out: Builder, block: _Block, parent: int) -> None:
    for _, first, stop in block:
        out.add(first, stop, Kind.LINE, parent)


def _add_table(out: Builder, block: _Block, found: Shape, parent: int) -> None:
    text = out.text
    if found.listing:
        _add_listing(out, block, found, parent)
        return
    _add_lines(out, [x for x in block[: found.first] if not found.is_border(text, x)], parent)
    for at, _, stop in block[: found.first]:
        if found.is_border(text, (at, at, stop)):
            out.drop(at, stop + 1)
    head = block[found.first : found.first + found.head]
    top = out.add(
        head[0][1],
        head[-1][2],
        Kind.HEAD,
        parent,
        content=False,
        label=cell.label(found.names),
        style=STYLE,
    )
    for line in head:
        _squeeze(out, line, found, rule=line is not head[0])
    body = block[found.first + found.head :]
    if found.gap == BARS:
        _add_barred(out, body, found, top)
    else:
        _add_rows(out, body, found, top)


def _add_rows(out: Builder, body: _Block, found: Shape, top: int) -> None:
    text = out.text
    above = top
    for line in body:
        at, first, stop = line
        row = text[first:stop]
        if found.is_footer(row):
            out.add(first, stop, Kind.CLOSER, top, always=True, content=False)
            continue
        if found.is_odd(row):
            out.add(first, stop, Kind.LINE, top)
            continue
        hangs = found.hangs(first - at) and above != top
        reading = cell.reading(found.names, found.cells(text, line))
        added = out.add(first, stop, Kind.ROW, above if hangs else top, reading=reading)
        if not hangs:
            above = added
        _squeeze(out, line, found)


def _add_barred(out: Builder, body: _Block, found: Shape, top: int) -> None:
    """Rows between bars: one a line, or all the lines between two borders."""
    text = out.text
    grid = _is_grid(text, body, found)
    group: _Block = []
    for line in [*body, None]:
        border = line is not None and found.is_border(text, line)
        footer = line is not None and not border and found.is_footer(text[line[1] : line[2]])
        ends = line is None or border or footer or not grid
        if group and ends and not found.goes_on(text, group[-1]):
            _add_barred_row(out, group, found, top)
            group = []
        if line is None:
            break
        if border:
            out.drop(line[0], line[2] + (line is not body[-1]))
        elif footer:
            out.add(line[1], line[2], Kind.CLOSER, top, always=True, content=False)
        else:
            group.append(line)
    if group:
        _add_barred_row(out, group, found, top)


def _is_grid(text: str, body: _Block, found: Shape) -> bool:
    """Whether borders stand between rows, whose cells may go on in further lines."""
    borders = [found.is_border(text, line) for line in body]
    if not any(borders[:-1]):
        return False
    for above, border, line in zip(borders, borders[1:], body[1:], strict=False):
        row = text[line[1] : line[2]]
        if not above and not border and all(found.cells(text, line)) and not found.is_footer(row):
            return False
    return True


def _add_barred_row(out: Builder, group: _Block, found: Shape, top: int) -> None:
    text = out.text
    columns = [found.cells(text, line) for line in group]
    width = max(map(len, columns))
    merged = [
        " ".join([row[i] for row in columns if i < len(row) and row[i]]) for i in range(width)
    ]
    reading = cell.reading(found.names, merged)
    stop = group[-1][2]
    # The blank behind the last bar is an empty cell.
    stop += not found.outer and text[stop - 1] in "|│" and text[stop : stop + 1] == " "
    out.add(group[0][1], stop, Kind.ROW, top, reading=reading)
    for line in group:
        _squeeze(out, line, found)


def _add_listing(out: Builder, block: _Block, found: Shape, parent: int) -> None:
    """``ls -l``: rows without a header, below the name of their directory."""
    text = out.text
    for i, line in enumerate(block):
        _, first, stop = line
        row = text[first:stop]
        if i == 0 and _HEADING.fullmatch(row):
            parent = out.add(
                first, stop, Kind.HEAD, parent, content=False, label=row[:-1], style=STYLE
            )
        elif found.is_odd(row):
            out.add(first, stop, Kind.LINE, parent)
        else:
            out.add(first, stop, Kind.ROW, parent)
            _squeeze(out, line, found)


def _squeeze(out: Builder, line: Line, found: Shape, rule: bool = False) -> None:
    """Mark padding as noise, where that cannot move a cell under another column."""
    text = out.text
    at, first, stop = line
    if found.gap == BARS:
        out.noise += [m.span() for m in _IN_BARS.finditer(text, first, stop)]
        if rule:
            out.noise += [m.span() for m in _RULE.finditer(text, first, stop)]
        # A row that begins with a bar has an empty first cell.
        out.drop(at + (text[at : at + 1] == " "), first)
        return
    if not found.gap:
        return
    out.drop(at, first)
    if rule:
        out.noise += [m.span() for m in _RULE.finditer(text, first, stop)]
    if found.gap == SPACES:
        out.noise += [m.span() for m in _RUN.finditer(text, first, place(text, line, found.width))]
        return
    out.noise += [m.span() for m in _LEFT.finditer(text, first, stop)]
    if "\t" in text[first:stop]:
        out.noise += [m.span() for m in _BEFORE_TAB.finditer(text, first, stop)]
