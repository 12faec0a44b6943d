"""Logs: events, each a line with a time stamp or a severity and the lines that continue it.

A line is never cut. What continues an event (a trace, a wrapped message, details) belongs to its
first line, also where every line carries the name of a container or a time stamp.
"""

from __future__ import annotations

import re

from ctxzip.segment.formats import trace
from ctxzip.segment.formats.rows import Row, rows, sample
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "event_head", "fits", "read"]

STYLE = LINES

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_LEVEL = (
    r"(?:TRACE|DEBUG?|INFO|NOTICE|WARN|WARNING|ERROR|ERRO?|FATAL|CRITICAL|CRIT|SEVERE|ALERT|EMERG"
    r"|PANIC|VERBOSE|FINE|FINER|FINEST|CONFIG)"
)
_STAMPS = (
    r"\d{4}[-/.]\d\d?[-/.]\d\d?(?:T|_|-|,? {1,2})\d\d?[:.]\d\d(?!\d)",
    r"\d\d?[-/.]\d\d?[-/.](?:\d{4}|\d\d),? \d\d?:\d\d:\d\d",
    r"\d\d[-.]\d\d \d\d:\d\d:\d\d",
    rf"(?:{_DAY},? )?{_MONTH} {{1,2}}\d\d?,?(?: \d{{4}})?,? \d\d?:\d\d:\d\d",
    rf"(?:{_DAY},? )?\d\d? {_MONTH} (?:\d{{2,4}} )?\d\d:\d\d:\d\d",
    rf"\d\d/{_MONTH}/\d{{4}}[: ]\d\d:\d\d",
    r"\d{8}-\d\d?:\d\d?:\d\d?:\d+",
    r"\d{8}[ T]\d{6}\b|\d{6} \d{6} \d+ [A-Z]",
    r"1\d{9}(?:\.\d+|\d{3}|\d{6})?(?=[\s\]:|])",
)
_STAMP = "|".join(_STAMPS)
_HEAD = re.compile(
    r"(?:\x1b\[[\d;]*m)*"
    r"(?P<prefix>[\w./-]+ *\| |\[[\w./-]+\] (?=[\[\d]))?"
    r"(?:\x1b\[[\d;]*m)*(?:<\d{1,3}>(?:\d )?)?"
    rf"(?:(?P<stamp>[\[(\"']?(?:{_STAMP})|(?:-|[A-Z]{{3,12}}) 1\d{{9}} \d{{4}}\."
    r"|[IWEFD]\d{4} \d\d:\d\d:\d\d|\d+:[A-Z] \d\d? [A-Z][a-z]{2} |\S+\.log\S* \d{4}-\d\d-\d\d"
    rf"|[\w.:-]{{3,64}} \S{{1,64}} \S{{1,64}} \[\d\d/{_MONTH}/\d{{4}}:)"
    rf"|(?P<level>\[?{_LEVEL}\]?(?=[\s:|\[(]))"
    r"|(?P<pair>\"?(?:ts|time|timestamp|level|lvl|severity)\"?=\S)"
    r"|(?P<clock>\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?(?=[\s|])(?! *-->))"
    r"|(?P<boot>\[ *\d+\.\d{3,6}s?\])"
    r"|(?P<record>Log Name: +\S|(?:Information|Warning|Error|Critical|Verbose)\t\d)"
    r"|(?P<age>(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)? +(?:Normal|Warning) +\S))"
)
_PREFIXED = re.compile(  # what stands before the message of a line from a daemon or a runner
    rf"(?:<\d+>)?(?:{_STAMPS[0]}[\d:.,]*(?:Z|[+-]\d\d:?\d\d)?|{_MONTH} {{1,2}}\d\d? [\d:]+)"
    r"(?P<source> [\w.-]+ [\w./@()-]+(?:\[\d+\])?:| std(?:out|err) [FP])?(?: |$)"
)
_COMPOSE = re.compile(r"(?P<prefix>[\w./-]+ *\|)(?: |$)")
_DETAIL = re.compile(r"\] (?:\S+ )?(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION): ")
_WRAPPED = re.compile(r"(?:\t| {2,}(?!" + _LEVEL + r"\b)).")
_JAVA = re.compile(rf"{_MONTH} \d\d?, \d{{4}} \d\d?:\d\d:\d\d [AP]M \S")
_SEVERITY = re.compile(r"\b" + _LEVEL + r"\b|\b(?:info|warn|warning|error|debug)\b[:\]]")


def event_head(line: str) -> bool:
    """Does a line begin an event?"""
    return _HEAD.match(line) is not None


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Most lines begin with a time stamp or a severity, or continue one that does."""
    found = sample(text, start, end)
    if not found:
        return False
    heads = [_HEAD.match(line) for line in found]
    n = sum(head is not None for head in heads)
    if not n or _is_table(found, heads):
        return False
    strong = sum(_is_strong(head, line) for head, line in zip(heads, found, strict=True))
    if strong * 2 < n:
        return False
    if hint == "log":
        return True
    lone = 0  # lines that neither begin an event nor look like its continuation
    for head, line in zip(heads, found, strict=True):
        if head is None and not (line[0] in " \t" or trace.continues(line) or _COMPOSE.match(line)):
            lone += 1
    if n < 3:
        return lone == 0 and heads[0] is not None
    records = any(head is not None and head["record"] for head in heads)
    return lone * 2 <= n or records or (heads[0] is not None and lone <= 4 * n and n >= 5)


def _is_strong(head: re.Match[str] | None, line: str) -> bool:
    """A stamp with a date, or a severity: a mere time of day may be a chat's or a subtitle's."""
    if head is None:
        return False
    return not head["clock"] or bool(head["prefix"]) or _SEVERITY.search(line) is not None


def _is_table(found: list[str], heads: list[re.Match[str] | None]) -> bool:
    """Rows of a CSV or TSV whose first cell is a time."""
    for mark in (",", ";", "\t"):
        counts = [line.count(mark) for line in found]
        usual = counts[0]
        if usual and sum(count == usual for count in counts) * 10 >= 9 * len(counts):
            if heads[0] is None and len(found) > 2:
                return True
            cells = found[-1].split(mark)
            if (
                mark != "\t"
                and len(cells) > 2
                and all(len(cell) < 40 and "[" not in cell for cell in cells)
            ):
                return not any(_SEVERITY.search(line) for line in found)
    return False


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the events of a region."""
    found = rows(out.text, start, end)
    reader = _Reader(out.text)
    groups = reader.group(found)
    if not groups:
        return False
    for group in groups:
        first = group[0]
        head = out.add(first.first, first.stop, Kind.LINE, parent, whole=len(group) > 1)
        if len(group) > 1:
            trace.add_rows(out, group[1:], head)
    return True


class _Reader:
    """Puts rows together that are one event."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.prefix = ""  # of the container that the event is from
        self.source = ""  # host and process that the event is from
        self.java = False
        self.margin = -1  # indentation of a Python trace whose message is still to come
        self.inside = False  # inside an event

    def group(self, found: list[Row]) -> list[list[Row]]:
        groups: list[list[Row]] = []
        heads = 0
        for row in found:
            head = _HEAD.match(self.text, row.first, min(row.stop, row.first + 400))
            body = self._continuation(row, head)
            if body >= 0 and groups:
                groups[-1].append(row._replace(body=body))
                continue
            heads += head is not None
            self.inside = head is not None or bool(self.prefix)
            groups.append([row])
        return groups if heads else []

    def _continuation(self, row: Row, head: re.Match[str] | None) -> int:
        """Where the message of a row begins that continues the event; -1 if it begins another."""
        if head is None:
            return self._without_head(row)
        if head["level"] and self.java:
            self.java = False
            return row.body
        body = -1
        if head["stamp"]:
            body = self._stamped(row)
        if body < 0:
            self.prefix = (head["prefix"] or "").rstrip(" |")
            self.java = _JAVA.match(self.text, row.first) is not None
            self.margin = -1
        return body

    def _without_head(self, row: Row) -> int:
        compose = _COMPOSE.match(self.text, row.first, min(row.stop, row.first + 400))
        if compose is None:
            if self.inside and self.prefix:
                self.inside, self.prefix = False, ""
            return row.body if self.inside else -1
        name = compose["prefix"].rstrip(" |")
        if not self.prefix and self.inside and row.first > row.body:
            return row.body
        same = self.inside and name == self.prefix
        self.prefix = name
        return min(compose.end(), row.stop) if same else -1

    def _stamped(self, row: Row) -> int:
        """Rows with a stamp of their own that still continue the event before them."""
        if _DETAIL.search(self.text, row.first, min(row.stop, row.first + 120)) and self.inside:
            return row.body
        prefix = _PREFIXED.match(self.text, row.first, min(row.stop, row.first + 400))
        if prefix is None:
            self.source = ""
            return -1
        source = prefix["source"] or ""
        same = self.inside and source == self.source
        self.source = source
        if not same:
            self.margin = -1
            return -1
        body = prefix.end()
        message = self.text[body : min(row.stop, body + 1000)]
        indent = len(message) - len(message.lstrip())
        if trace.continues(message):
            self.margin = indent if "Traceback (most" in message else self.margin
            return body
        if self.margin >= 0:
            if indent <= self.margin:
                self.margin = -1
            return body
        return body if not message or _WRAPPED.match(message) else -1
