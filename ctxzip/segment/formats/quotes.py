"""Block quotes: lines behind ``>``, with paragraphs, items and fences of their own."""

from __future__ import annotations

import re

from ctxzip.segment import sentences
from ctxzip.segment.formats.markdown_syntax import BOLD, DELIMITER, FENCE, HEADING, MARKER, label_of
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["add_quote"]

_PREFIX = re.compile(r"(?:>[ \t]?)+")
_ALERT = re.compile(r"\[!(\w+)\][+-]?(.*)")


def add_quote(
    out: Builder, rows: list[tuple[int, int, int]], parent: int, language: str | None = None
) -> None:
    """Add a quote; what its first line calls it (``[!NOTE]``, a heading) stands above the rest.

    Args:
        out: takes the parts.
        rows: ``(line start, first, stop)`` of its lines, each with its ``>``.
        parent: what it belongs to.
        language: of its sentences.
    """
    _Quote(out, rows, parent, language).run()


class _Quote:
    def __init__(
        self, out: Builder, rows: list[tuple[int, int, int]], parent: int, language: str | None
    ) -> None:
        self.out, self.text, self.rows, self.language = out, out.text, rows, language
        self.parent = parent
        self.items: list[tuple[int, int]] = []
        self.begun = -1  # start of a run of empty lines that the next part takes in
        self.header = -1
        self.bodies = [self._body(first, stop) for _, first, stop in rows]

    def _body(self, first: int, stop: int) -> tuple[int, int]:
        """Where the text behind the mark begins, and its column."""
        match = _PREFIX.match(self.text, first, stop)
        body = match.end() if match else first
        at = body
        while at < stop and self.text[at] in " \t":
            at += 1
        return at, at - body

    def run(self) -> None:
        i = 0
        while i < len(self.rows):
            i = self._block(i)
        if self.begun >= 0:  # nothing but marks
            self.out.add(self.begun, self.rows[-1][2], Kind.HEAD, self.parent, content=False)

    def _start(self, i: int) -> int:
        start = self.rows[i][1] if self.begun < 0 else self.begun
        self.begun = -1
        return start

    def _block(self, i: int) -> int:  # noqa: PLR0911
        _, first, stop = self.rows[i]
        body, column = self.bodies[i]
        if body >= stop:
            self.header = -1
            if len(self.out.end) and self.out.end[-1] > self.rows[0][1] and self.begun < 0:
                self.out.end[-1] = stop
            elif self.begun < 0:
                self.begun = first
            return i + 1
        if FENCE.fullmatch(self.text, body, stop):
            return self._fence(i)
        row = self.text[body:stop]
        if alert := _ALERT.fullmatch(row):
            return self._titled(i, alert[1].capitalize())
        if i == 0 and row[0] in "*_" and (bold := BOLD.fullmatch(row)) and bold[2][-1] not in ".!":
            return self._titled(i, label_of(bold[2]))
        if HEADING.match(row):
            return self._titled(i, label_of(row.strip("# \t")))
        if "|" in row and (self.header >= 0 or self._is_table(i)):
            return self._row(i)
        return self._paragraph(i, column)

    def _titled(self, i: int, label: str) -> int:
        if i == 0:
            self.items = []
        at = self.out.add(
            self._start(i), self.rows[i][2], Kind.HEAD, self._above(0), content=False, label=label
        )
        self.items = [(-1, at)]
        return i + 1

    def _above(self, column: int) -> int:
        while self.items and self.items[-1][0] >= column:
            self.items.pop()
        return self.items[-1][1] if self.items else self.parent

    def _is_table(self, i: int) -> bool:
        if i + 1 >= len(self.rows):
            return False
        body, stop = self.bodies[i + 1][0], self.rows[i + 1][2]
        return "|" in self.text[body:stop] and bool(DELIMITER.fullmatch(self.text, body, stop))

    def _row(self, i: int) -> int:
        if self.header >= 0:
            self.out.add(self._start(i), self.rows[i][2], Kind.ROW, self.header)
            return i + 1
        self.header = self.out.add(
            self._start(i), self.rows[i + 1][2], Kind.HEAD, self._above(0), content=False
        )
        return i + 2

    def _fence(self, i: int) -> int:
        """Its lines as they stand, each behind its mark."""
        run = self.text[self.bodies[i][0] : self.rows[i][2]]
        run = run[: len(run) - len(run.lstrip(run[0]))]
        parent = self._above(self.bodies[i][1])
        head = self.out.add(
            self._start(i), self.rows[i][2], Kind.ENTRY, parent, whole=True, content=False
        )
        for j in range(i + 1, len(self.rows)):
            _, first, stop = self.rows[j]
            inner = self.text[self.bodies[j][0] : stop]
            if inner.startswith(run) and not inner.strip(run[0]):
                self.out.add(first, stop, Kind.CLOSER, head, always=True, content=False)
                return j + 1
            self.out.add(first, stop, Kind.LINE, head)
        return len(self.rows)

    def _paragraph(self, i: int, column: int) -> int:
        text, out = self.text, self.out
        marker = MARKER.match(text, self.bodies[i][0], self.rows[i][2])
        j = i + 1
        while j < len(self.rows) and self.bodies[j][0] < self.rows[j][2] and not self._opens(j):
            j += 1
        start, end = self._start(i), self.rows[j - 1][2]
        parent = self._above(column)
        units = sentences.split(text[start:end], self.language)
        spans = zip(units.start.tolist(), units.end.tolist(), strict=True)
        low, high = next(spans)
        kind = Kind.ITEM if marker else Kind.SENTENCE
        # Further sentences of a line have no mark of their own: they need the one that has it.
        at = out.add(start + low, start + high, kind, parent, whole=True)
        for low, high in spans:
            out.add(start + low, start + high, Kind.SENTENCE, at)
        if marker and len(self.items) < 40:
            self.items.append((column, at))
        elif text[end - 1] == ":" and len(self.items) < 40:
            self.items.append((column - 1, at))
        return j

    def _opens(self, j: int) -> bool:
        body, stop = self.bodies[j][0], self.rows[j][2]
        if FENCE.fullmatch(self.text, body, stop) or HEADING.match(self.text, body, stop):
            return True
        return MARKER.match(self.text, body, stop) is not None
