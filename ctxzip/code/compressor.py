"""The way of a request about code, in order.

    segment   text             → tree of definitions and statements   segment/parse.py
    rank      functions, query → usefulness per function              score/words.py, perplexity.py
    plan      scores, costs    → functions, and blocks inside them    select/plan.py, blocks.py
    render    plan             → text, markers where lines are gone   render.py

Shi et al., "LongCodeZip: Compress Long Context for Code Language Models" (ASE 2025, arXiv
2510.00446), with a parser instead of regular expressions and a ceiling that holds. Where else it
differs from the published code is said in ``README.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from ctxzip.code.job import Job
from ctxzip.code.published import Reference
from ctxzip.code.result import Outcome, result_of
from ctxzip.code.score.base import CodeScorer, CodeText
from ctxzip.code.score.perplexity import PerplexityCode
from ctxzip.code.select.plan import Planner
from ctxzip.code.settings import LongCodeZip
from ctxzip.errors import InputError
from ctxzip.kit.batch import DEFAULT_RATIO, BatchCompressor
from ctxzip.render.result import identity
from ctxzip.select.search import fit
from ctxzip.types import Compression, Options, Request

__all__ = ["CodeCompressor"]

_TRIES = 7


class CodeCompressor(BatchCompressor):
    """Compresses documents that are source code. Thread-safe.

    Args:
        name: the compressor's name, repeated in its results.
        scorer: ranks functions and blocks.
        options: what is rarely set.
        settings: see :class:`LongCodeZip`.
    """

    def __init__(
        self,
        name: str,
        scorer: CodeScorer,
        options: Options | None = None,
        settings: LongCodeZip | None = None,
    ) -> None:
        self.name = name
        self.options = options if options is not None else Options()
        self._scorer = scorer
        self._settings = settings if settings is not None else LongCodeZip()

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests.

        Raises:
            BudgetError: hard-protected text alone exceeds a ceiling.
            InputError: a threshold, which scores of code are not calibrated for.
        """
        return [self._one(self._budgeted(request)) for request in requests]

    def floor(self, request: Request) -> int:
        """See :class:`ctxzip.kit.batch.BatchCompressor`; nothing is ranked for it."""
        job = Job(request, self.options)
        return job.count(job.protected())

    def warmup(self) -> None:
        """Load what the first call would load."""
        self._scorer.rank("a", [CodeText("def a():\n    return 1\n", "a")], 1)

    def close(self) -> None:
        """Release what was loaded."""
        self._scorer.close()

    def _budgeted(self, request: Request) -> Request:
        budget = request.budget
        if budget.threshold is not None:
            raise InputError(
                f"threshold={budget.threshold!r} needs calibrated scores, which compressor "
                f"{self.name!r} has none of.",
                hint="Give a ratio or target_tokens.",
            )
        if budget.ratio is None and budget.tokens is None:
            return replace(request, budget=replace(budget, ratio=DEFAULT_RATIO))
        return request

    def _one(self, request: Request) -> Compression:
        job = Job(request, self.options)
        prepared = job.prepared
        before, ceiling = prepared.tokens_before, prepared.ceiling or 0
        if not before:
            return identity(prepared, self.name, "the input is empty")
        if ceiling >= before:
            note = f"the input of {before} tokens already fits the ceiling of {ceiling}"
            return identity(prepared, self.name, note)
        if self._settings.compat:
            return self._as_published(job, ceiling)
        begun = perf_counter()
        ranked = self._scorer.rank(request.query, job.parts(), ceiling)
        prepared.seconds["score"] = perf_counter() - begun
        begun = perf_counter()
        settings = self._settings
        if self.options.granularity == "sentence":
            settings = replace(settings, fine=False)
        planner = Planner(
            job.sources, job.items, ranked.scores, ranked.inside, settings,
            minimum=self.options.min_per_document,
        )  # fmt: skip
        outcome = self._fit(job, planner, ceiling)
        prepared.seconds["select"] = perf_counter() - begun
        notes = (*job.notes(), *ranked.notes, *outcome.notes)
        path = (
            f"{self.name}: {len(job.items)} functions and other parts ranked by"
            f" {self._scorer.name}, under {ceiling} tokens",
        )
        return result_of(prepared, self.name, replace(outcome, notes=notes), path)

    def _as_published(self, job: Job, ceiling: int) -> Compression:
        """The reference's choices; the ratio is a goal there."""
        prepared, scorer = job.prepared, self._scorer
        query = prepared.request.query
        if not isinstance(scorer, PerplexityCode) or not query or not query.strip():
            raise InputError(
                "compat=True compares perplexities: it needs a language model and a query.",
                hint='Give ctxzip.load("longcodezip", model=..., settings=...) and query=....',
            )
        begun = perf_counter()
        reference = Reference(
            scorer, beta=self._settings.beta, min_lines=self._settings.min_lines,
            comment=job.comment(),
        )  # fmt: skip
        verdicts = reference.decide(job.texts(), query, ceiling / prepared.tokens_before)
        prepared.seconds["score"] = perf_counter() - begun
        pieces = job.published(verdicts)
        tokens = job.count(pieces)
        if tokens > prepared.tokens_before:
            return identity(prepared, self.name, "the reference's choice is longer than the input")
        note = (
            f"compat: {tokens / prepared.tokens_before:.3f} of the tokens stay;"
            " the ratio is a goal here, not a ceiling"
        )
        prepared.ceiling = None
        scores = np.array([verdict.score for verdict in verdicts])
        outcome = job.scored(Outcome(pieces, tokens), scores, [note])
        return result_of(prepared, self.name, outcome, (f"{self.name}: compat",))

    def _fit(self, job: Job, planner: Planner, ceiling: int) -> Outcome:
        """The fullest plan whose assembled text fits and reads as code."""
        notes: list[str] = []
        found = _steer(job, planner, ceiling)
        for _ in range(2):
            torn = set() if found is None else job.torn(found.pieces) - planner.coarse_only
            if not torn:
                break
            # Nothing is cut inside functions of a document where that breaks its syntax.
            planner.coarse_only |= torn
            found = _steer(job, planner, ceiling)
        if found is None:
            return job.protected_only(ceiling)
        if planner.coarse_only:
            names = ", ".join(job.called(d) for d in sorted(planner.coarse_only)[:3])
            notes.append(f"whole functions only in {names}: cutting inside broke the syntax")
        return job.scored(found, planner.scores, notes)


def _steer(job: Job, planner: Planner, ceiling: int) -> Outcome | None:
    """The fullest plan that was found to fit; None where nothing does."""
    fitted = fit(
        lambda budget: [job.render(plan, d) for d, plan in enumerate(planner.plan(budget))],
        job.count,
        ceiling,
        slack=max(8, ceiling // 100),
        most=2 * ceiling + 63,
        steps=_TRIES,
        settle=True,
    )
    return None if fitted is None else Outcome(fitted.selected, fitted.tokens)
