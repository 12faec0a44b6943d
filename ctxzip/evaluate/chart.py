"""Curves as inline SVG: quality over the tokens that are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from ctxzip.evaluate.advice import METRICS, Row
from ctxzip.evaluate.cases import FULL

__all__ = ["curves", "key"]

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 12, 40
_COLOURS = 8  # as many as page.css has
_DASHES = ("none", "7 3", "2 3", "9 3 2 3")


class _Point(NamedTuple):
    x: float
    mean: float
    low: float
    high: float


def curves(
    metric: str, rows: Sequence[Row], arms: Sequence[str], *, target: float | None = None
) -> str:
    """A chart with a line and a 95% band for each arm.

    Args:
        metric: what is drawn upwards.
        rows: the averages.
        arms: in the order of their colours.
        target: a height to mark, or None.
    """
    points = {arm: _points(metric, rows, arm) for arm in arms}
    every = [point for line_points in points.values() for point in line_points]
    if not every:
        return "<p>No question has it.</p>"
    right = min(1.0, math.ceil(max(point.x for point in every) * 10 + 0.5) / 10)
    floor = min(*(point.low for point in every), 1.0 if target is None else target)
    bottom = max(0.0, math.floor(floor * 10) / 10)
    top = 1.0 if bottom < 1 else 1.1

    scale = _Scale(right, bottom, top)
    parts = [_grid(right, bottom, top)]
    if target is not None:
        height = scale.y(target)
        parts.append(
            f"<line class='axis' stroke-dasharray='3 3' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}'"
            f" y1='{height:.1f}' y2='{height:.1f}'/>"
            f"<text x='{_WIDTH - _RIGHT}' y='{height + 14:.1f}' text-anchor='end'>"
            "asked for</text>"
        )
    parts += [_line(i, arm, points[arm], scale) for i, arm in enumerate(arms) if points[arm]]
    label = f"{METRICS[metric].label} over the fraction of tokens kept; the table has the numbers"
    return (
        f"<svg class='chart' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{label}'>"
        f"{''.join(parts)}</svg>"
    )


class _Scale(NamedTuple):
    """From fractions of tokens and values of a metric to places in the picture."""

    right: float
    bottom: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + value / self.right * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (self.top - value) / (self.top - self.bottom)
        return _TOP + share * (_HEIGHT - _TOP - _BOTTOM)


def _line(i: int, arm: str, points: Sequence[_Point], scale: _Scale) -> str:
    """The line of the ``i``-th arm with its band and its points."""
    x, y = scale.x, scale.y
    line = "L".join(f"{x(p.x):.1f} {y(p.mean):.1f}" for p in points)
    upper = [f"{x(p.x):.1f} {y(p.high):.1f}" for p in points]
    lower = [f"{x(p.x):.1f} {y(p.low):.1f}" for p in reversed(points)]
    dots = "".join(_dot(x(p.x), y(p.mean), f"{arm}: {p.mean:.3f} at {p.x:.3f}") for p in points)
    return (
        f"<g class='c{i % _COLOURS}'><path class='band' d='M{'L'.join(upper + lower)}Z'/>"
        f"<path class='line' stroke-dasharray='{_dash(i)}' d='M{line}'/>{dots}</g>"
    )


def key(arms: Sequence[str]) -> str:
    """Which line is whose."""
    return "".join(
        f"<span><svg class='c{i % _COLOURS}' viewBox='0 0 32 14' aria-hidden='true'>"
        f"<line class='line' stroke-dasharray='{_dash(i)}' x2='32' y1='7' y2='7'/>"
        f"<circle class='dot' cx='16' cy='7' r='4'/></svg> {escape(arm)}</span>"
        for i, arm in enumerate(arms)
    )


def _points(metric: str, rows: Sequence[Row], arm: str) -> list[_Point]:
    found = [
        _Point(row.values["tokens_kept"][0], *row.values[metric])
        for row in rows
        if row.arm == arm and arm != FULL and {metric, "tokens_kept"} <= row.values.keys()
    ]
    return sorted(point for point in found if not math.isnan(point.mean))


def _grid(right: float, bottom: float, top: float) -> str:
    parts = []
    base = _HEIGHT - _BOTTOM
    steps = max(1, round((top - bottom) * 10))
    every = 1 if steps <= 5 else 2
    for i in range(0, steps + 1, every):
        height = _TOP + i / steps * (base - _TOP)
        parts.append(
            f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{height:.1f}'"
            f" y2='{height:.1f}'/><text x='{_LEFT - 6}' y='{height + 4:.1f}' text-anchor='end'>"
            f"{top - i / 10:.1f}</text>"
        )
    for i in range(round(right * 10) + 1):
        at = _LEFT + i / 10 / right * (_WIDTH - _LEFT - _RIGHT)
        parts.append(
            f"<line class='axis' x1='{at:.1f}' x2='{at:.1f}' y1='{base}' y2='{base + 4}'/>"
            f"<text x='{at:.1f}' y='{base + 18}' text-anchor='middle'>{i / 10:.1f}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f"<line class='axis' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{base}' y2='{base}'/>"
        f"<text x='{middle}' y='{_HEIGHT - 4}' text-anchor='middle'>tokens kept</text>"
    )
    return "".join(parts)


def _dot(x: float, y: float, title: str) -> str:
    shape = f"<circle class='dot' cx='{x:.1f}' cy='{y:.1f}' r='4'>"
    return f"{shape}<title>{escape(title)}</title></circle>"


def _dash(i: int) -> str:
    return _DASHES[i % len(_DASHES)]
