"""Where the statements of SQL end, and the rows and columns in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Statement", "columns", "rows", "statements", "values"]

_STANDARD = r"'(?:[^']++|'')*+'"
_ESCAPED = r"'(?:[^'\\]++|\\.|'')*+'"  # MySQL; Postgres behind an E
_OTHER = r"""|"[^"]*+"|`[^`]*+`|--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/"""
_MYSQL = re.compile(r"`|\bENGINE\s*=|MySQL|MariaDB|\\'")
_COMMENT = re.compile(r"--[^\n]*+|/\*(?!!)(?:[^*]++|\*(?!/))*+\*/|#[^\n]*+")
_VALUES = re.compile(r"\bVALUES\s*+(?=\()", re.IGNORECASE)
_ROUTINE = re.compile(
    r"CREATE\s+(?:\w+\s+|=\s*|`[^`]*`@?){0,8}?(?:TRIGGER|PROCEDURE|FUNCTION|EVENT)\b", re.IGNORECASE
)
_BODY = re.compile(r"\bBEGIN\b", re.IGNORECASE)
_BODY_END = re.compile(r"\bEND\s*+(?:\w+\s*+)?(?:;|\Z)", re.IGNORECASE)
_DELIMITER = re.compile(r"DELIMITER\s+(\S+)[^\n]*\n", re.IGNORECASE)
_COPY = re.compile(r"COPY\b[^;\n]*\bFROM\s+stdin\b[^;\n]*;", re.IGNORECASE)
_VALUE = re.compile(
    rf"\s*+(?:[EN]?(?P<text>{_ESCAPED}|{_STANDARD})|(?P<bare>(?:[^,()']++|\((?:[^()']++|{_STANDARD}|\([^()]*+\))*+\))*+))\s*+(?:,|$)"
)
_LOST = 20  # dollar signs that open nothing, after which they are read as text
_NEAR = 400  # characters of comments that belong to the statement below them


@dataclass(slots=True)
class Statement:
    """A statement; its comments stand before its body.

    Attributes:
        start: of the comments above it, or of itself.
        body: of itself.
        end: one past its last character.
        data: where the rows of a ``COPY`` begin; 0 without.
        notes: spans of comments that stand for themselves.
        bare: spans of comments without a word.
        escapes: whether a backslash escapes quotes in its strings.
    """

    start: int
    body: int
    end: int
    data: int = 0
    notes: list[tuple[int, int]] = field(default_factory=list)
    bare: list[tuple[int, int]] = field(default_factory=list)
    escapes: bool = False


def _scanner(escapes: bool, marks: str) -> re.Pattern[str]:
    """Finds the next ``;`` or mark outside of strings and comments."""
    string = _ESCAPED if escapes else rf"(?<=[eE]){_ESCAPED}|{_STANDARD}"
    return re.compile(
        rf"""[^;'"`$/{marks}\-]*+(?:{string}{_OTHER}"""
        rf"""|(?P<dollar>\$\w*\$)|(?P<stop>;|['"`]|/\*)|(?P<mark>[{marks}:])|[$/\-])""",
        re.DOTALL,
    )


_SCAN = {escapes: _scanner(escapes, "") for escapes in (False, True)}
_MARKS = {escapes: _scanner(escapes, "(),") for escapes in (False, True)}
_ROW = {
    escapes: re.compile(
        rf"\((?:[^()'\"]++|{s}|\"[^\"]*+\"|\((?:[^()']++|{s}|\((?:[^()']++|{s})*+\))*+\))*+\)",
        re.DOTALL,
    )
    for escapes, s in ((False, _STANDARD), (True, _ESCAPED))
}


def statements(text: str, start: int, end: int) -> Iterator[Statement]:
    """Every statement, up to a quote that is never closed."""
    escapes = _MYSQL.search(text, start, min(end, start + 100_000)) is not None
    at = start
    while at < end:
        found = _comments(text, at, end)
        found.escapes = escapes
        if found.body >= end:
            found.end = end
            if found.notes or found.bare or found.start < end:
                if found.start < found.body:
                    found.notes.append((found.start, _stripped(text, found.start, end)))
                yield found
            return
        stop = _end(text, found, end)
        if stop < 0:
            return
        found.end = _stripped(text, found.body, stop)
        at = _line_comment(text, found, end)
        yield found


def _stripped(text: str, start: int, stop: int) -> int:
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return stop


def _comments(text: str, at: int, end: int) -> Statement:
    """The comments up to the next statement: those near it are its own."""
    found = Statement(at, at, at)
    near: list[tuple[int, int]] = []
    while True:
        while at < end and text[at].isspace():
            at += 1
        match = _COMMENT.match(text, at, end)
        if match is None:
            break
        a, b = match.span()
        if not text[a:b].strip("-#*/ \t\r=_"):
            found.bare.append((a, min(end, b + 1)))
        else:
            stop = _stripped(text, a, b)
            if near and text.count("\n", near[-1][1], a) > 2:
                found.notes += near
                near = []
            near.append((a, stop))
        at = b
    if near and at < end and (at - near[0][0] <= _NEAR) and text.count("\n", near[-1][1], at) <= 3:
        found.start = near[0][0]
    else:
        found.notes += near
        found.start = at
    found.body = at
    return found


def _line_comment(text: str, found: Statement, end: int) -> int:
    """A comment behind the statement on its line belongs to it."""
    newline = text.find("\n", found.end, end)
    stop = end if newline < 0 else newline
    rest = text[found.end : stop]
    body = rest.strip()
    if body.startswith("--") or (body.startswith("/*") and body.find("*/") == len(body) - 2):
        found.end += len(rest.rstrip())
        return found.end
    return found.end


def _end(text: str, found: Statement, end: int) -> int:
    """One past the ``;`` of a statement; -1 where a quote is never closed."""
    body = found.body
    if text[body] in "dD" and (match := _DELIMITER.match(text, body, end)):
        return _delimited(text, match, end)
    if text[body] in "cC":
        if copied := _COPY.match(text, body, end):
            found.data = copied.end()
            stop = text.find("\n\\.", copied.end(), end)
            return end if stop < 0 else stop + 3
        if _ROUTINE.match(text, body, min(end, body + 500)):
            first = _first_stop(text, found, body, end)
            begin = _BODY.search(text, body, end if first < 0 else first)
            if begin and text.find("$", body, begin.start()) < 0:
                last = _BODY_END.search(text, begin.end(), end)
                return last.end() if last else end
            return first
    return _first_stop(text, found, body, end)


def _delimited(text: str, match: re.Match[str], end: int) -> int:
    """Routines between ``DELIMITER //`` and ``DELIMITER ;`` are one statement."""
    if match[1] == ";":
        return match.end()
    back = re.compile(r"^DELIMITER\s+;[^\n]*", re.IGNORECASE | re.MULTILINE)
    last = back.search(text, match.end(), end)
    return last.end() if last else end


def _first_stop(text: str, found: Statement, at: int, end: int) -> int:
    scan = _SCAN[found.escapes].match
    lost = 0
    while (match := scan(text, at, end)) is not None:
        at = match.end()
        if match["stop"] == ";":
            return at
        if match["stop"]:
            return -1
        if (tag := match["dollar"]) and lost < _LOST:
            closing = text.find(tag, at, end)
            lost += closing < 0
            at = closing + len(tag) if closing >= 0 else at
    return end


def rows(text: str, found: Statement) -> tuple[int, list[tuple[int, int]], int] | None:
    """Where the head of an ``INSERT`` ends, its rows, and where what follows them begins."""
    match = _VALUES.search(text, found.body, min(found.end, found.body + 20_000))
    if match is None or "'" in text[found.body : match.start()]:
        return None
    head = _stripped(text, found.body, match.end())
    row = _ROW[found.escapes]
    spans: list[tuple[int, int]] = []
    at = match.end()
    while (one := row.match(text, at, found.end)) is not None:
        spans.append(one.span())
        at = one.end()
        while at < found.end and text[at].isspace():
            at += 1
        if at >= found.end or text[at] != ",":
            return head, spans, at
        at += 1
        while at < found.end and text[at].isspace():
            at += 1
    return None


def columns(text: str, found: Statement) -> tuple[int, list[tuple[int, int]], int] | None:
    """Where the head of a ``CREATE TABLE`` ends, its columns, and where ``)`` closes them."""
    depth = 0
    head = start = 0
    spans: list[tuple[int, int]] = []
    for match in _MARKS[found.escapes].finditer(text, found.body, found.end):
        mark = match["mark"]
        if mark is None:
            if head and _COMMENT.search(match[0]):
                return None
            continue
        at = match.start("mark")
        depth += {"(": 1, ")": -1, ",": 0}[mark]
        if not head:
            if mark != "(":
                return None
            head = start = match.end()
        elif (mark == "," and depth == 1) or depth == 0:
            body = text[start:at]
            if not body.strip():
                return None
            first = start + len(body) - len(body.lstrip())
            spans.append((first, first + len(body.strip())))
            start = match.end()
            if depth == 0:
                return head, spans, at
    return None


def values(text: str, start: int, end: int) -> list[str]:
    """The values of a row ``(1, 'a')``, strings without their quotes."""
    found: list[str] = []
    for match in _VALUE.finditer(text, start + 1, end - 1):
        quoted = match["text"]
        if quoted is not None:
            found.append(quoted[1:-1].replace("''", "'"))
        else:
            bare = match["bare"].strip()
            found.append("" if bare.upper() == "NULL" else bare)
        if match.end() >= end - 1:
            break
    return found
