"""Sentences of any text, aware of markdown.

Blocks are told apart by :mod:`ctxzip.segment.blocks`; ``sentencex`` (MIT, Wikimedia) finds the
sentences inside them, for its accuracy on edited text at a fraction of the cost of the others;
tests/benchmarks/segmenting.md has the figures. Around it stand: windows, for its time is
quadratic in the length of a paragraph of short sentences; a few abbreviations that it lacks; and
cuts inside what is too long to be one sentence.
"""

from __future__ import annotations

import re
import unicodedata

import sentencex

from ctxzip.segment.blocks import Block, blocks
from ctxzip.segment.language import guess
from ctxzip.text.units import Kind, Units

__all__ = ["pieces", "split"]

_WINDOW = 1000
_LONG, _CUT = 1200, 1000
_QUOTED = 400  # sentencex never cuts inside quotes or brackets, however much they hold
_SPACED = frozenset(("th", "lo"))  # a space ends a sentence or a clause; there is no full stop

_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"\w")
_INNER = re.compile(r"[.!?\u037e\u0387\u0589-\u1fff\u2024-\u2026\u203c-\u2049\u2cf9-\uffff]")
_INNER_GREEK = re.compile(r"[.!?;\u0387\u2026]")
_STOPS = re.compile("[\u17d4\u17d5\u0f0d\u0f0e]+\\s*")  # Khmer and Tibetan, unknown to sentencex
_SENTENCE = re.compile(  # from the first stop of a run only: a row of stops stays linear
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019\u00bb)\]]*\s+(?=[\"'\u201c\u2018\u00ab(\[]*[^\W_a-z])"
)
_CLAUSE = re.compile(
    r"[,;:)\]\u2013\u2014](?=\s)|[\u3001\u3002\uff0c\uff1b\uff1a\uff01\uff1f\u060c\u061b]"
)
_SPACE = re.compile(r"\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'\u201c])(?:Figs?|Eqs?|Refs?|cf|vs|approx|viz|e\.\s?g|i\.\s?e|Mr|Mrs|Ms|Dr|Prof|Gen"
    r"|Col|Lt|Sgt|Capt|Rev|Messrs|Mme|Mlle|Hr|Dhr|Bijv|bzw|vgl|z\.\s?B|d\.\s?h|p\.\s?ex|\u0442\.\s?\u0435"
    r"|[A-HJ-Z\u00c0-\u00de\u0410-\u042f])\.$"
)
_BEFORE_NUMBER = re.compile(
    r"(?:^|[\s(\['\u2019])(?:[Nn]os?|Nr|[Vv]ols?|[Cc]h|[Ss]ecs?|[Aa]rts?|pp?|[Tt]abs?|ca|c)\.$",
    re.ASCII,
)
_ASIDE = re.compile(r"\s*[(\[][^()\[\]]+[.!?][\"'\u201d\u2019]?[)\]](?=\s+[^\W\da-z_])")
_LETTER = re.compile(r"(?<!\w)\w\.$")


def split(text: str, language: str | None = None) -> Units:
    """Split a text into sentence-level units.

    Args:
        text: plain text or markdown; any Unicode.
        language: ISO 639-1 code; guessed where None.

    Returns:
        Units that cover every character that is not whitespace, in order and disjoint. Fenced
        and indented code, JSON blocks, table rows and headings are atomic; a unit of kind
        ``SENTENCE`` or ``ITEM`` has at most 1,200 characters.
    """
    safe = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    language = language.split("-")[0].lower() if language else guess(safe)
    spans: list[tuple[int, int]] = []
    kinds: list[int] = []
    requires: list[int] = []
    first: list[int] = []
    for block in blocks(safe):
        first.append(len(spans))
        if block.kind is Kind.SENTENCE or block.kind is Kind.ITEM:
            found = pieces(safe, block, language)
        else:
            found = [(block.start, block.end)]
        spans += found
        kinds.append(block.kind)
        requires.append(-1 if block.requires < 0 else first[block.requires])
        if len(found) > 1:
            kinds += [Kind.SENTENCE] * (len(found) - 1)
            requires += [-1] * (len(found) - 1)
    return Units.of(spans, kinds, requires)


def pieces(text: str, block: Block, language: str) -> list[tuple[int, int]]:
    """The sentences of one block; the first begins with the marker of a list item."""
    start, body, end, _, _ = block
    inner = _INNER_GREEK if language == "el" else _INNER
    if end - start <= _QUOTED and not inner.search(text, body, end - 1):
        return [(start, end)]
    found = []
    for stop in _shortened(text, body, _ends(text, body, end, language), language):
        found.append((start, stop))
        start = _behind_space(text, stop)
    return found


def _ends(text: str, start: int, end: int, language: str) -> list[int]:
    """Where the sentences of a paragraph end, whitespace not counted; the last is ``end``."""
    result: list[int] = []
    position = last = wordless = start
    while position < end:
        stop = min(end, position + _WINDOW)
        part = text[position:stop]
        cuts = [b["end_index"] for b in sentencex.get_sentence_boundaries(language, part)]
        if not part.isascii() and (more := [match.end() for match in _STOPS.finditer(part)]):
            cuts = sorted({*cuts, *more})
        if stop < end:
            # The last sentence of a window may go on behind it.
            cuts.pop()
        for cut in (position + cut for cut in cuts):
            trimmed = _trimmed(text, last, cut)
            if trimmed == last or (cut < end and _joined(text, trimmed, cut)):
                continue
            if _WORD.search(text, max(last, wordless), trimmed):
                if aside := _ASIDE.match(text, last, trimmed):
                    result.append(aside.end())
                result.append(trimmed)
            elif result:
                # A stray quotation mark or emoji belongs to the sentence before it.
                result[-1] = trimmed
            else:
                wordless = trimmed
                continue
            last = trimmed
        # Without progress (a row of full stops) the next window begins inside a sentence.
        position = position + cuts[-1] if cuts and cuts[-1] >= _WINDOW // 4 else stop
    if not result or result[-1] < end:
        result.append(end)
    return result


def _joined(text: str, end: int, following: int) -> bool:
    """Whether what looks like the end of a sentence is an abbreviation."""
    if text[end - 1] != ".":
        return False
    low = max(0, end - 12)
    if _ABBREVIATION.search(text, low, end):
        return True
    if following == end:
        return _LETTER.search(text, low, end) is not None
    return text[following].isdigit() and _BEFORE_NUMBER.search(text, low, end) is not None


def _shortened(text: str, start: int, ends: list[int], language: str) -> list[int]:
    """Cut what is too long: at sentences inside quotes, at clauses, else spaces, else anywhere."""
    quoted, long, cut_at = _QUOTED, _LONG, _CUT
    if language in _SPACED:
        quoted, long, cut_at = _LONG, 200, 150
    result: list[int] = []
    for end in ends:
        if end - start > quoted:
            for match in _SENTENCE.finditer(text, start + 40, end - 20):
                stop = _trimmed(text, start, match.end())
                if stop - start > 40 and not _joined(text, stop, match.end()):
                    _cut_down(text, start, stop, long, cut_at, result)
                    start = match.end()
        _cut_down(text, start, end, long, cut_at, result)
        start = _behind_space(text, end)
    return result


def _cut_down(text: str, start: int, end: int, long: int, cut_at: int, result: list[int]) -> None:
    while end - start > long:
        cut = 0
        if long == _LONG:
            for match in _CLAUSE.finditer(text, start + cut_at // 3, start + cut_at):
                cut = match.end()
        if not cut:
            for match in _SPACE.finditer(text, start + 1, start + cut_at):
                cut = match.start()
        if not cut:
            space = _SPACE.search(text, start + cut_at, min(start + _CUT, end))
            cut = space.start() if space else _whole(text, start + _CUT)
        if cut >= end:
            break
        result.append(cut)
        start = _behind_space(text, cut)
    result.append(end)


def _trimmed(text: str, low: int, high: int) -> int:
    while high > low and text[high - 1].isspace():
        high -= 1
    return high


def _behind_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _whole(text: str, position: int) -> int:
    """The first place from ``position`` on where no mark or joiner is torn from its character."""
    for at in range(position, min(position + 100, len(text))):
        mark = unicodedata.category(text[at])[0] == "M" or "\U0001f3fb" <= text[at] <= "\U0001f3ff"
        if not mark and "\u200d" not in text[at - 1 : at + 1]:
            return at
    return position
