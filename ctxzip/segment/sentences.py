"""Sentences of any text, aware of markdown."""

from __future__ import annotations

import re

import sentencex

from ctxzip.segment.blocks import blocks
from ctxzip.units import Kind, Units

__all__ = ["split"]

_WINDOW = 3000  # sentencex is quadratic in the length of a paragraph of many short sentences
_LONG = 1200
_CUT = 1000
_SURROGATE = re.compile("[\ud800-\udfff]")
_INNER = re.compile(r"[.!?\u2026\u2025;:\u037e\u0387\u0589-\u1fff\u203c-\u2049\u2cf9-\uffff]")
_CLAUSE = re.compile(r"[,;:)\]\u2013\u2014](?=\s)|[\u3001\u3002\uff0c\uff1b\uff1a\u060c\u061b]")
_SPACE = re.compile(r"\s+")
_NEVER_LAST = re.compile(
    r"(?:^|[\s(\[\"'\u201c])(?:(?:Figs?|Eqs?|Refs?|Tabs?|Secs?|Ch|Vols?|Nos?|Nr|pp?|cf|ca|vs|approx|al"
    r"|e\.\s?g|i\.\s?e|viz|Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Sen|Gov|Messrs|Mme|Mlle"
    r"|resp|incl|bzw|vgl|z\.\s?B|d\.\s?h|u\.\s?a|p\.\s?ex|Abb|[A-Z\u00c0-\u00de\u0410-\u042f])\.)$"
)
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u3400-\u9fff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("hy", re.compile("[\u0530-\u058f]")),
    ("my", re.compile("[\u1000-\u109f]")),
    ("am", re.compile("[\u1200-\u137f]")),
)


def split(text: str, language: str | None = None) -> Units:
    """Split a text into sentence-level units.

    Args:
        text: plain text or markdown; any Unicode.
        language: ISO 639-1 code; guessed by script where None.

    Returns:
        Units that cover every character that is not whitespace, in order and disjoint. Fenced
        and indented code, JSON blocks, table rows and headings are atomic; a unit of kind
        ``SENTENCE`` or ``ITEM`` has at most 1,200 characters.
    """
    safe = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    language = language or _language(safe)
    spans: list[tuple[int, int]] = []
    kinds: list[int] = []
    requires: list[int] = []
    first_unit: list[int] = []
    for block in blocks(safe):
        first_unit.append(len(spans))
        kind = int(block.kind)
        need = -1 if block.requires < 0 else first_unit[block.requires]
        if kind != Kind.SENTENCE and kind != Kind.ITEM:
            spans.append((block.start, block.end))
            kinds.append(kind)
            requires.append(need)
            continue
        ends = _ends(safe, block.body, block.end, language)
        start = block.start
        for end in ends:
            spans.append((start, end))
            kinds.append(kind)
            requires.append(-1)
            kind = int(Kind.SENTENCE)
            start = end
            while start < block.end and safe[start].isspace():
                start += 1
    return Units.of(spans, kinds, requires)


def _language(text: str) -> str:
    if text.isascii():
        return "en"
    sample = text[:4000]
    counts = [(len(pattern.findall(sample)), name) for name, pattern in _SCRIPTS]
    count, name = max(counts, key=lambda pair: pair[0])
    # Japanese is written with more Chinese characters than its own.
    if name == "zh" and counts[0][0] * 10 > count:
        name = "ja"
    return name if count * 4 > len(sample) else "en"


def _ends(text: str, start: int, end: int, language: str) -> list[int]:
    """Where the sentences of one paragraph end, whitespace not counted; the last is ``end``."""
    result: list[int] = []
    position = start
    if end - start < _LONG and not _INNER.search(text, start, end - 1):
        return [end]
    while position < end:
        stop = min(end, position + _WINDOW)
        found = sentencex.get_sentence_boundaries(language, text[position:stop])
        cuts = [position + boundary["end_index"] for boundary in found]
        # The last sentence of a window may go on behind it.
        if stop < end and len(cuts) > 1:
            cuts.pop()
        before = position
        for cut in cuts:
            trimmed = cut
            while trimmed > before and text[trimmed - 1].isspace():
                trimmed -= 1
            if trimmed > before and (cut >= end or not _joined(text, trimmed, cut)):
                result.append(trimmed)
            before = cut
        position = max(cuts[-1] if cuts else stop, position + 1)
    if not result or result[-1] < end:
        result.append(end)
    return _shortened(text, start, result)


def _joined(text: str, end: int, following: int) -> bool:
    """Whether what looks like the end of a sentence is an abbreviation."""
    if text[end - 1] != ".":
        return False
    return _NEVER_LAST.search(text, max(0, end - 12), end) is not None


def _shortened(text: str, start: int, ends: list[int]) -> list[int]:
    """Cut what is too long to be a sentence, at clauses, else spaces, else anywhere."""
    result = []
    for end in ends:
        while end - start > _LONG:
            cut = 0
            for pattern in (_CLAUSE, _SPACE):
                for match in pattern.finditer(text, start + _CUT // 3, start + _CUT):
                    cut = match.end() if pattern is _CLAUSE else match.start()
                if cut:
                    break
            cut = cut or start + _CUT
            result.append(cut)
            start = cut
            while start < end and text[start].isspace():
                start += 1
        result.append(end)
        start = end
    return result
