"""The text between the tags of HTML: which blanks and which tags stay so that words stay apart."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ctxzip.segment import sentences
from ctxzip.segment.formats.html_tokens import BLOCK, Token
from ctxzip.segment.language import guess
from ctxzip.segment.tree import Builder

__all__ = ["Flow"]

_BLANKS = re.compile(r"\s{2,}")
_SPACE = re.compile(r"\s+")
_ANY_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_STOP = re.compile(
    r"[.!?\u2026][\"'\u201d\u2019)\]]*\s|[\u037e\u0589-\u1fff\u3002\uff01\uff0e\uff1f]"
)
_LINE = 60  # characters of a line that ends with <br> and is one by itself

_Piece = tuple[int, int, int, str]  # start with a kept tag, start, end, what joins it to the last


def _plain(text: str) -> str:
    """Text whose runs of blanks are one space."""
    if "  " in text or "\n" in text or "\t" in text:
        text = _SPACE.sub(" ", text)
    return text.strip()


class Flow:
    """Reads a page from left to right; every character is kept or dropped once.

    Attributes:
        at: how far the source is read.
        last: end of what was kept last.
        pending: tag of a list item that waits for its text: (start, end, name).
    """

    def __init__(self, out: Builder, start: int) -> None:
        self.out, self.source = out, out.text
        self.at = self.last = self.begin = start
        self.pending: tuple[int, int, str] | None = None
        self._gap: list[Token] = []
        self._pieces: list[_Piece] = []
        self._block = True  # a paragraph ended since what was kept last
        self._tag = 0  # what was kept last: 1 an opening tag, 2 a closing one, 0 text
        self._language: str | None = None

    def tag(self, token: Token) -> None:
        """A tag that goes."""
        self._gap.append(token)
        self.at = token.end
        if token.name in BLOCK and token.name != "br":
            self._block = True

    def text(self, stop: int) -> tuple[int, int] | None:
        """Running text up to ``stop``; its blanks become one. Where it stands, None if blank."""
        raw = self.source[self.at : stop]
        body = raw.strip()
        if not body:
            self.at = stop
            return None
        start = self.at + len(raw) - len(raw.lstrip())
        end = start + len(body)
        joint, first = "", start
        if self._tag == 1 and not self._gap:
            if start > self.last:
                self.out.noise.append((self.last, start))
        else:
            joint, first = self._bridge(start)
        if "  " in body or "\n" in body:
            for match in _BLANKS.finditer(body):
                self._one(start + match.start(), start + match.end())
        self._pieces.append((first, start, end, joint))
        self.at, self.last, self._tag, self._block = stop, end, 0, False
        return start, end

    def keep(self, token: Token, attributes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """A tag that stays, with no more than these attributes."""
        source, at = self.source, token.start
        self._between_tags(at, token.closes)
        if not token.closes:
            here = token.named
            for a, b in attributes:
                self.out.drop(here, a)
                here = b
            self.out.drop(here, token.end - 1)
        elif source[token.end - 2].isspace():
            self.out.drop(at + 2 + len(token.name), token.end - 1)
        self.at = self.last = token.end
        self._tag = 2 if token.closes else 1
        self._block = token.closes
        return at, token.end

    def whole(self, token: Token, inner: Sequence[Token], mate: Token) -> tuple[int, int] | None:
        """A short element with its tags, such as a heading; None, and nothing stays, if blank."""
        edges = [token.end, *[x for t in inner for x in (t.start, t.end)], mate.start]
        if not any(self.source[a:b].strip() for a, b in zip(edges[::2], edges[1::2], strict=True)):
            for tag in (token, *inner, mate):
                self.tag(tag)
            return None
        start, _ = self.keep(token, ())
        for tag in inner:
            if self.at < tag.start:
                self.text(tag.start)
            if self.at < tag.end:
                self.tag(tag)
        if self.at < mate.start:
            self.text(mate.start)
        self._pieces.clear()
        self._drop_all(mate.start)
        _, end = self.keep(mate, ())
        return start, end

    def words(self, start: int, end: int) -> str:
        """The text of an element, for people's and models' eyes."""
        return _SPACE.sub(" ", _ANY_TAG.sub("", self.source[start:end])).strip()

    def drop_blanks(self, start: int) -> None:
        """Nothing stays between what was kept last and ``start``."""
        self._drop_all(start)

    def take_pieces(self) -> str:
        """The text since the last call, which belongs to a part of its own."""
        pieces = self._pieces
        if not pieces:
            return ""
        text = "".join([joint + self.source[a:b] for _, a, b, joint in pieces])
        pieces.clear()
        return _plain(text)

    def line_ends(self, token: Token, after: Sequence[Token]) -> bool:
        """Whether ``<br>`` ends more than a line of wrapped text."""
        source = self.source
        if not self._pieces:
            return False
        if after and after[0].name == "br" and not source[token.end : after[0].start].strip():
            return True
        size = sum(b - a for _, a, b, _ in self._pieces)
        return size < _LINE or source[self.last - 1] in ".:!?;"

    def sentences(self) -> list[tuple[int, int, str]]:
        """``(start, end, text)`` of the sentences of the paragraph that ends here."""
        pieces = self._pieces
        if not pieces:
            return []
        self._pieces = []
        self._block = True
        offsets: list[int] = []
        parts: list[str] = []
        size = 0
        for _, a, b, joint in pieces:
            parts += [joint, self.source[a:b]]
            offsets.append(size + len(joint))
            size += len(joint) + b - a
        clean = "".join(parts)
        if not _STOP.search(clean) and size < 1000:
            return [(pieces[0][0], pieces[-1][2], _plain(clean))]
        if self._language is None:
            self._language = guess(clean)
        # No line of a paragraph is a heading, an item or a fence.
        flat = clean.replace("\n", " ").replace("\r", " ")
        units = sentences.split(flat, self._language)
        found = []
        for a, b in zip(units.start.tolist(), units.end.tolist(), strict=True):
            k = bisect_right(offsets, a) - 1
            first, start, _, _ = pieces[k]
            low = first if a == offsets[k] else start + a - offsets[k]
            k = bisect_right(offsets, b - 1) - 1
            found.append((low, pieces[k][1] + b - offsets[k], _plain(flat[a:b])))
        return found

    def preformatted(self, inner: Sequence[Token], mate: Token) -> Iterator[tuple[int, int]]:
        """The lines of ``<pre>``, whose blanks all stay; read up to its closing tag."""
        source = self.source
        low = high = -1
        for token in [*inner, mate]:
            while self.at < token.start:
                newline = source.find("\n", self.at, token.start)
                stop = token.start if newline < 0 else newline
                raw = source[self.at : stop]
                if body := raw.strip():
                    start = self.at + len(raw) - len(raw.lstrip())
                    low, high = (start if low < 0 else low), start + len(body)
                if newline >= 0 and low >= 0:
                    self.last = high
                    yield low, high
                    low = -1
                self.at = stop + (newline >= 0)
            if token is not mate:
                self.out.drop(token.start, token.end)
                self.at = max(self.at, token.end)
        if low >= 0:
            self.last = high
            yield low, high
        self._tag = 0
        self._gap.clear()
        self.at = mate.start

    def finish(self, end: int) -> None:
        """Drop what is left behind the last kept character."""
        self._drop_all(end)

    def _drop_all(self, stop: int) -> None:
        self.out.drop(self.last, stop)
        self._gap.clear()

    def _one(self, low: int, high: int) -> None:
        """Of a run of blanks one stays, a space if there is one."""
        at = self.source.find(" ", low, high)
        if at < 0:
            at = low
        self.out.drop(low, at)
        self.out.drop(at + 1, high)

    def _between_tags(self, start: int, closes: bool) -> None:
        """Before a tag that stays: a new line if there is one, nothing else."""
        low = self.last
        if start <= low:
            return
        at = -1
        if low > self.begin and not (closes and self._tag == 1):
            at = self._find("\n", low, start)
        self._drop_but(low, start, at)

    def _bridge(self, start: int) -> tuple[str, int]:
        """What joins text to what was kept before it: the joint, and where the text now begins."""
        low, gap = self.last, self._gap
        if start <= low:
            return "", start
        if low == self.begin or self._tag == 1:
            self._drop_but(low, start, -1)
            return "", start
        if self._tag:
            self._drop_but(low, start, self._find("\n", low, start))
            return "", start
        order = "\n " if self._block else " \n"
        at = self._find(order[0], low, start)
        if at < 0:
            at = self._find(order[1], low, start)
        if at < 0 and gap:
            broken = self._block or any(tag.name == "br" for tag in gap)
            if broken or self._apart(start):
                at = next((m for m in (self._blank(tag) for tag in gap) if m >= 0), -1)
            if at < 0 and broken:
                return "\n", self._keep_tag(low, start)
        self._drop_but(low, start, at)
        return (" " if at >= 0 else ""), start

    def _keep_tag(self, low: int, start: int) -> int:
        """No blank anywhere: the first opening tag stays, or else the slash of a closing one."""
        tag = next((t for t in self._gap if not t.closes and t.name in BLOCK), None)
        a, b = (tag.start, tag.end) if tag else (self._gap[0].start + 1, self._gap[0].start + 2)
        self.out.drop(low, a)
        self.out.drop(b, start)
        if tag and self.source[b - 2] == "/":
            self.out.drop(b - 2, b - 1)
        self._gap.clear()
        return a

    def _apart(self, start: int) -> bool:
        """Whether two words meet where one inline element ends and another begins."""
        source, gap = self.source, self._gap
        if not (source[self.last - 1].isalnum() and source[start].isalnum()):
            return False
        return any(a.closes and not b.closes for a, b in pairwise(gap))

    def _blank(self, tag: Token) -> int:
        return self.source.find(" ", tag.start, tag.end)

    def _find(self, blank: str, low: int, high: int) -> int:
        """The first such blank between the tags of the gap."""
        find = self.source.find
        for tag in self._gap:
            if low < tag.start and (at := find(blank, low, tag.start)) >= 0:
                return at
            low = max(low, tag.end)
        return find(blank, low, high) if low < high else -1

    def _drop_but(self, low: int, high: int, at: int) -> None:
        noise = self.out.noise
        if at < 0:
            noise.append((low, high))
        else:
            if at > low:
                noise.append((low, at))
            if high > at + 1:
                noise.append((at + 1, high))
        if self._gap:
            self._gap.clear()
