"""Block YAML by lines and their indentation, with exact offsets; documents, comments, anchors.

Each entry stands with its comment. The first line of an item of a sequence (``- name: Ann``) is the
head of its record. What is left out never changes how the rest is indented, so every selection
parses to a part of the source's data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ctxzip.segment.formats.arrays import add_array
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.records import Records, settle
from ctxzip.segment.formats.strings import LONGER, add_string
from ctxzip.segment.formats.yaml_scalars import FLOW, Scalar, add_body, scalar
from ctxzip.segment.tree import PLAIN, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("# ")
NOTE = "The YAML is broken: what does not parse was read as lines."
_TRIES = 50
_DEPTH = 200
_COMMENT = 400  # characters of a comment that goes with the key below it
_LINE = re.compile(r"([ ]*+)([^\n]*+)\n?")
_PLAIN = r"(?![\s\[\]{},#\"'|>%@`]|-\s)[^\n:#]*+(?:(?::(?=[^\s])|(?<=\S)#)[^\n:#]*+)*+"
_KEY = rf"\"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*+\"|'[^'\n]*+(?:''[^'\n]*+)*+'|{_PLAIN}"
_ENTRY = re.compile(
    rf"((?:-[ ]+(?!\#|$))*+(?:-(?=\s|$))?)[ ]*+(?:({_KEY})[ \t]*+:(?=[\s]|$))?+([ \t]*+)",
    re.MULTILINE,
)
_TOP = re.compile(rf"^(?:- |---$|(?:{_KEY})[ \t]*+:(?=\s|$))", re.MULTILINE)
_LONG_KEY = re.compile(r"\?[ ]+([^\s\[{|>&!?-][^\n]*+)\n([ ]*+):(?=\s|$)[ \t]*+", re.MULTILINE)
_SPLIT = re.compile(r"^(?:---(?=\s|$)|\.\.\.\s*$|%(?:YAML|TAG)\b)", re.MULTILINE)


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether lines are entries of mappings and sequences, with at least one level of nesting."""
    named = hint in ("yaml", "yml")
    entries = nested = items = plain = other = 0
    deeper = -1  # lines that are indented deeper go on with a value
    holds = False
    for at, first, stop in lines(text, start, min(end, start + 6000)):
        column = first - at
        if text[first] == "#" or (not column and _SPLIT.match(text, first, stop)):
            continue
        match = _ENTRY.match(text, first, stop)
        key = match[2] if match is not None else None
        dashes = match[1] if match is not None else ""
        if 0 <= deeper < column and not holds:
            continue
        if key is None and not dashes:
            other += not named or not holds or column <= deeper
        elif (
            key is not None
            and not named
            and (not _NAME.fullmatch(key.strip("\"'")) or _CODE.match(text, first, stop))
        ):
            other += 1
        else:
            at_value = match.end() if match is not None else stop
            value = text[at_value:stop]
            odd = value[:1] in ("*", "`", "%", "@") and not _ALIASED.fullmatch(value)
            other += odd and key is None and not named
            entries += key is not None
            nested += holds and column > deeper and key is not None
            items += holds and column >= deeper and key is None
            plain += key is not None and key.islower() and " " not in key
            holds = not value or value[0] in "&!#" or (bool(dashes) and value[0] not in "|>")
            in_item = text.find(key, first) if key and value[:1] in ("|", ">") else first
            deeper = column + in_item - first
        if other > 2 and other * 5 > entries:
            return False
    if named:
        return entries > 0 and other * 3 <= entries
    nested += items if plain == entries else 0  # not the lists of a text
    return entries >= 3 and nested > 0 and other * 10 <= entries


_CODE = re.compile(
    r"(?:def|class|if|elif|for|while|with|except|async|match|case|switch|public|private)[ ].*:$"
    r"|(?:else|try|finally|default|loop):$"
)
_ALIASED = re.compile(r"\*[\w.-]+")
_NAME = re.compile(r"(?:[\w./$@<&*!~+()%,'’-]++ ?){1,7}")


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add documents, entries and items; where it goes wrong, the rest as lines."""
    mark, base = out.mark(), len(out.start)
    reader = _Reader(out, end, parent, start)
    reader.run()
    if len(out.start) == base or reader.unread * 2 > end - start:
        out.reset(mark)
        return False
    if reader.unread:
        out.notes.append(NOTE)
    settle(out, base, reader.records)
    reader.keep_anchors(base)
    return True


@dataclass(slots=True)
class _Entry:
    """The entry read last: its part, its column, and whether its value may still follow."""

    part: int
    column: int
    open: bool


@dataclass(slots=True, eq=False)
class _Reader:
    out: Builder
    end: int
    root: int  # what the entries of the document belong to
    at: int
    records: Records = field(default_factory=Records)
    stack: list[tuple[int, bool, int]] = field(default_factory=list)  # column, sequence, owner
    last: _Entry | None = None
    comment: int = -1  # where a comment begins that waits for its key
    loose: bool = False  # a blank line stands between them
    unread: int = 0  # characters that do not parse
    tries: int = 0  # times that reading started again

    def run(self) -> None:
        """Read lines, documents and entries."""
        text, end, root = self.out.text, self.end, self.root
        first_split = _SPLIT.search(text, self.at, end)
        split = first_split is not None
        while self.at < end:
            match = _LINE.match(text, self.at, end)
            if match is None:  # the last line, of blanks only
                break
            first = match.start(2)
            stop = first + len(match[2].rstrip())
            at, self.at = self.at, match.end()
            if stop == first:
                self.loose = self.comment >= 0
            elif text[first] == "#":
                if self.comment < 0:
                    self.comment = first
            elif split and first == at and _SPLIT.match(text, first, end):
                self._document(first, stop, root)
            elif not self._entry(first - at, first, stop):
                self._broken(at if self.comment < 0 else self.comment, at)
        if self.comment >= 0:
            self._comments(end, root)

    def _broken(self, start: int, at: int) -> None:
        """Lines that do not parse, up to the next entry that is not indented."""
        text, end = self.out.text, self.end
        self.tries += 1
        newline = text.find("\n", at, end)
        again = None if newline < 0 or self.tries > _TRIES else _TOP.search(text, newline + 1, end)
        self.at = end if again is None else again.start()
        for _, a, b in lines(text, start, self.at):
            self.out.add(a, b, Kind.LINE, self.root)
        self.unread += self.at - start
        self.stack.clear()
        self.last, self.comment, self.loose = None, -1, False

    def _document(self, first: int, stop: int, root: int) -> None:
        """A line that separates documents: the head of the one below it."""
        text = self.out.text
        after = _SPLIT.search(text, stop, self.end)
        if self.comment >= 0:
            self._comments(first, root)
        self.stack.clear()
        if text[first] != "-" or (after is None and self.last is None):
            self.out.drop(first, min(stop + 1, self.end))
            return
        part = self.out.add(first, stop, Kind.RECORD, root, content=False)
        self.records.groups.setdefault("documents", []).append(part)
        self.root, self.last = part, _Entry(part, -1, True)

    def _comments(self, stop: int, parent: int) -> None:
        """A comment that stands by itself."""
        for _, a, b in lines(self.out.text, self.comment, stop):
            self.out.add(a, b, Kind.LINE, parent, content=parent == self.root)
        self.comment, self.loose = -1, False

    def _place(self, column: int, sequence: bool) -> int | None:
        """What an entry in a column belongs to; None where it belongs to nothing."""
        stack, last = self.stack, self.last
        while stack and (
            stack[-1][0] > column or (stack[-1][0] == column and stack[-1][1] and not sequence)
        ):
            stack.pop()
        if stack and stack[-1][0] == column and stack[-1][1] == sequence:
            return stack[-1][2]
        if last is None:
            owner = self.root
        elif last.open and (column > last.column or (column == last.column and sequence)):
            owner = last.part
            self._opened(owner)
        else:
            return None
        stack.append((column, sequence, owner))
        return owner if len(stack) <= _DEPTH else None

    def _opened(self, part: int) -> None:
        """A part without a value of its own turns out to hold others."""
        out = self.out
        key, _ = self.records.fields.pop(part, ("", ""))
        self.records.keys[part] = out.labels[part] = key
        out.kind[part] = Kind.HEAD if out.kind[part] == Kind.FIELD else Kind.RECORD
        out.content[part] = False

    def _entry(self, column: int, first: int, stop: int) -> bool:
        """One line that begins an entry, or goes on with the last one."""
        text, last = self.out.text, self.last
        match = _ENTRY.match(text, first, stop)
        if match is None or (last is not None and not last.open and column > last.column):
            return self._continued(column, first, stop)
        if text.startswith("? ", first):
            return self._long_key(column, first)
        dashes = match[1]
        key, key_stop = match.span(2)
        if not dashes and key < 0:
            return self._continued(column, first, stop)
        dash = first + dashes.rfind("-")
        own = column + (key if key >= 0 else dash) - first
        value = scalar(text, match.end(), stop, self.end, own)
        parent = self._place(column, bool(dashes)) if value is not None else None
        if value is None or parent is None:
            return False
        start = self._start(first, parent)
        if key >= 0 and value.start - match.end(3) < 1 < match.end(3) - match.start(3):
            self.out.drop(match.start(3) + 1, match.end(3))
        if dashes:
            self._item(start, first, match, value, parent, own)
        else:
            self._field(start, key, key_stop, value, parent, own)
        self._go_on(value, stop)
        return True

    def _long_key(self, column: int, first: int) -> bool:
        """A key too long for one line: ``? key`` and, on the next one, ``: value``."""
        text = self.out.text
        match = _LONG_KEY.match(text, first, self.end)
        if match is None or len(match[2]) != column:
            return False
        newline = text.find("\n", match.end(), self.end)
        high = self.end if newline < 0 else newline
        stop = match.end() + len(text[match.end() : high].rstrip())
        value = scalar(text, match.end(), stop, self.end, column)
        parent = self._place(column, False) if value is not None else None
        if value is None or parent is None:
            return False
        self._field(self._start(first, parent), *match.span(1), value, parent, column)
        self._go_on(value, first)
        return True

    def _start(self, first: int, parent: int) -> int:
        """Where an entry begins: at the comment above it, unless that stands by itself."""
        if self.comment < 0:
            return first
        top = self.loose and parent == self.root
        if top or first - self.comment > _COMMENT:
            self._comments(first, parent)
            return first
        start, self.comment, self.loose = self.comment, -1, False
        return start

    def _field(
        self, start: int, key: int, key_stop: int, value: Scalar, parent: int, column: int
    ) -> None:
        """A key with its value, or the head of what follows."""
        text, name = self.out.text, self.out.text[key:key_stop].strip("\"'")
        part = self._add(start, value, Kind.FIELD, parent, name)
        if not value.divided:
            self.records.fields[part] = (name, text[value.start : value.end])
            first_of_many = self.last is None and parent == self.root and not value.open
            if first_of_many and _SPLIT.search(text, value.end, self.end):
                # The first of several documents, without a line that begins it.
                self.out.kind[part] = Kind.RECORD
                self.records.groups["documents"] = [part]
                self.stack[:] = [(column, False, part)]
        self.last = _Entry(part, column, value.open)

    def _item(
        self,
        start: int,
        first: int,
        match: re.Match[str],
        value: Scalar,
        parent: int,
        column: int,
    ) -> None:
        """An item of a sequence; its first line is its head."""
        text, dashes = self.out.text, match[1]
        key, key_stop = match.span(2)
        columns = [
            column - (max(key, first + dashes.rfind("-")) - first) + i
            for i, c in enumerate(dashes)
            if c == "-"
        ]
        if key < 0:
            part = self._add(start, value, Kind.ENTRY, parent, "")
            if value.open:
                self.out.end[part] = max(first + len(dashes.rstrip()), value.end)
        elif value.open or value.divided:
            part = self.out.add(
                start, first + len(dashes.rstrip()), Kind.RECORD, parent, content=False
            )
        else:
            part = self._add(start, value, Kind.RECORD, parent, "")
            name = text[key:key_stop].strip("\"'")
            self.records.fields[part] = (name, text[value.start : value.end])
        self.records.groups.setdefault(parent, []).append(part)
        for place in columns[1:]:
            self.stack.append((place, True, part))
        if key >= 0:
            self.stack.append((column, False, part))
        if key >= 0 and (value.open or value.divided):
            self._field(key, key, key_stop, value, part, column)
        else:
            self.last = _Entry(part, column if key >= 0 else columns[-1], value.open)

    def _add(self, start: int, value: Scalar, kind: Kind, parent: int, label: str) -> int:
        """A part with its value; a long one divided."""
        out = self.out
        if value.body >= 0:
            stop = start + len(out.text[start : value.body].rstrip())
            head = Kind.HEAD if kind == Kind.FIELD else kind
            part = out.add(
                start, stop, head, parent, content=False, whole=True, label=label, style=PLAIN
            )
            add_body(out, value, part)
            return part
        at, end = value.start, value.end
        if value.close >= 0:
            return add_array(
                out,
                start,
                at + 1,
                value.close,
                end,
                parent,
                label=label,
                tokens=FLOW,
                style=STYLE,
                kind=Kind.HEAD if kind == Kind.FIELD else kind,
            )
        if end - at > LONGER and out.text[at] == '"' == out.text[end - 1]:
            part = len(out.start)
            if out.text.find("\n", at, end) < 0 and add_string(out, start, at, end, parent):
                return part
        return out.add(start, end, kind, parent)

    def _continued(self, column: int, first: int, stop: int) -> bool:
        """A further line of the value of the last entry, or its first one."""
        last, out = self.last, self.out
        if last is None or column <= last.column or last.part != len(out.start) - 1:
            return False
        self.comment, self.loose = -1, False
        value = Scalar(first, stop)
        if last.open:
            found = scalar(out.text, first, stop, self.end, last.column)
            if found is None or out.kind[last.part] == Kind.RECORD:
                return False
            value = found
        out.end[last.part] = value.end
        if last.part in self.records.fields:
            key, _ = self.records.fields[last.part]
            self.records.fields[last.part] = (key, out.text[value.start : value.end])
        last.open = value.open
        self._go_on(value, stop)
        return True

    def _go_on(self, value: Scalar, stop: int) -> None:
        """Continue behind a value that ends on a later line than the one up to ``stop``."""
        if value.end > stop:
            newline = self.out.text.find("\n", value.end, self.end)
            self.at = self.end if newline < 0 else newline + 1

    def keep_anchors(self, base: int) -> None:
        """What an alias refers to is always kept, with enough inside to be what it was."""
        out = self.out
        used = set(_ALIAS.findall(out.text, out.start[base], self.end))
        if not used:
            return
        for i in range(base, len(out.start)):
            named = _ANCHOR.findall(out.text, out.start[i], out.end[i])
            if not used.intersection(named):
                continue
            above = i
            while above >= base:
                out.always[above] = True
                above = out.parent[above]
            below = i + 1
            while below < len(out.start) and out.parent[below] == below - 1:
                out.always[below] = True
                below += 1


_ALIAS = re.compile(r"(?<=[\s,\[])\*([^\s,\[\]{}]++)(?=\s|[,\]}]|$)")
_ANCHOR = re.compile(r"(?<=[\s,\[])&([^\s,\[\]{}]++)")
