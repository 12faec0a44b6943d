"""Markdown and its kin: headings, paragraphs, lists, definitions, questions and their answers.

A block belongs to the heading above it, an item to its lead-in line, what is indented below an
item to the item, an answer to its question. Tables, fences, quotes and markup are read in
:mod:`ctxzip.segment.formats.markdown_blocks`.
"""

from __future__ import annotations

from ctxzip.segment.formats import markdown_syntax as syntax
from ctxzip.segment.formats.markdown_blocks import Blocks
from ctxzip.segment.formats.markdown_page import Holder
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES
_BOLD, _ASKED = 7, 8  # levels below those of headings
_HEADING = 400  # no heading is longer
_SAID = 160  # a lead-in line up to here says nothing without what it leads to


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the region has structure of markdown; running text alone has not."""
    return syntax.looks_like_markdown(text, start, end, hint)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the parts of a region."""
    reader = _Reader(out, start, end, parent)
    if not reader.rows:
        return False
    begun = len(out.start)
    reader.run()
    if not any(out.content[begun:]):
        for i in range(begun, len(out.start)):  # rules and badges only: better than nothing
            out.content[i] = not out.always[i]
    return True


class _Reader(Blocks):
    """Headings, paragraphs and items; what else there is, is inherited."""

    def run(self) -> None:
        i = self.front_matter()
        while i < len(self.rows):
            i = self._block(i)

    def _block(self, i: int) -> int:
        column = self.column(i)
        for opens in _OPENERS.get(self.text[self.rows[i][1]], _OTHERS):
            if done := opens(self, i, column):
                return done
        return self._paragraph(i, column)

    # Each of these takes a line that may open a block, and returns the line behind it, or 0.

    def _heading(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        match = syntax.HEADING.match(self.text, first, stop)
        if not match or stop - first > _HEADING:
            return 0
        title = syntax.label_of(self.text[match.end() : stop].strip().rstrip("#"))
        if not title:
            return self.low(i, i + 1, column)
        if column >= 4 and not self.held(column):
            return 0
        if self.held(column):
            at = self.out.add(
                first, stop, Kind.HEAD, self.below(column), content=False, label=title
            )
            self.hold(Holder(column - 1, column, at, item=True))
            return i + 1
        return self._section(i, i + 1, len(match[1]), title)

    def _section(self, i: int, j: int, level: int, label: str, kind: Kind = Kind.SECTION) -> int:
        while self.sections and self.sections[-1][0] >= level:
            self.sections.pop()
        self.leave()
        at = self.out.add(
            self.rows[i][1], self.rows[j - 1][2], kind, self.section(), content=False, label=label
        )
        self.sections.append((level, at))
        return j

    def _rule(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        if not syntax.RULE.fullmatch(self.text, first, stop):
            return 0
        while not self.held(column) and self.sections and self.sections[-1][0] >= _BOLD:
            self.sections.pop()
        return self.low(i, i + 1, column)

    def _asked(self, i: int, column: int) -> int:
        """``Q: …`` and what answers it."""
        _, first, stop = self.rows[i]
        match = syntax.QUESTION.match(self.text, first, min(stop, first + 60))
        if not match or self.held(column):
            return 0
        j = i + 1
        while j < len(self.rows) and not self.gap[j] and not self.opens(j, j - 1):
            j += 1
        label = syntax.label_of(self.text[match.end() : self.rows[j - 1][2]].strip("*_ \t"))
        return self._section(i, j, _ASKED, label)

    def _item(self, i: int, column: int) -> int:
        text = self.text
        _, first, stop = self.rows[i]
        marker = syntax.MARKER.match(text, first, min(stop, first + 40))
        if not marker:
            return 0
        j = i + 1
        while j < len(self.rows) and not self.gap[j] and not self.opens(j, j - 1, in_item=True):
            j += 1
        end = self.rows[j - 1][2]
        parent = self.below_item(column)
        body = text[marker.end() : end]
        if self._lone_question(body, j, column) and not self.held(column):
            return self._section(i, j, _ASKED, syntax.label_of(body), Kind.ITEM)
        spans = self.pieces(first, end, marker.end())
        low, high = spans[0]
        head = tail = self.out.add(
            low,
            high,
            Kind.ITEM,
            parent,
            whole=True,
            content=body[:1] != "[" or syntax.TOC.fullmatch(body) is None,
        )
        if len(spans) > 1:
            self.name(head)
        for low, high in spans[1:]:
            tail = self.out.add(low, high, Kind.SENTENCE, head)
        leads = text[end - 1] == ":"
        bare = (leads and high - low <= _SAID) or (
            len(spans) == 1 and (body[-1:] == "?" or bool(syntax.BOLD.fullmatch(body)))
        )
        inside = column + marker.end() - first
        self.hold(Holder(column, inside, tail if leads else head, item=True, bare=bare))
        if tail is not head and not leads and text[spans[0][1] - 1] == "?":
            self.out.content[head] = False  # a question with its answer behind it
        self.listed = True
        self.recent = -1
        return j

    def _lone_question(self, body: str, j: int, column: int) -> bool:
        """A numbered question whose answer follows as a paragraph that is not indented."""
        if body[-1:] != "?" or j >= len(self.rows) or self.column(j) > column:
            return False
        return not self.is_item(j) and not self.opens(j, j - 1)

    def _paragraph(self, i: int, column: int) -> int:
        text, rows = self.text, self.rows
        first = rows[i][1]
        if done := self._titled(i, column):
            return done
        j = i + 1
        while j < len(rows) and not self.gap[j] and not self.opens(j, j - 1):
            j += 1
        end = rows[j - 1][2]
        if text[first] in "![" and end - first < 4000 and syntax.BADGE.fullmatch(text, first, end):
            return self.low(i, j, column)
        if j < len(rows) and j == i + 1 and syntax.DEFINITION.match(text, rows[j][1], rows[j][2]):
            return self._term(i, column)
        parent = self.beside(i, column)
        spans = self.pieces(first, end)
        for low, high in spans:
            at = self.out.add(low, high, Kind.SENTENCE, parent)
        self._lead(at, j, column)
        return j

    def _titled(self, i: int, column: int) -> int:
        """A line that stands above what follows it: underlined, bold, or a question."""
        text, rows = self.text, self.rows
        _, first, stop = rows[i]
        if i + 1 >= len(rows) or stop - first > _HEADING or self.held(column):
            return 0
        if level := self.underlined(i, column):
            return self._section(i, i + 2, level, syntax.label_of(text[first:stop]))
        bold = text[first] in "*_" and syntax.BOLD.fullmatch(text, first, stop)
        if bold and bold[2][-1] not in ".!" and not syntax.HEADING.match(text, *rows[i + 1][1:]):
            level = _ASKED if bold[2][-1] == "?" else _BOLD
            return self._section(i, i + 1, level, syntax.label_of(bold[2]))
        if self.asking and self.is_question(i) and not self.opens(i + 1, i):
            return self._section(i, i + 1, _ASKED, syntax.label_of(text[first:stop]))
        return 0

    def _term(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        label = syntax.label_of(self.text[first:stop])
        parent = self.beside(i, column)
        at = self.out.add(first, stop, Kind.ITEM, parent, whole=True, content=False, label=label)
        self.hold(Holder(column, column + 1, at, item=True, term=True))
        self.recent = -1
        return i + 1

    def _definition(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        if not syntax.DEFINITION.match(self.text, first, stop):
            return 0
        if not (self.holders and self.holders[-1].term):
            return 0
        j = i + 1
        while j < len(self.rows) and not self.gap[j] and not self.opens(j, j - 1):
            if j + 1 < len(self.rows) and self.starts(j + 1, ":") and not self.column(j):
                break
            j += 1
        spans = self.pieces(first, self.rows[j - 1][2])
        parent = self.holders[-1].part
        head = self.out.add(*spans[0], Kind.SENTENCE, parent)
        for low, high in spans[1:]:
            self.out.add(low, high, Kind.SENTENCE, head)
        return j

    def _lead(self, at: int, j: int, column: int) -> None:
        """The last sentence of a paragraph holds what it leads to."""
        out, text = self.out, self.text
        self.recent = at if not self.held(column) else self.recent
        low, high = out.start[at], out.end[at]
        leads = text[high - 1] in ":：" or text.endswith((":**", ":__", ":*", ":_"), low, high)
        beside = self.column(j) - column if j < len(self.rows) else -1
        listed = beside >= 0 and self.is_item(j)
        bare = leads and high - low <= _SAID
        if not leads and (listed or beside >= 4):
            leads = beside > 0 if listed else False
            leads |= text[high - 1] not in ".!?。"
            short = high - low <= 200
            leads |= short and listed and syntax.INTRODUCES.search(text, low, high) is not None
        if leads:
            self.hold(Holder(column, column, at, item=False, bare=bare))


_OTHERS = (_Reader._item, _Reader.table)
_OPENERS = {
    "Q": (_Reader._asked, *_OTHERS),
    "q": (_Reader._asked, *_OTHERS),
    "`": (_Reader.fence,),
    "~": (_Reader.fence,),
    "#": (_Reader._asked, _Reader._heading),
    "<": (_Reader.markup,),
    "|": (_Reader.table,),
    ":": (_Reader.container, _Reader.table, _Reader._definition),
    "!": (_Reader.admonition,),
    "?": (_Reader.admonition,),
    ">": (_Reader.quote,),
    "[": (_Reader.reference, _Reader.table),
    "-": (_Reader._rule, _Reader._asked, _Reader._item),
    "*": (_Reader._rule, _Reader._asked, _Reader._item, _Reader.table),
    "_": (_Reader._rule, _Reader._asked),
    "=": (_Reader._rule,),
}
