"""What the combiner of `mini` knows of each unit, in NumPy.

All arrays of a request run over its n units, passage after passage. H = 384 hidden units, Q tokens
of the query. The order of the features is ``NAMES``; a bundle lists those that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, Float32Array, FloatArray, IntArray
from ctxzip.score.lexical import LexicalIndex, bm25, query_terms
from ctxzip.score.mini.windows import Window

__all__ = [
    "NAMES",
    "Pool",
    "Reading",
    "Signals",
    "base",
    "features",
    "signals",
    "unit_length",
]

ANCHORS = 5
_SCALES = (1, 4, 12)
_REGIONS = (30, 80)
_SIGNALS = ("situated", "late", "late_weighted", "bm25", "bm25_titled", "bm25_passage", "window")
NAMES: tuple[str, ...] = (
    *(f"{name}{kind}" for name in (*_SIGNALS, "base") for kind in ("", "_z", "_gap")),
    *(f"base_smooth_{scale}" for scale in _SCALES),
    *(f"situated_smooth_{scale}" for scale in _SCALES),
    "cross", "cross_gap", "cross_window", "cross_window_gap", "cross_smooth_1", "cross_smooth_4",
    "read",
    "passage_best", "passage_best_gap", "others_best", "rank",
    "hop_similar", "hop_expanded", "hop_title_named", "hop_names_title", "hop_shared",
    "hop_residual",
    "title_in_query", "titles_in_query", "query_in_unit",
    "first", "position", "tokens", "units", "passages", "passage_units", "query_length",
    "numbers_in_unit", "numbers_asked",
    *(f"{name}_region_{scale}" for name in ("base", "late_weighted") for scale in _REGIONS),
    "cross_answer", "cross_answer_gap", "cross_in_passage", "cross_answer_in_passage",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one query-free forward says of a passage with n units and w windows.

    Attributes:
        mean: mean token state of each unit, float32, shape (n, H).
        tokens: tokens of each unit, float64, shape (n,).
        window: mean token state of each window, float32, shape (w, H).
        window_of: window in which each unit begins, int64, shape (n,).
        late: largest cosine of each query token with a token of the unit, float32, shape (n, Q).
    """

    mean: Float32Array
    tokens: FloatArray
    window: Float32Array
    window_of: IntArray
    late: Float32Array


def unit_length(states: Float32Array) -> Float32Array:
    """Vectors scaled to length 1 along the last axis."""
    size = np.sqrt((states * states).sum(axis=-1, keepdims=True))
    result: Float32Array = states / np.maximum(size, np.float32(1e-9))
    return result


class Pool:
    """Pools the token states of a passage into units, window by window in any order.

    Args:
        n: units of the passage.
        windows: its windows.
        query: token states of the query without its special tokens, each of length 1, (Q, H).
    """

    def __init__(self, n: int, windows: Sequence[Window], query: Float32Array) -> None:
        self._windows = windows
        self._query = query
        hidden = query.shape[1]
        self._total = np.zeros((n, hidden))
        self._tokens = np.zeros(n)
        self._late = np.full((n, len(query)), -1, np.float32)
        self._means = np.zeros((len(windows), hidden), np.float32)
        self._window_of = np.full(n, len(windows), np.int64)

    def add(self, number: int, states: Float32Array) -> None:
        """Token states of window ``number``, float32, shape (length, H)."""
        window = self._windows[number]
        self._means[number] = states.mean(axis=0)
        body = states[window.body : -1]
        first = np.flatnonzero(np.diff(window.unit, prepend=-1))
        unit = window.unit[first]
        self._total[unit] += np.add.reduceat(body, first, axis=0)
        self._tokens[unit] += np.diff(np.append(first, len(window.unit)))
        near = unit_length(body) @ self._query.T
        self._late[unit] = np.maximum(self._late[unit], np.maximum.reduceat(near, first, axis=0))
        self._window_of[unit] = np.minimum(self._window_of[unit], number)

    def reading(self) -> Reading:
        """What came of it."""
        mean = (self._total / np.maximum(self._tokens, 1)[:, None]).astype(np.float32)
        last = max(0, len(self._windows) - 1)
        means = self._means if len(self._windows) else np.zeros((1, mean.shape[1]), np.float32)
        return Reading(mean, self._tokens, means, np.minimum(self._window_of, last), self._late)


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """The raw signals of a request over its n units.

    Attributes:
        values: one column per name of ``_SIGNALS``, float64, shape (n, 7).
        unit: unit embeddings of length 1, float32, shape (n, H).
        query: the query's embedding of length 1, float32, shape (H,).
        passage: passage of each unit, int64, shape (n,).
        tokens: tokens of each unit, float64, shape (n,).
        index: the words of the request.
        terms: the query's terms in it.
    """

    values: FloatArray
    unit: Float32Array
    query: Float32Array
    passage: IntArray
    tokens: FloatArray
    index: LexicalIndex
    terms: IntArray


def signals(
    readings: Sequence[Reading],
    query: str,
    query_states: Float32Array,
    index: LexicalIndex,
    query_weight: Float32Array,
) -> Signals:
    """Put a request's readings and its words together.

    Args:
        readings: one per passage.
        query: the question.
        query_states: its token states with special tokens, float32, shape (Q + 2, H).
        index: the words of the same passages.
        query_weight: importance of a query token is the softmax of its state times this, (H,).
    """
    mean = unit_length(query_states.mean(axis=0))
    unit = unit_length(np.concatenate([r.mean for r in readings]))
    late = np.concatenate([r.late for r in readings]).astype(np.float64)
    importance = query_states[1:-1].astype(np.float64) @ query_weight
    importance = np.exp(importance - importance.max()) if len(importance) else importance
    weight = importance * (late.max(axis=0) - late.mean(axis=0) + 1e-6)
    window = [(unit_length(r.window) @ mean)[r.window_of] for r in readings if len(r.window_of)]
    terms = query_terms(query, index)
    plain, titled, passage = _lexical(terms, index, len(readings))
    columns = [
        unit @ mean,
        late @ (importance / importance.sum()),
        late @ (weight / weight.sum()),
        plain,
        titled,
        passage[index.passage],
        np.concatenate(window),
    ]
    return Signals(
        values=np.stack([np.asarray(column, np.float64) for column in columns], axis=1),
        unit=unit,
        query=mean,
        passage=index.passage,
        tokens=np.concatenate([r.tokens for r in readings]),
        index=index,
        terms=terms,
    )


def _lexical(
    terms: IntArray, index: LexicalIndex, passages: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """BM25 of units, of units with their title, and of passages with their title."""
    plain = bm25(terms, index.term, index.unit, index.length)
    first = np.searchsorted(index.passage, np.arange(passages + 1))
    head_term, head_unit, title_passage = [index.term], [index.unit], []
    for i, title in enumerate(index.titles):
        units = np.arange(first[i], first[i + 1])
        head_term.append(np.tile(title, len(units)))
        head_unit.append(np.repeat(units, len(title)))
        title_passage.append(np.full(len(title), i))
    term, unit = np.concatenate(head_term), np.concatenate(head_unit)
    titled = bm25(terms, term, unit, np.bincount(unit, minlength=len(index.length)).astype(float))
    term = np.concatenate([index.term, *index.titles])
    place = np.concatenate([index.passage[index.unit], *title_passage])
    length = np.bincount(place, minlength=passages).astype(float)
    return plain, titled, bm25(terms, term, place, length)


def _z(values: FloatArray) -> FloatArray:
    result: FloatArray = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-3)
    return result


def base(given: Signals) -> FloatArray:
    """The sum of signals that chooses what the cross-encoder reads, shape (n,)."""
    z = _z(given.values)
    weights = np.array([1.0, 0.5, 0.5, 0.3, 0.7, 0.3, 0.5])
    result: FloatArray = z @ weights / weights.sum()
    return result


def _smooth(values: FloatArray, passage: IntArray, scale: int) -> FloatArray:
    """Mean over the units up to ``scale`` away in the same passage, triangular weights."""
    total = values * (scale + 1.0)
    count = np.full(len(values), scale + 1.0)
    for step in range(1, min(scale, len(values) - 1) + 1):
        weight = scale + 1.0 - step
        same = (passage[step:] == passage[:-step]) * weight
        total[step:] += same * values[:-step]
        total[:-step] += same * values[step:]
        count[step:] += same
        count[:-step] += same
    result: FloatArray = total / count
    return result


def _region(values: FloatArray, passage: IntArray, scale: int) -> FloatArray:
    """Mean over the units up to ``scale`` away in the same passage, less the mean of the passage.

    What a long document says about a question stands together, and one of its sentences alone does
    not show it. In a passage that is no longer than the region this is 0.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first = np.searchsorted(passage, passage, side="left")
    stop = np.searchsorted(passage, passage, side="right")
    low, high = np.maximum(first, at - scale), np.minimum(stop, at + scale + 1)
    near = (sums[high] - sums[low]) / (high - low)
    result: FloatArray = near - (sums[stop] - sums[first]) / (stop - first)
    return result


def _best_of(values: FloatArray, passage: IntArray) -> tuple[FloatArray, FloatArray]:
    """For each unit the best value in its passage, and in the other passages."""
    n = int(passage.max()) + 1
    best = np.full(n, -9.0)
    np.maximum.at(best, passage, values)
    order = np.argsort(-best, kind="stable")
    others = np.full(n, best[order[0]])
    others[order[0]] = best[order[1]] if n > 1 else best[order[0]] - 1.0
    return best[passage], others[passage]


def _hops(given: Signals, score: FloatArray) -> FloatArray:
    """Second-hop evidence from the best units of *other* passages (the anchors), shape (n, 6)."""
    n, index = len(score), given.index
    result = np.zeros((n, 6))
    if index.passage[-1] == 0:
        return result
    order = np.argsort(-score, kind="stable")
    anchors = order[:ANCHORS]
    weight = 1.0 / (1.0 + np.exp(-1.5 * (score[anchors] - score[anchors[0]] + 1.0)))
    content = ~index.function
    df = np.bincount(
        np.unique(index.unit * len(index.function) + index.term) % len(index.function),
        minlength=len(index.function),
    )
    idf = np.log1p(n / np.maximum(df, 0.5)) * content
    new = idf.copy()
    new[given.terms] = 0.0
    has = _occurrence(index, n)
    for anchor, strength in zip(anchors.tolist(), weight.tolist(), strict=True):
        own = index.passage[anchor]
        other = index.passage != own
        inside = has(anchor)
        title = index.titles[own]
        vector = unit_length(given.query + given.unit[anchor])
        rows = np.zeros((n, 6))
        rows[:, 0] = given.unit @ given.unit[anchor]
        rows[:, 1] = given.unit @ vector
        named = np.array([_covered(t, inside, new) for t in index.titles])
        rows[:, 2] = named[index.passage]
        rows[:, 3] = _coverage(index, n, title, new)
        rows[:, 4] = _coverage(index, n, np.flatnonzero(inside), new)
        missing = given.terms[~inside[given.terms]]
        rows[:, 5] = _coverage(index, n, missing, idf)
        result = np.where(other[:, None], np.maximum(result, rows * strength), result)
    return result


def _occurrence(index: LexicalIndex, n: int) -> Callable[[int], BoolArray]:
    """A function from a unit to the set of its terms as a mask."""
    order = np.argsort(index.unit, kind="stable")
    first = np.searchsorted(index.unit[order], np.arange(n + 1))

    def terms(unit: int) -> BoolArray:
        mask = np.zeros(len(index.function), bool)
        mask[index.term[order[first[unit] : first[unit + 1]]]] = True
        return mask

    return terms


def _covered(terms: IntArray, inside: BoolArray, idf: FloatArray) -> float:
    """Share of the weight of ``terms`` that lies inside."""
    total = idf[terms].sum()
    return float((idf[terms] * inside[terms]).sum() / total) if total > 0 else 0.0


def _coverage(index: LexicalIndex, n: int, terms: IntArray, idf: FloatArray) -> FloatArray:
    """For each unit the share of the weight of ``terms`` that it holds, shape (n,)."""
    wanted = np.zeros(len(index.function))
    wanted[terms] = idf[terms]
    total = wanted.sum()
    if total <= 0:
        return np.zeros(n)
    hit = wanted[index.term] > 0
    pairs = np.unique(index.unit[hit] * len(wanted) + index.term[hit])
    weight = wanted[pairs % len(wanted)] / total
    share = np.bincount(pairs // len(wanted), weights=weight, minlength=n)
    return np.asarray(share, np.float64)


def features(given: Signals, cross: FloatArray) -> FloatArray:
    """Every feature of every unit.

    Args:
        given: the signals.
        cross: what the cross-encoder says of each unit, nan where it did not read, shape (n, 3):
            its relevance (the mean of its tokens' logits and, for each query token, the largest
            similarity), its answer logits (log of their summed exponentials), and the logit of its
            window.

    Returns:
        float64, shape (n, len(NAMES)).
    """
    passage, n = given.passage, len(given.passage)
    score = base(given)
    columns: list[FloatArray] = []
    for values in (*given.values.T, score):
        columns += [values, _z(values), values - values.max()]
    columns += [_smooth(score, passage, scale) for scale in _SCALES]
    columns += [_smooth(_z(given.values[:, 0]), passage, scale) for scale in _SCALES]
    read = ~np.isnan(cross[:, 0])
    low = np.nanmin(cross, axis=0) if read.any() else np.zeros(3)
    relevance, answer, window = np.where(read[:, None], cross, low).T
    columns += [relevance, relevance - relevance.max(), window, window - window.max()]
    columns += [_smooth(relevance, passage, 1), _smooth(relevance, passage, 4), read.astype(float)]
    strength = score + 0.25 * relevance
    best, others = _best_of(strength, passage)
    rank = np.empty(n)
    rank[np.argsort(-strength, kind="stable")] = np.arange(n)
    columns += [best, best - strength.max(), others - strength.max(), 1.0 / (1.0 + rank)]
    columns += list(_hops(given, strength).T)
    columns += _context(given, n)
    for values in (score, _z(given.values[:, _SIGNALS.index("late_weighted")])):
        columns += [_region(values, passage, scale) for scale in _REGIONS]
    columns += [answer, answer - answer.max()]
    for values in (relevance, answer):  # which unit, given that the passage is the right one
        total = np.full(int(passage.max()) + 1, -np.inf)
        np.logaddexp.at(total, passage, values)
        columns.append(np.where(read.any(), values - total[passage], 0.0))
    result: FloatArray = np.stack(columns, axis=1)
    return result


def _context(given: Signals, n: int) -> list[FloatArray]:
    """Titles, coverage of the query and of its numbers and ids, position and sizes."""
    index, passage = given.index, given.passage
    numbers = given.terms[index.telling[given.terms]]
    asked = np.zeros(len(index.function), bool)
    asked[given.terms] = True
    flat = np.where(index.function, 0.0, 1.0)
    titles = np.array([_covered(t, asked, flat) for t in index.titles])
    at = np.searchsorted(passage, passage, side="left")
    size = np.bincount(passage)[passage]
    position = np.arange(n) - at
    return [
        titles[passage],
        np.full(n, min(3.0, float((titles > 0.7).sum()))),
        _coverage(index, n, given.terms, np.ones(len(index.function))),
        (position == 0).astype(float),
        position / size,
        np.log1p(given.tokens),
        np.full(n, np.log1p(n)),
        np.full(n, np.log1p(passage.max())),
        np.log1p(size),
        np.full(n, np.log1p(len(given.terms))),
        _coverage(index, n, numbers, np.ones(len(index.function))),
        np.full(n, float(len(numbers) > 0)),
    ]
