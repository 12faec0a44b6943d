"""The way of a request about code, in order.

    segment   text             → tree of definitions and statements   segment/code.py
    rank      functions, query → usefulness per function              score/code.py, perplexity.py
    plan      scores, costs    → functions, and blocks inside them    plan.py, fine.py
    render    plan             → text, markers where lines are gone   render.py

Shi et al., "LongCodeZip: Compress Long Context for Code Language Models" (ASE 2025, arXiv
2510.00446), with a parser instead of regular expressions and a ceiling that holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from time import perf_counter

import numpy as np

from ctxzip.assemble import identity
from ctxzip.code.items import Item, items_of, units_of
from ctxzip.code.plan import Planner, Source
from ctxzip.code.render import Piece, Plan, render
from ctxzip.code.result import Outcome, result_of
from ctxzip.code.settings import LongCodeZip
from ctxzip.errors import BudgetError, InputError, MissingExtraError
from ctxzip.prepare import Prepared, prepare
from ctxzip.render import Layout, TextLayout
from ctxzip.render import pieces as slices
from ctxzip.score.code import CodeScorer, CodeText
from ctxzip.segment import code, detect
from ctxzip.segment.codetree import CodeTree
from ctxzip.segment.grammar import Language
from ctxzip.types import Budget, Compression, Document, Options, Request
from ctxzip.units import FloatArray, IntArray

__all__ = ["CodeCompressor"]

DEFAULT_RATIO = 0.5
_TRIES = 7


class CodeCompressor:
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

    def compress(
        self,
        documents: Sequence[Document],
        *,
        query: str | None = None,
        budget: Budget | None = None,
    ) -> Compression:
        """Compress one request; half of the tokens stay where there is no budget."""
        request = Request(tuple(documents), query, budget if budget is not None else Budget())
        return self.compress_many([request])[0]

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests.

        Raises:
            BudgetError: hard-protected text alone exceeds a ceiling.
            InputError: a threshold, which scores of code are not calibrated for.
        """
        return [self._one(self._budgeted(request)) for request in requests]

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
        job = _Job(request, self.options)
        prepared = job.prepared
        before, ceiling = prepared.tokens_before, prepared.ceiling or 0
        if not before:
            return identity(prepared, self.name, "the input is empty")
        if ceiling >= before:
            note = f"the input of {before} tokens already fits the ceiling of {ceiling}"
            return identity(prepared, self.name, note)
        begun = perf_counter()
        ranked = self._scorer.rank(request.query, job.parts(), ceiling)
        prepared.seconds["score"] = perf_counter() - begun
        begun = perf_counter()
        settings = self._settings
        if self.options.granularity == "sentence":
            settings = replace(settings, fine=False)
        planner = Planner(
            job.sources, job.items, ranked.scores, self._scorer, request.query, settings,
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

    def _fit(self, job: _Job, planner: Planner, ceiling: int) -> Outcome:
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


def _steer(job: _Job, planner: Planner, ceiling: int) -> Outcome | None:
    """Plan for budgets until the counted text fills the ceiling; None where nothing fits."""
    best: Outcome | None = None
    low, high, budget = -1, 2 * ceiling + 64, ceiling
    for _ in range(_TRIES):
        plans = planner.plan(budget)
        pieces = [job.render(plan, d) for d, plan in enumerate(plans)]
        tokens = job.count(pieces)
        if tokens <= ceiling:
            if best is None or tokens > best.tokens:
                best = Outcome(pieces, tokens)
            if ceiling - tokens <= max(8, ceiling // 100):
                break
            low = budget
            budget += ceiling - tokens
        else:
            high = budget
            budget -= tokens - ceiling
        if not low < budget < high:
            budget = (low + high) // 2
        if budget in (low, high):
            break
    if best is None:
        pieces = [job.render(plan, d) for d, plan in enumerate(planner.plan(0))]
        tokens = job.count(pieces)
        best = Outcome(pieces, tokens) if tokens <= ceiling else None
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines of one document that hold protected text."""

    flags: frozenset[int]

    def __call__(self, line: int) -> bool:
        return line in self.flags


class _Job:
    """One request, segmented and counted."""

    def __init__(self, request: Request, options: Options) -> None:
        self._trees: list[CodeTree] = []
        self._marker_cost: dict[str, int] = {}
        self.items: list[Item] = []
        self._units: list[list[int]] = []

        def layout(i: int, text: str) -> Layout:
            document = request.documents[i]
            tree = _segmented(text, document.title or document.id)
            found = items_of(tree, i, len(self.items))
            self._trees.append(tree)
            units, owner = units_of(tree, found)
            self._units.append([len(self.items) + k for k in owner])
            self.items += found
            return TextLayout(text, units)

        self.prepared: Prepared = prepare(request, options, layout)
        self._protected = [
            _Lines(_lines_of(tree, hard))
            for tree, hard in zip(self._trees, self.prepared.hard, strict=True)
        ]
        self.sources = [self._source(i, tree) for i, tree in enumerate(self._trees)]
        for item in self.items:
            item.cost = max(1, self.sources[item.document].cost(item.lines))

    def _source(self, i: int, tree: CodeTree) -> Source:
        prepared, begins = self.prepared, self.prepared.starts[i]
        if begins is not None:
            cost = np.searchsorted(begins, tree.starts).tolist()
        else:
            count = prepared.counter.count
            each = [count(tree.slice(k, k + 1)) for k in range(tree.lines)]
            cost = [0, *np.cumsum(each).tolist()]
        opening = prepared.counter.count(prepared.options.separator + prepared.prefixes[i])
        return Source(tree, cost, opening, _forced(tree, self._protected[i].flags))

    def parts(self) -> list[CodeText]:
        """The items as scorers see them."""
        found = []
        for item in self.items:
            around, at = [], item.parent
            while at >= 0:
                around.append(self.items[at].name)
                at = self.items[at].parent
            document = self.prepared.passages[item.document].document
            path = document.title or document.id
            if path and len(path) < 500:
                around.append(" ".join(PurePath(path).with_suffix("").parts[-3:]))
            text = item.text(self._trees[item.document])
            found.append(CodeText(text, item.name, " ".join(filter(None, around))))
        return found

    def render(self, plan: Plan, document: int) -> list[Piece]:
        """The output of one document."""
        cost = self.sources[document].line_cost

        def cheap(first: int, stop: int, marker: str) -> bool:
            if marker not in self._marker_cost:
                self._marker_cost[marker] = self.prepared.counter.count(marker + "\n")
            return cost[stop] - cost[first] <= self._marker_cost[marker]

        return render(plan, self._protected[document], cheap)

    def count(self, pieces: Sequence[Sequence[Piece]]) -> int:
        """Tokens of the assembled output."""
        joined = self.prepared.assemble(["".join(p.text for p in some) for some in pieces])
        return self.prepared.counter.count(joined) if joined else 0

    def torn(self, pieces: Sequence[Sequence[Piece]]) -> set[int]:
        """Documents that their grammar reads worse than before."""
        found = set()
        for d, (tree, some) in enumerate(zip(self._trees, pieces, strict=True)):
            language = tree.language
            if not some or not tree.parsed or language is None or some[0].text == tree.text:
                continue
            text = "".join(piece.text for piece in some)
            try:
                if tree.nodes[0].kind in ("text", "fence"):
                    continue
                if code.errors(text, language) > code.errors(tree.text, language):
                    found.add(d)
            except MissingExtraError:  # pragma: no cover - parsed above
                continue
        return found

    def scored(self, outcome: Outcome, scores: FloatArray, notes: list[str]) -> Outcome:
        """With the scores of the units of every document."""
        per_unit = tuple(scores[np.array(some, np.int64)] for some in self._units)
        return replace(outcome, scores=per_unit, notes=tuple(notes))

    def protected_only(self, ceiling: int) -> Outcome:
        """Nothing but what is protected, where the lines around it do not fit.

        Raises:
            BudgetError: even that is too much.
        """
        prepared = self.prepared
        pieces = [
            [Piece(slices(p.text, np.array([span])), span[0]) for span in hard.tolist()]
            for p, hard in zip(prepared.passages, prepared.hard, strict=True)
        ]
        tokens = self.count(pieces)
        if tokens > ceiling:
            raise BudgetError(
                f"The hard-protected text alone takes {tokens} tokens; the ceiling is {ceiling}.",
                needed=tokens,
                ceiling=ceiling,
                hint=f"Allow at least {tokens} tokens, or protect less.",
            )
        per_unit = tuple(np.zeros(len(some)) for some in self._units)
        notes = ("only what is protected fits the ceiling",)
        return Outcome(pieces, tokens, per_unit, notes)

    def notes(self) -> list[str]:
        """What the caller should know of how the documents were read."""
        return [
            f"{self.called(d)} was segmented by indentation: {tree.note}"
            for d, tree in enumerate(self._trees)
            if tree.note is not None
        ]

    def called(self, document: int) -> str:
        """A document's name in notes."""
        given = self.prepared.passages[document].document
        return given.title or given.id or f"document {document}"


def _segmented(text: str, path: str | None) -> CodeTree:
    found = detect.detect(text, path)
    if isinstance(found, Language):
        return code.segment(text, found)
    if found is None and detect.fences(text):
        return code.segment_fenced(text)
    return code.segment(text, None)


def _lines_of(tree: CodeTree, spans: IntArray) -> frozenset[int]:
    """Lines that share a character with any of some spans."""
    spans = spans[spans[:, 1] > spans[:, 0]]
    first = np.searchsorted(tree.starts, spans[:, 0], side="right") - 1
    last = np.searchsorted(tree.starts, spans[:, 1] - 1, side="right") - 1
    pairs = zip(first.tolist(), last.tolist(), strict=True)
    return frozenset(line for a, b in pairs for line in range(a, b + 1))


def _forced(tree: CodeTree, lines: frozenset[int]) -> tuple[int, ...]:
    """Nodes whose own lines hold protected text."""
    if not lines:
        return ()
    return tuple(
        i
        for i in range(len(tree.nodes))
        if any(line in lines for a, b in tree.own(i) for line in range(a, b))
    )
