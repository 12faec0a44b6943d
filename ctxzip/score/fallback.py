"""Words for methods that know only sentences: asked for where no whole sentence fits a ceiling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctxzip.kit.arrays import FloatArray
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.lexical import LexicalScorer
from ctxzip.text.units import Words

__all__ = ["LexicalWords"]


class LexicalWords:
    """Informativeness of words, model-free, in the order of their units' own scores."""

    def __init__(self) -> None:
        self._lexical = LexicalScorer()

    def __call__(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """One array of shape (n_words,) per passage."""
        lexical = self._lexical.units([request])[0]
        every = np.concatenate([*scores.units, np.zeros(0)])
        low, size = (float(every.min()), float(np.ptp(every))) if len(every) else (0.0, 0.0)
        found = self._lexical.words(request, lexical, words)
        return [
            value + 2.0 * (units[own.unit] - low) / max(size, 1e-9) if len(own) else value
            for value, units, own in zip(found, scores.units, words, strict=True)
        ]
