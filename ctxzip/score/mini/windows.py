"""Windows: how `mini` reads a document, and how token states become unit embeddings.

A window is ``[CLS] title . units [SEP]``: the title of the document (at most 24 tokens) before as
many consecutive units as fit into 256 tokens. A unit that does not fit into what is left of a
window starts the next one; a unit longer than a window is cut into several, and its embedding is
the mean over all of its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ctxzip.backends.tokenizers import Tokens
from ctxzip.kit.arrays import IntArray
from ctxzip.text.units import Passage

__all__ = ["Tokenize", "Tokens", "Window", "question", "windows"]

LENGTH = 256
TITLE = 24
_CLS, _SEP, _DOT = 101, 102, 1012


# Tokenizes strings without special tokens, truncation or padding.
Tokenize: TypeAlias = Callable[[Sequence[str]], list[Tokens]]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the model reads at once.

    Attributes:
        ids: token ids with special tokens and title, int64, shape (length,).
        body: index of the first token of the text; the last token of ``ids`` is ``[SEP]``.
        unit: unit of each token of the text, int64, shape (length - body - 1,).
        start: its first character in the document, likewise.
        end: one past its last character, likewise.
    """

    ids: IntArray
    body: int
    unit: IntArray
    start: IntArray
    end: IntArray


def question(query: str, tokenize: Tokenize, limit: int = 64) -> tuple[IntArray, bool]:
    """``[CLS] query [SEP]`` as ids, and whether it had to be shortened to ``limit`` tokens."""
    ids = tokenize([query])[0].ids
    room = limit - 2
    return np.concatenate([[_CLS], ids[:room], [_SEP]]), len(ids) > room


def windows(passage: Passage, tokenize: Tokenize) -> list[Window]:
    """Cut a document into windows.

    Returns:
        Windows in order; together they hold every token of every unit exactly once.
    """
    units = passage.units
    title = passage.document.title
    texts = passage.unit_texts()
    if title and title.strip():
        *parts, head = tokenize([*texts, title.replace("_", " ")])
        prefix = np.concatenate([[_CLS], head.ids[:TITLE], [_DOT]])
    else:
        parts = tokenize(texts)
        prefix = np.array([_CLS], np.int64)
    sizes = np.array([len(part.ids) for part in parts], np.int64)
    if not sizes.sum():
        return []
    ids = np.concatenate([part.ids for part in parts])
    unit = np.repeat(np.arange(len(parts)), sizes)
    shift = units.start[unit]
    start = np.concatenate([part.start for part in parts]) + shift
    end = np.concatenate([part.end for part in parts]) + shift
    room = LENGTH - len(prefix) - 1
    return [
        Window(
            ids=np.concatenate([prefix, ids[a:b], [_SEP]]),
            body=len(prefix),
            unit=unit[a:b],
            start=start[a:b],
            end=end[a:b],
        )
        for a, b in _cuts(sizes.tolist(), room)
    ]


def _cuts(sizes: list[int], room: int) -> list[tuple[int, int]]:
    """Token ranges of at most ``room`` tokens, broken between units where that is possible."""
    cuts: list[tuple[int, int]] = []
    begin = at = 0
    for size in sizes:
        if at + size - begin > room and at > begin:
            cuts.append((begin, at))
            begin = at
        at += size
        while at - begin > room:
            cuts.append((begin, begin + room))
            begin += room
    if at > begin:
        cuts.append((begin, at))
    return cuts
