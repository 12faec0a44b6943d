"""START HERE: the way of a request, in order.

    prepare   documents       → units, token counts, protected spans     prepare.py
    score     units, query    → usefulness per unit                      score/
    select    scores, costs   → chosen units under the ceiling           select.py, here
    render    chosen units    → text, spans, offsets                     render.py, here

Whole units (sentences, rows, members) are chosen first. Where the ceiling asks for more, the words
of the units that would come next are scored and the most telling of them fill what room is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeAlias

import numpy as np

from ctxzip.assemble import identity, result_of
from ctxzip.base import DEFAULT_RATIO, BatchCompressor
from ctxzip.choose import Chosen, candidates_of, choose_units
from ctxzip.errors import InputError
from ctxzip.narrow import Asking, choose_words, minor_units, shorten_next, trim_chosen
from ctxzip.prepare import Prepared, prepare
from ctxzip.score.base import ReadsAhead, Scorer, ScoreRequest, UnitScores, WordRequest
from ctxzip.select import Candidates
from ctxzip.types import Compression, Granularity, Options, Request
from ctxzip.units import FloatArray, runs

__all__ = ["Pipeline", "Policy"]


# What stays of a request, and the path that was taken.
_Choice: TypeAlias = tuple[Chosen, tuple[str, ...]]
_SIDE_BY_SIDE = 60_000  # characters of requests that are scored and chosen from side by side


@dataclass(frozen=True, slots=True)
class Policy:
    """What a method does where the caller leaves it open.

    Attributes:
        granularity: what ``Options(granularity="auto")`` means. ``"sentence"`` drops whole units
            as long as any fits; only a ceiling below the smallest one asks for words.
        threshold: floor on usefulness where the budget names none.
        selects: the scorer rules units out by itself (a top-n), so no ratio is assumed.
        side_by_side: two batches at once are faster than one, as where a model computes without
            the interpreter's lock.
    """

    granularity: Granularity = "auto"
    threshold: float | None = None
    selects: bool = False
    side_by_side: bool = True


class Pipeline(BatchCompressor):
    """An extractive compressor: a scorer and the stages around it. Thread-safe.

    Args:
        name: the compressor's name, repeated in its results.
        scorer: how units and words are scored.
        options: what is rarely set.
        policy: what the method does where the caller leaves it open.
    """

    def __init__(
        self,
        name: str,
        scorer: Scorer,
        options: Options | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.name = name
        self.scorer = scorer
        self.options = options if options is not None else Options()
        self.policy = policy if policy is not None else Policy()
        self.side_by_side = self.policy.side_by_side

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests; the model sees them in common batches.

        Raises:
            BudgetError: hard-protected text alone exceeds a ceiling.
            InputError: a threshold for a scorer without calibrated scores.
        """
        prepared = [prepare(self._budgeted(request), self.options) for request in requests]
        done: list[Compression | None] = [self._untouched(one) for one in prepared]
        todo = [i for i, result in enumerate(done) if result is None]
        # The same documents and question under several budgets are scored once.
        alike: dict[object, list[int]] = {}
        for i in todo:
            alike.setdefault(_scored_as(prepared[i]), []).append(i)
        # What a model read of a group is in memory until it is used.
        for group in runs(alike.values(), lambda some: _length(prepared[some[0]]), _SIDE_BY_SIDE):
            for i, result in self._group(group, prepared).items():
                done[i] = result
        return [result for result in done if result is not None]

    def _group(
        self, alike: Sequence[list[int]], prepared: Sequence[Prepared]
    ) -> dict[int, Compression]:
        """Score and choose side by side.

        Args:
            alike: indices of requests; those of one list are scored as one.
            prepared: every request.
        """
        begun = perf_counter()
        asked = []
        for some in alike:
            one = prepared[some[0]]
            asked.append(ScoreRequest(one.passages, one.request.query, self.options.language))
        found = self.scorer.units(asked)
        spent = perf_counter() - begun
        size = sum(_length(prepared[some[0]]) for some in alike) or 1
        jobs = []
        for some, ask, scores in zip(alike, asked, found, strict=True):
            for i in some:
                # A batch is scored as one; each request is charged by its share of the text.
                prepared[i].seconds["score"] = spent * _length(prepared[i]) / size
                jobs.append((i, scores, self._choose(prepared[i], ask, scores)))
        chosen = self._choose_all(
            [job for _, _, job in jobs], [prepared[i].seconds for i, *_ in jobs]
        )
        return {
            i: result_of(prepared[i], self.name, scores, *choice)
            for (i, scores, _), choice in zip(jobs, chosen, strict=True)
        }

    def _choose_all(
        self, jobs: Sequence[Asking[_Choice]], seconds: Sequence[dict[str, float]]
    ) -> list[_Choice]:
        """Run every job to its end; words that several of them wait for are read together."""
        done: dict[int, _Choice] = {}
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
            if len(waiting) > 1 and isinstance(self.scorer, ReadsAhead):
                self.scorer.read_ahead(list(waiting.values()))
            answers = {
                i: self.scorer.words(one.request, one.scores, one.words)
                for i, one in waiting.items()
            }
            for i in waiting:
                _add(seconds[i], "score", (perf_counter() - begun) / len(waiting))
        return [done[i] for i in range(len(jobs))]

    def warmup(self) -> None:
        """Load what the first call would load."""
        self.scorer.warmup()

    def close(self) -> None:
        """Release what was loaded."""
        self.scorer.close()

    def _budgeted(self, request: Request) -> Request:
        budget = request.budget
        if budget.threshold is not None and not self.scorer.calibrated:
            raise InputError(
                f"threshold={budget.threshold!r} needs calibrated scores, which compressor "
                f"{self.name!r} has none of.",
                hint="Give a ratio or target_tokens, or choose another compressor.",
            )
        if budget.threshold is None and self.policy.threshold is not None:
            return replace(request, budget=replace(budget, threshold=self.policy.threshold))
        bounded = budget.ratio is not None or budget.tokens is not None
        if not bounded and budget.threshold is None and not self.policy.selects:
            return replace(request, budget=replace(budget, ratio=DEFAULT_RATIO))
        return request

    def _untouched(self, prepared: Prepared) -> Compression | None:
        """The input as it is, where nothing asks for less."""
        budget, before = prepared.request.budget, prepared.tokens_before
        if not before:
            return identity(prepared, self.name, "the input is empty")
        selects = self.policy.selects or budget.threshold is not None
        if not selects and prepared.ceiling is not None and prepared.ceiling >= before:
            note = f"the input of {before} tokens already fits the ceiling of {prepared.ceiling}"
            return identity(prepared, self.name, note)
        return None

    def _choose(self, prepared: Prepared, ask: ScoreRequest, scores: UnitScores) -> Asking[_Choice]:
        """Select for one request: what stays, and the path that was taken."""
        ceiling = prepared.tokens_before
        if prepared.ceiling is not None:
            ceiling = min(ceiling, prepared.ceiling)
        granularity = prepared.options.granularity
        if granularity == "auto":
            granularity = self.policy.granularity
        if granularity == "auto" and not ask.query and self.scorer.words_first:
            granularity = "word"
        candidates = candidates_of(prepared, scores)
        path = [f"{self.name}: whole units under {ceiling} tokens"]
        chosen: Chosen | None = None
        if granularity != "word":
            chosen = choose_units(prepared, candidates, ceiling)
        asked = prepared.options.granularity == granularity
        if chosen is not None and granularity == "sentence" and not asked and _empty(chosen):
            chosen = None if candidates.eligible.any() else chosen
        if granularity == "word" or chosen is None:
            path = [f"{self.name}: words under {ceiling} tokens"]
            chosen = yield from choose_words(prepared, ask, scores, candidates, ceiling)
        elif granularity == "auto":
            more = (prepared, ask, scores, candidates, ceiling)
            finer = (yield from trim_chosen(*more, chosen)) if ask.query else None
            if finer is not None:
                path.append("a few words of each unit left out to let another in")
            elif _wastes(prepared, chosen, candidates, ceiling):
                finer = yield from shorten_next(*more, chosen, self.scorer.calibrated)
                if finer is not None:
                    path.append("words of the next best units, in the room that was left")
            chosen = finer if finer is not None else chosen
        return chosen, tuple(path)


def _length(prepared: Prepared) -> int:
    return sum(len(passage.text) for passage in prepared.passages)


def _add(seconds: dict[str, float], stage: str, more: float) -> None:
    seconds[stage] = seconds.get(stage, 0.0) + more


def _scored_as(prepared: Prepared) -> object:
    """What scores depend on: requests that agree in it are scored as one."""
    request = prepared.request
    texts = tuple((document.text, document.title) for document in request.documents)
    return texts, request.query, request.trusted


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
