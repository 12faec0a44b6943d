"""LongCodeZip's measure: how much reading a piece of code lowers the perplexity of the question.

Shi et al. (ASE 2025, arXiv 2510.00446). Functions and blocks are ranked by PPL(q) - PPL(q | code);
a function is cut into blocks behind lines that surprise the model more than their neighbours do.
The published code reads each block again, by itself, and a function once for each of its lines.
Here both come from the reading that ranked the function: a block is worth how much lower the
perplexity of the question is beside it and the function's header than beside the block that helps
least. ``LongCodeZip(compat=True)`` reads as published, but with one model: the published code takes
the perplexities of lines from a second one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctxzip.code.score.base import CodeText, Inside, Ranked
from ctxzip.code.score.words import LexicalCode
from ctxzip.kit.arrays import FloatArray
from ctxzip.kit.once import Once

if TYPE_CHECKING:
    from ctxzip.code.score.likelihood import Likelihood, Readings

__all__ = ["PerplexityCode", "numbered_lines", "perplexity", "spikes"]

_SPREAD = 0.2


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
        self._likelihood = Once.of(load)
        self._shortlist = shortlist
        self._words = LexicalCode()

    @property
    def likelihood(self) -> Likelihood:
        """The source of likelihoods, loaded on first use."""
        return self._likelihood()

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """See :class:`ctxzip.code.score.base.CodeScorer`."""
        words = self._words.rank(query, parts, room)
        if not query or not query.strip():
            note = "perplexity needs a question; functions were ranked by how often they are named"
            return Ranked(words.scores, words.inside, (note,))
        read = list(range(len(parts)))
        if self._shortlist is not None:
            read = _first(words.scores, [len(part.text) for part in parts], self._shortlist * room)
        read = [i for i in read if parts[i].text.strip()]
        if not read:
            return words
        texts = [parts[i].text for i in read]
        readings = self.likelihood.read(query, [None, *texts])
        inside = _Inside(readings, texts, {i: k + 1 for k, i in enumerate(read)}, words.inside)
        values, notes = inside.values(), readings.notes
        scores = np.full(len(parts), -math.inf)
        scores[read] = values
        if self._shortlist is not None and len(read) < len(parts):
            # What was not read comes behind, in the order of its words.
            rest = np.setdiff1d(np.arange(len(parts)), read)
            low = float(values.min())
            best = max(float(words.scores.max()), 1e-9)
            scores[rest] = low - 2 + words.scores[rest] / best
            notes += (
                f"the model read {len(read)} of {len(parts)} parts, the first by their words",
            )
        return Ranked(scores, inside, notes)

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

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._likelihood.close()


class _Inside:
    """The inside of functions, from what was read to rank them.

    A block is worth how much lower the perplexity of the question is, or of the stretch of a long
    one that the function helps most, beside it than beside the block that helps least.

    Args:
        readings: of the question behind nothing, and behind each text.
        texts: the functions.
        places: index of each part's text among the contexts of ``readings``.
        others: asked for parts that were not read.
    """

    def __init__(
        self, readings: Readings, texts: Sequence[str], places: dict[int, int], others: Inside
    ) -> None:
        self._readings = readings
        self._texts = texts
        self._places = places
        self._others = others
        self._found = [perplexity(nll) for nll in readings.question]

    def values(self) -> FloatArray:
        """How much each text lowers the perplexity of the question, float64, shape (n,)."""
        return self._found[0] - np.array(self._found[1:])

    def boundaries(self, part: int) -> list[int] | None:
        """See :class:`ctxzip.code.score.base.Inside`: blank lines, and lines that surprise."""
        place = self._places.get(part)
        if place is None:
            return self._others.boundaries(part)
        lines = self._texts[place - 1].split("\n")
        ends = np.cumsum([len(line) + 1 for line in lines])
        at, losses = self._readings.surprisal(place)
        line = np.searchsorted(ends, at, side="right")
        sums = np.bincount(line, losses, minlength=len(lines))
        counts = np.bincount(line, minlength=len(lines))
        full = [i for i, text in enumerate(lines) if text.strip()]
        bits = [sums[i] / counts[i] / math.log(2) if counts[i] else math.inf for i in full]
        blank = [i for i, text in enumerate(lines) if not text.strip()]
        return sorted([*blank, *(full[k] for k in spikes(bits))])

    def blocks(
        self, part: int, blocks: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> FloatArray:
        """See :class:`ctxzip.code.score.base.Inside`."""
        place = self._places.get(part)
        if place is None:
            return self._others.blocks(part, blocks, spans)
        if len(blocks) < 2:
            return np.ones(len(blocks))  # nothing to choose between
        header = (0, spans[0][0][0])
        seen = [[header, *ranges] for ranges in spans]
        left = np.array([perplexity(nll) for nll in self._readings.seeing(place, seen)])
        finite = left[np.isfinite(left)]
        # Only their differences count: what helps least is worth nothing.
        most = float(finite.max()) if len(finite) else 0.0
        return np.where(np.isfinite(left), most - left, 0.0)


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
