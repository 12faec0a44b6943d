"""Stack traces, alone or below the line of a log that reports them.

The exception and its message are what everything else belongs to: they stand first in Java,
JavaScript, Go, Rust, .NET, Ruby and PHP; in Python they stand last and always come along. A frame
is one part with the lines of source that it shows; a cause always comes with what it caused.
"""

from __future__ import annotations

import re

from ctxzip.segment.formats.rows import Row, add_row, message, rows, sample
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "add_rows", "continues", "fits", "library_frame", "read"]

STYLE = LINES

_MESSAGE = 12  # lines that a message may have before its frames
_PYTHON = re.compile(r"[ \t]*(?:\+ Exception Group )?Traceback \(most recent call last\):?\s*$")
_CHAIN = re.compile(r"\s*(?:During handling of the above|The above exception was the direct cause)")
_FILE = re.compile(r'\s*(?:\| )*\s*File "[^"\n]*", line \d+')
_AT = re.compile(
    r"\s*at (?:[\w$.<>/@\[\]`~+\-#, ]+\(|(?:async )?\S*[\w>)]:\d+(?::\d+)?\)?(?: \{)?\s*$|<\w+>"
    r"|(?:async )?\S+ \(|\S+\.\S+$)"
)
_MORE = re.compile(
    r"\s*(?:\.\.\. \d+ (?:more|common frames)|--- End of |\[Previous line repeated )"
)
_HEADER = re.compile(
    r"\s*(?:Exception in thread .*|Unhandled [Ee]xception\S* .*|Uncaught .*"
    r"|(?:\[?[a-z]+\]?: )?(?:[\w$]+[.\\/])*+[A-Z][\w$]*(?:Exception|Error|Throwable|Failure"
    r"|Panic|Interrupt|Timeout|Exit)\w*"
    r"(?:\s*[:\[(].*|\s*$))"
)
_CAUSE = re.compile(r"\s*(?:Caused by:|Suppressed:|\[cause\]:|Caused by\b)")
_GO = re.compile(r"(?:panic|fatal error): |goroutine \d+ [\[(]")
_GOROUTINE = re.compile(r"goroutine \d+ [\[(]")
_GO_CALL = re.compile(r"(?:created by )?[\w./*()\[\]{}@~\-·]+(?:\(.*\)|( in goroutine \d+)?)$")
_GO_PLACE = re.compile(r"\t? *\S+\.(?:go|s):\d+(?: \+0x[0-9a-f]+)?\s*$")
_RUST = re.compile(r"\s*thread '.*?'(?: \(\d+\))? panicked at ")
_RUST_NOTE = re.compile(r"\s*(?:note: |stack backtrace:)")
_RUST_FRAME = re.compile(r"\s*\d+: +\S")
_RUBY = re.compile(r"\S+\.rb:\d+:in .*|\S+:\d+:in [`'].*[`'].*: .*")
_RUBY_FROM = re.compile(r"\s*\d*:? ?from \S+:\d+")
_NUMBERED = re.compile(r"\s*#\d+:? +\S")
_PHP = re.compile(r"\s*(?:\[?stacktrace\]?|Stack trace:|thrown in )", re.I)
_DATA = re.compile(r"\s*(?:[\]})]+,?|[\w$\[\]']+: .*|\[?\w+\]?: [\[{].*)\s*$")
_LIBRARY = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|<frozen |node_modules|node:|internal/"
    r"|\bat (?:java|javax|jdk|sun|scala|kotlin|groovy|org\.(?:spring|apache|junit|hibernate"
    r"|eclipse|gradle|jboss)\w*"
    r"|com\.sun|io\.netty|reactor|System|Microsoft|com\.fasterxml|com\.google)[./]|java\.base/"
    r"|/usr/(?:local/)?(?:lib|go)/|/rustc/|/\.cargo/|/go/(?:src|pkg)/|\bruntime[./]"
    r"|[\\/]gems[\\/]|/vendor/"
    r"|\b(?:std|core|alloc|tokio)::|testing\.tRunner"
)


def library_frame(text: str) -> bool:
    """Does a frame lie in a library, a runtime or a framework?"""
    return _LIBRARY.search(text) is not None


def continues(body: str) -> bool:
    """Is a line certainly inside a trace, whatever stands before it?"""
    return bool(
        _AT.match(body)
        or _FILE.match(body)
        or _PYTHON.match(body)
        or _CAUSE.match(body)
        or _MORE.match(body)
        or _CHAIN.match(body)
    )


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Mostly frames, or a trace's head with at least one frame near the top."""
    found = sample(text, start, end)
    if len(found) < 2:
        return False
    frames = [_is_frame(line) for line in found]
    n = sum(frames)
    if not n:
        return False
    shown = sum(a and not b for a, b in zip(frames, [*frames[1:], True], strict=True))
    head = any(_is_head(line) for line in found[:6])
    return (head or n >= 3) and (n + min(shown, n)) * 3 >= len(found)


def _is_frame(line: str) -> bool:
    return bool(
        _FILE.match(line)
        or _AT.match(line)
        or _GO_PLACE.match(line)
        or _RUBY_FROM.match(line)
        or _NUMBERED.match(line)
        or (_RUST_FRAME.match(line) and "::" in line)
        or _RUST.match(line)
    )


def _is_head(line: str) -> bool:
    tests = (_PYTHON, _HEADER, _GO, _RUST, _RUBY)
    return any(test.match(line) for test in tests) or "Fatal error" in line


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the traces of a region, and the lines between them."""
    found = rows(out.text, start, end)
    if not found:
        return False
    add_rows(out, found, parent)
    return True


def add_rows(out: Builder, found: list[Row], parent: int = -1) -> None:
    """Add rows below ``parent``: the traces among them as traces, the others as lines."""
    writer = _Writer(out, found, parent)
    at = 0
    while at < len(found):
        at = writer.step(at)


class _Writer:
    """Writes one trace after another; each method returns the row behind what it wrote."""

    def __init__(self, out: Builder, found: list[Row], parent: int) -> None:
        self.out, self.rows, self.parent = out, found, parent
        self.bodies = [message(out.text, row) for row in found]

    def step(self, at: int) -> int:  # noqa: PLR0911  # one shape after the other
        body = self.bodies[at]
        if _PYTHON.match(body):
            return self._python(at, self.parent, self.parent >= 0)
        if _CHAIN.match(body) and self._is(after := self._behind_blank(at + 1), _PYTHON):
            head = self._add(at, after, self.parent, content=False, always=self.parent >= 0)
            return self._python(after, head, True)
        if _GO.match(body):
            return self._go(at)
        if _RUST.match(body):
            return self._rust(at)
        if _RUBY.match(body) and self._is(at + 1, _RUBY_FROM):
            return self._run(at, at + 1, _RUBY_FROM)
        frames = self._frames_after(at)
        if frames > at:
            return self._at_frames(at, frames)
        if self._is(at + 1, _NUMBERED) or self._is(at + 1, _PHP):
            return self._numbered(at)
        add_row(self.out, self.rows[at], self.parent, content=bool(body.strip()))
        return at + 1

    def _behind_blank(self, at: int) -> int:
        """The next row with a message: a container's name may stand alone on a body."""
        while at < len(self.rows) and not self.bodies[at].strip():
            at += 1
        return at

    def _is(self, at: int, test: re.Pattern[str]) -> bool:
        return at < len(self.rows) and test.match(self.bodies[at]) is not None

    def _add(  # a head of what follows
        self, at: int, stop: int, parent: int, *, content: bool = True, always: bool = False
    ) -> int:
        return self.out.add(
            self.rows[at].first,
            self.rows[stop - 1].stop,
            Kind.ENTRY,
            parent,
            content=content,
            always=always,
            whole=True,
            label=self.bodies[at].strip()[:80] if content else "",
        )

    def _line(self, at: int, stop: int, parent: int, *, always: bool = False) -> int:
        self.out.add(
            self.rows[at].first, self.rows[stop - 1].stop, Kind.LINE, parent, always=always
        )
        return stop

    def _indent(self, at: int) -> int:
        body = self.bodies[at]
        return len(body) - len(body.lstrip(" \t|"))

    def _python(self, at: int, parent: int, always: bool) -> int:
        """``Traceback ...``, its frames, and the message, which always comes along."""
        head = self._add(at, at + 1, parent, content=False, always=always)
        margin, n = self._indent(at), len(self.rows)
        at += 1
        while at < n and self._indent(at) > margin:
            stop = at + 1
            depth = self._indent(at)
            while stop < n and self._indent(stop) > depth and not self.rows[stop].gap:
                stop += 1
            at = self._line(at, stop, head)
        if at < n and not _PYTHON.match(self.bodies[at]):
            stop = at + 1
            while (
                stop < n
                and stop < at + _MESSAGE
                and not self.rows[stop].gap
                and self._indent(stop) > margin
            ):
                stop += 1
            at = self._line(at, stop, head, always=True)
        return at

    def _frames_after(self, at: int) -> int:
        """The first frame behind a head of at most a few lines; ``at`` where there is none."""
        if not (_HEADER.match(self.bodies[at]) or _CAUSE.match(self.bodies[at])):
            return at
        for i in range(at + 1, min(at + _MESSAGE, len(self.rows))):
            if _AT.match(self.bodies[i]):
                return i
            if self.rows[i].gap or _PYTHON.match(self.bodies[i]):
                break
            if _HEADER.match(self.bodies[i]) and "--->" not in self.bodies[i]:
                break
        return at

    def _at_frames(self, at: int, frames: int) -> int:
        """Java, JavaScript, .NET: the head, its frames, its causes."""
        top = self._add(at, frames, self.parent, always=self.parent >= 0)
        head, at, n = top, frames, len(self.rows)
        while at < n and not self.rows[at].gap:
            body = self.bodies[at]
            if _AT.match(body) or _MORE.match(body):
                at = self._line(at, at + 1, head)
            elif _CAUSE.match(body):
                stop = max(self._frames_after(at), at + 1)
                head = self._add(at, stop, top, always=True)
                at = stop
            elif body[:1] in "}]" or (
                _DATA.match(body) and self._indent(at) > self._indent(frames - 1)
            ):
                at = self._line(at, at + 1, top)
            else:
                break
        return at

    def _go(self, at: int) -> int:
        """``panic: ...``, then goroutines of frames of two lines."""
        n, top = len(self.rows), self.parent
        if not _GOROUTINE.match(self.bodies[at]):
            stop = at + 1
            while stop < min(n, at + _MESSAGE) and not self.rows[stop].gap:
                if not self.bodies[stop].startswith(("\t", "[", "panic: ")):
                    break
                stop += 1
            top = self._add(at, stop, self.parent, always=self.parent >= 0)
            at = stop
        while at < n and _GOROUTINE.match(self.bodies[at]):
            head = self._add(at, at + 1, top, content=False)
            at += 1
            while at < n and not self.rows[at].gap and _GO_CALL.match(self.bodies[at]):
                stop = at + 1 + self._is(at + 1, _GO_PLACE)
                at = self._line(at, stop, head)
        return at

    def _rust(self, at: int) -> int:
        """``thread '...' panicked at``, the message, the backtrace."""
        n, stop = len(self.rows), at + 1
        while stop < min(n, at + 3 * _MESSAGE) and not self.rows[stop].gap:
            if _RUST_NOTE.match(self.bodies[stop]) or _RUST.match(self.bodies[stop]):
                break
            stop += 1
        head = self._add(at, stop, self.parent, always=self.parent >= 0)
        at = stop
        while at < n and not self.rows[at].gap:
            if _RUST_NOTE.match(self.bodies[at]):
                add_row(self.out, self.rows[at], head, content=False)
                at += 1
            elif _RUST_FRAME.match(self.bodies[at]):
                at = self._line(at, at + 1 + self._is(at + 1, _AT), head)
            else:
                break
        return at

    def _run(self, at: int, stop: int, test: re.Pattern[str]) -> int:
        """A head and the run of frames below it."""
        head = self._add(at, stop, self.parent, always=self.parent >= 0)
        at = stop
        while at < len(self.rows) and test.match(self.bodies[at]):
            at = self._line(at, at + 1, head)
        return at

    def _numbered(self, at: int) -> int:
        """PHP, sanitizers, debuggers: frames that begin with ``#0``."""
        head = self._add(at, at + 1, self.parent, always=self.parent >= 0)
        at += 1
        while at < len(self.rows) and (
            _NUMBERED.match(self.bodies[at]) or _PHP.match(self.bodies[at])
        ):
            at = self._line(at, at + 1, head)
        return at
