"""Markdown line by line: what opens a block, and whether a text is markdown at all."""

from __future__ import annotations

import re
from itertools import islice

from ctxzip.segment.formats.lines import lines

__all__ = [
    "ADMONITION",
    "ANSWER",
    "ASKS",
    "BADGE",
    "BOLD",
    "CONTAINER",
    "DEFINITION",
    "DELIMITER",
    "DETAILS",
    "FENCE",
    "FOOTNOTE",
    "FRONT",
    "HEADING",
    "HTML",
    "INTRODUCES",
    "LINK",
    "MARKER",
    "QUESTION",
    "RULE",
    "TOC",
    "UNDERLINE",
    "label_of",
    "looks_like_markdown",
]

FENCE = re.compile(r"(`{3,})([^`\n]*)|(~{3,})([^\n]*)")
HEADING = re.compile(r"(#{1,6})(?=[ \t]|$)")
MARKER = re.compile(
    r"(?:[-*+•‣◦⁃▪●○]|\d{1,9}[.)]|\(?[a-zA-Z]\)|[a-z]\.|\((?:\d{1,3}|[ivxl]{1,5})\)|[ivxl]{1,5}[.)])"
    r"(?:[ \t]+(?=\S)|$)(?:\[[ xX]\][ \t]+(?=\S))?"
)
RULE = re.compile(r"([-*_=])(?:[ \t]*\1){2,}")
UNDERLINE = re.compile(r"([=\-~^+\"'*#`:.])\1{2,}|[=-]{1,2}")
DELIMITER = re.compile(r"\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?[ \t]*)?")
BOLD = re.compile(r"(\*\*|__)(?!\s)((?:(?!\1).){1,160})\1[ \t]*:?")
QUESTION = re.compile(
    r"(?:[-*+][ \t]+)?(?:#{1,6}[ \t]+)?(?:\*\*|__)?(?:Q(?:uestion)?[ \t]*\.?[ \t]*\d{0,3})[ \t]*"
    r"(?:[:.)]|\*\*[:.)]?|—|-)(?:\*\*|__)?(?=[ \t]|$)",
    re.I,
)
ANSWER = re.compile(
    r"(?:\*\*|__)?(?:A(?:nswer)?[ \t]*\.?[ \t]*\d{0,3})[ \t]*(?:[:.)]|\*\*[:.)]?|—|-)"
    r"(?:\*\*|__)?(?=[ \t]|$)",
    re.I,
)
ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+([\w-]+).*")
CONTAINER = re.compile(r"(:{3,})[ \t]*(.*)")
DETAILS = re.compile(r"<details\b[^>]*>", re.I)
DEFINITION = re.compile(r":[ \t]+(?=\S)")
FOOTNOTE = re.compile(r"\[\^[^\]\n]{1,80}\]:[ \t]*")
LINK = re.compile(r"\[([^\]\n]{1,200})\]:[ \t]*\S+.*")
TOC = re.compile(r"[ \t]*\[[^\]\n]*\]\(#[^)\n]*\)[ \t]*")
HTML = re.compile(r"</?[A-Za-z][\w.:-]*(?=[\s/>]|$)|<!--|<!\[CDATA|<\?")
BADGE = re.compile(
    r"(?:!?\[(?:!\[[^\]\n]*\]\([^)\n]*\)|!\[[^\]\n]*\]\[[^\]\n]*\])[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])?"
    r"|!\[[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])|[ \t\r\n])+"
)
FRONT = re.compile(r"(?:[\w-]+[ \t]*[:=]|[ \t]*- |[ \t]+\S|#|\[|$)")
INTRODUCES = re.compile(
    r"\b(?:follow\w*|below|these|those|such|includ\w*|list\w*|not|never|no|only|must\w*|options?"
    r"|steps?|ways?)\b",
    re.I,
)
_LINKED = re.compile(r"!?\[([^\]\n]*)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_MARKS = re.compile(r"\*\*|__|~~|[`*]|<[^>\n]{1,200}>")
_DIFF = re.compile(
    r"diff --git |--- \S|\+\+\+ \S|Index: |@@ -|commit [0-9a-f]{7,40}$|From [0-9a-f]{40} "
)
_KEY = re.compile(r"(?:- )?[\w.\"'-]+(?::(?:[ \t]|$)|[ \t]*=)|\[[\w.\" -]+\]$")
_NAMED = re.compile(r"[\w.\"'(][\w.\"'() /#%-]{0,40}:(?:[ \t]|$)")
_CODE = re.compile(
    r"(?:def|class|fn|func) \w+|import [\w.{*]+$|from [\w.]+ import|(?:let|const|var) \w+"
    r"|(?:if|for|while|elif|return)\b.*[:;{(]$|(?:public|private|static) .*[{;(]$"
    r"|\$ |//|#include|#!|>>> |@\w|/\*|\w+\(.*\)[:;]?$|[\w.\"-]+ = \S"
)
_DATA = re.compile(r"[\d.:/T-]{8,}[ \t]")
ASKS = re.compile(r"(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?[^\W_a-z\d][^\n]{4,200}\?")
_HINTS = frozenset(("md", "markdown", "mdx", "mkd", "rmd", "qmd", "mdown", "rst", "myst"))
_SAMPLE = 600


def label_of(text: str) -> str:
    """The words of a heading or a lead-in line, without their markup."""
    text = _MARKS.sub("", _LINKED.sub(r"\1", text)).strip()
    return text.rstrip(":").strip() if len(text) <= 200 else text[:200].rsplit(" ", 1)[0]


def looks_like_markdown(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether a region has headings, lists, tables, fences, quotes or questions with answers."""
    rows = list(islice(lines(text, start, end), _SAMPLE))
    if not rows or _DIFF.match(text, rows[0][1], rows[0][2]):
        return False
    if hint in _HINTS:
        return True
    count = _Count()
    for low, first, stop in rows:
        count.line(text, low, first, stop)
    return count.verdict()


class _Count:
    """How many lines of each kind stand outside of fences."""

    def __init__(self) -> None:
        self.fence = ""
        self.all = self.plain = self.marked = self.strong = 0
        self.code = self.keys = self.items = self.asks = self.titles = 0
        self.stop = -1
        self.comment = self.cell = self.ended = self.listed = False

    def line(self, text: str, low: int, first: int, stop: int) -> None:
        row = text[first : min(stop, first + 400)]
        blank = self.stop < 0 or text.count("\n", self.stop, low) > 1
        self.stop = stop
        if match := FENCE.fullmatch(row):
            self._fenced(match)
            return
        if self.fence:
            return
        self.all += 1
        c = row[0]
        heading = c == "#" and HEADING.match(row) and row.strip("# ")
        if self.comment and blank:
            self.titles += 1
        self.comment = False
        if heading:
            self.marked += 1
            if blank and len(row) - len(row.lstrip("#")) > 1 and first == low:
                self.strong += 1
            self.comment = blank and first == low
        elif (c == "|" and text[stop - 1] == "|") or (
            c in ":-" and self.cell and DELIMITER.fullmatch(text, first, stop)
        ):
            self.marked += 1
            self.strong += bool(self.cell and DELIMITER.fullmatch(text, first, stop))
        elif c in "-*+>•" or c.isdigit() or c == "<":
            self._marked(row, c, blank or self.ended)
        else:
            self.plain += 1
            self.code += bool(_CODE.match(row) or row[-1] in "{};")
            self.keys += bool((_KEY if first == low else _NAMED).match(row))
            self.strong += bool(c in "*_" and BOLD.fullmatch(row))
            self.strong += bool(c in "!?:" and (ADMONITION.fullmatch(row) or row[:3] == ":::"))
        self.asks += bool(row.endswith("?") and blank and ASKS.fullmatch(row)) or bool(
            c in "Qq*_" and QUESTION.match(row)
        )
        self.cell = "|" in row
        self.ended = row[-1] in ":;."
        self.listed = self.listed and not (blank and c.isalpha())

    def _fenced(self, match: re.Match[str]) -> None:
        run = match[1] or match[3]
        if not self.fence:
            self.fence = run
            self.strong += 1
        elif run[0] == self.fence[0] and len(run) >= len(self.fence) and not (match[2] or match[4]):
            self.fence = ""
            self.strong += 1

    def _marked(self, row: str, c: str, blank: bool) -> None:
        marker = MARKER.match(row)
        if marker and (_DATA.match(row, marker.end()) or row.count("\t") > 1 or "     " in row):
            self.keys += 1
        elif marker and _NAMED.match(row, marker.end()):
            self.items += 1
            self.listed = True
        elif marker and c.isdigit() and not (blank or self.listed):
            self.plain += 1
        elif c == ">" or marker:
            self.marked += 1
            self.listed = True
        elif c != "<" and not RULE.fullmatch(row):
            self.plain += 1

    def verdict(self) -> bool:
        if self.comment:
            self.titles += 1
        count = max(1, self.all)
        if self.strong >= 2 and self.code * 2 < count:
            return True
        records = self.keys >= self.items > 0 and (self.keys + self.items) * 3 >= count
        if self.code * 3 >= count or self.keys * 2 >= count or records:
            return False
        if self.strong or self.titles or (self.asks >= 2 and self.asks * 6 >= count):
            return True
        marked = self.marked + self.items
        return (
            marked >= 2 and marked * 8 >= count and not (self.keys > 1 and self.keys * 3 >= count)
        )
