"""Selection under a budget."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxzip.select.search import Candidates, fit, greedy, prefix


def candidates(score, cost, *, forced=None, group=None, requires=None, opening=None, eligible=None):
    n = len(score)
    group = np.zeros(n, np.int64) if group is None else np.array(group)
    return Candidates(
        score=np.array(score, np.float64),
        cost=np.array(cost, np.int64),
        forced=np.zeros(n, bool) if forced is None else np.array(forced, bool),
        group=group,
        requires=np.full(n, -1) if requires is None else np.array(requires),
        opening=np.zeros(int(group.max()) + 1, np.int64) if opening is None else np.array(opening),
        eligible=np.ones(n, bool) if eligible is None else np.array(eligible, bool),
    )


def chosen(mask):
    return np.flatnonzero(mask).tolist()


def test_greedy_passes_over_what_does_not_fit():
    some = candidates([5, 4, 3, 2], [4, 9, 3, 2])
    assert chosen(greedy(some, 9)) == [0, 2, 3]


def test_greedy_pays_for_what_a_unit_requires():
    some = candidates([0, 5, 4], [3, 4, 4], requires=[-1, 0, 0])
    assert chosen(greedy(some, 6)) == [0]
    assert chosen(greedy(some, 7)) == [0, 1]
    assert chosen(greedy(some, 11)) == [0, 1, 2]


def test_greedy_pays_once_for_opening_a_document():
    some = candidates([5, 4, 3], [2, 2, 2], group=[0, 0, 1], opening=[3, 1])
    assert chosen(greedy(some, 7)) == [0, 1]
    assert chosen(greedy(some, 9)) == [0, 1]
    assert chosen(greedy(some, 10)) == [0, 1, 2]


def test_forced_units_come_whatever_they_cost_and_bring_what_they_require():
    some = candidates([0, 0, 9], [5, 5, 1], forced=[False, True, False], requires=[-1, 0, -1])
    for select in (greedy, prefix):
        assert chosen(select(some, 3)) == [0, 1]
        assert chosen(select(some, 11)) == [0, 1, 2]


def test_the_minimum_of_each_document_comes_first():
    some = candidates([9, 8, 7, 1], [2, 2, 2, 2], group=[0, 0, 0, 1])
    assert chosen(greedy(some, 4)) == [0, 1]
    assert chosen(greedy(some, 4, 1)) == [0, 3]
    assert chosen(prefix(some, 4, 1)) == [0, 3]


def test_what_is_not_eligible_is_never_taken():
    some = candidates([9, 8], [1, 1], eligible=[False, True])
    assert chosen(greedy(some, 5)) == chosen(prefix(some, 5)) == [1]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30),
    st.integers(0, 60),
)
def test_costs_never_exceed_the_budget(pairs, budget):
    some = candidates([s for s, _ in pairs], [c for _, c in pairs])
    for select in (greedy, prefix):
        assert some.cost[select(some, budget)].sum() <= budget


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), min_size=1, max_size=8))
def test_greedy_leaves_nothing_out_that_would_still_fit(pairs):
    some = candidates([s for s, _ in pairs], [c for _, c in pairs])
    mask = greedy(some, 10)
    left = 10 - some.cost[mask].sum()
    assert all(some.cost[i] > left for i in np.flatnonzero(~mask))


@pytest.mark.parametrize("tax", [0, 1, 3, -1])
def test_fit_meets_a_ceiling_whose_costs_do_not_add_up(tax):
    """Each joint costs ``tax`` tokens more than the sum says."""
    rng = np.random.default_rng(3)
    some = candidates(rng.random(400), rng.integers(2, 20, 400))

    def count(mask):
        return int(some.cost[mask].sum() + tax * max(0, mask.sum() - 1))

    for ceiling in (0, 1, 25, 500, 1500):
        found = fit(lambda b: greedy(some, b), count, ceiling, slack=1, most=5000)
        assert found is not None
        assert found.tokens == count(found.selected) <= ceiling
        assert found.tokens >= ceiling - 20


def test_fit_says_when_nothing_fits():
    some = candidates([1, 1], [5, 5], forced=[True, True])
    assert (
        fit(lambda b: greedy(some, b), lambda m: int(some.cost[m].sum()), 9, slack=0, most=10)
        is None
    )


def test_fit_counts_a_handful_of_times_whatever_the_size():
    calls = 0
    some = candidates(np.linspace(1, 0, 50_000), np.full(50_000, 3))

    def count(mask):
        nonlocal calls
        calls += 1
        return int(some.cost[mask].sum() * 1.1)

    found = fit(lambda b: prefix(some, b), count, 60_000, slack=600, most=150_000)
    assert found is not None
    assert found.tokens >= 59_000
    assert calls <= 9


def test_greedy_is_the_best_choice_where_costs_are_equal():
    rng = np.random.default_rng(1)
    score = rng.random(9)
    some = candidates(score, np.full(9, 2))
    best = max(sum(score[list(c)]) for c in combinations(range(9), 4))
    assert score[greedy(some, 8)].sum() == pytest.approx(best)
