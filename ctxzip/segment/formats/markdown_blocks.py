"""Blocks of markdown that have a form of their own: fences, tables, quotes, markup, notes."""

from __future__ import annotations

import re

from ctxzip.segment.formats import markdown_syntax as syntax
from ctxzip.segment.formats import mdtable
from ctxzip.segment.formats.inner import inner
from ctxzip.segment.formats.markdown_page import Holder, Page
from ctxzip.segment.formats.quotes import add_quote
from ctxzip.text.units import Kind

__all__ = ["Blocks"]

_DEEP = 40  # containers inside containers
_SMALL = 1200  # a fence up to here is best kept whole
_TAG = re.compile(r"<[^<>\n]*>")
_SAYS = re.compile(r"\w")
_WHOLE_TAGS = re.compile(r"<(table|ul|ol|dl|pre|script|style|svg|form|nav)\b", re.I)
_SUMMARY = re.compile(r"<summary[^<>]*>(.*?)</summary>", re.I | re.S)
_WORDY = re.compile(r"[^\W\d_]{3}")
_NOTES = frozenset(
    ("note", "notes", "warning", "tip", "important", "caution", "danger", "attention", "hint")
) | frozenset(("seealso", "admonition", "error", "info", "example", "todo", "dropdown"))


class Blocks(Page):
    """What a page holds beside headings, paragraphs and items."""

    # Blocks. Each takes a line that may open one, and returns the line behind it, or 0.

    def low(self, i: int, j: int, column: int) -> int:
        """Rules, badges, bare markup: nothing that is ever kept for its own sake."""
        at = self.out.add(
            self.rows[i][1], self.rows[j - 1][2], Kind.HEAD, self.below(column), content=False
        )
        if not self.holders:
            self.recent = at
        return j

    def front_matter(self) -> int:
        """What stands between two ``---`` at the very start; returns the line behind it."""
        text, rows = self.text, self.rows
        run = text[rows[0][1] : rows[0][2]]
        if run not in ("---", "+++") or rows[0][0] != rows[0][1]:
            return 0
        for j in range(1, min(len(rows), 200)):
            low, first, stop = rows[j]
            if text[first:stop] == run or (run == "---" and text[first:stop] == "..."):
                break
            if not syntax.FRONT.match(text, low, stop):
                return 0
        else:
            return 0
        head = self.out.add(*rows[0][1:], Kind.HEAD, self.root, whole=True, content=False)
        if j > 1:
            hint = "yaml" if run == "---" else "toml"
            inner(self.out, rows[1][0], rows[j - 1][2], head, hint)
        self.out.add(*rows[j][1:], Kind.CLOSER, head, always=True, content=False)
        return j + 1

    def fence(self, i: int, column: int) -> int:
        text, rows, out = self.text, self.rows, self.out
        _, first, stop = rows[i]
        match = syntax.FENCE.fullmatch(text, first, stop)
        if not match:
            return 0
        parent = self.below(column)
        close = self._closing(i, match[1] or match[3], column)
        closed = close < len(rows) and self._closes(close, match[1] or match[3], column)
        head = out.add(first, stop, Kind.ENTRY, parent, content=False)
        if close > i + 1:
            start, end = rows[i + 1][0], rows[close - 1][2]
            out.whole[head] = end - start <= _SMALL
            inner(out, start, end, head, _hint(match[2] or match[4] or ""), code=True)
        if closed:
            out.add(*rows[close][1:], Kind.CLOSER, head, always=True, content=False)
        elif close == len(rows):
            out.notes.append(
                "A code fence is not closed: the text behind it is read as its content."
            )
        if not self.holders:
            self.recent = head
        return close + closed

    def _closes(self, i: int, run: str, column: int) -> bool:
        _, first, stop = self.rows[i]
        if not self.text.startswith(run, first) or self.column(i) >= column + 4:
            return False
        return not self.text[first:stop].strip(run[0])

    def _closing(self, i: int, run: str, column: int) -> int:
        """The line that closes a fence, or the first one that is no longer inside its item."""
        least = min(column, self.holders[-1].column + 1) if self.held(column) else 0
        for j in range(i + 1, len(self.rows)):
            if self._closes(j, run, column) or (least and self.column(j) < least):
                return j
        return len(self.rows)

    def table(self, i: int, column: int) -> int:
        text, rows = self.text, self.rows
        if not self.starts(i, "|") and not self.is_table(i):
            return 0
        j = i + 1
        while j < len(rows) and not self.gap[j] and text.find("|", *rows[j][1:]) >= 0:
            j += 1
        parent = self.below(column)
        begun = len(self.out.start)
        if not mdtable.read(self.out, rows[i][1], rows[j - 1][2], parent):
            for _, first, stop in rows[i:j]:
                self.out.add(first, stop, Kind.ROW, parent)
        if not self.holders:
            self.recent = begun if self.is_table(i) else -1
        return j

    def quote(self, i: int, column: int) -> int:
        j = i + 1
        while j < len(self.rows) and not self.gap[j] and self.starts(j, ">"):
            j += 1
        add_quote(self.out, self.rows[i:j], self.below(column), self.language)
        if not self.holders:
            self.recent = -1
        return j

    def admonition(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        match = syntax.ADMONITION.fullmatch(self.text, first, stop)
        if not match:
            return 0
        parent = self.below(column)
        label = match[1].capitalize()
        at = self.out.add(first, stop, Kind.HEAD, parent, content=False, label=label)
        self.hold(Holder(column, column + 1, at, item=True))
        self.recent = -1
        return i + 1

    def reference(self, i: int, column: int) -> int:
        """Footnotes, and what links stand for; numbers of tickets are no content."""
        _, first, stop = self.rows[i]
        if syntax.FOOTNOTE.match(self.text, first, stop):
            j = i + 1
            while j < len(self.rows) and not self.gap[j] and not self.opens(j, j - 1):
                j += 1
            spans = self.pieces(first, self.rows[j - 1][2])
            head = self.out.add(*spans[0], Kind.ENTRY, self.below(column), whole=True)
            for low, high in spans[1:]:
                self.out.add(low, high, Kind.SENTENCE, head)
            self.hold(Holder(column, column + 1, head, item=True))
            self.recent = -1
            return j
        match = syntax.LINK.fullmatch(self.text, first, stop)
        if not match:
            return 0
        named = _WORDY.search(match[1]) is not None
        at = self.out.add(first, stop, Kind.LINE, self.below(column), content=named)
        if not self.holders:
            self.recent = at
        return i + 1

    # Containers: what stands between two lines.

    def container(self, i: int, column: int) -> int:
        _, first, stop = self.rows[i]
        match = syntax.CONTAINER.fullmatch(self.text, first, stop)
        if not match:
            return 0
        if self.held(column):
            return self.low(i, i + 1, column)
        name = match[2].strip("{} \t")
        return self._open(i, i + 1, name) if name else self._close(i, ":")

    def _open(self, i: int, j: int, label: str) -> int:
        self.leave()
        at = self.out.add(
            self.rows[i][1],
            self.rows[j - 1][2],
            Kind.HEAD,
            self.section(),
            content=False,
            label=syntax.label_of(label),
        )
        # Headings never close it: their levels are larger.
        if len(self.sections) < _DEEP:
            self.sections.append((0, at))
        return j

    def _close(self, i: int, mark: str) -> int:
        opened = [k for k, (level, _) in enumerate(self.sections) if level == 0]
        if not opened or self.text[self.out.start[self.sections[opened[-1]][1]]] != mark:
            return self.low(i, i + 1, 0)
        self.leave()
        at = self.sections[opened[-1]][1]
        del self.sections[opened[-1] :]
        self.out.add(*self.rows[i][1:], Kind.CLOSER, at, always=True, content=False)
        return i + 1

    def markup(self, i: int, column: int) -> int:  # noqa: PLR0911
        text, rows = self.text, self.rows
        _, first, stop = rows[i]
        if text.startswith("<!--", first):
            return self._comment(i, column)
        if not syntax.HTML.match(text, first, stop):
            return 0
        if not self.held(column):
            if syntax.DETAILS.match(text, first, stop) and "</details" not in text[first:stop]:
                return self._details(i)
            if text[first:stop].lower() == "</details>":
                return self._close(i, "<")
        if match := _WHOLE_TAGS.match(text, first, stop):
            return self._element(i, match[1].lower(), column)
        j = i + 1
        while j < len(rows) and not self.gap[j] and self.starts(j, "<"):
            if _SAYS.search(_TAG.sub("", text[rows[j][1] : rows[j][2]])):
                break
            j += 1
        if _SAYS.search(_TAG.sub("", text[first : rows[j - 1][2]])):
            return 0
        return self.low(i, j, column)

    def _comment(self, i: int, column: int) -> int:
        first = self.rows[i][1]
        if first < self.no_comment_before:
            return 0
        close = self.text.find("-->", first + 4, self.end) + 3
        if close < 3:
            self.no_comment_before = self.end  # looking again from every line would be quadratic
            return 0
        j = i + 1
        while self.rows[j - 1][2] < close:
            j += 1
        return self.low(i, j, column) if self.rows[j - 1][2] == close else 0

    def _details(self, i: int) -> int:
        j = i + 1
        while j < len(self.rows) and j < i + 5 and not self.gap[j]:
            if "</summary>" in self.text[self.rows[j - 1][1] : self.rows[j - 1][2]].lower():
                break
            if not self.starts(j, "<summary") and "<summary" not in self._span(i, j):
                break
            j += 1
        match = _SUMMARY.search(self._span(i, j))
        return self._open(i, j, _TAG.sub("", match[1]).strip() if match else "")

    def _span(self, i: int, j: int) -> str:
        return self.text[self.rows[i][1] : self.rows[j - 1][2]]

    def _element(self, i: int, tag: str, column: int) -> int:
        """An element to its end, read as HTML."""
        j = i
        closes = f"</{tag}"
        while j < len(self.rows) and closes not in self._span(j, j + 1).lower():
            j += 1
            if j < len(self.rows) and self.starts(j, "#") and self.gap[j]:
                return 0  # it is never closed
        if j == len(self.rows):
            return 0
        inner(self.out, self.rows[i][1], self.rows[j][2], self.below(column), "html")
        self.recent = -1
        return j + 1


def _hint(info: str) -> str:
    """The language that the opening line of a fence names."""
    words = info.replace("{", " ").replace("}", " ").replace(",", " ").replace("=", " ").split()
    if not words:
        return ""
    name = words[0].lstrip(".").split(":")[0].lower()
    return "markdown" if "{" in info and name in _NOTES else name
