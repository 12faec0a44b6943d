"""TOML: tables, arrays of tables with their sub-tables, multi-line strings and arrays, comments."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ctxzip.segment.formats.arrays import add_array
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.records import Records, settle
from ctxzip.segment.formats.strings import LONG, add_string
from ctxzip.segment.tree import PLAIN, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("# ")
NOTE = "The TOML is broken: it was read as far as it parses, the rest as lines."
_COMMENT = 400  # characters of a comment that goes with what stands below it
_SHORT = 120  # characters of an array over several lines that stands whole
_LINE = re.compile(r"[ \t]*+([^\n]*+)\n?")
_PART = r"(?:[\w-]+|\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+')"
_PATH = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
_TABLE = re.compile(rf"(\[\[?)[ \t]*+({_PATH})[ \t]*+(\]\]?)[ \t]*+(?:#[^\n]*+)?$")
_KEY = re.compile(rf"({_PATH})([ \t]*+)=([ \t]*+)(?=\S)")
_NAMES = re.compile(_PART)
_STRING = (
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
    r"|'[^'\n]*+'"
)
_VALUE = re.compile(
    rf"(?:({_STRING})|(?:[+-]?\d[\w.:+-]*+(?: \d\d:[\d:.+Z-]*+)?|true|false|[+-]?(?:inf|nan)))"
    r"[ \t]*+(?:#[^\n]*+)?(?=\r?\n|\r?\Z)",
    re.DOTALL,
)
_TOKEN = re.compile(rf"{_STRING}|#[^\n]*+|[\[\]{{}},]|\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A table or a key with its value, comments above it included."""

    start: int
    first: int  # without comments
    end: int
    path: tuple[str, ...]
    brackets: int  # of a table: 1, of an array of tables: 2, of a key: 0
    value: int = -1
    close: int = -1  # one past an array, or a string of several lines


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the first lines are tables, and keys with values that only TOML writes so."""
    stop = min(end, start + 6000)
    cut = text.rfind("\n", start, stop) if stop < end else stop
    stop = cut if cut > start else stop
    found, _, reached = _statements(text, start, stop)
    keys = [s for s in found if not s.brackets]
    if not found or not keys:
        return False
    if reached < stop and (stop == end or not found[-1].end > start + 3000):
        open_value = _KEY.match(text, _skip(text, reached, stop), stop)
        if hint != "toml" and (stop == end or open_value is None):
            return False
    quoted = any(text[s.value] in "\"'[{tf" for s in keys)
    return hint == "toml" or (quoted and len(found) >= 2)


def _skip(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add tables and keys; where it goes wrong, the rest as lines."""
    found, loose, stop = _statements(out.text, start, end)
    if not any(not s.brackets for s in found) or (stop - start) * 2 < end - start:
        return False
    base = len(out.start)
    records = Records(objects=False)
    _Writer(out, parent, records).write(found, loose)
    if stop < end and out.text[stop:end].strip():
        for _, a, b in lines(out.text, stop, end):
            out.add(a, b, Kind.LINE, parent)
        out.notes.append(NOTE)
    settle(out, base, records)
    return True


def _statements(
    text: str, start: int, end: int
) -> tuple[list[_Statement], list[tuple[int, int]], int]:
    """Statements, comments that stand by themselves, and where it goes wrong (or the end)."""
    found: list[_Statement] = []
    loose: list[tuple[int, int]] = []
    at, comment = start, -1
    while at < end:
        match = _LINE.match(text, at, end)
        if match is None or match.end() == at:
            break
        first = match.start(1)
        stop = first + len(match[1].rstrip())
        if stop == first or text[first] == "#":
            if stop > first and comment < 0:
                comment = first
            elif stop == first and comment >= 0:
                loose.append((comment, at))
                comment = -1
            at = match.end()
            continue
        if comment >= 0 and first - comment > _COMMENT:
            loose.append((comment, first))
            comment = -1
        statement = _statement(text, comment if comment >= 0 else first, first, stop, end)
        if statement is None:
            return found, loose, at if comment < 0 else comment
        found.append(statement)
        comment = -1
        newline = text.find("\n", statement.end, end)
        at = end if newline < 0 else newline + 1
    if comment >= 0:
        loose.append((comment, end))
    return found, loose, end


def _statement(text: str, start: int, first: int, stop: int, end: int) -> _Statement | None:
    table = _TABLE.match(text, first, stop)
    if table is not None:
        even = len(table[1]) == len(table[3])
        return _Statement(start, first, stop, _path(table[2]), len(table[1])) if even else None
    key = _KEY.match(text, first, stop)
    if key is None:
        return None
    at = key.end()
    if text[at] in "[{":
        close = _closed(text, at, end)
        newline = text.find("\n", close, end) if close >= 0 else -1
        high = end if newline < 0 else newline
        if close < 0 or text[close:high].lstrip()[:1] not in ("", "#"):
            return None
        return _Statement(start, first, _stop(text, close, high), _path(key[1]), 0, at, close)
    value = _VALUE.match(text, at, end)
    if value is None:
        return None
    close = value.end(1) if value[1] and "\n" in value[1] else -1
    return _Statement(start, first, _stop(text, at, value.end()), _path(key[1]), 0, at, close)


def _stop(text: str, at: int, end: int) -> int:
    return at + len(text[at:end].rstrip())


def _path(text: str) -> tuple[str, ...]:
    if "." not in text and '"' not in text:
        return (text,)
    return tuple(name.strip("\"'") for name in _NAMES.findall(text))


def _closed(text: str, at: int, end: int) -> int:
    depth = 0
    for match in _TOKEN.finditer(text, at, end):
        sign = match[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if not depth:
                return match.end()
    return -1


class _Writer:
    def __init__(self, out: Builder, root: int, records: Records) -> None:
        self.out, self.root, self.records = out, root, records

    def write(self, found: list[_Statement], loose: list[tuple[int, int]]) -> None:
        out = self.out
        reach = _reach(found)
        stack: list[tuple[int, int]] = []  # statement of an array of tables, its part
        table = self.root
        comments = list(reversed(loose))
        for i, statement in enumerate(found):
            while comments and comments[-1][0] < statement.start:
                self._comment(*comments.pop())
                table = self.root if statement.brackets else table
            if not statement.brackets:
                self._key(statement, table)
                continue
            while stack and reach[stack[-1][0]] < i:
                stack.pop()
            owner = stack[-1][1] if stack else self.root
            many = statement.brackets == 2
            empty = i + 1 == len(found) or found[i + 1].brackets > 0
            table = out.add(
                statement.start,
                statement.end,
                Kind.RECORD if many else Kind.SECTION,
                owner,
                content=many and empty,
                label="" if many else ".".join(statement.path),
            )
            if many:
                self.records.groups.setdefault((owner, statement.path), []).append(table)
                stack.append((i, table))
        while comments:
            self._comment(*comments.pop())

    def _comment(self, start: int, end: int) -> None:
        for _, a, b in lines(self.out.text, start, end):
            self.out.add(a, b, Kind.LINE, self.root)

    def _key(self, statement: _Statement, table: int) -> None:
        out, text = self.out, self.out.text
        start, end, value = statement.start, statement.end, statement.value
        name = ".".join(statement.path)
        at = text.find("=", statement.first, value) if value - statement.first < 200 else -1
        if at > 0 and text[at - 2 : at].isspace():
            out.drop(statement.first + len(text[statement.first : at].rstrip()) + 1, at)
        lines_in = statement.close >= 0 and text.find("\n", value, statement.close) >= 0
        size = statement.close - value
        if text[value] == "[" and size > (_SHORT if lines_in else LONG):
            add_array(
                out,
                start,
                value + 1,
                statement.close - 1,
                end,
                table,
                label=name,
                tokens=_TOKEN,
                style=STYLE,
            )
            return
        if lines_in and text[value] in "\"'" and size > LONG:
            self._lines(statement, table, name)
            return
        quoted = text[value] == '"' == text[end - 1] and statement.close < 0
        if quoted and end - value > LONG and add_string(out, start, value, end, table):
            return
        part = out.add(start, end, Kind.FIELD, table)
        self.records.fields[part] = (name, text[value:end])

    def _lines(self, statement: _Statement, table: int, name: str) -> None:
        """A string over several lines, by its lines."""
        out, text = self.out, self.out.text
        opened, close = statement.value + 3, statement.close - 3
        head = out.add(
            statement.start,
            opened,
            Kind.HEAD,
            table,
            content=False,
            whole=True,
            label=name,
            style=PLAIN,
        )
        for _, a, b in lines(text, opened, close):
            out.add(a, b, Kind.LINE, head)
        out.add(close, statement.end, Kind.CLOSER, head, always=True, content=False)


def _reach(found: list[_Statement]) -> dict[int, int]:
    """For each array of tables the last table that belongs to it (what lies between goes along)."""
    latest: dict[tuple[str, ...], int] = {}
    reach: dict[int, int] = {}
    for i, statement in enumerate(found):
        if not statement.brackets:
            continue
        for n in range(len(statement.path) - 1, 0, -1):
            owner = latest.get(statement.path[:n])
            if owner is not None:
                reach[owner] = i
        if statement.brackets == 2:
            latest[statement.path] = i
            reach[i] = i
    return reach
