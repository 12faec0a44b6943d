"""What must hold for every result, whatever was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ctxzip import Compression

_MARKER = re.compile(r"^[ \t]*(?:\.\.\.  #|:  #|(?:#|//|--|;|%) \.\.\.) \d+ lines?\r?$", re.M)


def check(
    result: Compression,
    texts: Sequence[str],
    *,
    count: Callable[[str], int] | None = None,
    separator: str = "\n\n",
    titles: bool = False,
    rewritten: bool = False,
) -> None:
    """Promises 1 to 3: never longer, under the ceiling, exact.

    Args:
        result: of ``texts``.
        texts: of the documents.
        count: counts tokens, where the result's own count shall not be believed.
        separator: that was asked for.
        titles: whether they were asked for.
        rewritten: the result may be one new text, and is then held to promises 1 and 2 only.
    """
    check_tokens(result, texts, count, separator, titles)
    if rewritten and any(document.kept is None for document in result.documents):
        check_rewritten(result, texts)
        return
    check_documents(result, texts)
    check_segments(result, texts, separator, titles)


def check_tokens(
    result: Compression,
    texts: Sequence[str],
    count: Callable[[str], int] | None,
    separator: str,
    titles: bool,
) -> None:
    assert result.tokens_after <= result.tokens_before
    if result.ceiling is not None:
        assert result.tokens_after <= result.ceiling
    if count is not None:
        assert result.tokens_after == count(result.text)
        if not titles:
            assert result.tokens_before == count(separator.join([text for text in texts if text]))
    assert 0 <= result.ratio <= 1
    assert str(result) == result.text
    result.text.encode()


def check_rewritten(result: Compression, texts: Sequence[str]) -> None:
    """One new text, which says that it is one and of what."""
    (document,) = result.documents
    assert [source.text for source in document.sources] == list(texts)
    assert document.kept is None
    assert document.text == result.text
    assert [tuple(segment) for segment in result.segments] == [(0, len(result.text), 0, -1)][
        : len(result.text)
    ]
    assert not result.text or result.locate(0) is None


def check_documents(result: Compression, texts: Sequence[str]) -> None:
    assert [document.source.text for document in result.documents] == list(texts)
    for document, text in zip(result.documents, texts, strict=True):
        assert document.kept is not None, "an extractive result has spans"
        at = 0
        for start, end in document.kept:
            assert at <= start < end <= len(text), "spans are in order, disjoint and not empty"
            at = end
        previous = 0
        for unit in document.units:
            assert previous <= unit.span.start < unit.span.end <= len(text)
            previous = unit.span.end
            touched = any(s < unit.span.end and unit.span.start < e for s, e in document.kept)
            assert touched or not unit.kept, "a unit that is kept has something in the output"
    at = 0
    for document in result.documents:
        at = result.text.index(document.text, at) + len(document.text)


def check_segments(result: Compression, texts: Sequence[str], separator: str, titles: bool) -> None:
    covered: list[list[tuple[int, int]]] = [[] for _ in texts]
    at = 0
    place = (0, 0)
    for start, end, document, source in result.segments:
        assert start == at < end, "segments tile the output without gaps or empty pieces"
        at = end
        piece = result.text[start:end]
        if document >= 0 and source >= 0:
            assert piece == texts[document][source : source + end - start]
            assert (document, source) >= place, "source order"
            place = (document, source + end - start)
            covered[document].append((source, source + end - start))
            assert result.locate(start) == (document, source)
            assert result.locate(end - 1) == (document, source + end - start - 1)
        else:
            assert result.locate(start) is None
            assert result.locate(end - 1) is None
            if not titles and piece != separator:
                # What stands for lines of code left out says how many; nothing else is invented.
                rest = _MARKER.sub("", piece)
                assert not any(char.isalnum() for char in rest), "no words are invented"
    assert at == len(result.text)
    for document, spans in zip(result.documents, covered, strict=True):
        assert _characters(spans) == _characters(document.kept or ())


def _characters(spans: Sequence[tuple[int, int]]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def kept_characters(result: Compression, document: int = 0) -> set[int]:
    """Offsets of the source characters that are kept."""
    return _characters(result.documents[document].kept or ())


def same(a: Compression, b: Compression) -> bool:
    """Equal in everything but the time that was spent."""
    return a == b and [list(d.units) for d in a.documents] == [list(d.units) for d in b.documents]


def part_of(small: object, big: object) -> bool:
    """Whether ``small`` is ``big`` without some of its members."""
    if isinstance(small, dict) and isinstance(big, dict):
        return all(key in big and part_of(value, big[key]) for key, value in small.items())
    if isinstance(small, list) and isinstance(big, list):
        rest = iter(big)
        return all(any(part_of(one, other) for other in rest) for one in small)
    return type(small) is type(big) and small == big
