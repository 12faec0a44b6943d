"""Where a reader of markdown stands: its lines, open sections, open items, lead-in lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from ctxzip.segment import sentences
from ctxzip.segment.blocks import Block, blocks
from ctxzip.segment.formats import markdown_syntax as syntax
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.language import guess
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["Holder", "Page", "pieces"]

_DEEP = 40  # lists inside lists
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKERS = frozenset("-*+•‣◦⁃▪●○(")
_BLOCK_TAGS = re.compile(
    r"</?(?:address|article|aside|blockquote|body|center|details|summary|dialog|div|dl|fieldset|figure"
    r"|footer|form|h[1-6]|head|header|hr|html|iframe|img|li|main|nav|ol|p|picture|pre|script|section"
    r"|source|style|svg|table|tbody|td|tfoot|th|thead|tr|ul)\b|<!--",
    re.I,
)


@dataclass(slots=True)
class Holder:
    """A part that what follows may belong to.

    Attributes:
        column: of the marker of an item, of the first character of a lead-in line.
        inside: column of the text behind the marker.
        part: its index.
        item: it holds what is indented more; a lead-in line holds lists and fences beside it too.
        bare: it says nothing without what it holds.
        term: a term that definitions follow.
        used: a block that is no item stands beside it already: it leads to nothing more.
    """

    column: int
    inside: int
    part: int
    item: bool
    bare: bool = False
    term: bool = False
    used: bool = False


class Page:
    """The lines of a region, and what is open where the reader stands."""

    def __init__(self, out: Builder, start: int, end: int, parent: int) -> None:
        self.out, self.text, self.end, self.root = out, out.text, end, parent
        self.rows = list(lines(self.text, start, end))
        count = self.text.count
        self.gap = [True, *(count("\n", a[2], b[1]) > 1 for a, b in pairwise(self.rows))]
        self.language = guess(self.text[start : min(end, start + 1500)])
        self.sections: list[tuple[int, int]] = []
        self.holders: list[Holder] = []
        self.recent = -1  # last block beside which the next stands, if that may hold it
        self.listed = False  # a list stands above in this section
        self.no_comment_before = 0
        self.underlines: list[str] = []
        self.asking = sum(self.is_question(i) for i in range(len(self.rows))) >= 2

    # Where the reader stands.

    def column(self, i: int) -> int:
        """Column of the first character of line ``i``."""
        low, first, _ = self.rows[i]
        return len(self.text[low:first].expandtabs(4)) if first > low else 0

    def starts(self, i: int, mark: str) -> bool:
        """Whether line ``i`` begins with ``mark``."""
        return self.text.startswith(mark, self.rows[i][1])

    def section(self) -> int:
        """The heading that the reader stands under."""
        return self.sections[-1][1] if self.sections else self.root

    def leave(self) -> None:
        """A new section begins: no list goes on."""
        self.holders.clear()
        self.recent, self.listed = -1, False

    def hold(self, holder: Holder) -> None:
        """What follows may belong to this part."""
        if len(self.holders) < _DEEP:
            self.holders.append(holder)

    def held(self, column: int) -> bool:
        """Whether a line at ``column`` stands inside an item."""
        return any(holder.item and column > holder.column for holder in self.holders)

    def below(self, column: int, block: bool = True) -> int:
        """The part that a block at ``column`` belongs to; lead-in lines hold no paragraphs."""
        while self.holders:
            top = self.holders[-1]
            if column > top.column:
                return self._taken(top)
            if block and column == top.column and not (top.item or top.used):
                top.used = True
                return self._taken(top)
            self.holders.pop()
        if column and self.listed and self.recent >= 0:
            # Without the block between, it would belong to an item above.
            return self.recent
        return self.section()

    def below_item(self, column: int) -> int:
        """The part that an item whose marker stands at ``column`` belongs to."""
        while self.holders:
            top = self.holders[-1]
            if top.item and (column >= min(top.column + 2, top.inside)):
                return self._taken(top)
            if not (top.item or top.used) and column >= top.column:
                return self._taken(top)
            self.holders.pop()
        return self.below(column)

    def beside(self, i: int, column: int) -> int:
        """The part that a paragraph belongs to."""
        parent = self.below(column, block=False)
        if not self.holders and not self.gap[i] and self.listed and self.recent >= 0:
            return self.recent  # else it would go on the last line of an item above
        return parent

    def _taken(self, holder: Holder) -> int:
        out, part = self.out, holder.part
        if holder.bare:
            out.content[part] = False
        if not out.labels[part]:
            self.name(part)
        return part

    def name(self, part: int) -> None:
        """A part is called by its words, if these are few."""
        start, end = self.out.start[part], self.out.end[part]
        if end - start <= 200:
            marker = syntax.MARKER.match(self.text, start, end)
            label = syntax.label_of(self.text[marker.end() if marker else start : end])
            self.out.labels[part] = label if len(label) <= 120 else ""

    # What a line is.

    def is_item(self, i: int) -> bool:
        """Whether line ``i`` begins with the marker of an item."""
        _, first, stop = self.rows[i]
        if syntax.RULE.fullmatch(self.text, first, stop):
            return False
        return syntax.MARKER.match(self.text, first, min(stop, first + 40)) is not None

    def is_question(self, i: int) -> bool:
        """Whether line ``i`` is one question, at the beginning of a paragraph."""
        low, first, stop = self.rows[i]
        if self.text[stop - 1] != "?" or not self.gap[i] or first != low or stop - first > 210:
            return False
        return syntax.ASKS.fullmatch(self.text, first, stop) is not None

    def opens(self, i: int, above: int, in_item: bool = False) -> bool:  # noqa: PLR0911
        """Whether line ``i`` begins a block of its own right below line ``above``."""
        text = self.text
        _, first, stop = self.rows[i]
        c = text[first]
        if c.isalnum() or c in _MARKERS:
            return self._opens_item(i, above, in_item)
        if c == "#":
            return syntax.HEADING.match(text, first, stop) is not None
        if c in "`~":
            return syntax.FENCE.fullmatch(text, first, stop) is not None
        if c == "<":
            return _BLOCK_TAGS.match(text, first, stop) is not None
        if c == ":":
            return syntax.DEFINITION.match(text, first, stop) is not None or self.starts(i, ":::")
        if c in "!?":
            return syntax.ADMONITION.fullmatch(text, first, stop) is not None
        if c == "[":
            known = syntax.FOOTNOTE.match(text, first, stop) or syntax.LINK.fullmatch(
                text, first, stop
            )
            return known is not None
        if c in "_=":
            return self._bold(i) or syntax.RULE.fullmatch(text, first, stop) is not None
        return c in ">|" or self.is_table(i)

    def _opens_item(self, i: int, above: int, in_item: bool) -> bool:
        text = self.text
        _, first, stop = self.rows[i]
        c = text[first]
        if c in "*-" and (syntax.RULE.fullmatch(text, first, stop) or self._bold(i)):
            return True
        if c in "QqAa*":
            short = min(stop, first + 60)
            if syntax.QUESTION.match(text, first, short) or syntax.ANSWER.match(text, first, short):
                return True
        marker = syntax.MARKER.match(text, first, min(stop, first + 40))
        if marker is None:
            return self.is_table(i)
        mark = marker.group().strip()
        if (
            in_item
            or mark in ("1.", "1)", "(1)", "a)", "(a)")
            or not (mark[0].isalnum() or mark[0] == "(")
        ):
            return True
        return text[self.rows[above][2] - 1] in ".:;!?"

    def _bold(self, i: int) -> bool:
        return syntax.BOLD.fullmatch(self.text, *self.rows[i][1:]) is not None

    def is_table(self, i: int) -> bool:
        """Whether a table begins at line ``i``."""
        if i + 1 >= len(self.rows) or self.gap[i + 1]:
            return False
        _, first, stop = self.rows[i + 1]
        if self.text[first] not in "|:- " or self.text.find("|", first, stop) < 0:
            return False
        if self.text.find("|", *self.rows[i][1:]) < 0:
            return False
        return syntax.DELIMITER.fullmatch(self.text, first, stop) is not None

    def underlined(self, i: int, column: int) -> int:
        """The level of the heading that the line below makes of line ``i``, or 0."""
        text = self.text
        _, first, stop = self.rows[i + 1]
        if self.gap[i + 1] or not syntax.UNDERLINE.fullmatch(text, first, stop):
            return 0
        c = text[first]
        if c in "=-":
            return "=-".index(c) + 1
        width = stop - first
        if (
            column
            or not self.gap[i]
            or width < 4
            or width < 0.8 * (self.rows[i][2] - self.rows[i][1])
        ):
            return 0
        if c not in self.underlines:
            self.underlines.append(c)
        return min(3 + self.underlines.index(c), 6)

    def pieces(self, start: int, end: int, body: int = -1) -> list[tuple[int, int]]:
        """The sentences of a paragraph, or of an item whose text begins at ``body``."""
        return pieces(self.text, start, end, start if body < 0 else body, self.language)


def pieces(text: str, start: int, end: int, body: int, language: str) -> list[tuple[int, int]]:
    """The sentences of ``text[start:end]``; the first begins with a marker up to ``body``."""
    part = text[start:end]
    if not part.isascii():
        part = _SURROGATE.sub("\ufffd", part)
    if "\n" not in part:
        spans = sentences.pieces(part, Block(0, body - start, len(part), Kind.SENTENCE), language)
        return [(start + a, start + b) for a, b in spans]
    found = []
    for block in blocks(part):
        for a, b in sentences.pieces(part, block, language):
            found.append((start + a, start + b))
    return found
