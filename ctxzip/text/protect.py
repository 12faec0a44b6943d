"""What must survive a compression.

``hard`` finds what the caller asked to keep; ``soft`` finds what a sentence must not lose when it
is shortened to words, because it would then say something else. Both give spans of characters;
whoever shortens keeps every unit that a span touches.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ctxzip.errors import InputError
from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.text.protected_words import (
    MEANING_WORDS,
    NUMBER_PHRASES,
    NUMBER_WORDS,
    PATTERNS,
    UNSPACED_PATTERNS,
)

CodeArray: TypeAlias = npt.NDArray[np.uint32]
KindArray: TypeAlias = npt.NDArray[np.uint8]

__all__ = ["hard", "soft", "strip_keep_tags", "unmap"]

_KEEP_TAG = re.compile(r"</?keep>")
_SPACED_NUMBER = re.compile(r"[ \u00a0][$€£¥]?[0-9]")
_REACH = 20  # characters; longer than any label of a number
_FIRST_UNSPACED = 0x0E00

# Classes of characters for finding ids and numbers: what may stand in one, and how.
_BREAK, _LETTER, _DIGIT, _JOINER, _TAIL = range(5)


def soft(text: str) -> IntArray:
    """What a sentence that is kept must not lose.

    Numbers with signs, currencies and units, dates and times, number words; negations, exceptions
    and modals (English, German, French, Spanish, Italian, Portuguese, Dutch, Russian; Chinese and
    Japanese negations); ids, versions, paths, names in code, URLs, e-mail addresses, phone numbers;
    code spans, tags, template fields and citations. Linear in the text.

    Returns:
        int64, shape (m, 2): character spans, sorted and disjoint.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, capitals = _character_table()
    # Characters beyond the table share its last entry, which is no character.
    codes = np.minimum(codes, len(kinds) - 1)
    kind = kinds[codes]
    found = [_ids(codes, kind, capitals[codes]), _words(text, codes, kind), _number_labels(text)]
    unspaced = np.any(codes >= _FIRST_UNSPACED)
    patterns = PATTERNS + UNSPACED_PATTERNS if unspaced else PATTERNS
    return _merged([*found, *(_matches(text, pattern) for pattern in patterns)])


def hard(
    text: str,
    literals: Sequence[str] = (),
    patterns: Sequence[str | re.Pattern[str]] = (),
    spans: Sequence[tuple[int, int]] = (),
) -> IntArray:
    """What the caller wants kept.

    Args:
        text: where to look.
        literals: strings of which every occurrence is kept, overlapping ones too.
        patterns: regular expressions of which every match is kept; empty matches are not counted.
        spans: half-open character offsets into ``text``.

    Returns:
        int64, shape (m, 2): character spans, sorted and disjoint.

    Raises:
        InputError: an empty literal, a pattern that does not compile, a span outside ``text``.
    """
    found = [_occurrences(text, literal) for literal in literals]
    found += [_matches(text, _compiled(pattern)) for pattern in patterns]
    found.append(_array(_checked(span, len(text)) for span in spans))
    return _merged(found)


def strip_keep_tags(text: str) -> tuple[str, IntArray, IntArray]:
    """Take ``<keep>`` and ``</keep>`` out of ``text``.

    Returns:
        ``clean``: the text without the tags.
        ``spans``: int64, shape (m, 2), what stood between them, as offsets into ``clean``; sorted
        and disjoint.
        ``removed``: int64, shape (k, 2), where the tags stood in ``text``; :func:`unmap` needs it.

    Raises:
        InputError: a tag inside another, without its partner; says in which line.
    """
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    removed: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    at = length = since = 0
    for tag in _KEEP_TAG.finditer(text):
        pieces.append(text[at : tag.start()])
        length += tag.start() - at
        at = tag.end()
        removed.append(tag.span())
        closing = tag.group() == "</keep>"
        if closing == (opened is None):
            problem = "closes nothing" if closing else "stands inside another <keep>"
            raise InputError(f"{tag.group()} {problem}, {_place(text, tag.start())}.")
        if closing:
            spans.append((since, length))
            opened = None
        else:
            opened, since = tag, length
    if opened is not None:
        raise InputError(f"<keep> is never closed, {_place(text, opened.start())}.")
    pieces.append(text[at:])
    return "".join(pieces), _merged([_array(spans)]), _array(removed)


def unmap(spans: IntArray, removed: IntArray) -> IntArray:
    """Spans of a cleaned text as spans of the text from which something was removed.

    The inverse of the shift that a removal makes: slices of the original at the result, joined,
    equal the slices of the clean text at ``spans``, joined. A span inside which something was
    removed becomes two spans, one on either side; so nothing removed is ever inside a span.

    Args:
        spans: int64, shape (n, 2), offsets into the clean text.
        removed: int64, shape (k, 2), what was removed: spans of the original, sorted and disjoint.

    Returns:
        int64, shape (at least n, 2), offsets into the original, in the order of ``spans``.
    """
    sizes = removed[:, 1] - removed[:, 0]
    shift = np.concatenate([[0], np.cumsum(sizes)])
    cut = removed[:, 0] - shift[:-1]  # where each removal stands in the clean text
    places = np.unique(cut)
    first = np.searchsorted(places, spans[:, 0], side="right")
    inside = np.maximum(np.searchsorted(places, spans[:, 1], side="left") - first, 0)
    row = np.repeat(np.arange(len(spans)), inside + 1)
    step = np.arange(len(row)) - np.repeat(np.cumsum(inside + 1) - inside - 1, inside + 1)
    start, end = spans[row, 0], spans[row, 1]
    later, earlier = step > 0, step < inside[row]
    start[later] = places[(first[row] + step - 1)[later]]
    end[earlier] = places[(first[row] + step)[earlier]]
    start = start + shift[np.searchsorted(cut, start, side="right")]
    end = end + shift[np.searchsorted(cut, end, side="left")]
    return np.stack([start, np.maximum(start, end)], axis=1)


def _words(text: str, codes: CodeArray, kind: KindArray) -> IntArray:
    """Words that carry negation, exception, modality or number."""
    letter = kind == _LETTER
    inside = letter.copy()
    inside[1:-1] |= letter[:-2] & letter[2:] & _members("'’")[codes[1:-1]]
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    start, end = edges[::2], edges[1::2]
    # First letter, last letter and length leave few candidates to be looked up as strings.
    likely = _likely()[_signature(codes[start], codes[end - 1], end - start)]
    pairs = zip(start[likely].tolist(), end[likely].tolist(), strict=True)
    return _array((a, b) for a, b in pairs if text[a:b] in MEANING_WORDS)


def _signature(
    first: IntArray | CodeArray, last: IntArray | CodeArray, length: IntArray
) -> IntArray:
    signature: IntArray = (first * 1009 + last * 31 + length) & 0xFFFF
    return signature


@functools.cache
def _likely() -> BoolArray:
    """By signature, whether a word may carry meaning."""
    words = sorted(MEANING_WORDS)
    first, last = (np.array([ord(word[at]) for word in words]) for at in (0, -1))
    likely = np.zeros(0x10000, np.bool_)
    likely[_signature(first, last, np.array([len(word) for word in words]))] = True
    return likely


def _number_labels(text: str) -> IntArray:
    """Numbers with the words before them that they need: "at least 5", "Section 4"."""
    spans = []
    for number in _SPACED_NUMBER.finditer(text):
        at = number.start()
        before = text[max(0, at - _REACH) : at].lower()
        last = before.rfind(" ")
        phrase = before.rfind(" ", 0, max(last, 0))
        if before[phrase + 1 :].lstrip("(") in NUMBER_PHRASES:
            spans.append((at - len(before) + phrase + 1, number.end()))
        elif before[last + 1 :].strip("(.") in NUMBER_WORDS:
            spans.append((at - len(before) + last + 1, number.end()))
    return _array(spans)


def _ids(codes: CodeArray, kind: KindArray, capital: BoolArray) -> IntArray:
    """Runs without a break that hold a digit or are written like a name in code, URL or path.

    Over arrays rather than by a regular expression, which would have to look back from the digit
    to where its run began.
    """
    digit = kind == _DIGIT
    inside = kind != _BREAK
    inside[1:-1] |= digit[:-2] & digit[2:] & _members(",'’")[codes[1:-1]]
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    start, end = edges[::2], edges[1::2]
    if not len(start):
        return _array(())
    marks = digit | _code_marks(codes, kind, capital)  # none of them stands between two runs
    chosen = np.logical_or.reduceat(marks, start)
    start, end = start[chosen], end[chosen]
    for _ in range(3):  # a full stop, colon or ellipsis at the end belongs to the sentence
        end = end - (kind[end - 1] == _TAIL)
    return np.stack([start, end], axis=1)


def _code_marks(codes: CodeArray, kind: KindArray, capital: BoolArray) -> BoolArray:
    """Characters that tell code, an address or a path: snake_case, camelCase, a@b.c, a/b."""
    letter = kind == _LETTER
    marks = _members("_\\")[codes]
    marks[1:-1] |= letter[:-2] & letter[2:] & _members("@./:=")[codes[1:-1]]
    marks[1:] |= letter[:-1] & ~capital[:-1] & capital[1:]
    marks[1:] |= (codes[:-1] == ord("/")) & letter[1:]
    return marks


@functools.cache
def _character_table() -> tuple[KindArray, BoolArray]:
    """For each character of the basic plane: its class, and whether it is a capital."""
    codes = np.arange(0x10000, dtype=np.uint32)
    codes[0xD800:0xE000] = 0xFFFF  # surrogates are not characters
    characters = codes.view("U1")
    kinds = np.full(len(codes), _BREAK, np.uint8)
    kinds[np.char.isalpha(characters)] = _LETTER
    kinds[np.char.isnumeric(characters)] = _DIGIT
    kinds[_codes("_-\\/+@#&=~$€£¥₹₽₩%‰°^*\u00ad\u2010\u2011\u2212")] = _JOINER
    kinds[_codes(".:?!")] = _TAIL
    # Scripts without spaces: a run would be a whole sentence.
    for low, high in ((0x0E00, 0x0E50), (0x0E80, 0x0ED0), (0x1000, 0x1040), (0x1780, 0x17E0)):
        kinds[low:high] = _BREAK
    for low, high in ((0x2E80, 0xA4D0), (0xF900, 0xFB00), (0xFF66, 0xFFA0)):
        kinds[low:high] = _BREAK
    return kinds, np.char.isupper(characters)


@functools.cache
def _members(characters: str) -> BoolArray:
    """For each character of the basic plane, whether it is one of these."""
    members = np.zeros(0x10000, np.bool_)
    members[_codes(characters)] = True
    return members


@functools.cache
def _codes(characters: str) -> IntArray:
    return np.array([ord(character) for character in characters], np.int64)


def _matches(text: str, pattern: re.Pattern[str]) -> IntArray:
    return _array(match.span() for match in pattern.finditer(text))


def _occurrences(text: str, literal: str) -> IntArray:
    if not isinstance(literal, str) or not literal:
        raise InputError(
            f"The literal {literal!r} cannot be protected.", hint="Give a string that is not empty."
        )
    starts = []
    at = text.find(literal)
    while at >= 0:
        starts.append(at)
        at = text.find(literal, at + 1)
    return _array((start, start + len(literal)) for start in starts)


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise InputError(f"The pattern {pattern!r} is no regular expression: {error}.") from error
    if not isinstance(compiled.pattern, str):
        raise InputError(f"The pattern {pattern!r} is for bytes.", hint="Give one for strings.")
    return compiled


def _checked(span: tuple[int, int], length: int) -> tuple[int, int]:
    try:
        start, end = (operator.index(offset) for offset in span)
    except (TypeError, ValueError) as error:
        raise InputError(f"The span {span!r} is not a pair of whole numbers.") from error
    if not 0 <= start <= end <= length:
        raise InputError(f"The span {span!r} does not lie in the text of {length} characters.")
    return start, end


def _place(text: str, offset: int) -> str:
    before = text[:offset]
    return f"in line {before.count(chr(10)) + 1}, character {offset - before.rfind(chr(10))}"


def _array(spans: Iterable[tuple[int, int]]) -> IntArray:
    return np.array(list(spans), np.int64).reshape(-1, 2)


def _merged(found: Sequence[IntArray]) -> IntArray:
    """All spans that are not empty, sorted; those that overlap or touch made one."""
    spans = np.concatenate(found)
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not len(spans):
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    first = np.flatnonzero(np.concatenate([[True], spans[1:, 0] > reach[:-1]]))
    last = np.concatenate([first[1:], [len(spans)]]) - 1
    return np.stack([spans[first, 0], reach[last]], axis=1)
