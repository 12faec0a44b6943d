"""What stays of a request: whole units first, then words where the ceiling asks for more."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TypeAlias

import numpy as np

from ctxzip.kit.arrays import FloatArray
from ctxzip.score.base import Asking, ReadsAhead, Scorer, ScoreRequest, UnitScores, WordRequest
from ctxzip.segment.prepare import Prepared
from ctxzip.select.partial import choose_words, minor_units, shorten_next, trim_chosen
from ctxzip.select.search import Candidates
from ctxzip.select.whole import Chosen, candidates_of, choose_units
from ctxzip.types import Granularity

__all__ = ["SIDE_BY_SIDE", "Choice", "choose", "choose_all"]

# What stays of a request, and the path that was taken.
Choice: TypeAlias = tuple[Chosen, tuple[str, ...]]
SIDE_BY_SIDE = 60_000  # characters of requests that are scored and chosen from side by side


def choose_all(
    scorer: Scorer, jobs: Sequence[Asking[Choice]], seconds: Sequence[dict[str, float]]
) -> list[Choice]:
    """Run every job to its end; words that several of them wait for are read together."""
    done: dict[int, Choice] = {}
    answers: dict[int, list[FloatArray] | None] = dict.fromkeys(range(len(jobs)))
    while answers:
        waiting: dict[int, WordRequest] = {}
        for i, answer in answers.items():
            begun = perf_counter()
            try:
                waiting[i] = next(jobs[i]) if answer is None else jobs[i].send(answer)
            except StopIteration as end:
                done[i] = end.value
            _add(seconds[i], "select", perf_counter() - begun)
        begun = perf_counter()
        if len(waiting) > 1 and isinstance(scorer, ReadsAhead):
            scorer.read_ahead(list(waiting.values()))
        answers = {
            i: scorer.words(one.request, one.scores, one.words) for i, one in waiting.items()
        }
        for i in waiting:
            _add(seconds[i], "score", (perf_counter() - begun) / len(waiting))
    return [done[i] for i in range(len(jobs))]


def choose(
    name: str,
    scorer: Scorer,
    auto: Granularity,
    prepared: Prepared,
    ask: ScoreRequest,
    scores: UnitScores,
) -> Asking[Choice]:
    """Select for one request: what stays, and the path that was taken.

    Args:
        name: the compressor's, repeated in the path.
        scorer: asked for the scores of words.
        auto: what ``Options(granularity="auto")`` means.
        prepared: the request.
        ask: the same as it was scored.
        scores: of its units.
    """
    ceiling = prepared.tokens_before
    if prepared.ceiling is not None:
        ceiling = min(ceiling, prepared.ceiling)
    granularity = prepared.options.granularity
    if granularity == "auto":
        granularity = auto
    if granularity == "auto" and not ask.query and scorer.words_first:
        granularity = "word"
    candidates = candidates_of(prepared, scores)
    path = [f"{name}: whole units under {ceiling} tokens"]
    chosen: Chosen | None = None
    if granularity != "word":
        chosen = choose_units(prepared, candidates, ceiling)
    asked = prepared.options.granularity == granularity
    if chosen is not None and granularity == "sentence" and not asked and _empty(chosen):
        chosen = None if candidates.eligible.any() else chosen
    if granularity == "word" or chosen is None:
        path = [f"{name}: words under {ceiling} tokens"]
        chosen = yield from choose_words(prepared, ask, scores, candidates, ceiling)
    elif granularity == "auto":
        more = (prepared, ask, scores, candidates, ceiling)
        finer = (yield from trim_chosen(*more, chosen)) if ask.query else None
        if finer is not None:
            path.append("a few words of each unit left out to let another in")
        elif _wastes(prepared, chosen, candidates, ceiling):
            finer = yield from shorten_next(*more, chosen, scorer.calibrated)
            if finer is not None:
                path.append("words of the next best units, in the room that was left")
        chosen = finer if finer is not None else chosen
    return chosen, tuple(path)


def _add(seconds: dict[str, float], stage: str, more: float) -> None:
    seconds[stage] = seconds.get(stage, 0.0) + more


def _empty(chosen: Chosen) -> bool:
    return not chosen.kept.any()


def _wastes(prepared: Prepared, chosen: Chosen, candidates: Candidates, ceiling: int) -> bool:
    """Whether whole units use the ceiling badly.

    Much is left over, what hardly matters took the room of a likely one, or the best did not fit.
    """
    if ceiling - chosen.tokens > max(4, 0.12 * ceiling):
        return True
    if minor_units(prepared, candidates, chosen, ceiling).any():
        return True
    best = np.where(candidates.eligible, candidates.score, -np.inf)
    return len(best) > 0 and not chosen.kept[int(best.argmax())]
