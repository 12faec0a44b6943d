"""START HERE: the way of a request, in order.

    segment   documents       → units, token counts, protected spans     segment/prepare.py
    score     units, query    → usefulness per unit                      score/base.py
    select    scores, costs   → chosen units under the ceiling           select/selection.py
    render    chosen units    → text, spans, offsets                     render/result.py

Whole units (sentences, rows, members) are chosen first. Where the ceiling asks for more, the words
of the units that would come next are scored and the most telling of them fill what room is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from ctxzip.errors import InputError
from ctxzip.kit.arrays import runs
from ctxzip.kit.batch import DEFAULT_RATIO, BatchCompressor
from ctxzip.render.result import identity, result_of
from ctxzip.score.base import Scorer, ScoreRequest
from ctxzip.segment.prepare import Prepared, prepare
from ctxzip.select.selection import SIDE_BY_SIDE, choose, choose_all
from ctxzip.types import Compression, Granularity, Options, Request

__all__ = ["Pipeline", "Policy"]


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
        for group in runs(alike.values(), lambda some: _length(prepared[some[0]]), SIDE_BY_SIDE):
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
        how = (self.name, self.scorer, self.policy.granularity)
        jobs = []
        for some, ask, scores in zip(alike, asked, found, strict=True):
            for i in some:
                # A batch is scored as one; each request is charged by its share of the text.
                prepared[i].seconds["score"] = spent * _length(prepared[i]) / size
                jobs.append((i, scores, choose(*how, prepared[i], ask, scores)))
        chosen = choose_all(
            self.scorer, [job for _, _, job in jobs], [prepared[i].seconds for i, *_ in jobs]
        )
        return {
            i: result_of(prepared[i], self.name, scores, *choice)
            for (i, scores, _), choice in zip(jobs, chosen, strict=True)
        }

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


def _length(prepared: Prepared) -> int:
    return sum(len(passage.text) for passage in prepared.passages)


def _scored_as(prepared: Prepared) -> object:
    """What scores depend on: requests that agree in it are scored as one."""
    request = prepared.request
    texts = tuple((document.text, document.title) for document in request.documents)
    return texts, request.query, request.trusted
