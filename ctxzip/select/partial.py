"""Inside the units: choosing words where whole units do not fit.

Soft-protected words (numbers, negations, modals, ids) rank above every other word of their unit,
so they are never torn out of a unit of which anything is kept; only where the ceiling falls in
the middle of a unit's protected words do some yield, and the result says so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctxzip.errors import BudgetError
from ctxzip.kit.arrays import BoolArray
from ctxzip.score.base import Asking, ScoreRequest, UnitScores
from ctxzip.segment.prepare import Prepared
from ctxzip.select.search import Candidates, fit, greedy, prefix
from ctxzip.select.whole import Chosen, count
from ctxzip.select.word_table import Table, spans_in, table_of
from ctxzip.text.units import Kind

__all__ = ["choose_words", "minor_units", "shorten_next", "trim_chosen"]

_DIVISIBLE = (Kind.SENTENCE, Kind.HEADING, Kind.ITEM)
# A unit shortened to less than this fraction is rarely worth reading.
_LEAST_SHARE = 0.4
# ... and to less than this one, whole ones that hardly matter do not make room for it.
_MOST_SHARE = 0.6
# Where only a few units fit, each gives up to this share of its words to let one more in.
_TRIMMED = 0.1
_FEW = 8
# ... if what comes in is worth this share of those that lose words: no sure answer is touched for
# the sake of a sentence that hardly matters.
_WORTH = 0.03


def choose_words(
    prepared: Prepared,
    ask: ScoreRequest,
    scores: UnitScores,
    candidates: Candidates,
    ceiling: int,
) -> Asking[Chosen]:
    """Words from anywhere in the request.

    Raises:
        BudgetError: hard-protected text alone exceeds the ceiling.
    """
    none = np.zeros(len(candidates.score), bool)
    divided = (candidates.eligible | candidates.forced) & _divisible(prepared)
    whole = candidates.required_by((candidates.eligible | candidates.forced) & ~divided)
    table = yield from table_of(prepared, ask, scores, candidates, divided, whole, none)
    return _fit(prepared, table, ceiling, len(none))


def shorten_next(
    prepared: Prepared,
    ask: ScoreRequest,
    scores: UnitScores,
    candidates: Candidates,
    ceiling: int,
    chosen: Chosen,
    sums: bool,
) -> Asking[Chosen | None]:
    """``chosen`` with words of the units that would have come next.

    Args:
        prepared: the request.
        ask: the same as it was scored.
        scores: of its units.
        candidates: its units as they compete.
        ceiling: in tokens.
        chosen: whole units under the ceiling.
        sums: scores are probabilities, which add up over units.

    Returns:
        None where no further unit is worth shortening.
    """
    can = candidates.eligible & _divisible(prepared)
    order = np.argsort(-candidates.score, kind="stable")
    kept, room = chosen.kept, ceiling - chosen.tokens
    minor = minor_units(prepared, candidates, chosen, ceiling)
    best = order[can[order]][:1]
    if not kept[best].all() and not (sums and _worth_more(candidates, chosen, best[0], ceiling)):
        # The best one is too long for the ceiling: better its words than whole lesser ones.
        kept, room = candidates.required_by(candidates.forced), ceiling
        order = order[can[order] & ~kept[order]]
    elif minor.any():
        kept = candidates.required_by((kept & candidates.eligible & ~minor) | candidates.forced)
        room += int(candidates.cost[chosen.kept & ~kept].sum())
        order = order[can[order] & ~chosen.kept[order]]
    else:
        order = order[can[order] & ~kept[order]]
        order = order[candidates.cost[order] * _LEAST_SHARE <= room]
    if not len(order):
        return None
    upto = int(np.searchsorted(np.cumsum(candidates.cost[order]) * _LEAST_SHARE, room)) or 1
    divided = np.zeros(len(can), bool)
    divided[order[:upto]] = True
    table = yield from table_of(prepared, ask, scores, candidates, divided, kept, kept)
    try:
        finer = _fit(prepared, table, ceiling, len(can))
    except BudgetError:
        return None
    return finer if finer.kept.any() else None


def _worth_more(candidates: Candidates, chosen: Chosen, best: int, ceiling: int) -> bool:
    """Whether the chosen units together are worth more than the words of the best that would fit.

    The most telling words are kept, so part of a sentence is worth more than its share.
    """
    share = min(1.0, ceiling / max(1, int(candidates.cost[best])))
    kept = candidates.score[chosen.kept & candidates.eligible]
    return bool(kept.sum() > share**0.5 * candidates.score[best])


def minor_units(
    prepared: Prepared, candidates: Candidates, chosen: Chosen, ceiling: int
) -> BoolArray:
    """Chosen units that matter so little that words of one left out are worth more, bool, (n,).

    A sentence that hardly matters is no reason to leave out a likely one that is somewhat longer
    than the room; none where even without them too little of that one would fit, and none where
    every document has its share.
    """
    none = np.zeros(len(chosen.kept), bool)
    out = candidates.eligible & ~chosen.kept
    best = int(np.where(out, candidates.score, -np.inf).argmax()) if len(out) else 0
    if prepared.options.min_per_document or not out.any() or candidates.score[best] <= 0:
        return none
    minor = chosen.kept & candidates.eligible & ~candidates.forced
    minor &= candidates.score < _WORTH * candidates.score[best]
    room = ceiling - chosen.tokens + int(candidates.cost[minor].sum())
    return minor if room >= _MOST_SHARE * candidates.cost[best] else none


def trim_chosen(
    prepared: Prepared,
    ask: ScoreRequest,
    scores: UnitScores,
    candidates: Candidates,
    ceiling: int,
    chosen: Chosen,
) -> Asking[Chosen | None]:
    """More units than fit whole, each without the few words that it needs least.

    Returns:
        None where that lets no further unit in that is worth it, or where more than a few fit.
    """
    if chosen.kept.sum() > _FEW or not candidates.eligible.any():
        return None
    minimum = prepared.options.min_per_document
    reach = greedy(candidates, int(ceiling / (1 - _TRIMMED)), minimum)
    divided = reach & _divisible(prepared) & candidates.eligible
    best = int(np.where(candidates.eligible, candidates.score, -np.inf).argmax())
    if not reach[best] or not (reach & ~chosen.kept).any() or not divided.any():
        return None  # a best unit that is far too long is shortened further than this
    whole = reach & ~divided
    table = yield from table_of(
        prepared, ask, scores, candidates, divided, whole, candidates.forced
    )
    spare = _spare(prepared, table)
    words = table.candidates
    core = np.bincount(table.unit, np.where(spare, 0, words.cost), len(reach)).astype(np.int64)
    units = replace(candidates, cost=core, eligible=candidates.eligible & reach)
    order = np.flatnonzero(spare)[np.argsort(-words.score[spare], kind="stable")]

    def choose(budget: int) -> BoolArray:
        kept = greedy(units, budget, minimum)
        opened = np.unique(candidates.group[kept])
        left = budget - int(core[kept].sum()) - int(candidates.opening[opened].sum())
        more = order[kept[table.unit[order]]]
        more = more[np.cumsum(words.cost[more]) <= left]
        selected: BoolArray = kept[table.unit] & ~spare
        selected[more] = True
        return selected

    fitted = fit(
        choose,
        lambda selected: count(prepared, spans_in(prepared, table, selected)),
        ceiling,
        slack=max(1, ceiling // 100),
        most=int(words.cost.sum() + words.opening.sum()),
    )
    if fitted is None:
        return None
    kept = np.zeros(len(reach), bool)
    kept[table.unit[fitted.selected]] = True
    differ = np.flatnonzero(kept != chosen.kept)
    if not len(differ) or not kept[differ[candidates.score[differ].argmax()]]:
        return None
    shortened = np.zeros(len(reach), bool)
    shortened[table.unit[spare & ~fitted.selected]] = True
    gained, at_risk = kept & ~chosen.kept, kept & shortened
    if candidates.score[gained].sum() < _WORTH * candidates.score[at_risk].sum():
        return None
    return Chosen(spans_in(prepared, table, fitted.selected), kept, fitted.tokens)


def _spare(prepared: Prepared, table: Table) -> BoolArray:
    """The least needed words of each divided unit, bool, shape (w,); never protected ones."""
    words = table.candidates
    free = np.array(
        [
            not whole and any(map(str.isalnum, passage.text[a:b]))
            for some, passage in zip(table.passages, prepared.passages, strict=True)
            for a, b, whole in zip(some.start, some.end, some.whole, strict=True)
        ],
        bool,
    )
    allowed = np.floor(
        _TRIMMED * np.bincount(table.unit[free], minlength=int(table.unit.max()) + 1)
    )
    free &= ~table.soft & ~words.forced
    order = np.lexsort((words.score, ~free, table.unit))
    unit = table.unit[order]
    rank = np.arange(len(order)) - np.searchsorted(unit, unit)
    spare = np.zeros(len(order), bool)
    spare[order] = free[order] & (rank < allowed[unit])
    return spare


def _divisible(prepared: Prepared) -> BoolArray:
    kinds = np.concatenate([np.zeros(0, np.int64), *(p.units.kind for p in prepared.passages)])
    return np.isin(kinds, _DIVISIBLE)


def _untorn(table: Table, budget: int, minimum: int) -> BoolArray:
    """The best words under a budget, without units whose soft-protected words do not all fit.

    Only the unit in whose middle the budget ends can be torn; its room goes to the next ones.
    """
    some = table.candidates
    first = selected = prefix(some, budget, minimum)
    for _ in range(4):
        torn = table.unit[table.soft & ~selected & _partly(table, selected)]
        if not len(torn):
            return selected
        some = replace(some, eligible=some.eligible & ~np.isin(table.unit, torn))
        selected = prefix(some, budget, minimum)
    return selected if selected.any() else first


def _partly(table: Table, selected: BoolArray) -> BoolArray:
    """Words of units of which anything is selected, bool, shape (w,)."""
    kept = np.zeros(int(table.unit.max()) + 1 if len(table.unit) else 0, bool)
    kept[table.unit[selected]] = True
    return kept[table.unit]


def _fit(prepared: Prepared, table: Table, ceiling: int, n_units: int) -> Chosen:
    """Fill the ceiling with words; BudgetError where the forced ones alone exceed it."""
    some = table.candidates
    fitted = fit(
        lambda budget: _untorn(table, budget, prepared.options.min_per_document),
        lambda selected: count(prepared, spans_in(prepared, table, selected)),
        ceiling,
        slack=max(0, ceiling // 100),
        most=int(some.cost.sum() + some.opening.sum()),
    )
    if fitted is None:
        forced = some.required_by(some.forced)
        needed = count(prepared, spans_in(prepared, table, forced))
        raise BudgetError(
            f"The hard-protected text alone takes {needed} tokens; the ceiling is {ceiling}.",
            needed=needed,
            ceiling=ceiling,
            hint=f"Allow at least {needed} tokens, or protect less.",
        )
    kept = np.zeros(n_units, bool)
    kept[table.unit[fitted.selected]] = True
    torn = table.soft & ~fitted.selected & kept[table.unit]
    notes: tuple[str, ...] = ()
    if torn.any():
        notes = (
            f"the ceiling was too tight for {int(torn.sum())} soft-protected words "
            "(numbers, negations, ids) in sentences that are partly kept",
        )
    return Chosen(spans_in(prepared, table, fitted.selected), kept, fitted.tokens, notes)
