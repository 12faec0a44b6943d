"""HTML: the content of a page as sections, lists, tables and sentences; its markup is noise.

Kept are the tags that carry structure: headings, lists, tables, quotes, preformatted text. End tags
that HTML lets out (``</li>``, ``</td>``) go. Where dropping tags would join two words, a blank or
the shortest of the tags stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ctxzip.segment.formats.html_flow import Flow
from ctxzip.segment.formats.html_tables import add_table, is_data
from ctxzip.segment.formats.html_tokens import BLOCK, HEADINGS, Token, noise, tokens
from ctxzip.segment.tree import Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("<!-- ", " -->")

_HINTS = frozenset(("html", "htm", "xhtml", "vue", "svelte"))
_DOCUMENT = re.compile(
    r"\s*(?:<\?xml[^<>]*>\s*)?(?:<!--.{0,2000}?-->\s*)*(?:<!doctype html|<html\b)", re.I | re.S
)
_FRAGMENT = re.compile(
    r"\s*(?:<!--.{0,2000}?-->\s*)*<(?:table|div|p|ul|ol|dl|section|article|main|body|head|h[1-6]|form|details"
    r"|nav|header|blockquote|pre|select|span|aside|figure)\b[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_SAMPLE = 32_768
_ITEMS = {"li": ("ul", "ol", "menu"), "option": ("select",), "dd": ("dl",), "dt": ("dl",)}
_LISTS = frozenset(("ul", "ol", "menu", "dl", "select", "blockquote"))


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether this is a page, or a fragment with all of its text inside of block elements."""
    stop = min(end, start + _SAMPLE)
    if _DOCUMENT.match(text, start, stop):
        return True
    if hint in _HINTS:
        return len([t for t in tokens(text, start, stop) if t.name]) > 1
    if not _FRAGMENT.match(text, start, stop):
        return False
    found = tokens(text, start, stop)
    outside = inside = 0
    at, until, closing = start, -1, 0
    for i, token in enumerate([*found, Token("", stop, stop)]):
        size = len(text[at : token.start].strip())
        if i <= until:
            inside += size
        elif until < 0 and not token.closes and i < len(found):
            outside += size
        else:
            outside += size
        at = token.end
        closing += token.closes
        if i > until and token.mate > i and token.name in BLOCK:
            until = token.mate
        elif i > until and token.name in BLOCK and stop < end and not token.closes:
            until = len(found)
    return closing > 0 and outside * 20 <= inside


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the content of a page; navigation, scripts and what is hidden count as noise."""
    found = tokens(out.text, start, end)
    if not any(token.name for token in found):
        return False
    size = len(out.start), len(out.noise), len(out.notes)
    for everything in (False, True):
        reader = _Reader(out, found, start, end, parent, everything)
        reader.run()
        if len(out.start) > size[0] and any(out.content[size[0] :]):
            return True
        _undo(out, *size)
    return False


def _undo(out: Builder, parts: int, noise: int, notes: int) -> None:
    for column in (
        out.start, out.end, out.parent, out.kind, out.always, out.whole, out.content,
        out.labels, out.readings,
    ):  # fmt: skip
        del column[parts:]
    del out.noise[noise:]
    del out.notes[notes:]


class _Frame:
    """An element that others stand in.

    Attributes:
        name: of its tag.
        part: what stands in it belongs to this part.
        until: number of the token that ends it.
        closer: whether that token stays.
        sections: open headings inside, as (level, part).
        head: part of its own opening tag.
    """

    __slots__ = ("closer", "head", "name", "part", "sections", "until")

    def __init__(self, name: str, part: int, until: int, closer: bool = False) -> None:
        self.name, self.part, self.until, self.closer = name, part, until, closer
        self.head = part
        self.sections: list[tuple[int, int]] = []

    @property
    def parent(self) -> int:
        return self.sections[-1][1] if self.sections else self.part


class _Reader:
    def __init__(
        self, out: Builder, found: list[Token], start: int, end: int, parent: int, everything: bool
    ) -> None:
        self.out, self.found, self.end = out, found, end
        self.everything = everything
        self.flow = Flow(out, start)
        self.frames = [_Frame("", parent, len(found))]
        self.lead = -1

    def run(self) -> None:
        i, n = 0, len(self.found)
        flow = self.flow
        while i < n:
            token = self.found[i]
            if flow.at < token.start:
                flow.text(token.start)
            while len(self.frames) > 1 and self.frames[-1].until <= i:
                self._close(self.frames[-1].until == i)
            i = self._open(i, token) if not token.closes else self._end(i, token)
        if flow.at < self.end:
            flow.text(self.end)
        while len(self.frames) > 1:
            self._close(False)
        self._flush()
        flow.finish(self.end)

    def _end(self, i: int, token: Token) -> int:
        if self.flow.at < token.end:
            if token.name in BLOCK:
                self._flush()
            self.flow.tag(token)
        return i + 1

    def _open(self, i: int, token: Token) -> int:
        name = token.name
        if (
            not self.everything
            and token.mate > i
            and noise(self.out.text, token, self.frames[-1].name)
        ):
            return self._skip(token)
        if name not in BLOCK and name != "pre":
            self.flow.tag(token)
            return i + 1
        if name != "br" or self.flow.line_ends(token, self.found[i + 1 : i + 2]):
            self._flush()
        handler = _HANDLERS.get(name)
        return self._passed(i, token) if handler is None else handler(self, i, token)

    def _passed(self, i: int, token: Token) -> int:
        """A tag without structure of its own."""
        if token.name == "details" and self._inside(token.mate):
            self.frames.append(_Frame(token.name, self.frames[-1].parent, token.mate))
        self.flow.tag(token)
        return i + 1

    def _inside(self, mate: int) -> bool:
        return 0 <= mate < self.frames[-1].until

    def _skip(self, token: Token) -> int:
        mate = self.found[token.mate]
        if mate.end - token.end > 200 and token.name in (
            "nav",
            "footer",
            "div",
            "section",
            "aside",
        ):
            self.out.notes.append("Navigation, footers and hidden text of the page are left out.")
        if token.name in BLOCK:
            self._flush()
        token.end = mate.end
        self.flow.tag(token)
        return token.mate + 1

    def _skip_but_title(self, i: int, token: Token) -> int:
        if token.mate <= i:
            return self._passed(i, token)
        inner = range(i + 1, token.mate)
        title = next((k for k in inner if self.found[k].name == "title"), -1)
        if title < 0 or not self.found[title].mate > title:
            return self._skip(token)
        token.end = self.found[title].start
        self.flow.tag(token)
        self._heading(title, self.found[title])
        rest = self.found[token.mate]
        self.flow.tag(Token("", self.flow.at, rest.end))
        return token.mate + 1

    def _heading(self, i: int, token: Token) -> int:
        """A heading of a section; the title and a summary are read the same way."""
        mate = token.mate
        inner = self.found[i + 1 : mate] if mate > i else []
        if not self._inside(mate) or any(t.name in BLOCK and t.name != "br" for t in inner):
            self.flow.tag(token)
            return i + 1
        self._settle()
        span = self.flow.whole(token, inner, self.found[mate])
        if span is None:
            return mate + 1
        label = self.flow.words(*span)
        frame = self.frames[-1]
        if token.name == "title":
            self.out.add(*span, Kind.SENTENCE, frame.parent, reading=label)
            return mate + 1
        level = HEADINGS.get(token.name, 0)
        while level and frame.sections and frame.sections[-1][0] >= level:
            frame.sections.pop()
        part = self.out.add(
            *span, Kind.SECTION, frame.parent, content=False, label=label[:300], style=STYLE
        )
        if level:
            frame.sections.append((level, part))
        elif frame.name == "details":
            frame.part = part
        return mate + 1

    def _list(self, i: int, token: Token) -> int:
        closes = self._inside(token.mate)
        if token.mate >= 0 and not closes:
            self.flow.tag(token)
            return i + 1
        part = self._structure(token, Kind.HEAD)
        until = token.mate if closes else self.frames[-1].until
        self.frames.append(_Frame(token.name, part, until, closes))
        return i + 1

    def _structure(self, token: Token, kind: Kind, whole: bool = False) -> int:
        """The opening tag of a list, below the line that leads to it."""
        self._settle()
        start, end = self.flow.keep(token, ())
        parent = self.frames[-1].parent
        if self.lead >= 0 and self.lead == len(self.out.start) - 1:
            parent = self.lead
            self.out.content[parent] = self.out.end[parent] - self.out.start[parent] > 300
        return self.out.add(start, end, kind, parent, content=False, whole=whole, style=STYLE)

    def _settle(self) -> None:
        """Give the tag of an item without text of its own a part."""
        pending = self.flow.pending
        if pending is not None:
            self.flow.pending = None
            self._add_item(*pending, "")

    def _item(self, i: int, token: Token) -> int:
        frames = self.frames
        lists = _ITEMS[token.name]
        at = len(frames) - 1
        while at and frames[at].name not in lists:
            if frames[at].name in _LISTS:
                at = 0
                break
            at -= 1
        if not at:
            self.flow.tag(token)
            return i + 1
        while len(frames) - 1 > at and not (token.name == "dd" and frames[-1].name == "dt"):
            self._close(False)
        self._settle()
        start, end = self.flow.keep(token, ())
        self.flow.pending = (start, end, token.name)
        frame = _Frame(token.name, frames[-1].parent, frames[at].until)
        frame.head = -1
        frames.append(frame)
        return i + 1

    def _add_item(self, start: int, end: int, name: str, reading: str) -> int:
        """An item, or the term that definitions hang on."""
        frame = self.frames[-1]
        term = name == "dt"
        before = len(self.out.start) - 1
        if (
            term
            and before >= 0
            and self.out.kind[before] == Kind.ENTRY
            and reading
            and self.out.parent[before] == frame.parent
        ):
            self.out.end[before] = end  # one more term for the same definition
            frame.part = frame.head = before
            return before
        part = self.out.add(
            start,
            end,
            Kind.ENTRY if term else Kind.ITEM,
            frame.parent,
            content=bool(reading) and not term,
            whole=True,
            label=reading[:300] if term else "",
            reading=reading or None,
            style=STYLE,
        )
        frame.part = frame.head = part
        return part

    def _close(self, ended: bool) -> None:
        """Leave the innermost element; its closing tag stays where it must."""
        self._flush()
        self._settle()
        frame = self.frames.pop()
        out = self.out
        if frame.head >= 0 and frame.name in _ITEMS and len(out.start) > frame.head + 1:
            out.readings[frame.head] = None
        if ended and frame.closer:
            start, end = self.flow.keep(self.found[frame.until], ())
            out.add(start, end, Kind.CLOSER, frame.head, always=True, content=False)

    def _flush(self) -> None:
        """End a paragraph: its sentences become parts."""
        sentences = self.flow.sentences()
        if not sentences:
            return
        pending = self.flow.pending
        self.flow.pending = None
        if pending is not None:
            _, end, reading = sentences[0]
            self._add_item(pending[0], end, pending[2], reading)
            sentences = sentences[1:]
        parent = self.frames[-1].parent
        for start, end, reading in sentences:
            self.out.add(start, end, Kind.SENTENCE, parent, reading=reading)
        last = len(self.out.start) - 1
        leads = self.out.text[self.out.end[last] - 1] in ":\uff1a"
        self.lead = last if leads and (sentences or pending) else -1

    def _preformatted(self, i: int, token: Token) -> int:
        if not self._inside(token.mate):
            return self._passed(i, token)
        part = self._structure(token, Kind.ENTRY, whole=True)
        mate = self.found[token.mate]
        for start, end in self.flow.preformatted(self.found[i + 1 : token.mate], mate):
            self.out.add(start, end, Kind.LINE, part)
        start, end = self.flow.keep(mate, ())
        self.out.add(start, end, Kind.CLOSER, part, always=True, content=False)
        return token.mate + 1

    def _table(self, i: int, token: Token) -> int:
        stop = token.mate if self._inside(token.mate) else -1
        if (stop < 0 <= token.mate) or not is_data(self.out.text, self.found, i):
            return self._passed(i, token)
        self._settle()
        parent = self.frames[-1].parent
        if self.lead >= 0 and self.lead == len(self.out.start) - 1:
            parent = self.lead
            self.out.content[parent] = self.out.end[parent] - self.out.start[parent] > 300
        until = stop if stop >= 0 else self.frames[-1].until
        return add_table(self.out, self.flow, self.found, i, until, stop >= 0, parent, STYLE)


_HANDLERS: dict[str, Callable[[_Reader, int, Token], int]] = {
    **dict.fromkeys((*HEADINGS, "title", "summary"), _Reader._heading),
    **dict.fromkeys(_LISTS, _Reader._list),
    **dict.fromkeys(_ITEMS, _Reader._item),
    "head": _Reader._skip_but_title,
    "pre": _Reader._preformatted,
    "table": _Reader._table,
}
