"""Choosing units of a prepared request, and counting what they come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray, split_like
from ctxzip.score.base import UnitScores
from ctxzip.segment.layout import Layout
from ctxzip.segment.prepare import Prepared
from ctxzip.select.search import Candidates, fit, greedy
from ctxzip.text.spans import merge, overlapping, pieces

__all__ = ["Chosen", "candidates_of", "choose_units", "count", "spans_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What was chosen for one request.

    Attributes:
        spans: slices of each clean text, in order, int64, shape (k, 2) each.
        kept: units of which anything is kept, over all passages, bool, shape (n,).
        tokens: counted tokens of the assembled text.
        notes: what the caller should know.
    """

    spans: list[IntArray]
    kept: BoolArray
    tokens: int
    notes: tuple[str, ...] = ()


def candidates_of(prepared: Prepared, scores: UnitScores) -> Candidates:
    """The units of all passages, side by side."""
    units = [passage.units for passage in prepared.passages]
    first = np.cumsum([0, *map(len, units)])
    opening = [
        prepared.counter.count(prepared.options.separator + prefix) for prefix in prepared.prefixes
    ]
    score = np.concatenate([*scores.units, np.zeros(0)])
    eligible = np.ones(len(score), bool)
    if scores.eligible is not None:
        eligible = np.concatenate([eligible[:0], *scores.eligible])
    if prepared.request.budget.threshold is not None:
        eligible &= score >= prepared.request.budget.threshold
    none = np.zeros(0, np.int64)
    requires = [
        none,
        *(
            np.where(u.requires >= 0, u.requires + f, -1)
            for u, f in zip(units, first, strict=False)
        ),
    ]
    needed = np.concatenate(requires)
    # A table's header says nothing by itself: it comes along with its rows.
    eligible[needed[needed >= 0]] = False
    return Candidates(
        score=score,
        cost=np.concatenate(
            [none, *(prepared.cost(i, _leads(u.end), u.end) for i, u in enumerate(units))]
        ),
        forced=np.concatenate(
            [np.zeros(0, bool), *map(overlapping, units, prepared.hard)],
        ),
        group=np.repeat(np.arange(len(units)), list(map(len, units))),
        requires=needed,
        opening=np.array(opening, np.int64),
        eligible=eligible,
    )


def _leads(end: IntArray) -> IntArray:
    """Where the whitespace before each unit begins: at the end of the one before."""
    return np.concatenate([np.zeros(min(1, len(end)), np.int64), end[:-1]])


def count(prepared: Prepared, spans: list[IntArray]) -> int:
    """Tokens of the text that the spans of all passages come to."""
    texts = [pieces(p.text, some) for p, some in zip(prepared.passages, spans, strict=True)]
    joined = prepared.assemble(texts)
    # Some counters count special tokens even in an empty text, which nobody sends.
    return prepared.counter.count(joined) if joined else 0


def spans_of(prepared: Prepared, passage: int, layout: Layout, selected: BoolArray) -> IntArray:
    """Slices of one clean text, with its hard-protected spans and the blanks at their edges.

    Args:
        prepared: the request.
        passage: index of the passage.
        layout: how its units become text.
        selected: which of the layout's units, bool, shape (n,).

    Returns:
        int64, shape (k, 2), in order; only the hard-protected ones where nothing is selected.
    """
    if not selected.any():
        return prepared.hard[passage]
    spans = np.asarray(layout.spans(selected), np.int64).reshape(-1, 2)
    hard = prepared.hard[passage]
    return merge(np.concatenate([spans, hard])) if len(hard) else spans


def choose_units(prepared: Prepared, candidates: Candidates, ceiling: int) -> Chosen | None:
    """The best whole units whose assembled text fits; None where forced units alone do not."""
    left = candidates.cost[candidates.eligible & ~candidates.forced]
    fitted = fit(
        lambda budget: greedy(candidates, budget, prepared.options.min_per_document),
        lambda selected: count(prepared, _spans(prepared, selected)),
        ceiling,
        # Half a percent is less than a sentence wherever counting again would take long.
        slack=max(int(left.min()) - 1, ceiling // 200) if len(left) else 0,
        most=int(candidates.cost.sum() + candidates.opening.sum()),
    )
    if fitted is None:
        return None
    return Chosen(_spans(prepared, fitted.selected), fitted.selected, fitted.tokens)


def _spans(prepared: Prepared, selected: BoolArray) -> list[IntArray]:
    """Source slices of every passage for a selection over all of them."""
    parts = split_like(selected, [passage.units for passage in prepared.passages])
    return [
        spans_of(prepared, i, layout, part)
        for i, (layout, part) in enumerate(zip(prepared.layouts, parts, strict=True))
    ]
