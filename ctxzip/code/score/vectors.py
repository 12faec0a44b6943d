"""Functions ranked by a scorer of prose, together with their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ctxzip.code.score.base import CodeText, Ranked
from ctxzip.code.score.words import LexicalCode, spoken
from ctxzip.kit.arrays import FloatArray
from ctxzip.kit.once import Once
from ctxzip.score.base import Scorer, ScoreRequest
from ctxzip.text.units import Passage, Units
from ctxzip.types import Document

__all__ = ["Embedded"]


class Embedded:
    """Functions by a scorer of prose (``mini``, or a bi-encoder), together with their words.

    The scorer reads each function as a sentence of its words. Its score and BM25's are added, each
    scaled by its spread above its median, since neither is calibrated on code.

    Args:
        name: how results call it.
        load: makes the scorer; called once, on first use.
        weight: how much it counts beside BM25.
    """

    def __init__(self, name: str, load: Callable[[], Scorer], weight: float = 1.0) -> None:
        self.name = name
        self._scorer = Once.of(load, lambda scorer: scorer.close())
        self._lexical = LexicalCode()
        self._weight = weight

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """See :class:`ctxzip.code.score.base.CodeScorer`."""
        words = self._lexical.rank(query, parts, room)
        if not query or not query.strip() or not parts:
            return words
        texts = [spoken(part) for part in parts]
        passages = tuple(
            Passage(Document(text), text, Units.of([(0, len(text))])) for text in texts
        )
        found = self._scorer().units([ScoreRequest(passages, query, "en")])[0]
        meaning = np.array([float(scores[0]) for scores in found.units])
        # Blocks are too short to say what they mean: their words decide.
        return Ranked(_fused(words.scores, meaning, self._weight), words.inside, found.notes)

    def close(self) -> None:
        """Release the scorer."""
        self._scorer.close()


def _fused(first: FloatArray, second: FloatArray, weight: float) -> FloatArray:
    """Sum of the two scores, each scaled by its spread above its median."""

    def scaled(values: FloatArray) -> FloatArray:
        top = float(np.quantile(values, 0.98)) if len(values) else 0.0
        middle = float(np.median(values)) if len(values) else 0.0
        result: FloatArray = (values - middle) / max(top - middle, 1e-9)
        return result

    fused: FloatArray = scaled(first) + weight * scaled(second)
    return fused
