"""Cells of any table: what a row reads as, and whether a first row is a header."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["has_header", "label", "reading"]

_VALUE = re.compile(
    r"[-+~<>]?\s?[$€£¥]?\s?\d[\d\s.,:/'-]*\s?(?:%|[a-zA-Zµ°]{1,3})?"  # a number, date or time
    r"|\d{4}-\d\d-\d\d[T ]\S+|(?:https?|ftp)://\S+|[\w.+-]+@[\w-]+\.[\w.]+"
    r"|true|false|null|n/a|nan",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:1[89]|20|21)\d\d")
_READ = 4_000  # more characters of a row than any model reads


def label(names: Sequence[str]) -> str:
    """The header as the title of what stands below it."""
    return " | ".join([name for name in names if name])


def reading(names: Sequence[str], cells: Sequence[str]) -> str:
    """A row as ``name: value; name: value``; cells without a name stand alone, empty ones not."""
    if len(cells) == len(names):
        pairs = [f"{n}: {c}" if n else c for n, c in zip(names, cells, strict=True) if c]
    else:
        pairs = [f"{n}: {c}" for n, c in zip(names, cells, strict=False) if c]
        pairs += [c for c in cells[len(names) :] if c]
    return "; ".join(pairs)[:_READ]


def _is_value(cell: str) -> bool:
    return len(cell) < 200 and _VALUE.fullmatch(cell) is not None


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of ``rows`` names what stands below it; True where nothing speaks against.

    Against it speak cells that are values (numbers, dates, addresses) where those below are too,
    and words that stand again below themselves.
    """
    first, rest = rows[0], rows[1:]
    values = [i for i, cell in enumerate(first) if _is_value(cell)]
    if not values:
        again = [sum(a == b != "" for a, b in zip(first, row, strict=False)) for row in rest]
        repeated = [n for n in again if n]
        if len(repeated) * 10 <= len(rest) and max(repeated, default=0) > 1:
            return True  # the header stands again between groups of rows
        columns = sum(any(row[i : i + 1] == [c] for row in rest) for i, c in enumerate(first) if c)
        return columns * 3 < max(1, sum(map(bool, first)))
    years = [first[i] for i in values if _YEAR.fullmatch(first[i])]
    if len(years) == len(values) < len(first) and len(set(years)) == len(years) > 1:
        return True
    for i in values:
        below = [row[i] for row in rest if len(row) > i and row[i]]
        if not below or sum(map(_is_value, below)) * 2 > len(below):
            return False
    return True
