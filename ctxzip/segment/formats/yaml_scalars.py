"""Values of block YAML: where each ends, and the lines of long block scalars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.strings import LONG
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["FLOW", "Scalar", "add_body", "scalar"]

_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*+(?:[ \t]++|(?=\n)|$))++")
_BLOCK = re.compile(r"([|>])[-+0-9]{0,2}[ \t]*+(?:#[^\n]*+)?$")
_QUOTED = re.compile(r"\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|'[^']*+(?:''[^']*+)*+'", re.DOTALL)
FLOW = re.compile(
    r"\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|(?<=[\s,\[{:])'[^']*+(?:''[^']*+)*+'|(?<=\s)#[^\n]*+|[\[{\]},\n]",
    re.DOTALL,
)
_BODY = 200  # characters of a block scalar that stands with its key
_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value.

    Attributes:
        start: where it begins, behind anchor and tag.
        end: one past it, at the end of a line; comments included.
        open: nothing stands here, so it may follow on the next lines.
        body: where the lines of a block scalar begin that is divided; -1 otherwise.
        folded: whether those lines are running text.
        close: where the closing bracket of a long flow collection stands; -1 otherwise.
    """

    start: int
    end: int
    open: bool = False
    body: int = -1
    folded: bool = False
    close: int = -1

    @property
    def divided(self) -> bool:
        """Whether its lines or elements are parts of their own."""
        return self.body >= 0 or self.close >= 0


def scalar(text: str, at: int, stop: int, end: int, column: int) -> Scalar | None:
    """The value that begins at ``at`` on a line up to ``stop``; None where it never ends.

    Args:
        text: the source.
        at: where the value may begin.
        stop: end of the line, without white space.
        end: end of the region.
        column: of the key or item that has the value.
    """
    if at < stop and text[at] in "&!":
        match = _PROPERTIES.match(text, at, stop)
        at = match.end() if match is not None else at
    if at >= stop or text[at] == "#":
        return Scalar(at, stop, open=True)
    sign = text[at]
    if sign in "|>" and (block := _BLOCK.match(text, at, stop)):
        return _block(text, at, stop, end, column, block[1] == ">")
    if sign in "\"'":
        match = _QUOTED.match(text, at, end)
        return None if match is None else Scalar(at, _line_stop(text, match.end(), stop, end))
    if sign not in "[{":
        return Scalar(at, stop)
    close = _closed(text, at, end)
    if close < 0:
        return None
    long = close - at > LONG
    return Scalar(at, _line_stop(text, close, stop, end), close=close - 1 if long else -1)


def _block(text: str, at: int, stop: int, end: int, column: int, folded: bool) -> Scalar:
    """A block scalar: the lines that are indented deeper than its key."""
    newline = text.find("\n", stop, end)
    low = end if newline < 0 else newline + 1
    match = _body_of(column).match(text, low, end)
    body = text[low : low if match is None else match.end()].rstrip()
    if len(body) <= _BODY:
        return Scalar(at, low + len(body) if body else stop)
    return Scalar(at, low + len(body), body=low, folded=folded)


def _line_stop(text: str, at: int, stop: int, end: int) -> int:
    """The end of the line on which a value ends, with the comment behind it."""
    if at <= stop:
        return stop
    newline = text.find("\n", at, end)
    return at + len(text[at : end if newline < 0 else newline].rstrip())


def _closed(text: str, at: int, end: int) -> int:
    """One past the bracket that closes the one at ``at``, or -1."""
    depth = 0
    for match in FLOW.finditer(text, at, end):
        sign = match[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if not depth:
                return match.end()
    return -1


@lru_cache(256)
def _body_of(column: int) -> re.Pattern[str]:
    return re.compile(rf"(?:[ \t\r]*+\n|[ ]{{{column + 1}}}[^\n]*+(?:\n|\Z))++")


def add_body(out: Builder, value: Scalar, head: int) -> None:
    """Add the lines of a block scalar; a line that is indented deeper belongs to the one above.

    So what is left of it keeps the indentation by which YAML finds where it ends.
    """
    text = out.text
    stack: list[tuple[int, int]] = []
    pending: tuple[int, int, int] | None = None
    for at, first, stop in lines(text, value.body, value.end):
        indent = first - at
        if value.folded:  # lines up to one that ends a sentence
            if pending is not None and indent == pending[0] and text[pending[2] - 1] not in ".!?:":
                pending = (indent, pending[1], stop)
                continue
            if pending is not None:
                _add_line(out, stack, pending, head)
        elif pending is not None:
            _add_line(out, stack, pending, head)
        pending = (indent, first, stop)
    if pending is not None:
        _add_line(out, stack, pending, head)


def _add_line(
    out: Builder, stack: list[tuple[int, int]], line: tuple[int, int, int], head: int
) -> None:
    indent, first, stop = line
    while stack and stack[-1][0] >= indent:
        stack.pop()
    part = out.add(first, stop, Kind.LINE, stack[-1][1] if stack else head)
    if len(stack) < _DEPTH:
        stack.append((indent, part))
