"""Near-duplicate units: overlapping chunks and boilerplate repeat the same sentences.

MinHash with banding (Broder 1997; Leskovec et al., "Mining of Massive Datasets", chapter 3) finds
candidates in linear time; each is then checked by its exact Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import BoolArray, IntArray, distinct
from ctxzip.text.units import Kind, Passage

__all__ = ["repeats", "stand_alone"]

_DATA = (Kind.ROW, Kind.RECORD, Kind.FIELD, Kind.LINE, Kind.ENTRY, Kind.JSON_MEMBER, Kind.HUNK)
_BANDS, _ROWS = 6, 2
# Odd multipliers and offsets of multiply-shift hashing, fixed: same input, same output.
_MULTIPLY = np.random.default_rng(20240607).integers(
    1, 2**63, _BANDS * _ROWS, dtype=np.uint64
) | np.uint64(1)
_ADD = np.random.default_rng(11).integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64)


def repeats(
    term: IntArray, unit: IntArray, n: int, telling: BoolArray, *, similarity: float = 0.8
) -> BoolArray:
    """Which units say again what an earlier unit said.

    Args:
        term: term of each word, int64, shape (w,).
        unit: unit of each word, non-decreasing, int64, shape (w,).
        n: number of units.
        telling: terms that two repeats must share (numbers, negations), bool, shape (terms,).
        similarity: Jaccard similarity of the sets of terms from which two units are the same.

    Returns:
        bool, shape (n,); the first of a group of near-duplicates is False, units of fewer than
        four different words are only compared for equality.
    """
    result = np.zeros(n, bool)
    if n < 2 or not len(term):
        return result
    width = int(term.max()) + 1
    pair = distinct(unit * width + term)
    owner, value = pair // width, pair % width
    first = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    owners = owner[first]
    size = np.diff(np.concatenate([first, [len(owner)]]))
    signature = np.empty((len(first), _BANDS * _ROWS), np.uint64)
    x = value.astype(np.uint64)
    for k in range(_BANDS * _ROWS):
        signature[:, k] = np.minimum.reduceat(
            ((x + _ADD[k]) * _MULTIPLY[k]) >> np.uint64(20), first
        )
    pairs = [_candidates(signature[:, band * _ROWS : (band + 1) * _ROWS]) for band in range(_BANDS)]
    values = value.tolist()

    def terms(i: int) -> frozenset[int]:
        return frozenset(values[first[i] : first[i] + size[i]])

    # Each pair once, in order, whatever the number of bands that proposed it.
    for code in distinct(np.concatenate(pairs)).tolist():
        later, earlier = divmod(code, len(first))
        if result[owners[later]]:
            continue
        a, b = terms(earlier), terms(later)
        common, union = len(a & b), len(a | b)
        enough = union if min(len(a), len(b)) < 4 else similarity * union
        if common >= enough and not any(telling[t] for t in a ^ b):
            result[owners[later]] = True
    return result


def stand_alone(passages: Sequence[Passage]) -> BoolArray:
    """Units that say something of their own however alike they look, bool, shape (n,).

    Rows, records, fields, events and lines belong to something: two equal ones are two facts.
    """
    kinds = [np.isin(passage.units.kind, _DATA) for passage in passages]
    return np.concatenate([np.zeros(0, bool), *kinds])


def _candidates(rows: npt.NDArray[np.uint64]) -> IntArray:
    """Pairs of equal signatures, each unit with its bucket's first: ``later * n + first``."""
    key = rows[:, 0] * np.uint64(0x9E3779B97F4A7C15) + rows[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.concatenate([[False], key[order][1:] == key[order][:-1]])
    head = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    later = np.flatnonzero(same)
    pairs: IntArray = order[later] * len(order) + order[head[later]]
    return pairs
