"""Lines of a region, and prose inside it: what every reader needs."""

from __future__ import annotations

from collections.abc import Iterator

from ctxzip.segment import sentences
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["add_prose", "lines"]


def lines(text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """``(line start, first, stop)`` of every line of ``text[start:end]`` that is not blank.

    ``first`` is its first character that is no blank, ``stop`` one past the last.
    """
    at = start
    while at < end:
        newline = text.find("\n", at, end)
        stop = end if newline < 0 else newline
        line = text[at:stop]
        body = line.strip()
        if body:
            first = at + len(line) - len(line.lstrip())
            yield at, first, first + len(body)
        at = stop + 1


def add_prose(
    out: Builder, start: int, end: int, parent: int = -1, language: str | None = None
) -> None:
    """Add the sentences of a region that is running text."""
    units = sentences.split(out.text[start:end], language)
    for a, b in zip(units.start.tolist(), units.end.tolist(), strict=True):
        out.add(start + a, start + b, Kind.SENTENCE, parent)
