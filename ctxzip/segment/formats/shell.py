"""Transcripts of a terminal: a command with its output below it, read by what it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from ctxzip.segment.formats.rows import Row, add_row, rows, sample
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES

Inner = Callable[[Builder, int, int, int, str], object]

_PROMPT = re.compile(
    r"(?:\([\w.-]+\) )?(?:"
    r"(?:\[?[\w.-]+@[\w.-]+[: ][^\n$#%]{0,80}\]?|[\w.~/-]*)?[$%] +(?P<unix>\S.*)"
    r"|\[?[\w.-]+@[\w.-]+[: ][^\n$#%]{0,80}\]?# +(?P<root>\S.*)"
    r"|(?:PS )?[A-Z]:\\[^>\n]{0,120}> ?(?P<windows>\S.*)"
    r"|[❯➜→] +(?P<modern>\S.*))"
)
_MONEY = re.compile(r"[$%] +[\d.,]+(?:\s|$)")
_SHELL_HINTS = frozenset(("console", "shell-session", "terminal", "sh-session", "shellsession"))


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """The first line is a command behind a prompt."""
    found = sample(text, start, end, 2000)
    if not found:
        return False
    first = _PROMPT.match(found[0])
    if hint in _SHELL_HINTS:
        return any(_PROMPT.match(line) for line in found)
    if first is None or _MONEY.match(found[0]):
        return False
    return (
        re.match(r"[\w./~-]*[\w)\]\"']?", _command(first)) is not None
        and _command(first)[0].isascii()
    )


def _command(prompt: re.Match[str]) -> str:
    return next(group for group in prompt.groups() if group)


def read(out: Builder, start: int, end: int, parent: int = -1, inner: Inner | None = None) -> bool:
    """Add commands, each with its output below it.

    Args:
        out: takes the parts.
        start: first character of the region.
        end: one past its last.
        parent: what all of it belongs to.
        inner: reads the output of a command, ``inner(out, start, end, parent, hint)``; by its
            content unless given.
    """
    found = rows(out.text, start, end)
    at = 0
    known = len(out.start)
    while at < len(found):
        prompt = _PROMPT.match(out.text, found[at].body, found[at].stop)
        if prompt is None:
            add_row(out, found[at], parent)
            at += 1
            continue
        at = _read_command(out, found, at, parent, _command(prompt), inner or _by_content)
    return len(out.start) > known


def _read_command(
    out: Builder, found: list[Row], at: int, parent: int, command: str, inner: Inner
) -> int:
    stop = at + 1
    while stop < len(found) and out.text[found[stop - 1].stop - 1] == "\\":
        stop += 1  # goes on in the next line
    while stop < len(found) and "<<" in command and out.text[found[stop].body] == ">":
        stop += 1
    end = stop
    while end < len(found) and not _PROMPT.match(out.text, found[end].body, found[end].stop):
        end += 1
    head = out.add(
        found[at].first,
        found[stop - 1].stop,
        Kind.ENTRY,
        parent,
        whole=True,
        content=end == stop,
        label=command[:100],
    )
    if end > stop:
        known = len(out.start)
        inner(out, found[stop].body, found[end - 1].stop, head, "")
        if len(out.start) == known:
            for row in found[stop:end]:
                add_row(out, row, head)
    return end


def _by_content(out: Builder, start: int, end: int, parent: int, hint: str) -> object:
    try:
        from ctxzip.segment.formats.inner import (  # type: ignore[import-untyped, unused-ignore]
            inner,
        )
    except ImportError:
        return False
    read_inside: Inner = inner
    return read_inside(out, start, end, parent, hint)
