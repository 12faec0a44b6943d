"""One request about code, segmented and counted: what the planner and the renderer work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from ctxzip.code.published import Verdict
from ctxzip.code.published_lines import kept_lines, pieces_of
from ctxzip.code.render import Piece, Plan, render
from ctxzip.code.result import Outcome
from ctxzip.code.score.base import CodeText
from ctxzip.code.segment import detect, parse
from ctxzip.code.segment.grammar import Language
from ctxzip.code.segment.tree import CodeTree
from ctxzip.code.select.items import Item, items_of, units_of
from ctxzip.code.select.plan import Source
from ctxzip.errors import BudgetError
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.segment.layout import Layout, TextLayout
from ctxzip.segment.prepare import Prepared, prepare
from ctxzip.text.spans import pieces as slices
from ctxzip.types import Options, Request

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines of one document that hold protected text."""

    flags: frozenset[int]

    def __call__(self, line: int) -> bool:
        return line in self.flags


class Job:
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

    def texts(self) -> list[str]:
        """The source of every item."""
        return [item.text(self._trees[item.document]) for item in self.items]

    def comment(self) -> str:
        """What the reference takes for the beginning of a comment, by the first document."""
        language = self._trees[0].language
        hashed = language is None or language.name in ("python", "typescript", "rust")
        return "#" if hashed else "//"

    def published(self, verdicts: Sequence[Verdict]) -> list[list[Piece]]:
        """The output of every document by the reference's choices."""
        found = []
        for d, tree in enumerate(self._trees):
            kept = kept_lines(self.items, verdicts, d) | set(self._protected[d].flags)
            marker = next((n.marker for n in tree.nodes if n.marker), None) or "# ... {}"
            found.append(pieces_of(tree, kept, marker))
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
        joined = self.prepared.assemble(["".join(p.text for p in output) for output in pieces])
        return self.prepared.counter.count(joined) if joined else 0

    def torn(self, pieces: Sequence[Sequence[Piece]]) -> set[int]:
        """Documents that their grammar reads worse than before."""
        found = set()
        for d, (tree, output) in enumerate(zip(self._trees, pieces, strict=True)):
            language = tree.language
            if not output or not tree.parsed or language is None or output[0].text == tree.text:
                continue
            text = "".join(piece.text for piece in output)
            if tree.nodes[0].kind in ("text", "fence"):
                continue
            if parse.errors(text, language) > parse.errors(tree.text, language):
                found.add(d)
        return found

    def scored(self, outcome: Outcome, scores: FloatArray, notes: list[str]) -> Outcome:
        """With the scores of the units of every document."""
        per_unit = tuple(scores[np.array(items, np.int64)] for items in self._units)
        return replace(outcome, scores=per_unit, notes=tuple(notes))

    def protected(self) -> list[list[Piece]]:
        """Nothing but what is protected."""
        return [
            [Piece(slices(p.text, np.array([span])), span[0]) for span in hard.tolist()]
            for p, hard in zip(self.prepared.passages, self.prepared.hard, strict=True)
        ]

    def protected_only(self, ceiling: int) -> Outcome:
        """What is protected, where the lines around it do not fit.

        Raises:
            BudgetError: even that is too much.
        """
        pieces = self.protected()
        tokens = self.count(pieces)
        if tokens > ceiling:
            raise BudgetError.for_protected(tokens, ceiling)
        per_unit = tuple(np.zeros(len(items)) for items in self._units)
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
        return parse.segment(text, found)
    if found is None and detect.fences(text):
        return parse.segment_fenced(text)
    return parse.segment(text, None)


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
