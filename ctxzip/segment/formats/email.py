"""E-mail: messages with their headers, quoted replies below who wrote them, signatures, mbox.

A message is known by its sender, date and subject, which come along with anything of it. What is
quoted belongs to the line that says who wrote it, a reply to what it quotes.
"""

from __future__ import annotations

import re
from itertools import islice, pairwise

from ctxzip.segment import sentences
from ctxzip.segment.formats import markdown
from ctxzip.segment.formats.inner import inner
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES
_DEEP = 30  # messages inside messages
_HEADER = re.compile(r"\*{0,2}([A-Za-z][\w-]{1,40}):\*{0,2}(?=[ \t]|$)")
_KNOWN = frozenset(
    ("from", "to", "cc", "bcc", "subject", "date", "sent", "reply-to", "message-id", "in-reply-to")
) | frozenset(("received", "return-path", "delivered-to", "mime-version", "content-type", "sender"))
_NAMES = frozenset(("from", "date", "sent", "subject"))
_MACHINE = re.compile(
    r"received|dkim-|arc-|x-|mime-|content-|authentication|return-path|message-id|references"
    r"|in-reply-to|list-|delivered-to|precedence|user-agent|thread-|importance|autocrypt|feedback",
    re.I,
)
_MBOX = re.compile(r"From \S+.*\d{4}$")
_WROTE = re.compile(
    r"(?:[>\s]*)(?:On|Am|Le|El|Il|Op|Em|Den|W dniu)\b.{4,300}"
    r"(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał)\b"
    r"[^\n:]{0,80}:\s*",
    re.S,
)
_WROTE_BEGINS = frozenset("OALEIDW")
_FORWARD = re.compile(
    r"[-_*]*[ \t]*(?:Begin forwarded message:?|(?:Forwarded|Original)[ \t](?:message|appointment)"
    r"|Weitergeleitete Nachricht|Ursprüngliche Nachricht|Message transféré)"
    r"[ \t]*(?:by.{0,80}|from.{0,80})?:?[-_*]*",
    re.I,
)
_LINE = re.compile(r"[_-]{8,}")
_QUOTED = re.compile(r"(?:>[ \t]?)+")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{40,998}")
_BOUNDARY = re.compile(r"boundary=\"?([^\s\";]{1,100})", re.I)

_Row = tuple[int, int, int]


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the region begins with headers, or quotes what somebody wrote."""
    rows = list(islice(lines(text, start, min(end, start + 20_000)), 300))
    if not rows:
        return False
    first = 1 if _MBOX.fullmatch(text, rows[0][1], rows[0][2]) else 0
    names = {name for name, _, _ in _headers(text, rows, first)}
    if len(names & _KNOWN) >= 2 and ("from" in names or ("subject" in names and "to" in names)):
        return True
    if hint in ("eml", "mbox") and names:
        return True
    quoted = [text[a] == ">" for _, a, _ in rows]
    for i, (_, a, b) in enumerate(rows[:-1]):
        if text[a] in _WROTE_BEGINS and (quoted[i + 1] or (i + 2 < len(rows) and quoted[i + 2])):
            stop = b if quoted[i + 1] else rows[i + 1][2]
            if _WROTE.fullmatch(text, a, min(stop, a + 500)):
                return True
    return False


def _headers(text: str, rows: list[_Row], i: int) -> list[tuple[str, int, int]]:
    """``(name, first line, line behind)`` of the headers that begin at line ``i``."""
    found: list[tuple[str, int, int]] = []
    while i < len(rows):
        low, first, stop = rows[i]
        gap = i > 0 and found and text.count("\n", rows[i - 1][2], first) > 1
        match = _HEADER.match(text, first, min(stop, first + 60))
        if gap:
            break
        if match and (low == first or not found):
            found.append((match[1].lower(), i, i + 1))
        elif found and low < first:
            found[-1] = (found[-1][0], found[-1][1], i + 1)
        else:
            break
        i += 1
    return found


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the messages of a region."""
    rows = list(lines(out.text, start, end))
    if not rows:
        return False
    _Mail(out, rows, parent).run()
    return True


class _Mail:
    def __init__(self, out: Builder, rows: list[_Row], parent: int) -> None:
        self.out, self.text, self.rows, self.root = out, out.text, rows, parent
        count = self.text.count
        self.gap = [True, *(count("\n", a[2], b[1]) > 1 for a, b in pairwise(rows))]
        self.above = [parent]  # the messages that are open
        self.boundary = ""

    def run(self) -> None:
        i = self._message(0) if self._headed(0) else 0
        plain = i
        while i < len(self.rows):
            done = self._special(i, plain)
            if done:
                i = plain = done
            else:
                i += 1
        self._prose(plain, len(self.rows))

    def _row(self, i: int) -> str:
        return self.text[self.rows[i][1] : self.rows[i][2]]

    def _special(self, i: int, plain: int) -> int:
        """The line behind what begins at line ``i`` and is no plain paragraph, or 0."""
        _, first, stop = self.rows[i]
        c = self.text[first]
        if c == ">":
            self._prose(plain, i)
            return self._quote(i, self.above[-1])
        if c in "-_*" and self._row(i).rstrip() == "--":
            self._prose(plain, i)
            return self._signature(i)
        if self.boundary and self.text.startswith("--" + self.boundary, first):
            self._prose(plain, i)
            return self._part(i)
        if c in _WROTE_BEGINS and (done := self._wrote(i)):
            self._prose(plain, i)
            parent = self._low(i, done, self.above[-1], self._label(i, done))
            return self._quote(done, parent)
        return self._another(i, plain) if stop - first < 200 else 0

    def _another(self, i: int, plain: int) -> int:
        """The next message of an mbox, or one inside this message."""
        row = self._row(i)
        if row.startswith("From ") and self.gap[i] and _MBOX.fullmatch(row) and self._headed(i + 1):
            self._prose(plain, i)
            del self.above[1:]
            return self._message(i)
        ruled = _FORWARD.fullmatch(row) or _LINE.fullmatch(row)
        if ruled and self._headed(i + 1):
            self._prose(plain, i)
            label = "Forwarded message" if _FORWARD.fullmatch(row) else ""
            return self._message(i + 1, self._low(i, i + 1, self.above[-1], label))
        if not (self.gap[i] and row.lower().startswith(("from:", "*from:", "**from:"))):
            return 0
        names = {name for name, _, _ in _headers(self.text, self.rows[i : i + 12], 0)}
        if len(names & _KNOWN) < 3:
            return 0
        self._prose(plain, i)
        return self._message(i)

    def _headed(self, i: int) -> bool:
        if i < len(self.rows) and _MBOX.fullmatch(self._row(i)[:200]):
            i += 1
        names = {name for name, _, _ in _headers(self.text, self.rows[i : i + 60], 0)}
        return len(names & _KNOWN) >= 2 or (i == 0 and bool(names & _NAMES))

    def _message(self, i: int, parent: int | None = None) -> int:
        """The headers of a message; what follows belongs to the first that names it."""
        parent = self.above[-1] if parent is None else parent
        marked = _MBOX.fullmatch(self._row(i)[:200]) is not None
        headers = _headers(self.text, self.rows, i + marked)
        subject = self._subject(headers)
        at = -1
        if marked:
            at = self.out.add(
                *self.rows[i][1:], Kind.MESSAGE, parent, whole=True, content=False, label=subject
            )
        for name, a, b in headers:
            low, high = self.rows[a][1], self.rows[b - 1][2]
            if match := _BOUNDARY.search(self.text, low, high):
                self.boundary = match[1]
            if name in _NAMES and at < 0:
                at = self.out.add(
                    low, high, Kind.MESSAGE, parent, whole=True, content=False, label=subject
                )
            elif at < 0:
                self.out.add(low, high, Kind.HEAD, parent, content=False)
            else:
                known = name in _NAMES
                machine = known or _MACHINE.match(name) is not None
                self.out.add(low, high, Kind.FIELD, at, always=known, content=not machine)
        if at >= 0 and len(self.above) < _DEEP:
            self.above.append(at)
        return headers[-1][2] if headers else i + 1

    def _subject(self, headers: list[tuple[str, int, int]]) -> str:
        for name, a, b in headers:
            if name == "subject":
                line = self.text[self.rows[a][1] : self.rows[b - 1][2]]
                return " ".join(line.split(":", 1)[1].strip("* ").split())[:200]
        return ""

    def _low(self, i: int, j: int, parent: int, label: str = "") -> int:
        start, end = self.rows[i][1], self.rows[j - 1][2]
        return self.out.add(start, end, Kind.HEAD, parent, content=False, label=label)

    def _label(self, i: int, j: int) -> str:
        return " ".join(self.text[self.rows[i][1] : self.rows[j - 1][2]].split()).rstrip(":")[:160]

    def _wrote(self, i: int) -> int:
        """The line behind ``On … wrote:``, which may be wrapped, with a quote below it."""
        text, rows = self.text, self.rows
        for j in range(i + 1, min(i + 4, len(rows))):
            if text[rows[j][1]] == ">":
                low, high = rows[i][1], rows[j - 1][2]
                return j if high - low < 500 and _WROTE.fullmatch(text, low, high) else 0
        return 0

    def _signature(self, i: int) -> int:
        """What stands behind ``--``, at most a dozen lines, until something else begins."""
        j = i + 1
        while j < len(self.rows) and j <= i + 12 and (j == i + 1 or not self.gap[j]):
            if self.text[self.rows[j][1]] == ">" or self._row(j) == "--":
                break
            j += 1
        at = self._low(i, i + 1, self.above[-1], "Signature")
        for _, first, stop in self.rows[i + 1 : j]:
            self.out.add(first, stop, Kind.LINE, at)
        return j

    def _part(self, i: int) -> int:
        """The boundary and the headers of a part of a message; what is encoded is no content."""
        j = i + 1
        while j < len(self.rows) and not self.gap[j]:
            j += 1
        head = self.text[self.rows[i][1] : self.rows[j - 1][2]].lower()
        self._low(i, j, self.above[-1])
        k = j
        while k < len(self.rows) and not self.text.startswith(
            "--" + self.boundary, self.rows[k][1]
        ):
            k += 1
        if "base64" in head and k > j:
            self._low(j, k, self.above[-1])
            return k
        if "text/html" in head and k > j:
            start, end = self.rows[j][0], self.rows[k - 1][2]
            inner(self.out, start, end, self.above[-1], "html")
            return k
        return j

    def _prose(self, i: int, j: int) -> None:
        if j <= i:
            return
        if all(_BASE64.fullmatch(self._row(k)) for k in (i, (i + j) // 2)) and j - i > 2:
            self._low(i, j, self.above[-1])
            return
        markdown.read(self.out, self.rows[i][0], self.rows[j - 1][2], self.above[-1])

    def _quote(self, i: int, parent: int) -> int:
        """Quoted lines by their level, and the paragraph that answers the last of them."""
        j = i
        while j < len(self.rows) and self.text[self.rows[j][1]] == ">":
            j += 1
        last = _Quote(self.out, self.rows[i:j], parent).run()
        if last < 0 or j >= len(self.rows):
            return j
        k = j
        while k < len(self.rows) and (k == j or not self.gap[k]):
            if self.text[self.rows[k][1]] == ">" or self._row(k) == "--" or self._stands_out(k):
                break
            k += 1
        if k > j:
            markdown.read(self.out, self.rows[j][0], self.rows[k - 1][2], last)
        return k

    def _stands_out(self, k: int) -> bool:
        row = self._row(k)
        if self.boundary and row.startswith("--" + self.boundary):
            return True
        if row[0] in _WROTE_BEGINS and self._wrote(k):
            return True
        if _MBOX.fullmatch(row[:200]) or _HEADER.match(row):
            return True
        return len(row) < 200 and bool(_FORWARD.fullmatch(row) or _LINE.fullmatch(row))


class _Quote:
    """Paragraphs behind ``>``, ``>>`` and so on, each below who wrote it."""

    def __init__(self, out: Builder, rows: list[_Row], parent: int) -> None:
        self.out, self.text, self.rows, self.parent = out, out.text, rows, parent
        self.begun = -1
        self.wrote: list[tuple[int, int]] = []  # (level, part) of the lines that say who wrote

    def run(self) -> int:
        """Add them; the last sentence, or -1."""
        last, i = -1, 0
        levels = [self._level(first, stop) for _, first, stop in self.rows]
        while i < len(self.rows):
            level, body = levels[i]
            if body >= self.rows[i][2]:
                if self.begun < 0 and i and last >= 0:
                    self.out.end[-1] = self.rows[i][2]
                elif self.begun < 0:
                    self.begun = self.rows[i][1]
                i += 1
                continue
            j = i + 1
            if done := self._wrote(i, body):
                j = done
            while not done and j < len(levels) and levels[j][0] == level:
                if levels[j][1] >= self.rows[j][2] or self._wrote(j, levels[j][1]):
                    break
                j += 1
            last = self._paragraph(i, j, level)
            i = j
        if self.begun >= 0:
            self.out.add(self.begun, self.rows[-1][2], Kind.HEAD, self.parent, content=False)
        return last

    def _wrote(self, i: int, body: int) -> int:
        """The line behind ``On … wrote:``, or 0."""
        text, rows = self.text, self.rows
        if text[body : body + 1] not in _WROTE_BEGINS:
            return 0
        for j in range(i + 1, min(i + 4, len(rows) + 1)):
            low, high = rows[i][1], rows[j - 1][2]
            if high - low < 500 and text[high - 1] == ":" and _WROTE.fullmatch(text, low, high):
                return j
        return 0

    def _level(self, first: int, stop: int) -> tuple[int, int]:
        match = _QUOTED.match(self.text, first, stop)
        if match is None:
            return 0, first
        return match.group().count(">"), match.end()

    def _paragraph(self, i: int, j: int, level: int) -> int:
        out, text = self.out, self.text
        start = self.rows[i][1] if self.begun < 0 else self.begun
        end, self.begun = self.rows[j - 1][2], -1
        while self.wrote and self.wrote[-1][0] >= level:
            self.wrote.pop()
        parent = self.wrote[-1][1] if self.wrote else self.parent
        if end - start < 500 and _WROTE.fullmatch(text, start, end):
            label = " ".join(_QUOTED.sub("", text[start:end]).split()).rstrip(":")[:160]
            at = out.add(start, end, Kind.HEAD, parent, content=False, label=label)
            if len(self.wrote) < _DEEP:
                self.wrote.append((level, at))
            return at
        units = sentences.split(text[start:end])
        spans = zip(units.start.tolist(), units.end.tolist(), strict=True)
        low, high = next(spans)
        # Further sentences of a line have no mark of their own: they need the one that has it.
        at = last = out.add(start + low, start + high, Kind.SENTENCE, parent, whole=True)
        for low, high in spans:
            last = out.add(start + low, start + high, Kind.SENTENCE, at)
        return last
