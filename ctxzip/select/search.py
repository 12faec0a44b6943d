"""Allocate and select: the best set of units under a hard budget.

Costs are tokens per unit, taken from one tokenization of the input. They do not add up exactly once
units are joined anew (BPE merges across a joint), so :func:`fit` steers the sum of costs until the
count of the assembled text meets the ceiling, in a handful of counts whatever the input's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray

__all__ = ["Candidates", "Fitted", "fit", "greedy", "prefix"]

T = TypeVar("T")
_LONG = 10_000  # tokens from which another count takes noticeable time


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Units of one request that compete for its budget, over all documents.

    Attributes:
        score: usefulness, higher is better, float64, shape (n,).
        cost: tokens, int64, shape (n,).
        forced: always selected (hard protection), bool, shape (n,).
        group: index of the document, int64, shape (n,), non-decreasing.
        requires: index of a unit that comes along, or -1, int64, shape (n,).
        opening: tokens for the separator and title that the first unit of a document brings.
        eligible: units that may be selected at all, bool, shape (n,).
    """

    score: FloatArray
    cost: IntArray
    forced: BoolArray
    group: IntArray
    requires: IntArray
    opening: IntArray
    eligible: BoolArray

    def required_by(self, selected: BoolArray) -> BoolArray:
        """``selected`` with everything that it requires."""
        needed = self.requires[selected]
        needed = needed[needed >= 0]
        if not len(needed):
            return selected
        closed = selected.copy()
        closed[needed] = True
        return closed


def greedy(candidates: Candidates, budget: int, minimum: int = 0) -> BoolArray:
    """Take units by falling score; one that does not fit is passed over for a cheaper one.

    A unit's cost includes what it requires and what opening its document costs. By score and not
    by score per token, nor by the knapsack that maximises the sum of scores: relevance does not
    add up, and both prefer many short units; tried on training requests of HotpotQA, 2Wiki and
    QED, both kept clearly less evidence.

    Args:
        candidates: what competes.
        budget: ceiling on the sum of costs, in tokens.
        minimum: units that each document gets first, in order of score, while they fit.

    Returns:
        bool, shape (n,); forced units are in whatever they cost.
    """
    selected = candidates.required_by(candidates.forced)
    opened = np.zeros(len(candidates.opening), bool)
    opened[candidates.group[selected]] = True
    left = budget - int(candidates.cost[selected].sum()) - int(candidates.opening[opened].sum())
    order = np.argsort(-candidates.score, kind="stable")
    order = order[candidates.eligible[order] & ~selected[order]]
    if minimum:
        order = _minimum_first(candidates, selected, order, minimum)
    # Plain lists: this loop is the only per-unit Python in selection.
    cost, group = candidates.cost.tolist(), candidates.group.tolist()
    requires, opening = candidates.requires.tolist(), candidates.opening.tolist()
    chosen, is_open = selected.tolist(), opened.tolist()
    cheapest = int(candidates.cost[order].min()) if len(order) else 0
    for i in order.tolist():
        if left < cheapest:
            break
        if chosen[i]:
            continue
        needs = requires[i]
        price = cost[i]
        if needs >= 0 and not chosen[needs]:
            price += cost[needs]
        if not is_open[group[i]]:
            price += opening[group[i]]
        if price <= left:
            left -= price
            chosen[i] = is_open[group[i]] = True
            if needs >= 0:
                chosen[needs] = True
    return np.array(chosen, dtype=np.bool_)


def _minimum_first(
    candidates: Candidates, selected: BoolArray, order: IntArray, minimum: int
) -> IntArray:
    """Move each document's best ``minimum`` units to the front of ``order``."""
    have = np.bincount(candidates.group[selected], minlength=len(candidates.opening))
    groups = candidates.group[order]
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=len(candidates.opening))
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(len(order), np.int64)
    rank[by_group] = np.arange(len(order)) - firsts[groups[by_group]]
    early = rank + have[groups] < minimum
    return np.concatenate([order[early], order[~early]])


def prefix(candidates: Candidates, budget: int, minimum: int = 0) -> BoolArray:
    """The longest prefix by falling score whose costs fit: selection for very many small units.

    Args and result as for :func:`greedy`.
    """
    selected = candidates.required_by(candidates.forced)
    opened = np.zeros(len(candidates.opening), bool)
    opened[candidates.group[selected]] = True
    left = budget - int(candidates.cost[selected].sum()) - int(candidates.opening[opened].sum())
    order = np.argsort(-candidates.score, kind="stable")
    order = order[candidates.eligible[order] & ~selected[order]]
    if minimum:
        order = _minimum_first(candidates, selected, order, minimum)
    groups = candidates.group[order]
    price = candidates.cost[order].copy()
    _, first = np.unique(groups, return_index=True)
    first = first[~opened[groups[first]]]
    price[first] += candidates.opening[groups[first]]
    taken = int(np.searchsorted(np.cumsum(price), left, side="right")) if left > 0 else 0
    selected = selected.copy()
    selected[order[:taken]] = True
    return candidates.required_by(selected)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted(Generic[T]):
    """A selection and what its assembled text costs.

    Attributes:
        selected: what ``choose`` gave.
        tokens: counted tokens of the assembled text.
    """

    selected: T
    tokens: int


def fit(
    choose: Callable[[int], T],
    count: Callable[[T], int],
    ceiling: int,
    *,
    slack: int,
    most: int,
    steps: int = 8,
    settle: bool = False,
) -> Fitted[T] | None:
    """Steer ``choose`` until the counted text fills the ceiling without exceeding it.

    Args:
        choose: selection for a budget in summed costs; more budget, no less text. A budget of zero
            gives what must stay whatever it costs.
        count: tokens of the text assembled from a selection.
        ceiling: hard ceiling in tokens.
        slack: room that may stay unused without another try.
        most: budget at which everything would be selected.
        steps: number of tries.
        settle: take the first selection that leaves no more than the slack; otherwise there is one
            try more, since summed costs may be a token or two above the count.

    Returns:
        The fullest selection that was found to fit, or None where not even a budget of zero fits.
    """
    best: Fitted[T] | None = None
    low, high = 0, max(most, ceiling) + 1
    budget = min(ceiling, high)
    seen: set[int] = set()
    close = settle or ceiling > _LONG
    for _ in range(steps):
        if budget in seen:
            break
        seen.add(budget)
        selected = choose(budget)
        tokens = count(selected)
        if tokens <= ceiling:
            if best is None or tokens > best.tokens:
                best = Fitted(selected, tokens)
            room = ceiling - tokens
            if not room or _all(selected) or (room <= slack and (close or room < 4)):
                break
            close = settle or room <= slack
            low = max(low, budget)
            budget += ceiling - tokens
        else:
            high = min(high, budget)
            budget -= tokens - ceiling
        if not low < budget < high:
            budget = (low + high) // 2
    if best is None:
        selected = choose(0)
        tokens = count(selected)
        if tokens <= ceiling:
            best = Fitted(selected, tokens)
    return best


def _all(selected: object) -> bool:
    """Whether more budget cannot select more."""
    return isinstance(selected, np.ndarray) and bool(selected.all())
