"""Rows: the lines of logs, traces and build output, with what stands before their message."""

from __future__ import annotations

from typing import NamedTuple

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["Row", "add_row", "message", "rows", "sample"]

_READ = 1000  # characters of a line that tell what it is


class Row(NamedTuple):
    """A line that is not blank.

    Attributes:
        first: its first character that is no blank.
        body: where its message begins, blanks included: the line's start, or what stands behind a
            prefix that every line has (a container's name, a time stamp).
        stop: one past its last character that is no blank.
        gap: a blank line stands before it.
    """

    first: int
    body: int
    stop: int
    gap: bool


def rows(text: str, start: int, end: int) -> list[Row]:
    """The lines of ``text[start:end]`` that are not blank."""
    found: list[Row] = []
    before = -1
    for low, first, stop in lines(text, start, end):
        found.append(Row(first, low, stop, before >= 0 and text.count("\n", before, low) > 1))
        before = stop
    return found


def sample(text: str, start: int, end: int, size: int = 8000) -> list[str]:
    """Lines of the beginning, and of the middle where the region is long, that are not blank."""
    if end - start <= 2 * size:
        part = text[start:end]
    else:
        middle = (start + end) // 2
        part = text[start : start + size] + "\n" + text[middle : middle + size]
    found = [line[:_READ] for line in part.split("\n") if line.strip()]
    if end - start > 2 * size:  # the cuts fall inside of lines
        found = found[:-1]
    return found


def message(text: str, row: Row) -> str:
    """The message of a row, blanks before it included; of a very long one its beginning."""
    return text[row.body : min(row.stop, row.body + _READ)]


def add_row(out: Builder, row: Row, parent: int = -1, *, content: bool = True) -> int:
    """Add a row as a line."""
    return out.add(row.first, row.stop, Kind.LINE, parent, content=content)
