"""Choosing units of a prepared request, and counting what they come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctxzip.prepare import Prepared
from ctxzip.render import merge, pieces
from ctxzip.select import Candidates, fit, greedy
from ctxzip.units import BoolArray, FloatArray, IntArray, overlapping

__all__ = ["Chosen", "SpanLists", "candidates_of", "choose_units", "count", "with_hard"]

SpanLists = list[list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What was chosen for one request.

    Attributes:
        spans: slices of each clean text, in order.
        kept: units of which anything is kept, over all passages, bool, shape (n,).
        tokens: counted tokens of the assembled text.
        notes: what the caller should know.
    """

    spans: SpanLists
    kept: BoolArray
    tokens: int
    notes: tuple[str, ...] = ()


def candidates_of(prepared: Prepared, scores: tuple[FloatArray, ...]) -> Candidates:
    """The units of all passages, side by side."""
    units = [passage.units for passage in prepared.passages]
    first = np.cumsum([0, *map(len, units)])
    opening = [
        prepared.counter.count(prepared.options.separator + prefix) for prefix in prepared.prefixes
    ]
    score = np.concatenate([*scores, np.zeros(0)])
    eligible = np.ones(len(score), bool)
    if prepared.request.budget.threshold is not None:
        eligible = score >= prepared.request.budget.threshold
    none = np.zeros(0, np.int64)
    return Candidates(
        score=score,
        cost=np.concatenate(
            [none, *(prepared.cost(i, _leads(u.end), u.end) for i, u in enumerate(units))]
        ),
        forced=np.concatenate(
            [np.zeros(0, bool), *map(overlapping, units, prepared.hard)],
        ),
        group=np.repeat(np.arange(len(units)), list(map(len, units))),
        requires=np.concatenate(
            [
                none,
                *(
                    np.where(u.requires >= 0, u.requires + f, -1)
                    for u, f in zip(units, first[:-1], strict=True)
                ),
            ]
        ),
        opening=np.array(opening, np.int64),
        eligible=eligible,
    )


def _leads(end: IntArray) -> IntArray:
    """Where the whitespace before each unit begins: at the end of the one before."""
    return np.concatenate([np.zeros(min(1, len(end)), np.int64), end[:-1]])


def count(prepared: Prepared, spans: SpanLists) -> int:
    """Tokens of the text that the spans of all passages come to."""
    texts = [pieces(p.text, some) for p, some in zip(prepared.passages, spans, strict=True)]
    return prepared.counter.count(prepared.assemble(texts))


def with_hard(
    prepared: Prepared, passage: int, spans: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """``spans`` with the passage's hard-protected spans, whitespace at their edges included."""
    hard = prepared.hard[passage]
    if not len(hard):
        return spans
    both = np.concatenate([np.array(spans, np.int64).reshape(-1, 2), hard])
    return [(int(a), int(b)) for a, b in merge(both).tolist()]


def choose_units(prepared: Prepared, candidates: Candidates, ceiling: int) -> Chosen | None:
    """The best whole units whose assembled text fits; None where forced units alone do not."""
    left = candidates.cost[candidates.eligible & ~candidates.forced]
    fitted = fit(
        lambda budget: greedy(candidates, budget, prepared.options.min_per_document),
        lambda selected: count(prepared, _spans(prepared, selected)),
        ceiling,
        slack=int(left.min()) - 1 if len(left) else 0,
        most=int(candidates.cost.sum() + candidates.opening.sum()),
    )
    if fitted is None:
        return None
    return Chosen(_spans(prepared, fitted.selected), fitted.selected, fitted.tokens)


def _spans(prepared: Prepared, selected: BoolArray) -> SpanLists:
    """Source slices of every passage for a selection over all of them."""
    cuts = np.cumsum([len(p.units) for p in prepared.passages])[:-1]
    return [
        with_hard(prepared, i, layout.spans(part)) if part.any() else []
        for i, (layout, part) in enumerate(
            zip(prepared.layouts, np.split(selected, cuts), strict=True)
        )
    ]
