"""INI and its kin: sections and keys, .properties, systemd units, .env, git config."""

from __future__ import annotations

import re

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.records import Records, settle
from ctxzip.segment.tree import Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("# ")
_COMMENT = 400  # characters of a comment that goes with what stands below it
_SECTION = re.compile(r"\[([^\]\n]+)\][ \t]*+(?:[#;].*)?$")
_KEY = re.compile(r"(?:export[ \t]+)?([^\s=:\[\]#;\"'{}()<>][^=:\n]{0,120}?)([ \t]*)([=:])([ \t]*)")
_NAME = re.compile(r"(?!-)[\w.$/@*%-]+(?: [\w.$/@*%-]+){0,4}(?:\[[\w.@-]*\])?")
_DOTTED = re.compile(r"\w\.\w")
_NUMBERED = re.compile(r"\d+\"?$")
_HINTS = frozenset(
    ("ini", "cfg", "conf", "properties", "env", "service", "dotenv", "gitconfig", "editorconfig",
     "unit", "timer", "socket", "mount", "desktop", "inf", "toml")
)  # fmt: skip


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether lines are sections and keys with ``=`` (``:`` in sections), and little else."""
    keys = sections = other = plain = 0
    equals, escaped = True, False
    for at, first, stop in lines(text, start, min(end, start + 6000)):
        line = text[first:stop]
        if line[0] in "#;!":
            continue
        if _SECTION.fullmatch(line):
            sections += 1
            continue
        match = _KEY.match(line)
        named = match is not None and _NAME.fullmatch(match[1]) is not None
        going_on, escaped = escaped, text[stop - 1] == "\\"
        if going_on or (first > at and keys and sections and not named):
            continue  # a value goes on
        if match is None or not named:
            other += 1
        else:
            keys += 1
            equals = equals and match[3] == "="
            plain += bool(_DOTTED.search(match[1])) or (match[1].isupper() and match[3] == "=")
        if other * 5 > keys + 4:
            return False
    if hint in _HINTS:
        return keys > 0 and other * 3 <= keys
    if sections:
        return keys >= 2 and other * 10 <= keys
    return keys >= 3 and not other and plain * 2 > keys and (equals or plain == keys)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add sections and keys, each with its comment and the lines on which its value goes on."""
    mark, base = out.mark(), len(out.start)
    records = Records(objects=False)
    reader = _Reader(out, parent, records)
    for at, first, stop in lines(out.text, start, end):
        reader.line(at, first, stop)
    reader.comments(end, reader.section)
    if not records.fields:
        out.reset(mark)
        return False
    names = [out.labels[i] for i in reader.sections]
    if len(names) > 1 and all(map(_NUMBERED.search, names)):
        records.groups["sections"] = reader.sections  # numbers say nothing about them
    settle(out, base, records)
    return True


class _Reader:
    def __init__(self, out: Builder, root: int, records: Records) -> None:
        self.out, self.root, self.records = out, root, records
        self.section = root
        self.sections: list[int] = []
        self.comment = -1
        self.stop = 0  # of the last line
        self.goes_on = False

    def line(self, at: int, first: int, stop: int) -> None:
        """One line that is not blank."""
        out, text = self.out, self.out.text
        gap = text.count("\n", self.stop, first) > 1
        if self.comment >= 0 and (gap or first - self.comment > _COMMENT):
            self.comments(first, self.section)
        before, self.stop = self.stop, stop
        if self.goes_on and not gap:
            out.end[-1] = stop
            self.goes_on = text[stop - 1] == "\\"
            return
        if text[first] in "#;!" and not (first > at and text[first] == "!"):
            if self.comment < 0:
                self.comment = first
            return
        start = first if self.comment < 0 else self.comment
        section = _SECTION.match(text, first, stop)
        if section is not None:
            self.comment = -1
            self.section = out.add(
                start, stop, Kind.SECTION, self.root, content=False, label=section[1]
            )
            self.sections.append(self.section)
            return
        match = _KEY.match(text, first, stop)
        deeper = first > at and self._column(at, first) > self.column
        last = len(out.start) - 1
        if deeper and last in self.records.fields and out.end[last] == before:
            out.end[last] = stop  # a value that goes on
            return
        self.comment = -1
        part = out.add(start, stop, Kind.FIELD, self.section)
        self.column = self._column(at, first)
        self.goes_on = text[stop - 1] == "\\"
        if match is not None:
            self.records.fields[part] = (match[1], text[match.end() : stop])
            self._padding(first, match)

    column = 0

    def _column(self, at: int, first: int) -> int:
        return first - at

    def _padding(self, first: int, match: re.Match[str]) -> None:
        """Blanks that only align values."""
        low, high = match.span(2)
        if high - low > 1:
            self.out.drop(low + 1, high)
        low, high = match.span(4)
        if high - low > 1 and high < len(self.out.text):
            self.out.drop(low + 1, high)

    def comments(self, end: int, parent: int) -> None:
        """Comments that stand by themselves."""
        if self.comment >= 0:
            for _, a, b in lines(self.out.text, self.comment, end):
                self.out.add(a, b, Kind.LINE, parent, content=parent == self.root)
            self.comment = -1
