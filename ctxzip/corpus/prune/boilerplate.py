"""Lines repeated over documents (headers, footers, navigation); passages that say nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np

from ctxzip.types import Span

__all__ = ["RepeatedLines", "empty_reason"]

_PAGE = re.compile(
    r"(?:page|seite|p\.|pág(?:ina)?\.?)?\s*\d{1,4}(?:\s*(?:of|von|de|/)\s*\d{1,4})?", re.I
)
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"\w+")
_WIDE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
_LINK = re.compile(r"https?://\S+|\[[^\]\n]*\]\([^)\n]*\)")
_RUN = 3  # repeated lines in a row that count as navigation in the middle of a document
_LONGEST = 300
_BUFFER = 2**20


class RepeatedLines:
    """Counts in how many documents each line stands, in twelve bytes a line.

    Args:
        least: documents from which a line counts as repeated.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._keys = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.uint32)
        self._fresh: list[int] = []
        self._frequent: frozenset[int] = frozenset()

    def add(self, text: str) -> None:
        """Count the lines of a document, each once."""
        self._fresh += {key for _, key, _ in _lines(text) if key}
        if len(self._fresh) > _BUFFER:
            self._merge()

    def end(self) -> None:
        """All documents are counted."""
        self._merge()
        frequent = self._keys[self._counts >= self._least]
        self._frequent = frozenset(frequent.tolist())
        self._keys, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.uint32)

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, np.array(self._fresh, np.uint64)])
        counts = np.concatenate([self._counts, np.ones(len(self._fresh), np.uint32)])
        self._fresh.clear()
        self._keys, inverse = np.unique(keys, return_inverse=True)
        self._counts = np.bincount(inverse, counts, len(self._keys)).astype(np.uint32)

    def without(self, text: str) -> list[Span]:
        """Spans of a document that are left when its repeated lines are gone.

        Repeated lines go at its beginning and end, and in runs of three and more anywhere; never
        inside fenced code or tables. A document that is nothing else stays as it is.
        """
        lines = list(_lines(text))
        repeated = [key in self._frequent for _, key, _ in lines]
        if not any(repeated):
            return [Span(0, len(text))] if text else []
        goes = [False] * len(lines)
        run: list[int] = []
        for i in range(len(lines) + 1):
            span, key, blank = lines[i] if i < len(lines) else (Span(0, 0), 0, False)
            if i < len(lines) and (blank or (key and repeated[i])):
                run.append(i)
                continue
            solid = [k for k in run if not lines[k][2]]
            edge = bool(run) and (run[0] == 0 or i == len(lines))
            if solid and (edge or len(solid) >= _RUN):
                for k in run:
                    goes[k] = True
            run = []
        kept = [span for (span, _, _), gone in zip(lines, goes, strict=True) if not gone]
        if not any(text[a:b].strip() for a, b in kept):
            return [Span(0, len(text))]
        merged: list[Span] = []
        for span in kept:
            if merged and merged[-1].end == span.start:
                merged[-1] = Span(merged[-1].start, span.end)
            else:
                merged.append(span)
        return merged


def _lines(text: str) -> Iterator[tuple[Span, int, bool]]:
    """Lines with their breaks: span, key (0: cannot be boilerplate), and whether it is blank."""
    at, fenced = 0, False
    for line in text.splitlines(keepends=True):
        span, at = Span(at, at + len(line)), at + len(line)
        bare = line.strip()
        if bare.startswith(("```", "~~~")):
            fenced = not fenced
            yield span, 0, False
        elif not bare:
            yield span, 0, not fenced
        elif fenced or bare.startswith("|") or len(bare) > _LONGEST:
            yield span, 0, False
        elif _PAGE.fullmatch(bare):
            yield span, _key("page number"), False
        else:
            yield span, _key(bare.casefold()) if _LETTER.search(bare) else 0, False


def _key(line: str) -> int:
    digest = hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1


def empty_reason(text: str, least_words: int) -> str | None:
    """Why a passage carries no information; None where it may."""
    words = _WORD.findall(text)
    # Scripts without spaces: two characters count as a word.
    count = sum(max(1, len(_WIDE.findall(word)) // 2) for word in words)
    if count < least_words:
        return f"fewer than {least_words} words"
    solid = sum(map(len, text.split()))
    if 3 * sum(map(len, words)) < solid:
        return "mostly symbols"
    folded = [word.casefold() for word in words]
    if len(folded) >= 30 and len(set(folded)) < 0.1 * len(folded):
        return "the same few words over and over"
    links = _LINK.findall(text)
    if len(links) >= 3 and sum(map(len, links)) > 0.8 * solid:
        return "nothing but links"
    return None
