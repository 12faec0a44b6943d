"""LongCodeZip's measure: how much reading a piece of code lowers the perplexity of the question.

Shi et al. (ASE 2025, arXiv 2510.00446). Functions and blocks are ranked by PPL(q) - PPL(q | code);
a function is cut into blocks behind lines that surprise the model more than their neighbours do.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctxzip.score.code import CodeText, LexicalCode, Ranked
from ctxzip.units import FloatArray

if TYPE_CHECKING:
    from ctxzip.backends.likelihood import Likelihood

__all__ = ["PerplexityCode", "numbered_lines", "perplexity", "spikes"]

_SPREAD = 0.2
_WINDOW = 160  # lines that are read together when a long function is cut


def perplexity(nll: FloatArray) -> float:
    """exp of the mean negative log-likelihood; 1 where there is none, as the reference has it."""
    if not len(nll):
        return 1.0
    mean = float(nll.mean())
    return math.exp(mean) if mean < 700 else math.inf


def numbered_lines(text: str) -> list[str]:
    """The lines of a text as the reference reads them: every other blank line is one space."""
    marked = text.replace("\n\n", "\n\x00\n").split("\n")
    return [" " if line == "\x00" else line for line in marked]


def spikes(values: Sequence[float]) -> list[int]:
    """Lines behind which a block ends.

    A line does if it is at least as surprising as both its neighbours and more than one of them by
    the mean of all plus a fifth of their standard deviation; by 0.5 where fewer than three lines
    have a finite positive value.

    Args:
        values: binary logarithm of each line's perplexity.
    """
    usable = [v for v in values if math.isfinite(v) and v > 0]
    least = 0.5
    if len(usable) >= 3:
        least = float(np.mean(usable) + _SPREAD * np.std(usable))
    found = []
    for i in range(1, len(values) - 1):
        here, before, after = values[i], values[i - 1], values[i + 1]
        if not math.isfinite(here):
            continue
        left = here - before if math.isfinite(before) else 0.0
        right = here - after if math.isfinite(after) else 0.0
        if left >= 0 and right >= 0 and (left >= least or right >= least):
            found.append(i)
    return found


class PerplexityCode:
    """Ranks by the perplexity of the question. Thread-safe.

    Args:
        load: makes the source of likelihoods; called once, on first use.
        shortlist: read only what ranks first by its words, up to this multiple of the room.
    """

    name = "perplexity"

    def __init__(self, load: Callable[[], Likelihood], shortlist: float | None = None) -> None:
        self._load = load
        self._shortlist = shortlist
        self._lock = threading.Lock()
        self._likelihood: Likelihood | None = None
        self._words = LexicalCode()

    @property
    def likelihood(self) -> Likelihood:
        """The source of likelihoods, loaded on first use."""
        with self._lock:
            if self._likelihood is None:
                self._likelihood = self._load()
            return self._likelihood

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """See :class:`ctxzip.score.code.CodeScorer`."""
        words = self._words.rank(query, parts, room)
        if not query or not query.strip():
            note = "perplexity needs a question; functions were ranked by how often they are named"
            return Ranked(words.scores, (note,))
        if not parts:
            return words
        read = list(range(len(parts)))
        if self._shortlist is not None:
            read = _first(words.scores, [len(part.text) for part in parts], self._shortlist * room)
        values, notes = self.values(query, [parts[i].text for i in read])
        scores = np.zeros(len(parts))
        scores[read] = values
        if len(read) < len(parts):
            # What was not read comes behind, in the order of its words.
            rest = np.setdiff1d(np.arange(len(parts)), read)
            low = float(values.min()) if len(values) else 0.0
            best = max(float(words.scores.max()), 1e-9)
            scores[rest] = low - 2 + words.scores[rest] / best
            notes += (
                f"the model read {len(read)} of {len(parts)} parts, the first by their words",
            )
        return Ranked(scores, notes)

    def values(
        self, query: str, texts: Sequence[str], *, skip: int = 0
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """PPL(q) - PPL(q | text) of each text, float64, shape (n,), and notes.

        Args:
            query: the question.
            texts: pieces of code; one of nothing but whitespace is worth minus infinity.
            skip: first tokens of the question that do not count behind a text.
        """
        real = [i for i, text in enumerate(texts) if text.strip()]
        found, notes = self.likelihood.question(query, [None, *(texts[i] for i in real)])
        alone = perplexity(found[0])
        result = np.full(len(texts), -math.inf)
        for i, nll in zip(real, found[1:], strict=True):
            result[i] = alone - perplexity(nll[skip:])
        return result, notes

    def blocks(self, query: str | None, blocks: Sequence[str]) -> FloatArray:
        """See :class:`ctxzip.score.code.CodeScorer`."""
        if not query or not query.strip():
            return np.zeros(len(blocks))
        values, _ = self.values(query, blocks)
        finite = values[np.isfinite(values)]
        # Only their differences count: what helps least is worth nothing, not less.
        low = float(finite.min()) if len(finite) else 0.0
        return np.where(np.isfinite(values), values - low, 0.0)

    def boundaries(self, texts: Sequence[str]) -> list[list[int]]:
        """See :class:`ctxzip.score.code.CodeScorer`."""
        found: list[list[int]] = []
        for text in texts:
            lines = numbered_lines(text)
            ends: list[int] = []
            for at in range(0, len(lines), _WINDOW):
                values = self.likelihood.lines(lines[at : at + _WINDOW])
                ends += [at + i for i in spikes(values)]
            found.append(ends)
        return found

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        with self._lock:
            self._likelihood = None


def _first(scores: FloatArray, sizes: Sequence[int], room: float) -> list[int]:
    """The best by score whose text comes to some tokens, at four characters each."""
    left = 4 * room
    found: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if left <= 0 and found:
            break
        found.append(i)
        left -= sizes[i]
    return sorted(found)
