"""Output of tests, compilers and linters: pytest, jest, cargo, go test, TAP, gcc, tsc, maven, ...

What fails stands under its own name: the block of a failing test with its assertion, which always
comes along; an error of a compiler with the source and the caret below it as one part. Banners are
heads of what stands below them; passes and progress are lines of their own.
"""

from __future__ import annotations

import re

from ctxzip.segment.formats import log, trace
from ctxzip.segment.formats import testlog_lines as told
from ctxzip.segment.formats.rows import Row, add_row, message, rows, sample
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "looks_like_output", "read"]

STYLE = LINES


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Lines that only such tools write."""
    found = sample(text, start, end)
    if not found or any(line.startswith(("```", "~~~", "## ")) for line in found):
        return False
    strong = sum(told.STRONG.match(line) is not None for line in found)
    errors = [_diagnostic(line) for line in found]
    if sum(errors) == len(found) or (strong and sum(errors)):
        return True
    if errors[0] and (sum(errors) * 6 >= len(found)):
        return True
    linted = sum(told.LINTED.match(line) is not None for line in found)
    return strong >= 2 or (strong == 1 and len(found) <= 12) or linted * 2 >= len(found)


def looks_like_output(text: str) -> bool:
    """Is a text a log, a trace, or what a test run, a compiler or a linter wrote?

    To be asked before a text is taken for source code, which such output quotes.
    """
    start, end = 0, len(text)
    return log.fits(text, start, end) or fits(text, start, end) or trace.fits(text, start, end)


def _diagnostic(body: str) -> bool:
    return told.DIAGNOSTIC.match(body) is not None


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the sections, blocks and lines of a region."""
    found = rows(out.text, start, end)
    if not found:
        return False
    writer = _Writer(out, found, parent)
    at = 0
    while at < len(found):
        at = writer.step(at)
    return True


class _Writer:
    """Adds what each line begins; each method returns the row behind what it has added."""

    def __init__(self, out: Builder, found: list[Row], parent: int) -> None:
        self.out, self.rows, self.top = out, found, parent
        self.bodies = [message(out.text, row) for row in found]
        self.section = parent
        self.suites: list[tuple[int, int]] = []  # indentation and part of the suites that are open

    def step(self, at: int) -> int:
        body = self.bodies[at]
        for reads in (self._banner, self._block, self._go, self._tap, self._compiler, self._suite):
            stop = reads(at, body)
            if stop:
                return stop
        if trace.continues(body):
            stop = self._block_end(at + 1)
            trace.add_rows(self.out, self.rows[at:stop], self.section)
            return stop
        add_row(self.out, self.rows[at], self.section, content=not told.RULE.match(body))
        return at + 1

    def _head(self, at: int, stop: int, parent: int, label: str, *, content: bool = False) -> int:
        return self.out.add(
            self.rows[at].first,
            self.rows[stop - 1].stop,
            Kind.ENTRY,
            parent,
            whole=True,
            content=content,
            label=label[:100],
        )

    def _piece(self, at: int, stop: int, parent: int, *, always: bool = False) -> int:
        self.out.add(
            self.rows[at].first, self.rows[stop - 1].stop, Kind.ENTRY, parent, always=always
        )
        return stop

    # sections

    def _banner(self, at: int, body: str) -> int:
        banner = told.BANNER.match(body)
        if banner is None:
            return 0
        self.suites = []
        self.section = self.top
        if banner["bar"] and told.TOTALS.search(banner["title"]):
            add_row(self.out, self.rows[at], self.top)
            return at + 1
        last = at + 1 == len(self.rows)
        label = (banner["title"] or body).strip(" :*")
        self.section = self._head(at, at + 1, self.top, label, content=last)
        return at + 1

    # the block of a failing test

    def _block(self, at: int, body: str) -> int:
        first = at
        if told.RULE.match(body) and body[0] == "=" and at + 1 < len(self.rows):
            at += 1  # unittest draws a line above the name, and one below
            if not self.bodies[at].startswith(("FAIL: ", "ERROR: ")):
                return 0
        block = told.BLOCK.match(self.bodies[at])
        if block is None:
            return 0
        name = next(group for group in block.groups() if group)
        stop = at + 1
        if stop < len(self.rows) and told.RULE.match(self.bodies[stop]):
            stop += 1
        if block["rspec"] and (self.section == self.top or not self._holds(stop)):
            return 0
        if block["jest"]:
            self._leave(2)
        parent = self.suites[-1][1] if self.suites and block["jest"] else self.section
        end = self._block_end(stop, block["go"] is not None)
        head = self._head(first, stop, parent, name.strip(), content=end == stop)
        if block["pytest"]:
            self._pytest(stop, end, head)
        elif block["jest"] or block["vitest"] or block["rspec"]:
            self._assertion(stop, end, head)
        else:
            self._plain(stop, end, head)
        return end

    def _holds(self, at: int) -> bool:
        return at < len(self.rows) and self.bodies[at][:1] in (" ", "\t")

    def _block_end(self, at: int, indented: bool = False) -> int:
        """The row behind a block: the next block or section, or a line of progress."""
        while at < len(self.rows):
            body = self.bodies[at]
            if indented and body[:1] not in " \t":
                break
            if told.BANNER.match(body) or told.BLOCK.match(body) or told.SUITE.match(body):
                break
            if body[:1] in "=⎯" and told.RULE.match(body):
                break
            if body[:1] not in " \t" and told.STRONG.match(body):
                break
            at += 1
        return at

    def _pytest(self, at: int, end: int, head: int) -> None:
        """Source of the test, what failed (always comes along), where, what was captured."""
        while at < end:
            body = self.bodies[at]
            if body[:1] == ">" or re.match(r"E\s", body):
                stop = at + 1
                while stop < min(end, at + 60) and re.match(r"E(?:\s|$)", self.bodies[stop]):
                    stop += 1
                at = self._failed(at, stop, head)
            elif told.PLACE.match(body) and body[:1] not in " \t":
                at = self._piece(at, at + 1, head, always=True)
            elif told.CAPTURED.match(body):
                stop = at + 1
                while stop < end and not told.CAPTURED.match(self.bodies[stop]):
                    stop += 1
                captured = self._head(at, at + 1, head, body.strip("- "))
                trace.add_rows(self.out, self.rows[at + 1 : stop], captured)
                at = stop
            elif trace.continues(body):
                trace.add_rows(self.out, self.rows[at:end], head)
                return
            else:
                add_row(
                    self.out, self.rows[at], head, content=not told.RULE.match(body.strip(" _"))
                )
                at += 1

    def _failed(self, at: int, stop: int, head: int) -> int:
        """The failing statement and what it says; of a long one only the first lines always."""
        short = min(stop, at + 12)
        self._piece(at, short, head, always=True)
        for i in range(short, stop):
            add_row(self.out, self.rows[i], head)
        return stop

    def _assertion(self, at: int, end: int, head: int) -> None:
        """What jest, vitest and rspec say: the message and the values, then source, then frames."""
        stop = at
        while stop < min(end, at + 16):
            body = self.bodies[stop]
            if trace.continues(body) or re.match(r"\s*(?:>? *\d+ ?[|│]|❯|#)", body):
                break
            stop += 1
        if stop > at:
            self._piece(at, stop, head, always=True)
        if stop < end and re.match(r"\s*>? *\d+ ?[|│]", self.bodies[stop]):
            at = stop
            while stop < end and re.match(r"\s*(?:>? *\d+)? *[|│]", self.bodies[stop]):
                stop += 1
            self._piece(at, stop, head)
        for i in range(stop, end):
            add_row(self.out, self.rows[i], head)

    def _plain(self, at: int, end: int, head: int) -> None:
        """Lines and traces below a name; the first of them always comes along."""
        known = len(self.out.start)
        trace.add_rows(self.out, self.rows[at:end], head)
        if len(self.out.start) > known:
            self.out.always[known] = True

    # tests that are told line by line

    def _go(self, at: int, body: str) -> int:
        run = told.RUN.match(body)
        if run is None:
            return 0
        end = at + 1
        done = None
        while end < len(self.rows):
            done = told.DONE.match(self.bodies[end])
            if (
                done is not None
                or told.RUN.match(self.bodies[end])
                or told.BANNER.match(self.bodies[end])
            ):
                break
            end += 1
        if done is None or done[2] != run[1]:
            add_row(self.out, self.rows[at], self.section)
            return at + 1
        head = self._head(at, at + 1, self.section, run[1])
        trace.add_rows(self.out, self.rows[at + 1 : end], head)
        if done[1] == "FAIL":
            while end + 1 < len(self.rows) and re.match(r"\s+\S+\.go:\d+: ", self.bodies[end + 1]):
                end += 1
        return self._piece(
            end if done[1] != "FAIL" else self._done(at, end), end + 1, head, always=True
        )

    def _done(self, at: int, end: int) -> int:
        while end > at and not told.DONE.match(self.bodies[end]):
            end -= 1
        return end

    def _tap(self, at: int, body: str) -> int:
        if not told.TAP.match(body):
            return 0
        end = at + 1
        if end < len(self.rows) and self.bodies[end].strip() == "---":
            while end < len(self.rows) and self.bodies[end].strip() != "...":
                if told.TAP.match(self.bodies[end]):
                    break
                end += 1
            end += end < len(self.rows) and self.bodies[end].strip() == "..."
        elif "not ok" in body[:12]:
            while end < len(self.rows) and re.match(
                r"\s*#(?! Subtest| tests | pass | fail )", self.bodies[end]
            ):
                end += 1
        if end - at <= 30:
            return self._piece(at, end, self.section)
        head = self._head(at, at + 1, self.section, body.strip(), content=True)
        for i in range(at + 1, end):
            add_row(self.out, self.rows[i], head)
        return end

    # compilers and linters

    def _compiler(self, at: int, body: str) -> int:
        rust = told.RUSTC.match(body) is not None
        if rust and (at + 1 == len(self.rows) or self.rows[at + 1].gap):
            rust = False
        if rust or _diagnostic(body):
            return self._diagnosed(at, self.section, rust)
        if told.FUNCTION.match(body) or told.INCLUDED.match(body):
            stop = at + 1
            while stop < min(len(self.rows), at + 30) and (
                told.INCLUDED.match(self.bodies[stop]) or told.FUNCTION.match(self.bodies[stop])
            ):
                stop += 1
            if stop == len(self.rows) or not _diagnostic(self.bodies[stop]):
                return 0
            head = self._head(at, stop, self.section, self.bodies[stop - 1].strip(": "))
            while stop < len(self.rows) and _diagnostic(self.bodies[stop]):
                stop = self._diagnosed(stop, head, False)
            return stop
        if (
            told.PATH_HEAD.match(body)
            and at + 1 < len(self.rows)
            and told.LINTED.match(self.bodies[at + 1])
        ):
            head = self._head(at, at + 1, self.section, body.strip())
            at += 1
            while at < len(self.rows) and told.LINTED.match(self.bodies[at]):
                at = self._piece(at, at + 1, head)
            return at
        return 0

    def _diagnosed(self, at: int, parent: int, rust: bool) -> int:
        """A message with the source, carets and notes below it."""
        end = at + 1
        while end < len(self.rows) and end < at + 40:
            body = self.bodies[end]
            if self.rows[end].gap and (rust or not re.match(r"\s*\d+ |\s+[~^]", body)):
                break
            if rust:
                if told.RUSTC.match(body):
                    break
            elif re.match(r"\S.*: note: ", body) and told.DIAGNOSTIC.match(body):
                pass
            elif (
                _diagnostic(body)
                or not told.SHOWN.match(body)
                or told.STRONG.match(body)
                or told.FUNCTION.match(body)
            ):
                break
            end += 1
        return self._piece(at, end, parent)

    # suites of jest, vitest and mocha

    def _leave(self, indent: int) -> None:
        while self.suites and self.suites[-1][0] >= indent:
            self.suites.pop()

    def _suite(self, at: int, body: str) -> int:
        if told.SUITE.match(body):
            self.suites = []
            holds = (
                at + 1 < len(self.rows)
                and self.bodies[at + 1][:1] == " "
                and not self.rows[at + 1].gap
            )
            head = self._head(at, at + 1, self.section, body.strip(), content=True)
            if holds or (at + 1 < len(self.rows) and self.bodies[at + 1].startswith("  ●")):
                self.suites = [(-1, head)]
            return at + 1
        indent = len(body) - len(body.lstrip())
        if not indent or (not self.suites and not self._is_suite(at, indent)):
            self.suites = []
            return 0
        self._leave(indent)
        parent = self.suites[-1][1] if self.suites else self.section
        if self._is_suite(at, indent):
            head = self._head(at, at + 1, parent, body.strip())
            self.suites.append((indent, head))
        else:
            add_row(self.out, self.rows[at], parent)
        return at + 1

    def _is_suite(self, at: int, indent: int) -> bool:
        """A name whose tests are marked below it, deeper."""
        if told.MARK.match(self.bodies[at]) or at + 1 >= len(self.rows):
            return False
        for i in range(at + 1, min(at + 4, len(self.rows))):
            body = self.bodies[i]
            if len(body) - len(body.lstrip()) <= indent:
                return False
            if told.MARK.match(body) and body.strip()[0] != "-":
                return True
        return False
