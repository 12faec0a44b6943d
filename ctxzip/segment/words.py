"""Words with exact offsets, in any script.

Scripts with spaces are cut by character classes, in arrays: about 0.03 s a megabyte of English.
Chinese, Japanese, Thai, Lao, Khmer and Burmese are cut by ICU's dictionaries (icu4py, MIT), ten
times as fast as the alternatives and as accurate; tests/benchmarks/segmenting.md has the figures.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import BoolArray, IntArray

__all__ = ["cores", "split", "split_within"]

_SPACE, _RUN, _OPEN, _CLOSE, _DASH, _MARK, _TRIM = 1, 2, 4, 8, 16, 32, 64
_RUNS = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f\u3005-\u3007"
    "\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f"
)
_STOPS = (
    ".,;:!?\u2026\u0964\u0965\u060c\u061b\u061f\u06d4\u0589\u104a\u104b\u17d4\u17d5\u0f0d"
    "\u3001\u3002\u30fb\uff01\uff0c\uff0e\uff1a\uff1b\uff1f\uff61\uff64"
)
_MAX = 200
_MAX_URL = 2000
_URL = re.compile(r"[\w.+-]+@|\W*(?:[a-zA-Z][\w+.-]{1,15}://|www\.)")
_JOINT = re.compile(r"[,;(){}\[\]|&/+=]+")
Classes: TypeAlias = npt.NDArray[np.uint8]
Codes: TypeAlias = npt.NDArray[np.uint32]


@lru_cache(maxsize=1)
def _table() -> Classes:
    """Bit set of character classes for each code point of the BMP; one more for those above."""
    table = np.zeros(0x10001, np.uint8)
    for code in range(0x10000):
        char = chr(code)
        category = unicodedata.category(char)
        bits = 0
        if char.isspace():
            bits = _SPACE
        elif category in ("Ps", "Pi"):
            bits = _OPEN | _TRIM
        elif category in ("Pe", "Pf"):
            bits = _CLOSE | _TRIM
        elif category[0] == "M" or code in (0x200D, 0x200B, 0x200C, 0xFE0F, 0xFE0E):
            bits = _MARK
        elif category == "Pd":
            bits = _TRIM
        table[code] = bits
    for char in _STOPS:
        table[ord(char)] |= _CLOSE | _TRIM
    for char in "\"'`*_~|<>/\\":
        table[ord(char)] |= _TRIM
    for char in "\u2014\u2015":
        table[ord(char)] |= _DASH | _CLOSE
    for first, last in re.findall("(.)-(.)", _RUNS):
        table[ord(first) : ord(last) + 1] |= _RUN
    table[0x200B] |= _RUN | _CLOSE
    return table


def _classes(text: str) -> tuple[Codes, Classes]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _table()[np.minimum(codes, 0x10000)]
    if len(codes) and not text.isascii():
        classes[(codes >= 0x20000) & (codes < 0x40000)] |= _RUN
        classes[(codes >= 0x1F3FB) & (codes <= 0x1F3FF)] |= _MARK
    return codes, classes


def split(
    text: str, start: int = 0, end: int | None = None, language: str | None = None
) -> tuple[IntArray, IntArray]:
    """Split ``text[start:end]`` into words.

    Closing punctuation stays with the word before it (also across a space, as in tokenised
    text), opening brackets with the word behind. Numbers, contractions, e-mail addresses, URLs,
    ids and emoji stay whole. Chinese, Japanese, Thai, Lao, Khmer and Burmese are segmented.

    Returns:
        Start and end offsets into ``text``, int64, shape (n,) each. Every character that is not
        whitespace belongs to exactly one word; only whitespace lies between words.
    """
    stop = len(text) if end is None else end
    starts, ends, _ = split_within(
        text, np.array([start], np.int64), np.array([stop], np.int64), language
    )
    return starts, ends


def split_within(
    text: str, starts: IntArray, ends: IntArray, language: str | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """Words of many spans in one pass: no word reaches over the edge of its span.

    Args:
        text: the text.
        starts: int64, shape (m,), ascending.
        ends: int64, shape (m,); the spans are disjoint.
        language: ISO 639-1 code, or None.

    Returns:
        Start, end and index of the span, int64, shape (n,) each.
    """
    empty = np.zeros(0, np.int64)
    if not len(starts) or ends[-1] <= starts[0]:
        return empty, empty, empty
    low, high = int(starts[0]), int(ends[-1])
    part = text[low:high]
    codes, classes = _classes(part)
    size = len(codes)
    inside = np.zeros(size + 1, np.int64)
    np.add.at(inside, starts - low, 1)
    np.add.at(inside, ends - low, -1)
    space = ((classes & _SPACE) != 0) | (np.cumsum(inside[:-1]) <= 0)
    forced = np.zeros(size, np.bool_)
    forced[(starts - low)[starts < ends]] = True
    cut = _cuts(part, codes, classes, space, language)
    cut &= ~_glued(classes, codes)
    begin = ~space
    begin[1:] &= space[:-1] | cut[1:] | forced[1:]
    word_start = np.flatnonzero(begin)
    finish = ~space
    finish[:-1] &= space[1:] | begin[1:]
    word_end = np.flatnonzero(finish) + 1
    word_start, word_end = _attach(codes, classes, word_start, word_end, forced)
    word_start, word_end = _capped(part, classes, word_start, word_end)
    owner = np.searchsorted(starts, word_start + low, side="right") - 1
    return word_start + low, word_end + low, owner.astype(np.int64)


def _cuts(
    text: str,
    codes: Codes,
    classes: Classes,
    space: BoolArray,
    language: str | None,
) -> BoolArray:
    """Where a word begins although no whitespace stands before it."""
    size = len(codes)
    cut = np.zeros(size, np.bool_)
    if size < 2:
        return cut
    dash = (classes & _DASH) != 0
    double = (codes[1:] == 45) & (codes[:-1] == 45)
    dash[1:] |= double
    dash[:-1] |= double
    dots = codes == 46
    triple = dots[2:] & dots[1:-1] & dots[:-2] if size > 2 else np.zeros(0, np.bool_)
    if triple.any():
        dash[2:] |= triple
    dash |= codes == 0x2026
    if dash.any():
        plain = ~dash & ~space & ((classes & (_CLOSE | _MARK | _TRIM)) == 0)
        # An option such as --dry-run begins with its dashes: look before the run of dashes.
        solid = np.where(dash, -1, np.arange(size))
        before = np.maximum.accumulate(solid)[:-1]
        inner = (before >= 0) & ~space[np.maximum(before, 0)]
        cut[1:] |= dash[:-1] & plain[1:] & inner
    if not text.isascii():
        run = (classes & _RUN) != 0
        if run.any():
            wide = ((classes & _CLOSE) != 0) & (codes >= 0x3000) & (codes < 0x20000)
            cut[1:] |= (run[1:] != run[:-1]) | wide[:-1]
            _cut_runs(text, run, cut, language)
    return cut


def _cut_runs(text: str, run: BoolArray, cut: BoolArray, language: str | None) -> None:
    """Word boundaries inside scripts without spaces, by ICU's dictionaries."""
    from icu4py.breakers import WordBreaker

    locale = language if language and len(language) == 2 and language.isascii() else "en"

    edge = np.flatnonzero(np.diff(np.concatenate(([0], run.astype(np.int8), [0]))))
    begins, ends = edge[::2].tolist(), edge[1::2].tolist()
    # One call for all runs; code points above the BMP are replaced, for ICU counts in UTF-16.
    joined = "\n".join(text[b:e] for b, e in zip(begins, ends, strict=True))
    joined = re.sub("[\U00010000-\U0010ffff]", "\u4e00", joined)
    marks = np.array([a for a, _ in WordBreaker(joined, locale).segments()], np.int64)
    lengths = np.array(ends, np.int64) - np.array(begins, np.int64)
    offset = np.concatenate(([0], np.cumsum(lengths + 1)[:-1]))
    index = np.searchsorted(offset, marks, side="right") - 1
    position = marks - offset[index]
    good = position < lengths[index]
    cut[np.array(begins, np.int64)[index[good]] + position[good]] = True


def _glued(classes: Classes, codes: Codes) -> BoolArray:
    """Characters that may not begin a word: closing punctuation, marks, what follows an opening."""
    glued: BoolArray = (classes & (_CLOSE | _MARK)) != 0
    glued[1:] |= (classes[:-1] & _OPEN) != 0
    glued[1:] |= codes[:-1] == 0x200D
    return glued


def _attach(
    codes: Codes, classes: Classes, starts: IntArray, ends: IntArray, forced: BoolArray
) -> tuple[IntArray, IntArray]:
    """Give punctuation that stands alone to its word, as in ``"we 're here ."``."""
    if len(starts) < 2:
        return starts, ends
    open_count = np.concatenate(([0], np.cumsum((classes & _OPEN) != 0)))
    close_count = np.concatenate(([0], np.cumsum((classes & _CLOSE) != 0)))
    length = ends - starts
    # Two straight or grave quotes are the quotation marks of tokenised text.
    twice = (length == 2) & (codes[starts] == codes[ends - 1])
    only_close = (close_count[ends] - close_count[starts] == length) | twice & (codes[starts] == 39)
    only_open = (open_count[ends] - open_count[starts] == length) | twice & (codes[starts] == 96)
    join = np.zeros(len(starts), np.bool_)
    join[1:] = only_close[1:] | only_open[:-1]
    newline = (codes[ends[:-1]] == 10) | (codes[ends[:-1]] == 13)
    join[1:] &= (starts[1:] - ends[:-1] == 1) & ~newline
    join &= ~forced[starts]
    keep = ~join
    return starts[keep], ends[np.concatenate((keep[1:], [True]))]


def _capped(
    text: str, classes: Classes, starts: IntArray, ends: IntArray
) -> tuple[IntArray, IntArray]:
    """Cut words of absurd length (base64, minified code), never before a combining mark."""
    long = np.flatnonzero(ends - starts > _MAX)
    if not len(long):
        return starts, ends
    extra: list[int] = []
    for at in long.tolist():
        start, end = int(starts[at]), int(ends[at])
        if end - start <= _MAX_URL and _URL.match(text, start, start + _MAX):
            continue
        while end - start > _MAX:
            cut = start + _MAX
            for joint in _JOINT.finditer(text, start + _MAX // 2, cut):
                cut = joint.end()
            while cut < end and (classes[cut] & (_MARK | _CLOSE) or text[cut - 1] == "\u200d"):
                cut += 1
            if cut < end:
                extra.append(cut)
            start = cut
    cuts = np.array(extra, np.int64)
    return np.sort(np.concatenate((starts, cuts))), np.sort(np.concatenate((ends, cuts)))


def cores(text: str, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """The bare word within each word: without attached punctuation, quotes, brackets.

    Returns:
        Start and end, int64, shape (n,) each; equal where a word is nothing but punctuation.
    """
    if not len(starts):
        return starts, ends
    low, high = int(starts[0]), int(ends[-1])
    codes, classes = _classes(text[low:high])
    solid = (classes & (_TRIM | _SPACE)) == 0
    size = len(codes)
    index = np.arange(size, dtype=np.int64)
    following = np.minimum.accumulate(np.where(solid, index, size)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(solid, index, -1))
    first = np.minimum(following[starts - low] + low, ends)
    last = np.maximum(preceding[ends - low - 1] + low + 1, first)
    return first, last
