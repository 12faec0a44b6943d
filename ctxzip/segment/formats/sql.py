"""SQL scripts and dumps: statements, the rows that they insert, the columns that they create."""

from __future__ import annotations

import re

from ctxzip.segment.formats import cells as table
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.sql_tokens import Statement, columns, rows, statements, values
from ctxzip.segment.tree import PLAIN, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

# A block comment: a line comment would swallow what follows it on its line.
STYLE = Style("/* ", " */")
_LIST = Style("/* ", " */", ",")

_HINTS = frozenset(
    ("sql", "psql", "mysql", "pgsql", "postgresql", "sqlite", "plsql", "tsql", "ddl")
)
_LEAD = re.compile(r"(?:\s++|--[^\n]*+(?:\n|\Z)|/\*(?:[^*]++|\*(?!/))*+\*/;?)*+")
_OBJECT = (
    r"(?:TABLE|INDEX|VIEW|FUNCTION|PROCEDURE|TRIGGER|DATABASE|SCHEMA|TYPE|SEQUENCE|EXTENSION|ROLE"
    r"|USER)\b"
)
_STATEMENT = re.compile(
    rf"CREATE\s+(?:(?:OR\s+REPLACE|TEMP|TEMPORARY|UNIQUE|UNLOGGED|MATERIALIZED|VIRTUAL)\s+)*{_OBJECT}"
    rf"|(?:ALTER|DROP)\s+(?:MATERIALIZED\s+)?{_OBJECT}"
    r"|(?:INSERT\s+(?:IGNORE\s+|OR\s+\w+\s+)?|REPLACE\s+)INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|TRUNCATE\s+\w|SELECT\s(?=.{1,2000}?\bFROM\b)"
    r"|WITH\s+(?:RECURSIVE\s+)?\w+\s+(?:\([^()]*\)\s*)?AS\s*\("
    r"|BEGIN(?:\s+(?:TRANSACTION|WORK))?\s*;|START\s+TRANSACTION"
    r"|SET\s+[@\w.]+\s*(?:=|\bTO\b)|USE\s+`?\w+`?\s*;"
    r"|PRAGMA\s+\w+|GRANT\s+\w|COPY\s+\S+\s|LOCK\s+TABLES\s|DELIMITER\s|EXPLAIN\s",
    re.IGNORECASE | re.DOTALL,
)
_TABLE = re.compile(
    r"(?:CREATE\s+(?:\w+\s+)*?TABLE|INSERT\s+(?:\w+\s+)*?INTO|REPLACE\s+INTO|COPY)"
    r"\s+(?:IF\s+NOT\s+EXISTS\s+)?([^\s(]+)",
    re.IGNORECASE,
)
_COLUMN = re.compile(
    r"\s*(?!(?:PRIMARY|UNIQUE|KEY|INDEX|CONSTRAINT|FOREIGN|CHECK|FULLTEXT)\b)[\"`\[]?(\w+)", re.I
)
_NAMELESS = re.compile(r"(?:INSERT\s+(?:\w+\s+)*?INTO|REPLACE\s+INTO)\s+([^\s(]+)\s+VALUES\b", re.I)
_LONG = 1_500  # characters of a statement that is divided into its lines


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether this begins with a statement of SQL, comments aside."""
    lead = _LEAD.match(text, start, min(end, start + 20_000))
    at = lead.end() if lead else start
    first = _STATEMENT.match(text, at, min(end, at + 4_000))
    if hint in _HINTS:
        return first is not None or text.find(";", start, end) >= 0
    if first is None:
        return False
    word = first[0].split()[0]
    if word.isupper():
        return True
    return word.islower() and text[max(start, end - 200) : end].rstrip().endswith(";")


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add every statement with the comments above it."""
    text = out.text
    first = len(out.start)
    script = _Script(out, parent)
    found = list(statements(text, start, end))
    below = _nameless(text, found)
    owner, until = parent, -1
    for k, statement in enumerate(found):
        if k > until:
            owner = parent
        for a, b in statement.bare:
            out.drop(a, b)
        for a, b in statement.notes:
            out.add(a, b, Kind.LINE, owner)
        if statement.body < statement.end:
            part = script.add(statement, owner, k in below)
            if k in below:
                owner, until = part, below[k]
    stop = found[-1].end if found else start
    if text[stop:end].strip():
        out.notes.append("The SQL was read up to a quote that is never closed; the rest as lines.")
        for _, a, b in lines(text, stop, end):
            out.add(a, b, Kind.LINE, parent)
    return len(out.start) > first


def _nameless(text: str, found: list[Statement]) -> dict[int, int]:
    """Statements that name the columns of rows inserted without names: number -> last insert."""
    created: dict[str, int] = {}
    last: dict[int, int] = {}
    for k, statement in enumerate(found):
        name = _name(text, statement)
        if text[statement.body : statement.body + 6].upper() == "CREATE":
            created = {name: k} if name else {}
        elif name in created and _NAMELESS.match(text, statement.body, statement.end):
            last[created[name]] = k
    return last


def _name(text: str, statement: Statement) -> str:
    match = _TABLE.match(text, statement.body, statement.end)
    return match[1].strip('"`[];') if match else ""


class _Script:
    """Adds statements below a part; remembers the columns of tables."""

    def __init__(self, out: Builder, parent: int) -> None:
        self.out, self.text, self.parent = out, out.text, parent
        self.known: dict[str, list[str]] = {}

    def add(self, statement: Statement, parent: int, whole: bool) -> int:
        """Add a statement, divided unless it is to stand ``whole``; returns its part."""
        out, text = self.out, self.text
        first = len(out.start)
        word = text[statement.body : statement.body + 7].upper()
        added = (
            (word.startswith(("INSERT", "REPLACE")) and self._insert(statement, parent))
            or (statement.data and self._copy(statement, parent))
            or (word.startswith("CREATE") and self._table(statement, parent, whole))
        )
        if added:
            return first
        body = list(lines(text, statement.body, statement.end))
        if statement.end - statement.body <= _LONG or len(body) < 3:
            out.add(statement.start, statement.end, Kind.ENTRY, parent)
            return first
        top = out.add(
            statement.start, body[0][2], Kind.ENTRY, parent, whole=True, content=False,
            label=text[body[0][1] : body[0][2]][:200], style=STYLE,
        )  # fmt: skip
        for _, a, b in body[1:-1]:
            out.add(a, b, Kind.LINE, top)
        out.add(body[-1][1], body[-1][2], Kind.CLOSER, top, always=True, content=False)
        return first

    def _insert(self, statement: Statement, parent: int) -> bool:
        """Rows below ``INSERT INTO t (a, b) VALUES``."""
        out, text = self.out, self.text
        found = rows(text, statement)
        if found is None:
            return False
        head, spans, tail = found
        name = _name(text, statement)
        opened = text.find("(", statement.body, head)
        names = self.known.get(name, [])
        if opened >= 0:
            names = [
                part.strip(' \t\n\r"`[]')
                for part in text[opened + 1 : text.rfind(")", opened, head)].split(",")
            ]
        if len(spans) == 1 and statement.end - statement.body <= _LONG:
            reading = f"{name}: {table.reading(names, values(text, *spans[0]))}"
            out.add(statement.start, statement.end, Kind.ENTRY, parent, reading=reading)
            return True
        top = out.add(
            statement.start, head, Kind.ENTRY, parent, whole=True, content=False,
            label=" | ".join([name, *names])[:300], style=_LIST,
        )  # fmt: skip
        for a, b in spans:
            out.add(a, b, Kind.ROW, top, reading=table.reading(names, values(text, a, b)))
        if tail < statement.end:
            out.add(tail, statement.end, Kind.CLOSER, top, always=True, content=False)
        return True

    def _copy(self, statement: Statement, parent: int) -> bool:
        """Rows below ``COPY t (a, b) FROM stdin;``."""
        out, text = self.out, self.text
        opened = text.find("(", statement.body, statement.data)
        closed = text.find(")", opened, statement.data)
        names = (
            [part.strip(' "') for part in text[opened + 1 : closed].split(",")]
            if 0 <= opened < closed
            else []
        )
        name = _name(text, statement)
        top = out.add(
            statement.start, statement.data, Kind.ENTRY, parent, whole=True, content=False,
            label=" | ".join([name, *names])[:300], style=PLAIN,
        )  # fmt: skip
        for at, first, stop in lines(text, statement.data, statement.end):
            line = text[first:stop]
            if line == "\\.":
                out.add(first, stop, Kind.CLOSER, top, always=True, content=False)
                continue
            newline = text.find("\n", first, statement.end)
            whole = text[at : newline if newline >= 0 else statement.end].rstrip("\r")
            cells = ["" if cell == "\\N" else cell for cell in whole.split("\t")]
            # An empty last cell is data: the row ends behind its tab.
            out.add(first, at + len(whole), Kind.ROW, top, reading=table.reading(names, cells))
        return True

    def _table(self, statement: Statement, parent: int, whole: bool) -> bool:
        """Columns below ``CREATE TABLE t (``."""
        out, text = self.out, self.text
        name = _name(text, statement)
        found = columns(text, statement) if name else None
        if found is None:
            return False
        head, spans, tail = found
        match = _TABLE.match(text, statement.body, statement.end)
        if match is None or text[match.end() : head - 1].strip():
            return False
        matches = [_COLUMN.match(text, a, b) for a, b in spans]
        self.known[name] = [match[1] for match in matches if match]
        if whole:
            out.add(
                statement.start, statement.end, Kind.ENTRY, parent,
                label=" | ".join([name, *self.known[name]])[:300], style=STYLE,
            )  # fmt: skip
            return True
        top = out.add(
            statement.start, head, Kind.ENTRY, parent, whole=True, content=False,
            label=f"table {name}", style=_LIST,
        )  # fmt: skip
        for (a, b), match in zip(spans, matches, strict=True):
            # A constraint names columns that may be gone: it comes with all of them or not at all.
            out.add(a, b, Kind.FIELD, top, content=match is not None)
        out.add(tail, statement.end, Kind.CLOSER, top, always=True, content=False)
        return True
