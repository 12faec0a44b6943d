"""Transcripts and chats: turns, each below who says it, with the time where one is given.

``Ann: text``, ``**Ann:** text``, ``[12:30] <ann> text`` of IRC, ``31.12.21, 22:15 - Ann: text`` of
WhatsApp, ``Ann Lee  10:32 AM`` above the text as Slack and meeting tools copy it.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

from ctxzip.segment.formats import markdown
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.markdown_page import pieces
from ctxzip.segment.language import guess
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?"
_DAY = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_WHEN = rf"(?:{_DAY}[,T]?[ \t]*)?{_CLOCK}(?:[ \t]*(?:-->|-|–|to)[ \t]*{_CLOCK})?"
_STAMP = rf"(?:[\[(]{_WHEN}[\])]|{_WHEN})"
_NAME = r"[^\W\d_][\w.'’&-]*(?:[ \t]+[\w.'’&()/#-]+){0,3}"
_ANGLED = re.compile(
    rf"{_STAMP}[ \t]+<[ \t@+%&~]?([^<>\s][^<>\n]{{0,30}})>(?=[ \t]|$)"
    r"|<(?!(?:none|null|t[drh]|li|p|b|i|br|div|span|pre|h\d)>)"
    r"[@+%&~]?([\w\[\]\\`^{}|.-]{1,30})>(?=[ \t]\S)"
)
_TIMED = re.compile(
    rf"\u200e?{_STAMP}[ \t]*(?:[-–|][ \t]*)?"
    rf"(?:\*\*)?({_NAME}|~[^:\n]{{1,30}}|\+[\d ()\u2011-]{{5,24}})(?:\*\*)?:(?:\*\*)?(?=[ \t]|$)"
)
_BOLD = re.compile(r"(\*\*|__)([^*_:\n]{1,40})(?::\1|\1[ \t]*:)(?=[ \t]|$)")
_PLAIN = re.compile(rf"({_NAME})(?:[ \t]*[\[(]{_WHEN}[\])])?[ \t]*[:：](?=[ \t]|$)")
_ABOVE = re.compile(
    rf"(?:@?({_NAME})[ \t]*(?:APP|BOT)?[ \t]*(?:[—–-][ \t]*|\|[ \t]*|at[ \t]+|[ \t]{{1,4}})"
    rf"(?:(?:Today|Yesterday)[ \t]+(?:at[ \t]+)?)?{_STAMP})"
)
_SYSTEM = re.compile(rf"(?:{_STAMP}[ \t]+)?(?:\*{{1,3}}|-!-|-->|<--|==>)[ \t]+\S.*")
_MACHINES = frozenset(
    ("user", "assistant", "system", "human", "ai", "bot", "agent", "tool", "model")
)
_NO_NAMES = frozenset(
    (
        "error",
        "warning",
        "warn",
        "info",
        "debug",
        "note",
        "notes",
        "todo",
        "fixme",
        "trace",
        "fatal",
    )
) | frozenset(("http", "https", "q", "a", "question", "answer", "from", "to", "subject", "date"))
_LINES = 400


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether most lines, or every few of them, begin with one of a few speakers."""
    names: Counter[str] = Counter()
    count = certain = spoken = 0
    for _, first, stop in islice(lines(text, start, end), _LINES):
        count += 1
        turn = _turn(text, first, stop)
        if turn is None:
            continue
        name, said, sure = turn
        names[name.lower()] += 1
        certain += sure
        spoken += said >= stop or text[stop - 1] in '.?!…"”)*:' or stop - said > 60
    turns = sum(names.values())
    if turns < 3 or turns * 5 < count or max(names.values()) < 2:
        return False
    if certain * 2 > turns or hint in ("chat", "irc", "transcript"):
        return len(names) * 3 <= turns * 2 + 3
    if turns * 3 < count or not 2 <= len(names) <= turns * 0.75:
        return False
    return spoken * 5 >= turns * 2


def _turn(text: str, first: int, stop: int) -> tuple[str, int, bool] | None:  # noqa: PLR0911
    """``(speaker, where the speech begins, nothing else looks like this)`` of a line."""
    c = text[first]
    high = min(stop, first + 160)
    if c.isdigit() or c in "[(<\u200e":
        match = _ANGLED.match(text, first, high) or _TIMED.match(text, first, high)
        name = match[match.lastindex or 1].strip() if match else ""
        if not match or name.split()[0].lower() in _NO_NAMES:
            return None
        return name, match.end(), True
    if c in "*_":
        match = _BOLD.match(text, first, high)
        if not match or match[2].strip().lower() in _NO_NAMES:
            return None
        return match[2].strip(), match.end(), False
    if not (c.isalpha() or c == "@") or (first and text[first - 1] in " \t"):
        return None
    match = _ABOVE.fullmatch(text, first, stop) if stop - first < 90 else None
    if match:
        return match[1].strip(), stop, True
    match = _PLAIN.match(text, first, min(stop, first + 80))
    if not match:
        return None
    name = match[1].lower()
    if name in _NO_NAMES or not (c.isupper() or name in _MACHINES or c >= "\u0590"):
        return None
    return match[1], match.end(), False


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the turns of a region; what stands before the first is read as markdown."""
    text = out.text
    rows = list(lines(text, start, end))
    known = _speakers(text, rows)
    if not known:
        return False
    turns: list[tuple[int, str, int]] = []
    for i, (_, first, stop) in enumerate(rows):
        turn = _turn(text, first, stop)
        if turn is not None and (turn[2] or turn[0].lower() in known):
            turns.append((i, turn[0], turn[1]))
    language = guess(text[start : min(end, start + 1500)])
    if turns[0][0]:
        markdown.read(out, rows[0][0], rows[turns[0][0] - 1][2], parent)
    for (i, name, said), following in zip(turns, [*turns[1:], (len(rows), "", 0)], strict=True):
        _add(out, rows[i : following[0]], name, said, parent, language)
    return True


def _speakers(text: str, rows: list[tuple[int, int, int]]) -> frozenset[str]:
    """Who speaks more than once, or as one of many who are surely speakers."""
    names: Counter[str] = Counter()
    sure = set()
    for _, first, stop in rows:
        turn = _turn(text, first, stop)
        if turn is not None:
            names[turn[0].lower()] += 1
            if turn[2]:
                sure.add(turn[0].lower())
    few = len(names) <= 3
    return frozenset(name for name, n in names.items() if n > 1 or few or name in sure)


def _add(
    out: Builder,
    rows: list[tuple[int, int, int]],
    name: str,
    said: int,
    parent: int,
    language: str,
) -> None:
    """One turn: who says it, the sentences of the first line, what follows on further lines."""
    text = out.text
    _, first, stop = rows[0]
    at = out.add(
        first, said, Kind.MESSAGE, parent, whole=True, content=False, label=name.strip("~@+")
    )
    while said < stop and text[said].isspace():
        said += 1
    last = 1
    while last < len(rows) and _SYSTEM.fullmatch(text, rows[last][1], rows[last][2]) is None:
        last += 1
    if said < stop:
        for a, b in pieces(text, said, stop, said, language):
            out.add(a, b, Kind.SENTENCE, at)
    if last > 1:
        markdown.read(out, rows[1][0], rows[last - 1][2], at)
    if not any(out.content[at:]):
        out.content[at] = said >= stop and last == 1
    for _, first, stop in rows[last:]:
        out.add(first, stop, Kind.HEAD, parent, content=False)
