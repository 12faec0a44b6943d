"""Which words of a chunk stay, as the published LLMLingua-2 code decides.

The threshold is a percentile per chunk, weighted by the number of cl100k_base tokens of each word.
Written from the observed behaviour of llmlingua 0.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import BoolArray, Float32Array, IntArray
from ctxzip.score.classifier import LLMLingua2
from ctxzip.text.tokens import resolve

__all__ = ["Reading", "gpt_tokens", "keep"]

# Distances to a neighbour, as a part of the step, at which rounding might decide.
_CLOSE = 1e-3


@lru_cache(maxsize=100_000)
def gpt_tokens(word: str) -> int:
    """cl100k_base tokens of a word."""
    return resolve("cl100k_base").count(word)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A chunk's words.

    Attributes:
        words: as the reference spells them, "▁" included.
        probability: per word, forced tokens raised; shape (w,).
        plain: the same without forcing.
        cost: cl100k_base tokens of each word as it is spelled, int64, shape (w,).
        start: source offsets, -1 where a word has none.
        end: one past its end in the source.
        exact: some probability is an exact 1.0 by force: the reference then computes in float64.
    """

    words: list[str]
    probability: Float32Array
    plain: Float32Array
    cost: IntArray
    start: IntArray
    end: IntArray
    exact: bool


def keep(reading: Reading, reduce_rate: float, settings: LLMLingua2) -> BoolArray:
    """Which words of a chunk stay, bool, shape (w,).

    Args:
        reading: the chunk's words.
        reduce_rate: share of the tokens that goes, 0 to 1.
        settings: of them the forced tokens count here, where they drop consecutive ones.
    """
    words = reading.words
    if not words:
        return np.zeros(0, bool)
    value = reading.probability.astype(np.float64 if reading.exact else np.float32)
    forced = settings.force_tokens if settings.drop_consecutive else ()
    if forced:
        value = _lower_repeats(words, value, forced, _percentile(value, int(100 * reduce_rate)))
    kept = _above(value, reading.cost, int(100 * reduce_rate + 1))
    return _without_repeats(words, kept, forced) if forced else kept


def _percentile(values: npt.NDArray[Any], percent: int) -> float:
    """As NumPy computes it in the precision of the values."""
    return float(np.percentile(values, percent))


def _above(values: npt.NDArray[Any], counts: IntArray, percent: int) -> BoolArray:
    """Which values are above a percentile of all values, each taken ``counts`` times.

    Where the percentile is 1, so are those that are 1. The percentile lies between two neighbours
    in order. Where these are equal, or it is surely strictly between, how it is rounded decides
    nothing, and it is not computed, which would take most of the time here.
    """
    weighted = np.repeat(values, counts)
    n = len(weighted)
    if not n:
        return np.zeros(len(values), bool)
    at = (n - 1) * percent / 100
    k, sure = int(at), _CLOSE + n * 1e-6
    if sure < at - k < 1 - sure and k + 1 < n and counts.all():
        low, high = np.partition(weighted, (k, k + 1))[k : k + 2].tolist()
        if high - low > _CLOSE * high or low == high:
            above: BoolArray = values > low
            return above | (values == 1.0) if low == 1.0 else above
    threshold = _percentile(weighted, percent)
    kept: BoolArray = values.astype(np.float64) > threshold
    if threshold == 1.0:
        kept |= values == 1.0
    return kept


def _lower_repeats(
    words: list[str], value: npt.NDArray[Any], forced: tuple[str, ...], threshold: float
) -> npt.NDArray[Any]:
    """Probability 0 for a forced word that follows itself with nothing likely in between."""
    between, before = False, ""
    for i, word in enumerate(words):
        if word not in forced:
            between |= bool(value[i] > threshold)
            continue
        if between:
            between = False
        elif word == before:
            value = value.astype(np.float64)
            value[i] = 0.0
        before = word
    return value


def _without_repeats(words: list[str], kept: BoolArray, forced: tuple[str, ...]) -> BoolArray:
    """Drop a forced word whose predecessor among the kept ones is the same."""
    last = ""
    for i in np.flatnonzero(kept).tolist():
        if words[i] == last and last in forced:
            kept[i] = False
        else:
            last = words[i]
    return kept
