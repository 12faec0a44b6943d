"""Blocks of a text: paragraphs, headings, list items, tables, code, told apart line by line.

A small subset of CommonMark and GFM, chosen for text that a retriever returns: blocks may be cut
off, markdown may be absent, lines may be hard-wrapped or may each stand for themselves. One pass
over the lines, linear in the length of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from ctxzip.text.units import Kind

__all__ = ["Block", "blocks"]

_WRAP = 160  # no one wraps prose by hand at more columns than this
_CUT_HEADING = 400
_LINE = re.compile(r"\S[^\n]*")
_QUOTE = re.compile(r"(?:>[ \t]{0,3})+")
_UNQUOTED = re.compile(r"\n(?![ \t]*>)")
_FENCE = re.compile(r"(`{3,})[^`\n]*$|(~{3,})[^\n]*$")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_ITEM = re.compile(
    r"(?:[-*+•‣◦⁃▪●○]|\d{1,9}[.)]|\(?[a-zA-Z]\)|[a-z]\.|\((?:\d{1,3}|[ivxl]{1,5})\)|[ivxl]{1,5}[.)])"
    r"(?:[ \t]+(?=\S)|$)"
)
_RULE = re.compile(r"[-*_=][-*_= \t]{2,}$")
_BLANK = re.compile(r"[^\S\n]*(?:\n|\Z)")
_CELL = re.compile(r"[ \t]*:?-+:?[ \t]*")
_DELIMITER = re.compile(r"[|:\- \t]+$")
_KEY = re.compile(r"[A-Z\d][\w.'’()/-]{0,40}(?: [\w.'’()/&-]{1,40}){0,3} ?:(?:\s|$)")
_LOG = re.compile(
    r"[\[<(]?(?:\d{4}-\d\d-\d\d[T \]]|\d\d?:\d\d:\d\d)|\[[A-Z]+\]"
    r"|(?:TRACE|DEBUG|INFO|WARN\w*|ERROR)\b"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d\d? \d\d:"
)
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*(?:def|class|import|from|return|if|for|while|else|elif|try|let|const|var|fn|func"
    r"|public|private|static)\b|^\s*(?:\$ |//|#include|>>> |@\w|</?\w)|\w\(.*\)\s*:?$|\S = \S"
)
_FRONT = re.compile(r"(?:[\w-]+[ \t]*:|[ \t]*- |[ \t]+\S|#|$)")
_DECODER = json.JSONDecoder()


class Block(NamedTuple):
    """One block.

    Attributes:
        start: first character, its marker included.
        body: first character after a list marker or quote mark; ``start`` where there is none.
        end: one past the last character that is not whitespace.
        kind: a :class:`~ctxzip.units.Kind`.
        requires: index of the table header among the blocks, or -1.
    """

    start: int
    body: int
    end: int
    kind: Kind
    requires: int = -1


class _Line(NamedTuple):
    start: int
    body: int
    end: int
    indent: int


def blocks(text: str) -> list[Block]:
    """All blocks of ``text`` in order; only whitespace lies between them."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[Block] = []
        self.lines: list[_Line] = []
        self.item: _Line | None = None
        self.last = 0
        self.depth = 0
        self.in_list = False
        self.header = -1
        self.no_json_before = 0
        self.quoted_to = 0
        self.no_comment_before = 0

    def run(self) -> list[Block]:
        text = self.text
        position = self._front_matter()
        while match := _LINE.search(text, position):
            start, end = match.span()
            gap = text.count("\n", self.last, start)
            indent = 0
            if start and text[start - 1] != "\n":
                line_start = text.rfind("\n", self.last, start) + 1 or self.last
                indent = len(text[line_start:start].expandtabs(4))
            if gap > 1:
                self._flush()
                self.header = -1
            while text[end - 1].isspace():
                end -= 1
            self.last = position = self._line(start, end, indent)
        self._flush()
        return self.out

    def _line(self, start: int, end: int, indent: int) -> int:
        """Take one line in; return where to go on, which may be lines further down."""
        text, body, depth = self.text, start, 0
        if text[start] == ">" and (quote := _QUOTE.match(text, start, end)):
            body, depth = quote.end(), quote.group().count(">")
        if depth != self.depth:
            self._flush()
            self.depth, self.in_list = depth, False
        if body == end:
            self._flush()
            self._glue(start, end)
            return end
        line = _Line(start, body, end, indent)
        for opens in _OPENERS.get(text[body], _LIST):
            if done := opens(self, line):
                return done
        if self.header >= 0 and text.find("|", body, end) >= 0:
            self.out.append(Block(start, start, end, Kind.ROW, self.header))
            return end
        self.header = -1
        self.lines.append(line)
        return end

    # Each of these handles a line that opens a block, and returns where to go on, or 0.

    def _heading(self, line: _Line) -> int:
        start, body, end, _ = line
        if end - body < _CUT_HEADING and _HEADING.match(self.text, body, end):
            return self._emit(start, body, end, Kind.HEADING)
        return 0

    def _comment(self, line: _Line) -> int:
        text, body = self.text, line.body
        if body < self.no_comment_before or not text.startswith("<!--", body):
            return 0
        close = text.find("-->", body) + 3
        if close < 3 or not _BLANK.match(text, close):
            # Looking for the same end again from every line would be quadratic.
            self.no_comment_before = close if close >= 3 else len(text)
            return 0
        return self._emit(line.start, line.start, close, Kind.CODE)

    def _item(self, line: _Line) -> int:
        start, body, end, indent = line
        marker = _ITEM.match(self.text, body, min(end, body + 40))
        if not marker or not self._opens_item(marker.group().strip()):
            return 0
        self._flush()
        self.in_list, self.header = True, -1
        self.item = _Line(start, marker.end(), end, indent)
        self.lines.append(self.item)
        return end

    def _opens_item(self, marker: str) -> bool:
        if not self.lines or self.item is not None or marker in ("1.", "1)", "(1)", "a)", "(a)"):
            return True
        if not marker[0].isalnum() and marker[0] != "(":
            return True
        return self.text[self.lines[-1].end - 1] in ".:;!?"

    def _emit(self, start: int, body: int, end: int, kind: Kind) -> int:
        self._flush()
        self.header, self.in_list = -1, self.in_list and self.text[start - 1] in " \t"
        self.out.append(Block(start, body, end, kind))
        return end

    def _glue(self, start: int, end: int) -> None:
        """A quote mark alone on its line belongs to the block before it."""
        if self.out:
            self.out[-1] = self.out[-1]._replace(end=end)
        else:
            self.out.append(Block(start, start, end, Kind.SENTENCE))

    def _fence(self, line: _Line) -> int:
        start, body, end, _ = line
        opening = _FENCE.match(self.text, body, end)
        if not opening:
            return 0
        fence = opening.group(1) or opening.group(2)
        close = re.compile(rf"^[ \t>]*{fence[0]}{{{len(fence)},}}[ \t\r]*$", re.M)
        stop = len(self.text)
        if self.depth:
            if self.quoted_to < end:
                # Once for all fences of a quote: looking from each would be quadratic.
                outside = _UNQUOTED.search(self.text, end)
                self.quoted_to = outside.start() if outside else stop
            stop = self.quoted_to
        if match := close.search(self.text, end, stop):
            stop = match.end()
        while self.text[stop - 1].isspace():
            stop -= 1
        return self._emit(start, start, stop, Kind.CODE)

    def _json(self, line: _Line) -> int:
        text, body = self.text, line.body
        if self.lines or body < self.no_json_before:
            return 0
        try:
            value, stop = _DECODER.raw_decode(text, body)
        except json.JSONDecodeError as error:
            # What lies before the error belongs to this attempt: retrying there is quadratic.
            self.no_json_before = max(error.pos, body + 1)
            return 0
        except (ValueError, RecursionError):
            self.no_json_before = len(text)
            return 0
        line_end = text.find("\n", stop)
        rest = text[stop : len(text) if line_end < 0 else line_end]
        large = isinstance(value, dict) or len(value) > 1 or "\n" in text[body:stop]
        if rest.strip() or not value or not large:
            self.no_json_before = stop
            return 0
        return self._emit(line.start, line.start, stop, Kind.CODE)

    def _table(self, line: _Line) -> int:
        """The delimiter row under a header makes a table of it."""
        text, body, end = self.text, line.body, line.end
        if not self.lines or self.lines[-1] is self.item or not _DELIMITER.match(text, body, end):
            return 0
        above, row = self.lines[-1], text[body:end]
        cells = row.strip().strip("|").split("|")
        if "|" not in row or text.find("|", above.body, above.end) < 0:
            return 0
        if not all(_CELL.fullmatch(cell) for cell in cells):
            return 0
        self.lines.pop()
        self._flush()
        self.header = len(self.out)
        self.out.append(Block(above.start, above.start, end, Kind.TABLE_HEADER))
        return end

    def _rule(self, line: _Line) -> int:
        """A thematic break, or the line under a heading."""
        start, body, end, _ = line
        first = self.text[body]
        if not _RULE.match(self.text, body, end):
            return 0
        characters = set(self.text[body:end])
        if len(characters - {" ", "\t"}) > 1:
            return 0
        underline = first in "=-" and characters == {first}
        if underline and len(self.lines) == 1 and self.item is None and self.header < 0:
            above = self.lines.pop()
            return self._emit(above.start, above.body, end, Kind.HEADING)
        return self._emit(start, body, end, Kind.SENTENCE)

    def _front_matter(self) -> int:
        """YAML between two ``---`` at the very start is one unit, so that it stays parseable."""
        opening = re.match(r"---[ \t]*\r?\n", self.text)
        if not opening:
            return 0
        position = opening.end()
        for _ in range(200):
            newline = self.text.find("\n", position)
            stop = len(self.text) if newline < 0 else newline
            line = self.text[position:stop].rstrip()
            if line in ("---", "..."):
                self._emit(0, 0, position + len(line), Kind.CODE)
                self.last = stop
                return stop
            if newline < 0 or not _FRONT.match(line):
                return 0
            position = newline + 1
        return 0

    def _flush(self) -> None:
        lines, item = self.lines, self.item
        if not lines:
            return
        self.lines, self.item = [], None
        if item is None and lines[0].indent == 0:
            self.in_list = False
        if item is None and not self.in_list and self._is_code(lines):
            previous = self.out[-1] if self.out else None
            if previous and previous.kind == Kind.CODE and self.text[previous.start - 1] in " \t":
                self.out[-1] = previous._replace(end=lines[-1].end)
            else:
                self.out.append(Block(lines[0].start, lines[0].start, lines[-1].end, Kind.CODE))
            return
        for i, group in enumerate(_groups(self.text, lines)):
            start, body, end = group[0].start, group[0].body, group[-1].end
            if item is not None and i == 0:
                self.out.append(Block(start, body, end, Kind.ITEM))
            elif self.text[body] == "|" and self.text[end - 1] == "|" and end - body > 2:
                self.out.append(Block(start, start, end, Kind.ROW))
            else:
                self.out.append(Block(start, body, end, Kind.SENTENCE))

    def _is_code(self, lines: list[_Line]) -> bool:
        if any(line.indent < 4 for line in lines):
            return False
        hits = sum(bool(_CODE_LINE.search(self.text, s, min(e, s + 200))) for s, _, e, _ in lines)
        return hits * 2 >= len(lines)


_Opener: TypeAlias = Callable[[_Scanner, _Line], int]
_LIST: tuple[_Opener, ...] = (_Scanner._item,)
_OPENERS: dict[str, tuple[_Opener, ...]] = {
    "`": (_Scanner._fence,),
    "~": (_Scanner._fence,),
    "#": (_Scanner._heading,),
    "<": (_Scanner._comment,),
    "{": (_Scanner._json,),
    "[": (_Scanner._json,),
    "|": (_Scanner._table,),
    ":": (_Scanner._table,),
    "-": (_Scanner._table, _Scanner._rule, _Scanner._item),
    "*": (_Scanner._rule, _Scanner._item),
    "_": (_Scanner._rule,),
    "=": (_Scanner._rule,),
}


def _groups(text: str, lines: list[_Line]) -> list[list[_Line]]:
    """Lines that make up one hard-wrapped paragraph, grouped; a line of its own is a group."""
    if len(lines) == 1:
        return [lines]
    lengths = [line.end - line.body for line in lines]
    # A few long lines (a URL, a table) do not make the others unwrapped.
    long = sum(length > _WRAP for length in lengths)
    width = 0 if long * 5 > len(lines) else max((x for x in lengths if x <= _WRAP), default=0)
    # Where every line begins with a capital, each is an entry of its own.
    starts = [text[line.body] for line in lines[1:]]
    titled = len(starts) > 2 and any(c.isupper() for c in starts)
    titled = titled and not any(c.islower() for c in starts)
    groups = [[lines[0]]]
    for before, line in pairwise(lines):
        if _continues(text, before, line, width, titled):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(text: str, before: _Line, line: _Line, width: int, titled: bool) -> bool:
    """Whether the break between two lines is only a wrap."""
    length = before.end - before.body
    first, last = text[line.body], text[before.end - 1]
    if max(length, line.end - line.body) > min(width, _WRAP) or first == "|":
        return False
    if _LOG.match(text, line.body, line.end) or _KEY.match(text, line.body, line.end):
        return False
    stopped = last in ".!?:"
    if first.islower() and not stopped:
        return width >= 30 or last == "," or line.indent > before.indent
    if last == "," and not titled:
        return True
    wide = first >= "\u2e80"  # scripts without spaces wrap anywhere
    if titled or (width < 40 and not wide) or (stopped and not first.islower()):
        return False
    word = 1 if wide else len(text[line.body : min(line.end, line.body + 40)].split(None, 1)[0])
    # Who wraps at a width puts a word on the next line only if it no longer fits.
    return length + 1 + word > 0.85 * width
