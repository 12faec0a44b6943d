"""The words of some units as they compete beside whole units, and as they become text again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray, split_like
from ctxzip.score.base import Asking, ScoreRequest, UnitScores, WordRequest
from ctxzip.segment import words as word_segmenter
from ctxzip.segment.layout import TextLayout
from ctxzip.segment.prepare import Prepared
from ctxzip.select.search import Candidates
from ctxzip.select.whole import spans_of
from ctxzip.text import protect
from ctxzip.text.spans import overlapping
from ctxzip.text.units import Passage, Units, Words

__all__ = ["Table", "spans_in", "table_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The words of one request, side by side.

    Attributes:
        passages: the words of each passage, whole units among them.
        unit: unit of each word, counted over all passages, int64, shape (w,).
        soft: bool, shape (w,).
        candidates: the same words as they compete.
    """

    passages: tuple[Words, ...]
    unit: IntArray
    soft: BoolArray
    candidates: Candidates


def table_of(
    prepared: Prepared,
    ask: ScoreRequest,
    scores: UnitScores,
    units: Candidates,
    divided: BoolArray,
    whole: BoolArray,
    forced: BoolArray,
) -> Asking[Table]:
    """Words of the ``divided`` units and the ``whole`` ones as they stand; others are out.

    Args:
        prepared: the request.
        ask: the same as it was scored.
        scores: of its units.
        units: its n units as they compete.
        divided: bool, shape (n,).
        whole: bool, shape (n,); none of them is divided.
        forced: whole units that stay whatever they cost, bool, shape (n,).
    """
    first = np.cumsum([0, *(len(p.units) for p in prepared.passages)]).tolist()
    parts = [
        _words(p.text, p.units, divided[a:b], whole[a:b])
        for p, a, b in zip(prepared.passages, first[:-1], first[1:], strict=True)
    ]
    value = yield WordRequest(ask, scores, tuple(parts))
    unit = np.concatenate([w.unit + a for w, a in zip(parts, first[:-1], strict=True)])
    group = np.repeat(np.arange(len(parts)), [len(w) for w in parts])
    is_whole = np.concatenate([w.whole for w in parts])
    hard = [overlapping(_as_units(w), h) for w, h in zip(parts, prepared.hard, strict=True)]
    soft = np.zeros(len(unit), bool)
    score = np.concatenate(value)
    if prepared.options.protect_soft:
        soft = np.concatenate(
            [
                overlapping(_as_units(w), protect.soft(p.text)) if len(w) else np.zeros(0, bool)
                for w, p in zip(parts, prepared.passages, strict=True)
            ]
        )
        score = _raise_soft(score, unit, soft & ~is_whole)
    at = np.full(len(divided) + 1, -1)
    at[unit[is_whole]] = np.flatnonzero(is_whole)
    needs = units.requires[unit]
    costs = [
        prepared.cost(i, _leads(w), w.end) if len(w) else np.zeros(0, np.int64)
        for i, w in enumerate(parts)
    ]
    return Table(
        passages=tuple(parts),
        unit=unit,
        soft=soft,
        candidates=Candidates(
            score=score,
            cost=np.concatenate(costs),
            forced=np.concatenate(hard) | (forced[unit] & is_whole),
            group=group,
            requires=np.where((needs >= 0) & is_whole, at[needs], -1),
            opening=units.opening,
            eligible=units.eligible[unit],
        ),
    )


def _raise_soft(score: FloatArray, unit: IntArray, soft: BoolArray) -> FloatArray:
    """Lift soft words just above the best word of their unit."""
    if not soft.any():
        return score
    best = np.full(int(unit.max()) + 1, -np.inf)
    np.maximum.at(best, unit, score)
    step = 1e-9 * max(1.0, float(np.abs(score).max()))
    return np.where(soft, best[unit] + step, score)


def _words(text: str, units: Units, divided: BoolArray, whole: BoolArray) -> Words:
    """Words of the divided units and one entry for each whole one, in source order."""
    these = np.flatnonzero(divided)
    start, end, owner = word_segmenter.split_within(text, units.start[these], units.end[these])
    unit = these[owner]
    alone = np.flatnonzero(whole)
    flag = np.repeat([False, True], [len(unit), len(alone)])
    start = np.concatenate([start, units.start[alone]])
    end = np.concatenate([end, units.end[alone]])
    unit = np.concatenate([unit, alone])
    order = np.argsort(start, kind="stable")
    return Words(start[order], end[order], unit[order], flag[order])


def _as_units(words: Words) -> Units:
    zero = np.zeros(len(words), np.int64)
    return Units(words.start, words.end, zero, zero - 1)


def _leads(words: Words) -> IntArray:
    """Where the whitespace before each word begins, as far as it will be kept."""
    before = np.concatenate([[0], words.end[:-1]])
    far = np.concatenate([[words.unit[0] > 0], np.diff(words.unit) > 1])
    return np.where(far, np.maximum(words.start - 1, 0), before)


def spans_in(prepared: Prepared, table: Table, selected: BoolArray) -> list[IntArray]:
    """Slices of each clean text for the ``selected`` words (w,), int64, shape (k, 2) each."""
    result = []
    parts = split_like(selected, table.passages)
    for i, (words, part) in enumerate(zip(table.passages, parts, strict=True)):
        layout = prepared.layouts[i]
        if isinstance(layout, TextLayout):
            finer, mask = _among_units(prepared.passages[i], words, part)
            result.append(spans_of(prepared, i, finer, mask))
        else:  # a JSON document: its members stand whole
            members = np.zeros(len(layout.units), bool)
            members[words.unit[part]] = True
            result.append(spans_of(prepared, i, layout, members))
    return result


def _among_units(
    passage: Passage, words: Words, selected: BoolArray
) -> tuple[TextLayout, BoolArray]:
    """A layout of the words and of the units of which none is on the table, and the selection.

    Without those units, what stands between two words would not only be whitespace.
    """
    units = passage.units
    absent = np.ones(len(units), bool)
    absent[words.unit] = False
    if not absent.any():
        return TextLayout(passage.text, _as_units(words)), selected
    start = np.concatenate([words.start, units.start[absent]])
    end = np.concatenate([words.end, units.end[absent]])
    mask = np.concatenate([selected, np.zeros(int(absent.sum()), bool)])
    order = np.argsort(start, kind="stable")
    zero = np.zeros(len(order), np.int64)
    return TextLayout(passage.text, Units(start[order], end[order], zero, zero - 1)), mask[order]
