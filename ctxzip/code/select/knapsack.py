"""The exact knapsack over blocks that nest, what stands for the left-out ones counted in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray

__all__ = ["adaptive_rates", "knapsack"]

_WORST = -1e18


def knapsack(
    value: Sequence[float],
    cost: Sequence[int],
    skip: Sequence[int],
    capacity: int,
    *,
    marker: int = 0,
) -> BoolArray:
    """The most valuable set of nested blocks whose cost fits.

    Dynamic programming over the blocks in source order, each before what it holds: a block is
    taken, and what it holds comes next, or it is left out with all it holds. The first of a run of
    neighbours left out costs a marker. Time and memory are proportional to ``n * capacity``.

    Args:
        value: worth of each block by itself, shape (n,).
        cost: tokens of each block without what it holds, shape (n,).
        skip: index of the first block behind each and all it holds, shape (n,); ``i + 1`` for all
            is the plain 0/1 knapsack.
        capacity: ceiling on the sum of costs, at least 0.
        marker: tokens of a marker.

    Returns:
        bool, shape (n,): a block is taken only with all that hold it. Of equal sets the one that
        leaves out the earlier block; the empty set where not even its marker fits.
    """
    n = len(value)
    size = max(0, capacity) + 1
    taken = np.zeros(n, bool)
    if not n:
        return taken
    follows = _follows(skip)
    # best[s][i]: value of blocks i.. per capacity, s telling whether the one before was left out.
    best = np.zeros((2, n + 1, size))
    choose = np.zeros((2, n, size), bool)
    for i in range(n - 1, -1, -1):
        take = _paid(best[0][i + 1], cost[i], value[i])
        behind = best[1 if follows[i] else 0][skip[i]]
        for left_out, price in ((1, 0), (0, marker)):
            leave = _paid(behind, price, 0.0)
            choose[left_out][i] = take > leave
            best[left_out][i] = np.maximum(take, leave)
    if best[0][0][size - 1] > _WORST / 2:
        taken[_traced(choose, cost, skip, follows, marker)] = True
    return taken


def _traced(
    choose: BoolArray, cost: Sequence[int], skip: Sequence[int], follows: list[bool], marker: int
) -> list[int]:
    """The blocks that were chosen, from the first on.

    Args:
        choose: whether each is taken, by whether the one before was left out, and by capacity.
        cost: see :func:`knapsack`.
        skip: see there.
        follows: see :func:`_follows`.
        marker: see :func:`knapsack`.
    """
    found: list[int] = []
    i, room, left_out = 0, choose.shape[2] - 1, 0
    while i < len(skip):
        if choose[left_out][i][room]:
            found.append(i)
            room -= cost[i]
            i, left_out = i + 1, 0
        else:
            room -= 0 if left_out else marker
            i, left_out = skip[i], int(follows[i])
    return found


def _paid(best: FloatArray, price: int, value: float) -> FloatArray:
    """What each capacity is worth when some of it is spent."""
    result = np.full(len(best), _WORST)
    if price < len(best):
        result[price:] = best[: len(best) - price] + value
    return result


def _follows(skip: Sequence[int]) -> list[bool]:
    """Whether the block behind each is its sibling, not one of what holds it."""
    n = len(skip)
    parent, stack = [-1] * (n + 1), list[int]()
    for i in range(n):
        while stack and skip[stack[-1]] <= i:
            stack.pop()
        parent[i] = stack[-1] if stack else -1
        stack.append(i)
    return [skip[i] < n and parent[skip[i]] == parent[i] for i in range(n)]


def adaptive_rates(
    lines: Sequence[int], scores: Sequence[float], target: float, *, beta: float, small: int
) -> list[float]:
    """How much of each function stays: LongCodeZip's adaptive budget.

    A function of fewer than ``small`` lines stays whole. The others share what is left in
    proportion to their size, more for those with higher scores: ``base * (1 + beta * (2s - 1))``
    with ``s`` the score scaled to [0, 1] over them, clamped to [0, 1], scaled to meet the target
    where it is missed by more than one, and clamped again.

    Args:
        lines: size of each function, in lines or tokens.
        scores: its relevance; what is not finite counts as the lowest.
        target: how much of all may stay, in the same measure.
        beta: 0 for equal rates, 1 for the strongest preference.
        small: see above; in the measure of ``lines``.

    Returns:
        A rate in [0, 1] for each.
    """
    rates = [1.0] * len(lines)
    large = [i for i, size in enumerate(lines) if size >= small]
    total = sum(lines[i] for i in large)
    wanted = max(0, target - sum(size for size in lines if size < small))
    if not large:
        return rates
    if wanted <= 0 or wanted >= total:
        for i in large:
            rates[i] = 0.0 if wanted <= 0 else 1.0
        return rates
    base = wanted / total
    finite = [scores[i] for i in large if np.isfinite(scores[i])]
    if not finite or max(finite) == min(finite):
        first = [base] * len(large)
    else:
        low, high = min(finite), max(finite)
        scaled = [(scores[i] - low) / (high - low) if np.isfinite(scores[i]) else 0 for i in large]
        first = [max(0.0, min(1.0, base * (1 + beta * (s - 0.5) * 2))) for s in scaled]
        kept = sum(rate * lines[i] for rate, i in zip(first, large, strict=True))
        if kept > 0 and abs(kept - wanted) > 1:
            first = [max(0.0, min(1.0, rate * (wanted / kept))) for rate in first]
    for i, rate in zip(large, first, strict=True):
        rates[i] = rate
    return rates
