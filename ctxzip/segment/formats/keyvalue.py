"""Runs of ``Key: value`` lines: headers, cards separated by blank lines, what /proc prints."""

from __future__ import annotations

import re

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.records import Records, settle
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES
_KEY = re.compile(
    r"([A-Za-z_][\w.()/#&'-]{0,40}(?: [\w.()/#&'-]{1,30}){0,4})([ \t]*):(?=\s|$)([ \t]*)"
)
_ASKED = frozenset(("Q", "A", "Question", "Answer"))
_HTTP = re.compile(r"HTTP/\d|[A-Z]+ \S+ HTTP/\d")


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether nearly every line is a short key, a colon and a short value; no dialogue, no list."""
    seen: dict[str, int] = {}
    other = long = 0
    cards = 1
    before = start
    for at, first, stop in lines(text, start, min(end, start + 4000)):
        match = _KEY.match(text, first, stop) if first == at else None
        if before > start and text.count("\n", before, first) > 1:
            cards += 1
        before = stop
        if not seen and _HTTP.match(text, first, stop):
            continue
        if match is None:
            other += first == at or not seen
        else:
            seen[match[1]] = seen.get(match[1], 0) + 1
            long += stop - match.end() > 160
        if other * 8 > len(seen):
            return False
    n = sum(seen.values())
    if n < 3 or n <= cards or long * 3 > n or not _ASKED.isdisjoint(seen):
        return False
    # Keys that come again and again in one card are speakers.
    again = [times for times in seen.values() if times > cards]
    return len(again) <= 1 and len(seen) > 2 * len(again)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add cards (runs without a blank line) of fields; an indented line goes with its key."""
    text = out.text
    mark, base = out.mark(), len(out.start)
    records = Records(objects=False)
    runs = _runs(text, start, end)
    several = sum(len(run) > 1 for run in runs) > 1
    for run in runs:
        owner = parent
        for n, (at, first, stop) in enumerate(run):
            match = _KEY.match(text, first, stop)
            if n and first > at and len(out.start) > base:
                out.end[-1] = stop
                continue
            card = several and not n and len(run) > 1
            part = out.add(first, stop, Kind.RECORD if card else Kind.FIELD, owner)
            if card:
                owner = part
                records.groups.setdefault("cards", []).append(part)
            if match is None:
                out.kind[part] = Kind.LINE if out.kind[part] == Kind.FIELD else out.kind[part]
                continue
            records.fields[part] = (match[1], text[match.end() : stop])
            if match.end(3) - match.start(3) > 1 and match.end() < stop:
                out.drop(match.start(3) + 1, match.end(3))
    if not records.fields:
        out.reset(mark)
        return False
    settle(out, base, records)
    return True


def _runs(text: str, start: int, end: int) -> list[list[tuple[int, int, int]]]:
    """Lines between blank ones."""
    runs: list[list[tuple[int, int, int]]] = []
    before = start
    for line in lines(text, start, end):
        if not runs or text.count("\n", before, line[1]) > 1:
            runs.append([])
        runs[-1].append(line)
        before = line[2]
    return runs
