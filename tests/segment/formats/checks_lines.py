"""An independent check for formats made of lines: what an output may hold, and in which order."""

from __future__ import annotations

import re

_MARK = re.compile(r"\s*… \d+ (?:lines?|items?|entries|hunks?|rows?|records?)$")


def is_mark(line: str) -> bool:
    """A line that only says what was left out."""
    return _MARK.match(line.rstrip()) is not None


def kept_lines(output: str) -> list[str]:
    """The lines of an output that are not blank and no marks, without blanks at their end."""
    return [line.rstrip() for line in output.split("\n") if line.strip() and not is_mark(line)]


def numbers(source: str, output: str) -> list[int]:
    """For each kept line of an output the line of the source that it is: whole, in order.

    The earliest that is possible; raises AssertionError where there is none.
    """
    lines = [line.rstrip() for line in source.split("\n")]
    found: list[int] = []
    at = 0
    for line in kept_lines(output):
        while at < len(lines) and lines[at] != line:
            at += 1
        assert at < len(lines), f"no line of the source here: {line!r}"
        found.append(at)
        at += 1
    return found


def under(output: str, head: re.Pattern[str]) -> list[tuple[str, str]]:
    """``(head, line)`` for every kept line: the last line before it that ``head`` matches."""
    current = ""
    pairs = []
    for line in kept_lines(output):
        if head.match(line):
            current = line
        else:
            pairs.append((current, line))
    return pairs
