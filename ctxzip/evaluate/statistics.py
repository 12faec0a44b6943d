"""Intervals by bootstrap over requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ctxzip.errors import InputError
from ctxzip.evaluate.baselines import SEED
from ctxzip.kit.arrays import FloatArray

__all__ = ["intervals", "lower_bound", "paired_bootstrap"]

RESAMPLES = 10_000
_CELLS = 2_000_000  # of the drawn indices that are held at a time


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, resamples: int = 10_000, seed: int = SEED
) -> tuple[float, float, float]:
    """Difference of the means of ``a`` and ``b`` over the same requests, and its 95% interval.

    Raises:
        InputError: they are empty or differ in length.
    """
    if len(a) != len(b) or not len(a):
        raise InputError(f"Values of {len(a)} and {len(b)} requests cannot be compared in pairs.")
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    n = len(difference)
    generator = np.random.default_rng(seed)
    step = max(1, 2_000_000 // n)
    means = [
        difference[generator.integers(0, n, (min(step, resamples - done), n))].mean(axis=1)
        for done in range(0, resamples, step)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def intervals(
    values: FloatArray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means of several columns over the same requests, and their 95% bootstrap intervals.

    Args:
        values: float64, shape (n_requests, m); nan where a request has no such value.

    Returns:
        Mean, lower and upper end, float64, shape (m,) each; nan for a column without values.
    """
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    found = [
        (counts @ filled, counts @ known.astype(np.float64))
        for counts in _counts(len(values), resamples, seed)
    ]
    total, number = (np.concatenate(part) for part in zip(*found, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(number > 0, total / number, np.nan)
        mean = filled.sum(axis=0) / known.sum(axis=0)
    low, high = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    present = known.any(axis=0)
    if present.any():
        low[present], high[present] = np.nanquantile(drawn[:, present], [0.025, 0.975], axis=0)
    return mean, low, high


def lower_bound(
    values: Sequence[float], wholes: Sequence[float], level: float, *, seed: int = SEED
) -> float:
    """What ``mean(values) / mean(wholes)`` is at least, with the confidence ``1 - level``.

    A plain bootstrap of a handful of perfect values would promise perfection. One imaginary
    question, of which everything is lost, is therefore added before drawing. For values of 0 and 1
    the bound then comes close to the exact one of Clopper and Pearson (1934): of 59 successes in 59
    it says 95%, as does the rule of three.

    Args:
        values: one per question, in [0, 1].
        wholes: what each would have been with nothing lost, in [0, 1].
        level: one-sided, such as 0.05.

    Raises:
        InputError: there are no values, or not as many wholes.
    """
    if not len(values) or len(values) != len(wholes):
        raise InputError(f"{len(values)} values of {len(wholes)} wholes cannot be bounded.")
    pairs = np.array([[*values, 0.0], [*wholes, 1.0]]).T
    drawn = np.concatenate([counts @ pairs for counts in _counts(len(pairs), RESAMPLES, seed)])
    share = np.where(drawn[:, 1] > 0, drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12), 0.0)
    return float(np.quantile(share, level))


def _counts(n: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each of ``n`` requests is drawn, for some resamples at a time."""
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // max(n, 1))
    for done in range(0, resamples, step):
        rows = min(step, resamples - done)
        drawn = generator.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
